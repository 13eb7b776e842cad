"""The two errors of a split plot on the log-odds scale: of trained checkpoints, and of cells.

Training seed is the whole plot, compression the sub-plot: what differs between checkpoints is
judged by how much repeated trainings differ, what differs within a checkpoint by how much repeated
cells differ. Variances come from repetitions of one configuration (pure error), so that no effect
enters them; by the method of Paule and Mandel (1982, J. Res. NBS 87:377).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from analysis.effects.factors import indicators
from analysis.effects.log_odds import CellLogOdds
from analysis.records.configurations import Floats, Mask, Whole

LARGEST_VARIANCE = 100.0
"""Log-odds squared; no rate varies more."""
LEAST_INFORMATION = 1.0
"""Of a unit that tells how repetitions vary: squares of rarer answers are no chi-squared."""


@dataclass(frozen=True)
class Nesting:
    """Numbers from 0 without gaps, for each cell."""

    configuration: Whole
    """All but the seeds."""
    checkpoint: Whole
    """The settings of the model before compression, all but the seed."""
    plot: Whole
    """The trained checkpoint: its settings and its seed."""

    @property
    def repeated(self) -> bool:
        """True if any checkpoint was trained more than once."""
        return bool(self.plot.max() > self.checkpoint.max())

    @property
    def first(self) -> Whole:
        """(plots,): one cell of each plot."""
        return np.unique(self.plot, return_index=True)[1]


@dataclass(frozen=True)
class Stratum:
    """Units that are judged by one error."""

    values: Floats
    """(units,) log-odds."""
    weights: Floats
    """(units,): one over the variance, repetition's included."""
    parts: Floats
    """(units, prompts): how far each prompt's answers moved the value."""
    answer_variances: Floats
    """(units,): what the answers alone explain."""
    variance: float
    """Between repetitions, beyond what the answers explain; log-odds squared."""
    dispersion: float
    """Mean square of repetitions over what it should be; below 1 only where the variance is 0."""
    degrees_of_freedom: float
    """Of the error; units that say little count less (Kish). 0 without repetitions."""


@dataclass(frozen=True)
class _Block:
    """Units that hold repetitions, and the columns that fit their configurations."""

    units: Whole
    design: Floats


def cell_stratum(cells: CellLogOdds, nesting: Nesting, additive: Floats) -> Stratum:
    """Cells within their plots.

    Where no training was repeated, nothing shows how repeated cells differ: then by what is left of
    `additive`, (cells, columns) of all pairs of factors, as in an experiment without replicates.
    """
    told = cells.variances <= 1 / LEAST_INFORMATION
    within = indicators(nesting.plot)
    if nesting.repeated:
        fit = np.hstack([within, indicators(nesting.configuration)])
        blocks = [_Block(units, fit[units]) for units in _members(nesting.checkpoint, told)]
    else:
        units = np.flatnonzero(told)
        blocks = [_Block(units, np.hstack([within, additive])[units])]
    return _stratum(cells, cells.variances, blocks)


def plot_stratum(cells: Stratum, nesting: Nesting, within: Floats) -> Stratum:
    """Plots: the weighted means of their cells.

    `within`: (cells, columns) fit what differs within plots. It is taken away first: the weights
    of compressions differ from plot to plot, and their effects must not.
    """
    total = np.bincount(nesting.plot, cells.weights)
    share = cells.weights / total[nesting.plot]
    design = np.hstack([indicators(nesting.plot), within])
    effects = weighted_least_squares(cells.values[:, None], design, cells.weights)
    level = cells.values - within @ effects[len(total) :, 0]
    parts = np.zeros((len(total), cells.parts.shape[1]))
    np.add.at(parts, nesting.plot, cells.parts * share[:, None])
    values = np.asarray(np.bincount(nesting.plot, share * level), np.float64)
    means = CellLogOdds(values, np.asarray(1 / total), parts)
    answers = np.asarray(np.bincount(nesting.plot, share**2 * cells.answer_variances), np.float64)
    blocks = [
        _Block(units, np.ones((len(units), 1)))
        for units in _members(nesting.checkpoint[nesting.first], answers <= 1 / LEAST_INFORMATION)
    ]
    return _stratum(means, answers, blocks)


def weighted_least_squares(values: Floats, design: Floats, weights: Floats) -> Floats:
    """The effects of the design's columns on (units, columns): (design columns, columns)."""
    root = np.sqrt(weights)[:, None]
    return np.asarray(np.linalg.lstsq(design * root, values * root, rcond=1e-9)[0], np.float64)


def _stratum(units: CellLogOdds, answers: Floats, blocks: Sequence[_Block]) -> Stratum:
    freedoms = [_freedom(block) for block in blocks]
    repeated = [block for block, found in zip(blocks, freedoms, strict=True) if found]
    freedom = sum(freedoms)

    def excess(variance: float) -> float:
        """Weighted squares of the repetitions beyond what is expected."""
        squares = 0.0
        for block in repeated:
            weights = 1 / (units.variances[block.units] + variance)
            values = units.values[block.units, None]
            design = block.design[:, block.design.any(axis=0)]
            left = values - design @ weighted_least_squares(values, design, weights)
            squares += float(weights @ left[:, 0] ** 2)
        return squares - freedom

    variance, dispersion = 0.0, 1.0
    if freedom and excess(0.0) <= 0:
        dispersion = 1 + excess(0.0) / freedom
    elif freedom:
        variance = float(brentq(excess, 0.0, LARGEST_VARIANCE))
    weights = 1 / (units.variances + variance)
    effective = 0.0
    if freedom:
        used = weights[np.concatenate([block.units for block in repeated])]
        effective = float(used.sum() ** 2 / (used**2).sum() / len(used)) * freedom
    return Stratum(units.values, weights, units.parts, answers, variance, dispersion, effective)


def _freedom(block: _Block) -> int:
    if not len(block.units):
        return 0
    used = block.design[:, block.design.any(axis=0)]
    return len(block.units) - int(np.linalg.matrix_rank(used))


def _members(numbers: Whole, told: Mask) -> list[Whole]:
    """The rows of each number, of those that are `told`."""
    found = [np.flatnonzero((numbers == number) & told) for number in np.unique(numbers)]
    return [rows for rows in found if len(rows)]
