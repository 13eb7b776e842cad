"""Findings on what compression costs: each compressed model against its own, uncompressed."""

from collections.abc import Iterator

import polars as pl

from analysis.effects.losses import MARGIN
from analysis.pictures.axes import name_of
from analysis.report.evidence import Evidence
from analysis.report.findings.statement import Finding, Section
from analysis.report.words import capitalized, counted, listed, named, signed
from search_spaces.metrics import Metric

LEAD = (
    "Every compressed configuration beside its own model before compression, over the same "
    f"prompts. No loss means surely less than {100 * MARGIN:g} points worse; undecided, that "
    "neither a change nor its absence could be told. Safety is better where a model breaks, too."
)
VERDICTS = (
    ("loss", "worse"),
    ("gain", "better"),
    ("no loss", "surely no loss"),
    ("undecided", "undecided"),
)
"""Verdicts as they begin, and the words for how many configurations have them."""


def compression_section(evidence: Evidence) -> Section:
    """One finding a compression; none where nothing was measured uncompressed as well."""
    table = evidence.losses
    found = []
    for label in table["compression_label"].unique(maintain_order=True):
        rows = table.filter(compression_label=label)
        parts = [_of_metric(metric, part) for metric, part in _by_metric(rows)]
        found.append(
            Finding(named(label), f"{capitalized('; '.join(parts))}.", _basis(evidence, label))
        )
    if found:
        found.append(_tests(evidence))
    return Section("What compression costs", found, LEAD)


def _by_metric(rows: pl.DataFrame) -> Iterator[tuple[Metric, pl.DataFrame]]:
    for (metric,), part in rows.group_by("metric", maintain_order=True):
        yield metric, part


def _of_metric(metric: Metric, rows: pl.DataFrame) -> str:
    """`helpfulness: 3 worse (mean change +1.6 points, from 0.0 to +3.6)`."""
    counts = [
        (len(rows.filter(pl.col("verdict").str.starts_with(verdict))), word)
        for verdict, word in VERDICTS
    ]
    told = [f"{count} {word}" for count, word in counts if count]
    low, mean, high = (
        100 * float(value)
        for value in (
            rows["difference"].to_numpy().min(),
            rows["difference"].to_numpy().mean(),
            rows["difference"].to_numpy().max(),
        )
    )
    one = f"change {signed(mean)} points"
    several = f"mean change {signed(mean)} points, from {signed(low)} to {signed(high)}"
    return f"{name_of(metric)}: {listed(told)} ({one if len(rows) == 1 else several})"


def _basis(evidence: Evidence, label: str) -> str:
    """McNemar's counts: answers that changed, of all cells of the compression together."""
    cells = evidence.cell_losses.filter(compression_label=label)
    parts = [
        f"{name_of(metric)} {int(part['only_uncompressed'].sum())} to "
        f"{int(part['only_compressed'].sum())}"
        for metric, part in _by_metric(cells)
    ]
    if not parts:
        return ""
    return (
        f"Answers that counted only uncompressed, to those that counted only compressed, over "
        f"{counted(cells['cell'].n_unique(), 'cell')}: {', '.join(parts)}."
    )


def _tests(evidence: Evidence) -> Finding:
    rows, cells = evidence.losses, evidence.cell_losses
    text = (
        f"Each verdict above is of a configuration, over prompts and the seeds at hand, adjusted "
        f"for all {len(rows)} comparisons together (Holm); no loss is a one-sided test (TOST)."
    )
    if cells.is_empty():
        return Finding("How it was tested", text)
    sure = {verdict: _count(cells, verdict) for verdict, _ in VERDICTS}
    exact = (
        f"Cell by cell, of {counted(len(cells), 'exact McNemar test')}, adjusted likewise: "
        f"{sure['loss']} losses, {sure['gain']} gains, {sure['no loss']} surely no loss, "
        f"{sure['undecided']} undecided."
    )
    return Finding("How it was tested", text, exact)


def _count(rows: pl.DataFrame, verdict: str) -> int:
    return len(rows.filter(pl.col("verdict").str.starts_with(verdict)))
