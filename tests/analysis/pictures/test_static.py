"""Pictures as files, by a real browser."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.fronts.uncertain import UncertainFront
from analysis.pictures import front_pair, parallel_coordinates
from analysis.pictures.static import COLUMN_WIDTH, browser, find_chromium, write_static
from search_spaces.settings import SpaceError

PICTURE_WIDTH = round(COLUMN_WIDTH * 96)


@pytest.fixture(scope="module")
def chromium() -> Iterator[None]:
    """One browser for all files."""
    try:
        find_chromium()
    except SpaceError as error:
        pytest.skip(str(error))
    with browser():
        yield


def pixels(content: bytes) -> tuple[int, int, set[bytes]]:
    """Width, height and the different rows of a PNG, still as they are filtered."""
    width, height = struct.unpack(">II", content[16:24])
    data, at = b"", 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        if content[at + 4 : at + 8] == b"IDAT":
            data += content[at + 8 : at + 8 + length]
        at += length + 12
    rows = zlib.decompress(data)
    step = len(rows) // height
    return width, height, {rows[n * step : (n + 1) * step] for n in range(height)}


@pytest.mark.usefixtures("chromium")
def test_a_picture_in_every_format(front: UncertainFront, tmp_path: Path) -> None:
    figure = front_pair(front, "helpfulness", "safety")
    png = write_static(figure, tmp_path / "new" / "a.png", COLUMN_WIDTH).read_bytes()
    assert png.startswith(b"\x89PNG")
    width, height, rows = pixels(png)
    assert (width, height) == (3 * PICTURE_WIDTH, 3 * figure.layout.height)
    assert len(rows) > 100
    svg = write_static(figure, tmp_path / "a.SVG").read_text()
    assert svg.startswith("<svg")
    assert 'width="672"' in svg
    assert "share of exact answers" in svg
    pdf = write_static(figure, tmp_path / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile" in pdf
    assert len(pdf) > 5000


@pytest.mark.usefixtures("chromium")
def test_what_needs_more_than_a_column_gets_it(front: UncertainFront, tmp_path: Path) -> None:
    figure = parallel_coordinates(front)
    svg = write_static(figure, tmp_path / "a.svg", COLUMN_WIDTH).read_text()
    assert f'width="{figure.layout.meta["least_width"]}"' in svg


@pytest.mark.parametrize("name", ["a.gif", "a", "a.html"])
def test_another_suffix_is_refused_before_anything_starts(
    front: UncertainFront, tmp_path: Path, name: str
) -> None:
    with pytest.raises(SpaceError, match="png, svg, pdf are"):
        write_static(front_pair(front, "helpfulness", "safety"), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_without_chromium_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SpaceError, match="apt install chromium"):
        find_chromium()
    monkeypatch.setenv("BROWSER_PATH", "/no/such/browser")
    with pytest.raises(SpaceError, match="/no/such/browser is no program"):
        find_chromium()
