"""How a model's weights are stored, told from its config files without torch."""

from collections.abc import Mapping
from typing import Any

DENSE = "dense"
AUTOGPTQ_CONFIG = "quantize_config.json"
"""Where AutoGPTQ told of its quantization before 0.7; config.json then says nothing of it."""


def stored_format(config: Mapping[str, Any], autogptq_config: bool) -> str:
    """The quantization's name, or `dense`, from a config.json; `unknown` where it has no name.

    `autogptq_config`: whether a quantize_config.json lies beside it.
    """
    quantization = config.get("quantization_config")
    if quantization:
        return str(quantization.get("quant_method", "unknown"))
    return "gptq" if autogptq_config else DENSE
