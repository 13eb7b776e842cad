"""Plausible values of every configuration's metrics, given the prompts and seeds at hand.

Prompts: a Bayesian bootstrap (Rubin 1981) that all configurations share, so that differences are
paired, with half an unseen success and half an unseen failure for each (Jeffreys), so that a rate
of 128 in 128 is not certain. Training seeds: a split plot (whole plot: the model before
compression; sub-plot: the compressed model), whose variances are pooled over all configurations,
because two or three seeds say little about each one alone. `docs/decisions/0007` says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from analysis.records.configurations import Configurations, Floats, Mask, configurations, outcomes
from analysis.records.loading import Records
from analysis.uncertainty.links import link_of
from analysis.uncertainty.prompt_noise import (
    Reported,
    nan_mean,
    replicate_prompts,
    replicate_report,
)
from analysis.uncertainty.seed_noise import add_seed_noise, seed_variances
from search_spaces.metrics import RATES, Metric

REPLICATES = 2000
MEDIAN_ERROR = 0.415
"""Standard error of a median of five repetitions, in interquartile ranges of a normal: 1.2533 /
(1.349 sqrt 5)."""
COMPLEMENTS: dict[Metric, Metric] = {"harmful_compliance": "safety"}
"""Metrics that are one minus another: their draws must be, too."""


@dataclass(frozen=True)
class Draws:
    """Replicates of every configuration's metrics, paired: one replicate is one and the same draw
    of prompts for all configurations."""

    configurations: Configurations
    estimates: Mapping[Metric, Floats]
    """What was measured, by metric: (configurations,); nan where it was not."""
    values: Mapping[Metric, Floats]
    """Replicates, by metric: (replicates, configurations); nan where the estimate is."""
    noise: Mapping[Metric, str]
    """What the replicates vary by: `prompts`, `counts` or `standard errors`, with `and seeds`
    where some were repeated; or `nothing`."""

    def interval(self, metric: Metric, level: float = 0.95) -> tuple[Floats, Floats]:
        """The equal-tailed interval of each configuration: (low, high), each (configurations,)."""
        tail = 100 * (1 - level) / 2
        low, high = np.percentile(self.values[metric], [tail, 100 - tail], axis=0)
        return low, high

    def only(self, kept: Mask) -> "Draws":
        """The draws of some configurations: `kept` is (configurations,)."""
        return Draws(
            self.configurations.only(kept),
            {metric: found[kept] for metric, found in self.estimates.items()},
            {metric: found[:, kept] for metric, found in self.values.items()},
            self.noise,
        )


def draw(
    records: Records, metrics: Sequence[Metric], replicates: int = REPLICATES, seed: int = 0
) -> Draws:
    """Replicates of the metrics of all configurations that have an `ok` cell.

    From the responses where there are any; else from counts or standard errors (a parametric
    bootstrap); else without noise. Raises KeyError for a metric that the records lack.
    """
    groups = configurations(records)
    for metric in metrics:
        if len(groups) and metric not in groups.cells.columns:
            raise KeyError(
                f"no column {metric}; the records have: {', '.join(records.table.columns)}"
            )
    rng = np.random.default_rng(seed)
    weights: dict[str, Floats] = {}
    drawn = {
        metric: _draw_metric(records, groups, metric, replicates, weights, rng)
        for metric in dict.fromkeys(COMPLEMENTS.get(metric, metric) for metric in metrics)
    }
    drawn |= {m: drawn[other].complement() for m, other in COMPLEMENTS.items() if m in metrics}
    return Draws(
        groups,
        {metric: drawn[metric].estimates for metric in metrics},
        {metric: drawn[metric].values for metric in metrics},
        {metric: drawn[metric].noise for metric in metrics},
    )


@dataclass(frozen=True)
class _Drawn:
    """One metric's part of Draws."""

    estimates: Floats
    values: Floats
    noise: str

    def complement(self) -> "_Drawn":
        return _Drawn(1 - self.estimates, 1 - self.values, self.noise)


def _draw_metric(
    records: Records,
    groups: Configurations,
    metric: Metric,
    replicates: int,
    weights: dict[str, Floats],
    rng: np.random.Generator,
) -> _Drawn:
    column = _column(groups, metric)
    link = link_of(metric, column)
    measured = groups.by_unit(column)
    answered = _answered(records, groups, metric)
    if answered is None:
        reported = _reported(groups, metric)
        replicated = replicate_report(reported, link, replicates, rng)
    else:
        prompt_set = RATES[metric].prompt_set
        if prompt_set not in weights:
            # all metrics of the set share them: what refuses more complies less
            weights[prompt_set] = rng.standard_exponential((replicates, answered.shape[2]))
        replicated = replicate_prompts(answered, weights[prompt_set], rng)
    variances = seed_variances(groups, link, measured, replicated.covariance)
    values, by = replicated.values, [replicated.by] if replicated.by else []
    if variances is not None and variances.whole + variances.sub > 0:
        units = (~np.isnan(measured)).sum(axis=1)
        values = add_seed_noise(groups, link, replicated, variances, units, rng)
        by.append("seeds")
    estimates = nan_mean(measured, axis=1)
    values[:, np.isnan(estimates)] = np.nan
    return _Drawn(estimates, values, " and ".join(by) or "nothing")


def _answered(records: Records, groups: Configurations, metric: Metric) -> Floats | None:
    """Outcomes (configurations, units, prompts); None where a measured cell kept no responses."""
    if metric not in RATES or records.responses.is_empty():
        return None
    found = outcomes(records, groups.cells, metric)
    if (np.isnan(found).all(axis=1) & ~np.isnan(_column(groups, metric))).any():
        return None
    return groups.by_unit(found)


def _reported(groups: Configurations, metric: Metric) -> Reported:
    errors = _column(groups, f"{metric}_se")
    repeated = _column(groups, f"{metric}_iqr")
    errors = np.where(np.isnan(errors), MEDIAN_ERROR * repeated, errors)
    columns = (_column(groups, metric), errors, _column(groups, f"{metric}_n"))
    return Reported(*(nan_mean(groups.by_unit(column), axis=1) for column in columns))


def _column(groups: Configurations, name: str) -> Floats:
    if name not in groups.cells.columns:
        return np.full(len(groups.cells), np.nan)
    return groups.cells[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
