"""The price of safety: the best that can be had while harm stays under a bound."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from analysis.configurations import Floats, Mask
from analysis.draws import Draws
from analysis.front import refuse_several_devices
from analysis.pictures.axes import (
    axis,
    interval_text,
    name_of,
    objective_of,
    scale,
    span_of,
    value_text,
)
from analysis.pictures.channels import channel_of
from analysis.pictures.panels import attack_names
from analysis.pictures.style import (
    COLOURS,
    TEXT,
    colour,
    empty_figure,
    faint,
    frame,
    legend_text,
    symbol,
)
from analysis.pooling import pooled
from search_spaces.metrics import Metric

HARM: Metric = "harmful_compliance"
BOUNDS = np.linspace(0, 1, 101)
PLOT_HEIGHT = 300
MARKED = 10
"""Every so many bounds carry a symbol, which tells lines apart without their colour."""
LEAST_DRAWS = 0.5
"""Share of draws in which some configuration must keep the bound for the band to be drawn."""


@dataclass(frozen=True)
class _Price:
    """The best value under each bound: all (bounds,); nan where no configuration keeps it."""

    measured: Floats
    low: Floats
    high: Floats


def price_of_safety(
    draws: Draws, paid: Metric = "helpfulness", least_helpfulness: float = 0.0
) -> go.Figure:
    """The best `paid` among the configurations that keep harm under a bound, a line an attack.

    `draws` needs `harmful_compliance`, `paid` and `helpfulness`. Only configurations that are at
    least so helpful count, for what is useless is easily safe and cheap. Bands: the same in 95 %
    of partially pooled draws, so that the best of many is not too good. Raises ValueError if
    `paid` depends on the device and there are several, KeyError for what was not drawn.
    """
    better = objective_of(paid)
    refuse_several_devices(draws.configurations.table["device"].to_list(), [better])
    heading = f"What less harm costs: the best {name_of(paid)} under each bound on harm"
    known = np.isfinite(draws.estimates[HARM]) & np.isfinite(draws.estimates[paid])
    known &= np.isfinite(draws.estimates["helpfulness"])
    if not known.any():
        return empty_figure(heading, f"No configuration has both harm and {name_of(paid)}.")
    draws = draws.only(known)
    attacks = channel_of("attack", attack_names(draws.configurations.table), len(COLOURS))
    drawn = pooled(draws)
    figure = go.Figure()
    prices = [
        _price(draws, drawn, attacks.level == level, paid, least_helpfulness)
        for level in range(len(attacks.names))
    ]
    for level, (name, price) in enumerate(zip(attacks.names, prices, strict=True)):
        _add_line(figure, price, level, legend_text(name), paid)
    ends = np.concatenate([np.concatenate([p.measured, p.low, p.high]) for p in prices])
    figure.update_yaxes(axis(better, span_of(paid, ends.tolist())))
    figure.update_xaxes(
        scale(HARM, span_of(HARM, [0, 1])),
        title={
            "text": f"<b>{name_of(HARM)} at most</b>, ← stricter",
            "font": {"size": TEXT},
            "standoff": 8,
        },
    )
    note = "Line: as measured. Bands: in 95 % of draws."
    if least_helpfulness:
        note += f" Counted: helpfulness of {value_text('helpfulness', least_helpfulness)} or more."
    return frame(figure, heading, note, PLOT_HEIGHT, [attacks.legend], below=48)


def _price(draws: Draws, drawn: Draws, inside: Mask, paid: Metric, least: float) -> _Price:
    def chosen(values: dict[Metric, Floats]) -> Floats:
        return _best_within(
            values[HARM][..., inside],
            values[paid][..., inside],
            values["helpfulness"][..., inside] >= least,
            objective_of(paid).direction == "maximize",
        )

    replicates = chosen({name: drawn.values[name] for name in (HARM, paid, "helpfulness")})
    measured = chosen({name: draws.estimates[name] for name in (HARM, paid, "helpfulness")})
    kept = np.isfinite(replicates).mean(axis=0) >= LEAST_DRAWS
    ends = np.full((2, len(BOUNDS)), np.nan)
    if kept.any():
        ends[:, kept] = np.nanpercentile(replicates[:, kept], [2.5, 97.5], axis=0)
    return _Price(measured, ends[0], ends[1])


def _best_within(harm: Floats, value: Floats, counted: Mask, more: bool) -> Floats:
    """The best value at each bound: (..., bounds), of (..., configurations)."""
    sign = 1.0 if more else -1.0
    gains = np.where(counted, sign * value, -np.inf)
    order = np.argsort(harm, axis=-1)
    best = np.maximum.accumulate(np.take_along_axis(gains, order, axis=-1), axis=-1)
    sorted_harm = np.take_along_axis(harm, order, axis=-1)
    # how many configurations keep each bound; 0: none does
    count = (sorted_harm[..., None, :] <= BOUNDS[:, None] + 1e-9).sum(axis=-1)
    padded = np.concatenate([np.full((*best.shape[:-1], 1), -np.inf), best], axis=-1)
    found = np.take_along_axis(padded, count, axis=-1)
    return np.where(np.isfinite(found), sign * found, np.nan)


def _add_line(figure: go.Figure, price: _Price, level: int, name: str, paid: Metric) -> None:
    hue = colour(level)
    banded = np.isfinite(price.low)
    if (price.high[banded] > price.low[banded]).any():
        x = BOUNDS[banded]
        figure.add_scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([price.high[banded], price.low[banded][::-1]]),
            mode="lines", line={"width": 0}, fill="toself", fillcolor=faint(hue, 0.13),
            hoverinfo="skip", showlegend=False, legendgroup=name, name="95 % of draws",
        )  # fmt: skip
    kept = np.flatnonzero(np.isfinite(price.measured))
    if not len(kept):
        return
    figure.add_scatter(
        x=BOUNDS[kept], y=price.measured[kept], mode="lines+markers", name=name, legendgroup=name,
        showlegend=False, line={"color": hue, "width": 1.8, "shape": "hv"},
        marker={
            "color": hue, "symbol": symbol(level),
            "size": [8 if at % MARKED == 0 or at == kept[0] else 0 for at in kept],
        },
        hovertext=[
            f"<b>{name}</b><br>harm at most {100 * BOUNDS[at]:.0f} %<br>{name_of(paid)}: "
            + interval_text(paid, price.measured[at], price.low[at], price.high[at])
            for at in kept
        ],
        hoverinfo="text",
    )  # fmt: skip
    # the line's own symbols are of several sizes, and a legend takes the first
    figure.add_scatter(
        x=[None], y=[None], mode="lines+markers", name=name, legendgroup=name,
        line={"color": hue}, marker={"color": hue, "symbol": symbol(level), "size": 8},
    )  # fmt: skip
