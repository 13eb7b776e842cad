"""A study that is given to others holds all that was found, and nothing of where it was made."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from analysis.examples import example
from analysis.records.loading import load_records
from grid.sharing import PLACES, share_study
from grid.study import open_study
from search_spaces.settings import SpaceError

HOME = "/srv/people/anna"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A study whose model and data lie in somebody's folder, with stages."""
    study = tmp_path / "private"
    shutil.copytree(example("nano_mamba"), study)
    space = study / "space.json"
    space.write_text(moved(space.read_text()))
    for path in (study / "records").iterdir():
        table = pl.read_parquet(path)
        table.with_columns(
            pl.col(name).map_elements(moved, return_dtype=pl.String) for name in PLACES
        ).write_parquet(path)
    (study / "stages").mkdir()
    (study / "stages/weights.safetensors").write_bytes(b"unsafe")
    return study


def moved(text: str) -> str:
    text = text.replace('"/data/', f'"{HOME}/data/').replace('"/model"', f'"{HOME}/model"')
    return f"{HOME}/model" if text == "/model" else text


def test_all_that_was_found_is_there_and_no_place(private: Path, tmp_path: Path) -> None:
    assert HOME in (private / "space.json").read_text()
    assert load_records(str(private)).ok["model"].unique().to_list() == [f"{HOME}/model"]
    shared = tmp_path / "shared"
    share_study(str(private), str(shared))
    assert all(HOME.encode() not in path.read_bytes() for path in shared.rglob("*.json"))
    one, original = load_records(str(shared)), load_records(example("nano_mamba"))
    for found, wanted in (
        (one.table, original.table),
        (one.responses, original.responses),
        (one.verdicts, original.verdicts),
    ):
        key = [name for name in ("cell", "judge", "prompt_set", "prompt_index") if name in found]
        assert found.drop("study").sort(key).equals(wanted.drop("study").sort(key))
    assert sorted(path.name for path in shared.iterdir()) == [
        "judgements", "records", "responses", "space.json",
    ]  # fmt: skip


def test_it_is_the_same_study(private: Path, tmp_path: Path) -> None:
    share_study(str(private), str(tmp_path / "shared"))
    before, after = open_study(str(private)), open_study(str(tmp_path / "shared"))
    assert after.plan.stages.keys() == before.plan.stages.keys()


def test_a_folder_that_has_a_study_is_refused(private: Path) -> None:
    with pytest.raises(SpaceError, match="a study is there already"):
        share_study(str(private), str(private))


def test_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="no study here"):
        share_study(str(tmp_path), str(tmp_path / "shared"))


def test_places_without_a_folder_in_common_are_refused(private: Path, tmp_path: Path) -> None:
    space = private / "space.json"
    frozen = json.loads(space.read_text())
    frozen["space"]["model"]["path"] = "/elsewhere/model"
    space.write_text(json.dumps(frozen))
    with pytest.raises(SpaceError, match="no folder that holds them all"):
        share_study(str(private), str(tmp_path / "shared"))
    assert not (tmp_path / "shared").exists()
