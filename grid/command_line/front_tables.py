"""The tables of fronts and cells, and the same as plain values."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from analysis.fronts.uncertain import UncertainFront
from analysis.records.configurations import varying
from analysis.records.labels import ORDERS, attack_label, bytes_text, compression_label, dose_label
from search_spaces.space import Objective

TOLD_IF_VARYING = ("order", "calibration_data", "model", "study")
CELL_TOLD_IF_VARYING = ("order", "seed", "calibration_seed", "study")
TITLES = {"order": "attack\ncomes", "calibration_data": "calibrated\non"}
INLINE_COLUMNS = 3
CELL_CHARACTERS = 6
LABEL_CHARACTERS = 13
MOST_SHOWN = 12
"""Of what is not on the measured front and could be."""
BYTES = ("weights_bytes_disk", "weights_bytes_loaded", "peak_memory_bytes")


def front_table(front: UncertainFront, device: str) -> RenderableType:
    """The front's configurations: factors, each objective with its interval, and how surely."""
    rows = _best_first(front)
    if not rows:
        return Group(f"No ok cell has all of {_names(front)}: no front.")
    every = front.table
    surely = sum(row["on_front"] for row in rows)
    told = varying(every, TOLD_IF_VARYING)
    inline = len(front.objectives) + len(told) <= INLINE_COLUMNS
    where = f" on {device}" if device else ""
    table = _table(f"Pareto front{where}: {surely} of {len(every)} configurations", inline)
    factors = _factor_columns(table, rows)
    _objective_columns(table, front.objectives)
    for name in told:
        table.add_column(TITLES.get(name, name), no_wrap=True)
    table.add_column("P", justify="right", no_wrap=True)
    for number, row in enumerate(rows):
        table.add_row(
            *(_factor(row, name) for name in factors),
            *(_with_interval(row, o.metric, " " if inline else "\n") for o in front.objectives),
            *(_factor(row, name) for name in told),
            _share(row["probability"]),
            end_section=number == surely - 1 < len(rows) - 1,
        )
    return Group(table, *_notes(front))


def cells_table(ok: pl.DataFrame, objectives: Sequence[Objective]) -> RenderableType:
    """Every ok cell by its id, on the front or not."""
    told = varying(ok, CELL_TOLD_IF_VARYING)
    table = _table(f"{len(ok)} ok cells", len(objectives) + len(told) < INLINE_COLUMNS)
    rows = ok.to_dicts()
    factors = _factor_columns(table, rows)
    _objective_columns(table, objectives)
    for name in ("cell", *told):
        table.add_column(TITLES.get(name, name.replace("_", "\n")), no_wrap=True)
    for row in rows:
        table.add_row(
            *(_factor(row, name) for name in factors),
            *(_value(row, objective.metric) for objective in objectives),
            *(_factor(row, name) for name in ("cell", *told)),
        )
    return Group(table, "↑ more is better, ↓ less is better; cell: the start of its id.")


def front_values(front: UncertainFront, device: str) -> dict[str, Any]:
    """The same as plain values, with the ids of each configuration's cells."""
    cells = front.draws.configurations.cells
    ids = {i: cells.filter(pl.col("index") == i)["cell"].to_list() for i in range(len(front.table))}
    numbered = front.table.with_row_index("index").filter(pl.col("on_front") | pl.col("plausible"))
    found = [{"cell_ids": ids[row.pop("index")], **row} for row in numbered.to_dicts()]
    return {
        "device": device,
        "hypervolume": front.hypervolume,
        "hypervolume_low": front.hypervolume_low,
        "hypervolume_high": front.hypervolume_high,
        "vorobev_deviation": front.vorobev_deviation,
        "configurations": found,
    }


def _names(front: UncertainFront) -> str:
    return ", ".join(objective.metric for objective in front.objectives)


def _best_first(front: UncertainFront) -> list[dict[str, Any]]:
    """What is on the front, best on the first objective first; then what most probably is."""
    order = [o.metric for o in front.objectives]
    falling = [o.direction == "maximize" for o in front.objectives]
    on = front.table.filter("on_front").sort(order, descending=falling)
    could = _could(front).sort("probability", descending=True)
    return [*on.to_dicts(), *could.head(MOST_SHOWN).to_dicts()]


def _could(front: UncertainFront) -> pl.DataFrame:
    return front.table.filter(pl.col("plausible") & ~pl.col("on_front"))


def _notes(front: UncertainFront) -> list[str]:
    draws = front.draws
    by = {draws.noise[o.metric] for o in front.objectives} - {"nothing"}
    over = f"95 % intervals over {' and '.join(_noise_words(by))}. " if by else ""
    doubt = "" if by else " No noise is known, so P says nothing of it."
    more = len(_could(front))
    shown = f"the first {MOST_SHOWN} of {more}" if more > MOST_SHOWN else str(more)
    below = f" The lower part: {shown} more that could be on it." if more else ""
    return [
        f"↑ more is better, ↓ less is better; {over}P: how probable it is that no other is as good "
        "on every objective and better on one, configurations pooled by their factors."
        f"{doubt}{below}",
        f"Hypervolume: {front.hypervolume_low:.3f} to {front.hypervolume_high:.3f} of the box "
        "between the best and the worst (95 %).",
    ]


def _noise_words(noise: Collection[str]) -> list[str]:
    """What intervals are over, each once: prompts, seeds."""
    words = {
        "prompts": "prompts", "counts": "numbers of prompts (answers are missing: not paired)",
        "standard errors": "standard errors",
        "seeds": "seeds",
    }  # fmt: skip
    found = (word for part, word in words.items() if any(part in name for name in noise))
    return list(dict.fromkeys(found))


def _table(title: str, roomy: bool) -> Table:
    # all fits 80 characters; many columns need the blanks between them
    padding = (0, int(roomy), 0, 0)
    return Table(title=title, box=SIMPLE_HEAD, padding=padding, pad_edge=False, show_edge=False)


def _factor_columns(table: Table, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Adds the columns of the three factors; where there are none, what the rows are called."""
    titles = {
        "safety_examples": ("safety\nexamples", "right"),
        "attack": ("attack\nrows×epochs", "left"),
        "compression": ("compression", "left"),
    }
    known = [name for name in titles if any(row[name] is not None for row in rows)]
    if not known:
        table.add_column("name")
        return ["label" if rows and "label" in rows[0] else "cell"]
    for name in known:
        title, side = titles[name]
        # labels break rather than vanish where objectives need the room
        longest = max(len(_factor(row, name)) for row in rows)
        table.add_column(
            title,
            justify="right" if side == "right" else "left",
            min_width=min(longest, LABEL_CHARACTERS),
        )
    return known


def _objective_columns(table: Table, objectives: Sequence[Objective]) -> None:
    for objective in objectives:
        arrow = "↑" if objective.direction == "maximize" else "↓"
        title = "\n".join([*objective.metric.split("_"), arrow])
        table.add_column(title, justify="right", no_wrap=True)


def _factor(row: Mapping[str, Any], name: str) -> str:
    labels = {
        "safety_examples": dose_label,
        "attack": attack_label,
        "compression": compression_label,
    }
    if name in labels:
        return labels[name](row)
    if name == "cell":
        return str(row["cell"])[:CELL_CHARACTERS]
    value = row[name]
    if value is None:
        return ""
    if name in ("study", "model"):
        return str(value).rpartition("/")[2]
    return ORDERS.get(str(value), str(value))


def _with_interval(row: Mapping[str, Any], metric: str, between: str) -> str:
    value, low, high = (row[f"{metric}{part}"] for part in ("", "_low", "_high"))
    if metric in BYTES or low == high:
        return _value(row, metric)
    if value <= 1 and high <= 1:
        return f"{value:.2f}{between}{_share(low)}-{_share(high)}"
    return f"{value:,.3g}{between}{low:,.3g}-{high:,.3g}"


def _share(value: float) -> str:
    """`.93`, `1`: two decimals without what they do not need."""
    return f"{value:.2f}".removeprefix("0").replace("1.00", "1")


def _value(row: Mapping[str, Any], metric: str) -> str:
    value = row[metric]
    if value is None:
        return ""
    if metric in BYTES:
        return bytes_text(value)
    return f"{value:,.2f}" if value >= 10 else f"{value:.3f}"
