"""Magnitude pruning (Han et al., arXiv 1506.02626). Saves neither bytes nor time by itself."""

from pathlib import Path

import torch
from torch import Tensor

from search_spaces.compressions import Magnitude
from search_spaces.sources import ModelSource
from trainables.checkpoint import Checkpoint
from trainables.compressions.compressed import Compressed
from trainables.linear_layers import linear_layers, weight_of, zero_fraction
from trainables.models import load_checkpoint

TOLERANCE = 0.01


def compress(
    settings: Magnitude, dense: Path, source: ModelSource, folder: Path, seed: int
) -> Compressed:
    """Prune every linear layer in place and save. Raises RuntimeError if nothing was pruned."""
    model = load_checkpoint(Checkpoint(source, full=dense))
    layers = linear_layers(model)
    for layer in layers.values():
        prune(weight_of(layer).data, settings.sparsity)
    zeros = zero_fraction(layers)
    if zeros < settings.sparsity - TOLERANCE:
        raise RuntimeError(f"magnitude: {zeros:.3f} of the weights are 0, not {settings.sparsity}")
    model.save_pretrained(folder)
    return Compressed(model, folder, "dense", zeros)


def prune(weight: Tensor, sparsity: float) -> None:
    """Set the `sparsity` share of smallest absolute values of a (rows, columns) weight to 0."""
    count = int(weight.numel() * sparsity)
    smallest = torch.topk(weight.abs().flatten(), count, largest=False).indices
    weight.view(-1)[smallest] = 0
