"""What `pictures` does: every picture of a study as files."""

from collections.abc import Iterator
from pathlib import Path

from analysis.pictures.album import album
from analysis.pictures.static import browser, check_format, find_chromium, write_static
from analysis.records.loading import Records
from search_spaces.settings import SpaceError


def write_pictures(
    records: Records, to: Path, formats: str, width: float
) -> Iterator[tuple[int, int, Path]]:
    """Writes every picture in every format, `width` inches wide; tells each file as it is there.

    Gives its number, how many there will be, and its path. Raises SpaceError for a format that is
    not written, a path that is no folder, and where there is no Chromium.
    """
    kinds = list(dict.fromkeys(check_format(name.strip()) for name in formats.split(",")))
    if to.exists() and not to.is_dir():
        raise SpaceError("--to", str(to), "is a file; name a folder")
    find_chromium()
    if records.ok.is_empty():
        raise SpaceError("pictures", "", "there is no cell that is ok, so there is nothing to draw")
    figures = list(album(records))
    number, total = 0, len(figures) * len(kinds)
    with browser():
        for name, figure in figures:
            for kind in kinds:
                number += 1
                yield number, total, write_static(figure, to / f"{name}.{kind}", width)
