"""Peak memory of what runs inside a block."""

import ctypes
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
    """How far memory rose above what was held before, known once the block has ended."""

    rise_bytes: int | None = None


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """On a GPU what torch allocates there, on a CPU the process's resident set.

    None where the system does not tell.
    """
    peak = Peak()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        yield peak
        peak.rise_bytes = torch.cuda.max_memory_allocated() - held
        return
    _return_free_memory()
    before = _resident("VmRSS") if _reset_resident_peak() else None
    yield peak
    after = _resident("VmHWM")
    peak.rise_bytes = None if before is None or after is None else max(0, after - before)


def _return_free_memory() -> None:
    """Let the C library give back what it holds free, or using it again would look like nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _reset_resident_peak() -> bool:
    try:
        (PROCESS / "clear_refs").write_text(RESET_PEAK)
    except OSError:
        return False
    return True


def _resident(field: str) -> int | None:
    """Bytes that /proc says of this process."""
    for line in (PROCESS / "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None
