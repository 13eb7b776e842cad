"""The presets load on the data of the world that they name."""

from pathlib import Path

import pytest

from search_spaces.cells import expand
from search_spaces.compressions import bits_of, calibrations_of, pruning_of
from search_spaces.loading import load_space, presets
from search_spaces.sources import EmbeddedWorld
from trainables.nano.files import write_data


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a nano world; its model is not needed to plan."""
    folder = tmp_path_factory.mktemp("world")
    write_data(folder, seed=0)
    return folder


CELLS = {
    "nano": 5 * 5 * 8,
    "smoke": 8,
    "nano_mamba": 3 * 3 * 7,
    "nano_seeds": 5 * 4 * 6 * 3,
    # 21 compressions without calibration; 17 with, each for three seeds
    "nano_compression": 2 * (21 + 17 * 3),
    # in the other order only what is attacked and compressed
    "nano_order": 3 * 6 + 2 * 5,
}


@pytest.mark.parametrize(("preset", "cells"), CELLS.items())
def test_preset_expands_to_its_cells(world: Path, preset: str, cells: int) -> None:
    asked: list[EmbeddedWorld] = []

    def folder_of(embedded: EmbeddedWorld) -> Path:
        asked.append(embedded)
        return world

    space = load_space(preset, folder_of)
    assert len(expand(space)) == cells
    family = "mamba" if preset == "nano_mamba" else "llama"
    assert asked == [EmbeddedWorld(world="nano", seed=0, family=family)]
    assert space.model.path == str(world / "model")


def test_every_preset_is_named() -> None:
    assert set(presets()) == set(CELLS)


def test_nano_compression_holds_every_method_at_every_width(world: Path) -> None:
    held: dict[str, set[int | str]] = {}
    for compression in load_space("nano_compression", lambda embedded: world).compressions:
        pruning = pruning_of(compression)
        width = pruning.pattern if pruning else bits_of(compression)
        held.setdefault(compression.method, set()).add(width or "dense")
    prunings = {"unstructured", "2:4", "4:8"}
    assert {**held, "stacked": None} == {
        "none": {"dense"},
        "bitsandbytes": {8, 4},
        "gptq": {8, 4, 3, 2},
        "awq": {8, 4, 3},
        "rtn": {8, 4, 3, 2},
        "int8_dynamic": {8},
        "fp8": {8},
        "hqq": {8, 4, 3, 2, 1},
        "magnitude": prunings,
        "wanda": prunings,
        "sparsegpt": prunings,
        "stacked": None,
    }
    assert "stacked" in held


def test_nano_compression_calibrates_on_benign_safety_and_mixed_data(world: Path) -> None:
    space = load_space("nano_compression", lambda embedded: world)
    used = {
        tuple(Path(source.path).stem for source in calibration.data)
        for compression in space.compressions
        for calibration in calibrations_of(compression)
    }
    benign, safety = "instructions", "safety_instructions"
    assert used == {(benign,), (safety,), (benign, safety)}
    assert len(space.calibration_seeds) == 3
