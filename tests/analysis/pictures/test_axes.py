"""Values are told with their unit, and an axis shows all of them."""

from math import isnan, log10, nan

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.pictures.axes import axis_text, interval_text, objective_of, span_of, value_text
from search_spaces.metrics import UNITS, Metric

METRICS = st.sampled_from(sorted(UNITS))
VALUES = st.lists(st.floats(0, 1e12, allow_subnormal=False) | st.just(nan), min_size=1)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("helpfulness", 0.9688, "96.9 %"),
        ("helpfulness", 0.0, "0.0 %"),
        ("safety", 85.25, "85.2"),
        ("weights_bytes_loaded", 97_912, "97.91 kB"),
        ("weights_bytes_disk", 13.5e9, "13.5 GB"),
        ("peak_memory_bytes", 12, "12 B"),
        ("decode_tokens_per_second", 12.44, "12.4 tokens per second"),
        ("perplexity", 11.59, "11.6"),
        ("perplexity", nan, "not measured"),
        ("energy_joules_per_token", None, "not measured"),
    ],
)
def test_values_have_their_unit(metric: Metric, value: float | None, text: str) -> None:
    assert value_text(metric, value) == text


def test_an_interval_is_told_only_where_there_is_noise() -> None:
    assert interval_text("helpfulness", 0.9, 0.8, 0.95) == "90.0 % (80.0 % to 95.0 %)"
    assert interval_text("helpfulness", 0.9, 0.9, 0.9) == "90.0 %"
    assert interval_text("helpfulness", 0.9, nan, nan) == "90.0 %"


@given(METRICS, VALUES)
@example("bits_per_weight", [2e7, 1e-301])
def test_all_values_are_inside_of_the_axis(metric: Metric, values: list[float]) -> None:
    span = span_of(metric, values)
    known = [value for value in values if not isnan(value)]
    assert span.low < span.high
    assert all(span.low <= value <= span.high for value in known)
    assert span.range == (
        [log10(span.low), log10(span.high)] if span.log else [span.low, span.high]
    )


@given(METRICS)
def test_every_axis_says_its_unit_and_direction(metric: Metric) -> None:
    text = axis_text(objective_of(metric))
    assert "better" in text
    assert UNITS[metric] in text or UNITS[metric] == "bytes"
