"""The studies that ship are whole, small, of today's columns, and tell nothing of a machine."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.examples import EXAMPLES, example
from analysis.records.loading import load_records
from grid.judging import JUDGEMENT_SCHEMA
from grid.records import RECORD_SCHEMA, RESPONSE_SCHEMA
from grid.study import open_study

CELLS = {"nano_seeds": 360, "nano_mamba": 63}
PROMPTS = 3 * 128
LARGEST = 400_000
PRIVATE = ("/tmp", "/root", "/home", "/work", "http", "://")
SCHEMAS = {
    "records": RECORD_SCHEMA,
    "responses": RESPONSE_SCHEMA,
    "refusal_prefix": JUDGEMENT_SCHEMA,
}


def shipped() -> list[Path]:
    folders = (Path(example(name)) for name in EXAMPLES)
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def short(path: Path) -> str:
    return "/".join(path.parts[-3:])


def texts(path: Path) -> list[str]:
    """All that a file says, the Parquet files' packed values and schemas too."""
    if path.suffix != ".parquet":
        return [path.read_text()]
    table = pl.read_parquet(path)
    columns = table.select(pl.col(pl.String).implode().list.unique()).row(0)
    return [str(pq.read_schema(path)), *(str(one) for column in columns for one in column)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_cell_is_ok_and_has_all_its_answers(name: str) -> None:
    records = load_records(example(name))
    assert records.unreadable == []
    assert records.unreadable_responses == []
    assert records.ok.height == records.table.height == CELLS[name]
    answers = records.responses.group_by("cell").len()
    assert answers.height == CELLS[name]
    assert set(answers["len"]) == {PROMPTS}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_cells_are_those_that_the_code_would_run_today(name: str) -> None:
    study = open_study(example(name))
    assert study.recorded() == {cell.id for cell in study.plan.cells}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_second_judge_has_read_every_answer(name: str) -> None:
    records = load_records(example(name))
    read = records.verdicts.filter(pl.col("judge") == "refusal_prefix")
    assert read.height == CELLS[name] * PROMPTS
    rejudged = load_records(example(name), judge="refusal_prefix")
    assert rejudged.ok["safety"].null_count() == 0
    assert not rejudged.ok["safety"].equals(records.ok["safety"])


@pytest.mark.parametrize("path", [p for p in shipped() if p.suffix == ".parquet"], ids=short)
def test_columns_are_todays(path: Path) -> None:
    told = pq.read_schema(path)
    wanted: pa.Schema = SCHEMAS[path.parent.name]
    assert dict(zip(told.names, told.types, strict=True)) == dict(
        zip(wanted.names, wanted.types, strict=True)
    )


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in shipped()) < LARGEST


@pytest.mark.parametrize("path", shipped(), ids=short)
def test_no_place_of_a_machine_is_told(path: Path) -> None:
    said = texts(path)
    assert said
    assert [text for text in said if any(place in text for place in PRIVATE)] == []


def test_another_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="nano_seeds, nano_mamba"):
        example("nano_seed")
