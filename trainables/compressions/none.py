"""No compression: the dense model as it is."""

from pathlib import Path

from search_spaces.compressions import NoCompression
from search_spaces.sources import ModelSource
from trainables.checkpoint import Checkpoint
from trainables.compressions.compressed import Compressed
from trainables.linear_layers import linear_layers, zero_fraction
from trainables.models import load_checkpoint


def compress(
    settings: NoCompression, dense: Path, source: ModelSource, folder: Path, seed: int
) -> Compressed:
    """Load the dense model; what ships is the dense folder itself."""
    model = load_checkpoint(Checkpoint(source, full=dense))
    return Compressed(model, dense, "dense", zero_fraction(linear_layers(model)))
