"""How surely each configuration is on the front: the likeliest first."""

import plotly.graph_objects as go
import polars as pl

from analysis.fronts.uncertain import UncertainFront
from analysis.pictures.axes import LINES
from analysis.pictures.hover import device_note, front_hover
from analysis.pictures.labelled_rows import rows_frame
from analysis.pictures.style import COLOURS, FADED, GRID, TEXT, empty_figure

TOP = 30


def probability_ranking(front: UncertainFront, top: int = TOP) -> go.Figure:
    """P(non-dominated) of the `top` likeliest configurations; a note says how many are left out."""
    heading = "How surely each configuration is on the front"
    if front.table.is_empty():
        reason = "No configuration has a value for every objective, so there is no front."
        return empty_figure(heading, reason)
    table = front.table.with_columns(hover=pl.Series(front_hover(front)))
    table = table.sort("probability", "on_front", descending=True, maintain_order=True)
    shown = table.head(top)
    figure = go.Figure()
    figure.add_bar(
        x=[1.0] * len(shown), y=list(range(len(shown))), orientation="h", width=0.22,
        marker={"color": GRID}, hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    for on, hue in ((True, COLOURS[1]), (False, FADED)):
        part = shown.with_row_index("at").filter(pl.col("on_front") == on)
        if not part.is_empty():
            _add_marks(figure, part, hue, hue if on else "white")
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(
        LINES | {"range": [0, 1.02], "tickformat": ".1f", "showgrid": False},
        title={"text": "<b>P(non-dominated)</b>, better →<br>share of draws in which nothing "
               "dominates it", "font": {"size": TEXT}, "standoff": 8},
    )  # fmt: skip
    left = len(table) - len(shown)
    note = "Blue: on the front as measured. Open: not on it."
    if left:
        most = table["probability"].to_list()[len(shown)]
        note += f" {left} more, of at most {most:.2f}, are left out."
    where = device_note(front.table, [objective.metric for objective in front.objectives])
    note = f"{note} {where}".strip()
    values = [f"{value:.2f}" for value in shown["probability"]]
    return rows_frame(figure, shown["label"].to_list(), values, heading, note)


def _add_marks(figure: go.Figure, rows: pl.DataFrame, hue: str, fill: str) -> None:
    x, y = rows["probability"].to_list(), rows["at"].to_list()
    figure.add_bar(
        x=x, y=y, orientation="h", width=0.22, marker={"color": hue}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=y, mode="markers", showlegend=False,
        marker={"color": fill, "size": 10, "line": {"color": hue, "width": 2}},
        hovertext=rows["hover"].to_list(), hoverinfo="text",
    )  # fmt: skip
