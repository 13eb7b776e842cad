"""What `run` and `nano` do: prepare, hand over to an engine, show progress."""

from pathlib import Path

from grid.command_line.progress_view import progress_view, steps_view
from grid.execution.coordination import Progress
from grid.study import create_study
from grid.worlds import build_world, world_folder
from search_spaces.loading import load_space
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


def make_world(world: str, folder: Path, seed: int) -> None:
    """Make an embedded world's data and model in `folder`."""
    if folder.exists() and not folder.is_dir():
        raise SpaceError("DIR", "", f"{folder} is a file; name a folder")
    settings = EmbeddedWorld.model_validate({"world": world, "seed": seed})
    with steps_view("pre-training the nano world's model") as on_step, quiet():
        build_world(settings, folder, on_step)


def _ensure_model(space: SearchSpace) -> None:
    if space.embedded is not None:
        make_world(space.embedded.world, world_folder(space.embedded), space.embedded.seed)
