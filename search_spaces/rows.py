"""Reads the rows of a data source in the forms that users have: JSON, JSONL, CSV, Parquet, Hub."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_spaces.sources import DataSource

SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")


class DataError(ValueError):
    """A data source that cannot be read as its settings say; the message names the remedy."""


@dataclass(frozen=True)
class Row:
    """One prompt, and the answer where the source has one."""

    prompt: str
    answer: str | None


def read_rows(source: DataSource) -> list[Row]:
    """Rows in file order. Raises DataError where the file, its form or a column is wrong."""
    columns = source.columns
    table = _read_file(Path(source.path)) if source.is_local else _read_hub(source)
    prompts = _column(table, columns.prompt, source)
    answers = _column(table, columns.answer, source) if columns.answer else None
    inputs = _column(table, columns.input, source) if columns.input else None
    kept = _kept(table, source, len(prompts))
    if answers is not None:
        _same_length(source, columns.answer, len(answers), len(prompts))
    if inputs:
        _same_length(source, columns.input, len(inputs), len(prompts))
    return [
        Row(
            prompt=_with_input(
                _text(prompts[i], columns.prompt, i, source), inputs[i] if inputs else None
            ),
            answer=None if answers is None else _text(answers[i], columns.answer, i, source),
        )
        for i in kept
    ]


def _same_length(source: DataSource, name: str | None, length: int, wanted: int) -> None:
    if length != wanted:
        raise DataError(
            f"{source.path}: column '{name}' has {length} values and "
            f"'{source.columns.prompt}' {wanted}"
        )


def _text(value: object, name: str | None, at: int, source: DataSource) -> str:
    """The cell as text; a missing one is refused, because "None" would be trained on."""
    if not isinstance(value, str | int | float):
        found = "no value" if value is None else f"a {type(value).__name__}"
        raise DataError(
            f"{source.path}: column '{name}' has {found} in row {at + 1}; allowed: text"
        )
    return str(value)


def _with_input(prompt: str, extra: object) -> str:
    return f"{prompt}\n\n{extra}" if extra else prompt


def _kept(table: dict[str, list[Any]], source: DataSource, count: int) -> list[int]:
    exclude = source.exclude
    if exclude is None:
        return list(range(count))
    values = _column(table, exclude.column, source)
    _same_length(source, exclude.column, len(values), count)
    return [i for i in range(count) if not str(values[i]).startswith(exclude.prefix)]


def _column(table: dict[str, list[Any]], name: str, source: DataSource) -> list[Any]:
    if name not in table:
        raise DataError(f"{source.path}: no column '{name}'; the file has: {', '.join(table)}")
    return table[name]


def _read_file(path: Path) -> dict[str, list[Any]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: '{path.suffix}' is not one of {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        return _read_parquet(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
        if path.suffix == ".csv":
            return _read_csv(text, path)
        if path.suffix == ".jsonl":
            # only \n ends a row: a JSON string may hold other line separators as they are
            return _columns_of([json.loads(row) for row in text.split("\n") if row.strip()], path)
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not valid JSON: {error}") from error
    except csv.Error as error:
        raise DataError(f"{path}: not valid CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}") from error
    if isinstance(content, dict) and all(isinstance(v, list) for v in content.values()):
        return content
    return _columns_of(content, path)


def _read_csv(text: str, path: Path) -> dict[str, list[Any]]:
    header, *rows = csv.reader(io.StringIO(text, newline="")) if text.strip() else [[]]
    rows = [row for row in rows if row]  # a blank line is no row
    for at, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(
                f"{path}: row {at} has {len(row)} cells and the header {len(header)}; "
                "quote cells that hold commas"
            )
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def _read_parquet(path: Path) -> dict[str, list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table: dict[str, list[Any]] = pq.read_table(path).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({type(error).__name__})") from error
    return table


def _columns_of(rows: object, path: Path) -> dict[str, list[Any]]:
    if rows == []:
        raise DataError(f"{path}: no rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: expected a list of objects, or one object of columns")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _read_hub(source: DataSource) -> dict[str, list[Any]]:
    import datasets

    try:
        rows = datasets.load_dataset(
            source.path, source.subset, split=source.split, revision=source.revision
        )
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"{source.path}: {' '.join(str(error).split())}") from error
    return {name: list(rows[name]) for name in rows.column_names}
