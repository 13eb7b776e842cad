"""LLM.int8(), NF4 and FP4 by bitsandbytes (arXiv 2208.07339, 2305.14314), through transformers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.models.falcon import modeling_falcon

from search_spaces.compressions import BitsAndBytes
from search_spaces.families import dense_layers
from search_spaces.sources import ModelSource
from trainables.models import device

BLOCK_INPUTS, BLOCK_OUTPUTS = 64, 32
"""Weights that the fast CPU kernel takes at once."""


def compress(settings: BitsAndBytes, dense: Path, source: ModelSource, folder: Path) -> None:
    """Quantize while loading and save."""
    skipped = list(dense_layers(AutoConfig.from_pretrained(dense).model_type))
    with _plain_falcon_layers():
        model: Any = AutoModelForCausalLM.from_pretrained(
            dense,
            dtype=getattr(torch, source.dtype),
            device_map={"": str(device())},
            quantization_config=_config(settings, source.dtype, skipped),
        )
    model.save_pretrained(folder)


def load(folder: Path, dtype: torch.dtype) -> Any:
    """The packed model on this worker's device, as transformers loads it."""
    with _plain_falcon_layers():
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, device_map={"": str(device())}
        )
    for module in model.modules():
        if isinstance(module, Linear4bit) and not _holds_whole_blocks(module):
            # the fast CPU kernel fails here; the plain one takes any width
            module.support_avx512bf16_for_cpu = False
    return model.eval()


def _holds_whole_blocks(layer: Linear4bit) -> bool:
    return layer.in_features % BLOCK_INPUTS == 0 and layer.out_features % BLOCK_OUTPUTS == 0


@contextmanager
def _plain_falcon_layers() -> Iterator[None]:
    """Let Falcon be built of nn.Linear: transformers leaves its subclass of it unquantized."""
    module: Any = modeling_falcon
    own = module.FalconLinear
    module.FalconLinear = nn.Linear
    try:
        yield
    finally:
        module.FalconLinear = own


def _config(settings: BitsAndBytes, dtype: str, skipped: list[str]) -> Any:
    config: Any = BitsAndBytesConfig  # its constructor has no types
    if settings.bits == 8:
        return config(load_in_8bit=True, llm_int8_skip_modules=skipped)
    return config(
        load_in_4bit=True,
        bnb_4bit_quant_type=settings.data_type,
        bnb_4bit_use_double_quant=settings.double_quantization,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=skipped,
    )
