"""The Ray engine: the scheduler actor runs the stage tree, Ray Tune follows the cells."""

import logging
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from grid.execution.coordination import Progress
from grid.execution.local import Show
from grid.execution.ray_scheduler import start_scheduler
from grid.search import tune_cells
from grid.study import Study
from search_spaces.settings import SpaceError
from search_spaces.space import Resources

SHOW_EVERY_SECONDS = 0.5
OWN = "local"
COORDINATION_CPUS = 1
"""Extra logical CPUs of a Ray that we start ourselves: trials wait, they do not compute."""


def run_on_ray(study: Study, show: Show, slots: int | None, address: str | None) -> Progress:
    """Run every missing stage on a cluster, or on a Ray started here for this run.

    `slots` is how many stages run at once; None takes as many as the resources allow.
    """
    resources = study.space.resources
    with connected(address, slots, resources.cpus_per_stage):
        slots = slots or _slots(resources)
        # on a cluster of others, no CPU is ours alone
        alone = slots == 1 and ray_address(address) == OWN
        exclusive = resources.gpus_per_stage == 1 or (resources.gpus_per_stage == 0 and alone)
        name = f"trilemma-{uuid.uuid4().hex[:8]}"
        scheduler = start_scheduler(study, slots, exclusive, name)
        if ray_address(address) == OWN:
            ray.get(scheduler.warm_up.remote())
        ray.get(scheduler.add.remote(list(study.plan.cells)))
        with _shown(scheduler, show):
            tune_cells(study.plan, name, study.storage)
        final: Progress = ray.get(scheduler.wait.remote())
        show(final)
        ray.kill(scheduler)
    return final


@contextmanager
def connected(address: str | None, slots: int | None, cpus_per_stage: float) -> Iterator[None]:
    """Join the cluster at `address` (or RAY_ADDRESS), or start a Ray that ends with this run."""
    quiet = {
        "RAY_AIR_NEW_OUTPUT": "0",
        "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
        "RAY_DEDUP_LOGS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the run, not only Tune's part of it
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    }
    for key, value in quiet.items():
        os.environ.setdefault(key, value)
    address = ray_address(address)
    worker_environment = {"env_vars": {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}}
    started_here: dict[str, Any] = {}
    if address == OWN:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        cpus = slots * cpus_per_stage if slots else len(os.sched_getaffinity(0))
        started_here = {
            "num_cpus": int(cpus) + COORDINATION_CPUS,
            "include_dashboard": False,
        }
    ray.init(
        address=address,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env=None if address == OWN else worker_environment,
        **started_here,
    )
    try:
        yield
    finally:
        ray.shutdown()


def ray_address(address: str | None) -> str:
    """The cluster to join: as asked for, else RAY_ADDRESS, else a Ray of our own."""
    return address or os.environ.get("RAY_ADDRESS") or OWN


def _slots(resources: Resources) -> int:
    """How many stages fit now. Raises SpaceError if not one does."""
    total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    fits = (total.get("CPU", 0) - COORDINATION_CPUS) / resources.cpus_per_stage
    if resources.gpus_per_stage:
        fits = min(fits, total.get("GPU", 0) / resources.gpus_per_stage)
    if fits < 1:
        raise SpaceError(
            "resources",
            "",
            f"no stage fits: it needs {resources.cpus_per_stage:g} CPUs and "
            f"{resources.gpus_per_stage:g} GPUs, and Ray has {total.get('CPU', 0):g} CPUs and "
            f"{total.get('GPU', 0):g} GPUs; lower them, or name --slots if nodes will join",
        )
    return int(fits)


@contextmanager
def _shown(scheduler: Any, show: Show) -> Iterator[None]:
    """Show the scheduler's progress from a thread while the block runs."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(SHOW_EVERY_SECONDS):
            show(ray.get(scheduler.progress.remote()))

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join(timeout=5)
