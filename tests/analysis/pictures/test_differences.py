"""Differences of two studies: a row a pair, its interval, and what is better."""

import polars as pl
import pytest

from analysis.pictures import difference_dots
from tests.analysis.pictures.reading import points, texts, told

ROWS = pl.DataFrame(
    {
        "label": ["up", "down", "unclear", "unknown"],
        "difference": [0.2, -0.3, 0.01, None],
        "low": [0.1, -0.4, -0.05, None],
        "high": [0.3, -0.1, 0.07, None],
    }
)


def test_bars_are_the_intervals_and_unknown_is_no_row() -> None:
    figure = difference_dots(ROWS, "safety", "llama", "mamba")
    found = {}
    for trace in points(figure):
        for n, x in enumerate(trace.x):
            found[x] = (x - trace.error_x.arrayminus[n], x + trace.error_x.array[n])
    assert found[0.2] == pytest.approx((0.1, 0.3))
    assert found[-0.3] == pytest.approx((-0.4, -0.1))
    assert found[0.01] == pytest.approx((-0.05, 0.07))
    assert len(told(figure)) == 3
    assert "1 were not measured on both sides" in texts(figure)


def test_what_is_sure_is_filled_and_better_and_worse_differ() -> None:
    marks = {
        trace.x[0]: trace.marker for trace in points(difference_dots(ROWS, "safety", "a", "b"))
    }
    assert marks[0.01].color == "white"
    assert marks[0.2].symbol != marks[-0.3].symbol
    turned = difference_dots(ROWS, "harmful_compliance", "a", "b")
    other = {trace.x[0]: trace.marker for trace in points(turned)}
    assert other[0.2].color == marks[-0.3].color
    assert "← better" in texts(turned)


def test_only_the_largest_are_shown() -> None:
    figure = difference_dots(ROWS, "safety", "a", "b", top=2)
    assert sorted(x for trace in points(figure) for x in trace.x) == [-0.3, 0.2]
    assert "2 of 3 differ surely" in texts(figure)
    assert "The 2 largest are shown" in texts(figure)


def test_no_shared_value_is_said() -> None:
    figure = difference_dots(ROWS.tail(1), "safety", "a", "b")
    assert "No pair has a value of safety on both sides" in texts(figure).replace("  ", " ")
    assert not figure.data
