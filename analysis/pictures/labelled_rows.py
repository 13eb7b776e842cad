"""Rows that each carry a label over their mark, so that long labels fit a narrow picture."""

from collections.abc import Sequence

import plotly.graph_objects as go

from analysis.pictures.style import INK, RIGHT, TEXT, frame, lines

ROW_HEIGHT = 36
LABEL_CHARACTERS = 44
"""What fits a row of a narrow picture beside its value."""
SIDE = 14


def rows_frame(
    figure: go.Figure, labels: Sequence[str], values: Sequence[str], title: str, note: str
) -> go.Figure:
    """Writes labels at the left and values at the right of rows 0, 1, .. from the top, and frames
    the figure. The figure's own marks stand at these heights."""
    told = list(figure.layout.annotations)
    for number, (label, value) in enumerate(zip(labels, values, strict=True)):
        short = label if len(label) <= LABEL_CHARACTERS else f"{label[: LABEL_CHARACTERS - 1]}…"
        for text, side, x in ((short, "left", 0), (value, "right", 1)):
            told.append(
                {
                    "text": lines(text, LABEL_CHARACTERS + 1), "x": x, "xref": "x domain",
                    "xanchor": side, "y": number - 0.16, "yref": "y", "yanchor": "bottom",
                    "showarrow": False, "borderpad": 0, "font": {"size": TEXT, "color": INK},
                    "bgcolor": "rgba(255,255,255,0.85)",
                }
            )  # fmt: skip
    # at once: plotly checks all that are there whenever one is added
    figure.update_layout(annotations=told)
    figure.update_yaxes(
        range=[len(labels) - 0.55, -0.75], visible=False, fixedrange=True, zeroline=False
    )
    framed = frame(figure, title, note, ROW_HEIGHT * (len(labels) + 0.2))
    return framed.update_layout(margin={"l": SIDE, "r": RIGHT + 4})
