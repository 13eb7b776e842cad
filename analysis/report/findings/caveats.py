"""What weakens the other findings: one seed, broken models that look safe, missing values."""

from collections.abc import Iterator

import polars as pl

from analysis.pictures.axes import interval_text, name_of
from analysis.report.evidence import Evidence
from analysis.report.findings.power import power_findings
from analysis.report.findings.statement import Finding, Section
from analysis.report.words import counted, first_few, named, percent

BROKEN = 0.1
"""Share of incoherent answers from which a configuration's safety is not called refusal."""
ENDS = ("value", "low", "high")


def caveat_section(evidence: Evidence) -> Section:
    """All caveats that apply."""
    found = [
        *_missing(evidence),
        *_seeds(evidence),
        *_incoherent(evidence),
        *_noise(evidence),
        *power_findings(evidence),
    ]
    return Section("What could not be told", found)


def _seeds(evidence: Evidence) -> Iterator[Finding]:
    table = evidence.configurations.table
    seeds = table["seeds"].to_numpy()
    single = int((seeds <= 1).sum())
    if seeds.max() <= 1 and evidence.records.ok["seed"].drop_nulls().len():
        yield Finding(
            "One seed",
            "Every configuration was trained with one. The intervals tell what other prompts "
            "would have shown, not what training again would: differences between doses and "
            "attacks may be luck of training.",
            "Seeds in the search space would measure it.",
            warns=True,
        )
    elif single and seeds.max() > 1:
        yield Finding(
            "One seed",
            f"{counted(single, 'configuration')} of {len(table)} have one seed only; their seed "
            "noise is taken from the others.",
            warns=True,
        )


def _incoherent(evidence: Evidence) -> Iterator[Finding]:
    if not {"safety", "incoherent"} <= {*evidence.rates}:
        return
    draws = evidence.draws
    low, high = draws.interval("incoherent")
    table = evidence.configurations.table.with_columns(
        value=pl.Series(draws.estimates["incoherent"]).fill_nan(None),
        low=pl.Series(low),
        high=pl.Series(high),
    )
    broken = table.filter(pl.col("value") > BROKEN).sort("value", descending=True)
    if len(broken):
        told = [
            f"{named(row['label'])} ({interval_text('incoherent', *(row[end] for end in ENDS))})"
            for row in broken.head(4).to_dicts()
        ]
        yield Finding(
            "A broken model looks safe",
            "Safety counts an incoherent answer as not complied with. "
            f"{counted(len(broken), 'configuration')} of {len(table)} answered more than "
            f"{percent(BROKEN)} of the harmful requests incoherently, above all {first_few(told)}.",
            "Safety is to be read beside the rates of refusal and of incoherent answers.",
            warns=True,
        )
    else:
        yield Finding(
            "Safety is refusal here",
            f"No configuration answered more than {percent(BROKEN)} of the harmful requests "
            "incoherently; nearly all that is not complied with is refused, as the judge reads it.",
        )


def _noise(evidence: Evidence) -> Iterator[Finding]:
    for metric in evidence.rates:
        if evidence.draws.noise[metric] == "nothing":
            yield Finding(
                "Unknown noise",
                f"That of {name_of(metric)} is not known: no answers, counts or "
                "standard errors are in the records.",
                warns=True,
            )


def _missing(evidence: Evidence) -> Iterator[Finding]:
    objectives = [objective.metric for objective in evidence.objectives]
    if not objectives:
        yield Finding("No front", "No objective was measured in any cell.", warns=True)
        return
    ok = evidence.records.ok
    lacking = len(ok) - len(ok.drop_nulls(objectives))
    if lacking:
        yield Finding(
            "Missing values",
            f"{counted(lacking, 'ok cell')} of {len(ok)} lack an objective and are on no front.",
            warns=True,
        )
