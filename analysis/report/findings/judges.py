"""Findings on the judges: how far they agree, where several read the same answers."""

from itertools import combinations

from analysis.judges.agreement import ALL, Agreement, agreement
from analysis.report.evidence import Evidence
from analysis.report.findings.statement import Finding, Section
from analysis.report.words import counted, listed, named, percent

LEAD = (
    "Several judges read the answers. Kappa is how far two agree beyond chance: 1 is always, 0 no "
    "more than chance."
)
REPLICATES = 1000
LOWEST = 3
"""Compressions that are named, those with the least agreement first."""


def judge_section(evidence: Evidence) -> Section:
    """One finding a pair of judges; none where one judge read the answers."""
    verdicts = evidence.records.verdicts.drop_nulls("verdict")
    judges = verdicts["judge"].drop_nulls().unique().sort().to_list()
    found = [
        _pair(one, other, agreement(evidence.records, one, other, REPLICATES))
        for one, other in combinations(judges, 2)
    ]
    return Section("How far judges agree", found, LEAD)


def _pair(one: str, other: str, levels: list[Agreement]) -> Finding:
    together = next(found for found in levels if found.level == ALL)
    title = f"{one} and {other}"
    if together.agree is None:
        return Finding(title, "No answer was read by both.", warns=True)
    text = f"They agree on {percent(together.agree)} of answers; kappa is {_kappa(together)}."
    known = [found for found in levels if found.level != ALL and found.kappa is not None]
    known.sort(key=lambda found: found.kappa or 0.0)
    if len(known) > 1:
        least = listed([f"{named(found.level)} {_kappa(found)}" for found in known[:LOWEST]])
        text += f" By compression it is lowest for {least}."
    unknown = [found for found in levels if found.kappa is None and found.level != ALL]
    if unknown:
        text += f" For {listed([named(found.level) for found in unknown])} it is undefined."
    basis = (
        f"{counted(together.answers, 'answer')} to {counted(together.prompts, 'prompt')}; 95 % "
        "intervals over prompts, because answers to one prompt are alike."
    )
    return Finding(title, text, f"{basis} {together.note}".strip())


def _kappa(found: Agreement) -> str:
    if found.kappa is None:
        return "undefined"
    if found.low is None or found.high is None:
        return f"{found.kappa:.2f}"
    return f"{found.kappa:.2f} ({found.low:.2f} to {found.high:.2f})"
