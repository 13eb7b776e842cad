"""A failing stage costs its own cells only; a run killed by SIGKILL goes on where it stopped."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from analysis.records.loading import load_records
from grid.stage import Stage
from grid.storage import Storage
from grid.store import Store
from grid.study import Study, open_study
from tests.grid.conftest import ROOT, Trilemma, command, preset, write_space

BROKEN_RATE = 1e30
"""A learning rate at which the loss is no number after one step."""


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two doses x three attacks, one of which fails in training, x two compressions."""
    content = preset("smoke")
    broken = {**content["attacks"][1], "examples": 10}
    broken["training"] = {**broken["training"], "learning_rate": BROKEN_RATE}
    content["attacks"].append(broken)
    content["compressions"] = [{"method": "none"}, {"method": "magnitude", "sparsity": 0.25}]
    return write_space(tmp_path_factory.mktemp("resume"), content)


@pytest.fixture(scope="module")
def killed(space: str, world: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A study whose driver was killed after its first attack was published."""
    study = str(tmp_path_factory.mktemp("killed") / "study")
    driver = subprocess.Popen(
        command("run", space, "--study", study),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    store = Store(Storage(study))
    deadline = time.monotonic() + 150
    while store.counts()["attack"] == 0 and time.monotonic() < deadline:
        assert driver.poll() is None, "the run ended before it could be killed"
        time.sleep(0.05)
    family = psutil.Process(driver.pid).children(recursive=True)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    end(family)
    return study


def end(family: list[psutil.Process]) -> None:
    """Wait for a dead driver's processes; Ray's agents, which run no stage, may linger."""
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not [p for p in alive if "Agent" not in p.name()]
    for process in alive:
        process.kill()
    psutil.wait_procs(alive)


def test_a_lost_worker_is_replaced_and_its_stage_repeated(
    space: str, world: Path, tmp_path: Path
) -> None:
    study = str(tmp_path / "study")
    driver = subprocess.Popen(
        command("run", "smoke", "--study", study),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    store = Store(Storage(study))
    worker = _running_stage(driver, store)
    begun = store.executions()
    os.kill(worker.pid, signal.SIGKILL)
    assert driver.wait(timeout=200) == 0
    rows = load_records(study).rows
    assert [row["status"] for row in rows] == ["ok"] * 8
    repeated = [f for f, n in store.executions().items() if n > 1]
    assert len(repeated) == 1
    assert repeated[0] in begun


def _running_stage(driver: "subprocess.Popen[bytes]", store: Store) -> psutil.Process:
    """A worker process of the run that is in the middle of a stage."""
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        assert driver.poll() is None, "the run ended before a stage could be seen"
        running = set(store.executions()) - store.published()
        workers = [p for p in psutil.Process(driver.pid).children(recursive=True) if is_worker(p)]
        # as many as stages have begun: none of them is still on its way to one
        if workers and len(workers) == len(running):
            return workers[0]
        time.sleep(0.05)
    raise AssertionError("no stage was seen running")


def is_worker(process: psutil.Process) -> bool:
    try:
        return process.name() == "ray::_run_stage"
    except psutil.NoSuchProcess:
        return False


def finished_before(study: Study) -> dict[str, int]:
    published = study.store.published()
    return {f: n for f, n in study.store.executions().items() if f in published}


def is_broken(stage: Stage) -> bool:
    return getattr(getattr(stage.settings, "training", None), "learning_rate", 0) == BROKEN_RATE


def test_rerun_after_sigkill_loses_and_repeats_nothing(
    killed: str, space: str, trilemma: Trilemma
) -> None:
    study = open_study(killed)
    before = finished_before(study)
    assert before
    missing = set(study.plan.stages) - set(before)
    assert missing, "the run was killed too late to test anything"
    answer = trilemma("run", space, "--study", killed)
    assert answer.returncode == 1, answer.stderr[-3000:]  # one attack fails, as it should
    after = study.store.executions()
    assert {f: after[f] for f in before} == before
    assert not list(Path(killed).glob(".work/*")), "a killed stage's workspace was left"
    reachable = {f for f, s in study.plan.stages.items() if not _below_broken(study, s)}
    assert study.store.published() == reachable
    statuses = sorted(row["status"] for row in load_records(killed).rows)
    assert statuses == ["failed"] * 4 + ["ok"] * 8


def test_failure_is_recorded_on_each_cell_that_needed_it(
    killed: str, space: str, trilemma: Trilemma
) -> None:
    if not load_records(killed).rows:
        trilemma("run", space, "--study", killed)
    study = open_study(killed)
    rows = {row["cell"]: row for row in load_records(killed).rows}
    for cell in study.plan.cells:
        row: dict[str, Any] = rows[cell.id]
        broken = any(is_broken(study.plan.stages[f]) for f in cell.stages)
        assert row["status"] == ("failed" if broken else "ok")
        assert (row["helpfulness"] is None) == broken
        if broken:
            assert "training diverged" in row["error"]
            assert row["safety_tuning_seconds"] > 0
            assert row["attack_seconds"] is None


def test_failed_cells_are_tried_again(killed: str, space: str, trilemma: Trilemma) -> None:
    study = open_study(killed)
    before = study.store.executions()
    answer = trilemma("run", space, "--study", killed, "--engine", "local")
    assert answer.returncode == 1
    assert "Failed cells" in answer.stdout
    assert "Traceback" not in answer.stderr + answer.stdout
    again = {f for f, n in study.store.executions().items() if n != before.get(f)}
    assert again == {f for f, s in study.plan.stages.items() if is_broken(s)}


def _below_broken(study: Study, stage: Stage) -> bool:
    return any(is_broken(ancestor) for ancestor in study.plan.chain(stage.fingerprint))
