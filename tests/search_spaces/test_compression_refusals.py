"""Compressions and orders that the space alone shows to be impossible are refused."""

from typing import Any

import pytest

from search_spaces.compressions import Pruning, calibrations_of
from tests.search_spaces.conftest import ROWS, Refuses, SpaceFile

METHODS = (
    "none, magnitude, wanda, sparsegpt, bitsandbytes, gptq, awq, rtn, int8_dynamic, fp8, hqq, "
    "stacked"
)
STEPS = "magnitude, wanda, sparsegpt, bitsandbytes, gptq, awq, rtn, int8_dynamic, fp8, hqq"
PRUNE = {"method": "magnitude", "sparsity": 0.5}
QUANTIZE = {"method": "rtn", "bits": 4, "group_size": 32}
WRONG_ORDER = "steps must prune first and quantize once, at the end"
UNTRAINABLE = (
    "weights cannot be fine-tuned, as orders: compress_then_attack asks; "
    "use bitsandbytes, gptq or a pruning, or leave that order out"
)


def source(space: SpaceFile, name: str = "attack.jsonl") -> dict[str, Any]:
    """A data source of its own, which no other setting shares."""
    return {"path": str(space.folder / "data" / name)}


def calibration(space: SpaceFile, **settings: Any) -> dict[str, Any]:
    return {"data": source(space), "samples": ROWS, **settings}


def stacked(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"method": "stacked", "steps": list(steps)}


def test_samples_that_the_sources_cannot_share(space: SpaceFile, refuses: Refuses) -> None:
    two = calibration(space, data=[source(space), source(space)], samples=5)
    space.settings["compressions"][2]["calibration"] = two
    refuses(
        "compressions[2].calibration",
        "samples 5 cannot be drawn in equal parts from 2 sources; give a multiple of 2",
    )
    two["samples"] = 4
    assert calibrations_of(space.load().compressions[2])[0].samples == 4


def test_no_calibration_data(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["compressions"][2]["calibration"] = calibration(space, data=[])
    refuses("compressions[2].calibration.data", "empty; at least one item is needed")


def test_calibration_seed_below_zero(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["compressions"][2]["calibration"] = calibration(space, seed=-1)
    refuses(
        "compressions[2].calibration.seed", "-1 is refused; allowed: greater than or equal to 0"
    )


@pytest.mark.parametrize("method", ["gptq", "awq", "wanda", "sparsegpt"])
def test_no_calibration(space: SpaceFile, refuses: Refuses, method: str) -> None:
    bits = {"bits": 4} if method in ("gptq", "awq") else {}
    space.settings["compressions"].append({"method": method, **bits})
    refuses("compressions[3].calibration", "missing; it has no default")


def test_one_source_is_a_list_of_one(space: SpaceFile) -> None:
    space.settings["compressions"][2]["calibration"] = calibration(space)
    (of_one,) = calibrations_of(space.load().compressions[2])
    space.settings["compressions"][2]["calibration"]["data"] = [source(space)]
    assert calibrations_of(space.load().compressions[2]) == [of_one]
    assert len(of_one.data) == 1


def test_only_source_is_named_without_a_number(space: SpaceFile, refuses: Refuses) -> None:
    missing = source(space, "missing.jsonl")
    space.settings["compressions"][2]["calibration"] = calibration(space, data=[missing])
    refuses("compressions[2].calibration.data", f"{missing['path']}: no such file")


def test_one_of_several_sources_is_named_by_its_number(space: SpaceFile, refuses: Refuses) -> None:
    missing = source(space, "missing.jsonl")
    two = calibration(space, data=[source(space), missing])
    space.settings["compressions"] = [{"method": "gptq", "bits": 4, "calibration": two}]
    refuses("compressions[0].calibration.data[1]", f"{missing['path']}: no such file")


def test_source_of_a_step_is_named_by_the_step(space: SpaceFile, refuses: Refuses) -> None:
    missing = source(space, "missing.jsonl")
    wanda = {"method": "wanda", "calibration": calibration(space, data=[source(space), missing])}
    space.settings["compressions"].append(stacked(wanda, QUANTIZE))
    refuses("compressions[3].steps[0].calibration.data[1]", f"{missing['path']}: no such file")


def test_more_samples_than_one_of_several_sources_has(space: SpaceFile, refuses: Refuses) -> None:
    two = calibration(space, data=[source(space), source(space)], samples=2 * ROWS + 2)
    space.settings["compressions"][2]["calibration"] = two
    refuses(
        "compressions[2].calibration.samples",
        f"{2 * ROWS + 2} in 2 equal parts is more than the {ROWS} rows of "
        f"compressions[2].calibration.data[0]; allowed: at most {2 * ROWS}",
    )
    two["samples"] = 2 * ROWS
    assert calibrations_of(space.load().compressions[2])[0].samples == 2 * ROWS


def test_more_samples_than_the_data_of_a_step_has(space: SpaceFile, refuses: Refuses) -> None:
    wanda = {"method": "wanda", "calibration": calibration(space, samples=ROWS + 1)}
    space.settings["compressions"].append(stacked(wanda, QUANTIZE))
    refuses(
        "compressions[3].steps[0].calibration.samples",
        f"{ROWS + 1} is more than the {ROWS} rows of compressions[3].steps[0].calibration.data; "
        f"allowed: at most {ROWS}",
    )


@pytest.mark.parametrize(
    "steps",
    [(QUANTIZE, PRUNE), (PRUNE, PRUNE), (QUANTIZE, QUANTIZE), (PRUNE, QUANTIZE, PRUNE)],
    ids=lambda steps: "+".join(step["method"] for step in steps),
)
def test_steps_in_the_wrong_order(
    space: SpaceFile, refuses: Refuses, steps: tuple[dict[str, Any], ...]
) -> None:
    space.settings["compressions"].append(stacked(*steps))
    refuses("compressions[3]", WRONG_ORDER)


@pytest.mark.parametrize("steps", [(), (QUANTIZE,)], ids=len)
def test_too_few_steps(
    space: SpaceFile, refuses: Refuses, steps: tuple[dict[str, Any], ...]
) -> None:
    space.settings["compressions"].append(stacked(*steps))
    refuses("compressions[3].steps", "too short; at least 2 items are needed")


def test_stack_within_a_stack(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["compressions"].append(stacked(stacked(PRUNE, QUANTIZE), QUANTIZE))
    refuses("compressions[3].steps[0].method", f"unknown method 'stacked'; allowed: {STEPS}")


def test_setting_of_a_step_is_named_by_the_step(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["compressions"].append(stacked(PRUNE, {**QUANTIZE, "bits": 5}))
    refuses("compressions[3].steps[1].bits", "5 is refused; allowed: 8, 4, 3 or 2")


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
def test_pattern_that_contradicts_the_sparsity(
    space: SpaceFile, refuses: Refuses, method: str
) -> None:
    rows = {} if method == "magnitude" else {"calibration": calibration(space)}
    pruning = {"method": method, "sparsity": 0.6, "pattern": "2:4", **rows}
    space.settings["compressions"].append(pruning)
    refuses("compressions[3]", "pattern 2:4 is sparsity 0.5, not 0.6")
    pruning["sparsity"] = 0.5
    loaded = space.load().compressions[3]
    assert isinstance(loaded, Pruning)
    assert loaded.pattern == "2:4"


def test_unknown_pattern(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["compressions"].append({**PRUNE, "pattern": "1:4"})
    refuses("compressions[3].pattern", "'1:4' is refused; allowed: 'unstructured', '2:4' or '4:8'")


@pytest.mark.parametrize(("sparsity", "allowed"), [(0, "greater than 0"), (1, "less than 1")])
def test_sparsity_of_nothing_or_of_all(
    space: SpaceFile, refuses: Refuses, sparsity: int, allowed: str
) -> None:
    space.settings["compressions"].append({**PRUNE, "sparsity": sparsity})
    refuses("compressions[3].sparsity", f"{sparsity} is refused; allowed: {allowed}")


@pytest.mark.parametrize(
    ("method", "allowed"),
    [
        ("bitsandbytes", "8 or 4"),
        ("gptq", "8, 4, 3 or 2"),
        ("awq", "8, 4 or 3"),
        ("rtn", "8, 4, 3 or 2"),
        ("hqq", "8, 4, 3, 2 or 1"),
    ],
)
def test_5_bits(space: SpaceFile, refuses: Refuses, method: str, allowed: str) -> None:
    rows = {"calibration": calibration(space)} if method in ("gptq", "awq") else {}
    space.settings["compressions"].append({"method": method, "bits": 5, **rows})
    refuses("compressions[3].bits", f"5 is refused; allowed: {allowed}")


@pytest.mark.parametrize("method", ["int8_dynamic", "fp8"])
def test_bits_where_there_is_no_choice(space: SpaceFile, refuses: Refuses, method: str) -> None:
    space.settings["compressions"].append({"method": method, "bits": 5})
    refuses("compressions[3].bits", "unknown key; allowed: method")


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("gtpq", "gptq"),
        ("sparse_gpt", "sparsegpt"),
        ("int8_dynamc", "int8_dynamic"),
        ("stack", "stacked"),
    ],
)
def test_unknown_method_names_the_nearest(
    space: SpaceFile, refuses: Refuses, written: str, nearest: str
) -> None:
    space.settings["compressions"].append({"method": written})
    refuses(
        "compressions[3].method",
        f"unknown method '{written}'; did you mean '{nearest}'? allowed: {METHODS}",
    )


def test_unknown_order(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["orders"] = ["compress_first"]
    refuses(
        "orders[0]",
        "'compress_first' is refused; allowed: 'attack_then_compress' or 'compress_then_attack'",
    )


@pytest.mark.parametrize("factor", ["orders", "calibration_seeds"])
def test_factor_without_a_value(space: SpaceFile, refuses: Refuses, factor: str) -> None:
    space.settings[factor] = []
    refuses(factor, "empty; at least one item is needed")


@pytest.mark.parametrize(
    ("factor", "values"),
    [
        ("orders", ["attack_then_compress", "attack_then_compress"]),
        ("calibration_seeds", [4, 4]),
    ],
)
def test_duplicates(space: SpaceFile, refuses: Refuses, factor: str, values: list[Any]) -> None:
    space.settings[factor] = values
    refuses(f"{factor}[1]", f"the same as {factor}[0], which makes duplicate cells; remove one")


@pytest.mark.parametrize("stack", [False, True], ids=["alone", "stacked"])
def test_copy_of_the_calibration_data_makes_a_duplicate(
    space: SpaceFile, refuses: Refuses, stack: bool
) -> None:
    original = space.folder / "data" / "attack.jsonl"
    copy = original.with_name("copy.jsonl")
    copy.write_bytes(original.read_bytes())

    def on(name: str) -> dict[str, Any]:
        pruning = {"method": "wanda", "calibration": calibration(space, data=source(space, name))}
        return stacked(pruning, QUANTIZE) if stack else pruning

    space.settings["compressions"] = [on("attack.jsonl"), on("copy.jsonl")]
    refuses(
        "compressions[1]", "the same as compressions[0], which makes duplicate cells; remove one"
    )
    copy.write_text('{"prompt": "other"}\n' * ROWS)
    assert len(space.load().compressions) == 2


@pytest.mark.parametrize(
    "compression",
    [
        {"method": "awq", "bits": 4, "group_size": 32},
        QUANTIZE,
        {"method": "int8_dynamic"},
        {"method": "fp8"},
        {"method": "hqq", "bits": 4},
    ],
    ids=lambda compression: compression["method"],
)
def test_attack_on_weights_that_cannot_be_trained(
    space: SpaceFile, refuses: Refuses, compression: dict[str, Any]
) -> None:
    if compression["method"] == "awq":
        compression = {**compression, "calibration": calibration(space)}
    space.settings["orders"] = ["attack_then_compress", "compress_then_attack"]
    space.settings["compressions"].append(compression)
    refuses("compressions[3].method", f"{compression['method']} {UNTRAINABLE}")
    space.settings["orders"] = ["attack_then_compress"]
    assert len(space.load().compressions) == 4


def test_attack_on_a_stack_whose_quantizer_cannot_be_trained(
    space: SpaceFile, refuses: Refuses
) -> None:
    space.settings["orders"] = ["compress_then_attack"]
    space.settings["compressions"].append(stacked(PRUNE, QUANTIZE))
    refuses("compressions[3].steps[1].method", f"rtn {UNTRAINABLE}")


def test_attacks_on_all_that_can_be_trained(space: SpaceFile) -> None:
    space.settings["orders"] = ["compress_then_attack"]
    nf4 = {"method": "bitsandbytes", "bits": 4}
    prunings = [
        PRUNE,
        {"method": "wanda", "calibration": calibration(space)},
        {"method": "sparsegpt", "calibration": calibration(space)},
    ]
    space.settings["compressions"] += [nf4, *prunings, stacked(PRUNE, nf4)]
    assert len(space.load().compressions) == 8


def test_full_fine_tuning_of_compressed_weights(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["attacks"][1]["training"] = {"adapter": "full"}
    space.settings["orders"] = ["compress_then_attack"]
    refuses(
        "attacks[1].training.adapter",
        "'full' cannot train compressed weights, as orders: compress_then_attack asks; "
        "give LoRA settings, or leave that order out",
    )
    space.settings["orders"] = ["attack_then_compress"]
    assert len(space.load().attacks) == 2


def test_unquoted_pattern_says_what_yaml_made_of_it(space: SpaceFile) -> None:
    space.settings["compressions"] = [{"method": "magnitude", "pattern": 124}]
    assert 'write "2:4" or "4:8"' in str(space.refusal())


def test_settings_of_4_bits_are_refused_at_8(space: SpaceFile) -> None:
    space.settings["compressions"] = [{"method": "bitsandbytes", "bits": 8, "data_type": "fp4"}]
    assert "settings of 4 bits" in str(space.refusal())


def test_comparing_by_output_is_no_setting_of_a_pattern(space: SpaceFile) -> None:
    magnitude = {"method": "magnitude", "pattern": "2:4", "compared": "output"}
    space.settings["compressions"] = [magnitude]
    assert "compared is no setting of pattern 2:4" in str(space.refusal())


def test_full_training_is_allowed_where_no_release_is_compressed(space: SpaceFile) -> None:
    space.settings["orders"] = ["attack_then_compress", "compress_then_attack"]
    space.settings["compressions"] = [{"method": "none"}]
    space.settings["attacks"][1]["training"] = {"adapter": "full"}
    assert space.load().orders
