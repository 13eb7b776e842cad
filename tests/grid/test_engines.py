"""The smoke space end to end, in-process and on Ray: equal results, every stage once."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analysis.records.loading import load_records
from grid.records import RECORD_SCHEMA, RESPONSE_SCHEMA
from grid.study import open_study
from tests.grid.conftest import Trilemma, preset, run_ok, write_space
from trainables.checkpoint import WEIGHTS
from trainables.evaluation.speed import Speeds

MACHINES = ("energy_joules_per_token", "other_processes_cpus")
SPEEDS = [field.name for field in fields(Speeds) if field.name not in MACHINES]
# speeds and peaks are null on Ray, where two stages share the machine
VARYING = {"study", "attempt", "created", "peak_memory_bytes", *MACHINES, *SPEEDS}


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
        assert set(row) == {"study", *RECORD_SCHEMA.names}
        assert row["helpfulness_n"] >= 100
        assert row["refusal_n"] >= 100
        assert row["over_refusal_n"] >= 100
        assert row["safety_steps"] > 0
        assert (row["attack_steps"] == 0) == (row["attack"] == "none")
        assert row["execution"] == ("packed" if row["compression"] == "gptq" else "dense")
        assert row["weights_bytes_disk"] > 0
        assert row["bits_per_weight_disk"] > 0
        assert row["quantized_layers"] == (14 if row["compression"] == "gptq" else 0)
        assert (row["zero_fraction"] > 0) == (row["compression"] == "gptq")
        assert json.loads(row["packages"])["torch"] is not None


def test_speeds_are_null_only_where_the_device_was_shared(smoke_local: str, smoke_ray: str) -> None:
    for row in load_records(smoke_local).rows:
        assert all(row[name] >= 0 if name.endswith("_iqr") else row[name] > 0 for name in SPEEDS)
        assert row["peak_memory_bytes"] is None or row["peak_memory_bytes"] > 0
    for row in load_records(smoke_ray).rows:
        assert all(row[name] is None for name in (*SPEEDS, *MACHINES, "peak_memory_bytes"))


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


@pytest.fixture(scope="module")
def orders(trilemma: Trilemma, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The nano_order preset with one attack, on NF4 and pruned weights, run in-process."""
    folder = tmp_path_factory.mktemp("orders")
    content = preset("nano_order")
    content["attacks"] = content["attacks"][:2]
    content["compressions"] = [content["compressions"][i] for i in (0, 2, 5)]
    study = str(folder / "study")
    space = write_space(folder, content)
    run_ok(trilemma, "run", space, "--study", study, "--engine", "local")
    return study


def test_both_orders_of_a_cell(orders: str) -> None:
    study = open_study(orders)
    rows = load_records(orders).rows
    assert {row["status"] for row in rows} == {"ok"}
    # without an attack or a compression there is one order
    assert len(rows) == 2 * 3 + 2
    assert study.store.executions() == dict.fromkeys(study.plan.stages, 1)
    by_order = {(row["order"], row["attack"], row["compression"]): row for row in rows}
    for method in ("bitsandbytes", "magnitude"):
        first = by_order["attack_then_compress", "harmful_finetuning", method]
        then = by_order["compress_then_attack", "harmful_finetuning", method]
        unattacked = by_order["attack_then_compress", "none", method]
        assert then["compression_fingerprint"] == unattacked["compression_fingerprint"]
        assert then["compression_fingerprint"] != first["compression_fingerprint"]
        assert then["attack_fingerprint"] != first["attack_fingerprint"]
        assert then["attack_steps"] == first["attack_steps"] > 0
        # the adapter ships beside the weights, which it leaves as they were
        assert then["execution"] == unattacked["execution"]
        assert then["weights_bytes_disk"] > unattacked["weights_bytes_disk"]
        assert then["bits_per_weight"] == unattacked["bits_per_weight"]
        assert then["perplexity"] != unattacked["perplexity"]


def test_weights_stay_only_where_an_attack_follows(orders: str) -> None:
    study = open_study(orders)
    released = {
        cell.stages[2] for cell in study.plan.cells if cell.cell.order == "compress_then_attack"
    }
    compressions = [s for s in study.plan.stages.values() if s.kind == "compression"]
    assert 0 < len(released) < len(compressions)
    for stage in compressions:
        kept = (study.store.folder(stage) / WEIGHTS).exists()
        assert kept == (stage.fingerprint in released)


def test_front_tells_the_orders_apart(orders: str, trilemma: Trilemma) -> None:
    (front,) = json.loads(run_ok(trilemma, "front", orders, "--json"))["fronts"]
    assert {row["order"] for row in front["configurations"]} <= {
        "attack_then_compress",
        "compress_then_attack",
    }
    assert {row["device"] for row in front["configurations"]} == {front["device"]}


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
    cells = {id for row in front["fronts"][0]["configurations"] for id in row["cell_ids"]}
    assert cells <= set(comparable(smoke_ray))
    assert cells


def test_plan_estimates_from_a_timed_study(smoke_ray: str, trilemma: Trilemma) -> None:
    plan = json.loads(run_ok(trilemma, "plan", "smoke", "--study", smoke_ray, "--json"))
    assert plan["missing_stages"]["total"] == 0
    assert plan["estimated_stage_seconds"] == 0
    assert plan["executions_saved"] == 8 * 4 - plan["unique_stages"]["total"]
