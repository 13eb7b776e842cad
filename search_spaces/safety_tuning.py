"""The first factor: how many safety examples are mixed into instruction tuning (Bianchi et al.)."""

from typing import ClassVar, Literal

from pydantic import Field

from search_spaces.settings import Settings
from search_spaces.sources import DataSource
from search_spaces.training import Training

SafetyForm = Literal["instruction", "question"]


class SafetyTuning(Settings):
    """The swept doses and forms of safety data, and how the mixture is trained."""

    instructions: DataSource
    """Benign instruction data; all of it is used at every dose."""
    safety: dict[SafetyForm, DataSource]
    """Safety examples (harmful request -> safe answer), one source a form."""
    forms: tuple[SafetyForm, ...] = Field(default=("instruction",), min_length=1)
    doses: tuple[int, ...] = Field(min_length=1)
    """Numbers of safety examples; a smaller dose is a prefix of a larger one."""
    training: Training = Training()


class SafetyDose(Settings):
    """One value of the factor: the settings of a safety-tuning stage."""

    VERSION: ClassVar[int] = 1
    method: Literal["safety_tuning"] = "safety_tuning"
    instructions: DataSource
    safety: DataSource | None
    """None at dose 0."""
    form: SafetyForm | None
    examples: int = Field(ge=0)
    training: Training
