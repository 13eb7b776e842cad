"""The front is what its definition says, on any data."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.front import front, fronts
from search_spaces.metrics import DEVICE_METRICS
from search_spaces.space import Objective

Row = dict[str, Any]

METRICS = ("helpfulness", "safety", "weights_bytes_loaded")
# few values, so that ties and duplicates are common
VALUES = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0, 7.0, 1e12]))
DEVICES = ("cpu", "NVIDIA H200", "NVIDIA L4")


def rows_of(devices: st.SearchStrategy[str]) -> st.SearchStrategy[list[Row]]:
    """Records as a study holds them; a cell that failed was measured on no device."""
    ok = st.fixed_dictionaries(
        {"status": st.just("ok"), "device": devices, **dict.fromkeys(METRICS, VALUES)}
    )
    failed = st.fixed_dictionaries(
        {"status": st.just("failed"), "device": st.none(), **dict.fromkeys(METRICS, VALUES)}
    )
    return st.lists(st.one_of(ok, ok, ok, failed), max_size=25)


ROWS = rows_of(st.just("cpu"))
MIXED_ROWS = rows_of(st.sampled_from(DEVICES))
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
    rows=[{"status": "ok", "device": "cpu", **dict.fromkeys(METRICS, 1.0)}] * 3,
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
    failed = {"status": "failed", "device": None, "cell": -1, **best}
    incomplete = {"status": "ok", "device": "cpu", "cell": -2, **best, objectives[-1].metric: None}
    found = front([failed, *study, incomplete], objectives)
    assert cells(found) == cells(front(study, objectives))


def test_direction_decides_which_cell_is_best() -> None:
    study = numbered([{"status": "ok", "device": "cpu", "perplexity": p} for p in (3.0, 1.0, 2.0)])
    low = front(study, [Objective(metric="perplexity", direction="minimize")])
    high = front(study, [Objective(metric="perplexity", direction="maximize")])
    assert (cells(low), cells(high)) == ([1], [0])


def test_no_complete_cell_makes_an_empty_front() -> None:
    objective = Objective(metric="safety", direction="maximize")
    assert front([], [objective]) == []
    assert front([{"status": "failed", "device": None, "safety": 1.0}], [objective]) == []


def depends_on_the_device(objectives: list[Objective]) -> bool:
    return any(objective.metric in DEVICE_METRICS for objective in objectives)


@given(rows=MIXED_ROWS, objectives=OBJECTIVES)
def test_no_front_mixes_devices(rows: list[Row], objectives: list[Objective]) -> None:
    study = numbered(rows)
    found = fronts(study, objectives)
    if not depends_on_the_device(objectives):
        assert found == {"": front(study, objectives)}
        return
    assert list(found) == sorted({row["device"] for row in study if row["status"] == "ok"})
    for device, chosen in found.items():
        own = [row for row in study if row["device"] == device]
        assert cells(chosen) == cells(by_definition(own, objectives))


@given(rows=MIXED_ROWS, objectives=OBJECTIVES)
def test_one_front_of_several_devices_is_refused(
    rows: list[Row], objectives: list[Objective]
) -> None:
    study = numbered(rows)
    complete = [
        row
        for row in study
        if row["status"] == "ok" and all(row[o.metric] is not None for o in objectives)
    ]
    devices = sorted({row["device"] for row in complete})
    if depends_on_the_device(objectives) and len(devices) > 1:
        with pytest.raises(ValueError, match=f"was measured on {', '.join(devices)}: one front"):
            front(study, objectives)
    else:
        assert cells(front(study, objectives)) == cells(by_definition(study, objectives))


def test_what_was_measured_elsewhere_does_not_dominate() -> None:
    objectives = [Objective(metric="decode_tokens_per_second", direction="maximize")]
    study = numbered(
        [
            {"status": "ok", "device": device, "decode_tokens_per_second": speed}
            for device, speed in (("cpu", 10.0), ("cpu", 20.0), ("NVIDIA H200", 9000.0))
        ]
    )
    found = fronts(study, objectives)
    assert {device: cells(rows) for device, rows in found.items()} == {
        "NVIDIA H200": [2],
        "cpu": [1],
    }
    with pytest.raises(ValueError, match="decode_tokens_per_second was measured on NVIDIA H200, "):
        front(study, objectives)


def test_rates_are_compared_across_devices() -> None:
    objectives = [Objective(metric="safety", direction="maximize")]
    study = numbered(
        [
            {"status": "ok", "device": device, "safety": safety}
            for device, safety in (("cpu", 0.5), ("NVIDIA H200", 0.9))
        ]
    )
    assert {device: cells(rows) for device, rows in fronts(study, objectives).items()} == {"": [1]}
