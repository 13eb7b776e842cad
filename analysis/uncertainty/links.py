"""Scales on which noise is about the same for large and small values: logit, log, or none."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from analysis.records.configurations import Floats
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


def link_of(metric: Metric, values: Floats) -> Link:
    """Logit for shares; log for what is positive; none for rates given as scores (0 to 100).

    `values`: what was measured, nan where it was not.
    """
    known = values[~np.isnan(values)]
    if metric in RATES:
        return LOGIT if ((known >= 0) & (known <= 1)).all() else IDENTITY
    return LOG if (known > 0).all() else IDENTITY
