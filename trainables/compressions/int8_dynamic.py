"""INT8 weights by output channel and INT8 activations by token, by llmcompressor (W8A8)."""

from pathlib import Path

from search_spaces.compressions import Int8Dynamic
from search_spaces.sources import ModelSource
from trainables.compressions.llm_compressor import round_weights


def compress(settings: Int8Dynamic, dense: Path, source: ModelSource, folder: Path) -> None:
    """Round the dense model's weights to INT8 and write them into `folder`."""
    round_weights("INT8", dense, source, folder)
