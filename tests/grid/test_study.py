"""A study is known by its content: its sources may move, or be gone when it is only read."""

import shutil
from pathlib import Path

import pytest

from grid.study import create_study, open_study
from grid.worlds import world_folder
from search_spaces.loading import load_space
from search_spaces.settings import SpaceError
from search_spaces.space import SearchSpace


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
