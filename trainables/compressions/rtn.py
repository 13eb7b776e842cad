"""Round to nearest, in groups, by llmcompressor, in the compressed-tensors format."""

from pathlib import Path

from llmcompressor.modifiers.quantization import QuantizationModifier

from search_spaces.compressions import Rtn
from search_spaces.sources import ModelSource
from trainables.compressions.llm_compressor import (
    apply_recipe,
    ignored_layers,
    integer_groups,
    load_dense,
    save_packed,
)


def compress(settings: Rtn, dense: Path, source: ModelSource, folder: Path) -> None:
    """Round the dense model's weights and write them packed into `folder`."""
    model = load_dense(dense, source)
    groups = integer_groups(model, settings.bits, settings.group_size)
    apply_recipe(model, [QuantizationModifier(config_groups=groups, ignore=ignored_layers(model))])
    save_packed(model, folder)
