"""What several tests share: the nano world, built once, and small studies, run once."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from search_spaces.sources import EmbeddedWorld

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests make their own world, in a cache that no user's run shares."""
    patch = pytest.MonkeyPatch()
    if "TRILEMMA_TEST_CACHE" in os.environ:
        patch.setenv("TRILEMMA_CACHE", os.environ["TRILEMMA_TEST_CACHE"])
    else:
        patch.setenv("TRILEMMA_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def world(_own_cache: None) -> Path:
    """The nano world of seed 0: a folder with `model/` and `data/`."""
    from search_spaces.sources import EmbeddedWorld

    return _built(EmbeddedWorld(world="nano"))


@pytest.fixture(scope="session")
def mamba_world(_own_cache: None) -> Path:
    """The nano world of seed 0 with a Mamba model, which takes some two minutes to train."""
    from search_spaces.sources import EmbeddedWorld

    return _built(EmbeddedWorld(world="nano", family="mamba"))


def _built(world: "EmbeddedWorld") -> Path:
    from grid.worlds import build_world, world_folder

    folder = world_folder(world)
    build_world(world, folder, lambda step, total: None)
    return folder
