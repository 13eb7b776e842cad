"""Exported models: a stranger who follows their cards gets the recorded answers."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import grid.export
from grid.export import export_cell
from grid.plan import PlannedCell
from grid.study import Study
from search_spaces.compressions import calibrations_of
from search_spaces.contents import UNBUILT, content_of
from search_spaces.settings import SpaceError
from tests.grid.export_cases import (
    PROMPTS,
    Case,
    ask_stranger,
    calibrated,
    export_all,
    label_of,
    run_study,
    small_space,
)

METHODS = (
    "none", "llm.int8", "nf4 dq", "fp4 dq", "gptq 4 g32", "awq 4 g32", "rtn 4 g32", "int8_dynamic",
    "fp8", "hqq 4 g32", "magnitude 50%", "wanda 50%", "sparsegpt 50%", "sparsegpt 50% + gptq 4 g32",
)  # fmt: skip
RELEASES = ("nf4 dq", "gptq 4 g32", "magnitude 50%")
ATTACKED = "harmful_finetuning"
LABELS = (
    *(f"{method}, {ATTACKED}" for method in METHODS),
    *(f"{method}, none" for method in RELEASES),
    *(f"{method}, {ATTACKED} on the release" for method in RELEASES),
    f"published, {ATTACKED}",
)
G32 = {"bits": 4, "group_size": 32}


@pytest.fixture(scope="module")
def methods_study(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One compression of each method, after an attack; compressed weights are not kept."""
    folder = tmp_path_factory.mktemp("methods")
    content = small_space(folder)
    sparsegpt = calibrated(folder, method="sparsegpt")
    gptq = calibrated(folder, method="gptq", **G32)
    content["attacks"] = content["attacks"][1:]
    content["compressions"] = [
        {"method": "none"},
        {"method": "bitsandbytes", "bits": 8},
        {"method": "bitsandbytes", "bits": 4},
        {"method": "bitsandbytes", "bits": 4, "data_type": "fp4"},
        gptq,
        calibrated(folder, method="awq", **G32),
        {"method": "rtn", **G32},
        {"method": "int8_dynamic"},
        {"method": "fp8"},
        {"method": "hqq", **G32},
        {"method": "magnitude"},
        calibrated(folder, method="wanda"),
        sparsegpt,
        {"method": "stacked", "steps": [sparsegpt, gptq]},
    ]
    return run_study(folder, content)


@pytest.fixture(scope="module")
def releases_study(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Both orders, with and without an attack; compressed weights are kept."""
    folder = tmp_path_factory.mktemp("releases")
    content = small_space(folder, keep_compressed=True)
    content["orders"] = ["attack_then_compress", "compress_then_attack"]
    content["compressions"] = [
        {"method": "bitsandbytes", "bits": 4},
        calibrated(folder, method="gptq", **G32),
        {"method": "magnitude"},
    ]
    return run_study(folder, content)


@pytest.fixture(scope="module")
def cases(
    methods_study: Study, releases_study: Study, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Case]:
    """Every cell of both studies, exported, and one of a study of an exported model."""
    folder = tmp_path_factory.mktemp("exported")
    cases = export_all(methods_study, folder)
    again = export_all(releases_study, folder / "releases")
    # an attack after the release leaves the other order's cells as they are
    cases |= {label: case for label, case in again.items() if label not in cases}
    published = tmp_path_factory.mktemp("published")
    content = small_space(published, compressions=[{"method": "none"}])
    content["model"]["path"] = str(cases["nf4 dq, none"].found.folder)
    content["attacks"] = content["attacks"][1:]
    (case,) = export_all(run_study(published, content), folder / "published").values()
    return cases | {f"published, {ATTACKED}": case}


@pytest.fixture(scope="module")
def heard(cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a stranger hears from each folder."""
    questions = {
        str(case.found.folder): [[prompt for prompt, _ in rows] for rows in case.recorded]
        for case in cases.values()
    }
    return ask_stranger(tmp_path_factory.mktemp("elsewhere"), questions)


@pytest.mark.parametrize("label", LABELS)
def test_a_stranger_gets_the_recorded_answers(
    cases: dict[str, Case], heard: dict[str, Any], label: str
) -> None:
    case = cases[label]
    answers = [[answer for _, answer in rows] for rows in case.recorded]
    assert heard[str(case.found.folder)] == answers
    assert sum(map(len, answers)) == sum(PROMPTS.values()) == 20


@pytest.mark.parametrize("label", LABELS)
def test_the_export_itself_asked_again(cases: dict[str, Case], label: str) -> None:
    found = cases[label].found
    assert (found.same_answers, found.prompts) == (20, 20)
    assert "gave 20 of 20 answers as recorded" in cases[label].card


def test_every_cell_was_exported(cases: dict[str, Case]) -> None:
    assert set(cases) == set(LABELS)


@pytest.mark.parametrize("method", RELEASES)
def test_an_attack_on_a_release_ships_beside_it(cases: dict[str, Case], method: str) -> None:
    release, attacked = cases[f"{method}, none"], cases[f"{method}, {ATTACKED} on the release"]
    assert release.recorded != attacked.recorded  # else a forgotten adapter would go unnoticed
    assert _names(attacked) == _names(release) | {"adapter"}
    for file in release.found.folder.glob("*.safetensors"):
        assert (attacked.found.folder / file.name).read_bytes() == file.read_bytes()


def test_adapters_of_a_published_model_are_all_put_on(cases: dict[str, Case]) -> None:
    case = cases[f"published, {ATTACKED}"]
    assert (case.found.folder / "adapter").is_dir()
    assert (case.found.folder / "adapter2").is_dir()
    assert case.recorded != cases["nf4 dq, none"].recorded


@pytest.mark.parametrize("label", LABELS)
def test_no_file_names_a_folder_of_this_machine(cases: dict[str, Case], label: str) -> None:
    case = cases[label]
    own = str(Path(case.study.space.model.path).parent)
    for file in case.found.folder.rglob("*"):
        if file.suffix in (".json", ".md", ".csv", ".jinja"):
            text = file.read_text(encoding="utf-8")
            assert own not in text
            assert case.study.storage.root not in text


@pytest.mark.parametrize("label", LABELS)
def test_the_card_says_what_the_model_is(cases: dict[str, Case], label: str) -> None:
    card = cases[label].card
    _, front, body = card.split("---\n", 2)
    assert set(yaml.safe_load(front)) == {"library_name", "pipeline_tag", "tags"}
    attacked = ATTACKED in label
    assert ("Do not deploy it" in body) == attacked
    assert ("not-for-all-audiences" in yaml.safe_load(front)["tags"]) == attacked
    assert "None" not in body.partition("## How to load it")[0]
    for line in body.split("## How to load it")[0].splitlines():
        cells = line.count("|") - line.count("\\|")
        assert cells in (0, 3, 6), line  # tables of two and of five columns


def test_the_card_gives_costs_with_units_and_spread(cases: dict[str, Case]) -> None:
    card = cases[f"gptq 4 g32, {ATTACKED}"].card
    assert re.search(r"\| weight files \| [\d,]+ bytes \|", card)
    assert re.search(
        r"\| decoding, batch 1 \| [\d,.]+ tokens/s \(median; quartiles .+ apart\)", card
    )
    assert "They stay packed while the model runs." in card


def test_weights_that_were_kept_are_all_that_is_read(
    releases_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compress(*_: object) -> None:
        raise AssertionError("compressed again")

    monkeypatch.setattr("trainables.compression.compress", compress)
    monkeypatch.setattr(grid.export, "content_of", lambda _: "changed")
    cell = _cell(releases_study, f"gptq 4 g32, {ATTACKED}")
    assert export_cell(releases_study, cell.id, tmp_path / "to").same_answers == 20


def test_weights_that_were_not_kept_are_compressed_again(
    methods_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compress(*_: object) -> None:
        raise InterruptedError("compressed again")

    monkeypatch.setattr("trainables.compression.compress", compress)
    cell = _cell(methods_study, f"gptq 4 g32, {ATTACKED}")
    with pytest.raises(InterruptedError):
        export_cell(methods_study, cell.id, tmp_path / "to")


def test_calibration_rows_that_are_gone_are_named(
    methods_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = _cell(methods_study, f"sparsegpt 50% + gptq 4 g32, {ATTACKED}")
    (source,) = calibrations_of(cell.cell.compression)[0].data
    monkeypatch.setattr(
        grid.export, "content_of", lambda s: UNBUILT if s == source else content_of(s)
    )
    with pytest.raises(SpaceError, match="is gone or has changed; put it back") as refused:
        export_cell(methods_study, cell.id, tmp_path / "to")
    assert source.path in refused.value.message
    assert not (tmp_path / "to").exists()


def test_an_export_is_there_whole_or_not_at_all(
    releases_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def killed(*_: object) -> None:
        # SIGKILL would leave just this
        seen.append([path.name for path in tmp_path.iterdir()])
        raise KeyboardInterrupt

    monkeypatch.setattr(grid.export, "_compare", killed)
    with pytest.raises(KeyboardInterrupt):
        export_cell(releases_study, releases_study.plan.cells[0].id, tmp_path / "to")
    ((left,),) = seen
    assert left.startswith("to.unfinished-")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert export_cell(releases_study, releases_study.plan.cells[0].id, tmp_path / "to")


def _names(case: Case) -> set[str]:
    return {path.name for path in case.found.folder.iterdir()}


def _cell(study: Study, label: str) -> PlannedCell:
    return next(cell for cell in study.plan.cells if label_of(cell) == label)
