"""Marginal means: grids with holes mix nothing up, and intervals hold the truth."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from analysis.effects.marginal_means import SCHEMA, marginal_means
from analysis.records.configurations import Configurations, configurations
from analysis.uncertainty.draws import Draws, draw
from search_spaces.metrics import Metric
from tests.analysis.simulations import Layout, Simulation, Truth

LAYOUT = Layout((0, 100, 1000), (0, 10), ("none", "gptq 2"), prompts=64)
TRUTH = Truth(intercept=0.5, dose=(0.0, -1.0, -2.0), attack=(0.0, 1.0), compression=(0.0, 0.5))


def drawn(kept: pl.Expr, values: pl.Expr, metric: Metric = "perplexity") -> Draws:
    """Draws without noise of the configurations of `LAYOUT` that are `kept`."""
    records = Simulation(replace(LAYOUT, seeds=1, prompts=2)).records(np.random.default_rng(0))
    groups = configurations(replace(records, table=records.table.filter(kept)))
    valued = groups.table.select(value=values.cast(pl.Float64) + 0 * pl.col("cells"))
    estimates = valued["value"].fill_null(np.nan).to_numpy()
    return Draws(groups, {metric: estimates}, {metric: np.tile(estimates, (50, 1))}, {metric: ""})


def test_a_hole_in_the_grid_does_not_mix_factors_up() -> None:
    # compression triples what is measured, the dose does nothing; 2 bits were not tried at dose 0
    values = pl.when(pl.col("bits").is_null()).then(1.0).otherwise(3.0)
    kept = pl.col("bits").is_null() | (pl.col("safety_examples") > 0)
    found = marginal_means(drawn(kept, values))
    doses = found.filter(pl.col("other_factor").is_null(), factor="safety_examples")
    assert doses["level"].to_list() == ["0", "100", "1000"]
    assert doses["mean"].to_list() == [1, 1, 1]
    assert doses["configurations"].to_list() == [2, 2, 2]
    assert doses["left_out"].to_list() == [0, 2, 2]
    compressions = found.filter(pl.col("other_factor").is_null(), factor="compression_label")
    assert compressions["mean"].to_list() == [1, 3]
    assert compressions["left_out"].to_list() == [2, 0]


def test_every_pair_of_levels_has_a_row() -> None:
    found = marginal_means(
        drawn(pl.lit(True), pl.col("safety_examples") + pl.col("attack_examples"))
    )
    pairs = found.filter(factor="safety_examples", other_factor="attack_label")
    assert dict(found.schema) == SCHEMA
    assert pairs.select("level", "other_level", "mean").rows() == [
        ("0", "none", 0),
        ("0", "harmful 10×3", 10),
        ("100", "none", 100),
        ("100", "harmful 10×3", 110),
        ("1000", "none", 1000),
        ("1000", "harmful 10×3", 1010),
    ]
    assert (pairs["low"] == pairs["mean"]).all()


def test_what_was_not_measured_is_left_out() -> None:
    values = pl.when(pl.col("attack_examples") == 0).then(5.0)
    found = marginal_means(drawn(pl.lit(True), values))
    attacks = found.filter(pl.col("other_factor").is_null(), factor="attack_label")
    assert attacks.select("level", "mean").rows() == [("none", 5)]


def test_levels_that_share_nothing_have_no_mean() -> None:
    found = marginal_means(
        drawn((pl.col("safety_examples") == 0) == (pl.col("attack_examples") == 0), pl.lit(1.0))
    )
    doses = found.filter(pl.col("other_factor").is_null(), factor="safety_examples")
    assert doses["mean"].null_count() == 3
    assert doses["low"].null_count() == 3
    assert doses["configurations"].to_list() == [0, 0, 0]


def test_configurations_that_no_factor_tells_apart_count_once() -> None:
    once = drawn(pl.lit(True), pl.col("safety_examples"))
    table = pl.concat([once.configurations.table, once.configurations.table[:1]])
    estimates = np.append(once.estimates["perplexity"], 400.0)
    twice = Draws(
        Configurations(table, once.configurations.cells, "seed"),
        {"perplexity": estimates},
        {"perplexity": np.tile(estimates, (9, 1))},
        {"perplexity": ""},
    )
    found = marginal_means(twice).filter(pl.col("other_factor").is_null(), level="0")
    # four combinations at dose 0, one of which measured 0 and 400
    assert found["mean"].item() == 50
    assert found["configurations"].item() == 5


@pytest.mark.parametrize(
    "truth", [TRUTH, replace(TRUTH, intercept=4.0)], ids=["in the middle", "near one"]
)
def test_intervals_hold_the_truth(truth: Truth) -> None:
    rates = truth.rates(LAYOUT)
    margins = {
        "safety_examples": rates.mean(axis=(1, 2)),
        "attack_label": rates.mean(axis=(0, 2)),
        "compression_label": rates.mean(axis=(0, 1)),
    }
    expected = np.concatenate(list(margins.values()))
    rng = np.random.default_rng(0)
    held = []
    for _ in range(500):
        records = Simulation(LAYOUT, {"harmful": truth}).records(rng)
        found = marginal_means(draw(records, ["harmful_compliance"], replicates=300))
        alone = found.filter(pl.col("other_factor").is_null())
        assert alone["factor"].unique(maintain_order=True).to_list() == list(margins)
        held.append((alone["low"].to_numpy() <= expected) & (expected <= alone["high"].to_numpy()))
    assert 0.93 <= np.mean(held) <= 0.97
