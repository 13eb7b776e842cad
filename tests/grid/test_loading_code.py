"""The loading code of model cards on the families that libraries load wrongly by themselves."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from grid.loading_code import answering_code, loading_code
from grid.worlds import world_folder
from search_spaces.compressions import Compression
from search_spaces.evaluation import Evaluation
from search_spaces.loading import load_space
from search_spaces.rows import read_rows
from search_spaces.sources import ModelSource
from search_spaces.space import SearchSpace
from tests.grid.export_cases import ask_stranger
from tests.trainables.tiny_models import write_tiny
from trainables.checkpoint import Checkpoint
from trainables.compression import compress
from trainables.evaluation.generation import generate
from trainables.models import format_of, load_checkpoint, load_tokenizer
from trainables.quiet import quiet

NF4 = {"method": "bitsandbytes", "bits": 4}
RTN = {"method": "rtn", "bits": 4, "group_size": 32}
HQQ = {"method": "hqq", "bits": 4, "group_size": 32}
GPTQ = {"method": "gptq", "bits": 3, "group_size": 32}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "falcon nf4": ("falcon", {}, NF4),
    "falcon rtn": ("falcon", {}, RTN),
    "mamba rtn": ("mamba", {"tie_word_embeddings": False}, RTN),
    "gpt2 hqq": ("gpt2", {}, HQQ),
    "gpt2 gptq": ("gpt2", {}, GPTQ),
    # widths that bitsandbytes' fast CPU kernel does not take
    "llama nf4": ("llama", {"hidden_size": 80, "intermediate_size": 176}, NF4),
}
Answers = dict[str, tuple[list[str], list[str]]]


@pytest.fixture(scope="module")
def space(world: Path) -> SearchSpace:
    return load_space("nano_compression", world_folder)


@pytest.fixture(scope="module")
def answers(space: SearchSpace, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """By case: what the model answers here, and what a stranger hears."""
    prompts = [row.prompt for row in read_rows(space.evaluation.helpfulness)[:20]]
    here: dict[str, tuple[str, list[str]]] = {}
    for name in CASES:
        folder = _compressed(name, space, tmp_path_factory.mktemp("family"))
        shipped = Checkpoint(ModelSource(path=str(folder)), full=folder, compressed=True)
        with quiet():
            model, tokenizer = load_checkpoint(shipped), load_tokenizer(shipped.base)
            here[name] = (str(folder), generate(model, tokenizer, prompts, space.evaluation))
    asked = {folder: [prompts] for folder, _ in here.values()}
    heard = ask_stranger(tmp_path_factory.mktemp("elsewhere"), asked)
    return {name: (own, heard[folder][0]) for name, (folder, own) in here.items()}


def _compressed(name: str, space: SearchSpace, folder: Path) -> Path:
    """The folder of a compressed tiny model, with nothing but code in its card."""
    model_type, changes, plain = CASES[name]
    write_tiny(folder / "dense", model_type, load_tokenizer(space.model), changes)
    if plain["method"] == "gptq":
        data = space.safety_tuning.instructions.model_dump()
        plain = {**plain, "calibration": {"data": data, "samples": 16, "max_tokens": 64, "seed": 0}}
    settings: Compression = TypeAdapter(Compression).validate_python(plain)
    with quiet():
        compress(settings, Checkpoint(ModelSource(path=str(folder / "dense"))), folder)
    code = loading_code(format_of(folder / "weights"), model_type, "bfloat16", [])
    blocks = (f"```python\n{part}```\n" for part in (code, answering_code(space.evaluation)))
    (folder / "weights" / "README.md").write_text("".join(blocks))
    return folder / "weights"


@pytest.mark.parametrize("name", CASES)
def test_a_stranger_gets_the_same_answers(answers: Answers, name: str) -> None:
    here, heard = answers[name]
    assert heard == here
    assert len(set(here)) > 10  # a model that always says the same would hide a wrong weight


def test_gptq_takes_16_bits_where_32_are_asked_for() -> None:
    assert "dtype=torch.bfloat16" in loading_code("gptq", "llama", "float32", [])
    assert "dtype=torch.float32" in loading_code("dense", "llama", "float32", [])


def test_answering_code_generates_as_the_evaluation_does(space: SearchSpace) -> None:
    evaluation: Evaluation = space.evaluation.model_copy(
        update={"max_new_tokens": 321, "max_tokens": 654}
    )
    code = answering_code(evaluation)
    assert "max_new_tokens=321" in code
    assert "max_length=654" in code
