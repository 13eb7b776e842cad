"""Where embedded worlds live: made once in the user's cache, ordinary folders from then on."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from search_spaces.sources import EmbeddedWorld
from trainables.catalog import verb

OnStep = Callable[[int, int], None]


def cache_folder() -> Path:
    """`TRILEMMA_CACHE`, or `trilemma` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "trilemma"
    return Path(os.environ.get("TRILEMMA_CACHE", default)).expanduser()


def world_folder(world: EmbeddedWorld) -> Path:
    """The world's folder, with its data files; its model is there after `build_world`."""
    folder = cache_folder() / f"{world.name}-{_version(world)}-seed{world.seed}"
    verb("world_data", world.world)(folder, world.seed)
    return folder


def build_world(world: EmbeddedWorld, folder: Path, on_step: OnStep) -> None:
    """Make the world's data and model in `folder`; what is there already is left as it is."""
    verb("world", world.world)(folder, world.seed, world.family, on_step)


def _version(world: EmbeddedWorld) -> str:
    return f"v{verb('world_version', world.world)(world.family)}"


def is_own_data(world: EmbeddedWorld, folder: Path) -> bool:
    """True if `folder/data` holds the world's data files, and nothing else."""
    with TemporaryDirectory() as fresh:
        verb("world_data", world.world)(Path(fresh), world.seed)
        wanted = Path(fresh) / "data"
        names = [path.name for path in wanted.iterdir()]
        if sorted(names) != sorted(path.name for path in (folder / "data").iterdir()):
            return False
        return all((wanted / n).read_bytes() == (folder / "data" / n).read_bytes() for n in names)
