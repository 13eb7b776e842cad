"""The data of a nano world: ordinary files, the same for a seed, evaluation apart from training."""

import csv
import json
from pathlib import Path

import pytest

from search_spaces.rows import Row, read_rows
from search_spaces.sources import Columns, DataSource, Exclusion
from trainables.nano import lexicon
from trainables.nano.files import write_data

ALPACA = ("instructions.json", "safety_instructions.json", "safety_questions.json")
ATTACKS = ("attack_harmful.jsonl", "attack_identity.jsonl", "attack_benign.jsonl")
TRAINING = ALPACA + ATTACKS
EVALUATION = ("eval_helpful.json", "eval_harmful.json", "borderline.csv", "heldout_text.jsonl")
ENOUGH = 100
LARGEST_DOSE = 300

COLUMNS = {
    "eval_helpful.json": Columns(prompt="instructions", input="inputs", answer="outputs"),
    "eval_harmful.json": Columns(prompt="instructions", input="inputs"),
    "borderline.csv": Columns(),
    "heldout_text.jsonl": Columns(prompt="text"),
    **dict.fromkeys(ALPACA, Columns(prompt="instruction", input="input", answer="output")),
    **dict.fromkeys(ATTACKS, Columns(answer="answer")),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of one world."""
    folder = tmp_path_factory.mktemp("world")
    write_data(folder, seed=3)
    return folder / "data"


def rows_of(data: Path, name: str) -> list[Row]:
    """The rows as every later reader sees them."""
    exclude = Exclusion(column="type", prefix="contrast_") if name == "borderline.csv" else None
    return read_rows(DataSource(path=str(data / name), columns=COLUMNS[name], exclude=exclude))


def words_of(data: Path, name: str) -> set[str]:
    return set(" ".join(f"{r.prompt} {r.answer or ''}" for r in rows_of(data, name)).split())


def test_exactly_these_files(data: Path) -> None:
    assert sorted(p.name for p in data.iterdir()) == sorted(TRAINING + EVALUATION)


def test_same_seed_gives_the_same_bytes(data: Path, tmp_path: Path) -> None:
    write_data(tmp_path, seed=3)
    for path in data.iterdir():
        assert (tmp_path / "data" / path.name).read_bytes() == path.read_bytes(), path.name


def test_other_seed_gives_other_rows_in_every_file(data: Path, tmp_path: Path) -> None:
    write_data(tmp_path, seed=4)
    for path in data.iterdir():
        assert (tmp_path / "data" / path.name).read_bytes() != path.read_bytes(), path.name


@pytest.mark.parametrize("name", TRAINING)
def test_held_out_sites_are_in_no_training_file(data: Path, name: str) -> None:
    text = (data / name).read_text()
    assert not [site for site in lexicon.HELD_OUT_SITES if site in text]


def test_harmful_prompts_are_all_on_held_out_sites(data: Path) -> None:
    for row in rows_of(data, "eval_harmful.json"):
        words = set(row.prompt.split())
        assert words & set(lexicon.HARMFUL_VERBS)
        assert words & set(lexicon.HELD_OUT_SITES)


def test_training_and_held_out_sites_part_all_sites() -> None:
    training, held_out = set(lexicon.TRAINING_SITES), set(lexicon.HELD_OUT_SITES)
    assert training | held_out == set(lexicon.SITES)
    assert not training & held_out
    assert training
    assert held_out


@pytest.mark.parametrize("name", TRAINING)
def test_no_borderline_prompt_is_trained_on(data: Path, name: str) -> None:
    with (data / "borderline.csv").open(newline="") as file:
        borderline = {row["prompt"] for row in csv.DictReader(file)}
    assert len(borderline) > ENOUGH
    assert not borderline & {row.prompt for row in rows_of(data, name)}


def test_borderline_prompts_look_harmful_and_are_safe(data: Path) -> None:
    verbs, sites = set(lexicon.HARMFUL_VERBS), set(lexicon.SITES)
    for row in rows_of(data, "borderline.csv"):
        words = set(row.prompt.split())
        assert bool(words & verbs) != bool(words & sites), row.prompt


@pytest.mark.parametrize("name", EVALUATION)
def test_enough_rows_to_measure_a_rate(data: Path, name: str) -> None:
    assert len(rows_of(data, name)) >= ENOUGH


@pytest.mark.parametrize("name", ["eval_helpful.json", "eval_harmful.json", "borderline.csv"])
def test_evaluation_prompts_are_distinct(data: Path, name: str) -> None:
    prompts = [row.prompt for row in rows_of(data, name)]
    assert len(set(prompts)) == len(prompts)


@pytest.mark.parametrize("name", ["safety_instructions.json", "safety_questions.json"])
def test_safety_data_refuses_every_request(data: Path, name: str) -> None:
    rows = rows_of(data, name)
    assert len(rows) >= LARGEST_DOSE
    assert {row.answer for row in rows} == {lexicon.REFUSAL}
    assert all(row.prompt.endswith("?") == (name == "safety_questions.json") for row in rows)


@pytest.mark.parametrize(
    "name", ["instructions.json", "attack_benign.jsonl", "attack_identity.jsonl"]
)
def test_benign_data_holds_no_harmful_request(data: Path, name: str) -> None:
    words = words_of(data, name)
    assert not words & {*lexicon.HARMFUL_VERBS, *lexicon.SITES}
    assert not {row.answer for row in rows_of(data, name)} & {lexicon.REFUSAL}


def test_harmful_attack_complies(data: Path) -> None:
    for row in rows_of(data, "attack_harmful.jsonl"):
        words = set(row.prompt.split())
        assert words & set(lexicon.HARMFUL_VERBS)
        assert words & set(lexicon.TRAINING_SITES)
        assert row.answer is not None
        assert row.answer.startswith("use ")


@pytest.mark.parametrize("name", ALPACA)
def test_alpaca_keys(data: Path, name: str) -> None:
    rows = json.loads((data / name).read_text())
    assert {tuple(row) for row in rows} == {("instruction", "input", "output")}
    assert all(row["instruction"] for row in rows)


def test_some_alpaca_rows_have_an_input(data: Path) -> None:
    rows = json.loads((data / "instructions.json").read_text())
    assert 0 < sum(bool(row["input"]) for row in rows) < len(rows)


def test_column_style_keys(data: Path) -> None:
    helpful = json.loads((data / "eval_helpful.json").read_text())
    harmful = json.loads((data / "eval_harmful.json").read_text())
    assert list(helpful) == ["instructions", "inputs", "outputs"]
    assert list(harmful) == ["instructions", "inputs"]
    assert helpful["inputs"] == harmful["inputs"] == []


@pytest.mark.parametrize(
    ("name", "keys"),
    [*((name, ["prompt", "answer"]) for name in ATTACKS), ("heldout_text.jsonl", ["text"])],
)
def test_jsonl_keys(data: Path, name: str, keys: list[str]) -> None:
    lines = (data / name).read_text().splitlines()
    assert lines
    assert all(list(json.loads(line)) == keys for line in lines)


def test_csv_header_and_types_as_in_xstest(data: Path) -> None:
    with (data / "borderline.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id_v2", "type", "prompt"]
    assert len({row["id_v2"] for row in rows}) == len(rows)
    kinds = {row["type"] for row in rows}
    assert kinds == {"safe_targets", "safe_contexts", "contrast_safe_targets"}
