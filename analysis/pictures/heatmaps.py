"""One metric over bits and attacks, a heat map for each safety dose, values printed."""

import numpy as np
import plotly.graph_objects as go

from analysis.configurations import Floats
from analysis.draws import Draws
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
    TEXT,
    VALUES,
    empty_figure,
    lines,
)
from search_spaces.metrics import RATES, UNITS, Metric

ROW_HEIGHT = 24
LOWEST = 60
"""Height of a panel, px: plotly places nothing below twice the plot's height."""
LABEL_CHARACTERS = 13
"""What the left margin and a column of a narrow picture hold in a line."""
CHARACTER = 6.6
"""Width of a character, px, at most on average."""
NOT_MEASURED = "×"


def heatmaps(draws: Draws, metric: Metric) -> go.Figure:
    """Compressions down, attacks across, a panel a safety dose; what was not measured is blank.

    Raises KeyError for a metric that was not drawn.
    """
    table, values = draws.configurations.table, draws.estimates[metric]
    heading = f"{name_of(metric).capitalize()} by compression and attack"
    if not np.isfinite(values).any():
        return empty_figure(heading, f"No configuration has a value of {name_of(metric)}.")
    names = np.array(panel_names(table, [f"{dose} safety examples" for dose in dose_names(table)]))
    chosen, left_out = first_panels(names.tolist())
    down = compression_names(table)
    across = attack_names(table)
    rows, columns = list(dict.fromkeys(down)), list(dict.fromkeys(across))
    row_texts = [lines(name, LABEL_CHARACTERS) for name in rows]
    column_texts = [lines(name, LABEL_CHARACTERS) for name in columns]
    tallest = max(text.count("<br>") + 1 for text in row_texts)
    panels = make_panels(chosen, max(LOWEST, len(rows) * max(ROW_HEIGHT, 14 * tallest + 4)))
    hover, (unit, factor) = metric_hover(draws, metric), _unit(metric, values)
    for number, name in enumerate(chosen):
        grid = np.full((len(rows), len(columns)), np.nan)
        told = np.full(grid.shape, "", dtype=object)
        for index in np.flatnonzero(names == name):
            at = rows.index(down[index]), columns.index(across[index])
            # settings that no axis shows may tell two apart: the first stands
            if np.isnan(grid[at]):
                grid[at], told[at] = values[index], hover[index]
        _add_panel(panels.figure, grid * factor, told, panels.place(number))
    panels.figure.update_xaxes(
        tickvals=list(range(len(columns))), ticktext=column_texts, autotickangles=[0, -90],
        showgrid=False, zeroline=False, range=[-0.5, len(columns) - 0.5],
        tickfont={"size": TEXT},
    )  # fmt: skip
    panels.figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=row_texts, showgrid=False, zeroline=False,
        range=[len(rows) - 0.5, -0.5], tickfont={"size": TEXT},
    )  # fmt: skip
    ticks: float = 20 + LINE * max(text.count("<br>") + 1 for text in column_texts)
    upright = max(len(part) for text in column_texts for part in text.split("<br>"))
    ticks = max(ticks, 10 + CHARACTER * upright)
    note = "Means over seeds." if (table["cells"] > 1).any() else ""
    if not np.isfinite(values).all() or len(table) < len(chosen) * len(rows) * len(columns):
        note += f" {NOT_MEASURED}: not measured."
    below = ticks + 64
    _add_colours(panels.figure, metric, unit, values * factor, -(ticks + 4) / panels.plot_height)
    figure = panels.framed(
        heading, f"{note} {device_note(table, [metric])} {left_out}".strip(), ("", ""), below=below
    )
    longest = max(len(part) for text in row_texts for part in text.split("<br>"))
    return figure.update_layout(margin={"l": 14 + CHARACTER * longest})


def _add_panel(figure: go.Figure, grid: Floats, hover: object, place: dict[str, int]) -> None:
    figure.add_heatmap(
        z=grid, text=[[_printed(value) for value in row] for row in grid],
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


def _printed(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"


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
