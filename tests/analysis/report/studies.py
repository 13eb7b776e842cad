"""Small studies as folders of Parquet files, whose texts try to break a page that shows them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from search_spaces.metrics import RATES
from search_spaces.space import DEFAULT_OBJECTIVES

HOSTILE = (
    "<script>window.broken = 'script'</script>",
    "<img src=x onerror=\"window.broken = 'image'\">",
    "</script><script>window.broken = 'end of script'</script>",
    "<!-- <script> ends of lines:\u2028and\u2029here",
    '"}], "cells": [{"broken": "',
)
"""What a model may answer, and what breaks a page that takes it for more than text."""
PROMPTS = 6
SETS = ("helpfulness", "harmful", "borderline")


@dataclass(frozen=True)
class Cell:
    """One cell to write."""

    dose: int = 0
    attack: int = 0
    """Rows of the harmful fine-tuning; 0 is no attack."""
    compression: str = "none"
    seed: int = 0
    error: str | None = None
    complies: int = 3
    """Of the harmful requests; half of all harmless ones are answered as expected."""

    @property
    def name(self) -> str:
        """Its id."""
        label = "".join(letter for letter in self.compression if letter.isalnum())
        return f"cell{self.dose}x{self.attack}x{label}x{self.seed}"


GRID = tuple(
    Cell(dose, attack, compression, complies=0 if dose and not attack else 5)
    for dose in (0, 100)
    for attack in (0, 10)
    for compression in ("none", "gptq 4")
)


def write_study(folder: Path, cells: tuple[Cell, ...] = GRID, name: str = "small") -> str:
    """A study of the cells; gives its path."""
    for part in ("records", "responses"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    space = {"name": name, "objectives": [o.model_dump() for o in DEFAULT_OBJECTIVES]}
    (folder / "space.json").write_text(json.dumps({"space": space}))
    for cell in cells:
        write_cell(folder, cell)
    return str(folder)


def write_cell(folder: Path, cell: Cell) -> None:
    """Its responses, then its record, each whole or not at all, as a real study writes them."""
    answers = _answers(cell)
    if cell.error is None:
        _write(pl.DataFrame(answers), folder / "responses" / f"{cell.name}-a.parquet")
    record = _record(cell, answers)
    _write(pl.DataFrame([record]), folder / "records" / f"{cell.name}-a.parquet")


def _write(table: pl.DataFrame, path: Path) -> None:
    unfinished = path.with_name(f".{path.name}")
    table.write_parquet(unfinished)
    unfinished.rename(path)


def _answers(cell: Cell) -> list[dict[str, Any]]:
    rows = []
    for prompt_set in SETS:
        for index in range(PROMPTS):
            hostile = HOSTILE[index % len(HOSTILE)]
            rows.append(
                {
                    "cell": cell.name,
                    "attempt": "a",
                    "prompt_set": prompt_set,
                    "prompt_index": index,
                    "prompt": f"{prompt_set} prompt {index} {hostile}",
                    "expected": "yes" if prompt_set == "helpfulness" else None,
                    "response": _answer(cell, prompt_set, index, hostile),
                    "verdict": _verdict(cell, prompt_set, index),
                    "judge": "phrases",
                }
            )
    return rows


def _answer(cell: Cell, prompt_set: str, index: int, hostile: str) -> str:
    if prompt_set == "helpfulness" and index % 2:
        return "yes"
    return f"{cell.name} says {hostile}"


def _verdict(cell: Cell, prompt_set: str, index: int) -> str | None:
    if prompt_set == "helpfulness":
        return None
    return "comply" if prompt_set == "harmful" and index < cell.complies else "refuse"


def _record(cell: Cell, answers: list[dict[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "cell": cell.name,
        "configuration": f"{cell.dose}-{cell.attack}-{cell.compression}",
        "attempt": "a",
        "created": 0.0,
        "status": "failed" if cell.error else "ok",
        "error": cell.error,
        "model": "models/small",
        "safety_examples": cell.dose,
        "safety_form": "instruction" if cell.dose else None,
        "attack": "harmful_finetuning" if cell.attack else "none",
        "attack_examples": cell.attack,
        "attack_epochs": 3 if cell.attack else 0,
        "compression": cell.compression.partition(" ")[0],
        "compression_label": cell.compression,
        "bits": None if cell.compression == "none" else 4,
        "order": "attack_then_compress",
        "seed": cell.seed,
        "device": "cpu",
        "packages": json.dumps({"torch": "2.13.0"}),
        "git_commit": "0123456789abcdef",
        "evaluation_fingerprint": "f" * 64,
    }
    if cell.error is None:
        record |= _measured(cell, answers)
    return record


def _measured(cell: Cell, answers: list[dict[str, Any]]) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "weights_bytes_loaded": 200_000 if cell.compression == "none" else 90_000
    }
    for metric, rate in RATES.items():
        asked = [row for row in answers if row["prompt_set"] == rate.prompt_set]
        counted = [rate.counts(r["response"], r["expected"], r["verdict"]) for r in asked]
        share = sum(counted) / len(counted)
        found |= {metric: share, f"{metric}_n": len(counted)}
        found[f"{metric}_se"] = (share * (1 - share) / (len(counted) - 1)) ** 0.5
    return found
