"""Which colour, symbol or size tells a factor: few enough levels to be told apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analysis.pictures.panels import attack_names, compression_names
from analysis.pictures.style import COLOURS, SYMBOLS, Legend

Whole = NDArray[np.int64]
OTHER = "others"
SMALLEST, LARGEST = 7.0, 15.0
"""Marker sizes, px."""


@dataclass(frozen=True)
class Channel:
    """Levels of a factor, in order, and the level of each configuration."""

    title: str
    names: tuple[str, ...]
    level: Whole
    """(configurations,)"""

    @property
    def told(self) -> bool:
        """False where there is nothing to tell apart."""
        return len(self.names) > 1

    @property
    def legend(self) -> Legend:
        """Its list below the plot; empty where there is nothing to tell."""
        return Legend(self.title, self.names if self.told else ())


def compression_channel(table: pl.DataFrame) -> Channel:
    """By compression; by bits where that is too many to tell apart."""
    return _first_that_fits(
        "compression",
        [compression_names(table), _bits(table)],
        len(COLOURS),
    )


def attack_channel(table: pl.DataFrame) -> Channel:
    """By attack and its dose; by attack alone where that is too many to tell apart."""
    labels = attack_names(table)
    methods = [
        _no_attack(name).removesuffix("_finetuning").replace("_", " ")
        for name in table["attack"].fill_null("?")
    ]
    return _first_that_fits("attack", [labels, methods], len(SYMBOLS))


def channel_of(title: str, values: Sequence[str], most: int) -> Channel:
    """Levels in the order in which they come; the last ones are one where there are too many."""
    return _first_that_fits(title, [values], most)


def dose_sizes(table: pl.DataFrame) -> NDArray[np.float64]:
    """Marker sizes that grow with the rank of the safety dose."""
    doses = table["safety_examples"].fill_null(0).to_numpy()
    known = np.unique(doses)
    rank = np.searchsorted(known, doses) / max(len(known) - 1, 1)
    middle = (SMALLEST + LARGEST) / 2
    if len(known) == 1:
        return np.full(len(doses), middle)
    return np.asarray(SMALLEST + rank * (LARGEST - SMALLEST), dtype=np.float64)


def _bits(table: pl.DataFrame) -> list[str]:
    pruned = table["sparsity"].is_not_null()
    dense = (table["compression"] == "none").fill_null(False)
    names = []
    for bits, cut, none in zip(table["bits"], pruned, dense, strict=True):
        if none:
            names.append("uncompressed")
        else:
            width = f"{bits} bits" if bits is not None else ""
            names.append(" ".join(filter(None, [width, "pruned" if cut else ""])) or "?")
    return names


def _no_attack(name: str) -> str:
    return "no attack" if name == "none" else name


def _first_that_fits(title: str, choices: Sequence[Sequence[str]], most: int) -> Channel:
    """The first choice with no more levels than can be told apart, and more than one."""
    several = [names for names in choices if len(set(names)) > 1] or [choices[0]]
    chosen = next((names for names in several if len(set(names)) <= most), several[-1])
    names = list(dict.fromkeys(chosen))
    if len(names) > most:
        names = [*names[: most - 1], OTHER]
    position = {name: number for number, name in enumerate(names)}
    level = [position.get(name, len(names) - 1) for name in chosen]
    return Channel(title, tuple(names), np.array(level, dtype=np.int64))
