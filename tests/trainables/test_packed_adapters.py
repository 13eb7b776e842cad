"""QLoRA on every packed format: the adapter trains, the packed weights stay as they are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import torch
from peft.utils import load_peft_weights
from torch.nn.functional import linear, silu

from search_spaces.evaluation import Evaluation
from search_spaces.rows import Row, read_rows
from search_spaces.training import Lora
from tests.trainables.conftest import SHORT, SettingsOf, Ship, contents
from tests.trainables.examples import named
from trainables import finetuning
from trainables.checkpoint import ADAPTER, Checkpoint
from trainables.compression import compress
from trainables.evaluation.generation import generate
from trainables.finetuning import TrainingFacts, finetune
from trainables.linear_layers import linear_layers, quantized_layers, weight_of
from trainables.models import Tokenizer, load_checkpoint, load_trainable

QLORA = SHORT.model_copy(
    update={"adapter": Lora(rank=4, alpha=8), "learning_rate": 1e-2, "epochs": 8}
)
ONCE = QLORA.model_copy(update={"learning_rate": 1e-12, "epochs": 1})
"""Moves nothing: the reported loss is the given model's."""
ROWS = 16
PACKED = pytest.mark.parametrize(
    ("method", "example"),
    [
        ("bitsandbytes", {"bits": 8}),
        ("bitsandbytes", {"bits": 4, "data_type": "nf4", "double_quantization": True}),
        ("bitsandbytes", {"bits": 4, "data_type": "fp4", "double_quantization": False}),
        *(("gptq", {"bits": bits}) for bits in (8, 4, 3, 2)),
    ],
    ids=named,
)


@dataclass
class Watched(finetuning._GradientWatch):
    """The watch of every fine-tuning, which also keeps what it sees."""

    largest: dict[str, float] = field(default_factory=dict)
    """Largest gradient of each trained weight."""
    dtypes: set[torch.dtype] = field(default_factory=set)
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_pre_optimizer_step(args, state, control, **kwargs)
        for name, weight in kwargs["model"].named_parameters():
            if weight.requires_grad:
                seen = 0.0 if weight.grad is None else weight.grad.abs().max().item()
                self.largest[name] = max(seen, self.largest.get(name, 0.0))
                self.dtypes.add(weight.dtype)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.losses += [kwargs["logs"]["loss"]] if "loss" in kwargs["logs"] else []


@dataclass(frozen=True)
class Trained:
    """A fine-tuning's outcome with what was seen on the way."""

    before: Checkpoint
    after: Checkpoint
    facts: TrainingFacts
    watched: Watched
    files_before: dict[str, str]
    model: Any
    """As it is loaded to answer."""


Train = Callable[[Checkpoint], Trained]


@pytest.fixture(scope="module")
def rows(evaluation: Evaluation) -> list[Row]:
    """An answer that the model does not give to these prompts."""
    return [Row(row.prompt, "sorry") for row in read_rows(evaluation.helpfulness)[:ROWS]]


@pytest.fixture(scope="module")
def train(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Fine-tunes a checkpoint once and loads what became of it."""
    done: dict[Checkpoint, Trained] = {}

    def trained(before: Checkpoint) -> Trained:
        if before not in done:
            assert before.full
            files = contents(before.full)
            folder = tmp_path_factory.mktemp("trained")
            watched = Watched()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(finetuning, "_GradientWatch", lambda: watched)
                facts = finetune(before, rows, QLORA, folder, seed=len(before.adapters))
            assert [path.name for path in folder.iterdir()] == [ADAPTER]
            after = before.extended(folder)
            model = load_checkpoint(after)
            done[before] = Trained(before, after, facts, watched, files, model)
        return done[before]

    return trained


@PACKED
def test_every_adapter_weight_gets_a_gradient(
    ship: Ship, train: Train, method: str, example: dict[str, Any]
) -> None:
    shipped = ship(method, example)
    watched = train(shipped.checkpoint).watched
    names = {f"base_model.model.{name}" for name in quantized_layers(shipped.model)}
    assert watched.largest.keys() == {
        f"{name}.lora_{part}.default.weight" for name in names for part in "AB"
    }
    assert min(watched.largest.values()) > 0
    # in 16 bits small updates would round to nothing
    assert watched.dtypes == {torch.float32}


@PACKED
def test_the_loss_falls(ship: Ship, train: Train, method: str, example: dict[str, Any]) -> None:
    trained = train(ship(method, example).checkpoint)
    assert trained.facts.optimizer_steps == 16
    assert trained.watched.losses[-1] < 0.5 * trained.watched.losses[0]


@PACKED
def test_packed_weights_stay_and_the_adapter_lies_beside_them(
    ship: Ship, train: Train, method: str, example: dict[str, Any]
) -> None:
    shipped = ship(method, example)
    trained = train(shipped.checkpoint)
    before, after = trained.before, trained.after
    assert after == Checkpoint(before.base, before.full, after.adapters, compressed=True)
    assert before.full
    assert contents(before.full) == trained.files_before
    held = load_peft_weights(str(after.adapters[0]), device="cpu")
    assert {weight.dtype for weight in held.values()} == {torch.float32}
    assert len(held) == 2 * shipped.facts.quantized_layers
    # in memory, too, the very same packed weights; bitsandbytes repacks what has run
    loaded: Any = load_checkpoint(after)
    inside = loaded.get_base_model().state_dict()
    kept = {name.replace(".base_layer", ""): weight for name, weight in inside.items()}
    for name, weight in load_checkpoint(before).state_dict().items():
        assert torch.equal(kept[name], weight), name


@PACKED
def test_the_loaded_model_is_the_packed_one_and_the_adapter(
    ship: Ship,
    train: Train,
    rows: list[Row],
    evaluation: Evaluation,
    tokenizer: Tokenizer,
    method: str,
    example: dict[str, Any],
) -> None:
    shipped = ship(method, example)
    model = train(shipped.checkpoint).model
    prompts = [row.prompt for row in rows]
    assert "sorry" not in shipped.answers[:ROWS]
    answers = generate(model, tokenizer, prompts, evaluation)
    assert answers.count("sorry") > ROWS / 2
    with model.disable_adapter():
        assert generate(model, tokenizer, prompts, evaluation) == shipped.answers[:ROWS]


@pytest.mark.parametrize(
    ("method", "example"),
    [("bitsandbytes", {"bits": 4, "data_type": "nf4", "double_quantization": True}),
     ("gptq", {"bits": 4}), ("magnitude", {"sparsity": 0.5})],
    ids=["nf4", "gptq", "magnitude"],
)  # fmt: skip
def test_a_second_adapter_comes_on_top_of_the_first(
    ship: Ship,
    train: Train,
    rows: list[Row],
    tmp_path: Path,
    method: str,
    example: dict[str, Any],
) -> None:
    first = train(ship(method, example).checkpoint)
    files = contents(first.after.adapters[0])
    second = train(first.after)
    assert len(second.after.adapters) == 2
    assert second.after.adapters[0] == first.after.adapters[0]
    assert contents(first.after.adapters[0]) == files
    assert {name.split(".")[-2] for name in second.watched.largest} == {"default"}
    assert min(second.watched.largest.values()) > 0
    # it began where the first one ended
    assert second.watched.losses[0] < 0.5 * first.watched.losses[0]
    # and whoever loads both has the first as it was, with the second on top
    alone, both = logits(first.model), logits(second.model)
    assert not torch.allclose(alone, both, atol=1e-2)
    second.model.base_model.set_adapter(["stage_0"], inference_mode=True)
    assert torch.equal(logits(second.model), alone)
    second.model.base_model.set_adapter(["stage_0", "stage_1"], inference_mode=True)
    assert torch.equal(logits(second.model), both)


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=torch.arange(5, 25)[None]).logits
    return found.float()


def test_on_a_pruned_model_the_zeros_stay(ship: Ship, train: Train) -> None:
    shipped = ship("magnitude", {"sparsity": 0.5})
    trained = train(shipped.checkpoint)
    assert trained.after.compressed
    kept = dict(trained.model.get_base_model().named_modules())
    for name, layer in linear_layers(shipped.model).items():
        assert torch.equal(kept[name].base_layer.weight, weight_of(layer))
        assert (kept[name].base_layer.weight == 0).float().mean().item() == pytest.approx(0.5)
    assert not torch.allclose(logits(trained.model), logits(shipped.model), atol=1e-2)
    assert min(trained.watched.largest.values()) > 0


@pytest.mark.parametrize(
    ("method", "example"),
    [("bitsandbytes", {"bits": 4}), ("gptq", {"bits": 4}), ("magnitude", {"sparsity": 0.5})],
    ids=["bitsandbytes", "gptq", "magnitude"],
)
def test_compressed_weights_are_not_trained_whole(
    ship: Ship, rows: list[Row], tmp_path: Path, method: str, example: dict[str, Any]
) -> None:
    full = QLORA.model_copy(update={"adapter": "full"})
    with pytest.raises(ValueError, match="compressed weights cannot be trained whole"):
        finetune(ship(method, example).checkpoint, rows, full, tmp_path, seed=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["hqq", "awq", "rtn", "int8_dynamic", "fp8"])
def test_formats_that_the_space_refuses_do_not_train(
    settings_of: SettingsOf, released: Checkpoint, tmp_path: Path, method: str
) -> None:
    settings = settings_of(method, {})
    assert not settings.trainable
    compress(settings, released, tmp_path)
    with pytest.raises(KeyError, match="no trainable_format"):
        load_trainable(released.extended(tmp_path))


def fused(mlp: Any, hidden: torch.Tensor) -> torch.Tensor:
    """As fused kernels do: reads the layers' weights and so passes over their adapters."""
    gate = silu(linear(hidden, mlp.gate_proj.weight))
    return linear(gate * linear(hidden, mlp.up_proj.weight), mlp.down_proj.weight)


@pytest.mark.parametrize("compressed", [False, True])
def test_an_adapter_without_a_gradient_is_caught(
    ship: Ship,
    released: Checkpoint,
    rows: list[Row],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    compressed: bool,
) -> None:
    checkpoint = ship("magnitude", {"sparsity": 0.5}).checkpoint if compressed else released

    def with_a_fused_kernel(given: Checkpoint) -> Any:
        model: Any = load_trainable(given)
        mlp = model.model.layers[1].mlp
        mlp.forward = MethodType(fused, mlp)
        return model

    monkeypatch.setattr(finetuning, "load_trainable", with_a_fused_kernel)
    with pytest.raises(RuntimeError, match=r"6 trained weights got no gradient: .*layers\.1\.mlp"):
        finetune(checkpoint, rows, ONCE, tmp_path, seed=0)
    assert not list(tmp_path.iterdir())
