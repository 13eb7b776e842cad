"""Answers for people to label: a blind sample out to a CSV file, and the labels back in."""

import csv
import io
import re
from dataclasses import dataclass
from typing import get_args

import numpy as np
import polars as pl

from analysis.judges.agreement import STRATUM, counted_answers
from analysis.records.judgements import PROMPT
from analysis.records.loading import Records
from search_spaces.metrics import Verdict
from search_spaces.settings import SpaceError

LABELS: tuple[str, ...] = get_args(Verdict)
COLUMNS = ("id", "prompt", "response", "label")
BYTE_ORDER_MARK = "utf-8-sig"
"""Excel reads a file as UTF-8 only if it begins with the mark."""
FORMULA = re.compile("['=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet may run as a formula, or that is marked as if it did."""
MARK = "'"
DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Labels:
    """What people said."""

    table: pl.DataFrame
    """One row a label: cell, attempt, prompt_set, prompt_index, verdict."""
    skipped: int
    """Rows without a label."""


def sample(records: Records, size: int, seed: int) -> pl.DataFrame:
    """At most `size` answers to harmful and borderline requests, in random order.

    As many of each compression and verdict of the study's own judge as there can be, so that rare
    verdicts are seen: agreement weighs them back. The verdicts are not told.
    """
    answers = counted_answers(records).sort(PROMPT)
    source = np.random.default_rng(seed)
    strata = answers.with_row_index("row").partition_by(STRATUM, maintain_order=True)
    # the smallest first: what they cannot give, the others do; in random order where all are large
    order = sorted(source.permutation(len(strata)), key=lambda number: strata[number].height)
    rows: list[int] = []
    for place, number in enumerate(order):
        share = -(-(size - len(rows)) // (len(strata) - place))
        rows += source.permutation(strata[number]["row"].to_numpy())[:share].tolist()
    drawn: pl.DataFrame = answers[source.permutation(rows).tolist()]
    return drawn.select(*PROMPT, "prompt", "response")


def to_csv(answers: pl.DataFrame) -> bytes:
    """The answers as a CSV file with an empty label column. No cell of it is a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in answers.iter_rows(named=True):
        writer.writerow([_id(row), _neutral(row["prompt"]), _neutral(row["response"]), ""])
    return text.getvalue().encode(BYTE_ORDER_MARK)


def from_csv(file: str, content: bytes, records: Records) -> Labels:
    """The labels of a file that `to_csv` made and people filled in.

    Raises SpaceError, with the row as a spreadsheet numbers it, for a label that is none, an answer
    that is not the study's or is not as it was, and an answer that is labelled twice.
    """
    asked = counted_answers(records)
    known = {_id(row): row for row in asked.iter_rows(named=True)}
    labels: dict[str, str] = {}
    skipped = 0
    for number, row in enumerate(_rows(file, content), 2):
        where = f"row {number}"
        answer = known.get(row["id"].strip())
        if answer is None:
            raise SpaceError(file, where, f"no answer '{row['id']}' in the study; keep ids as is")
        for column in ("prompt", "response"):
            if not _same(row[column], answer[column]):
                raise SpaceError(
                    file, where, f"the {column} was changed; take it from a new sample: labels are "
                    "of what the study holds"
                )  # fmt: skip
        label = row["label"].strip().lower()
        if not label:
            skipped += 1
        elif label not in LABELS:
            allowed = ", ".join(LABELS)
            raise SpaceError(file, where, f"'{row['label']}' is no label; allowed: {allowed}")
        elif labels.setdefault(_id(answer), label) != label:
            raise SpaceError(file, where, "labelled before, and otherwise; keep one of the rows")
    rows = [known[key] | {"verdict": label} for key, label in labels.items()]
    columns = ["cell", "attempt", "prompt_set", "prompt_index", "verdict"]
    schema = {name: asked.schema.get(name, pl.String()) for name in columns}
    return Labels(pl.DataFrame([{n: row[n] for n in columns} for row in rows], schema), skipped)


def _rows(file: str, content: bytes) -> list[dict[str, str]]:
    try:
        text = content.decode(BYTE_ORDER_MARK)
        # where a comma is the decimal mark, spreadsheets part cells by semicolons
        header = text.partition("\n")[0]
        delimiter = max(DELIMITERS, key=header.count)
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restval=""))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SpaceError(file, "", f"not a CSV file in UTF-8: {error}") from error
    found = list(rows[0]) if rows else []
    for column in COLUMNS:
        if column not in found:
            has = ", ".join(map(str, found)) or "no rows"
            raise SpaceError(file, "", f"no column '{column}'; the file has: {has}")
    return rows


def _id(row: dict[str, object]) -> str:
    # with letters and slashes in it no spreadsheet takes it for a number or a date
    return f"{row['cell']}/{row['prompt_set']}/{row['prompt_index']}"


def _neutral(text: str) -> str:
    return f"{MARK}{text}" if FORMULA.match(text) else text


def _same(cell: str, text: str) -> bool:
    """True if the cell holds the text, but for what spreadsheets do to line ends and blanks."""
    return _bare(text) in (_bare(cell.removeprefix(MARK)), _bare(cell))


def _bare(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
