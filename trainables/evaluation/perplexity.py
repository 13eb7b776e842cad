"""Perplexity on held-out text: exp of the mean negative log-likelihood per token."""

import math
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from search_spaces.evaluation import Evaluation
from trainables.evaluation.rates import Estimate
from trainables.models import Tokenizer


def perplexity(
    model: Any, tokenizer: Tokenizer, texts: list[str], settings: Evaluation
) -> Estimate:
    """Token-weighted perplexity; `n` counts texts, which are the independent units.

    The standard error treats the mean as a ratio of sums over texts and follows it through exp
    by the delta method. A perplexity that overflows is null.
    """
    losses: list[float] = []
    tokens: list[int] = []
    for start in range(0, len(texts), settings.batch_size):
        batch = texts[start : start + settings.batch_size]
        sums, counts = _losses(model, tokenizer, batch, settings.max_tokens)
        losses += sums
        tokens += counts
    total = sum(tokens)
    mean = sum(losses) / total if total else math.nan
    if not math.isfinite(mean) or mean > math.log(1e30):
        return Estimate(None, len(texts), None)
    residuals = (loss - mean * count for loss, count in zip(losses, tokens, strict=True))
    n = len(texts)
    spread = math.sqrt(sum(r * r for r in residuals) * n / max(n - 1, 1)) / total
    return Estimate(math.exp(mean), n, math.exp(mean) * spread)


def _losses(
    model: Any, tokenizer: Tokenizer, texts: list[str], max_tokens: int
) -> tuple[list[float], list[int]]:
    """Summed loss in nats and number of predicted tokens of each text."""
    encoded = tokenizer(
        texts,
        padding=True,
        padding_side="right",  # so that positions start at the text, whatever the family
        truncation=True,
        max_length=max_tokens,
        return_tensors="pt",
    ).to(model.device)
    ids, mask = encoded["input_ids"], encoded["attention_mask"]
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask).logits
    counts = mask[:, 1:].sum(1).tolist()
    # one text at a time: a whole batch in 32 bits is many gigabytes for a large vocabulary
    sums = [
        float(cross_entropy(row[:count].float(), own[1 : count + 1], reduction="sum"))
        for row, own, count in zip(logits, ids, counts, strict=True)
    ]
    return sums, counts
