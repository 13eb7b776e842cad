"""The commands as a user types them: what they print, how they refuse, how they exit."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from analysis.fronts.uncertain import uncertain_fronts
from analysis.records.loading import load_records
from analysis.uncertainty.draws import draw
from grid.command_line.app import main
from grid.command_line.front_tables import front_table
from grid.records import RECORD_SCHEMA
from grid.study import create_study
from grid.worlds import world_folder
from search_spaces import methods
from search_spaces.families import Family
from search_spaces.loading import load_space
from search_spaces.methods import method_table
from search_spaces.metrics import Metric
from search_spaces.space import Objective
from tests.grid.conftest import ROOT, command, preset, write_space

HEAVY = ("torch", "ray", "transformers", "trl", "peft", "gptqmodel", "datasets")


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refusal(self) -> str:
        """The one line of an error that the user can mend."""
        assert self.code == 2, self
        assert self.out == ""
        assert self.err.startswith("error: ")
        assert self.err.count("\n") == 1
        assert self.err.endswith("\n")
        return self.err


Type = Callable[..., Answer]


@pytest.fixture
def type_in(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Type:
    """Types `trilemma ARGUMENTS`; the nano world is there."""

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["trilemma", *arguments])
        monkeypatch.setenv("COLUMNS", "100")
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Answer(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run


@pytest.fixture
def smoke_study(world: Path, tmp_path: Path) -> str:
    """A study of the smoke preset in which nothing ran yet."""
    root = str(tmp_path / "study")
    create_study(root, load_space("smoke", world_folder))
    return root


def smoke_with(folder: Path, change: Callable[[dict[str, Any]], None]) -> str:
    """The path of a YAML file with the smoke preset, changed."""
    content = preset("smoke")
    change(content)
    return write_space(folder, content)


def test_plan_of_nano_is_the_joint_grid(type_in: Type) -> None:
    answer = type_in("plan", "nano", "--json")
    summary = json.loads(answer.out)
    assert answer.code == 0
    assert summary["cells"] == 200
    assert summary["unique_stages"] == {
        "safety_tuning": 5,
        "attack": 25,
        "compression": 200,
        "evaluation": 200,
        "total": 430,
    }
    assert summary["missing_stages"] == summary["unique_stages"]
    assert summary["executions_without_sharing"] == 800
    assert summary["executions_saved"] == 370
    assert summary["estimated_stage_seconds"] is None
    assert summary["model_built"] is True


def test_plan_as_a_table_tells_the_same(type_in: Type) -> None:
    answer = type_in("plan", "nano")
    assert answer.code == 0
    assert "nano: 200 cells" in answer.out
    assert "Sharing saves 370 of 800 stage executions." in answer.out


def test_plan_needs_no_heavy_library(world: Path) -> None:
    script = (
        "import sys; sys.argv = ['trilemma', 'plan', 'nano', '--json']\n"
        "from grid.command_line.app import main\n"
        "try: main()\n"
        f"except SystemExit: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert json.loads(answer.stdout)["cells"] == 200
    assert answer.stderr.strip() == "[]"


def test_misspelt_preset_names_the_nearest(type_in: Type) -> None:
    refusal = type_in("plan", "nanoo").refusal()
    assert "nanoo" in refusal
    assert "did you mean 'nano'?" in refusal
    assert "smoke" in refusal


def test_misspelt_key_names_the_file_the_field_and_the_nearest(
    type_in: Type, tmp_path: Path
) -> None:
    space = smoke_with(tmp_path, lambda c: c["safety_tuning"].update(dozes=[0]))
    refusal = type_in("plan", space).refusal()
    assert refusal.startswith("error: space.yaml: safety_tuning.dozes: ")
    assert "'doses'" in refusal


def test_missing_file_is_named(type_in: Type, tmp_path: Path) -> None:
    space = smoke_with(
        tmp_path, lambda c: c["attacks"][1]["data"].update(path="data/missing.jsonl")
    )
    refusal = type_in("run", space, "--study", str(tmp_path / "study")).refusal()
    assert refusal.startswith("error: space.yaml: attacks[1].data")
    assert "missing.jsonl: no such file" in refusal
    assert not (tmp_path / "study").exists()


def test_impossible_bits_tell_what_is_allowed(type_in: Type, tmp_path: Path) -> None:
    bits = {"method": "bitsandbytes", "bits": 3}
    space = smoke_with(tmp_path, lambda c: c["compressions"].append(bits))
    refusal = type_in("plan", space).refusal()
    assert refusal.startswith("error: space.yaml: compressions[2].bits: 3 is refused")
    assert "8" in refusal
    assert "4" in refusal


def test_what_is_no_yaml_is_refused(type_in: Type, tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("name: [unclosed\nmodel: {")
    assert "space.yaml: not valid YAML" in type_in("plan", str(path)).refusal()


def test_study_of_another_space_is_refused(type_in: Type, smoke_study: str, tmp_path: Path) -> None:
    space = smoke_with(tmp_path, lambda c: c.update(seeds=[5]))
    refusal = type_in("run", space, "--study", smoke_study, "--engine", "local").refusal()
    assert "space.json: seeds: this study was made with another search space" in refusal


@pytest.mark.parametrize("verb", ["status", "front"])
@pytest.mark.parametrize("there", [True, False])
def test_folder_that_holds_no_study_is_refused(
    type_in: Type, tmp_path: Path, verb: str, there: bool
) -> None:
    folder = tmp_path if there else tmp_path / "nowhere"
    refusal = type_in(verb, str(folder)).refusal()
    assert f"{folder}: no study here" in refusal
    assert "trilemma run SPACE --study DIR" in refusal or verb == "front"
    assert there or not folder.exists()


def test_damaged_study_is_refused(type_in: Type, smoke_study: str) -> None:
    (Path(smoke_study) / "space.json").write_text('{"space": {"name": 1}}')
    assert "not a frozen search space" in type_in("status", smoke_study).refusal()


def test_options_of_the_other_engine_are_refused(type_in: Type, tmp_path: Path) -> None:
    study = str(tmp_path / "study")
    answer = type_in("run", "smoke", "--study", study, "--engine", "local", "--slots", "2")
    assert "--slots" in answer.refusal()


@pytest.mark.parametrize("verb", ["status", "serve"])
def test_a_file_is_no_study(type_in: Type, tmp_path: Path, verb: str) -> None:
    (tmp_path / "table.csv").write_text("safety\n1\n")
    assert "no study here" in type_in(verb, str(tmp_path / "table.csv")).refusal()


def test_report_does_not_overwrite_what_it_reads(type_in: Type, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("name,safety\na,0.5\n")
    answer = type_in("report", str(table), "--objective", "safety=max", "--to", str(table))
    assert "name another file" in answer.refusal()
    assert table.read_text().startswith("name,safety")


def test_world_over_a_file_is_refused(type_in: Type, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    assert "is a file" in type_in("nano", str(tmp_path / "taken")).refusal()


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_only_debug_shows_a_traceback(debug: list[str]) -> None:
    answer = subprocess.run(
        command("plan", "nanoo", *debug), capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert answer.returncode == (1 if debug else 2)
    assert ("Traceback" in answer.stderr) == bool(debug)
    assert "did you mean" in answer.stderr


def test_unforeseen_error_is_one_line_that_names_debug(type_in: Type, smoke_study: str) -> None:
    # a folder where the frozen space should be: nothing a user is told how to mend
    frozen = Path(smoke_study) / "space.json"
    frozen.unlink()
    frozen.mkdir()
    answer = type_in("status", smoke_study)
    assert answer.code == 1
    assert answer.err.startswith("error: IsADirectoryError: ")
    assert answer.err.count("\n") == 1
    assert "--debug" in answer.err


def test_status_and_front_of_a_study_that_has_not_run(type_in: Type, smoke_study: str) -> None:
    status = json.loads(type_in("status", smoke_study, "--json").out)
    assert status["cells"] == {"ok": 0, "failed": 0, "total": 8}
    assert status["stages"]["attack"] == {"done": 0, "total": 4}
    assert status["estimated_stage_seconds_left"] is None
    assert json.loads(type_in("front", smoke_study, "--json").out)["fronts"] == []
    assert "8 missing" in type_in("status", smoke_study).out
    assert "no front" in type_in("front", smoke_study).out


def test_unreadable_record_is_a_warning(type_in: Type, smoke_study: str) -> None:
    records = Path(smoke_study) / "records"
    records.mkdir()
    (records / "cut.parquet").write_bytes(b"PAR1")
    status = json.loads(type_in("status", smoke_study, "--json").out)
    assert status["unreadable_records"] == ["cut.parquet"]
    front = type_in("front", smoke_study)
    assert front.code == 0
    assert "records/cut.parquet is unreadable" in front.err


@pytest.mark.parametrize("verb", ["plan", "run", "status", "front", "export", "methods", "nano"])
def test_help_of_every_command_has_an_example(type_in: Type, verb: str) -> None:
    answer = type_in(verb, "--help")
    assert answer.code == 0
    assert f"Example: trilemma {verb} " in answer.out
    assert verb in type_in("--help").out


ROW: dict[str, Any] = {
    "cell": "0123",
    "attempt": "a",
    "created": 0.0,
    "status": "ok",
    "safety_examples": 300,
    "safety_form": "instruction",
    "attack": "harmful_finetuning",
    "attack_examples": 10,
    "attack_epochs": 3,
    "compression": "bitsandbytes",
    "compression_label": "nf4 dq",
    "calibration_seed": None,
    "order": "attack_then_compress",
    "seed": 0,
    "helpfulness": 0.75,
    "helpfulness_se": 0.125,
    "safety": 0.5,
    "safety_se": 0.0625,
    "weights_bytes_loaded": 97_900,
    "device": "cpu",
}


@pytest.fixture
def recorded(smoke_study: str) -> Callable[..., str]:
    """Writes records, each a change of ROW, to a study in which nothing ran."""

    def write(*changes: dict[str, Any]) -> str:
        for number, change in enumerate(changes):
            row = {**dict.fromkeys(RECORD_SCHEMA.names), **ROW, "cell": f"cell{number}", **change}
            folder = Path(smoke_study) / "records"
            folder.mkdir(exist_ok=True)
            pq.write_table(pa.Table.from_pylist([row], RECORD_SCHEMA), folder / f"{number}.parquet")
        return smoke_study

    return write


def test_front_names_the_order_where_it_varies(type_in: Type, recorded: Callable[..., str]) -> None:
    study = recorded({}, {"order": "compress_then_attack"})
    shown = type_in("front", study).out
    assert "Pareto front: 2 of 2 configurations" in shown
    assert "attack" in shown.splitlines()[3]
    assert [line.split()[-2] for line in shown.splitlines() if "nf4 dq" in line] == [
        "first",
        "last",
    ]
    (told,) = json.loads(type_in("front", study, "--json").out)["fronts"]
    assert [row["order"] for row in told["configurations"]] == [
        "attack_then_compress",
        "compress_then_attack",
    ]


def test_front_names_the_order_that_varies_in_the_study(
    type_in: Type, recorded: Callable[..., str]
) -> None:
    """A front of one order only must still say which."""
    worse = {"order": "compress_then_attack", "safety": 0.1, "weights_bytes_loaded": 10**9}
    shown = type_in("front", recorded({}, {**worse, "helpfulness": 0.1})).out
    assert "Pareto front: 1 of 2 configurations" in shown
    assert "first" in shown
    assert "last" not in shown


def test_front_of_all_names_every_cell(type_in: Type, recorded: Callable[..., str]) -> None:
    study = recorded({}, {"safety": 0.1}, {"status": "failed", "helpfulness": None})
    shown = type_in("front", study, "--all").out
    assert "2 ok cells" in shown
    assert "cell0" in shown
    assert "cell1" in shown
    assert "cell2" not in shown
    told = json.loads(type_in("front", study, "--all", "--json").out)
    assert sorted(row["cell"] for row in told["cells"]) == ["cell0", "cell1"]


def test_many_objectives_fit_80_characters(
    recorded: Callable[..., str],
) -> None:
    names: tuple[Metric, ...] = (
        "helpfulness", "safety", "weights_bytes_loaded", "weights_bytes_disk",
    )  # fmt: skip
    wanted = tuple(Objective(metric=name, direction="maximize") for name in names)
    long_label = {"compression_label": "gptq 4 g32 act-order", "weights_bytes_disk": 98_000}
    records = load_records(recorded(long_label))
    (front,) = uncertain_fronts(draw(records, names), wanted).values()
    console = Console(width=80)
    with console.capture() as captured:
        console.print(front_table(front, ""))
    shown = captured.get()
    assert "…" not in shown
    assert ".51-.99" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_front_leaves_out_what_does_not_vary(type_in: Type, recorded: Callable[..., str]) -> None:
    calibrated = {"compression_label": "gptq 4 g32", "calibration_seed": 0}
    shown = type_in("front", recorded({}, calibrated)).out
    assert "nf4 dq" in shown
    assert "gptq 4 g32" in shown
    assert "comes" not in shown
    assert "first" not in shown
    assert "seed" not in shown
    assert "#" not in shown


def test_calibration_seeds_repeat_a_configuration(
    type_in: Type, recorded: Callable[..., str]
) -> None:
    calibrated = [{"compression_label": "gptq 4 g32", "calibration_seed": seed} for seed in (7, 11)]
    study = recorded({}, *calibrated)
    (told,) = json.loads(type_in("front", study, "--json").out)["fronts"]
    assert [row["cell_ids"] for row in told["configurations"]] == [["cell1", "cell2"], ["cell0"]]
    every = type_in("front", study, "--all").out
    assert "calibration" in every
    assert [line.split()[-1] for line in every.splitlines() if "gptq 4 g32" in line] == ["7", "11"]


PUBLISHED = """method,trust,trust_sd,mmlu,mmlu_sd,bits
dense,72.7,1.0,53.6,0.4,16
GPTQ 8,73.0,1.0,53.6,0.4,8
GPTQ 4,72.9,1.0,52.1,0.4,4
GPTQ 3,58.5,1.0,45.5,0.4,3
AWQ 8,72.6,1.0,53.6,0.4,8
AWQ 4,73.0,1.0,53.4,0.4,4
AWQ 3,69.0,1.0,51.5,0.4,3
"""
"""LLaMA-2-13b-chat of Decoding Compressed Trust (arXiv 2403.15447): mean trust, MMLU."""
MAPPED = (
    "--column", "cell=method", "--column", "safety=trust", "--column", "safety_se=trust_sd",
    "--column", "bits_per_weight=bits", "--objective", "safety=max",
)  # fmt: skip


def test_published_table_is_a_front_with_probabilities(type_in: Type, tmp_path: Path) -> None:
    """What differs by less than its standard error is on the front, or could be."""
    (tmp_path / "published.csv").write_text(PUBLISHED)
    bits = ("--objective", "bits_per_weight=min")
    answer = type_in("front", str(tmp_path / "published.csv"), *MAPPED, *bits, "--json")
    (told,) = json.loads(answer.out)["fronts"]
    found = {row["label"]: row["probability"] for row in told["configurations"]}
    # all at 4 and more bits lie within .4 points
    assert set(found) == {"GPTQ 8", "GPTQ 4", "AWQ 4", "AWQ 3", "AWQ 8", "dense"}
    assert found["AWQ 3"] > 0.99
    assert 0.3 < found["GPTQ 4"] < 0.7
    assert 0.3 < found["AWQ 4"] < 0.7


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--column", "safety=trus"), "no column 'trus'; did you mean 'trust'?"),
        (("--column", "safety"), "'safety' is not of the form ours=theirs"),
        (("--objective", "safty=max"), "no such metric; did you mean 'safety'?"),
        (("--objective", "safety=up"), "'up' is neither max nor min"),
        (("--column", "safety=trust", "--column", "safety=bits"), "is given more than once"),
        ((), "name it with --column safety=THEIRS"),
    ],
)
def test_table_that_does_not_fit_is_refused(
    type_in: Type, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    (tmp_path / "published.csv").write_text(PUBLISHED)
    assert told in type_in("front", str(tmp_path / "published.csv"), *options).refusal()


def test_front_of_each_device(type_in: Type, recorded: Callable[..., str]) -> None:
    """The GPU's cell needs less memory and is better, and the CPU's still has its front."""
    better = {"device": "NVIDIA H200", "weights_bytes_loaded": 50_000, "safety": 0.9}
    worse_there = {"device": "NVIDIA H200", "weights_bytes_loaded": 60_000, "safety": 0.9}
    study = recorded({}, better, worse_there)
    shown = type_in("front", study).out
    assert "Pareto front on NVIDIA H200: 1 of 2 configurations" in shown
    assert "Pareto front on cpu: 1 of 1 configurations" in shown
    told = json.loads(type_in("front", study, "--json").out)
    fronts = {front["device"]: front["configurations"] for front in told["fronts"]}
    assert {device: rows[0]["cell_ids"] for device, rows in fronts.items()} == {
        "NVIDIA H200": ["cell1"],
        "cpu": ["cell0"],
    }


def test_methods_as_json_is_the_table(type_in: Type) -> None:
    answer = type_in("methods", "--json")
    assert answer.code == 0
    assert json.loads(answer.out) == [asdict(row) for row in method_table()]


def test_methods_as_a_table_tells_the_same(type_in: Type) -> None:
    answer = type_in("methods")
    assert answer.code == 0
    lines = {line.split()[0]: line.split() for line in answer.out.splitlines() if line.split()}
    for row in method_table():
        _, *cells = lines[row.method]
        widths = row.widths.split()
        assert cells[: len(widths)] == widths
        assert cells[len(widths)] == ("yes" if row.compress_then_attack else "no")
        marks = [cell for cell in cells[len(widths) + 1 :] if not cell.startswith("(")]
        marks = [mark.partition("(")[0] for mark in marks]
        assert marks == ["no" if reason else "yes" for reason in row.families.values()]
    told = " ".join(answer.out.split())
    for row in method_table():
        for reason in (*row.families.values(), *row.untrainable.values()):
            assert reason is None or reason in told
    assert "compress_then_attack" in told


def test_every_reason_of_the_methods_table_is_told_once_and_numbered(
    type_in: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Family(
        "odd",
        ("odd",),
        (),
        refused={"hqq": "its layers are round", "awq": "its layers are round", "rtn": "too flat"},
        untrainable={"gptq": "no gradient"},
    )
    monkeypatch.setattr(methods, "FAMILIES", (odd,))
    lines = [line.split() for line in type_in("methods").out.splitlines()]
    assert ["gptq", "8", "4", "3", "2", "yes", "(1)", "yes"] in lines
    assert ["awq", "8", "4", "3", "no", "no", "(2)"] in lines
    assert ["rtn", "8", "4", "3", "2", "no", "no", "(3)"] in lines
    assert ["hqq", "8", "4", "3", "2", "1", "no", "no", "(2)"] in lines
    notes = [" ".join(line) for line in lines if line and line[0].startswith("(")]
    assert notes == ["(1) no gradient", "(2) its layers are round", "(3) too flat"]


def test_methods_needs_no_heavy_library() -> None:
    script = (
        "import sys; sys.argv = ['trilemma', 'methods', '--json']\n"
        "from grid.command_line.app import main\n"
        "try: main()\n"
        f"except SystemExit: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert json.loads(answer.stdout)
    assert answer.stderr.strip() == "[]"


def test_plan_of_both_orders(type_in: Type) -> None:
    summary = json.loads(type_in("plan", "nano_order", "--json").out)
    assert summary["cells"] == 28
    # 18 cells of four stages and 10 of five, which share the compressions of 5 of the 18
    assert summary["executions_without_sharing"] == 18 * 4 + 10 * 5
    assert summary["unique_stages"] == {
        "safety_tuning": 1,
        "attack": 3 + 10,
        "compression": 18,
        "evaluation": 28,
        "total": 60,
    }


def test_order_that_a_method_cannot_have_is_refused(type_in: Type, tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["orders"] = ["compress_then_attack"]
        content["compressions"].append({"method": "fp8"})

    refusal = type_in("plan", smoke_with(tmp_path, change)).refusal()
    assert refusal.startswith("error: space.yaml: compressions[2].method: fp8 weights cannot be ")


def test_folder_with_other_data_is_no_nano_world(type_in: Type, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "instructions.json").write_text("mine")
    answer = type_in("nano", str(tmp_path))
    assert answer.code == 2
    assert answer.err == f"error: DIR: {tmp_path}/data holds other data; name another folder\n"
    assert (tmp_path / "data" / "instructions.json").read_text() == "mine"
    assert not (tmp_path / "model").exists()


def test_unknown_family_of_a_world_is_refused(type_in: Type, tmp_path: Path) -> None:
    refusal = type_in("nano", str(tmp_path / "world"), "--family", "gpt2").refusal()
    assert refusal == "error: nano: family: 'gpt2' is refused; allowed: 'llama' or 'mamba'\n"
    assert not (tmp_path / "world").exists()


def test_world_over_that_of_another_family_is_refused(type_in: Type, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama"}')
    refusal = type_in("nano", str(tmp_path), "--family", "mamba").refusal()
    assert refusal == f"error: DIR: {tmp_path} holds a llama model; name another folder\n"


def test_presets_that_help_names_are_there(type_in: Type) -> None:
    answer = type_in("plan", "--help")
    for name in ("nano", "smoke"):
        assert name in answer.out
        assert preset(name)["name"] == name
