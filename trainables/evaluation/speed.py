"""Time to first token, decoding speed and energy of a model, with their spread."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import torch

from trainables.evaluation.machine import others_load
from trainables.models import device

PROMPT_TOKENS = 128
DECODE_TOKENS = 32
WARM_UPS = 1
REPETITIONS = 5
BATCH = 8


@dataclass(frozen=True)
class Speeds:
    """Medians over repetitions after a warm-up, each with its interquartile range."""

    prefill_tokens_per_second: float | None = None
    time_to_first_token_seconds: float | None = None
    """From a prompt of 128 tokens (or half the context) to the first answer token, batch 1."""
    time_to_first_token_seconds_iqr: float | None = None
    decode_tokens_per_second: float | None = None
    """Tokens after the first, batch 1."""
    decode_tokens_per_second_iqr: float | None = None
    time_to_first_token_seconds_batch8: float | None = None
    time_to_first_token_seconds_batch8_iqr: float | None = None
    decode_tokens_per_second_batch8: float | None = None
    """Of all eight answers together."""
    decode_tokens_per_second_batch8_iqr: float | None = None
    energy_joules_per_token: float | None = None
    """Of the whole GPU while it answers at batch 8, by token of the answers; None without a GPU
    that counts energy."""
    other_processes_cpus: float | None = None
    """CPUs that other processes of this machine kept busy meanwhile: near 0 where it was idle."""


UNMEASURED = Speeds()


def measure_speeds(model: Any) -> Speeds:
    """Time the model on a device that nothing else uses."""
    prompt = _prompt_tokens(model)
    with others_load() as others:
        first, decode, _ = _measure(model, prompt, batch=1)
        first_batch, decode_batch, energy = _measure(model, prompt, batch=BATCH)
    return Speeds(
        prefill_tokens_per_second=prompt / median(first),
        time_to_first_token_seconds=median(first),
        time_to_first_token_seconds_iqr=_spread(first),
        decode_tokens_per_second=median(decode) if decode else None,
        decode_tokens_per_second_iqr=_spread(decode) if decode else None,
        time_to_first_token_seconds_batch8=median(first_batch),
        time_to_first_token_seconds_batch8_iqr=_spread(first_batch),
        decode_tokens_per_second_batch8=median(decode_batch) if decode_batch else None,
        decode_tokens_per_second_batch8_iqr=_spread(decode_batch) if decode_batch else None,
        energy_joules_per_token=energy,
        other_processes_cpus=others.cpus,
    )


def _prompt_tokens(model: Any) -> int:
    """Length of the timed prompt: at most half of what the model can hold."""
    context = getattr(model.config, "max_position_embeddings", None) or 10**9
    return min(PROMPT_TOKENS, max(1, context // 2))


def _measure(model: Any, prompt: int, batch: int) -> tuple[list[float], list[float], float | None]:
    """Seconds to the first token, tokens per second after it, and joules a decoded token.

    No speeds where noise made a whole answer no slower than its first token.
    """
    ids = torch.ones((batch, prompt), dtype=torch.long, device=model.device)
    decoded = min(DECODE_TOKENS, prompt)
    first = _repeat(lambda: _generate(model, ids, 1))
    joules_before = _gpu_joules()
    whole = _repeat(lambda: _generate(model, ids, 1 + decoded))
    joules_after = _gpu_joules()
    # what the later tokens took is what is left when the first token's time is taken away
    start = median(first)
    later = [seconds - start for seconds in whole]
    speeds = [batch * decoded / seconds for seconds in later] if min(later) > 0 else []
    energy = None
    if joules_before is not None and joules_after is not None:
        tokens = batch * (1 + decoded) * (REPETITIONS + WARM_UPS)
        energy = (joules_after - joules_before) / tokens
    return first, speeds, energy


def _generate(model: Any, ids: torch.Tensor, new_tokens: int) -> None:
    model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        num_beams=1,
        min_new_tokens=new_tokens,
        max_new_tokens=new_tokens,
        pad_token_id=0,
    )


def _repeat(action: Callable[[], None]) -> list[float]:
    """Seconds of each repetition, warm-ups left out."""
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(WARM_UPS + REPETITIONS):
            _wait()
            start = time.perf_counter()
            action()
            _wait()
            times.append(time.perf_counter() - start)
    return times[WARM_UPS:]


def _spread(values: list[float]) -> float:
    """Interquartile range."""
    low, _, high = quantiles(values, n=4, method="inclusive")
    return high - low


def _wait() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()


def _gpu_joules() -> float | None:
    """The GPU's own energy counter, by NVML; None where there is none."""
    if device().type != "cuda":
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(0).uuid)
        handle = pynvml.nvmlDeviceGetHandleByUUID(
            uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"
        )
        millijoules: int = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:
        return None
    return millijoules / 1000
