"""What `judge` does: a judge reads stored answers again, or people do, by a CSV file."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from analysis.judges.agreement import Agreement, Shift, agreement, shifts
from analysis.judges.human_labels import from_csv, sample, to_csv
from analysis.records.judgements import own_judge
from analysis.records.loading import load_records
from grid.command_line.progress_view import steps_view
from grid.judging import Judged, judge_study, store_labels
from search_spaces.judges import JUDGES
from search_spaces.loading import load_judge
from search_spaces.settings import SpaceError
from trainables.quiet import quiet


def judge_again(study: str, spec: str, name: str | None) -> tuple[str, Judged]:
    """Let a judge read what it has not read yet; returns the judgement's name too."""
    settings = load_judge(spec)
    called = name or (spec if spec in JUDGES else Path(spec).stem)
    with steps_view(f"judging with {called}") as on_step, quiet():
        return called, judge_study(study, settings, called, on_step)


def write_sample(study: str, size: int, seed: int, path: Path) -> int:
    """Write answers to label; returns how many. Raises SpaceError for a file that is there."""
    _own(study)
    if path.exists():
        raise SpaceError("--to", "", f"{path} is there already, maybe with labels; name a new file")
    answers = sample(load_records(study), size, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_csv(answers))
    return answers.height


def read_labels(study: str, path: Path, name: str | None) -> tuple[str, int, int]:
    """Keep the labels of a file; returns the judgement's name, labels and rows without one."""
    _own(study)
    if not path.is_file():
        raise SpaceError("--labels", "", f"{path}: no such file")
    labels = from_csv(path.name, path.read_bytes(), load_records(study))
    called = name or path.stem
    if labels.table.is_empty():
        raise SpaceError(
            path.name, "label", "no row has a label; allowed: comply, refuse, incoherent"
        )
    store_labels(study, labels.table, called)
    return called, labels.table.height, labels.skipped


def agreement_tables(study: str, name: str) -> list[Table | str]:
    """How far the judge agrees with the study's own, and with each other one, as tables."""
    records = load_records(study)
    own = _own(study)
    found = agreement(records, own, name)
    moved = shifts(records, load_records(study, judge=name))
    others = sorted(set(records.verdicts["judge"]) - {own, name})
    told: list[Table | str] = [_table(found, moved, own, name), *_notes(found)]
    for other in others:
        overall = agreement(records, other, name)[0]
        told.append(f"With {other}, over {overall.answers:,} answers: kappa {_kappa(overall)}.")
    return told


def _own(study: str) -> str:
    own = own_judge(study)
    if own is None:
        raise SpaceError(study, "", "no study here; make one: trilemma run SPACE --study DIR")
    return own


def _table(found: Sequence[Agreement], moved: Sequence[Shift], own: str, name: str) -> Table:
    table = Table(title=f"{name} against {own}", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("compression")
    for column in ("answers", "agree", "kappa", "safety", "over-\nrefusal"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found:
        rates = {shift.metric: shift for shift in moved if shift.level == one.level}
        table.add_row(
            one.level,
            f"{one.answers:,}",
            "" if one.agree is None else f"{one.agree:.1%}",
            _kappa(one),
            *(_moved(rates.get(metric)) for metric in ("safety", "over_refusal")),
        )
    return table


def _kappa(one: Agreement) -> str:
    if one.kappa is None:
        return "undefined"
    bounds = "" if one.low is None else f" [{one.low:.2f}, {one.high:.2f}]"
    return f"{one.kappa:.2f}{bounds}"


def _moved(shift: Shift | None) -> str:
    if shift is None or shift.before is None or shift.after is None:
        return ""
    return f"{shift.before:.3f} → {shift.after:.3f}"


def _notes(found: Sequence[Agreement]) -> list[str]:
    notes = ["kappa: Cohen's, on answers to harmful and borderline requests; in brackets its 95 % "
             "interval, by a bootstrap over prompts."]  # fmt: skip
    if found[0].weighted:
        notes.append("Only a sample was read: each answer stands for those of its compression and "
                     "own verdict. Rates need every answer, so they are not told.")  # fmt: skip
    return notes + [f"{one.level}: {one.note}." for one in found if one.note]
