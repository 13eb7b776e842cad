"""Magnitude pruning (Han et al., arXiv 1506.02626). Saves neither bytes nor time by itself."""

from pathlib import Path

import torch
from torch import Tensor

from search_spaces.compressions import Magnitude
from search_spaces.sources import ModelSource
from trainables.linear_layers import inputs_last, linear_layers
from trainables.models import load_model


def compress(settings: Magnitude, dense: Path, source: ModelSource, folder: Path) -> None:
    """Prune every linear layer and save the weights with their zeros."""
    model = load_model(dense, source.dtype)
    for layer in linear_layers(model).values():
        weight = inputs_last(layer).data
        if settings.pattern != "unstructured":
            zeros, group = map(int, settings.pattern.split(":"))
            prune_groups(weight, zeros, group)
        elif settings.compared == "output":
            prune_groups(weight, int(weight.shape[1] * settings.sparsity), weight.shape[1])
        else:
            prune(weight, settings.sparsity)
    model.save_pretrained(folder)


def prune(weight: Tensor, sparsity: float) -> None:
    """Set the `sparsity` share of smallest absolute values of a (rows, columns) weight to 0."""
    count = int(weight.numel() * sparsity)
    smallest = torch.topk(weight.abs().flatten(), count, largest=False).indices
    mask = torch.ones(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[smallest] = False
    weight.mul_(mask.view_as(weight))


def prune_groups(weight: Tensor, zeros: int, group: int) -> None:
    """Set the `zeros` smallest of every `group` neighbouring inputs to 0; (rows, inputs)."""
    grouped = weight.abs().reshape(len(weight), -1, group)
    smallest = grouped.topk(zeros, dim=2, largest=False).indices
    mask = torch.ones_like(grouped).scatter_(2, smallest, 0)
    weight.mul_(mask.flatten(1))
