"""The stage tree holds every stage once, parents first, however the cells are chosen."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from grid.plan import Plan, Task, plan, tasks_of
from grid.stage import KINDS, Kind, stages_of
from search_spaces.attacks import (
    Attack,
    HarmfulFinetuning,
    IdentityShift,
    NoAttack,
)
from search_spaces.cells import Cell, expand
from search_spaces.compressions import (
    BitsAndBytes,
    Calibration,
    Compression,
    Gptq,
    Magnitude,
    NoCompression,
    Rtn,
    Stacked,
    calibrations_of,
    with_calibration_seed,
)
from search_spaces.evaluation import Evaluation
from search_spaces.safety_tuning import SafetyDose, SafetyForm, SafetyTuning
from search_spaces.sources import Columns, DataSource, ModelSource, StoredModel
from search_spaces.space import Order, SearchSpace
from search_spaces.training import Training

DATA = DataSource(path="/data/rows.json", columns=Columns(answer="answer"))
CALIBRATION = Calibration(data=(DATA,), samples=4)
ATTACKS: tuple[Attack, ...] = (
    NoAttack(),
    *(HarmfulFinetuning(method="harmful_finetuning", data=DATA, examples=n) for n in (1, 2)),
    IdentityShift(method="identity_shift", data=DATA, examples=1),
)
COMPRESSIONS: tuple[Compression, ...] = (
    NoCompression(),
    BitsAndBytes(method="bitsandbytes", bits=8),
    BitsAndBytes(method="bitsandbytes", bits=4),
    Gptq(method="gptq", bits=4, calibration=CALIBRATION),
    Magnitude(method="magnitude", sparsity=0.5),
    Stacked(method="stacked", steps=(Magnitude(method="magnitude"), Rtn(method="rtn", bits=4))),
)
FORMS: tuple[SafetyForm, ...] = ("instruction", "question")
ORDERS: tuple[Order, ...] = ("attack_then_compress", "compress_then_attack")
CHAIN: list[Kind] = ["safety_tuning", "attack", "compression", "evaluation"]
RELEASE_CHAIN: list[Kind] = ["safety_tuning", "attack", "compression", "attack", "evaluation"]
KIND_OF: dict[type, Kind] = {
    SafetyDose: "safety_tuning",
    **dict.fromkeys(map(type, ATTACKS), "attack"),
    **dict.fromkeys(map(type, COMPRESSIONS), "compression"),
    Evaluation: "evaluation",
}


def content(source: DataSource | StoredModel) -> str:
    return source.path


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    def some(values: Sequence[object]) -> tuple[object, ...]:
        chosen = st.lists(st.sampled_from(range(len(values))), min_size=1, unique=True)
        return tuple(values[i] for i in draw(chosen))

    return SearchSpace.model_validate(
        {
            "name": "random",
            "model": ModelSource(path="/models/tiny"),
            "safety_tuning": SafetyTuning.model_validate(
                {
                    "instructions": DATA,
                    "safety": dict.fromkeys(FORMS, DATA),
                    "forms": some(FORMS),
                    "doses": some((0, 1, 2)),
                }
            ),
            "attacks": some(ATTACKS),
            "compressions": some(COMPRESSIONS),
            "orders": some(ORDERS),
            "seeds": some((0, 1)),
            "calibration_seeds": some((0, 1)),
            "evaluation": Evaluation(
                helpfulness=DATA, harmful=DATA, borderline=DATA, perplexity=DATA
            ),
        }
    )


def steps(cell: Cell) -> list[Any]:
    """What is done for a cell, told from its settings alone."""
    release = [cell.safety, NoAttack(), cell.compression, cell.attack]
    plain = [cell.safety, cell.attack, cell.compression]
    return [*(plain if cell.order == "attack_then_compress" else release), cell.evaluation]


def prefixes(cells: Sequence[Cell]) -> set[tuple[Any, ...]]:
    """The distinct beginnings of all cells."""
    found: set[tuple[Any, ...]] = set()
    for cell in cells:
        done = steps(cell)
        found.update((cell.seed, *done[:length]) for length in range(1, len(done) + 1))
    return found


def planned(space: SearchSpace) -> Plan:
    return plan(expand(space), content)


@settings(deadline=None)
@given(spaces())
def test_every_distinct_prefix_is_one_stage(space: SearchSpace) -> None:
    cells = expand(space)
    made = planned(space)
    wanted = prefixes(cells)
    assert len(made.stages) == len(wanted)
    last = [KIND_OF[type(prefix[-1])] for prefix in wanted]
    assert made.unique() == {kind: last.count(kind) for kind in KINDS}
    assert made.saved == sum(len(steps(cell)) for cell in cells) - len(wanted)


@settings(deadline=None)
@given(spaces(), st.randoms(use_true_random=False))
def test_parents_come_first_in_any_order_of_cells(
    space: SearchSpace, source: random.Random
) -> None:
    cells = expand(space)
    source.shuffle(cells)
    made = plan(cells, content)
    before: set[str] = set()
    for fingerprint, stage in made.stages.items():
        assert stage.fingerprint == fingerprint
        assert (stage.parent is None) == (stage.kind == "safety_tuning")
        assert stage.parent is None or stage.parent in before
        before.add(fingerprint)
    assert before == set(planned(space).stages)


@settings(deadline=None)
@given(spaces())
def test_cells_have_their_own_ids_and_their_own_chain(space: SearchSpace) -> None:
    made = planned(space)
    assert len({cell.id for cell in made.cells}) == len(made.cells)
    assert [cell.cell for cell in made.cells] == expand(space)
    for cell in made.cells:
        chain = made.chain(cell.stages[-1])
        assert tuple(stage.fingerprint for stage in chain) == cell.stages
        plain = cell.cell.order == "attack_then_compress"
        assert [stage.kind for stage in chain] == (CHAIN if plain else RELEASE_CHAIN)
        assert [stage.settings for stage in chain] == steps(cell.cell)
        assert {stage.seed for stage in chain} == {cell.cell.seed}


@settings(deadline=None)
@given(spaces())
def test_release_shares_the_stages_of_the_cell_without_an_attack(space: SearchSpace) -> None:
    made = planned(space)
    stages_of_cell = {cell.cell: cell.stages for cell in made.cells}
    for cell in made.cells:
        if cell.cell.order == "compress_then_attack":
            unattacked = replace(cell.cell, attack=NoAttack(), order="attack_then_compress")
            shared = tuple(stage.fingerprint for stage in stages_of(unattacked, content))[:3]
            assert cell.stages[:3] == shared
            # where that cell is in the space too, nothing but its evaluation is its own
            assert stages_of_cell.get(unattacked, shared)[:3] == shared
            assert not set(cell.stages[3:]) & set(stages_of_cell.get(unattacked, ()))


@settings(deadline=None)
@given(spaces(), st.randoms(use_true_random=False))
def test_tasks_hold_every_stage_once_and_parents_first(
    space: SearchSpace, source: random.Random
) -> None:
    cells = expand(space)
    source.shuffle(cells)
    made = plan(cells, content)
    tasks = tasks_of(made.stages.values())
    assert made.tasks == tasks
    held = [stage.fingerprint for task in tasks for stage in task.stages]
    assert sorted(held) == sorted(made.stages)
    holder: dict[str, str] = {}
    for task in tasks:
        assert task.id == task.stages[-1].fingerprint
        parent = task.stages[0].parent
        # KeyError if the task that holds the parent does not stand before this one
        assert task.parent == (None if parent is None else holder[parent])
        for earlier, later in zip(task.stages, task.stages[1:], strict=False):
            assert later.parent == earlier.fingerprint
        holder |= {stage.fingerprint: task.id for stage in task.stages}


@settings(deadline=None)
@given(spaces())
def test_compression_runs_with_its_evaluation(space: SearchSpace) -> None:
    made = planned(space)
    evaluated = {s.parent for s in made.stages.values() if s.kind == "evaluation"}
    for task in tasks_of(made.stages.values()):
        kinds = [stage.kind for stage in task.stages]
        first = task.stages[0]
        if first.kind == "compression" and not task.keeps_weights:
            assert first.fingerprint in evaluated
            assert kinds == ["compression", "evaluation"]
        else:
            assert len(kinds) == 1


@settings(deadline=None)
@given(spaces())
def test_weights_are_kept_exactly_where_an_attack_follows(space: SearchSpace) -> None:
    made = planned(space)
    released = {
        stage.parent
        for stage in made.stages.values()
        if stage.kind == "attack" and made.stages[str(stage.parent)].kind == "compression"
    }
    for task in tasks_of(made.stages.values()):
        assert task.keeps_weights == any(stage.fingerprint in released for stage in task.stages)


def release(*attacks: Attack, order: Order = "compress_then_attack") -> list[Cell]:
    """Cells of one compression with these attacks."""
    safety = SafetyDose(instructions=DATA, safety=None, form=None, examples=0, training=Training())
    evaluation = Evaluation(helpfulness=DATA, harmful=DATA, borderline=DATA, perplexity=DATA)
    model, compression = ModelSource(path="/models/tiny"), COMPRESSIONS[1]
    return [Cell(model, safety, a, compression, 0, evaluation, order) for a in attacks]


def shapes(tasks: Sequence[Task]) -> list[tuple[list[Kind], bool]]:
    return [([stage.kind for stage in task.stages], task.keeps_weights) for task in tasks]


def test_release_that_is_attacked_but_not_evaluated_itself() -> None:
    made = plan(release(*ATTACKS[1:3]), content)
    assert made.unique() == {"safety_tuning": 1, "attack": 3, "compression": 1, "evaluation": 2}
    assert shapes(made.tasks) == [
        (["safety_tuning"], False),
        (["attack"], False),
        (["compression"], True),
        *[(["attack"], False), (["evaluation"], False)] * 2,
    ]
    assert made.saved == 2 * 5 - 7


def test_release_that_is_evaluated_and_attacked() -> None:
    plain = release(NoAttack(), order="attack_then_compress")
    made = plan([*release(ATTACKS[1]), *plain], content)
    assert shapes(made.tasks) == [
        (["safety_tuning"], False),
        (["attack"], False),
        (["compression"], True),
        (["attack"], False),
        (["evaluation"], False),
        (["evaluation"], False),
    ]
    assert made.tasks[3].parent == made.tasks[5].parent == made.tasks[2].id
    assert made.cells[0].stages[:3] == made.cells[1].stages[:3]
    assert made.saved == 5 + 4 - 6


def test_cells_of_other_calibration_seeds_share_what_comes_before() -> None:
    (base,) = release(NoAttack(), order="attack_then_compress")
    gptq = Gptq(method="gptq", bits=4, calibration=CALIBRATION)
    cells = [replace(base, compression=with_calibration_seed(gptq, seed)) for seed in (0, 1, 2)]
    assert [calibrations_of(cell.compression)[0].seed for cell in cells] == [0, 1, 2]
    made = plan(cells, content)
    assert made.unique() == {"safety_tuning": 1, "attack": 1, "compression": 3, "evaluation": 3}


def test_no_cells() -> None:
    made = plan([], content)
    assert made.stages == {}
    assert made.saved == 0
    assert tasks_of(made.stages.values()) == []
