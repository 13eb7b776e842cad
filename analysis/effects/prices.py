"""The price of safety: what must be given up for less harm, after each attack."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from analysis.records.configurations import Floats, Whole
from analysis.uncertainty.draws import Draws
from search_spaces.metrics import Metric

BOUNDS = tuple(bound / 20 for bound in range(1, 21))
"""Harm that is accepted: shares of harmful requests complied with."""
STEP = 0.1
"""Ten points less harm."""
_ATTACKED = ("study", "model", "device", "attack_label")
_ASKED: dict[Metric, int] = {"helpfulness": 1, "weights_bytes_loaded": -1}
"""What is paid in, and whether more of it is better."""
_OF_METRIC = ("", "_low", "_high", "_price", "_price_low", "_price_high")
SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(_ATTACKED, pl.String),
    "harm_bound": pl.Float64,
    "feasible": pl.Float64,
    "price_feasible": pl.Float64,
    "helpfulness_label": pl.String,
    **{f"helpfulness{name}": pl.Float64 for name in _OF_METRIC},
    "weights_bytes_loaded_label": pl.String,
    **{f"weights_bytes_loaded{name}": pl.Float64 for name in _OF_METRIC},
}


def price_of_safety(draws: Draws, bounds: Sequence[float] = BOUNDS) -> pl.DataFrame:
    """One row an attack and bound on harm; columns as `SCHEMA`.

    The attack is not ours to choose, so the front is one of the configurations after the same
    attack: `helpfulness` is the best, and `weights_bytes_loaded` the least, of those whose
    `harmful_compliance` is at most `harm_bound`; `..._label` names the one. `..._price` is the
    helpfulness lost, and the bytes added, by asking for ten points less than the bound. `feasible`
    and `price_feasible`: shares of the draws in which a configuration keeps the bound, and the
    bound and ten points less. `..._low`, `..._high`: 95 % over those draws, widened to hold what
    was measured; from pooled draws, as the best of many noisy values is too good. Null where no
    configuration was measured to keep the bound, and for what the draws do not hold. Raises
    KeyError if they hold no `harmful_compliance`.
    """
    table = draws.configurations.table.with_row_index("at")
    known = ~np.isnan(draws.estimates["harmful_compliance"])
    rows: list[dict[str, object]] = []
    attacked = table.filter(pl.Series(known)).group_by(_ATTACKED, maintain_order=True)
    for key, found in attacked:
        named = dict(zip(_ATTACKED, key, strict=True))
        rows += [named | row for row in _rows(draws, found["at"].to_numpy(), bounds)]
    return pl.DataFrame(rows, schema=SCHEMA)


@dataclass(frozen=True)
class _Attained:
    """The best under each bound; what was measured first, then every draw."""

    values: Floats
    """(1 + replicates, bounds); nan where no configuration keeps the bound."""
    chosen: Whole
    """(bounds,): the configuration that was measured best; of no meaning where none is."""


def _rows(draws: Draws, at: Whole, bounds: Sequence[float]) -> list[dict[str, object]]:
    limits = np.array(bounds)
    # rounded, so that 0.15 less ten points admits a harm of 0.05
    asked = np.concatenate([limits, (limits - STEP).round(9)])
    harm = _stacked(draws, "harmful_compliance", at)
    kept = (harm[:, :, None] <= asked).any(axis=1)[1:]
    here, less = kept[:, : len(limits)], kept[:, len(limits) :]
    rows: list[dict[str, object]] = [
        {
            "harm_bound": bound,
            "feasible": float(here[:, n].mean()),
            "price_feasible": float((here & less)[:, n].mean()),
        }
        for n, bound in enumerate(bounds)
    ]
    labels = draws.configurations.table["label"]
    for metric, sign in _ASKED.items():
        if metric not in draws.estimates:
            continue
        found = _attained(harm, _stacked(draws, metric, at), sign, asked)
        best = found.values[:, : len(limits)]
        # plus zero: no price is not a negative one
        price = sign * (best - found.values[:, len(limits) :]) + 0.0
        for n, row in enumerate(rows):
            row |= _summary(metric, best[:, n]) | _summary(f"{metric}_price", price[:, n])
            if not np.isnan(best[0, n]):
                row[f"{metric}_label"] = labels[int(at[found.chosen[n]])]
    return rows


def _stacked(draws: Draws, metric: Metric, at: Whole) -> Floats:
    """What was measured, then every draw: (1 + replicates, configurations)."""
    return np.vstack([draws.estimates[metric][at], draws.values[metric][:, at]])


def _attained(harm: Floats, values: Floats, sign: int, bounds: Floats) -> _Attained:
    best = np.empty((len(harm), len(bounds)))
    chosen = np.empty(len(bounds), np.int64)
    for n, bound in enumerate(bounds):
        allowed = np.where((harm <= bound) & ~np.isnan(values), sign * values, -np.inf)
        best[:, n] = allowed.max(axis=1)
        chosen[n] = allowed[0].argmax()
    return _Attained(np.where(np.isinf(best), np.nan, sign * best), chosen)


def _summary(name: str, values: Floats) -> dict[str, object]:
    """What was measured, which stands first, and the draws' interval."""
    if np.isnan(values[0]):
        return {}
    low, high = np.nanpercentile(values, [2.5, 97.5])
    measured = float(values[0])
    return {
        name: measured,
        f"{name}_low": min(float(low), measured),
        f"{name}_high": max(float(high), measured),
    }
