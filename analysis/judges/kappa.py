"""Cohen's kappa (Educational and Psychological Measurement 20, 1960) and its intervals: tables in,
numbers out."""

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.inter_rater import cohens_kappa

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
UNDEFINED_SHARE = 0.05
"""Of more undefined replicates than these the interval would be that of luckier samples."""


def kappa(tables: Floats) -> Floats:
    """Cohen's kappa of tables (..., 3, 3): (...); nan where a judge uses a single category."""
    total = tables.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = tables.sum(axis=-1) / total[..., None]
        columns = tables.sum(axis=-2) / total[..., None]
        observed = np.trace(tables, axis1=-2, axis2=-1) / total
        expected = (rows * columns).sum(axis=-1)
        value = (observed - expected) / (1 - expected)
    varied = ((rows > 0).sum(axis=-1) > 1) & ((columns > 0).sum(axis=-1) > 1)
    found: Floats = np.where(varied, value, np.nan)
    return found


def bootstrap_intervals(tables: Floats, replicates: int, seed: int) -> Floats:
    """Percentile intervals of kappa, (levels, 2), for tables (levels, prompts, 3, 3).

    Prompts are drawn again, with all that was answered to them; the same draws for every level.
    nan where kappa is undefined too often.
    """
    levels, prompts = tables.shape[:2]
    if not prompts:
        return np.full((levels, 2), np.nan)
    draws = np.random.default_rng(seed).multinomial(
        prompts, np.full(prompts, 1 / prompts), size=replicates
    )
    flat = tables.transpose(1, 0, 2, 3).reshape(prompts, -1)
    drawn = kappa((draws @ flat).reshape(replicates, levels, *tables.shape[2:]))
    undefined = np.isnan(drawn).mean(axis=0) > UNDEFINED_SHARE
    tail = (1 - CONFIDENCE) / 2
    bounds = np.full((levels, 2), np.nan)
    if not undefined.all():
        bounds[~undefined] = np.nanquantile(drawn[:, ~undefined], [tail, 1 - tail], axis=0).T
    return bounds


def analytic_interval(table: Floats) -> tuple[float, float]:
    """statsmodels' 95 % interval of a table (3, 3) of answers that are independent; nan if none."""
    if np.isnan(kappa(table)):
        return np.nan, np.nan
    found = cohens_kappa(table)
    return float(found.kappa_low), float(found.kappa_upp)
