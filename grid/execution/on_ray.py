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

SHOW_EVERY_SECONDS = 0.5
COORDINATION_CPUS = 1
"""Extra logical CPUs of a Ray that we start ourselves: trials wait, they do not compute."""


def run_on_ray(study: Study, show: Show, slots: int | None, address: str | None) -> Progress:
    """Run every missing stage on a cluster, or on a Ray started here for this run.

    `slots` is how many stages run at once; None takes as many as the resources allow.
    """
    resources = study.space.resources
    with connected(address, slots, resources.cpus_per_stage):
        slots = slots or _slots(resources.cpus_per_stage, resources.gpus_per_stage)
        exclusive = resources.gpus_per_stage >= 1 or (resources.gpus_per_stage == 0 and slots == 1)
        name = f"trilemma-{uuid.uuid4().hex[:8]}"
        scheduler = start_scheduler(study, slots, exclusive, name)
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
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    }
    for key, value in quiet.items():
        os.environ.setdefault(key, value)
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    worker_environment = {"env_vars": {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}}
    started_here: dict[str, Any] = {}
    if address == "local":
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        cpus = slots * cpus_per_stage if slots else (os.cpu_count() or 1)
        started_here = {
            "num_cpus": int(cpus) + COORDINATION_CPUS,
            "include_dashboard": False,
        }
    ray.init(
        address=address,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env=None if address == "local" else worker_environment,
        **started_here,
    )
    try:
        yield
    finally:
        ray.shutdown()


def _slots(cpus_per_stage: float, gpus_per_stage: float) -> int:
    total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    by_cpu = (total.get("CPU", 1) - COORDINATION_CPUS) / cpus_per_stage
    by_gpu = total.get("GPU", 0) / gpus_per_stage if gpus_per_stage else by_cpu
    return max(1, int(min(by_cpu, by_gpu)))


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
