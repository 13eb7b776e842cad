"""Calibration rows are what the model sees when it answers, drawn in equal parts by the seed."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing

from search_spaces.compressions import Calibration
from search_spaces.rows import Row
from tests.trainables.conftest import write_rows
from trainables.calibration import calibration_rows
from trainables.models import Tokenizer


@pytest.fixture
def calibration(tmp_path: Path) -> Calibration:
    """Six of the twelve rows of each of two sources."""
    names = ("red", "blue")
    sources = [
        write_rows(tmp_path / f"{name}.jsonl", [Row(f"{name} " * (i + 1), None) for i in range(12)])
        for name in names
    ]
    return Calibration(data=tuple(sources), samples=12, max_tokens=8, seed=0)


def test_every_source_gives_an_equal_part(tokenizer: Tokenizer, calibration: Calibration) -> None:
    rows = [row["input_ids"] for row in calibration_rows(calibration, tokenizer)]
    red, blue = (tokenizer.convert_tokens_to_ids(name) for name in ("red", "blue"))
    assert [sum(word in row for row in rows) for word in (red, blue)] == [6, 6]
    assert max(map(len, rows)) == 8


def test_the_seed_decides_the_rows(tokenizer: Tokenizer, calibration: Calibration) -> None:
    other = calibration.model_copy(update={"seed": 1})
    assert calibration_rows(calibration, tokenizer) == calibration_rows(calibration, tokenizer)
    assert calibration_rows(calibration, tokenizer) != calibration_rows(other, tokenizer)


def test_a_calibration_without_a_seed_is_refused(
    tokenizer: Tokenizer, calibration: Calibration
) -> None:
    with pytest.raises(ValueError, match="no seed"):
        calibration_rows(calibration.model_copy(update={"seed": None}), tokenizer)


def test_rows_begin_once_where_the_tokenizer_adds_a_beginning(
    tokenizer: Tokenizer, calibration: Calibration
) -> None:
    own: Any = tokenizer
    backend, before = own.backend_tokenizer, own.backend_tokenizer.post_processor
    backend.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", own.bos_token_id)]
    )
    try:
        assert own("red")["input_ids"][0] == own.bos_token_id
        rows = [row["input_ids"] for row in calibration_rows(calibration, tokenizer)]
    finally:
        backend.post_processor = before
    assert all(row.count(own.bos_token_id) == 1 for row in rows)
