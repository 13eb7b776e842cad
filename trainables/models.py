"""Loads models and tokenizers by path or Hub id, and merges checkpoints to dense weights."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from search_spaces.sources import ModelSource
from trainables.checkpoint import Checkpoint

ALPACA_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '### Instruction:\n' + message['content'] + '\n\n### Response:\n' }}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
)
"""Safety-Tuned LLaMAs' and Alpaca's prompt, as a chat template."""

Tokenizer = PreTrainedTokenizerBase

logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def device() -> torch.device:
    """The GPU that this worker owns, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_tokenizer(source: ModelSource) -> Tokenizer:
    """The model's tokenizer, padding on the left, with the template that the source names.

    Raises ValueError if `chat` is asked for and the tokenizer has no template.
    """
    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(source.path, revision=source.revision)
    if source.prompt_template == "alpaca":
        tokenizer.chat_template = ALPACA_TEMPLATE
    if tokenizer.chat_template is None:
        raise ValueError(
            f"{source.path}: the tokenizer has no chat template; set model.prompt_template: alpaca"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def load_checkpoint(checkpoint: Checkpoint) -> PreTrainedModel:
    """The checkpoint's dense model on this worker's device, adapters merged into the weights."""
    base = checkpoint.base
    path = str(checkpoint.full) if checkpoint.full else base.path
    revision = None if checkpoint.full else base.revision
    model: Any = AutoModelForCausalLM.from_pretrained(
        path, revision=revision, dtype=getattr(torch, base.dtype)
    )
    model.to(device())
    for adapter in checkpoint.adapters:
        model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    model.eval()
    dense: PreTrainedModel = model
    return dense


def write_dense(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the checkpoint's merged model and tokenizer as an ordinary Hugging Face folder."""
    load_checkpoint(checkpoint).save_pretrained(folder)
    load_tokenizer(checkpoint.base).save_pretrained(folder)
