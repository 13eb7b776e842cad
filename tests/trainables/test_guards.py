"""Each guard is fed a compression that does nothing, or half of it, and catches it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gptqmodel.quantization.gptq import GPTQ

from search_spaces.compressions import BitsAndBytes, Magnitude, Step
from search_spaces.sources import ModelSource
from tests.trainables.conftest import SettingsOf
from tests.trainables.examples import cases, named
from trainables import compression
from trainables.checkpoint import Checkpoint
from trainables.compression import compress
from trainables.compressions import bitsandbytes, guards, magnitude
from trainables.compressions.guards import NotCompressed
from trainables.linear_layers import inputs_last, linear_layers, quantized_layers
from trainables.models import load_model

Method = Callable[[Any, Path, ModelSource, Path], None]
Instead = Callable[[Method], None]


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Instead:
    """Puts a function in the place of every compression of the catalog."""

    def replace(method: Method) -> None:
        monkeypatch.setattr(compression, "verb", lambda kind, name: method)

    return replace


def nothing(settings: Step, dense: Path, source: ModelSource, folder: Path) -> None:
    """A library call that silently did nothing."""
    shutil.copytree(dense, folder)


@pytest.mark.parametrize(
    ("method", "example"), [c for c in cases("compression") if c[0] != "none"], ids=named
)
def test_a_compression_that_does_nothing_is_caught(
    instead: Instead,
    settings_of: SettingsOf,
    released: Checkpoint,
    tmp_path: Path,
    method: str,
    example: dict[str, Any],
) -> None:
    instead(nothing)
    with pytest.raises(NotCompressed, match=f"^{method}: "):
        compress(settings_of(method, example), released, tmp_path)
    assert not (tmp_path / "weights").exists()


def test_a_second_step_that_does_nothing_is_caught(
    monkeypatch: pytest.MonkeyPatch, released: Checkpoint, tmp_path: Path
) -> None:
    from search_spaces.compressions import Stacked

    settings = Stacked.model_validate(
        {
            "method": "stacked",
            "steps": [{"method": "magnitude"}, {"method": "bitsandbytes", "bits": 4}],
        }
    )
    by_name: dict[str, Method] = {"magnitude": magnitude.compress, "bitsandbytes": nothing}
    monkeypatch.setattr(compression, "verb", lambda kind, name: by_name[name])
    with pytest.raises(NotCompressed, match=r"^bitsandbytes: 14 of 14 linear layers"):
        compress(settings, released, tmp_path)


def pruned_but(change: Callable[[torch.Tensor], None]) -> Method:
    """Magnitude pruning after which one layer is changed."""

    def method(settings: Magnitude, dense: Path, source: ModelSource, folder: Path) -> None:
        magnitude.compress(settings, dense, source, folder)
        model = load_model(folder, source.dtype)
        *_, last = linear_layers(model).values()
        change(inputs_last(last).data)
        model.save_pretrained(folder)

    return method


def fill(weight: torch.Tensor) -> None:
    weight[weight == 0] = 0.01


def move_a_zero(weight: torch.Tensor) -> None:
    """As many zeros as before, but one group of four has three and another one."""
    weight[0, :4] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    weight[0, 4:8] = torch.tensor([0.0, 1.0, 1.0, 1.0])


def test_one_layer_without_zeros_is_caught(
    instead: Instead, released: Checkpoint, tmp_path: Path
) -> None:
    instead(pruned_but(fill))
    with pytest.raises(
        NotCompressed, match=r"0\.000 of the weights of .*down_proj are 0, not 0\.5"
    ):
        compress(Magnitude(method="magnitude", sparsity=0.5), released, tmp_path)


def test_a_broken_pattern_is_caught(instead: Instead, released: Checkpoint, tmp_path: Path) -> None:
    instead(pruned_but(move_a_zero))
    with pytest.raises(NotCompressed, match=r"a group of 4 weights of .* has 1 zeros, .* not 2:4"):
        compress(Magnitude(method="magnitude", pattern="2:4"), released, tmp_path)


def test_other_bits_than_asked_for_are_caught(
    instead: Instead, released: Checkpoint, tmp_path: Path
) -> None:
    def four(settings: BitsAndBytes, dense: Path, source: ModelSource, folder: Path) -> None:
        bitsandbytes.compress(settings.model_copy(update={"bits": 4}), dense, source, folder)

    instead(four)
    with pytest.raises(NotCompressed, match="has 4 bits, not 8"):
        compress(BitsAndBytes(method="bitsandbytes", bits=8), released, tmp_path)


def test_a_layer_left_dense_is_caught(
    instead: Instead,
    monkeypatch: pytest.MonkeyPatch,
    released: Checkpoint,
    tmp_path: Path,
) -> None:
    instead(bitsandbytes.compress)
    monkeypatch.setattr(bitsandbytes, "dense_layers", lambda family: ("lm_head", "v_proj"))
    with pytest.raises(NotCompressed, match=r"2 of 14 linear layers were not quantized: .*v_proj"):
        compress(BitsAndBytes(method="bitsandbytes", bits=4), released, tmp_path)


def test_a_head_that_was_quantized_is_caught(
    instead: Instead,
    monkeypatch: pytest.MonkeyPatch,
    released: Checkpoint,
    tmp_path: Path,
) -> None:
    def with_more(model: Any) -> dict[str, int]:
        return quantized_layers(model) | ({"lm_head": 4} if quantized_layers(model) else {})

    monkeypatch.setattr(guards, "quantized_layers", with_more)
    instead(bitsandbytes.compress)
    with pytest.raises(NotCompressed, match="lm_head should have stayed dense"):
        compress(BitsAndBytes(method="bitsandbytes", bits=4), released, tmp_path)


def test_outputs_that_did_not_change_are_caught(
    instead: Instead, released: Checkpoint, tmp_path: Path
) -> None:
    # all weights were zero before, so that nothing but the outputs can tell
    zeros = tmp_path / "zeros"
    model = load_model(released.base.path, released.base.dtype)
    for layer in linear_layers(model).values():
        magnitude.prune(inputs_last(layer).data, 0.5)
    model.save_pretrained(zeros)
    shutil.copy(Path(released.base.path) / "tokenizer.json", zeros)
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(Path(released.base.path) / name, zeros)
    instead(nothing)
    pruned = Checkpoint(released.base.model_copy(update={"path": str(zeros)}))
    with pytest.raises(NotCompressed, match="answers exactly as before"):
        compress(Magnitude(method="magnitude", sparsity=0.5), pruned, tmp_path)


def test_outputs_that_are_not_finite_are_caught(
    instead: Instead, released: Checkpoint, tmp_path: Path
) -> None:
    def broken(settings: Magnitude, dense: Path, source: ModelSource, folder: Path) -> None:
        magnitude.compress(settings, dense, source, folder)
        model = load_model(folder, source.dtype)
        model.model.norm.weight.data.fill_(float("nan"))
        model.save_pretrained(folder)

    instead(broken)
    with pytest.raises(NotCompressed, match="not finite"):
        compress(Magnitude(method="magnitude", sparsity=0.5), released, tmp_path)


def test_what_is_compressed_already_is_not_compressed_again(
    released: Checkpoint, tmp_path: Path
) -> None:
    (tmp_path / "first").mkdir()
    compress(BitsAndBytes(method="bitsandbytes", bits=4), released, tmp_path / "first")
    with pytest.raises(NotCompressed, match="compressed already"):
        compress(
            BitsAndBytes(method="bitsandbytes", bits=8),
            released.extended(tmp_path / "first"),
            tmp_path,
        )


def test_gptq_that_only_rounded_is_caught(
    monkeypatch: pytest.MonkeyPatch, settings_of: SettingsOf, released: Checkpoint, tmp_path: Path
) -> None:
    # what gptqmodel finds where a Hessian cannot be inverted; it then rounds and says nothing
    monkeypatch.setattr(GPTQ, "hessian_inverse", lambda self, hessian: (None, 1.0))
    with pytest.raises(RuntimeError, match="14 layers could not be solved and were only rounded"):
        compress(settings_of("gptq", {"bits": 4}), released, tmp_path)
