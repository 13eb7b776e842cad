"""What an axis or a hover says of a metric: its name, unit, direction and values."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, log10
from sys import float_info
from typing import Any

from analysis.pictures.style import GRID, INK, TEXT
from search_spaces.metrics import RATES, UNITS, Metric
from search_spaces.space import Objective

NAMES: dict[Metric, str] = {
    "weights_bytes_disk": "weights on disk",
    "weights_bytes_loaded": "weights in memory",
    "peak_memory_bytes": "peak memory",
    "prefill_tokens_per_second": "prefill speed",
    "decode_tokens_per_second": "decoding speed",
    "decode_tokens_per_second_batch8": "decoding speed, batch 8",
    "time_to_first_token_seconds": "time to first token",
    "time_to_first_token_seconds_batch8": "time to first token, batch 8",
    "energy_joules_per_token": "energy",
}
"""Metrics whose column's name says the unit as well; others are named as their column."""
DIRECTIONS: dict[Metric, str] = {
    "helpfulness": "maximize",
    "safety": "maximize",
    "refusal": "maximize",
    "prefill_tokens_per_second": "maximize",
    "decode_tokens_per_second": "maximize",
    "decode_tokens_per_second_batch8": "maximize",
}
"""What is better where nobody declared it; for all others less is."""
HIGHEST_SHARE = 1.2
"""A table that was made elsewhere may hold scores above 1 under a rate's name: no shares, then."""
LOG_FACTOR = 20
"""Values that span more than this factor stand on a log axis."""
PREFIXES = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0))


@dataclass(frozen=True)
class Span:
    """The part of an axis that is shown, in the metric's own unit."""

    low: float
    high: float
    log: bool

    @property
    def range(self) -> list[float]:
        """As plotly takes it."""
        return [log10(self.low), log10(self.high)] if self.log else [self.low, self.high]


def objective_of(metric: Metric) -> Objective:
    """The metric with its usual direction, for pictures of what no study declared."""
    direction = "maximize" if DIRECTIONS.get(metric) == "maximize" else "minimize"
    return Objective(metric=metric, direction=direction)


def name_of(metric: Metric) -> str:
    """`weights in memory`, `harmful compliance`."""
    return NAMES.get(metric, metric.replace("_", " "))


def is_bytes(metric: Metric) -> bool:
    """True for sizes, which are told in kB, MB or GB."""
    return UNITS[metric] == "bytes"


def direction_mark(objective: Objective) -> str:
    """`better →`, which points to where the axis' values are better, along either axis."""
    return "better →" if objective.direction == "maximize" else "← better"


def axis_text(objective: Objective) -> str:
    """An axis' title in two lines: name and direction, then the unit."""
    name = f"<b>{name_of(objective.metric)}</b>"
    title = f"{name}, {direction_mark(objective)}"
    # the ticks themselves say kB, MB or GB
    return title if is_bytes(objective.metric) else f"{title}<br>{UNITS[objective.metric]}"


def short_axis_text(objective: Objective) -> str:
    """An axis' title in one line: name, direction and a short unit."""
    unit = ", %" if objective.metric in RATES else ""
    unit = unit or ("" if is_bytes(objective.metric) else f", {UNITS[objective.metric]}")
    return f"<b>{name_of(objective.metric)}</b>{unit}, {direction_mark(objective)}"


def scale(metric: Metric, span: Span) -> dict[str, Any]:
    """Plotly's settings of an axis without its title: `80%`, `100kB` or `12.5` at its ticks."""
    settings = {
        "type": "log" if span.log else "linear",
        "range": span.range,
        **LINES,
        **({"dtick": "D2" if span.high / span.low < 200 else 1} if span.log else {}),
    }
    if metric in RATES and span.high <= HIGHEST_SHARE:
        return settings | {"tickformat": ".0%"}
    if is_bytes(metric):
        return settings | {"tickformat": "~s", "ticksuffix": "B"}
    return settings | {"tickformat": "~g"}


def axis(objective: Objective, span: Span) -> dict[str, Any]:
    """Plotly's settings of an axis with its title."""
    title = {"text": axis_text(objective), "font": {"size": TEXT}, "standoff": 8}
    return {"title": title, **scale(objective.metric, span)}


LINES: dict[str, Any] = {
    "showgrid": True,
    "gridcolor": GRID,
    "zeroline": False,
    "linecolor": INK,
    "showline": True,
    "ticks": "outside",
    "ticklen": 4,
    "nticks": 6,
    "tickfont": {"size": TEXT},
}


def span_of(metric: Metric, values: Iterable[float], room: float = 0.05) -> Span:
    """What an axis must show so that values stand clear of its ends by `room`; nan is none."""
    finite = [float(value) for value in values if isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if low > 0 and high / low > LOG_FACTOR and metric not in RATES:
        pad = (high / low) ** room
        # the least of numbers has no room below it
        return Span(max(low / pad, float_info.min), high * pad, True)
    share = metric in RATES and high <= 1
    # equal values need room as well, and a rate must not look spread out that hardly is
    least = 0.1 if share else 0.05 * abs(high) or 1.0
    pad = room * max(high - low, least)
    if high - low < least:
        pad = (least - (high - low)) / 2 + pad
    low, high = low - pad, high + pad
    if share:
        edge = room * (high - low)
        low, high = max(low, -edge), min(high, 1 + edge)
    return Span(low, high, False)


def value_text(metric: Metric, value: float | None) -> str:
    """A value with its unit: `96.9 %`, `97.9 kB`, `12.4 tokens per second`."""
    if value is None or not isfinite(value):
        return "not measured"
    if metric in RATES and value <= 1:
        return f"{100 * value:.1f} %"
    if is_bytes(metric):
        unit, size = next((p for p in PREFIXES if abs(value) >= p[1]), PREFIXES[-1])
        return f"{value / size:.4g} {unit}"
    unit_text = "" if metric == "perplexity" or metric in RATES else f" {UNITS[metric]}"
    return f"{value:.3g}{unit_text}"


def interval_text(metric: Metric, value: float, low: float, high: float) -> str:
    """A value with its interval: `96.9 % (94.1 % to 98.8 %)`; without noise the value alone."""
    text = value_text(metric, value)
    if not (isfinite(low) and isfinite(high)) or low == high:
        return text
    return f"{text} ({value_text(metric, low)} to {value_text(metric, high)})"
