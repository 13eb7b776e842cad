"""The front of two objectives: what is not dominated, how surely, and where else it could lie."""

from itertools import combinations
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from analysis.fronts.uncertain import UncertainFront
from analysis.pictures.attainment_bands import add_bands
from analysis.pictures.axes import Span, axis, name_of, span_of
from analysis.pictures.channels import (
    Channel,
    attack_channel,
    compression_channel,
    dose_sizes,
)
from analysis.pictures.hover import device_note, front_hover
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
from search_spaces.metrics import Metric

BARS_SHOWN = 40
"""Dominated configurations above which only those on the front show their intervals."""
PLOT_HEIGHT = 330


def front_pairs(front: UncertainFront) -> dict[str, go.Figure]:
    """A picture of every pair of objectives, by name: `helpfulness-safety`."""
    metrics = [objective.metric for objective in front.objectives]
    return {f"{x}-{y}": front_pair(front, x, y) for x, y in combinations(metrics, 2)}


def front_pair(front: UncertainFront, x: Metric, y: Metric) -> go.Figure:
    """All configurations on two of the front's objectives, with 95 % intervals.

    Bands show where the front of these two objectives lies in 5 to 95 % of the draws. Highlighted
    is what no other configuration dominates on all the front's objectives. Raises KeyError for a
    metric that is no objective of the front.
    """
    by_metric = {objective.metric: objective for objective in front.objectives}
    pair = by_metric[x], by_metric[y]
    heading = f"{name_of(x).capitalize()} against {name_of(y)}"
    if front.table.is_empty():
        reason = "No configuration has a value for every objective, so there is no front."
        return empty_figure(heading, reason)
    spans = _span(front.table, x), _span(front.table, y)
    colours, symbols = compression_channel(front.table), attack_channel(front.table)
    figure = go.Figure()
    banded = add_bands(figure, front, pair, spans)
    _add_points(figure, front, (x, y), colours, symbols)
    _add_symbol_legend(figure, symbols, legend_name(1 if colours.told else 0))
    figure.update_xaxes(axis(pair[0], spans[0]))
    figure.update_yaxes(axis(pair[1], spans[1]))
    kept = int(front.table["on_front"].sum())
    title = f"{heading}: {kept} of {len(front.table)} configurations on the front"
    legends = [colours.legend, symbols.legend]
    return frame(figure, title, _note(front, (x, y), banded), PLOT_HEIGHT, legends)


def _span(table: pl.DataFrame, metric: Metric) -> Span:
    """Room for all points, and for the intervals of those that show them."""
    shown = table if _all_bars(table) else table.filter("on_front")
    ends = [shown[f"{metric}_{end}"] for end in ("low", "high")]
    return span_of(metric, pl.concat([table[metric], *ends]).to_list())


def _all_bars(table: pl.DataFrame) -> bool:
    return int((~table["on_front"]).sum()) <= BARS_SHOWN


def _note(front: UncertainFront, pair: tuple[Metric, Metric], banded: bool) -> str:
    parts = []
    noisy = [metric for metric in pair if front.draws.noise.get(metric, "nothing") != "nothing"]
    if noisy:
        whose = "" if _all_bars(front.table) else " of those on the front"
        parts.append(f"Bars: 95 % intervals{whose}.")
    else:
        parts.append("Nothing is known of the noise, so there are no intervals.")
    if banded:
        parts.append("Blue: where the front of these two alone lies (5, 50, 95 % of draws).")
    if len(front.objectives) > 2:
        others = [name_of(o.metric) for o in front.objectives if o.metric not in pair]
        parts.append(f"Faint: dominated, {' and '.join(others)} counted too.")
    else:
        parts.append("Faint: dominated.")
    doses = front.table["safety_examples"].drop_nulls().unique().sort().to_list()
    if len(doses) > 1:
        parts.append(f"Larger marks: more safety examples ({doses[0]} to {doses[-1]}).")
    parts.append(device_note(front.table, pair))
    return " ".join(filter(None, parts))


def _add_points(
    figure: go.Figure,
    front: UncertainFront,
    pair: tuple[Metric, Metric],
    colours: Channel,
    symbols: Channel,
) -> None:
    table = front.table
    on_front = table["on_front"].to_numpy()
    sizes, hover = dose_sizes(table), front_hover(front)
    for on in (False, True):
        for level, name in enumerate(colours.names):
            rows = np.flatnonzero((colours.level == level) & (on_front == on))
            if not len(rows):
                continue
            hue = colour(level) if colours.told else (INK if on else FADED)
            bars = {
                f"error_{side}": _bars(table, metric, rows, hue, on)
                for side, metric in zip("xy", pair, strict=True)
                if on or _all_bars(table)
            }
            figure.add_scatter(
                x=table[pair[0]].to_numpy()[rows],
                y=table[pair[1]].to_numpy()[rows],
                mode="markers",
                name="on the front" if on else "dominated",
                marker={
                    "color": hue,
                    "symbol": [symbol(number) for number in symbols.level[rows]],
                    "size": sizes[rows],
                    "opacity": 1 if on else 0.3,
                    "line": {"width": 1, "color": "white"},
                },
                hovertext=[hover[row] for row in rows],
                hoverinfo="text",
                legendgroup=name,
                showlegend=False,
                **bars,
            )
    if colours.told:
        for level, name in enumerate(colours.names):
            # a square of its own: the points' symbols tell the attack
            figure.add_scatter(
                x=[None],
                y=[None],
                mode="markers",
                name=legend_text(name),
                legendgroup=name,
                marker={"color": colour(level), "symbol": "square", "size": 11},
            )


def _bars(table: pl.DataFrame, metric: Metric, rows: Any, hue: str, on: bool) -> dict[str, Any]:
    value, low, high = (
        table[name].to_numpy()[rows] for name in (metric, f"{metric}_low", f"{metric}_high")
    )
    return {
        "type": "data",
        "symmetric": False,
        # what was measured may lie outside of the interval
        "array": np.maximum(high - value, 0),
        "arrayminus": np.maximum(value - low, 0),
        "color": faint(hue, 0.8 if on else 0.2),
        "thickness": 1.2 if on else 0.8,
        "width": 0,
    }


def _add_symbol_legend(figure: go.Figure, symbols: Channel, legend: str) -> None:
    if not symbols.told:
        return
    for level, name in enumerate(symbols.names):
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=legend_text(name),
            legend=legend,
            marker={"color": FADED, "symbol": symbol(level), "size": 10},
        )
    # a symbol is shared by traces of all colours: a click could not hide it
    figure.update_layout({legend: {"itemclick": False, "itemdoubleclick": False}})
