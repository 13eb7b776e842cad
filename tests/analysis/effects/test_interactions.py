"""Interactions on the log-odds scale: found where there are some, not where rates saturate."""

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from analysis.effects.interactions import METRICS, NOT_CROSSED, ONE_SEED, SCHEMA, interactions
from analysis.records.loading import Records, load_records
from tests.analysis.simulations import Layout, Simulation, Truth

STUDIES = 100
LAYOUT = Layout((0, 100, 300, 1000), (0, 10, 100), ("none", "nf4", "gptq 2"), prompts=64)
ADDITIVE = Truth(
    intercept=2.0,
    dose=(0.0, -1.5, -3.0, -4.5),
    attack=(0.0, 1.5, 3.0),
    compression=(0.0, 0.0, 1.0),
)
"""Saturated at both ends, so that on raw rates an effect depends on where the others are."""
PAIRS = [
    ("safety_examples", "attack_label"),
    ("safety_examples", "compression_label"),
    ("attack_label", "compression_label"),
]


def simulated(truth: Truth, seed: int, layout: Layout = LAYOUT) -> Records:
    return Simulation(layout, {"harmful": truth}).records(np.random.default_rng(seed))


def raw_p_value(records: Records) -> float:
    """What an analysis of variance of the cells' raw rates says of dose by attack."""
    cells = records.ok.select("safety_examples", "attack_examples", "compression_label", "safety")
    model = "safety ~ C(safety_examples) * C(attack_examples) + compression_label"
    table = anova_lm(ols(model, cells.to_pandas()).fit())
    return float(table.loc["C(safety_examples):C(attack_examples)", "PR(>F)"])


@cache
def additive() -> pl.DataFrame:
    """Many studies without any interaction, and what raw rates would have said of each."""
    tables = []
    for seed in range(STUDIES):
        records = simulated(ADDITIVE, seed)
        raw = pl.lit(raw_p_value(records)).alias("raw")
        tables.append(interactions(records, ["safety"]).with_columns(raw))
    return pl.concat(tables)


def test_saturation_is_no_interaction_where_raw_rates_say_it_is() -> None:
    alarms = (additive()["p_value"] < 0.05).mean()
    assert isinstance(alarms, float)
    assert 0.02 <= alarms <= 0.08
    assert (additive()["raw"] < 0.05).mean() == 1.0


@pytest.mark.parametrize("pair", PAIRS)
def test_no_pair_cries_wolf(pair: tuple[str, str]) -> None:
    of_pair = additive().filter(factor=pair[0], other_factor=pair[1])
    assert len(of_pair) == STUDIES
    # of one hundred studies at one in twenty, more than twelve are one in a thousand
    assert (of_pair["p_value"] < 0.05).sum() <= 12
    assert 35 <= (of_pair["p_value"] < 0.5).sum() <= 65
    held = of_pair.filter((pl.col("low") <= 0) & (pl.col("high") >= 0))
    assert len(held) >= 88


def test_an_interaction_is_found_in_its_pair_and_no_other() -> None:
    added = np.zeros(LAYOUT.shape)
    added[3, :, 2] = 2.0
    alarms = pl.concat(
        [
            interactions(simulated(replace(ADDITIVE, interaction=added), seed), ["safety"])
            for seed in range(20)
        ]
    ).with_columns(found=pl.col("p_holm") < 0.05)
    of = {pair: alarms.filter(factor=pair[0], other_factor=pair[1]) for pair in PAIRS}
    assert of[PAIRS[1]]["found"].sum() >= 18
    assert of[PAIRS[0]]["found"].sum() <= 3
    assert of[PAIRS[2]]["found"].sum() <= 3
    clearest = of[PAIRS[1]].filter(level="1000", other_level="gptq 2")
    assert len(clearest) >= 15
    # safety is what does not comply; the interval is of the cell against all others
    assert ((clearest["low"] < -2) & (clearest["high"] > -2)).sum() >= 0.85 * len(clearest)


def test_an_interaction_of_training_factors_is_found_with_repeated_training() -> None:
    added = np.zeros(LAYOUT.shape)
    added[2, 1] = 2.5
    found = interactions(simulated(replace(ADDITIVE, interaction=added), 0), ["safety"])
    row = found.row(0, named=True)
    assert (row["factor"], row["other_factor"]) == PAIRS[0]
    assert row["p_holm"] < 0.01
    assert (row["level"], row["other_level"]) == ("300", "harmful 10×3")


def test_one_seed_cannot_tell_training_factors_from_luck() -> None:
    found = interactions(simulated(ADDITIVE, 0, replace(LAYOUT, seeds=1)), ["safety"])
    training = found.filter(factor=PAIRS[0][0], other_factor=PAIRS[0][1]).row(0, named=True)
    assert training["flag"] == ONE_SEED
    assert not training["readable"]
    assert training["p_value"] is None
    assert training["departure"] is None
    assert found.filter(pl.col("readable"))["p_value"].is_not_null().sum() == 2


def test_without_repetitions_the_third_factor_shows_the_noise() -> None:
    layout, noisy = replace(LAYOUT, seeds=1), replace(ADDITIVE, cell_sd=0.5)
    tables = [interactions(simulated(noisy, seed, layout), ["safety"]) for seed in range(60)]
    found = pl.concat(tables).filter(pl.col("readable"))
    assert len(found) == 120
    assert (found["p_value"] < 0.05).sum() <= 11
    alone = replace(layout, attacks=(0,))
    flags = interactions(simulated(noisy, 0, alone), ["safety"])["flag"]
    assert flags.to_list() == [ONE_SEED]


@pytest.mark.parametrize(("intercept", "flag"), [(-9.0, "floor"), (9.0, "ceiling")])
def test_rates_at_a_bound_make_no_claim(intercept: float, flag: str) -> None:
    truth = Truth(intercept=intercept, compression=(0.0, 0.0, -np.sign(intercept) * 9.0))
    found = interactions(simulated(truth, 0), ["harmful_compliance"])
    unreadable = found.filter(~pl.col("readable"))
    assert unreadable["flag"].to_list() == [flag, flag]
    assert unreadable["p_holm"].is_null().all()
    # where nothing is compressed away from the bound, dose by attack is still seen
    assert found.filter(pl.col("readable")).height == 1


def test_factors_that_never_cross_do_not_interact() -> None:
    records = simulated(ADDITIVE, 0)
    diagonal = records.table.filter(
        (pl.col("safety_examples") == 0) == (pl.col("attack_examples") == 0)
    ).filter(pl.col("safety_examples").is_in([0, 100]), pl.col("attack_examples").is_in([0, 10]))
    responses = records.responses
    records = replace(records, table=diagonal)
    vars(records)["responses"] = responses
    found = interactions(records, ["safety"])
    assert found.filter(factor=PAIRS[0][0], other_factor=PAIRS[0][1])["flag"].item() in (
        NOT_CROSSED,
        ONE_SEED,
    )


def test_without_responses_there_is_nothing_to_tell(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("table") / "published.csv"
    path.write_text("cell,helpfulness,safety,over_refusal\na,0.5,0.5,0.1\nb,0.6,0.4,0.1\n")
    found = interactions(load_records(str(path)), METRICS)
    assert found.is_empty()
    assert dict(found.schema) == SCHEMA


def test_a_constant_rate_has_no_interaction() -> None:
    found = interactions(simulated(Truth(intercept=40.0), 0), ["safety"])
    assert not found["readable"].any()
    assert found["flag"].to_list() == ["floor"] * 3
