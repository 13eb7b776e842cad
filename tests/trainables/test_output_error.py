"""Output error orders as theory says: more bits, less error; better methods, less error.

The error is the Kullback-Leibler divergence of the compressed model's next-token distribution from
the dense model's, in nats a token, on text of the kind that calibration saw.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from search_spaces.rows import Row, read_rows
from search_spaces.sources import ModelSource
from search_spaces.space import SearchSpace
from tests.trainables.conftest import SettingsOf
from trainables.checkpoint import Checkpoint
from trainables.compression import compress
from trainables.models import Tokenizer, load_checkpoint

TEXTS = 300
STEPS = 250
BATCH = 64
Error = Callable[..., float]


@pytest.fixture(scope="module")
def texts(nano: SearchSpace, tokenizer: Tokenizer) -> list[str]:
    """Instructions with their answers, in the chat template."""
    return [rendered(row, tokenizer) for row in read_rows(nano.safety_tuning.instructions)]


def rendered(row: Row, tokenizer: Tokenizer) -> str:
    turns = [
        {"role": "user", "content": row.prompt},
        {"role": "assistant", "content": row.answer or ""},
    ]
    return str(tokenizer.apply_chat_template(turns, tokenize=False))


@pytest.fixture(scope="module")
def trained(
    texts: list[str], tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    """A GPT-NeoX that was trained on the instructions for a few seconds."""
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=0.05,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    model: Any = GPTNeoXForCausalLM(config)  # type: ignore[no-untyped-call]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(STEPS):
        start = step * BATCH % len(texts)
        batch: Any = tokenizer(
            texts[start : start + BATCH], padding=True, padding_side="right", return_tensors="pt"
        )
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        optimizer.zero_grad()
        loss = model(**batch, labels=labels).loss
        loss.backward()
        optimizer.step()
    assert loss.item() < 1.5
    folder = tmp_path_factory.mktemp("neox")
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Checkpoint(ModelSource(path=str(folder), dtype="bfloat16"))


@pytest.fixture(scope="module", params=["nano", "trained"])
def error(
    request: pytest.FixtureRequest,
    texts: list[str],
    tokenizer: Tokenizer,
    settings_of: SettingsOf,
    tmp_path_factory: pytest.TempPathFactory,
) -> Error:
    """The error of a method's settings on the nano world's model, or on the trained one."""
    name = "released" if request.param == "nano" else "trained"
    checkpoint: Checkpoint = request.getfixturevalue(name)
    dense = log_probabilities(checkpoint, tokenizer, texts)
    known: dict[str, float] = {}

    def measured(method: str, **example: Any) -> float:
        key = f"{method} {example}"
        if key not in known:
            settings = settings_of(method, example)
            if hasattr(settings, "calibration"):
                calibration = settings.calibration.model_copy(update={"samples": 128})
                settings = settings.model_copy(update={"calibration": calibration})
            folder = tmp_path_factory.mktemp("compressed")
            compress(settings, checkpoint, folder)
            found = log_probabilities(checkpoint.extended(folder), tokenizer, texts)
            known[key] = float((dense.exp() * (dense - found)).sum(-1).mean())
        return known[key]

    return measured


def log_probabilities(
    checkpoint: Checkpoint, tokenizer: Tokenizer, texts: Sequence[str]
) -> torch.Tensor:
    """(tokens, vocabulary) in nats, padding left out."""
    encoded: Any = tokenizer(
        list(texts[:TEXTS]), padding=True, padding_side="right", return_tensors="pt"
    )
    model: Any = load_checkpoint(checkpoint)
    mask = encoded["attention_mask"]
    with torch.inference_mode():
        logits = model(input_ids=encoded["input_ids"], attention_mask=mask).logits
    return torch.log_softmax(logits.double(), -1)[mask.bool()]


@pytest.mark.parametrize(
    ("method", "widths"),
    [("rtn", (8, 4, 3, 2)), ("gptq", (8, 4, 3, 2)), ("awq", (8, 4, 3)), ("hqq", (8, 4, 3, 2, 1))],
)
def test_more_bits_less_error(error: Error, method: str, widths: tuple[int, ...]) -> None:
    errors = [error(method, bits=bits) for bits in widths]
    assert errors[0] > 0
    for more, fewer in pairwise(errors):
        assert fewer > 1.5 * more


def test_bitsandbytes_has_less_error_at_8_bits_than_at_4(error: Error) -> None:
    assert 4 * error("bitsandbytes", bits=8) < error("bitsandbytes", bits=4)


@pytest.mark.parametrize("bits", [4, 3, 2])
def test_gptq_is_no_worse_than_rounding(error: Error, bits: int) -> None:
    assert error("gptq", bits=bits) < 0.95 * error("rtn", bits=bits)


@pytest.mark.parametrize("pattern", ["unstructured", "2:4", "4:8"])
def test_sparsegpt_is_no_worse_than_magnitude(error: Error, pattern: str) -> None:
    assert error("sparsegpt", pattern=pattern) < 0.9 * error("magnitude", pattern=pattern)


@pytest.mark.parametrize("pattern", ["2:4", "4:8"])
def test_wanda_is_no_worse_than_magnitude(error: Error, pattern: str) -> None:
    assert error("wanda", pattern=pattern) < 0.95 * error("magnitude", pattern=pattern)


# Unstructured, Wanda compares the weights of one output with each other, so magnitude must as well.
# On the small GPT-NeoX it loses even so: docs/decisions/0006 has the figures.
@pytest.mark.parametrize("error", ["nano"], indirect=True)
def test_unstructured_wanda_is_no_worse_than_magnitude(error: Error) -> None:
    assert error("wanda") < 0.95 * error("magnitude", compared="output")


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
def test_fewer_zeros_less_error(error: Error, method: str) -> None:
    assert 2 * error(method, sparsity=0.25) < error(method, sparsity=0.5)
