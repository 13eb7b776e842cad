"""Families of language models: what adapters train, what compressions skip, what cannot work."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Family:
    """What the methods must know of an architecture."""

    name: str
    model_types: tuple[str, ...]
    """`model_type` in the config.json of its models."""
    lora_targets: tuple[str, ...]
    """Last names of the layers that adapters train; kernels skip others silently."""
    skipped: tuple[str, ...] = ()
    """Last names of linear layers that stay dense besides the output head."""
    refused: dict[str, str] = field(default_factory=dict)
    """Compression method -> why it cannot work here."""
    untrainable: dict[str, str] = field(default_factory=dict)
    """Compression method -> why adapters cannot be trained on its weights here only."""


HEADS = ("lm_head", "embed_out")
"""Output heads, which every compression leaves dense."""

_CONV1D = "GPT-2 is made of Conv1D layers, which llmcompressor passes over."
_COMPRESSED_TENSORS = "GPTQ of Mamba is stored as compressed-tensors, which adapters cannot train."

FAMILIES: tuple[Family, ...] = (
    Family(
        "llama",
        ("llama", "mistral"),
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    ),
    Family(
        "qwen2",
        ("qwen2",),
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    ),
    Family("falcon", ("falcon",), ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")),
    Family(
        "gpt2",
        ("gpt2",),
        ("c_attn", "c_proj", "c_fc"),
        refused=dict.fromkeys(("awq", "rtn", "int8_dynamic", "fp8", "wanda", "sparsegpt"), _CONV1D),
    ),
    Family(
        "gpt_neox", ("gpt_neox",), ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
    ),
    Family(
        "mamba",
        ("mamba",),
        ("in_proj",),
        skipped=("dt_proj", "x_proj"),
        untrainable={"gptq": _COMPRESSED_TENSORS},
    ),
)


def dense_layers(model_type: str) -> tuple[str, ...]:
    """Last names of the linear layers that every compression leaves dense."""
    family = family_of(model_type)
    return HEADS + (family.skipped if family else ())


def family_of(model_type: str) -> Family | None:
    """The family of a config.json's `model_type`; None where it is not known here."""
    return next((family for family in FAMILIES if model_type in family.model_types), None)
