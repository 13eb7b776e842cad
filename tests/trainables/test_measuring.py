"""Measures against their definitions: perplexity, bytes in memory, rates."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from search_spaces.compressions import BitsAndBytes, Gptq
from search_spaces.evaluation import Evaluation
from search_spaces.rows import read_rows
from search_spaces.sources import ModelSource
from search_spaces.space import SearchSpace
from trainables.catalog import verb
from trainables.checkpoint import Checkpoint
from trainables.compressions.compressed import Compressed
from trainables.evaluation.efficiency import bits_per_weight, measure_efficiency
from trainables.evaluation.generation import generate
from trainables.evaluation.perplexity import perplexity
from trainables.evaluation.rates import Estimate, rate
from trainables.linear_layers import linear_layers, weight_of
from trainables.models import Tokenizer, load_checkpoint


@pytest.fixture(scope="module")
def model(checkpoint: Checkpoint) -> PreTrainedModel:
    return load_checkpoint(checkpoint)


@pytest.fixture(scope="module")
def texts(evaluation: Evaluation) -> list[str]:
    """Texts of many lengths, so that batches are padded."""
    rows = [row.prompt for row in read_rows(evaluation.perplexity)]
    return [" ".join(text.split()[: 2 + i]) for i, text in enumerate(rows)]


def losses_one_by_one(
    model: PreTrainedModel, tokenizer: Tokenizer, texts: list[str]
) -> list[torch.Tensor]:
    """Each text's token losses without padding or batches."""
    losses = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0]
        losses.append(cross_entropy(logits[:-1], ids[0, 1:], reduction="none"))
    return losses


def test_perplexity_is_that_of_one_text_at_a_time(
    model: PreTrainedModel, tokenizer: Tokenizer, texts: list[str], evaluation: Evaluation
) -> None:
    assert len({len(text.split()) for text in texts}) > 5
    losses = losses_one_by_one(model, tokenizer, texts)
    expected = math.exp(torch.cat(losses).mean().item())
    found = perplexity(model, tokenizer, texts, evaluation)
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert found.n == len(texts)


@pytest.mark.parametrize("batch_size", [1, 5, 7])
def test_perplexity_does_not_depend_on_batches(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    texts: list[str],
    evaluation: Evaluation,
    batch_size: int,
) -> None:
    whole = perplexity(model, tokenizer, texts, evaluation)
    batched = evaluation.model_copy(update={"batch_size": batch_size})
    found = asdict(perplexity(model, tokenizer, texts, batched))
    assert found == pytest.approx(asdict(whole), rel=1e-4)


def test_perplexity_error_is_that_of_resampled_texts(
    model: PreTrainedModel, tokenizer: Tokenizer, texts: list[str], evaluation: Evaluation
) -> None:
    losses = losses_one_by_one(model, tokenizer, texts)
    sums = torch.stack([loss.sum() for loss in losses]).double()
    counts = torch.tensor([len(loss) for loss in losses]).double()
    drawn = torch.randint(
        len(losses), (4000, len(losses)), generator=torch.Generator().manual_seed(0)
    )
    resampled = (sums[drawn].sum(1) / counts[drawn].sum(1)).exp().std().item()
    found = perplexity(model, tokenizer, texts, evaluation)
    assert found.se == pytest.approx(resampled, rel=0.25)


def test_texts_are_cut_at_max_tokens(
    model: PreTrainedModel, tokenizer: Tokenizer, evaluation: Evaluation
) -> None:
    row = read_rows(evaluation.perplexity)[0].prompt
    long = f"{row} {row}"
    ids = tokenizer(long)["input_ids"]
    assert len(ids) > 8
    cut = evaluation.model_copy(update={"max_tokens": 8})
    found = perplexity(model, tokenizer, [long], cut)
    (loss,) = losses_one_by_one(model, tokenizer, [str(tokenizer.decode(ids[:8]))])
    assert found.value == pytest.approx(math.exp(loss.mean().item()), rel=1e-4)


def test_perplexity_that_is_no_number_is_null(
    checkpoint: Checkpoint, tokenizer: Tokenizer, texts: list[str], evaluation: Evaluation
) -> None:
    broken = load_checkpoint(checkpoint)
    with torch.no_grad():
        next(iter(broken.parameters())).fill_(math.nan)
    assert perplexity(broken, tokenizer, texts, evaluation) == Estimate(None, len(texts), None)
    assert perplexity(broken, tokenizer, [], evaluation) == Estimate(None, 0, None)


def test_dense_bytes_are_those_of_the_parameters(
    model: PreTrainedModel, dense: Path, nano: SearchSpace
) -> None:
    cost = measure_efficiency(Compressed(model, dense, "dense", 0.0), exclusive=False)
    parameters = sum(p.numel() * p.element_size() for p in model.parameters())
    buffers = sum(b.numel() * b.element_size() for b in model.buffers())
    assert parameters <= cost.weights_bytes_loaded <= parameters + 2 * buffers
    assert cost.bits_per_weight == 32


def hidden_bytes(layer: Any) -> int:
    """Bytes of an NF4 layer's scales and code books, by hand."""
    state = layer.weight.quant_state
    held = [state.absmax, state.code, state.offset]  # an offset stays when scales are unpacked
    if state.nested:
        held += [state.state2.absmax, state.state2.code]
    return sum(tensor.numel() * tensor.element_size() for tensor in held if tensor is not None)


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("after_forward", [True, False])
def test_nf4_counts_its_scales(
    dense: Path,
    model_source: ModelSource,
    tokenizer: Tokenizer,
    evaluation: Evaluation,
    tmp_path: Path,
    double: bool,
    after_forward: bool,
) -> None:
    settings = BitsAndBytes(method="bitsandbytes", bits=4, double_quantization=double)
    shipped = verb("compression", "bitsandbytes")(settings, dense, model_source, tmp_path, 0)
    if after_forward:
        generate(shipped.model, tokenizer, ["how ?"], evaluation)
    layers = [m for m in shipped.model.modules() if isinstance(m, Linear4bit)]
    packed = sum(weight_of(m).numel() * weight_of(m).element_size() for m in layers)
    hidden = sum(hidden_bytes(layer) for layer in layers)
    weights = sum(layer.in_features * layer.out_features for layer in layers)
    assert packed == weights // 2
    assert hidden > packed / 50
    assert bits_per_weight(shipped.model) == pytest.approx(8 * (packed + hidden) / weights)
    cost = measure_efficiency(shipped, exclusive=False)
    others = sum(
        p.numel() * p.element_size()
        for name, p in shipped.model.named_parameters()
        if "_proj" not in name
    )
    assert cost.weights_bytes_loaded >= packed + hidden + others


@pytest.mark.parametrize("after_forward", [True, False])
def test_int8_counts_its_scales(
    dense: Path,
    model_source: ModelSource,
    tokenizer: Tokenizer,
    evaluation: Evaluation,
    tmp_path: Path,
    after_forward: bool,
) -> None:
    settings = BitsAndBytes(method="bitsandbytes", bits=8)
    shipped = verb("compression", "bitsandbytes")(settings, dense, model_source, tmp_path, 0)
    if after_forward:
        generate(shipped.model, tokenizer, ["how ?"], evaluation)
    layers = [m for m in shipped.model.modules() if isinstance(m, Linear8bitLt)]
    weights = sum(layer.in_features * layer.out_features for layer in layers)
    scales = sum(4 * layer.out_features for layer in layers)
    by_hand = 8 * (weights + scales) / weights
    found = bits_per_weight(shipped.model)
    assert found is not None
    assert by_hand <= found < by_hand + 0.05


def test_gptq_counts_its_scales_zeros_and_order(
    nano: SearchSpace, dense: Path, model_source: ModelSource, tmp_path: Path
) -> None:
    settings = next(c for c in nano.compressions if isinstance(c, Gptq) and c.bits == 4)
    shipped = verb("compression", "gptq")(settings, dense, model_source, tmp_path, 0)
    held = {n: t for n, t in shipped.model.state_dict().items() if "_proj." in n}
    assert {"qweight", "scales"} <= {name.rpartition(".")[2] for name in held}
    total = sum(tensor.numel() * tensor.element_size() for tensor in held.values())
    weights = sum(
        weight_of(layer).numel()
        for layer in linear_layers(load_checkpoint(Checkpoint(model_source))).values()
    )
    found = bits_per_weight(shipped.model)
    assert found is not None
    assert 8 * total / weights <= found <= 8 * total / weights + 0.5


def test_bits_per_weight_of_a_model_without_linear_layers_is_null() -> None:
    assert bits_per_weight(nn.Embedding(4, 4)) is None


@given(outcomes=st.lists(st.booleans(), max_size=300))
@example(outcomes=[])
@example(outcomes=[True])
def test_rate_is_a_share_with_its_standard_error(outcomes: list[bool]) -> None:
    found = rate(iter(outcomes))
    n = len(outcomes)
    assert found.n == n
    if n == 0:
        assert found == Estimate(None, 0, None)
        return
    assert found.value is not None
    assert found.se is not None
    assert found.value * n == pytest.approx(outcomes.count(True))
    # the sample's standard deviation by its own definition, over sqrt(n)
    deviations = sum((outcome - found.value) ** 2 for outcome in outcomes)
    assert found.se == pytest.approx(math.sqrt(deviations / n) / math.sqrt(n))
    opposite = rate(not outcome for outcome in outcomes)
    assert opposite.value == pytest.approx(1 - found.value)
    assert opposite.se == pytest.approx(found.se)
