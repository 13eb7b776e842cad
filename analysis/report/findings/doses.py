"""Findings on doses: how many safety examples suffice, and which attack undoes them."""

from collections.abc import Iterator

import polars as pl

from analysis.effects.safety_doses import BOUND, SHARE, SURE
from analysis.report.evidence import Evidence
from analysis.report.findings.statement import Finding, Section
from analysis.report.words import capitalized, counted, first_few, listed, named, percent, place

PLACE = ("study", "model", "device", "safety_form", "calibration_data", "order")
"""Factors beside compression that doses are told for apart; named where they vary."""


def dose_section(evidence: Evidence) -> Section:
    """The smallest doses for each attack, then the attacks that undo doses."""
    found = [*_smallest(evidence.doses), *_undoing(evidence.undoing)]
    lead = (
        f"The smallest swept number of safety examples with harm of at most {percent(BOUND)}, and "
        f"the weakest swept attack that restores {percent(SHARE)} of the harm that they removed. "
        f"Surely means in {percent(SURE)} of draws."
    )
    return Section("Safety doses, and attacks that undo them", found, lead)


def _smallest(table: pl.DataFrame) -> Iterator[Finding]:
    several = _varying(table)
    for _, rows in table.group_by("attack_label", *several, maintain_order=True):
        first = rows.row(0, named=True)
        attack = first["attack_label"]
        title = "Without an attack" if attack == "none" else f"After {attack}"
        sentences = [
            f"{counted(dose, 'example')} surely {'suffices' if dose == 1 else 'suffice'} for {who}"
            for dose, who in _grouped(rows.drop_nulls("sure_dose"), "sure_dose")
        ]
        unsure = rows.filter(pl.col("sure_dose").is_null() & pl.col("dose").is_not_null())
        sentences += [
            f"{dose} did as measured, not surely, for {who}"
            for dose, who in _grouped(unsure, "dose")
        ]
        never = rows.filter(pl.col("dose").is_null() & pl.col("sure_dose").is_null())
        if len(never):
            # what was not measured to suffice may do so in some draws
            most = f"at most {first['largest_dose']}"
            sentences.append(f"no swept dose, {most}, did for {_compressions(never)}")
        yield Finding(title + place(first, several), f"{capitalized('; '.join(sentences))}.")


def _undoing(table: pl.DataFrame) -> Iterator[Finding]:
    several = _varying(table)
    for _, rows in table.group_by("attack", *several, maintain_order=True):
        first = rows.row(0, named=True)
        method = str(first["attack"]).removesuffix("_finetuning").replace("_", " ")
        parts = [
            _undone(int(dose[0]), part)
            for dose, part in rows.sort("safety_examples").group_by(
                "safety_examples", maintain_order=True
            )
        ]
        title = f"What {method} undoes" + place(first, several)
        yield Finding(title, f"{capitalized('; '.join(parts))}.")


def _undone(dose: int, rows: pl.DataFrame) -> str:
    """`1000 examples by harmful 100×3 for 8 of 8 compressions (surely for 7)`."""
    examples = counted(dose, "safety example")
    by_attack = rows.drop_nulls("attack_label").sort("attack_rows")
    parts = []
    for (label,), part in by_attack.group_by("attack_label", maintain_order=True):
        surely = len(part.filter(pl.col("probability") >= SURE))
        parts.append(
            f"by {named(label)} for {len(part)} of {counted(len(rows), 'compression')} (surely for "
            f"{surely})"
        )
    if not parts:
        return f"{examples} by no swept attack, for none of {counted(len(rows), 'compression')}"
    return f"{examples} {listed(parts)}"


def _grouped(rows: pl.DataFrame, dose: str) -> Iterator[tuple[int, str]]:
    for (number,), part in rows.sort(dose, maintain_order=True).group_by(dose, maintain_order=True):
        yield int(str(number)), _compressions(part)


def _compressions(rows: pl.DataFrame) -> str:
    labels = rows["compression_label"].unique(maintain_order=True).to_list()
    told = ["no compression" if label == "none" else named(label) for label in labels]
    return first_few(told, 12)


def _varying(table: pl.DataFrame) -> list[str]:
    return [name for name in PLACE if table[name].drop_nulls().n_unique() > 1]
