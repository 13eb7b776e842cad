"""Wanda (Sun et al., arXiv 2306.11695) by llmcompressor. Saves neither bytes nor time by itself."""

from pathlib import Path

from llmcompressor.modifiers.pruning import WandaPruningModifier

from search_spaces.compressions import Wanda
from search_spaces.sources import ModelSource
from trainables.compressions.llm_compressor import (
    calibrate_recipe,
    ignored_layers,
    load_dense,
    mask_structure,
    save,
)


def compress(settings: Wanda, dense: Path, source: ModelSource, folder: Path) -> None:
    """Prune the dense model's weights and write them, zeros among them, into `folder`."""
    model = load_dense(dense, source)
    modifier = WandaPruningModifier(
        sparsity=settings.sparsity,
        mask_structure=mask_structure(settings),
        targets=["Linear"],
        ignore=ignored_layers(model),
    )
    calibrate_recipe(model, [modifier], settings.calibration, dense, source)
    save(model, folder)
