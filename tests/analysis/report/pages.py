"""A page in the browser, and all that it did that a page of ours must not do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page

from analysis.records.loading import load_records
from analysis.report.evidence import Evidence
from analysis.report.page import report

DRAWN = "body[data-pictures=drawn]"
"""Matches when every picture has been drawn."""
REPLICATES = 200


@dataclass
class Opened:
    """A page, with its errors and the addresses that it asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[str]:
        """The ids of the cells that the table shows."""
        keys = self.page.locator("#table tbody tr[data-key]").evaluate_all(
            "rows => rows.map(row => row.dataset.key)"
        )
        return [key.partition("\n")[2] for key in keys]

    def open_row(self, cell: str) -> None:
        """Opens the details of a cell."""
        self.page.locator(f"#table .open[title='{cell}']").click()

    def choose(self, factor: str, value: str) -> None:
        """Filters by a factor's value."""
        self.page.locator(f"#filters select[name='factor-{factor}']").select_option(value)


def write_report(folder: Path, *sources: str) -> str:
    """The address of the report of some sources."""
    path = folder / "report.html"
    path.write_text(report(Evidence(load_records(*sources), REPLICATES)), encoding="utf-8")
    return path.as_uri()


@contextmanager
def opened(
    browser: Browser, address: str, width: int = 1280, offline: bool = True
) -> Iterator[Opened]:
    """The page at an address, drawn to its end; without a network unless told otherwise."""
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=offline)
    found = Opened(context.new_page())
    found.page.on("pageerror", lambda error: found.errors.append(str(error)))
    found.page.on(
        "console",
        lambda message: found.errors.append(message.text) if message.type == "error" else None,
    )
    found.page.on("request", lambda request: found.requests.append(request.url))
    try:
        found.page.goto(address)
        found.page.wait_for_selector(DRAWN, state="attached")
        yield found
    finally:
        context.close()
