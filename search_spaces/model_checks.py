"""Refuses what the space's model does not allow: layers of the wrong width, other families."""

import json
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

from search_spaces.attacks import FineTuningAttack
from search_spaces.compressions import (
    Awq,
    Compression,
    Gptq,
    Hqq,
    NoCompression,
    Pruning,
    Rtn,
    Stacked,
    Step,
)
from search_spaces.families import Family, family_of
from search_spaces.space import SearchSpace
from search_spaces.stored_format import AUTOGPTQ_CONFIG, DENSE, stored_format
from search_spaces.training import Training
from search_spaces.weight_shapes import linear_shapes, stored_tensors

GPTQ_OUTPUT_MULTIPLE = 16
TRAINABLE_FORMATS = ("bitsandbytes", "gptq")
"""Quantizations that a published model may have: adapters can be trained on them."""
Shapes = dict[str, tuple[int, int]]
Problems = Iterator[tuple[str, str]]


def missing_model(space: SearchSpace) -> Problems:
    """A local model that is not there; an embedded world makes its own."""
    folder = Path(space.model.path)
    if space.embedded or not space.model.is_local:
        return
    if not folder.is_dir():
        yield "model.path", f"{folder}: no such folder; allowed: a Hugging Face model folder"
    elif not (folder / "config.json").is_file():
        yield "model.path", f"{folder}: not a Hugging Face model folder (no config.json)"
    for adapter in sorted(folder.glob("**/adapter_config.json")):
        beside = adapter.parent.relative_to(folder)
        yield (
            "model.path",
            f"{folder}: the adapter in {beside}/ would be left out; merge it into the weights, or "
            "take it out of the folder to study the model without it",
        )


def unfit_for_model(space: SearchSpace) -> Problems:
    """What cannot be done to the space's model; nothing is known of one that is not here."""
    folder = Path(space.model.path)
    if not space.model.is_local or not (folder / "config.json").is_file():
        return
    try:
        config = json.loads((folder / "config.json").read_text())
        family = family_of(config.get("model_type", ""))
        shapes = linear_shapes(folder)
    except (ValueError, OSError) as error:
        yield "model.path", f"{folder}: a file of the model cannot be read: {error}"
        return
    stored_as = stored_format(config, (folder / AUTOGPTQ_CONFIG).is_file())
    if stored_as != DENSE:
        yield from _compressed_already(space, stored_as)
        return
    yield from _unknown_targets(space, folder)
    for i, compression in enumerate(space.compressions):
        for field, step in compression_steps(f"compressions[{i}]", compression):
            if family:
                yield from _refused(field, step, family, space)
            yield from _widths(field, step, shapes)


def compression_steps(
    field: str, compression: Compression
) -> Iterator[tuple[str, NoCompression | Step]]:
    """The single methods of a compression, each with its field's name."""
    if not isinstance(compression, Stacked):
        yield field, compression
        return
    for i, step in enumerate(compression.steps):
        yield f"{field}.steps[{i}]", step


def _unknown_targets(space: SearchSpace, folder: Path) -> Problems:
    """LoRA targets that are the name of no layer of the model."""
    stored = stored_tensors(folder)
    layers = sorted({name.split(".")[-2] for name in stored if name.endswith(".weight")})
    for field, training in _trainings(space):
        targets = getattr(training.adapter, "targets", "all-linear")
        for i, target in enumerate(() if isinstance(targets, str) else targets):
            if layers and target.rpartition(".")[2] not in layers:
                close = get_close_matches(target, layers, n=1)
                hint = f"did you mean '{close[0]}'? " if close else ""
                yield (
                    f"{field}.adapter.targets[{i}]",
                    f"the model has no layer '{target}'; {hint}it has: {', '.join(layers)}",
                )


def _compressed_already(space: SearchSpace, stored_as: str) -> Problems:
    what = f"the model is quantized already ({stored_as})"
    if stored_as not in TRAINABLE_FORMATS:
        allowed = ", ".join(TRAINABLE_FORMATS)
        yield "model.path", f"{what} and cannot be fine-tuned so; allowed: {allowed}, or dense"
    for i, compression in enumerate(space.compressions):
        if not isinstance(compression, NoCompression):
            yield f"compressions[{i}].method", f"{what}; allowed: none"
    for field, training in _trainings(space):
        if training.adapter == "full":
            yield f"{field}.adapter", f"{what}; give LoRA settings, not 'full'"


def _trainings(space: SearchSpace) -> Iterator[tuple[str, Training]]:
    """How each stage trains, with its field's name."""
    yield "safety_tuning.training", space.safety_tuning.training
    for i, attack in enumerate(space.attacks):
        if isinstance(attack, FineTuningAttack):
            yield f"attacks[{i}].training", attack.training


def _refused(
    field: str, step: NoCompression | Step, family: Family, space: SearchSpace
) -> Problems:
    reason = family.refused.get(step.method)
    if reason:
        yield f"{field}.method", f"{step.method} cannot compress {family.name} models: {reason}"
    reason = family.untrainable.get(step.method)
    if reason and "compress_then_attack" in space.orders:
        yield (
            f"{field}.method",
            f"{step.method} weights of {family.name} models cannot be fine-tuned, as orders: "
            f"compress_then_attack asks: {reason}",
        )


def _widths(field: str, step: NoCompression | Step, shapes: Shapes) -> Problems:
    if isinstance(step, Gptq | Awq | Rtn):
        yield from _divides(field, step, {name: n for name, (_, n) in shapes.items()}, "inputs")
    if isinstance(step, Hqq):
        # hqq puts the first weights of several groups into one byte; 3 bits go by tens anyhow
        together = 1 if step.bits == 3 else 8 // step.bits
        weights = {name: m * n for name, (m, n) in shapes.items()}
        yield from _divides(field, step, weights, "weights", together)
    if isinstance(step, Gptq):
        for name, (outputs, _) in shapes.items():
            if outputs % GPTQ_OUTPUT_MULTIPLE:
                yield (
                    f"{field}.method",
                    f"gptq needs output widths that are multiples of {GPTQ_OUTPUT_MULTIPLE}, "
                    f"and {name} has {outputs}; use bitsandbytes or magnitude",
                )
    if isinstance(step, Pruning) and step.pattern != "unstructured":
        group = int(step.pattern.rpartition(":")[2])
        for name, (_, inputs) in shapes.items():
            if inputs % group:
                yield (
                    f"{field}.pattern",
                    f"{step.pattern} needs input widths that are multiples of {group}, and {name} "
                    f"has {inputs}; use unstructured",
                )


def _divides(
    field: str, step: Gptq | Awq | Rtn | Hqq, widths: dict[str, int], what: str, together: int = 1
) -> Problems:
    """`together`: how many groups the format keeps as one."""
    sizes: tuple[int, ...] = get_args(type(step).model_fields["group_size"].annotation)
    fitting = [n for n in sizes if all(width % (n * together) == 0 for width in widths.values())]
    for name, width in widths.items():
        if width % (step.group_size * together):
            times = f" x {together}" if together > 1 else ""
            yield (
                f"{field}.group_size",
                f"{step.group_size}{times} does not divide the {width} {what} of {name}; "
                f"allowed: {', '.join(map(str, fitting)) or 'none fits every layer'}",
            )
