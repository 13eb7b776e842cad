"""Reads a study's stored answers again with another judge, and keeps the verdicts beside them."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import polars as pl
import pyarrow as pa

from analysis.records.cell_files import read_cells
from analysis.records.judgements import JUDGEMENTS, own_judge
from analysis.records.loading import load_records
from grid.fingerprint import canonical, digest
from grid.records import parquet_bytes
from grid.storage import Storage
from search_spaces.contents import content_of
from search_spaces.judges import Judge
from search_spaces.settings import SpaceError
from trainables.catalog import verb
from trainables.judges.answers import Answer

JUDGE = "judge.json"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
ATTEMPT = ["cell", "attempt"]
PROMPT = ["prompt_set", "prompt_index"]
PEOPLE = {"method": "labels"}
"""What people's judgements say of themselves; names of people are nobody's business."""
JUDGEMENT_SCHEMA = pa.schema(
    [
        ("cell", pa.string()),
        ("attempt", pa.string()),
        ("prompt_set", pa.string()),
        ("prompt_index", pa.int64()),
        ("judge", pa.string()),
        ("verdict", pa.string()),
    ]
)

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Judged:
    """What a judge had to read."""

    cells: int
    """Cells that it read now."""
    before: int
    """Cells that it had read already."""
    unreadable: list[str]
    """Files of responses that could not be read."""


def judge_study(root: str, settings: Judge, name: str, on_step: OnStep) -> Judged:
    """Judge every answer of the study's `ok` cells that the judge of this name has not read yet.

    Raises SpaceError for a name that is taken by another judge.
    """
    storage = Storage(root)
    told = _told(settings.model_dump(mode="json"), canonical(settings, content_of))
    _refuse_taken(storage, name, told)
    records = load_records(root)
    counted = records.ok.select(ATTEMPT)
    read, _ = read_cells(root, f"{JUDGEMENTS}/{name}", counted)
    responses = records.responses
    if read is not None:
        responses = responses.join(read.select(ATTEMPT), on=ATTEMPT, how="anti")
    cells = responses.partition_by(ATTEMPT, maintain_order=True)
    before = 0 if read is None else read.select(ATTEMPT).n_unique()
    if cells:
        # the judge takes answers as it needs them, and cells are written as they are through
        verdicts = verb("judge", settings.method)(settings, _answers(cells))
        for number, cell in enumerate(cells, 1):
            read_now = cell.with_columns(verdict=_next(verdicts, cell.height))
            if number == 1:  # a judge that could not begin has claimed no name
                _claim(storage, name, told)
            _write(storage, name, read_now)
            on_step(number, len(cells))
    return Judged(len(cells), before, records.unreadable_responses)


def store_labels(root: str, labels: pl.DataFrame, name: str) -> None:
    """Keep people's labels (cell, attempt, prompt_set, prompt_index, verdict) as a judgement.

    Labels that the name has already stay, unless the same answer is labelled again. Raises
    SpaceError for a name that is taken by another judge.
    """
    storage = Storage(root)
    told = _told(PEOPLE, PEOPLE)
    _refuse_taken(storage, name, told)
    _claim(storage, name, told)
    counted = labels.select(ATTEMPT).unique()
    earlier, _ = read_cells(root, f"{JUDGEMENTS}/{name}", counted)
    merged = labels
    if earlier is not None:
        rows = pl.concat([labels, earlier.select(labels.columns)])
        merged = rows.unique([*ATTEMPT, *PROMPT], keep="first", maintain_order=True)
    for cell in merged.partition_by(ATTEMPT, maintain_order=True):
        _write(storage, name, cell)


def _told(settings: dict[str, Any], identity: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a judge; its identity holds its version and its model's content."""
    fingerprint = digest({"judge": identity})
    return {"settings": settings, "identity": identity, "fingerprint": fingerprint}


def _refuse_taken(storage: Storage, name: str, told: dict[str, Any]) -> None:
    """Refuse a name that holds the verdicts of a judge with other settings."""
    if not NAME.fullmatch(name):
        raise SpaceError("--name", "", f"'{name}' is no name; allowed: letters, digits, _ . -")
    own = own_judge(storage.root)
    if own is None:
        raise SpaceError(
            storage.root, "", "no study here; make one: trilemma run SPACE --study DIR"
        )
    if name == own:
        raise SpaceError("--name", "", f"'{name}' is the study's own judge; give another name")
    path = f"{JUDGEMENTS}/{name}/{JUDGE}"
    if not storage.has(path):
        return
    there, new = json.loads(storage.read(path))["identity"], told["identity"]
    for field in sorted({*there, *new}):
        if there.get(field) != new.get(field):
            raise SpaceError(
                f"{storage.root}/{path}",
                field,
                "the verdicts there were given with another; give this judge another --name",
            )


def _claim(storage: Storage, name: str, told: dict[str, Any]) -> None:
    content = json.dumps(told, indent=1, sort_keys=True).encode()
    storage.write(f"{JUDGEMENTS}/{name}/{JUDGE}", content)


def _answers(cells: Sequence[pl.DataFrame]) -> Iterator[Answer]:
    for cell in cells:
        for prompt, response in cell.select("prompt", "response").iter_rows():
            yield Answer(prompt, response)


def _next(verdicts: Iterator[str], count: int) -> pl.Series:
    given = list(islice(verdicts, count))
    assert len(given) == count, "a judge must read every answer"
    return pl.Series(given, dtype=pl.String)


def _write(storage: Storage, name: str, cell: pl.DataFrame) -> None:
    """Write the verdicts on one cell and attempt."""
    rows = cell.with_columns(judge=pl.lit(name)).select(JUDGEMENT_SCHEMA.names).to_dicts()
    table = pa.Table.from_pylist(rows, JUDGEMENT_SCHEMA)
    file = f"{rows[0]['cell']}-{rows[0]['attempt']}.parquet"
    storage.write(f"{JUDGEMENTS}/{name}/{file}", parquet_bytes(table))
