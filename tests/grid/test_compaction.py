"""Compaction changes how a study lies on disk, and nothing that is read from it."""

import io
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.records.loading import load_records
from grid.compaction import compact
from grid.records import RECORD_SCHEMA, RESPONSE_SCHEMA
from grid.storage import Storage
from grid.study import open_study
from search_spaces.settings import SpaceError
from tests.grid.conftest import Trilemma, run_ok

PROMPTS = 5
KEPT = ("records", "responses")


def write_attempt(root: str, cell: str, attempt: str, status: str, created: float) -> None:
    """A record, and the responses of an attempt that is ok."""
    record = dict.fromkeys(RECORD_SCHEMA.names) | {
        "cell": cell, "attempt": attempt, "status": status, "created": created,
        "packages": "{}", "safety": created / 100,
    }  # fmt: skip
    storage, name = Storage(root), f"{cell}-{attempt}.parquet"
    if status == "ok":
        write_responses(storage, cell, attempt)
    storage.write(f"records/{name}", parquet([record], RECORD_SCHEMA))


def write_responses(storage: Storage, cell: str, attempt: str) -> None:
    rows = [
        {"cell": cell, "attempt": attempt, "prompt_set": prompt_set, "prompt_index": index,
         "prompt": f"how {index} ?", "expected": None, "response": f"{cell} says {index % 2}",
         "verdict": "comply", "judge": "phrases"}
        for prompt_set in ("harmful", "borderline") for index in range(PROMPTS)
    ]  # fmt: skip
    name = f"{cell}-{attempt}.parquet"
    storage.write(f"responses/{name}", parquet(rows, RESPONSE_SCHEMA))
    verdicts = [
        {name: row[name] for name in ("cell", "attempt", "prompt_set", "prompt_index")}
        | {"judge": "other", "verdict": "refuse"}
        for row in rows
    ]
    storage.write(f"judgements/other/{name}", parquet(verdicts))
    storage.write("judgements/other/judge.json", b"{}")


def parquet(rows: list[dict[str, Any]], schema: Any = None) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), buffer)
    return buffer.getvalue()


def read(root: str) -> tuple[Any, ...]:
    """All that analysis reads of a study."""
    records = load_records(root)
    rejudged = load_records(root, judge="other").table if records.verdicts.height else records.table
    tables = (records.table, records.responses, rejudged)
    return *(table.drop("study") for table in tables), records.unreadable


def same(one: Any, other: Any) -> bool:
    return all(
        a.equals(b) if isinstance(a, pl.DataFrame) else a == b
        for a, b in zip(one, other, strict=True)
    )


def files(root: str, folder: str) -> list[str]:
    return [name for name in Storage(root).names(folder) if name.endswith(".parquet")]


@pytest.fixture(params=["disk", "object store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "disk":
        yield str(tmp_path / "study")
        return
    name = f"memory://{uuid.uuid4().hex}"
    yield name
    fsspec.filesystem("memory").rm(name, recursive=True)


def fill(root: str) -> None:
    """Three cells; one was tried again after a failure, one recorded twice, one failed."""
    write_attempt(root, "aa", "a1", "failed", 1)
    write_attempt(root, "aa", "a2", "ok", 2)
    write_attempt(root, "bb", "b1", "ok", 3)
    write_attempt(root, "bb", "b2", "ok", 4)
    write_attempt(root, "cc", "c1", "failed", 5)


def test_what_is_read_is_the_same(root: str) -> None:
    fill(root)
    before = read(root)
    assert before[1].height == 2 * 2 * PROMPTS
    reports = compact(root)
    assert [(r.folder, r.files_before, r.files_after) for r in reports] == [
        ("records", 5, 1), ("responses", 3, 1), ("judgements/other", 3, 1),
    ]  # fmt: skip
    assert all(r.bytes_after < r.bytes_before for r in reports)
    assert files(root, "records") == files(root, "responses") == ["compacted-1.parquet"]
    assert same(read(root), before)


def test_every_attempt_is_kept(root: str) -> None:
    fill(root)
    compact(root)
    kept = [Storage(root).read(f"{folder}/compacted-1.parquet") for folder in KEPT]
    records, responses = map(pl.read_parquet, kept)
    assert sorted(records["attempt"]) == ["a1", "a2", "b1", "b2", "c1"]
    assert sorted(set(responses["attempt"])) == ["a2", "b1", "b2"]


def test_columns_keep_their_types(root: str) -> None:
    fill(root)
    compact(root)
    for folder, schema in zip(KEPT, (RECORD_SCHEMA, RESPONSE_SCHEMA), strict=True):
        content = Storage(root).read(f"{folder}/compacted-1.parquet")
        assert pq.read_schema(io.BytesIO(content)).remove_metadata().equals(schema)


def test_again_there_is_nothing_to_do(root: str) -> None:
    fill(root)
    compact(root)
    before = {folder: files(root, folder) for folder in KEPT}
    reports = compact(root)
    assert all(r.files_before == r.files_after == 1 for r in reports)
    assert all(r.bytes_before == r.bytes_after for r in reports)
    assert {folder: files(root, folder) for folder in KEPT} == before


def test_new_records_join_the_old(root: str) -> None:
    fill(root)
    compact(root)
    write_attempt(root, "cc", "c2", "ok", 6)
    write_attempt(root, "aa", "a3", "failed", 7)
    before = read(root)
    assert before[1].height == 3 * 2 * PROMPTS
    compact(root)
    assert files(root, "records") == ["compacted-2.parquet"]
    assert same(read(root), before)


def test_unreadable_files_are_set_aside_and_named(root: str) -> None:
    fill(root)
    storage = Storage(root)
    for name, content in (("dd-d1", b"no parquet"), ("compacted-7", b"")):
        storage.write(f"records/{name}.parquet", content)
    before = read(root)
    assert before[3] == ["compacted-7.parquet", "dd-d1.parquet"]
    records = compact(root)[0]
    assert records.quarantined == (
        "quarantine/records/compacted-7.parquet", "quarantine/records/dd-d1.parquet",
    )  # fmt: skip
    assert storage.read("quarantine/records/dd-d1.parquet") == b"no parquet"
    assert same(read(root)[:3], before[:3])
    assert read(root)[3] == []


def test_answers_without_a_record_stay_as_they_are(root: str) -> None:
    """They may be those of a cell whose record is just being written."""
    fill(root)
    write_responses(Storage(root), "ee", "e1")
    reports = compact(root)
    assert [r.left for r in reports] == [0, 1, 1]
    assert "ee-e1.parquet" in files(root, "responses")
    write_attempt(root, "ee", "e1", "ok", 9)
    assert "ee" in set(load_records(root).responses["cell"])


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="no records here"):
        compact(str(tmp_path))


class Killed(BaseException):
    """Stands for the end of the process."""


def dying(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the process end before the write or removal that follows so many."""
    count = 0

    def counting(action: Callable[..., None]) -> Callable[..., None]:
        def act(*arguments: Any) -> None:
            nonlocal count
            count += 1
            if count > after:
                raise Killed
            action(*arguments)

        return act

    for name in ("write", "remove"):
        monkeypatch.setattr(Storage, name, counting(getattr(Storage, name)))


def test_killed_at_any_point_nothing_is_lost(tmp_path: Path) -> None:
    made = tmp_path / "made"
    fill(str(made))
    compact(str(made))
    write_attempt(str(made), "cc", "c2", "ok", 6)
    write_attempt(str(made), "dd", "d1", "ok", 7)
    (made / "records" / "ff-f1.parquet").write_bytes(b"no parquet")
    before = read(str(made))
    attempts = set(before[0]["attempt"])
    steps = 0
    while True:
        root = str(tmp_path / f"killed{steps}")
        shutil.copytree(made, root)
        with pytest.MonkeyPatch.context() as patch:
            dying(patch, steps)
            try:
                compact(root)
            except Killed:
                ended = False
            else:
                ended = True
        assert same(read(root)[:3], before[:3]), f"killed after {steps} steps"
        compact(root)
        assert same(read(root)[:3], before[:3])
        assert set(load_records(root).table["attempt"]) == attempts
        assert len(files(root, "records")) == len(files(root, "responses")) == 1
        if ended:
            break
        steps += 1
    assert steps > 10


def test_a_reader_beside_it_sees_everything(tmp_path: Path) -> None:
    root = str(tmp_path / "study")
    for number in range(60):
        write_attempt(root, f"c{number:02}", "a1", "ok", number)
    before = read(root)
    seen: list[bool] = []
    stop = threading.Event()

    def keep_reading() -> None:
        while not stop.is_set():
            seen.append(same(read(root), before))

    reader = threading.Thread(target=keep_reading)
    reader.start()
    for round_number in range(3):
        write_attempt(root, "c00", f"x{round_number}", "failed", 100 + round_number)
        compact(root)
    stop.set()
    reader.join()
    assert seen
    assert all(seen)


ATTEMPTS = st.lists(
    st.tuples(st.sampled_from(["aa", "bb", "cc"]), st.sampled_from(["ok", "failed"]),
              st.booleans()),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(history=ATTEMPTS)
def test_any_history_of_attempts_and_compactions(history: list[tuple[str, str, bool]]) -> None:
    """One study is compacted now and then and the other never: they are the same to a reader."""
    packed, plain = (f"memory://{uuid.uuid4().hex}" for _ in range(2))
    for number, (cell, status, then_compact) in enumerate(history):
        for root in (packed, plain):
            write_attempt(root, cell, f"a{number}", status, number)
        if then_compact:
            compact(packed)
    assert same(read(packed), read(plain))


def recorded(study: str) -> set[str]:
    return open_study(study).recorded()


@pytest.fixture
def smoke_copy(smoke_local: str, tmp_path: Path) -> str:
    shutil.copytree(smoke_local, tmp_path / "study")
    return str(tmp_path / "study")


def test_a_compacted_study_has_nothing_to_run(smoke_copy: str, trilemma: Trilemma) -> None:
    before, cells = load_records(smoke_copy), recorded(smoke_copy)
    printed = run_ok(trilemma, "compact", smoke_copy)
    assert "records" in printed
    assert recorded(smoke_copy) == cells
    assert len(cells) == 8
    executions = len(Storage(smoke_copy).names("executions"))
    run_ok(trilemma, "run", "smoke", "--study", smoke_copy, "--engine", "local")
    assert files(smoke_copy, "records") == ["compacted-1.parquet"]
    assert len(Storage(smoke_copy).names("executions")) == executions
    after = load_records(smoke_copy)
    assert after.table.equals(before.table.with_columns(study=pl.lit(smoke_copy)))


def test_a_compacted_cell_is_exported(smoke_copy: str, trilemma: Trilemma, tmp_path: Path) -> None:
    compact(smoke_copy)
    cell = load_records(smoke_copy).rows[0]["cell"]
    run_ok(trilemma, "export", smoke_copy, "--cell", cell, "--to", str(tmp_path / "model"))
    assert (tmp_path / "model" / "README.md").is_file()
