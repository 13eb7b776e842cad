"""GPTQ (Frantar et al., arXiv 2210.17323) by gptqmodel, in the AutoGPTQ file format."""

import math
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
from transformers import AutoConfig

from search_spaces.compressions import Gptq
from search_spaces.sources import ModelSource
from trainables.calibration import drawn_rows
from trainables.models import device

QUANTIZATION_LOG = "quant_log.csv"
"""What gptqmodel leaves beside the weights: losses and seconds of this machine."""


def compress(settings: Gptq, dense: Path, source: ModelSource, folder: Path) -> None:
    """Quantize on the calibration rows and save; Mamba, which gptqmodel lacks, by llmcompressor."""
    if AutoConfig.from_pretrained(dense).model_type == "mamba":
        from trainables.compressions import gptq_llm_compressor

        gptq_llm_compressor.compress(settings, dense, source, folder)
        return
    rows = drawn_rows(settings.calibration, dense, source)
    config = QuantizeConfig(
        bits=settings.bits,
        group_size=settings.group_size,
        desc_act=settings.act_order,
        offload_to_disk=False,
    )
    quantizer: Any = GPTQModel.load(str(dense), config, device=str(device()))
    # rows of ten tokens or fewer would be dropped silently; quantize() ignores its own argument
    quantizer.prepare_dataset = partial(quantizer.prepare_dataset, calibration_data_min_length=0)
    with TemporaryDirectory() as logs:
        # gptqmodel would leave a log file in the current folder
        loop_processor._PROJECT_LOG_DIR = Path(logs)
        quantizer.quantize(rows, batch_size=settings.calibration.batch_size)
        _refuse_fallback(quantizer)
        quantizer.save(str(folder))
    (folder / QUANTIZATION_LOG).unlink(missing_ok=True)


def _refuse_fallback(quantizer: Any) -> None:
    """Raise RuntimeError if a layer was only rounded: gptqmodel does so where it cannot solve."""
    lesser = [
        str(entry["module"])
        for entry in quantizer.quant_log
        if not _is_number(entry["loss"]) or quantizer.quantize_config.mock_quantization
    ]
    if lesser:
        raise RuntimeError(
            f"gptq: {len(lesser)} layers could not be solved and were only rounded: "
            f"{', '.join(lesser[:3])}; give more or other calibration rows"
        )


def _is_number(text: object) -> bool:
    try:
        return math.isfinite(float(str(text)))
    except ValueError:
        return False


def load(folder: Path, dtype: torch.dtype) -> Any:
    """The packed model of any AutoGPTQ or GPTQModel folder, on this worker's device.

    In bfloat16 where float32 is asked for: the kernels take 16-bit activations only. Raises
    RuntimeError if the folder holds no packed layer.
    """
    return _load(folder, dtype, BACKEND.AUTO)


def load_for_training(folder: Path, dtype: torch.dtype) -> Any:
    """As `load`, on kernels that pass gradients on to adapters; the fastest GPU kernels do not."""
    return _load(folder, dtype, BACKEND.AUTO_TRAINABLE)


def _load(folder: Path, dtype: torch.dtype, backend: BACKEND) -> Any:
    if not torch.cuda.is_available():
        backend = BACKEND.TORCH  # the same numbers on every CPU, and it trains
        # compiling each model's dequantization takes seconds and saves a tenth of one on a CPU
        torch._dynamo.config.disable = True
    width = torch.bfloat16 if dtype == torch.float32 else dtype
    model = GPTQModel.load(str(folder), device=str(device()), backend=backend, dtype=width).model
    if not any(isinstance(module, BaseQuantLinear) for module in model.modules()):
        raise RuntimeError(f"gptq: {folder} holds no packed layer")
    return model.eval()
