"""Bytes on disk against the formula, on a model whose file headers weigh little."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from search_spaces.sources import ModelSource
from search_spaces.weight_shapes import stored_tensors
from tests.trainables.conftest import SettingsOf
from tests.trainables.examples import cases, named
from trainables.checkpoint import Checkpoint
from trainables.compression import compress
from trainables.evaluation.efficiency import bytes_on_disk
from trainables.linear_layers import inputs_last, linear_layers
from trainables.models import Tokenizer, load_checkpoint

WIDTH = 256
GROUP = 128
UNQUANTIZED = ("none", "magnitude", "wanda", "sparsegpt")
TWO_BYTES = 2


@pytest.fixture(scope="module")
def wide(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A random Llama of 1.4 million weights in 16 bits, with the nano world's tokenizer."""
    folder = tmp_path_factory.mktemp("wide")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        tie_word_embeddings=True,
        max_position_embeddings=64,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    model: Any = LlamaForCausalLM(config)  # type: ignore[no-untyped-call]
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Checkpoint(ModelSource(path=str(folder), dtype="bfloat16"))


@pytest.mark.parametrize(
    ("method", "example"),
    [case for case in cases("compression") if case[0] not in UNQUANTIZED],
    ids=named,
)
def test_bytes_on_disk_are_those_of_the_formula(
    wide: Checkpoint,
    settings_of: SettingsOf,
    tmp_path: Path,
    method: str,
    example: dict[str, Any],
) -> None:
    """bits / 8 x quantized parameters + scales and zeros + the unquantized rest, within 5 %."""
    settings = settings_of(method, example)
    if "group_size" in type(settings).model_fields:
        settings = settings.model_copy(update={"group_size": GROUP})
    compress(settings, wide, tmp_path)
    shapes = [inputs_last(layer).shape for layer in linear_layers(load_checkpoint(wide)).values()]
    quantized = sum(shape.numel() for shape in shapes)
    stored = stored_tensors(Path(wide.base.path))
    rest = sum(tensor.bytes for tensor in stored.values()) - TWO_BYTES * quantized
    expected = stored_bits(method, example) / 8 * quantized
    expected += scale_bytes(method, example, shapes) + rest
    assert bytes_on_disk(tmp_path / "weights") == pytest.approx(expected, rel=0.05)


def stored_bits(method: str, example: dict[str, Any]) -> float:
    """Bits of one weight in the file: hqq packs ten weights of 3 bits in 32, which wastes two."""
    bits = float(example.get("bits", 8))
    return 3.2 if (method, bits) == ("hqq", 3) else bits


def scale_bytes(method: str, example: dict[str, Any], shapes: list[torch.Size]) -> float:
    """Bytes of scales and zeros as each format defines them."""
    bits = example.get("bits", 8)
    groups = sum(shape.numel() for shape in shapes) / GROUP
    rows = sum(shape[0] for shape in shapes)
    if method == "bitsandbytes" and bits == 4:
        blocks = sum(shape.numel() for shape in shapes) / 64
        return blocks * (1 if example["double_quantization"] else 4)
    by_method: dict[str, float] = {
        "bitsandbytes": rows * 4,
        "gptq": groups * (TWO_BYTES + bits / 8) + sum(shape[1] for shape in shapes) * 4,
        "awq": groups * (TWO_BYTES + bits / 8),
        "rtn": groups * TWO_BYTES,
        "hqq": groups * 2 * TWO_BYTES,
    }
    return by_method.get(method, rows * TWO_BYTES)
