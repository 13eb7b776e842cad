"""The third factor: how the weights that ship are compressed, and to how many bits."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from search_spaces.settings import Settings
from search_spaces.sources import DataSource


class Calibration(Settings):
    """Rows whose activations guide a quantizer."""

    data: DataSource
    samples: int = Field(default=128, ge=1)
    max_tokens: int = Field(default=512, ge=8)
    batch_size: int = Field(default=32, ge=1)


class NoCompression(Settings):
    """The weights in the model's own dtype."""

    VERSION: ClassVar[int] = 1
    method: Literal["none"] = "none"
    bits: ClassVar[int | None] = None
    sparsity: ClassVar[float | None] = None


class BitsAndBytes(Settings):
    """LLM.int8() at 8 bits, NF4 at 4 bits (bitsandbytes; Dettmers et al., arXiv 2208.07339,
    2305.14314)."""

    VERSION: ClassVar[int] = 1
    method: Literal["bitsandbytes"]
    bits: Literal[8, 4]
    """8 is int8, 4 is nf4."""
    double_quantization: bool = True
    """4 bits only: quantize the scales too."""
    sparsity: ClassVar[float | None] = None


class Gptq(Settings):
    """GPTQ (Frantar et al., arXiv 2210.17323) by gptqmodel, in AutoGPTQ's file format."""

    VERSION: ClassVar[int] = 1
    method: Literal["gptq"]
    bits: Literal[8, 4, 3, 2]
    group_size: Literal[32, 64, 128, 256] = 128
    """Input features that share a scale; must divide every quantized layer's input width."""
    act_order: bool = False
    """Quantize columns in the order of their activation (desc_act)."""
    calibration: Calibration
    sparsity: ClassVar[float | None] = None


class Magnitude(Settings):
    """Zero the smallest weights of every linear layer (Han et al., arXiv 1506.02626)."""

    VERSION: ClassVar[int] = 1
    method: Literal["magnitude"]
    sparsity: float = Field(gt=0, lt=1)
    """Share of weights set to zero, per layer."""
    bits: ClassVar[int | None] = None


Compression = Annotated[
    NoCompression | BitsAndBytes | Gptq | Magnitude, Field(discriminator="method")
]
