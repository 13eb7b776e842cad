"""A study is known by its content: its sources may move, or be gone when it is only read."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grid.stage import Stage
from grid.storage import Storage
from grid.store import StageResult
from grid.study import Study, create_study, open_study, recorded_statuses
from grid.worlds import world_folder
from search_spaces.loading import load_space
from search_spaces.settings import SpaceError
from search_spaces.space import SearchSpace
from tests.grid.conftest import preset, write_space


@pytest.fixture
def places(world: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two caches that hold the same world."""
    first, second = tmp_path / "first", tmp_path / "second"
    for place in (first, second):
        shutil.copytree(world, place / world.name)
    return first, second


def smoke_at(place: Path, monkeypatch: pytest.MonkeyPatch) -> SearchSpace:
    monkeypatch.setenv("TRILEMMA_CACHE", str(place))
    return load_space("smoke", world_folder)


def test_same_content_at_another_place_is_the_same_study(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "study")
    made = create_study(root, smoke_at(places[0], monkeypatch))
    again = create_study(root, smoke_at(places[1], monkeypatch))
    assert list(again.plan.stages) == list(made.plan.stages)


def test_a_study_is_read_without_its_sources(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_study(str(tmp_path / "study"), smoke_at(places[0], monkeypatch))
    shutil.rmtree(places[0])
    moved = (tmp_path / "study").rename(tmp_path / "moved")
    assert list(open_study(str(moved)).plan.stages) == list(made.plan.stages)


def test_changed_data_are_refused(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "study")
    create_study(root, smoke_at(places[0], monkeypatch))
    space = smoke_at(places[0], monkeypatch)
    changed = Path(space.evaluation.perplexity.path)
    changed.write_text(changed.read_text() + '{"text": "one more"}\n')
    with pytest.raises(SpaceError, match=r"evaluation\.perplexity: this study was made with other"):
        create_study(root, space)


@pytest.fixture
def orders(world: Path, tmp_path: Path) -> Study:
    """A study in which nothing ran, of one release that is attacked once it is compressed."""
    content = preset("nano_order")
    content["attacks"] = content["attacks"][1:2]
    content["compressions"] = content["compressions"][2:3]
    content["orders"] = ["compress_then_attack"]
    space = load_space(write_space(tmp_path, content), world_folder)
    return create_study(str(tmp_path / "study"), space)


def publish(study: Study, stage: Stage, seconds: float, facts: dict[str, Any]) -> None:
    result = StageResult(
        kind=stage.kind,
        fingerprint=stage.fingerprint,
        parent=stage.parent,
        method=stage.settings.method,
        seconds=seconds,
        started=0.0,
        facts=facts,
        provenance={"packages": {}, "git_commit": None},
    )
    study.store.publish(stage, study.store.workspace(), result)


TRAINED = {"examples": 10, "optimizer_steps": 6, "final_loss": 1.0}
UNTRAINED = {"examples": 0, "optimizer_steps": 0, "final_loss": None}
COMPRESSED = {"zero_fraction": None, "quantized_layers": 14}


def test_of_two_attacks_the_one_that_failed_is_the_cells(orders: Study) -> None:
    (cell,) = orders.plan.cells
    tuning, none, compression, attack, _ = (orders.plan.stages[f] for f in cell.stages)
    publish(orders, tuning, 1.0, TRAINED)
    publish(orders, none, 2.0, UNTRAINED)
    publish(orders, compression, 3.0, COMPRESSED)
    row = orders.record(cell, "RuntimeError: no gradient")
    assert (row["status"], row["order"]) == ("failed", "compress_then_attack")
    assert row["attack_fingerprint"] == attack.fingerprint != none.fingerprint
    assert (row["attack_seconds"], row["attack_steps"]) == (None, None)
    assert (row["compression_seconds"], row["quantized_layers"]) == (3.0, 14)
    publish(orders, attack, 4.0, TRAINED)
    row = orders.record(cell, "RuntimeError: no answer")
    assert (row["attack_seconds"], row["attack_steps"]) == (4.0, 6)
    assert row["evaluation_seconds"] is None


def test_a_cell_is_ok_in_whichever_order_its_attempts_are_packed(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    rows = {"cell": ["a", "a", "b"], "status": ["ok", "failed", "failed"]}
    pq.write_table(pa.table(rows), tmp_path / "records" / "compacted-1.parquet")
    found = recorded_statuses(Storage(str(tmp_path)), "compacted-1.parquet")
    assert found == {"a": "ok", "b": "failed"}
