"""The cells' answers as a page holds them: every text once, and numbers that point to it."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import polars as pl

from analysis.records.loading import Records

Item = TypeVar("Item", bound=Hashable)
LETTERS = {"comply": "c", "refuse": "r", "incoherent": "i"}
"""How a verdict is written in a string of them; `-` where there is none."""
PROMPT = ("prompt_set", "prompt_index", "prompt", "expected")


class Numbered(Generic[Item]):
    """Numbers for things, each kept once, in the order in which they came."""

    def __init__(self) -> None:
        self._number: dict[Item, int] = {}

    def __getitem__(self, item: Item) -> int:
        return self._number.setdefault(item, len(self._number))

    @property
    def items(self) -> list[Item]:
        """All things so far; their place is their number."""
        return list(self._number)


def answers(records: Records) -> dict[str, Any]:
    """`texts`; `prompts`: set, index, text's number, expected text's number or null; `lists` of
    prompts' numbers; `judges`; and `cells` by study and id: its list, its answers' numbers, and a
    string of verdicts' letters for each judge."""
    texts: Numbered[str] = Numbered()
    prompts: Numbered[tuple[str, int, int, int | None]] = Numbered()
    lists: Numbered[tuple[int, ...]] = Numbered()
    judged = _judged(records)
    judges = sorted({str(judge) for _, _, judge in judged})
    cells: dict[str, dict[str, Any]] = {}
    ordered = records.responses.sort("prompt_set", "prompt_index", maintain_order=True)
    for (study, cell), rows in ordered.group_by("study", "cell", maintain_order=True):
        asked = []
        for name, index, prompt, expected in rows.select(PROMPT).iter_rows():
            wanted = None if expected is None else texts[expected]
            asked.append(prompts[name, index, texts[prompt or ""], wanted])
        keys = list(rows.select("prompt_set", "prompt_index").iter_rows())
        verdicts = [judged.get((study, cell, judge), {}) for judge in judges]
        cells[cell_key(study, cell)] = {
            "list": lists[tuple(asked)],
            "answers": [texts[answer or ""] for answer in rows["response"]],
            "verdicts": [_letters(found, keys) for found in verdicts],
        }
    return {
        "texts": texts.items,
        "prompts": prompts.items,
        "lists": lists.items,
        "judges": judges,
        "cells": cells,
    }


def cell_key(study: object, cell: object) -> str:
    """What names a cell within a page."""
    return f"{study}\n{cell}"


Verdicts = dict[tuple[str, int], str]


def _judged(records: Records) -> dict[tuple[object, object, object], Verdicts]:
    """Verdicts by study, cell and judge."""
    found: dict[tuple[object, object, object], Verdicts] = {}
    read = records.verdicts.drop_nulls(["judge", "verdict"])
    for (study, cell, judge), rows in read.group_by("study", "cell", "judge"):
        columns = rows.select("prompt_set", "prompt_index", "verdict")
        found[study, cell, judge] = {(name, index): said for name, index, said in columns.rows()}
    return found


def _letters(verdicts: Mapping[tuple[str, int], str], keys: Sequence[tuple[str, int]]) -> str:
    return "".join(LETTERS.get(verdicts.get(key, ""), "-") for key in keys)


def prompt_counts(records: Records) -> dict[str, int]:
    """How many prompts of each set the cells were asked; empty without responses."""
    asked = records.responses.select("prompt_set", "prompt_index", "prompt").unique()
    counts = asked.group_by("prompt_set").agg(pl.len()).sort("prompt_set")
    return dict(counts.iter_rows())
