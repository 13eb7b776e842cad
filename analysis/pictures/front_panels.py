"""The front of three or more objectives in small multiples: a panel a compression.

A cloud in three dimensions cannot be read from paper, and hides its depth on a screen. What a
compression costs hardly differs within it, so its panel's title tells the third objective.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from analysis.fronts.uncertain import UncertainFront
from analysis.pictures.axes import name_of, scale, short_axis_text, span_of, value_text
from analysis.pictures.channels import attack_channel, dose_sizes
from analysis.pictures.hover import device_note, front_hover
from analysis.pictures.panels import compression_names, first_panels, make_panels, panel_names
from analysis.pictures.style import (
    FADED,
    colour,
    empty_figure,
    legend_text,
    symbol,
)
from search_spaces.metrics import Metric

PANEL_HEIGHT = 190
ROOM = 0.1
"""Share of a small panel's axis that its largest marks need at the ends."""


def front_panels(front: UncertainFront) -> go.Figure:
    """The first two objectives in a panel for each compression, its further objectives in words.

    Full marks are what no other configuration, of any panel, dominates on all objectives. Needs
    two objectives or more.
    """
    first, second, *further = front.objectives
    heading = f"The front on {len(front.objectives)} objectives, a panel a compression"
    if front.table.is_empty():
        reason = "No configuration has a value for every objective, so there is no front."
        return empty_figure(heading, reason)
    own = compression_names(front.table)
    names = np.array(panel_names(front.table, own))
    chosen, left_out = first_panels(names.tolist())
    titles = [_title(front, names == name, name, [o.metric for o in further]) for name in chosen]
    panels = make_panels(titles, PANEL_HEIGHT)
    attacks = attack_channel(front.table)
    for number, name in enumerate(chosen):
        _add_points(panels.figure, front, names == name, panels.place(number))
    if attacks.told:
        for level, name in enumerate(attacks.names):
            panels.figure.add_scatter(
                x=[None], y=[None], mode="markers", name=legend_text(name), legendgroup=name,
                marker={"color": colour(level), "symbol": symbol(level), "size": 10},
                **panels.place(0),
            )  # fmt: skip
    for objective, update in (
        (first, panels.figure.update_xaxes),
        (second, panels.figure.update_yaxes),
    ):
        metric = objective.metric
        update(scale(metric, span_of(metric, front.table[metric].to_list(), ROOM)) | {"nticks": 4})
    kept = int(front.table["on_front"].sum())
    counted = ", ".join(name_of(objective.metric) for objective in front.objectives)
    title = f"{kept} of {len(front.table)} configurations on the front of {counted}"
    texts = short_axis_text(first), short_axis_text(second)
    return panels.framed(title, _note(front, left_out), texts, [attacks.legend], below=46)


def _note(front: UncertainFront, left_out: str) -> str:
    doses = front.table["safety_examples"].drop_nulls().n_unique()
    parts = [
        "Full marks: the front. Faint: dominated.",
        "Larger: more safety examples." if doses > 1 else "",
        left_out,
        device_note(front.table, [objective.metric for objective in front.objectives]),
    ]
    return " ".join(filter(None, parts))


def _title(
    front: UncertainFront, rows: NDArray[np.bool_], name: str, further: Sequence[Metric]
) -> str:
    """The panel's name and the range of each further objective in it: `nf4 dq: 97.9 kB`."""
    ranges = []
    for metric in further:
        values = front.table[metric].to_numpy()[rows]
        ends = [value_text(metric, end) for end in (values.min(), values.max())]
        ranges.append(" to ".join(dict.fromkeys(ends)))
    return f"{name}: {', '.join(ranges)}" if ranges else name


def _add_points(
    figure: go.Figure, front: UncertainFront, inside: NDArray[np.bool_], place: dict[str, int]
) -> None:
    table, attacks = front.table, attack_channel(front.table)
    x, y = (front.table[objective.metric].to_numpy() for objective in front.objectives[:2])
    on_front = table["on_front"].to_numpy()
    sizes, hover = dose_sizes(table), front_hover(front)
    for on in (False, True):
        for level, name in enumerate(attacks.names):
            rows = np.flatnonzero(inside & (on_front == on) & (attacks.level == level))
            if len(rows):
                figure.add_scatter(
                    x=x[rows],
                    y=y[rows],
                    mode="markers",
                    marker={
                        "color": colour(level) if attacks.told or on else FADED,
                        "symbol": symbol(level),
                        "size": sizes[rows],
                        "opacity": 1 if on else 0.3,
                        "line": {"width": 1, "color": "white"},
                    },
                    hovertext=[hover[row] for row in rows],
                    hoverinfo="text",
                    name="on the front" if on else "dominated",
                    legendgroup=name,
                    showlegend=False,
                    **place,
                )
