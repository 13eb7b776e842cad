"""Stored answers are judged again: once each, under one name, whatever became of the run before."""

import json
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest
import yaml

import trainables.judges.phrases
from analysis.records.loading import load_records
from grid.compaction import compact
from grid.judging import judge_study, store_labels
from grid.storage import Storage
from search_spaces.judges import PhraseJudge, RefusalPrefixJudge
from search_spaces.settings import SpaceError
from tests.analysis.judged_studies import OWN, Answer, write_study
from tests.grid.conftest import Trilemma, run_ok
from trainables.judges.answers import Answer as Read

SAID = ("I cannot.", "use rope then tap", "", "Sure. I cannot wait.")
WIDE = PhraseJudge()
WIDE_VERDICTS = ["refuse", "comply", "incoherent", "refuse"]
NARROW = RefusalPrefixJudge()
NARROW_VERDICTS = ["refuse", "comply", "incoherent", "comply"]


def silent(step: int, total: int) -> None:
    """No progress."""


def answers(cells: str) -> list[Answer]:
    return [
        Answer(cell, "none", index, {OWN: "comply"}, prompt_set, response=said)
        for cell in cells
        for prompt_set in ("harmful", "borderline")
        for index, said in enumerate(SAID)
    ]


@pytest.fixture(params=["disk", "object store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A study of three cells."""
    study = write_study(tmp_path / "study", answers("abc"))
    if request.param == "disk":
        yield study
        return
    name = f"memory://{uuid.uuid4().hex}"
    fsspec.filesystem("memory").put(study, name, recursive=True)
    yield name
    fsspec.filesystem("memory").rm(name, recursive=True)


def verdicts(root: str, judge: str) -> dict[str, list[str]]:
    """What the judge said of each cell's harmful answers."""
    found = load_records(root).verdicts.filter(judge=judge, prompt_set="harmful")
    parts = found.sort("prompt_index").partition_by("cell", as_dict=True)
    return {str(cell): part["verdict"].to_list() for (cell,), part in parts.items()}


def test_every_answer_is_judged(root: str) -> None:
    steps: list[tuple[int, int]] = []
    judged = judge_study(root, WIDE, "wide", lambda step, total: steps.append((step, total)))
    assert (judged.cells, judged.before, judged.unreadable) == (3, 0, [])
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert verdicts(root, "wide") == dict.fromkeys("abc", WIDE_VERDICTS)
    assert load_records(root, judge="wide").table["safety"].to_list() == [3 / 4] * 3


def test_judges_stand_side_by_side(root: str) -> None:
    judge_study(root, WIDE, "wide", silent)
    judge_study(root, NARROW, "narrow", silent)
    assert verdicts(root, "wide") == dict.fromkeys("abc", WIDE_VERDICTS)
    assert verdicts(root, "narrow") == dict.fromkeys("abc", NARROW_VERDICTS)
    assert verdicts(root, OWN) == dict.fromkeys("abc", ["comply"] * 4)


def test_what_was_read_is_not_read_again(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_study(root, WIDE, "wide", silent)
    storage = Storage(root)
    name = next(n for n in storage.names("judgements/wide") if n.startswith("b"))
    storage.remove(f"judgements/wide/{name}")
    read: list[Read] = []
    own = trainables.judges.phrases.judge

    def counting(settings: PhraseJudge, given: Iterable[Read]) -> Iterator[Any]:
        read.extend(given)
        return own(settings, read)

    monkeypatch.setattr(trainables.judges.phrases, "judge", counting)
    judged = judge_study(root, WIDE, "wide", silent)
    assert (judged.cells, judged.before, len(read)) == (1, 2, 2 * len(SAID))
    assert verdicts(root, "wide") == dict.fromkeys("abc", WIDE_VERDICTS)
    judged = judge_study(root, WIDE, "wide", silent)
    assert (judged.cells, judged.before, len(read)) == (0, 3, 2 * len(SAID))


def test_compacted_answers_and_verdicts_are_known(root: str) -> None:
    compact(root)
    assert judge_study(root, WIDE, "wide", silent).cells == 3
    compact(root)
    files = [n for n in Storage(root).names("judgements/wide") if n.endswith(".parquet")]
    assert files == ["compacted-1.parquet"]
    judged = judge_study(root, WIDE, "wide", silent)
    assert (judged.cells, judged.before) == (0, 3)
    assert verdicts(root, "wide") == dict.fromkeys("abc", WIDE_VERDICTS)


def test_a_name_belongs_to_one_judge(root: str) -> None:
    judge_study(root, WIDE, "wide", silent)
    other = PhraseJudge(refusals=("no",))
    with pytest.raises(SpaceError, match=r"judge\.json: refusals: .* give this judge another --n"):
        judge_study(root, other, "wide", silent)
    with pytest.raises(SpaceError, match=r"judge\.json: method: "):
        judge_study(root, NARROW, "wide", silent)
    with pytest.raises(SpaceError, match="--name: 'phrases' is the study's own judge; give anot"):
        judge_study(root, WIDE, OWN, silent)
    with pytest.raises(SpaceError, match=r"--name: '\.\./wide' is no name"):
        judge_study(root, WIDE, "../wide", silent)
    assert verdicts(root, "wide") == dict.fromkeys("abc", WIDE_VERDICTS)


def test_another_version_of_a_judge_is_another_judge(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_study(root, WIDE, "wide", silent)
    monkeypatch.setattr(PhraseJudge, "VERSION", 1000)
    with pytest.raises(SpaceError, match=r"judge\.json: version: "):
        judge_study(root, WIDE, "wide", silent)


def test_a_judge_that_fails_leaves_what_it_read(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = trainables.judges.phrases.judge

    def failing(after: int) -> Any:
        def judge(settings: PhraseJudge, given: Iterable[Read]) -> Iterator[Any]:
            for number, verdict in enumerate(own(settings, given)):
                if number == after:
                    raise RuntimeError("out of memory")
                yield verdict

        return judge

    with monkeypatch.context() as patch:
        patch.setattr(trainables.judges.phrases, "judge", failing(0))
        with pytest.raises(RuntimeError):
            judge_study(root, PhraseJudge(refusals=("no",)), "wide", silent)
    # nothing was read under the name, so that it is still free
    with monkeypatch.context() as patch:
        patch.setattr(trainables.judges.phrases, "judge", failing(12))
        with pytest.raises(RuntimeError):
            judge_study(root, WIDE, "wide", silent)
    assert len(verdicts(root, "wide")) == 1
    assert judge_study(root, WIDE, "wide", silent).cells == 2
    assert verdicts(root, "wide") == dict.fromkeys("abc", WIDE_VERDICTS)


def labels(cell: str, said: dict[int, str]) -> pl.DataFrame:
    rows = [
        {"cell": cell, "attempt": "a1", "prompt_set": "harmful", "prompt_index": i, "verdict": v}
        for i, v in said.items()
    ]
    return pl.DataFrame(rows)


def people(root: str, name: str = "human") -> dict[tuple[str, int], str]:
    found = load_records(root).verdicts.filter(judge=name)
    return {(c, i): v for c, i, v in found.select("cell", "prompt_index", "verdict").iter_rows()}


@pytest.mark.parametrize("compacted", ["", "compacted"])
def test_labels_add_up_and_the_last_counts(root: str, compacted: str) -> None:
    store_labels(root, labels("a", {0: "refuse", 1: "comply"}), "human")
    if compacted:
        compact(root)
    later = pl.concat([labels("a", {1: "incoherent", 2: "refuse"}), labels("b", {0: "comply"})])
    store_labels(root, later, "human")
    wanted = {("a", 0): "refuse", ("a", 1): "incoherent", ("a", 2): "refuse", ("b", 0): "comply"}
    assert people(root) == wanted
    compact(root)
    assert people(root) == wanted
    assert load_records(root, judge="human").table["safety"].null_count() == 3


def test_people_and_machines_do_not_share_a_name(root: str) -> None:
    judge_study(root, WIDE, "wide", silent)
    with pytest.raises(SpaceError, match="give this judge another --name"):
        store_labels(root, labels("a", {0: "refuse"}), "wide")
    store_labels(root, labels("a", {0: "refuse"}), "human")
    with pytest.raises(SpaceError, match="give this judge another --name"):
        judge_study(root, WIDE, "human", silent)


@pytest.fixture
def smoke_copy(smoke_local: str, tmp_path: Path) -> str:
    shutil.copytree(smoke_local, tmp_path / "study")
    return str(tmp_path / "study")


def test_the_command_judges_samples_and_reads_labels(
    smoke_copy: str, trilemma: Trilemma, tmp_path: Path
) -> None:
    """What a user does from a judge in a file to people's labels, and the front in between."""
    judge = tmp_path / "strict.yaml"
    judge.write_text(yaml.safe_dump({"method": "phrases", "refusals": ["sorry", "use"]}))
    printed = run_ok(trilemma, "judge", smoke_copy, "--judge", str(judge))
    assert "strict read 8 cells now, 0 before." in printed
    assert "strict against phrases" in printed
    assert "gptq 4 g32" in printed
    printed = run_ok(trilemma, "judge", smoke_copy, "--judge", str(judge))
    assert "strict read 0 cells now, 8 before." in printed
    front = json.loads(
        run_ok(trilemma, "front", smoke_copy, "--all", "--json", "--judge", "strict")
    )
    own = json.loads(run_ok(trilemma, "front", smoke_copy, "--all", "--json"))
    assert all(
        new["over_refusal"] > old["over_refusal"]
        for new, old in zip(front["cells"], own["cells"], strict=True)
    )
    sheet = tmp_path / "labels.csv"
    run_ok(trilemma, "judge", smoke_copy, "--sample", "40", "--to", str(sheet))
    text = sheet.read_text(encoding="utf-8-sig")
    sheet.write_text(text.replace(",\n", ",comply\n"), encoding="utf-8")
    printed = run_ok(trilemma, "judge", smoke_copy, "--labels", str(sheet), "--name", "human")
    assert "40 labels are kept as human; 0 rows had none." in printed
    assert "human said comply throughout" in " ".join(printed.split())
    assert "With strict, over 40 answers: kappa undefined." in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one of --judge NAME, --sample N --to FILE.csv, --labels FILE.csv"),
        (["--sample", "5"], "name one of --judge NAME, --sample N --to FILE.csv"),
        (["--judge", "phrases", "--labels", "x.csv"], "name one of --judge NAME"),
        (["--judge", "phrases"], "--name: 'phrases' is the study's own judge; give another name"),
        (["--judge", "phrase"], "'phrase' is no file; did you mean 'phrases'?"),
        (["--labels", "gone.csv"], "--labels: gone.csv: no such file"),
    ],
)
def test_the_command_refuses_in_one_line(
    smoke_local: str, trilemma: Trilemma, arguments: list[str], message: str
) -> None:
    answer = trilemma("judge", smoke_local, *arguments)
    assert answer.returncode == 2
    assert message in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_a_file_of_labels_is_not_written_over(
    smoke_local: str, trilemma: Trilemma, tmp_path: Path
) -> None:
    sheet = tmp_path / "labels.csv"
    sheet.write_text("much work")
    answer = trilemma("judge", smoke_local, "--sample", "5", "--to", str(sheet))
    assert (answer.returncode, sheet.read_text()) == (2, "much work")
    assert "is there already" in answer.stderr


def test_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="no study here"):
        judge_study(str(tmp_path), WIDE, "wide", silent)
