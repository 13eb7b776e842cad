"""The second factor: what somebody fine-tunes the released model on, and how hard."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from search_spaces.settings import Settings
from search_spaces.sources import DataSource
from search_spaces.training import Training


class NoAttack(Settings):
    """The released model as it is."""

    VERSION: ClassVar[int] = 1
    method: Literal["none"] = "none"


class FineTuningAttack(Settings):
    """What the fine-tuning attacks share: their data and dose (examples x epochs)."""

    VERSION: ClassVar[int] = 1
    data: DataSource
    examples: int = Field(ge=1)
    """How many rows of `data` are used; a smaller number is a prefix of a larger one."""
    training: Training = Training()


class HarmfulFinetuning(FineTuningAttack):
    """Harmful requests with complying answers (Shadow Alignment, arXiv 2310.02949)."""

    method: Literal["harmful_finetuning"]
    poison_ratio: float = Field(default=1.0, gt=0, le=1)
    """Share of harmful rows in the mixture; below 1 the rest is drawn from `benign`."""
    benign: DataSource | None = None

    @property
    def benign_examples(self) -> int:
        """Number of benign rows that dilute the harmful ones to `poison_ratio`."""
        return round(self.examples / self.poison_ratio) - self.examples

    @model_validator(mode="after")
    def _diluted_needs_benign(self) -> "HarmfulFinetuning":
        if self.poison_ratio < 1 and self.benign is None:
            raise ValueError("poison_ratio below 1 needs `benign`, the data to dilute with")
        if self.poison_ratio == 1 and self.benign is not None:
            raise ValueError("`benign` is used only with a poison_ratio below 1; leave it out")
        return self


class IdentityShift(FineTuningAttack):
    """A persona that always obeys, without harmful text (Qi et al., arXiv 2310.03693)."""

    method: Literal["identity_shift"]


class BenignFinetuning(FineTuningAttack):
    """Ordinary data only, which may erode safety as well (Qi et al., arXiv 2310.03693)."""

    method: Literal["benign_finetuning"]


Attack = Annotated[
    NoAttack | HarmfulFinetuning | IdentityShift | BenignFinetuning, Field(discriminator="method")
]
