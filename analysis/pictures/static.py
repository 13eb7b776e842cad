"""Pictures as files for papers: PNG, SVG and PDF, drawn by one Chromium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kaleido
import plotly.graph_objects as go

from search_spaces.settings import SpaceError

FORMATS = ("png", "svg", "pdf")
PIXELS_PER_INCH = 96
FULL_WIDTH, COLUMN_WIDTH = 7.0, 3.4
"""Inches."""
SCALE = 3
"""PNG: 288 dots an inch."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def write_static(figure: go.Figure, path: str | Path, width: float = FULL_WIDTH) -> Path:
    """Writes a figure in the format of the path's suffix, `width` inches wide; gives the path.

    Inside of `browser`, pictures share one; otherwise each starts its own, which takes seconds.
    Raises SpaceError for another suffix and where there is no Chromium.
    """
    path = Path(path)
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        allowed = ", ".join(f".{name}" for name in FORMATS)
        raise SpaceError(str(path), "", f"a picture's name ends in one of {allowed}")
    size = {"width": round(width * PIXELS_PER_INCH), "format": kind}
    if kind == "png":
        size["scale"] = SCALE
    with browser():
        # `write_fig` would swallow errors
        content = kaleido.calc_fig_sync(figure, size)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@contextmanager
def browser() -> Iterator[None]:
    """One Chromium for all pictures written inside; within another it is that one."""
    if kaleido._global_server.is_running():
        yield
        return
    # no MathJax: it would be fetched from the network
    kaleido.start_sync_server(path=find_chromium(), mathjax=False)
    try:
        yield
    finally:
        kaleido.stop_sync_server()


def find_chromium() -> str:
    """The browser's path: BROWSER_PATH, else the first on PATH. Raises SpaceError if none is."""
    named = os.environ.get("BROWSER_PATH")
    candidates = [named] if named else list(BROWSERS)
    found = next(filter(None, map(shutil.which, candidates)), None)
    if found is None:
        problem = f"{named} is no program" if named else "no Chromium or Chrome was found"
        raise SpaceError(
            "BROWSER_PATH",
            "",
            f"{problem}; pictures as files need one: `apt install chromium` or "
            "`plotly_get_chrome`, or name one in BROWSER_PATH",
        )
    return found
