"""Two studies are compared configuration by configuration, and only what is the same is paired."""

import numpy as np
import polars as pl
import pytest

from analysis.effects.comparison import (
    Comparison,
    average_differences,
    compare,
    paired_differences,
)
from analysis.examples import example
from analysis.records.loading import Records, load_records
from search_spaces.metrics import Metric
from tests.analysis.simulations import Layout, Simulation, Truth

HARM: Metric = "harmful_compliance"
LAYOUT = Layout(doses=(0, 100), attacks=(0, 10), compressions=("none", "nf4"), seeds=3, prompts=96)
ONE = Truth(intercept=0.0, dose=(0, 1.0), attack=(0, -0.5), compression=(0, -0.2))
OTHER = Truth(intercept=0.8, dose=(0, 1.0), attack=(0, -0.5), compression=(0, -0.2))


def simulated(one: Truth, other: Truth, seeds: tuple[int, int] = (0, 1)) -> Records:
    """Two studies that ask the same prompts; equal seeds and truths give equal answers."""
    tables, responses = [], []
    for name, truth, seed in zip(("one", "other"), (one, other), seeds, strict=True):
        study = Simulation(LAYOUT, {"harmful": truth}).records(np.random.default_rng(seed))
        tables.append(study.table.with_columns(study=pl.lit(name)))
        responses.append(study.responses.with_columns(study=pl.lit(name)))
    records = Records(pl.concat(tables), study.objectives, [])
    vars(records)["responses"] = pl.concat(responses)
    return records


@pytest.fixture(scope="module")
def examples() -> Comparison:
    records = load_records(example("nano_seeds"), example("nano_mamba"))
    return compare(records, ("safety", "weights_bytes_loaded"), replicates=200)


def test_pairs_have_the_same_factors_in_both(examples: Comparison) -> None:
    # of doses, attacks and compressions both have 3, 3 and 4
    assert len(examples.pairs) == 36
    table = examples.draws.configurations.table
    first, second = (table[examples.pairs[name].to_list()] for name in ("row", "other_row"))
    assert set(first["study"]) == {examples.one} == {example("nano_seeds")}
    assert set(second["study"]) == {examples.other}
    for factor in ("safety_examples", "attack", "attack_examples", "bits", "compression_label"):
        assert first[factor].equals(second[factor], null_equal=True)
    assert examples.pairs["label"].n_unique() == 36
    assert examples.pairs["label"][0] == "0 safety · no attack · uncompressed"


def test_what_has_no_partner_is_told(examples: Comparison) -> None:
    counts = dict(examples.unpaired.group_by("study").len().iter_rows())
    assert counts == {examples.one: 120 - 36, examples.other: 63 - 36}
    assert set(examples.unpaired["reason"]) == {"the other study lacks it"}


def test_settings_without_a_column_are_told_and_may_be_left_out(examples: Comparison) -> None:
    attacked = examples.pairs.filter(pl.col("attack_label") != "none")
    # the presets attack a Mamba twice as fast; where the data lie is no difference
    assert set(attacked["also_differs"]) == {"attack training.learning_rate"}
    assert set(examples.alike().pairs["attack_label"]) == {"none"}
    assert len(examples.alike().pairs) == 12


def test_prompts_that_both_asked_are_counted(examples: Comparison) -> None:
    assert examples.shared_prompts == {"borderline": 128, "harmful": 128, "helpfulness": 128}


def test_differences_are_the_second_less_the_first(examples: Comparison) -> None:
    table = paired_differences(examples, "safety")
    assert table["difference"].to_list() == pytest.approx(table["other"] - table["one"])
    assert (table["low"] <= table["high"]).all()
    assert table["probability"].is_between(0, 1).all()
    sizes = paired_differences(examples, "weights_bytes_loaded")
    assert sizes["low"].to_list() == pytest.approx(sizes["difference"].to_list())


def test_a_study_does_not_differ_from_its_copy() -> None:
    found = compare(simulated(ONE, ONE, (0, 0)), (HARM,), replicates=500)
    table = paired_differences(found, HARM)
    assert (table["difference"] == 0).all()
    assert ((table["low"] < 0) & (table["high"] > 0)).all()


def test_sharing_prompts_makes_differences_surer() -> None:
    noisy = Truth(intercept=0.0, prompt_sd=3.0, checkpoint_sd=0.0)
    found = compare(simulated(noisy, noisy, (0, 0)), (HARM,))
    first, second = (found.pairs[name].to_numpy() for name in ("row", "other_row"))
    values = found.draws.values[HARM]
    unpaired = np.sqrt(values[:, first].var(axis=0) + values[:, second].var(axis=0))
    assert (found.changes(HARM).std(axis=0) < 0.7 * unpaired).all()


def test_averages_are_those_of_the_pairs() -> None:
    found = compare(simulated(ONE, OTHER), (HARM,), replicates=500)
    pairs = paired_differences(found, HARM)
    table = average_differences(found, HARM, "compression_label")
    assert table["level"].to_list() == ["all", "none", "nf4"]
    assert table["pairs"].to_list() == [8, 4, 4]
    of_nf4 = pairs.filter(pl.col("compression_label") == "nf4")["difference"].to_numpy()
    assert table["difference"][2] == pytest.approx(of_nf4.mean())
    # the average is surer than its parts
    widths = (pairs["high"] - pairs["low"]).to_numpy()
    assert table["high"][0] - table["low"][0] < widths.mean()


@pytest.mark.parametrize("other", [ONE, OTHER], ids=["equal", "different"])
def test_intervals_of_the_average_cover_the_truth(other: Truth) -> None:
    wanted = (other.rates(LAYOUT) - ONE.rates(LAYOUT)).mean()
    covered = 0
    for seed in range(60):
        found = compare(simulated(ONE, other, (seed, 1000 + seed)), (HARM,), 400, seed)
        row = average_differences(found, HARM, "attack_label").row(0, named=True)
        covered += row["low"] <= wanted <= row["high"]
    # 57 expected; fewer than 52 come about once in a hundred
    assert covered >= 52


def test_configurations_that_factors_do_not_tell_apart_are_not_paired() -> None:
    records = load_records(example("nano_mamba"))
    table = records.table.with_columns(study=pl.lit("one"))
    other = table.with_columns(study=pl.lit("other"))
    faster = other.head(1).with_columns(
        cell=pl.lit("faster"), configuration=pl.lit("faster"), safety=pl.lit(0.5)
    )
    both = Records(pl.concat([table, other, faster]), records.objectives, [])
    found = compare(both, ("safety",), replicates=100)
    assert len(found.pairs) == 62
    assert set(found.unpaired["reason"]) == {"factors do not tell which one it is"}
    assert dict(found.unpaired.group_by("study").len().iter_rows()) == {"one": 1, "other": 2}
    assert found.shared_prompts == {}


def test_bytes_of_different_devices_are_not_compared() -> None:
    records = load_records(example("nano_mamba"))
    table = records.table.with_columns(study=pl.lit("one"))
    other = table.with_columns(study=pl.lit("other"), device=pl.lit("a GPU"))
    found = compare(
        Records(pl.concat([table, other]), records.objectives, []),
        ("safety", "weights_bytes_loaded"),
        replicates=100,
    )
    assert paired_differences(found, "weights_bytes_loaded")["difference"].null_count() == 63
    assert average_differences(found, "weights_bytes_loaded", "attack_label").is_empty()
    assert paired_differences(found, "safety")["difference"].null_count() == 0


def test_one_study_is_refused() -> None:
    with pytest.raises(ValueError, match="two studies are compared; here are 1"):
        compare(load_records(example("nano_mamba")))
