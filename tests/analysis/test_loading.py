"""Reading records is safe at the end of a process."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

COUNT_THREADS = """
import sys, psutil
from analysis.loading import read_table
content = open(sys.argv[1], "rb").read()
before = psutil.Process().num_threads()
rows = read_table(content).num_rows
print(rows, psutil.Process().num_threads() - before)
"""


def test_reading_starts_no_thread_that_could_outlive_the_interpreter(tmp_path: Path) -> None:
    path = tmp_path / "record.parquet"
    pq.write_table(pa.table({name: ["a"] for name in "abcdefgh"}), path)
    answer = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS, str(path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert answer.stdout.split() == ["1", "0"], answer.stderr
