"""Two rates over the same prompts: exact test, interval, and whether one is no worse."""

import numpy as np
from scipy import stats

from analysis.records.configurations import Floats


def mcnemar_p_values(only_first: Floats, only_second: Floats) -> Floats:
    """Exact McNemar's test of equal rates, two-sided, from the discordant counts: (pairs,)."""
    discordant = only_first + only_second
    tail = stats.binom.cdf(np.minimum(only_first, only_second), discordant, 0.5)
    return np.asarray(np.minimum(2 * tail, 1), np.float64)


def difference_and_error(
    only_first: Floats, only_second: Floats, prompts: Floats
) -> tuple[Floats, Floats]:
    """Second rate minus first, with half an answer added to each of the four counts, and its
    standard error: (pairs,) each. Normal intervals from them hold their level with few discordant
    prompts, too (Agresti and Min 2005, Stat. Med. 24:729)."""
    total = prompts + 2
    gain = only_second - only_first
    difference = gain / total
    error = np.sqrt(only_first + only_second + 1 - gain**2 / total) / total
    return difference, error


def holm(p_values: Floats) -> Floats:
    """Adjusted for all of them at once (Holm 1979); nan is no member of the family and stays nan.

    statsmodels' own collects garbage at every call, which takes longer than all else here.
    """
    ascending = np.argsort(p_values)[: int((~np.isnan(p_values)).sum())]
    steps = p_values[ascending] * np.arange(len(ascending), 0, -1)
    adjusted = np.full(len(p_values), np.nan)
    adjusted[ascending] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted
