"""The layers that compression works on: the blocks' linear layers, and what became of them."""

from typing import Any

from bitsandbytes.functional import dequantize_4bit
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from search_spaces.families import dense_layers

BITS_BY_CLASS = {"Linear4bit": 4, "Linear8bitLt": 8}
"""bitsandbytes' layers, which hold no number of bits."""


def linear_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The dense linear layers by name, without the output head and what the family skips."""
    skipped = skipped_layers(model)
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and name.rpartition(".")[2] not in skipped
    }


def skipped_layers(model: nn.Module) -> tuple[str, ...]:
    """Last names of the linear layers that every compression leaves dense."""
    config: Any = getattr(model, "config", None)
    return dense_layers(getattr(config, "model_type", ""))


def quantized_layers(model: nn.Module) -> dict[str, int]:
    """Bits of every quantized layer by name, whichever library quantized it."""
    found = ((name, _bits(module)) for name, module in model.named_modules())
    return {name: bits for name, bits in found if bits is not None}


def _bits(module: Any) -> int | None:
    # by name, because importing every library to ask for its class takes many seconds
    classes = {kind.__name__ for kind in type(module).__mro__}
    for name, bits in BITS_BY_CLASS.items():
        if name in classes:
            return bits
    if "BaseQuantLinear" in classes:
        return int(module.bits)
    if "HQQLinear" in classes:
        return int(module.meta["nbits"])
    scheme = getattr(module, "quantization_scheme", None)  # compressed-tensors
    return int(scheme.weights.num_bits) if scheme is not None and scheme.weights else None


def unpacked_weight(layer: nn.Module) -> Tensor | None:
    """The weight (out_features, in_features) that a layer computes with; None if it cannot tell.

    To be asked before the first forward pass: bitsandbytes' fast CPU kernel repacks what it used.
    """
    held: Any = layer
    classes = {kind.__name__ for kind in type(layer).__mro__}
    if "Linear4bit" in classes:
        unpacked: Tensor = dequantize_4bit(held.weight.data, held.weight.quant_state)
        return unpacked
    if "HQQLinear" in classes:
        unpacked = held.dequantize()
        return unpacked
    if "BaseQuantLinear" in classes:  # gptqmodel; not all of its kernels can
        unpacking = getattr(held, "dequantize_weight", None)
        return None if unpacking is None else unpacking().T
    return inputs_last(layer) if isinstance(layer, nn.Linear | Conv1D) else None


def weight_of(layer: nn.Module) -> Tensor:
    """The weight of a linear layer."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def inputs_last(layer: nn.Module) -> Tensor:
    """The weight as (out_features, in_features); Conv1D stores it the other way round."""
    weight = weight_of(layer)
    return weight.T if isinstance(layer, Conv1D) else weight
