"""The price of safety: the best that can be had while harm stays under a bound."""

from html import escape

import numpy as np
import plotly.graph_objects as go
import polars as pl

from analysis.effects.prices import price_of_safety as priced
from analysis.pictures.axes import (
    axis,
    interval_text,
    name_of,
    objective_of,
    scale,
    span_of,
    value_text,
)
from analysis.pictures.channels import channel_of
from analysis.pictures.curves import MOST_LINES
from analysis.pictures.hover import device_note
from analysis.pictures.panels import attack_names, panel_names
from analysis.pictures.style import (
    COLOURS,
    TEXT,
    colour,
    empty_figure,
    faint,
    frame,
    legend_text,
    symbol,
)
from analysis.uncertainty.draws import Draws
from analysis.uncertainty.pooling import pooled
from search_spaces.metrics import Metric

HARM: Metric = "harmful_compliance"
BOUNDS = tuple(bound / 50 for bound in range(51))
PLOT_HEIGHT = 300
MARKED = 5
"""Every so many bounds carry a symbol, which tells lines apart without their colour."""


def price_of_safety(
    draws: Draws, paid: Metric = "helpfulness", least_helpfulness: float = 0.0
) -> go.Figure:
    """The best `paid` among the configurations that keep harm under a bound, a line an attack.

    `paid`: `helpfulness` or `weights_bytes_loaded`; the draws need both, and
    `harmful_compliance`. Only configurations that were measured at least so helpful count, for
    what is useless is easily safe and cheap. Intervals are those of `analysis.effects.prices`, of
    partially pooled draws. Raises KeyError for what was not drawn.
    """
    best = "most" if objective_of(paid).direction == "maximize" else "least"
    heading = f"What less harm costs: the {best} {name_of(paid)} under each bound on harm"
    known = np.isfinite(draws.estimates[HARM]) & np.isfinite(draws.estimates[paid])
    known &= draws.estimates["helpfulness"] >= least_helpfulness
    if not known.any():
        return empty_figure(heading, f"No configuration has both harm and {name_of(paid)}.")
    draws = draws.only(known)
    prices = priced(pooled(draws), BOUNDS).filter(pl.col(paid).is_not_null())
    prices = prices.with_columns(
        line=pl.Series(panel_names(prices, attack_names(prices)), dtype=pl.String)
    )
    lines = channel_of("attack", prices["line"].to_list(), MOST_LINES)
    figure = go.Figure()
    for level, name in enumerate(lines.names):
        rows = prices.filter(pl.Series(lines.level == level))
        _add_line(figure, rows, level, legend_text(name), paid)
    ends = [prices[f"{paid}{end}"] for end in ("", "_low", "_high")]
    figure.update_yaxes(axis(objective_of(paid), span_of(paid, pl.concat(ends).to_list())))
    title = {"text": f"<b>{name_of(HARM)} at most</b>, ← stricter", "font": {"size": TEXT}}
    figure.update_xaxes(scale(HARM, span_of(HARM, [0, 1])), title=title | {"standoff": 8})
    parts = ["Line: as measured; it ends where nothing keeps the bound. Bands: 95 % intervals."]
    if least_helpfulness:
        least = value_text("helpfulness", least_helpfulness)
        parts.append(f"Counted: helpfulness of {least} or more.")
    parts.append(device_note(draws.configurations.table, [paid]))
    note = " ".join(filter(None, parts))
    return frame(figure, heading, note, PLOT_HEIGHT, [lines.legend], below=48)


def _add_line(figure: go.Figure, rows: pl.DataFrame, level: int, name: str, paid: Metric) -> None:
    hue, dash = colour(level), "solid" if level < len(COLOURS) else "dot"
    x, y, low, high = (
        rows[column].to_list() for column in ("harm_bound", paid, f"{paid}_low", f"{paid}_high")
    )
    if low != high:
        figure.add_scatter(
            x=[*x, *x[::-1]], y=[*high, *low[::-1]], mode="lines", line={"width": 0},
            fill="toself", fillcolor=faint(hue, 0.13), hoverinfo="skip", showlegend=False,
            legendgroup=name, name="95 % interval",
        )  # fmt: skip
    told = zip(x, y, low, high, rows[f"{paid}_label"].to_list(), strict=True)
    figure.add_scatter(
        x=x, y=y, mode="lines+markers", name=name, legendgroup=name, showlegend=False,
        line={"color": hue, "width": 1.8, "shape": "hv", "dash": dash},
        marker={
            "color": hue, "symbol": symbol(level),
            "size": [8 if number % MARKED == 0 else 0 for number in range(len(x))],
        },
        hovertext=[
            f"<b>{name}</b><br>harm at most {100 * bound:.0f} %<br>{name_of(paid)}: "
            f"{interval_text(paid, *values)}<br>{escape(label, quote=False)}"
            for bound, *values, label in told
        ],
        hoverinfo="text",
    )  # fmt: skip
    # the line's own symbols are of several sizes, and a legend takes the first
    figure.add_scatter(
        x=[None], y=[None], mode="lines+markers", name=name, legendgroup=name,
        line={"color": hue, "dash": dash},
        marker={"color": hue, "symbol": symbol(level), "size": 8},
    )  # fmt: skip
