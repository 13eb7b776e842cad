"""The Ray Tune side: one thin trial a cell, which asks the scheduler and reports the record."""

from typing import Any

import ray
from ray import tune

from grid.plan import Plan, PlannedCell
from grid.records import RATES
from grid.storage import Storage
from search_spaces.compressions import bits_of

TRIAL_CPUS = 0.1
CONCURRENT_TRIALS = 2
"""Each is a process that takes seconds of CPU to start, and then only waits."""
LOST_TRIALS = 3
"""How often a trial may be lost with its node."""
REPORTED = (*RATES, "weights_bytes_disk", "weights_bytes_loaded", "bits_per_weight")


def tune_cells(plan: Plan, scheduler: str, storage: Storage) -> None:
    """Run one trial for every cell to its end. Raises RuntimeError if Tune itself failed."""

    def trial(config: dict[str, Any]) -> None:
        handle = ray.get_actor(config["scheduler"], namespace=config["scheduler"])
        record: Any = ray.get(handle.cell.remote(config["cell"]["id"]))
        metrics = {name: record[name] for name in REPORTED if record.get(name) is not None}
        tune.report({**metrics, "status": record["status"]})

    tuner = tune.Tuner(
        tune.with_resources(trial, {"CPU": TRIAL_CPUS}),
        param_space={
            "scheduler": scheduler,
            "cell": tune.grid_search([_factors(cell) for cell in plan.cells]),
        },
        tune_config=tune.TuneConfig(max_concurrent_trials=CONCURRENT_TRIALS, reuse_actors=True),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=storage.root,
            verbose=0,
            # a trial only waits: one that was lost with its node is simply started again
            failure_config=tune.FailureConfig(max_failures=LOST_TRIALS),
        ),
    )
    results = tuner.fit()
    if results.errors:
        raise RuntimeError(f"{len(results.errors)} trials of Ray Tune failed: {results.errors[0]}")


def _factors(cell: PlannedCell) -> dict[str, Any]:
    """A trial's parameters: Tune's own tables and dashboard show the cell's factors."""
    return {
        "id": cell.id,
        "safety_examples": cell.cell.safety.examples,
        "attack": cell.cell.attack.method,
        "compression": cell.cell.compression.label,
        "bits": bits_of(cell.cell.compression),
        "order": cell.cell.order,
        "seed": cell.cell.seed,
    }
