"""What the files show to be impossible is refused before anything runs."""

from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from search_spaces.sources import DataSource
from tests.search_spaces.conftest import ROWS, Refuses, SpaceFile, write_model

TOO_MANY = f"{ROWS + 1} is more than the {ROWS} rows of"


def test_valid_space_loads_with_absolute_paths(space: SpaceFile) -> None:
    loaded = space.load()
    assert loaded.model.path == str(space.folder / "model")
    assert loaded.evaluation.borderline.path == str(space.folder / "data" / "borderline.csv")
    assert loaded.safety_tuning.doses == (0, ROWS)


def test_group_size_that_does_not_divide_a_layer(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["compressions"][2]["group_size"] = 64
    refuses(
        "compressions[2].group_size",
        "64 does not divide the 96 inputs of model.layers.0.mlp.down_proj; allowed: 32",
    )


def test_no_group_size_divides_a_layer(space: SpaceFile, refuses: Refuses) -> None:
    write_model(space.folder / "model", {"model.layers.0.mlp.up_proj": (64, 40)})
    refuses(
        "compressions[2].group_size",
        "32 does not divide the 40 inputs of model.layers.0.mlp.up_proj; "
        "allowed: none fits every layer",
    )


def test_gptq_output_width(space: SpaceFile, refuses: Refuses) -> None:
    write_model(space.folder / "model", {"model.layers.0.mlp.up_proj": (40, 64)})
    refuses(
        "compressions[2].method",
        "gptq needs output widths that are multiples of 16, and model.layers.0.mlp.up_proj "
        "has 40; use bitsandbytes or magnitude",
    )


def test_gpt2_stores_its_weights_transposed(space: SpaceFile) -> None:
    write_model(space.folder / "model", {"h.0.attn.c_attn": (64, 48)})
    (space.folder / "model" / "config.json").write_text('{"model_type": "gpt2"}')
    space.settings["compressions"][2]["group_size"] = 64
    assert space.load().compressions[2].method == "gptq"


def test_weights_that_are_no_safetensors(space: SpaceFile, refuses: Refuses) -> None:
    (space.folder / "model" / "model.safetensors").write_bytes(b"something else entirely")
    refuses(
        "model.path",
        f"{space.folder}/model: a file of the model cannot be read: "
        "model.safetensors is not a safetensors file",
    )


def test_missing_file(space: SpaceFile, refuses: Refuses) -> None:
    missing = space.folder / "data" / "attack.jsonl"
    missing.rename(missing.with_name("elsewhere.jsonl"))
    refuses("attacks[1].data", f"{missing}: no such file")


def test_unknown_kind_of_file(space: SpaceFile, refuses: Refuses) -> None:
    path = space.folder / "data" / "attack.txt"
    path.write_text("something")
    space.settings["attacks"][1]["data"]["path"] = "data/attack.txt"
    del space.settings["compressions"][2]
    refuses("attacks[1].data", f"{path}: '.txt' is not one of .json, .jsonl, .csv, .parquet")


@pytest.mark.parametrize("part", ["prompt", "answer", "input"])
def test_missing_column(space: SpaceFile, refuses: Refuses, part: str) -> None:
    space.settings["safety_tuning"]["instructions"]["columns"][part] = "text"
    # the safety data has columns of its own: yaml anchors would tie the two
    space.settings["safety_tuning"]["safety"]["instruction"]["columns"] = {
        "prompt": "instruction", "answer": "output",
    }  # fmt: skip
    refuses(
        "safety_tuning.instructions",
        f"{space.folder}/data/instructions.json: no column 'text'; "
        "the file has: instruction, input, output",
    )


def test_missing_column_to_exclude_by(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["evaluation"]["borderline"]["exclude"]["column"] = "kind"
    refuses(
        "evaluation.borderline",
        f"{space.folder}/data/borderline.csv: no column 'kind'; the file has: id, type, prompt",
    )


def test_exclusion_of_every_row(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["evaluation"]["borderline"]["exclude"] = {"column": "prompt", "prefix": "kill"}
    refuses(
        "evaluation.borderline",
        f"{space.folder}/data/borderline.csv: no rows left; check the file and `exclude`",
    )


def test_no_column_of_answers(space: SpaceFile, refuses: Refuses) -> None:
    del space.settings["evaluation"]["helpfulness"]["columns"]["answer"]
    refuses(
        "evaluation.helpfulness.columns.answer",
        "missing; name the column that holds the answers",
    )


def test_dose_larger_than_the_data(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["safety_tuning"]["doses"] = [0, ROWS, ROWS + 1]
    refuses(
        "safety_tuning.doses[2]",
        f"{TOO_MANY} safety_tuning.safety.instruction; allowed: at most {ROWS}",
    )


def test_attack_larger_than_its_data(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["attacks"][1]["examples"] = ROWS + 1
    refuses("attacks[1].examples", f"{TOO_MANY} attacks[1].data; allowed: at most {ROWS}")


def test_dilution_larger_than_the_benign_data(space: SpaceFile, refuses: Refuses) -> None:
    attack = space.settings["attacks"][1]
    attack |= {"benign": dict(attack["data"]), "poison_ratio": ROWS / (2 * ROWS + 1)}
    refuses("attacks[1].poison_ratio", f"{TOO_MANY} attacks[1].benign; allowed: at most {ROWS}")


def test_calibration_larger_than_its_data(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["compressions"][2]["calibration"]["samples"] = ROWS + 1
    refuses(
        "compressions[2].calibration.samples",
        f"{TOO_MANY} compressions[2].calibration.data; allowed: at most {ROWS}",
    )


def test_form_without_data(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["safety_tuning"]["forms"] = ["instruction", "question"]
    refuses(
        "safety_tuning.forms[1]",
        "'question' has no data; add safety_tuning.safety.question",
    )


@pytest.mark.parametrize("factor", ["attacks", "compressions", "seeds"])
def test_duplicate_cells(space: SpaceFile, refuses: Refuses, factor: str) -> None:
    values: list[Any] = space.settings.setdefault(factor, [0, 1])
    values.append(values[1])
    at = len(values) - 1
    refuses(
        f"{factor}[{at}]",
        f"the same as {factor}[1], which makes duplicate cells; remove one",
    )


@pytest.mark.parametrize("values", [("doses", [0, 4, 4]), ("forms", ["instruction"] * 2)])
def test_duplicate_safety_tuning(
    space: SpaceFile, refuses: Refuses, values: tuple[str, list[object]]
) -> None:
    name, repeated = values
    space.settings["safety_tuning"][name] = repeated
    at, first = len(repeated) - 1, len(repeated) - 2
    refuses(
        f"safety_tuning.{name}[{at}]",
        f"the same as safety_tuning.{name}[{first}], which makes duplicate cells; remove one",
    )


def test_defaults_spelt_out_are_duplicates_too(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["compressions"].append(
        {"method": "bitsandbytes", "bits": 8, "double_quantization": True}
    )
    refuses(
        "compressions[3]",
        "the same as compressions[1], which makes duplicate cells; remove one",
    )


def test_copy_of_the_data_makes_a_duplicate(space: SpaceFile, refuses: Refuses) -> None:
    original = space.folder / "data" / "attack.jsonl"
    copy = original.with_name("copy.jsonl")
    copy.write_bytes(original.read_bytes())
    attack = space.settings["attacks"][1]
    other = {**attack, "data": {**attack["data"], "path": "data/copy.jsonl"}}
    space.settings["attacks"].append(other)
    refuses("attacks[2]", "the same as attacks[1], which makes duplicate cells; remove one")
    copy.write_text('{"prompt": "other", "answer": "other"}\n' * ROWS)
    assert len(space.load().attacks) == 3


def test_missing_model_folder(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["model"]["path"] = "./modell"
    refuses(
        "model.path",
        f"{space.folder}/modell: no such folder; allowed: a Hugging Face model folder",
    )


def test_folder_that_is_no_model(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["model"]["path"] = "data"
    refuses(
        "model.path",
        f"{space.folder}/data: not a Hugging Face model folder (no config.json)",
    )


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network and an empty Hub cache, whatever the machine has."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("offline")
def test_hub_model_offline(space: SpaceFile) -> None:
    space.settings["model"]["path"] = "owner/model-name"
    error = space.refusal()
    assert error.field == "model.path"
    assert error.message.startswith("'owner/model-name' is no local path, not in the Hub cache")
    assert error.message.endswith("or give the path of a local copy")


@pytest.mark.usefixtures("offline")
def test_hub_data_offline(space: SpaceFile) -> None:
    space.settings["evaluation"]["harmful"]["path"] = "owner/dataset-name"
    error = space.refusal()
    assert error.field == "evaluation.harmful.path"
    assert "could not be asked for the dataset" in error.message


@pytest.mark.usefixtures("offline")
def test_neither_path_nor_hub_id(space: SpaceFile, refuses: Refuses) -> None:
    space.settings["model"]["path"] = "no/such/folder"
    refuses("model.path", "'no/such/folder' is neither a local path nor a Hub id")


@pytest.mark.usefixtures("offline")
def test_hub_id_with_its_commit_needs_no_network(space: SpaceFile) -> None:
    space.settings["model"] = {"path": "owner/model-name", "revision": "0123456789" * 4}
    loaded = space.load()
    assert not loaded.model.is_local
    assert loaded.model.revision == "0123456789" * 4


@pytest.mark.usefixtures("offline")
def test_cached_hub_model_is_pinned_to_its_commit(space: SpaceFile, tmp_path: Path) -> None:
    commit = "ab" * 20
    repository = tmp_path / "cache" / "models--owner--model-name"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    space.settings["model"]["path"] = "owner/model-name"
    assert space.load().model.revision == commit


def test_paths_of_data_are_never_pinned(space: SpaceFile) -> None:
    source = space.load().safety_tuning.instructions
    assert isinstance(source, DataSource)
    assert source.is_local
    assert source.revision is None
