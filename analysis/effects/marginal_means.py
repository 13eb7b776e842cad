"""What a level of a factor, or of a pair of factors, measures on average, with an interval."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import polars as pl

from analysis.effects.factors import group_numbers, level_numbers, levels, varying_factors
from analysis.records.configurations import Floats, Mask, Whole
from analysis.uncertainty.draws import Draws
from analysis.uncertainty.links import LOGIT, link_of
from search_spaces.metrics import Metric

SCHEMA: dict[str, type[pl.DataType]] = {
    "factor": pl.String,
    "level": pl.String,
    "other_factor": pl.String,
    "other_level": pl.String,
    "metric": pl.String,
    "mean": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "configurations": pl.Int64,
    "left_out": pl.Int64,
}


def marginal_means(draws: Draws) -> pl.DataFrame:
    """One row a metric and level of every varying factor, and pair of levels of every two.

    `mean` in the metric's unit over the configurations of the level, every combination of the
    other factors with equal weight, and only those combinations that were measured at all levels,
    so that a grid with holes does not mix a level up with what it was tried with; `left_out` is how
    many of the level's configurations that leaves out, `mean` null where it leaves none in. `low`,
    `high`: 95 %, over the draws. `other_factor` and `other_level` are null for one factor alone.
    """
    table = draws.configurations.table
    names = varying_factors(table)
    chosen: list[tuple[str, ...]] = [(name,) for name in names]
    chosen += combinations(names, 2)
    parts = [
        _means(draws, metric, names, factors) for metric in draws.estimates for factors in chosen
    ]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *parts])


def _means(
    draws: Draws, metric: Metric, names: Sequence[str], factors: tuple[str, ...]
) -> pl.DataFrame:
    table = draws.configurations.table
    numbers = {name: level_numbers(table, name) for name in names}
    levelled = [numbers[factor] >= 0 for factor in factors]
    at = np.flatnonzero(np.all([~np.isnan(draws.estimates[metric]), *levelled], axis=0))
    if not len(at):
        return pl.DataFrame(schema=SCHEMA)
    level = group_numbers(*(numbers[factor][at] for factor in factors))
    others = [numbers[name][at] for name in names if name not in factors]
    rest = group_numbers(*others) if others else np.zeros(len(at), np.int64)
    kept = _everywhere(level, rest)
    weights = _weights(level, rest, kept)
    mean = draws.estimates[metric][at] @ weights
    low, high = _interval(mean, draws.values[metric][:, at] @ weights, metric)
    first = np.unique(level, return_index=True)[1]
    found = np.bincount(level[kept], minlength=len(first))
    any_left = found > 0

    def named(place: int) -> list[str | None]:
        if place >= len(factors):
            return [None] * len(first)
        words = levels(table, factors[place])
        return [words[number] for number in numbers[factors[place]][at][first]]

    def known(column: Floats) -> list[float | None]:
        return [float(x) if left else None for x, left in zip(column, any_left, strict=True)]

    columns = {
        "factor": [factors[0]] * len(first),
        "level": named(0),
        "other_factor": [factors[1] if len(factors) > 1 else None] * len(first),
        "other_level": named(1),
        "metric": [metric] * len(first),
        "mean": known(mean),
        "low": known(low),
        "high": known(high),
        "configurations": found,
        "left_out": np.bincount(level) - found,
    }
    return pl.DataFrame(columns, schema=SCHEMA)


def _interval(mean: Floats, values: Floats, metric: Metric) -> tuple[Floats, Floats]:
    """95 % around the mean, from its replicates (replicates, levels).

    Their own centre is off near 0 and 1: what is allowed for unseen answers, small for one
    configuration, is the same for all and does not average out.
    """
    centred = values - values.mean(axis=0) + mean
    low, high = np.percentile(centred, [2.5, 97.5], axis=0)
    if link_of(metric, mean) is LOGIT:
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    return low, high


def _everywhere(level: Whole, rest: Whole) -> Mask:
    """True where all levels were measured with the same rest: (configurations,)."""
    there = np.zeros((level.max() + 1, rest.max() + 1))
    there[level, rest] = 1
    return np.asarray(there.min(axis=0)[rest] > 0)


def _weights(level: Whole, rest: Whole, kept: Mask) -> Floats:
    """Each level's shares of the configurations: (configurations, levels), columns of sum 1 or 0.

    Configurations that no factor tells apart share one combination's weight.
    """
    combination = group_numbers(level, rest)
    share = np.where(kept, 1 / np.bincount(combination)[combination], 0)
    weights = np.zeros((len(level), level.max() + 1))
    weights[np.arange(len(level)), level] = share
    total = weights.sum(axis=0)
    return np.asarray(np.divide(weights, total, out=weights, where=total > 0), np.float64)
