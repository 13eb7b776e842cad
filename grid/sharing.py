"""Copies what a study found, so that it can be given to others: packed, without this machine."""

import json
from collections.abc import Iterable, Iterator
from io import BytesIO
from os.path import commonpath, dirname, isabs
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.records.judgements import JUDGEMENTS
from analysis.records.loading import read_table
from grid.compaction import ANSWER_ORDER, compact
from grid.storage import Storage
from grid.study import FROZEN
from search_spaces.settings import SpaceError

PLACES = ("model", "compression_settings", "attack_settings", "error")
"""The columns of records in which paths stand."""
DESIGN = ("safety_examples", "attack", "attack_examples", "compression_label", "seed")


def share_study(root: str, to: str) -> None:
    """Copy a study's space, records, responses and judgements, without its stages.

    Models and data are told as if the folder that holds them all were the root, `/model` and
    `/data/..`: a path must stay absolute, or it would be read as a Hub id. Raises SpaceError where
    `to` has a study, where `root` has none, and where there is no such folder.
    """
    source, target = Storage(root), Storage(to)
    if target.has(FROZEN):
        raise SpaceError(to, "", "a study is there already; name a new folder")
    if not source.has(FROZEN):
        raise SpaceError(root, "", "no study here; make one: trilemma run SPACE --study DIR")
    frozen = json.loads(source.read(FROZEN))
    prefix = _prefix(frozen)
    folders = ["records", "responses"]
    folders += [f"{JUDGEMENTS}/{name}" for name in source.names(JUDGEMENTS)]
    for folder in folders:
        for name in source.names(folder):
            target.write(f"{folder}/{name}", source.read(f"{folder}/{name}"))
    compact(to)
    for path in (f"{folder}/{name}" for folder in folders for name in target.names(folder)):
        if path.endswith(".parquet"):
            table = read_table(target.read(path))
            target.write(path, _parquet(_arranged(_without(table, prefix))))
    # last, as the mark that all is there
    content = json.dumps(_placed(frozen, prefix), indent=1, sort_keys=True)
    target.write(FROZEN, content.encode())


def _prefix(frozen: Any) -> str:
    """The folder that holds all local paths, to be cut off; empty where there are none."""
    folders = [dirname(path) for path in _paths(frozen) if isabs(path)]
    shared = commonpath(folders) if folders else ""
    if shared == "/":
        raise SpaceError(FROZEN, "path", "models and data lie in no folder that holds them all")
    return shared


def _paths(value: Any) -> Iterator[str]:
    """Every `path` of the settings, at any depth."""
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        yield value["path"]
    for one in _inner(value):
        yield from _paths(one)


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _placed(value: Any, prefix: str) -> Any:
    """The settings with every `path` cut."""
    if isinstance(value, dict):
        return {
            key: one.removeprefix(prefix)
            if key == "path" and isinstance(one, str)
            else _placed(one, prefix)
            for key, one in value.items()
        }
    return [_placed(one, prefix) for one in value] if isinstance(value, list) else value


def _without(table: pa.Table, prefix: str) -> pa.Table:
    for number, name in enumerate(table.column_names):
        if prefix and name in PLACES:
            cut = pc.replace_substring(table[name], f"{prefix}/", "/")
            table = table.set_column(number, table.field(number), cut)
    return table


def _arranged(table: pa.Table) -> pa.Table:
    order = ANSWER_ORDER if "prompt_index" in table.column_names else DESIGN
    return table.sort_by([(name, "ascending") for name in order])


def _parquet(table: pa.Table) -> bytes:
    buffer = BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=19)
    return buffer.getvalue()
