"""Two studies on one metric: each pair of configurations, one study's value against the other's."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from analysis.effects.comparison import Comparison, paired_differences
from analysis.pictures.axes import (
    Span,
    axis,
    direction_mark,
    interval_text,
    name_of,
    objective_of,
    span_of,
    value_text,
)
from analysis.pictures.channels import Channel, attack_channel, compression_channel, dose_sizes
from analysis.pictures.style import (
    FADED,
    INK,
    colour,
    empty_figure,
    faint,
    frame,
    legend_name,
    legend_text,
    symbol,
)
from search_spaces.metrics import RATES, Metric

PLOT_HEIGHT = 360
NOTE = (
    "Bars: 95 % intervals of the difference. A bar that crosses the dotted line: the two cannot be "
    "told apart. {chance} would differ by chance alone."
)


def study_pair(comparison: Comparison, metric: Metric) -> go.Figure:
    """Every pair that has the metric, with 95 % intervals of its difference."""
    one, other = comparison.names
    heading = f"{name_of(metric).capitalize()} in {one} and {other}"
    pairs = paired_differences(comparison, metric).with_columns(comparison.pairs["row"])
    pairs = pairs.drop_nulls("difference")
    if pairs.is_empty():
        return empty_figure(heading, "No configuration has a value in both studies.")
    table = comparison.draws.configurations.table[pairs["row"].to_list()]
    pairs = _drawn(pairs, metric).with_columns(size=pl.Series(dose_sizes(table)))
    colours, symbols = compression_channel(table), attack_channel(table)
    span = span_of(metric, pl.concat([pairs[n] for n in ("one", "other", "bottom", "top")]))
    figure = go.Figure()
    figure.add_scatter(
        x=[span.low, span.high], y=[span.low, span.high], mode="lines", showlegend=False,
        line={"color": FADED, "dash": "dot", "width": 1.5}, hoverinfo="skip", name="no difference",
    )  # fmt: skip
    _add_pairs(figure, pairs, colours, symbols)
    if colours.told:
        marks = [{"color": colour(n), "symbol": "square"} for n in range(len(colours.names))]
        _add_legend(figure, colours.names, marks, legend_name(0))
    if symbols.told:
        marks = [{"color": FADED, "symbol": symbol(n)} for n in range(len(symbols.names))]
        _add_legend(figure, symbols.names, marks, legend_name(1 if colours.told else 0))
    figure.update_xaxes(_axis(metric, span, one))
    figure.update_yaxes(_axis(metric, span, other))
    apart = pairs.filter((pl.col("low") > 0) | (pl.col("high") < 0)).height
    title = f"{heading}: {apart} of {len(pairs)} pairs differ"
    noisy = comparison.draws.noise[metric] != "nothing"
    note = NOTE.format(chance=f"{0.05 * len(pairs):.0f} of {len(pairs)}") if noisy else ""
    return frame(figure, title, note, PLOT_HEIGHT, [colours.legend, symbols.legend])


def _drawn(pairs: pl.DataFrame, metric: Metric) -> pl.DataFrame:
    """With `bottom` and `top`: the second study's value, if the first one's is as measured; and
    what is said of a pair under the pointer, `hover`."""
    bounds = [pl.col("one") + pl.col(end) for end in ("low", "high")]
    if metric in RATES and (pairs["one"] <= 1).all() and (pairs["other"] <= 1).all():
        bounds = [bound.clip(0, 1) for bound in bounds]
    pairs = pairs.with_columns(bottom=bounds[0], top=bounds[1])
    texts = []
    for row in pairs.iter_rows(named=True):
        second = interval_text(metric, row["other"], row["bottom"], row["top"])
        told = [f"<b>{escape(row['label'], quote=False)}</b>"]
        told.append(f"{value_text(metric, row['one'])}, then {second}")
        if row["also_differs"]:
            told.append(f"also differs: {escape(row['also_differs'], quote=False)}")
        texts.append("<br>".join(told))
    return pairs.with_columns(hover=pl.Series(texts, dtype=pl.String))


def _axis(metric: Metric, span: Span, study: str) -> dict[str, Any]:
    """The metric's axis, named by the study and not by the unit."""
    objective = objective_of(metric)
    settings = axis(objective, span)
    name = f"<b>{name_of(metric)}</b> in {escape(study, quote=False)}"
    settings["title"]["text"] = f"{name}, {direction_mark(objective)}"
    return settings


def _add_pairs(figure: go.Figure, pairs: pl.DataFrame, colours: Channel, symbols: Channel) -> None:
    for level, name in enumerate(colours.names):
        at = np.flatnonzero(colours.level == level)
        rows = pairs[at.tolist()]
        hue = colour(level) if colours.told else INK
        figure.add_scatter(
            x=rows["one"].to_numpy(),
            y=rows["other"].to_numpy(),
            mode="markers",
            name=legend_text(name),
            showlegend=False,
            marker={
                "color": hue,
                "symbol": [symbol(number) for number in symbols.level[at]],
                "size": rows["size"].to_numpy(),
                "line": {"width": 1, "color": "white"},
            },
            error_y={
                "type": "data",
                "symmetric": False,
                "array": (rows["top"] - rows["other"]).clip(0).to_numpy(),
                "arrayminus": (rows["other"] - rows["bottom"]).clip(0).to_numpy(),
                "color": faint(hue, 0.6),
                "thickness": 1,
                "width": 0,
            },
            hovertext=rows["hover"].to_list(),
            hoverinfo="text",
        )


def _add_legend(
    figure: go.Figure, names: Sequence[str], marks: Sequence[dict[str, str]], legend: str
) -> None:
    for name, mark in zip(names, marks, strict=True):
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=legend_text(name), legend=legend,
            marker={**mark, "size": 11},
        )  # fmt: skip
    # a click would hide the mark, not the points
    figure.update_layout({legend: {"itemclick": False, "itemdoubleclick": False}})
