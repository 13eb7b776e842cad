"""Partial pooling: configurations borrow strength from those that share their factors' levels."""

from dataclasses import replace

import numpy as np
import polars as pl

from analysis.records.configurations import Floats, varying
from analysis.uncertainty.draws import Draws
from analysis.uncertainty.links import Link, link_of
from search_spaces.metrics import Metric

POOLED_FACTORS = (
    "study", "model", "safety_examples", "safety_form", "attack_label", "compression_label",
    "calibration_data", "order",
)  # fmt: skip
GRID = 48
"""Points at which the spread's posterior is evaluated."""
FEWEST = 4
"""Configurations below which there is no spread to learn."""


def pooled(draws: Draws, seed: int = 0) -> Draws:
    """Draws whose noise does not exaggerate: each configuration is drawn towards what its factors'
    levels predict, the more the noisier it is.

    The best of many noisy values is too good (the winner's curse), so a front of raw draws lies
    beyond the true one. The prior is additive on the metric's scale with a normal departure from
    additivity, whose spread is learnt with its uncertainty (empirical Bayes: Efron and Morris
    1975; Gelman 2006). What does not vary, and fewer than four configurations, stay as they are.
    """
    rng = np.random.default_rng(seed)
    values = {}
    for metric, drawn in draws.values.items():
        link = link_of(metric, draws.estimates[metric])
        values[metric] = _pooled(draws, metric, link, drawn, rng)
    return replace(draws, values=values)


def _pooled(
    draws: Draws, metric: Metric, link: Link, drawn: Floats, rng: np.random.Generator
) -> Floats:
    known = ~np.isnan(draws.estimates[metric])
    noisy = known & (drawn.std(axis=0) > 0)
    if noisy.sum() < FEWEST:
        return drawn
    scaled = link.forward(drawn[:, noisy])
    design = _design(draws.configurations.table.filter(pl.Series(noisy)))
    hat = design @ np.linalg.pinv(design)
    free = 1 - np.diag(hat)
    centre = scaled.mean(axis=0)
    expected, departure = hat @ centre, centre - hat @ centre
    deviation = scaled - centre
    fitted = deviation @ hat.T
    residual = deviation - fitted
    variance = residual.var(axis=0)
    spread = _spreads(departure, variance, free, len(drawn), rng)[:, None]
    trusted = spread * free / (spread * free + variance)
    pooled = drawn.copy()
    pooled[:, noisy] = link.backward(
        expected + fitted + trusted * departure + np.sqrt(trusted) * residual
    )
    return pooled


def _spreads(
    departure: Floats, variance: Floats, free: Floats, size: int, rng: np.random.Generator
) -> Floats:
    """Draws of the variance of true departures from additivity, under a flat prior on its root."""
    widest = 4 * np.sqrt(np.mean(departure**2) + variance.mean())
    roots = np.linspace(0, widest, GRID + 1)[1:]
    total = roots[:, None] ** 2 * free + variance
    log_likelihood = -0.5 * (np.log(total) + departure**2 / total).sum(axis=1)
    # a fit of many columns leaves so many fewer independent departures
    log_likelihood *= free.sum() / len(free)
    weight = np.exp(log_likelihood - log_likelihood.max())
    drawn: Floats = rng.choice(roots, size, p=weight / weight.sum()) ** 2
    return drawn


def _design(table: pl.DataFrame) -> Floats:
    """Indicator columns of the levels of the factors that vary: (configurations, columns).

    Only the overall mean where there are too many levels to learn a departure from them.
    """
    columns = [np.ones(len(table))]
    for name in varying(table, POOLED_FACTORS):
        levels = table[name].drop_nulls().unique().sort().to_list()
        columns += [(table[name] == level).fill_null(False).to_numpy() for level in levels[1:]]
    design = np.stack(columns, axis=1).astype(float)
    return design if 2 * design.shape[1] <= len(table) else np.ones((len(table), 1))
