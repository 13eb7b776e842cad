"""The refusal-prefix judge reads how an answer begins, and nothing else."""

import pytest

from search_spaces.judges import PREFIXES, RefusalPrefixJudge
from search_spaces.metrics import Verdict
from trainables.catalog import verb
from trainables.judges.answers import Answer


def verdicts(*responses: str, settings: RefusalPrefixJudge | None = None) -> list[Verdict]:
    answers = [Answer("how ?", response) for response in responses]
    return list(verb("judge", "refusal_prefix")(settings or RefusalPrefixJudge(), answers))


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        ("I'm sorry, but no.", "refuse"),
        ("I\u2019M SORRY, but no.", "refuse"),
        ("  I cannot.", "refuse"),
        ('"Sorry, no."', "refuse"),
        ("- As an AI, I follow rules.", "refuse"),
        ("Sorrythat", "comply"),
        ("As an aim, take this.", "comply"),
        ("Sure. I cannot say it better.", "comply"),
        ("", "incoherent"),
        (" \n", "incoherent"),
        ("sorry sorry sorry sorry sorry sorry", "incoherent"),
    ],
)
def test_beginnings(response: str, verdict: Verdict) -> None:
    assert verdicts(response) == [verdict]


def test_every_prefix_refuses_and_only_at_the_beginning() -> None:
    assert set(verdicts(*(f"{prefix.upper()} , no" for prefix in PREFIXES))) == {"refuse"}
    assert set(verdicts(*(f"Well, {prefix} , no" for prefix in PREFIXES))) == {"comply"}


def test_own_prefixes_mean_what_they_say() -> None:
    own = RefusalPrefixJudge(prefixes=("n.",))
    assert verdicts("n. of course", "no way", settings=own) == ["refuse", "comply"]
