"""Findings for whom the attack is not a choice: what is best under each attack, and at worst."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from analysis.fronts.uncertain import UncertainFront, uncertain_front
from analysis.pictures.axes import interval_text, name_of
from analysis.records.configurations import Mask
from analysis.report.evidence import Evidence
from analysis.report.findings.fronts import SURE, noisy_metrics
from analysis.report.findings.releases import Releases, worst_releases
from analysis.report.findings.statement import Finding, Section
from analysis.report.words import NO_BREAK, counted, first_few, listed, named
from analysis.uncertainty.draws import Draws

LEAD = (
    "An adversary picks the attack, so a front over all cells compares what nobody can choose "
    "between. Here each attack has its own front, of releases: all factors but the attack."
)


def attack_section(evidence: Evidence) -> Section:
    """Fronts under each attack, then of the worst case over attacks."""
    found: list[Finding] = []
    for device, front in evidence.fronts.items():
        where = f" on {device}" if len(evidence.fronts) > 1 else ""
        found += _under_attacks(front, where)
        worst = worst_releases(front.draws, front.objectives)
        if worst is not None:
            found.append(_at_worst(worst, front, where))
    return Section("Under each attack", found, LEAD)


def _under_attacks(front: UncertainFront, where: str) -> Iterator[Finding]:
    table = front.draws.configurations.table
    labels = table["attack_label"].unique(maintain_order=True).to_list()
    if len(labels) < 2:
        return
    for label in labels:
        kept = (table["attack_label"] == label).to_numpy()
        if kept.sum() > 1:
            yield _under(front, front.draws, kept, label, where)


def _under(front: UncertainFront, draws: Draws, kept: Mask, label: str, where: str) -> Finding:
    alone = uncertain_front(draws.only(kept), front.objectives)
    table = alone.table.sort("probability", descending=True, maintain_order=True)
    attack = ("Without an attack" if label == "none" else f"Under {label}") + where
    if not noisy_metrics(front):
        on = [_release(row) for row in table.filter("on_front").to_dicts()]
        return Finding(attack, f"On the front as measured: {first_few(on)}.")
    sure = table.filter(pl.col("probability") >= SURE)
    shown = sure if len(sure) else table.head(3)
    told = [f"{_release(r)} (P{NO_BREAK}{r['probability']:.2f})" for r in shown.to_dicts()]
    what = "Surely on the front" if len(sure) else "Nothing is surely on the front; likeliest"
    return Finding(
        attack,
        f"{what}: {first_few(told)}.{_extreme(alone)}",
        f"{counted(len(table), 'release')}, {int(table['on_front'].sum())} on the front as "
        "measured.",
    )


def _extreme(front: UncertainFront) -> str:
    """The best value of safety that any release reaches there, where safety is an objective."""
    if "safety" not in front.table.columns:
        return ""
    best = front.table.sort("safety", descending=True).row(0, named=True)
    value = interval_text("safety", best["safety"], best["safety_low"], best["safety_high"])
    return f" The safest as measured is {_release(best)}, at {value}."


def _release(row: Mapping[str, Any]) -> str:
    """A configuration's label without its attack, which the sentence has told."""
    label = str(row["label"])
    attack = "no attack" if row["attack_label"] == "none" else row["attack_label"]
    return named(" · ".join(part for part in label.split(" · ") if part != attack) or label)


def _at_worst(worst: Releases, front: UncertainFront, where: str) -> Finding:
    order = np.argsort(-np.array(worst.probability), kind="stable")
    sure = [n for n in order if worst.probability[n] >= SURE]
    shown = sure if sure else list(order[:3])
    told = [f"{named(worst.labels[n])} ({_worst_values(worst, n)})" for n in shown]
    if not noisy_metrics(front):
        told = [named(worst.labels[n]) for n in np.flatnonzero(worst.on_front)]
        what = "On the front as measured"
    else:
        what = "Surely on the front" if sure else "Nothing is surely on the front; likeliest"
    left = f" {counted(worst.incomplete, 'release')} lack an attack." if worst.incomplete else ""
    return Finding(
        f"At worst over {listed(worst.attacks)}{where}",
        f"{what}: {first_few(told)}.{_safest_at_worst(worst)}",
        f"{counted(len(worst.labels), 'release')} were measured under all of them; each objective "
        f"is taken at its own worst attack.{left}",
    )


def _safest_at_worst(worst: Releases) -> str:
    if "safety" not in worst.estimates:
        return ""
    best = int(np.argmax(worst.estimates["safety"]))
    low, high = np.percentile(worst.values["safety"][:, best], [2.5, 97.5])
    value = interval_text("safety", worst.estimates["safety"][best], low, high)
    return f" The safest at worst, as measured, is {named(worst.labels[best])}, at {value}."


def _worst_values(worst: Releases, number: int) -> str:
    texts = []
    for metric, estimates in worst.estimates.items():
        low, high = np.percentile(worst.values[metric][:, number], [2.5, 97.5])
        texts.append(f"{name_of(metric)} {interval_text(metric, estimates[number], low, high)}")
    return ", ".join(texts)
