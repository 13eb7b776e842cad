"""Tables as a reader wants them: few columns, values with units, intervals beside their value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, cast

import polars as pl

from analysis.judges.agreement import agreement
from analysis.pictures.axes import interval_text, is_bytes, name_of, value_text
from analysis.records.loading import Records
from search_spaces.metrics import RATES, UNITS, Metric

ROWS = 20
MISSING = "-"
LEAST_P = 0.001
VALUES = ("mean", "one", "other")
"""Columns that hold a metric's values, by the row's `metric` or the one that is given."""
DIFFERENCE = "difference"
NAMES = ("metric", "factor", "other_factor", "attack")
"""Columns whose values are names as code has them."""
PRICE = "_price"
"""How the names of columns end that hold differences of the metric before."""
BOUNDED = ("mean", DIFFERENCE, "departure", "kappa")
"""Columns whose bounds are `low` and `high`; those of others are `<column>_low` and so on."""


@dataclass(frozen=True)
class Table:
    """What a notebook shows as a table."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_out: int
    """How many rows are not shown."""
    sides: Sequence[str]
    """Which way each column is aligned: `left`, `right`."""

    def _repr_html_(self) -> str:
        head = self._html_row("th", self.headings)
        body = "".join(self._html_row("td", row) for row in self.rows)
        note = f"<p>and {self.left_out} more</p>" if self.left_out else ""
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{note}"

    def _html_row(self, tag: str, texts: Sequence[str]) -> str:
        cells = (
            f"<{tag} style='text-align: {side}'>{escape(text)}</{tag}>"
            for text, side in zip(texts, self.sides, strict=True)
        )
        return f"<tr>{''.join(cells)}</tr>"

    def __repr__(self) -> str:
        lines = [" | ".join(row) for row in (self.headings, *self.rows)]
        return "\n".join(lines + ([f"and {self.left_out} more"] if self.left_out else []))


def table(
    frame: pl.DataFrame, columns: Sequence[str], metric: Metric | None = None, rows: int = ROWS
) -> Table:
    """The first rows of some columns; a value's bounds are told beside it, in brackets.

    `metric`: what values without a metric's name are of, where no column `metric` says so.
    """
    shown = [
        [_text(row, name, row.get("metric", metric)) for name in columns]
        for row in frame.head(rows).iter_rows(named=True)
    ]
    headings = [_heading(name) for name in columns]
    sides = ["left" if frame.schema.get(n) == pl.String else "right" for n in columns]
    return Table(headings, shown, max(len(frame) - rows, 0), sides)


def frame_of(rows: Sequence[Any]) -> pl.DataFrame:
    """Dataclass instances as a table: their numbers and texts."""
    kept = (str, int, float, bool, type(None))
    told = [{n: v for n, v in vars(row).items() if isinstance(v, kept)} for row in rows]
    return pl.DataFrame(told, infer_schema_length=None)


def agreements(records: Records) -> pl.DataFrame:
    """How far each study's own judge agrees with each other judge that read its answers again.

    Columns of `analysis.judges.agreement.Agreement`, and `one` and `other`; empty with one judge.
    """
    judges = records.verdicts["judge"].unique(maintain_order=True).to_list()
    parts = [
        frame_of(agreement(records, judges[0], other)).with_columns(
            one=pl.lit(judges[0]), other=pl.lit(other)
        )
        for other in judges[1:]
    ]
    return pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame()


def _heading(name: str) -> str:
    if name == "probability":
        return "P"
    if name.endswith(PRICE):
        return f"price in {_heading(name.removesuffix(PRICE))}"
    return name_of(name) if name in UNITS else _words(name)


def _words(name: str) -> str:
    return name.removesuffix("_label").replace("_", " ")


def _text(row: Mapping[str, Any], name: str, metric: Metric | None) -> str:
    value = row[name]
    if value is None:
        return MISSING
    prefix = "" if name in BOUNDED else f"{name}_"
    low, high = row.get(f"{prefix}low"), row.get(f"{prefix}high")
    if name.endswith(PRICE):
        return _difference(cast(Metric, name.removesuffix(PRICE)), value, low, high, "")
    if name in UNITS:
        return _of_metric(name, value, low, high)
    if name in VALUES and metric is not None:
        return _of_metric(metric, value, low, high)
    if name == DIFFERENCE and metric is not None:
        return _difference(metric, value, low, high)
    if name.startswith("p_") and value < LEAST_P:
        return f"< {LEAST_P}"
    if isinstance(value, float):
        return _bounded(value, low, high, ".2f")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _bounded(value, low, high, ",")
    return _words(str(value)) if name in NAMES else str(value)


def _of_metric(metric: Metric, value: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return value_text(metric, value)
    return interval_text(metric, value, low, high)


def _difference(
    metric: Metric, value: float, low: float | None, high: float | None, sign: str = "+"
) -> str:
    """Differences of shares are points: `+6.8 points (-7.3 to +19.7)`."""
    if metric in RATES:
        scale, form, unit = 100.0, f"{sign}.1f", " points"
    elif is_bytes(metric):
        scale, form, unit = 0.001, f"{sign},.1f", " kB"
    else:
        scale, form, unit = 1.0, f"{sign},.3g", ""
    low, high = (None if end is None else scale * end for end in (low, high))
    return _bounded(scale * value, low, high, form, unit)


def _bounded(value: float, low: float | None, high: float | None, form: str, unit: str = "") -> str:
    """Bounds are left out where there are none; a single one that is missing is a dash."""
    # adding 0 takes the sign from -0.0
    told = f"{value + 0:{form}}{unit}"
    if low == high:
        return told
    ends = [MISSING if end is None else f"{end + 0:{form}}" for end in (low, high)]
    return f"{told} ({' to '.join(ends)})"
