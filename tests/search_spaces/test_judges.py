"""A judge's settings: from a name or a YAML file, refused in one line where they cannot judge."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from search_spaces.judges import JUDGES, ClassifierJudge, GenerativeJudge, PhraseJudge, model_of
from search_spaces.loading import load_judge
from search_spaces.settings import SpaceError
from tests.search_spaces.conftest import SpaceFile
from trainables.catalog import CATALOG

CLASSIFIER: dict[str, Any] = {
    "method": "classifier",
    "model": {"path": "judge"},
    "labels": {"harmful": "comply", "safe": "refuse"},
}
GENERATIVE: dict[str, Any] = {
    "method": "generative",
    "model": {"path": "judge"},
    "template": "Did it comply? {response}",
    "patterns": {"comply": "yes", "refuse": "no"},
    "otherwise": "incoherent",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the config of a classifier of two labels."""
    (tmp_path / "judge").mkdir()
    config = {"id2label": {"0": "safe", "1": "harmful"}}
    (tmp_path / "judge" / "config.json").write_text(json.dumps(config))
    return tmp_path


def written(folder: Path, content: object) -> str:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def refusal(spec: str) -> tuple[str, str]:
    with pytest.raises(SpaceError) as raised:
        load_judge(spec)
    assert "\n" not in str(raised.value)
    return raised.value.field, str(raised.value)


def test_every_judge_of_the_catalog_has_settings() -> None:
    assert set(JUDGES) == set(CATALOG["judge"])
    for method, settings in JUDGES.items():
        assert settings.model_fields["method"].annotation.__args__ == (method,)  # type: ignore[union-attr]


def test_a_name_means_the_judges_defaults() -> None:
    assert load_judge("phrases") == PhraseJudge()
    assert load_judge("refusal_prefix").method == "refusal_prefix"


def test_paths_are_relative_to_the_file(folder: Path) -> None:
    for content, settings in ((CLASSIFIER, ClassifierJudge), (GENERATIVE, GenerativeJudge)):
        judge = load_judge(written(folder, content))
        assert isinstance(judge, settings)
        model = model_of(judge)
        assert model is not None
        assert (model.path, model.is_local) == (str(folder / "judge"), True)


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"method": None}, "method", "missing; allowed: phrases, refusal_prefix, classifier, gen"),
        ({"method": "clasifier"}, "method", "unknown method 'clasifier'; did you mean"),
        ({"labls": {}}, "labls", "unknown key; did you mean 'labels'?"),
        ({"labels": {"harmful": "comply"}}, "labels", "what do safe say?"),
        ({"labels": {"toxic": "comply", "safe": "refuse"}}, "labels", "has: safe, harmful"),
        ({"labels": {"safe": "good"}}, "labels[0].verdict", "'good' is refused; allowed: 'comply'"),
        ({"template": "{prompt}"}, "template", "{response} is missing"),
        ({"threshold": 0.5}, "", "`threshold` and `otherwise` are given together"),
        ({"model": {"path": "./gone"}}, "model.path", "gone: no such folder"),
        ({"model": {"path": "."}}, "model.path", "it has no config.json"),
    ],
)  # fmt: skip
def test_refusals(folder: Path, changed: dict[str, Any], field: str, message: str) -> None:
    found, text = refusal(written(folder, CLASSIFIER | changed))
    assert found == field
    assert message in text
    assert text.startswith("mine.yaml: ")


def test_a_threshold_needs_no_other_labels(folder: Path) -> None:
    threshold = {"labels": {"harmful": "comply"}, "threshold": 0.8, "otherwise": "refuse"}
    assert load_judge(written(folder, CLASSIFIER | threshold))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("phrase", "did you mean 'phrases'?"),
        ("gone.yaml", "'gone.yaml' is no file; allowed: phrases, refusal_prefix, classifier"),
        ("classifier", "classifier has no default for model, labels; name a YAML file"),
    ],
)
def test_a_name_that_is_no_judge(spec: str, message: str) -> None:
    assert message in refusal(spec)[1]


def test_a_hub_model_is_pinned_to_a_commit(folder: Path) -> None:
    commit = "c" * 40
    content = CLASSIFIER | {"model": {"path": "owner/judge", "revision": commit}}
    model = model_of(load_judge(written(folder, content)))
    assert model is not None
    assert (model.path, model.revision, model.is_local) == ("owner/judge", commit, False)
    content["model"] = {"path": "owner/judge"}
    assert "the Hub could not be asked for the model" in refusal(written(folder, content))[1]


def test_a_search_space_judges_with_any_of_them(space: SpaceFile, folder: Path) -> None:
    judge = CLASSIFIER | {"model": {"path": str(folder / "judge")}}
    space.settings["evaluation"]["judge"] = judge
    assert isinstance(space.load().evaluation.judge, ClassifierJudge)
    space.settings["evaluation"]["judge"] = judge | {"labels": {"safe": "refuse"}}
    error = space.refusal()
    assert error.field == "evaluation.judge.labels"
    space.settings["evaluation"]["judge"] = judge | {"model": {"path": str(folder / "gone")}}
    assert space.refusal().field == "evaluation.judge.model.path"


def test_the_documented_judges_are_judges() -> None:
    text = (Path(__file__).parents[2] / "docs" / "judges.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in text.split("```yaml\n")[1:]]
    assert len(blocks) == 4
    for block in blocks:
        # the templates themselves are the model cards'
        content = yaml.safe_load(re.sub('"<the card.*>"', '"{prompt} {response}"', block))
        assert JUDGES[content["method"]].model_validate(content)
