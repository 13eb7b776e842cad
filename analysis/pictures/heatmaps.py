"""One metric over bits and attacks, a heat map for each safety dose, values printed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from analysis.pictures.axes import PREFIXES, direction_mark, is_bytes, name_of, objective_of
from analysis.pictures.hover import device_note, metric_hover
from analysis.pictures.panels import (
    attack_names,
    compression_names,
    dose_names,
    first_panels,
    make_panels,
    panel_names,
)
from analysis.pictures.style import (
    FADED,
    LINE,
    RIGHT,
    TEXT,
    VALUES,
    empty_figure,
    lines,
)
from analysis.records.configurations import Floats
from analysis.uncertainty.draws import Draws
from search_spaces.metrics import RATES, UNITS, Metric

ROW_HEIGHT = 24
LOWEST = 60
"""Height of a panel, px: plotly places nothing below twice the plot's height."""
LABEL_CHARACTERS = 14
"""What the left margin and a column of a narrow picture hold in a line."""
CHARACTER = 6.6
"""Width of a character, px, at most on average."""
LEAST_COLUMN = 22
"""Width that `100` needs, px."""
NOT_MEASURED = "×"


@dataclass(frozen=True)
class _Grids:
    """The metric laid out: a panel a safety dose, compressions down, attacks across."""

    panels: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: Floats
    """(panels, rows, columns); nan where nothing was measured."""
    told: NDArray[np.object_]
    """Hover texts: as the values."""
    hidden: int
    """Measured configurations that no axis tells from another, which has their place."""


def heatmaps(draws: Draws, metric: Metric) -> go.Figure:
    """Compressions down, attacks across, a panel a safety dose; what was not measured is blank.

    Raises KeyError for a metric that was not drawn.
    """
    table, values = draws.configurations.table, draws.estimates[metric]
    heading = f"{name_of(metric).capitalize()} by compression and attack"
    if not np.isfinite(values).any():
        return empty_figure(heading, f"No configuration has a value of {name_of(metric)}.")
    grids, left_out = _laid_out(draws, metric)
    rows, columns = (
        [lines(name, LABEL_CHARACTERS) for name in names] for names in (grids.rows, grids.columns)
    )
    row_height = max(ROW_HEIGHT, 14 * max(map(_line_count, rows)) + 4)
    panels = make_panels(grids.panels, max(LOWEST, len(rows) * row_height))
    unit, factor = _unit(metric, values)
    for number, (grid, told) in enumerate(zip(grids.values, grids.told, strict=True)):
        _add_panel(panels.figure, unit, grid * factor, told, panels.place(number))
    panels.figure.update_xaxes(_category_axis(columns), autotickangles=[0, -90])
    panels.figure.update_yaxes(_category_axis(rows) | {"range": [len(rows) - 0.5, -0.5]})
    # texts of a narrow picture stand upright
    ticks = max(20 + LINE * max(map(_line_count, columns)), 10 + CHARACTER * _longest(columns))
    _add_colours(panels.figure, metric, unit, values * factor, -(ticks + 4) / panels.plot_height)
    notes = [
        "Means over seeds." if (table["cells"] > 1).any() else "",
        f"{NOT_MEASURED}: not measured." if np.isnan(grids.values).any() else "",
        f"{grids.hidden} that differ in other settings only are not shown." if grids.hidden else "",
        device_note(table, [metric]),
        left_out,
    ]
    figure = panels.framed(heading, " ".join(filter(None, notes)), ("", ""), below=ticks + 64)
    left = 14 + CHARACTER * _longest(rows)
    least = left + RIGHT + panels.columns * len(columns) * LEAST_COLUMN
    return figure.update_layout(margin={"l": left}, meta={"least_width": round(least)})


def _laid_out(draws: Draws, metric: Metric) -> tuple[_Grids, str]:
    """The grids, and a note of panels that are left out."""
    table, values = draws.configurations.table, draws.estimates[metric]
    doses = [f"{dose} safety examples" for dose in dose_names(table)]
    names = panel_names(table, doses)
    panels, left_out = first_panels(names)
    down, across = compression_names(table), attack_names(table)
    keys = panels, list(dict.fromkeys(down)), list(dict.fromkeys(across))
    grid = np.full([len(key) for key in keys], np.nan)
    told = np.full(grid.shape, "", dtype=object)
    hover, hidden = metric_hover(draws, metric), 0
    for index, place in enumerate(zip(names, down, across, strict=True)):
        if place[0] not in panels or np.isnan(values[index]):
            continue
        at = tuple(key.index(name) for key, name in zip(keys, place, strict=True))
        if np.isnan(grid[at]):
            grid[at], told[at] = values[index], hover[index]
        else:
            hidden += 1
    panel, row, column = map(tuple, keys)
    return _Grids(panel, row, column, grid, told, hidden), left_out


def _category_axis(names: Sequence[str]) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(names))), "ticktext": names, "tickfont": {"size": TEXT},
        "showgrid": False, "zeroline": False, "range": [-0.5, len(names) - 0.5],
    }  # fmt: skip


def _line_count(text: str) -> int:
    return text.count("<br>") + 1


def _longest(texts: Sequence[str]) -> int:
    return max(len(part) for text in texts for part in text.split("<br>"))


def _add_panel(
    figure: go.Figure, unit: str, grid: Floats, hover: object, place: dict[str, int]
) -> None:
    figure.add_heatmap(
        z=grid, text=[[_printed(value, unit) for value in row] for row in grid],
        texttemplate="%{text}", textfont={"size": TEXT}, hovertext=hover, hoverinfo="text",
        coloraxis="coloraxis", xgap=1, ygap=1, hoverongaps=False, **place,
    )  # fmt: skip
    blank = np.argwhere(np.isnan(grid))
    if len(blank):
        figure.add_scatter(
            x=blank[:, 1], y=blank[:, 0], mode="text", text=[NOT_MEASURED] * len(blank),
            textfont={"color": FADED, "size": TEXT}, hovertext="not measured", hoverinfo="text",
            showlegend=False, **place,
        )  # fmt: skip


def _printed(value: float, unit: str) -> str:
    """In as few characters as a narrow column holds."""
    if np.isnan(value):
        return ""
    return f"{value:.0f}" if unit == "%" or abs(value) >= 10 else f"{value:.2g}"


def _unit(metric: Metric, values: Floats) -> tuple[str, float]:
    """The unit that a narrow column can be printed in, and how many of it are one."""
    largest = float(np.nanmax(np.abs(values)))
    if metric in RATES and largest <= 1:
        return "%", 100.0
    if is_bytes(metric):
        name, size = next((p for p in PREFIXES if largest >= p[1]), PREFIXES[-1])
        return name, 1 / size
    return "" if metric in RATES else UNITS[metric], 1.0


def _add_colours(figure: go.Figure, metric: Metric, unit: str, values: Floats, y: float) -> None:
    """The colour bar, below; shares are always coloured from 0 to 100 %."""
    ends = (0, 100) if unit == "%" else (float(np.nanmin(values)), float(np.nanmax(values)))
    title = f"<b>{name_of(metric)}</b>{', ' if unit else ''}{unit}"
    better = direction_mark(objective_of(metric))
    figure.update_layout(
        coloraxis={
            "colorscale": VALUES, "cmin": ends[0], "cmax": ends[1],
            "colorbar": {
                "orientation": "h", "thickness": 10, "len": 1, "x": 0.5, "y": y, "yanchor": "top",
                "title": {"text": f"{title}, {better}", "side": "top", "font": {"size": TEXT}},
                "tickfont": {"size": TEXT}, "outlinewidth": 0, "nticks": 6,
            },
        },
    )  # fmt: skip
