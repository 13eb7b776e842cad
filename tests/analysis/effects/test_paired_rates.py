"""Paired rates agree with the libraries that are slower or stop at a tie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from analysis.effects.paired_rates import difference_and_error, holm, mcnemar_p_values


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_exact_test_is_that_of_statsmodels(first: int, second: int) -> None:
    found = mcnemar_p_values(np.array([float(first)]), np.array([float(second)]))
    assert found[0] == pytest.approx(mcnemar([[0, first], [second, 0]], exact=True).pvalue)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    found = holm(np.array([*p_values, np.nan]))
    assert found[:-1] == pytest.approx(multipletests(p_values, method="holm")[1])
    assert np.isnan(found[-1])


def test_equal_answers_leave_an_error() -> None:
    difference, error = difference_and_error(np.zeros(1), np.zeros(1), np.full(1, 128.0))
    assert difference[0] == 0
    assert 0 < 1.96 * error[0] < 0.02
