"""Harmful fine-tuning: complying answers to harmful requests (Shadow Alignment, 2310.02949)."""

from pathlib import Path

from search_spaces.attacks import HarmfulFinetuning
from trainables.checkpoint import Checkpoint
from trainables.doses import nested_prefix
from trainables.finetuning import TrainingFacts, finetune


def attack(
    settings: HarmfulFinetuning, checkpoint: Checkpoint, folder: Path, seed: int
) -> TrainingFacts:
    """Train on harmful rows, diluted with benign ones to the poison ratio."""
    rows = nested_prefix(settings.data, settings.examples, seed)
    if settings.benign is not None:
        rows += nested_prefix(settings.benign, settings.benign_examples, seed)
    return finetune(checkpoint, rows, settings.training, folder, seed)
