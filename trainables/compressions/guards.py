"""Asserts that a compression did what was asked: a library call can silently do nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from search_spaces.compressions import NoCompression, Pruner, Quantizer, Step, bits_of
from trainables.linear_layers import linear_layers, quantized_layers, unpacked_weight
from trainables.models import load_model

TOLERANCE = 0.01
"""How far a layer's share of zeros may be from the one asked for, besides a weight an output."""
PATTERN_GROUPS = (4, 8)
"""Neighbouring inputs that the patterns 2:4 and 4:8 count zeros in."""
PROBE = (2, 16)
"""Rows and tokens on which outputs before and after are compared."""


class NotCompressed(RuntimeError):
    """A compression that did nothing, or not what was asked."""


@dataclass(frozen=True)
class Zeros:
    """The zeros of one linear layer's dense weights."""

    count: int
    weights: int
    inputs: int
    fewest: dict[int, int]
    """The fewest zeros that a group of 4 or 8 neighbouring inputs has."""


@dataclass(frozen=True)
class Seen:
    """What the guards look at, of a model before or after; a few numbers for each layer."""

    zeros: dict[str, Zeros]
    """By the names of the linear layers that compression works on, packed ones included where
    their kernel can unpack them."""
    bits: dict[str, int]
    """Bits of the layers that are quantized."""
    logits: Tensor
    zero_fraction: float | None
    """Share of zeros in all linear layers; None where one of them cannot be unpacked."""


def look_at(path: str | Path, dtype: str, revision: str | None = None) -> Seen:
    """Load a stored model and look at it."""
    model = load_model(path, dtype, revision)
    bits = quantized_layers(model)
    names = {*linear_layers(model), *bits}
    zeros: dict[str, Zeros] = {}
    with torch.inference_mode():
        for name in sorted(names):  # one at a time: all of them unpacked are a dense model more
            weight = unpacked_weight(model.get_submodule(name))
            if weight is not None:
                zeros[name] = _zeros(weight)
    fraction = None
    if zeros and zeros.keys() == names:
        held = zeros.values()
        fraction = sum(layer.count for layer in held) / sum(layer.weights for layer in held)
    return Seen(zeros, bits, _probe(model), fraction)


def _zeros(weight: Tensor) -> Zeros:
    """Of a weight (out_features, in_features)."""
    is_zero = weight == 0
    inputs = weight.shape[1]
    fewest = {
        group: int(is_zero.reshape(len(weight), -1, group).sum(2).min())
        for group in PATTERN_GROUPS
        if inputs % group == 0
    }
    return Zeros(int(is_zero.sum()), weight.numel(), inputs, fewest)


def check(step: NoCompression | Step, before: Seen, after: Seen) -> None:
    """Raise NotCompressed unless the step did to every linear layer what it should."""
    if isinstance(step, NoCompression):
        return
    if isinstance(step, Pruner):
        _check_zeros(step, after)
    else:
        _check_bits(step, before, after)
    if torch.equal(before.logits, after.logits):
        raise NotCompressed(
            f"{step.method}: the model answers exactly as before, so nothing was done"
        )
    if not torch.isfinite(after.logits).all():
        raise NotCompressed(f"{step.method}: the compressed model's outputs are not finite")


def _check_zeros(step: Pruner, after: Seen) -> None:
    if not after.zeros:
        raise NotCompressed(f"{step.method}: the model has no linear layer to prune")
    for name, layer in after.zeros.items():
        share = layer.count / layer.weights
        if abs(share - step.sparsity) > TOLERANCE + 1 / layer.inputs:
            raise NotCompressed(
                f"{step.method}: {share:.3f} of the weights of {name} are 0, not {step.sparsity}"
            )
        if step.pattern != "unstructured":
            wanted, group = map(int, step.pattern.split(":"))
            fewest = layer.fewest.get(group, 0)
            if fewest < wanted:
                raise NotCompressed(
                    f"{step.method}: a group of {group} weights of {name} has {fewest} zeros, "
                    f"which is not {step.pattern}"
                )


def _check_bits(step: Quantizer, before: Seen, after: Seen) -> None:
    missing = sorted(before.zeros.keys() - after.bits.keys())
    if missing or not after.bits:
        raise NotCompressed(
            f"{step.method}: {len(missing)} of {len(before.zeros)} linear layers were not "
            f"quantized: {', '.join(missing[:3])}"
        )
    added = sorted(after.bits.keys() - before.zeros.keys())
    if added:
        raise NotCompressed(f"{step.method}: {', '.join(added[:3])} should have stayed dense")
    wrong = {name: bits for name, bits in after.bits.items() if bits != bits_of(step)}
    if wrong:
        name, bits = next(iter(wrong.items()))
        raise NotCompressed(f"{step.method}: {name} has {bits} bits, not {bits_of(step)}")


def _probe(model: Any) -> Tensor:
    """Logits (rows, tokens, vocabulary) on fixed tokens."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(model.config.vocab_size, PROBE, generator=generator).to(model.device)
    with torch.inference_mode():
        logits: Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    return logits.float().cpu()
