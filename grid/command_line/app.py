"""The `trilemma` command: one function a verb, whose work is done elsewhere."""

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from grid.command_line import tables
from grid.command_line.options import Columns, Judge, Objectives, Sources
from search_spaces.settings import SpaceError

if TYPE_CHECKING:
    from analysis.records.loading import Records

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_STOPPED = 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="How helpful, how safe and how cheap is a language model after safety tuning, an attack "
    "and compression: one joint grid on Ray, read as a Pareto front.",
)
PIPED_WIDTH = 120
"""Characters a line where the output is no terminal, unless COLUMNS says otherwise."""
_narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
out = Console(width=None if _narrow else PIPED_WIDTH)


class Engine(StrEnum):
    """Where stages run."""

    ray = "ray"
    local = "local"


Space = Annotated[
    str,
    typer.Argument(
        help="A preset (nano, nano_seeds, nano_compression, nano_order, nano_mamba, smoke) or a "
        "YAML file."
    ),
]
StudyFolder = Annotated[str, typer.Argument(help="A study's folder or URI.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Options of every command; `main` reads --debug."""


@app.command(epilog="Example: trilemma plan nano --json")
def plan(
    space: Space,
    study: Annotated[
        str | None,
        typer.Option(help="A study of this space: tells what is missing and how long it takes."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a search space would run, without running it."""
    from grid.command_line.planning import summarize

    summary = summarize(space, study)
    print(json.dumps(summary, indent=1)) if as_json else out.print(tables.plan_table(summary))


@app.command(epilog="Example: trilemma run nano --study studies/first")
def run(
    space: Space,
    study: Annotated[str, typer.Option(help="The study's folder or URI; run again to resume.")],
    engine: Annotated[Engine, typer.Option(help="ray, or local: in this process.")] = Engine.ray,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Ray: stages at once; default: as resources allow.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Ray: a cluster's address; default: RAY_ADDRESS, else a Ray of its own."),
    ] = None,
) -> None:
    """Run every missing stage of a search space and show the front."""
    from grid.command_line.running import run_space
    from grid.command_line.sources import read_sources

    try:
        final = run_space(space, study, engine.value, slots, address)
    except KeyboardInterrupt:
        _complain("stopped; run the same command again to go on where it stopped")
        raise typer.Exit(EXIT_STOPPED) from None
    show_front(read_sources([study]))
    out.print(tables.files_note(study), highlight=False, soft_wrap=True)
    if final.cells_failed:
        out.print(tables.failures_table(_records(study)))
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog="Example: trilemma status studies/first")
def status(study: StudyFolder, as_json: AsJson = False) -> None:
    """Show what a study has done, what is missing and what failed."""
    from grid.command_line.planning import study_status

    summary = study_status(study)
    if as_json:
        print(json.dumps(summary, indent=1))
        return
    out.print(tables.status_table(summary))
    if summary["cells"]["failed"]:
        out.print(tables.failures_table(_records(study)))


@app.command(
    epilog="Example: trilemma front published.csv --column safety=trust --column safety_se=trust_sd"
)
def front(
    sources: Sources,
    all_cells: Annotated[
        bool, typer.Option("--all", help="Show every ok cell with its id, on the front or not.")
    ] = False,
    columns: Columns = None,
    objectives: Objectives = None,
    judge: Judge = None,
    as_json: AsJson = False,
) -> None:
    """Show the configurations that no other dominates, and how surely."""
    from grid.command_line.sources import read_sources

    records = read_sources(sources, columns, objectives, judge)
    if all_cells:
        show_all(records, as_json)
    else:
        show_front(records, as_json)


@app.command(epilog="Example: trilemma report studies/first --to report.html")
def report(
    sources: Sources,
    to: Annotated[Path, typer.Option(help="The HTML file; one that is there is replaced.")],
    columns: Columns = None,
    objectives: Objectives = None,
    judge: Judge = None,
) -> None:
    """Write one HTML file: findings in words, pictures, and every cell with its answers."""
    from grid.command_line.reporting import write_report
    from grid.command_line.sources import read_sources

    size = write_report(read_sources(sources, columns, objectives, judge), to)
    out.print(f"The report is in {to} ({size / 1e6:.1f} MB); it opens offline.", soft_wrap=True)


@app.command(epilog="Example: trilemma pictures studies/first --to pictures --format pdf,png")
def pictures(
    sources: Sources,
    to: Annotated[Path, typer.Option(help="The folder for the files; those there are replaced.")],
    formats: Annotated[str, typer.Option("--format", help="png, svg, pdf, or several.")] = "png",
    width: Annotated[
        float, typer.Option(min=3.4, max=40, help="Inches: 3.4 is a column, 7 a page.")
    ] = 7.0,
    columns: Columns = None,
    objectives: Objectives = None,
    judge: Judge = None,
) -> None:
    """Write every picture of a study as files for papers."""
    from grid.command_line.picturing import write_pictures
    from grid.command_line.sources import read_sources

    records = read_sources(sources, columns, objectives, judge)
    for number, total, path in write_pictures(records, to, formats, width):
        out.print(f"{number}/{total} {path}", soft_wrap=True, highlight=False)


@app.command(epilog="Example: trilemma serve studies/first")
def serve(
    study: StudyFolder,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8050,
    judge: Judge = None,
) -> None:
    """Show a study's report in the browser, renewed while the study runs; Ctrl-C ends it."""
    from grid.command_line.reporting import serve_study

    serve_study(study, port, judge, lambda url: print(f"{url}  (Ctrl-C ends it)", flush=True))


@app.command(epilog="Example: trilemma export studies/first --cell 3f2a9c --to exported")
def export(
    study: StudyFolder,
    cell: Annotated[str, typer.Option(help="The cell's id, or as much of it as names one.")],
    to: Annotated[Path, typer.Option(help="A new folder for the model and its card.")],
) -> None:
    """Write a cell's final model as a folder that other tools load."""
    from grid.command_line.running import export_model

    exported = export_model(study, cell, to)
    answers = f"{exported.same_answers} of {exported.prompts}"
    out.print(f"The model is in {to}, its card in {to / 'README.md'}.", soft_wrap=True)
    out.print(f"Asked again, it gave {answers} answers as recorded.")
    if exported.same_answers < exported.prompts:
        _complain("not every answer is as recorded: other hardware or library versions round apart")
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog="Example: trilemma judge studies/first --judge refusal_prefix")
def judge(
    study: StudyFolder,
    judge: Annotated[
        str | None,
        typer.Option(help="phrases, refusal_prefix, or a YAML file of a judge's settings."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the verdicts; default: the judge or the file.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Write so many answers for people to label, blind.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="--sample: the new CSV file.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="--sample: another seed, another sample.")] = 0,
    labels: Annotated[
        Path | None, typer.Option(help="Read back a CSV file whose labels people filled in.")
    ] = None,
) -> None:
    """Judge a study's stored answers again, without generating, and show how judges agree."""
    from grid.command_line import judging

    wanted = {"--judge": judge, "--sample": sample, "--labels": labels}
    given = [option for option, value in wanted.items() if value is not None]
    if len(given) != 1 or (to is None) == (sample is not None):
        raise SpaceError(
            "judge", "", "name one of --judge NAME, --sample N --to FILE.csv, --labels FILE.csv"
        )
    if sample is not None and to is not None:
        count = judging.write_sample(study, sample, seed, to)
        out.print(f"{count} answers are in {to}; fill in `label` with comply, refuse, incoherent.")
        out.print(f"Then: trilemma judge {study} --labels {to} --name human", soft_wrap=True)
        return
    if labels is not None:
        name, count, skipped = judging.read_labels(study, labels, name)
        out.print(f"{count} labels are kept as {name}; {skipped} rows had none.")
    elif judge is not None:
        name, judged = judging.judge_again(study, judge, name)
        out.print(f"{name} read {judged.cells} cells now, {judged.before} before.")
        for file in judged.unreadable:
            _warn(f"responses/{file} is unreadable and was left out")
    for part in judging.agreement_tables(study, str(name)):
        out.print(part, highlight=False)


@app.command(epilog="Example: trilemma compact studies/first")
def compact(study: StudyFolder) -> None:
    """Pack a study's many small files into few, which load at once; every row is kept."""
    from grid.command_line.compaction import compaction_notes, compaction_table
    from grid.compaction import compact as compact_study

    reports = compact_study(study)
    out.print(compaction_table(reports))
    for note in compaction_notes(reports):
        _warn(note)


@app.command(epilog="Example: trilemma methods --json")
def methods(as_json: AsJson = False) -> None:
    """Show which compression works at which bits on which family of models, and why not."""
    from dataclasses import asdict

    from search_spaces.methods import method_table

    rows = method_table()
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        out.print(tables.methods_table(rows))


@app.command(epilog="Example: trilemma nano nano_world --seed 1")
def nano(
    folder: Annotated[Path, typer.Argument(help="Where the model and data files go.")],
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes another world.")] = 0,
    family: Annotated[str, typer.Option(help="The model's architecture: llama, mamba.")] = "llama",
) -> None:
    """Make the embedded nano world: a tiny model and its data, as ordinary files."""
    from grid.command_line.running import make_world

    make_world("nano", folder, seed, family)
    out.print(f"The model is in {folder / 'model'}, the data in {folder / 'data'}.")


def show_front(records: "Records", as_json: bool = False) -> None:
    """Print the front of each device as a table or as JSON."""
    from analysis.fronts.uncertain import uncertain_fronts
    from analysis.uncertainty.draws import draw
    from grid.command_line import front_tables

    metrics = [objective.metric for objective in records.objectives]
    found = uncertain_fronts(draw(records, metrics), records.objectives)
    for name in records.unreadable_responses:
        Console(stderr=True).print(f"warning: responses/{name} is unreadable and was left out")
    if as_json:
        wanted = [objective.model_dump() for objective in records.objectives]
        values = [front_tables.front_values(front, device) for device, front in found.items()]
        print(json.dumps({"objectives": wanted, "fronts": values}, indent=1))
        return
    if not found:
        out.print("No ok cell: no front.")
    for device, front in found.items():
        out.print(front_tables.front_table(front, device if len(found) > 1 else ""))


def show_all(records: "Records", as_json: bool) -> None:
    """Print every ok cell as a table or as JSON."""
    from grid.command_line.front_tables import cells_table

    if as_json:
        print(json.dumps({"cells": records.ok.to_dicts()}, indent=1))
    else:
        out.print(cells_table(records.ok, records.objectives))


def _records(study: str) -> list[dict[str, object]]:
    from grid.command_line.sources import read_sources

    return read_sources([study]).rows


def main() -> None:
    """Entry point: one clear line for an error, a traceback only with --debug."""
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(args=arguments, prog_name="trilemma")
    except Exception as error:
        if debug:
            raise
        refused = isinstance(error, SpaceError)
        hint = " (add --debug for the traceback)"
        text = " ".join(str(error).split())
        _complain(text if refused else f"{type(error).__name__}: {text}{hint}")
        sys.exit(EXIT_REFUSED if refused else EXIT_FAILED)


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _complain(text: str) -> None:
    print(f"error: {text}", file=sys.stderr)
