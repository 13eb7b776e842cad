"""A small study that all pictures are drawn of."""

import numpy as np
import pytest

from analysis.fronts.uncertain import UncertainFront, uncertain_front
from analysis.records.loading import Records
from analysis.uncertainty.draws import Draws, draw
from search_spaces.metrics import Metric, PromptSet
from tests.analysis.simulations import HARM, OVER_REFUSAL, Layout, Simulation, Truth

METRICS: tuple[Metric, ...] = (
    "helpfulness",
    "safety",
    "harmful_compliance",
    "over_refusal",
    "weights_bytes_loaded",
)


@pytest.fixture(scope="session")
def records() -> Records:
    """3 doses x 2 attacks x 3 compressions x 2 seeds: 18 configurations."""
    layout = Layout((0, 30, 300), (0, 10), ("none", "nf4", "gptq 2"), seeds=2, prompts=32)
    useless_at_2_bits = Truth(intercept=3.0, compression=(0.0, 0.0, -4.0))
    truths: dict[PromptSet, Truth] = {
        "helpfulness": useless_at_2_bits,
        "harmful": HARM,
        "borderline": OVER_REFUSAL,
    }
    return Simulation(layout, truths).records(np.random.default_rng(0))


@pytest.fixture(scope="session")
def draws(records: Records) -> Draws:
    """Of all metrics of the study."""
    return draw(records, METRICS, replicates=200)


@pytest.fixture(scope="session")
def front(draws: Draws, records: Records) -> UncertainFront:
    """On helpfulness, safety and bytes."""
    return uncertain_front(draws, records.objectives)
