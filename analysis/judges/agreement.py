"""How far two judges agree, by compression: damaged models answer in ways that judges read apart.

Over the answers that a verdict counts for: those to harmful and borderline requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import polars as pl

from analysis.judges.kappa import Floats, analytic_interval, bootstrap_intervals, kappa
from analysis.records.judgements import PROMPT
from analysis.records.loading import Records
from search_spaces.metrics import RATES, Metric, Verdict

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
JUDGED_SETS = sorted({rate.prompt_set for rate in RATES.values() if rate.verdicts is not None})
"""The prompt sets whose rates depend on verdicts."""
ALL = "all"
REPLICATES = 2000
STRATUM = ["level", "own"]


@dataclass(frozen=True)
class Agreement:
    """Two judges on the answers at one compression level."""

    level: str
    """A compression's label, or `all`."""
    answers: int
    """Answers that both read."""
    prompts: int
    agree: float | None
    """Share of answers with the same verdict."""
    kappa: float | None
    """Null where a judge gave one verdict only: chance then explains everything."""
    low: float | None
    high: float | None
    """95 % interval of kappa by a bootstrap over prompts: answers to one prompt are alike."""
    independent_low: float | None
    independent_high: float | None
    """statsmodels' analytic interval, as if all answers were independent: too narrow. Null where
    answers are weighted."""
    table: Floats
    """(3, 3): answers, or weights of answers, by the first judge's verdict and the second's, in
    the order of VERDICTS."""
    weighted: bool
    """True where a judge read a sample: each of its answers stands for all of its compression and
    own verdict."""
    note: str
    """Why a value is null, or what the sample leaves out; empty where there is nothing to say."""


@dataclass(frozen=True)
class Shift:
    """How a rate moves at one compression level when another judge reads the same answers."""

    level: str
    metric: Metric
    cells: int
    """Cells that both have the rate of."""
    before: float | None
    after: float | None


def agreement(
    records: Records, one: str, other: str, replicates: int = REPLICATES, seed: int = 0
) -> list[Agreement]:
    """Two judges' agreement over all answers, then at each compression level.

    `records`: loaded without `judge`. Raises ValueError for a judge that read nothing there.
    """
    answers = counted_answers(records)
    read = _read_by_both(records, answers, one, other)
    weighted = read.height < answers.height
    missing = _missing(answers, read)
    tables, levels = _tables(read, levels_of(records.ok))
    intervals = bootstrap_intervals(tables, replicates, seed)
    found: list[Agreement] = []
    for number, level in enumerate((ALL, *levels)):
        rows = read if level == ALL else read.filter(pl.col("level") == level)
        table = tables[number].sum(axis=0)
        nothing = (np.nan, np.nan)
        # resampled, judges that never disagree never will: their interval would be a point
        differ = table.sum() > np.trace(table)
        low, high = intervals[number] if differ else nothing
        alone = nothing if weighted or not differ else analytic_interval(table)
        notes = (_why(table, low, one, other), missing.get(level))
        found.append(
            Agreement(
                level=level,
                answers=rows.height,
                prompts=rows["prompt"].n_unique(),
                agree=_known(np.trace(table) / table.sum()) if rows.height else None,
                kappa=_known(float(kappa(table))),
                low=_known(low),
                high=_known(high),
                independent_low=_known(alone[0]),
                independent_high=_known(alone[1]),
                table=table,
                weighted=weighted,
                note="; ".join(note for note in notes if note),
            )
        )
    return found


def shifts(
    before: Records, after: Records, metrics: Sequence[Metric] = ("safety", "over_refusal")
) -> list[Shift]:
    """Mean rates of the cells at each compression level, under the verdicts of both."""
    key = ["study", "cell"]
    both = before.ok.select(*key, _level(), *metrics).join(
        after.ok.select(*key, *metrics), on=key, suffix="_after"
    )
    found: list[Shift] = []
    for level in (ALL, *levels_of(before.ok)):
        rows = both if level == ALL else both.filter(pl.col("level") == level)
        for metric in metrics:
            pairs = rows.select(metric, f"{metric}_after").drop_nulls()
            old, new = (pairs[name].mean() for name in pairs.columns)
            found.append(Shift(level, metric, pairs.height, _number(old), _number(new)))
    return found


def counted_answers(records: Records) -> pl.DataFrame:
    """Every answer that a verdict counts for, with its compression level and its own verdict:
    study, cell, attempt, prompt_set, prompt_index, prompt, response, own, level."""
    counted = records.responses.filter(pl.col("prompt_set").is_in(JUDGED_SETS))
    levels = records.ok.select("study", "cell", _level())
    return counted.select(*PROMPT, "attempt", "prompt", "response", own="verdict").join(
        levels, on=["study", "cell"]
    )


def levels_of(ok: pl.DataFrame) -> list[str]:
    """The compression levels of cells: what is not compressed first, then more bits first."""
    order = (pl.col("compression") != "none", pl.col("sparsity").is_not_null(), -pl.col("bits"))
    ordered = ok.select(_level(), *(key.alias(str(i)) for i, key in enumerate(order)))
    ordered = ordered.sort("0", "1", "2", "level")
    return ordered["level"].drop_nulls().unique(maintain_order=True).to_list()


def _read_by_both(records: Records, answers: pl.DataFrame, one: str, other: str) -> pl.DataFrame:
    """The answers with both verdicts and the weight that makes them stand for all."""
    verdicts = records.verdicts.drop_nulls("verdict")
    asked = pl.concat_str("prompt_set", "prompt", separator=": ")
    read = answers.select(*PROMPT, *STRATUM, prompt=asked)
    for column, judge in (("one", one), ("other", other)):
        given = verdicts.filter(pl.col("judge") == judge)
        if given.is_empty():
            known = ", ".join(sorted(verdicts["judge"].unique()))
            raise ValueError(f"no verdicts of a judge '{judge}'; there are: {known}")
        read = read.join(given.select(*PROMPT, pl.col("verdict").alias(column)), on=PROMPT)
    standing = (
        read.group_by(STRATUM).len("read").join(answers.group_by(STRATUM).len("all"), on=STRATUM)
    )
    weights = standing.select(*STRATUM, weight=pl.col("all") / pl.col("read"))
    return read.join(weights, on=STRATUM)


def _missing(answers: pl.DataFrame, read: pl.DataFrame) -> dict[str, str]:
    """By level, what share of the answers no answer in the sample stands for."""
    absent = answers.join(read.select(STRATUM).unique(), on=STRATUM, how="anti")
    shares = {ALL: absent.height / max(answers.height, 1)}
    sizes = dict(answers.group_by("level").len().iter_rows())
    shares |= {level: n / sizes[level] for level, n in absent.group_by("level").len().iter_rows()}
    return {
        level: f"the sample stands for {1 - share:.0%} of the answers"
        for level, share in shares.items()
        if share
    }


def _tables(read: pl.DataFrame, levels: Sequence[str]) -> tuple[Floats, list[str]]:
    """(1 + levels, prompts, 3, 3) weights, all levels together first; and the levels."""
    present = set(read["level"])
    kept = [level for level in levels if level in present]
    prompts = read["prompt"].unique().sort()
    tables = np.zeros((1 + len(kept), len(prompts), len(VERDICTS), len(VERDICTS)))
    places = [
        read[column].replace_strict(list(known), range(len(known)), return_dtype=pl.Int64)
        for column, known in (
            ("level", kept), ("prompt", prompts), ("one", VERDICTS), ("other", VERDICTS),
        )
    ]  # fmt: skip
    level, prompt, one, other = (place.to_numpy().astype(np.int64) for place in places)
    np.add.at(tables, (1 + level, prompt, one, other), read["weight"].to_numpy())
    tables[0] = tables[1:].sum(axis=0)
    return tables, kept


def _why(table: Floats, low: float, one: str, other: str) -> str:
    """Why there is no kappa, or no interval of it."""
    if not table.any():
        return "no answer that both read"
    for judge, given in ((one, table.sum(axis=1)), (other, table.sum(axis=0))):
        if (given > 0).sum() < 2:
            only = VERDICTS[int(given.argmax())]
            return f"kappa is undefined: {judge} said {only} throughout"
    if table.sum() == np.trace(table):
        return "no disagreement, so no interval"
    return "too few of the rarer verdicts for an interval" if np.isnan(low) else ""


def _level() -> pl.Expr:
    # records of before the label have only the method
    return pl.coalesce("compression_label", "compression").alias("level")


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
