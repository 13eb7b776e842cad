"""The tables that commands print."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from search_spaces.methods import MethodRow

ERRORS_SHOWN = 10


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
        f"Again: trilemma front {study}   In full: trilemma report {study} --to report.html"
    )
