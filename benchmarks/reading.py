"""How long reading a study takes, at the sizes analysis is meant for.

    python benchmarks/reading.py

Loads 100,000 records from one table and 2,000 from a file each, and draws 2,000 replicates of 500
configurations on 3 objectives from their answers to 128 prompts of 3 seeds, with their fronts.
Prints a Markdown table: the median of five runs, and beside it the same by plain Python or by one
call a replicate, which is what there was before.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import moocore
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))

from analysis.fronts.uncertain import uncertain_front
from analysis.records.loading import load_records
from analysis.uncertainty.draws import draw
from grid.records import RECORD_SCHEMA
from search_spaces.metrics import PROMPT_SETS
from tests.analysis.simulations import Layout, Simulation, Truth

RUNS = 5
RECORDS = 100_000
FILES = 2_000
REPLICATES = 2_000
LAYOUT = Layout(
    doses=tuple(range(10)),
    attacks=tuple(range(10)),
    compressions=("none", "llm.int8", "nf4", "gptq 4", "gptq 3"),
)
"""500 configurations, three seeds, 128 prompts."""


def main() -> None:
    """Measure and print."""
    rows = [*loading(), *drawing()]
    print("| what | seconds | by hand | ratio |\n|---|---|---|---|")
    for what, seconds, slow in rows:
        told = f"{slow:.2f} | {slow / seconds:.1f}" if slow else " | "
        print(f"| {what} | {seconds:.2f} | {told} |")


def loading() -> list[tuple[str, float, float | None]]:
    """Seconds to load records, and to read the same as Python objects."""
    with tempfile.TemporaryDirectory() as folder:
        table = records(RECORDS)
        whole, single = Path(folder, "whole"), Path(folder, "single")
        for study in (whole, single):
            (study / "records").mkdir(parents=True)
        pq.write_table(table, whole / "records" / "compacted-1.parquet")
        for number in range(FILES):
            path = single / "records" / f"{number:016x}-aaaaaaaa.parquet"
            pq.write_table(table.slice(number, 1), path)
        one, many = str(whole), str(single)
        by_hand = timed(lambda: pq.read_table(whole / "records").to_pylist(), runs=1)
        return [
            (f"{RECORDS:,} records, compacted", timed(lambda: load_records(one)), by_hand),
            (f"{FILES:,} records, a file each", timed(lambda: load_records(many)), None),
        ]


def records(count: int) -> pa.Table:
    """Records with every column filled."""
    rng = np.random.default_rng(0)
    columns = {}
    for field in RECORD_SCHEMA:
        if field.type == pa.string():
            columns[field.name] = pa.array([f"x{number % 50}" for number in range(count)])
        else:
            columns[field.name] = pa.array(rng.integers(0, 9, count)).cast(field.type)
    columns["cell"] = pa.array([f"{number:016x}" for number in range(count)])
    columns["status"] = pa.array(["ok"] * count)
    columns["packages"] = pa.array(["{}"] * count)
    return pa.table(columns, schema=RECORD_SCHEMA)


def drawing() -> list[tuple[str, float, float | None]]:
    """Seconds to draw, to find every replicate's front, and to sum both up."""
    rng = np.random.default_rng(0)
    truths = {name: Truth(interaction=rng.normal(0, 1, LAYOUT.shape)) for name in PROMPT_SETS}
    study = Simulation(LAYOUT, truths).records(rng)
    metrics = [objective.metric for objective in study.objectives]
    drawn = draw(study, metrics, REPLICATES)
    assert len(drawn.configurations) == 500
    points = -np.stack([drawn.values[metric] for metric in metrics], axis=-1)
    sets = np.repeat(np.arange(REPLICATES), points.shape[1])
    flat = points.reshape(-1, len(metrics))
    size = f"{REPLICATES:,} x 500 x {len(metrics)}"
    return [
        (f"replicates, {size}", timed(lambda: draw(study, metrics, REPLICATES)), None),
        (
            f"their fronts, {size}",
            timed(lambda: moocore.is_nondominated_within_sets(flat, sets)),
            timed(lambda: [by_definition(one) for one in points[:20]], runs=1) * REPLICATES / 20,
        ),
        (
            "probabilities, knees, contributions, hypervolumes",
            timed(lambda: uncertain_front(drawn, study.objectives)),
            None,
        ),
    ]


def by_definition(points: np.ndarray) -> np.ndarray:
    """Which points no other dominates, by comparing all pairs."""
    no_worse = (points[:, None] <= points).all(axis=2)
    better = (points[:, None] < points).any(axis=2)
    return ~(no_worse & better).any(axis=0)


def timed(work: Callable[[], object], runs: int = RUNS) -> float:
    """Median wall seconds."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


if __name__ == "__main__":
    main()
