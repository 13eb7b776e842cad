"""GPTQ (Frantar et al., arXiv 2210.17323) by gptqmodel, in the AutoGPTQ file format."""

import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# two threads quantize as fast as many on small machines, and the default starts one a core
os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")

import torch
import torch._dynamo
from gptqmodel import BACKEND, GPTQModel, QuantizeConfig
from gptqmodel.looper import loop_processor
from gptqmodel.nn_modules.qlinear import BaseQuantLinear
from transformers import set_seed

from search_spaces.compressions import Calibration, Gptq
from search_spaces.rows import Row
from search_spaces.sources import ModelSource
from trainables.compressions.compressed import Compressed
from trainables.doses import nested_prefix
from trainables.models import Tokenizer, device, load_tokenizer


def compress(
    settings: Gptq, dense: Path, source: ModelSource, folder: Path, seed: int
) -> Compressed:
    """Quantize on the calibration rows, save, and load the packed weights.

    Raises RuntimeError if no layer was quantized.
    """
    set_seed(seed)
    tokenizer = load_tokenizer(source.model_copy(update={"path": str(dense), "revision": None}))
    config = QuantizeConfig(
        bits=settings.bits,
        group_size=settings.group_size,
        desc_act=settings.act_order,
        offload_to_disk=False,
    )
    rows = _calibration(settings.calibration, tokenizer, seed)
    quantizer: Any = GPTQModel.load(str(dense), config, device=str(device()))
    # rows of ten tokens or fewer would be dropped silently; quantize() ignores its own argument
    quantizer.prepare_dataset = partial(quantizer.prepare_dataset, calibration_data_min_length=0)
    with TemporaryDirectory() as logs:
        # gptqmodel would leave a log file in the current folder
        loop_processor._PROJECT_LOG_DIR = Path(logs)
        quantizer.quantize(rows, batch_size=settings.calibration.batch_size)
        quantizer.save(str(folder))
    model: Any = load_packed(folder)
    return Compressed(model, folder, "packed", None)


def load_packed(folder: Path) -> Any:
    """The packed model of a GPTQ folder. Raises RuntimeError if it holds no packed layer."""
    backend = BACKEND.AUTO
    if not torch.cuda.is_available():
        backend = BACKEND.TORCH
        # compiling each model's dequantization takes seconds and saves a tenth of one on a CPU
        torch._dynamo.config.disable = True
    model = GPTQModel.load(str(folder), device=str(device()), backend=backend).model
    if not any(isinstance(module, BaseQuantLinear) for module in model.modules()):
        raise RuntimeError("gptq: no layer was quantized")
    return model.eval()


def _calibration(settings: Calibration, tokenizer: Tokenizer, seed: int) -> list[dict[str, Any]]:
    rows = nested_prefix(settings.data, settings.samples, seed)
    return [
        dict(tokenizer(_text(row, tokenizer), truncation=True, max_length=settings.max_tokens))
        for row in rows
    ]


def _text(row: Row, tokenizer: Tokenizer) -> str:
    turns = [{"role": "user", "content": row.prompt}]
    if row.answer is not None:
        turns.append({"role": "assistant", "content": row.answer})
    return str(tokenizer.apply_chat_template(turns, tokenize=False))
