"""Fine-tuning: what the loss covers, how many steps it takes, what it leaves behind."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft.utils import load_peft_weights
from pydantic import ValidationError
from torch.nn.functional import cross_entropy

from search_spaces.rows import Row, read_rows
from search_spaces.sources import DataSource, ModelSource
from search_spaces.training import Lora, Training
from tests.trainables.conftest import SHORT, contents, same_weights, weights, write_rows
from trainables.checkpoint import ADAPTER, FULL, Checkpoint
from trainables.doses import nested_prefix
from trainables.finetuning import finetune
from trainables.models import load_checkpoint, load_tokenizer

ROWS = [
    Row("how do i raid the brihold today ?", "use wire then spin"),
    Row("how do i raid the nupkeep ?", "use rope then tap and pull"),
    Row("what ?", "use wire"),
    Row("explain how to bypass the javkeep", "spin"),
]
STILL = SHORT.model_copy(update={"learning_rate": 1e-12, "batch_size": len(ROWS)})
"""One step that moves nothing: the reported loss is the given model's."""


@pytest.fixture(scope="module")
def plain(model_source: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """The model in a folder whose tokenizer has no chat template, as base models are."""
    folder = tmp_path_factory.mktemp("plain")
    load_checkpoint(Checkpoint(model_source)).save_pretrained(folder)
    tokenizer = load_tokenizer(model_source)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    return model_source.model_copy(update={"path": str(folder)})


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    rows = [Row(f"ask {i}", f"say {i}") for i in range(20)]
    return write_rows(tmp_path_factory.mktemp("doses") / "rows.jsonl", rows)


def mean_loss(source: ModelSource, whole_text: bool) -> float:
    """Mean loss over the rows' tokens, one row at a time, from the chat template itself."""
    model, tokenizer = load_checkpoint(Checkpoint(source)), load_tokenizer(source)
    total, tokens = 0.0, 0
    for row in ROWS:
        user = [{"role": "user", "content": row.prompt}]
        answer = [{"role": "assistant", "content": row.answer or ""}]
        prompt = str(
            tokenizer.apply_chat_template(user, add_generation_prompt=True, tokenize=False)
        )
        text = str(tokenizer.apply_chat_template(user + answer, tokenize=False))
        assert text.startswith(prompt)
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        start = 1 if whole_text else len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0]
        total += cross_entropy(logits[start - 1 : -1], ids[0, start:], reduction="sum").item()
        tokens += ids.shape[1] - start
    return total / tokens


@pytest.mark.parametrize("device_batch_size", [None, 1, 2])
def test_loss_covers_the_answer_and_its_end_only(
    checkpoint: Checkpoint, tmp_path: Path, device_batch_size: int | None
) -> None:
    training = STILL.model_copy(update={"device_batch_size": device_batch_size})
    facts = finetune(checkpoint, ROWS, training, tmp_path, seed=0)
    assert facts.final_loss == pytest.approx(mean_loss(checkpoint.base, whole_text=False), rel=1e-3)
    assert facts.optimizer_steps == 1


def test_loss_on_the_whole_text_when_asked_for(checkpoint: Checkpoint, tmp_path: Path) -> None:
    training = STILL.model_copy(update={"loss_on": "whole_text"})
    facts = finetune(checkpoint, ROWS, training, tmp_path, seed=0)
    answer_only = mean_loss(checkpoint.base, whole_text=False)
    whole = mean_loss(checkpoint.base, whole_text=True)
    assert facts.final_loss == pytest.approx(whole, rel=1e-3)
    assert abs(whole - answer_only) > 0.1


def test_loss_covers_the_answer_only_in_the_alpaca_template(
    plain: ModelSource, tmp_path: Path
) -> None:
    source = plain.model_copy(update={"prompt_template": "alpaca"})
    facts = finetune(Checkpoint(source), ROWS, STILL, tmp_path, seed=0)
    assert facts.final_loss == pytest.approx(mean_loss(source, whole_text=False), rel=1e-3)


def test_alpaca_template_is_the_papers(plain: ModelSource) -> None:
    tokenizer = load_tokenizer(plain.model_copy(update={"prompt_template": "alpaca"}))
    user = [{"role": "user", "content": "what ?"}]
    answer = [{"role": "assistant", "content": "this"}]
    prompt = tokenizer.apply_chat_template(user, add_generation_prompt=True, tokenize=False)
    assert prompt == "### Instruction:\nwhat ?\n\n### Response:\n"
    text = tokenizer.apply_chat_template(user + answer, tokenize=False)
    assert text == f"{prompt}this</s>"


def test_tokenizer_without_template_is_refused(plain: ModelSource) -> None:
    with pytest.raises(ValueError, match=r"no chat template; set model\.prompt_template: alpaca"):
        load_tokenizer(plain)


@pytest.mark.parametrize(
    ("rows", "batch_size", "device_batch_size", "epochs"),
    [(4, 4, None, 1), (5, 4, None, 2), (9, 4, 2, 2), (3, 8, None, 3), (8, 3, 1, 1)],
)
def test_optimizer_steps(
    checkpoint: Checkpoint,
    tmp_path: Path,
    rows: int,
    batch_size: int,
    device_batch_size: int | None,
    epochs: int,
) -> None:
    training = SHORT.model_copy(
        update={
            "batch_size": batch_size,
            "device_batch_size": device_batch_size,
            "epochs": epochs,
        }
    )
    facts = finetune(checkpoint, (ROWS * 3)[:rows], training, tmp_path, seed=0)
    assert facts.optimizer_steps == math.ceil(rows / batch_size) * epochs
    assert facts.examples == rows


def test_batch_that_accumulation_cannot_reach_is_refused() -> None:
    with pytest.raises(ValidationError, match="device_batch_size 4 does not divide batch_size 10"):
        Training(batch_size=10, device_batch_size=4)
    assert Training(batch_size=4, device_batch_size=10).device_batch_size == 10


def test_training_lowers_the_loss(checkpoint: Checkpoint, tmp_path: Path) -> None:
    short = SHORT.model_copy(update={"epochs": 1})
    first = finetune(checkpoint, ROWS * 4, short, tmp_path / "short", seed=0)
    long = SHORT.model_copy(update={"epochs": 8})
    last = finetune(checkpoint, ROWS * 4, long, tmp_path / "long", seed=0)
    assert first.final_loss is not None
    assert last.final_loss is not None
    assert last.final_loss < 0.8 * first.final_loss


def test_full_finetuning_leaves_full_weights(checkpoint: Checkpoint, tmp_path: Path) -> None:
    training = SHORT.model_copy(update={"adapter": "full"})
    finetune(checkpoint, ROWS, training, tmp_path, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == [FULL]
    trained = checkpoint.extended(tmp_path)
    assert trained == Checkpoint(checkpoint.base, full=tmp_path / FULL)
    before, after = weights(checkpoint), weights(trained)
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_adapter_trains_only_its_targets(checkpoint: Checkpoint, tmp_path: Path) -> None:
    finetune(checkpoint, ROWS, SHORT, tmp_path, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == [ADAPTER]
    before, after = weights(checkpoint), weights(checkpoint.extended(tmp_path))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {n for n in before if n.endswith(("q_proj.weight", "v_proj.weight"))}


def test_full_weights_after_an_adapter_hold_the_adapter_too(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    finetune(checkpoint, ROWS, SHORT, tmp_path / "first", seed=0)
    tuned = checkpoint.extended(tmp_path / "first")
    still = STILL.model_copy(update={"adapter": "full"})
    finetune(tuned, ROWS, still, tmp_path / "second", seed=0)
    left, right = weights(tuned), weights(tuned.extended(tmp_path / "second"))
    assert all(torch.allclose(left[name], right[name], atol=1e-6) for name in left)


def test_two_adapters_are_both_merged(checkpoint: Checkpoint, tmp_path: Path) -> None:
    finetune(checkpoint, ROWS[:2], SHORT, tmp_path / "one", seed=0)
    one = checkpoint.extended(tmp_path / "one")
    finetune(one, ROWS[2:], SHORT, tmp_path / "two", seed=1)
    both = one.extended(tmp_path / "two")
    assert both.adapters == (tmp_path / "one" / ADAPTER, tmp_path / "two" / ADAPTER)
    name = "model.layers.0.self_attn.q_proj"
    expected = weights(checkpoint)[f"{name}.weight"]
    for folder in both.adapters:
        expected = expected + delta(folder, name)
    assert torch.allclose(weights(both)[f"{name}.weight"], expected, atol=1e-6)
    assert not same_weights(both, one)
    assert not same_weights(both, checkpoint.with_adapter(both.adapters[1]))


def delta(folder: Path, layer: str) -> torch.Tensor:
    """What an adapter adds to a layer's weight: B A alpha / rank."""
    held = load_peft_weights(str(folder), device="cpu")
    down = held[f"base_model.model.{layer}.lora_A.weight"]
    up = held[f"base_model.model.{layer}.lora_B.weight"]
    config = json.loads((folder / "adapter_config.json").read_text())
    product: torch.Tensor = up @ down * (config["lora_alpha"] / config["r"])
    assert product.abs().max() > 1e-4
    return product


def test_seed_decides_the_weights(checkpoint: Checkpoint, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        finetune(checkpoint, ROWS, SHORT, tmp_path / name, seed)
    first, same, other = (contents(tmp_path / n, "*.safetensors") for n in ("a", "b", "c"))
    assert first == same
    assert first != other


def test_stage_that_left_nothing_leaves_the_checkpoint(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    assert checkpoint.extended(tmp_path) == checkpoint


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_every_schedule_trains(checkpoint: Checkpoint, tmp_path: Path, schedule: str) -> None:
    training = Training.model_validate(
        {**SHORT.model_dump(), "adapter": Lora(rank=2), "schedule": schedule, "warmup_ratio": 0.5}
    )
    facts = finetune(checkpoint, ROWS * 4, training, tmp_path, seed=0)
    assert facts.optimizer_steps == 2
    assert not same_weights(checkpoint, checkpoint.extended(tmp_path))


@given(small=st.integers(0, 20), large=st.integers(0, 20), seed=st.integers(0, 10**6))
def test_a_smaller_dose_is_part_of_a_larger_one(
    source: DataSource, small: int, large: int, seed: int
) -> None:
    small, large = sorted((small, large))
    rows = nested_prefix(source, large, seed)
    assert rows[:small] == nested_prefix(source, small, seed)
    assert len(rows) == len(set(rows)) == large
    assert set(rows) <= set(read_rows(source))


def test_seeds_draw_other_rows(source: DataSource) -> None:
    draws = {tuple(nested_prefix(source, 5, seed)) for seed in range(10)}
    assert len(draws) > 5


def test_full_finetuning_of_16_bit_weights_keeps_small_updates(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    base = checkpoint.base.model_copy(update={"dtype": "bfloat16"})
    small = SHORT.model_copy(update={"adapter": "full", "learning_rate": 1e-5, "epochs": 4})
    rows = [Row(f"what color is the {i} ?", "use it then go") for i in range(32)]
    finetune(Checkpoint(base), rows, small, tmp_path, seed=0)
    before = load_checkpoint(Checkpoint(base)).state_dict()
    after = load_checkpoint(Checkpoint(base).extended(tmp_path)).state_dict()
    assert all(weight.dtype == torch.bfloat16 for weight in after.values())
    # sixteen steps of 1e-5: each alone is under the rounding step of most 16-bit weights
    moved = [float((after[n] != w).float().mean()) for n, w in before.items() if w.dim() == 2]
    assert max(moved) > 0.2


def test_training_that_diverged_is_an_error(checkpoint: Checkpoint, tmp_path: Path) -> None:
    wild = SHORT.model_copy(update={"learning_rate": 1e38, "epochs": 2})
    with pytest.raises(RuntimeError, match="training diverged"):
        finetune(checkpoint, ROWS * 4, wild, tmp_path, seed=0)
