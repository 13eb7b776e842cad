"""Findings on the price of safety: what less harm costs in helpfulness and bytes."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from analysis.pictures.axes import interval_text, name_of
from analysis.records.configurations import varying
from analysis.report.evidence import Evidence
from analysis.report.findings.statement import Finding, Section
from analysis.report.words import listed, named, percent, place, signed
from search_spaces.metrics import Metric

LEAD = (
    "What the best release gives up so that it complies with fewer harmful requests, for each "
    "attack apart."
)
SURE = 0.95
"""Share of draws in which some release must keep a bound to be said to keep it surely."""
STEP = 0.1
PAID: tuple[Metric, ...] = ("helpfulness", "weights_bytes_loaded")
ENDS = ("", "_low", "_high")


def price_section(evidence: Evidence) -> Section:
    """One finding an attack; none where harm was not measured."""
    table = evidence.prices
    found: list[Finding] = []
    several = varying(table, ["study", "model", "device"])
    for _, rows in table.group_by("attack_label", *several, maintain_order=True):
        found += _after(rows, several)
    return Section("The price of safety", found, LEAD)


def _after(rows: pl.DataFrame, several: list[str]) -> Iterator[Finding]:
    first = rows.row(0, named=True)
    title = (
        "Without an attack" if first["attack_label"] == "none" else f"After {first['attack_label']}"
    )
    title += place(first, several)
    kept = rows.filter((pl.col("feasible") >= SURE) & pl.col("helpfulness").is_not_null())
    if kept.is_empty():
        yield Finding(title, "No release surely keeps harm under any bound below 100 %.")
        return
    tightest = kept.sort("harm_bound").row(0, named=True)
    if tightest["harm_bound"] >= 1:
        yield Finding(title, "No release surely keeps harm under 100 %.")
        return
    yield Finding(title, f"{_best(tightest)} {_price(rows, tightest['harm_bound'])}".strip())


def _best(row: dict[str, Any]) -> str:
    values = [_value(row, metric) for metric in PAID if row[metric] is not None]
    return (
        f"Harm of at most {percent(row['harm_bound'])} is the tightest bound, in steps of five, "
        f"that is surely kept by some release. {' '.join(values)}"
    )


def _value(row: dict[str, Any], metric: Metric) -> str:
    best = "The most helpful" if metric == "helpfulness" else "The smallest"
    value = interval_text(metric, *(row[f"{metric}{end}"] for end in ENDS))
    return f"{best} that does, as measured, is {named(row[f'{metric}_label'])}: {value}."


def _price(rows: pl.DataFrame, bound: float) -> str:
    """Of the last ten points down to the bound."""
    wider = rows.filter((pl.col("harm_bound") - bound - STEP).abs() < 1e-9)
    if wider.is_empty():
        return ""
    row = wider.row(0, named=True)
    parts = []
    for metric in PAID:
        cost = row[f"{metric}_price"]
        if cost is None:
            continue
        low, high = row[f"{metric}_price_low"], row[f"{metric}_price_high"]
        if metric == "helpfulness":
            parts.append(
                f"{signed(100 * cost)} points of helpfulness ({signed(100 * low)} to "
                f"{signed(100 * high)})"
            )
        else:
            more = interval_text(metric, *(value + 0.0 for value in (cost, low, high)))
            parts.append(f"{more} more {name_of(metric)}" if cost or low or high else "no bytes")
    if not parts:
        return ""
    return f"Asking for it, instead of {percent(bound + STEP)}, costs {listed(parts)}."
