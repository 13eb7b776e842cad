"""Records under another judge's verdicts: the rates follow from them, or are null."""

from pathlib import Path

import polars as pl
import pytest

from analysis.records.judgements import VERDICT_COLUMNS
from analysis.records.loading import load_records
from search_spaces.settings import SpaceError
from tests.analysis.judged_studies import OWN, Answer, write_study

PROMPTS = 8


@pytest.fixture
def study(tmp_path: Path) -> str:
    """Cell a: read by both judges; b: of its harmful answers one was not read; c: not at all."""
    given = []
    for cell in "abc":
        for prompt_set in ("harmful", "borderline", "helpfulness"):
            for index in range(PROMPTS):
                other = "refuse" if index < 2 else "incoherent" if index == 2 else "comply"
                unread = cell == "c" or (cell == "b" and prompt_set == "harmful" and index == 7)
                own = "refuse" if index < 4 else "comply"
                given.append(
                    Answer(cell, "none", index, {OWN: own, "other": None if unread else other},
                           prompt_set)
                )  # fmt: skip
    return write_study(tmp_path / "study", given)


def rates(table: pl.DataFrame, cell: str) -> dict[str, object]:
    names = [f"{m}{part}" for m in ("safety", "over_refusal") for part in ("", "_n", "_se")]
    (row,) = table.filter(pl.col("cell") == cell).select(names).to_dicts()
    return row


def test_rates_follow_from_the_verdicts(study: str) -> None:
    table = load_records(study, judge="other").table
    assert rates(table, "a") == pytest.approx(
        {"safety": 3 / 8, "safety_n": 8, "safety_se": (3 / 8 * 5 / 8 / 8) ** 0.5,
         "over_refusal": 2 / 8, "over_refusal_n": 8, "over_refusal_se": (2 / 8 * 6 / 8 / 8) ** 0.5}
    )  # fmt: skip


def test_a_rate_of_some_of_the_answers_is_no_rate(study: str) -> None:
    table = load_records(study, judge="other").table
    assert rates(table, "c") == dict.fromkeys(rates(table, "c"))
    partly = rates(table, "b")
    assert [partly[f"safety{part}"] for part in ("", "_n", "_se")] == [None] * 3
    assert (partly["over_refusal"], partly["over_refusal_n"]) == (2 / 8, 8)


def test_what_depends_on_no_verdict_stays(study: str) -> None:
    own, other = load_records(study).table, load_records(study, judge="other").table
    kept = [name for name in own.columns if not name.startswith(("safety", "over_refusal"))]
    assert own.columns == other.columns
    assert own.select(kept).equals(other.select(kept))


def test_responses_hold_the_judges_verdicts(study: str) -> None:
    own, other = load_records(study).responses, load_records(study, judge="other").responses
    assert own.drop("verdict", "judge").equals(other.drop("verdict", "judge"))
    assert set(other["judge"]) == {"other"}
    unread = other.filter(pl.col("verdict").is_null())
    assert unread.height == 3 * PROMPTS + 1
    assert own["verdict"].null_count() == 0


def test_verdicts_are_of_every_judge(study: str) -> None:
    for judge in (None, "other"):
        verdicts = load_records(study, judge=judge).verdicts
        assert verdicts.columns == list(VERDICT_COLUMNS)
        counts = dict(verdicts.group_by("judge").len().iter_rows())
        assert counts == {OWN: 9 * PROMPTS, "other": 6 * PROMPTS - 1}


def test_the_own_judge_is_a_judge_too(study: str) -> None:
    own, named = load_records(study), load_records(study, judge=OWN)
    assert named.table.equals(own.table)
    assert named.responses.equals(own.responses)


def test_of_several_studies_each_keeps_to_its_own(study: str, tmp_path: Path) -> None:
    plain = write_study(tmp_path / "plain", [Answer("z", "none", 0, {OWN: "refuse"})])
    table = load_records(study, plain, judge="other").table
    assert rates(table, "a")["safety"] == 3 / 8
    assert rates(table, "z") == dict.fromkeys(rates(table, "z"))
    table = load_records(study, plain, judge=OWN).table
    assert rates(table, "z")["safety"] == 1.0


def test_a_judge_that_no_study_knows_is_refused(study: str, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"judge 'othr'; did you mean 'other'\? there are: oth"):
        load_records(study, judge="othr")
    table = tmp_path / "table.csv"
    table.write_text("safety\n0.5\n")
    with pytest.raises(SpaceError, match="no verdicts of a judge 'other'; there is none"):
        load_records(str(table), judge="other")


def test_a_verdict_on_an_earlier_attempt_counts_for_nothing(study: str) -> None:
    folder = Path(study)
    (folder / "records" / "a-a1.parquet").rename(folder / "records" / "a-a2.parquet")
    path = folder / "records" / "a-a2.parquet"
    pl.read_parquet(path).with_columns(attempt=pl.lit("a2")).write_parquet(path)
    records = load_records(study, judge="other")
    assert rates(records.table, "a") == dict.fromkeys(rates(records.table, "a"))
    assert "a" not in set(records.verdicts["cell"])


def test_unreadable_responses_are_named(study: str) -> None:
    (Path(study) / "responses" / "a-a1.parquet").write_bytes(b"no parquet")
    records = load_records(study)
    assert set(records.responses["cell"]) == {"b", "c"}
    assert records.unreadable_responses == ["a-a1.parquet"]
