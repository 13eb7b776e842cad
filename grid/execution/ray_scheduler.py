"""The scheduler actor: single-flight, longest remaining path first, over Ray tasks."""

import asyncio
from collections import defaultdict
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from grid.execution.coordination import Coordination, Progress
from grid.execution.work import Assignment, describe, prepare_worker, run_task
from grid.plan import PlannedCell
from grid.study import Study


# GPU workers would otherwise be thrown away after each call, with all that they imported
@ray.remote(max_calls=0, max_retries=0)
def _run_stage(assignment: Assignment) -> dict[str, float]:
    return run_task(assignment)


@ray.remote(max_calls=0, max_retries=0)
def _warm_up(threads: int) -> None:
    prepare_worker(threads)


class Scheduler:
    """One a run. It alone launches stages; it holds no GPU and no CPU while it waits."""

    def __init__(self, study: Study, slots: int, exclusive: bool) -> None:
        self._run = Coordination(study, slots, exclusive)
        self._resources = study.space.resources
        self._slots = slots
        self._flying: set[asyncio.Task[None]] = set()
        self._ended: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._idle = asyncio.Event()
        self._broken: BaseException | None = None

    async def warm_up(self) -> None:
        """Import what stages need in every slot's worker."""
        threads = self._resources.threads_per_stage
        await asyncio.gather(*(self._placed(_warm_up).remote(threads) for _ in range(self._slots)))

    async def add(self, cells: list[PlannedCell]) -> None:
        """Take in cells; one that is known already, or complete, costs nothing."""
        self._announce(self._run.add(cells))
        self._launch()

    async def cell(self, cell_id: str) -> dict[str, Any]:
        """The cell's record, once it has ended."""
        await self._ended[cell_id].wait()
        self._raise_if_broken()
        return self._run.record(cell_id) or {"status": self._run.status(cell_id)}

    async def progress(self) -> Progress:
        """A snapshot to show."""
        return self._run.progress()

    async def wait(self) -> Progress:
        """The last snapshot, once everything that was added has ended."""
        while not self._run.finished:
            self._raise_if_broken()
            self._idle.clear()
            await self._idle.wait()
        return self._run.progress()

    def _launch(self) -> None:
        while len(self._flying) < self._slots:
            assignment = self._run.launch()
            if assignment is None:
                break
            flight = asyncio.create_task(self._fly(assignment))
            self._flying.add(flight)
            flight.add_done_callback(self._land)
        if self._run.finished:
            self._idle.set()

    async def _fly(self, assignment: Assignment) -> None:
        task = assignment.task
        try:
            seconds = await self._executed(assignment)
        except RayTaskError as error:
            cause = error.cause if isinstance(error.cause, BaseException) else error
            ended = self._run.fail(task, _described(cause, error))
        except RayError as error:
            ended = self._run.fail(task, f"worker lost: {describe(error)}")
        else:
            ended = self._run.succeed(task, seconds)
        self._announce(ended)

    def _land(self, flight: asyncio.Task[None]) -> None:
        """A flight is over: launch the next one, or end the run if the study cannot be written."""
        self._flying.discard(flight)
        self._broken = self._broken or flight.exception()
        if self._broken is None:
            self._launch()
            return
        self._idle.set()
        for ended in self._ended.values():
            ended.set()

    def _raise_if_broken(self) -> None:
        if self._broken is not None:
            raise RuntimeError(f"the study could not be written: {describe(self._broken)}")

    async def _executed(self, assignment: Assignment) -> dict[str, float]:
        """Repeat a task whose worker or node was lost; a method's own error is never repeated."""
        for _ in range(self._resources.retries):
            try:
                return await self._submit(assignment)
            except RayTaskError:
                raise
            except RayError:
                continue
        return await self._submit(assignment)

    async def _submit(self, assignment: Assignment) -> dict[str, float]:
        seconds: dict[str, float] = await self._placed(_run_stage).remote(assignment)
        return seconds

    def _placed(self, function: Any) -> Any:
        return function.options(
            num_cpus=self._resources.cpus_per_stage, num_gpus=self._resources.gpus_per_stage
        )

    def _announce(self, cell_ids: list[str]) -> None:
        for cell_id in cell_ids:
            self._ended[cell_id].set()


def start_scheduler(study: Study, slots: int, exclusive: bool, name: str) -> Any:
    """A handle of a new scheduler actor, to be found by `name` in the namespace of that name."""
    actor: Any = ray.remote(Scheduler)
    # a waiting trial holds one of the concurrent calls
    placed = actor.options(
        num_cpus=0,
        max_concurrency=1000,
        name=name,
        namespace=name,
        # beside the driver: a worker node that is lost must not take the scheduler with it
        scheduling_strategy=NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        ),
    )
    return placed.remote(study, slots, exclusive)


def _described(cause: BaseException, error: RayTaskError) -> str:
    """The method's error; its traceback was left in the worker, so Ray's text names the line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip().startswith("File ")]
    where = lines[-1].rpartition("/")[2].replace('", line ', ":").partition(",")[0] if lines else ""
    text = " ".join(str(cause).split("\n")[-1].split()) if cause is error else str(cause)
    return f"{type(cause).__name__}: {' '.join(text.split())}" + (f" ({where})" if where else "")
