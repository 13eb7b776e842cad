"""Safety tuning: instruction tuning with N safety examples mixed in (arXiv 2309.07875)."""

from pathlib import Path

from search_spaces.rows import read_rows
from search_spaces.safety_tuning import SafetyDose
from trainables.checkpoint import Checkpoint
from trainables.doses import nested_prefix
from trainables.finetuning import TrainingFacts, finetune


def tune(settings: SafetyDose, checkpoint: Checkpoint, folder: Path, seed: int) -> TrainingFacts:
    """Train on all instructions and the dose's safety examples."""
    rows = read_rows(settings.instructions)
    if settings.safety is not None:
        rows += nested_prefix(settings.safety, settings.examples, seed)
    return finetune(checkpoint, rows, settings.training, folder, seed)
