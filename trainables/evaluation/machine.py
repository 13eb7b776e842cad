"""How busy the machine was with other work while something was timed."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CPU_TIMES = Path("/proc/stat")
BUSY = (1, 2, 3, 6, 7, 8)
"""Columns of its first line that count work: user, nice, system, irq, softirq, steal."""


@dataclass
class Load:
    """What other processes took, known once the block has ended."""

    cpus: float | None = None
    """How many CPUs they kept busy on average; None where the system does not tell."""


@contextmanager
def others_load() -> Iterator[Load]:
    """Watch what other processes of this machine do while the block runs."""
    load = Load()
    busy, own, start = _busy_seconds(), time.process_time(), time.perf_counter()
    yield load
    after, seconds = _busy_seconds(), time.perf_counter() - start
    if busy is not None and after is not None:
        others = (after - busy) - (time.process_time() - own)
        load.cpus = max(0.0, others / seconds)


def _busy_seconds() -> float | None:
    """CPU seconds that the machine has worked since it started, all CPUs together."""
    try:
        fields = CPU_TIMES.read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    ticks: int = os.sysconf("SC_CLK_TCK")
    return sum(int(fields[column]) for column in BUSY) / ticks
