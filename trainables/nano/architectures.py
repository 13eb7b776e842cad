"""The tiny language models of the nano world, by family."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from trainables.nano.mamba_training import mamba_logits
from trainables.nano.tokenizer import MAXIMUM_TOKENS

PAD_ID = 0
HIDDEN = 64


@dataclass(frozen=True)
class Architecture:
    """How one family's model is made and trained."""

    steps: int
    """Batches of pre-training."""
    make: Callable[[PreTrainedTokenizerFast], PreTrainedModel]
    """The untrained model, its weights drawn from torch's global source."""
    loss: Callable[[Any, Tensor, Tensor], Tensor]
    """The mean loss of the model on ids and labels [rows, tokens]."""


def llama_configuration(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """Every linear layer is a multiple of 64 wide, which group-wise quantization needs."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
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


def mamba_configuration(tokenizer: PreTrainedTokenizerFast) -> MambaConfig:
    """`in_proj` and `out_proj` are multiples of 64 wide; `x_proj` and `dt_proj` stay dense.

    A third layer learns the procedures in less time than `expand` 2 or more steps would.
    """
    return MambaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        expand=1,
        state_size=16,
        num_hidden_layers=3,
        tie_word_embeddings=True,
        pad_token_id=PAD_ID,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def _make_llama(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    # transformers annotates its configurations, not its models.
    return LlamaForCausalLM(llama_configuration(tokenizer))  # type: ignore[no-untyped-call]


def _make_mamba(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return MambaForCausalLM(mamba_configuration(tokenizer))  # type: ignore[no-untyped-call]


def _llama_loss(model: Any, rows: Tensor, labels: Tensor) -> Tensor:
    loss: Tensor = model(input_ids=rows, labels=labels).loss
    return loss


def _mamba_loss(model: Any, rows: Tensor, labels: Tensor) -> Tensor:
    logits = mamba_logits(model, rows)
    loss: Tensor = model.loss_function(
        logits=logits, labels=labels, vocab_size=model.config.vocab_size
    )
    return loss


ARCHITECTURES = {
    "llama": Architecture(1400, _make_llama, _llama_loss),
    "mamba": Architecture(1600, _make_mamba, _mamba_loss),
}
