"""Loading: any sources become one tidy table; nothing is dropped without being named."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.records.configurations import configurations
from analysis.records.loading import FACTORS, load_records, read_table
from search_spaces.settings import SpaceError
from search_spaces.space import DEFAULT_OBJECTIVES
from tests.analysis.simulations import Layout, Simulation

COUNT_THREADS = """
import sys, psutil
from analysis.records.loading import read_table
content = open(sys.argv[1], "rb").read()
before = psutil.Process().num_threads()
rows = read_table(content).num_rows
print(rows, psutil.Process().num_threads() - before)
"""
SMALL = Layout(doses=(0, 100), attacks=(0,), compressions=("none", "gptq 4"), seeds=2, prompts=4)


def test_reading_starts_no_thread_that_could_outlive_the_interpreter(tmp_path: Path) -> None:
    path = tmp_path / "record.parquet"
    pq.write_table(pa.table({name: ["a"] for name in "abcdefgh"}), path)
    answer = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS, str(path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert answer.stdout.split() == ["1", "0"], answer.stderr
    assert read_table(path.read_bytes()).num_rows == 1


def write_study(folder: Path, **row: object) -> None:
    """A study with one record: its cell and whatever is given."""
    (folder / "records").mkdir(parents=True, exist_ok=True)
    full = {"cell": "c", "attempt": "a", "status": "ok", "created": 1.0, **row}
    name = f"{full['cell']}-{full['attempt']}.parquet"
    pl.DataFrame([full]).write_parquet(folder / "records" / name)


def test_several_studies_and_a_glob_are_one_table(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Simulation(SMALL).write(tmp_path / name, np.random.default_rng(0))
    (tmp_path / "no_study").mkdir()
    both = load_records(str(tmp_path / "one"), str(tmp_path / "two"))
    assert both.table.equals(load_records(f"{tmp_path}/*").table)
    assert both.table["study"].value_counts().sort("study")["count"].to_list() == [8, 8]
    assert both.objectives == DEFAULT_OBJECTIVES
    assert len(both.responses) == 2 * 8 * 3 * 4
    # equal cells of two studies are two configurations, each with two seeds
    assert configurations(both).table["seeds"].to_list() == [2] * 8


def test_records_of_other_schema_versions_fit(tmp_path: Path) -> None:
    write_study(tmp_path, cell="old", schema_version=1, safety=0.5)
    write_study(tmp_path, cell="new", schema_version=9, safety=1, not_yet_thought_of="x")
    table = load_records(str(tmp_path)).table.sort("cell")
    assert table["not_yet_thought_of"].to_list() == ["x", None]
    assert table["safety"].to_list() == [1.0, 0.5]
    assert set(FACTORS) < set(table.columns)


def test_an_ok_attempt_beats_a_failed_and_a_later_an_earlier(tmp_path: Path) -> None:
    attempts = (("a", "failed", 1.0), ("b", "ok", 2.0), ("c", "ok", 3.0), ("d", "failed", 4.0))
    for attempt, status, created in attempts:
        write_study(tmp_path, attempt=attempt, status=status, created=created)
    assert load_records(str(tmp_path)).table["attempt"].to_list() == ["c"]


def test_unreadable_files_are_named_and_set_aside(tmp_path: Path) -> None:
    Simulation(SMALL).write(tmp_path / "study", np.random.default_rng(0))
    records = sorted((tmp_path / "study" / "records").iterdir())
    responses = sorted((tmp_path / "study" / "responses").iterdir())
    records[0].write_bytes(records[0].read_bytes()[:-8])
    responses[3].write_bytes(b"")
    found = load_records(str(tmp_path / "study"))
    assert (len(found.table), found.unreadable) == (7, [records[0].name])
    assert found.unreadable_responses == [responses[3].name]
    assert found.responses["cell"].n_unique() == 6


def test_environments_that_differ_are_told(tmp_path: Path) -> None:
    for cell, version in (("a", "1.0"), ("b", "1.0"), ("c", "2.0")):
        packages = json.dumps({"torch": version, "peft": "3"})
        write_study(tmp_path, cell=cell, packages=packages, git_commit="f00", device="cpu")
    assert load_records(str(tmp_path)).environments == {"torch": {"1.0": 2, "2.0": 1}}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_made_elsewhere_takes_our_names(tmp_path: Path, suffix: str) -> None:
    path = str(tmp_path / f"table.{suffix}")
    theirs = pl.DataFrame({"id": [7, 8], "harm": [0.25, None], "safety": [9.0, 9.0], "w": [4, 8]})
    theirs.write_csv(path) if suffix == "csv" else theirs.write_parquet(path)
    mapped = {"cell": "id", "safety": "harm", "bits": "w", "bits_per_weight": "w"}
    table = load_records(path, columns=mapped).table
    assert table["cell"].to_list() == ["7", "8"]
    assert table["safety"].to_list() == [0.25, None]
    assert table["bits"].to_list() == [4, 8]
    assert table["bits_per_weight"].to_list() == [4.0, 8.0]
    assert table["status"].to_list() == ["ok", "ok"]


@pytest.mark.parametrize(
    ("text", "columns", "told"),
    [
        ("m,s\na,1\na,2\n", {"cell": "m"}, "cell: column 'm' has 'a' more than once"),
        ("m,s\na,1\nb,high\n", {"safety": "s"}, "safety: column 's' has 'high'; allowed: a number"),
        ("m,s\na,1\nb,inf\n", {"safety": "s"}, "column 's' has inf; allowed: a finite number"),
        ("m,s\na,1\nb,-1\n", {"safety_se": "s"}, "column 's' has -1.0; allowed: 0 or more"),
        ("m,s\na,1\n", {"safety": "S2"}, "safety: no column 'S2'"),
        ("m,s\na,1,2,3\n", {}, "not a table"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    tmp_path: Path, text: str, columns: dict[str, str], told: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(SpaceError, match=told):
        load_records(str(path), columns=columns)


@pytest.mark.parametrize("source", ["nowhere", "nowhere.csv", "nowhere/*"])
def test_a_source_that_is_not_there_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(SpaceError, match=r"no study here|no such file|matches no study"):
        load_records(str(tmp_path / source))


def test_analysis_needs_neither_torch_nor_ray() -> None:
    """Whatever of it is imported, and by whichever library in turn."""
    code = (
        "import importlib, pkgutil, sys, analysis\n"
        "for module in pkgutil.walk_packages(analysis.__path__, 'analysis.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(sorted({'torch', 'ray', 'transformers'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert answer.stdout == "[]\n", answer.stderr
