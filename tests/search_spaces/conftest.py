"""A small valid search space on disk, with data in every form, for tests to break on purpose."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from search_spaces.loading import load_space
from search_spaces.settings import SpaceError
from search_spaces.sources import EmbeddedWorld
from search_spaces.space import SearchSpace

ROWS = 6
WIDTH = 64

LINEAR_LAYERS = {
    "model.layers.0.self_attn.q_proj": (64, 64),
    "model.layers.0.mlp.down_proj": (64, 96),
}


def no_world(world: EmbeddedWorld) -> Path:
    """Fails the test of a space that wrongly asks for an embedded world."""
    raise AssertionError(f"asked for {world}")


@dataclass
class SpaceFile:
    """A search space on disk; tests change `settings`, or the files beside it, and load it."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The YAML file."""
        return self.folder / "space.yaml"

    def load(self) -> SearchSpace:
        """Write the settings and load them as a user's file."""
        self.path.write_text(yaml.safe_dump(self.settings), encoding="utf-8")
        return load_space(str(self.path), no_world)

    def refusal(self) -> SpaceError:
        """The error that loading ends with; one line that names the file."""
        with pytest.raises(SpaceError) as caught:
            self.load()
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("space.yaml: ")
        return caught.value


Refuses = Callable[[str, str], None]


@pytest.fixture
def space(tmp_path: Path) -> SpaceFile:
    """A valid space: 2 doses x 2 attacks x 3 compressions on a folder that looks like a model."""
    write_data(tmp_path / "data")
    write_model(tmp_path / "model", LINEAR_LAYERS)
    return SpaceFile(tmp_path, valid_settings())


@pytest.fixture
def refuses(space: SpaceFile) -> Refuses:
    """Assert that the space is refused at the field, with exactly this message."""

    def check(at: str, message: str) -> None:
        assert str(space.refusal()) == f"space.yaml: {at}: {message}"

    return check


def write_data(folder: Path) -> None:
    """Files of ROWS rows each: Alpaca JSON, column-style JSON, JSONL and CSV."""
    folder.mkdir()
    alpaca = [{"instruction": f"do {i}", "input": "", "output": f"done {i}"} for i in range(ROWS)]
    for name in ("instructions", "safety"):
        (folder / f"{name}.json").write_text(json.dumps(alpaca))
    pairs = [{"prompt": f"ask {i}", "answer": f"say {i}"} for i in range(ROWS)]
    (folder / "attack.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    columns = {
        "instructions": [f"ask {i}" for i in range(ROWS)],
        "inputs": [],
        "outputs": [f"say {i}" for i in range(ROWS)],
    }
    (folder / "columns.json").write_text(json.dumps(columns))
    with (folder / "borderline.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "type", "prompt"))
        kinds = ("homonyms", "contrast_homonyms")
        writer.writerows((i, kinds[i % 2], f"kill {i}, please") for i in range(ROWS))


def write_model(folder: Path, layers: dict[str, tuple[int, int]]) -> None:
    """A config and a safetensors header with the shapes of linear layers, without a tensor."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name, shape in {**layers, "model.embed_tokens": (7, 13), "model.norm": (WIDTH,)}.items():
        entries[f"{name}.weight"] = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
    header = json.dumps(entries).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


def valid_settings() -> dict[str, Any]:
    """The settings of the space, as a user would write them."""
    alpaca = {"prompt": "instruction", "input": "input", "answer": "output"}
    pairs = {"prompt": "prompt", "answer": "answer"}
    attack_data = {"path": "data/attack.jsonl", "columns": pairs}
    columns = {"prompt": "instructions", "input": "inputs", "answer": "outputs"}
    return {
        "name": "small",
        "model": {"path": "model", "dtype": "float32"},
        "safety_tuning": {
            "instructions": {"path": "data/instructions.json", "columns": alpaca},
            "safety": {"instruction": {"path": "data/safety.json", "columns": alpaca}},
            "doses": [0, ROWS],
        },
        "attacks": [
            {"method": "none"},
            {"method": "harmful_finetuning", "data": attack_data, "examples": ROWS},
        ],
        "compressions": [
            {"method": "none"},
            {"method": "bitsandbytes", "bits": 8},
            {
                "method": "gptq",
                "bits": 4,
                "group_size": 32,
                "calibration": {"data": attack_data, "samples": ROWS},
            },
        ],
        "evaluation": {
            "helpfulness": {"path": "data/columns.json", "columns": columns},
            "harmful": {"path": "data/columns.json", "columns": {"prompt": "instructions"}},
            "borderline": {
                "path": "data/borderline.csv",
                "exclude": {"column": "type", "prefix": "contrast_"},
            },
            "perplexity": {"path": "data/attack.jsonl", "columns": {"prompt": "answer"}},
        },
    }
