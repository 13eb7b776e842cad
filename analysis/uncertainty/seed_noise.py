"""Adds what other training seeds would have shown: a split plot, its variances pooled."""

from dataclasses import dataclass

import numpy as np

from analysis.records.configurations import Configurations, Floats, Whole
from analysis.uncertainty.links import LOGIT, Link
from analysis.uncertainty.prompt_noise import Replicated, nan_mean

INNER = 1e-3
"""Rates are kept this far from 0 and 1 where noise is carried over to the logit."""


@dataclass(frozen=True)
class SeedVariances:
    """Variances between seeds on a link's scale, and what they were estimated from."""

    whole: float
    """Of the model before compression, which its compressions share."""
    sub: float
    """Of the compressed model by itself."""
    degrees_of_freedom: int


def seed_variances(
    groups: Configurations, link: Link, measured: Floats, covariance: Floats
) -> SeedVariances | None:
    """By moments, pooled over all configurations; None where nothing was repeated.

    `measured`: (configurations, units); `covariance`: what of it is no seed's, (configurations,
    configurations).
    """
    units = (~np.isnan(measured)).sum(axis=1)
    repeated = units >= 2
    if not repeated.any():
        return None
    measured, freedom = measured[repeated], units[repeated] - 1
    checkpoint = groups.checkpoint[repeated]
    means = nan_mean(measured, axis=1)
    slopes = link.slope(np.clip(means, INNER, 1 - INNER) if link is LOGIT else means)
    residual = np.nan_to_num(measured - means[:, None])
    spread = residual @ residual.T / np.sqrt(np.outer(freedom, freedom))
    spread -= covariance[np.ix_(repeated, repeated)]
    scale = np.outer(slopes, slopes)
    total = max(0.0, float(np.trace(spread) / np.trace(scale)))
    siblings = np.equal.outer(checkpoint, checkpoint) & ~np.eye(len(checkpoint), dtype=bool)
    shared = float(spread[siblings].sum() / scale[siblings].sum()) if siblings.any() else 0.0
    whole = min(max(0.0, shared), total)
    return SeedVariances(whole, total - whole, _degrees_of_freedom(checkpoint, freedom))


def add_seed_noise(
    groups: Configurations,
    link: Link,
    replicated: Replicated,
    variances: SeedVariances,
    units: Whole,
    rng: np.random.Generator,
) -> Floats:
    """Replicates that vary by seeds as well: (replicates, configurations).

    Widened by the chi-squared of the degrees of freedom, so that intervals are Student's t.
    """
    size = replicated.values.shape
    freedom = variances.degrees_of_freedom
    widening = np.sqrt(freedom / rng.chisquare(freedom, (size[0], 1)))
    checkpoint = groups.checkpoint
    plots = rng.standard_normal((size[0], checkpoint.max() + 1))
    deviation = np.sqrt(variances.whole) * plots[:, checkpoint]
    deviation += np.sqrt(variances.sub) * rng.standard_normal(size)
    deviation *= widening * groups.repeated / np.sqrt(np.maximum(units, 1))
    return link.backward(link.forward(replicated.values) + deviation)


def _degrees_of_freedom(checkpoint: Whole, freedom: Whole) -> int:
    """Each whole plot counts once, however many compressions it has."""
    _, first = np.unique(checkpoint, return_index=True)
    return int(freedom[first].sum())
