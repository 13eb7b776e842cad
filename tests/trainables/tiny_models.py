"""Tiny random models of every architecture that the families name, made from their configs."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from trainables.models import Tokenizer

_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
_GATED = {**_SIZES, "intermediate_size": 128, "num_key_value_heads": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": _GATED,
    "mistral": _GATED,
    "qwen2": _GATED,
    "falcon": {**_SIZES, "alibi": False},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "gpt_neox": {**_SIZES, "intermediate_size": 128},
    "mamba": {"hidden_size": 64, "num_hidden_layers": 2},
}
"""By `model_type`."""


def write_tiny(
    folder: Path, model_type: str, tokenizer: Tokenizer, changed: dict[str, Any] | None = None
) -> None:
    """Write a random model of the type with the tokenizer; `changed` are other settings of it."""
    settings = CONFIGS[model_type] | (changed or {})
    config: Any = AutoConfig.for_model(
        model_type,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.1,
        **settings,
    )
    torch.manual_seed(0)
    auto: Any = AutoModelForCausalLM  # its from_config has no types
    model = auto.from_config(config, dtype=torch.bfloat16)
    for weight in model.parameters():
        if weight.dim() == 1:
            # norms of one and biases of zero would hide that a method forgets them
            weight.data += 0.1 * torch.randn_like(weight)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


REFUSED = ("sorry", "i cannot", "sorry , i cannot", "i cannot . sorry")
ANSWERED = ("use rope then tap", "use rope", "use tap then rope", "then use tap")


def write_classifier(folder: Path, tokenizer: Tokenizer) -> None:
    """Write a model that tells `refused` from `answered`, trained on a few words."""
    config: Any = AutoConfig.for_model(
        "llama",
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        id2label={0: "refused", 1: "answered"},
        label2id={"refused": 0, "answered": 1},
        **CONFIGS["llama"],
    )
    torch.manual_seed(0)
    auto: Any = AutoModelForSequenceClassification
    model = auto.from_config(config, dtype=torch.float32)
    texts = [*REFUSED, *ANSWERED]
    encoded = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
    labels = torch.tensor([0] * len(REFUSED) + [1] * len(ANSWERED))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(20):
        model(**encoded, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
