"""Findings on what the study could not have seen: the smallest differences that it would find."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from analysis.effects.power import OVER_PROMPTS, OVER_SEEDS
from analysis.pictures.axes import name_of
from analysis.report.evidence import Evidence
from analysis.report.findings.statement import Finding
from analysis.report.words import capitalized, listed


def power_findings(evidence: Evidence) -> Iterator[Finding]:
    """Over prompts, and over seeds where there are several."""
    table = evidence.detectable
    told = [_over_prompts(rows) for _, rows in _metrics(table, OVER_PROMPTS)]
    if told:
        yield Finding(
            "Smallest loss by compression that would be found",
            f"{capitalized(listed(told))}.",
            "In four of five studies, at 5 % and before adjusting for many comparisons; exact "
            "McNemar over the same prompts.",
        )
    told = [_over_seeds(rows.row(0, named=True)) for _, rows in _metrics(table, OVER_SEEDS)]
    if told:
        yield Finding(
            "Smallest difference between trained models that would be found",
            f"{capitalized(listed(told))}.",
            "In four of five studies, at 5 % for one comparison: a t test between two "
            "configurations over their seeds.",
        )


def _metrics(table: pl.DataFrame, comparison: str) -> Iterator[tuple[str, pl.DataFrame]]:
    rows = table.filter(comparison=comparison)
    for (metric,), part in rows.group_by("metric", maintain_order=True):
        yield str(metric), part


def _over_prompts(rows: pl.DataFrame) -> str:
    name = name_of(rows["metric"][0])
    prompts = listed(rows["prompts"].unique().sort().to_list())
    found = [100 * value for value in rows["difference"].drop_nulls()]
    if len(found) < len(rows):
        return f"{name}, none at all for some compressions ({prompts} prompts)"
    low, high = f"{min(found):.1f}", f"{max(found):.1f}"
    points = low if low == high else f"{low} to {high}"
    return f"{name} {points} points ({prompts} prompts)"


def _over_seeds(row: dict[str, Any]) -> str:
    name = name_of(row["metric"])
    if row["difference"] is None:
        return f"{name}, none at all ({row['seeds']} seeds)"
    points = f"{100 * row['difference']:.1f} points"
    return f"{name} {points} ({row['seeds']} seeds, SD {100 * row['seed_sd']:.1f} points)"
