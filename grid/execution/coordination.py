"""What every engine shares: which task is next, which cells have ended, and their records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grid.estimate import seconds_of
from grid.execution.work import Assignment
from grid.plan import PlannedCell, Task
from grid.schedule import Schedule
from grid.stage import KINDS, Kind
from grid.study import Study


@dataclass(frozen=True)
class Progress:
    """A snapshot of a run, to be shown."""

    stages_done: dict[Kind, int]
    stages_total: dict[Kind, int]
    cells_ok: int
    cells_failed: int
    cells_total: int
    seconds_left: float | None
    """None until every kind that is still missing has been timed."""
    finished: bool

    @property
    def stages_missing(self) -> int:
        """Number of stages that are neither published nor failed."""
        return sum(self.stages_total.values()) - sum(self.stages_done.values())


class Coordination:
    """The state of one run. Not thread-safe: an engine calls it from one thread."""

    def __init__(self, study: Study, slots: int, exclusive: bool) -> None:
        self._study = study
        self._slots = slots
        self._exclusive = exclusive
        self._schedule = Schedule()
        self._published = study.store.published()
        self._seconds: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
        self._records: dict[str, dict[str, Any]] = {}
        self._status: dict[str, str] = {}
        self._open: dict[str, list[PlannedCell]] = {}
        """Cells that have not ended, by the task that ends them."""

    def add(self, cells: Sequence[PlannedCell]) -> list[str]:
        """Take in cells; returns the ids of those that are complete already."""
        needed = {fingerprint for cell in cells for fingerprint in cell.stages}
        tasks = [
            task
            for task in self._study.plan.tasks
            if any(stage.fingerprint in needed for stage in task.stages)
        ]
        done = [t.id for t in tasks if all(s.fingerprint in self._published for s in t.stages)]
        self._schedule.add(tasks, published=set(done))
        recorded = self._study.recorded()
        ended: list[str] = []
        for cell in cells:
            if cell.id in recorded and cell.stages[-1] in self._schedule.done:
                self._status[cell.id] = "ok"
                ended.append(cell.id)
            elif cell.id not in self._status:
                self._open.setdefault(cell.stages[-1], []).append(cell)
        # after a kill between a cell's last stage and its record, only the record is missing
        return ended + self._settle([task.id for task in tasks])

    def launch(self) -> Assignment | None:
        """The next task to run, or None while none is ready."""
        task = self._schedule.launch()
        if task is None:
            return None
        parent = task.stages[0].parent
        before = self._study.plan.chain(parent) if parent else []
        return Assignment(
            root=self._study.storage.root,
            task=task,
            ancestors=tuple(before),
            threads=self._study.space.resources.threads_per_stage,
            exclusive=self._exclusive,
            keep_compressed=self._study.space.keep_compressed or task.keeps_weights,
        )

    def succeed(self, task: Task, seconds: dict[str, float]) -> list[str]:
        """Take in a finished task; returns the ids of the cells that ended with it."""
        self._schedule.succeed(task.id)
        for stage in task.stages:
            self._published.add(stage.fingerprint)
            self._seconds[stage.kind].append(seconds[stage.fingerprint])
        return self._settle([task.id])

    def fail(self, task: Task, error: str) -> list[str]:
        """Take in a task's own error; returns the ids of the cells that ended with it."""
        return self._settle(self._schedule.fail(task.id, error))

    @property
    def finished(self) -> bool:
        """True when nothing is left to run."""
        return self._schedule.finished

    def status(self, cell_id: str) -> str | None:
        """`ok` or `failed` once the cell has ended."""
        return self._status.get(cell_id)

    def record(self, cell_id: str) -> dict[str, Any]:
        """The record of a cell that ended in this run; empty if it was complete before."""
        return self._records.get(cell_id, {})

    def progress(self) -> Progress:
        """A snapshot to show."""
        done = self._study.plan.count(self._published)
        total = self._study.plan.unique()
        seconds = seconds_of({kind: total[kind] - done[kind] for kind in KINDS}, self._seconds)
        statuses = list(self._status.values())
        return Progress(
            stages_done=done,
            stages_total=total,
            cells_ok=statuses.count("ok"),
            cells_failed=statuses.count("failed"),
            cells_total=len(self._study.plan.cells),
            seconds_left=None if seconds is None else seconds / self._slots,
            finished=self.finished,
        )

    def _settle(self, task_ids: Sequence[str]) -> list[str]:
        """Record the open cells of those tasks that are done or failed."""
        ended = []
        for task_id in task_ids:
            error = self._schedule.failed.get(task_id)
            if task_id not in self._schedule.done and error is None:
                continue
            for cell in self._open.pop(task_id, ()):
                self._records[cell.id] = self._study.record(cell, error)
                self._status[cell.id] = self._records[cell.id]["status"]
                ended.append(cell.id)
        return ended
