"""Writes a cell's final model as a folder that other tools load, and checks that it answers as
recorded."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analysis.records.loading import load_records, read_table
from grid.execution.work import prepare_worker
from grid.model_card import CARD, Stored, model_card
from grid.plan import PlannedCell
from grid.study import RESPONSES, Study
from search_spaces.checks import data_fields
from search_spaces.compressions import calibrations_of
from search_spaces.contents import content_of
from search_spaces.metrics import PROMPT_SETS
from search_spaces.settings import SpaceError
from search_spaces.sources import ModelSource
from trainables.checkpoint import ADAPTER, WEIGHTS, Checkpoint


@dataclass(frozen=True)
class Exported:
    """What an export found when it asked the written model again."""

    folder: Path
    same_answers: int
    prompts: int


def export_cell(study: Study, cell_id: str, folder: Path) -> Exported:
    """Write the cell's model, tokenizer and model card to a new folder: whole or not at all.

    Compressed weights that the study did not keep are made again, which gives the same. Raises
    SpaceError for a cell that is not there or has no model, for a folder that is in use, and for
    files of the study, its model or its calibration that are gone.
    """
    planned, record = _ok_cell(study, cell_id)
    _refuse_missing(study, planned)
    with _aside(folder) as unfinished:
        # another number of threads would round apart
        prepare_worker(study.space.resources.threads_per_stage)
        checkpoint = _final_checkpoint(study, planned, Path(unfinished))
        written = _write(checkpoint, Path(unfinished) / "model")
        assert written.full is not None
        same, prompts = _compare(study, planned, written)
        stored = Stored.in_folder(written.full, written.adapters)
        card = model_card(record, study.space, stored, f"{same} of {prompts}")
        (written.full / CARD).write_text(card, encoding="utf-8")
        written.full.rename(folder)
    return Exported(folder, same, prompts)


def _ok_cell(study: Study, cell_id: str) -> tuple[PlannedCell, Mapping[str, Any]]:
    ids = [cell.id for cell in study.plan.cells]
    matching = [cell for cell in study.plan.cells if cell.id.startswith(cell_id)]
    root = study.storage.root
    if len(matching) != 1 or not cell_id:
        close = get_close_matches(cell_id, ids, n=1, cutoff=0.4)
        hint = f"did you mean '{close[0]}'? " if close and not matching else ""
        what = "several cells begin so; add to it" if matching else "no such cell"
        raise SpaceError(
            "--cell", "", f"'{cell_id}': {what}; {hint}ids: trilemma front {root} --all"
        )
    (planned,) = matching
    rows = [row for row in load_records(root).rows if row["cell"] == planned.id]
    if not rows or rows[0]["status"] != "ok":
        state = f"it failed: {rows[0]['error']}" if rows else "it has not run yet"
        raise SpaceError(
            "--cell",
            "",
            f"'{planned.id}' has no model to export, because {state}; "
            f"run it: trilemma run SPACE --study {root}",
        )
    return planned, rows[0]


def _refuse_missing(study: Study, planned: PlannedCell) -> None:
    """Raise SpaceError for what the export reads and what is gone or has changed."""
    root = study.storage.root
    stages = [study.plan.stages[fingerprint] for fingerprint in planned.stages]
    for stage in stages:
        if not study.store.has(stage):
            raise SpaceError(
                root,
                "",
                f"the {stage.kind} stage of '{planned.id}' is gone; "
                f"run it again: trilemma run SPACE --study {root}",
            )
    compression = next(s for s in stages if s.kind == "compression")
    if (study.store.folder(compression) / WEIGHTS).is_dir():
        return  # they were kept: nothing else is read
    _refuse_changed_model(study)
    calibrating = {
        source for part in calibrations_of(planned.cell.compression) for source in part.data
    }
    for field, source, _ in data_fields(study.space):
        if source in calibrating and content_of(source) != study.data_hashes[field]:
            raise SpaceError(
                root, field, f"{source.path} is gone or has changed; put it back as it was"
            )


def _refuse_changed_model(study: Study) -> None:
    model, world = study.space.model, study.space.embedded
    if content_of(model) == study.data_hashes["model"]:
        return
    remedy = "put it back as it was"
    if world is not None:
        folder = Path(model.path).parent
        remedy = f"make it: trilemma nano {folder} --seed {world.seed} --family {world.family}"
    raise SpaceError(
        study.storage.root, "model.path", f"{model.path} is gone or has changed; {remedy}"
    )


def _aside(folder: Path) -> "TemporaryDirectory[str]":
    """A folder beside `folder`, in which what is not finished lies. Raises SpaceError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SpaceError("--to", "", f"{folder} is there already; name a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # a name in plain sight: a killed export may leave a whole model there
        return TemporaryDirectory(prefix=f"{folder.name}.unfinished-", dir=folder.parent)
    except OSError as error:
        raise SpaceError("--to", "", f"{folder}: {error.strerror}; name another folder") from error


def _final_checkpoint(study: Study, planned: PlannedCell, scratch: Path) -> Checkpoint:
    """The checkpoint that the cell's evaluation saw; weights made again lie in `scratch`."""
    from trainables.compression import compress

    checkpoint = Checkpoint(planned.cell.model)
    *before, _evaluation = (study.plan.stages[fingerprint] for fingerprint in planned.stages)
    for stage in before:
        extended = checkpoint.extended(study.store.folder(stage))
        if stage.kind == "compression" and not extended.compressed:
            compress(planned.cell.compression, checkpoint, scratch)
            extended = checkpoint.extended(scratch)
        checkpoint = extended
    return checkpoint


def _write(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """Put the weights and their tokenizer in `folder`, and adapters that cannot be merged."""
    from trainables.models import load_tokenizer, stored_folder

    weights = stored_folder(checkpoint)
    if weights.parent == folder.parent:
        weights.rename(folder)  # made for this export
    else:
        shutil.copytree(weights, folder)
    if not checkpoint.compressed:  # else it lies there already
        load_tokenizer(checkpoint.base).save_pretrained(folder)
    adapters: list[Path] = []
    for number, adapter in enumerate(checkpoint.adapters, 1):
        adapters.append(folder / (ADAPTER if number == 1 else f"{ADAPTER}{number}"))
        # peft's card is a blank form
        shutil.copytree(adapter, adapters[-1], ignore=shutil.ignore_patterns(CARD))
        _forget_base(adapters[-1] / "adapter_config.json")
    # the template is the folder's own now
    base = ModelSource(path=str(folder), dtype=checkpoint.base.dtype)
    return Checkpoint(base, full=folder, adapters=tuple(adapters), compressed=True)


def _forget_base(config: Path) -> None:
    """Drop the path of the model that an adapter was trained on: it is of another machine."""
    content = json.loads(config.read_text(encoding="utf-8"))
    content["base_model_name_or_path"] = None
    config.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _compare(study: Study, planned: PlannedCell, written: Checkpoint) -> tuple[int, int]:
    """How many of the recorded prompts the written model answers as recorded, and of how many."""
    from trainables.evaluation.generation import generate
    from trainables.models import load_checkpoint, load_tokenizer

    evaluation = study.plan.stages[planned.stages[-1]]
    recorded = read_table((study.store.folder(evaluation) / RESPONSES).read_bytes()).to_pylist()
    model, tokenizer = load_checkpoint(written), load_tokenizer(written.base)
    same = 0
    for prompt_set in PROMPT_SETS:
        rows = [row for row in recorded if row["prompt_set"] == prompt_set]
        prompts = [row["prompt"] for row in rows]
        answers = generate(model, tokenizer, prompts, planned.cell.evaluation)
        same += sum(row["response"] == answer for row, answer in zip(rows, answers, strict=True))
    return same, len(recorded)
