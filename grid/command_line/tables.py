"""The tables that commands print."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from search_spaces.space import Objective

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


def front_table(
    rows: Sequence[Mapping[str, Any]], cells: int, objectives: Sequence[Objective]
) -> RenderableType:
    """The front's cells with their factors, and each objective with its standard error."""
    table = Table(
        title=f"Pareto front: {len(rows)} of {cells} ok cells",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),  # six columns fit 80 characters
        pad_edge=False,
    )
    table.add_column("safety\nexamples", justify="right")
    table.add_column("attack\nrows×epochs")
    table.add_column("compression\nbits or zeros")
    for objective in objectives:
        arrow = "↑" if objective.direction == "maximize" else "↓"
        *words, last = objective.metric.split("_")
        table.add_column("\n".join([" ".join(words), f"{last} {arrow}"]), justify="right")
    if len({row["seed"] for row in rows}) > 1:
        table.add_column("seed", justify="right")
    for row in rows:
        cells_shown = [_dose(row), _attack(row), compression_label(row)]
        cells_shown += [_value(row, objective.metric) for objective in objectives]
        if len(table.columns) > len(cells_shown):
            cells_shown.append(str(row["seed"]))
        table.add_row(*cells_shown)
    note = "↑ more is better, ↓ less is better; ± one standard error over prompts."
    return Group(table, note) if rows else Group("No ok cell has all objectives: no front.")


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


def compression_label(row: Mapping[str, Any]) -> str:
    """`gptq 4`, `magnitude 50%`, `none`."""
    if row["bits"] is not None:
        return f"{row['compression']} {row['bits']}"
    if row["sparsity"] is not None:
        return f"{row['compression']} {row['sparsity']:.0%}"
    return str(row["compression"])


def _dose(row: Mapping[str, Any]) -> str:
    form = f" {row['safety_form']}s" if row["safety_form"] == "question" else ""
    return f"{row['safety_examples']}{form}"


def _attack(row: Mapping[str, Any]) -> str:
    if row["attack"] == "none":
        return "none"
    name = row["attack"].removesuffix("_finetuning").replace("_", " ")
    return f"{name} {row['attack_examples']}×{row['attack_epochs']}"


def _value(row: Mapping[str, Any], metric: str) -> str:
    value, error = row[metric], row.get(f"{metric}_se")
    if metric.startswith("weights_bytes"):
        return _bytes(value)
    return f"{value:.3f} ±{error:.3f}" if error is not None else f"{value:,.2f}"


def _bytes(count: float) -> str:
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:,.1f} GB"
