"""A judge is part of the evaluation that it judges: whatever changes its verdicts changes that."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grid.fingerprint import canonical, digest
from grid.stage import stages_of
from grid.study import create_study, open_study
from grid.worlds import world_folder
from search_spaces.cells import expand
from search_spaces.contents import content_of
from search_spaces.judges import JUDGES, ClassifierJudge, GenerativeJudge, RefusalPrefixJudge
from search_spaces.loading import load_space
from search_spaces.settings import Settings
from tests.grid.conftest import preset, write_space

MODEL = {"path": "owner/judge", "revision": "c" * 40}
BASE: list[dict[str, Any]] = [
    {"method": "refusal_prefix"},
    {"method": "classifier", "model": MODEL, "labels": {"a": "comply", "b": "refuse"}},
    {
        "method": "generative",
        "model": MODEL,
        "template": "{response}",
        "patterns": {"comply": "yes", "refuse": "no"},
        "otherwise": "incoherent",
    },
]
CHANGES: list[list[dict[str, Any]]] = [
    [{"prefixes": ["no"]}],
    [
        {"model": MODEL | {"revision": "d" * 40}},
        {"model": MODEL | {"dtype": "float32"}},
        {"labels": {"a": "refuse", "b": "comply"}},
        {"threshold": 0.5, "otherwise": "refuse"},
        {"template": "{prompt} {response}"},
        {"max_tokens": 64},
        {"batch_size": 2},
    ],
    [
        {"patterns": {"refuse": "no", "comply": "yes"}},
        {"patterns": {"comply": "yes"}},
        {"otherwise": "comply"},
        {"format": "raw"},
        {"format": "conversation", "template": None},
        {"max_new_tokens": 4},
        {"max_response_tokens": 4},
        {"batch_size": 2},
    ],
]
GOLDEN = ["b1e5855a122d", "a7b1d4f99506", "de3ece77adf1"]
ALL = [(base, one) for base, some in zip(BASE, CHANGES, strict=True) for one in some]


def fingerprint(settings: dict[str, Any]) -> str:
    return digest(canonical(JUDGES[settings["method"]].model_validate(settings), content_of))


@pytest.mark.parametrize(("base", "changed"), ALL)
def test_every_setting_tells(base: dict[str, Any], changed: dict[str, Any]) -> None:
    assert fingerprint(base | changed) != fingerprint(base)


@pytest.mark.parametrize("settings", [RefusalPrefixJudge, ClassifierJudge, GenerativeJudge])
def test_version_tells(monkeypatch: pytest.MonkeyPatch, settings: type[Settings]) -> None:
    base = next(b for b in BASE if JUDGES[b["method"]] is settings)
    before = fingerprint(base)
    monkeypatch.setattr(settings, "VERSION", 1000)
    assert fingerprint(base) != before


def test_golden_fingerprints() -> None:
    """They must not change between versions: what was judged stays known by them."""
    assert [fingerprint(base)[:12] for base in BASE] == GOLDEN


def test_a_study_knows_its_judges_model(world: Path, tmp_path: Path) -> None:
    """By content: another model is another evaluation, wherever it lies."""
    content = preset("smoke")
    (tmp_path / "judge").mkdir()
    config = tmp_path / "judge" / "config.json"
    config.write_text("{}")
    content["evaluation"]["judge"] = BASE[2] | {"model": {"path": str(tmp_path / "judge")}}
    space = load_space(write_space(tmp_path, content), world_folder)
    study = create_study(str(tmp_path / "study"), space)
    assert open_study(str(tmp_path / "study")).plan.stages.keys() == study.plan.stages.keys()
    first = expand(space)[0]
    before = stages_of(first, content_of)[-1].fingerprint
    assert before in study.plan.stages
    config.write_text("{ }")
    assert stages_of(first, content_of)[-1].fingerprint != before
    phrases = load_space("smoke", world_folder).evaluation
    unlike = stages_of(replace(first, evaluation=phrases), content_of)[-1].fingerprint
    assert unlike != before
