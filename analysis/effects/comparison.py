"""Compares two studies: pairs their configurations of equal factors, and tells what changed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from analysis.records.configurations import Floats, configurations, varying
from analysis.records.labels import cell_label
from analysis.records.loading import FACTORS, Records
from analysis.uncertainty.draws import Draws, draw
from search_spaces.metrics import DEVICE_METRICS, RATES, Metric

ASIDE = ("study", "model")
"""Factors that two studies may differ in and be compared."""
SETTINGS = ("attack_settings", "compression_settings")
"""Columns that hold what has no column of its own, as JSON."""
METRICS: tuple[Metric, ...] = ("helpfulness", "safety", "over_refusal")
AVERAGES: dict[str, Any] = {
    "level": pl.String,
    "pairs": pl.Int64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}
FACTOR_COLUMNS = ("safety_examples", "attack_label", "compression_label")


@dataclass(frozen=True)
class Comparison:
    """Pairs of configurations that have the same factors in two studies."""

    one: str
    other: str
    draws: Draws
    """Of both studies. Prompts that both asked are drawn for both alike, so differences are paired;
    training seeds are not, because different models share no luck."""
    pairs: pl.DataFrame
    """One row a pair: `row` and `other_row` (its configurations), `label`, `safety_examples`,
    `attack_label`, `compression_label`, `also_differs` (settings without a column of their own, in
    words; empty where there are none)."""
    unpaired: pl.DataFrame
    """One row a configuration without a partner: `study`, `label`, `reason`."""
    shared_prompts: dict[str, int]
    """How many prompts both studies asked, by prompt set; empty where responses are not kept."""

    @property
    def names(self) -> tuple[str, str]:
        """The last parts of the studies' paths."""
        return self.one.rpartition("/")[2], self.other.rpartition("/")[2]

    def alike(self) -> "Comparison":
        """Only the pairs whose other settings are the same, too."""
        return replace(self, pairs=self.pairs.filter(pl.col("also_differs") == ""))

    def changes(self, metric: Metric) -> Floats:
        """Draws of the second study's values less the first's: (replicates, pairs).

        nan where one of them was not measured, or not on the same device if that matters.
        """
        first, second = (self.pairs[name].to_numpy() for name in ("row", "other_row"))
        values = self.draws.values[metric]
        changes: Floats = values[:, second] - values[:, first]
        if metric in DEVICE_METRICS:
            devices = self.draws.configurations.table["device"].fill_null("").to_numpy()
            changes[:, devices[first] != devices[second]] = np.nan
        return changes


def compare(
    records: Records, metrics: Sequence[Metric] = METRICS, replicates: int = 2000, seed: int = 0
) -> Comparison:
    """The pairs of the two studies that the records hold, in the order in which they were loaded.

    Raises ValueError unless there are two studies with `ok` cells.
    """
    studies = records.ok["study"].unique(maintain_order=True).to_list()
    if len(studies) != 2:
        raise ValueError(f"two studies are compared; here are {len(studies)}")
    groups = configurations(records)
    key = _key(groups.table)
    sides = [_side(groups.table, groups.cells, study, key) for study in studies]
    once = [side.filter(pl.len().over(key) == 1) for side in sides]
    pairs = once[0].join(
        once[1].select(*key, other_row="row", other_settings="settings"),
        on=key,
        nulls_equal=True,
        maintain_order="left",
    )
    return Comparison(
        studies[0],
        studies[1],
        draw(records, metrics, replicates, seed),
        _told(pairs, key),
        pl.concat([_unpaired(sides[0], sides[1], key), _unpaired(sides[1], sides[0], key)]),
        _shared_prompts(records, studies),
    )


def paired_differences(comparison: Comparison, metric: Metric) -> pl.DataFrame:
    """One row a pair: its columns, `one` and `other` (what each measured), `difference` (the
    second less the first), `low`, `high` (95 %), and `probability` (that the second is higher)."""
    changes = comparison.changes(metric)
    measured = comparison.draws.estimates[metric]
    first, second = (comparison.pairs[name].to_numpy() for name in ("row", "other_row"))
    low, high = _interval(changes)
    higher = np.where(changes == 0, 0.5, changes > 0).mean(axis=0)
    known = ~np.isnan(low)
    columns = {
        "one": measured[first],
        "other": measured[second],
        "difference": np.where(known, measured[second] - measured[first], np.nan),
        "low": low,
        "high": high,
        "probability": np.where(known, higher, np.nan),
    }
    return comparison.pairs.drop("row", "other_row").with_columns(
        **{name: pl.Series(column).fill_nan(None) for name, column in columns.items()}
    )


def average_differences(comparison: Comparison, metric: Metric, factor: str) -> pl.DataFrame:
    """Mean differences over all pairs, then over those of each level of a factor.

    `factor`: a column of `pairs`. One row each: `level`, `pairs`, `difference`, `low`, `high`
    (95 %), of these pairs, weighted alike; pairs without a value are left out.
    """
    changes = comparison.changes(metric)
    measured = paired_differences(comparison, metric)["difference"]
    known = measured.is_not_null().to_numpy()
    levels = comparison.pairs[factor].cast(pl.String).fill_null("?").to_numpy()
    rows = []
    for level in ("all", *dict.fromkeys(levels.tolist())):
        kept = known & (np.ones_like(known) if level == "all" else levels == level)
        if not kept.any():
            continue
        low, high = _interval(changes[:, kept].mean(axis=1))
        mean = measured.to_numpy()[kept].mean()
        rows.append((level, int(kept.sum()), float(mean), float(low), float(high)))
    return pl.DataFrame(rows, schema=AVERAGES, orient="row")


def _interval(changes: Floats) -> tuple[Floats, Floats]:
    low, high = np.percentile(changes, [2.5, 97.5], axis=0)
    return low, high


def _key(table: pl.DataFrame) -> list[str]:
    """What two configurations must share. The model is not, where each study has but one."""
    models = table.group_by("study").agg(pl.col("model").n_unique())
    aside = ASIDE if (models["model"] == 1).all() else ("study",)
    return [name for name in FACTORS if name not in aside]


def _side(table: pl.DataFrame, cells: pl.DataFrame, study: str, key: Sequence[str]) -> pl.DataFrame:
    """A study's configurations with `row`, their factors, and `settings` of their first cells."""
    # a table that was made elsewhere may lack them
    told = [pl.col(n) if n in cells.columns else pl.lit(None, pl.String).alias(n) for n in SETTINGS]
    first = cells.unique("index", keep="first").select(row="index", settings=pl.struct(told))
    numbered = table.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    columns = dict.fromkeys(["row", "study", "label", *key, "attack_label"])
    return (
        numbered.filter(pl.col("study") == study)
        .select(*columns)
        .join(first, on="row", maintain_order="left")
    )


def _told(pairs: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The pairs as `Comparison` has them."""
    rows = pairs.to_dicts()
    told = varying(pairs, key)
    differ = [_difference(row["settings"], row["other_settings"]) for row in rows]
    return pairs.select(
        "row",
        "other_row",
        pl.Series("label", [cell_label(row, told) for row in rows], pl.String),
        *FACTOR_COLUMNS,
        pl.Series("also_differs", differ, pl.String),
    )


def _unpaired(side: pl.DataFrame, other: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The configurations of one side that have no partner, or several, in the other."""
    known = other.group_by(key).len("partners")
    found = side.with_columns(same=pl.len().over(key)).join(
        known, on=key, how="left", nulls_equal=True, maintain_order="left"
    )
    several = (pl.col("same") > 1) | (pl.col("partners") > 1)
    reason = (
        pl.when(pl.col("partners").is_null())
        .then(pl.lit("the other study lacks it"))
        .when(several)
        .then(pl.lit("factors do not tell which one it is"))
    )
    return found.with_columns(reason=reason).drop_nulls("reason").select("study", "label", "reason")


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The settings that two configurations differ in: `attack training.learning_rate`."""
    names = []
    for column in SETTINGS:
        values = [_leaves(json.loads(side.get(column) or "{}")) for side in (one, other)]
        names += [
            f"{column.removesuffix('_settings')} {field}"
            for field in sorted({*values[0], *values[1]})
            if values[0].get(field) != values[1].get(field)
        ]
    return ", ".join(names)


def _leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Nested settings by dotted name; places of data left out, for they may differ."""
    if isinstance(value, dict):
        inner = [(f"{name}.{key}" if name else key, one) for key, one in value.items()]
    elif isinstance(value, list):
        inner = [(f"{name}.{number}", one) for number, one in enumerate(value)]
    else:
        return {} if name.rpartition(".")[2] == "path" else {name: value}
    return {leaf: one for key, part in inner for leaf, one in _leaves(part, key).items()}


def _shared_prompts(records: Records, studies: Sequence[str]) -> dict[str, int]:
    sets = {rate.prompt_set for rate in RATES.values()}
    asked = records.responses.filter(pl.col("prompt_set").is_in(sets))
    prompt = ["prompt_set", "prompt_index", "prompt"]
    by_study = [asked.filter(pl.col("study") == s).select(prompt).unique() for s in studies]
    if any(prompts.is_empty() for prompts in by_study):
        return {}
    shared = by_study[0].join(by_study[1], on=prompt, how="semi").group_by("prompt_set").len()
    counts = dict(shared.iter_rows())
    return {name: counts.get(name, 0) for name in sorted(sets)}
