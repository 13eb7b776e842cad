"""The records: one immutable Parquet file a cell and attempt; responses first, record last."""

import io
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grid.plan import PlannedCell
from grid.stage import KINDS, Kind
from grid.storage import Storage
from grid.store import StageResult
from search_spaces.attacks import FineTuningAttack
from search_spaces.cells import Cell
from search_spaces.compressions import (
    Compression,
    bits_of,
    calibrations_of,
    method_of,
    pruning_of,
    steps_of,
)

SCHEMA_VERSION = 2
"""2: `configuration`, `attack_settings`; `attempt` of responses."""
RATES = (
    "helpfulness", "safety", "harmful_compliance", "refusal", "over_refusal", "incoherent",
    "perplexity",
)  # fmt: skip

_TEXT, _WHOLE, _REAL = pa.string(), pa.int64(), pa.float64()
RECORD_SCHEMA = pa.schema(
    [("schema_version", _WHOLE), ("cell", _TEXT), ("configuration", _TEXT)]
    + [("attempt", _TEXT), ("created", _REAL)]
    + [("status", _TEXT), ("error", _TEXT), ("model", _TEXT)]
    + [("safety_examples", _WHOLE), ("safety_form", _TEXT), ("safety_steps", _WHOLE)]
    + [("attack", _TEXT), ("attack_examples", _WHOLE), ("attack_epochs", _WHOLE)]
    + [
        ("attack_steps", _WHOLE),
        ("attack_settings", _TEXT),
        ("compression", _TEXT),
        ("bits", _WHOLE),
        ("sparsity", _REAL),
    ]
    + [("sparsity_pattern", _TEXT), ("group_size", _WHOLE), ("compression_label", _TEXT)]
    + [("compression_settings", _TEXT)]
    + [("calibration_data", _TEXT), ("calibration_samples", _WHOLE)]
    + [("calibration_seed", _WHOLE)]
    + [("order", _TEXT), ("seed", _WHOLE)]
    + [
        column
        for rate in RATES
        for column in ((rate, _REAL), (f"{rate}_n", _WHOLE), (f"{rate}_se", _REAL))
    ]
    + [("weights_bytes_disk", _WHOLE), ("weights_bytes_loaded", _WHOLE)]
    + [("bits_per_weight", _REAL), ("bits_per_weight_disk", _REAL)]
    + [("zero_fraction", _REAL), ("quantized_layers", _WHOLE), ("peak_memory_bytes", _WHOLE)]
    + [("prefill_tokens_per_second", _REAL)]
    + [
        column
        for batch in ("", "_batch8")
        for speed in ("time_to_first_token_seconds", "decode_tokens_per_second")
        for column in ((f"{speed}{batch}", _REAL), (f"{speed}{batch}_iqr", _REAL))
    ]
    + [("energy_joules_per_token", _REAL), ("other_processes_cpus", _REAL)]
    + [("execution", _TEXT), ("device", _TEXT)]
    + [(f"{kind}_seconds", _REAL) for kind in KINDS]
    + [(f"{kind}_fingerprint", _TEXT) for kind in KINDS]
    + [("packages", _TEXT), ("git_commit", _TEXT), ("data_hashes", _TEXT)]
)
"""The columns are a contract: later versions only add nullable ones."""

ANSWER_SCHEMA = pa.schema(
    [
        ("prompt_set", _TEXT),
        ("prompt_index", _WHOLE),
        ("prompt", _TEXT),
        ("expected", _TEXT),
        ("response", _TEXT),
        ("verdict", _TEXT),
        ("judge", _TEXT),
    ]
)
"""What an evaluation leaves."""
RESPONSE_SCHEMA = pa.schema([("cell", _TEXT), ("attempt", _TEXT), *ANSWER_SCHEMA])


@dataclass(frozen=True)
class Outcome:
    """How a cell ended: its stages' results as far as they came, and the error if one failed."""

    results: Mapping[Kind, StageResult]
    fingerprints: Mapping[Kind, str]
    error: str | None
    responses: pa.Table | None
    """Columns of ANSWER_SCHEMA; None where the cell failed."""
    data_hashes: Mapping[str, str]


def write_record(storage: Storage, planned: PlannedCell, outcome: Outcome) -> dict[str, Any]:
    """Write the cell's responses, then its record as the commit mark; returns the record."""
    attempt = uuid.uuid4().hex[:8]
    name = f"{planned.id}-{attempt}.parquet"
    if outcome.responses is not None:
        responses = outcome.responses
        for column, value in (("cell", planned.id), ("attempt", attempt)):
            same = pa.array([value] * responses.num_rows, _TEXT)
            responses = responses.append_column(column, same)
        storage.write(f"responses/{name}", parquet_bytes(responses.select(RESPONSE_SCHEMA.names)))
    record = record_of(planned, outcome, attempt)
    storage.write(f"records/{name}", parquet_bytes(pa.Table.from_pylist([record], RECORD_SCHEMA)))
    return record


def record_of(planned: PlannedCell, outcome: Outcome, attempt: str) -> dict[str, Any]:
    """The record's row; what was not measured is None."""
    row: dict[str, Any] = dict.fromkeys(RECORD_SCHEMA.names)
    row |= _factors(planned.cell)
    row |= {
        "schema_version": SCHEMA_VERSION,
        "cell": planned.id,
        "configuration": planned.configuration,
        "attempt": attempt,
        "created": time.time(),
        "status": "failed" if outcome.error else "ok",
        "error": outcome.error,
        "data_hashes": json.dumps(dict(outcome.data_hashes), sort_keys=True),
    }
    for kind, fingerprint in outcome.fingerprints.items():
        row[f"{kind}_fingerprint"] = fingerprint
    for kind, result in outcome.results.items():
        row[f"{kind}_seconds"] = result.seconds
        row |= _facts(kind, result.facts)
        row["packages"] = json.dumps(result.provenance["packages"], sort_keys=True)
        row["git_commit"] = result.provenance["git_commit"]
    return row


def _factors(cell: Cell) -> dict[str, Any]:
    attack = cell.attack if isinstance(cell.attack, FineTuningAttack) else None
    return {
        "model": cell.model.path,
        "safety_examples": cell.safety.examples,
        "safety_form": cell.safety.form,
        "attack": cell.attack.method,
        "attack_examples": attack.examples if attack else 0,
        "attack_epochs": attack.training.epochs if attack else 0,
        "attack_settings": cell.attack.model_dump_json(),
        **_compression_factors(cell.compression),
        "order": cell.order,
        "seed": cell.seed,
    }


def _compression_factors(compression: Compression) -> dict[str, Any]:
    pruning = pruning_of(compression)
    # of several calibrations the last one's, which is the quantizer's
    calibration = next(reversed(calibrations_of(compression)), None)
    return {
        "compression": method_of(compression),
        "compression_label": compression.label,
        "bits": bits_of(compression),
        "sparsity": pruning.sparsity if pruning else None,
        "sparsity_pattern": pruning.pattern if pruning else None,
        "group_size": getattr(steps_of(compression)[-1], "group_size", None),
        "compression_settings": compression.model_dump_json(),
        "calibration_data": "+".join(Path(source.path).stem for source in calibration.data)
        if calibration
        else None,
        "calibration_samples": calibration.samples if calibration else None,
        "calibration_seed": calibration.seed if calibration else None,
    }


def _facts(kind: Kind, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's facts under their column names."""
    if kind in ("safety_tuning", "attack"):
        column = "safety_steps" if kind == "safety_tuning" else "attack_steps"
        return {column: facts["optimizer_steps"]}
    return {name: value for name, value in facts.items() if name in RECORD_SCHEMA.names}


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()
