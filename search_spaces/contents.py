"""Content hashes of the models and data that a space names: what fingerprints hold of them."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from search_spaces.sources import DataSource, StoredModel

MODEL_SUFFIXES = (".json", ".safetensors", ".bin", ".model", ".txt", ".jinja", ".py")
UNBUILT = "not built yet"


def content_of(source: DataSource | StoredModel) -> str:
    """SHA-256 of a file or model folder, or id and commit of a Hub repository.

    A folder that an embedded world has yet to make answers `UNBUILT`: enough to plan with.
    """
    if not source.is_local:
        return f"{source.path}@{source.revision}"
    path = Path(source.path)
    if path.is_dir():
        return _folder_hash(path)
    return file_hash(path) if path.is_file() else UNBUILT


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex; read once for each state of the file."""
    stat = os.stat(path)
    return _file_hash(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _file_hash(path: Path, size: int, modified_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_hash(folder: Path) -> str:
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix in MODEL_SUFFIXES)
    listing = "\n".join(f"{p.name} {file_hash(p)}" for p in files)
    return hashlib.sha256(listing.encode()).hexdigest()
