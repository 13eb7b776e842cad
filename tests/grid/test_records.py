"""Records: the columns are a contract, missing is null, a failure is a recorded result."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from analysis.records.loading import load_records
from grid.plan import PlannedCell, plan
from grid.records import (
    ANSWER_SCHEMA,
    RATES,
    RECORD_SCHEMA,
    RESPONSE_SCHEMA,
    Outcome,
    record_of,
    write_record,
)
from grid.stage import KINDS, Kind
from grid.storage import Storage
from grid.store import StageResult
from grid.worlds import world_folder
from search_spaces.cells import expand
from search_spaces.compressions import (
    BitsAndBytes,
    Calibration,
    Compression,
    Fp8,
    Gptq,
    Magnitude,
    NoCompression,
    Rtn,
    Stacked,
    Wanda,
    bits_of,
)
from search_spaces.contents import content_of
from search_spaces.loading import load_space
from search_spaces.sources import DataSource
from search_spaces.space import Order
from trainables.compression import CompressionFacts
from trainables.evaluation.efficiency import Efficiency
from trainables.evaluation.speed import UNMEASURED, Speeds

CONTRACT = (
    "cell", "status", "error", "model", "safety_examples", "safety_form", "attack",
    "attack_examples", "attack_epochs", "attack_steps", "compression", "bits", "sparsity", "order",
    "seed", "helpfulness", "safety", "harmful_compliance", "refusal", "over_refusal", "incoherent",
    "perplexity", "weights_bytes_disk", "weights_bytes_loaded", "bits_per_weight",
    "prefill_tokens_per_second", "decode_tokens_per_second", "execution", "packages", "device",
    "git_commit", "data_hashes", "schema_version", "attempt", "created", "safety_steps",
    "zero_fraction",
)  # fmt: skip
"""Columns of the first version, which stay."""
MEASURED = [f"{rate}{part}" for rate in RATES for part in ("", "_n", "_se")]
SPEEDS = [field.name for field in fields(Speeds)]
FACTORS = (
    "sparsity_pattern", "group_size", "compression_label", "compression_settings",
    "calibration_samples", "calibration_seed",
)  # fmt: skip
COMPRESSION_FACTS: dict[str, Any] = {"zero_fraction": None, "quantized_layers": 14}
COSTS: dict[str, Any] = {
    "weights_bytes_disk": 100,
    "weights_bytes_loaded": 90,
    "bits_per_weight": 4.5,
    "bits_per_weight_disk": 4.25,
    "peak_memory_bytes": None,
    **dict.fromkeys(SPEEDS),
    "execution": "packed",
    "device": "cpu",
}
RATE_FACTS = {
    name: 120 if name.endswith("_n") else 0.0 if name == "refusal" else 0.25 for name in MEASURED
}
FACTS: dict[Kind, dict[str, Any]] = {
    "safety_tuning": {"examples": 5000, "optimizer_steps": 79, "final_loss": 0.5},
    "attack": {"examples": 0, "optimizer_steps": 0, "final_loss": None},
    "compression": COMPRESSION_FACTS,
    "evaluation": RATE_FACTS | COSTS,
}


@pytest.fixture(scope="module")
def cells(world: Path) -> dict[tuple[str, str, int | None], PlannedCell]:
    """The nano preset's cells without safety examples, by attack, compression and bits."""
    planned = plan(expand(load_space("nano", world_folder)), content_of).cells
    undosed = [cell for cell in reversed(planned) if cell.cell.safety.examples == 0]
    return {
        (c.cell.attack.method, c.cell.compression.method, bits_of(c.cell.compression)): c
        for c in undosed
    }


@pytest.fixture
def cell(cells: dict[tuple[str, str, int | None], PlannedCell]) -> PlannedCell:
    return cells["none", "gptq", 4]


def outcome(planned: PlannedCell, *kinds: Kind, error: str | None = None) -> Outcome:
    """What the study tells of a cell whose stages of these kinds are published."""
    fingerprints: dict[Kind, str] = dict(zip(KINDS, planned.stages, strict=True))
    results = {
        kind: StageResult(
            kind=kind,
            fingerprint=fingerprint,
            parent=None,
            method="any",
            seconds=2.0,
            started=0.0,
            facts=FACTS[kind],
            provenance={"packages": {"torch": "2"}, "git_commit": "abc"},
        )
        for kind, fingerprint in fingerprints.items()
        if kind in kinds
    }
    responses = None if error else pa.Table.from_pylist([RESPONSE], ANSWER_SCHEMA)
    return Outcome(results, fingerprints, error, responses, {"model": "hash"})


RESPONSE = {
    "prompt_set": "harmful",
    "prompt_index": 0,
    "prompt": "how ?",
    "expected": None,
    "response": "use rope then tap",
    "verdict": "comply",
    "judge": "phrases",
}


def test_schema_holds_the_contract() -> None:
    assert set(CONTRACT) <= set(RECORD_SCHEMA.names)
    assert {*MEASURED, *COSTS, *COMPRESSION_FACTS, *FACTORS} <= set(RECORD_SCHEMA.names)
    assert {f"{kind}_{part}" for kind in KINDS for part in ("seconds", "fingerprint")} <= set(
        RECORD_SCHEMA.names
    )
    assert len(set(RECORD_SCHEMA.names)) == len(RECORD_SCHEMA.names)
    assert RESPONSE_SCHEMA.names[0] == "cell"
    assert {"prompt_set", "prompt_index", "prompt", "response", "verdict", "judge"} <= set(
        RESPONSE_SCHEMA.names
    )


def test_record_has_the_schemas_columns_and_all_facts(cell: PlannedCell) -> None:
    row = record_of(cell, outcome(cell, *KINDS), "a1")
    assert list(row) == RECORD_SCHEMA.names
    assert (row["status"], row["error"], row["attempt"]) == ("ok", None, "a1")
    assert (row["compression"], row["bits"], row["sparsity"]) == ("gptq", 4, None)
    assert (row["safety_examples"], row["safety_form"], row["safety_steps"]) == (0, None, 79)
    assert (row["attack"], row["attack_examples"], row["attack_steps"]) == ("none", 0, 0)
    assert {name: row[name] for name in COMPRESSION_FACTS} == COMPRESSION_FACTS
    assert {name: row[name] for name in FACTS["evaluation"]} == FACTS["evaluation"]
    assert [row[f"{kind}_fingerprint"] for kind in KINDS] == list(cell.stages)
    assert [row[f"{kind}_seconds"] for kind in KINDS] == [2.0] * 4
    assert json.loads(row["packages"]) == {"torch": "2"}
    assert json.loads(row["data_hashes"]) == {"model": "hash"}


def test_what_was_not_measured_is_null_and_what_is_zero_is_zero(cell: PlannedCell) -> None:
    row = record_of(cell, outcome(cell, *KINDS), "a1")
    assert row["refusal"] == 0.0
    assert row["zero_fraction"] is None
    assert [row[name] for name in SPEEDS] == [None] * len(SPEEDS)


def test_every_cost_that_an_evaluation_tells_has_a_column() -> None:
    told = Efficiency(1, 1, None, None, None, UNMEASURED, "dense", "cpu").as_dict()
    assert set(told) == set(COSTS)
    assert set(CompressionFacts(None, 0).as_dict()) == set(COMPRESSION_FACTS)


def factors(compression: Compression, cell: PlannedCell) -> dict[str, Any]:
    """What the record of the cell with another compression tells of it."""
    other = replace(cell, cell=replace(cell.cell, compression=compression))
    return record_of(other, outcome(other, *KINDS), "a1")


CALIBRATION = Calibration(data=(DataSource(path="/data/rows.json"),), samples=8, seed=5)
WANDA = Wanda(method="wanda", pattern="4:8", calibration=CALIBRATION)
TWO_BITS = Gptq(
    method="gptq",
    bits=2,
    group_size=64,
    calibration=CALIBRATION.model_copy(update={"samples": 4, "seed": 6}),
)
NOTHING = {"bits": None, "sparsity": None, **dict.fromkeys(FACTORS)}


@pytest.mark.parametrize(
    ("compression", "told"),
    [
        (NoCompression(), {"compression": "none", "compression_label": "none"}),
        (
            BitsAndBytes(method="bitsandbytes", bits=4, double_quantization=False),
            {"compression": "bitsandbytes", "compression_label": "nf4", "bits": 4},
        ),
        (
            Fp8(method="fp8"),
            {"compression": "fp8", "compression_label": "fp8", "bits": 8},
        ),
        (
            Magnitude(method="magnitude", sparsity=0.25),
            {
                "compression": "magnitude",
                "compression_label": "magnitude 25%",
                "sparsity": 0.25,
                "sparsity_pattern": "unstructured",
            },
        ),
        (
            Rtn(method="rtn", bits=3),
            {
                "compression": "rtn",
                "compression_label": "rtn 3 g128",
                "bits": 3,
                "group_size": 128,
            },
        ),
        (
            WANDA,
            {
                "compression": "wanda",
                "compression_label": "wanda 4:8",
                "sparsity": 0.5,
                "sparsity_pattern": "4:8",
                "calibration_samples": 8,
                "calibration_seed": 5,
            },
        ),
        (
            Stacked(method="stacked", steps=(WANDA, TWO_BITS)),
            {
                "compression": "wanda+gptq",
                "compression_label": "wanda 4:8 + gptq 2 g64",
                "bits": 2,
                "group_size": 64,
                "sparsity": 0.5,
                "sparsity_pattern": "4:8",
                "calibration_samples": 4,
                "calibration_seed": 6,
            },
        ),
    ],
    ids=lambda value: value["compression_label"] if isinstance(value, dict) else "",
)
def test_factors_of_a_compression(
    cell: PlannedCell, compression: Compression, told: dict[str, Any]
) -> None:
    row = factors(compression, cell)
    expected = NOTHING | told | {"compression_settings": compression.model_dump_json()}
    assert {name: row[name] for name in expected} == expected
    settings = TypeAdapter(Compression).validate_json(row["compression_settings"])
    assert settings == compression


@pytest.mark.parametrize("order", ["attack_then_compress", "compress_then_attack"])
def test_order_is_a_factor(cell: PlannedCell, order: Order) -> None:
    other = replace(cell, cell=replace(cell.cell, order=order))
    assert record_of(other, outcome(other, *KINDS), "a1")["order"] == order


def test_factors_of_other_methods(
    cells: dict[tuple[str, str, int | None], PlannedCell],
) -> None:
    pruned = cells["identity_shift", "magnitude", None]
    row = record_of(pruned, outcome(pruned, *KINDS), "a1")
    assert (row["attack"], row["attack_examples"], row["attack_epochs"]) == (
        "identity_shift", 10, 10,
    )  # fmt: skip
    assert (row["compression"], row["bits"], row["sparsity"]) == ("magnitude", None, 0.5)


def as_loaded(written: dict[str, Any], study: str) -> dict[str, Any]:
    """A record as it is read again; what no record can hold is null."""
    return {"study": study, **written}


def test_failed_cell_says_why_and_has_null_metrics(cell: PlannedCell, tmp_path: Path) -> None:
    failed = outcome(cell, "safety_tuning", "attack", error="RuntimeError: no layer")
    write_record(Storage(str(tmp_path)), cell, failed)
    (row,) = load_records(str(tmp_path)).rows
    assert (row["status"], row["error"]) == ("failed", "RuntimeError: no layer")
    measured = (*MEASURED, *COSTS, *COMPRESSION_FACTS)
    assert {name: row[name] for name in measured} == dict.fromkeys(measured)
    assert (row["attack_seconds"], row["compression_seconds"]) == (2.0, None)
    assert row["evaluation_fingerprint"] == cell.stages[-1]
    assert not (tmp_path / "responses").exists()


def test_first_stage_failed(cell: PlannedCell) -> None:
    row = record_of(cell, outcome(cell, error="OSError: gone"), "a1")
    assert list(row) == RECORD_SCHEMA.names
    assert (row["safety_steps"], row["attack_steps"]) == (None, None)
    assert (row["packages"], row["safety_tuning_seconds"]) == (None, None)
    assert row["compression"] == "gptq"


def test_record_and_responses_survive_parquet(cell: PlannedCell, tmp_path: Path) -> None:
    written = write_record(Storage(str(tmp_path)), cell, outcome(cell, *KINDS))
    assert load_records(str(tmp_path)).rows == [as_loaded(written, str(tmp_path))]
    name = f"{cell.id}-{written['attempt']}.parquet"
    assert pq.read_schema(tmp_path / "records" / name).equals(RECORD_SCHEMA)
    responses = pq.read_table(tmp_path / "responses" / name)
    assert responses.to_pylist() == [{"cell": cell.id, "attempt": written["attempt"], **RESPONSE}]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_unreadable_record_is_named_and_breaks_nothing(
    cells: dict[tuple[str, str, int | None], PlannedCell], tmp_path: Path, share: float
) -> None:
    whole, cut = cells["none", "gptq", 4], cells["none", "gptq", 2]
    storage = Storage(str(tmp_path))
    kept = write_record(storage, whole, outcome(whole, *KINDS))
    lost = write_record(storage, cut, outcome(cut, *KINDS))
    path = tmp_path / "records" / f"{cut.id}-{lost['attempt']}.parquet"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    records = load_records(str(tmp_path))
    assert records.rows == [as_loaded(kept, str(tmp_path))]
    assert records.unreadable == [path.name]


def test_latest_ok_attempt_wins(cell: PlannedCell, tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    attempts = [
        write_record(storage, cell, outcome(cell, *kinds, error=error))
        for kinds, error in ((("attack",), "E"), (KINDS, None), (KINDS, None), ((), "F"))
    ]
    assert len({row["attempt"] for row in attempts}) == 4
    assert load_records(str(tmp_path)).rows == [as_loaded(attempts[2], str(tmp_path))]


def test_latest_failure_stands_while_none_is_ok(cell: PlannedCell, tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    for error in ("first", "second"):
        write_record(storage, cell, outcome(cell, error=error))
    assert [row["error"] for row in load_records(str(tmp_path)).rows] == ["second"]


def test_study_without_records_has_none(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    records = load_records(str(tmp_path))
    assert (records.rows, records.unreadable) == ([], [])


def test_records_are_read_from_an_object_store(cell: PlannedCell, tmp_path: Path) -> None:
    root = f"memory://{tmp_path.name}"
    written = write_record(Storage(root), cell, outcome(cell, *KINDS))
    assert load_records(root).rows == [as_loaded(written, root)]
