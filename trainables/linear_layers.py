"""The layers that compression works on: every linear layer except embeddings and output head."""

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

HEADS = ("lm_head", "embed_out")


def linear_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The model's linear layers by name, without its output head."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and name.rpartition(".")[2] not in HEADS
    }


def weight_of(layer: nn.Module) -> Tensor:
    """The weight of a linear layer."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def zero_fraction(layers: dict[str, nn.Module]) -> float:
    """Share of the layers' weights that are exactly zero."""
    weights = [weight_of(layer) for layer in layers.values()]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return zeros / sum(weight.numel() for weight in weights)
