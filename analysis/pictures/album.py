"""All pictures of a study, by the names of their files."""

import re
from collections.abc import Iterator
from typing import get_args

import numpy as np
import plotly.graph_objects as go

from analysis.fronts.uncertain import uncertain_fronts
from analysis.pictures.dose_response import attack_dose_response, safety_dose_response
from analysis.pictures.front_pair import front_pairs
from analysis.pictures.front_panels import front_panels
from analysis.pictures.heatmaps import heatmaps
from analysis.pictures.parallel import parallel_coordinates
from analysis.pictures.price import HARM, price_of_safety
from analysis.pictures.ranking import probability_ranking
from analysis.records.loading import Records
from analysis.uncertainty.draws import Draws, draw
from search_spaces.metrics import Metric

RESPONSES: tuple[Metric, ...] = (HARM, "helpfulness", "over_refusal")
"""What doses are drawn against."""
PAID: Metric = "weights_bytes_loaded"
STILL_HELPFUL = 0.9
"""Share of the best helpfulness that the cheapest releases must keep to be compared."""


def album(records: Records, replicates: int = 2000) -> Iterator[tuple[str, go.Figure]]:
    """Names and figures: whatever the records have the columns for, one at a time.

    Pictures of what depends on the device are made for each device.
    """
    metrics = _metrics(records)
    draws = draw(records, metrics, replicates)
    fronts = uncertain_fronts(draws, records.objectives)
    for device, front in fronts.items():
        suffix = f"-{_slug(device)}" if len(fronts) > 1 else ""
        for name, figure in front_pairs(front).items():
            yield f"front-{name}{suffix}", figure
        if len(front.objectives) > 1:
            yield f"front-panels{suffix}", front_panels(front)
        yield f"ranking{suffix}", probability_ranking(front)
        yield f"parallel{suffix}", parallel_coordinates(front)
    drawn = [metric for metric in metrics if metric in draws.estimates]
    for metric in drawn:
        yield f"heatmap-{metric}", heatmaps(draws, metric)
    doses = draws.configurations.table.select("safety_examples", "attack_examples")
    for metric in (metric for metric in RESPONSES if metric in drawn):
        if doses["safety_examples"].drop_nulls().n_unique() > 1:
            yield f"dose-{metric}", safety_dose_response(draws, metric)
        if doses["attack_examples"].drop_nulls().n_unique() > 1:
            yield f"attack-{metric}", attack_dose_response(draws, metric)
    yield from _prices(draws)


def _metrics(records: Records) -> list[Metric]:
    """The objectives, and what doses are drawn against, where the records have it."""
    wanted = [*(objective.metric for objective in records.objectives), *RESPONSES]
    known = set(records.table.columns)
    return [metric for metric in get_args(Metric) if metric in wanted and metric in known]


def _prices(draws: Draws) -> Iterator[tuple[str, go.Figure]]:
    if HARM not in draws.estimates or "helpfulness" not in draws.estimates:
        return
    yield "price-helpfulness", price_of_safety(draws)
    if PAID in draws.estimates:
        helpful = draws.estimates["helpfulness"]
        least = STILL_HELPFUL * float(np.nanmax(helpful, initial=0.0))
        yield f"price-{PAID}", price_of_safety(draws, PAID, least)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
