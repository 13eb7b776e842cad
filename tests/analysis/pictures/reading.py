"""What a reader finds on a figure."""

import re
from typing import Any

import plotly.graph_objects as go


def texts(figure: go.Figure) -> str:
    """Everything that stands on it: title, axes, notes over panels; without markup."""
    layout = figure.layout
    found = [layout.title.text or ""]
    found += [axis.title.text or "" for axis in (*figure.select_xaxes(), *figure.select_yaxes())]
    found += [note.text for note in layout.annotations]
    if layout.coloraxis.colorbar.title.text:
        found.append(layout.coloraxis.colorbar.title.text)
    return re.sub(r"<[^>]*>", " ", " | ".join(found))


def told(figure: go.Figure) -> list[str]:
    """The hover text of every point that is drawn."""
    return [text for trace in points(figure) for text in trace.hovertext]


def points(figure: go.Figure) -> list[Any]:
    """The traces whose points tell something."""
    return [
        trace
        for trace in figure.data
        if trace.type == "scatter" and isinstance(trace.hovertext, (tuple, list))
    ]


def title_lines(figure: go.Figure) -> list[str]:
    """The lines over the plot."""
    return [re.sub(r"<[^>]*>", "", line) for line in figure.layout.title.text.split("<br>")]
