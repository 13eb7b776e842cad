"""What a compression leaves in memory and on disk, for evaluation to measure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Execution = Literal["packed", "simulated", "dense"]
WEIGHT_FILES = ("*.safetensors", "*.bin")


@dataclass(frozen=True)
class Compressed:
    """A model as it ships."""

    model: Any
    """Ready to generate, on this worker's device."""
    folder: Path
    """The saved model: what a user would download."""
    execution: Execution
    """`packed`: low-bit weights stay packed while running; `dense`: full-width weights run;
    `simulated`: weights rounded to low bits run at full width (no method here does that yet)."""
    zero_fraction: float | None
    """Share of zeros in the weights of the linear layers, measured; None where they are packed."""


def bytes_on_disk(folder: Path) -> int:
    """Bytes of the weight files in a saved model's folder."""
    return sum(file.stat().st_size for pattern in WEIGHT_FILES for file in folder.glob(pattern))
