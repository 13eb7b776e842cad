"""The whole search space as a user writes it: every factor, what is measured, what is wanted."""

from typing import Annotated, Literal

from pydantic import Field

from search_spaces.attacks import Attack, NoAttack
from search_spaces.compressions import Compression, NoCompression
from search_spaces.evaluation import Evaluation
from search_spaces.metrics import Metric
from search_spaces.safety_tuning import SafetyTuning
from search_spaces.settings import Settings
from search_spaces.sources import EmbeddedWorld, ModelSource

Order = Literal["attack_then_compress", "compress_then_attack"]


class Objective(Settings):
    """One axis of the Pareto front."""

    metric: Metric
    direction: Literal["maximize", "minimize"]


DEFAULT_OBJECTIVES = (
    Objective(metric="helpfulness", direction="maximize"),
    Objective(metric="safety", direction="maximize"),
    Objective(metric="weights_bytes_loaded", direction="minimize"),
)


class Resources(Settings):
    """What one stage occupies. Never part of a fingerprint."""

    cpus_per_stage: float = Field(default=1, gt=0)
    gpus_per_stage: float = Field(default=0, ge=0, le=1)
    """At 0 stages run on the CPU; below 1 several share a GPU, and speeds are not measured."""
    threads_per_stage: int = Field(default=1, ge=1)
    """torch threads of a stage worker; more threads than cores are many times slower."""
    retries: int = Field(default=2, ge=0)
    """How often a stage is repeated after its worker or node was lost (never after its own
    error)."""


class SearchSpace(Settings):
    """A joint grid over safety tuning, attack and compression of one model."""

    name: str = Field(min_length=1)
    embedded: EmbeddedWorld | None = None
    model: ModelSource
    safety_tuning: SafetyTuning
    attacks: tuple[Attack, ...] = Field(default=(NoAttack(),), min_length=1)
    compressions: tuple[Compression, ...] = Field(default=(NoCompression(),), min_length=1)
    orders: tuple[Order, ...] = Field(default=("attack_then_compress",), min_length=1)
    """`compress_then_attack`: the adversary fine-tunes the model as it ships, compressed."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0,), min_length=1)
    """Training seeds; each repeats the whole grid."""
    calibration_seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0,), min_length=1)
    """Each repeats the compressions that are calibrated, on other rows."""
    evaluation: Evaluation
    objectives: tuple[Objective, ...] = Field(default=DEFAULT_OBJECTIVES, min_length=1)
    resources: Resources = Resources()
    keep_compressed: bool = False
    """Publish the compressed weights of every cell; otherwise only what was measured stays."""
