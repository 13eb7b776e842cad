"""Probabilities and intervals of fronts hold what they say, where the truth is known."""

from collections.abc import Iterator
from dataclasses import dataclass

import moocore
import numpy as np
import polars as pl
import pytest

from analysis.fronts.dominance import knee, losses, nondominated
from analysis.fronts.uncertain import attainment, uncertain_front, vorobev_deviation
from analysis.records.configurations import Floats, Mask
from analysis.uncertainty.draws import draw
from search_spaces.space import Objective
from tests.analysis.simulations import Layout, Simulation, Truth

OBJECTIVES = (
    Objective(metric="helpfulness", direction="maximize"),
    Objective(metric="safety", direction="maximize"),
)
REPLICATES = 200
DEPARTURE = 0.3
"""Standard deviation of the truth from additivity, in log-odds."""
LAYOUT = Layout(
    doses=(0, 30, 100, 300, 1000), attacks=(0, 10, 100),
    compressions=("none", "llm.int8", "gptq 4", "gptq 2"), seeds=1, prompts=128,
)  # fmt: skip
"""60 configurations."""


@dataclass(frozen=True)
class Found:
    """A simulated study's front beside its true one."""

    probability: Floats
    truth: Mask
    hypervolume_covered: bool


def studies(count: int) -> Iterator[Found]:
    """Fronts of simulated studies, each with its own truth."""
    rng = np.random.default_rng(2)
    for number in range(count):
        truths = {
            "helpfulness": Truth(
                intercept=2.5, dose=(0.0, -0.1, -0.2, -0.4, -0.8), compression=(0.0, 0.0, -0.2, -2),
                interaction=rng.normal(0, DEPARTURE, LAYOUT.shape), checkpoint_sd=0.0,
            ),
            "harmful": Truth(
                intercept=1.5, dose=(0.0, -0.5, -1.5, -3.0, -4.0), attack=(0.0, 1.0, 3.0),
                interaction=rng.normal(0, DEPARTURE, LAYOUT.shape), checkpoint_sd=0.0,
            ),
            "borderline": Truth(),
        }  # fmt: skip
        true = np.stack(
            [truths["helpfulness"].rates(LAYOUT), 1 - truths["harmful"].rates(LAYOUT)], axis=-1
        ).reshape(-1, 2)
        drawn = draw(
            Simulation(LAYOUT, truths).records(rng),  # type: ignore[arg-type]
            [o.metric for o in OBJECTIVES], REPLICATES, number,
        )  # fmt: skip
        front = uncertain_front(drawn, OBJECTIVES)
        points = losses(true, OBJECTIVES) + 1
        share = moocore.hypervolume(points, ref=1.0)
        yield Found(
            front.table["probability"].to_numpy(),
            nondominated(points),
            front.hypervolume_low <= share <= front.hypervolume_high,
        )


def test_probability_of_being_on_the_front_is_calibrated() -> None:
    """Of the configurations that are on it with a probability of .7, seven in ten are."""
    found = list(studies(500))
    probability = np.concatenate([study.probability for study in found])
    truth = np.concatenate([study.truth for study in found])
    edges = np.array([0.2, 0.4, 0.6, 0.8])
    for bin in range(len(edges) + 1):
        inside = np.digitize(probability, edges) == bin
        assert inside.sum() > 500
        assert truth[inside].mean() == pytest.approx(probability[inside].mean(), abs=0.05)
    assert 0.93 <= np.mean([study.hypervolume_covered for study in found]) <= 0.97


def test_raw_draws_would_not_be_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The winner's curse is real: without pooling the hypervolume lies beyond the true one."""
    monkeypatch.setattr("analysis.fronts.uncertain.pooled", lambda draws, seed: draws)
    covered = [study.hypervolume_covered for study in studies(60)]
    assert np.mean(covered) < 0.8


@pytest.mark.parametrize("objectives", [2, 3])
def test_vorobev_deviation_is_moocores(objectives: int) -> None:
    rng = np.random.default_rng(0)
    replicates = np.clip(0.6 + 0.3 * rng.standard_normal((30, 25, objectives)), 0, 1)
    kept = np.stack([nondominated(points) for points in replicates])
    sets = np.repeat(np.arange(30), kept.sum(axis=1))
    exact = moocore.vorob_dev(replicates[kept], sets, ref=np.ones(objectives))
    assert vorobev_deviation(replicates, kept, rng) == pytest.approx(exact, rel=0.15)


def test_attainment_levels_lie_inside_each_other() -> None:
    records = Simulation(LAYOUT).records(np.random.default_rng(0))
    drawn = draw(records, [o.metric for o in OBJECTIVES], 200)
    found = attainment(drawn, OBJECTIVES)
    assert found.columns == ["level", "helpfulness", "safety"]
    for helpfulness in np.linspace(0.3, 0.95, 6):
        reached = [
            found.filter((pl.col("level") == level) & (pl.col("helpfulness") >= helpfulness))[
                "safety"
            ].max()
            for level in (5, 50, 95)
        ]
        # what 95 % of the fronts reach, 5 % reach as well
        heights = [0.0 if top is None else top for top in reached]
        assert heights == sorted(heights, reverse=True)


def test_probabilities_and_knees_of_a_noisy_study() -> None:
    records = Simulation(LAYOUT).records(np.random.default_rng(0))
    metrics = [o.metric for o in records.objectives]
    front = uncertain_front(draw(records, metrics, 300), records.objectives)
    table = front.table
    assert table["probability"].is_between(0, 1).all()
    assert table["knee_share"].sum() == pytest.approx(1)
    assert table["knee"].sum() == 1
    assert table.filter("knee")["on_front"].all()
    assert 0 < front.hypervolume_low <= front.hypervolume_high <= 1
    assert front.vorobev_deviation > 0
    for metric in metrics:
        assert (table[f"{metric}_low"] <= table[f"{metric}_high"]).all()


def test_knee_is_where_the_front_bulges() -> None:
    points = np.array([[0.0, 1.0], [0.1, 0.2], [0.5, 0.1], [1.0, 0.0]])
    assert knee(points) == 1
    assert knee(points * [1e6, 1]) == 1
    assert knee(points[:1]) == 0
