"""INT8 weights by output channel and INT8 activations by token, by llmcompressor (W8A8)."""

from pathlib import Path

from llmcompressor.modifiers.quantization import QuantizationModifier

from search_spaces.compressions import Int8Dynamic
from search_spaces.sources import ModelSource
from trainables.compressions.llm_compressor import (
    apply_recipe,
    ignored_layers,
    load_dense,
    save_packed,
)


def compress(settings: Int8Dynamic, dense: Path, source: ModelSource, folder: Path) -> None:
    """Round the dense model's weights to INT8 and write them into `folder`."""
    model = load_dense(dense, source)
    apply_recipe(
        model,
        [QuantizationModifier(targets=["Linear"], scheme="INT8", ignore=ignored_layers(model))],
    )
    save_packed(model, folder)
