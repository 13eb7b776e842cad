"""A sample for people goes out blind and safe to open, and comes back as it was meant."""

import csv
import io
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.judges.human_labels import COLUMNS, LABELS, from_csv, sample, to_csv
from analysis.records.loading import Records, load_records
from search_spaces.settings import SpaceError
from tests.analysis.judged_studies import OWN, Answer, write_study

RARE = 3


def answers() -> list[Answer]:
    """Two levels; of 80 answers each, most comply, few refuse and three are incoherent."""
    found = []
    for level, prompt_set, index in product(("none", "nf4"), ("harmful", "borderline"), range(40)):
        rare = level == "nf4" and prompt_set == "harmful" and index < RARE
        own = "incoherent" if rare else "refuse" if index % 4 == 0 else "comply"
        found.append(
            Answer(level, level, index, {OWN: own}, prompt_set, response=f"{level} {index} {own}")
        )
    found += [Answer("none", "none", i, {OWN: "comply"}, "helpfulness") for i in range(50)]
    return found


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return load_records(write_study(tmp_path / "study", answers()))


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def rewritten(rows: list[dict[str, Any]], encoding: str = "utf-8", **form: Any) -> bytes:
    """The rows as a spreadsheet saves them."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), **form)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def filled(records: Records, size: int, label: str = "refuse") -> list[dict[str, str]]:
    return [row | {"label": label} for row in rows_of(to_csv(sample(records, size, seed=0)))]


def test_rare_verdicts_are_seen_and_the_size_is_kept(records: Records) -> None:
    drawn = sample(records, 40, seed=0)
    assert drawn.height == 40
    assert set(drawn["prompt_set"]) == {"harmful", "borderline"}
    counted = records.responses.join(
        drawn.select("cell", "prompt_set", "prompt_index"),
        on=["cell", "prompt_set", "prompt_index"],
    )
    counts = counted.group_by("cell", "verdict").len().iter_rows()
    found = {(cell, verdict): count for cell, verdict, count in counts}
    assert found.pop(("nf4", "incoherent")) == RARE
    assert sorted(found.values()) == [9, 9, 9, 10]
    assert drawn.unique().height == 40


def test_a_sample_smaller_than_there_are_kinds_sees_the_rarest(records: Records) -> None:
    drawn = sample(records, 2, seed=0)
    assert drawn.height == 2
    assert any("incoherent" in response for response in drawn["response"])


def test_all_that_there_is_is_enough(records: Records) -> None:
    assert sample(records, 1000, seed=0).height == 160


def test_the_seed_decides(records: Records) -> None:
    assert sample(records, 30, seed=1).equals(sample(records, 30, seed=1))
    assert not sample(records, 30, seed=1).equals(sample(records, 30, seed=2))


def test_whoever_labels_sees_neither_factors_nor_verdicts(records: Records) -> None:
    content = to_csv(sample(records, 1000, seed=0))
    rows = rows_of(content)
    assert tuple(rows[0]) == COLUMNS
    assert {row["label"] for row in rows} == {""}
    ids = [row["id"] for row in rows]
    assert ids != sorted(ids)


def test_labels_come_back(records: Records) -> None:
    rows = filled(records, 30)
    rows[0]["label"] = " Comply "
    for row in rows[20:]:
        row["label"] = ""
    labels = from_csv("labels.csv", rewritten(rows), records)
    assert (labels.table.height, labels.skipped) == (20, 10)
    verdicts = {
        f"{cell}/{prompt_set}/{index}": verdict
        for cell, _, prompt_set, index, verdict in labels.table.iter_rows()
    }
    assert verdicts == {r["id"]: "comply" if r is rows[0] else "refuse" for r in rows[:20]}
    assert labels.table.columns == ["cell", "attempt", "prompt_set", "prompt_index", "verdict"]


@pytest.mark.parametrize(
    "form",
    [
        {"encoding": "utf-8-sig"},
        {"delimiter": ";"},
        {"delimiter": "\t"},
        {"quoting": csv.QUOTE_ALL, "lineterminator": "\n"},
    ],
    ids=str,
)
def test_what_spreadsheets_do_to_a_file_is_no_harm(records: Records, form: dict[str, Any]) -> None:
    rows = [row | {"comment": "to be discussed"} for row in filled(records, 10)]
    assert from_csv("labels.csv", rewritten(rows, **form), records).table.height == 10


def test_empty_labels_are_a_table_without_rows(records: Records) -> None:
    labels = from_csv("labels.csv", rewritten(filled(records, 5, label="")), records)
    assert (labels.table.height, labels.skipped) == (0, 5)
    assert labels.table.schema["prompt_index"] == pl.Int64


def changed(column: str, value: str) -> Any:
    def change(rows: list[dict[str, str]]) -> None:
        rows[2][column] = value

    return change


def twice(rows: list[dict[str, str]]) -> None:
    rows[2] = rows[0] | {"label": "comply"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("label", "harmful"), "row 4: 'harmful' is no label; allowed: comply, refuse, inc"),
        (changed("id", "none/harmful/999"), "row 4: no answer 'none/harmful/999' in the study"),
        (changed("response", "use rope"), "row 4: the response was changed"),
        (changed("prompt", "how ?"), "row 4: the prompt was changed"),
        (twice, "row 4: labelled before, and otherwise"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_row(
    records: Records, change: Any, message: str
) -> None:
    rows = filled(records, 5)
    change(rows)
    with pytest.raises(SpaceError, match=f"labels.csv: {message}"):
        from_csv("labels.csv", rewritten(rows), records)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column 'id'; the file has: no rows"),
        (b"id,prompt,response\na,b,c\n", "no column 'label'; the file has: id, prompt, response"),
        ("id,prompt\nä,b".encode("latin-1"), "not a CSV file in UTF-8"),
    ],
)
def test_what_is_no_file_of_labels_is_refused(
    records: Records, content: bytes, message: str
) -> None:
    with pytest.raises(SpaceError, match=message):
        from_csv("labels.csv", content, records)


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
BEGINNINGS = ("", "=", "+", "-", "@", "'", "'=", "\t", "\r", "\n")
ODD = st.builds(str.__add__, st.sampled_from(BEGINNINGS), TEXT)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(ODD, min_size=1, max_size=5))
def test_any_answer_goes_out_harmless_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    given_answers = [
        Answer("a", "none", i, {OWN: "comply"}, prompt=text, response=text)
        for i, text in enumerate(texts)
    ]
    study = load_records(write_study(tmp_path_factory.mktemp("odd") / "study", given_answers))
    content = to_csv(sample(study, 10, seed=0))
    rows = rows_of(content)
    for row in rows:
        assert not row["response"].startswith(("=", "+", "-", "@", "\t", "\r"))
        row["label"] = LABELS[0]
    for form in ({}, {"delimiter": ";"}):
        assert from_csv("labels.csv", rewritten(rows, **form), study).table.height == len(texts)
    # as a spreadsheet saves it that takes the mark for its own
    for row in rows:
        row["response"] = row["response"].removeprefix("'")
    assert from_csv("labels.csv", rewritten(rows), study).table.height == len(texts)
