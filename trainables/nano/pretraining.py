"""Pre-trains the tiny Llama of the nano world from scratch, the same for the same seed."""

import math
from collections.abc import Callable, Sequence

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from trainables.nano.examples import Example
from trainables.nano.tokenizer import MAXIMUM_TOKENS

Progress = Callable[[int, int], None]

STEPS = 1400
BATCH = 64
LEARNING_RATE = 5e-3
WARMUP_STEPS = 50
WEIGHT_DECAY = 0.01
PAD_ID = 0
IGNORED = -100


def pretrain(
    tokenizer: PreTrainedTokenizerFast,
    corpus: Sequence[Example],
    seed: int,
    progress: Progress | None = None,
) -> LlamaForCausalLM:
    """Train on `corpus`, STEPS batches of BATCH rows in its order; one thread, so bit-equal."""
    tokens = encode(tokenizer, corpus)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            # transformers annotates its configurations, not its models.
            model = LlamaForCausalLM(configuration(tokenizer))  # type: ignore[no-untyped-call]
            _train(model, tokens, progress)
    finally:
        torch.set_num_threads(threads)
    return model


def configuration(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """Every linear layer is a multiple of 64 wide, which group-wise quantization needs."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=MAXIMUM_TOKENS,
        tie_word_embeddings=True,
        initializer_range=0.05,
        pad_token_id=PAD_ID,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


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


def _train(model: LlamaForCausalLM, tokens: torch.Tensor, progress: Progress | None) -> None:
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate)
    model.train()
    for step in range(STEPS):
        rows = tokens[step * BATCH : (step + 1) * BATCH]
        padding = rows.eq(PAD_ID)
        longest = int((~padding).sum(dim=1).max())
        rows, padding = rows[:, :longest], padding[:, :longest]
        labels = rows.masked_fill(padding, IGNORED)
        loss = model(input_ids=rows, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, STEPS)
    model.train(mode=False)


def _rate(step: int) -> float:
    """Linear warm-up, then half a cosine down to zero, as a share of the learning rate."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    return 0.5 * (1 + math.cos(math.pi * (step - WARMUP_STEPS) / (STEPS - WARMUP_STEPS)))
