"""The one table from a method's name to the verb that does it; heavy libraries load when used."""

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Literal

CatalogKind = Literal[
    "safety_tuning", "attack", "compression", "format", "trainable_format", "evaluation",
    "judge", "world", "world_data", "world_version",
]  # fmt: skip

CATALOG: dict[CatalogKind, dict[str, str]] = {
    "safety_tuning": {
        "safety_tuning": "trainables.safety_tuning:tune",
    },
    "attack": {
        "none": "trainables.attacks.none:attack",
        "harmful_finetuning": "trainables.attacks.harmful_finetuning:attack",
        "identity_shift": "trainables.attacks.finetuning:attack",
        "benign_finetuning": "trainables.attacks.finetuning:attack",
    },
    "compression": {
        "none": "trainables.compressions.none:compress",
        "bitsandbytes": "trainables.compressions.bitsandbytes:compress",
        "gptq": "trainables.compressions.gptq:compress",
        "awq": "trainables.compressions.awq:compress",
        "rtn": "trainables.compressions.rtn:compress",
        "int8_dynamic": "trainables.compressions.int8_dynamic:compress",
        "fp8": "trainables.compressions.fp8:compress",
        "hqq": "trainables.compressions.hqq:compress",
        "magnitude": "trainables.compressions.magnitude:compress",
        "wanda": "trainables.compressions.wanda:compress",
        "sparsegpt": "trainables.compressions.sparsegpt:compress",
    },
    # what a stored model's config.json says of its quantization -> who loads it
    "format": {
        "bitsandbytes": "trainables.compressions.bitsandbytes:load",
        "gptq": "trainables.compressions.gptq:load",
        "hqq": "trainables.compressions.hqq:load",
        "compressed-tensors": "trainables.compressions.llm_compressor:load",
    },
    # the same, on kernels that an adapter can be trained through
    "trainable_format": {
        "bitsandbytes": "trainables.compressions.bitsandbytes:load",
        "gptq": "trainables.compressions.gptq:load_for_training",
    },
    "evaluation": {
        "generation": "trainables.evaluation.generation:evaluate",
    },
    "judge": {
        "phrases": "trainables.judges.phrases:judge",
        "refusal_prefix": "trainables.judges.refusal_prefix:judge",
        "classifier": "trainables.judges.classifier:judge",
        "generative": "trainables.judges.generative:judge",
    },
    "world": {
        "nano": "trainables.nano.world:build",
    },
    "world_data": {
        "nano": "trainables.nano.world:add_data",
    },
    "world_version": {
        "nano": "trainables.nano.world:version",
    },
}


def verb(kind: CatalogKind, method: str) -> Callable[..., Any]:
    """The function that does a method. Raises KeyError with the nearest name if there is none."""
    methods = CATALOG[kind]
    if method not in methods:
        close = get_close_matches(method, methods, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise KeyError(f"no {kind} '{method}'{hint} There are: {', '.join(methods)}")
    module, _, name = methods[method].partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
