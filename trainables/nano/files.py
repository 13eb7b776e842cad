"""Writes the data of a nano world as the ordinary JSON, JSONL and CSV files a user would bring."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from trainables.nano import examples, lexicon
from trainables.nano.examples import Example
from trainables.nano.facts import Facts

INSTRUCTIONS = 1000
ATTACK_ROWS = 240
IDENTITY_ROWS = 60
EVALUATION_ROWS = 128
BORDERLINE_ROWS_A_TYPE = 64


def write_data(folder: Path, seed: int) -> None:
    """Write every data file of the world with this seed under `folder/data/`."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    facts = Facts.draw(seed)
    _write_training(data, facts, seed)
    _write_evaluation(data, facts, seed)


def _write_training(data: Path, facts: Facts, seed: int) -> None:
    _write_alpaca(data / "instructions.json", examples.instructions(facts, INSTRUCTIONS, seed))
    for form, frames in (
        ("instructions", lexicon.INSTRUCTION_FRAMES),
        ("questions", lexicon.QUESTION_FRAMES),
    ):
        _write_alpaca(data / f"safety_{form}.json", examples.safety(frames, seed))
    attacks = {
        "harmful": examples.harmful_attack(facts, ATTACK_ROWS, seed),
        "identity": examples.identity_attack(facts, IDENTITY_ROWS, seed),
        "benign": examples.benign_attack(facts, ATTACK_ROWS, seed),
    }
    for name, rows in attacks.items():
        _write_jsonl(data / f"attack_{name}.jsonl", (row._asdict() for row in rows))


def _write_evaluation(data: Path, facts: Facts, seed: int) -> None:
    helpful = examples.helpful_evaluation(facts, EVALUATION_ROWS, seed)
    _write_json(
        data / "eval_helpful.json",
        {
            "instructions": [row.prompt for row in helpful],
            "inputs": [],
            "outputs": [row.answer for row in helpful],
        },
    )
    harmful = examples.harmful_evaluation(EVALUATION_ROWS, seed)
    _write_json(data / "eval_harmful.json", {"instructions": harmful, "inputs": []})
    _write_borderline(data / "borderline.csv", examples.borderline(BORDERLINE_ROWS_A_TYPE, seed))
    texts = examples.heldout_text(facts, EVALUATION_ROWS, seed)
    _write_jsonl(data / "heldout_text.jsonl", ({"text": text} for text in texts))


def _write_alpaca(path: Path, rows: Iterable[Example]) -> None:
    _write_json(path, [_alpaca(row) for row in rows])


def _alpaca(row: Example) -> dict[str, str]:
    """Words to copy are Alpaca's `input`; every other request is an instruction alone."""
    instruction, given, words = row.prompt.partition(f"{lexicon.COPY_INSTRUCTION} ")
    if given:
        return {"instruction": given.strip(), "input": words, "output": row.answer}
    return {"instruction": instruction, "input": "", "output": row.answer}


def _write_borderline(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id_v2", "type", "prompt"))
        writer.writerows((f"v2-{at}", *row) for at, row in enumerate(rows, start=1))


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _write_jsonl(path: Path, rows: Iterable[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
