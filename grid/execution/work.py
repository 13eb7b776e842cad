"""Runs one task in this process: the same code for every engine."""

import gc
import os
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from grid.plan import Task
from grid.provenance import provenance
from grid.stage import Stage
from grid.storage import Storage
from grid.store import StageResult, Store
from grid.study import RESPONSES
from trainables.catalog import verb
from trainables.checkpoint import Checkpoint
from trainables.quiet import quiet

T = TypeVar("T")


@dataclass(frozen=True)
class Assignment:
    """All that a worker needs for a task; plain values, so that it travels to any worker."""

    root: str
    """The study."""
    task: Task
    ancestors: tuple[Stage, ...]
    """Published training stages that made the checkpoint, first to last."""
    threads: int
    exclusive: bool
    """True if no other stage uses the device while this one runs."""
    keep_compressed: bool


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
    with quiet():
        try:
            return _run_task(assignment)
        finally:
            _free_device_memory()


def _run_task(assignment: Assignment) -> dict[str, float]:
    prepare_worker(assignment.threads)
    store = Store(Storage(assignment.root))
    checkpoint = Checkpoint(assignment.task.stages[0].model)
    for stage in assignment.ancestors:
        checkpoint = checkpoint.extended(store.folder(stage))
    first = assignment.task.stages[0]
    if first.kind == "compression":
        return _ship(assignment, store, checkpoint)
    return {first.fingerprint: _train(store, first, checkpoint)}


def describe(error: BaseException) -> str:
    """One line that names the error and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}{where}"


def _train(store: Store, stage: Stage, checkpoint: Checkpoint) -> float:
    with _Workspaces(store, 1) as (folder,):
        store.log_execution(stage)
        started = time.time()
        method = verb(stage.kind, stage.settings.method)
        facts, seconds = _timed(
            lambda: method(stage.settings, checkpoint, folder, stage.seed).as_dict()
        )
        store.publish(stage, folder, _result(stage, started, seconds, facts))
    return seconds


def _ship(assignment: Assignment, store: Store, checkpoint: Checkpoint) -> dict[str, float]:
    """Compress, evaluate, then publish both: compression first, evaluation last."""
    from trainables.models import load_tokenizer, write_dense

    compression, evaluation = assignment.task.stages
    with _Workspaces(store, 3) as (compressed_folder, evaluation_folder, dense):
        store.log_execution(compression)
        started = time.time()
        compress = verb("compression", compression.settings.method)

        def make() -> Any:
            write_dense(checkpoint, dense)
            _free_device_memory()
            weights = compressed_folder / "weights"
            return compress(
                compression.settings, dense, compression.model, weights, compression.seed
            )

        compressed, compression_seconds = _timed(make)
        store.log_execution(evaluation)
        tokenizer = load_tokenizer(compression.model)
        evaluate = verb("evaluation", evaluation.settings.method)
        measured, evaluation_seconds = _timed(
            lambda: evaluate(evaluation.settings, compressed, tokenizer, assignment.exclusive)
        )
        _write_responses(measured.responses, evaluation_folder / RESPONSES)
        if assignment.keep_compressed:
            if compressed.folder == dense:
                shutil.copytree(dense, compressed_folder / "weights")
            tokenizer.save_pretrained(compressed_folder / "weights")
        else:
            shutil.rmtree(compressed_folder / "weights", ignore_errors=True)
        costs = asdict(measured.efficiency) | {"zero_fraction": compressed.zero_fraction}
        store.publish(
            compression,
            compressed_folder,
            _result(compression, started, compression_seconds, costs),
        )
        started += compression_seconds
        facts = _columns(measured.estimates)
        store.publish(
            evaluation,
            evaluation_folder,
            _result(evaluation, started, evaluation_seconds, facts),
        )
    return {
        compression.fingerprint: compression_seconds,
        evaluation.fingerprint: evaluation_seconds,
    }


class _Workspaces:
    """New workspaces that are gone afterwards, published or not."""

    def __init__(self, store: Store, count: int) -> None:
        self._folders = [store.workspace() for _ in range(count)]

    def __enter__(self) -> list[Path]:
        return self._folders

    def __exit__(self, *exception: object) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


def _free_device_memory() -> None:
    """Give back what a stage held: a warm worker must not carry it to the next."""
    import torch

    if torch.cuda.is_available():
        # a collection takes a third of a second in a process that holds these libraries, and on
        # a CPU the interpreter's own is soon enough
        gc.collect()
        torch.cuda.empty_cache()


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

    from grid.records import RESPONSE_SCHEMA

    schema = RESPONSE_SCHEMA.remove(RESPONSE_SCHEMA.get_field_index("cell"))
    pq.write_table(pa.Table.from_pylist([asdict(r) for r in responses], schema), path)
