"""Where the front of two objectives lies in most draws, as a band behind the points."""

import numpy as np
import plotly.graph_objects as go
import polars as pl

from analysis.fronts.uncertain import UncertainFront, attainment
from analysis.pictures.axes import Span
from analysis.pictures.style import faint
from analysis.records.configurations import Floats
from search_spaces.space import Objective

BAND = "#56B4E9"


def add_bands(
    figure: go.Figure,
    front: UncertainFront,
    pair: tuple[Objective, Objective],
    spans: tuple[Span, Span],
) -> bool:
    """The 5 to 95 % band and the median staircase; False where nothing varies."""
    noise = front.draws.noise
    if all(noise.get(objective.metric, "nothing") == "nothing" for objective in pair):
        return False
    found = attainment(front.draws, pair)
    stairs = {
        level: _staircase(found.filter(pl.col("level") == level), pair, spans)
        for level in (5, 50, 95)
    }
    band = np.concatenate([stairs[5], stairs[95][::-1]])
    figure.add_scatter(
        x=band[:, 0], y=band[:, 1], mode="lines", fill="toself", fillcolor=faint(BAND, 0.25),
        line={"width": 0}, hoverinfo="skip", showlegend=False, name="5 to 95 % of fronts",
    )  # fmt: skip
    figure.add_scatter(
        x=stairs[50][:, 0], y=stairs[50][:, 1], mode="lines", hoverinfo="skip", showlegend=False,
        line={"width": 1.5, "color": BAND, "dash": "dot"}, name="half of the fronts",
    )  # fmt: skip
    return True


def _staircase(
    corners: pl.DataFrame, pair: tuple[Objective, Objective], spans: tuple[Span, Span]
) -> Floats:
    """The outline of what is attained, from edge to edge of the plot: (points, 2)."""
    worst = [
        span.low if objective.direction == "maximize" else span.high
        for objective, span in zip(pair, spans, strict=True)
    ]
    points = corners.select(*(objective.metric for objective in pair)).to_numpy()
    points = np.clip(points, [span.low for span in spans], [span.high for span in spans])
    if not len(points):
        return np.array([worst])
    # from the best x to the worst, y gets better
    if pair[0].direction == "maximize":
        points = points[::-1]
    outline = [(points[0, 0], worst[1])]
    for (x, y), following in zip(points, [*points[1:, 0], worst[0]], strict=True):
        outline += [(x, y), (following, y)]
    return np.array(outline)
