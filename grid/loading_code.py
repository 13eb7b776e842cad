"""Python that loads an exported folder without this project, for its model card."""

from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces.evaluation import Evaluation


@dataclass(frozen=True)
class Format:
    """How weights lie in a folder, and who reads them."""

    words: str
    library: str
    packages: tuple[str, ...]
    code: str
    """Sets `model`; `{dtype}` stands for the model's width."""


DEVICE = """\
import torch

device = "cuda" if torch.cuda.is_available() else "cpu"
"""
TRANSFORMERS = """\
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(".", dtype=torch.{dtype}, device_map=device)
"""
FALCON_LAYERS = """\
from transformers.models.falcon import modeling_falcon

# transformers quantizes torch's own linear layers only
modeling_falcon.FalconLinear = torch.nn.Linear
"""
ODD_WIDTHS = """\
from bitsandbytes.nn import Linear4bit

for layer in model.modules():
    if isinstance(layer, Linear4bit) and (layer.in_features % 64 or layer.out_features % 32):
        layer.support_avx512bf16_for_cpu = False  # that kernel fails on such widths
"""
PACKED_LAYERS = """\
from transformers import PreTrainedModel

initialize = PreTrainedModel._initialize_weights


def initialize_others(self, module, *rest):
    # this family initializes weights that packed layers do not have
    layers = (module, getattr(module, "out_proj", None))
    if not any(hasattr(layer, "weight_packed") for layer in layers):
        initialize(self, module, *rest)


PreTrainedModel._initialize_weights = initialize_others
"""
GPTQMODEL = """\
from gptqmodel import BACKEND, GPTQModel

if device == "cpu":
    torch._dynamo.config.disable = True  # compiling takes longer here than it saves
# on a CPU the kernel that the answers below come from; others round differently
backend = BACKEND.TORCH if device == "cpu" else BACKEND.AUTO
model = GPTQModel.load(".", device=device, backend=backend, dtype=torch.{dtype}).model
"""
HQQ = """\
from pathlib import Path

from accelerate import init_empty_weights
from hqq.core.quantize import HQQLinear, Quantizer
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

dtype = torch.{dtype}
config = AutoConfig.from_pretrained(".")
how = config.quantization_config["quant_config"]["weight_quant_params"]
with init_empty_weights():
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
state = {{}}
for file in Path(".").glob("hqq*.safetensors"):
    state |= load_file(file, device=device)
model.load_state_dict(state, strict=False, assign=True)
for key in state:
    name, _, part = key.rpartition(".")
    if part != "W_q":
        continue
    empty = model.get_submodule(name)
    shape = empty.weight.T.shape if isinstance(empty, Conv1D) else empty.weight.shape
    packed = {{part: state[f"{{name}}.{{part}}"] for part in ("W_q", "scale", "zero")}}
    rest = {{
        "bias": empty.bias,
        "shape": shape,
        "packing": Quantizer.bit_to_packing[how["nbits"]],
        "quant_scale": False,
        "quant_zero": False,
        "stores_quant_config": True,
    }}
    layer = HQQLinear(None, None, compute_dtype=dtype, device=device)
    layer.load_state_dict({{**packed, **how, **rest}})
    model.set_submodule(name, layer)
model.tie_weights()
model.to(device).eval()
"""
ANSWERS = """\
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".", padding_side="left", truncation_side="left")


def answers(prompts):
    chats = [[{{"role": "user", "content": prompt}}] for prompt in prompts]
    inputs = tokenizer.apply_chat_template(
        chats,
        add_generation_prompt=True,
        padding=True,
        truncation=True,
        max_length={max_tokens},
        return_tensors="pt",
        return_dict=True,
    ).to(device)
    inputs.pop("token_type_ids", None)
    output = model.generate(
        **inputs,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        max_new_tokens={max_new_tokens},
        pad_token_id=tokenizer.pad_token_id,
    )
    new = output[:, inputs["input_ids"].shape[1] :]
    return tokenizer.batch_decode(new, skip_special_tokens=True)
"""

BASIC = ("torch", "transformers", "accelerate")
FORMATS = {
    "dense": Format("{dtype} weights at full width", "transformers", BASIC, TRANSFORMERS),
    "bitsandbytes": Format(
        "weights packed by bitsandbytes", "transformers", (*BASIC, "bitsandbytes"), TRANSFORMERS
    ),
    "compressed-tensors": Format(
        "weights packed in compressed-tensors' format",
        "transformers",
        (*BASIC, "compressed-tensors"),
        TRANSFORMERS,
    ),
    "gptq": Format(
        "weights packed in AutoGPTQ's file format, to be loaded with GPTQModel (transformers alone "
        "misreads some families)",
        "gptqmodel",
        (*BASIC, "gptqmodel"),
        GPTQMODEL,
    ),
    "hqq": Format(
        "weights packed by hqq, in a layout that transformers does not read",
        "hqq",
        (*BASIC, "hqq"),
        HQQ,
    ),
}
"""By how `config.json` says that the weights are stored."""


def loading_code(stored_as: str, model_type: str, dtype: str, adapters: Sequence[str]) -> str:
    """Code that sets `model`, to be run in the exported folder."""
    parts = [DEVICE]
    if stored_as == "bitsandbytes" and model_type == "falcon":
        parts.append(FALCON_LAYERS)
    if stored_as == "compressed-tensors" and model_type in ("falcon", "mamba"):
        parts.append(PACKED_LAYERS)
    # gptqmodel's kernels take 16-bit activations only
    width = "bfloat16" if (stored_as, dtype) == ("gptq", "float32") else dtype
    parts.append(FORMATS[stored_as].code.format(dtype=width))
    if stored_as == "bitsandbytes":
        parts.append(ODD_WIDTHS)
    if adapters:
        parts.append(_adapter_code(adapters))
    return "\n".join(parts)


def answering_code(evaluation: Evaluation) -> str:
    """Code that defines `answers(prompts)`, which generates as the evaluation did."""
    return ANSWERS.format(
        max_tokens=evaluation.max_tokens, max_new_tokens=evaluation.max_new_tokens
    )


def _adapter_code(adapters: Sequence[str]) -> str:
    first, *others = adapters
    code = "from peft import PeftModel\n\n"
    if not others:
        return f'{code}model = PeftModel.from_pretrained(model, "{first}").eval()\n'
    code += f'model = PeftModel.from_pretrained(model, "{first}", adapter_name="{first}")\n'
    for name in others:
        code += f'model.load_adapter("{name}", adapter_name="{name}")\n'
    # PeftModel.set_adapter takes one name, its base_model several
    return f"{code}model.base_model.set_adapter({list(adapters)}, inference_mode=True)\n"
