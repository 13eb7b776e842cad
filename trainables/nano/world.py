"""Builds the nano world: an ordinary Hugging Face model folder and ordinary data files."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from trainables.nano.files import write_data

VERSIONS = {"llama": 1, "mamba": 1}
"""By family; raised whenever the same seed would give another world."""
DATA = "data"
MODEL = "model"

OnStep = Callable[[int, int], None]


def version(family: str) -> int:
    """The world's version, which tells its cached folders apart."""
    return VERSIONS[family]


def add_data(folder: Path, seed: int) -> None:
    """Write `folder/data/` unless it is there: the same for every family.

    Takes a tenth of a second and no torch.
    """
    _add(folder, DATA, lambda unfinished: write_data(unfinished, seed))


def build(folder: Path, seed: int, family: str, progress: OnStep | None = None) -> None:
    """Write `folder/data/` and `folder/model/` unless they are there."""
    add_data(folder, seed)
    _add(folder, MODEL, lambda unfinished: _write_model(unfinished / MODEL, seed, family, progress))


def _add(folder: Path, name: str, write: Callable[[Path], None]) -> None:
    """Let `write` make a part of the world aside and move it in place whole."""
    if (folder / name).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as unfinished:
        write(Path(unfinished))
        try:
            (Path(unfinished) / name).rename(folder / name)
        except OSError:
            if not (folder / name).exists():
                raise
            # another process made the same part first
            shutil.rmtree(Path(unfinished) / name)


def _write_model(folder: Path, seed: int, family: str, progress: OnStep | None) -> None:
    # torch takes seconds to import; a caller that finds the world built never needs it.
    from trainables.nano.architectures import ARCHITECTURES
    from trainables.nano.examples import pretraining
    from trainables.nano.facts import Facts
    from trainables.nano.pretraining import BATCH, pretrain
    from trainables.nano.tokenizer import build_tokenizer

    corpus = pretraining(Facts.draw(seed), ARCHITECTURES[family].steps * BATCH, seed)
    tokenizer = build_tokenizer(text for row in corpus for text in row)
    model = pretrain(family, tokenizer, corpus, seed, progress)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
