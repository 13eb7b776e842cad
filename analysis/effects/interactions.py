"""Which pairs of factors interact: whether one's effect on the log-odds depends on the other.

On the logit scale, because rates saturate: a factor that has no room left looks as if it interacted
on raw proportions. `docs/decisions/0008` says what else was tried and how often it was wrong.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import polars as pl
from statsmodels.stats.proportion import proportion_confint

from analysis.effects.factors import (
    group_numbers,
    indicators,
    level_numbers,
    levels,
    varying_factors,
)
from analysis.effects.log_odds import CellLogOdds, cell_log_odds
from analysis.effects.pair_test import PairTest, pair_test
from analysis.effects.paired_rates import holm
from analysis.effects.strata import Nesting, Stratum, cell_stratum, plot_stratum
from analysis.records.configurations import (
    Configurations,
    Floats,
    Mask,
    Whole,
    configurations,
    outcomes,
)
from analysis.records.loading import Records
from search_spaces.metrics import Metric

METRICS: tuple[Metric, ...] = ("helpfulness", "safety", "over_refusal")
BOUND = 0.05
"""A rate surely within this of 0 or 1 leaves no room to see an interaction."""
ONE_SEED = "confounded with training noise: one seed"
NOT_CROSSED = "not crossed"
SCHEMA: dict[str, type[pl.DataType]] = {
    "metric": pl.String,
    "factor": pl.String,
    "other_factor": pl.String,
    "statistic": pl.Float64,
    "degrees_of_freedom": pl.Int64,
    "error_degrees_of_freedom": pl.Float64,
    "p_value": pl.Float64,
    "p_holm": pl.Float64,
    "level": pl.String,
    "other_level": pl.String,
    "departure": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "level_pairs": pl.Int64,
    "at_bounds": pl.Int64,
    "flag": pl.String,
    "readable": pl.Boolean,
}
Pair = tuple[str, str]


def interactions(records: Records, metrics: Sequence[Metric] = METRICS) -> pl.DataFrame:
    """One row a metric and pair of varying factors; columns as `SCHEMA`.

    `statistic`: F on `degrees_of_freedom` and `error_degrees_of_freedom`, adjusted for all main
    effects and the other pairs; `p_holm`: Holm over the readable pairs of the metric. `level` and
    `other_level`: where additivity fails most clearly, by `departure` log-odds, with an interval of
    95 % over all pairs of levels at once. `at_bounds` of the `level_pairs` are surely within 0.05
    of 0 or 1. Where they leave nothing to test (`flag`: ceiling, floor), or one seed cannot tell an
    interaction from a training run's luck (for two factors of training, ever; else with no third
    factor to tell it by), or no levels are crossed, `readable` is false and no number is given.
    Raises KeyError for a metric that is no rate.
    """
    groups = configurations(records)
    found = [_of_metric(records, groups, metric) for metric in metrics]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *found])


def _of_metric(records: Records, groups: Configurations, metric: Metric) -> pl.DataFrame:
    answers = outcomes(records, groups.cells, metric)
    answered: Mask = np.asarray(~np.isnan(answers).all(axis=1))
    pairs = list(combinations(varying_factors(groups.table), 2))
    if not answered.any() or not pairs:
        return pl.DataFrame(schema=SCHEMA)
    study = _study(groups, answers, answered)
    rows = [
        {"metric": metric, "factor": a, "other_factor": b} | _row(study, (a, b)) for a, b in pairs
    ]
    table = pl.DataFrame(rows, schema=SCHEMA)
    adjusted = holm(table["p_value"].to_numpy())
    return table.with_columns(p_holm=pl.Series(adjusted).fill_nan(None))


@dataclass(frozen=True)
class _Study:
    """One metric's answers, and what gave them."""

    table: pl.DataFrame
    """One row a cell: its configuration's factors."""
    names: list[str]
    trained: set[str]
    """The factors that are the same for all cells of a checkpoint."""
    answers: Floats
    nesting: Nesting
    log_odds: CellLogOdds

    @cached_property
    def pairs(self) -> list[Pair]:
        return list(combinations(self.names, 2))

    @cached_property
    def within(self) -> Floats:
        """All that differs between the cells of a checkpoint: (cells, columns)."""
        names = [name for name in self.names if name not in self.trained]
        return self.effects(names, [pair for pair in self.pairs if not self.between(pair)])

    @cached_property
    def cells(self) -> Stratum:
        return cell_stratum(self.log_odds, self.nesting, self.within)

    @cached_property
    def plots(self) -> Stratum:
        return plot_stratum(self.cells, self.nesting, self.within)

    def numbers(self, name: str) -> Whole:
        return level_numbers(self.table, name)

    def product(self, pair: Pair) -> Whole:
        """Each cell's pair of levels, numbered."""
        return group_numbers(self.numbers(pair[0]), self.numbers(pair[1]))

    def between(self, pair: Pair) -> bool:
        """True if the pair is judged between checkpoints, else within them."""
        return set(pair) <= self.trained

    def effects(self, names: Sequence[str], pairs: Sequence[Pair]) -> Floats:
        """Columns of main effects and of pairs: (cells, columns)."""
        columns: list[Floats] = [np.ones((len(self.table), 1))]
        columns += [indicators(self.numbers(name)) for name in names]
        columns += [indicators(self.product(pair)) for pair in pairs]
        return np.hstack(columns)


def _study(groups: Configurations, answers: Floats, answered: Mask) -> _Study:
    index = groups.cells["index"].to_numpy()[answered]
    table = groups.table[index]
    names = varying_factors(table)
    checkpoint = group_numbers(table["checkpoint"].to_numpy())
    seed = groups.cells["seed"].fill_null(-1).to_numpy()[answered]
    nesting = Nesting(group_numbers(index), checkpoint, group_numbers(checkpoint, seed))
    numbers = {name: level_numbers(table, name) for name in names}
    main = [np.ones((len(table), 1)), *(indicators(found)[:, 1:] for found in numbers.values())]
    cells = cell_log_odds(answers[answered], np.hstack(main), nesting.plot)
    trained = {
        name
        for name, found in numbers.items()
        if group_numbers(checkpoint, found).max() == checkpoint.max()
    }
    return _Study(table, names, trained, answers[answered], nesting, cells)


def _row(study: _Study, pair: Pair) -> dict[str, object]:
    at_bounds, flag = _saturation(study, pair)
    row = {"level_pairs": len(at_bounds), "at_bounds": int(at_bounds.sum())}
    found = flag or _tested(study, pair, ~at_bounds)
    if isinstance(found, str):
        return row | {"flag": found, "readable": False}
    one = int(np.flatnonzero(study.product(pair) == found.clearest)[0])
    level, other_level = (levels(study.table, name)[study.numbers(name)[one]] for name in pair)
    named = {"level": level, "other_level": other_level, "flag": "", "readable": True}
    return row | asdict(found) | named


def _tested(study: _Study, pair: Pair, told: Mask) -> PairTest | str:
    """The test in the pair's stratum, all other effects there beside it; or why there is none."""
    own = indicators(study.product(pair))
    stratum = study.plots if study.between(pair) else study.cells
    if not stratum.degrees_of_freedom:
        return ONE_SEED
    between = study.between(pair)
    others = [other for other in study.pairs if study.between(other) == between and other != pair]
    names = [name for name in study.names if (name in study.trained) == between]
    base = study.effects(names, others)
    if between:
        first = study.nesting.first
        return pair_test(stratum, base[first], own[first], told) or NOT_CROSSED
    base = np.hstack([indicators(study.nesting.plot), base])
    return pair_test(stratum, base, own, told) or NOT_CROSSED


def _saturation(study: _Study, pair: Pair) -> tuple[Mask, str]:
    """(level pairs,) true where a rate is surely at a bound; a flag if nothing else is left."""
    product = study.product(pair)
    asked = np.bincount(product, (~np.isnan(study.answers)).sum(axis=1))
    count = np.bincount(product, np.nansum(study.answers, axis=1))
    low, high = proportion_confint(count, asked, method="wilson")
    floor, ceiling = high < BOUND, low > 1 - BOUND
    at_bounds: Mask = np.asarray(floor | ceiling)
    free = ~at_bounds[product]
    contrasts = _contrasts(study.numbers(pair[0])[free], study.numbers(pair[1])[free])
    if contrasts or not at_bounds.any():
        return at_bounds, ""
    words = [word for word, found in (("floor", floor), ("ceiling", ceiling)) if found.any()]
    return at_bounds, " and ".join(words)


def _contrasts(first: Whole, second: Whole) -> int:
    """How many interaction contrasts the pairs of levels that are there allow."""
    if not len(first):
        return 0
    both = np.unique(np.column_stack([first, second]), axis=0)
    main = np.hstack([indicators(both[:, 0]), indicators(both[:, 1])])
    return len(both) - int(np.linalg.matrix_rank(main))
