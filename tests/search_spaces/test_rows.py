"""Every form of data that users have is read as it was written, or refused in one line."""

import csv
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.rows import DataError, Row, read_rows
from search_spaces.sources import Columns, DataSource, Exclusion

Pairs = Sequence[tuple[str, str]]
Writer = Callable[[Path, Pairs], None]

# text that UTF-8 can hold: everything but lone surrogates; line breaks of all kinds included
text = st.text(st.characters(codec="utf-8"))
pairs = st.lists(st.tuples(text, text), min_size=1, max_size=5)
PROMPT_AND_ANSWER = Columns(prompt="prompt", answer="answer")


def write_json(path: Path, rows: Pairs) -> None:
    objects = [{"prompt": prompt, "answer": answer} for prompt, answer in rows]
    path.write_text(json.dumps(objects, ensure_ascii=False), encoding="utf-8")


def write_columns(path: Path, rows: Pairs) -> None:
    columns = {"prompt": [row[0] for row in rows], "answer": [row[1] for row in rows]}
    path.write_text(json.dumps(columns, ensure_ascii=False), encoding="utf-8")


def write_jsonl(path: Path, rows: Pairs) -> None:
    lines = [
        json.dumps({"prompt": prompt, "answer": answer}, ensure_ascii=False)
        for prompt, answer in rows
    ]
    path.write_text("\n".join([*lines, "", "  ", ""]), encoding="utf-8")


def write_csv(path: Path, rows: Pairs) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("prompt", "answer"))
        writer.writerows(rows)


def write_parquet(path: Path, rows: Pairs) -> None:
    columns = {"prompt": [row[0] for row in rows], "answer": [row[1] for row in rows]}
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.json", write_json),
        ("columns.json", write_columns),
        ("rows.jsonl", write_jsonl),
        ("rows.csv", write_csv),
        ("rows.parquet", write_parquet),
    ],
)
@settings(deadline=None)
@given(rows=pairs)
def test_every_form_round_trips(name: str, write: Writer, rows: Pairs) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path, rows)
        read = read_rows(DataSource(path=str(path), columns=PROMPT_AND_ANSWER))
    assert read == [Row(prompt, answer) for prompt, answer in rows]


def read(path: Path, content: str, columns: Columns, exclude: Exclusion | None = None) -> list[Row]:
    """The rows of a file with this content."""
    path.write_bytes(content.encode())
    return read_rows(DataSource(path=str(path), columns=columns, exclude=exclude))


def refusal(path: Path, content: str, columns: Columns = PROMPT_AND_ANSWER) -> str:
    """What is wrong with a file of this content; the line starts with the file's path."""
    with pytest.raises(DataError) as caught:
        read(path, content, columns)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def test_cell_of_several_lines(tmp_path: Path) -> None:
    content = 'prompt,answer\r\n"first\r\nsecond, ""third""",yes\r\n\r\nplain,no\r\n'
    rows = read(tmp_path / "rows.csv", content, PROMPT_AND_ANSWER)
    assert rows == [Row('first\r\nsecond, "third"', "yes"), Row("plain", "no")]


def test_alpaca_input_follows_the_instruction(tmp_path: Path) -> None:
    alpaca = [
        {"instruction": "translate", "input": "good day", "output": "bon jour"},
        {"instruction": "greet", "input": "", "output": "hello"},
        {"instruction": "leave", "input": None, "output": "bye"},
        {"instruction": "wait", "output": "ok"},
    ]
    columns = Columns(prompt="instruction", input="input", answer="output")
    rows = read(tmp_path / "alpaca.json", json.dumps(alpaca), columns)
    assert [row.prompt for row in rows] == ["translate\n\ngood day", "greet", "leave", "wait"]
    assert [row.answer for row in rows] == ["bon jour", "hello", "bye", "ok"]


def test_empty_list_of_inputs(tmp_path: Path) -> None:
    content = json.dumps({"instructions": ["a", "b"], "inputs": []})
    columns = Columns(prompt="instructions", input="inputs")
    assert read(tmp_path / "c.json", content, columns) == [Row("a", None), Row("b", None)]


def test_numbers_are_answers_too(tmp_path: Path) -> None:
    content = '{"prompt": "2 + 2", "answer": 4}'
    assert read(tmp_path / "n.jsonl", content, PROMPT_AND_ANSWER) == [Row("2 + 2", "4")]


def test_exclusion_by_prefix(tmp_path: Path) -> None:
    content = "type,prompt\nhomonyms,a\ncontrast_homonyms,b\nfigurative,c\n"
    exclude = Exclusion(column="type", prefix="contrast_")
    rows = read(tmp_path / "x.csv", content, Columns(), exclude)
    assert rows == [Row("a", None), Row("c", None)]


def test_named_input_column_must_be_there(tmp_path: Path) -> None:
    columns = Columns(prompt="prompt", input="context")
    line = refusal(tmp_path / "i.json", '[{"prompt": "a", "contxt": "b"}]', columns)
    assert line == "no column 'context'; the file has: prompt, contxt"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[{]", "not valid JSON: "),
        ("a.jsonl", '{"prompt": "a", "answer": "b"}\n{"prompt"', "not valid JSON: "),
        ("a.json", "[]", "no rows"),
        ("a.jsonl", "\n", "no rows"),
        ("a.json", '["a"]', "expected a list of objects, or one object of columns"),
        ("a.json", '{"prompt": "a"}', "expected a list of objects, or one object of columns"),
        (
            "a.json",
            '{"prompt": ["a"], "answer": []}',
            "column 'answer' has 0 values and 'prompt' 1",
        ),
        ("a.csv", "", "no column 'prompt'; the file has: "),
        ("a.csv", "prompt,answer\na,b,c\n", "row 1 has 3 cells and the header 2"),
        ("a.csv", "prompt,answer\na,b\na\n", "row 2 has 1 cells and the header 2"),
        ("a.csv", f"prompt,answer\n{'a' * 200_000},b\n", "not valid CSV: "),
        (
            "a.json",
            '[{"prompt": "a", "answer": "b"}, {"prompt": "a", "answer": null}]',
            "column 'answer' has no value in row 2; allowed: text",
        ),
        (
            "a.json",
            '[{"prompt": ["a"], "answer": "b"}]',
            "column 'prompt' has a list in row 1; allowed: text",
        ),
        ("a.parquet", "PAR1 or not", "not a readable Parquet file"),
    ],
)
def test_unreadable_content(tmp_path: Path, name: str, content: str, message: str) -> None:
    assert refusal(tmp_path / name, content).startswith(message)


def test_column_to_exclude_by_must_be_as_long(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'type' has 1 values and 'prompt' 2"):
        read(
            tmp_path / "c.json",
            '{"prompt": ["a", "b"], "type": ["x"]}',
            Columns(),
            Exclusion(column="type", prefix="y"),
        )


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("prompt\ncafé\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.csv: not UTF-8 text"):
        read_rows(DataSource(path=str(path)))
