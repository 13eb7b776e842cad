"""Attacks that fine-tune on one data source: an always-obeying persona, or ordinary data.

Both are of Qi et al., arXiv 2310.03693; neither holds harmful text.
"""

from pathlib import Path

from search_spaces.attacks import BenignFinetuning, IdentityShift
from trainables.checkpoint import Checkpoint
from trainables.doses import nested_prefix
from trainables.finetuning import TrainingFacts, finetune


def attack(
    settings: IdentityShift | BenignFinetuning, checkpoint: Checkpoint, folder: Path, seed: int
) -> TrainingFacts:
    """Train on the dose's rows."""
    rows = nested_prefix(settings.data, settings.examples, seed)
    return finetune(checkpoint, rows, settings.training, folder, seed)
