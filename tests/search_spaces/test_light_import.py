"""Reading a search space needs none of the libraries that take seconds to import."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PROGRAM = """
import sys
import search_spaces.loading, search_spaces.cells, search_spaces.contents, grid.plan
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("library", ["torch", "ray", "transformers"])
def test_planning_imports_no_heavy_library(library: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    imported = done.stdout.split()
    assert "search_spaces" in imported, done.stderr
    assert library not in imported
