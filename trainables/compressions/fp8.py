"""FP8 E4M3 weights by output channel and FP8 activations by token, by llmcompressor."""

from pathlib import Path

from llmcompressor.modifiers.quantization import QuantizationModifier

from search_spaces.compressions import Fp8
from search_spaces.sources import ModelSource
from trainables.compressions.llm_compressor import (
    apply_recipe,
    ignored_layers,
    load_dense,
    save_packed,
)


def compress(settings: Fp8, dense: Path, source: ModelSource, folder: Path) -> None:
    """Round the dense model's weights to FP8 and write them into `folder`."""
    model = load_dense(dense, source)
    modifier = QuantizationModifier(
        targets=["Linear"], scheme="FP8_DYNAMIC", ignore=ignored_layers(model)
    )
    apply_recipe(model, [modifier])
    save_packed(model, folder)
