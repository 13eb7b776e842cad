"""What every compression of the catalog must do, at each of its bit widths and sparsities."""

from pathlib import Path
from typing import Any

import pytest
import torch

from search_spaces.compressions import Stacked
from tests.trainables.conftest import PROMPTS, SettingsOf, Ship, contents
from tests.trainables.examples import cases, named
from trainables.checkpoint import Checkpoint
from trainables.compression import compress
from trainables.evaluation.efficiency import bytes_on_disk
from trainables.linear_layers import inputs_last, linear_layers, quantized_layers
from trainables.models import load_checkpoint

PACKED = ("bitsandbytes", "gptq", "hqq")
UNPACKED = ("awq", "rtn")
SIMULATED = ("int8_dynamic", "fp8")
PRUNINGS = ("magnitude", "wanda", "sparsegpt")
EXECUTIONS = {
    **dict.fromkeys(PACKED, "packed"),
    **dict.fromkeys(UNPACKED, "unpacked"),
    **dict.fromkeys(SIMULATED, "simulated"),
    **dict.fromkeys(("none", *PRUNINGS), "dense"),
}
COMPRESSION_CASES = pytest.mark.parametrize(("method", "example"), cases("compression"), ids=named)
QUANTIZER_CASES = pytest.mark.parametrize(
    ("method", "example"),
    [case for case in cases("compression") if case[0] in (*PACKED, *UNPACKED, *SIMULATED)],
    ids=named,
)


@COMPRESSION_CASES
def test_compressed_model_answers(ship: Ship, method: str, example: dict[str, Any]) -> None:
    shipped = ship(method, example)
    assert len(shipped.answers) == PROMPTS
    assert torch.isfinite(shipped.logits).all()
    unchanged = torch.equal(shipped.logits, ship("none", {}).logits)
    assert unchanged == (method == "none")


@COMPRESSION_CASES
def test_compressed_model_is_a_folder_of_its_own(
    ship: Ship, method: str, example: dict[str, Any]
) -> None:
    shipped = ship(method, example)
    folder = shipped.checkpoint.full
    assert folder is not None
    assert {"config.json", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
    assert shipped.cost.weights_bytes_disk == bytes_on_disk(folder)
    smaller = bytes_on_disk(folder) < 0.8 * ship("none", {}).cost.weights_bytes_disk
    assert smaller == (method not in ("none", *PRUNINGS))


@COMPRESSION_CASES
def test_every_linear_layer_is_compressed(
    ship: Ship, released: Checkpoint, method: str, example: dict[str, Any]
) -> None:
    shipped = ship(method, example)
    layers = set(linear_layers(load_checkpoint(released)))
    assert len(layers) == 14
    if method in ("none", *PRUNINGS):
        assert shipped.facts.quantized_layers == 0
        wanted = 0 if method == "none" else example.get("sparsity", 0.5)
        assert shipped.facts.zero_fraction == pytest.approx(wanted, abs=0.005)
        for layer in linear_layers(shipped.model).values():
            zeros = (inputs_last(layer) == 0).float().mean().item()
            assert zeros == pytest.approx(wanted, abs=0.01)
        return
    bits = quantized_layers(shipped.model)
    assert set(bits) == layers
    assert set(bits.values()) == {example.get("bits", 8)}
    assert shipped.facts.quantized_layers == len(layers)


@COMPRESSION_CASES
def test_execution_is_what_really_runs(ship: Ship, method: str, example: dict[str, Any]) -> None:
    cost, dense = ship(method, example).cost, ship("none", {}).cost
    assert cost.execution == EXECUTIONS[method]
    assert cost.bits_per_weight is not None
    assert (cost.bits_per_weight < 16) == (method in PACKED)
    loaded_less = cost.weights_bytes_loaded < 0.8 * dense.weights_bytes_loaded
    assert loaded_less == (method in PACKED)


@QUANTIZER_CASES
def test_effective_bits_count_scales_and_zeros(
    ship: Ship, method: str, example: dict[str, Any]
) -> None:
    cost = ship(method, example).cost
    assert cost.bits_per_weight_disk is not None
    bits = example.get("bits", 8)
    # layers of 64 x 64 hold little, so that a code book or an index weighs much
    assert bits < cost.bits_per_weight_disk < bits + 2.7
    if method in PACKED:
        # less, where a kernel of bitsandbytes unpacks nested scales at its first forward pass
        assert cost.bits_per_weight is not None
        assert bits < cost.bits_per_weight < cost.bits_per_weight_disk + 0.5
    else:
        assert cost.bits_per_weight is not None
        assert cost.bits_per_weight >= 16


@pytest.mark.parametrize(
    ("method", "widths"),
    [("gptq", (8, 4, 3, 2)), ("awq", (8, 4, 3)), ("rtn", (8, 4, 3, 2)), ("hqq", (8, 4, 3, 2, 1))],
)
def test_fewer_bits_cost_less(ship: Ship, method: str, widths: tuple[int, ...]) -> None:
    costs = [ship(method, {"bits": bits}).cost for bits in widths]
    for metric in ("weights_bytes_disk", "bits_per_weight_disk"):
        values = [getattr(cost, metric) for cost in costs]
        assert values == sorted(set(values), reverse=True)


@pytest.mark.parametrize("pattern", ["2:4", "4:8"])
@pytest.mark.parametrize("method", PRUNINGS)
def test_patterns_hold_in_every_group(ship: Ship, method: str, pattern: str) -> None:
    wanted, group = map(int, pattern.split(":"))
    for layer in linear_layers(ship(method, {"pattern": pattern}).model).values():
        weight = inputs_last(layer)
        zeros = (weight.reshape(len(weight), -1, group) == 0).sum(2)
        assert int(zeros.min()) >= wanted


@pytest.mark.parametrize(
    ("method", "example"),
    [("gptq", {"bits": 3}), ("awq", {"bits": 4}), ("sparsegpt", {}), ("hqq", {"bits": 2})],
    ids=named,
)
def test_the_same_settings_give_the_same_weights(
    ship: Ship,
    settings_of: SettingsOf,
    released: Checkpoint,
    tmp_path: Path,
    method: str,
    example: dict[str, Any],
) -> None:
    folder = ship(method, example).checkpoint.full
    assert folder is not None
    compress(settings_of(method, example), released, tmp_path)
    assert contents(tmp_path / "weights", "*.safetensors") == contents(folder, "*.safetensors")


@pytest.mark.parametrize("method", ["gptq", "awq", "wanda", "sparsegpt"])
def test_another_calibration_seed_gives_other_weights(
    ship: Ship, settings_of: SettingsOf, released: Checkpoint, tmp_path: Path, method: str
) -> None:
    example: dict[str, Any] = {} if method in PRUNINGS else {"bits": 4}
    settings: Any = settings_of(method, example)
    calibration = settings.calibration.model_copy(update={"seed": 7})
    compress(settings.model_copy(update={"calibration": calibration}), released, tmp_path)
    folder = ship(method, example).checkpoint.full
    assert folder is not None
    assert contents(tmp_path / "weights", "*.safetensors") != contents(folder, "*.safetensors")


@pytest.mark.parametrize(("quantizer", "kept"), [("rtn", 1.0), ("gptq", 0.8)])
def test_zeros_of_a_stack_are_those_that_ship(
    settings_of: SettingsOf, released: Checkpoint, tmp_path: Path, quantizer: str, kept: float
) -> None:
    """Rounding to the grid keeps zeros; GPTQ fills some again, and rounds others to zero."""
    steps = [settings_of("magnitude", {"pattern": "2:4"}), settings_of(quantizer, {"bits": 4})]
    stack = Stacked.model_validate({"method": "stacked", "steps": [s.model_dump() for s in steps]})
    facts = compress(stack, released, tmp_path)
    assert facts.quantized_layers == 14
    assert facts.zero_fraction is not None
    assert 0.5 * kept < facts.zero_fraction < 0.6
    if quantizer == "rtn":
        for layer in linear_layers(load_checkpoint(released.extended(tmp_path))).values():
            weight = inputs_last(layer)
            assert int((weight.reshape(len(weight), -1, 4) == 0).sum(2).min()) >= 2


@QUANTIZER_CASES
def test_zeros_of_packed_weights_are_counted(
    ship: Ship, method: str, example: dict[str, Any]
) -> None:
    fraction = ship(method, example).facts.zero_fraction
    assert fraction is not None
    few = example.get("bits", 8) == 8
    assert fraction < (0.02 if few else 0.7)
