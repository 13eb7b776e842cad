"""The schedule against a slow and plain model of it, over random trees, orders and failures."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.plan import Task
from grid.schedule import DEFAULT_SECONDS, Schedule
from grid.stage import KINDS, Kind, Stage
from search_spaces.attacks import NoAttack
from search_spaces.sources import ModelSource

MODEL = ModelSource(path="/models/tiny")


def task(name: str, parent: str | None, *kinds: Kind) -> Task:
    """A task of stages of these kinds."""
    stages = tuple(
        Stage(kind, f"{name}/{i}", parent, NoAttack(), MODEL, 0) for i, kind in enumerate(kinds)
    )
    return Task(name, stages, parent)


@st.composite
def trees(draw: st.DrawFn) -> list[Task]:
    """Up to a dozen tasks, parents first."""
    tasks: list[Task] = []
    for i in range(draw(st.integers(1, 12))):
        parent = draw(st.none() | st.sampled_from(tasks)) if tasks else None
        kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=2))
        tasks.append(task(f"task {i}", parent.id if parent else None, *kinds))
    return tasks


@dataclass
class Model:
    """What the schedule must do, told without its heap and its bookkeeping."""

    published: set[str]
    known: list[Task] = field(default_factory=list)
    launched: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    errors: dict[str, str] = field(default_factory=dict)

    def add(self, tasks: list[Task]) -> None:
        for new in tasks:
            if new not in self.known:
                self.known.append(new)
                if new.id in self.published:
                    self.done.add(new.id)
                elif new.parent in self.errors:
                    self.errors[new.id] = self.errors[new.parent]

    def children(self, of: str) -> list[Task]:
        return [child for child in self.known if child.parent == of]

    def longest(self, of: Task) -> float:
        own = sum(DEFAULT_SECONDS[stage.kind] for stage in of.stages)
        return own + max((self.longest(child) for child in self.children(of.id)), default=0.0)

    def next(self) -> Task | None:
        """Of the tasks that may run, the one with the longest path; the first added if equal."""
        ready = [
            t
            for t in self.known
            if (t.parent is None or t.parent in self.done)
            and t.id not in self.done | self.errors.keys() | {*self.launched}
        ]
        return max(ready, key=self.longest, default=None)

    def lost_with(self, failed: str) -> set[str]:
        """The task and everything that cannot be had without it."""
        below = [c.id for c in self.children(failed) if c.id not in self.done]
        return {failed}.union(*(self.lost_with(child) for child in below))


def launch_one(schedule: Schedule, model: Model) -> None:
    expected, got = model.next(), schedule.launch()
    assert got == expected
    if got is None:
        return
    assert got.parent is None or got.parent in schedule.done
    assert got.id not in model.launched
    assert got.id not in model.published
    model.launched.append(got.id)
    model.running.append(got.id)


def end_one(schedule: Schedule, model: Model, source: random.Random) -> None:
    ended = model.running.pop(source.randrange(len(model.running)))
    if source.random() < 0.75:
        schedule.succeed(ended)
        model.done.add(ended)
        return
    error = f"{ended} broke"
    lost = schedule.fail(ended, error)
    assert len(lost) == len(set(lost))
    assert set(lost) == model.lost_with(ended)
    assert lost[0] == ended
    model.errors |= dict.fromkeys(lost, error)


def add_some(schedule: Schedule, model: Model, tasks: list[Task], source: random.Random) -> None:
    """Add the next few tasks, and some that are known already a second time."""
    first = len(model.known)
    batch = tasks[first : first + source.randint(1, 4)]
    again = [t for t in model.known + batch if source.random() < 0.3]
    schedule.add(batch + again, model.published)
    model.add(batch)


@settings(deadline=None, max_examples=300)
@given(trees(), st.data(), st.randoms(use_true_random=False))
def test_any_order_of_additions_endings_and_failures(
    tasks: list[Task], data: st.DataObject, source: random.Random
) -> None:
    ids = [t.id for t in tasks]
    schedule, model = Schedule(), Model(data.draw(st.sets(st.sampled_from(ids), max_size=4)))
    while len(model.known) < len(tasks) or not schedule.finished:
        move = source.random()
        if len(model.known) < len(tasks) and move < 0.3:
            add_some(schedule, model, tasks, source)
        elif model.running and move < 0.6:
            end_one(schedule, model, source)
        else:
            launch_one(schedule, model)
        assert schedule.running == set(model.running)
        assert schedule.done == model.done
        assert schedule.failed == model.errors
    assert schedule.launch() is None
    assert schedule.done | schedule.failed.keys() == set(ids)
    assert not schedule.done & schedule.failed.keys()


@settings(deadline=None)
@given(trees())
def test_all_done_without_failures(tasks: list[Task]) -> None:
    schedule = Schedule()
    schedule.add(tasks)
    order: list[str] = []
    while (launched := schedule.launch()) is not None:
        order.append(launched.id)
        schedule.succeed(launched.id)
    assert sorted(order) == sorted(t.id for t in tasks)
    assert schedule.finished
    assert schedule.failed == {}


def test_longest_path_goes_first() -> None:
    schedule = Schedule()
    schedule.add(
        [
            task("short", None, "safety_tuning"),
            task("long", None, "compression"),
            task("below", "long", "attack"),
            task("far below", "below", "attack"),
        ]
    )
    first = schedule.launch()
    assert first is not None
    assert first.id == "long"


def test_waiting_task_moves_up_when_a_longer_path_is_added_below_it() -> None:
    schedule = Schedule()
    schedule.add([task("a", None, "safety_tuning"), task("b", None, "compression")])
    schedule.add([task("below b", "b", "safety_tuning")])
    first = schedule.launch()
    assert first is not None
    assert first.id == "b"


def test_task_twice_in_one_addition_runs_once() -> None:
    schedule = Schedule()
    twice = task("a", None, "attack")
    schedule.add([twice, twice])
    assert schedule.launch() == twice
    assert schedule.launch() is None
    schedule.succeed("a")
    assert schedule.finished


def test_child_added_below_a_running_task_waits() -> None:
    schedule = Schedule()
    schedule.add([task("a", None, "attack")])
    schedule.launch()
    schedule.add([task("b", "a", "attack")])
    assert schedule.launch() is None
    assert not schedule.finished
    schedule.succeed("a")
    launched = schedule.launch()
    assert launched is not None
    assert launched.id == "b"


def test_child_before_its_parent_is_refused() -> None:
    with pytest.raises(ValueError, match="task b came before its parent a"):
        Schedule().add([task("b", "a", "attack"), task("a", None, "attack")])


def test_ending_what_does_not_run_is_refused() -> None:
    schedule = Schedule()
    schedule.add([task("a", None, "attack")])
    with pytest.raises(KeyError):
        schedule.succeed("a")
    with pytest.raises(KeyError):
        schedule.fail("a", "broke")
