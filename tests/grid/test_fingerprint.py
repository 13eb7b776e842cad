"""A fingerprint holds everything that changes a stage's result, and nothing else."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from grid.fingerprint import canonical_json, digest
from grid.stage import Kind, stages_of
from search_spaces.attacks import HarmfulFinetuning, NoAttack
from search_spaces.cells import Cell
from search_spaces.compressions import (
    Awq,
    BitsAndBytes,
    Calibration,
    Compression,
    Fp8,
    Gptq,
    Hqq,
    Int8Dynamic,
    Magnitude,
    NoCompression,
    Rtn,
    SparseGpt,
    Stacked,
    Wanda,
    steps_of,
)
from search_spaces.contents import content_of
from search_spaces.evaluation import Evaluation
from search_spaces.judges import PhraseJudge
from search_spaces.safety_tuning import SafetyDose
from search_spaces.sources import Columns, DataSource, Exclusion, ModelSource, StoredModel
from search_spaces.space import Order
from search_spaces.training import Training
from trainables.catalog import CATALOG

PAIRS = Columns(prompt="prompt", answer="answer")
LOCATION = ("path", "revision", "subset", "split")

# Changing one of these means that a stage's meaning or its settings changed: bump the VERSION of
# the settings that did, so that results already in a store stay valid for what they were.
GOLDEN = {
    "safety_tuning": "fe76e04adc533a4ca976015ec2641a4f60a07b23f045e3b9af4d77525b1d9581",
    "attack": "1df9ebf3bbb5f6ef4e1abbd786ac3b43d0828c6cdbc9b1a83b13065cfefd9de9",
    "compression": "5451aaa691b96514f562303f2e5d6949a5724baac07d42bb00b8dfd31bc0c4ea",
    "evaluation": "b58afaf2131412f3d1006fb971a66d222af98ae9eea6b01938241d60e1f88e66",
}
GOLDEN_OTHER_ORDER = {
    "safety_tuning": "fe76e04adc533a4ca976015ec2641a4f60a07b23f045e3b9af4d77525b1d9581",
    "no attack": "5375f2220de2d5fa1d23d5f930dbcf6642d1de1d8c119c0ea3bd6dd07c06cd68",
    "compression": "fe56deb491fa9dee96bd857ac04fb5956ac57982d8262cf542b8f81ad22ea311",
    "attack": "4e657d47e705f72a12bf022b1f5c89b003acdb069a021d6864514be623982077",
    "evaluation": "c4913260eb5d2d8aa03b9bcadbed88c873300aec532dcb4a78509215a3451a5c",
}


def data(name: str, columns: Columns = PAIRS) -> DataSource:
    return DataSource(path=f"/data/{name}", columns=columns)


CALIBRATION = Calibration(data=(data("instructions.json"), data("safety.json")), samples=16, seed=3)
COMPRESSIONS: tuple[Compression, ...] = (
    NoCompression(),
    BitsAndBytes(method="bitsandbytes", bits=4),
    Gptq(method="gptq", bits=4, group_size=32, calibration=CALIBRATION),
    Awq(method="awq", bits=4, calibration=CALIBRATION),
    Rtn(method="rtn", bits=4),
    Int8Dynamic(method="int8_dynamic"),
    Fp8(method="fp8"),
    Hqq(method="hqq", bits=4),
    Magnitude(method="magnitude", sparsity=0.5),
    Wanda(method="wanda", calibration=CALIBRATION),
    SparseGpt(method="sparsegpt", calibration=CALIBRATION),
    Stacked(
        method="stacked",
        steps=(
            Wanda(method="wanda", calibration=CALIBRATION),
            Gptq(method="gptq", bits=3, calibration=CALIBRATION),
        ),
    ),
)
"""One of every method."""


def cell(order: Order = "attack_then_compress") -> Cell:
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
            calibration=CALIBRATION,
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
        order=order,
    )


def named_content(source: DataSource | StoredModel) -> str:
    """A content hash that is the same wherever the file lies."""
    return f"content of {Path(source.path).name}"


def fingerprints(of: Cell) -> list[str]:
    """The fingerprints of the cell's stages, first to last."""
    return [stage.fingerprint for stage in stages_of(of, named_content)]


def kinds(of: Cell) -> list[Kind]:
    return [stage.kind for stage in stages_of(of, named_content)]


def test_golden() -> None:
    assert dict(zip(kinds(cell()), fingerprints(cell()), strict=True)) == GOLDEN


def test_golden_of_the_other_order() -> None:
    other = cell("compress_then_attack")
    assert kinds(other) == ["safety_tuning", "attack", "compression", "attack", "evaluation"]
    assert fingerprints(other) == list(GOLDEN_OTHER_ORDER.values())


def test_the_other_order_begins_as_the_cell_without_an_attack() -> None:
    attacked = fingerprints(cell("compress_then_attack"))
    plain = fingerprints(replace(cell(), attack=NoAttack()))
    assert attacked[:3] == plain[:3]
    assert not set(attacked[3:]) & set(plain)
    assert not set(attacked[1:]) & set(fingerprints(cell()))


def variants(value: object, field: str = "") -> Iterator[tuple[str, object]]:
    """The value with one field changed at a time, wherever it is nested."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            if isinstance(value, DataSource | StoredModel) and name in LOCATION:
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
        for i, item in enumerate(value):
            for at, other in variants(item, f"{field}[{i}]"):
                yield at, (*value[:i], other, *value[i + 1 :])
    else:
        assert value is None, f"{field} has no variant: {value!r}"
        yield field, "changed"


FIRST: dict[Order, dict[str, int]] = {
    "attack_then_compress": {
        "model": 0, "seed": 0, "safety": 0, "attack": 1, "compression": 2, "evaluation": 3,
    },
    "compress_then_attack": {
        "model": 0, "seed": 0, "safety": 0, "compression": 2, "attack": 3, "evaluation": 4,
    },
}  # fmt: skip
"""Order -> part of a cell -> the place of the first stage that it changes."""


def cell_variants(base: Cell) -> Iterator[tuple[str, Cell, int]]:
    """(the changed field, the changed cell, the place of the first stage that differs)."""
    for part, place in FIRST[base.order].items():
        for field, other in variants(getattr(base, part), part):
            changes: dict[str, Any] = {part: other}
            yield field, replace(base, **changes), place


@pytest.mark.parametrize(
    ("other", "first"),
    [
        pytest.param(other, first, id=f"{order}-{field}")
        for order in FIRST
        for field, other, first in cell_variants(cell(order))
    ],
)
def test_every_field_changes_its_stage_and_all_after_it(other: Cell, first: int) -> None:
    before, after = fingerprints(cell(other.order)), fingerprints(other)
    assert [one == two for one, two in zip(before, after, strict=True)] == [
        place < first for place in range(len(before))
    ]


@pytest.mark.parametrize("order", FIRST)
def test_no_two_changes_look_alike(order: Order) -> None:
    last = [fingerprints(other)[-1] for _, other, _ in cell_variants(cell(order))]
    assert len(set(last)) == len(last) > 60


def compression_variants(base: Compression) -> Iterator[tuple[str, Compression]]:
    for field, other in variants(base, base.method):
        # a copy that is not validated: any value of the field must tell
        yield field, cast(Compression, other)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(other, id=field)
        for compression in COMPRESSIONS
        for field, other in compression_variants(compression)
    ],
)
def test_every_setting_of_every_compression_changes_its_stage(other: Compression) -> None:
    known = {fingerprints(replace(cell(), compression=c))[2] for c in COMPRESSIONS}
    assert fingerprints(replace(cell(), compression=other))[2] not in known


def test_no_two_compressions_look_alike() -> None:
    held = [*COMPRESSIONS, *(o for c in COMPRESSIONS for _, o in compression_variants(c))]
    found = {fingerprints(replace(cell(), compression=c))[2] for c in held}
    assert len(found) == len(held) > 120


def test_the_catalog_of_compressions_is_whole() -> None:
    assert {c.method for c in COMPRESSIONS} == {*CATALOG["compression"], "stacked"}


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        (SafetyDose, 0),
        (HarmfulFinetuning, 1),
        (Gptq, 2),
        (Evaluation, 3),
        (PhraseJudge, 3),
    ],
)
def test_version_changes_its_stage(
    monkeypatch: pytest.MonkeyPatch, settings: type[BaseModel], place: int
) -> None:
    before = fingerprints(cell())
    monkeypatch.setattr(settings, "VERSION", 1000)
    after = fingerprints(cell())
    assert [one == two for one, two in zip(before, after, strict=True)] == [
        earlier < place for earlier in range(4)
    ]


@pytest.mark.parametrize("compression", COMPRESSIONS, ids=lambda c: c.method)
def test_version_of_a_compression_changes_its_stage(
    monkeypatch: pytest.MonkeyPatch, compression: Compression
) -> None:
    of = replace(cell(), compression=compression)
    for settings in {type(compression), *map(type, steps_of(compression))}:
        before = fingerprints(of)
        with monkeypatch.context() as patch:
            patch.setattr(settings, "VERSION", 1000)
            after = fingerprints(of)
        assert before[:2] == after[:2]
        assert before[2] != after[2]
        assert fingerprints(of) == before


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
