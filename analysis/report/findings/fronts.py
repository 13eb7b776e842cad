"""Findings on the joint front: what is surely on it, what is not settled or not told apart."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from analysis.fronts.uncertain import PLAUSIBLE, UncertainFront
from analysis.pictures.axes import interval_text, name_of
from analysis.report.evidence import Evidence
from analysis.report.findings.statement import Finding, Section
from analysis.report.words import NO_BREAK, counted, first_few, listed, named, percent
from search_spaces.metrics import Metric

SURE = 0.95
"""P(non-dominated) from which a configuration is called surely on the front."""
LIKELY = 0.5


def front_sections(evidence: Evidence) -> Iterator[Section]:
    """One for each front."""
    for device, front in evidence.fronts.items():
        where = f", measured on {device}" if len(evidence.fronts) > 1 else ""
        names = listed([name_of(objective.metric) for objective in front.objectives])
        lead = f"What no other configuration beats on {names} at once."
        yield Section(f"The front{where}", list(_front(front)), lead)


def _front(front: UncertainFront) -> Iterator[Finding]:
    table = front.table.sort("probability", descending=True, maintain_order=True)
    if len(table) == 1:
        only = table.row(0, named=True)
        yield Finding(
            "One configuration",
            f"{named(only['label'])}, so nothing is compared: {_values(front, only)}.",
        )
        return
    if not noisy_metrics(front):
        yield _without_noise(table)
        return
    yield _surely(front, table)
    yield from _unsettled(table)
    yield from _knee(table)
    yield from _alike(front)
    yield Finding(
        "How far the front reaches",
        f"It covers {100 * front.hypervolume:.1f} % of the box between the best and the "
        f"worst values (95 % interval {100 * front.hypervolume_low:.1f} to "
        f"{100 * front.hypervolume_high:.1f} %).",
        f"Hypervolume; other prompts and seeds would move the front by "
        f"{100 * front.vorobev_deviation:.1f} % of the box on average (Vorob'ev deviation).",
    )


def noisy_metrics(front: UncertainFront) -> list[Metric]:
    """The objectives of which it is known how they could have come out otherwise."""
    noise = front.draws.noise
    metrics = [objective.metric for objective in front.objectives]
    return [metric for metric in metrics if noise.get(metric, "nothing") != "nothing"]


def _without_noise(table: pl.DataFrame) -> Finding:
    on = [named(label) for label in table.filter("on_front")["label"]]
    return Finding(
        "On the front as measured",
        f"{len(on)} of {counted(len(table), 'configuration')}: {first_few(on, 8)}. How surely is "
        "not known: the records hold neither answers nor counts nor standard errors.",
        warns=True,
    )


def _surely(front: UncertainFront, table: pl.DataFrame) -> Finding:
    sure = table.filter(pl.col("probability") >= SURE)
    measured = int(table["on_front"].sum())
    basis = (
        f"{measured} of {counted(len(table), 'configuration')} are on the front as measured; "
        f"P is the share of {_replicates(front)} draws in which nothing dominates it; they pool "
        "configurations that share levels, so that luck does not make a front."
    )
    if sure.is_empty():
        best = table.row(0, named=True)
        text = (
            f"No configuration is, in {percent(SURE)} of draws; the likeliest is {_likely(best)}."
        )
        return Finding("Surely on the front", text, basis)
    told = [_likely(row) for row in sure.to_dicts()]
    return Finding("Surely on the front", f"{first_few(told, 8)}.", basis)


def _unsettled(table: pl.DataFrame) -> Iterator[Finding]:
    by_luck = table.filter(pl.col("on_front") & (pl.col("probability") < LIKELY))
    if len(by_luck):
        told = [_likely(row) for row in by_luck.to_dicts()]
        yield Finding(
            "On the front as measured, yet more likely dominated",
            f"{first_few(told)}.",
            "Of many configurations the luckiest stand out, so the measured front is too good.",
        )
    off = table.filter(~pl.col("on_front") & pl.col("plausible"))
    if len(off):
        told = [_likely(row) for row in off.head(4).to_dicts()]
        yield Finding(
            "Not on it as measured, and may yet be",
            f"{counted(len(off), 'configuration')} with P of {PLAUSIBLE} or more, above all "
            f"{listed(told)}.",
        )


def _knee(table: pl.DataFrame) -> Iterator[Finding]:
    measured = table.filter("knee")
    if measured.is_empty():
        return
    row = measured.row(0, named=True)
    often = table.sort("knee_share", descending=True).filter(pl.col("knee_share") >= 0.05)
    told = [f"{named(r['label'])} ({percent(r['knee_share'])})" for r in often.to_dicts()]
    settled = row["knee_share"] >= SURE or not told
    rest = "" if settled else f" It is not settled: in the draws it is {first_few(told)}."
    yield Finding(
        "The knee, the balanced choice",
        f"On the measured front it is {named(row['label'])}, and so in "
        f"{percent(row['knee_share'])} of draws.{rest}",
        "The knee has the least sum of losses, each scaled to the front's own range.",
    )


def _alike(front: UncertainFront) -> Iterator[Finding]:
    """Pairs of likely front members whose paired differences all may be zero."""
    metrics = noisy_metrics(front)
    likely = np.flatnonzero((front.table["probability"] >= LIKELY).to_numpy())
    labels = front.table["label"].to_list()
    pairs = [
        f"{named(labels[one])} from {named(labels[other])}"
        for one, other in combinations(likely, 2)
        if not any(_differ(front, metric, one, other) for metric in metrics)
    ]
    total = len(likely) * (len(likely) - 1) // 2
    if not total:
        return
    fixed = [name_of(o.metric) for o in front.objectives if o.metric not in metrics]
    rest = f"; what tells them apart is {listed(fixed)}" if fixed else ""
    names = " nor in ".join(name_of(metric) for metric in metrics)
    either = "neither in" if len(metrics) > 1 else "not in"
    basis = (
        f"{len(pairs)} of {counted(total, 'pair')} of configurations with P of at least {LIKELY}; "
        "95 % intervals of paired differences, not corrected for looking at so many."
    )
    if pairs:
        yield Finding(f"Not told apart, {either} {names}", f"{first_few(pairs, 4)}{rest}.", basis)
    else:
        names = " or in ".join(name_of(metric) for metric in metrics)
        yield Finding("Told apart", f"All likely front members differ in {names}.", basis)


def _differ(front: UncertainFront, metric: Metric, one: int, other: int) -> bool:
    drawn = front.draws.values[metric]
    low, high = np.percentile(drawn[:, one] - drawn[:, other], [2.5, 97.5])
    return bool(low > 0 or high < 0)


def _likely(row: Mapping[str, Any]) -> str:
    return f"{named(row['label'])} (P{NO_BREAK}{row['probability']:.2f})"


def _values(front: UncertainFront, row: dict[str, float]) -> str:
    return listed(
        [
            f"{name_of(metric)} {interval_text(metric, *(row[metric + end] for end in ENDS))}"
            for metric in (objective.metric for objective in front.objectives)
        ]
    )


ENDS: Sequence[str] = ("", "_low", "_high")


def _replicates(front: UncertainFront) -> int:
    return len(next(iter(front.draws.values.values())))
