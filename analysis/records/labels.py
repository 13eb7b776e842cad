"""Short names of doses, attacks, compressions and cells, as tables and pictures show them."""

from collections.abc import Mapping, Sequence
from typing import Any

ORDERS = {"attack_then_compress": "first", "compress_then_attack": "last"}


def dose_label(row: Mapping[str, Any]) -> str:
    """`300`, `300 questions`."""
    if row["safety_examples"] is None:
        return "?"
    form = f" {row['safety_form']}s" if row["safety_form"] == "question" else ""
    return f"{row['safety_examples']}{form}"


def attack_label(row: Mapping[str, Any]) -> str:
    """`none`, `harmful 100×3`: rows by epochs."""
    if row["attack"] in (None, "none"):
        return row["attack"] or "?"
    name = row["attack"].removesuffix("_finetuning").replace("_", " ")
    return f"{name} {row['attack_examples']}×{row['attack_epochs']}"


def compression_label(row: Mapping[str, Any]) -> str:
    """`gptq 4 g128`; records of before this column have the method only."""
    return row.get("compression_label") or row["compression"] or "?"


def bytes_text(count: float) -> str:
    """`97.9 kB`, in powers of a thousand."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:,.1f} GB"


def cell_label(row: Mapping[str, Any], varying: Sequence[str]) -> str:
    """What tells a cell from others: those of its factors that vary, in words.

    Without any factor, as in a table that was made elsewhere, its id.
    """
    parts = {
        "study": lambda: str(row["study"]).rpartition("/")[2],
        "model": lambda: str(row["model"]).rpartition("/")[2],
        "safety_examples": lambda: f"{dose_label(row)} safety",
        "attack": lambda: attack_label(row) if row["attack"] != "none" else "no attack",
        "compression_label": lambda: (
            compression_label(row) if row["compression"] != "none" else "uncompressed"
        ),
        "calibration_data": lambda: f"on {row['calibration_data']}",
        "order": lambda: f"attacked {ORDERS.get(row['order'], row['order'])}",
        "seed": lambda: f"seed {row['seed']}",
        "device": lambda: str(row["device"]),
    }
    told = [parts[name]() for name in parts if name in varying and row.get(name) is not None]
    return " · ".join(told) or str(row["cell"])
