"""The front is what its definition says, on any data."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from analysis.front import front
from search_spaces.space import Objective

Row = dict[str, Any]

METRICS = ("helpfulness", "safety", "weights_bytes_loaded")
# few values, so that ties and duplicates are common
VALUES = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0, 7.0, 1e12]))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(["ok", "ok", "ok", "failed"]),
            **dict.fromkeys(METRICS, VALUES),
        }
    ),
    max_size=25,
)
OBJECTIVES = st.lists(
    st.builds(
        Objective,
        metric=st.sampled_from(METRICS),
        direction=st.sampled_from(["maximize", "minimize"]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda objective: objective.metric,
)


def dominates(one: Row, other: Row, objectives: list[Objective]) -> bool:
    """At least as good on every objective and better on one."""
    signs = [1 if o.direction == "maximize" else -1 for o in objectives]
    gains = [s * (one[o.metric] - other[o.metric]) for s, o in zip(signs, objectives, strict=True)]
    return all(gain >= 0 for gain in gains) and any(gain > 0 for gain in gains)


def by_definition(rows: list[Row], objectives: list[Objective]) -> list[Row]:
    complete = [
        row
        for row in rows
        if row["status"] == "ok" and all(row[o.metric] is not None for o in objectives)
    ]
    return [row for row in complete if not any(dominates(o, row, objectives) for o in complete)]


def numbered(rows: list[Row]) -> list[Row]:
    return [{**row, "cell": number} for number, row in enumerate(rows)]


def cells(rows: list[Row]) -> list[int]:
    return sorted(row["cell"] for row in rows)


@given(rows=ROWS, objectives=OBJECTIVES)
@example(
    rows=[{"status": "ok", **dict.fromkeys(METRICS, 1.0)}] * 3,
    objectives=[Objective(metric="safety", direction="minimize")],
)
def test_front_is_what_no_complete_cell_dominates(
    rows: list[Row], objectives: list[Objective]
) -> None:
    study = numbered(rows)
    found = front(study, objectives)
    assert cells(found) == cells(by_definition(study, objectives))
    assert all(row in study for row in found)


@given(rows=ROWS, objectives=OBJECTIVES)
def test_best_on_the_first_objective_comes_first(
    rows: list[Row], objectives: list[Objective]
) -> None:
    first = objectives[0]
    values = [row[first.metric] for row in front(numbered(rows), objectives)]
    assert values == sorted(values, reverse=first.direction == "maximize")


@given(rows=ROWS, objectives=OBJECTIVES)
def test_failed_and_incomplete_cells_change_nothing(
    rows: list[Row], objectives: list[Objective]
) -> None:
    study = numbered(rows)
    best = dict.fromkeys(METRICS, 1e15) | dict.fromkeys(
        (o.metric for o in objectives if o.direction == "minimize"), -1e15
    )
    failed = {"status": "failed", "cell": -1, **best}
    incomplete = {"status": "ok", "cell": -2, **best, objectives[-1].metric: None}
    found = front([failed, *study, incomplete], objectives)
    assert cells(found) == cells(front(study, objectives))


def test_direction_decides_which_cell_is_best() -> None:
    study = numbered([{"status": "ok", "perplexity": p} for p in (3.0, 1.0, 2.0)])
    low = front(study, [Objective(metric="perplexity", direction="minimize")])
    high = front(study, [Objective(metric="perplexity", direction="maximize")])
    assert (cells(low), cells(high)) == ([1], [0])


def test_no_complete_cell_makes_an_empty_front() -> None:
    objective = Objective(metric="safety", direction="maximize")
    assert front([], [objective]) == []
    assert front([{"status": "failed", "safety": 1.0}], [objective]) == []
