"""Loads a study's records: the latest attempt of every cell, unreadable files named."""

from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Records:
    """One row a cell."""

    rows: list[dict[str, Any]]
    unreadable: list[str]
    """Names of files that could not be read."""


def load_records(study: str) -> Records:
    """All cells' records of a study. An `ok` attempt beats a failed one, a later an earlier."""
    files, base = fsspec.core.url_to_fs(study)
    folder = f"{base.rstrip('/')}/records"
    best: dict[str, dict[str, Any]] = {}
    unreadable: list[str] = []
    for path in sorted(files.glob(f"{folder}/*.parquet")):
        try:
            rows = read_table(files.cat_file(path)).to_pylist()
        except (OSError, pa.ArrowException):
            unreadable.append(str(path).rpartition("/")[2])
            continue
        for row in rows:
            known = best.get(row["cell"])
            if known is None or _rank(row) > _rank(known):
                best[row["cell"]] = row
    return Records(list(best.values()), unreadable)


def read_table(content: bytes) -> pa.Table:
    """The table of a small Parquet file.

    Without Arrow's threads: one that still starts while Python ends aborts the process, which was
    seen at one in forty `trilemma front`.
    """
    file = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
    return file.read(use_threads=False)


def _rank(row: dict[str, Any]) -> tuple[bool, float]:
    return row["status"] == "ok", row["created"]
