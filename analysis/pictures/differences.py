"""Two studies, or two of anything, compared: what changed, configuration by configuration."""

from html import escape
from typing import Any

import plotly.graph_objects as go
import polars as pl

from analysis.pictures.axes import (
    Span,
    direction_mark,
    name_of,
    objective_of,
    scale,
    value_text,
)
from analysis.pictures.labelled_rows import rows_frame
from analysis.pictures.style import COLOURS, FADED, INK, empty_figure
from search_spaces.metrics import RATES, UNITS, Metric

TOP = 30
BETTER, WORSE = COLOURS[1], COLOURS[2]


def difference_dots(
    differences: pl.DataFrame,
    metric: Metric,
    one: str,
    other: str,
    label: str = "label",
    top: int = TOP,
) -> go.Figure:
    """The `other` less the `one`, with 95 % intervals: a row each, the largest `top` of them,
    in the order of the table.

    `differences`: columns `difference`, `low`, `high` and that of labels, as of
    `analysis.effects.comparison.paired_differences` or `average_differences`. Filled marks are
    those whose interval leaves out 0. Rows without a difference are left out.
    """
    name = name_of(metric)
    heading = f"{name.capitalize()} of {other} less that of {one}"
    known = differences.filter(pl.col("difference").is_finite().fill_null(False))
    if known.is_empty():
        return empty_figure(heading, f"No pair has a value of {name} on both sides.")
    size = pl.col("difference").abs().rank("ordinal", descending=True)
    shown = known.filter(size <= top).with_row_index("at")
    figure = go.Figure()
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    raised = BETTER if objective_of(metric).direction == "maximize" else WORSE
    lowered = WORSE if raised == BETTER else BETTER
    for hue, fill, mark, part in (
        (raised, raised, "triangle-right", shown.filter(pl.col("low") > 0)),
        (lowered, lowered, "triangle-left", shown.filter(pl.col("high") < 0)),
        (FADED, "white", "circle", shown.filter((pl.col("low") <= 0) & (pl.col("high") >= 0))),
    ):
        if not part.is_empty():
            _add_marks(figure, metric, label, part, {"color": fill, "symbol": mark}, hue)
    ends = [0.0, *shown["low"], *shown["high"], *shown["difference"]]
    figure.update_xaxes(
        _difference_scale(metric, ends), title={"text": _axis_text(metric), "standoff": 8}
    )
    surely = int(((known["low"] > 0) | (known["high"] < 0)).sum())
    parts = [f"{surely} of {len(known)} differ surely (filled); bars: 95 % intervals."]
    if len(known) > len(shown):
        parts.append(f"The {len(shown)} largest are shown.")
    if len(differences) > len(known):
        parts.append(f"{len(differences) - len(known)} were not measured on both sides.")
    values = [_signed(metric, value) for value in shown["difference"]]
    return rows_frame(figure, shown[label].to_list(), values, heading, " ".join(parts))


def _add_marks(
    figure: go.Figure,
    metric: Metric,
    label: str,
    part: pl.DataFrame,
    marker: dict[str, str],
    hue: str,
) -> None:
    figure.add_scatter(
        x=part["difference"].to_list(),
        y=part["at"].to_list(),
        mode="markers",
        showlegend=False,
        marker={**marker, "size": 11, "line": {"color": hue, "width": 2}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (part["high"] - part["difference"]).clip(lower_bound=0),
            "arrayminus": (part["difference"] - part["low"]).clip(lower_bound=0),
            "color": hue,
            "thickness": 1.5,
            "width": 0,
        },
        hovertext=[
            f"<b>{escape(row[label], quote=False)}</b><br>{_signed(metric, row['difference'])} "
            f"({_signed(metric, row['low'])} to {_signed(metric, row['high'])})"
            for row in part.iter_rows(named=True)
        ],
        hoverinfo="text",
    )


def _axis_text(metric: Metric) -> str:
    unit = "percentage points" if metric in RATES else UNITS[metric]
    return (
        f"<b>difference of {name_of(metric)}</b>, {direction_mark(objective_of(metric))}<br>{unit}"
    )


def _difference_scale(metric: Metric, ends: list[float]) -> dict[str, Any]:
    low, high = min(ends), max(ends)
    pad = 0.06 * ((high - low) or 1.0)
    span = Span(low - pad, high + pad, False)
    settings = scale(metric, span)
    if metric in RATES and span.high <= 1.1:
        settings |= {"tickformat": "+.0%", "ticksuffix": ""}
    return settings


def _signed(metric: Metric, value: float) -> str:
    """`+2.3`, in percentage points for shares, else in the metric's unit."""
    if metric in RATES and abs(value) <= 1:
        return f"{100 * value:+.1f}"
    return ("+" if value > 0 else "") + value_text(metric, value)
