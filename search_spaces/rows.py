"""Reads the rows of a data source in the forms that users have: JSON, JSONL, CSV, Parquet, Hub."""

import csv
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
    if source.is_local:
        table = _read_file(Path(source.path))
    else:
        table = _read_hub(source)
    prompts = _column(table, columns.prompt, source)
    answers = _column(table, columns.answer, source) if columns.answer else None
    inputs = _column(table, columns.input, source, required=False) if columns.input else None
    kept = _kept(table, source, len(prompts))
    for name, values in ((columns.answer, answers), (columns.input, inputs)):
        if values and len(values) != len(prompts):
            raise DataError(
                f"{source.path}: column '{name}' has {len(values)} values and "
                f"'{columns.prompt}' {len(prompts)}"
            )
    return [
        Row(
            prompt=_with_input(prompts[i], inputs[i] if inputs else None),
            answer=None if answers is None else str(answers[i]),
        )
        for i in kept
    ]


def _with_input(prompt: object, extra: object) -> str:
    return f"{prompt}\n\n{extra}" if extra else str(prompt)


def _kept(table: dict[str, list[Any]], source: DataSource, count: int) -> list[int]:
    exclude = source.exclude
    if exclude is None:
        return list(range(count))
    values = _column(table, exclude.column, source)
    return [i for i in range(count) if not str(values[i]).startswith(exclude.prefix)]


def _column(
    table: dict[str, list[Any]], name: str, source: DataSource, required: bool = True
) -> list[Any]:
    if name in table:
        return table[name]
    if not required:
        return []
    raise DataError(f"{source.path}: no column '{name}'; the file has: {', '.join(table)}")


def _read_file(path: Path) -> dict[str, list[Any]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: '{path.suffix}' is not one of {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        table: dict[str, list[Any]] = pq.read_table(path).to_pydict()
        return table
    text = path.read_text(encoding="utf-8-sig")
    try:
        if path.suffix == ".csv":
            return _columns_of(list(csv.DictReader(text.splitlines(keepends=True))), path)
        if path.suffix == ".jsonl":
            return _columns_of([json.loads(line) for line in text.splitlines() if line], path)
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not valid JSON: {error}") from error
    if isinstance(content, dict) and all(isinstance(v, list) for v in content.values()):
        return content
    return _columns_of(content, path)


def _columns_of(rows: object, path: Path) -> dict[str, list[Any]]:
    if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
        raise DataError(f"{path}: expected a list of objects, or one object of columns")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _read_hub(source: DataSource) -> dict[str, list[Any]]:
    import datasets

    rows = datasets.load_dataset(
        source.path, source.subset, split=source.split, revision=source.revision
    )
    return {name: list(rows[name]) for name in rows.column_names}
