"""Scales on which noise is about the same for large and small values: logit, log, or none."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import expit, logit

from analysis.configurations import Floats
from search_spaces.metrics import RATES, Metric

EDGE = 1e-9
"""Rates closer to 0 or 1 than this are moved there: their logit must be finite."""


@dataclass(frozen=True)
class Link:
    """A scale, its inverse, and how fast values change along it."""

    forward: Callable[[Floats], Floats]
    backward: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    """d value / d scale, at a value."""


LOGIT = Link(
    lambda values: logit(np.clip(values, EDGE, 1 - EDGE)),
    lambda scaled: expit(scaled),
    lambda values: values * (1 - values),
)
LOG = Link(np.log, np.exp, lambda values: values)
IDENTITY = Link(lambda values: values, lambda scaled: scaled, np.ones_like)


def link_of(metric: Metric, values: pl.Series) -> Link:
    """Logit for shares; log for what is positive; none for rates given as scores (0 to 100)."""
    known = values.drop_nulls()
    if metric in RATES:
        return LOGIT if known.is_between(0, 1).all() else IDENTITY
    return LOG if (known > 0).all() else IDENTITY
