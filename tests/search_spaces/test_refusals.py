"""What the settings alone show to be impossible is refused: file, field, and what is allowed."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from search_spaces.compressions import Magnitude
from search_spaces.loading import load_space, presets
from search_spaces.schema_errors import space_error
from search_spaces.settings import SpaceError
from tests.search_spaces.conftest import Refuses, SpaceFile, no_world

UNUSED = "`benign` is used only with a poison_ratio below 1; leave it out"
METHODS = "none, harmful_finetuning, identity_shift, benign_finetuning"


def test_bitsandbytes_at_3_bits(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["compressions"][1]["bits"] = 3
    refuses("compressions[1].bits", "3 is refused; allowed: 8 or 4")


def test_gptq_group_size_that_no_kernel_has(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["compressions"][2]["group_size"] = 48
    refuses("compressions[2].group_size", "48 is refused; allowed: 32, 64, 128 or 256")


@pytest.mark.parametrize(
    ("holder", "key", "message"),
    [
        ("model", "dtpye", "did you mean 'dtype'? allowed: path, revision, dtype, prompt_template"),
        ("model", "xyz", "allowed: path, revision, dtype, prompt_template"),
        (
            "evaluation.borderline.exclude",
            "prefx",
            "did you mean 'prefix'? allowed: column, prefix",
        ),
    ],
)
def test_unknown_key(
    space: SpaceFile, refuses: Refuses, holder: str, key: str, message: str
) -> None:
    inner: dict[str, Any] = space.settings
    for part in holder.split("."):
        inner = inner[part]
    inner[key] = 1
    refuses(f"{holder}.{key}", f"unknown key; {message}")


def test_unknown_key_at_the_top(space: SpaceFile) -> None:
    space.settings["seed"] = 0
    error = space.refusal()
    assert error.field == "seed"
    assert error.message.startswith("unknown key; did you mean 'seeds'? allowed: name, ")


def test_unknown_key_of_a_method_lists_that_methods_keys(
    space: SpaceFile, refuses: Refuses
) -> None:
    space.settings["compressions"][1]["group_size"] = 32
    refuses(
        "compressions[1].group_size",
        "unknown key; allowed: method, bits, data_type, double_quantization",
    )


def test_unknown_key_of_an_adapter_tells_nothing_of_the_other_choice(
    space: SpaceFile, refuses: Refuses
) -> None:
    space.settings["safety_tuning"]["training"] = {"adapter": {"rnk": 4}}
    refuses(
        "safety_tuning.training.adapter.rnk",
        "unknown key; did you mean 'rank'? allowed: rank, alpha, dropout, targets",
    )


def test_choice_between_a_mapping_and_a_word(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["safety_tuning"]["training"] = {"adapter": "fll"}
    refuses(
        "safety_tuning.training.adapter",
        "'fll' is refused; allowed: a mapping of rank, alpha, dropout, targets or 'full'",
    )


def test_unknown_method(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["attacks"][1]["method"] = "harmfull_finetuning"
    refuses(
        "attacks[1].method",
        "unknown method 'harmfull_finetuning'; did you mean 'harmful_finetuning'? "
        f"allowed: {METHODS}",
    )


def test_missing_method(space: SpaceFile, refuses: Refuses) -> None:
    del space.settings["attacks"][1]["method"]
    refuses("attacks[1].method", f"missing; allowed: {METHODS}")


def test_method_without_its_mapping(space: SpaceFile) -> None:
    space.settings["attacks"] = ["none"]
    error = space.refusal()
    assert error.field == "attacks[0]"
    assert error.message.startswith("'none' is refused; allowed: a mapping of method, ")


@pytest.mark.parametrize("field", ["evaluation", "evaluation.harmful", "safety_tuning.doses"])
def test_missing_required_field(space: SpaceFile, refuses: Refuses, field: str) -> None:
    inner: dict[str, Any] = space.settings
    *holders, last = field.split(".")
    for part in holders:
        inner = inner[part]
    del inner[last]
    refuses(field, "missing; it has no default")


def test_further_problems_are_counted(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["compressions"][1]["bits"] = 3
    space.settings["compressions"][2]["bits"] = 5
    refuses("compressions[1].bits", "3 is refused; allowed: 8 or 4 (and 1 more)")


def test_unknown_form_of_safety_data(space: SpaceFile) -> None:
    forms = space.settings["safety_tuning"]["safety"]
    forms["questions"] = forms["instruction"]
    error = space.refusal()
    assert error.field == "safety_tuning.safety.questions"
    assert error.message == "'questions' is refused; allowed: 'instruction' or 'question'"


@pytest.mark.parametrize(
    ("factor", "value", "message"),
    [
        ("seeds", [], "empty; at least one item is needed"),
        ("seeds", 3, "3 is refused; allowed: a list"),
        ("model", None, "null is refused; allowed: a mapping of path, revision, dtype, "),
    ],
)
def test_wrong_shape(space: SpaceFile, factor: str, value: object, message: str) -> None:
    space.settings[factor] = value
    error = space.refusal()
    assert error.field == factor
    assert error.message.startswith(message)


def test_dose_below_zero(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["safety_tuning"]["doses"] = [0, -1]
    refuses("safety_tuning.doses[1]", "-1 is refused; allowed: 0 or more")


def test_attack_without_examples(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["attacks"][1]["examples"] = 0
    refuses("attacks[1].examples", "0 is refused; allowed: greater than or equal to 1")


def test_words_for_a_number(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["attacks"][1]["examples"] = "many"
    refuses("attacks[1].examples", "'many' is refused; allowed: a valid integer")


def test_dilution_without_benign_data(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["attacks"][1]["poison_ratio"] = 0.5
    refuses("attacks[1]", "poison_ratio below 1 needs `benign`, the data to dilute with")


def test_bad_regular_expression(space: SpaceFile) -> None:
    space.settings["evaluation"]["judge"] = {"method": "phrases", "answer_pattern": "use (.*"}
    error = space.refusal()
    assert error.field == "evaluation.judge.answer_pattern"
    assert error.message.startswith("'use (.*' is refused; not a regular expression: missing )")


def test_unknown_embedded_world(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["embedded"] = {"world": "micro"}
    refuses("embedded.world", "'micro' is refused; allowed: 'nano'")


def test_embedded_world_by_name_only(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["embedded"] = "nano"
    refuses("embedded", "'nano' is refused; allowed: a mapping of world, seed, family")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"name: [unclosed", "not valid YAML: "),
        (b"name: \xff\xfe", "not valid YAML: "),
        (b"- a list", "expected a mapping of fields such as `model:`"),
        (b"", "expected a mapping of fields such as `model:`"),
    ],
)
def test_not_a_space(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_bytes(text)
    with pytest.raises(SpaceError) as caught:
        load_space(str(path), no_world)
    assert str(caught.value).startswith(f"space.yaml: {message}")
    assert "\n" not in str(caught.value)


def test_misspelt_preset() -> None:
    with pytest.raises(SpaceError) as caught:
        load_space("nanno", no_world)
    assert str(caught.value) == (
        "nanno: neither a file nor a preset; did you mean 'nano'? "
        f"allowed: a YAML path or one of {', '.join(presets())}"
    )


def test_a_misspelt_key_is_named_before_the_key_that_it_leaves_missing() -> None:
    raw = {"method": "magnitude", "sparsty": 0.5}
    with pytest.raises(ValidationError) as refused:
        Magnitude.model_validate(raw)
    error = space_error("space.yaml", Magnitude, refused.value)
    assert str(error).startswith("space.yaml: sparsty: unknown key; did you mean 'sparsity'?")


def test_more_than_one_gpu_a_stage(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["resources"] = {"gpus_per_stage": 2}
    refuses("resources.gpus_per_stage", "2 is refused; allowed: less than or equal to 1")


def test_benign_rows_that_would_not_be_used(space: SpaceFile, refuses: Refuses) -> None:
    attack = next(a for a in space.settings["attacks"] if a["method"] == "harmful_finetuning")
    attack["benign"] = attack["data"]
    refuses(f"attacks[{space.settings['attacks'].index(attack)}]", UNUSED)
