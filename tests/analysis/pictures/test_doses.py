"""Heat maps, dose responses and prices show what was measured, and leave blank what was not."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from analysis.effects.prices import price_of_safety as priced
from analysis.pictures import (
    attack_dose_response,
    heatmaps,
    price_of_safety,
    safety_dose_response,
)
from analysis.pictures.dose_axis import dose_axis
from analysis.pictures.heatmaps import NOT_MEASURED
from analysis.pictures.panels import MOST_PANELS
from analysis.records.configurations import Configurations
from analysis.uncertainty.draws import Draws, draw
from analysis.uncertainty.pooling import pooled
from search_spaces.metrics import Metric
from search_spaces.space import Objective
from tests.analysis.pictures.reading import points, texts, told
from tests.analysis.tables import records_of


def without(draws: Draws, metric: Metric, rows: slice) -> Draws:
    """The draws, as if some configurations had not been measured."""
    estimates, values = draws.estimates[metric].copy(), draws.values[metric].copy()
    estimates[rows], values[:, rows] = np.nan, np.nan
    return replace(
        draws,
        estimates={**draws.estimates, metric: estimates},
        values={**draws.values, metric: values},
    )


def changed(draws: Draws, table: pl.DataFrame) -> Draws:
    groups = draws.configurations
    return replace(draws, configurations=Configurations(table, groups.cells, groups.repetition))


def test_a_heat_map_has_every_configuration_once(draws: Draws) -> None:
    figure = heatmaps(draws, "helpfulness")
    maps = [trace for trace in figure.data if trace.type == "heatmap"]
    assert len(maps) == 3
    shown = np.concatenate([np.array(trace.z).ravel() for trace in maps])
    assert sorted(shown) == pytest.approx(sorted(100 * draws.estimates["helpfulness"]))
    assert "helpfulness , %, better →" in texts(figure)
    assert "30 safety examples" in texts(figure)


def test_what_was_not_measured_is_blank_and_marked(draws: Draws) -> None:
    figure = heatmaps(without(draws, "helpfulness", slice(0, 4)), "helpfulness")
    shown = np.concatenate([np.ravel(t.z) for t in figure.data if t.type == "heatmap"])
    marks = [text for t in figure.data if t.type == "scatter" for text in t.text]
    assert np.isnan(shown).sum() == 4
    assert marks == [NOT_MEASURED] * 4
    assert 0 not in shown
    assert "not measured" in texts(figure)


def test_bytes_are_told_in_units(draws: Draws) -> None:
    figure = heatmaps(draws, "weights_bytes_loaded")
    assert "weights in memory , kB, ← better" in texts(figure)
    assert max(np.nanmax(np.array(t.z)) for t in figure.data) == pytest.approx(180)
    assert "180 kB" in " ".join(text for t in figure.data for row in t.hovertext for text in row)


def test_devices_have_panels_of_their_own(draws: Draws) -> None:
    table = draws.configurations.table
    device = pl.Series("device", ["cpu", "gpu"] * (len(table) // 2))
    figure = heatmaps(changed(draws, table.with_columns(device)), "weights_bytes_loaded")
    assert sum(trace.type == "heatmap" for trace in figure.data) == 6
    assert "· gpu" in texts(figure)


@pytest.mark.parametrize("metric", ["harmful_compliance", "helpfulness", "over_refusal"])
def test_a_dose_response_has_a_point_a_configuration(draws: Draws, metric: Metric) -> None:
    figure = safety_dose_response(draws, metric)
    assert len(told(figure)) == len(draws.configurations)
    shown = sorted(y for trace in points(figure) for y in trace.y)
    assert shown == pytest.approx(sorted(draws.estimates[metric]))
    assert figure.layout.xaxis.ticktext == ("0", "30", "300")
    assert "safety examples , log scale, 0 set apart" in texts(figure)


def test_bands_are_the_intervals(draws: Draws) -> None:
    low, high = draws.interval("harmful_compliance")
    figure = safety_dose_response(draws, "harmful_compliance")
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert sorted(y for band in bands for y in band.y) == pytest.approx(sorted([*low, *high]))


def test_an_unmeasured_dose_is_no_point(draws: Draws) -> None:
    figure = safety_dose_response(without(draws, "helpfulness", slice(0, 5)), "helpfulness")
    assert len(told(figure)) == len(draws.configurations) - 5
    assert all(np.isfinite(trace.y).all() for trace in points(figure))


def test_the_unattacked_model_begins_each_line_of_an_attack(draws: Draws) -> None:
    figure = attack_dose_response(draws)
    for trace in points(figure):
        assert list(trace.x) == sorted(trace.x)
        assert len(trace.x) == 2
    assert figure.layout.xaxis.ticktext == ("0", "10")


def test_two_kinds_of_attack_share_the_unattacked_model(draws: Draws) -> None:
    table = draws.configurations.table
    attack = pl.when(pl.col("safety_examples") == 30).then(pl.lit("identity_shift"))
    other = pl.when(pl.col("attack") == "none").then("attack").otherwise(attack)
    mixed = changed(draws, table.with_columns(attack=other.fill_null("harmful_finetuning")))
    said = texts(attack_dose_response(mixed))
    assert "uncompressed, harmful" in said
    assert "uncompressed, identity shift" in said


def test_more_panels_than_a_picture_holds_are_counted() -> None:
    rows = [
        {"cell": str(n), "helpfulness": n / 40, "safety_examples": 0, "attack": "none",
         "compression": "gptq", "compression_label": f"gptq {n}"}
        for n in range(MOST_PANELS + 3)
    ]  # fmt: skip
    records = records_of(rows, [Objective(metric="helpfulness", direction="maximize")])
    figure = safety_dose_response(draw(records, ["helpfulness"], 10), "helpfulness")
    assert len(told(figure)) == MOST_PANELS
    assert "3 more panels are left out" in texts(figure)


@pytest.mark.parametrize("doses", [[0], [5], [0, 0, 10], [0, 1, 3, 10, 30, 100, 300, 1000, 3000]])
def test_doses_keep_their_order_and_zero_stands_apart(doses: list[int]) -> None:
    axis = dose_axis(doses)
    places = [axis.place(dose) for dose in axis.doses]
    assert places == sorted(set(places))
    assert all(np.isfinite(places))
    low, high = axis.settings["range"]
    assert low < places[0] <= places[-1] < high
    assert len(axis.settings["tickvals"]) <= 6


def test_prices_are_those_that_were_computed(draws: Draws) -> None:
    figure = price_of_safety(draws)
    bounds = sorted({x for trace in points(figure) for x in trace.x})
    known = priced(pooled(draws), bounds).drop_nulls("helpfulness")
    shown = sorted((x, y) for t in points(figure) for x, y in zip(t.x, t.y, strict=True))
    assert shown == sorted(known.select("harm_bound", "helpfulness").iter_rows())
    assert "harmful compliance at most , ← stricter" in texts(figure)


def test_what_is_useless_is_not_counted_as_cheap(draws: Draws) -> None:
    all_of_them = price_of_safety(draws, "weights_bytes_loaded")
    useful = price_of_safety(draws, "weights_bytes_loaded", least_helpfulness=0.8)
    cheapest, kept = (min(y for t in points(f) for y in t.y) for f in (all_of_them, useful))
    assert cheapest < kept
    assert "80.0 % or more" in texts(useful)


@pytest.mark.parametrize("picture", [heatmaps, safety_dose_response, attack_dose_response])
def test_nothing_measured_is_said(draws: Draws, picture) -> None:  # type: ignore[no-untyped-def]
    figure = picture(without(draws, "over_refusal", slice(None)), "over_refusal")
    assert not figure.data
    assert "a value of over refusal." in texts(figure).replace("  ", " ")
    nothing = price_of_safety(without(draws, "harmful_compliance", slice(None)))
    assert "No configuration has both" in texts(nothing)


def test_configurations_that_no_axis_tells_apart_are_counted() -> None:
    rows = [{"cell": str(n), "helpfulness": n / 4, "attack": "none"} for n in range(3)]
    records = records_of(rows, [Objective(metric="helpfulness", direction="maximize")])
    figure = heatmaps(draw(records, ["helpfulness"], 10), "helpfulness")
    assert "2 that differ in other settings only are not shown" in texts(figure)
