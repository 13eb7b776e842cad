"""What `run` and `nano` do: prepare, hand over to an engine, show progress."""

import json
from pathlib import Path

from pydantic import ValidationError

from grid.command_line.progress_view import progress_view, steps_view
from grid.execution.coordination import Progress
from grid.export import Exported, export_cell
from grid.study import create_study, open_study
from grid.worlds import build_world, is_own_data, world_folder
from search_spaces.loading import load_space
from search_spaces.schema_errors import space_error
from search_spaces.settings import SpaceError
from search_spaces.sources import EmbeddedWorld
from search_spaces.space import SearchSpace
from trainables.quiet import quiet


def run_space(
    spec: str, study_root: str, engine: str, slots: int | None, address: str | None
) -> Progress:
    """Run every missing stage of the space in the study. Raises SpaceError before that."""
    space = load_space(spec, world_folder)
    if engine == "local" and (slots, address) != (None, None):
        raise SpaceError(
            "--engine", "local", "runs one stage at a time; leave out --slots/--address"
        )
    _ensure_model(space)
    # once more, now that the model is there: its layers' widths are part of the checks
    space = load_space(spec, world_folder)
    study = create_study(study_root, space)
    with progress_view(study.plan) as show:
        if engine == "local":
            from grid.execution.local import run_local

            return run_local(study, show)
        from grid.execution.on_ray import run_on_ray

        return run_on_ray(study, show, slots, address)


def export_model(study: str, cell: str, folder: Path) -> Exported:
    """Write a cell's final model to `folder`, quietly."""
    with quiet():
        return export_cell(open_study(study), cell, folder)


def make_world(world: str, folder: Path, seed: int, family: str = "llama") -> None:
    """Make an embedded world's data and model in `folder`. Raises SpaceError."""
    try:
        settings = EmbeddedWorld.model_validate({"world": world, "seed": seed, "family": family})
    except ValidationError as error:
        raise space_error(world, EmbeddedWorld, error) from error
    _refuse_folder(settings, folder)
    with steps_view("pre-training the nano world's model, once") as on_step, quiet():
        build_world(settings, folder, on_step)


def _refuse_folder(world: EmbeddedWorld, folder: Path) -> None:
    """What is there already is left as it is, so it must be of the same world."""
    if folder.exists() and not folder.is_dir():
        raise SpaceError("DIR", "", f"{folder} is a file; name a folder")
    if (folder / "data").exists() and not is_own_data(world, folder):
        raise SpaceError("DIR", "", f"{folder}/data holds other data; name another folder")
    config = folder / "model" / "config.json"
    if not config.is_file():
        return
    there = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    if there != world.family:
        raise SpaceError("DIR", "", f"{folder} holds a {there} model; name another folder")


def _ensure_model(space: SearchSpace) -> None:
    if (world := space.embedded) is not None:
        make_world(world.world, world_folder(world), world.seed, world.family)
