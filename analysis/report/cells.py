"""The table of cells as a page holds it: a column a factor or metric, a row a cell."""

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from analysis.pictures.axes import PREFIXES, is_bytes, name_of
from analysis.records.configurations import varying
from analysis.records.labels import attack_label, compression_label, dose_label
from analysis.report.answers import cell_key
from analysis.report.evidence import Evidence
from search_spaces.metrics import RATES, UNITS, Metric

FACTORS = {
    "study": "study",
    "model": "model",
    "dose": "safety examples",
    "attack_label": "attack",
    "compression_label": "compression",
    "calibration_data": "calibration data",
    "order": "order",
    "seed": "seed",
    "calibration_seed": "calibration seed",
    "device": "device",
    "execution": "runs as",
    "status": "status",
}
"""Columns that are shown and filtered by where they differ between cells, with their names."""
ORDER = (
    "study", "model", "safety_examples", "safety_form", pl.col("attack") != "none", "attack",
    "attack_examples", "attack_epochs", pl.col("compression") != "none", -pl.col("bits"),
    "compression_label", "calibration_data", "order", "seed", "calibration_seed",
)  # fmt: skip
"""Of the rows, before a reader sorts them."""
SHORT_UNITS = {"tokens per second": "tokens/s", "seconds": "s", "joules per token": "J/token"}
ASIDE = {"execution", "device"}
"""Factors that are filtered by, and shown on demand."""
HIDDEN = {"packages", "data_hashes", "study", "dose"}
"""Record columns that a cell's details leave out: the page tells them elsewhere."""


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    key: str
    label: str
    kind: Literal["text", "number"]
    values: list[Any]
    """One a cell; null where there is none."""
    unit: str = ""
    scale: float = 1.0
    """What is shown is the value times this."""
    digits: int = 1
    """Digits after the point that are shown."""
    errors: list[Any] | None = None
    """Standard errors, on the values' own scale."""
    main: bool = True
    """Shown from the start."""
    factor: bool = False
    """Filtered by a list of its values."""


def cell_table(evidence: Evidence) -> dict[str, Any]:
    """`columns`; and for each cell its `keys`, `labels` (all factors), `errors`, `configurations`
    (numbers within its front's table, or null) and `onFront`."""
    table = _labelled(evidence.records.table.sort(ORDER, maintain_order=True))
    front = _front_columns(evidence, table)
    columns = [*_factor_columns(table), *_probability(front), *_metric_columns(evidence, table)]
    return {
        "columns": [vars(column) for column in columns],
        "keys": [cell_key(*row) for row in table.select("study", "cell").iter_rows()],
        "cells": table["cell"].to_list(),
        "studies": table["study"].to_list(),
        "failed": (table["status"] != "ok").to_list(),
        "errors": table["error"].to_list(),
        "front": front["front"].to_list(),
        "configurations": front["row"].to_list(),
        "onFront": front["on_front"].to_list(),
    }


def cell_details(evidence: Evidence) -> dict[str, Any]:
    """Everything that the records hold of each cell: column names, and by cell its values."""
    table = evidence.records.table
    known = [
        name
        for name in table.columns
        if name not in HIDDEN and table[name].drop_nulls().len() and name != "error"
    ]
    rows = table.select(known).rows()
    keys = [cell_key(*row) for row in table.select("study", "cell").iter_rows()]
    found = {key: [_finite(v) for v in row] for key, row in zip(keys, rows, strict=True)}
    return {"names": known, "cells": found}


def _labelled(table: pl.DataFrame) -> pl.DataFrame:
    rows = table.to_dicts()
    made = {
        "attack_label": [attack_label(row) for row in rows],
        "compression_label": [compression_label(row) for row in rows],
        "dose": [dose_label(row) for row in rows],
    }
    columns = {name: pl.Series(values, dtype=pl.String) for name, values in made.items()}
    return table.with_columns(**columns)


def _factor_columns(table: pl.DataFrame) -> list[Column]:
    return [
        Column(
            name, FACTORS[name], "text", _texts(table, name), main=name not in ASIDE, factor=True
        )
        for name in varying(table, [name for name in FACTORS if name in table.columns])
    ]


def _texts(table: pl.DataFrame, name: str) -> list[str | None]:
    values = table[name].cast(pl.String).to_list()
    if name == "model":
        return [None if value is None else value.rpartition("/")[2] or value for value in values]
    return list(values)


def _metric_columns(evidence: Evidence, table: pl.DataFrame) -> list[Column]:
    objectives = [objective.metric for objective in evidence.objectives]
    others = [m for m in UNITS if m not in objectives and evidence.measured(m)]
    return [
        _metric_column(metric, table, metric in objectives or metric in RATES)
        for metric in (*objectives, *others)
    ]


def _metric_column(metric: Metric, table: pl.DataFrame, main: bool) -> Column:
    values = [_finite(value) for value in table[metric].cast(pl.Float64)]
    error = f"{metric}_se"
    errors = [_finite(v) for v in table[error]] if error in table.columns else None
    unit, scale, digits = _unit(metric, values)
    label = name_of(metric)
    return Column(metric, label, "number", values, unit, scale, digits, errors, main)


def _unit(metric: Metric, values: list[Any]) -> tuple[str, float, int]:
    """The unit that is shown, what the values are multiplied by, and digits."""
    known = [abs(value) for value in values if value is not None]
    largest = max(known, default=0.0)
    if metric in RATES and largest <= 1:
        return "%", 100.0, 1
    if is_bytes(metric):
        unit, size = next((p for p in PREFIXES if largest >= p[1]), PREFIXES[-1])
        return unit, 1 / size, 1
    return (
        SHORT_UNITS.get(UNITS[metric], ""),
        1.0,
        1 if largest >= 100 else 2 if largest >= 1 else 4,
    )


def _front_columns(evidence: Evidence, table: pl.DataFrame) -> pl.DataFrame:
    """For each cell: `front` (its place among the fronts), `row` in that front's table,
    `on_front`, `probability`; null where its configuration has not all objectives."""
    schema = {
        "study": pl.String,
        "cell": pl.String,
        "front": pl.Int64,
        "row": pl.Int64,
        "on_front": pl.Boolean,
        "probability": pl.Float64,
    }
    parts = [pl.DataFrame(schema=schema)]
    for number, front in enumerate(evidence.fronts.values()):
        cells = front.draws.configurations.cells.select("study", "cell", row="index")
        known = front.table.select("on_front", "probability").with_row_index("row")
        joined = cells.join(known.with_columns(pl.col("row").cast(pl.Int64)), on="row")
        parts.append(joined.with_columns(front=pl.lit(number, pl.Int64)).select(*schema))
    keys = table.select("study", "cell")
    return keys.join(pl.concat(parts), on=["study", "cell"], how="left", maintain_order="left")


def _probability(front: pl.DataFrame) -> list[Column]:
    values = front["probability"].to_list()
    if not any(value is not None for value in values):
        return []
    return [Column("probability", "P(on the front)", "number", values, digits=2)]


def _finite(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    return value
