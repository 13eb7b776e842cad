"""The front is what its definition says, on any data."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis.fronts.uncertain import UncertainFront, uncertain_front, uncertain_fronts
from analysis.uncertainty.draws import draw
from search_spaces.metrics import DEVICE_METRICS
from search_spaces.space import Objective
from tests.analysis.tables import records_of

Row = dict[str, Any]

METRICS = ("helpfulness", "safety", "weights_bytes_loaded")
# few values, so that ties and duplicates are common
VALUES = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0, 7.0, 1e12]))
DEVICES = ("cpu", "NVIDIA H200", "NVIDIA L4")
REPLICATES = 3


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


def by_definition(rows: list[Row], objectives: list[Objective]) -> list[str]:
    complete = [
        row
        for row in rows
        if row["status"] == "ok" and all(row[o.metric] is not None for o in objectives)
    ]
    return sorted(
        row["cell"] for row in complete if not any(dominates(o, row, objectives) for o in complete)
    )


def numbered(rows: list[Row]) -> list[Row]:
    return [{**row, "cell": f"{number:03}"} for number, row in enumerate(rows)]


def fronts_of(rows: list[Row], objectives: list[Objective]) -> dict[str, UncertainFront]:
    columns: Row = {"cell": "x", "status": "failed", "device": None, **dict.fromkeys(METRICS, 0.5)}
    records = records_of([*rows, columns], objectives)
    drawn = draw(records, [o.metric for o in objectives], REPLICATES)
    return uncertain_fronts(drawn, objectives)


def front_of(rows: list[Row], objectives: list[Objective]) -> list[str]:
    """Ids of the cells on the only front; every cell is a configuration here."""
    return sorted(cell for front in fronts_of(rows, objectives).values() for cell in on(front))


def on(front: UncertainFront) -> list[str]:
    cells = front.draws.configurations.cells.sort("index")["cell"]
    return sorted(cells.filter(front.table["on_front"]).to_list())


@settings(deadline=None)
@given(rows=ROWS, objectives=OBJECTIVES)
@example(
    rows=[{"status": "ok", "device": "cpu", **dict.fromkeys(METRICS, 1.0)}] * 3,
    objectives=[Objective(metric="safety", direction="minimize")],
)
def test_front_is_what_no_complete_cell_dominates(
    rows: list[Row], objectives: list[Objective]
) -> None:
    study = numbered(rows)
    assert front_of(study, objectives) == by_definition(study, objectives)


@settings(deadline=None)
@given(rows=ROWS, objectives=OBJECTIVES)
def test_without_noise_the_front_is_certain(rows: list[Row], objectives: list[Objective]) -> None:
    for front in fronts_of(numbered(rows), objectives).values():
        table = front.table
        assert table["probability"].to_list() == [float(up) for up in table["on_front"]]
        assert (table["rank"] == 0).to_list() == table["on_front"].to_list()
        assert not (table["hypervolume_contribution"] > 0).filter(~table["on_front"]).any()
        assert table["knee"].sum() == table["knee_share"].sum() == min(1, len(table))
        assert front.hypervolume_low == pytest.approx(front.hypervolume)


@settings(deadline=None)
@given(rows=ROWS, objectives=OBJECTIVES)
def test_failed_and_incomplete_cells_change_nothing(
    rows: list[Row], objectives: list[Objective]
) -> None:
    study = numbered(rows)
    best = dict.fromkeys(METRICS, 1e15) | dict.fromkeys(
        (o.metric for o in objectives if o.direction == "minimize"), -1e15
    )
    failed = {"status": "failed", "device": None, "cell": "f", **best}
    incomplete = {"status": "ok", "device": "cpu", "cell": "i", **best, objectives[-1].metric: None}
    found = front_of([failed, *study, incomplete], objectives)
    assert found == front_of(study, objectives)


def test_direction_decides_which_cell_is_best() -> None:
    study = numbered([{"status": "ok", "device": "cpu", "perplexity": p} for p in (3.0, 1.0, 2.0)])
    low = front_of(study, [Objective(metric="perplexity", direction="minimize")])
    high = front_of(study, [Objective(metric="perplexity", direction="maximize")])
    assert (low, high) == (["001"], ["000"])


def depends_on_the_device(objectives: list[Objective]) -> bool:
    return any(objective.metric in DEVICE_METRICS for objective in objectives)


@settings(deadline=None)
@given(rows=MIXED_ROWS, objectives=OBJECTIVES)
def test_no_front_mixes_devices(rows: list[Row], objectives: list[Objective]) -> None:
    study = numbered(rows)
    found = fronts_of(study, objectives)
    if not depends_on_the_device(objectives):
        assert {device: on(front) for device, front in found.items()} == {
            "": by_definition(study, objectives)
        }
        return
    assert list(found) == sorted({row["device"] for row in study if row["status"] == "ok"})
    for device, front in found.items():
        own = [row for row in study if row["device"] == device]
        assert on(front) == by_definition(own, objectives)


def test_one_front_of_several_devices_is_refused() -> None:
    objectives = [Objective(metric="decode_tokens_per_second", direction="maximize")]
    rows = [
        {"cell": device, "device": device, "decode_tokens_per_second": speed}
        for device, speed in (("cpu", 10.0), ("NVIDIA H200", 9000.0))
    ]
    drawn = draw(records_of(rows, objectives), ["decode_tokens_per_second"], REPLICATES)
    with pytest.raises(ValueError, match="was measured on NVIDIA H200, cpu: one front a device"):
        uncertain_front(drawn, objectives)


def test_rates_are_compared_across_devices() -> None:
    objectives = [Objective(metric="safety", direction="maximize")]
    study = numbered(
        [
            {"status": "ok", "device": device, "safety": safety}
            for device, safety in (("cpu", 0.5), ("NVIDIA H200", 0.9))
        ]
    )
    assert front_of(study, objectives) == ["001"]
