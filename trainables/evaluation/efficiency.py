"""What the model costs: bytes held, effective bits per weight, tokens per second."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from trainables.compressions.compressed import Compressed, Execution, bytes_on_disk
from trainables.linear_layers import HEADS
from trainables.models import device

PREFILL_TOKENS = 128
DECODE_TOKENS = 32
REPETITIONS = 5


@dataclass(frozen=True)
class Efficiency:
    """Costs of a model as it runs. A speed is null where the device was shared."""

    weights_bytes_disk: int
    weights_bytes_loaded: int
    """Bytes that the model's tensors hold after a forward pass, scales and zeros included."""
    bits_per_weight: float | None
    """Bits held in the linear layers, scales and zeros included, by original weight."""
    prefill_tokens_per_second: float | None
    decode_tokens_per_second: float | None
    execution: Execution
    device: str


def measure_efficiency(compressed: Compressed, exclusive: bool) -> Efficiency:
    """Measure after a forward pass has run."""
    model = compressed.model
    prefill = decode = None
    if exclusive:
        prefill, decode = _speeds(model)
    return Efficiency(
        weights_bytes_disk=bytes_on_disk(compressed.folder),
        weights_bytes_loaded=_bytes(_tensors(model)),
        bits_per_weight=bits_per_weight(model),
        prefill_tokens_per_second=prefill,
        decode_tokens_per_second=decode,
        execution=compressed.execution,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    )


def bits_per_weight(model: nn.Module) -> float | None:
    """Bits of the linear layers' tensors (bias left out) by in_features x out_features."""
    held = weights = 0
    for name, module in model.named_modules():
        shape = _features(module)
        if shape is None or name.rpartition(".")[2] in HEADS:
            continue
        held += _bytes(tensor for key, tensor in _named_tensors(module) if key != "bias")
        weights += shape[0] * shape[1]
    return 8 * held / weights if weights else None


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
        yield from _reachable(vars(value), seen)


def _speeds(model: Any) -> tuple[float, float]:
    """Median prefill and decode tokens per second at batch 1, after a warm-up."""
    length = min(PREFILL_TOKENS, getattr(model.config, "max_position_embeddings", 10**9) // 2)
    ids = torch.ones((1, length), dtype=torch.long, device=model.device)

    def prefill() -> None:
        model(input_ids=ids, attention_mask=torch.ones_like(ids))

    def generate() -> None:
        model.generate(
            ids[:, :1],
            attention_mask=torch.ones_like(ids[:, :1]),
            do_sample=False,
            min_new_tokens=DECODE_TOKENS,
            max_new_tokens=DECODE_TOKENS,
            pad_token_id=0,
        )

    return length / _seconds(prefill), DECODE_TOKENS / _seconds(generate)


def _seconds(action: Callable[[], None]) -> float:
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(REPETITIONS + 1):
            _wait()
            start = time.perf_counter()
            action()
            _wait()
            times.append(time.perf_counter() - start)
    return median(times[1:])


def _wait() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()
