"""Executes the notebooks, and writes them as pages that open without a network."""

import os
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
import plotly.graph_objects as go
import plotly.io
from jinja2 import DictLoader
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
NOTEBOOKS = ("pareto_front", "dose_response", "compression_effects", "compare_studies")
SECONDS_PER_CELL = 300
FIGURE = "application/vnd.plotly.v1+json"
# of nbconvert's own template, without what it would fetch: require.js, MathJax and Mermaid
TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
 font-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""


def write_pages(to: str) -> None:
    """Execute every notebook and write it as `<to>/<name>.html`, with what it shows."""
    folder = Path(to)
    folder.mkdir(parents=True, exist_ok=True)
    for name in NOTEBOOKS:
        path = folder / f"{name}.html"
        path.write_text(page(executed(name), name.replace("_", " ")))
        print(path)


def executed(name: str) -> NotebookNode:
    """The notebook with outputs, run by this interpreter in a kernel of its own.

    Raises nbclient.exceptions.CellExecutionError where a cell fails.
    """
    path = FOLDER / f"{name}.ipynb"
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as scratch:
        manager = KernelManager(
            # without folders only the interpreter's own kernel is known, and none that a user made
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            connection_file=f"{scratch}/kernel.json",
            # sockets in that folder: no port is opened
            transport="ipc",
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=SECONDS_PER_CELL,
            resources={"metadata": {"path": str(FOLDER.parents[1])}},
        )
        try:
            client.execute(env={**os.environ, "IPYTHONDIR": scratch})
        finally:
            if manager.has_kernel:
                manager.shutdown_kernel(now=True)
    return notebook


def page(notebook: NotebookNode, title: str) -> str:
    """An executed notebook as one HTML file, with Plotly inside of it."""
    shown = deepcopy(notebook)
    shown.metadata["title"] = title
    library = True
    for cell in shown.cells:
        for output in cell.get("outputs", []):
            if FIGURE in output.get("data", {}):
                # the library comes with the first figure only
                output.data = {"text/html": _html(output.data[FIGURE], library)}
                library = False
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        extra_loaders=[DictLoader({"offline.html.j2": TEMPLATE})], template_file="offline.html.j2"
    )
    html: str = exporter.from_notebook_node(shown)[0]
    return html


def _html(figure: Mapping[str, Any], library: bool) -> str:
    html: str = plotly.io.to_html(
        go.Figure(data=figure["data"], layout=figure["layout"]),
        config={"responsive": True},
        include_plotlyjs=library,
        include_mathjax=False,
        full_html=False,
    )
    return html
