"""Groups cells that differ by their seeds only, and lays out what each did on every prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analysis.records.labels import attack_label, cell_label, compression_label
from analysis.records.loading import FACTORS, Records
from search_spaces.metrics import RATES, Metric

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]
ATTACK_ORDER = ("attack", "attack_examples", "attack_epochs")
LABELLED = (
    "study", "model", "safety_examples", "attack", "compression_label", "calibration_data",
    "order", "device",
)  # fmt: skip


@dataclass(frozen=True)
class Configurations:
    """What is compared: a value for every factor, measured with one or more seeds."""

    table: pl.DataFrame
    """One row a configuration: the factors, `device`, `label`, `attack_label`,
    `compression_label`, `checkpoint` (a number: same model before compression), `seeds` and
    `calibration_seeds` (how many of each), `cells` (how many)."""
    cells: pl.DataFrame
    """One row an `ok` cell: the records' columns, `index` (its configuration's row) and `unit`
    (a number: cells of one unit have the same seed)."""
    repetition: str
    """Which seeds repeat the configurations: `seed` or, where no training was repeated,
    `calibration_seed`."""

    def __len__(self) -> int:
        return len(self.table)

    @property
    def checkpoint(self) -> Whole:
        """Each configuration's model before compression: (configurations,)."""
        return self.table["checkpoint"].to_numpy()

    @property
    def repeated(self) -> Floats:
        """1 where other seeds of this kind could have changed it, else 0: (configurations,)."""
        seeded = self.cells.group_by("index").agg(pl.col(self.repetition).is_not_null().any())
        return seeded.sort("index")[self.repetition].cast(pl.Float64).to_numpy()

    def only(self, kept: Mask) -> "Configurations":
        """Some of them, renumbered: `kept` is (configurations,)."""
        number = pl.DataFrame({"index": np.flatnonzero(kept), "new": np.arange(kept.sum())})
        cells = self.cells.join(number, on="index", maintain_order="left")
        cells = cells.drop("index").rename({"new": "index"})
        return Configurations(self.table.filter(pl.Series(kept)), cells, self.repetition)

    def by_unit(self, rows: Floats) -> Floats:
        """What cells measured, (cells, ...), as (configurations, units, ...): the mean of the cells
        of one unit; nan where there is none."""
        units = self.cells["unit"].n_unique()
        at = (self.cells["index"].to_numpy(), self.cells["unit"].to_numpy())
        known = ~np.isnan(rows)
        total = np.zeros((len(self), units, *rows.shape[1:]))
        count = np.zeros_like(total)
        np.add.at(total, at, np.where(known, rows, 0))
        np.add.at(count, at, known)
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def configurations(records: Records) -> Configurations:
    """The configurations of all `ok` cells, ordered by factors; never across devices."""
    cells = _keyed(records.ok)
    first = cells.unique(["study", "device", "key"], keep="first", maintain_order=True)
    first = _ordered(first).with_row_index("index").with_columns(pl.col("index").cast(pl.Int64))
    keys = first.select("index", "study", "device", "key")
    cells = cells.join(keys, on=["study", "device", "key"], nulls_equal=True, maintain_order="left")
    counts = cells.group_by("index").agg(
        seeds=pl.col("seed").n_unique(),
        calibration_seeds=pl.col("calibration_seed").drop_nulls().n_unique(),
        cells=pl.len(),
    )
    table = first.select("index", "cell", "device", *FACTORS).join(counts, on="index").sort("index")
    retrained = table.select((pl.col("seeds") > 1).any()).item()
    repetition = "seed" if retrained else "calibration_seed"
    cells = cells.with_columns(
        unit=pl.col(repetition).rank("dense").fill_null(1).cast(pl.Int64) - 1
    )
    return Configurations(_named(table).drop("index", "cell"), cells, repetition)


def outcomes(records: Records, cells: pl.DataFrame, metric: Metric) -> Floats:
    """What each of `cells` did on every prompt of a rate: (cells, prompts); 1, 0, or nan.

    A prompt is the same for two cells where its set, index and text are. Raises KeyError if the
    metric is no rate.
    """
    rate = RATES[metric]
    asked = records.responses.filter(pl.col("prompt_set") == rate.prompt_set)
    if rate.verdicts is None:
        counted = (
            pl.col("response").str.strip_chars()
            == pl.col("expected").fill_null("").str.strip_chars()
        )
    else:
        counted = pl.col("verdict").is_in(rate.verdicts)
    prompts = asked.select("prompt_index", "prompt").unique().sort("prompt_index", "prompt")
    rows = (
        asked.with_columns(outcome=counted.cast(pl.Float64))
        .join(prompts.with_row_index("column"), on=["prompt_index", "prompt"])
        .join(cells.select("study", "cell").with_row_index("row"), on=["study", "cell"])
    )
    table = np.full((len(cells), len(prompts)), np.nan)
    table[rows["row"].to_numpy(), rows["column"].to_numpy()] = rows["outcome"].to_numpy()
    return table


def varying(table: pl.DataFrame, names: Sequence[str]) -> list[str]:
    """The columns that have more than one value, nulls aside."""
    return [name for name in names if table[name].drop_nulls().n_unique() > 1]


def _keyed(ok: pl.DataFrame) -> pl.DataFrame:
    """With `key`, equal for the cells of a study that only repeat each other.

    Records without `configuration` (a table made elsewhere) are grouped by their factors, where
    seeds tell all of a group's cells apart; else each cell is for itself.
    """
    factors = [pl.col(name).cast(pl.String).fill_null("") for name in FACTORS]
    group = pl.concat_str(factors, separator="|")
    same = ["device", group]
    repeats = pl.struct("seed", "calibration_seed").n_unique().over(same) == pl.len().over(same)
    by_factors = pl.when(repeats & pl.col("seed").is_not_null()).then(group)
    return ok.with_columns(key=pl.coalesce("configuration", by_factors, "cell"))


def _ordered(table: pl.DataFrame) -> pl.DataFrame:
    """Smaller doses first; no attack first; what is not compressed first, then more bits first."""
    return table.sort(
        "study",
        "model",
        "safety_examples",
        "safety_form",
        pl.col("attack") != "none",
        *ATTACK_ORDER,
        pl.col("compression") != "none",
        pl.col("sparsity").is_not_null(),
        -pl.col("bits"),
        "compression_label",
        "calibration_data",
        "order",
        maintain_order=True,
    )


def _named(table: pl.DataFrame) -> pl.DataFrame:
    told = varying(table, LABELLED)
    rows = table.to_dicts()
    labels = [cell_label(row, told) for row in rows]
    seen: dict[str, int] = {}
    for number, label in enumerate(labels):
        # settings that have no column of their own, such as a learning rate, may tell two apart
        seen[label] = seen.get(label, 0) + 1
        if seen[label] > 1:
            labels[number] = f"{label} ({seen[label]})"
    checkpoint = ["study", "model", "safety_examples", "safety_form", *ATTACK_ORDER, "order"]
    return table.with_columns(
        label=pl.Series(labels, dtype=pl.String),
        attack_label=pl.Series([attack_label(row) for row in rows], dtype=pl.String),
        compression_label=pl.Series([compression_label(row) for row in rows], dtype=pl.String),
        checkpoint=pl.struct(checkpoint).rank("dense").cast(pl.Int64) - 1,
    )
