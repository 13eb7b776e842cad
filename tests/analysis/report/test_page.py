"""The report as a reader has it: in a browser, without a network, whatever the models said."""

from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser, expect

from tests.analysis.report.pages import Opened, opened, write_report
from tests.analysis.report.studies import GRID, HOSTILE, Cell, write_study

FAILED = Cell(300, 10, "none", error=f"RuntimeError: {HOSTILE[1]} {HOSTILE[2]}")
HOSTILE_LABEL = Cell(300, 0, "<img src=x onerror=\"window.broken = 'label'\">")
HOSTILE_NAME = "<img src=x onerror=window.broken=5>"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    study = write_study(folder / HOSTILE_NAME, (*GRID, FAILED, HOSTILE_LABEL), HOSTILE[2])
    return write_report(folder, study)


def _text(found: Opened, selector: str) -> str:
    return found.page.locator(selector).first.inner_text()


def test_opens_without_an_error_or_a_request(browser: Browser, address: str) -> None:
    with opened(browser, address) as found:
        assert found.errors == []
        assert found.requests == [address]


def test_what_models_said_is_shown_and_never_run(browser: Browser, address: str) -> None:
    with opened(browser, address) as found:
        found.open_row(GRID[0].name)
        for name in ("helpfulness", "harmful", "borderline"):
            details = found.page.locator(f"details.set-{name}")
            details.locator("summary").click()
            details.locator("li").first.wait_for()
            items = details.locator("li").all_text_contents()
            for index, hostile in enumerate(HOSTILE):
                assert f"{name} prompt {index} {hostile}" in items[index]
            assert f"{GRID[0].name} says {HOSTILE[0]}" in items[0]
        found.open_row(FAILED.name)
        assert FAILED.error is not None
        assert _text(found, ".error") == FAILED.error
        assert HOSTILE_LABEL.compression in _text(found, "#table tbody")
        assert HOSTILE_NAME in _text(found, "h1")
        assert HOSTILE[2] in _text(found, "#reproduction")
        assert found.page.evaluate("window.broken") is None
        assert found.page.locator("main img").count() == 0
        assert found.errors == []


def test_the_policy_stops_a_script_that_would_have_come_in(browser: Browser, address: str) -> None:
    with opened(browser, address) as found:
        found.page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'),"
            " {textContent: 'window.broken = true'}))"
        )
        assert found.page.evaluate("window.broken") is None
        assert "Content Security Policy" in found.errors[0]


def test_harmful_text_is_not_in_the_page_until_it_is_asked_for(
    browser: Browser, address: str
) -> None:
    with opened(browser, address) as found:
        found.open_row(GRID[0].name)
        found.page.wait_for_selector("details.set-harmful")
        for name in ("harmful", "borderline"):
            assert f"{name} prompt" not in found.page.inner_text("body")
            assert found.page.locator(f"details.set-{name} li").count() == 0
        found.page.locator("details.set-harmful summary").click()
        found.page.wait_for_selector("details.set-harmful li")
        assert "harmful prompt 0" in found.page.inner_text("body")
        assert "borderline prompt" not in found.page.inner_text("body")


def test_answers_are_filtered_by_verdict_and_words(browser: Browser, address: str) -> None:
    with opened(browser, address) as found:
        found.open_row(GRID[0].name)
        details = found.page.locator("details.set-harmful")
        details.locator("summary").click()
        details.locator("li").first.wait_for()
        assert "5 comply, 1 refuse" in details.locator("summary").inner_text()
        details.locator("select").select_option("r")
        assert details.locator("li").count() == 1
        details.locator("select").select_option("")
        details.locator("input").fill("prompt 3")
        assert details.locator("li").count() == 1


def test_filters_by_factor_words_range_front_and_failure(browser: Browser, address: str) -> None:
    with opened(browser, address) as found:
        everything = found.rows
        assert len(everything) == len(GRID) + 2
        found.choose("compression_label", "gptq 4")
        assert found.rows == [cell.name for cell in GRID if cell.compression == "gptq 4"]
        found.choose("dose", "100")
        assert set(found.rows) == {"cell100x0xgptq4x0", "cell100x10xgptq4x0"}
        found.page.click("[name=reset]")
        assert found.rows == everything
        found.page.fill("[name=words]", "RuntimeError")
        assert found.rows == [FAILED.name]
        found.page.click("[name=reset]")
        found.page.check("[name=failed]")
        assert found.rows == [FAILED.name]
        found.page.click("[name=reset]")
        found.page.check("[name=onFront]")
        on_front = found.rows
        assert on_front
        assert len(on_front) < len(everything)
        found.page.click("[name=reset]")
        found.page.click("#filters summary")
        found.page.fill("[name=safety-least]", "50")
        safe = {c.name for c in (*GRID, HOSTILE_LABEL) if c.complies <= 3}
        assert set(found.rows) == safe
        assert f"{len(safe)} of {len(everything)} cells shown" in _text(found, "#count")


def test_sorts_by_a_column_both_ways_with_the_keyboard(browser: Browser, address: str) -> None:
    with opened(browser, address) as found:
        head = found.page.locator("[name=sort-dose]")
        head.focus()
        found.page.keyboard.press("Enter")
        assert [row.partition("x")[0] for row in found.rows][:1] == ["cell0"]
        found.page.keyboard.press("Enter")
        assert [row.partition("x")[0] for row in found.rows][:1] == ["cell300"]
        sorted_by = found.page.locator("th[aria-sort=descending]")
        assert "safety examples" in sorted_by.inner_text()
        # what was not measured stands last, whichever way
        found.page.click("[name=sort-helpfulness]")
        assert found.rows[-1] == FAILED.name
        found.page.click("[name=sort-helpfulness]")
        assert found.rows[-1] == FAILED.name


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_itself_never_scrolls_sideways(browser: Browser, address: str, width: int) -> None:
    with opened(browser, address, width) as found:
        found.open_row(GRID[0].name)
        found.page.locator("details.set-harmful summary").click()
        found.page.wait_for_selector("details.set-harmful li")
        found.page.locator("#reproduction details summary").first.click()
        assert found.page.evaluate("document.documentElement.scrollWidth") <= width
        right = found.page.locator(".cell").evaluate("e => e.getBoundingClientRect().right")
        assert right <= width


def test_equal_records_give_the_same_findings_and_data(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = write_study(tmp_path / "study")
    pages = [
        Path(write_report(tmp_path_factory.mktemp("again"), study).removeprefix("file://"))
        for _ in range(2)
    ]
    first, second = (page.read_text(encoding="utf-8") for page in pages)
    assert _undated(first) == _undated(second)


def _undated(page: str) -> str:
    return "\n".join(line for line in page.splitlines() if "Made by trilemma" not in line)


def _brush(found: Opened, axis: int, top: float, bottom: float) -> None:
    """Drags along an axis of the parallel coordinates; parts of its height from the top."""
    line = found.page.locator(".parcoords .axis-brush .background").nth(axis)
    line.scroll_into_view_if_needed()
    box = line.bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2
    found.page.mouse.move(x, box["y"] + top * box["height"])
    found.page.mouse.down()
    found.page.mouse.move(x, box["y"] + bottom * box["height"], steps=8)
    found.page.mouse.up()


def test_brushing_the_parallel_coordinates_filters_the_table(
    browser: Browser, address: str
) -> None:
    with opened(browser, address) as found:
        everything = found.rows
        # the first axis is of safety examples, whose largest dose stands on top
        _brush(found, 0, 0.02, 0.25)
        expect(found.page.locator("#count")).to_contain_text("Brushed")
        assert found.rows == [HOSTILE_LABEL.name]
        found.page.click("[name=reset]")
        expect(found.page.locator("#count")).not_to_contain_text("Brushed")
        assert found.rows == everything
        # and it can be brushed again
        _brush(found, 0, 0.75, 0.98)
        expect(found.page.locator("#count")).to_contain_text("Brushed")
        assert found.rows == [cell.name for cell in GRID if cell.dose == 0]
        assert found.errors == []


def test_every_picture_is_drawn_and_has_a_caption(browser: Browser, address: str) -> None:
    with opened(browser, address) as found:
        plots = found.page.locator(".plot")
        assert plots.count() > 5
        assert found.page.locator(".plot .main-svg").count() >= plots.count()
        assert found.page.locator(".no-webgl").count() == 0
        assert all(found.page.locator("figcaption").all_inner_texts())
        assert all(plots.evaluate_all("all => all.map(plot => plot.ariaLabel)"))


def test_all_measures_are_shown_on_demand(browser: Browser, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", GRID[:1])
    records = tmp_path / "study" / "records" / f"{GRID[0].name}-a.parquet"
    table = pl.read_parquet(records).with_columns(perplexity=pl.lit(7.5))
    table.write_parquet(records)
    with opened(browser, write_report(tmp_path, study)) as found:
        assert "perplexity" not in _text(found, "#table thead")
        found.page.check("[name=all]")
        assert "perplexity" in _text(found, "#table thead")
        assert "7.50" in _text(found, "#table tbody")
