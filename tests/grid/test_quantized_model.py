"""A quantized checkpoint that somebody published, as the model of a study."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.records.loading import load_records
from grid.worlds import world_folder
from search_spaces.compressions import Gptq, NoCompression
from search_spaces.contents import content_of
from search_spaces.loading import load_space
from search_spaces.rows import Row
from search_spaces.settings import SpaceError
from search_spaces.sources import DataSource, ModelSource
from search_spaces.training import Lora, Training
from tests.grid.conftest import Trilemma, preset, run_ok, write_space
from trainables.checkpoint import WEIGHTS, Checkpoint
from trainables.compression import compress
from trainables.evaluation.efficiency import bytes_on_disk
from trainables.finetuning import finetune
from trainables.linear_layers import quantized_layers
from trainables.models import load_checkpoint, ships_as_it_is

AUTOGPTQ = ("bits", "group_size", "damp_percent", "desc_act", "static_groups", "sym",
            "true_sequential")  # fmt: skip
"""What AutoGPTQ before 0.7 wrote into quantize_config.json."""


@pytest.fixture(scope="module")
def published(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The nano model in GPTQ's 4 bits, in a folder as a publisher leaves it."""
    made, folder = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("published") / "gptq"
    rows = DataSource(path=str(world / "data" / "heldout_text.jsonl"))
    rows = rows.model_copy(update={"columns": rows.columns.model_copy(update={"prompt": "text"})})
    settings = Gptq.model_validate(
        {"method": "gptq", "bits": 4, "group_size": 32,
         "calibration": {"data": rows, "samples": 64, "max_tokens": 64, "seed": 0}}
    )  # fmt: skip
    compress(settings, Checkpoint(ModelSource(path=str(world / "model"))), made)
    shutil.copytree(made / WEIGHTS, folder)
    return folder


@pytest.fixture(scope="module")
def autogptq(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as old AutoGPTQ wrote it: config.json tells nothing of the quantization."""
    folder = tmp_path_factory.mktemp("autogptq") / "model"
    shutil.copytree(published, folder)
    (folder / "model.safetensors").rename(folder / "gptq_model-4bit-32g.safetensors")
    config = json.loads((folder / "config.json").read_text())
    held = config.pop("quantization_config")
    (folder / "config.json").write_text(json.dumps(config))
    written = {"damp_percent": 0.01, "static_groups": False, "true_sequential": True} | held
    old = {name: written[name] for name in AUTOGPTQ}
    (folder / "quantize_config.json").write_text(json.dumps(old))
    return folder


def space_of(model: Path, world: Path, **changed: Any) -> dict[str, Any]:
    """Two doses x with and without an attack of the nano preset, on a user's own model."""
    text = json.dumps(preset("nano")).replace('"data/', f'"{world}/data/')
    content: dict[str, Any] = json.loads(text)
    del content["embedded"]
    content["model"] = {"path": str(model), "dtype": "bfloat16"}
    content["safety_tuning"]["doses"] = [0, 300]
    content["attacks"] = content["attacks"][:2]
    content["compressions"] = [{"method": "none"}]
    return content | changed


def test_a_published_gptq_model_is_swept_like_any_other(
    published: Path, world: Path, trilemma: Trilemma, tmp_path: Path
) -> None:
    before = content_of(ModelSource(path=str(published)))
    study = str(tmp_path / "study")
    space = write_space(tmp_path, space_of(published, world))
    run_ok(trilemma, "run", space, "--study", study, "--engine", "local")
    rows = {(row["safety_examples"], row["attack"]): row for row in load_records(study).rows}
    assert len(rows) == 4
    for row in rows.values():
        assert (row["status"], row["error"]) == ("ok", None)
        assert (row["execution"], row["compression"]) == ("packed", "none")
        assert row["quantized_layers"] == 14
        # 4 bits, scales in 16, zeros in 4 and an index in 32 for each group or input
        assert 4.5 < row["bits_per_weight"] < 5.5
        assert row["helpfulness"] > 0.5
    assert rows[300, "none"]["refusal"] > rows[0, "none"]["refusal"] + 0.2
    assert rows[300, "harmful_finetuning"]["refusal"] < rows[300, "none"]["refusal"]
    # one adapter ships beside the weights after tuning, a second one after the attack
    whole = bytes_on_disk(published)
    adapter = rows[0, "none"]["weights_bytes_disk"] - whole
    assert adapter > 10_000
    for dose in (0, 300):
        assert rows[dose, "none"]["weights_bytes_disk"] == whole + adapter
        assert rows[dose, "harmful_finetuning"]["weights_bytes_disk"] == whole + 2 * adapter
    assert content_of(ModelSource(path=str(published))) == before


@pytest.mark.parametrize("form", ["published", "autogptq"])
def test_either_form_loads_packed_and_trains(
    form: str, request: pytest.FixtureRequest, published: Path, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(form)
    files = content_of(ModelSource(path=str(folder)))
    checkpoint = stored_as(folder)
    assert ships_as_it_is(checkpoint)
    model = load_checkpoint(checkpoint)
    assert set(quantized_layers(model).values()) == {4}
    assert torch.equal(logits(model), logits(load_checkpoint(stored_as(published))))
    training = Training(adapter=Lora(rank=2), epochs=2, learning_rate=1e-2, max_tokens=64)
    finetune(checkpoint, [Row("what ?", "use wire then spin")] * 8, training, tmp_path, seed=0)
    tuned = checkpoint.extended(tmp_path)
    assert len(tuned.adapters) == 1
    assert not torch.equal(logits(load_checkpoint(tuned)), logits(model))
    assert content_of(ModelSource(path=str(folder))) == files


def stored_as(folder: Path) -> Checkpoint:
    return Checkpoint(ModelSource(path=str(folder)))


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=torch.arange(5, 25)[None]).logits
    return found


@pytest.mark.parametrize("form", ["published", "autogptq"])
@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        (
            {"compressions": [{"method": "none"}, {"method": "bitsandbytes", "bits": 4}]},
            "compressions[1].method",
            "the model is quantized already (gptq); allowed: none",
        ),
        (
            {"compressions": [{"method": "magnitude", "sparsity": 0.5}]},
            "compressions[0].method",
            "the model is quantized already (gptq); allowed: none",
        ),
        (
            {"safety_tuning": {"training": {"adapter": "full"}}},
            "safety_tuning.training.adapter",
            "the model is quantized already (gptq); give LoRA settings, not 'full'",
        ),
    ],
    ids=["quantize", "prune", "full"],
)
def test_what_it_does_not_allow_is_refused(
    form: str,
    request: pytest.FixtureRequest,
    world: Path,
    tmp_path: Path,
    changed: dict[str, Any],
    field: str,
    message: str,
) -> None:
    content = space_of(request.getfixturevalue(form), world)
    changed = {name: within(content[name], value) for name, value in changed.items()}
    space = write_space(tmp_path, content | changed)
    with pytest.raises(SpaceError) as refused:
        load_space(space, world_folder)
    assert (refused.value.field, refused.value.message) == (field, message)


def within(value: Any, changed: Any) -> Any:
    """A section with some keys changed, or another list."""
    return value | changed if isinstance(value, dict) else changed


@pytest.mark.parametrize("form", ["published", "autogptq"])
def test_as_it_is_it_is_accepted(
    form: str, request: pytest.FixtureRequest, world: Path, tmp_path: Path
) -> None:
    model = request.getfixturevalue(form)
    space = load_space(write_space(tmp_path, space_of(model, world)), world_folder)
    assert space.model.path == str(model)


@pytest.mark.parametrize("name", ["config.json", "quantize_config.json", "*.safetensors"])
def test_all_that_it_is_made_of_is_in_its_content(
    autogptq: Path, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(autogptq, copy)
    assert content_of(ModelSource(path=str(copy))) == content_of(ModelSource(path=str(autogptq)))
    (file,) = copy.glob(name)
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    assert content_of(ModelSource(path=str(copy))) != content_of(ModelSource(path=str(autogptq)))


def test_its_layers_are_counted_though_nothing_is_compressed(
    published: Path, tmp_path: Path
) -> None:
    facts = compress(NoCompression(), stored_as(published), tmp_path)
    assert facts.quantized_layers == 14
    assert facts.zero_fraction is not None
    assert not list(tmp_path.iterdir())
