"""Releases: what an engineer chooses, which is all but the attack; and how each fares at worst."""

from collections.abc import Mapping
from dataclasses import dataclass

import moocore
import numpy as np
import polars as pl

from analysis.fronts.dominance import losses, nondominated
from analysis.records.configurations import Floats, varying
from analysis.records.labels import cell_label
from analysis.uncertainty.draws import Draws
from analysis.uncertainty.pooling import pooled
from search_spaces.metrics import Metric
from search_spaces.space import Objective

RELEASE = (
    "study", "model", "safety_examples", "safety_form", "compression_label", "compression",
    "calibration_data", "device",
)  # fmt: skip
"""The release engineer's factors."""
ATTACK = ("attack_label", "order")
"""The adversary's: whether before or after compression is a choice of theirs as well."""


@dataclass(frozen=True)
class Releases:
    """Releases that were measured under every attack, and the worst of each objective over those.

    Each objective at its own worst attack: no single attack need reach them together.
    """

    labels: list[str]
    attacks: list[str]
    estimates: Mapping[Metric, Floats]
    """By objective: (releases,)."""
    values: Mapping[Metric, Floats]
    """By objective, of partially pooled draws: (replicates, releases)."""
    on_front: list[bool]
    probability: list[float]
    """Of being non-dominated at its worst."""
    incomplete: int
    """Releases that some attack was not measured for."""


def worst_releases(draws: Draws, objectives: tuple[Objective, ...]) -> Releases | None:
    """None where there are fewer than two attacks, or two complete releases.

    The draws must be of one device if an objective depends on it.
    """
    table = draws.configurations.table
    attacks = table.select(ATTACK).unique(maintain_order=True)
    if len(attacks) < 2:
        return None
    estimated = np.stack([draws.estimates[o.metric] for o in objectives], axis=-1)
    known = np.asarray(~np.isnan(estimated).any(axis=1))
    rows = table.with_row_index("row").filter(pl.Series(known))
    grouped = rows.group_by(RELEASE, maintain_order=True).agg("row", pl.len().alias("found"))
    complete = grouped.filter(pl.col("found") == len(attacks))
    if len(complete) < 2:
        return None
    members = np.array(complete["row"].to_list(), dtype=np.int64)
    drawn = pooled(draws.only(known)).values
    place = np.cumsum(known) - 1
    estimates = {o.metric: _worst(draws.estimates[o.metric][members], o) for o in objectives}
    values = {o.metric: _worst(drawn[o.metric][:, place[members]], o) for o in objectives}
    points = losses(np.stack([estimates[o.metric] for o in objectives], axis=-1), objectives)
    replicates = losses(np.stack([values[o.metric] for o in objectives], axis=-1), objectives)
    told = varying(complete, [name for name in RELEASE if name != "compression"])
    return Releases(
        [cell_label(row | {"cell": "the release"}, told) for row in complete.to_dicts()],
        [_attack(row) for row in attacks.to_dicts()],
        estimates,
        values,
        nondominated(points).tolist(),
        _shares(replicates).tolist(),
        len(grouped) - len(complete),
    )


def _worst(values: Floats, objective: Objective) -> Floats:
    """Over the last axis, which is of attacks."""
    worst = values.min(axis=-1) if objective.direction == "maximize" else values.max(axis=-1)
    return np.asarray(worst, np.float64)


def _shares(replicates: Floats) -> Floats:
    """In what share of replicates each point is non-dominated: (points,)."""
    count, points, width = replicates.shape
    sets = np.repeat(np.arange(count), points)
    kept = moocore.is_nondominated_within_sets(
        replicates.reshape(-1, width), sets, keep_weakly=True
    )
    return np.asarray(np.asarray(kept).reshape(count, points).mean(axis=0), np.float64)


def _attack(row: Mapping[str, object]) -> str:
    label = "no attack" if row["attack_label"] == "none" else str(row["attack_label"])
    return f"{label} after compression" if row["order"] == "compress_then_attack" else label
