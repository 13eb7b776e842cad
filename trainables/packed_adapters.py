"""LoRA on packed weights: adapters stay beside the weights, which cannot take them up."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitsandbytes.nn import Linear4bit
from peft import LoraConfig, PeftModel, get_peft_model

NEW = "default"
"""The trained adapter's name: the one that peft saves straight into the folder it is given."""


def with_adapters(model: Any, folders: Sequence[Path]) -> Any:
    """The packed model with all adapters active and frozen, added in order."""
    for number, folder in enumerate(folders):
        name = f"stage_{number}"
        if number == 0:
            model = PeftModel.from_pretrained(model, str(folder), adapter_name=name)
        else:
            model.load_adapter(str(folder), adapter_name=name)
    if folders:
        # PeftModel.set_adapter takes one name, its base_model several
        model.base_model.set_adapter(list(model.peft_config), inference_mode=True)
    return model.eval()


def with_new_adapter(model: Any, adapter: LoraConfig) -> PeftModel:
    """The model of `with_adapters` with one more adapter on top, the only one that trains.

    The model must not have run yet: bitsandbytes' fast CPU kernel repacks what it has used, and
    lets no gradient through from then on.
    """
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
    if not isinstance(model, PeftModel):
        return get_peft_model(model, adapter, adapter_name=NEW)
    frozen = list(model.peft_config)
    model.add_adapter(NEW, adapter)
    layers: Any = model.base_model
    layers.set_adapter([*frozen, NEW])
    for name, weight in model.named_parameters():
        weight.requires_grad_(weight.requires_grad and f".{NEW}." in name)
    return model


def save_new_adapter(model: PeftModel, folder: Path) -> None:
    """Write the new adapter alone; `PeftModel.from_pretrained(packed, folder)` reads it."""
    model.save_pretrained(str(folder), selected_adapters=[NEW])
