"""What a picture says of a configuration under the pointer, and of where it was measured."""

from collections.abc import Iterable
from html import escape

import polars as pl

from analysis.fronts.uncertain import UncertainFront
from analysis.pictures.axes import interval_text, name_of
from analysis.uncertainty.draws import Draws
from search_spaces.metrics import DEVICE_METRICS, Metric


def front_hover(front: UncertainFront) -> list[str]:
    """Of each configuration: label, objectives with intervals, and P(non-dominated)."""
    texts = []
    for row in front.table.iter_rows(named=True):
        told = [f"<b>{escape(row['label'], quote=False)}</b>"]
        for metric in (objective.metric for objective in front.objectives):
            values = row[metric], row[f"{metric}_low"], row[f"{metric}_high"]
            told.append(f"{name_of(metric)}: {interval_text(metric, *values)}")
        told.append(f"P(non-dominated): {row['probability']:.2f}")
        texts.append("<br>".join(told))
    return texts


def metric_hover(draws: Draws, metric: Metric) -> list[str]:
    """Of each configuration: label, the metric with its interval, and how many cells it has."""
    low, high = draws.interval(metric)
    rows = zip(
        draws.configurations.table.select("label", "cells").iter_rows(),
        draws.estimates[metric],
        low,
        high,
        strict=True,
    )
    return [
        f"<b>{escape(label, quote=False)}</b><br>"
        f"{name_of(metric)}: {interval_text(metric, value, below, above)}<br>cells: {cells}"
        for (label, cells), value, below, above in rows
    ]


def device_note(table: pl.DataFrame, metrics: Iterable[Metric]) -> str:
    """`Measured on NVIDIA H200.`, where that matters for one of the metrics."""
    devices = table["device"].drop_nulls().unique().sort().to_list()
    if not devices or not any(metric in DEVICE_METRICS for metric in metrics):
        return ""
    return f"Measured on {' and '.join(devices)}."
