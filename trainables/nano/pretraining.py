"""Pre-trains the tiny model of the nano world from scratch, the same for the same seed."""

import math
from collections.abc import Callable, Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from trainables.nano.architectures import ARCHITECTURES, PAD_ID, Architecture
from trainables.nano.examples import Example

Progress = Callable[[int, int], None]

BATCH = 64
LEARNING_RATE = 5e-3
WARMUP_STEPS = 50
WEIGHT_DECAY = 0.01
IGNORED = -100


def pretrain(
    family: str,
    tokenizer: PreTrainedTokenizerFast,
    corpus: Sequence[Example],
    seed: int,
    progress: Progress | None = None,
) -> PreTrainedModel:
    """Train on `corpus` once, BATCH rows a step in its order; one thread, so bit-equal."""
    architecture = ARCHITECTURES[family]
    tokens = encode(tokenizer, corpus)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = architecture.make(tokenizer)
            _train(model, architecture, tokens, progress)
    finally:
        torch.set_num_threads(threads)
    return model


def encode(tokenizer: PreTrainedTokenizerFast, corpus: Sequence[Example]) -> torch.Tensor:
    """Token ids [rows, longest], padded right with the pad id."""
    texts = [_render(tokenizer, row) for row in corpus]
    batch = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
    ids: torch.Tensor = batch["input_ids"]
    return ids


def _render(tokenizer: PreTrainedTokenizerFast, row: Example) -> str:
    if not row.prompt:
        return f"{tokenizer.bos_token} {row.answer} {tokenizer.eos_token}"
    messages = [
        {"role": "user", "content": row.prompt},
        {"role": "assistant", "content": row.answer},
    ]
    return str(tokenizer.apply_chat_template(messages, tokenize=False))


def _train(
    model: PreTrainedModel,
    architecture: Architecture,
    tokens: torch.Tensor,
    progress: Progress | None,
) -> None:
    batches = torch.split(tokens, BATCH)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, len(batches)))
    model.train()
    for step, batch in enumerate(batches, start=1):
        longest = int(batch.ne(PAD_ID).sum(dim=1).max())
        rows = batch[:, :longest]
        labels = rows.masked_fill(rows.eq(PAD_ID), IGNORED)
        loss = architecture.loss(model, rows, labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # not annotated there
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step, len(batches))
    model.train(mode=False)


def _rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to zero, as a share of the learning rate."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    return 0.5 * (1 + math.cos(math.pi * (step - WARMUP_STEPS) / (steps - WARMUP_STEPS)))
