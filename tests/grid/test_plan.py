"""The stage tree holds every stage once, parents first, however the cells are chosen."""

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from grid.plan import Plan, plan, tasks_of
from grid.stage import KINDS
from search_spaces.attacks import (
    Attack,
    BenignFinetuning,
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
)
from search_spaces.evaluation import Evaluation
from search_spaces.safety_tuning import SafetyForm, SafetyTuning
from search_spaces.sources import Columns, DataSource, ModelSource
from search_spaces.space import SearchSpace

DATA = DataSource(path="/data/rows.json", columns=Columns(answer="answer"))
CALIBRATION = Calibration(data=DATA, samples=4)
ATTACKS: tuple[Attack, ...] = (
    NoAttack(),
    *(HarmfulFinetuning(method="harmful_finetuning", data=DATA, examples=n) for n in (1, 2)),
    IdentityShift(method="identity_shift", data=DATA, examples=1),
    BenignFinetuning(method="benign_finetuning", data=DATA, examples=1),
)
COMPRESSIONS: tuple[Compression, ...] = (
    NoCompression(),
    BitsAndBytes(method="bitsandbytes", bits=8),
    BitsAndBytes(method="bitsandbytes", bits=4),
    Gptq(method="gptq", bits=4, calibration=CALIBRATION),
    Gptq(method="gptq", bits=4, group_size=32, calibration=CALIBRATION),
    Magnitude(method="magnitude", sparsity=0.5),
)
FORMS: tuple[SafetyForm, ...] = ("instruction", "question")


def content(source: DataSource | ModelSource) -> str:
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
                    "doses": some((0, 1, 2, 3)),
                }
            ),
            "attacks": some(ATTACKS),
            "compressions": some(COMPRESSIONS),
            "seeds": some((0, 1, 2)),
            "evaluation": Evaluation(
                helpfulness=DATA, harmful=DATA, borderline=DATA, perplexity=DATA
            ),
        }
    )


def prefixes(cells: Sequence[Cell]) -> set[tuple[object, ...]]:
    """The distinct beginnings of all cells, told apart by their settings alone."""
    found: set[tuple[object, ...]] = set()
    for cell in cells:
        steps = (cell.seed, cell.safety, cell.attack, cell.compression, cell.evaluation)
        found.update(steps[:length] for length in range(2, len(steps) + 1))
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
    by_length = {kind: sum(len(p) == i + 2 for p in wanted) for i, kind in enumerate(KINDS)}
    assert made.unique() == by_length
    assert made.saved == len(cells) * len(KINDS) - len(wanted)


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
        assert [stage.kind for stage in chain] == list(KINDS)
        steps = [cell.cell.safety, cell.cell.attack, cell.cell.compression, cell.cell.evaluation]
        assert [stage.settings for stage in chain] == steps
        assert {stage.seed for stage in chain} == {cell.cell.seed}


@settings(deadline=None)
@given(spaces())
def test_tasks_hold_every_stage_once_and_parents_first(space: SearchSpace) -> None:
    made = planned(space)
    tasks = tasks_of(made.stages.values())
    held = [stage.fingerprint for task in tasks for stage in task.stages]
    assert sorted(held) == sorted(made.stages)
    before: set[str] = set()
    for task in tasks:
        assert task.id == task.stages[-1].fingerprint
        assert task.parent == task.stages[0].parent
        assert task.parent is None or task.parent in before
        before.add(task.id)


@settings(deadline=None)
@given(spaces())
def test_compression_runs_with_its_evaluation(space: SearchSpace) -> None:
    tasks = tasks_of(planned(space).stages.values())
    kinds = {tuple(stage.kind for stage in task.stages) for task in tasks}
    assert kinds == {("safety_tuning",), ("attack",), ("compression", "evaluation")}
    for task in tasks:
        for earlier, later in zip(task.stages, task.stages[1:], strict=False):
            assert later.parent == earlier.fingerprint


def test_no_cells() -> None:
    made = plan([], content)
    assert made.stages == {}
    assert made.saved == 0
    assert tasks_of(made.stages.values()) == []
