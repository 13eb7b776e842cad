"""The third factor: how the weights that ship are compressed, and to how many bits."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from search_spaces.settings import Settings
from search_spaces.sources import DataSource


class Calibration(Settings):
    """Rows whose activations guide a compression: benign, safety or mixed data."""

    data: tuple[DataSource, ...] = Field(min_length=1)
    """One source, or several that are mixed in equal parts."""
    samples: int = Field(default=128, ge=1)
    max_tokens: int = Field(default=512, ge=8)
    """Longer rows are cut."""
    batch_size: int = Field(default=32, ge=1)
    seed: int | None = Field(default=None, ge=0)
    """Which rows are drawn; left out, each of the space's `calibration_seeds` in turn."""

    @field_validator("data", mode="before")
    @classmethod
    def _one_source_is_a_list_of_one(cls, data: Any) -> Any:
        return data if isinstance(data, list | tuple) else [data]

    @model_validator(mode="after")
    def _parts_are_equal(self) -> "Calibration":
        if self.samples % len(self.data):
            raise ValueError(
                f"samples {self.samples} cannot be drawn in equal parts from "
                f"{len(self.data)} sources; give a multiple of {len(self.data)}"
            )
        return self


class CompressionSettings(Settings):
    """What every compression says of itself."""

    VERSION: ClassVar[int] = 1
    quantizes: ClassVar[bool] = True
    """False where the weights keep the model's own dtype."""
    trainable: ClassVar[bool] = False
    """True if a LoRA adapter can be trained on top of the compressed weights."""

    @property
    def label(self) -> str:
        """A few words that tell it from other settings of its method."""
        name: str = getattr(self, "method", "")
        return name


class Grouped(CompressionSettings):
    """What the quantizers share whose weights share scales in groups."""

    @property
    def label(self) -> str:
        """`gptq 4 g128`."""
        return f"{super().label} {getattr(self, 'bits', '')} g{getattr(self, 'group_size', '')}"


class NoCompression(CompressionSettings):
    """The weights in the model's own dtype."""

    method: Literal["none"] = "none"
    trainable: ClassVar[bool] = True
    quantizes: ClassVar[bool] = False


class BitsAndBytes(CompressionSettings):
    """LLM.int8() at 8 bits, NF4 or FP4 at 4 bits (bitsandbytes; Dettmers et al., arXiv 2208.07339,
    2305.14314)."""

    VERSION: ClassVar[int] = 2
    method: Literal["bitsandbytes"]
    bits: Literal[8, 4]
    """8 is int8."""
    data_type: Literal["nf4", "fp4"] = "nf4"
    """4 bits only: the 16 values that a weight can take."""
    double_quantization: bool = True
    """4 bits only: quantize the scales too."""
    trainable: ClassVar[bool] = True

    @model_validator(mode="after")
    def _has_a_choice_at_4_bits_only(self) -> "BitsAndBytes":
        if self.bits == 8 and (self.data_type != "nf4" or not self.double_quantization):
            raise ValueError("data_type and double_quantization are settings of 4 bits; leave out")
        return self

    @property
    def label(self) -> str:
        """`llm.int8`, `nf4`, or `nf4 dq` where the scales are quantized too."""
        if self.bits == 8:
            return "llm.int8"
        return f"{self.data_type}{' dq' if self.double_quantization else ''}"


class Gptq(Grouped):
    """GPTQ (Frantar et al., arXiv 2210.17323), symmetric, in AutoGPTQ's file format.

    By gptqmodel; for Mamba, which it lacks, by llmcompressor in compressed-tensors' format.
    """

    VERSION: ClassVar[int] = 2
    method: Literal["gptq"]
    bits: Literal[8, 4, 3, 2]
    group_size: Literal[32, 64, 128, 256] = 128
    """Input features that share a scale; must divide every quantized layer's input width."""
    act_order: bool = False
    """Quantize columns in the order of their activation (desc_act)."""
    calibration: Calibration
    trainable: ClassVar[bool] = True

    @property
    def label(self) -> str:
        """`gptq 4 g128`, with `act-order` where that is on."""
        return f"{super().label}{' act-order' if self.act_order else ''}"


class Awq(Grouped):
    """AWQ (Lin et al., arXiv 2306.00978), asymmetric, by llmcompressor."""

    method: Literal["awq"]
    bits: Literal[8, 4, 3]
    group_size: Literal[32, 64, 128, 256] = 128
    """Input features that share a scale; must divide every quantized layer's input width."""
    calibration: Calibration


class Rtn(Grouped):
    """Round to nearest: symmetric, the scale of a group is its largest weight; by llmcompressor."""

    method: Literal["rtn"]
    bits: Literal[8, 4, 3, 2]
    group_size: Literal[32, 64, 128, 256] = 128
    """Input features that share a scale; must divide every quantized layer's input width."""


class Int8Dynamic(CompressionSettings):
    """W8A8: weights by output channel, activations by token as they come; by llmcompressor."""

    method: Literal["int8_dynamic"]
    bits: ClassVar[int] = 8


class Fp8(CompressionSettings):
    """FP8 E4M3 (Micikevicius et al., arXiv 2209.05433): weights by output channel, activations by
    token as they come; by llmcompressor."""

    method: Literal["fp8"]
    bits: ClassVar[int] = 8


class Hqq(Grouped):
    """Half-quadratic quantization (Badri and Shaji, 2023) by hqq; needs no calibration."""

    method: Literal["hqq"]
    bits: Literal[8, 4, 3, 2, 1]
    group_size: Literal[16, 32, 64, 128, 256] = 64
    """Weights that share a scale and a zero; must divide every layer's number of weights."""


class Pruning(CompressionSettings):
    """What the pruning methods share. Zeros are stored and computed like any other weight."""

    quantizes: ClassVar[bool] = False
    trainable: ClassVar[bool] = True
    sparsity: float = Field(default=0.5, gt=0, lt=1)
    """Share of weights set to zero, per layer."""
    pattern: Literal["unstructured", "2:4", "4:8"] = "unstructured"
    """`2:4`: two zeros in every four neighbouring inputs."""

    @field_validator("pattern", mode="before")
    @classmethod
    def _is_no_time_of_day(cls, pattern: Any) -> Any:
        if isinstance(pattern, int):
            raise ValueError('YAML reads an unquoted 2:4 as a number; write "2:4" or "4:8"')
        return pattern

    @property
    def label(self) -> str:
        """`wanda 50%`, `wanda 2:4`."""
        share = f"{100 * self.sparsity:g}%" if self.pattern == "unstructured" else self.pattern
        return f"{super().label} {share}"

    @model_validator(mode="after")
    def _patterns_are_half(self) -> "Pruning":
        if self.pattern != "unstructured" and self.sparsity != 0.5:
            raise ValueError(f"pattern {self.pattern} is sparsity 0.5, not {self.sparsity}")
        return self


class Magnitude(Pruning):
    """Zero the smallest weights of every linear layer (Han et al., arXiv 1506.02626)."""

    method: Literal["magnitude"]
    compared: Literal["layer", "output"] = "layer"
    """Unstructured only: among which weights the smallest are sought, the whole layer's or, as
    Wanda does, those of one output."""

    @model_validator(mode="after")
    def _patterns_have_their_own_groups(self) -> "Magnitude":
        if self.pattern != "unstructured" and self.compared != "layer":
            raise ValueError(f"compared is no setting of pattern {self.pattern}; leave it out")
        return self

    @property
    def label(self) -> str:
        """`magnitude 50%`, with `by output` where that is compared."""
        return f"{super().label}{' by output' if self.compared == 'output' else ''}"


class Wanda(Pruning):
    """Zero by weight times input norm (Sun et al., arXiv 2306.11695), by llmcompressor."""

    method: Literal["wanda"]
    calibration: Calibration


class SparseGpt(Pruning):
    """Zero and let the other weights make up (Frantar and Alistarh, arXiv 2301.00774), by
    llmcompressor."""

    method: Literal["sparsegpt"]
    calibration: Calibration


Pruner = Magnitude | Wanda | SparseGpt
Quantizer = BitsAndBytes | Gptq | Awq | Rtn | Int8Dynamic | Fp8 | Hqq
Step = Pruner | Quantizer


class Stacked(CompressionSettings):
    """Prune, then quantize what is left: one compression of several steps."""

    method: Literal["stacked"]
    steps: tuple[Annotated[Step, Field(discriminator="method")], ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _quantizes_last(self) -> "Stacked":
        *before, last = self.steps
        if not last.quantizes or any(step.quantizes for step in before):
            raise ValueError("steps must prune first and quantize once, at the end")
        return self

    @property
    def label(self) -> str:
        """`wanda 50% + gptq 4 g128`."""
        return " + ".join(step.label for step in self.steps)


Compression = Annotated[NoCompression | Step | Stacked, Field(discriminator="method")]


def steps_of(compression: Compression) -> tuple[NoCompression | Step, ...]:
    """The single methods that a compression is made of, in order."""
    return compression.steps if isinstance(compression, Stacked) else (compression,)


def method_of(compression: Compression) -> str:
    """The method's name; `sparsegpt+gptq` for a stack."""
    return "+".join(step.method for step in steps_of(compression))


def bits_of(compression: Compression) -> int | None:
    """Bits asked for by weight; None where the weights keep the model's own dtype."""
    bits: int | None = getattr(steps_of(compression)[-1], "bits", None)
    return bits


def pruning_of(compression: Compression) -> Pruning | None:
    """The pruning that a compression is or begins with."""
    first = steps_of(compression)[0]
    return first if isinstance(first, Pruning) else None


def calibrations_of(compression: Compression) -> list[Calibration]:
    """The calibration of every step that has one."""
    found = (getattr(step, "calibration", None) for step in steps_of(compression))
    return [calibration for calibration in found if calibration is not None]


def with_calibration_seed(compression: Compression, seed: int) -> Compression:
    """The compression with the seed where its calibration names none of its own."""
    return _recalibrated(compression, lambda own: seed if own is None else own)


def without_calibration_seed(compression: Compression) -> Compression:
    """The compression with calibration seed 0, the same for all that only repeat each other."""
    return _recalibrated(compression, lambda own: 0)


def _recalibrated(compression: Compression, seed_of: Callable[[int | None], int]) -> Compression:
    if isinstance(compression, Stacked):
        steps = tuple(_recalibrated(step, seed_of) for step in compression.steps)
        return compression.model_copy(update={"steps": steps})
    calibration: Calibration | None = getattr(compression, "calibration", None)
    if calibration is None:
        return compression
    seeded = calibration.model_copy(update={"seed": seed_of(calibration.seed)})
    return compression.model_copy(update={"calibration": seeded})
