"""Reads tables that were made elsewhere: a published table, another tool's results."""

from collections.abc import Mapping
from difflib import get_close_matches
from io import BytesIO
from typing import Any, get_args

import fsspec
import polars as pl

from search_spaces.metrics import Metric
from search_spaces.settings import SpaceError

TABLES = (".csv", ".parquet")
NUMBERS = {f"{m}{part}": pl.Float64 for m in get_args(Metric) for part in ("", "_se", "_iqr", "_n")}


def foreign_table(path: str, columns: Mapping[str, str], types: Mapping[str, Any]) -> pl.DataFrame:
    """A table under our names: a row a cell, `ok` unless it has a `status`.

    `columns`: our names to the table's; what it does not name keeps its own. `types`: of our
    columns, metrics aside. Raises SpaceError for a file that is no table, a column that is not
    there, a value of the wrong kind, and cells of one name.
    """
    table = _renamed(path, _read(path), columns)
    if "cell" in table.columns and "attempt" not in table.columns:
        _refuse_doubles(path, table["cell"], columns.get("cell", "cell"))
    table = table.with_columns(
        _typed(path, table[name], wanted, columns.get(name, name))
        for name, wanted in {**types, **NUMBERS}.items()
        if name in table.columns
    )
    given = {"study": pl.lit(path), "status": pl.lit("ok")}
    given["cell"] = "row " + (pl.int_range(pl.len()) + 1).cast(pl.String)
    missing = {name: value for name, value in given.items() if name not in table.columns}
    return table.with_columns(**missing)


def _read(path: str) -> pl.DataFrame:
    try:
        with fsspec.open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError as error:
        raise SpaceError(path, "", "no such file") from error
    try:
        if path.endswith(".csv"):
            return pl.read_csv(BytesIO(content), infer_schema_length=None)
        return pl.read_parquet(BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise SpaceError(path, "", f"not a table: {str(error).splitlines()[0]}") from error


def _renamed(path: str, table: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    for ours, theirs in columns.items():
        if theirs not in table.columns:
            near = get_close_matches(theirs, table.columns, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            has = ", ".join(table.columns)
            raise SpaceError(path, ours, f"no column '{theirs}'{hint} The table has: {has}")
    # one of their columns may serve twice, and a column of our name that is not meant gives way
    return table.with_columns(**{ours: pl.col(theirs) for ours, theirs in columns.items()})


def _typed(path: str, column: pl.Series, wanted: Any, theirs: str) -> pl.Series:
    typed = column.cast(wanted, strict=False)
    lost = column.filter(typed.is_null() & column.is_not_null())
    if len(lost):
        kind = "text" if wanted == pl.String else "a number"
        raise SpaceError(path, column.name, f"column '{theirs}' has '{lost[0]}'; allowed: {kind}")
    if wanted != pl.Float64:
        return typed
    _refuse_impossible(path, typed, theirs)
    return typed.fill_nan(None)


def _refuse_impossible(path: str, numbers: pl.Series, theirs: str) -> None:
    endless = numbers.filter(numbers.is_infinite())
    if len(endless):
        raise SpaceError(
            path, numbers.name, f"column '{theirs}' has {endless[0]}; allowed: a finite number"
        )
    if numbers.name.endswith(("_se", "_iqr", "_n")) and (numbers < 0).any():
        worst = numbers.filter(numbers < 0)[0]
        raise SpaceError(path, numbers.name, f"column '{theirs}' has {worst}; allowed: 0 or more")


def _refuse_doubles(path: str, cells: pl.Series, theirs: str) -> None:
    doubled = cells.filter(cells.is_duplicated())
    if len(doubled):
        raise SpaceError(
            path, "cell",
            f"column '{theirs}' has '{doubled[0]}' more than once; a cell's name must be its own",
        )  # fmt: skip
