"""Importances rank factors by what they change, and cost no heavy import elsewhere."""

import subprocess
import sys
from pathlib import Path

import numpy as np

import analysis
from analysis.effects.importance import SCHEMA, importances
from analysis.records.configurations import configurations
from tests.analysis.simulations import HARM, Layout, Simulation, Truth

LAYOUT = Layout((0, 100, 1000), (0, 10), ("none", "nf4", "gptq 2"), prompts=64)
IMPORT_ALL = """
import importlib, pkgutil, sys
import analysis
names = [m.name for m in pkgutil.walk_packages(analysis.__path__, "analysis.")]
for name in names:
    importlib.import_module(name)
from tests.analysis.effects.test_importance import LAYOUT, ranked
ranked()
heavy = {"torch", "ray", "transformers"} & set(sys.modules)
print(len(names) > 10, sorted(heavy))
"""


def ranked() -> list[str]:
    records = Simulation(LAYOUT, {"harmful": HARM}).records(np.random.default_rng(0))
    return importances(configurations(records), ["safety"])["factor"].to_list()


def test_what_changes_most_comes_first_and_twice_the_same() -> None:
    assert ranked()[0] == "safety_examples"
    records = Simulation(LAYOUT, {"harmful": HARM}).records(np.random.default_rng(0))
    groups = configurations(records)
    first, second = (importances(groups, ["safety", "weights_bytes_loaded"]) for _ in range(2))
    assert first.equals(second)
    assert dict(first.schema) == SCHEMA
    shares = first.filter(metric="weights_bytes_loaded")
    assert shares["factor"][0] == "compression_label"
    assert shares["importance"][0] > 0.99
    assert 0 < first.filter(metric="safety")["importance"].sum() <= 1


def test_what_does_not_vary_or_was_not_measured_has_no_row() -> None:
    records = Simulation(LAYOUT, {"harmful": Truth(intercept=50)}).records(np.random.default_rng(0))
    assert importances(configurations(records), ["safety", "helpfulness"]).is_empty()


def test_no_module_of_the_analysis_imports_what_trains_models() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        capture_output=True,
        text=True,
        cwd=Path(analysis.__path__[0]).parent,
    )
    assert answer.stdout.split() == ["True", "[]"], answer.stderr
