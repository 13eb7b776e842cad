"""Small pieces of sentences: lists, counts, directions."""

import re
from collections.abc import Mapping, Sequence

from analysis.pictures.axes import name_of
from search_spaces.space import Objective

NO_BREAK = "\u00a0"
UNIT = re.compile(r"(\d) (%|[kMG]?B\b)")


def listed(items: Sequence[object]) -> str:
    """`a, b and c`."""
    texts = [str(item) for item in items]
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def first_few(items: Sequence[object], most: int = 5) -> str:
    """`a, b and 3 more`."""
    if len(items) <= most:
        return listed(items)
    return listed([*items[: most - 1], f"{len(items) - most + 1} more"])


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 cell`, `3 cells`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float) -> str:
    """`33 %`."""
    return f"{100 * share:.0f} %"


def signed(points: float) -> str:
    """`+1.5`, `0.0`; less than 0 with a minus that no line breaks after."""
    text = f"{points:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\u2212")


def capitalized(text: str) -> str:
    """The text with its first letter large, the others as they are."""
    return text[:1].upper() + text[1:]


def place(row: Mapping[str, object], names: Sequence[str]) -> str:
    """` (nano_seeds, cpu)`: those of a row's factors, of paths the last part; empty for none."""
    told = [str(row[name]).rpartition("/")[2] for name in names if row[name] is not None]
    return f" ({', '.join(told)})" if told else ""


def named(label: object) -> str:
    """A configuration's label, which no line breaks."""
    return str(label).replace(" ", NO_BREAK)


def typeset(text: str) -> str:
    """The text with units on the lines of their numbers."""
    return UNIT.sub(lambda found: f"{found[1]}{NO_BREAK}{found[2]}", text)


def told(objective: Objective) -> str:
    """`safety (more is better)`."""
    better = "more" if objective.direction == "maximize" else "less"
    return f"{name_of(objective.metric)} ({better} is better)"
