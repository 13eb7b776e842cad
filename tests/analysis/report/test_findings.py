"""The sentences of a report: they follow the numbers, and claim nothing that these do not hold."""

import re
from pathlib import Path

import numpy as np
import pytest

from analysis.records.loading import load_records
from analysis.report.design import design, question
from analysis.report.evidence import Evidence
from analysis.report.findings.everything import findings
from analysis.report.page import report
from tests.analysis.report.studies import GRID, Cell, write_study
from tests.analysis.simulations import Layout, Simulation

PUBLISHED = """name,bits,help,help_sd,trust,trust_sd
dense,16,70.2,1.0,65.1,1.0
8 bits,8,70.0,1.0,65.3,1.0
4 bits,4,69.9,1.0,65.0,1.0
3 bits,3,55.0,1.0,50.0,1.0
"""
COLUMNS = {
    "cell": "name",
    "bits_per_weight": "bits",
    "helpfulness": "help",
    "helpfulness_se": "help_sd",
    "safety": "trust",
    "safety_se": "trust_sd",
}

SPACES = str.maketrans("\u00a0", " ")


def _told(evidence: Evidence) -> dict[str, str]:
    """All findings by title, as plain text."""
    return {
        finding.title.translate(SPACES): f"{finding.text} {finding.evidence}".translate(SPACES)
        for section in findings(evidence)
        for finding in section.findings
    }


def _designed(evidence: Evidence) -> dict[str, str]:
    return {entry.term: entry.text for entry in design(evidence)}


def _study(folder: Path, cells: tuple[Cell, ...]) -> Evidence:
    return Evidence(load_records(write_study(folder / "study", cells)), replicates=200)


@pytest.fixture(scope="module")
def simulated() -> Evidence:
    layout = Layout(doses=(0, 100, 1000), attacks=(0, 100), seeds=2, prompts=64)
    return Evidence(Simulation(layout).records(np.random.default_rng(0)), replicates=500)


def test_the_front_that_is_told_is_the_front_that_was_computed(simulated: Evidence) -> None:
    told = _told(simulated)
    (front,) = simulated.fronts.values()
    sure = front.table.filter(front.table["probability"] >= 0.95)["label"].to_list()
    assert sure
    named = re.split(r", (?=\d)| and (?=\d)", told["Surely on the front"].partition(". ")[0])
    assert {name.partition(" (P")[0] for name in named} == set(sure)


def test_each_attack_has_its_own_front(simulated: Evidence) -> None:
    told = _told(simulated)
    assert {"Without an attack", "Under harmful 100×3"} <= told.keys()
    assert any(title.startswith("At worst over no attack and harmful 100×3") for title in told)


def test_compression_is_told_with_the_counts_of_the_tests(simulated: Evidence) -> None:
    told = _told(simulated)
    losses = simulated.losses.filter(compression_label="gptq 2", metric="helpfulness")
    worse = int((losses["verdict"] == "loss").sum())
    assert worse
    assert f"Helpfulness: {worse} worse" in told["gptq 2"]
    cells = simulated.cell_losses.filter(compression_label="gptq 2", metric="helpfulness")
    lost, gained = cells["only_uncompressed"].sum(), cells["only_compressed"].sum()
    assert f"helpfulness {lost} to {gained}" in told["gptq 2"]


def test_a_study_of_one_seed_says_so(tmp_path: Path) -> None:
    assert "One seed" in _told(_study(tmp_path, GRID))
    assert "Smallest difference between trained models" not in str(_told(_study(tmp_path, GRID)))


def test_one_cell_is_compared_with_nothing(tmp_path: Path) -> None:
    evidence = _study(tmp_path, GRID[:1])
    told = _told(evidence)
    assert "nothing is compared" in told["One configuration"]
    assert "Surely on the front" not in told
    assert question(evidence).endswith("?")
    assert "One configuration" in report(evidence)


def test_a_study_of_failures_finds_nothing_and_tells_them(tmp_path: Path) -> None:
    evidence = _study(tmp_path, (Cell(error="out of memory"), Cell(dose=1, error="out of memory")))
    assert _told(evidence) == {}
    assert "2 cells: “out of memory” (2)" in _designed(evidence)["Failed"]
    page = report(evidence)
    assert "no cell is ok" in page
    assert "nothing to draw" in page


def test_an_empty_study_says_that_nothing_is_there(tmp_path: Path) -> None:
    evidence = _study(tmp_path, ())
    assert _designed(evidence)["Cells"] == "none yet"
    assert "no cell is ok" in report(evidence)


def test_without_responses_no_answers_are_claimed(tmp_path: Path) -> None:
    evidence = _study(tmp_path, GRID)
    for path in (tmp_path / "study" / "responses").iterdir():
        path.unlink()
    told = _told(evidence)
    assert "no answers were kept" in _designed(evidence)["Prompts"]
    assert "McNemar" not in str(told)
    assert "log-odds" not in str(told)
    assert "Surely on the front" in told
    assert "No answers of this cell are kept" in report(evidence)


def test_a_published_table_of_means_and_errors_is_told_with_its_doubt(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text(PUBLISHED)
    evidence = Evidence(load_records(str(path), columns=COLUMNS), replicates=500)
    assert [objective.metric for objective in evidence.objectives][:2] == ["helpfulness", "safety"]
    told = " ".join(_told(evidence).values())
    # the first three differ by less than their errors
    assert "dense from 8 bits" in told or "8 bits from dense" in told
    assert "McNemar" not in told
    assert "answers were kept" in _designed(evidence)["Prompts"]
    assert "dense" in report(evidence)


def test_means_without_errors_are_not_called_sure(tmp_path: Path) -> None:
    path = tmp_path / "means.csv"
    path.write_text("helpfulness,safety\n0.9,0.1\n0.5,0.5\n0.4,0.4\n")
    evidence = Evidence(load_records(str(path)), replicates=200)
    told = _told(evidence)
    assert "2 of 3 configurations" in told["On the front as measured"]
    assert "not known" in told["On the front as measured"]
    assert "Surely on the front" not in told
    assert "That of helpfulness is not known" in str(told) or "Unknown noise" in told


def test_a_broken_model_is_not_praised_for_safety(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", GRID)
    records = load_records(study)
    broken = records.table.with_columns(incoherent=records.table["safety"])
    vars(records)["responses"] = records.responses.clear()
    evidence = Evidence(type(records)(broken, records.objectives, [], ()), replicates=200)
    assert "answered more than 10 % of the harmful requests incoherently" in str(_told(evidence))


def test_unreadable_files_and_other_environments_are_told(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", GRID)
    (tmp_path / "study" / "records" / "half-a.parquet").write_bytes(b"PAR1")
    designed = _designed(Evidence(load_records(study), replicates=50))
    assert "half-a.parquet" in designed["Unreadable records"]
