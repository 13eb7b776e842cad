"""Packs a study's many small files into few: all is there before anything goes."""

import io
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.records.cell_files import COMPACTED
from analysis.records.judgements import JUDGEMENTS
from grid.storage import Storage
from search_spaces.settings import SpaceError

QUARANTINE = "quarantine"
ROWS_PER_FILE = 2_000_000
ATTEMPT = ["cell", "attempt"]
ANSWER = [*ATTEMPT, "prompt_set", "prompt_index"]
RECORD_ORDER = ["created", *ATTEMPT]
ANSWER_ORDER = ["prompt_set", *ATTEMPT, "prompt_index"]
"""So that long runs of a column are alike: less than half the bytes of an order by answers."""


@dataclass(frozen=True)
class Compacted:
    """What became of one folder of the study."""

    folder: str
    files_before: int
    bytes_before: int
    files_after: int
    bytes_after: int
    quarantined: tuple[str, ...]
    """Where, below the study, unreadable files lie now."""
    left: int
    """Files that stayed as they were: answers without a record, as of a cell that is just being
    recorded."""


@dataclass(frozen=True)
class _File:
    name: str
    size: int
    table: pl.DataFrame | None
    """None if it cannot be read."""

    @property
    def packed(self) -> bool:
        return self.name.startswith(COMPACTED)


def compact(root: str) -> list[Compacted]:
    """Pack records, responses and judgements of a study; one report a folder that has any.

    A reader beside it sees every row, and so it is after a kill: some rows are there twice until
    the next compaction, which readers know. Not to be run twice at once. Raises SpaceError if
    there is no study.
    """
    storage = Storage(root)
    if not storage.has("records"):
        raise SpaceError(root, "", "no records here; make some: trilemma run SPACE --study DIR")
    judgements = [f"{JUDGEMENTS}/{name}" for name in storage.names(JUDGEMENTS)]
    # listed before the records are read: what is recorded in between has its record by then
    folders = {name: _names(storage, name) for name in ("responses", *judgements)}
    records = [_read(storage, "records", name) for name in _names(storage, "records")]
    attempts = _rows([file.table.select(ATTEMPT) for file in records if file.table is not None])
    reports = [_pack(storage, "records", records, [])]
    for folder, names in folders.items():
        files = [_read(storage, folder, name) for name in names]
        orphans = [file for file in files if _is_orphan(file, attempts)]
        reports.append(_pack(storage, folder, files, orphans))
    return [report for report in reports if report.files_before or report.left]


def _names(storage: Storage, folder: str) -> list[str]:
    return [name for name in storage.names(folder) if name.endswith(".parquet")]


def _read(storage: Storage, folder: str, name: str) -> _File:
    content = storage.read(f"{folder}/{name}")
    try:
        table = pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError:
        return _File(name, len(content), None)
    if "attempt" not in table.columns:  # responses of the first version
        attempt = name.removesuffix(".parquet").rpartition("-")[2]
        table = table.with_columns(attempt=pl.lit(attempt))
    return _File(name, len(content), table)


def _is_orphan(file: _File, attempts: pl.DataFrame) -> bool:
    """True for a cell's own file if its attempt has no record."""
    if file.packed or file.table is None:
        return False
    return file.table.join(attempts, on=ATTEMPT, how="semi").is_empty()


def _pack(storage: Storage, folder: str, files: list[_File], left: list[_File]) -> Compacted:
    """Write what the files hold, but for those that are `left`, to as few as there can be."""
    names = {file.name for file in left}
    kept = [file for file in files if file.name not in names and file.table is not None]
    moved = [_quarantine(storage, folder, file.name) for file in files if file.table is None]
    # a cell's own file is newer than a compacted one that knows it too
    kept.sort(key=lambda file: (file.packed, -_number(file.name)))
    sizes = [file.size for file in kept]
    if not _is_packed(kept):
        rows = _rows([file.table for file in kept if file.table is not None])
        sizes = _write(storage, folder, _arranged(rows, folder), _number(*_names(storage, folder)))
        for file in kept:
            storage.remove(f"{folder}/{file.name}")
    return Compacted(
        folder=folder,
        files_before=len(kept),
        bytes_before=sum(file.size for file in kept),
        files_after=len(sizes),
        bytes_after=sum(sizes),
        quarantined=tuple(moved),
        left=len(left),
    )


def _is_packed(files: list[_File]) -> bool:
    """True if there is nothing that another compaction would make smaller."""
    rows = sum(file.table.height for file in files if file.table is not None)
    return all(file.packed for file in files) and len(files) <= -(-rows // ROWS_PER_FILE)


def _rows(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Every row, in one table."""
    return pl.concat(tables, how="diagonal_relaxed") if tables else pl.DataFrame()


def _arranged(rows: pl.DataFrame, folder: str) -> pl.DataFrame:
    """Each row once, in an order that compresses well."""
    key, order = (ATTEMPT, RECORD_ORDER) if folder == "records" else (ANSWER, ANSWER_ORDER)
    once = rows.unique(key, keep="first", maintain_order=True)
    return once.sort([name for name in order if name in rows.columns], maintain_order=True)


def _write(storage: Storage, folder: str, rows: pl.DataFrame, last: int) -> list[int]:
    """Write files after number `last` and read them back; returns their sizes in bytes."""
    sizes: list[int] = []
    for number, part in enumerate(rows.iter_slices(ROWS_PER_FILE), last + 1):
        name = f"{folder}/{COMPACTED}-{number}.parquet"
        content = _parquet(part)
        storage.write(name, content)
        written = pl.read_parquet(io.BytesIO(storage.read(name)))
        if not written.equals(part, null_equal=True):
            raise OSError(f"{name} does not hold what was written; nothing was removed")
        sizes.append(len(content))
    return sizes


def _parquet(rows: pl.DataFrame) -> bytes:
    """The rows as Parquet, with the column types that single files have."""
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    types = [
        (column.name, pa.string() if pa.types.is_large_string(column.type) else column.type)
        for column in table.schema
    ]
    buffer = io.BytesIO()
    pq.write_table(table.cast(pa.schema(types)), buffer, compression="zstd", compression_level=9)
    return buffer.getvalue()


def _quarantine(storage: Storage, folder: str, name: str) -> str:
    """Move a file aside; returns where it lies."""
    aside = f"{QUARANTINE}/{folder}/{name}"
    storage.write(aside, storage.read(f"{folder}/{name}"))
    storage.remove(f"{folder}/{name}")
    return aside


def _number(*names: str) -> int:
    """The largest number of the compacted files among the names; 0 where there is none."""
    ends = (n.removesuffix(".parquet").rpartition("-")[2] for n in names if n.startswith(COMPACTED))
    return max((int(end) for end in ends if end.isdigit()), default=0)
