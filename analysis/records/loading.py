"""Loads records: any number of studies and tables into one tidy table, a row a cell."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from analysis.records.cell_files import read_cells, read_folder
from analysis.records.foreign_tables import TABLES, foreign_table
from analysis.records.judgements import (
    VERDICT_COLUMNS,
    judgement_names,
    read_judgement,
    rejudged,
    with_verdicts,
    without_judgement,
)
from search_spaces.settings import SpaceError
from search_spaces.space import DEFAULT_OBJECTIVES, Objective

FACTORS: dict[str, Any] = {
    "study": pl.String,
    "model": pl.String,
    "safety_examples": pl.Int64,
    "safety_form": pl.String,
    "attack": pl.String,
    "attack_examples": pl.Int64,
    "attack_epochs": pl.Int64,
    "compression": pl.String,
    "compression_label": pl.String,
    "bits": pl.Int64,
    "sparsity": pl.Float64,
    "sparsity_pattern": pl.String,
    "group_size": pl.Int64,
    "calibration_data": pl.String,
    "calibration_samples": pl.Int64,
    "order": pl.String,
}
"""What tells configurations apart, with types: columns that every table has, if only as nulls."""
OWN_COLUMNS: dict[str, Any] = {
    "cell": pl.String,
    "configuration": pl.String,
    "attempt": pl.String,
    "created": pl.Float64,
    "status": pl.String,
    "error": pl.String,
    "seed": pl.Int64,
    "calibration_seed": pl.Int64,
    "device": pl.String,
    "packages": pl.String,
    "git_commit": pl.String,
}


@dataclass(frozen=True)
class Records:
    """One row a cell, of one or more sources."""

    table: pl.DataFrame
    """The records' columns, and `study`: the source. The latest attempt of every cell."""
    objectives: tuple[Objective, ...]
    """What the first study declared; else the default ones that the table has."""
    unreadable: list[str]
    """Names of files that could not be read, and were left out."""
    sources: tuple[str, ...] = field(default=())
    """Studies in the table's `study` column; responses are read from there."""
    judge: str | None = None
    """Whose verdicts the rates and responses hold; None: each study's own judge's."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table as one mapping a cell."""
        return self.table.to_dicts()

    @cached_property
    def ok(self) -> pl.DataFrame:
        """The cells that did not fail."""
        return self.table.filter(pl.col("status") == "ok")

    @cached_property
    def responses(self) -> pl.DataFrame:
        """One row an `ok` cell and prompt: study, cell, prompt_set, prompt_index, prompt, expected,
        response, verdict, judge. Empty where the sources keep none."""
        if self.judge is None:
            return self._own_responses
        kept = without_judgement(self.sources, self.judge)
        verdicts = _judgement(self.sources, self.judge, self.ok)
        return with_verdicts(self._own_responses, verdicts, self.judge, kept)

    @cached_property
    def verdicts(self) -> pl.DataFrame:
        """One row an `ok` cell, prompt and judge: study, cell, prompt_set, prompt_index, judge,
        verdict; of each study's own judge, and of all that read its answers again."""
        own = self._own_responses.select(*VERDICT_COLUMNS)
        names = {name for study in self.sources for name in judgement_names(study)}
        again = [_judgement(self.sources, name, self.ok) for name in sorted(names)]
        return pl.concat([own, *again])

    @property
    def unreadable_responses(self) -> list[str]:
        """Names of files of responses that could not be read, and were left out."""
        return self._read_responses[1]

    @property
    def _own_responses(self) -> pl.DataFrame:
        return self._read_responses[0]

    @cached_property
    def _read_responses(self) -> tuple[pl.DataFrame, list[str]]:
        parts = [_responses(study, self.ok) for study in self.sources]
        found = [rows for rows, _ in parts]
        unreadable = [name for _, names in parts for name in names]
        return pl.concat([_empty(RESPONSE_COLUMNS), *found], how="diagonal_relaxed"), unreadable

    @cached_property
    def environments(self) -> dict[str, dict[str, int]]:
        """What differs between the cells' environments: by name, each version and its cells."""
        return _differences(self.ok)


RESPONSE_COLUMNS: dict[str, Any] = {
    "study": pl.String,
    "cell": pl.String,
    "attempt": pl.String,
    "prompt_set": pl.String,
    "prompt_index": pl.Int64,
    "prompt": pl.String,
    "expected": pl.String,
    "response": pl.String,
    "verdict": pl.String,
    "judge": pl.String,
}


def load_records(
    *sources: str, columns: Mapping[str, str] | None = None, judge: str | None = None
) -> Records:
    """All cells of studies and tables. An `ok` attempt beats a failed one, a later an earlier.

    `sources`: folders or URIs of studies, globs of them, or .csv and .parquet tables that were
    made elsewhere; `columns` maps our column names to such a table's, and what it does not name
    keeps its name (`analysis.records.foreign_tables`). Columns that some sources lack are null
    there. With a `judge`, what depends on verdicts follows from that judge's, and is null where it
    has not read all of a cell's answers. Raises SpaceError for a source that is not there, a
    mapping that does not fit, and a judge that no study knows.
    """
    tables: list[pl.DataFrame] = []
    unreadable: list[str] = []
    objectives: list[tuple[Objective, ...]] = []
    studies: list[str] = []
    for source in _expanded(sources):
        if source.endswith(TABLES):
            tables.append(foreign_table(source, columns or {}, FACTORS | OWN_COLUMNS))
        else:
            _refuse_missing(source)
            studies.append(source)
            found, failed = _read_all(source, "records")
            tables += [table.with_columns(study=pl.lit(source)) for table in found]
            unreadable += failed
            objectives += _declared(source)
    table = _tidy(tables)
    wanted = objectives[0] if objectives else _default_objectives(table)
    if judge is not None:
        kept = without_judgement(studies, judge)
        ok = table.filter(pl.col("status") == "ok")
        table = rejudged(table, _judgement(studies, judge, ok), kept)
    return Records(table, wanted, unreadable, tuple(studies), judge)


def read_table(content: bytes) -> pa.Table:
    """The table of a small Parquet file.

    Without Arrow's threads: one that still starts while Python ends aborts the process, which was
    seen at one in forty `trilemma front`.
    """
    file = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
    return file.read(use_threads=False)


def _expanded(sources: Sequence[str]) -> Iterator[str]:
    for source in sources:
        if not any(letter in source for letter in "*?["):
            yield source.rstrip("/")
            continue
        files, pattern = fsspec.core.url_to_fs(source)
        found = sorted(str(path).rstrip("/") for path in files.glob(pattern))
        kept = [p for p in found if p.endswith(TABLES) or files.isdir(f"{p}/records")]
        if not kept:
            raise SpaceError(source, "", "matches no study and no .csv or .parquet table")
        yield from (files.unstrip_protocol(path) if "://" in source else path for path in kept)


def _refuse_missing(study: str) -> None:
    files, base = fsspec.core.url_to_fs(study)
    if not any(files.exists(f"{base.rstrip('/')}/{name}") for name in ("records", "space.json")):
        raise SpaceError(study, "", "no study here; a table's name ends in .csv or .parquet")


def _read_all(study: str, folder: str) -> tuple[list[pl.DataFrame], list[str]]:
    """The tables of a study's folder, and names of files that are none."""
    found, unreadable = read_folder(study, folder)
    return [table for _, table in found], unreadable


def _declared(study: str) -> list[tuple[Objective, ...]]:
    files, base = fsspec.core.url_to_fs(study)
    try:
        space = json.loads(files.cat_file(f"{base.rstrip('/')}/space.json"))["space"]
    except (FileNotFoundError, ValueError, KeyError):
        return []
    return [TypeAdapter(tuple[Objective, ...]).validate_python(space["objectives"])]


def _default_objectives(table: pl.DataFrame) -> tuple[Objective, ...]:
    return tuple(o for o in DEFAULT_OBJECTIVES if o.metric in table.columns)


def _tidy(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One table with every column of any, one attempt a cell."""
    wanted = FACTORS | OWN_COLUMNS
    table = pl.concat([_empty(wanted), *tables], how="diagonal_relaxed")
    best = table.sort(pl.col("status") == "ok", "created", nulls_last=False, maintain_order=True)
    # first come the columns that every table has, in one order
    others = [name for name in table.columns if name not in wanted]
    return best.unique(["study", "cell"], keep="last", maintain_order=True).select(*wanted, *others)


def _empty(columns: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict(columns))


def _responses(study: str, ok: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The responses of a study's cells, of the attempts that count, and unreadable files."""
    counted = ok.filter(pl.col("study") == study).select("cell", "attempt")
    rows, unreadable = read_cells(study, "responses", counted)
    if rows is None:
        return _empty(RESPONSE_COLUMNS), unreadable
    return rows.with_columns(study=pl.lit(study)), unreadable


def _judgement(studies: Sequence[str], judge: str, ok: pl.DataFrame) -> pl.DataFrame:
    """A judge's verdicts on the studies' cells."""
    parts = [read_judgement(study, judge, ok) for study in studies]
    return pl.concat([_empty(VERDICT_COLUMNS), *parts])


def _differences(ok: pl.DataFrame) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}

    def count(name: str, value: object, cells: int) -> None:
        versions = counts.setdefault(name, {})
        versions[str(value)] = versions.get(str(value), 0) + cells

    grouped = ok.group_by("packages", "git_commit", "device").len()
    for packages, commit, device, cells in grouped.iter_rows():
        count("git_commit", commit, cells)
        count("device", device, cells)
        for package, version in json.loads(packages or "{}").items():
            count(package, version, cells)
    return {name: found for name, found in sorted(counts.items()) if len(found) > 1}
