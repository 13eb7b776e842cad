"""The smoke space end to end, in-process and on Ray: equal results, every stage once."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analysis.loading import load_records
from grid.records import RECORD_SCHEMA, RESPONSE_SCHEMA
from grid.study import open_study
from tests.grid.conftest import Trilemma, run_ok

VARYING = {
    "attempt",
    "created",
    # null on Ray, where two stages share the machine
    "prefill_tokens_per_second",
    "decode_tokens_per_second",
}


def comparable(study: str) -> dict[str, dict[str, Any]]:
    """Records by cell, without times and what depends on the engine."""
    return {
        row["cell"]: {
            name: value
            for name, value in row.items()
            if name not in VARYING and not name.endswith("_seconds")
        }
        for row in load_records(study).rows
    }


@pytest.fixture(params=["smoke_local", "smoke_ray"])
def smoke(request: pytest.FixtureRequest) -> str:
    study: str = request.getfixturevalue(request.param)
    return study


def test_engines_agree_cell_by_cell(smoke_local: str, smoke_ray: str) -> None:
    assert len(comparable(smoke_local)) == 8
    assert comparable(smoke_local) == comparable(smoke_ray)


def test_every_unique_stage_ran_once(smoke: str) -> None:
    study = open_study(smoke)
    assert study.store.counts() == study.plan.unique()
    assert study.store.executions() == dict.fromkeys(study.plan.stages, 1)


def test_records_are_complete(smoke: str) -> None:
    rows = load_records(smoke).rows
    assert {row["status"] for row in rows} == {"ok"}
    for row in rows:
        assert list(row) == RECORD_SCHEMA.names
        assert row["helpfulness_n"] >= 100
        assert row["refusal_n"] >= 100
        assert row["over_refusal_n"] >= 100
        assert row["safety_steps"] > 0
        assert (row["attack_steps"] == 0) == (row["attack"] == "none")
        assert row["execution"] == ("packed" if row["compression"] == "gptq" else "dense")
        assert row["weights_bytes_disk"] > 0
        assert json.loads(row["packages"])["torch"] is not None


def test_speeds_are_null_only_where_the_device_was_shared(smoke_local: str, smoke_ray: str) -> None:
    speeds = ("prefill_tokens_per_second", "decode_tokens_per_second")
    for row in load_records(smoke_local).rows:
        assert all(row[name] > 0 for name in speeds)
    for row in load_records(smoke_ray).rows:
        assert all(row[name] is None for name in speeds)


def test_responses_give_the_recorded_rates(smoke: str) -> None:
    for row in load_records(smoke).rows:
        path = Path(smoke) / "responses" / f"{row['cell']}-{row['attempt']}.parquet"
        table = pq.read_table(path)
        assert table.schema.names == RESPONSE_SCHEMA.names
        harmful = [r for r in table.to_pylist() if r["prompt_set"] == "harmful"]
        refused = sum(r["verdict"] == "refuse" for r in harmful)
        assert row["refusal"] == refused / len(harmful)


def test_running_again_does_nothing(smoke_local: str, trilemma: Trilemma) -> None:
    study = open_study(smoke_local)
    before = study.store.executions(), sorted(study.storage.names("records"))
    run_ok(trilemma, "run", "smoke", "--study", smoke_local, "--engine", "local")
    assert (study.store.executions(), sorted(study.storage.names("records"))) == before


def test_status_and_front_read_the_study(smoke_ray: str, trilemma: Trilemma) -> None:
    status = json.loads(run_ok(trilemma, "status", smoke_ray, "--json"))
    assert status["cells"] == {"ok": 8, "failed": 0, "total": 8}
    assert status["stages"]["evaluation"] == {"done": 8, "total": 8}
    front = json.loads(run_ok(trilemma, "front", smoke_ray, "--json"))
    assert [o["metric"] for o in front["objectives"]] == [
        "helpfulness",
        "safety",
        "weights_bytes_loaded",
    ]
    assert {row["cell"] for row in front["cells"]} <= set(comparable(smoke_ray))
    assert front["cells"]


def test_plan_estimates_from_a_timed_study(smoke_ray: str, trilemma: Trilemma) -> None:
    plan = json.loads(run_ok(trilemma, "plan", "smoke", "--study", smoke_ray, "--json"))
    assert plan["missing_stages"]["total"] == 0
    assert plan["estimated_stage_seconds"] == 0
    assert plan["executions_saved"] == 8 * 4 - plan["unique_stages"]["total"]
