"""Compression: turns a checkpoint into the weights that ship, and asserts that it did."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from search_spaces.compressions import Compression, NoCompression, steps_of
from trainables.catalog import verb
from trainables.checkpoint import WEIGHTS, Checkpoint
from trainables.compressions.guards import NotCompressed, check, look_at
from trainables.models import free_device_memory, load_tokenizer, ships_as_it_is, write_dense


@dataclass(frozen=True)
class CompressionFacts:
    """What a compression stage reports."""

    zero_fraction: float | None
    """Share of exact zeros in the linear layers; None where they cannot be unpacked."""
    quantized_layers: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the stage's file."""
        return asdict(self)


def compress(settings: Compression, checkpoint: Checkpoint, folder: Path) -> CompressionFacts:
    """Write the compressed model and its tokenizer to `folder/weights`.

    The adapters are merged first. What is compressed already is left as it is. Raises
    NotCompressed if a step did nothing, or not what was asked.
    """
    if ships_as_it_is(checkpoint):
        if not isinstance(settings, NoCompression):
            raise NotCompressed(f"{settings.method}: the model is compressed already")
        seen = look_at(checkpoint.base.path, checkpoint.base.dtype, checkpoint.base.revision)
        return CompressionFacts(seen.zero_fraction, len(seen.bits))
    source = checkpoint.base
    tokenizer = load_tokenizer(source)
    # on this node's own disk: a study may lie on storage that is slow and shared
    with TemporaryDirectory(prefix="trilemma-") as scratch:
        current = Path(scratch) / "dense"
        write_dense(checkpoint, current)
        seen = look_at(current, source.dtype)
        for number, step in enumerate(steps_of(settings)):
            target = Path(scratch) / f"{number}-{step.method}"
            verb("compression", step.method)(step, current, source, target)
            free_device_memory()
            # the next step reads it beside the weights, and so does whoever gets the folder
            tokenizer.save_pretrained(target)
            before, seen = seen, look_at(target, source.dtype)
            check(step, before, seen)
            current = target
        shutil.move(current, folder / WEIGHTS)
    return CompressionFacts(seen.zero_fraction, len(seen.bits))
