"""What a report costs: its size, the time to make it, and the time that a browser takes to open it.

Builds the report of a study, then opens it in headless Chromium without a network, and prints the
figures as a table.

    .venv/bin/python benchmarks/report.py studies/demo
"""

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.table import Table

from analysis.pictures.static import find_chromium
from analysis.records.loading import load_records
from analysis.report.evidence import Evidence
from analysis.report.page import plotly_script, report

OPENINGS = 5
VIEWPORT = {"width": 1280, "height": 900}


@dataclass(frozen=True)
class Opening:
    """Seconds from the start of the navigation."""

    first_row: float
    """Until the table has rows, which can be filtered and opened."""
    first_picture: float
    last_picture: float


def main() -> None:
    """Measure one study's report and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    study = parser.parse_args().study
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        began = time.perf_counter()
        records = load_records(study)
        content = report(Evidence(records))
        built = time.perf_counter() - began
        path.write_text(content, encoding="utf-8")
        openings = measure(path)
    table = Table(
        title=f"The report of {len(records.table)} cells, {len(records.responses)} answers"
    )
    table.add_column("figure")
    table.add_column("value", justify="right")
    size, library = len(content.encode()) / 1e6, len(plotly_script().encode()) / 1e6
    table.add_row("file, MB", f"{size:.2f}")
    table.add_row("of which plotly.js, MB", f"{library:.2f}")
    table.add_row("time to make it, s", f"{built:.1f}")
    for name in ("first_row", "first_picture", "last_picture"):
        seconds = sorted(getattr(opening, name) for opening in openings)
        label = f"opened until {name.replace('_', ' ')}, s"
        table.add_row(label, f"{median(seconds):.2f} ({seconds[0]:.2f} to {seconds[-1]:.2f})")
    Console().print(table)


def measure(page: Path) -> list[Opening]:
    """The page opened several times, each in a new context of one browser."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=sandbox)
        openings = [_open(browser, page) for _ in range(OPENINGS)]
        browser.close()
    return openings


def _open(browser: Browser, path: Path) -> Opening:
    context = browser.new_context(viewport=VIEWPORT, offline=True)
    page = context.new_page()
    # told by the page's own clock: a driver that asks again and again would slow it
    page.add_init_script(
        """
        window.seen = {};
        const note = (name, found) => { if (found) window.seen[name] ??= performance.now(); };
        new MutationObserver(() => {
          note("first_row", document.querySelector("#table tbody tr"));
          note("first_picture", document.querySelector(".plot .main-svg"));
          note("last_picture", document.body?.dataset.pictures);
        }).observe(document, { subtree: true, childList: true, attributes: true });
        """
    )
    page.goto(path.as_uri())
    page.wait_for_function("window.seen.last_picture", polling=500)
    seen: dict[str, float] = page.evaluate("window.seen")
    context.close()
    return Opening(**{name: milliseconds / 1000 for name, milliseconds in seen.items()})


if __name__ == "__main__":
    main()
