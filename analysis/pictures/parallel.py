"""Parallel coordinates: every configuration a line over factors and metrics, to brush."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from analysis.fronts.uncertain import UncertainFront
from analysis.pictures.axes import PREFIXES, is_bytes, name_of
from analysis.pictures.panels import attack_names, compression_names, dose_names
from analysis.pictures.style import FONT, INK, TEXT, empty_figure, frame
from search_spaces.metrics import RATES, UNITS, Metric

PLOT_HEIGHT = 380
AXIS_WIDTH = 88
"""What an axis needs, with the texts of its ticks, px."""
MOST_TICKS = 20
TICK_CHARACTERS = 15
COLOURS = [[0, "#c9ccd3"], [0.5, "#7b8fb7"], [1, "#00204d"]]
"""Unlikely on the front to likely: the blue of cividis, which fades where nothing is to see."""


def parallel_coordinates(front: UncertainFront) -> go.Figure:
    """Factors, then objectives, then P(non-dominated), which the lines' colour tells as well.

    Drag along an axis to choose, drag its name to move it. `layout.meta["least_width"]` tells
    how wide it must be for its texts: a page that is narrower has to let readers scroll.
    """
    heading = "All configurations over factors and objectives"
    if front.table.is_empty():
        reason = "No configuration has a value for every objective, so there is no front."
        return empty_figure(heading, reason)
    dimensions = [
        *_factors(front.table),
        *(_metric(front.table, objective.metric) for objective in front.objectives),
        {
            "label": "P(non-<br>dominated)", "values": front.table["probability"].to_list(),
            "range": [0, 1], "tickformat": ".1f",
        },
    ]  # fmt: skip
    figure = go.Figure()
    figure.add_parcoords(
        dimensions=dimensions,
        line={
            "color": front.table["probability"].to_list(), "colorscale": COLOURS,
            "cmin": 0, "cmax": 1,
        },
        labelfont={"size": TEXT, "color": INK, "family": FONT},
        tickfont={"size": TEXT, "color": INK, "family": FONT},
        rangefont={"size": 1, "color": "rgba(0,0,0,0)"},
        unselected={"line": {"color": "#d9d9d9", "opacity": 0.15}},
    )  # fmt: skip
    note = "Darker: more surely on the front. Drag along an axis to choose; click it to undo."
    framed = frame(figure, heading, note, PLOT_HEIGHT, below=4, headroom=38)
    return framed.update_layout(
        margin={"l": 46, "r": 62}, meta={"least_width": AXIS_WIDTH * len(dimensions)}
    )


def _factors(table: pl.DataFrame) -> list[dict[str, Any]]:
    """An axis a factor that varies, its levels as evenly spaced ticks."""
    named = {
        "safety<br>examples": dose_names(table),
        "attack": attack_names(table),
        "compression": compression_names(table),
        "device": table["device"].fill_null("?").to_list(),
    }
    return [_levels(label, names) for label, names in named.items() if len(set(names)) > 1]


def _levels(label: str, names: Sequence[str]) -> dict[str, Any]:
    levels = list(dict.fromkeys(names))
    position = {name: number for number, name in enumerate(levels)}
    shown = levels[:: -(-len(levels) // MOST_TICKS)]
    return {
        "label": label,
        "values": [position[name] for name in names],
        "tickvals": [position[name] for name in shown],
        "ticktext": [_shortened(name) for name in shown],
        "range": [-0.3, len(levels) - 0.7],
    }


def _metric(table: pl.DataFrame, metric: Metric) -> dict[str, Any]:
    values = table[metric].to_numpy().astype(float)
    unit = UNITS[metric]
    if metric in RATES:
        unit = ""
        if values.max() <= 1:
            values, unit = values * 100, "%"
    elif is_bytes(metric):
        unit, size = next((p for p in PREFIXES if np.abs(values).max() >= p[1]), PREFIXES[-1])
        values = values / size
    low, high = float(values.min()), float(values.max())
    room = 0.05 * abs(high) or 1.0 if low == high else 0.0
    name = name_of(metric).replace(" ", "<br>", 1)
    ends = [low - room, high + room]
    if unit == "%":
        ends = [max(ends[0], 0.0), min(ends[1], 100.0)]
    return {
        "label": f"{name}{', ' if unit else ''}{unit}",
        "values": values.tolist(),
        "range": ends,
    }


def _shortened(name: str) -> str:
    return name if len(name) <= TICK_CHARACTERS else f"{name[: TICK_CHARACTERS - 1]}…"
