"""Findings on interactions: where one factor's effect depends on another, and can be read."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from analysis.pictures.axes import name_of
from analysis.report.evidence import Evidence
from analysis.report.findings.statement import Finding, Section
from analysis.report.words import capitalized, listed, named, signed
from search_spaces.metrics import Metric

LEAD = (
    "Whether a factor's effect on the odds depends on another factor. On odds, because rates end "
    "at 0 and 100 %: near those ends a factor has no room to show an effect. F tests on log-odds "
    "of answers, Holm-adjusted over a rate's pairs of factors; departures with 95 % over all pairs "
    "of levels at once."
)
FACTORS = {
    "safety_examples": "safety examples",
    "attack_label": "attack",
    "compression_label": "compression",
}
ALPHA = 0.05


def interaction_section(evidence: Evidence) -> Section:
    """One finding a metric; none where no two factors vary or no answers are kept."""
    table = evidence.interactions
    found = []
    for (metric,), rows in table.group_by("metric", maintain_order=True):
        found += list(_of_metric(metric, rows))
    return Section("What depends on what", found, LEAD)


def _of_metric(metric: Metric, rows: pl.DataFrame) -> Iterator[Finding]:
    readable = rows.filter("readable")
    sure = readable.filter(pl.col("p_holm") < ALPHA).sort("p_holm")
    unsure = readable.filter(pl.col("p_holm") >= ALPHA)
    sentences = [_interacts(row) for row in sure.to_dicts()]
    if len(unsure):
        pairs = listed([_pair(row) for row in unsure.to_dicts()])
        sentences.append(f"No interaction was found of {pairs}, which does not show there is none.")
    for row in rows.filter(~pl.col("readable")).to_dicts():
        sentences.append(f"Of {_pair(row)} nothing can be told: {_why(row)}.")
    if sentences:
        yield Finding(capitalized(name_of(metric)), " ".join(sentences))


def _interacts(row: dict[str, Any]) -> str:
    more = "higher" if row["departure"] > 0 else "lower"
    p = "below 0.001" if row["p_holm"] < 0.001 else f"{row['p_holm']:.3f}"
    return (
        f"{capitalized(_pair(row))} interact (p {p}), clearest at {_level(row, '')} with "
        f"{_level(row, 'other_')}: the log-odds are {abs(row['departure']):.1f} {more} than both "
        f"effects add up to ({signed(row['low'])} to {signed(row['high'])})."
    )


def _pair(row: dict[str, Any]) -> str:
    return f"{_name(row['factor'])} and {_name(row['other_factor'])}"


def _name(factor: str) -> str:
    return FACTORS.get(factor, factor.replace("_", " "))


def _level(row: dict[str, Any], which: str) -> str:
    factor, level = row[f"{which}factor"], row[f"{which}level"]
    if level == "none":
        return {"attack_label": "no attack", "compression_label": "no compression"}.get(
            factor, "none"
        )
    return named(f"{level} {_name(factor)}" if factor == "safety_examples" else level)


def _why(row: dict[str, Any]) -> str:
    flag = str(row["flag"])
    if flag in ("floor", "ceiling", "floor and ceiling"):
        where = f"{row['at_bounds']} of {row['level_pairs']} pairs of levels lie at the {flag}"
        return f"{where}, so there is no room to see one"
    return flag.replace(": ", ", ")
