"""Token ids of the calibration rows whose activations guide a compression."""

from pathlib import Path
from typing import Any

from transformers import set_seed

from search_spaces.compressions import Calibration
from search_spaces.rows import Row
from search_spaces.sources import ModelSource
from trainables.doses import nested_prefix
from trainables.models import Tokenizer, load_tokenizer


def drawn_rows(settings: Calibration, dense: Path, source: ModelSource) -> list[dict[str, Any]]:
    """`calibration_rows` in the words of a dense folder's tokenizer, with every seed set."""
    tokenizer = load_tokenizer(source.model_copy(update={"path": str(dense), "revision": None}))
    rows = calibration_rows(settings, tokenizer)
    assert settings.seed is not None  # calibration_rows refuses one without
    set_seed(settings.seed)
    return rows


def calibration_rows(settings: Calibration, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """`input_ids` and `attention_mask` of each row, unpadded; equal parts of every source."""
    if settings.seed is None:
        raise ValueError("the calibration has no seed; a cell's compression names one")
    part = settings.samples // len(settings.data)
    rows = [row for data in settings.data for row in nested_prefix(data, part, settings.seed)]
    return [
        dict(
            tokenizer(
                _text(row, tokenizer),
                add_special_tokens=False,  # the chat template wrote them already
                truncation=True,
                max_length=settings.max_tokens,
            )
        )
        for row in rows
    ]


def _text(row: Row, tokenizer: Tokenizer) -> str:
    turns = [{"role": "user", "content": row.prompt}]
    if row.answer is not None:
        turns.append({"role": "assistant", "content": row.answer})
    return str(tokenizer.apply_chat_template(turns, tokenize=False))
