"""The expansion of a search space to cells, one for every combination of its factors."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from search_spaces.attacks import Attack, NoAttack
from search_spaces.compressions import (
    Compression,
    NoCompression,
    with_calibration_seed,
    without_calibration_seed,
)
from search_spaces.evaluation import Evaluation
from search_spaces.safety_tuning import SafetyDose, SafetyTuning
from search_spaces.sources import ModelSource
from search_spaces.space import Order, SearchSpace


@dataclass(frozen=True)
class Cell:
    """One point of the grid: a value for every factor."""

    model: ModelSource
    safety: SafetyDose
    attack: Attack
    compression: Compression
    seed: int
    evaluation: Evaluation
    order: Order = "attack_then_compress"


def expand(space: SearchSpace) -> list[Cell]:
    """All cells of the space; those that share stages stand side by side."""
    cells = (
        Cell(
            space.model,
            safety,
            attack,
            compression,
            seed,
            space.evaluation,
            order if _order_matters(attack, compression) else "attack_then_compress",
        )
        for order in space.orders
        for seed, safety, attack, compression in product(
            space.seeds, safety_doses(space.safety_tuning), space.attacks, compressions(space)
        )
    )
    return list(dict.fromkeys(cells))


def compressions(space: SearchSpace) -> list[Compression]:
    """The space's compressions, calibrated ones once for each calibration seed."""
    seeded = (
        with_calibration_seed(compression, seed)
        for compression in space.compressions
        for seed in space.calibration_seeds
    )
    return list(dict.fromkeys(seeded))


def _order_matters(attack: Attack, compression: Compression) -> bool:
    """Without an attack, or without a compression, both orders are the same cell."""
    return not isinstance(attack, NoAttack) and not isinstance(compression, NoCompression)


def without_seeds(cell: Cell) -> Cell:
    """The cell with every seed at 0: the same for all cells that only repeat each other."""
    return replace(cell, seed=0, compression=without_calibration_seed(cell.compression))


def safety_doses(tuning: SafetyTuning) -> Iterator[SafetyDose]:
    """Every form at every dose; dose 0 has no form and stands once."""
    for dose in tuning.doses:
        for form in tuning.forms if dose else (None,):
            yield SafetyDose(
                instructions=tuning.instructions,
                safety=tuning.safety[form] if form else None,
                form=form,
                examples=dose,
                training=tuning.training,
            )
