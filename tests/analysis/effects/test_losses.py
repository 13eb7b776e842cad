"""Losses against the uncompressed model: the test, its intervals, and the words they allow."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from analysis.effects.losses import (
    CELL_SCHEMA,
    CONFIGURATION_SCHEMA,
    cell_losses,
    configuration_losses,
)
from analysis.records.loading import Records
from analysis.uncertainty.draws import draw
from tests.analysis.simulations import Layout, Simulation, Truth

LAYOUT = Layout((0, 100), (0, 10), ("none", "nf4", "gptq 2"), seeds=2, prompts=128)
# seeds make no difference, so that the truth of a cell is that of its configuration
SAME = Truth(intercept=1.0, dose=(0.0, -2.0), prompt_sd=2.0, checkpoint_sd=0.0)
WORSE = replace(SAME, compression=(0.0, -0.3, -3.0))


def simulated(truth: Truth, seed: int, layout: Layout = LAYOUT) -> Records:
    return Simulation(layout, {"helpfulness": truth}).records(np.random.default_rng(seed))


def test_each_cell_is_compared_with_its_own_model_uncompressed() -> None:
    records = simulated(WORSE, 0)
    found = cell_losses(records, ["helpfulness"])
    assert dict(found.schema) == CELL_SCHEMA
    assert len(found) == 2 * 2 * 2 * 2
    shares = dict(records.ok.select("cell", "helpfulness").iter_rows())
    for row in found.iter_rows(named=True):
        dose, attack, _, seed = row["cell"].split("-")
        assert row["reference"] == f"{dose}-{attack}-0-{seed}"
        assert row["uncompressed"] == pytest.approx(shares[row["reference"]])
        assert row["compressed"] == pytest.approx(shares[row["cell"]])
        change = row["only_compressed"] - row["only_uncompressed"]
        assert row["difference"] == pytest.approx(change / row["prompts"])
        table = [[0, row["only_uncompressed"]], [row["only_compressed"], 0]]
        assert row["p_value"] == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_verdicts_say_what_the_family_of_tests_allows() -> None:
    found = cell_losses(simulated(WORSE, 1), ["helpfulness"])
    assert set(found.filter(compression_label="gptq 2")["verdict"]) == {"loss"}
    assert "loss" not in set(found.filter(compression_label="nf4")["verdict"])
    same = Simulation(LAYOUT, {"helpfulness": Truth(intercept=30.0)})
    records = same.records(np.random.default_rng(0))
    found = cell_losses(records, ["helpfulness"])
    assert set(found["verdict"]) == {"no loss (within 5 points)"}
    assert set(cell_losses(records, ["helpfulness"], margin=0.005)["verdict"]) == {"undecided"}


def test_more_refusals_of_safe_requests_are_a_loss() -> None:
    simulation = Simulation(LAYOUT, {"borderline": replace(SAME, compression=(0.0, 0.0, 4.0))})
    found = cell_losses(simulation.records(np.random.default_rng(0)), ["over_refusal"])
    worse = found.filter(compression_label="gptq 2")
    assert (worse["difference"] > 0).all()
    assert set(worse["verdict"]) == {"loss"}


def test_no_claim_of_a_loss_or_a_gain_where_there_is_none() -> None:
    verdicts = [cell_losses(simulated(SAME, seed), ["helpfulness"]) for seed in range(100)]
    claims = [not {"loss", "gain"}.isdisjoint(table["verdict"]) for table in verdicts]
    # one in twenty of the families may have one
    assert sum(claims) <= 8


def test_no_loss_is_not_claimed_of_what_loses_the_margin() -> None:
    layout = replace(LAYOUT, compressions=("none", "nf4"))
    loses = Truth(compression=(0.0, -0.3), prompt_sd=1.5, checkpoint_sd=0.0)
    rates = loses.rates(layout)
    margin = float(rates[0, 0, 0] - rates[0, 0, 1])
    tables = [
        cell_losses(simulated(loses, seed, layout), ["helpfulness"], margin) for seed in range(150)
    ]
    claimed = pl.concat(tables)["p_no_loss"].to_numpy() < 0.05
    assert 0.02 <= claimed.mean() <= 0.07


@pytest.mark.parametrize("intercept", [1.0, 4.5])
def test_intervals_of_cells_hold_the_truth(intercept: float) -> None:
    truth = replace(WORSE, intercept=intercept, dose=None)
    rates = truth.rates(LAYOUT)
    changes = {
        label: float(rates[0, 0, n] - rates[0, 0, 0]) for n, label in enumerate(LAYOUT.compressions)
    }
    layout = replace(LAYOUT, doses=(0,), attacks=(0,), seeds=1)
    found = pl.concat(
        [cell_losses(simulated(truth, n, layout), ["helpfulness"]) for n in range(500)]
    )
    expected = found["compression_label"].replace_strict(changes).to_numpy()
    held = (found["low"].to_numpy() <= expected) & (expected <= found["high"].to_numpy())
    assert 0.93 <= held.mean() <= 0.97


def test_intervals_of_configurations_hold_the_truth() -> None:
    truth = replace(WORSE, prompt_sd=1.0, checkpoint_sd=0.4, cell_sd=0.3)
    layout = replace(LAYOUT, seeds=3, prompts=64)
    changes = truth.rates(layout) - truth.rates(layout)[:, :, :1]
    held = []
    for seed in range(500):
        draws = draw(simulated(truth, seed, layout), ["helpfulness"], replicates=300)
        found = configuration_losses(draws, ["helpfulness"])
        expected = changes[:, :, 1:].ravel()
        held.append((found["low"].to_numpy() <= expected) & (expected <= found["high"].to_numpy()))
    assert dict(found.schema) == CONFIGURATION_SCHEMA
    assert 0.93 <= np.mean(held) <= 0.97


def test_a_cell_whose_model_was_not_measured_uncompressed_has_no_row() -> None:
    records = simulated(WORSE, 0)
    holes = records.table.filter(
        ~((pl.col("compression") == "none") & (pl.col("safety_examples") == 0))
    )
    pruned = replace(records, table=holes)
    vars(pruned)["responses"] = records.responses
    assert set(cell_losses(pruned, ["helpfulness"])["safety_examples"]) == {100}
    draws = draw(pruned, ["helpfulness"], replicates=20)
    assert set(configuration_losses(draws, ["helpfulness"])["safety_examples"]) == {100}
    assert cell_losses(pruned, ["safety"]).is_empty()


def test_an_attack_on_the_compressed_release_is_compared_with_the_attacked_model() -> None:
    records = simulated(WORSE, 0)
    last = records.table.with_columns(
        order=pl.when((pl.col("compression") != "none") & (pl.col("attack") != "none"))
        .then(pl.lit("compress_then_attack"))
        .otherwise("order")
    )
    reordered = replace(records, table=last)
    vars(reordered)["responses"] = records.responses
    found = cell_losses(reordered, ["helpfulness"])
    assert len(found) == 16
    assert found.filter(order="compress_then_attack")["reference"].str.contains("-10-0-").all()
