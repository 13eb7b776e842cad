"""Every notebook runs on the studies that ship, shows figures and tables, and is stored bare."""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbformat import NotebookNode

from analysis.notebooks.pages import FIGURE, FOLDER, NOTEBOOKS, executed, page

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NO_NETWORK = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc=["']?(?!data:)|<link[^>]*\shref=""")


@cache
def run(name: str) -> NotebookNode:
    return executed(name)


def stored(name: str) -> NotebookNode:
    read: NotebookNode = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    return read


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.fixture(autouse=True)
def _example(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRILEMMA_STUDY", "TRILEMMA_OTHER_STUDY"):
        monkeypatch.delenv(name, raising=False)


def test_all_notebooks_are_known() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_git_keeps_no_output_and_nobodys_kernel(name: str) -> None:
    notebook = stored(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count is not None] == []
    assert [cell for cell in notebook.cells if cell.metadata] == []
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_prose_leads_and_ends_with_what_may_not_be_concluded(name: str) -> None:
    first, *_, last = stored(name).cells
    assert first.cell_type == last.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert last.source.startswith("## What may not be concluded")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_and_shows_a_figure_and_a_table(name: str) -> None:
    shown = outputs(run(name))
    # what a cell writes beside its result is a warning that a reader would have to explain
    assert [output.text for output in shown if output.output_type == "stream"] == []
    assert [output for output in shown if FIGURE in output.data]
    tables = [output.data["text/html"] for output in shown if "text/html" in output.data]
    assert tables
    assert all("<td" in table for table in tables)


def test_it_runs_on_a_study_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRILEMMA_STUDY", str(tmp_path))
    with pytest.raises(Exception, match="no study here"):
        executed("pareto_front")


def test_pages_show_their_figures_without_a_network(browser: "Browser", tmp_path: Path) -> None:
    requests: list[str] = []
    errors: list[str] = []
    for name in NOTEBOOKS:
        path = tmp_path / f"{name}.html"
        path.write_text(page(run(name), name))
        assert NO_NETWORK.search(path.read_text()) is None
        tab = browser.new_page()
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("console", lambda message: errors.append(message.text))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(path.as_uri())
        wanted = sum(FIGURE in output.get("data", {}) for output in outputs(run(name)))
        tab.wait_for_function(
            f"document.querySelectorAll('.plotly-graph-div .main-svg').length >= {wanted}"
        )
        assert tab.locator(".plotly-graph-div").count() == wanted
        tab.close()
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
