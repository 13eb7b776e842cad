"""The tables that commands print."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from analysis.labels import ORDERS, attack_label, compression_label, dose_label
from search_spaces.methods import MethodRow
from search_spaces.space import Objective

ERRORS_SHOWN = 10
TOLD_IF_VARYING = ("order", "seed")
TITLES = {"order": "attack\ncomes"}
INLINE_COLUMNS = 3
CELL_CHARACTERS = 6
CALIBRATION = ("calibration_seed", "calibration_data")


def plan_table(summary: Mapping[str, Any]) -> RenderableType:
    """Unique stages by kind, and what sharing saves."""
    table = Table(title=f"{summary['space']}: {summary['cells']} cells")
    for column, side in (("stage", "left"), ("unique", "right"), ("missing", "right")):
        table.add_column(column, justify="right" if side == "right" else "left")
    for kind, unique in summary["unique_stages"].items():
        table.add_row(kind.replace("_", " "), str(unique), str(summary["missing_stages"][kind]))
    notes = [
        f"Sharing saves {summary['executions_saved']} of "
        f"{summary['executions_without_sharing']} stage executions."
    ]
    seconds = summary["estimated_stage_seconds"]
    if seconds is not None:
        notes.append(f"About {seconds:.0f} s of stage work is missing.")
    else:
        notes.append("No timings known yet; after a run, --study DIR gives an estimate.")
    if not summary["model_built"]:
        notes.append("The embedded world's model is not built yet; the first run builds it.")
    return Group(table, *notes)


def status_table(summary: Mapping[str, Any]) -> RenderableType:
    """Stages done by kind and cells by status."""
    table = Table(title=f"{summary['space']}")
    for column in ("stage", "done", "total"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for kind, count in summary["stages"].items():
        table.add_row(kind.replace("_", " "), str(count["done"]), str(count["total"]))
    cells = summary["cells"]
    missing = cells["total"] - cells["ok"] - cells["failed"]
    notes = [f"Cells: {cells['ok']} ok, {cells['failed']} failed, {missing} missing."]
    seconds = summary["estimated_stage_seconds_left"]
    if missing and seconds is not None:
        notes.append(f"About {seconds:.0f} s of stage work is missing.")
    notes += [f"Unreadable: records/{name}" for name in summary["unreadable_records"]]
    return Group(table, *notes)


def methods_table(rows: Sequence[MethodRow]) -> RenderableType:
    """Methods by family, with a numbered reason wherever one cannot work."""
    table = Table(
        title="Compression methods",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),  # six families fit 80 characters
        pad_edge=False,
        show_edge=False,
    )
    for column in ("method", "bits or zeros", "then\nattack"):
        table.add_column(column, no_wrap=True)
    for family in rows[0].families:
        table.add_column(family.replace("_", "\n"), justify="center", no_wrap=True)
    reasons: dict[str, int] = {}
    for row in rows:
        attack = "yes" if row.compress_then_attack else "no"
        if row.untrainable:
            attack += _numbered(row.untrainable.values(), reasons)
        marks = (
            f"no{_numbered([reason], reasons)}" if reason else "yes"
            for reason in row.families.values()
        )
        table.add_row(row.method, row.widths, attack, *marks)
    notes = ["", *(f"({number}) {reason}" for reason, number in reasons.items())]
    notes += [
        "then attack: adapters can be trained on its weights (compress_then_attack).",
        "stacked: a pruning and then a quantizer, wherever both work.",
    ]
    return Group(table, *notes)


def _numbered(found: Iterable[str], reasons: dict[str, int]) -> str:
    """References to reasons, each told once below the table."""
    numbers = {reasons.setdefault(reason, len(reasons) + 1) for reason in found}
    return f" ({', '.join(map(str, sorted(numbers)))})"


def front_table(
    rows: Sequence[Mapping[str, Any]],
    ok: Sequence[Mapping[str, Any]],
    objectives: Sequence[Objective],
    device: str,
) -> RenderableType:
    """The front's cells with their factors, and each objective with its standard error.

    `ok`: all cells that a front was sought in; what varies among them is told.
    """
    if not rows:
        return Group("No ok cell has all objectives: no front.")
    where = f" on {device}" if device else ""
    title = f"Pareto front{where}: {len(rows)} of {len(ok)} ok cells"
    varying = [name for name in TOLD_IF_VARYING if _varies(ok, name)]
    # a value's error goes below it where there is little room beside it
    between = " " if len(objectives) + len(varying) <= INLINE_COLUMNS else "\n"
    note = "↑ more is better, ↓ less is better; ± one standard error over prompts"
    return _cells(rows, objectives, title, note, varying, between)


def all_cells_table(
    ok: Sequence[Mapping[str, Any]], objectives: Sequence[Objective]
) -> RenderableType:
    """Every ok cell by its id, on the front or not."""
    varying = ["cell", *(name for name in TOLD_IF_VARYING if _varies(ok, name))]
    note = "↑ more is better, ↓ less is better; cell: the start of its id"
    return _cells(ok, objectives, f"{len(ok)} ok cells", note, varying, None)


def _cells(
    rows: Sequence[Mapping[str, Any]],
    objectives: Sequence[Objective],
    title: str,
    note: str,
    varying: Sequence[str],
    between: str | None,
) -> RenderableType:
    """`between` a value and its standard error; None to leave the error out."""
    # all fits 80 characters; many columns need the blanks between them
    blanks = 1 if len(objectives) + len(varying) <= INLINE_COLUMNS else 0
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, blanks, 0, 0), pad_edge=False)
    table.add_column("safety\nexamples", justify="right", no_wrap=True)
    table.add_column("attack\nrows×epochs", no_wrap=True)
    table.add_column("compression")
    for objective in objectives:
        arrow = "↑" if objective.direction == "maximize" else "↓"
        title = "\n".join([*objective.metric.split("_"), arrow])
        table.add_column(title, justify="right", no_wrap=True)
    for name in varying:
        table.add_column(TITLES.get(name, name), no_wrap=True)
    calibration = [name for name in CALIBRATION if _varies(rows, name)]
    for row in rows:
        table.add_row(
            dose_label(row),
            attack_label(row),
            _compression(row, calibration),
            *(_value(row, objective.metric, between) for objective in objectives),
            *(_factor(row, name) for name in varying),
        )
    note += "; #: calibration seed." if "calibration_seed" in calibration else "."
    return Group(table, note)


def failures_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Errors of failed cells, each once, with how many cells it cost."""
    errors: dict[str, int] = {}
    for row in rows:
        if row["status"] == "failed":
            errors[str(row["error"])] = errors.get(str(row["error"]), 0) + 1
    table = Table(title="Failed cells")
    table.add_column("cells", justify="right")
    table.add_column("error", overflow="fold")
    for error, count in sorted(errors.items(), key=lambda item: -item[1])[:ERRORS_SHOWN]:
        table.add_row(str(count), error)
    return table


def files_note(study: str) -> str:
    """Where a study's tables are."""
    return (
        f"Records: {study}/records/*.parquet   Responses: {study}/responses/*.parquet\n"
        f"Again: trilemma front {study}"
    )


def _varies(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    """True if the rows that have a value have different ones."""
    return len({row.get(name) for row in rows} - {None}) > 1


def _compression(row: Mapping[str, Any], calibration: Sequence[str]) -> str:
    """The compression's label, with what tells two calibrations of it apart."""
    label = compression_label(row)
    # records of before these columns have none of them
    told = {name: row.get(name) for name in calibration}
    seed, data = told.get("calibration_seed"), told.get("calibration_data")
    return "".join((label, f" #{seed}" if seed is not None else "", f" on {data}" if data else ""))


def _factor(row: Mapping[str, Any], name: str) -> str:
    if name == "cell":
        return str(row["cell"])[:CELL_CHARACTERS]
    return ORDERS.get(str(row[name]), str(row[name]))


def _value(row: Mapping[str, Any], metric: str, between: str | None) -> str:
    value, error = row[metric], row.get(f"{metric}_se")
    if value is None:
        return ""
    if metric.startswith("weights_bytes") or metric == "peak_memory_bytes":
        return bytes_text(value)
    if error is None:
        return f"{value:,.2f}" if value >= 1 else f"{value:.3g}"
    return f"{value:.3f}" if between is None else f"{value:.3f}{between}±{error:.3f}"


def bytes_text(count: float) -> str:
    """Bytes in the unit that is easiest to read."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:,.1f} GB"
