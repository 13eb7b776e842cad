"""A simulated study reads as what it was drawn from."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.records.configurations import configurations, outcomes
from analysis.records.loading import load_records
from search_spaces.metrics import RATES
from tests.analysis.simulations import HARM, Layout, Simulation


def test_a_written_study_loads_as_the_one_in_memory(tmp_path: Path) -> None:
    simulation = Simulation(Layout((0, 100), (0, 10), ("none", "gptq 4"), seeds=2, prompts=8))
    simulation.write(tmp_path, np.random.default_rng(0))
    loaded, direct = load_records(str(tmp_path)), simulation.records(np.random.default_rng(0))
    cells = [configurations(records).cells for records in (loaded, direct)]
    assert cells[0].sort("cell")["cell"].to_list() == cells[1].sort("cell")["cell"].to_list()
    for metric in RATES:
        first, second = (
            outcomes(records, table.sort("cell"), metric)
            for records, table in zip((loaded, direct), cells, strict=True)
        )
        assert np.array_equal(first, second)
        assert np.allclose(first.mean(axis=1), cells[0].sort("cell")[metric])


def test_a_simulation_has_the_rates_and_the_noise_it_says() -> None:
    layout = Layout(seeds=40, prompts=400)
    truth = replace(HARM, prompt_sd=0.8, checkpoint_sd=0.5)
    drawn = truth.answers(layout, np.random.default_rng(1)).mean(axis=(3, 4))
    assert np.abs(drawn - truth.rates(layout)).max() < 0.06
    assert abs((drawn - truth.rates(layout)).mean()) < 0.02
