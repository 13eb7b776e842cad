"""No compression: the dense weights as they are."""

from pathlib import Path

from search_spaces.compressions import NoCompression
from search_spaces.sources import ModelSource


def compress(settings: NoCompression, dense: Path, source: ModelSource, folder: Path) -> None:
    """Move the dense weights to where the compressed ones are looked for."""
    dense.rename(folder)
