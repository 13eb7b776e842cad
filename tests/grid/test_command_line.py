"""The commands as a user types them: what they print, how they refuse, how they exit."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grid.command_line.app import main
from grid.study import create_study
from grid.worlds import world_folder
from search_spaces.loading import load_space
from tests.grid.conftest import ROOT, command, preset, write_space

HEAVY = ("torch", "ray", "transformers", "trl", "peft", "gptqmodel", "datasets")


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refusal(self) -> str:
        """The one line of an error that the user can mend."""
        assert self.code == 2, self
        assert self.out == ""
        assert self.err.startswith("error: ")
        assert self.err.count("\n") == 1
        assert self.err.endswith("\n")
        return self.err


Type = Callable[..., Answer]


@pytest.fixture
def type_in(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Type:
    """Types `trilemma ARGUMENTS`; the nano world is there."""

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["trilemma", *arguments])
        monkeypatch.setenv("COLUMNS", "100")
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Answer(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run


@pytest.fixture
def smoke_study(world: Path, tmp_path: Path) -> str:
    """A study of the smoke preset in which nothing ran yet."""
    root = str(tmp_path / "study")
    create_study(root, load_space("smoke", world_folder))
    return root


def smoke_with(folder: Path, change: Callable[[dict[str, Any]], None]) -> str:
    """The path of a YAML file with the smoke preset, changed."""
    content = preset("smoke")
    change(content)
    return write_space(folder, content)


def test_plan_of_nano_is_the_joint_grid(type_in: Type) -> None:
    answer = type_in("plan", "nano", "--json")
    summary = json.loads(answer.out)
    assert answer.code == 0
    assert summary["cells"] == 200
    assert summary["unique_stages"] == {
        "safety_tuning": 5,
        "attack": 25,
        "compression": 200,
        "evaluation": 200,
        "total": 430,
    }
    assert summary["missing_stages"] == summary["unique_stages"]
    assert summary["executions_without_sharing"] == 800
    assert summary["executions_saved"] == 370
    assert summary["estimated_stage_seconds"] is None
    assert summary["model_built"] is True


def test_plan_as_a_table_tells_the_same(type_in: Type) -> None:
    answer = type_in("plan", "nano")
    assert answer.code == 0
    assert "nano: 200 cells" in answer.out
    assert "Sharing saves 370 of 800 stage executions." in answer.out


def test_plan_needs_no_heavy_library(world: Path) -> None:
    script = (
        "import sys; sys.argv = ['trilemma', 'plan', 'nano', '--json']\n"
        "from grid.command_line.app import main\n"
        "try: main()\n"
        f"except SystemExit: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert json.loads(answer.stdout)["cells"] == 200
    assert answer.stderr.strip() == "[]"


def test_misspelt_preset_names_the_nearest(type_in: Type) -> None:
    refusal = type_in("plan", "nanoo").refusal()
    assert "nanoo" in refusal
    assert "did you mean 'nano'?" in refusal
    assert "smoke" in refusal


def test_misspelt_key_names_the_file_the_field_and_the_nearest(
    type_in: Type, tmp_path: Path
) -> None:
    space = smoke_with(tmp_path, lambda c: c["safety_tuning"].update(dozes=[0]))
    refusal = type_in("plan", space).refusal()
    assert refusal.startswith("error: space.yaml: safety_tuning.dozes: ")
    assert "'doses'" in refusal


def test_missing_file_is_named(type_in: Type, tmp_path: Path) -> None:
    space = smoke_with(
        tmp_path, lambda c: c["attacks"][1]["data"].update(path="data/missing.jsonl")
    )
    refusal = type_in("run", space, "--study", str(tmp_path / "study")).refusal()
    assert refusal.startswith("error: space.yaml: attacks[1].data")
    assert "missing.jsonl: no such file" in refusal
    assert not (tmp_path / "study").exists()


def test_impossible_bits_tell_what_is_allowed(type_in: Type, tmp_path: Path) -> None:
    bits = {"method": "bitsandbytes", "bits": 3}
    space = smoke_with(tmp_path, lambda c: c["compressions"].append(bits))
    refusal = type_in("plan", space).refusal()
    assert refusal.startswith("error: space.yaml: compressions[2].bits: 3 is refused")
    assert "8" in refusal
    assert "4" in refusal


def test_what_is_no_yaml_is_refused(type_in: Type, tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("name: [unclosed\nmodel: {")
    assert "space.yaml: not valid YAML" in type_in("plan", str(path)).refusal()


def test_study_of_another_space_is_refused(type_in: Type, smoke_study: str, tmp_path: Path) -> None:
    space = smoke_with(tmp_path, lambda c: c.update(seeds=[5]))
    refusal = type_in("run", space, "--study", smoke_study, "--engine", "local").refusal()
    assert "space.json: seeds: this study was made with another search space" in refusal


@pytest.mark.parametrize("verb", ["status", "front"])
@pytest.mark.parametrize("there", [True, False])
def test_folder_that_holds_no_study_is_refused(
    type_in: Type, tmp_path: Path, verb: str, there: bool
) -> None:
    folder = tmp_path if there else tmp_path / "nowhere"
    refusal = type_in(verb, str(folder)).refusal()
    assert f"{folder}: no study here" in refusal
    assert "trilemma run SPACE --study DIR" in refusal
    assert there or not folder.exists()


def test_damaged_study_is_refused(type_in: Type, smoke_study: str) -> None:
    (Path(smoke_study) / "space.json").write_text('{"space": {"name": 1}}')
    assert "not a frozen search space" in type_in("status", smoke_study).refusal()


def test_options_of_the_other_engine_are_refused(type_in: Type, tmp_path: Path) -> None:
    study = str(tmp_path / "study")
    answer = type_in("run", "smoke", "--study", study, "--engine", "local", "--slots", "2")
    assert "--slots" in answer.refusal()


def test_world_over_a_file_is_refused(type_in: Type, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    assert "is a file" in type_in("nano", str(tmp_path / "taken")).refusal()


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_only_debug_shows_a_traceback(debug: list[str]) -> None:
    answer = subprocess.run(
        command("plan", "nanoo", *debug), capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert answer.returncode == (1 if debug else 2)
    assert ("Traceback" in answer.stderr) == bool(debug)
    assert "did you mean" in answer.stderr


def test_unforeseen_error_is_one_line_that_names_debug(type_in: Type, smoke_study: str) -> None:
    # a folder where the frozen space should be: nothing a user is told how to mend
    frozen = Path(smoke_study) / "space.json"
    frozen.unlink()
    frozen.mkdir()
    answer = type_in("status", smoke_study)
    assert answer.code == 1
    assert answer.err.startswith("error: IsADirectoryError: ")
    assert answer.err.count("\n") == 1
    assert "--debug" in answer.err


def test_status_and_front_of_a_study_that_has_not_run(type_in: Type, smoke_study: str) -> None:
    status = json.loads(type_in("status", smoke_study, "--json").out)
    assert status["cells"] == {"ok": 0, "failed": 0, "total": 8}
    assert status["stages"]["attack"] == {"done": 0, "total": 4}
    assert status["estimated_stage_seconds_left"] is None
    assert json.loads(type_in("front", smoke_study, "--json").out)["cells"] == []
    assert "8 missing" in type_in("status", smoke_study).out
    assert "no front" in type_in("front", smoke_study).out


def test_unreadable_record_is_a_warning(type_in: Type, smoke_study: str) -> None:
    records = Path(smoke_study) / "records"
    records.mkdir()
    (records / "cut.parquet").write_bytes(b"PAR1")
    status = json.loads(type_in("status", smoke_study, "--json").out)
    assert status["unreadable_records"] == ["cut.parquet"]
    front = type_in("front", smoke_study)
    assert front.code == 0
    assert "records/cut.parquet is unreadable" in front.err


@pytest.mark.parametrize("verb", ["plan", "run", "status", "front", "nano"])
def test_help_of_every_command_has_an_example(type_in: Type, verb: str) -> None:
    answer = type_in(verb, "--help")
    assert answer.code == 0
    assert f"Example: trilemma {verb} " in answer.out
    assert verb in type_in("--help").out


def test_presets_that_help_names_are_there(type_in: Type) -> None:
    answer = type_in("plan", "--help")
    for name in ("nano", "smoke"):
        assert name in answer.out
        assert preset(name)["name"] == name
