"""An estimate with its count and standard error."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` observations with its standard error; null where it has no value."""

    value: float | None
    n: int
    se: float | None


def rate(outcomes: Iterable[bool]) -> Estimate:
    """The share of true outcomes; its standard error is sqrt(p (1 - p) / n)."""
    observed = list(outcomes)
    n = len(observed)
    if n == 0:
        return Estimate(None, 0, None)
    share = sum(observed) / n
    return Estimate(share, n, math.sqrt(share * (1 - share) / n))
