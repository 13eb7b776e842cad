"""What the model costs: bytes on disk and in memory, effective bits per weight, speed."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from search_spaces.weight_shapes import stored_tensors
from trainables.checkpoint import Checkpoint
from trainables.evaluation.memory import peak_memory
from trainables.evaluation.speed import UNMEASURED, Speeds, measure_speeds
from trainables.linear_layers import quantized_layers, skipped_layers
from trainables.models import stored_folder

Execution = Literal["packed", "dense", "unpacked", "simulated"]
WEIGHT_FILES = ("*.safetensors", "*.bin", "*.pt")


@dataclass(frozen=True)
class Efficiency:
    """Costs of a model as it runs."""

    weights_bytes_disk: int
    """Bytes of the weight files, adapters that ship beside them included."""
    weights_bytes_loaded: int
    """Bytes that the model's tensors hold after a forward pass, scales and zeros included."""
    bits_per_weight: float | None
    """Bits held in the linear layers, scales and zeros included, by original weight."""
    bits_per_weight_disk: float | None
    """The same in the weight files; None where they are not safetensors."""
    peak_memory_bytes: int | None
    """`weights_bytes_loaded` and how far memory rose above them while generating: what torch held
    on a GPU, the process's resident set on a CPU. None where the device was shared."""
    speeds: Speeds
    execution: Execution
    """`packed`: low-bit weights stay packed while running; `unpacked`: they are stored packed and
    run at full width; `simulated`: activations are rounded to low bits and run at full width;
    `dense`: full-width weights, stored and run as such."""
    device: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values by column name."""
        facts = asdict(self)
        speeds: dict[str, Any] = facts.pop("speeds")
        return facts | speeds


def measure_efficiency(model: Any, checkpoint: Checkpoint, exclusive: bool) -> Efficiency:
    """Measure after a forward pass has run; nothing is timed unless the device is `exclusive`.

    A simulation's speed is not that of the real thing, so it is null.
    """
    execution = execution_of(model)
    loaded = _bytes(_tensors(model))
    peak, speeds = None, UNMEASURED
    if exclusive and execution != "simulated":
        with peak_memory() as memory:
            speeds = measure_speeds(model)
        peak = None if memory.rise_bytes is None else loaded + memory.rise_bytes
    stored = stored_folder(checkpoint)
    return Efficiency(
        weights_bytes_disk=sum(map(bytes_on_disk, (stored, *checkpoint.adapters))),
        weights_bytes_loaded=loaded,
        bits_per_weight=bits_per_weight(model),
        bits_per_weight_disk=bits_per_weight_disk(model, stored),
        peak_memory_bytes=peak,
        speeds=speeds,
        execution=execution,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    )


def execution_of(model: Any) -> Execution:
    """How the model runs, as seen after a forward pass."""
    schemes = (getattr(module, "quantization_scheme", None) for module in model.modules())
    if any(scheme is not None and scheme.input_activations is not None for scheme in schemes):
        return "simulated"
    if not quantized_layers(model):
        return "dense"
    held = bits_per_weight(model)
    full_width = 8 * model.dtype.itemsize
    return "packed" if held is not None and held < full_width else "unpacked"


def bytes_on_disk(folder: Path) -> int:
    """Bytes of the weight files in a saved model's folder."""
    for pattern in WEIGHT_FILES:
        files = list(folder.glob(pattern))
        if files:  # a repository may hold the same weights in several forms
            return sum(file.stat().st_size for file in files)
    return 0


def bits_per_weight(model: nn.Module) -> float | None:
    """Bits of the linear layers' tensors (bias left out) by in_features x out_features."""
    layers = _compressible(model)
    held = sum(
        _bytes(tensor for key, tensor in _named_tensors(module) if key != "bias")
        for module, _ in layers.values()
    )
    weights = sum(count for _, count in layers.values())
    return 8 * held / weights if weights else None


def bits_per_weight_disk(model: nn.Module, folder: Path) -> float | None:
    """Bits of the linear layers' stored tensors (bias left out) by in_features x out_features."""
    layers = {_stored_name(name): count for name, (_, count) in _compressible(model).items()}
    stored = stored_tensors(folder)
    if not stored or not layers:
        return None
    held = sum(
        tensor.bytes
        for name, tensor in stored.items()
        if not name.endswith(".bias") and any(part in layers for part in _prefixes(name))
    )
    return 8 * held / sum(layers.values())


def _compressible(model: nn.Module) -> dict[str, tuple[nn.Module, int]]:
    """The layers that compressions work on, whatever became of them, with their weights' number.

    Adapters beside them are not what was compressed.
    """
    skipped = skipped_layers(model)
    found: dict[str, tuple[nn.Module, int]] = {}
    for name, module in model.named_modules():
        shape = _features(module)
        adapter = ".lora_" in name or hasattr(module, "base_layer")
        if shape and not adapter and _stored_name(name).rpartition(".")[2] not in skipped:
            found[name] = (module, shape[0] * shape[1])
    return found


def _stored_name(name: str) -> str:
    """A module's name in the weight files, without what peft's wrapping adds to it."""
    return name.removeprefix("base_model.model.").removesuffix(".base_layer")


def _prefixes(name: str) -> Iterator[str]:
    while name:
        name = name.rpartition(".")[0]
        yield name


def _features(module: nn.Module) -> tuple[int, int] | None:
    """(in, out) widths of a linear layer, dense or quantized, before compression."""
    held: Any = module
    if hasattr(held, "in_features") and hasattr(held, "out_features"):
        return int(held.in_features), int(held.out_features)
    if isinstance(held, Conv1D):
        return int(held.nx), int(held.nf)
    return None


def _bytes(tensors: Iterator[Tensor]) -> int:
    """Bytes of the distinct storages behind the tensors."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    for module in model.modules():
        for _, tensor in _named_tensors(module):
            yield tensor


def _named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Tensors that the module itself holds, those hidden in a quantizer's state included."""
    children = set(module._modules)
    seen: set[int] = set()
    for key, value in {**module._parameters, **module._buffers, **vars(module)}.items():
        if key not in children and not key.startswith("_"):
            for tensor in _reachable(value, seen):
                yield key, tensor


def _reachable(value: Any, seen: set[int]) -> Iterator[Tensor]:
    if id(value) in seen or isinstance(value, nn.Module | type | str | int | float | None):
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
        # bitsandbytes keeps absmax, code and SCB on the parameter, where footprints miss them
        held: Any = vars(value) if hasattr(value, "__dict__") else {}
        yield from _reachable(held, seen)
    elif isinstance(value, dict):
        for inner in list(value.values()):
            yield from _reachable(inner, seen)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _reachable(inner, seen)
    elif type(value).__name__ in ("QuantState", "MatmulLtState"):
        # idx, subB: which inputs of the last batch were outliers, no part of the weights
        held = {key: inner for key, inner in vars(value).items() if key not in ("idx", "subB")}
        yield from _reachable(held, seen)
