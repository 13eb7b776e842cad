"""AWQ (Lin et al., arXiv 2306.00978), asymmetric, by llmcompressor, in the compressed-tensors
format."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from llmcompressor.modifiers.quantization import QuantizationModifier
from llmcompressor.modifiers.transform.awq import AWQModifier
from llmcompressor.modifiers.transform.awq.mappings import AWQMapping
from llmcompressor.pipelines.cache import IntermediatesCache

from search_spaces.compressions import Awq
from search_spaces.sources import ModelSource
from trainables.compressions.llm_compressor import (
    calibrate_recipe,
    ignored_layers,
    integer_groups,
    load_dense,
    save_packed,
)


def compress(settings: Awq, dense: Path, source: ModelSource, folder: Path) -> None:
    """Scale and quantize on the calibration rows and write the weights packed into `folder`."""
    model = load_dense(dense, source)
    groups = integer_groups(model, settings.bits, settings.group_size, symmetric=False)
    recipe = [
        AWQModifier(mappings=_mappings(model.config)),
        QuantizationModifier(config_groups=groups, ignore=ignored_layers(model)),
    ]
    with _pinned_memory():
        calibrate_recipe(model, recipe, settings.calibration, dense, source)
    save_packed(model, folder)


def _pinned_memory() -> AbstractContextManager[Any]:
    """Pinned memory is for copies to a GPU; without one torch refuses to pin."""
    if torch.cuda.is_available():
        return nullcontext()
    return patch.object(IntermediatesCache, "_pin_intermediate")


def _mappings(config: Any) -> list[AWQMapping] | None:
    """Norms and the layers that read them, where the outputs of a norm can be scaled.

    None leaves it to llmcompressor, which knows Llama, Mistral and Qwen2.
    """
    if config.model_type == "mamba":
        return [AWQMapping("re:.*norm$", ["re:.*in_proj$"])]
    if config.model_type == "gpt_neox":
        return [
            AWQMapping("re:.*input_layernorm$", ["re:.*query_key_value$"]),
            AWQMapping("re:.*post_attention_layernorm$", ["re:.*dense_h_to_4h$"]),
        ]
    if config.model_type == "falcon":
        return _falcon_mappings(config)
    return None


def _falcon_mappings(config: Any) -> list[AWQMapping]:
    attention, feed_forward = "re:.*query_key_value$", "re:.*dense_h_to_4h$"
    if config.new_decoder_architecture and config.num_ln_in_parallel_attn == 2:
        return [
            AWQMapping("re:.*ln_attn$", [attention]),
            AWQMapping("re:.*ln_mlp$", [feed_forward]),
        ]
    if config.new_decoder_architecture or config.parallel_attn:
        return [AWQMapping("re:.*input_layernorm$", [attention, feed_forward])]
    return [
        AWQMapping("re:.*input_layernorm$", [attention]),
        AWQMapping("re:.*post_attention_layernorm$", [feed_forward]),
    ]
