"""Reads a folder of a study's Parquet files, a file a cell or many cells in a compacted one."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import fsspec
import polars as pl

COMPACTED = "compacted"
"""How the names of files begin that hold many cells."""
LISTINGS = 10
"""How often a folder is read in which files are packed meanwhile."""

Wanted = Callable[[str], bool]
Tables = list[tuple[str, pl.DataFrame]]


def read_folder(
    study: str, folder: str, wanted: Wanted = lambda name: True
) -> tuple[Tables, list[str]]:
    """The tables of the wanted file names, by name, and the names of files that are none.

    What was packed into a compacted file while the folder was read may have been missed: then it
    is read anew.
    """
    files, base = fsspec.core.url_to_fs(study)
    path = f"{base.rstrip('/')}/{folder}"
    names = _names(files, path, wanted)
    for _ in range(LISTINGS):
        tables, unreadable = _read(files, path, names)
        listed, names = names, _names(files, path, wanted)
        packed = [name for name in names if name.startswith(COMPACTED)]
        if set(packed) <= set(listed):
            break
    # what has gone was packed, and is among the tables
    return tables, [name for name in unreadable if name in names]


def _names(files: Any, path: str, wanted: Wanted) -> list[str]:
    try:
        # names only: a file that goes while others' details are asked for must not matter
        found = files.ls(path, detail=False, refresh=True)
    except FileNotFoundError:
        return []
    names = sorted(str(one).rpartition("/")[2] for one in found)
    return [n for n in names if n.endswith(".parquet") and not n.startswith(".") and wanted(n)]


def _read(files: Any, path: str, names: Sequence[str]) -> tuple[Tables, list[str]]:
    tables: Tables = []
    unreadable: list[str] = []
    for name in names:
        try:
            tables.append((name, pl.read_parquet(BytesIO(files.cat_file(f"{path}/{name}")))))
        except (OSError, pl.exceptions.PolarsError):
            unreadable.append(name)
    return tables, unreadable


def read_cells(
    study: str, folder: str, counted: pl.DataFrame
) -> tuple[pl.DataFrame | None, list[str]]:
    """One row a prompt of the `counted` cells and attempts, and names of files that are unreadable.

    None where the folder holds nothing of them. A cell's own file stands before a compacted one,
    of which a compaction that was stopped leaves both.
    """
    names = {f"{cell}-{attempt}.parquet" for cell, attempt in counted.iter_rows()}
    found, unreadable = read_folder(
        study, folder, lambda name: name in names or name.startswith(COMPACTED)
    )
    single: list[pl.DataFrame] = []
    packed: list[pl.DataFrame] = []
    for name, table in found:
        if name.startswith(COMPACTED):
            packed.append(table.join(counted, on=["cell", "attempt"], how="semi"))
        else:
            attempt = name.removesuffix(".parquet").rpartition("-")[2]
            single.append(table.with_columns(attempt=pl.lit(attempt)))
    if not single and not packed:
        return None, unreadable
    rows = pl.concat([*single, *packed], how="diagonal_relaxed")
    prompt = ["cell", "prompt_set", "prompt_index"]
    # in one order, so that a seed draws the same before and after a compaction
    return rows.unique(prompt, keep="first", maintain_order=True).sort(prompt), unreadable
