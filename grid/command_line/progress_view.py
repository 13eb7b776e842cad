"""Live progress on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from grid.execution.coordination import Progress as Snapshot
from grid.plan import Plan
from grid.stage import KINDS

PLAIN_EVERY_SECONDS = 10.0
LABELS = {
    "safety_tuning": "safety tuning",
    "attack": "attack",
    "compression": "compression",
    "evaluation": "evaluation",
}


def _stderr() -> Console:
    # the stream as it is now: while a stage runs, its libraries' output is held back
    return Console(file=sys.stderr)


@contextmanager
def progress_view(plan: Plan) -> Iterator[Callable[[Snapshot], None]]:
    """A function that shows a snapshot of the run, as it changes."""
    console = _stderr()
    console.print(
        f"{len(plan.cells)} cells, {len(plan.stages)} stages to compute once "
        f"({plan.saved} executions saved by sharing)",
        highlight=False,
    )
    if not console.is_terminal:
        yield _PlainView(console)
        return
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"), TimeElapsedColumn(), console=console,
    )  # fmt: skip
    rows = {k: bars.add_task(LABELS[k], total=n, note="") for k, n in plan.unique().items()}
    cells = bars.add_task("[bold]cells", total=len(plan.cells), note="starting")

    def show(snapshot: Snapshot) -> None:
        for kind in KINDS:
            bars.update(rows[kind], completed=snapshot.stages_done[kind])
        ended = snapshot.cells_ok + snapshot.cells_failed
        bars.update(cells, completed=ended, note=_note(snapshot))

    with Live(bars, console=console, refresh_per_second=4):
        yield show


class _PlainView:
    """A line now and then, and one at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()
        self._shown_at = -PLAIN_EVERY_SECONDS
        self._line = ""

    def __call__(self, snapshot: Snapshot) -> None:
        now = time.monotonic() - self._start
        complete = snapshot.cells_ok + snapshot.cells_failed == snapshot.cells_total
        line = _plain_line(snapshot)
        due = complete or now - self._shown_at >= PLAIN_EVERY_SECONDS
        if due and line != self._line:
            self._console.print(
                f"[{now:5.0f} s] {line}", highlight=False, markup=False, soft_wrap=True
            )
            self._shown_at, self._line = now, line


def _plain_line(snapshot: Snapshot) -> str:
    stages = ", ".join(
        f"{LABELS[kind]} {snapshot.stages_done[kind]}/{snapshot.stages_total[kind]}"
        for kind in KINDS
    )
    ended = snapshot.cells_ok + snapshot.cells_failed
    return f"cells {ended}/{snapshot.cells_total} ({_note(snapshot)}); {stages}"


def _note(snapshot: Snapshot) -> str:
    failed = f"{snapshot.cells_failed} failed" if snapshot.cells_failed else "none failed"
    if snapshot.seconds_left is None or snapshot.stages_missing == 0:
        return failed
    return f"{failed}, about {_duration(snapshot.seconds_left)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@contextmanager
def steps_view(title: str) -> Iterator[Callable[[int, int], None]]:
    """A function that shows step and total of one long work; silent if it is never called."""
    console = _stderr()
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console,
    )  # fmt: skip
    task = bar.add_task(title, total=None)
    started = False

    def on_step(step: int, total: int) -> None:
        nonlocal started
        if not started and console.is_terminal:
            bar.start()
        elif not started:
            console.print(f"{title} ({total} steps)", highlight=False)
        started = True
        bar.update(task, completed=step, total=total)

    try:
        yield on_step
    finally:
        bar.stop() if started and console.is_terminal else None
