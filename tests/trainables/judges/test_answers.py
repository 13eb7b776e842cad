"""Judges that read batches: every answer gets its own verdict, and is read once."""

from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from search_spaces.metrics import Verdict
from trainables.judges.answers import WINDOW_BATCHES, Answer, filled, in_batches

WORDS = ("", "no", "yes", "yes yes", "no no no", "yes yes yes yes yes yes", "maybe it is so")
ANSWERS = st.lists(st.builds(Answer, st.sampled_from("pqr"), st.sampled_from(WORDS)), max_size=200)


class Reader:
    """Complies where the answer says yes, and remembers what it read."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Answer]] = []

    def __call__(self, answers: Sequence[Answer]) -> list[Verdict]:
        self.batches.append(answers)
        return ["comply" if "yes" in answer.response else "refuse" for answer in answers]


@given(answers=ANSWERS, batch_size=st.integers(min_value=1, max_value=5))
def test_verdicts_are_in_order_and_each_answer_is_read_once(
    answers: list[Answer], batch_size: int
) -> None:
    reader = Reader()
    verdicts = list(in_batches(answers, batch_size, reader))
    assert verdicts == [
        "incoherent"
        if answer.response in ("", "yes yes yes yes yes yes")
        else "comply"
        if "yes" in answer.response
        else "refuse"
        for answer in answers
    ]
    read = [answer for batch in reader.batches for answer in batch]
    assert len(read) == len(set(read))
    assert all(1 <= len(batch) <= batch_size for batch in reader.batches)


def test_answers_are_taken_as_they_are_needed() -> None:
    taken = 0

    def endless() -> Iterator[Answer]:
        nonlocal taken
        while True:
            taken += 1
            yield Answer("p", f"yes {taken}")

    verdicts = in_batches(endless(), 2, Reader())
    assert next(verdicts) == "comply"
    assert taken == 2 * WINDOW_BATCHES


def test_braces_in_an_answer_mean_nothing() -> None:
    answer = Answer("{response}{prompt}", "{prompt} {0} {}")
    assert filled("a {prompt} b {response} c {other}", answer) == (
        "a {response}{prompt} b {prompt} {0} {} c {other}"
    )
