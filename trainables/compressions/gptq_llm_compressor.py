"""GPTQ (Frantar et al., arXiv 2210.17323) by llmcompressor, for what gptqmodel lacks (Mamba)."""

from pathlib import Path

from llmcompressor.modifiers.gptq import GPTQModifier

from search_spaces.compressions import Gptq
from search_spaces.sources import ModelSource
from trainables.compressions.llm_compressor import (
    calibrate_recipe,
    ignored_layers,
    integer_groups,
    load_dense,
    save_packed,
)


def compress(settings: Gptq, dense: Path, source: ModelSource, folder: Path) -> None:
    """Quantize on the calibration rows and write the weights packed into `folder`.

    Raises RuntimeError if a layer's inputs are too few or too alike.
    """
    model = load_dense(dense, source)
    modifier = GPTQModifier(
        config_groups=integer_groups(model, settings.bits, settings.group_size),
        ignore=ignored_layers(model),
        # groups keep their columns, as with AutoGPTQ's static_groups
        actorder="static" if settings.act_order else None,
    )
    calibrate_recipe(model, [modifier], settings.calibration, dense, source)
    save_packed(model, folder)
