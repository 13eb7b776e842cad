"""What the reading commands read: studies, or tables that were made elsewhere."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import get_args

from rich.console import Console

from analysis.records.loading import Records, load_records
from search_spaces.metrics import Metric
from search_spaces.settings import SpaceError
from search_spaces.space import Objective

DIRECTIONS = {
    "max": "maximize", "maximize": "maximize", "min": "minimize", "minimize": "minimize",
}  # fmt: skip


def read_sources(
    sources: Sequence[str],
    columns: Sequence[str] | None = None,
    objectives: Sequence[str] | None = None,
    judge: str | None = None,
) -> Records:
    """The records, with the objectives that were asked for; unreadable files are warned of.

    Raises SpaceError for what is not there and options that do not fit.
    """
    records = load_records(*sources, columns=_columns(columns or ()), judge=judge)
    if objectives:
        records = replace(records, objectives=_objectives(objectives))
    for name in records.unreadable:
        Console(stderr=True).print(f"warning: records/{name} is unreadable and was left out")
    missing = [o.metric for o in records.objectives if o.metric not in records.table.columns]
    if not records.table.is_empty() and (missing or not records.objectives):
        wanted = ", ".join(missing) or "helpfulness, safety, bits_per_weight ..."
        raise SpaceError(
            ", ".join(sources), "objectives",
            f"no column for {wanted}; name it with --column {(missing or ['safety'])[0]}=THEIRS, "
            "or other objectives with --objective",
        )  # fmt: skip
    return records


def _columns(given: Sequence[str]) -> dict[str, str]:
    pairs = [_pair(text, "--column", "ours=theirs") for text in given]
    _refuse_doubles("--column", [ours for ours, _ in pairs])
    return dict(pairs)


def _objectives(given: Sequence[str]) -> tuple[Objective, ...]:
    found = []
    for metric, direction in (_pair(t, "--objective", "metric=max") for t in given):
        if metric not in get_args(Metric):
            near = get_close_matches(metric, get_args(Metric), n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            known = ", ".join(get_args(Metric))
            raise SpaceError("--objective", metric, f"no such metric{hint} There are: {known}")
        if direction not in DIRECTIONS:
            raise SpaceError("--objective", metric, f"'{direction}' is neither max nor min")
        found.append(
            Objective.model_validate({"metric": metric, "direction": DIRECTIONS[direction]})
        )
    _refuse_doubles("--objective", [objective.metric for objective in found])
    return tuple(found)


def _refuse_doubles(option: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SpaceError(option, name, "is given more than once; name it once")


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    left, sign, right = text.partition("=")
    if not (left and sign and right):
        raise SpaceError(option, "", f"'{text}' is not of the form {form}")
    return left, right
