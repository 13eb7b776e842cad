"""Small multiples: panels of one scale each way, two side by side so that a phone shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from analysis.pictures.style import INK, LEFT, LINE, TEXT, Legend, frame, lines
from analysis.records.configurations import varying
from analysis.records.labels import ORDERS, dose_label

COLUMNS = 2
MOST_PANELS = 12
TITLE_CHARACTERS = 25
"""What fits above a panel of a narrow picture."""
CONTEXT = ("study", "model", "calibration_data", "order", "device")
"""Factors that no picture gives an axis or a colour: what differs in them is never mixed."""


@dataclass(frozen=True)
class Panels:
    """A figure of panels, filled by `add`."""

    figure: go.Figure
    titles: tuple[str, ...]
    panel_height: float

    @property
    def columns(self) -> int:
        return min(COLUMNS, len(self.titles))

    @property
    def rows(self) -> int:
        return ceil(len(self.titles) / COLUMNS)

    @property
    def plot_height(self) -> float:
        """From the top of the first row to the bottom of the last, px."""
        return self.rows * self.panel_height + (self.rows - 1) * _gap(self.titles)

    def place(self, number: int) -> dict[str, int]:
        """Where the first, second, .. panel is, as plotly takes it."""
        return {"row": number // self.columns + 1, "col": number % self.columns + 1}

    def framed(
        self,
        title: str,
        note: str,
        axis_texts: tuple[str, str],
        legends: Sequence[Legend] = (),
        below: float = 62,
    ) -> go.Figure:
        """The finished figure: titles of both axes stand once, for all panels."""
        across, up = axis_texts
        self.figure.update_xaxes(showticklabels=False)
        for number in range(len(self.titles)):
            if number + self.columns >= len(self.titles):
                self.figure.update_xaxes(showticklabels=True, **self.place(number))
        common = {"showarrow": False, "font": {"size": TEXT, "color": INK}}
        self.figure.add_annotation(
            text=across, x=0.5, y=0, xref="paper", yref="paper", yanchor="bottom",
            yshift=-below + 4, **common,
        )  # fmt: skip
        if up:
            self.figure.add_annotation(
                text=up, x=0, y=0.5, xref="paper", yref="paper", textangle=-90, xanchor="left",
                xshift=-LEFT + 2, **common,
            )  # fmt: skip
        headroom = _title_height(self.titles[: self.columns])
        return frame(
            self.figure, title, note, self.plot_height, legends, below=below, headroom=headroom
        )


def make_panels(titles: Sequence[str], panel_height: float) -> Panels:
    """Empty panels with shared axes under their titles."""
    shown = tuple(lines(title, TITLE_CHARACTERS) for title in titles)
    panels = Panels(go.Figure(), shown, panel_height)
    figure = make_subplots(
        rows=panels.rows, cols=panels.columns, shared_xaxes="all", shared_yaxes="all",
        subplot_titles=shown,
        vertical_spacing=_gap(shown) / panels.plot_height if panels.rows > 1 else 0,
        horizontal_spacing=0.05 if panels.columns > 1 else 0,
    )  # fmt: skip
    figure.update_annotations(font={"size": TEXT, "color": INK}, yshift=3)
    return Panels(figure, shown, panel_height)


def panel_names(table: pl.DataFrame, own: Sequence[str]) -> list[str]:
    """A panel's title for each row: `own`, and whatever else differs and must not be mixed."""
    told = varying(table, [name for name in CONTEXT if name in table.columns])
    return [
        " · ".join([name, *(_context(column, row[column]) for column in told)])
        for name, row in zip(own, table.iter_rows(named=True), strict=True)
    ]


def dose_names(table: pl.DataFrame) -> list[str]:
    """`300`, `300 questions`, one a row."""
    return [dose_label(row) for row in table.iter_rows(named=True)]


def compression_names(table: pl.DataFrame) -> list[str]:
    """`uncompressed`, `gptq 4 g128`, one a row; `4 bits` where a table tells no more."""
    told = zip(table["compression_label"], table["bits"], strict=True)
    return [
        "uncompressed" if name == "none"
        else f"{bits} bits" if name == "?" and bits is not None
        else name
        for name, bits in told
    ]  # fmt: skip


def attack_names(table: pl.DataFrame) -> list[str]:
    """`no attack`, `harmful 100×3`, one a row."""
    return ["no attack" if name == "none" else name for name in table["attack_label"]]


def first_panels(names: Sequence[str]) -> tuple[list[str], str]:
    """The different names, as many as a picture holds, and a note of how many are left out."""
    different = list(dict.fromkeys(names))
    left = len(different) - MOST_PANELS
    note = f"{left} more panels are left out." if left > 0 else ""
    return different[:MOST_PANELS], note


def _context(column: str, value: object) -> str:
    if column == "order":
        return f"attacked {ORDERS.get(str(value), str(value))}"
    return str(value).rpartition("/")[2]


def _gap(titles: Sequence[str]) -> float:
    return 14 + _title_height(titles)


def _title_height(titles: Sequence[str]) -> float:
    return LINE * max(title.count("<br>") + 1 for title in titles) if titles else 0
