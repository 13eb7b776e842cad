"""What an answer's wording alone tells."""

import re
from collections import Counter

REPEATED_SHARE = 0.5
LONG_ENOUGH_TO_REPEAT = 6


def plain(text: str) -> str:
    """The text in lower case, with straight apostrophes and no blanks around it."""
    return text.strip().lower().replace("\u2019", "'")


def says(text: str, phrase: str) -> bool:
    """True if the phrase stands in the text as whole words ("as an ai" is not in "has an aim")."""
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None


def is_degenerate(text: str) -> bool:
    """True for an answer without words, and for one that repeats a word most of its length."""
    words = plain(text).split()
    if len(words) < LONG_ENOUGH_TO_REPEAT:
        return not words
    return Counter(words).most_common(1)[0][1] > REPEATED_SHARE * len(words)
