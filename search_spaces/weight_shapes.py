"""Shapes of a local model's linear layers, read from its safetensors headers without torch."""

import json
from pathlib import Path

CONV1D_FAMILIES = ("gpt2",)
"""Families that store a linear weight as (in, out) instead of (out, in)."""
NOT_LINEAR = ("embed", "wte", "wpe", "lm_head", "norm", "ln_", "conv1d")


def linear_shapes(folder: Path) -> dict[str, tuple[int, int]]:
    """(out_features, in_features) of every linear layer by name; empty without safetensors."""
    config = json.loads((folder / "config.json").read_text())
    transposed = config.get("model_type") in CONV1D_FAMILIES
    shapes: dict[str, tuple[int, int]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in _header(file).items():
            shape = tensor.get("shape", ())
            if name.endswith(".weight") and len(shape) == 2 and _is_linear(name):
                rows, columns = shape
                shapes[name.removesuffix(".weight")] = (
                    (columns, rows) if transposed else (rows, columns)
                )
    return shapes


def _is_linear(name: str) -> bool:
    return not any(part in name for part in NOT_LINEAR)


def _header(file: Path) -> dict[str, dict[str, list[int]]]:
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        if size > file.stat().st_size:
            raise ValueError(f"{file.name} is not a safetensors file")
        header: dict[str, dict[str, list[int]]] = json.loads(stream.read(size))
        return header
