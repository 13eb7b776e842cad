"""Peak memory of what runs inside a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

PROCESS = Path("/proc/self")
RESET_PEAK = "5"
"""What Linux takes in clear_refs to begin a new peak."""


@dataclass
class Peak:
    """The most that was held, known once the block has ended."""

    peak_bytes: int | None = None


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """On a GPU what torch allocates there, on a CPU the process's resident set.

    None where the system does not tell.
    """
    peak = Peak()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        yield peak
        peak.peak_bytes = torch.cuda.max_memory_allocated()
        return
    could_reset = _reset_resident_peak()
    yield peak
    peak.peak_bytes = _resident_peak() if could_reset else None


def _reset_resident_peak() -> bool:
    try:
        (PROCESS / "clear_refs").write_text(RESET_PEAK)
    except OSError:
        return False
    return True


def _resident_peak() -> int | None:
    for line in (PROCESS / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
