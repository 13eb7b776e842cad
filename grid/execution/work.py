"""Runs one task in this process: the same code for every engine."""

import os
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

from grid.plan import Task
from grid.provenance import provenance
from grid.stage import Stage
from grid.storage import Storage
from grid.store import StageResult, Store
from grid.study import RESPONSES
from search_spaces.compressions import Compression
from trainables.catalog import verb
from trainables.checkpoint import Checkpoint
from trainables.quiet import silent

T = TypeVar("T")


@dataclass(frozen=True)
class Assignment:
    """All that a worker needs for a task; plain values, so that it travels to any worker."""

    root: str
    """The study."""
    task: Task
    ancestors: tuple[Stage, ...]
    """Published stages that made the checkpoint, first to last."""
    threads: int
    exclusive: bool
    """True if no other stage uses the device while this one runs."""
    keep_compressed: bool
    """True if the compressed weights are published with their stage."""


def prepare_worker(threads: int) -> None:
    """Import what every stage needs and set its threads, so that a stage's time is its own."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from transformers.utils import logging

    import trainables.finetuning  # noqa: F401

    torch.set_num_threads(threads)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def run_task(assignment: Assignment) -> dict[str, float]:
    """Run and publish the task's stages; returns seconds by stage fingerprint."""
    with silent():
        return _run_task(assignment)


def _run_task(assignment: Assignment) -> dict[str, float]:
    prepare_worker(assignment.threads)
    store = Store(Storage(assignment.root))
    checkpoint = Checkpoint(assignment.task.stages[0].model)
    for stage in assignment.ancestors:
        checkpoint = checkpoint.extended(store.folder(stage))
    done: list[_Done] = []
    with (
        _Workspaces(store, len(assignment.task.stages)) as folders,
        TemporaryDirectory(prefix="trilemma-") as own_disk,
    ):
        for stage, folder in zip(assignment.task.stages, folders, strict=True):
            # compressed weights that are not kept never reach the study's storage
            dropped = stage.kind == "compression" and not assignment.keep_compressed
            made = Path(own_disk) if dropped else folder
            store.log_execution(stage)
            started = time.time()
            facts, seconds = _timed(partial(_carry_out, assignment, stage, checkpoint, made))
            done.append(_Done(folder, _result(stage, started, seconds, facts), stage))
            checkpoint = checkpoint.extended(made)
        # at the end: a compression whose evaluation failed is not done, its weights are gone
        for each in done:
            store.publish(each.stage, each.folder, each.result)
    return {each.stage.fingerprint: each.result.seconds for each in done}


def _carry_out(
    assignment: Assignment, stage: Stage, checkpoint: Checkpoint, folder: Path
) -> dict[str, Any]:
    """Do the stage's work; returns its facts by column name."""
    from trainables.models import free_device_memory

    try:
        if stage.kind == "compression":
            # the stage is one: it asks the catalog for each of its steps
            from trainables.compression import compress

            settings = cast(Compression, stage.settings)
            return compress(settings, checkpoint, folder).as_dict()
        method = verb(stage.kind, stage.settings.method)
        if stage.kind == "evaluation":
            measured = method(stage.settings, checkpoint, assignment.exclusive)
            _write_responses(measured.responses, folder / RESPONSES)
            facts = _columns(measured.estimates) | measured.efficiency.as_dict()
        else:
            facts = method(stage.settings, checkpoint, folder, stage.seed).as_dict()
        return cast(dict[str, Any], facts)
    finally:
        free_device_memory()


@dataclass(frozen=True)
class _Done:
    """A stage whose work is done and which is still to be published."""

    folder: Path
    result: StageResult
    stage: Stage


def describe(error: BaseException) -> str:
    """One line that names the error and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}{where}"


class _Workspaces:
    """New workspaces that are gone afterwards, published or not."""

    def __init__(self, store: Store, count: int) -> None:
        self._folders = [store.workspace() for _ in range(count)]

    def __enter__(self) -> list[Path]:
        return self._folders

    def __exit__(self, *exception: object) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


def _timed(action: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    return action(), time.perf_counter() - start


def _result(stage: Stage, started: float, seconds: float, facts: dict[str, Any]) -> StageResult:
    return StageResult(
        kind=stage.kind,
        fingerprint=stage.fingerprint,
        parent=stage.parent,
        method=stage.settings.method,
        seconds=seconds,
        started=started,
        facts=facts,
        provenance=provenance(),
    )


def _columns(estimates: dict[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, estimate in estimates.items():
        columns |= {name: estimate.value, f"{name}_n": estimate.n, f"{name}_se": estimate.se}
    return columns


def _write_responses(responses: list[Any], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from grid.records import ANSWER_SCHEMA

    pq.write_table(pa.Table.from_pylist([asdict(r) for r in responses], ANSWER_SCHEMA), path)
