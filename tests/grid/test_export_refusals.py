"""What `trilemma export` says: one line that names the remedy, and exit code 2."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grid.command_line.app import main
from grid.export import Exported
from grid.study import Study, open_study

Export = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def export(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Export:
    """Types `trilemma export ARGUMENTS`: exit code, what was printed, what was complained."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trilemma", "export", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def refusal(export: Export, tmp_path: Path) -> Callable[[Study, str], str]:
    """The line that refuses a cell; nothing is written."""

    def refused(study: Study, cell: str) -> str:
        to = tmp_path / "new" / "to"
        code, printed, line = export(study.storage.root, "--cell", cell, "--to", to)
        assert (code, printed) == (2, "")
        assert line.startswith("error: ")
        assert line.count("\n") == 1
        assert not to.parent.exists()
        return line

    return refused


@pytest.fixture
def study(smoke_local: str, tmp_path: Path) -> Study:
    """A copy of the smoke study, to be damaged."""
    return open_study(str(shutil.copytree(smoke_local, tmp_path / "study")))


def change_space(study: Study, change: Callable[[dict[str, Any]], None]) -> None:
    frozen = Path(study.storage.root) / "space.json"
    content = json.loads(frozen.read_text())
    change(content["space"])
    frozen.write_text(json.dumps(content))


def drop_record(study: Study, cell: str) -> None:
    for file in (Path(study.storage.root) / "records").glob(f"{cell}-*"):
        file.unlink()


def test_a_cell_is_named_by_the_start_of_its_id(
    export: Export, study: Study, tmp_path: Path
) -> None:
    cell = next(c for c in study.plan.cells if c.cell.compression.method == "none")
    to = tmp_path / "deep" / "to"
    code, printed, _ = export(study.storage.root, "--cell", cell.id[:8], "--to", to)
    assert code == 0
    assert f"The model is in {to}, its card in {to / 'README.md'}." in printed
    assert "answers as recorded" in printed
    assert f"cell {cell.id}" in (to / "README.md").read_text()
    assert [path.name for path in to.parent.iterdir()] == ["to"]


def test_other_answers_are_an_error(
    export: Export, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Exported(tmp_path, same_answers=19, prompts=20)
    monkeypatch.setattr("grid.command_line.running.export_cell", lambda *_: found)
    code, printed, line = export(study.storage.root, "--cell", "x", "--to", tmp_path / "to")
    assert code == 1
    assert "19 of 20 answers as recorded" in printed
    assert "other hardware or library versions round apart" in line


def test_unknown_cell_names_the_nearest(refusal: Callable[..., str], study: Study) -> None:
    cell = study.plan.cells[0].id
    line = refusal(study, f"{cell[:-1]}x")
    assert "no such cell" in line
    assert f"did you mean '{cell}'?" in line
    assert f"trilemma front {study.storage.root} --all" in line


def test_several_cells_that_begin_so_are_refused(refusal: Callable[..., str], study: Study) -> None:
    line = refusal(study, "")
    assert "several cells begin so; add to it" in line
    assert "did you mean" not in line


def test_failed_cell_has_no_model(refusal: Callable[..., str], study: Study) -> None:
    cell = study.plan.cells[0]
    drop_record(study, cell.id)
    study.record(cell, "ValueError: diverged")
    line = refusal(study, cell.id)
    assert "has no model to export, because it failed: ValueError: diverged" in line
    assert f"trilemma run SPACE --study {study.storage.root}" in line


def test_cell_that_has_not_run_has_no_model(refusal: Callable[..., str], study: Study) -> None:
    cell = study.plan.cells[0]
    drop_record(study, cell.id)
    assert "because it has not run yet" in refusal(study, cell.id)


@pytest.mark.parametrize("kind", ["safety_tuning", "attack", "compression", "evaluation"])
def test_stage_that_is_gone_is_named(refusal: Callable[..., str], study: Study, kind: str) -> None:
    shutil.rmtree(Path(study.storage.root) / "stages" / kind)
    line = refusal(study, study.plan.cells[0].id)
    assert f"the {kind} stage of '{study.plan.cells[0].id}' is gone" in line
    assert f"trilemma run SPACE --study {study.storage.root}" in line


def test_study_that_is_not_there_is_refused(export: Export, tmp_path: Path) -> None:
    code, _, line = export(tmp_path / "nowhere", "--cell", "x", "--to", tmp_path / "to")
    assert code == 2
    assert "no study here" in line


def test_model_of_an_embedded_world_that_is_gone_is_made_again(
    refusal: Callable[..., str], study: Study
) -> None:
    change_space(study, lambda space: space["model"].update(path="/gone/model"))
    line = refusal(study, study.plan.cells[0].id)
    assert "/gone/model is gone or has changed" in line
    assert "make it: trilemma nano /gone --seed 0 --family llama" in line


def test_other_model_that_is_gone_is_to_be_put_back(
    refusal: Callable[..., str], study: Study
) -> None:
    change_space(study, lambda space: space.update(embedded=None, model={"path": "/gone/model"}))
    assert "/gone/model is gone or has changed; put it back" in refusal(
        study, study.plan.cells[0].id
    )


@pytest.mark.parametrize("content", ["file", "folder"])
def test_folder_in_use_is_refused(
    export: Export, study: Study, tmp_path: Path, content: str
) -> None:
    to = tmp_path / "to"
    mine = to if content == "file" else to / "mine"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    cell = study.plan.cells[0].id
    code, _, line = export(study.storage.root, "--cell", cell, "--to", to)
    assert code == 2
    assert f"{to} is there already; name a new folder" in line
    assert mine.read_text() == "mine"


def test_folder_that_cannot_be_made_is_refused(
    export: Export, study: Study, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    to = tmp_path / "file" / "to"
    code, _, line = export(study.storage.root, "--cell", study.plan.cells[0].id, "--to", to)
    assert code == 2
    assert f"{to}: " in line
    assert "name another folder" in line
