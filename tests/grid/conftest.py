"""Studies that several tests read; each is run once, by the command a user types."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from search_spaces.loading import _locate

Trilemma = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> list[str]:
    """The `trilemma` command with its arguments, for a subprocess."""
    return [sys.executable, "-m", "grid.command_line", *arguments]


@pytest.fixture(scope="session")
def trilemma(world: Path) -> Trilemma:
    """Runs the command to its end; the nano world is there."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(*arguments), capture_output=True, text=True, timeout=280, cwd=ROOT
        )

    return run


def preset(name: str) -> dict[str, Any]:
    """A preset as plain values, to be changed by a test."""
    content: dict[str, Any] = yaml.safe_load(_locate(name).read_text())
    return content


def write_space(folder: Path, content: dict[str, Any]) -> str:
    """The path of a YAML file that holds the space."""
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def run_ok(trilemma: Trilemma, *arguments: str) -> str:
    """Run the command, expect exit code 0, return what it printed."""
    answer = trilemma(*arguments)
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout


@pytest.fixture(scope="session")
def smoke_local(trilemma: Trilemma, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The smoke study, run in-process."""
    study = str(tmp_path_factory.mktemp("studies") / "smoke-local")
    run_ok(trilemma, "run", "smoke", "--study", study, "--engine", "local")
    return study


@pytest.fixture(scope="session")
def smoke_ray(trilemma: Trilemma, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The smoke study, run on Ray."""
    study = str(tmp_path_factory.mktemp("studies") / "smoke-ray")
    run_ok(trilemma, "run", "smoke", "--study", study)
    return study


@pytest.fixture(scope="session")
def effects_study(trilemma: Trilemma, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three doses x three attacks x all compressions of the nano preset, run on Ray."""
    folder = tmp_path_factory.mktemp("effects")
    content = preset("nano")
    content["safety_tuning"]["doses"] = [0, 100, 1000]
    content["attacks"] = content["attacks"][:3]
    space = write_space(folder, content)
    study = str(folder / "study")
    run_ok(trilemma, "run", space, "--study", study)
    return study


def printed_json(text: str) -> Any:
    """The JSON that a command printed."""
    return json.loads(text)
