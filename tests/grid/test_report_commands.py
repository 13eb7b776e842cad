"""`trilemma report` and `trilemma serve`, as a user types them, on the studies that ship."""

import html
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml

from analysis.report.page import plotly_script
from search_spaces.space import SearchSpace
from tests.grid.conftest import ROOT, command

STUDY = "analysis/examples/nano_mamba"


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=280, cwd=ROOT
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    to = tmp_path_factory.mktemp("report") / "new folder" / "report.html"
    answer = _run("report", STUDY, "--to", str(to))
    assert answer.returncode == 0, answer.stderr
    assert str(to) in answer.stdout.replace("\n", "")
    return to.read_text(encoding="utf-8")


def test_a_report_is_one_small_file(page: str) -> None:
    assert len(page.encode()) < 15_000_000
    assert "Surely on the front" in page
    own = page.replace(plotly_script(), "")
    assert len(own) < len(page)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', own)


def test_the_space_in_a_report_is_the_studys(page: str) -> None:
    shown = re.findall(r"<pre>(name: .*?)</pre>", page, re.S)
    assert len(shown) == 1
    content = yaml.safe_load(html.unescape(shown[0]))
    assert SearchSpace.model_validate(content).name == "nano_mamba"


def test_a_folder_is_no_place_for_a_report(tmp_path: Path) -> None:
    answer = _run("report", STUDY, "--to", str(tmp_path))
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "is a folder" in answer.stderr


def test_serve_tells_its_address_and_ends_with_the_keyboard() -> None:
    with subprocess.Popen(
        command("serve", STUDY, "--port", "0"),
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        # a shell that runs the tests in the background has told its children to ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[0]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(address, timeout=200) as answer:
                assert b"nano_mamba" in answer.read()
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=60) == 0
        finally:
            server.kill()


def test_serve_names_the_port_that_is_busy() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        answer = _run("serve", STUDY, "--port", port)
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "--port" in answer.stderr
    assert port in answer.stderr


def test_serve_refuses_a_folder_without_a_study(tmp_path: Path) -> None:
    answer = _run("serve", str(tmp_path), "--port", "0")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
