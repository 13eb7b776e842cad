"""Storage publishes whole things or nothing, on a local disk and on an object store alike."""

import resource
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from grid.plan import plan
from grid.stage import KINDS, Stage
from grid.storage import MARKER, Storage
from grid.store import StageResult, Store
from grid.worlds import world_folder
from search_spaces.cells import expand
from search_spaces.contents import content_of
from search_spaces.loading import load_space

STAGE = "stages/attack/abc"


class BreakingFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """An object store whose connection breaks when the named file is put."""

    protocol = "breaking"
    breaks_at = ""

    def put_file(self, lpath: str, rpath: str, *arguments: Any, **options: Any) -> None:
        if rpath.endswith(self.breaks_at):
            raise ConnectionError(rpath)
        super().put_file(lpath, rpath, *arguments, **options)


fsspec.register_implementation("breaking", BreakingFileSystem, clobber=True)


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return Storage(str(tmp_path / "study"))
    return Storage(f"memory://{uuid.uuid4().hex}/study")


@pytest.fixture
def stage(world: Path) -> Stage:
    stages = plan(expand(load_space("smoke", world_folder)), content_of).stages
    return next(s for s in stages.values() if s.kind == "attack")


def result_of(stage: Stage, seconds: float = 1.5) -> StageResult:
    return StageResult(
        kind=stage.kind,
        fingerprint=stage.fingerprint,
        parent=stage.parent,
        method=stage.settings.method,
        seconds=seconds,
        started=0.0,
        facts={"optimizer_steps": 3, "final_loss": None},
        provenance={"packages": {"torch": "1"}, "git_commit": None},
    )


def workspace(storage: Storage, content: str = "first") -> Path:
    """A finished workspace: two files at two depths and the marker."""
    folder = storage.workspace()
    (folder / "adapter").mkdir()
    (folder / "adapter" / "weights").write_text(content)
    (folder / "tail").write_text("sorts after the marker")
    (folder / MARKER).write_text("{}")
    return folder


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The operating system refuses to write files above `size` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@given(content=st.binary(max_size=2000), name=st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True))
@pytest.mark.parametrize("scheme", ["local", "memory"])
def test_what_is_written_is_read(
    scheme: str, tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    local = scheme == "local"
    root = str(tmp_path_factory.getbasetemp() / "round") if local else "memory://round"
    storage = Storage(root)
    storage.write(f"records/{name}", b"older")
    storage.write(f"records/{name}", content)
    assert storage.has(f"records/{name}")
    assert storage.read(f"records/{name}") == content
    assert name in storage.names("records")


def test_reading_what_is_not_there_raises(storage: Storage) -> None:
    assert not storage.has("records/none")
    assert storage.names("records") == []
    with pytest.raises(FileNotFoundError):
        storage.read("records/none")


def test_names_hide_what_is_unfinished(storage: Storage) -> None:
    for name in ("b", "a", ".a.unfinished"):
        storage.write(f"records/{name}", b"x")
    storage.write("records/c/inner", b"x")
    assert storage.names("records") == ["a", "b", "c"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write("records/a", b"old")
    with no_file_above(10_000), pytest.raises(OSError, match="too large"):
        storage.write("records/a", b"x" * 50_000)
    with no_file_above(10_000), pytest.raises(OSError, match="too large"):
        storage.write("records/b", b"x" * 50_000)
    assert storage.read("records/a") == b"old"
    assert [p.name for p in (tmp_path / "records").iterdir()] == ["a"]


def test_published_files_are_all_there(storage: Storage) -> None:
    folder = workspace(storage)
    storage.publish(folder, STAGE)
    assert not folder.exists()
    fetched = storage.fetch(STAGE)
    files = {str(p.relative_to(fetched)) for p in fetched.rglob("*") if p.is_file()}
    assert files == {"adapter/weights", "tail", MARKER}
    assert (fetched / "adapter" / "weights").read_text() == "first"
    assert storage.fetch(STAGE) == fetched


def test_second_publisher_changes_nothing(storage: Storage) -> None:
    first, second = workspace(storage, "first"), workspace(storage, "second")
    storage.publish(first, STAGE)
    storage.publish(second, STAGE)
    assert not second.exists()
    assert storage.read(f"{STAGE}/adapter/weights") == b"first"
    assert storage.names("stages/attack") == ["abc"]


def test_two_roots_are_fetched_apart() -> None:
    contents = []
    for content in ("one", "other"):
        storage = Storage(f"memory://{uuid.uuid4().hex}")
        storage.publish(workspace(storage, content), STAGE)
        contents.append((storage.fetch(STAGE) / "adapter" / "weights").read_text())
    assert contents == ["one", "other"]


@pytest.mark.parametrize("breaks_at", ["weights", "tail", MARKER])
def test_marker_is_put_last(stage: Stage, monkeypatch: pytest.MonkeyPatch, breaks_at: str) -> None:
    storage = Storage(f"breaking://{uuid.uuid4().hex}")
    store = Store(storage)
    folder = workspace(storage)
    monkeypatch.setattr(BreakingFileSystem, "breaks_at", breaks_at)
    with pytest.raises(ConnectionError):
        store.publish(stage, folder, result_of(stage))
    assert not store.has(stage)
    assert store.published() == set()
    monkeypatch.setattr(BreakingFileSystem, "breaks_at", "nothing")
    store.publish(stage, folder, result_of(stage))
    assert store.published() == {stage.fingerprint}


def test_folder_without_marker_does_not_exist_to_the_store(storage: Storage, stage: Stage) -> None:
    store = Store(storage)
    storage.write(f"stages/attack/{stage.fingerprint}/adapter/weights", b"half")
    assert not store.has(stage)
    assert store.published() == set()
    assert store.counts() == dict.fromkeys(KINDS, 0)
    with pytest.raises(FileNotFoundError):
        store.result(stage)


def test_a_stage_keeps_its_first_result(storage: Storage, stage: Stage) -> None:
    store = Store(storage)
    store.publish(stage, workspace(storage), result_of(stage))
    store.publish(stage, workspace(storage), result_of(stage, seconds=9))
    assert store.has(stage)
    assert store.result(stage) == result_of(stage)
    assert store.published() == {stage.fingerprint}
    assert store.counts() == {**dict.fromkeys(KINDS, 0), "attack": 1}


def test_executions_are_counted_by_stage(storage: Storage, stage: Stage) -> None:
    store = Store(storage)
    assert store.executions() == {}
    store.log_execution(stage)
    store.log_execution(stage)
    assert store.executions() == {stage.fingerprint: 2}
