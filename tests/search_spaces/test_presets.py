"""The presets load on the data of the world that they name."""

from pathlib import Path

import pytest

from search_spaces.cells import expand
from search_spaces.loading import load_space, presets
from search_spaces.sources import EmbeddedWorld
from trainables.nano.files import write_data


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a nano world; its model is not needed to plan."""
    folder = tmp_path_factory.mktemp("world")
    write_data(folder, seed=0)
    return folder


@pytest.mark.parametrize(("preset", "cells"), [("nano", 5 * 5 * 8), ("smoke", 8)])
def test_preset_expands_to_its_cells(world: Path, preset: str, cells: int) -> None:
    asked: list[EmbeddedWorld] = []

    def folder_of(embedded: EmbeddedWorld) -> Path:
        asked.append(embedded)
        return world

    space = load_space(preset, folder_of)
    assert len(expand(space)) == cells
    assert asked == [EmbeddedWorld(world="nano", seed=0)]
    assert space.model.path == str(world / "model")


def test_every_preset_is_named() -> None:
    assert set(presets()) >= {"nano", "smoke"}
