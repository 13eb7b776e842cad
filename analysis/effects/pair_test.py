"""Tests a pair of factors in its stratum: do the log-odds depart from additivity, and where."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.effects.strata import Stratum, weighted_least_squares
from analysis.records.configurations import Floats, Mask

LEAST_INFORMATION = 0.1
"""Of a direction that is tested: a standard error above 3 log-odds says nothing."""


@dataclass(frozen=True)
class PairTest:
    """An F test, and the pair of levels whose departure is clearest."""

    statistic: float
    degrees_of_freedom: int
    error_degrees_of_freedom: float
    p_value: float
    clearest: int
    """The column of the pair's design."""
    departure: float
    """How far this pair of levels is off what all others say; log-odds."""
    low: float
    high: float
    """95 % for all pairs of levels at once (Bonferroni)."""


def pair_test(stratum: Stratum, base: Floats, pair: Floats, told: Mask) -> PairTest | None:
    """F test of the directions that the data say something about; None where there are none.

    `base`: (units, columns) all else that varies; `pair`: (units, level pairs), 1 where a unit has
    both levels; `told`: (level pairs,) those that a departure may be read of.
    """
    weights = stratum.weights
    own = pair - base @ weighted_least_squares(pair, base, weights)
    information, directions = np.linalg.eigh((own.T * weights) @ own)
    kept = information > LEAST_INFORMATION
    shift_information = (own**2 * weights[:, None]).sum(axis=0)
    known = told & (shift_information > LEAST_INFORMATION)
    if not kept.any() or not known.any():
        return None
    # scores.T @ values have variance 1 where nothing interacts
    scores = (own @ (directions[:, kept] / np.sqrt(information[kept]))) * weights[:, None]
    freedom = int(kept.sum())
    error_freedom = stratum.degrees_of_freedom
    dispersion = _dispersion(stratum, scores)
    statistic = float(((scores.T @ stratum.values) ** 2).sum()) / freedom / dispersion

    shifts = (own.T * weights) @ stratum.values / np.where(known, shift_information, np.inf)
    errors = np.sqrt(dispersion / np.where(known, shift_information, 1.0))
    clearest = int(np.argmax(np.abs(shifts) / errors))
    reach = float(stats.t.isf(0.025 / known.sum(), error_freedom) * errors[clearest])
    departure = float(shifts[clearest])
    return PairTest(
        statistic,
        freedom,
        error_freedom,
        float(stats.f.sf(statistic, freedom, error_freedom)),
        clearest,
        departure,
        departure - reach,
        departure + reach,
    )


def _dispersion(stratum: Stratum, scores: Floats) -> float:
    """Variance of the scores over what the weights say, from both clusterings.

    As of two-way clustering (Cameron, Gelbach and Miller 2011, J. Bus. Econ. Stat. 29:238): what
    repetitions show, plus what prompts show, minus what the answers alone explain, as both hold it.
    """
    prompts = stratum.parts.shape[1]
    by_prompt = scores.T @ stratum.parts
    spread = float(((by_prompt - by_prompt.mean(axis=1, keepdims=True)) ** 2).sum())
    answers = float((scores**2 * stratum.answer_variances[:, None]).sum())
    beyond = (spread * prompts / max(prompts - 1, 1) - answers) / scores.shape[1]
    # prompts add to the error or not at all; below 0 the difference is noise
    return stratum.dispersion + max(beyond, 0.0)
