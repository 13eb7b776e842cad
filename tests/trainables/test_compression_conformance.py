"""What every compression of the catalog must do, at each of its bit widths and sparsities."""

from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt
from gptqmodel.nn_modules.qlinear import BaseQuantLinear

from search_spaces.sources import ModelSource
from tests.trainables.conftest import Ship
from tests.trainables.examples import cases, named
from trainables.checkpoint import Checkpoint
from trainables.compressions.compressed import bytes_on_disk
from trainables.linear_layers import linear_layers
from trainables.models import load_checkpoint

QUANTIZERS = ("bitsandbytes", "gptq")
PACKED = (Linear4bit, Linear8bitLt, BaseQuantLinear)
COMPRESSION_CASES = pytest.mark.parametrize(("method", "example"), cases("compression"), ids=named)


@COMPRESSION_CASES
def test_compressed_model_answers(ship: Ship, method: str, example: dict[str, Any]) -> None:
    shipped = ship(method, example)
    assert len(shipped.answers) == 24
    assert all(shipped.answers)
    assert torch.isfinite(shipped.logits).all()
    dense_model = ship("none", {})
    unchanged = torch.equal(shipped.logits, dense_model.logits)
    assert unchanged == (method == "none")


@COMPRESSION_CASES
def test_compressed_model_is_on_disk(ship: Ship, method: str, example: dict[str, Any]) -> None:
    shipped = ship(method, example)
    on_disk = bytes_on_disk(shipped.compressed.folder)
    assert shipped.cost.weights_bytes_disk == on_disk
    assert (shipped.compressed.folder / "config.json").is_file()
    assert on_disk >= 0.95 * shipped.cost.weights_bytes_loaded
    smaller = on_disk < 0.6 * ship("none", {}).cost.weights_bytes_disk
    assert smaller == (method in QUANTIZERS)


@COMPRESSION_CASES
def test_compression_did_what_was_asked(
    ship: Ship, dense: Path, model_source: ModelSource, method: str, example: dict[str, Any]
) -> None:
    compressed = ship(method, example).compressed
    layers = linear_layers(load_checkpoint(Checkpoint(model_source, full=dense)))
    modules = compressed.model.named_modules()
    packed = {name for name, module in modules if isinstance(module, PACKED)}
    if method in QUANTIZERS:
        assert compressed.execution == "packed"
        assert compressed.zero_fraction is None
        assert packed == set(layers)
    else:
        assert compressed.execution == "dense"
        assert not packed
        assert compressed.zero_fraction == pytest.approx(example.get("sparsity", 0), abs=0.001)
        for layer in linear_layers(compressed.model).values():
            zeros = (torch.as_tensor(layer.weight) == 0).float().mean().item()
            assert zeros == pytest.approx(example.get("sparsity", 0), abs=0.001)


@COMPRESSION_CASES
def test_compressed_model_costs(ship: Ship, method: str, example: dict[str, Any]) -> None:
    cost, dense_cost = ship(method, example).cost, ship("none", {}).cost
    assert cost.bits_per_weight is not None
    if method in ("none", "magnitude"):
        assert cost.bits_per_weight == 32
        assert cost.weights_bytes_loaded == dense_cost.weights_bytes_loaded
        return
    bits = example["bits"]
    assert bits < cost.bits_per_weight < bits + overhead(method, example)
    assert cost.weights_bytes_loaded < 0.6 * dense_cost.weights_bytes_loaded
    assert cost.execution == "packed"


def overhead(method: str, example: dict[str, Any]) -> float:
    """Bits by weight that scales may take in layers as small as 64 x 64."""
    if method == "gptq":
        return 2.5
    if example == {"bits": 4}:
        return 2.5  # where scales stay quantized, each layer holds a code book of 1 kB for them
    return {8: 1.0, 4: 0.8}[example["bits"]]


def test_fewer_bits_cost_less(ship: Ship) -> None:
    costs = [ship("gptq", {"bits": bits}).cost for bits in (8, 4, 3, 2)]
    for metric in ("weights_bytes_loaded", "weights_bytes_disk", "bits_per_weight"):
        values = [getattr(cost, metric) for cost in costs]
        assert values == sorted(set(values), reverse=True)
