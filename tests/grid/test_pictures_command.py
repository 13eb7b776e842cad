"""`trilemma pictures` writes what it lists, and refuses in one line."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.pictures.static import find_chromium
from grid.command_line.app import main
from search_spaces.settings import SpaceError

TABLE = """cell,helpfulness,helpfulness_se,safety,safety_se,bits
dense,0.71,0.01,0.62,0.02,16
gptq,0.70,0.01,0.64,0.02,4
"""
OBJECTIVES = ("--objective", "helpfulness=max", "--objective", "safety=max")
Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def type_in(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types `trilemma ARGUMENTS`; gives exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trilemma", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def table(tmp_path: Path) -> str:
    """A published table: means and standard errors."""
    path = tmp_path / "published.csv"
    path.write_text(TABLE)
    return str(path)


def test_every_file_that_is_listed_is_there(type_in: Type, table: str, tmp_path: Path) -> None:
    try:
        find_chromium()
    except SpaceError as error:
        pytest.skip(str(error))
    to = tmp_path / "new" / "pictures"
    code, out, _ = type_in("pictures", table, *OBJECTIVES, "--to", str(to), "--format", "svg,PNG")
    assert code == 0
    listed = [line.partition(" ")[2] for line in out.splitlines()]
    assert sorted(listed) == sorted(str(path) for path in to.iterdir())
    assert str(to / "front-helpfulness-safety.svg") in listed
    assert str(to / "front-helpfulness-safety.png") in listed
    assert out.splitlines()[-1].startswith(f"{len(listed)}/{len(listed)} ")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--format", "png,gif"), "'gif' is no format of pictures; png, svg, pdf are"),
        (("--objective", "helpfulness=best"), "neither max nor min"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(
    type_in: Type, table: str, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    code, out, err = type_in("pictures", table, *OBJECTIVES, "--to", str(tmp_path / "to"), *options)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert not (tmp_path / "to").exists()


def test_a_file_in_the_folders_place_and_no_browser_are_refused(
    type_in: Type, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = type_in("pictures", table, *OBJECTIVES, "--to", table)
    assert code == 2
    assert "is a file; name a folder" in err
    monkeypatch.setenv("BROWSER_PATH", "/no/such/browser")
    code, _, err = type_in("pictures", table, *OBJECTIVES, "--to", str(tmp_path / "to"))
    assert code == 2
    assert "apt install chromium" in err
