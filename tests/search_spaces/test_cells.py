"""A space expands to one cell for every combination of its factors."""

from search_spaces.cells import expand
from tests.search_spaces.conftest import ROWS, SpaceFile


def test_every_combination_once(space: SpaceFile) -> None:
    space.settings["seeds"] = [0, 7]
    loaded = space.load()
    cells = expand(loaded)
    seen = [(c.seed, c.safety.examples, c.attack.method, c.compression.method) for c in cells]
    assert len(seen) == 2 * 2 * 2 * 3
    assert len(set(seen)) == len(seen)


def test_no_dose_has_no_form_and_stands_once(space: SpaceFile) -> None:
    tuning = space.settings["safety_tuning"]
    tuning["safety"]["question"] = dict(tuning["safety"]["instruction"])
    tuning["forms"] = ["instruction", "question"]
    space.settings["attacks"] = [{"method": "none"}]
    space.settings["compressions"] = [{"method": "none"}]
    doses = [(c.safety.examples, c.safety.form) for c in expand(space.load())]
    assert doses == [(0, None), (ROWS, "instruction"), (ROWS, "question")]
    first = expand(space.load())[0].safety
    assert first.safety is None
