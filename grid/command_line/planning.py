"""What `plan` and `status` say, as plain values."""

from typing import Any

from analysis.records.loading import load_records
from grid.estimate import seconds_of
from grid.plan import plan
from grid.stage import KINDS, Kind
from grid.study import Study, open_study
from grid.worlds import world_folder
from search_spaces.cells import expand
from search_spaces.contents import UNBUILT, content_of
from search_spaces.loading import load_space


def summarize(spec: str, study: str | None) -> dict[str, Any]:
    """Cells, unique stages, executions saved, and seconds of work where a study timed them."""
    space = load_space(spec, world_folder)
    planned = plan(expand(space), content_of)
    unique = planned.unique()
    missing = dict(unique)
    seconds = None
    if study is not None:
        opened = open_study(study)
        published = opened.store.published()
        done = planned.count(published)
        missing = {kind: unique[kind] - done[kind] for kind in KINDS}
        seconds = seconds_of(missing, _timed(opened, published))
    return {
        "space": space.name,
        "cells": len(planned.cells),
        "unique_stages": {**unique, "total": len(planned.stages)},
        "missing_stages": {**missing, "total": sum(missing.values())},
        "executions_without_sharing": sum(len(cell.stages) for cell in planned.cells),
        "executions_saved": planned.saved,
        "estimated_stage_seconds": seconds,
        "model_built": content_of(space.model) != UNBUILT,
    }


def study_status(study: str) -> dict[str, Any]:
    """Done and missing stages, cells by status, and unreadable record files."""
    opened = open_study(study)
    unique = opened.plan.unique()
    published = opened.store.published()
    done = opened.plan.count(published)
    records = load_records(study)
    known = {cell.id for cell in opened.plan.cells}
    statuses = [row["status"] for row in records.rows if row["cell"] in known]
    missing = {kind: unique[kind] - done[kind] for kind in KINDS}
    return {
        "space": opened.space.name,
        "stages": {k: {"done": done[k], "total": unique[k]} for k in KINDS},
        "cells": {
            "ok": statuses.count("ok"),
            "failed": statuses.count("failed"),
            "total": len(opened.plan.cells),
        },
        "estimated_stage_seconds_left": seconds_of(missing, _timed(opened, published)),
        "unreadable_records": records.unreadable,
    }


def _timed(study: Study, published: set[str]) -> dict[Kind, list[float]]:
    """Seconds of the study's published stages, by kind."""
    times: dict[Kind, list[float]] = {}
    for stage in study.plan.stages.values():
        if stage.fingerprint in published:
            times.setdefault(stage.kind, []).append(study.store.result(stage).seconds)
    return times
