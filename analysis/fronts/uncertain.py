"""How surely a configuration is on the front, and where else the front could lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import moocore
import numpy as np
import polars as pl

from analysis.fronts.dominance import (
    bound_to_device,
    knee,
    losses,
    nondominated,
    refuse_several_devices,
)
from analysis.records.configurations import Floats, Mask, Whole
from analysis.uncertainty.draws import Draws
from analysis.uncertainty.pooling import pooled
from search_spaces.metrics import RATES, Metric
from search_spaces.space import Objective

BEYOND_WORST = 0.1
"""The reference point lies so much of an objective's range beyond its worst value."""
PLAUSIBLE = 0.1
"""What is less probable is not on the front. Of several that differ by less than their standard
errors, each may be the best: all of them are plausible."""
ATTAINMENT_REPLICATES = 400
VOROBEV_REPLICATES = 200
VOROBEV_SAMPLES = 4000
"""Points of the box at which it is asked who attains them: shares are good to about .01."""


@dataclass(frozen=True)
class UncertainFront:
    """A front, and what it could have been with other prompts and seeds."""

    draws: Draws
    """Of the configurations that have all objectives; as measured, not pooled."""
    objectives: tuple[Objective, ...]
    table: pl.DataFrame
    """One row a configuration: its columns, and `on_front`, `rank` (0: the front), `probability`
    (of being non-dominated), `plausible` (that is at least PLAUSIBLE), `knee`, `knee_share` (how
    often it is the knee), `hypervolume_contribution`, and for each objective `<metric>`,
    `<metric>_low`, `<metric>_high` (95 %)."""
    hypervolume: float
    """Share of the box between the best and the reference point that the front dominates."""
    hypervolume_low: float
    hypervolume_high: float
    """95 % interval of the share; what was measured may lie above it (the winner's curse)."""
    replicates: Floats
    """Pooled draws as losses, scaled to the box: (replicates, configurations, objectives)."""
    kept: Mask
    """Which configurations each replicate's front has: (replicates, configurations)."""

    @cached_property
    def vorobev_deviation(self) -> float:
        """Mean share of the box by which a possible front differs from their Vorob'ev mean."""
        return vorobev_deviation(self.replicates, self.kept, np.random.default_rng(0))


def uncertain_fronts(
    draws: Draws, objectives: Sequence[Objective], seed: int = 0
) -> dict[str, UncertainFront]:
    """The front of each device, where an objective depends on it; else one, of any device."""
    if not bound_to_device(objectives):
        return {"": uncertain_front(draws, objectives, seed)}
    devices = draws.configurations.table["device"].fill_null("")
    return {
        device: uncertain_front(draws.only((devices == device).to_numpy()), objectives, seed)
        for device in devices.unique().sort()
    }


def uncertain_front(draws: Draws, objectives: Sequence[Objective], seed: int = 0) -> UncertainFront:
    """The front of the configurations that have every objective.

    Probabilities and intervals are those of partially pooled draws
    (`analysis.uncertainty.pooling`). Raises ValueError if a device-bound objective was measured on
    several devices.
    """
    draws = _complete(draws, objectives)
    refuse_several_devices(draws.configurations.table["device"].to_list(), objectives)
    measured = _points(draws.estimates, objectives)
    replicates = _points(pooled(draws, seed).values, objectives)
    box = _box(measured, replicates, objectives)
    measured, replicates = _scaled(measured, box), _scaled(replicates, box)
    kept = _nondominated_each(replicates)
    table = _table(draws, objectives).with_columns(
        on_front=pl.Series(nondominated(measured)),
        rank=pl.Series(_ranks(measured), dtype=pl.Int64),
        probability=pl.Series(kept.mean(axis=0)),
        plausible=pl.Series(kept.mean(axis=0) >= PLAUSIBLE),
        knee=pl.Series(_knees(measured[None], nondominated(measured)[None])[0]),
        knee_share=pl.Series(_knees(replicates, kept).mean(axis=0)),
        hypervolume_contribution=pl.Series(_contributions(measured), dtype=pl.Float64),
    )
    shares = [_hypervolume(points[on]) for points, on in zip(replicates, kept, strict=True)]
    low, high = np.percentile(shares, [2.5, 97.5])
    share = _hypervolume(measured)
    return UncertainFront(draws, tuple(objectives), table, share, low, high, replicates, kept)


def attainment(
    draws: Draws, objectives: tuple[Objective, Objective], levels: Sequence[float] = (5, 50, 95)
) -> pl.DataFrame:
    """What share of the possible fronts of two objectives attain: the corners of a staircase each.

    Columns: `level` (percent of the fronts that reach at least so far), and the two metrics, in
    order of the first. Empirical attainment functions by moocore (Fonseca et al. 2011).
    """
    names = [objective.metric for objective in objectives]
    replicates = _points(pooled(_complete(draws, objectives)).values, objectives)[
        :ATTAINMENT_REPLICATES
    ]
    points, sets = _stacked(replicates, _nondominated_each(replicates))
    found = moocore.eaf(points, sets, percentiles=list(levels))
    values = losses(np.asarray(found[:, :2]), objectives)
    table = pl.DataFrame({"level": found[:, 2], names[0]: values[:, 0], names[1]: values[:, 1]})
    return table.sort("level", names[0])


def _complete(draws: Draws, objectives: Sequence[Objective]) -> Draws:
    """The configurations that have every objective."""
    measured = _points(draws.estimates, objectives)
    return draws.only(np.asarray(~np.isnan(measured).any(axis=1)))


def _points(by_metric: Mapping[Metric, Floats], objectives: Sequence[Objective]) -> Floats:
    """Losses (..., configurations, objectives); a single objective gets a constant beside it,
    because moocore wants two."""
    values = [by_metric[objective.metric] for objective in objectives]
    points = losses(np.stack(values, axis=-1), objectives)
    return points if len(objectives) > 1 else np.concatenate([points, 0 * points], axis=-1)


def _box(measured: Floats, replicates: Floats, objectives: Sequence[Objective]) -> Floats:
    """Ideal and reference point, in losses: (2, objectives). All of 0 to 1 for shares, so that
    fronts of several studies can be compared; else from the best of the replicates to somewhat
    beyond the worst that was measured."""
    box = np.stack([np.zeros(measured.shape[1]), np.ones(measured.shape[1])])
    for column, objective in enumerate(objectives if len(measured) else ()):
        values = measured[:, column]
        if objective.metric in RATES and (np.abs(values) <= 1).all():
            box[:, column] = sorted(losses(np.array([[0.0], [1.0]]), [objective])[:, 0])
        else:
            width = values.max() - values.min() or 1.0
            box[:, column] = replicates[:, :, column].min(), values.max() + BEYOND_WORST * width
    return box


def _scaled(points: Floats, box: Floats) -> Floats:
    """Losses as shares of the box: 0 is ideal, 1 the reference."""
    scaled: Floats = (points - box[0]) / np.where(box[1] > box[0], box[1] - box[0], 1.0)
    return scaled


def _nondominated_each(replicates: Floats) -> Mask:
    """Which configurations are on each replicate's front: (replicates, configurations)."""
    count, configurations, objectives = replicates.shape
    if not configurations:
        return np.zeros((count, 0), dtype=bool)
    sets = np.repeat(np.arange(count), configurations)
    flat = replicates.reshape(-1, objectives)
    kept = moocore.is_nondominated_within_sets(flat, sets, keep_weakly=True)
    return np.asarray(kept, dtype=bool).reshape(count, configurations)


def _ranks(points: Floats) -> list[int]:
    return [int(rank) for rank in moocore.pareto_rank(points)] if len(points) else []


def _knees(replicates: Floats, kept: Mask) -> Mask:
    chosen = np.zeros(kept.shape, dtype=bool)
    for number, (points, on) in enumerate(zip(replicates, kept, strict=True)):
        if on.any():
            chosen[number, np.flatnonzero(on)[knee(points[on])]] = True
    return chosen


def _hypervolume(points: Floats) -> float:
    return float(moocore.hypervolume(points, ref=1.0)) if len(points) else 0.0


def _contributions(points: Floats) -> list[float]:
    return list(moocore.hv_contributions(points, ref=1.0)) if len(points) else []


def vorobev_deviation(replicates: Floats, kept: Mask, rng: np.random.Generator) -> float:
    """Mean share of the box by which fronts differ from their Vorob'ev mean (Binois et al. 2015).

    The mean is the part of the box that at least a share of the fronts attain, the share chosen
    such that it is as large as their average. `replicates`: losses, scaled to the box (replicates,
    points, objectives); `kept`: each one's front. At random points of the box: exact attainment
    takes moocore minutes for three objectives, and exists for no more.
    """
    replicates, kept = replicates[:VOROBEV_REPLICATES], kept[:VOROBEV_REPLICATES]
    samples = rng.random((VOROBEV_SAMPLES, replicates.shape[2]))
    attained = np.stack(
        [
            (points[on][:, None] <= samples).all(axis=2).any(axis=0)
            for points, on in zip(replicates, kept, strict=True)
        ]
    )
    share = attained.mean(axis=0)
    size = round(float(attained.mean()) * len(samples))
    mean = np.zeros(len(samples), dtype=bool)
    mean[np.argsort(-share, kind="stable")[:size]] = True
    return float((attained != mean).mean())


def _stacked(replicates: Floats, kept: Mask) -> tuple[Floats, Whole]:
    """The points of all fronts, and which front each is of."""
    return replicates[kept], np.repeat(np.arange(len(replicates)), kept.sum(axis=1))


def _table(draws: Draws, objectives: Sequence[Objective]) -> pl.DataFrame:
    table = draws.configurations.table
    for objective in objectives:
        metric = objective.metric
        low, high = draws.interval(metric)
        columns = (draws.estimates[metric], low, high)
        names = (metric, f"{metric}_low", f"{metric}_high")
        table = table.with_columns(
            **{name: pl.Series(column) for name, column in zip(names, columns, strict=True)}
        )
    return table
