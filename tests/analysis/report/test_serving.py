"""A live study: shown before its first cell, renewed as cells land, to this machine only."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from analysis.records.loading import load_records
from analysis.report.serving import LiveStudy, make_server
from search_spaces.settings import SpaceError
from tests.analysis.report.pages import opened
from tests.analysis.report.studies import GRID, Cell, write_cell, write_study

LATE = Cell(100, 30, "gptq 4", complies=2)


@contextmanager
def served(study: str) -> Iterator[int]:
    """The port at which a study is served."""
    live = LiveStudy((study,), lambda: load_records(study), lambda: "1 stage is running")
    server = make_server(live, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        live.stop()
        thread.join()


def test_a_new_cell_appears_without_a_reload_and_filters_stay(
    browser: Browser, tmp_path: Path
) -> None:
    study = write_study(tmp_path / "study")
    with (
        served(study) as port,
        opened(browser, f"http://127.0.0.1:{port}/", offline=False) as found,
    ):
        found.page.evaluate("window.kept = 'not reloaded'")
        found.choose("compression_label", "gptq 4")
        found.page.fill("[name=words]", "harmful")
        found.open_row("cell0x10xgptq4x0")
        found.page.locator("details.set-helpfulness summary").click()
        before = found.rows
        assert len(before) == 2
        write_cell(tmp_path / "study", LATE)
        found.page.locator(f".open[title='{LATE.name}']").wait_for(timeout=60_000)
        assert found.rows == sorted([*before, LATE.name], key=lambda name: name)
        assert found.page.input_value("[name=words]") == "harmful"
        assert found.page.input_value("[name=factor-compression_label]") == "gptq 4"
        assert found.page.evaluate("document.activeElement.tagName") == "SUMMARY"
        # what was opened is open still
        found.page.locator("details.set-helpfulness li").first.wait_for()
        assert f"{len(GRID) + 1} cells" in found.page.inner_text("#design")
        assert found.page.evaluate("window.kept") == "not reloaded"
        assert found.errors == []


def test_before_any_cell_it_says_so_and_what_runs(browser: Browser, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", cells=())
    with (
        served(study) as port,
        opened(browser, f"http://127.0.0.1:{port}/", offline=False) as found,
    ):
        expect(found.page.locator("#live")).to_have_text("1 stage is running")
        assert "no cell is ok" in found.page.inner_text("#findings")
        assert found.page.inner_text("#count") == "There is no cell yet."
        write_cell(tmp_path / "study", GRID[0])
        found.page.locator("#table .open").wait_for(timeout=60_000)
        assert found.rows == [GRID[0].name]
        assert found.errors == []


def test_a_half_written_record_is_named_and_the_rest_shown(
    browser: Browser, tmp_path: Path
) -> None:
    study = write_study(tmp_path / "study")
    (tmp_path / "study" / "records" / "broken-a.parquet").write_bytes(b"PAR1 and no more")
    with (
        served(study) as port,
        opened(browser, f"http://127.0.0.1:{port}/", offline=False) as found,
    ):
        assert len(found.rows) == len(GRID)
        assert "broken-a.parquet" in found.page.inner_text("#design")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served(write_study(tmp_path_factory.mktemp("study"), GRID[:1])) as found:
        yield found


def _ask(port: int, method: str, path: str, host: str = "127.0.0.1") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers={"Host": host})
    return connection.getresponse()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:8050"])
def test_answers_to_names_of_this_machine(port: int, host: str) -> None:
    answer = _ask(port, "GET", "/state.json", host)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_refuses_other_names_that_were_pointed_here(port: int, host: str) -> None:
    answer = _ask(port, "GET", "/", host)
    assert answer.status == 403
    assert b"html" not in answer.read()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_refuses_all_but_reading(port: int, method: str) -> None:
    assert _ask(port, method, "/").status == 405


@pytest.mark.parametrize("path", ["/records/", "/space.json", "/../space.json", "/index.html"])
def test_shows_no_files(port: int, path: str) -> None:
    assert _ask(port, "GET", path).status == 404


def test_head_has_no_body(port: int) -> None:
    answer = _ask(port, "HEAD", "/")
    assert (answer.status, answer.read()) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 1_000_000


def test_listens_on_this_machine_only(tmp_path: Path) -> None:
    live = LiveStudy((), lambda: load_records(str(tmp_path)), str)
    with make_server(live, 0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_busy_port_is_told_in_one_line(tmp_path: Path) -> None:
    live = LiveStudy((), lambda: load_records(str(tmp_path)), str)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        with pytest.raises(SpaceError, match=rf"--port.*{taken}.*name another"):
            make_server(live, taken)


def test_a_study_that_cannot_be_read_later_leaves_the_last_page(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", GRID[:1])
    answers = [load_records(study)]
    live = LiveStudy((study,), lambda: answers.pop(), lambda: "running")
    page = live.page()
    write_cell(tmp_path / "study", LATE)
    live._looked = live._next = 0.0
    live.state()
    live.stop()
    assert "could not be renewed" in live.text
    assert live.page() == page
