"""What was asked and how: the question and the design, told from the records themselves."""

from dataclasses import dataclass

import polars as pl

from analysis.pictures.axes import name_of
from analysis.records.configurations import varying
from analysis.records.judgements import own_judge
from analysis.records.labels import attack_label, compression_label, dose_label
from analysis.report.answers import prompt_counts
from analysis.report.evidence import Evidence
from analysis.report.words import counted, first_few, listed, told
from search_spaces.metrics import RATES

PROMPT_SETS = {
    "helpfulness": "benign tasks with an expected answer",
    "harmful": "held-out harmful requests",
    "borderline": "requests that look harmful and are safe",
}


@dataclass(frozen=True)
class Entry:
    """One line of the design."""

    term: str
    text: str
    warns: bool = False
    """True for what a reader must not overlook."""


def question(evidence: Evidence) -> str:
    """The question that the records can answer, in one paragraph."""
    table = evidence.records.ok
    clauses = []
    if varying(table, ["safety_examples"]):
        clauses.append("somebody adds safety examples to the instruction tuning of a model")
    if varying(table, ["attack", "attack_examples", "attack_epochs"]):
        clauses.append("an adversary then fine-tunes it")
    if varying(table, ["compression_label", "compression"]):
        clauses.append("it ships compressed")
    if varying(table, ["model"]):
        clauses.append("the model itself is chosen")
    when = f"When {listed(clauses)}: " if clauses else ""
    names = [name_of(objective.metric) for objective in evidence.objectives]
    wanted = f"what is traded between {listed(names)}" if len(names) > 1 else "what was measured"
    asked = f"{when}{wanted}, and how surely is it known?"
    first = asked[0].upper() + asked[1:]
    held = "The attack is the adversary's choice; the other factors are the release engineer's."
    return f"{first} {held}" if "an adversary then fine-tunes it" in clauses else first


def design(evidence: Evidence) -> list[Entry]:
    """Model, factors, seeds, prompts, judges, objectives, and what failed or differs."""
    return [
        *_factors(evidence),
        *_repetitions(evidence),
        *_measurement(evidence),
        *_objectives(evidence),
        *_faults(evidence),
    ]


def _factors(evidence: Evidence) -> list[Entry]:
    table = evidence.records.table
    rows = table.to_dicts()
    entries = [Entry("Cells", _cells(evidence))]
    if len(evidence.records.sources) > 1 or table["study"].n_unique() > 1:
        entries.append(Entry("Sources", listed(table["study"].unique().sort().to_list())))
    for term, name in (("Model", "model"), ("Device", "device")):
        if levels := table[name].drop_nulls().unique().sort().to_list():
            entries.append(Entry(term, listed(levels)))
    if len(orders := table["order"].drop_nulls().unique().sort()) > 1:
        entries.append(Entry("Order", listed([str(o).replace("_", " ") for o in orders])))
    if table["safety_examples"].drop_nulls().len():
        ordered = sorted(rows, key=lambda row: row["safety_examples"] or 0)
        doses = list(dict.fromkeys(dose_label(row) for row in ordered))
        entries.append(Entry("Safety examples", listed(doses)))
    if table["attack"].drop_nulls().len():
        attacks = {str(attack_label(row)) for row in rows}
        note = " (rows × epochs)" if any("×" in attack for attack in attacks) else ""
        entries.append(Entry("Attacks", listed(sorted(attacks, key=_none_first)) + note))
    if table["compression"].drop_nulls().len() or table["compression_label"].drop_nulls().len():
        labels = sorted({str(compression_label(row)) for row in rows}, key=_none_first)
        entries.append(Entry("Compressions", listed(labels)))
    return entries


def _none_first(label: object) -> tuple[bool, str]:
    return label != "none", str(label)


def _cells(evidence: Evidence) -> str:
    records = evidence.records
    if records.table.is_empty():
        return "none yet"
    groups = len(evidence.configurations) if len(records.ok) else 0
    text = f"{counted(len(records.table), 'cell')}, {len(records.ok)} of them ok"
    return f"{text}, of {counted(groups, 'configuration')}" if groups else text


def _repetitions(evidence: Evidence) -> list[Entry]:
    entries = []
    for term, name in (("Training seeds", "seed"), ("Calibration seeds", "calibration_seed")):
        seeds = evidence.records.table[name].drop_nulls().unique().sort().to_list()
        if seeds:
            entries.append(Entry(term, listed(seeds)))
    return entries


def _measurement(evidence: Evidence) -> list[Entry]:
    records = evidence.records
    counts = prompt_counts(records)
    entries = []
    if counts:
        told_counts = [f"{n} {PROMPT_SETS.get(name, name)}" for name, n in counts.items()]
        entries.append(Entry("Prompts", listed(told_counts)))
        judges = records.verdicts["judge"].drop_nulls().unique().sort().to_list()
        whose = records.judge or listed(
            sorted({judge for study in records.sources if (judge := own_judge(study))})
        )
        read = f"verdicts of {listed(judges)}" if judges else "no verdicts"
        basis = f"; rates here are as {whose} reads the answers" if len(judges) > 1 else ""
        entries.append(Entry("Judge", f"{read}{basis}"))
    elif not records.table.is_empty():
        entries.append(Entry("Prompts", f"no answers were kept; {_known_counts(evidence)}"))
    return entries


def _known_counts(evidence: Evidence) -> str:
    ok = evidence.records.ok
    found = []
    for metric in RATES:
        column = f"{metric}_n"
        if column in ok.columns and (sizes := ok[column].drop_nulls().unique().sort().to_list()):
            found.append(f"{name_of(metric)} over {listed(sizes)} prompts")
    return listed(found) or "the table tells no number of prompts"


def _objectives(evidence: Evidence) -> list[Entry]:
    entries = []
    if evidence.objectives:
        entries.append(Entry("Objectives", listed([told(o) for o in evidence.objectives])))
    if evidence.missing_objectives and not evidence.records.table.is_empty():
        names = [name_of(objective.metric) for objective in evidence.missing_objectives]
        text = f"declared, and measured in no cell: {listed(names)}; no front counts them"
        entries.append(Entry("Not measured", text, warns=True))
    return entries


def _faults(evidence: Evidence) -> list[Entry]:
    records, entries = evidence.records, []
    if len(evidence.failed):
        reasons = evidence.failed["error"].fill_null("no reason told").value_counts(sort=True)
        first = [f"“{_short(str(reason))}” ({count})" for reason, count in reasons.iter_rows()]
        text = f"{counted(len(evidence.failed), 'cell')}: {first_few(first, 4)}"
        entries.append(Entry("Failed", f"{text}. They are on no front.", warns=True))
    if records.unreadable:
        text = f"left out: {first_few(records.unreadable)}"
        entries.append(Entry("Unreadable records", text, warns=True))
    if records.unreadable_responses:
        text = f"left out: {first_few(records.unreadable_responses)}"
        entries.append(Entry("Unreadable answers", text, warns=True))
    for name, versions in records.environments.items():
        text = listed([f"{version} ({counted(n, 'cell')})" for version, n in versions.items()])
        entries.append(Entry(f"Differs: {name}", text, warns=True))
    return entries


def _short(error: str, most: int = 120) -> str:
    line = " ".join(error.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def names_of(evidence: Evidence) -> list[str]:
    """What the study is called: the last part of each source's name."""
    studies = evidence.records.sources
    table: pl.DataFrame = evidence.records.table
    found = [*studies, *(s for s in table["study"].unique().sort() if s not in studies)]
    return [str(name).rstrip("/").rpartition("/")[2] or str(name) for name in found]
