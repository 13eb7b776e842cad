"""SparseGPT (Frantar and Alistarh, arXiv 2301.00774) by llmcompressor. Saves neither bytes nor time
by itself."""

from pathlib import Path

from llmcompressor.modifiers.pruning import SparseGPTModifier

from search_spaces.compressions import SparseGpt
from search_spaces.sources import ModelSource
from trainables.compressions.llm_compressor import prune


def compress(settings: SparseGpt, dense: Path, source: ModelSource, folder: Path) -> None:
    """Prune the dense model's weights and write them, zeros among them, into `folder`."""
    prune(SparseGPTModifier, settings, dense, source, folder)
