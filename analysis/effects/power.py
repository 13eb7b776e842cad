"""What a study could have seen: the smallest difference it finds in four of five repetitions."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import stats
from scipy.optimize import brentq
from statsmodels.stats.power import TTestIndPower

from analysis.effects.interactions import METRICS
from analysis.effects.losses import cell_losses
from analysis.effects.paired_rates import mcnemar_p_values
from analysis.records.configurations import Configurations, Floats, configurations
from analysis.records.loading import Records
from search_spaces.metrics import Metric

POWER = 0.8
ALPHA = 0.05
OVER_PROMPTS = "a cell and its uncompressed model, over the same prompts"
OVER_SEEDS = "two configurations, over training seeds"
SCHEMA: dict[str, type[pl.DataType]] = {
    "metric": pl.String,
    "comparison": pl.String,
    "compression_label": pl.String,
    "prompts": pl.Int64,
    "seeds": pl.Int64,
    "discordance": pl.Float64,
    "seed_sd": pl.Float64,
    "difference": pl.Float64,
}


def detectable_differences(records: Records, metrics: Sequence[Metric] = METRICS) -> pl.DataFrame:
    """Smallest differences found with a power of 80 % at 5 %, each comparison taken alone.

    One row a metric and compression for exact McNemar over the same prompts; `prompts` and
    `discordance` (the share of prompts whose answer changes either way without changing the rate)
    are means over the compression's cells. One row a metric for a t-test between two
    configurations trained with `seeds` seeds each, whose rates vary by `seed_sd` (pooled over
    configurations), where there are two or more. `difference` is a share; null where no difference
    would be found. Columns as `SCHEMA`. Raises KeyError for a metric that is no rate.
    """
    pairs = cell_losses(records, metrics)
    changed = 2 * pl.min_horizontal("only_uncompressed", "only_compressed") / pl.col("prompts")
    typical = pairs.group_by("metric", "compression_label", maintain_order=True).agg(
        prompts=pl.col("prompts").mean().cast(pl.Int64), discordance=changed.mean()
    )
    rows = [
        {
            **row,
            "comparison": OVER_PROMPTS,
            "difference": paired_difference(row["prompts"], row["discordance"]),
        }
        for row in typical.iter_rows(named=True)
    ]
    groups = configurations(records)
    rows += [row for metric in metrics for row in _between_seeds(groups, metric)]
    return pl.DataFrame(rows, schema=SCHEMA)


def paired_difference(prompts: int, discordance: float) -> float | None:
    """The smallest difference of two rates over `prompts` that exact McNemar finds in 80 %.

    `discordance`: the share of prompts that change either way without a difference; a difference
    adds to it. None where even a change of all the other prompts would be missed.
    """
    most = 1 - discordance
    if most <= 0 or paired_power(prompts, discordance, most) < POWER:
        return None
    return float(brentq(lambda d: paired_power(prompts, discordance, d) - POWER, 0, most))


def paired_power(prompts: int, discordance: float, difference: float) -> float:
    """Exact: over all numbers of discordant prompts, and of those among them that are worse."""
    discordant = np.arange(prompts + 1)
    changed = discordance + difference
    if changed == 0:
        return 0.0
    critical = _critical_counts(prompts)
    worse = (discordance / 2 + difference) / changed
    found = stats.binom.cdf(critical, discordant, worse)
    found += stats.binom.cdf(critical, discordant, 1 - worse)
    return float(stats.binom.pmf(discordant, prompts, changed) @ found)


def _critical_counts(prompts: int) -> Floats:
    """For every number of discordant prompts, the largest smaller count that is significant."""
    discordant = np.arange(prompts + 1)
    count = stats.binom.ppf(ALPHA / 2, discordant, 0.5)
    # the quantile is the first count that reaches the level: what keeps within it may be one less
    within = mcnemar_p_values(count, discordant - count) < ALPHA
    return np.asarray(np.where(within, count, count - 1), np.float64)


def _between_seeds(groups: Configurations, metric: Metric) -> list[dict[str, object]]:
    if metric not in groups.cells.columns:
        return []
    # cells that differ by the calibration seed only are one training run
    runs = groups.cells.group_by("index", "seed").agg(pl.col(metric).mean())
    spread = (
        runs.drop_nulls([metric, "seed"])
        .group_by("index")
        .agg(seeds=pl.len().cast(pl.Int64), variance=pl.col(metric).var())
        .filter(pl.col("seeds") > 1)
    )
    if spread.is_empty():
        return []
    seeds = int(spread["seeds"].to_numpy().min())
    freedom = spread["seeds"].to_numpy() - 1
    sd = float(np.sqrt(freedom @ spread["variance"].to_numpy() / freedom.sum()))
    size = float(TTestIndPower().solve_power(nobs1=seeds, alpha=ALPHA, power=POWER))
    row = {"metric": metric, "comparison": OVER_SEEDS, "seeds": seeds, "seed_sd": sd}
    return [row | {"difference": sd * size}]
