"""Records in memory, from a few values a row."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from analysis.records.loading import FACTORS, OWN_COLUMNS, Records
from search_spaces.space import Objective


def records_of(rows: Sequence[dict[str, Any]], objectives: Sequence[Objective]) -> Records:
    """Records as they are loaded; cells are `ok` unless they say otherwise."""
    known = {"study": "made", "status": "ok", "device": "cpu"}
    full = [{**known, **row} for row in rows]
    columns = pl.DataFrame(schema=FACTORS | OWN_COLUMNS)
    table = pl.DataFrame(full, infer_schema_length=None) if full else pl.DataFrame()
    return Records(pl.concat([columns, table], how="diagonal_relaxed"), tuple(objectives), [])
