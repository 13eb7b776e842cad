"""What every compression costs and saves on one Llama with random weights, on this device.

    python benchmarks/compressions.py                      # 1.2 billion weights: for a GPU
    python benchmarks/compressions.py --size small         # 34 million weights: for a CPU

Compression time, bytes and speeds do not depend on what the weights are, so they are random. Each
method runs in a process of its own, on an otherwise idle device. Prints a Markdown table.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIZES = {
    "1b": {"hidden": 2048, "intermediate": 8192, "layers": 16, "heads": 32, "vocabulary": 128256},
    "small": {"hidden": 512, "intermediate": 2048, "layers": 4, "heads": 8, "vocabulary": 32000},
}
GROUP = 128
WORDS = [f"word{i}" for i in range(2000)]
CALIBRATION = {"samples": 128, "max_tokens": 512, "batch_size": 8, "seed": 0}
COLUMNS = (
    "method", "compress s", "load s", "disk MB", "memory MB", "bits/weight disk",
    "bits/weight memory", "execution", "peak MB", "first token ms", "tokens/s", "tokens/s batch 8",
)  # fmt: skip


def methods(rows: Path) -> list[dict[str, Any]]:
    """The settings of every method and width."""
    calibration = {**CALIBRATION, "data": {"path": str(rows)}}
    grouped = {"group_size": GROUP}
    found: list[dict[str, Any]] = [{"method": "none"}, {"method": "bitsandbytes", "bits": 8}]
    found += [{"method": "bitsandbytes", "bits": 4, "data_type": kind} for kind in ("nf4", "fp4")]
    found += [{"method": "hqq", "bits": bits, **grouped} for bits in (8, 4, 3, 2, 1)]
    found += [{"method": "rtn", "bits": bits, **grouped} for bits in (8, 4, 3, 2)]
    found += [{"method": name} for name in ("int8_dynamic", "fp8")]
    calibrated = [("gptq", bits) for bits in (8, 4, 3, 2)] + [("awq", bits) for bits in (8, 4, 3)]
    found += [
        {"method": name, "bits": bits, "calibration": calibration, **grouped}
        for name, bits in calibrated
    ]
    for pattern in ("unstructured", "2:4", "4:8"):
        found.append({"method": "magnitude", "pattern": pattern})
        found += [
            {"method": name, "pattern": pattern, "calibration": calibration}
            for name in ("wanda", "sparsegpt")
        ]
    return found


def write_model(folder: Path, size: str) -> None:
    """A Llama with random 16-bit weights and a word-level tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from trainables.nano.tokenizer import build_tokenizer

    shape = SIZES[size]
    tokenizer = build_tokenizer(WORDS)
    tokenizer.model_max_length = 4096
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=shape["vocabulary"],
        hidden_size=shape["hidden"],
        intermediate_size=shape["intermediate"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=max(1, shape["heads"] // 4),
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    torch.set_default_dtype(torch.bfloat16)
    LlamaForCausalLM(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(folder)


def write_rows(path: Path) -> None:
    """Calibration rows of 400 random words."""
    draw = random.Random(0)
    lines = [
        {"prompt": " ".join(draw.choices(WORDS, k=400))} for _ in range(CALIBRATION["samples"])
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def measure(settings: dict[str, Any], model: Path) -> dict[str, Any]:
    """One method's row, in this process."""
    import torch
    from pydantic import TypeAdapter

    from search_spaces.compressions import Compression
    from search_spaces.sources import ModelSource
    from trainables.checkpoint import Checkpoint
    from trainables.compression import compress
    from trainables.evaluation.efficiency import measure_efficiency
    from trainables.models import load_checkpoint
    from trainables.quiet import quiet

    torch.set_num_threads(1)
    compression: Any = TypeAdapter(Compression).validate_python(settings)
    checkpoint = Checkpoint(ModelSource(path=str(model), dtype="bfloat16"))
    with tempfile.TemporaryDirectory() as folder, quiet():
        start = time.perf_counter()
        compress(compression, checkpoint, Path(folder))
        compressed = time.perf_counter()
        shipped: Any = load_checkpoint(checkpoint.extended(Path(folder)))
        loaded = time.perf_counter()
        with torch.inference_mode():
            shipped(input_ids=torch.ones((1, 8), dtype=torch.long, device=shipped.device))
        cost = measure_efficiency(shipped, checkpoint.extended(Path(folder)), exclusive=True)
    speeds = cost.speeds
    first = speeds.time_to_first_token_seconds
    return {
        "device": cost.device,
        "method": compression.label,
        "compress s": compressed - start,
        "load s": loaded - compressed,
        "disk MB": cost.weights_bytes_disk / 1e6,
        "memory MB": cost.weights_bytes_loaded / 1e6,
        "bits/weight disk": cost.bits_per_weight_disk,
        "bits/weight memory": cost.bits_per_weight,
        "execution": cost.execution,
        "peak MB": cost.peak_memory_bytes and cost.peak_memory_bytes / 1e6,
        "first token ms": first and 1000 * first,
        "tokens/s": speeds.decode_tokens_per_second,
        "tokens/s batch 8": speeds.decode_tokens_per_second_batch8,
    }


def shown(value: object) -> str:
    """A table's cell."""
    if isinstance(value, float):
        return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
    return "" if value is None else str(value)


def main() -> None:
    """Measure every method, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--size", choices=SIZES, default="1b")
    parser.add_argument("--only", help="methods whose name holds this")
    parser.add_argument("--one", nargs=2, metavar=("SETTINGS", "MODEL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(json.loads(arguments.one[0]), Path(arguments.one[1]))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        model, rows = Path(scratch) / "model", Path(scratch) / "rows.jsonl"
        write_model(model, arguments.size)
        write_rows(rows)
        wanted = [m for m in methods(rows) if (arguments.only or "") in m["method"]]
        for number, settings in enumerate(wanted):
            command = [sys.executable, __file__, "--one", json.dumps(settings), str(model)]
            answer = subprocess.run(command, capture_output=True, text=True)
            if answer.returncode:
                lines = answer.stderr.strip().splitlines() or ["no output"]
                print(f"| {settings['method']} | failed: {lines[-1]} |", flush=True)
                continue
            row = json.loads(answer.stdout.strip().splitlines()[-1])
            if number == 0:
                print(f"Device: {row['device']}; {arguments.size}: {SIZES[arguments.size]}\n")
                print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
            print(f"| {' | '.join(shown(row[name]) for name in COLUMNS)} |", flush=True)


if __name__ == "__main__":
    main()
