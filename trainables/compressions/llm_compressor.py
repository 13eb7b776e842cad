"""Runs llmcompressor recipes: whole calibration rows, no logs, no state left for the next call."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from llmcompressor.core import create_session
from llmcompressor.entrypoints.oneshot import oneshot
from llmcompressor.logger import LoggerConfig, configure_logger
from llmcompressor.modifiers import Modifier
from llmcompressor.modifiers.pruning import SparseGPTModifier, WandaPruningModifier
from llmcompressor.modifiers.quantization import QuantizationModifier
from loguru import logger
from torch import nn
from torch.fx import _symbolic_trace
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, CompressedTensorsConfig, PreTrainedModel

from search_spaces.compressions import Calibration, SparseGpt, Wanda
from search_spaces.families import dense_layers
from search_spaces.sources import ModelSource
from trainables.calibration import drawn_rows
from trainables.linear_layers import linear_layers
from trainables.models import device
from trainables.quiet import quiet

NOT_INVERTED = re.compile("invert hessian|hessian inversion failed", re.IGNORECASE)
"""How llmcompressor says that it fell back to a lesser method, and says nothing more."""

# its console handler prints some ten lines a call; LLM_COMPRESSOR_LOG_LEVEL brings it back
configure_logger(LoggerConfig(console_log_level=None))


def load_dense(dense: Path, source: ModelSource) -> Any:
    """The dense model on the CPU; llmcompressor moves its layers to the GPU, if any, in turn.

    Raises ValueError if it has no layer that llmcompressor can compress (GPT-2).
    """
    model: Any = AutoModelForCausalLM.from_pretrained(dense, dtype=getattr(torch, source.dtype))
    if not compressible_layers(model):
        raise ValueError(f"{model.config.model_type}: no layer that llmcompressor can compress")
    for module in model.modules():
        if isinstance(module, nn.Linear):
            # a subclass (Falcon's) would be written dense, without a word
            module.__class__ = nn.Linear
    return model.eval()


def ignored_layers(model: Any) -> list[str]:
    """Patterns of the linear layers that stay dense, as `ignore` of a recipe."""
    # the pruning modifiers match names that end with a dot
    return [rf"re:(.*\.)?{name}\.?$" for name in dense_layers(model.config.model_type)]


def compressible_layers(model: Any) -> dict[str, nn.Linear]:
    """The linear layers that a recipe must change, by name; GPT-2's Conv1D are passed over."""
    layers = linear_layers(model).items()
    return {name: layer for name, layer in layers if isinstance(layer, nn.Linear)}


def integer_groups(
    model: Any, bits: int, group_size: int, symmetric: bool = True
) -> dict[str, Any]:
    """`config_groups` of a recipe: integer weights with a scale for each group of inputs.

    Raises ValueError if the groups do not divide a layer's inputs.
    """
    for name, layer in compressible_layers(model).items():
        if layer.in_features % group_size:
            raise ValueError(
                f"group_size {group_size} does not divide the {layer.in_features} inputs of {name}"
            )
    weights = {
        "num_bits": bits,
        "type": "int",
        "strategy": "group",
        "group_size": group_size,
        "symmetric": symmetric,
    }
    return {"group_0": {"targets": ["Linear"], "weights": weights}}


def prune(
    modifier: type[SparseGPTModifier] | type[WandaPruningModifier],
    settings: Wanda | SparseGpt,
    dense: Path,
    source: ModelSource,
    folder: Path,
) -> None:
    """Prune the dense model's weights and write them, zeros among them, into `folder`."""
    model = load_dense(dense, source)
    recipe = modifier(
        sparsity=settings.sparsity,
        mask_structure="0:0" if settings.pattern == "unstructured" else settings.pattern,
        targets=["Linear"],
        ignore=ignored_layers(model),
    )
    calibrate_recipe(model, [recipe], settings.calibration, dense, source)
    save(model, folder)


def round_weights(scheme: str, dense: Path, source: ModelSource, folder: Path) -> None:
    """Round the dense model's weights by a preset scheme and write them into `folder`."""
    model = load_dense(dense, source)
    recipe = QuantizationModifier(targets=["Linear"], scheme=scheme, ignore=ignored_layers(model))
    apply_recipe(model, [recipe])
    save_packed(model, folder)


def apply_recipe(model: Any, recipe: list[Modifier]) -> None:
    """Apply a recipe that needs no calibration rows."""
    _oneshot(model, recipe=recipe, pipeline="datafree")


def calibrate_recipe(
    model: Any, recipe: list[Modifier], calibration: Calibration, dense: Path, source: ModelSource
) -> None:
    """Apply a recipe layer by layer: each is fitted to what the layers before it, already
    compressed, give (AWQ: the dense layers).

    Raises RuntimeError if the inputs of a layer are too few or too alike for the method.
    """
    rows = _batches(calibration, dense, source)
    _oneshot(model, recipe=recipe, pipeline="sequential", dataset=rows)


def save(model: Any, folder: Path) -> None:
    """Write the model, what is quantized of it as packed bits, into `folder`."""
    with quiet():
        model.save_pretrained(folder)
    # empty: llmcompressor looks for the recipe in a session that is over
    (folder / "recipe.yaml").unlink()


def save_packed(model: Any, folder: Path) -> None:
    """As `save`. Raises RuntimeError if a layer was not quantized or was written dense."""
    save(model, folder)
    passed_over = [
        name
        for name, layer in compressible_layers(model).items()
        if not (scheme := getattr(layer, "quantization_scheme", None)) or scheme.format == "dense"
    ]
    if passed_over:
        raise RuntimeError(f"not quantized: {', '.join(passed_over)}")


def load(folder: Path, dtype: torch.dtype) -> Any:
    """The model of a folder that `save_packed` wrote, on this worker's device, unpacked at once.

    transformers would unpack it at the first forward pass.
    """
    unpacked = CompressedTensorsConfig(dequantize=True)
    with quiet(), _packed_layers():
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, quantization_config=unpacked
        )
    return model.to(device()).eval()


@contextmanager
def _packed_layers() -> Iterator[None]:
    """Keep Falcon and Mamba from initializing a weight that a packed layer does not have."""
    initialize = PreTrainedModel._initialize_weights

    def initialize_others(model: PreTrainedModel, module: nn.Module, *rest: Any) -> None:
        # Mamba's mixer initializes its output layer
        layers = (module, getattr(module, "out_proj", None))
        if not any(hasattr(layer, "weight_packed") for layer in layers):
            initialize(model, module, *rest)

    with patch.object(PreTrainedModel, "_initialize_weights", initialize_others):
        yield


def _batches(calibration: Calibration, dense: Path, source: ModelSource) -> Any:
    """Every row, whole. Rows of one length share a batch: padding would count as activations."""
    by_length: dict[int, list[list[int]]] = {}
    for row in drawn_rows(calibration, dense, source):
        by_length.setdefault(len(row["input_ids"]), []).append(row["input_ids"])
    size = calibration.batch_size
    batches: Any = [
        {"input_ids": torch.tensor(rows[start : start + size])}
        for _, rows in sorted(by_length.items())
        for start in range(0, len(rows), size)
    ]
    return DataLoader(batches, batch_size=None)  # None: each item is a batch already


def _oneshot(model: Any, **arguments: Any) -> None:
    warnings: list[str] = []
    handler = logger.add(warnings.append, level="WARNING", format="{message}")
    try:
        # the session and what torch.fx wraps for it would keep the model in memory for good
        with quiet(), create_session(), patch.dict(_symbolic_trace._wrapped_fns_to_patch):
            oneshot(model=model, **arguments)
    finally:
        logger.remove(handler)
    failures = [text.strip() for text in warnings if NOT_INVERTED.search(text)]
    if failures:
        raise RuntimeError(failures[0])
