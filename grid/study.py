"""A study: a folder or URI with the frozen search space, the stages, the records."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from analysis.records.loading import read_table
from grid.plan import Plan, PlannedCell, plan
from grid.records import Outcome, write_record
from grid.stage import Kind
from grid.storage import Storage
from grid.store import StageResult, Store
from search_spaces.cells import expand
from search_spaces.checks import data_fields
from search_spaces.contents import content_of
from search_spaces.judges import model_of
from search_spaces.settings import SpaceError
from search_spaces.sources import DataSource, StoredModel
from search_spaces.space import SearchSpace

FROZEN = "space.json"
RESPONSES = "responses.parquet"
JUDGE_MODEL = "evaluation.judge.model"


@dataclass(frozen=True)
class Study:
    """An opened study and its plan."""

    storage: Storage
    space: SearchSpace
    plan: Plan
    data_hashes: dict[str, str]

    @property
    def store(self) -> Store:
        """The study's stages."""
        return Store(self.storage)

    def record(self, cell: PlannedCell, error: str | None) -> dict[str, Any]:
        """Write and return the record of a cell that ended, from its published stages."""
        stages = [self.plan.stages[fingerprint] for fingerprint in cell.stages]
        # of two attacks, one before and one after compression, the last is the cell's
        fingerprints = {stage.kind: stage.fingerprint for stage in stages}
        results: dict[Kind, StageResult] = {}
        for stage in stages:
            if error is not None and not self.store.has(stage):
                break
            if stage.fingerprint == fingerprints[stage.kind]:
                results[stage.kind] = self.store.result(stage)
        responses = None
        if error is None:
            path = self.store.folder(stages[-1]) / RESPONSES
            responses = read_table(path.read_bytes())
        outcome = Outcome(results, fingerprints, error, responses, self.data_hashes)
        return write_record(self.storage, cell, outcome)

    def recorded(self) -> set[str]:
        """Ids of the cells that have an `ok` record."""
        done: set[str] = set()
        for name in self.storage.names("records"):
            try:
                statuses = recorded_statuses(self.storage, name)
            except (OSError, ValueError):
                continue  # an unreadable record is no record: the cell is recorded again
            done |= {cell for cell, status in statuses.items() if status == "ok"}
        return done


def create_study(root: str, space: SearchSpace) -> Study:
    """Freeze the space in a new study, or open the one that is there if it holds the same.

    Raises SpaceError if the folder holds a study of another space or of changed data.
    """
    hashes = {"model": content_of(space.model)}
    hashes |= {field: content_of(source) for field, source, _ in data_fields(space)}
    if (judging := model_of(space.evaluation.judge)) is not None:
        hashes[JUDGE_MODEL] = content_of(judging)
    study = _study(Storage(root), space, hashes)
    frozen = {
        "space": json.loads(space.model_dump_json()),
        "data_hashes": study.data_hashes,
    }
    study.storage.drop_dead_workspaces()
    if study.storage.has(FROZEN):
        _refuse_other(root, json.loads(study.storage.read(FROZEN)), frozen)
    else:
        study.storage.write(FROZEN, json.dumps(frozen, indent=1, sort_keys=True).encode())
    return study


def open_study(root: str) -> Study:
    """The study in a folder. Raises SpaceError if there is none."""
    storage = Storage(root)
    if not storage.has(FROZEN):
        raise SpaceError(
            root, "", f"no study here (no {FROZEN}); make one with: trilemma run SPACE --study DIR"
        )
    try:
        frozen = json.loads(storage.read(FROZEN))
        space = SearchSpace.model_validate(frozen["space"])
        return _study(storage, space, frozen["data_hashes"])
    except (ValueError, KeyError, ValidationError) as error:
        raise SpaceError(f"{root}/{FROZEN}", "", f"not a frozen search space: {error}") from error


def _study(storage: Storage, space: SearchSpace, hashes: dict[str, str]) -> Study:
    """The study of a space over sources with known hashes, which need not be there any more."""
    known: dict[DataSource | StoredModel, str] = {space.model: hashes["model"]}
    known |= {source: hashes[field] for field, source, _ in data_fields(space)}
    if (judging := model_of(space.evaluation.judge)) is not None:
        known[judging] = hashes[JUDGE_MODEL]
    return Study(storage, space, plan(expand(space), known.__getitem__), hashes)


# `resources` says where stages run, not what they compute: it may differ between two runs
def _refuse_other(root: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    for part in ("space", "data_hashes"):
        for field in sorted({*old[part], *new[part]} - {"resources"}):
            if _placeless(old[part].get(field)) != _placeless(new[part].get(field)):
                what = "another search space" if part == "space" else "other data"
                raise SpaceError(
                    f"{root}/{FROZEN}",
                    field,
                    f"this study was made with {what}; name another --study folder",
                )


def _placeless(value: Any) -> Any:
    """The settings without paths: where data lie does not matter, their hashes are compared."""
    if isinstance(value, dict):
        return {k: _placeless(v) for k, v in value.items() if k != "path"}
    return [_placeless(v) for v in value] if isinstance(value, list) else value


def recorded_statuses(storage: Storage, name: str) -> dict[str, str]:
    """Each cell's status in one file of records; of several attempts `ok`, if one is.

    Raises OSError or ValueError for a file that cannot be read.
    """
    table = read_table(storage.read(f"records/{name}"))
    rows = zip(table["cell"].to_pylist(), table["status"].to_pylist(), strict=True)
    statuses: dict[str, str] = {}
    for cell, status in rows:
        statuses[cell] = "ok" if "ok" in (status, statuses.get(cell)) else status
    return statuses
