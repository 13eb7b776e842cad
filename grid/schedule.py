"""Which task runs next: parents first, each once, the longest remaining path first."""

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from grid.plan import Task

DEFAULT_SECONDS = {"safety_tuning": 3.0, "attack": 2.0, "compression": 1.0, "evaluation": 1.0}
"""Rough relative costs; only the order of tasks depends on them."""


@dataclass
class Schedule:
    """The state of every task. Pure bookkeeping: the engines launch, it decides what.

    Tasks may be added while others run; one that is known already is not added again.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    """Id of a task that cannot be done -> the error, its own or its ancestor's."""
    _children: dict[str, list[str]] = field(default_factory=dict)
    _ready: list[tuple[float, int, str]] = field(default_factory=list)
    _order: dict[str, int] = field(default_factory=dict)
    _remaining: dict[str, float] = field(default_factory=dict)
    """Rough seconds from a task's start to the end of the longest path below it."""

    def add(self, tasks: Iterable[Task], published: Collection[str] = ()) -> None:
        """Take in tasks, parents first; those in `published` count as done."""
        new: list[Task] = []
        for task in tasks:
            if task.id in self.tasks:
                continue
            if task.parent is not None and task.parent not in self.tasks:
                raise ValueError(f"task {task.id} came before its parent {task.parent}")
            new.append(task)
            self.tasks[task.id] = task
            self._order[task.id] = len(self._order)
            if task.parent is not None:
                self._children.setdefault(task.parent, []).append(task.id)
            if task.id in published:
                self.done.add(task.id)
            elif task.parent in self.failed:
                self.failed[task.id] = self.failed[task.parent]
        for task in reversed(new):
            self._lengthen(task)
        # tasks that wait already may have become heads of longer paths
        ready = [task_id for *_, task_id in self._ready]
        self._ready.clear()
        for task_id in ready + [task.id for task in new if self._is_ready(task)]:
            self._queue(self.tasks[task_id])

    def launch(self) -> Task | None:
        """The next task to run, now counted as running; None while none is ready."""
        if not self._ready:
            return None
        _, _, task_id = heapq.heappop(self._ready)
        self.running.add(task_id)
        return self.tasks[task_id]

    def succeed(self, task_id: str) -> None:
        """The task's stages are published: its children may run."""
        self.running.remove(task_id)
        self.done.add(task_id)
        for child in self._children.get(task_id, ()):
            if self._is_ready(self.tasks[child]):
                self._queue(self.tasks[child])

    def fail(self, task_id: str, error: str) -> list[str]:
        """The task failed by its own error; returns it and all tasks that needed it."""
        self.running.remove(task_id)
        lost = [task_id]
        for current in lost:
            self.failed[current] = error
            lost += [c for c in self._children.get(current, ()) if c not in self.done]
        return lost

    @property
    def finished(self) -> bool:
        """True when nothing is running or ready."""
        return not self.running and not self._ready

    def _is_ready(self, task: Task) -> bool:
        settled = task.id in self.done or task.id in self.failed or task.id in self.running
        return not settled and (task.parent is None or task.parent in self.done)

    def _queue(self, task: Task) -> None:
        heapq.heappush(self._ready, (-self._remaining[task.id], self._order[task.id], task.id))

    def _lengthen(self, task: Task) -> None:
        """Bring the remaining paths of the task and its ancestors up to date."""
        current: Task | None = task
        while current is not None:
            own = sum(DEFAULT_SECONDS[stage.kind] for stage in current.stages)
            below = (self._remaining.get(c, 0.0) for c in self._children.get(current.id, ()))
            length = own + max(below, default=0.0)
            if self._remaining.get(current.id) == length:
                return
            self._remaining[current.id] = length
            current = self.tasks[current.parent] if current.parent else None
