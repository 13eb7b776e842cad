"""The same grid twice in one run: trial-by-trial Ray Tune, and the stage tree.

Prints wall time, stage seconds and the lower bound, and their ratios. Trial-by-trial is what a
user would write: every trial tunes, attacks, compresses and evaluates on its own.

    .venv/bin/python benchmarks/stage_sharing.py --study /tmp/stage_sharing
"""

import argparse
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from rich.console import Console
from rich.table import Table

from grid.command_line.running import make_world
from grid.execution.on_ray import connected, run_on_ray
from grid.execution.work import Assignment, prepare_worker, run_task
from grid.plan import Plan, tasks_of
from grid.stage import KINDS, Kind
from grid.storage import Storage
from grid.store import StageResult, Store
from grid.study import Study, create_study
from grid.worlds import world_folder
from search_spaces.loading import load_space
from search_spaces.space import SearchSpace

TUNING: tuple[Kind, ...] = ("safety_tuning", "attack")


@dataclass(frozen=True)
class Timing:
    """Times of one way to run the grid, in seconds."""

    wall: float
    """From the call to its return, Ray's start included."""
    makespan: float
    """From the first stage's start to the last one's end."""
    stage_seconds: dict[Kind, float]
    executions: int

    @property
    def tuning_seconds(self) -> float:
        """Seconds in safety tuning and attacks."""
        return sum(self.stage_seconds[kind] for kind in TUNING)


def main() -> None:
    """Run both ways on the same grid and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--doses", type=int, nargs="+", default=[0, 300])
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--study", type=Path, help="keep both studies here")
    arguments = parser.parse_args()
    if arguments.study and arguments.study.exists() and any(arguments.study.iterdir()):
        parser.error(f"--study {arguments.study} is not empty: what is there would not be timed")
    space = _space(tuple(arguments.doses))
    with tempfile.TemporaryDirectory() as scratch:
        root = arguments.study or Path(scratch)
        study = create_study(str(root / "tree"), space)
        print(f"{len(study.plan.cells)} cells, {arguments.slots} slots")
        tree = _stage_tree(study, arguments.slots)
        trials = _trial_by_trial(study, root / "trials", arguments.slots)
        _report(tree, trials, study.plan, _lower_bound(study, arguments.slots))


def _space(doses: tuple[int, ...]) -> SearchSpace:
    space = load_space("nano", world_folder)
    assert space.embedded is not None
    make_world(space.embedded.world, world_folder(space.embedded), space.embedded.seed)
    tuning = space.safety_tuning.model_copy(update={"doses": doses})
    return space.model_copy(update={"safety_tuning": tuning})


def _stage_tree(study: Study, slots: int) -> Timing:
    start = time.perf_counter()
    run_on_ray(study, lambda snapshot: None, slots, None)
    wall = time.perf_counter() - start
    return _timing(wall, (study.store.result(stage) for stage in study.plan.stages.values()))


def _trial_by_trial(study: Study, root: Path, slots: int) -> Timing:
    """Every trial runs its own stages with one CPU; nothing is shared."""
    plan, threads = study.plan, study.space.resources.threads_per_stage

    def trial(config: dict[str, Any]) -> None:
        cell = plan.cells[config["index"]]
        own = [plan.stages[fingerprint] for fingerprint in cell.stages]
        for task in tasks_of(own):
            before = tuple(plan.chain(task.parent)) if task.parent else ()
            folder = str(root / cell.id)
            run_task(Assignment(folder, task, before, threads, False, False))
        tune.report({"done": 1})

    @ray.remote(num_cpus=1)
    def warm_up() -> None:
        prepare_worker(threads)

    start = time.perf_counter()
    with connected("local", slots, 1):
        ray.get([warm_up.remote() for _ in range(slots)])
        tuner = tune.Tuner(
            tune.with_resources(trial, {"CPU": 1}),
            param_space={"index": tune.grid_search(list(range(len(plan.cells))))},
            tune_config=tune.TuneConfig(max_concurrent_trials=slots, reuse_actors=True),
            run_config=tune.RunConfig(name="tune", storage_path=str(root), verbose=0),
        )
        if errors := tuner.fit().errors:
            raise RuntimeError(str(errors[0]))
    wall = time.perf_counter() - start
    return _timing(wall, _results_of_trials(plan, root))


def _results_of_trials(plan: Plan, root: Path) -> Iterable[StageResult]:
    for cell in plan.cells:
        store = Store(Storage(str(root / cell.id)))
        for fingerprint in cell.stages:
            yield store.result(plan.stages[fingerprint])


def _timing(wall: float, results: Iterable[StageResult]) -> Timing:
    seconds: dict[Kind, float] = dict.fromkeys(KINDS, 0.0)
    starts, ends = [], []
    for result in results:
        seconds[result.kind] += result.seconds
        starts.append(result.started)
        ends.append(result.started + result.seconds)
    return Timing(wall, max(ends) - min(starts), seconds, len(starts))


def _lower_bound(study: Study, slots: int) -> float:
    """No schedule is faster than unique work / slots, nor than the longest path."""
    seconds = {f: study.store.result(s).seconds for f, s in study.plan.stages.items()}
    longest = max(sum(seconds[f] for f in cell.stages) for cell in study.plan.cells)
    return max(sum(seconds.values()) / slots, longest)


def _report(tree: Timing, trials: Timing, plan: Plan, bound: float) -> None:
    table = Table(title=f"{len(plan.cells)} cells, {len(plan.stages)} unique stages")
    for column in ("", "trial by trial", "stage tree", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    rows = {
        "stage executions": (trials.executions, tree.executions),
        "tuning stage seconds": (trials.tuning_seconds, tree.tuning_seconds),
        "all stage seconds": (
            sum(trials.stage_seconds.values()),
            sum(tree.stage_seconds.values()),
        ),
        "makespan, s": (trials.makespan, tree.makespan),
        "wall time, s": (trials.wall, tree.wall),
    }
    for name, (by_trial, by_tree) in rows.items():
        table.add_row(name, f"{by_trial:.1f}", f"{by_tree:.1f}", f"{by_trial / by_tree:.2f}")
    console = Console()
    console.print(table)
    console.print(
        f"Lower bound of the makespan: {bound:.1f} s; the stage tree took "
        f"{tree.makespan / bound:.2f} times that."
    )


if __name__ == "__main__":
    main()
