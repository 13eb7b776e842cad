"""FP8 E4M3 weights by output channel and FP8 activations by token, by llmcompressor."""

from pathlib import Path

from search_spaces.compressions import Fp8
from search_spaces.sources import ModelSource
from trainables.compressions.llm_compressor import round_weights


def compress(settings: Fp8, dense: Path, source: ModelSource, folder: Path) -> None:
    """Round the dense model's weights to FP8 and write them into `folder`."""
    round_weights("FP8_DYNAMIC", dense, source, folder)
