"""Which cell or configuration another is compared with: its own model before compression."""

import numpy as np
import polars as pl

from analysis.records.configurations import Whole

CHECKPOINT = (
    "study", "model", "safety_examples", "safety_form", "attack", "attack_examples",
    "attack_epochs", "attack_settings", "seed",
)  # fmt: skip
"""What makes two models the same before compression. Not the order: without a compression, or
without an attack, both orders are one cell."""


def uncompressed_rows(table: pl.DataFrame) -> Whole:
    """For every compressed row, the row of the same model uncompressed: (rows,).

    `table`: cells or configurations. -1 where there is none, and for what is not compressed.
    """
    keys = [name for name in CHECKPOINT if name in table.columns]
    rows = table.with_row_index("row").select("row", "compression", *keys)
    plain = rows.filter(pl.col("compression") == "none").unique(keys, keep="first")
    found = rows.join(
        plain.select(*keys, reference="row"),
        on=keys,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    compressed = pl.col("compression") != "none"
    reference = pl.when(compressed).then(pl.col("reference").cast(pl.Int64)).fill_null(-1)
    return np.asarray(found.select(reference)["reference"].to_numpy(), np.int64)
