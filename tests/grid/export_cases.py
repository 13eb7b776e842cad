"""Small studies whose cells are exported, and the stranger who asks what was written."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.records.loading import read_table
from grid.command_line.running import run_space
from grid.export import Exported, export_cell
from grid.plan import PlannedCell
from grid.study import RESPONSES, Study, open_study
from grid.worlds import world_folder
from search_spaces.loading import load_space
from search_spaces.rows import read_rows
from tests.grid.conftest import preset, write_space
from tests.trainables.conftest import write_rows
from trainables.quiet import quiet

PROMPTS = {"helpfulness": 8, "harmful": 8, "borderline": 4}
STRANGER = Path(__file__).with_name("stranger.py")


def small_space(folder: Path, **changes: Any) -> dict[str, Any]:
    """The preset of all compressions on a few rows, whose model refuses until it is attacked."""
    whole, content = load_space("nano_compression", world_folder), preset("nano_compression")
    del content["embedded"]
    content["model"]["path"] = whole.model.path
    for name, count in {**PROMPTS, "perplexity": 4}.items():
        rows = read_rows(getattr(whole.evaluation, name))[:count]
        content["evaluation"][name] = write_rows(folder / f"{name}.jsonl", rows).model_dump()
    tuning = content["safety_tuning"]
    rows = read_rows(whole.safety_tuning.instructions)[:64]
    tuning["instructions"] = write_rows(folder / "instructions.jsonl", rows).model_dump()
    rows = read_rows(whole.safety_tuning.safety["instruction"])[:300]
    tuning["safety"]["instruction"] = write_rows(folder / "safety.jsonl", rows).model_dump()
    tuning["doses"] = [300]
    attack = content["attacks"][1]
    attack["data"]["path"] = str(Path(whole.model.path).parent / attack["data"]["path"])
    attack["training"]["learning_rate"] = 5e-3
    content["calibration_seeds"] = [0]
    return content | changes


def calibrated(folder: Path, **settings: Any) -> dict[str, Any]:
    """A compression that is calibrated on the space's instructions."""
    data = {"path": str(folder / "instructions.jsonl"), "columns": {"answer": "answer"}}
    calibration = {"data": data, "samples": 32, "max_tokens": 64}
    return {**settings, "calibration": calibration}


def run_study(folder: Path, content: dict[str, Any]) -> Study:
    """Run the space and open its study."""
    root = str(folder / "study")
    assert run_space(write_space(folder, content), root, "local", None, None).cells_failed == 0
    return open_study(root)


@dataclass(frozen=True)
class Case:
    """An exported cell."""

    study: Study
    cell: PlannedCell
    found: Exported

    @property
    def card(self) -> str:
        """The model card."""
        return (self.found.folder / "README.md").read_text(encoding="utf-8")

    @property
    def recorded(self) -> list[list[tuple[str, str]]]:
        """Prompts and answers as the evaluation recorded them, by prompt set."""
        evaluation = self.study.store.folder(self.study.plan.stages[self.cell.stages[-1]])
        sets: dict[str, list[tuple[str, str]]] = {}
        for row in read_table((evaluation / RESPONSES).read_bytes()).to_pylist():
            sets.setdefault(row["prompt_set"], []).append((row["prompt"], row["response"]))
        return list(sets.values())


def label_of(cell: PlannedCell) -> str:
    """`nf4 dq, harmful_finetuning`, with `on the release` where the attack came last."""
    last = " on the release" if cell.cell.order == "compress_then_attack" else ""
    return f"{cell.cell.compression.label}, {cell.cell.attack.method}{last}"


def export_all(study: Study, folder: Path) -> dict[str, Case]:
    """Every cell of the study, exported, by label."""
    with quiet():
        return {
            label_of(cell): Case(study, cell, export_cell(study, cell.id, folder / cell.id))
            for cell in study.plan.cells
        }


def ask_stranger(scratch: Path, batches: dict[str, list[list[str]]]) -> dict[str, list[list[str]]]:
    """What the folders' models answer in a fresh process that has no trilemma."""
    questions = scratch / "folders.json"
    questions.write_text(json.dumps(batches))
    answer = subprocess.run(
        [sys.executable, "-I", str(STRANGER), str(questions)],
        capture_output=True,
        text=True,
        cwd=scratch,
        timeout=200,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    answers: dict[str, list[list[str]]] = json.loads(answer.stdout.splitlines()[-1])
    return answers
