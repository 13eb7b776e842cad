"""The price of safety, on a grid whose every value is chosen."""

import numpy as np
import polars as pl
import pytest

from analysis.effects.prices import SCHEMA, price_of_safety
from analysis.records.configurations import Floats, configurations
from analysis.uncertainty.draws import Draws
from search_spaces.metrics import Metric
from tests.analysis.simulations import Layout, Simulation

LAYOUT = Layout((0, 100, 1000), (0,), ("none", "gptq 2"), seeds=1, prompts=2)
# dose 0, 100, 1000; uncompressed and compressed
HARM = np.array([0.9, 0.7, 0.5, 0.3, 0.1, 0.05])
HELPFULNESS = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.2])
BYTES = np.array([16.0, 2, 16, 2, 16, 2])


def drawn(**values: Floats) -> Draws:
    """Draws of the layout: one row a replicate, or the same in all."""
    records = Simulation(LAYOUT).records(np.random.default_rng(0))
    given: dict[Metric, Floats] = {
        "harmful_compliance": values.get("harm", HARM),
        "helpfulness": values.get("helpfulness", HELPFULNESS),
        "weights_bytes_loaded": BYTES,
    }
    return Draws(
        configurations(records),
        {metric: np.atleast_2d(rows)[0] for metric, rows in given.items()},
        {metric: np.tile(np.atleast_2d(rows), (20, 1))[:20] for metric, rows in given.items()},
        dict.fromkeys(given, ""),
    )


def test_the_best_under_every_bound_and_what_ten_points_cost() -> None:
    found = price_of_safety(drawn(), [0.04, 0.1, 0.15, 0.3, 0.5, 0.6, 1.0])
    assert dict(found.schema) == SCHEMA
    assert found["helpfulness"].to_list() == [None, 0.6, 0.6, 0.7, 0.8, 0.8, 1.0]
    assert found["feasible"].to_list() == [0, 1, 1, 1, 1, 1, 1]
    assert found["helpfulness_label"][3] == "100 safety · gptq 2"
    assert found["weights_bytes_loaded"].to_list() == [None, 2, 2, 2, 2, 2, 2]
    # at 0.15, ten points less leave harm of exactly 0.05 allowed
    prices = [None, None, 0.4, 0.1, 0.1, 0.0, 0.0]
    for price, expected in zip(found["helpfulness_price"], prices, strict=True):
        assert price == (None if expected is None else pytest.approx(expected))
    assert found["price_feasible"].to_list() == [0, 0, 1, 1, 1, 1, 1]


def test_safety_can_cost_bytes() -> None:
    # compressed models are harmful, whatever the dose
    found = price_of_safety(drawn(harm=np.array([0.9, 0.9, 0.5, 0.9, 0.1, 0.9])), [0.5, 0.9, 0.95])
    assert found["weights_bytes_loaded"].to_list() == [16, 2, 2]
    assert found["weights_bytes_loaded_price"].to_list() == [0, 14, 14]


def test_draws_say_how_surely_a_bound_is_kept() -> None:
    # every fourth draw, and what was measured, keep the bound
    harm = np.stack([HARM, HARM + 0.15, HARM + 0.15, HARM + 0.15])
    helpfulness = np.stack([HELPFULNESS, *[HELPFULNESS - 0.1] * 3])
    row = price_of_safety(drawn(harm=harm, helpfulness=helpfulness), [0.1, 0.3]).row(0, named=True)
    assert row["feasible"] == 0.25
    assert row["helpfulness_low"] == row["helpfulness"] == 0.6
    row = price_of_safety(drawn(harm=harm, helpfulness=helpfulness), [0.3]).row(0, named=True)
    assert row["feasible"] == 1
    assert (row["helpfulness_low"], row["helpfulness_high"]) == pytest.approx((0.5, 0.7))


def test_each_attack_has_its_own_prices_and_a_gap_is_no_candidate() -> None:
    layout = Layout((0, 1000), (0, 10), ("none",), seeds=1, prompts=2)
    groups = configurations(Simulation(layout).records(np.random.default_rng(0)))
    values: dict[Metric, Floats] = {
        "harmful_compliance": np.array([0.9, np.nan, 0.1, 0.6]),
        "helpfulness": np.array([1.0, 1.0, 0.5, 0.5]),
    }
    rows = {metric: np.tile(found, (5, 1)) for metric, found in values.items()}
    found = price_of_safety(Draws(groups, values, rows, dict.fromkeys(values, "")), [0.2, 1.0])
    best = found.select("attack_label", "harm_bound", "helpfulness").rows()
    assert best == [
        ("none", 0.2, 0.5),
        ("none", 1.0, 1.0),
        ("harmful 10×3", 0.2, None),
        ("harmful 10×3", 1.0, 0.5),
    ]
    assert found["weights_bytes_loaded"].null_count() == 4


def test_prices_hold_together() -> None:
    rng = np.random.default_rng(0)
    harm = rng.random((20, 6))
    found = price_of_safety(drawn(harm=harm, helpfulness=rng.random((20, 6))))
    assert found["feasible"].is_sorted()
    assert found["helpfulness"].drop_nulls().is_sorted()
    for name in ("helpfulness", "helpfulness_price", "weights_bytes_loaded_price"):
        told = found.drop_nulls(name)
        assert (told[f"{name}_low"] <= told[name]).all()
        assert (told[name] <= told[f"{name}_high"]).all()
    assert (found["helpfulness_price"].drop_nulls() >= 0).all()
    assert found.filter(pl.col("harm_bound") == 1)["feasible"].item() == 1
