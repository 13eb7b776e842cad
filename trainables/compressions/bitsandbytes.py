"""LLM.int8() and NF4 by bitsandbytes (arXiv 2208.07339, 2305.14314), through transformers."""

from pathlib import Path
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from search_spaces.compressions import BitsAndBytes
from search_spaces.sources import ModelSource
from trainables.compressions.compressed import Compressed
from trainables.linear_layers import HEADS
from trainables.models import device

BLOCK_SIZE = 64
"""Weights that share a scale in NF4, bitsandbytes' default."""


def compress(
    settings: BitsAndBytes, dense: Path, source: ModelSource, folder: Path, seed: int
) -> Compressed:
    """Quantize while loading and save before the first forward pass.

    Saving NF4 after a forward pass can corrupt it. Raises RuntimeError if no layer was quantized.
    """
    dtype = getattr(torch, source.dtype)
    model: Any = AutoModelForCausalLM.from_pretrained(
        dense,
        dtype=dtype,
        device_map={"": str(device())},
        quantization_config=_config(settings, dtype),
    )
    kinds = (Linear8bitLt, Linear4bit)
    if not any(isinstance(module, kinds) for module in model.modules()):
        raise RuntimeError(f"bitsandbytes: no layer became {settings.bits}-bit")
    for module in model.modules():
        # the fast CPU kernel repacks at the first forward pass and fails where a row does not
        # hold whole blocks; the plain kernel takes any width
        if isinstance(module, Linear4bit) and module.in_features % BLOCK_SIZE:
            module.support_avx512bf16_for_cpu = False
    model.save_pretrained(folder)
    model.eval()
    return Compressed(model, folder, "packed", None)


def _config(settings: BitsAndBytes, dtype: torch.dtype) -> Any:
    config: Any = BitsAndBytesConfig  # its constructor has no types
    if settings.bits == 8:
        return config(load_in_8bit=True, llm_int8_skip_modules=list(HEADS))
    return config(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=settings.double_quantization,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(HEADS),
    )
