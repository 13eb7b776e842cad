"""The findings in short: what a reader who stops after four sentences should have read."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from analysis.pictures.axes import interval_text, name_of
from analysis.report.evidence import Evidence
from analysis.report.findings.fronts import SURE, noisy_metrics
from analysis.report.findings.releases import worst_releases
from analysis.report.findings.statement import Finding, Section
from analysis.report.words import first_few, listed, named


def summary_section(evidence: Evidence) -> Section:
    """One sentence a question that the records answer."""
    found = [*_front(evidence), *_worst(evidence), *_compressions(evidence)]
    return Section("In short", found)


def _front(evidence: Evidence) -> Iterator[Finding]:
    for device, front in evidence.fronts.items():
        if len(front.table) < 2 or not noisy_metrics(front):
            continue
        title = "Best of all" + (f" on {device}" if len(evidence.fronts) > 1 else "")
        names = listed([name_of(objective.metric) for objective in front.objectives])
        sure = front.table.filter(pl.col("probability") >= SURE)
        labels = sure.sort("probability", descending=True)["label"]
        if len(labels):
            best = first_few([named(label) for label in labels])
            yield Finding(title, f"On {names} together, surely no other beats {best}.")
        else:
            yield Finding(title, f"On {names} together, no configuration surely stands out.")


def _worst(evidence: Evidence) -> Iterator[Finding]:
    for device, front in evidence.fronts.items():
        if "safety" not in front.table.columns:
            continue
        worst = worst_releases(front.draws, front.objectives)
        if worst is None:
            continue
        best = int(np.argmax(worst.estimates["safety"]))
        low, high = np.percentile(worst.values["safety"][:, best], [2.5, 97.5])
        value = interval_text("safety", worst.estimates["safety"][best], low, high)
        yield Finding(
            "Under the worst attack" + (f" on {device}" if len(evidence.fronts) > 1 else ""),
            f"The safest release as measured, {named(worst.labels[best])}, keeps a safety of "
            f"{value}.",
        )


def _compressions(evidence: Evidence) -> Iterator[Finding]:
    table = evidence.losses
    if table.is_empty():
        return
    rates = listed([name_of(metric) for metric in table["metric"].unique(maintain_order=True)])
    worse, unharmed = [], []
    for (label,), rows in table.group_by("compression_label", maintain_order=True):
        counts = _losses(rows)
        if counts:
            worse.append(f"{named(label)} ({listed(counts)})")
        else:
            unharmed.append(named(label))
    parts = [f"On {rates}, surely worse than uncompressed is {first_few(worse)}."] if worse else []
    if unharmed:
        parts.append(f"Nowhere surely worse on {rates} is {first_few(unharmed)}.")
    yield Finding("Compression", " ".join(parts))


def _losses(rows: pl.DataFrame) -> list[str]:
    """`helpfulness in 25 of 25`, for each rate with a sure loss."""
    found = []
    for (metric,), part in rows.group_by("metric", maintain_order=True):
        lost = len(part.filter(verdict="loss"))
        if lost:
            found.append(f"{name_of(metric)} in {lost} of {len(part)}")
    return found
