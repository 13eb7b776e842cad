"""Merges the stages of all cells into one tree, in which every unique stage stands once."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from grid.fingerprint import ContentOf
from grid.stage import KINDS, Kind, Stage, stages_of
from search_spaces.cells import Cell, without_seeds

CELL_ID_LENGTH = 16


@dataclass(frozen=True)
class PlannedCell:
    """A cell with the fingerprints of its stages, first to last."""

    id: str
    cell: Cell
    stages: tuple[str, ...]
    configuration: str
    """What it shares with the cells that differ from it by seeds only."""


@dataclass(frozen=True)
class Plan:
    """The stage tree: unique stages, parents before children, and the cells that need them."""

    cells: tuple[PlannedCell, ...]
    stages: dict[str, Stage]

    def unique(self) -> dict[Kind, int]:
        """Number of unique stages of each kind."""
        return self.count(self.stages)

    def count(self, fingerprints: Collection[str]) -> dict[Kind, int]:
        """Number of the plan's stages among the fingerprints, of each kind."""
        counts = Counter(s.kind for s in self.stages.values() if s.fingerprint in fingerprints)
        return {kind: counts[kind] for kind in KINDS}

    @property
    def saved(self) -> int:
        """Stage executions that sharing saves against every cell running all of its own."""
        return sum(len(cell.stages) for cell in self.cells) - len(self.stages)

    @cached_property
    def tasks(self) -> list["Task"]:
        """What workers run, parents first."""
        return tasks_of(self.stages.values())

    def chain(self, fingerprint: str) -> list[Stage]:
        """The stage and all before it, first to last."""
        chain: list[Stage] = []
        current: str | None = fingerprint
        while current is not None:
            chain.insert(0, self.stages[current])
            current = self.stages[current].parent
        return chain


def plan(cells: Sequence[Cell], content_of: ContentOf) -> Plan:
    """The stage tree of the cells; a cell's id is the start of its last stage's fingerprint."""
    planned: list[PlannedCell] = []
    configurations: dict[Cell, str] = {}
    stages: dict[str, Stage] = {}
    for cell in cells:
        own = stages_of(cell, content_of)
        stages.update((stage.fingerprint, stage) for stage in own)
        fingerprints = tuple(stage.fingerprint for stage in own)
        unseeded = without_seeds(cell)
        if unseeded not in configurations:
            configurations[unseeded] = _id(stages_of(unseeded, content_of))
        planned.append(PlannedCell(_id(own), cell, fingerprints, configurations[unseeded]))
    return Plan(tuple(planned), stages)


def _id(stages: Sequence[Stage]) -> str:
    return stages[-1].fingerprint[:CELL_ID_LENGTH]


@dataclass(frozen=True)
class Task:
    """Stages that one worker runs in one go; its id is the last one's fingerprint.

    A compression runs together with its evaluation, so that compressed weights need not be stored,
    unless an attack works on them as well.
    """

    id: str
    stages: tuple[Stage, ...]
    parent: str | None
    """Id of the task that must be done before."""

    @property
    def keeps_weights(self) -> bool:
        """True if later tasks work on the compressed weights, as an attack on a release does."""
        return self.stages[-1].kind == "compression"


def tasks_of(stages: Iterable[Stage]) -> list[Task]:
    """The stages grouped to tasks, parents first. `stages` must be in a plan's order."""
    ordered = list(stages)
    children: dict[str | None, list[Stage]] = {}
    for stage in ordered:
        children.setdefault(stage.parent, []).append(stage)
    holders: dict[str, str] = {}
    tasks: list[Task] = []
    for stage in ordered:
        if stage.fingerprint in holders:
            continue
        own: tuple[Stage, ...] = (stage,)
        below = children.get(stage.fingerprint, [])
        # where more than its evaluation hangs on a compression, an evaluation that fails must not
        # take the compressed weights with it
        if stage.kind == "compression" and [child.kind for child in below] == ["evaluation"]:
            own = (stage, *below)
        tasks.append(Task(own[-1].fingerprint, own, holders.get(stage.parent or "")))
        holders.update((held.fingerprint, own[-1].fingerprint) for held in own)
    return tasks
