"""What a judge reads: answers, whatever made them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from search_spaces.judges import RESPONSE
from search_spaces.metrics import Verdict
from trainables.judges.wording import is_degenerate

WINDOW_BATCHES = 16
PROMPT = "{prompt}"


@dataclass(frozen=True)
class Answer:
    """A prompt, and what a model answered to it."""

    prompt: str
    response: str


def in_batches(
    answers: Iterable[Answer],
    batch_size: int,
    read: Callable[[Sequence[Answer]], Sequence[Verdict]],
) -> Iterator[Verdict]:
    """A verdict for each answer, in order, of a judge that reads batches.

    What is incoherent by itself is not asked about: judges are unreliable on it. An answer that
    comes again, as refusals do from cell to cell, is read once.
    """
    known: dict[Answer, Verdict] = {}
    waiting = iter(answers)
    while window := list(islice(waiting, WINDOW_BATCHES * batch_size)):
        unread = [answer for answer in dict.fromkeys(window) if answer not in known]
        known |= {answer: "incoherent" for answer in unread if is_degenerate(answer.response)}
        # texts of like length together: little of a batch is padding
        asked = sorted((a for a in unread if a not in known), key=_length, reverse=True)
        for start in range(0, len(asked), batch_size):
            batch = asked[start : start + batch_size]
            known |= zip(batch, read(batch), strict=True)
        yield from (known[answer] for answer in window)


def filled(template: str, answer: Answer) -> str:
    """The template with the answer in it; braces in the answer mean nothing."""
    parts = template.split(RESPONSE)
    return answer.response.join(part.replace(PROMPT, answer.prompt) for part in parts)


def _length(answer: Answer) -> int:
    return len(answer.prompt) + len(answer.response)
