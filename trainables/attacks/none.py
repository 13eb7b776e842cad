"""No attack: the checkpoint as it was released."""

from pathlib import Path

from search_spaces.attacks import NoAttack
from trainables.checkpoint import Checkpoint
from trainables.finetuning import UNTRAINED, TrainingFacts


def attack(settings: NoAttack, checkpoint: Checkpoint, folder: Path, seed: int) -> TrainingFacts:
    """Leave the checkpoint unchanged."""
    return UNTRAINED
