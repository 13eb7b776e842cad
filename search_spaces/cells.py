"""The expansion of a search space to cells, one for every combination of its factors."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from search_spaces.attacks import Attack
from search_spaces.compressions import Compression
from search_spaces.evaluation import Evaluation
from search_spaces.safety_tuning import SafetyDose, SafetyTuning
from search_spaces.sources import ModelSource
from search_spaces.space import SearchSpace

ORDER = "attack_then_compress"


@dataclass(frozen=True)
class Cell:
    """One point of the grid: a value for every factor."""

    model: ModelSource
    safety: SafetyDose
    attack: Attack
    compression: Compression
    seed: int
    evaluation: Evaluation
    order: str = ORDER


def expand(space: SearchSpace) -> list[Cell]:
    """All cells of the space; those that share stages stand side by side."""
    return [
        Cell(space.model, safety, attack, compression, seed, space.evaluation)
        for seed, safety, attack, compression in product(
            space.seeds, safety_doses(space.safety_tuning), space.attacks, space.compressions
        )
    ]


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
