"""Lines with bands over a dose, in panels."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from analysis.pictures.axes import Span, name_of, objective_of, scale, short_axis_text, span_of
from analysis.pictures.channels import Channel, Whole
from analysis.pictures.dose_axis import DoseAxis, dose_axis
from analysis.pictures.hover import metric_hover
from analysis.pictures.panels import Panels, first_panels, make_panels
from analysis.pictures.style import COLOURS, colour, empty_figure, faint, legend_text, symbol
from analysis.uncertainty.draws import Draws
from search_spaces.metrics import RATES, Metric

PANEL_HEIGHT = 170
MOST_LINES = 2 * len(COLOURS)
"""Lines that colours, symbols and dashes tell apart; more become `others`."""
BELOW = 46
"""Ticks and a title in one line, px."""


@dataclass(frozen=True)
class Curves:
    """Points on lines in panels. A configuration may be a point of several lines."""

    row: Whole
    """The point's configuration."""
    dose: Whole
    line: Channel
    panel: tuple[str, ...]


def curves_figure(
    draws: Draws, metric: Metric, curves: Curves, title: str, across: str
) -> go.Figure:
    """A panel each, with the metric up and the dose across; what was not measured is left out."""
    measured = np.isfinite(draws.estimates[metric])[curves.row]
    if not measured.any():
        return empty_figure(
            title, f"No configuration has both a dose and a value of {name_of(metric)}."
        )
    panel = np.array(curves.panel)
    chosen, left_out = first_panels(panel[measured].tolist())
    panels = make_panels(chosen, PANEL_HEIGHT)
    axis = dose_axis(curves.dose[measured].tolist())
    hover = metric_hover(draws, metric)
    for number, name in enumerate(chosen):
        for level in range(len(curves.line.names)):
            points = np.flatnonzero(measured & (panel == name) & (curves.line.level == level))
            if len(points):
                _add_curve(panels, number, draws, metric, curves, points, axis, hover)
    _add_legend(panels, curves.line)
    panels.figure.update_yaxes(scale(metric, _span(draws, metric)))
    panels.figure.update_xaxes(axis.settings)
    noisy = draws.noise.get(metric, "nothing") != "nothing"
    note = "Bands: 95 % intervals." if noisy else "Nothing is known of the noise: no bands."
    if curves.line.told:
        note = f"A line for each {curves.line.title}. {note}"
    texts = axis.title(across), short_axis_text(objective_of(metric))
    return panels.framed(
        title, f"{note} {left_out}".strip(), texts, [curves.line.legend], below=BELOW
    )


def _add_curve(
    panels: Panels, number: int, draws: Draws, metric: Metric, curves: Curves, points: Whole,
    axis: DoseAxis, hover: list[str],
) -> None:  # fmt: skip
    points = points[np.argsort(curves.dose[points], kind="stable")]
    rows, level = curves.row[points], int(curves.line.level[points[0]])
    name, hue = legend_text(curves.line.names[level]), colour(level)
    x = [axis.place(dose) for dose in curves.dose[points].tolist()]
    low, high = (ends[rows] for ends in draws.interval(metric))
    place = panels.place(number)
    if (high > low).any():
        panels.figure.add_scatter(
            x=[*x, *x[::-1]], y=[*high, *low[::-1]], mode="lines", line={"width": 0},
            fill="toself", fillcolor=faint(hue, 0.13), hoverinfo="skip", showlegend=False,
            legendgroup=name, name="95 % interval", **place,
        )  # fmt: skip
    panels.figure.add_scatter(
        x=x, y=draws.estimates[metric][rows], mode="lines+markers", name=name, legendgroup=name,
        line={"color": hue, "width": 1.6, "dash": "solid" if level < len(COLOURS) else "dot"},
        marker={"color": hue, "symbol": symbol(level), "size": 7},
        hovertext=[hover[row] for row in rows], hoverinfo="text", showlegend=False, **place,
    )  # fmt: skip


def _add_legend(panels: Panels, line: Channel) -> None:
    for level, name in enumerate(line.names if line.told else ()):
        panels.figure.add_scatter(
            x=[None], y=[None], mode="lines+markers", name=legend_text(name),
            legendgroup=legend_text(name),
            line={"color": colour(level), "dash": "solid" if level < len(COLOURS) else "dot"},
            marker={"color": colour(level), "symbol": symbol(level), "size": 7},
            **panels.place(0),
        )  # fmt: skip


def _span(draws: Draws, metric: Metric) -> Span:
    """All of 0 to 100 % for shares, so that panels and pictures can be compared."""
    ends = np.concatenate([draws.estimates[metric], *draws.interval(metric)])
    if metric in RATES and np.nanmax(ends) <= 1:
        return span_of(metric, [0, 1])
    return span_of(metric, ends.tolist())
