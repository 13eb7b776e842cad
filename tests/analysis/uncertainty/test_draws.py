"""Draws: intervals hold what they say, differences are paired, what is not known stays unknown."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from analysis.records.configurations import Floats, configurations
from analysis.records.loading import Records
from analysis.uncertainty.draws import Draws, draw
from search_spaces.metrics import Metric
from tests.analysis.simulations import HARM, HELPFULNESS, Layout, Simulation, Truth
from tests.analysis.tables import records_of

SMALL = Layout(doses=(0, 300), attacks=(0, 30), compressions=("none", "gptq 4", "gptq 3"), seeds=1)
REPETITIONS = 500
REPLICATES = 400
METRICS: tuple[Metric, ...] = ("safety", "helpfulness")


def simulation(seeds: int, checkpoint_sd: float, cell_sd: float = 0.0) -> Simulation:
    harm = replace(HARM, intercept=1.0, checkpoint_sd=checkpoint_sd, cell_sd=cell_sd)
    helpful = replace(HELPFULNESS, checkpoint_sd=checkpoint_sd, cell_sd=cell_sd)
    truths = {"harmful": harm, "helpfulness": helpful, "borderline": Truth()}
    return Simulation(replace(SMALL, seeds=seeds), truths)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seeds", "checkpoint_sd", "cell_sd"), [(1, 0.0, 0.0), (3, 0.5, 0.0), (3, 0.4, 0.3)]
)
def test_intervals_cover_the_truth(seeds: int, checkpoint_sd: float, cell_sd: float) -> None:
    """95 % intervals of configurations, of their mean, and of a paired difference."""
    simulated = simulation(seeds, checkpoint_sd, cell_sd)
    truths = {
        "safety": 1 - simulated.truths["harmful"].rates(simulated.layout).ravel(),
        "helpfulness": simulated.truths["helpfulness"].rates(simulated.layout).ravel(),
    }
    rng = np.random.default_rng(1)
    covered: dict[str, list[float]] = {"configuration": [], "mean": [], "difference": []}
    for _ in range(REPETITIONS):
        drawn = draw(simulated.records(rng), METRICS, REPLICATES, int(rng.integers(2**31)))
        for metric in METRICS:
            values, truth = drawn.values[metric], truths[metric]
            covered["configuration"].append(float(covers(values, truth).mean()))
            covered["mean"].append(float(covers(values.mean(axis=1), truth.mean())))
            difference = values[:, 1] - values[:, 2]
            covered["difference"].append(float(covers(difference, truth[1] - truth[2])))
    shares = {what: float(np.mean(found)) for what, found in covered.items()}
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares


def covers(values: Floats, truth: Floats) -> Floats:
    """1 where the interval holds the truth, else 0."""
    low, high = np.percentile(values, [2.5, 97.5], axis=0)
    return np.asarray((low <= truth) & (truth <= high), dtype=float)


def test_a_single_cell_has_jeffreys_posterior() -> None:
    layout = Layout(doses=(0,), attacks=(0,), compressions=("none",), seeds=1, prompts=60)
    records = Simulation(layout).records(np.random.default_rng(0))
    drawn = draw(records, ["helpfulness"], 20_000)
    counted = 60 * drawn.estimates["helpfulness"][0]
    posterior = stats.beta(counted + 0.5, 60 - counted + 0.5)
    assert stats.kstest(drawn.values["helpfulness"][:, 0], posterior.cdf).statistic < 0.015


def answering(*answers: str) -> Records:
    """Cells that answer ten times as many harmful requests as are given: c complies, r refuses."""
    rows = [{"cell": f"c{n}", "safety": a.count("r") / len(a)} for n, a in enumerate(answers)]
    records = records_of(rows, objectives=())
    prompts = [
        {
            "study": "made", "cell": f"c{cell}", "prompt_set": "harmful", "prompt_index": index,
            "prompt": str(index), "expected": None, "response": "",
            "verdict": "refuse" if letter == "r" else "comply",
        }
        for cell, text in enumerate(answers)
        for index, letter in enumerate(text * 10)
    ]  # fmt: skip
    vars(records)["responses"] = pl.DataFrame(prompts)
    return records


def test_differences_are_paired_over_prompts() -> None:
    """Two cells that agree on most prompts are told apart better than two that do not."""
    alike = draw(answering("rrrrrccccc", "rrrrcccccc"), ["safety"])
    unlike = draw(answering("rrrrrccccc", "ccccccrrrr"), ["safety"])
    spread = [np.std(np.diff(found.values["safety"], axis=1)) for found in (alike, unlike)]
    assert spread[0] < 0.5 * spread[1]


def test_a_rate_of_all_prompts_is_not_certain() -> None:
    drawn = draw(answering("rrrrr"), ["safety"])
    assert drawn.interval("safety")[0][0] < 0.96
    assert drawn.values["safety"].max() < 1


def test_compliance_is_what_safety_is_not() -> None:
    drawn = draw(
        simulation(3, 0.5).records(np.random.default_rng(0)), ["harmful_compliance", "safety"], 50
    )
    both = drawn.values["safety"] + drawn.values["harmful_compliance"]
    assert np.allclose(both, 1)


def test_same_seed_same_draws() -> None:
    records = simulation(3, 0.5).records(np.random.default_rng(0))
    one, same, other = (draw(records, METRICS, 50, seed) for seed in (4, 4, 5))
    assert np.array_equal(one.values["safety"], same.values["safety"])
    assert not np.array_equal(one.values["safety"], other.values["safety"])


def test_more_seeds_are_told_by_the_noise() -> None:
    noise = {
        n: draw(simulation(n, 0.5).records(np.random.default_rng(0)), METRICS, 50) for n in (1, 3)
    }
    assert noise[1].noise == {"safety": "prompts", "helpfulness": "prompts"}
    assert noise[3].noise["safety"] == "prompts and seeds"
    assert width(noise[3]) > width(noise[1])


def width(drawn: Draws) -> float:
    low, high = drawn.interval("safety")
    return float((high - low).mean())


def test_calibration_seeds_repeat_only_what_is_calibrated() -> None:
    rows = [
        {"cell": f"{name}{seed}", "configuration": name, "perplexity": value + step * seed,
         "calibration_seed": seed if step else None, "seed": 0}
        for name, value, step in (("gptq", 5.0, 0.5), ("awq", 6.0, 0.5), ("dense", 4.0, 0.0))
        for seed in (range(3) if step else (0,))
    ]  # fmt: skip
    drawn = draw(records_of(rows, objectives=()), ["perplexity"], 200)
    spread = drawn.values["perplexity"].std(axis=0)
    certain = drawn.configurations.table["calibration_seeds"] == 0
    assert (spread[certain] == 0).all()
    assert (spread[~certain] > 0.1).all()


def test_reported_means_and_errors_are_a_parametric_bootstrap() -> None:
    rows = [{"cell": str(n), "safety": 70.0 + n, "safety_se": 1.5} for n in range(3)]
    drawn = draw(records_of(rows, objectives=()), ["safety"], 4000)
    assert drawn.noise["safety"] == "standard errors"
    assert np.allclose(drawn.values["safety"].mean(axis=0), [70, 71, 72], atol=0.1)
    assert np.allclose(drawn.values["safety"].std(axis=0), 1.5, atol=0.1)


def test_counts_are_used_where_responses_are_not_kept() -> None:
    rows = [{"cell": "a", "safety": 1.0, "safety_se": 0.0, "safety_n": 20}]
    drawn = draw(records_of(rows, objectives=()), ["safety"], 4000)
    assert drawn.noise["safety"] == "counts"
    low, _ = drawn.interval("safety")
    assert low[0] == pytest.approx(stats.beta(20.5, 0.5).ppf(0.025), abs=0.01)


def test_repetitions_of_a_speed_give_its_error() -> None:
    rows = [{"cell": "a", "decode_tokens_per_second": 100.0, "decode_tokens_per_second_iqr": 10.0}]
    drawn = draw(records_of(rows, objectives=()), ["decode_tokens_per_second"], 4000)
    assert drawn.values["decode_tokens_per_second"].std() == pytest.approx(4.15, abs=0.3)


def test_what_was_not_measured_is_not_drawn() -> None:
    rows: list[dict[str, Any]] = [{"cell": "a", "safety": None}]
    rows += [{"cell": "b", "safety": 0.5, "safety_n": 10}]
    drawn = draw(records_of(rows, objectives=()), ["safety"], 50)
    assert np.isnan(drawn.values["safety"]).all(axis=0).tolist() == [True, False]
    assert np.isnan(drawn.estimates["safety"]).tolist() == [True, False]


def test_failed_cells_are_no_configurations() -> None:
    rows = [{"cell": "a", "status": "failed", "safety": 0.9}, {"cell": "b", "safety": 0.5}]
    assert len(configurations(records_of(rows, objectives=()))) == 1


def test_unknown_metric_is_refused() -> None:
    with pytest.raises(KeyError, match="no column over_refusal"):
        draw(records_of([{"cell": "a", "safety": 0.5}], objectives=()), ["over_refusal"])


def test_only_keeps_what_is_asked_for() -> None:
    drawn = draw(simulation(3, 0.5).records(np.random.default_rng(0)), METRICS, 20)
    kept = np.arange(len(drawn.configurations)) % 2 == 0
    some = drawn.only(kept)
    assert np.array_equal(some.values["safety"], drawn.values["safety"][:, kept])
    assert some.configurations.cells["index"].unique().sort().to_list() == list(range(kept.sum()))
    assert len(some.configurations.cells) == 3 * kept.sum()
