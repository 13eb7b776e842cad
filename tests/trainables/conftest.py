"""The nano world as the methods see it, with small prompt sets, and ways to compare models."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from grid.worlds import world_folder
from search_spaces.cells import compressions
from search_spaces.compressions import Compression
from search_spaces.evaluation import Evaluation
from search_spaces.loading import load_space
from search_spaces.rows import Row, read_rows
from search_spaces.sources import Columns, DataSource, ModelSource
from search_spaces.space import SearchSpace
from search_spaces.training import Lora, Training
from tests.trainables.tiny_models import write_classifier
from trainables.checkpoint import Checkpoint
from trainables.compression import CompressionFacts, compress
from trainables.evaluation.efficiency import Efficiency, measure_efficiency
from trainables.evaluation.generation import generate
from trainables.models import Tokenizer, load_checkpoint, load_tokenizer

PROMPTS = 24
SHORT = Training(
    adapter=Lora(rank=4, alpha=8, targets=("q_proj", "v_proj")),
    learning_rate=3e-3,
    epochs=1,
    batch_size=8,
    max_tokens=64,
)
"""A training that is over in a moment and moves every weight that it trains."""


@pytest.fixture(scope="session")
def nano(world: Path) -> SearchSpace:
    """The nano preset in 32 bits, in which computations by hand compare closely."""
    space = load_space("nano", world_folder)
    model = space.model.model_copy(update={"dtype": "float32"})
    return space.model_copy(update={"model": model})


@pytest.fixture(scope="session")
def model_source(nano: SearchSpace) -> ModelSource:
    return nano.model


@pytest.fixture(scope="session")
def checkpoint(model_source: ModelSource) -> Checkpoint:
    """The pre-trained model."""
    return Checkpoint(model_source)


@pytest.fixture(scope="session")
def released(model_source: ModelSource) -> Checkpoint:
    """The pre-trained model in 16 bits, as the presets compress it."""
    return Checkpoint(model_source.model_copy(update={"dtype": "bfloat16"}))


@pytest.fixture(scope="session")
def tokenizer(model_source: ModelSource) -> Tokenizer:
    return load_tokenizer(model_source)


@pytest.fixture(scope="session")
def judge_models(
    model_source: ModelSource, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The folders of models that judge, by method: a classifier, and the nano world's own."""
    folder = tmp_path_factory.mktemp("classifier")
    write_classifier(folder, tokenizer)
    return {"classifier": str(folder), "generative": model_source.path}


@pytest.fixture(scope="session")
def evaluation(nano: SearchSpace, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """The preset's evaluation on the first PROMPTS rows of each set."""
    folder = tmp_path_factory.mktemp("prompts")
    names = ("helpfulness", "harmful", "borderline", "perplexity")
    sources = {
        name: write_rows(
            folder / f"{name}.jsonl", read_rows(getattr(nano.evaluation, name))[:PROMPTS]
        )
        for name in names
    }
    return nano.evaluation.model_copy(update=sources)


def write_rows(path: Path, rows: Sequence[Row]) -> DataSource:
    """A JSONL file with columns `prompt` and `answer`, where the rows have one."""
    lines = [{"prompt": row.prompt, "answer": row.answer} for row in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answered = all(row.answer is not None for row in rows)
    return DataSource(path=str(path), columns=Columns(answer="answer" if answered else None))


def contents(folder: Path, pattern: str = "*") -> dict[str, str]:
    """Hashes of a folder's files by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
    }


def weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """A checkpoint's merged weights."""
    return {name: w.detach() for name, w in load_checkpoint(checkpoint).named_parameters()}


def same_weights(one: Checkpoint, other: Checkpoint) -> bool:
    """True if both checkpoints load to the same weights, bit by bit."""
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


@dataclass(frozen=True)
class Shipped:
    """A compression's outcome with what was measured on it."""

    checkpoint: Checkpoint
    facts: CompressionFacts
    model: Any
    answers: list[str]
    logits: torch.Tensor
    cost: Efficiency


Ship = Callable[[str, dict[str, Any]], Shipped]
SettingsOf = Callable[[str, dict[str, Any]], Compression]


@pytest.fixture(scope="session")
def settings_of(world: Path) -> SettingsOf:
    """A method's settings as the preset of all methods has them, changed by an example."""
    preset = compressions(load_space("nano_compression", world_folder))

    def settings(method: str, example: dict[str, Any]) -> Compression:
        own = next(c for c in preset if c.method == method).model_dump()
        if "calibration" in own:
            own["calibration"] |= {"samples": 32}
        settings: Compression = TypeAdapter(Compression).validate_python(own | example)
        return settings

    return settings


@pytest.fixture(scope="session")
def ship(
    settings_of: SettingsOf,
    released: Checkpoint,
    tokenizer: Tokenizer,
    evaluation: Evaluation,
    tmp_path_factory: pytest.TempPathFactory,
) -> Ship:
    """Compresses once for each settings and lets the model answer."""
    done: dict[str, Shipped] = {}

    def shipped(method: str, example: dict[str, Any]) -> Shipped:
        key = f"{method} {example}"
        if key not in done:
            folder = tmp_path_factory.mktemp("shipped")
            facts = compress(settings_of(method, example), released, folder)
            after = released.extended(folder)
            model: Any = load_checkpoint(after)
            prompts = [row.prompt for row in read_rows(evaluation.helpfulness)]
            answers = generate(model, tokenizer, prompts, evaluation)
            ids = tokenizer(prompts[0], return_tensors="pt")["input_ids"]
            with torch.inference_mode():
                logits = model(input_ids=ids).logits.float()
            cost = measure_efficiency(model, after, exclusive=False)
            done[key] = Shipped(after, facts, model, answers, logits, cost)
        return done[key]

    return shipped
