"""A space expands to one cell for every combination of its factors."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from search_spaces.attacks import Attack, IdentityShift, NoAttack
from search_spaces.cells import compressions, expand
from search_spaces.compressions import (
    BitsAndBytes,
    Calibration,
    Compression,
    Gptq,
    Magnitude,
    NoCompression,
    SparseGpt,
    Stacked,
    calibrations_of,
    with_calibration_seed,
)
from search_spaces.evaluation import Evaluation
from search_spaces.safety_tuning import SafetyTuning
from search_spaces.sources import DataSource, ModelSource
from search_spaces.space import Order, SearchSpace
from tests.search_spaces.conftest import ROWS, SpaceFile

DATA = DataSource(path="/data/rows.json")
UNSEEDED = Calibration(data=(DATA,), samples=1)
SEEDED = Calibration(data=(DATA,), samples=1, seed=100)
ORDERS: tuple[Order, ...] = ("attack_then_compress", "compress_then_attack")
ATTACKS: tuple[Attack, ...] = (
    NoAttack(),
    *(IdentityShift(method="identity_shift", data=DATA, examples=n) for n in (1, 2)),
)


def gptq(calibration: Calibration) -> Gptq:
    return Gptq(method="gptq", bits=4, calibration=calibration)


def sparsegpt(calibration: Calibration) -> SparseGpt:
    return SparseGpt(method="sparsegpt", calibration=calibration)


COMPRESSIONS: tuple[Compression, ...] = (
    NoCompression(),
    BitsAndBytes(method="bitsandbytes", bits=4),
    Magnitude(method="magnitude"),
    gptq(UNSEEDED),
    gptq(SEEDED),
    sparsegpt(UNSEEDED),
    Stacked(method="stacked", steps=(Magnitude(method="magnitude"), gptq(UNSEEDED))),
    Stacked(method="stacked", steps=(sparsegpt(SEEDED), gptq(UNSEEDED))),
    Stacked(method="stacked", steps=(sparsegpt(SEEDED), gptq(SEEDED))),
)


def some(values: Sequence[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Some of the values, each once, in any order."""
    return st.lists(st.sampled_from(range(len(values))), min_size=1, unique=True).map(
        lambda chosen: tuple(values[i] for i in chosen)
    )


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    return space_of(
        draw(some(ATTACKS)), draw(some(COMPRESSIONS)), draw(some(ORDERS)), draw(some(range(4)))
    )


def space_of(
    attacks: tuple[Attack, ...],
    compressions: tuple[Compression, ...],
    orders: tuple[Order, ...],
    calibration_seeds: tuple[int, ...],
) -> SearchSpace:
    return SearchSpace(
        name="random",
        model=ModelSource(path="/models/tiny"),
        safety_tuning=SafetyTuning(instructions=DATA, safety={}, doses=(0,)),
        attacks=attacks,
        compressions=compressions,
        orders=orders,
        calibration_seeds=calibration_seeds,
        evaluation=Evaluation(helpfulness=DATA, harmful=DATA, borderline=DATA, perplexity=DATA),
    )


def awaits_seed(compression: Compression) -> bool:
    return any(calibration.seed is None for calibration in calibrations_of(compression))


@given(spaces())
def test_calibrated_once_a_seed_and_others_once(space: SearchSpace) -> None:
    expanded = compressions(space)
    repeated = sum(map(awaits_seed, space.compressions))
    once = len(space.compressions) - repeated
    assert len(expanded) == once + repeated * len(space.calibration_seeds)
    assert len(set(expanded)) == len(expanded)
    assert not any(map(awaits_seed, expanded))
    for written in space.compressions:
        own = [with_calibration_seed(written, seed) for seed in space.calibration_seeds]
        assert [c for c in expanded if c in own] == list(dict.fromkeys(own))


@given(st.sampled_from(COMPRESSIONS), st.integers(0, 50), st.integers(0, 50))
def test_a_seed_is_given_only_where_none_is(compression: Compression, one: int, two: int) -> None:
    seeded = with_calibration_seed(compression, one)
    assert with_calibration_seed(seeded, two) == seeded
    before, after = calibrations_of(compression), calibrations_of(seeded)
    assert [c.seed for c in after] == [one if c.seed is None else c.seed for c in before]
    assert [c.model_copy(update={"seed": None}) for c in after] == [
        c.model_copy(update={"seed": None}) for c in before
    ]
    assert (seeded == compression) == (not awaits_seed(compression))


@given(spaces())
@example(space_of(ATTACKS, (NoCompression(),), ("compress_then_attack",), (0,)))
@example(space_of((NoAttack(),), COMPRESSIONS, ("compress_then_attack",), (0,)))
def test_both_orders_of_nothing_are_one_cell(space: SearchSpace) -> None:
    """Without an attack or a compression there is no order, and the cell stands once."""
    cells = expand(space)
    assert len(set(cells)) == len(cells)
    combinations = set(product(space.attacks, compressions(space)))
    orders: dict[object, set[Order]] = {}
    for cell in cells:
        orders.setdefault((cell.attack, cell.compression), set()).add(cell.order)
    assert set(orders) == combinations
    for attack, compression in combinations:
        matters = attack.method != "none" and compression.method != "none"
        expected = set(space.orders) if matters else {"attack_then_compress"}
        assert orders[attack, compression] == expected


def test_every_combination_once(space: SpaceFile) -> None:
    space.settings["seeds"] = [0, 7]
    loaded = space.load()
    cells = expand(loaded)
    seen = [(c.seed, c.safety.examples, c.attack.method, c.compression.method) for c in cells]
    assert len(seen) == 2 * 2 * 2 * 3
    assert len(set(seen)) == len(seen)


def test_no_dose_has_no_form_and_stands_once(space: SpaceFile) -> None:
    tuning = space.settings["safety_tuning"]
    tuning["safety"]["question"] = dict(tuning["safety"]["instruction"])
    tuning["forms"] = ["instruction", "question"]
    space.settings["attacks"] = [{"method": "none"}]
    space.settings["compressions"] = [{"method": "none"}]
    doses = [(c.safety.examples, c.safety.form) for c in expand(space.load())]
    assert doses == [(0, None), (ROWS, "instruction"), (ROWS, "question")]
    first = expand(space.load())[0].safety
    assert first.safety is None
