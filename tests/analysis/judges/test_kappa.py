"""Kappa is what its definition says, and its interval holds the truth as often as it claims."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from analysis.judges.kappa import Floats, analytic_interval, bootstrap_intervals, kappa

COUNTS = arrays(np.float64, (3, 3), elements=st.integers(0, 30).map(float))


def verdicts(table: Floats) -> tuple[list[int], list[int]]:
    pairs = [(i, j) for i in range(3) for j in range(3) for _ in range(int(table[i, j]))]
    return [i for i, _ in pairs], [j for _, j in pairs]


@given(COUNTS)
def test_kappa_is_what_others_compute(table: Floats) -> None:
    single = any((table.sum(axis=axis) > 0).sum() < 2 for axis in (0, 1))
    found = float(kappa(table))
    if single:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(cohen_kappa_score(*verdicts(table)), abs=1e-12)
        assert found == pytest.approx(cohens_kappa(table).kappa, abs=1e-12)


@given(COUNTS)
def test_kappa_does_not_depend_on_the_unit_or_on_who_is_first(table: Floats) -> None:
    values = [float(kappa(t)) for t in (table, 7.5 * table, table.T)]
    assert values == pytest.approx([values[0]] * 3, nan_ok=True)


def test_full_agreement_of_a_single_category_is_no_agreement_at_all() -> None:
    table = np.zeros((3, 3))
    table[1, 1] = 100
    assert math.isnan(kappa(table))
    assert np.isnan(analytic_interval(table)).all()
    table[1, 0] = 10
    assert math.isnan(kappa(table))


def simulated(source: Any, studies: int, prompts: int, cells: int) -> Floats:
    """Tables (studies, prompts, 3, 3) of two judges who misread the same answers.

    Each prompt has its own leaning to a verdict and is hard to read in its own degree, so that
    what two cells answer to it is alike.
    """
    leaning = source.dirichlet([1.0, 1.5, 0.3], size=(studies, prompts, 1)).cumsum(axis=-1)
    hardness = source.beta(2, 8, size=(studies, prompts, 1))
    shape = (studies, prompts, cells)
    truth = (source.random((*shape, 1)) > leaning).sum(axis=-1).clip(0, 2)

    def read() -> Any:
        wrong = source.random(shape) < hardness
        return np.where(wrong, source.integers(0, 3, shape), truth)

    study, prompt, _ = np.indices(shape)
    tables = np.zeros((studies, prompts, 3, 3))
    np.add.at(tables, (study, prompt, read(), read()), 1)
    return tables


def test_interval_holds_the_truth_95_times_of_100() -> None:
    source = np.random.default_rng(0)
    true = float(kappa(simulated(source, 1, 200_000, 10)[0].sum(axis=0)))
    assert true == pytest.approx(0.62, abs=0.01)
    repetitions = 500
    tables = simulated(source, repetitions, prompts=120, cells=20)
    clustered = alone = 0
    for number, table in enumerate(tables):
        ((low, high),) = bootstrap_intervals(table[None], 1000, seed=number)
        clustered += bool(low <= true <= high)
        low, high = analytic_interval(table.sum(axis=0))
        alone += bool(low <= true <= high)
    assert 0.93 <= clustered / repetitions <= 0.97
    # as if answers to one prompt were independent: this is why prompts are drawn, not answers
    assert alone / repetitions < 0.85


def test_levels_are_intervals_of_their_own() -> None:
    tables = simulated(np.random.default_rng(1), 2, prompts=60, cells=10)
    together = bootstrap_intervals(tables, 500, seed=3)
    for number in range(2):
        alone = bootstrap_intervals(tables[number : number + 1], 500, seed=3)
        assert together[number] == pytest.approx(alone[0])
    assert (together[:, 0] < together[:, 1]).all()
    assert (together == bootstrap_intervals(tables, 500, seed=3)).all()


def test_no_interval_where_resampling_often_loses_a_category() -> None:
    tables = np.zeros((1, 40, 3, 3))
    tables[0, :, 0, 0] = 1
    tables[0, 0] = 0
    tables[0, 0, 1, 1] = 1
    assert float(kappa(tables[0].sum(axis=0))) == 1
    assert np.isnan(bootstrap_intervals(tables, 500, seed=0)).all()
    assert np.isnan(bootstrap_intervals(tables[:, :0], 500, seed=0)).all()
