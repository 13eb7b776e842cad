"""Detectable differences are those that simulated studies detect in four of five repetitions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.effects.paired_rates import mcnemar_p_values
from analysis.effects.power import (
    OVER_PROMPTS,
    OVER_SEEDS,
    SCHEMA,
    detectable_differences,
    paired_difference,
    paired_power,
)
from tests.analysis.simulations import Layout, Simulation, Truth

STUDIES = 20_000
LAYOUT = Layout((0, 100, 1000), (0, 10), ("none", "nf4", "gptq 2"), prompts=128)
TRUTH = Truth(prompt_sd=2.0, checkpoint_sd=0.5)


@pytest.mark.parametrize(
    ("prompts", "discordance"), [(128, 0.0), (128, 0.2), (40, 0.1), (520, 0.4)]
)
def test_the_paired_difference_is_found_in_four_of_five(prompts: int, discordance: float) -> None:
    difference = paired_difference(prompts, discordance)
    assert difference is not None
    shares = [discordance / 2 + difference, discordance / 2, 1 - discordance - difference]
    lost, gained, _ = np.random.default_rng(0).multinomial(prompts, shares, STUDIES).T
    p_values = mcnemar_p_values(lost.astype(np.float64), gained.astype(np.float64))
    assert 0.78 <= (p_values < 0.05).mean() <= 0.82
    assert paired_power(prompts, discordance, 0.0) <= 0.05


def test_too_few_prompts_find_nothing() -> None:
    assert paired_difference(5, 0.0) is None
    assert paired_difference(100, 1.0) is None


def test_a_study_says_what_it_could_have_seen() -> None:
    records = Simulation(LAYOUT, {"helpfulness": TRUTH}).records(np.random.default_rng(0))
    found = detectable_differences(records, ["helpfulness"])
    assert dict(found.schema) == SCHEMA
    pairs = found.filter(comparison=OVER_PROMPTS)
    assert pairs["compression_label"].to_list() == ["nf4", "gptq 2"]
    assert set(pairs["prompts"]) == {128}
    # answers are drawn anew for each cell, and a prompt's luck is all they share
    assert 0.15 < pairs["discordance"].to_numpy().mean() < 0.35
    assert 0.1 < pairs["difference"].to_numpy().mean() < 0.2


def test_the_difference_over_seeds_is_found_in_four_of_five() -> None:
    records = Simulation(LAYOUT, {"helpfulness": TRUTH}).records(np.random.default_rng(0))
    row = detectable_differences(records, ["helpfulness"]).filter(comparison=OVER_SEEDS)
    rng = np.random.default_rng(1)
    first = rng.normal(0, row["seed_sd"].item(), (STUDIES, 3))
    second = rng.normal(row["difference"].item(), row["seed_sd"].item(), (STUDIES, 3))
    assert 0.78 <= (stats.ttest_ind(first, second, axis=1).pvalue < 0.05).mean() <= 0.82
    # half a log-odds between checkpoints, seen through prompts that differ, and the answers' own
    assert 0.05 < row["seed_sd"].item() < 0.12


def test_one_seed_says_nothing_of_seeds() -> None:
    simulation = Simulation(replace(LAYOUT, seeds=1), {"helpfulness": TRUTH})
    found = detectable_differences(simulation.records(np.random.default_rng(0)), ["helpfulness"])
    assert set(found["comparison"]) == {OVER_PROMPTS}
