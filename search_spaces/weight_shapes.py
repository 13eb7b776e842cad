"""What a local model's weight files hold, read from its safetensors headers without torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_spaces.families import dense_layers

CONV1D_FAMILIES = ("gpt2",)
"""Families that store a linear weight as (in, out) instead of (out, in)."""
NOT_LINEAR = ("embed", "wte", "wpe", "norm", "ln_", "conv1d")


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a weight file."""

    shape: tuple[int, ...]
    bytes: int


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of the folder's safetensors files by name."""
    return {
        name: StoredTensor(tuple(held["shape"]), held["data_offsets"][1] - held["data_offsets"][0])
        for file in sorted(folder.glob("*.safetensors"))
        for name, held in _header(file).items()
        if name != "__metadata__"
    }


def linear_shapes(folder: Path) -> dict[str, tuple[int, int]]:
    """(out_features, in_features) of every linear layer that compressions work on, by name.

    Empty without safetensors.
    """
    family = json.loads((folder / "config.json").read_text()).get("model_type", "")
    transposed, dense = family in CONV1D_FAMILIES, dense_layers(family)
    shapes: dict[str, tuple[int, int]] = {}
    for name, tensor in stored_tensors(folder).items():
        layer = name.removesuffix(".weight")
        if layer == name or len(tensor.shape) != 2 or layer.rpartition(".")[2] in dense:
            continue
        if not any(part in name for part in NOT_LINEAR):
            rows, columns = tensor.shape
            shapes[layer] = (columns, rows) if transposed else (rows, columns)
    return shapes


def _header(file: Path) -> dict[str, dict[str, Any]]:
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        if size > file.stat().st_size:
            raise ValueError(f"{file.name} is not a safetensors file")
        header: dict[str, dict[str, Any]] = json.loads(stream.read(size))
        return header
