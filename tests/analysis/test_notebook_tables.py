"""Tables of notebooks tell values with their units and bounds, and escape what they show."""

from collections.abc import Mapping

import polars as pl
import pytest

from analysis.examples import example
from analysis.notebooks.tables import agreements, frame_of, table
from analysis.records.loading import load_records
from search_spaces.metrics import Metric

BOUNDED = "50.0 % (40.0 % to 60.0 %)"


def only(row: Mapping[str, object], column: str, metric: Metric | None = None) -> str:
    """How a table tells one value."""
    return table(pl.DataFrame([dict(row)]), [column], metric).rows[0][0]


@pytest.mark.parametrize(
    ("row", "column", "told"),
    [
        ({"safety": 0.5}, "safety", "50.0 %"),
        ({"safety": 0.5, "safety_low": 0.4, "safety_high": 0.6}, "safety", BOUNDED),
        ({"weights_bytes_loaded": 97_900}, "weights_bytes_loaded", "97.9 kB"),
        ({"mean": 0.5, "low": 0.4, "high": 0.6, "metric": "safety"}, "mean", BOUNDED),
        ({"kappa": 0.954, "low": 0.94, "high": 0.96}, "kappa", "0.95 (0.94 to 0.96)"),
        ({"helpfulness_price": 0.05}, "helpfulness_price", "5.0 points"),
        ({"weights_bytes_loaded_price": -0.0}, "weights_bytes_loaded_price", "0.0 kB"),
        ({"dose": 1000, "dose_low": 300, "dose_high": None}, "dose", "1,000 (300 to -)"),
        ({"p_holm": 0.0000001}, "p_holm", "< 0.001"),
        ({"p_holm": 0.25}, "p_holm", "0.25"),
        ({"on_front": True}, "on_front", "yes"),
        ({"factor": "attack_label"}, "factor", "attack"),
        ({"label": "a_label"}, "label", "a_label"),
        ({"cells": None}, "cells", "-"),
    ],
)  # fmt: skip
def test_a_value_is_told_as_a_reader_wants_it(
    row: dict[str, object], column: str, told: str
) -> None:
    assert only(row, column) == told


def test_a_difference_of_shares_is_in_points() -> None:
    row = {"difference": 0.068, "low": -0.073, "high": 0.197}
    assert only(row, "difference", "safety") == "+6.8 points (-7.3 to +19.7)"
    assert only({"difference": 5800.0}, "difference", "weights_bytes_loaded") == "+5.8 kB"
    assert only({"difference": 0.5}, "difference", "perplexity") == "+0.5"


def test_what_is_left_out_is_counted() -> None:
    shown = table(pl.DataFrame({"cells": range(25)}), ["cells"], rows=20)
    assert len(shown.rows) == 20
    assert "and 5 more" in shown._repr_html_()
    assert "and 5 more" in repr(shown)


def test_html_is_escaped() -> None:
    frame = pl.DataFrame({"label": ["<script>alert(1)</script>"], "<b>": [1]})
    html = table(frame, ["label", "<b>"])._repr_html_()
    assert "<script" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html


def test_texts_stand_left_and_numbers_right() -> None:
    assert table(pl.DataFrame({"label": ["a"], "cells": [1]}), ["label", "cells"]).sides == [
        "left",
        "right",
    ]


def test_agreements_are_those_of_every_other_judge() -> None:
    records = load_records(example("nano_mamba"))
    found = agreements(records)
    assert set(found.select("one", "other").iter_rows()) == {("phrases", "refusal_prefix")}
    assert found["level"].to_list()[:2] == ["all", "none"]
    assert found["kappa"].is_between(0.5, 1).all()


def test_a_frame_of_objects_keeps_numbers_and_texts() -> None:
    class Row:
        def __init__(self) -> None:
            self.name, self.count, self.table = "a", 2, [1, 2]

    assert frame_of([Row()]).to_dicts() == [{"name": "a", "count": 2}]
