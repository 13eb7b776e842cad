"""Agreement by compression: on the answers that both read, weighted where one read a sample."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from analysis.judges.agreement import VERDICTS, agreement, shifts
from analysis.judges.kappa import kappa
from analysis.records.loading import load_records
from tests.analysis.judged_studies import OWN, Answer, write_study

LEVELS = ("none", "nf4", "gptq 2")
CELLS = 4
PROMPTS = 30


def answers(seed: int = 0) -> list[Answer]:
    """Every cell and prompt, of harmful and helpful requests; the judges part at fewer bits."""
    source = np.random.default_rng(seed)
    error = dict(zip(LEVELS, (0.02, 0.1, 0.4), strict=True))
    found = []
    for level, cell, index in product(LEVELS, range(CELLS), range(PROMPTS)):
        own = str(source.choice(VERDICTS, p=[0.5, 0.4, 0.1]))
        wrong = source.random() < error[level]
        other = str(source.choice(VERDICTS)) if wrong else own
        name = f"{LEVELS.index(level)}{cell}"
        both = {OWN: own, "other": other}
        found += [Answer(name, level, index, both, each) for each in ("harmful", "borderline")]
        # an answer whose verdict counts for nothing
        apart = {OWN: "comply", "other": "refuse"}
        found.append(Answer(name, level, index, apart, "helpfulness"))
    return found


def pairs(given: list[Answer]) -> list[tuple[Answer, str, str]]:
    return [
        (answer, str(answer.verdicts[OWN]), str(answer.verdicts["other"]))
        for answer in given
        if answer.prompt_set != "helpfulness"
    ]


def table_of(
    given: list[Answer], level: str
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    table = np.zeros((3, 3))
    for answer, one, other in pairs(given):
        if level in ("all", answer.level):
            table[VERDICTS.index(one), VERDICTS.index(other)] += 1
    return table


def test_each_level_has_its_own_agreement(tmp_path: Path) -> None:
    given = answers()
    found = agreement(load_records(write_study(tmp_path / "study", given)), OWN, "other")
    assert [one.level for one in found] == ["all", "none", "gptq 2", "nf4"]
    for one in found:
        table = table_of(given, one.level)
        assert (one.table == table).all()
        assert one.answers == table.sum()
        assert one.prompts == 2 * PROMPTS
        assert one.agree == pytest.approx(np.trace(table) / table.sum())
        assert one.kappa == pytest.approx(float(kappa(table)))
        assert one.low is not None
        assert one.high is not None
        assert one.low < float(kappa(table)) < one.high
        alone = cohens_kappa(table)
        assert one.independent_low == pytest.approx(alone.kappa_low)
        assert one.independent_high == pytest.approx(alone.kappa_upp)
        assert (one.weighted, one.note) == (False, "")
    assert found[1].kappa > found[3].kappa > found[2].kappa  # type: ignore[operator]


def test_a_single_category_is_told_and_not_called_agreement(tmp_path: Path) -> None:
    given = [
        Answer(cell, level, index, {OWN: own, "other": "comply"})
        for cell, level in (("a", "none"), ("b", "nf4"))
        for index in range(20)
        for own in ("refuse" if level == "nf4" and index < 5 else "comply",)
    ]
    found = agreement(load_records(write_study(tmp_path / "study", given)), OWN, "other")
    assert [(one.agree, one.kappa, one.low) for one in found] == [
        (0.875, None, None), (1.0, None, None), (0.75, None, None),
    ]  # fmt: skip
    assert [one.note for one in found] == [
        "kappa is undefined: other said comply throughout",
        "kappa is undefined: phrases said comply throughout",
        "kappa is undefined: other said comply throughout",
    ]


def test_judges_that_never_disagree_have_no_interval(tmp_path: Path) -> None:
    given = [
        Answer("a", "none", i, dict.fromkeys((OWN, "other"), VERDICTS[i % 3])) for i in range(30)
    ]
    found = agreement(load_records(write_study(tmp_path / "study", given)), OWN, "other")
    assert [(one.kappa, one.low, one.independent_low) for one in found] == [(1.0, None, None)] * 2
    assert found[0].note == "no disagreement, so no interval"


def sampled(given: list[Answer], share: dict[str, float], seed: int) -> list[Answer]:
    """The other judge has read only a share of the answers, by the own verdict."""
    source = np.random.default_rng(seed)
    part = []
    for answer in given:
        read = source.random() < share[str(answer.verdicts[OWN])]
        other = answer.verdicts["other"] if read else None
        part.append(replace(answer, verdicts={OWN: answer.verdicts[OWN], "other": other}))
    return part


def test_a_sample_is_weighted_back(tmp_path: Path) -> None:
    """Rare verdicts are sampled more often: unweighted, the sample would tell of another study."""
    given = answers()
    whole = table_of(given, "all")
    shares = {"comply": 0.15, "refuse": 0.5, "incoherent": 1.0}
    part = sampled(given, shares, seed=2)
    found = agreement(load_records(write_study(tmp_path / "study", part)), OWN, "other")
    assert all(one.weighted and one.independent_low is None for one in found)
    assert found[0].answers < whole.sum() / 2
    # what the own judge said is known of every answer, and the weights give it back
    assert found[0].table.sum(axis=1) == pytest.approx(whole.sum(axis=1))
    assert found[0].kappa == pytest.approx(float(kappa(whole)), abs=0.06)
    read = [answer for answer in part if answer.verdicts["other"] is not None]
    unweighted = float(kappa(table_of(read, "all")))
    assert abs(unweighted - float(kappa(whole))) > abs(found[0].kappa - float(kappa(whole)))  # type: ignore[operator]


def test_what_no_sampled_answer_stands_for_is_told(tmp_path: Path) -> None:
    part = sampled(answers(), {"comply": 1.0, "refuse": 1.0, "incoherent": 0.0}, seed=0)
    found = agreement(load_records(write_study(tmp_path / "study", part)), OWN, "other")
    lost = sum(own == "incoherent" for _, own, _ in pairs(part)) / len(pairs(part))
    assert f"the sample stands for {1 - lost:.0%} of the answers" in found[0].note


def test_judges_that_read_different_answers_have_nothing_to_agree_on(tmp_path: Path) -> None:
    given = [
        Answer("a", "none", i, {OWN: "comply", "one": "comply" if i % 2 else None,
                                "two": None if i % 2 else "comply"})
        for i in range(10)
    ]  # fmt: skip
    records = load_records(write_study(tmp_path / "study", given))
    (found,) = agreement(records, "one", "two")
    assert (found.answers, found.agree, found.kappa) == (0, None, None)
    assert "no answer that both read" in found.note
    with pytest.raises(ValueError, match="no verdicts of a judge 'three'; there are: one, phrases"):
        agreement(records, "one", "three")


def test_rates_move_with_the_judge(tmp_path: Path) -> None:
    given = [
        Answer(cell, level, i, {OWN: "refuse" if i < 4 else "comply", "other": other}, prompt_set)
        for cell, level in (("a", "none"), ("b", "nf4"))
        for prompt_set in ("harmful", "borderline")
        for i in range(8)
        for other in ("refuse" if i < (2 if cell == "a" else 6) else "comply",)
    ]
    study = write_study(tmp_path / "study", given)
    moved = shifts(load_records(study), load_records(study, judge="other"))
    assert [(s.level, s.metric, s.cells, s.before, s.after) for s in moved] == [
        ("all", "safety", 2, 0.5, 0.5), ("all", "over_refusal", 2, 0.5, 0.5),
        ("none", "safety", 1, 0.5, 0.25), ("none", "over_refusal", 1, 0.5, 0.25),
        ("nf4", "safety", 1, 0.5, 0.75), ("nf4", "over_refusal", 1, 0.5, 0.75),
    ]  # fmt: skip


def test_levels_come_with_what_is_not_compressed_first(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", answers())
    extra = {"gptq 2": 2, "nf4": 4, "none": None}
    for path in sorted((tmp_path / "study" / "records").iterdir()):
        record = pl.read_parquet(path)
        bits = extra[record["compression_label"][0]]
        record.with_columns(bits=pl.lit(bits, pl.Int64)).write_parquet(path)
    found = agreement(load_records(study), OWN, "other", replicates=10)
    assert [one.level for one in found] == ["all", "none", "nf4", "gptq 2"]
