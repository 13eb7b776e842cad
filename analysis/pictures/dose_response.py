"""What a dose does: of safety examples, and of the rows that an attack trains on."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl

from analysis.pictures.axes import name_of
from analysis.pictures.channels import Whole, channel_of
from analysis.pictures.curves import MOST_LINES, Curves, curves_figure
from analysis.pictures.panels import (
    attack_names,
    compression_names,
    dose_names,
    panel_names,
)
from analysis.uncertainty.draws import Draws
from search_spaces.metrics import Metric


def safety_dose_response(draws: Draws, metric: Metric) -> go.Figure:
    """A metric over safety examples: a line an attack, a panel a compression.

    Raises KeyError for a metric that was not drawn.
    """
    table = draws.configurations.table
    rows, forms = _each_with_common(table["safety_form"], table["safety_examples"] == 0)
    rows, forms = _known(rows, forms, table["safety_examples"])
    table = table[rows]
    own = compression_names(table)
    if len(set(forms)) > 1:
        own = [f"{name}, {form}s" for name, form in zip(own, forms, strict=True)]
    curves = Curves(
        rows,
        table["safety_examples"].to_numpy(),
        channel_of("attack", attack_names(table), MOST_LINES),
        tuple(panel_names(table, own)),
    )
    title = f"{name_of(metric).capitalize()} by safety examples"
    return curves_figure(draws, metric, curves, title, "safety examples")


def attack_dose_response(draws: Draws, metric: Metric = "harmful_compliance") -> go.Figure:
    """A metric over the rows an attack trains on: a line a safety dose, a panel a compression and
    kind of attack. The unattacked model is the point at 0 of each line.

    Raises KeyError for a metric that was not drawn.
    """
    table = draws.configurations.table
    rows, kinds = _each_with_common(table["attack"], table["attack"] == "none")
    rows, kinds = _known(rows, kinds, table["attack_examples"])
    table = table[rows]
    several = table.filter(pl.col("attack") != "none")["attack_epochs"].n_unique() > 1
    times = table["attack_epochs"].fill_null(1).to_numpy() if several else 1
    own = compression_names(table)
    if len(set(kinds)) > 1:
        names = [kind.removesuffix("_finetuning").replace("_", " ") for kind in kinds]
        own = [f"{name}, {kind}" for name, kind in zip(own, names, strict=True)]
    curves = Curves(
        rows,
        table["attack_examples"].to_numpy() * times,
        channel_of("number of safety examples", dose_names(table), MOST_LINES),
        tuple(panel_names(table, own)),
    )
    title = f"{name_of(metric).capitalize()} by attack dose"
    across = "attack rows × epochs" if several else "attack rows"
    return curves_figure(draws, metric, curves, title, across)


def _each_with_common(kind: pl.Series, common: pl.Series) -> tuple[Whole, list[str]]:
    """Rows of each kind followed by those that all kinds share, such as dose 0; and their kinds."""
    shared = common.fill_null(False)
    kinds = kind.fill_null("?")
    different = kinds.filter(~shared).unique(maintain_order=True).to_list() or ["none"]
    parts = [np.flatnonzero((shared | (kinds == one)).to_numpy()) for one in different]
    told = [one for one, part in zip(different, parts, strict=True) for _ in part]
    return np.concatenate(parts).astype(np.int64), told


def _known(rows: Whole, kinds: Sequence[str], dose: pl.Series) -> tuple[Whole, list[str]]:
    """Without the rows whose dose nobody recorded."""
    known = dose.is_not_null().to_numpy()[rows]
    return rows[known], [kind for kind, kept in zip(kinds, known, strict=True) if kept]
