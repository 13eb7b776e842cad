"""How every picture looks: fonts, colours, symbols, and the frame of title and legends.

All lengths are pixels, of which 96 make an inch in print: 12 px are 9 pt. A picture has a height of
its own and takes the width that it is given, from 326 px (a column of 3.4 in) up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

import plotly.graph_objects as go

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
TEXT = 12
HEADING = 15
LINE = 17
"""Height of a line of text."""
LEGEND_LINE = 20
TITLE_CHARACTERS = 41
NOTE_CHARACTERS = 57
"""What fits a column."""
LEGEND_CHARACTERS = 17
"""What fits half of a picture of 400 px."""
LEFT, RIGHT, AXIS = 78, 16, 62
"""Margins at the sides, and below the plot for ticks and the axis' title."""

INK, FADED, GRID = "#222222", "#8a8a8a", "#e6e6e6"
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's, dark to light so that greyscale keeps their order, without the yellow, which is
too faint on white."""
SYMBOLS = (
    "circle", "square", "diamond", "triangle-up", "x", "star", "triangle-down", "cross", "pentagon",
    "hexagram",
)  # fmt: skip
VALUES = "Cividis"
"""The colour scale of values: even for colour-blind readers and in greyscale."""


@dataclass(frozen=True)
class Legend:
    """A list below the plot: what a colour, a symbol or a line means."""

    title: str
    names: Sequence[str]


def lines(text: str, characters: int) -> str:
    """The text in lines of at most so many characters, safe as a picture's text."""
    return "<br>".join(escape(line, quote=False) for line in wrap(text, characters)) or ""


def frame(
    figure: go.Figure,
    title: str,
    note: str,
    plot_height: float,
    legends: Sequence[Legend] = (),
    below: float = AXIS,
    headroom: float = 0,
) -> go.Figure:
    """Gives a figure its title, a note under it, and up to two legends side by side below.

    `below`: what the plot's own axis takes under it; `headroom`: what stands over it. Lengths are
    fixed, so that nothing overlaps at any width.
    """
    heading, small = lines(title, TITLE_CHARACTERS), lines(note, NOTE_CHARACTERS)
    top = 10 + (HEADING + 5) * _count(heading) + LINE * _count(small) + 12 + headroom
    shown = [legend for legend in legends if legend.names]
    bottom = below + (max(map(_legend_height, shown)) + 8 if shown else 6)
    height = top + plot_height + bottom
    text = f"<b>{heading}</b>"
    if small:
        text += f"<br><span style='font-size:{TEXT}px'>{small}</span>"
    figure.update_layout(
        template="none",
        font={"family": FONT, "size": TEXT, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        height=height,
        margin={"l": LEFT, "r": RIGHT, "t": top, "b": bottom, "pad": 0},
        title={
            "text": text,
            "font": {"size": HEADING, "color": INK},
            # with this anchor, `y` is the base of the first line
            "x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 10},
            "y": 1 - (10 + HEADING) / height, "yref": "container", "yanchor": "bottom",
        },
        hoverlabel={"font": {"family": FONT, "size": TEXT}, "align": "left"},
        showlegend=bool(shown),
    )  # fmt: skip
    for number, legend in enumerate(shown):
        name = legend_name(number)
        figure.update_layout(
            {
                name: {
                    "title": {"text": f"<b>{escape(legend.title)}</b>", "font": {"size": TEXT}},
                    "x": 0.5 * number, "xanchor": "left",
                    "y": -below / plot_height, "yanchor": "top",
                    "font": {"size": TEXT}, "tracegroupgap": 0, "bgcolor": "rgba(0,0,0,0)",
                }
            }
        )  # fmt: skip
    return figure


def legend_name(number: int) -> str:
    """Plotly's name of a figure's first, second, .. legend."""
    return "legend" if number == 0 else f"legend{number + 1}"


def legend_text(name: str) -> str:
    """A legend's entry, in lines that half of a narrow picture holds."""
    return lines(name, LEGEND_CHARACTERS)


def empty_figure(title: str, reason: str) -> go.Figure:
    """A picture of nothing, which says why."""
    figure = go.Figure()
    figure.add_annotation(
        text=lines(reason, 44), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False,
        font={"size": TEXT + 1, "color": INK},
    )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return frame(figure, title, "", 140, below=0).update_layout(margin={"l": RIGHT})


def colour(number: int) -> str:
    """The colour of the first, second, .. category; after the last it begins anew."""
    return COLOURS[number % len(COLOURS)]


def symbol(number: int) -> str:
    """The marker of the first, second, .. category; after the last it begins anew."""
    return SYMBOLS[number % len(SYMBOLS)]


def faint(hue: str, opacity: float) -> str:
    """A colour of `#rrggbb` that lets through what is behind it."""
    red, green, blue = (int(hue[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def _count(text: str) -> int:
    return text.count("<br>") + 1 if text else 0


def _legend_height(legend: Legend) -> float:
    rows = sum(1 + (_count(legend_text(name)) - 1) * 0.8 for name in legend.names)
    return (1 + rows) * LEGEND_LINE
