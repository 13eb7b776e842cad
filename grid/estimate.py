"""How long missing work takes, from the stages that were timed."""

from collections.abc import Mapping, Sequence
from statistics import median

from grid.stage import Kind


def seconds_of(missing: Mapping[Kind, int], timed: Mapping[Kind, Sequence[float]]) -> float | None:
    """Seconds of stage work; None where a missing kind was never timed.

    By medians: the first stages of a kind may compile kernels for half a minute.
    """
    wanted = {kind: count for kind, count in missing.items() if count}
    if any(not timed.get(kind) for kind in wanted):
        return None
    return sum((count * median(timed[kind]) for kind, count in wanted.items()), 0.0)
