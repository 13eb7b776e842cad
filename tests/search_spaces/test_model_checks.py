"""What the space's model does not allow is refused: its widths, its family, its quantization."""

import json
from pathlib import Path
from typing import Any

import pytest

from search_spaces import model_checks
from search_spaces.compressions import method_of
from search_spaces.families import Family
from tests.search_spaces.conftest import ROWS, Refuses, SpaceFile, write_model

LAYER = "model.layers.0.mlp.up_proj"
QUANTIZERS = ("gptq", "awq", "rtn")


def compression(space: SpaceFile, method: str, **settings: Any) -> dict[str, Any]:
    """Settings of a method; with a calibration where it needs one."""
    written: dict[str, Any] = {"method": method, **settings}
    if method in ("gptq", "awq", "wanda", "sparsegpt"):
        data = {"path": str(space.folder / "data" / "attack.jsonl")}
        written["calibration"] = {"data": data, "samples": ROWS}
    return written


def only(space: SpaceFile, written: dict[str, Any], shape: tuple[int, int]) -> None:
    """Let the space hold one compression, on a model of one layer of (out, in) features."""
    write_model(space.folder / "model", {LAYER: shape})
    space.settings["compressions"] = [written]


def configure(space: SpaceFile, **config: Any) -> None:
    (space.folder / "model" / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("method", QUANTIZERS)
def test_group_size_that_does_not_divide_the_inputs(
    space: SpaceFile, refuses: Refuses, method: str
) -> None:
    only(space, compression(space, method, bits=4, group_size=128), (48, 192))
    refuses(
        "compressions[0].group_size",
        f"128 does not divide the 192 inputs of {LAYER}; allowed: 32, 64",
    )
    space.settings["compressions"][0]["group_size"] = 64
    assert method_of(space.load().compressions[0]) == method


@pytest.mark.parametrize("method", QUANTIZERS)
def test_no_group_size_divides_the_inputs(space: SpaceFile, refuses: Refuses, method: str) -> None:
    only(space, compression(space, method, bits=4, group_size=32), (64, 40))
    refuses(
        "compressions[0].group_size",
        f"32 does not divide the 40 inputs of {LAYER}; allowed: none fits every layer",
    )


def test_group_size_of_a_step(space: SpaceFile, refuses: Refuses) -> None:
    steps = [compression(space, "magnitude"), compression(space, "rtn", bits=4, group_size=64)]
    only(space, {"method": "stacked", "steps": steps}, (64, 96))
    refuses(
        "compressions[0].steps[1].group_size",
        f"64 does not divide the 96 inputs of {LAYER}; allowed: 32",
    )


@pytest.mark.parametrize(
    ("bits", "group", "message", "fitting"),
    [
        (8, 128, "128 does not divide", "16, 32, 64"),
        (4, 64, "64 x 2 does not divide", "16, 32"),
        (3, 128, "128 does not divide", "16, 32, 64"),
        (2, 32, "32 x 4 does not divide", "16"),
        (1, 16, "16 x 8 does not divide", "none fits every layer"),
    ],
)
def test_hqq_groups_that_share_bytes(
    space: SpaceFile, refuses: Refuses, bits: int, group: int, message: str, fitting: str
) -> None:
    # rows of 40 hold no whole group of 16, which hqq does not mind: it cuts the whole layer
    only(space, compression(space, "hqq", bits=bits, group_size=group), (8, 40))
    refuses(
        "compressions[0].group_size", f"{message} the 320 weights of {LAYER}; allowed: {fitting}"
    )
    only(space, compression(space, "hqq", bits=bits, group_size=16), (16, 40))
    assert method_of(space.load().compressions[0]) == "hqq"


def test_gptq_output_width_within_a_stack(space: SpaceFile, refuses: Refuses) -> None:
    gptq = compression(space, "gptq", bits=4, group_size=32)
    only(space, {"method": "stacked", "steps": [compression(space, "magnitude"), gptq]}, (40, 64))
    refuses(
        "compressions[0].steps[1].method",
        f"gptq needs output widths that are multiples of 16, and {LAYER} has 40; "
        "use bitsandbytes or magnitude",
    )


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
@pytest.mark.parametrize(("pattern", "group", "inputs"), [("2:4", 4, 66), ("4:8", 8, 68)])
def test_pattern_that_does_not_fit_the_inputs(
    space: SpaceFile, refuses: Refuses, method: str, pattern: str, group: int, inputs: int
) -> None:
    only(space, compression(space, method, pattern=pattern), (64, inputs))
    refuses(
        "compressions[0].pattern",
        f"{pattern} needs input widths that are multiples of {group}, and {LAYER} has {inputs}; "
        "use unstructured",
    )
    space.settings["compressions"][0]["pattern"] = "unstructured"
    assert method_of(space.load().compressions[0]) == method


def test_head_and_skipped_layers_may_have_any_width(space: SpaceFile) -> None:
    shapes = {LAYER: (64, 64), "lm_head": (7, 13), "backbone.layers.0.mixer.dt_proj": (64, 3)}
    write_model(space.folder / "model", shapes)
    configure(space, model_type="mamba")
    assert method_of(space.load().compressions[2]) == "gptq"


@pytest.fixture
def odd_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family on which one method cannot work, and another's weights cannot be trained."""
    family = Family(
        "odd",
        ("llama",),
        lora_targets=("q_proj",),
        refused={"hqq": "its layers are round"},
        untrainable={"gptq": "no kernel has a gradient"},
    )
    monkeypatch.setattr(model_checks, "family_of", lambda model_type: family)


@pytest.mark.usefixtures("odd_family")
def test_method_that_cannot_work_on_the_family(space: SpaceFile, refuses: Refuses) -> None:
    hqq = compression(space, "hqq", bits=4, group_size=32)
    space.settings["compressions"] = [hqq]
    why = "hqq cannot compress odd models: its layers are round"
    refuses("compressions[0].method", why)
    space.settings["compressions"] = [
        {"method": "stacked", "steps": [compression(space, "magnitude"), hqq]}
    ]
    refuses("compressions[0].steps[1].method", why)


@pytest.mark.usefixtures("odd_family")
def test_weights_of_the_family_that_cannot_be_trained(space: SpaceFile, refuses: Refuses) -> None:
    assert method_of(space.load().compressions[2]) == "gptq"
    space.settings["orders"] = ["compress_then_attack"]
    refuses(
        "compressions[2].method",
        "gptq weights of odd models cannot be fine-tuned, as orders: compress_then_attack asks: "
        "no kernel has a gradient",
    )


def quantize(space: SpaceFile, stored_as: str) -> None:
    """Let the space's model be one that somebody quantized and published."""
    configure(space, model_type="llama", quantization_config={"quant_method": stored_as})
    space.settings["compressions"] = [{"method": "none"}]


@pytest.mark.parametrize("stored_as", ["gptq", "bitsandbytes"])
def test_quantized_model_as_it_is(space: SpaceFile, stored_as: str) -> None:
    quantize(space, stored_as)
    assert method_of(space.load().compressions[0]) == "none"


def test_other_compressions_of_a_quantized_model(space: SpaceFile, refuses: Refuses) -> None:
    quantize(space, "gptq")
    space.settings["compressions"].append({"method": "magnitude"})
    refuses("compressions[1].method", "the model is quantized already (gptq); allowed: none")


def test_model_that_autogptq_quantized_long_ago(space: SpaceFile, refuses: Refuses) -> None:
    """Before 0.7 it told so in a file of its own."""
    (space.folder / "model" / "quantize_config.json").write_text('{"bits": 4}')
    refuses("compressions[1].method", "the model is quantized already (gptq); allowed: none")


def test_full_safety_tuning_of_a_quantized_model(space: SpaceFile, refuses: Refuses) -> None:
    quantize(space, "gptq")
    space.settings["safety_tuning"]["training"] = {"adapter": "full"}
    refuses(
        "safety_tuning.training.adapter",
        "the model is quantized already (gptq); give LoRA settings, not 'full'",
    )


def test_full_attack_on_a_quantized_model(space: SpaceFile, refuses: Refuses) -> None:
    quantize(space, "bitsandbytes")
    space.settings["attacks"][1]["training"] = {"adapter": "full"}
    refuses(
        "attacks[1].training.adapter",
        "the model is quantized already (bitsandbytes); give LoRA settings, not 'full'",
    )


@pytest.mark.parametrize("stored_as", ["awq", "compressed-tensors", "hqq"])
def test_quantized_model_that_cannot_be_trained(
    space: SpaceFile, refuses: Refuses, stored_as: str
) -> None:
    quantize(space, stored_as)
    refuses(
        "model.path",
        f"the model is quantized already ({stored_as}) and cannot be fine-tuned so; "
        "allowed: bitsandbytes, gptq, or dense",
    )


def test_config_that_is_no_json(space: SpaceFile) -> None:
    folder: Path = space.folder / "model"
    (folder / "config.json").write_text("{")
    error = space.refusal()
    assert error.field == "model.path"
    assert error.message.startswith(f"{folder}: a file of the model cannot be read: Expecting ")


def test_adapter_beside_the_model_is_refused(space: SpaceFile, refuses: Refuses) -> None:
    (space.folder / "model" / "adapter").mkdir()
    (space.folder / "model" / "adapter" / "adapter_config.json").write_text("{}")
    refuses(
        "model.path",
        f"{space.folder / 'model'}: the adapter in adapter/ would be left out; merge it into the "
        "weights, or take it out of the folder to study the model without it",
    )


@pytest.mark.parametrize("field", ["safety_tuning", "attacks[1]"])
def test_lora_target_that_names_no_layer(space: SpaceFile, refuses: Refuses, field: str) -> None:
    adapter = {"adapter": {"targets": ["q_proj", "down_prj"]}}
    part = space.settings["attacks"][1] if field == "attacks[1]" else space.settings[field]
    part["training"] = adapter
    refuses(
        f"{field}.training.adapter.targets[1]",
        "the model has no layer 'down_prj'; did you mean 'down_proj'? "
        "it has: down_proj, embed_tokens, norm, q_proj",
    )
    part["training"] = {"adapter": {"targets": ["q_proj", "mlp.down_proj"]}}
    assert space.load()
