"""Where a result came from: package versions, git commit, Python."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "trilemma", "torch", "transformers", "trl", "peft", "bitsandbytes", "gptqmodel", "hqq",
    "llmcompressor", "compressed-tensors", "optimum", "ray", "accelerate", "datasets", "numpy",
    "tokenizers",
)  # fmt: skip


@cache
def provenance() -> dict[str, Any]:
    """Versions that may change a result, null where a package is not installed."""
    return {
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "git_commit": _git_commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of the checkout that this code runs from; None where it was installed."""
    folder = Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
