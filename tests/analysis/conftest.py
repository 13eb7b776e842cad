"""A real browser, which the tests of pages share."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from analysis.pictures.static import find_chromium
from search_spaces.settings import SpaceError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Headless Chromium, started once. Without one the tests are skipped, but not where CI runs."""
    from playwright.sync_api import sync_playwright

    try:
        path = find_chromium()
    except SpaceError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    # Chromium's sandbox refuses to work for root
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=[*QUIET, *sandbox])
        yield started
        started.close()
