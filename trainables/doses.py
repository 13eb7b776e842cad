"""Doses: nested prefixes of a data source, so that a dose effect is no sampling effect."""

import random

from search_spaces.rows import Row, read_rows
from search_spaces.sources import DataSource


def nested_prefix(source: DataSource, count: int, seed: int) -> list[Row]:
    """The first `count` rows in the seed's order; a smaller dose is part of a larger one."""
    rows = read_rows(source)
    random.Random(seed).shuffle(rows)
    return rows[:count]
