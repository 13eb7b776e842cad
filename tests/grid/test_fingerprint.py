"""A fingerprint holds everything that changes a stage's result, and nothing else."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from grid.fingerprint import canonical_json, digest
from grid.stage import KINDS, Kind, stages_of
from search_spaces.attacks import HarmfulFinetuning
from search_spaces.cells import Cell
from search_spaces.compressions import BitsAndBytes, Calibration, Gptq, Magnitude, NoCompression
from search_spaces.contents import content_of
from search_spaces.evaluation import Evaluation, PhraseJudge
from search_spaces.safety_tuning import SafetyDose
from search_spaces.sources import Columns, DataSource, Exclusion, ModelSource
from search_spaces.training import Training

PAIRS = Columns(prompt="prompt", answer="answer")
LOCATION = ("path", "revision", "subset", "split")

# Changing one of these means that a stage's meaning or its settings changed: bump the VERSION of
# the settings that did, so that results already in a store stay valid for what they were.
GOLDEN = {
    "safety_tuning": "fe76e04adc533a4ca976015ec2641a4f60a07b23f045e3b9af4d77525b1d9581",
    "attack": "1df9ebf3bbb5f6ef4e1abbd786ac3b43d0828c6cdbc9b1a83b13065cfefd9de9",
    "compression": "90b6a3e43ce2c18030718a529c3f19e129d1facf675c9e22fff2ce2f2b400e09",
    "evaluation": "8460692f76bb9dde8f0daa9829c6794129a67a792be1862ee51602a863c7f600",
}


def data(name: str, columns: Columns = PAIRS) -> DataSource:
    return DataSource(path=f"/data/{name}", columns=columns)


def cell() -> Cell:
    """A cell with data in every place where a stage can hold some."""
    return Cell(
        model=ModelSource(path="/models/tiny", dtype="float32"),
        safety=SafetyDose(
            instructions=data("instructions.json"),
            safety=data("safety.json"),
            form="instruction",
            examples=30,
            training=Training(),
        ),
        attack=HarmfulFinetuning(
            method="harmful_finetuning",
            data=data("harmful.jsonl"),
            examples=10,
            poison_ratio=0.5,
            benign=data("benign.jsonl"),
            training=Training(adapter="full", learning_rate=1e-4),
        ),
        compression=Gptq(
            method="gptq",
            bits=4,
            group_size=32,
            calibration=Calibration(data=data("instructions.json"), samples=16),
        ),
        seed=1,
        evaluation=Evaluation(
            helpfulness=data("helpful.json"),
            harmful=data("forbidden.json", Columns()),
            borderline=DataSource(
                path="/data/borderline.csv", exclude=Exclusion(column="type", prefix="contrast_")
            ),
            perplexity=data("text.jsonl", Columns(prompt="text")),
        ),
    )


def named_content(source: DataSource | ModelSource) -> str:
    """A content hash that is the same wherever the file lies."""
    return f"content of {Path(source.path).name}"


def fingerprints(of: Cell) -> dict[str, str]:
    return {stage.kind: stage.fingerprint for stage in stages_of(of, named_content)}


def test_golden() -> None:
    assert fingerprints(cell()) == GOLDEN


def variants(value: object, field: str = "") -> Iterator[tuple[str, object]]:
    """The value with one field changed at a time, wherever it is nested."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            if isinstance(value, DataSource | ModelSource) and name in LOCATION:
                continue
            for at, other in variants(getattr(value, name), f"{field}.{name}"):
                yield at, value.model_copy(update={name: other})
    elif isinstance(value, bool):
        yield field, not value
    elif isinstance(value, int | float):
        yield field, value + 1
    elif isinstance(value, str):
        yield field, f"{value}, changed"
    elif isinstance(value, tuple):
        yield field, value[:-1]
    else:
        assert value is None, f"{field} has no variant: {value!r}"
        yield field, "changed"


def cell_variants() -> Iterator[tuple[str, Cell, Kind]]:
    """(the changed field, the changed cell, the first kind of stage that differs)."""
    base = cell()
    first_kinds: dict[str, Kind] = {
        "model": "safety_tuning",
        "safety": "safety_tuning",
        "attack": "attack",
        "compression": "compression",
        "evaluation": "evaluation",
        "seed": "safety_tuning",
    }
    for part, kind in first_kinds.items():
        for field, other in variants(getattr(base, part), part):
            changes: dict[str, Any] = {part: other}
            yield field, replace(base, **changes), kind


@pytest.mark.parametrize(
    ("other", "kind"), [pytest.param(c, kind, id=field) for field, c, kind in cell_variants()]
)
def test_every_field_changes_its_stage_and_all_after_it(other: Cell, kind: Kind) -> None:
    before, after = fingerprints(cell()), fingerprints(other)
    changed = [k for k in KINDS if before[k] != after[k]]
    assert changed == list(KINDS[KINDS.index(kind) :])


def test_no_two_changes_look_alike() -> None:
    last = [fingerprints(other)["evaluation"] for _, other, _ in cell_variants()]
    assert len(set(last)) == len(last) > 60


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (SafetyDose, "safety_tuning"),
        (HarmfulFinetuning, "attack"),
        (Gptq, "compression"),
        (Evaluation, "evaluation"),
        (PhraseJudge, "evaluation"),
    ],
)
def test_version_changes_its_stage(
    monkeypatch: pytest.MonkeyPatch, settings: type[BaseModel], kind: str
) -> None:
    before = fingerprints(cell())
    monkeypatch.setattr(settings, "VERSION", 1000)
    after = fingerprints(cell())
    changed = [k for k in KINDS if before[k] != after[k]]
    assert changed[0] == kind


def test_methods_differ() -> None:
    methods = (
        NoCompression(),
        BitsAndBytes(method="bitsandbytes", bits=4),
        Magnitude(method="magnitude", sparsity=0.5),
        cell().compression,
    )
    found = {fingerprints(replace(cell(), compression=m))["compression"] for m in methods}
    assert len(found) == len(methods)


def with_folder(of: Cell, folder: str) -> Cell:
    """The cell with its model and its instructions in another folder."""

    def moved(path: str) -> dict[str, str]:
        return {"path": f"{folder}/{Path(path).name}"}

    instructions = of.safety.instructions
    safety = of.safety.model_copy(
        update={"instructions": instructions.model_copy(update=moved(instructions.path))}
    )
    return replace(of, model=of.model.model_copy(update=moved(of.model.path)), safety=safety)


def test_place_does_not_matter() -> None:
    assert fingerprints(with_folder(cell(), "/mnt/other/host")) == fingerprints(cell())


def test_content_matters_wherever_it_lies(tmp_path: Path) -> None:
    def stage_of(folder: Path, text: str) -> str:
        (folder / "tiny").mkdir(parents=True)
        (folder / "tiny" / "config.json").write_text(text)
        (folder / "instructions.json").write_text("[]")
        return stages_of(with_folder(cell(), str(folder)), content_of)[0].fingerprint

    first = stage_of(tmp_path / "a", "{}")
    assert stage_of(tmp_path / "b", "{}") == first
    assert stage_of(tmp_path / "c", "{ }") != first


def test_edit_in_place_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "instructions.json"
    source = DataSource(path=str(path))
    path.write_text("[1]")
    first = content_of(source)
    path.write_text("[1, 2]")
    assert content_of(source) != first


def test_hub_data_is_what_its_id_commit_subset_and_split_name() -> None:
    base = DataSource(path="owner/data", revision="a" * 40)
    sources = [base] + [
        base.model_copy(update={name: other})
        for name, other in (
            ("path", "owner/other"),
            ("revision", "b" * 40),
            ("subset", "en"),
            ("split", "test"),
        )
    ]
    found = set()
    for source in sources:
        safety = cell().safety.model_copy(update={"instructions": source})
        found.add(stages_of(replace(cell(), safety=safety), content_of)[0].fingerprint)
    assert len(found) == len(sources)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(plain)
def test_canonical_json_keeps_the_value(value: object) -> None:
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), plain, max_size=6), st.randoms(use_true_random=False))
def test_key_order_does_not_matter(value: dict[str, object], source: random.Random) -> None:
    keys = list(value)
    source.shuffle(keys)
    assert digest({key: value[key] for key in keys}) == digest(value)


def test_order_of_a_list_matters() -> None:
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})


def test_whole_numbers_are_one_number() -> None:
    assert digest({"alpha": 16.0}) == digest({"alpha": 16})
    assert digest({"alpha": 16.5}) != digest({"alpha": 16})
    assert digest({"alpha": True}) != digest({"alpha": 1})


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        frozenset(),
        object(),
        b"bytes",
        float("nan"),
        float("inf"),
        Path("/data"),
        Colour.RED,
        {1: "a key that is no string"},
        len,
    ],
    ids=repr,
)
def test_values_without_a_stable_form_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        digest({"nested": [value]})
