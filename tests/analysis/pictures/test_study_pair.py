"""A picture of two studies shows every pair, and says how many of them can be told apart."""

import polars as pl
import pytest

from analysis.effects.comparison import Comparison, compare, paired_differences
from analysis.examples import example
from analysis.pictures.study_pair import study_pair
from analysis.records.loading import Records, load_records


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    records = load_records(example("nano_seeds"), example("nano_mamba"))
    return compare(records, ("safety", "weights_bytes_loaded"), replicates=200)


def test_every_pair_is_a_mark_where_it_was_measured(comparison: Comparison) -> None:
    figure = study_pair(comparison, "safety")
    marks = [t for t in figure.data if t.mode == "markers" and t.x[0] is not None]
    shown = sorted((x, y) for t in marks for x, y in zip(t.x, t.y, strict=True))
    pairs = paired_differences(comparison, "safety")
    assert shown == sorted(pairs.select("one", "other").iter_rows())
    assert sum(len(t.hovertext) for t in marks) == 36


def test_the_title_counts_the_pairs_that_differ(comparison: Comparison) -> None:
    pairs = paired_differences(comparison, "safety")
    apart = pairs.filter((pl.col("low") > 0) | (pl.col("high") < 0)).height
    title = study_pair(comparison, "safety").layout.title.text.replace("<br>", " ")
    assert f"{apart} of 36 pairs differ" in title
    assert "2 of 36 would differ by chance alone" in title
    # sizes have no noise, so none differs by chance
    assert "chance" not in study_pair(comparison, "weights_bytes_loaded").layout.title.text


def test_a_bar_crosses_the_diagonal_where_the_interval_holds_0(comparison: Comparison) -> None:
    figure = study_pair(comparison, "safety")
    pairs = paired_differences(comparison, "safety")
    same = {
        (row["one"], row["other"]): row["low"] <= 0 <= row["high"]
        for row in pairs.iter_rows(named=True)
    }
    for trace in figure.data:
        if trace.mode != "markers" or trace.x[0] is None:
            continue
        for x, y, up, down in zip(
            trace.x, trace.y, trace.error_y.array, trace.error_y.arrayminus, strict=True
        ):
            if 0 < x < 1:
                assert (y - down <= x <= y + up) == same[x, y]


def test_nothing_in_common_is_told(comparison: Comparison) -> None:
    table = load_records(example("nano_mamba")).table
    other = table.with_columns(study=pl.lit("other"), device=pl.lit("a GPU"))
    apart = compare(Records(pl.concat([table, other]), (), []), ("weights_bytes_loaded",), 100)
    figure = study_pair(apart, "weights_bytes_loaded")
    assert "No configuration" in figure.layout.annotations[0].text
