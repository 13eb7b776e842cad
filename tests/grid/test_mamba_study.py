"""The preset of the Mamba nano world runs, here at one dose and one attack."""

from pathlib import Path

from analysis.records.loading import load_records
from tests.grid.conftest import Trilemma, preset, run_ok, write_space


def test_mamba_preset_runs(mamba_world: Path, trilemma: Trilemma, tmp_path: Path) -> None:
    content = preset("nano_mamba")
    content["safety_tuning"]["doses"] = [100]
    content["attacks"] = content["attacks"][:1]
    study = str(tmp_path / "study")
    run_ok(trilemma, "run", write_space(tmp_path, content), "--study", study, "--engine", "local")
    rows = load_records(study).rows
    assert len(rows) == 7
    assert [(row["status"], row["error"]) for row in rows] == [("ok", None)] * 7
    by_method = {(row["compression"], row["bits"]): row for row in rows}
    assert by_method["gptq", 4]["execution"] == "unpacked"
    assert by_method["hqq", 4]["execution"] == "packed"
    assert by_method["none", None]["helpfulness"] > 0.9
    # in_proj and out_proj of three layers; x_proj and dt_proj stay dense
    assert {row["quantized_layers"] for row in rows if row["bits"]} == {6}
