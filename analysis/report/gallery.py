"""The pictures of a report, each with a caption that says how to read it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import combinations
from typing import Any

import plotly.graph_objects as go

from analysis.fronts.uncertain import UncertainFront
from analysis.pictures import (
    attack_dose_response,
    difference_dots,
    front_pair,
    front_panels,
    heatmaps,
    parallel_coordinates,
    price_of_safety,
    probability_ranking,
    safety_dose_response,
)
from analysis.pictures.axes import name_of
from analysis.records.configurations import varying
from analysis.report.evidence import Evidence
from search_spaces.metrics import Metric

TAG = re.compile(r"<[^<>]*>")
MAPPED: tuple[Metric, ...] = ("helpfulness", "safety", "over_refusal")
"""Rates of which there are heat maps."""
RANKED = 16
"""Configurations that the ranking shows: as tall as the picture beside it."""
DOSED: tuple[Metric, ...] = ("harmful_compliance", "over_refusal")
"""Rates that are shown against the safety dose."""


@dataclass(frozen=True)
class Picture:
    """One picture and what is said of it."""

    name: str
    figure: go.Figure
    caption: str
    wide: bool = False
    front: int | None = None
    """Which front's configurations its lines are, in the order of the front's table, where lines
    can be brushed."""

    @property
    def title(self) -> str:
        """The figure's own title as plain text."""
        text = self.figure.layout.title.text or self.name
        heading = str(text).partition("<br><span")[0].replace("<br>", " ")
        return unescape(TAG.sub("", heading))

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.figure.layout.height or 450)

    @property
    def least_width(self) -> int:
        """Pixels below which its texts would overlap: readers scroll instead."""
        return int((self.figure.layout.meta or {}).get("least_width", 0))

    @property
    def values(self) -> dict[str, Any]:
        """As plotly.js takes it; plotly writes arrays in a form that its JavaScript reads."""
        plain: dict[str, Any] = json.loads(self.figure.to_json())
        return {"data": plain["data"], "layout": plain["layout"], "front": self.front}


def gallery(evidence: Evidence) -> list[Picture]:
    """Every picture that the records have the values for."""
    if evidence.records.ok.is_empty():
        return []
    return [
        *_of_fronts(evidence),
        *_of_prices(evidence),
        *_of_rates(evidence),
        *_of_losses(evidence),
    ]


def _of_fronts(evidence: Evidence) -> Iterator[Picture]:
    several = len(evidence.fronts) > 1
    for number, (device, front) in enumerate(evidence.fronts.items()):
        if len(front.table) > 1:
            where = f" On {device}." if several else ""
            yield from _of_front(front, number, where)


def _of_front(front: UncertainFront, number: int, where: str) -> Iterator[Picture]:
    yield Picture(
        f"ranking-{number}",
        probability_ranking(front, RANKED),
        "A bar is the share of draws, each with prompts and seeds as they might have been and "
        "configurations pooled with those that share their levels, in "
        f"which no other configuration beats this one on every objective at once.{where}",
    )
    for x, y in combinations([objective.metric for objective in front.objectives], 2):
        yield Picture(
            f"front-{x}-{y}-{number}",
            front_pair(front, x, y),
            "Each mark is a configuration; full marks are those that no other beats on every "
            f"objective. A bar is where the {name_of(x)} or {name_of(y)} of one alone may lie. "
            "All were asked the same prompts, so two whose bars overlap may still be told apart: "
            f"P(on the front) counts that.{where}",
        )
    yield Picture(
        f"parallel-{number}",
        parallel_coordinates(front),
        "Each line is a configuration. Drag along an axis to keep the lines that pass there; the "
        "table of cells below then shows only those, and its button resets it. With a keyboard, "
        f"the table's filters do the same.{where}",
        wide=True,
        front=number,
    )
    if len(front.objectives) > 1:
        yield Picture(
            f"panels-{number}",
            front_panels(front),
            "The same configurations apart by compression: compare a mark's place across panels "
            f"to see what a compression moved.{where}",
            wide=True,
        )


def _of_prices(evidence: Evidence) -> Iterator[Picture]:
    if {"harmful_compliance", "helpfulness"} <= {*evidence.rates} and len(evidence.fronts) == 1:
        yield Picture(
            "price",
            price_of_safety(evidence.draws),
            "Read from the right to the left: the less harm is accepted, the less helpful is the "
            "best configuration that keeps to it. A line that ends early says that no "
            "configuration keeps harm any lower after that attack.",
        )


def _of_rates(evidence: Evidence) -> Iterator[Picture]:
    table, draws = evidence.configurations.table, evidence.draws
    attacks = varying(table, ["attack_label"])
    if attacks or varying(table, ["compression_label"]):
        for metric in (metric for metric in MAPPED if metric in evidence.rates):
            yield Picture(
                f"map-{metric}",
                heatmaps(draws, metric),
                f"A row is a compression, a column an attack; the number is the {name_of(metric)} "
                "in percent, over seeds where there are several. A cross was not measured.",
            )
    if varying(table, ["safety_examples"]):
        for metric in (metric for metric in DOSED if metric in evidence.rates):
            yield Picture(
                f"safety-dose-{metric}",
                safety_dose_response(draws, metric),
                f"What more safety examples do to {name_of(metric)}: lines that stay apart are "
                "attacks that the dose does not undo. Bars are 95 % intervals.",
            )
    if attacks and "harmful_compliance" in evidence.rates:
        yield Picture(
            "attack-dose",
            attack_dose_response(draws, "harmful_compliance"),
            "What a stronger attack does to a model that was made safer: where a line rises, the "
            "attack undoes that dose. Bars are 95 % intervals.",
        )


def _of_losses(evidence: Evidence) -> Iterator[Picture]:
    for metric in MAPPED:
        losses = evidence.losses.filter(metric=metric)
        if len(losses):
            yield Picture(
                f"losses-{metric}",
                difference_dots(losses, metric, "the same model uncompressed", "the compressed"),
                f"Compressed less uncompressed, of the same model before compression, over the "
                f"same prompts: the change of {name_of(metric)} in percentage points with its 95 % "
                "interval, not corrected for the number of rows.",
            )
