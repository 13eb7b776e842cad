"""How a fine-tuning stage trains: LoRA or full, learning rate, epochs, batch."""

from typing import Literal

from pydantic import Field, model_validator

from search_spaces.settings import Settings


class Lora(Settings):
    """A LoRA adapter (Hu et al., arXiv 2106.09685), made by peft."""

    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Names of the modules that get an adapter, such as `q_proj`.

    `all-linear`: every linear layer, or in a known family those that adapters train. For Mamba
    that is `in_proj` alone: kernels pass over adapters on its other layers.
    """


class Training(Settings):
    """Supervised fine-tuning by trl's SFTTrainer."""

    adapter: Lora | Literal["full"] = Lora()
    """LoRA settings, or `full` to train every weight (the checkpoint then holds full weights)."""
    learning_rate: float = Field(default=3e-4, gt=0)
    epochs: int = Field(default=3, ge=1)
    batch_size: int = Field(default=16, ge=1)
    """Examples per optimizer step."""
    device_batch_size: int | None = Field(default=None, ge=1)
    """Examples held on the device at once; `batch_size` is reached by accumulation."""
    max_tokens: int = Field(default=512, ge=8)
    """Longer examples are cut."""
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup_ratio: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    loss_on: Literal["answer", "whole_text"] = "answer"

    @model_validator(mode="after")
    def _accumulates_evenly(self) -> "Training":
        held = self.device_batch_size or self.batch_size
        if held < self.batch_size and self.batch_size % held:
            raise ValueError(
                f"device_batch_size {held} does not divide batch_size {self.batch_size}"
            )
        return self
