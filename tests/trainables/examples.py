"""Settings of every method of the catalog, for the conformance suites; a new one adds its own."""

from typing import Any

from tests.trainables.conftest import SHORT
from trainables.catalog import CATALOG, CatalogKind

Examples = dict[str, list[dict[str, Any]]]

ATTACKS: Examples = {
    "none": [{}],
    "harmful_finetuning": [{}, {"poison_ratio": 0.5}],
    "identity_shift": [{}],
    "benign_finetuning": [{}, {"training": SHORT.model_copy(update={"adapter": "full"})}],
}
PRUNINGS: list[dict[str, Any]] = [
    {"sparsity": 0.25},
    {"sparsity": 0.5},
    {"pattern": "2:4"},
    {"pattern": "4:8"},
]
COMPRESSIONS: Examples = {
    "none": [{}],
    "bitsandbytes": [
        {"bits": 8},
        *(
            {"bits": 4, "data_type": data_type, "double_quantization": double}
            for data_type in ("nf4", "fp4")
            for double in (True, False)
        ),
    ],
    "gptq": [*({"bits": bits} for bits in (8, 4, 3, 2)), {"bits": 4, "act_order": True}],
    "awq": [{"bits": bits} for bits in (8, 4, 3)],
    "rtn": [{"bits": bits} for bits in (8, 4, 3, 2)],
    "int8_dynamic": [{}],
    "fp8": [{}],
    "hqq": [{"bits": bits} for bits in (8, 4, 3, 2, 1)],
    "magnitude": PRUNINGS,
    "wanda": PRUNINGS,
    "sparsegpt": PRUNINGS,
}
SAFETY_TUNINGS: Examples = {
    "safety_tuning": [{"examples": 0}, {"examples": 6}, {"examples": 6, "form": "question"}]
}
JUDGES: Examples = {
    "phrases": [{}, {"answer_pattern": r"use \w+"}],
    "refusal_prefix": [{}, {"prefixes": ["use"]}],
    # their models are made by the tests
    "classifier": [
        {"labels": {"refused": "refuse", "answered": "comply"}, "template": "{response}"},
        {"labels": {"answered": "comply"}, "threshold": 0.7, "otherwise": "refuse"},
    ],
    "generative": [
        {"template": "{response} ?", "patterns": {"comply": "then"}, "otherwise": "refuse"},
        {"format": "conversation", "patterns": {"refuse": "sorry"}, "otherwise": "comply"},
        {
            "format": "raw",
            "template": "{prompt} {response}",
            "patterns": {"refuse": "i cannot", "comply": "."},
            "otherwise": "incoherent",
            "max_response_tokens": 2,
        },
    ],
}
EVALUATIONS: Examples = {"generation": [{}]}
SUITES: dict[CatalogKind, Examples] = {
    "safety_tuning": SAFETY_TUNINGS,
    "attack": ATTACKS,
    "compression": COMPRESSIONS,
    "evaluation": EVALUATIONS,
    "judge": JUDGES,
}


def cases(kind: CatalogKind) -> list[tuple[str, dict[str, Any]]]:
    """Every method of the catalog with each of its examples."""
    return [(method, e) for method in CATALOG[kind] for e in SUITES[kind].get(method, [{}])]


def named(value: Any) -> str:
    if isinstance(value, str):
        return value
    plain = [f"{k}={v}" if isinstance(v, int | float) else k for k, v in value.items()]
    return ",".join(plain) or "plain"
