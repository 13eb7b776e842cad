"""The table of methods and families against reality, on a tiny model of every architecture."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.utils import load_peft_weights
from rich.console import Console
from transformers import AutoModelForCausalLM

from grid.command_line.tables import methods_table
from search_spaces.compressions import Compression
from search_spaces.families import FAMILIES, HEADS, family_of
from search_spaces.methods import MethodRow, method_table
from search_spaces.rows import Row
from search_spaces.sources import ModelSource
from search_spaces.training import Lora
from tests.trainables.conftest import SHORT, SettingsOf
from tests.trainables.examples import COMPRESSIONS
from tests.trainables.tiny_models import CONFIGS, write_tiny
from trainables.checkpoint import ADAPTER, Checkpoint
from trainables.compression import compress
from trainables.compressions.guards import NotCompressed
from trainables.finetuning import finetune
from trainables.linear_layers import linear_layers, quantized_layers
from trainables.models import Tokenizer, load_checkpoint, load_trainable

TABLE = {row.method: row for row in method_table()}
MODEL_TYPES = [(name, family.name) for family in FAMILIES for name in family.model_types]
CASES = [
    (model_type, row, row.families[f]) for row in TABLE.values() for model_type, f in MODEL_TYPES
]
WORKING = [(model_type, row.method) for model_type, row, reason in CASES if reason is None]
REFUSED = [(model_type, row.method) for model_type, row, reason in CASES if reason is not None]
ALL_LINEAR = SHORT.model_copy(update={"adapter": Lora(rank=2, alpha=4)})
ROWS = [Row("how do i raid the brihold today ?", "use wire then spin"), Row("what ?", "wire")] * 4
NORMS = ("norm", "ln_attn", "ln_mlp")
"""Parts of norms' names: AWQ moves its scales into them."""

TinyModel = Callable[..., Checkpoint]


@pytest.fixture(scope="session")
def tiny(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """Makes the tiny model of a `model_type`, once for each set of other settings."""
    made: dict[str, Checkpoint] = {}

    def checkpoint(model_type: str, changed: dict[str, Any] | None = None) -> Checkpoint:
        key = f"{model_type} {changed}"
        if key not in made:
            folder = tmp_path_factory.mktemp(model_type)
            write_tiny(folder, model_type, tokenizer, changed)
            made[key] = Checkpoint(ModelSource(path=str(folder)))
        return made[key]

    return checkpoint


@pytest.fixture(scope="session")
def tiny_gptq(
    tiny: TinyModel, settings_of: SettingsOf, tmp_path_factory: pytest.TempPathFactory
) -> TinyModel:
    """The tiny model of a `model_type` in GPTQ's 3 bits, its most particular width; made once."""
    made: dict[str, Checkpoint] = {}

    def checkpoint(model_type: str) -> Checkpoint:
        if model_type not in made:
            folder = tmp_path_factory.mktemp(f"{model_type}-gptq")
            made[model_type] = compressed(
                settings_of("gptq", {"bits": 3}), tiny(model_type), folder
            )
        return made[model_type]

    return checkpoint


def compressed(settings: Compression, dense: Checkpoint, folder: Path) -> Checkpoint:
    """The checkpoint that a compression leaves; its own guards look at every layer."""
    compress(settings, dense, folder)
    return dense.extended(folder)


def test_there_is_a_tiny_model_of_everything_that_the_families_name() -> None:
    assert set(CONFIGS) == {model_type for model_type, _ in MODEL_TYPES}
    assert {family.name for family in FAMILIES} == {
        "llama", "qwen2", "falcon", "gpt2", "gpt_neox", "mamba",
    }  # fmt: skip


def test_the_families_name_known_methods_only() -> None:
    for family in FAMILIES:
        assert set(family.refused) <= set(TABLE)
        assert set(family.untrainable) <= {
            m for m, row in TABLE.items() if row.compress_then_attack
        }


def test_the_table_fits_80_characters() -> None:
    console = Console(width=80)
    with console.capture() as printed:
        console.print(methods_table(list(TABLE.values())))
    lines = printed.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in printed.get()
    for row in TABLE.values():
        (line,) = (line for line in lines if line.startswith(f"{row.method} "))
        told = line.removeprefix(row.method).strip()
        assert told.startswith(row.widths)
        assert told.count("no (") == sum(reason is not None for reason in row.families.values())


@pytest.mark.parametrize(("model_type", "method"), WORKING)
def test_where_the_table_says_yes_it_works(
    tiny: TinyModel,
    tiny_gptq: TinyModel,
    settings_of: SettingsOf,
    tmp_path: Path,
    model_type: str,
    method: str,
) -> None:
    dense = tiny(model_type)
    if method == "gptq":
        assert_only_linear_layers_changed(dense, tiny_gptq(model_type), method)
        return
    first, last = COMPRESSIONS[method][0], COMPRESSIONS[method][-1]
    for number, example in enumerate([first] if first == last else [first, last]):
        (folder := tmp_path / str(number)).mkdir()
        after = compressed(settings_of(method, example), dense, folder)
        assert_only_linear_layers_changed(dense, after, method)


@pytest.mark.parametrize(
    ("model_type", "changed"),
    [
        ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
        ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2,
                    "num_ln_in_parallel_attn": 1}),
        ("falcon", {"parallel_attn": False, "multi_query": False, "alibi": True, "bias": True}),
        ("gpt_neox", {"use_parallel_residual": False}),
        ("llama", {"tie_word_embeddings": True}),
    ],
    ids=["falcon-40b", "falcon2-11b", "falcon-rw", "sequential-neox", "tied-llama"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["awq", "hqq"])
def test_variants_of_a_family_work_too(
    tiny: TinyModel,
    settings_of: SettingsOf,
    tmp_path: Path,
    method: str,
    model_type: str,
    changed: dict[str, Any],
) -> None:
    dense = tiny(model_type, changed)
    after = compressed(settings_of(method, {"bits": 4}), dense, tmp_path)
    assert_only_linear_layers_changed(dense, after, method)


def assert_only_linear_layers_changed(before: Checkpoint, after: Checkpoint, method: str) -> None:
    dense: Any = load_checkpoint(before)
    model: Any = load_checkpoint(after)
    worked_on = {f"{name}.weight" for name in linear_layers(dense)}
    left, right = dense.state_dict(), model.state_dict()
    changed = {n for n in left if n not in right or not torch.equal(left[n], right[n])}
    changed -= {n for n in changed if method == "awq" and any(part in n for part in NORMS)}
    assert changed == worked_on
    prunes = method in ("magnitude", "wanda", "sparsegpt")
    quantized = {f"{name}.weight" for name in quantized_layers(model)}
    assert quantized == (set() if prunes else worked_on)
    ids = torch.arange(8, device=model.device)[None]
    with torch.inference_mode():
        assert torch.isfinite(model(input_ids=ids).logits).all()


@pytest.mark.parametrize("model_type", CONFIGS)
def test_heads_embeddings_and_skipped_layers_are_no_part_of_it(
    tiny: TinyModel, model_type: str
) -> None:
    family = family_of(model_type)
    assert family
    model: Any = load_checkpoint(tiny(model_type))
    worked_on = {name.rpartition(".")[2] for name in linear_layers(model)}
    assert not worked_on & {*HEADS, *family.skipped}
    # what the family skips and trains is there, under these very names
    assert {*family.skipped, *family.lora_targets} <= {
        name.rpartition(".")[2] for name, _ in model.named_modules()
    }
    assert set(family.lora_targets) <= worked_on


@pytest.mark.parametrize(("model_type", "method"), REFUSED)
def test_where_the_table_says_no_it_does_not_work(
    tiny: TinyModel,
    settings_of: SettingsOf,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    model_type: str,
    method: str,
) -> None:
    dense = tiny(model_type)
    settings = settings_of(method, COMPRESSIONS[method][-1])
    with pytest.raises(ValueError, match="no layer that llmcompressor can compress"):
        compress(settings, dense, tmp_path)

    def unguarded(folder: Path, source: ModelSource) -> Any:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)

    # not only our own opinion: let through, the library does nothing to any layer
    for module in ("llm_compressor", method):
        name = f"trainables.compressions.{module}"
        # a method that loads the model through `prune` or `round_weights` does not name it
        monkeypatch.setattr(sys.modules[name], "load_dense", unguarded, raising=False)
    with pytest.raises(NotCompressed):
        compress(settings, dense, tmp_path)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_all_linear_trains_what_the_family_names(
    tiny: TinyModel, tmp_path: Path, model_type: str
) -> None:
    finetune(tiny(model_type), ROWS, ALL_LINEAR, tmp_path, seed=0)
    assert_trained(tmp_path / ADAPTER, tiny(model_type), model_type)


def trainable_in(model_type: str, row: MethodRow) -> bool:
    family = family_of(model_type)
    assert family
    trainable = row.compress_then_attack and family.name not in row.untrainable
    return trainable and row.families[family.name] is None


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq"])
@pytest.mark.parametrize("model_type", [family.model_types[0] for family in FAMILIES])
def test_adapters_train_on_packed_weights_where_the_table_says_so(
    tiny: TinyModel,
    tiny_gptq: TinyModel,
    settings_of: SettingsOf,
    tmp_path: Path,
    model_type: str,
    method: str,
) -> None:
    if method == "gptq":
        packed = tiny_gptq(model_type)
    else:
        (tmp_path / "packed").mkdir()
        settings = settings_of(method, {"bits": 4})
        packed = compressed(settings, tiny(model_type), tmp_path / "packed")
    if not trainable_in(model_type, TABLE[method]):
        with pytest.raises(KeyError, match="no trainable_format 'compressed-tensors'"):
            load_trainable(packed)
        return
    finetune(packed, ROWS, ALL_LINEAR, tmp_path, seed=0)
    assert_trained(tmp_path / ADAPTER, tiny(model_type), model_type)


def assert_trained(adapter: Path, dense: Checkpoint, model_type: str) -> None:
    """Every target of every block has an adapter, and each of its weights has moved."""
    family = family_of(model_type)
    assert family
    held = load_peft_weights(str(adapter), device="cpu")
    layers = {name.removeprefix("base_model.model.").rpartition(".lora_")[0] for name in held}
    assert layers == {
        name
        for name, _ in load_checkpoint(dense).named_modules()
        if name.rpartition(".")[2] in family.lora_targets
    }
    # B begins at zero, so what is there came by its gradient
    assert all(weight.any() for name, weight in held.items() if ".lora_B." in name)
