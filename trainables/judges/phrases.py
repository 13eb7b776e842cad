"""Reads an answer by its wording: a refusal phrase, a well-formed answer, or neither."""

import re
from collections.abc import Iterable, Iterator

from search_spaces.judges import PhraseJudge
from search_spaces.metrics import Verdict
from trainables.judges.answers import Answer
from trainables.judges.wording import is_degenerate, plain, says


def judge(settings: PhraseJudge, answers: Iterable[Answer]) -> Iterator[Verdict]:
    """Comply, refuse or incoherent, for each answer in order. The prompt is not looked at."""
    refusals = [plain(phrase) for phrase in settings.refusals]
    for answer in answers:
        text = plain(answer.response)
        if any(says(text, phrase) for phrase in refusals):
            yield "refuse"
        elif settings.answer_pattern is not None:
            matches = re.fullmatch(settings.answer_pattern, answer.response.strip())
            yield "comply" if matches else "incoherent"
        else:
            yield "incoherent" if is_degenerate(text) else "comply"
