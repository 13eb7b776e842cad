"""Half-quadratic quantization (Badri and Shaji, 2023) by hqq: no calibration, down to one bit."""

from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from hqq.core.quantize import BaseQuantizeConfig, HQQLinear, Quantizer
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from search_spaces.compressions import Hqq
from search_spaces.families import dense_layers
from search_spaces.sources import ModelSource
from trainables.linear_layers import inputs_last, linear_layers
from trainables.models import device

PACKED = "W_q"
"""A layer that has a tensor of this name is quantized."""
FILES = "hqq{suffix}.safetensors"
"""Not `model.safetensors`: there, transformers would find no dense weight and draw random ones."""


def compress(settings: Hqq, dense: Path, source: ModelSource, folder: Path) -> None:
    """Quantize every linear layer but the head, and save packed weights, scales and zeros."""
    dtype = getattr(torch, source.dtype)
    model: Any = AutoModelForCausalLM.from_pretrained(dense, dtype=dtype)
    model.to(device())
    how = BaseQuantizeConfig(nbits=settings.bits, group_size=settings.group_size, axis=1)
    skipped = list(dense_layers(model.config.model_type))
    state: dict[str, Tensor] = model.state_dict()
    for name, layer in linear_layers(model).items():
        state.pop(f"{name}.weight")
        weight = inputs_last(layer).contiguous()
        packed = HQQLinear.from_weights(weight, None, how, dtype, str(device()))
        state[f"{name}.{PACKED}"] = packed.W_q.data
        state |= {f"{name}.{part}": packed.meta[part] for part in ("scale", "zero")}
    # what is the same in every layer stands here once: as tensors it would outweigh small layers
    model.config.quantization_config = {
        "quant_method": "hqq",
        "quant_config": how,
        "skip_modules": skipped,
    }
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    for tied in model.all_tied_weights_keys:
        del state[tied]
    save_torch_state_dict(state, folder, filename_pattern=FILES)


def load(folder: Path, dtype: torch.dtype) -> Any:
    """The packed model on this worker's device; a layer is unpacked while it is used.

    Raises RuntimeError if the folder lacks a weight.
    """
    config = AutoConfig.from_pretrained(folder)
    how = config.quantization_config["quant_config"]["weight_quant_params"]
    auto: Any = AutoModelForCausalLM  # its from_config has no types
    with init_empty_weights():
        model = auto.from_config(config, dtype=dtype)
    state: dict[str, Tensor] = {}
    for file in sorted(folder.glob(FILES.format(suffix="*"))):
        state |= load_file(file, device=str(device()))
    # hqq's own tensors are cast by hqq, the others here
    plain = {name: _cast(tensor, dtype) for name, tensor in state.items()}
    model.load_state_dict(plain, strict=False, assign=True)
    for key in state:
        name, _, part = key.rpartition(".")
        if part == PACKED:
            packed = {part: state[f"{name}.{part}"] for part in (PACKED, "scale", "zero")}
            model.set_submodule(name, _unpacking(packed, how, model.get_submodule(name), dtype))
    model.tie_weights()
    missing = [name for name, weight in model.named_parameters() if weight.is_meta]
    if missing:
        raise RuntimeError(f"hqq: {folder} has no weights for {', '.join(missing[:3])}")
    return model.to(device()).eval()


def _unpacking(
    packed: dict[str, Tensor], how: dict[str, Any], layer: nn.Module, dtype: torch.dtype
) -> HQQLinear:
    """hqq's layer for the packed weights of a layer that is still empty."""
    bits = how["nbits"]
    state = {
        **packed,
        **how,
        "bias": layer.bias,
        "shape": torch.Size(inputs_last(layer).shape),
        "packing": Quantizer.bit_to_packing[bits],
        "quant_scale": False,
        "quant_zero": False,
        "stores_quant_config": True,
    }
    unpacking = HQQLinear(None, None, compute_dtype=dtype, device=str(device()))
    unpacking.load_state_dict(state)
    return unpacking


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
