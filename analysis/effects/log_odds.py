"""Each cell's log-odds of a rate, as one number with its information, so that linear models apply.

A logistic model with an effect of every prompt, as every cell answers the same ones: without it,
factors that are additive for each prompt are not for the average (the average logistic is flatter).
Fitted by penalised quasi-likelihood (Breslow and Clayton 1993, J. Am. Stat. Assoc. 88:9): effects
of prompts, of trained checkpoints and of cells are shrunk by variances that are estimated along, so
that a cell at 0 or 1 gets finite log-odds with hardly any information.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from analysis.records.configurations import Floats, Whole

SWEEPS = 200
TOLERANCE = 1e-3
"""In log-odds: no effect of the last sweep moved further."""
LARGEST_STEP = 1.0
"""In log-odds: longer Newton steps may not come back from where the logistic is flat."""
LEAST_VARIANCE = 1e-4
LEAST_INFORMATION = 1e-6
"""Of a cell; a log-odds with a standard error of 1000 says nothing."""


@dataclass(frozen=True)
class CellLogOdds:
    """A linear working model: each value is the sum of what the prompts say."""

    values: Floats
    """(cells,)"""
    variances: Floats
    """(cells,), from the answers alone: one over the sum of rate * (1 - rate) over the prompts."""
    parts: Floats
    """(cells, prompts): how far each prompt's answer moved the value; 0 where there is none."""


@dataclass
class _Shrunk:
    """Effects of one kind, normal around 0; `of` maps each to its answers' sums."""

    effects: Floats
    variance: float

    def step(self, score: Floats, information: Floats) -> float:
        """A Newton step each, then the variance's own (EM); returns the longest step."""
        precision = information + 1 / self.variance
        steps = _bounded((score - self.effects / self.variance) / precision)
        self.effects += steps
        self.variance = max(float(np.mean(self.effects**2 + 1 / precision)), LEAST_VARIANCE)
        return float(np.abs(steps).max())


def cell_log_odds(outcomes: Floats, design: Floats, checkpoint: Whole) -> CellLogOdds:
    """The working model of `outcomes` (cells, prompts; 1, 0 or nan).

    `design` (cells, columns) holds the main effects, `checkpoint` (cells,) numbers the trained
    models. A prompt that all cells answer alike says nothing about factors and is left out;
    without any other prompt the variances are the largest there are.
    """
    known = ~np.isnan(outcomes)
    counted = np.where(known, outcomes, 0)
    told = (counted.sum(axis=0) > 0) & (counted.sum(axis=0) < known.sum(axis=0))
    known, counted = known[:, told], counted[:, told]
    if not told.any():
        nothing = np.full(len(outcomes), 1 / LEAST_INFORMATION)
        return CellLogOdds(np.zeros(len(outcomes)), nothing, counted)
    cells, prompts = counted.shape
    fixed = np.zeros(design.shape[1])
    of_prompt = _Shrunk(np.zeros(prompts), 1.0)
    of_checkpoint = _Shrunk(np.zeros(checkpoint.max() + 1), 0.1)
    of_cell = _Shrunk(np.zeros(cells), 0.05)

    def predicted() -> tuple[Floats, Floats]:
        """(cells,) log-odds of the average prompt; (cells, prompts) rates."""
        log_odds = design @ fixed + of_checkpoint.effects[checkpoint] + of_cell.effects
        return log_odds, expit(log_odds[:, None] + of_prompt.effects)

    def told_by(axis: int) -> tuple[Floats, Floats]:
        """Sums of answer minus rate, and of rate * (1 - rate), along an axis."""
        _, rates = predicted()
        score = np.where(known, counted - rates, 0).sum(axis=axis)
        return score, np.where(known, rates * (1 - rates), 0).sum(axis=axis)

    for _ in range(SWEEPS):
        score, information = told_by(axis=1)
        curvature = (design.T * information) @ design
        # a level at 0 or 1 throughout has no finite effect: the ridge holds it where it is
        curvature += np.diag(1e-6 + 1e-8 * np.diag(curvature))
        step = _bounded(np.asarray(np.linalg.solve(curvature, design.T @ score), np.float64))
        fixed += step
        longest = [float(np.abs(step).max()), of_prompt.step(*told_by(axis=0))]
        score, information = told_by(axis=1)
        longest.append(of_checkpoint.step(_sums(checkpoint, score), _sums(checkpoint, information)))
        longest.append(of_cell.step(*told_by(axis=1)))
        if max(longest) < TOLERANCE:
            break
    log_odds, rates = predicted()
    _, information = told_by(axis=1)
    variances = 1 / np.maximum(information, LEAST_INFORMATION)
    parts = np.where(known, counted - rates, 0) * variances[:, None]
    return CellLogOdds(log_odds + parts.sum(axis=1), variances, parts)


def _bounded(step: Floats) -> Floats:
    return np.clip(step, -LARGEST_STEP, LARGEST_STEP)


def _sums(numbers: Whole, values: Floats) -> Floats:
    return np.asarray(np.bincount(numbers, values), np.float64)
