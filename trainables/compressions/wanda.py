"""Wanda (Sun et al., arXiv 2306.11695) by llmcompressor. Saves neither bytes nor time by itself."""

from pathlib import Path

from llmcompressor.modifiers.pruning import WandaPruningModifier

from search_spaces.compressions import Wanda
from search_spaces.sources import ModelSource
from trainables.compressions.llm_compressor import prune


def compress(settings: Wanda, dense: Path, source: ModelSource, folder: Path) -> None:
    """Prune the dense model's weights and write them, zeros among them, into `folder`."""
    prune(WandaPruningModifier, settings, dense, source, folder)
