"""Supervised fine-tuning of a checkpoint by trl's SFTTrainer, the core of every training stage."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

from search_spaces.families import family_of
from search_spaces.rows import Row
from search_spaces.training import Lora, Training
from trainables.checkpoint import ADAPTER, FULL, Checkpoint
from trainables.models import load_tokenizer, load_trainable, ships_as_it_is
from trainables.packed_adapters import save_new_adapter, with_new_adapter

SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}


@dataclass(frozen=True)
class TrainingFacts:
    """What a training stage reports."""

    examples: int
    optimizer_steps: int
    final_loss: float | None
    """Mean loss over the last epoch's logged steps; None when nothing was trained."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the stage's file."""
        return asdict(self)


UNTRAINED = TrainingFacts(examples=0, optimizer_steps=0, final_loss=None)


def finetune(
    checkpoint: Checkpoint, rows: Sequence[Row], training: Training, folder: Path, seed: int
) -> TrainingFacts:
    """Fine-tune on the rows and write the new adapter (or full weights) under `folder`.

    The loss covers the answer only unless the settings say otherwise; the chat template is the
    one that evaluation uses. On compressed weights the adapter is trained as QLoRA does (Dettmers
    et al., arXiv 2305.14314). Raises RuntimeError if a trained weight never got a gradient.
    """
    set_seed(seed)
    adapter = training.adapter if isinstance(training.adapter, Lora) else None
    model: Any = load_trainable(checkpoint)
    compressed = ships_as_it_is(checkpoint)
    if compressed:
        if adapter is None:
            raise ValueError("compressed weights cannot be trained whole; give LoRA settings")
        model = with_new_adapter(model, _lora(adapter, model))
    elif adapter is None:
        # merging an adapter froze the weights; and in 16 bits most updates would round to nothing
        model.float().requires_grad_(True)
    with TemporaryDirectory() as scratch:
        trainer: Any = SFTTrainer(
            model=model,
            args=_arguments(training, scratch, seed),
            train_dataset=_dataset(rows, training),
            processing_class=load_tokenizer(checkpoint.base),
            peft_config=_lora(adapter, model) if adapter and not compressed else None,
            callbacks=[gradients := _GradientWatch()],
        )
        if compressed:
            # trl casts trained weights to 16 bits, where small updates would round to nothing
            for weight in filter(attrgetter("requires_grad"), trainer.model.parameters()):
                weight.data = weight.data.float()
        trainer.train()
        gradients.check()
        if adapter is None:
            trainer.model.to(getattr(torch, checkpoint.base.dtype))
        if compressed:
            save_new_adapter(trainer.model, folder / ADAPTER)
        else:
            trainer.model.save_pretrained(folder / (ADAPTER if adapter else FULL))
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    if losses and not math.isfinite(losses[-1]):
        raise RuntimeError(f"training diverged: the last loss is {losses[-1]}")
    if len(trainer.train_dataset) != len(rows):
        raise RuntimeError(
            f"{len(rows) - len(trainer.train_dataset)} of {len(rows)} rows hold no answer within "
            f"max_tokens {training.max_tokens}; raise it"
        )
    return TrainingFacts(
        examples=len(rows),
        optimizer_steps=trainer.state.global_step,
        final_loss=losses[-1] if losses else None,
    )


def _dataset(rows: Sequence[Row], training: Training) -> Dataset:
    turns = [
        (
            [{"role": "user", "content": row.prompt}],
            [{"role": "assistant", "content": row.answer or ""}],
        )
        for row in rows
    ]
    if training.loss_on == "whole_text":
        return Dataset.from_dict({"messages": [prompt + answer for prompt, answer in turns]})
    prompts, answers = zip(*turns, strict=True)
    return Dataset.from_dict({"prompt": list(prompts), "completion": list(answers)})


def _arguments(training: Training, scratch: str, seed: int) -> SFTConfig:
    on_device = min(training.device_batch_size or training.batch_size, training.batch_size)
    arguments = SFTConfig(
        output_dir=scratch,
        num_train_epochs=training.epochs,
        per_device_train_batch_size=on_device,
        gradient_accumulation_steps=max(1, training.batch_size // on_device),
        learning_rate=training.learning_rate,
        lr_scheduler_type=SCHEDULES[training.schedule],
        warmup_steps=training.warmup_ratio,  # below 1, a share of all steps
        weight_decay=training.weight_decay,
        max_length=training.max_tokens,
        gradient_checkpointing=torch.cuda.is_available(),
        bf16=torch.cuda.is_available() and training.adapter == "full",
        use_cpu=not torch.cuda.is_available(),
        seed=seed,
        data_seed=seed,
        logging_strategy="epoch",
        logging_nan_inf_filter=False,  # or a loss that is no number would be left out of the log
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    # more visible GPUs would multiply the batch, and so change the result
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _lora(adapter: Lora, model: Any) -> LoraConfig:
    targets = adapter.targets if isinstance(adapter.targets, str) else list(adapter.targets)
    family = family_of(model.config.model_type)
    if adapter.targets == "all-linear" and family is not None:
        # peft's own list holds layers that a fused kernel passes over, and no packed ones
        targets = list(family.lora_targets)
    return LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,  # type: ignore[arg-type]  # peft scales by a float as well
        lora_dropout=adapter.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


class _GradientWatch(TrainerCallback):
    """Notes which trained weights got a gradient: a fused kernel can skip an adapter silently."""

    def __init__(self) -> None:
        self._missing: set[str] | None = None

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        named = kwargs["model"].named_parameters()
        without = {name for name, weight in named if weight.requires_grad and weight.grad is None}
        self._missing = without if self._missing is None else self._missing & without

    def check(self) -> None:
        """Raise RuntimeError for weights that were to be trained and never got a gradient."""
        if self._missing:
            names = ", ".join(sorted(self._missing)[:3])
            raise RuntimeError(f"{len(self._missing)} trained weights got no gradient: {names}")
