"""Pictures as files for papers: PNG, SVG and PDF, drawn by one Chromium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import kaleido
import plotly.graph_objects as go

from analysis.pictures.style import LEFT, RIGHT
from search_spaces.settings import SpaceError

FORMATS = ("png", "svg", "pdf")
PIXELS_PER_INCH = 96
FULL_WIDTH, COLUMN_WIDTH = 7.0, 3.4
"""Inches."""
SCALE = 3
"""PNG: 288 dots an inch."""
NARROW = 400
"""Below this many pixels the first legend needs the room under the axis, too."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
REMEDY = (
    "pictures as files need one: `apt install chromium`, or `plotly_get_chrome`, or name one in "
    "BROWSER_PATH"
)
_started: ContextVar[bool] = ContextVar("started", default=False)


def write_static(figure: go.Figure, path: str | Path, width: float = FULL_WIDTH) -> Path:
    """Writes a figure in the format of the path's suffix, `width` inches wide; gives the path.

    A figure that names a `least_width` is at least so wide. Inside of `browser`, pictures share
    one; otherwise each starts its own, which takes seconds. Raises SpaceError for another suffix,
    where there is no Chromium, and where the file cannot be written.
    """
    path = Path(path)
    kind = check_format(path.suffix.removeprefix("."), str(path))
    least = (figure.layout.meta or {}).get("least_width", 0)
    pixels = max(round(width * PIXELS_PER_INCH), least)
    size: dict[str, Any] = {"width": pixels, "format": kind}
    if kind == "png":
        size["scale"] = SCALE
    with browser():
        # `write_fig` would return errors instead of raising them
        content = kaleido.calc_fig_sync(_fitted(figure, pixels), size)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise SpaceError(str(path), "", f"cannot be written ({error.strerror})") from error
    return path


def check_format(name: str, told: str = "--format") -> str:
    """The format in lower case. Raises SpaceError for one that is not written."""
    kind = name.lower()
    if kind not in FORMATS:
        raise SpaceError(told, "", f"'{name}' is no format of pictures; {', '.join(FORMATS)} are")
    return kind


@contextmanager
def browser() -> Iterator[None]:
    """One Chromium for all pictures written inside; within another it is that one."""
    if _started.get():
        yield
        return
    # no MathJax: it would be fetched from the network
    kaleido.start_sync_server(path=find_chromium(), mathjax=False, silence_warnings=True)
    token = _started.set(True)
    try:
        yield
    finally:
        _started.reset(token)
        kaleido.stop_sync_server(silence_warnings=True)


def find_chromium() -> str:
    """The browser's path: BROWSER_PATH, else the first on PATH. Raises SpaceError if none is."""
    named = os.environ.get("BROWSER_PATH")
    candidates = [named] if named else list(BROWSERS)
    found = next(filter(None, map(shutil.which, candidates)), None)
    if found is None:
        problem = f"{named} is no program" if named else "no Chromium or Chrome was found"
        raise SpaceError("BROWSER_PATH", "", f"{problem}; {REMEDY}")
    return found


def _fitted(figure: go.Figure, pixels: int) -> go.Figure:
    if pixels >= NARROW or not figure.layout.showlegend:
        return figure
    inner = pixels - LEFT - RIGHT
    return go.Figure(figure).update_layout(legend={"x": -(LEFT - 10) / inner})
