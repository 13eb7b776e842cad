"""Atomic publication under a folder or URI: what is half written can never be seen as done."""

import atexit
import hashlib
import os
import platform
import shutil
import tempfile
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

MARKER = "stage.json"
"""The file whose presence makes a published folder exist."""
WORK = ".work"
_HOST = platform.node()


class Storage:
    """Files below a root: rename on local disks, completion marker last on object stores."""

    def __init__(self, root: str) -> None:
        if "://" not in root:
            root = str(Path(root).expanduser().resolve())
        self.root = root
        self._files, self._base = fsspec.core.url_to_fs(root)
        self._local = isinstance(self._files, LocalFileSystem)

    def has(self, name: str) -> bool:
        """True if the file is there."""
        try:
            self._files.info(self._at(name))
        except (FileNotFoundError, NotADirectoryError):
            return False  # any other error is not an answer
        return True

    def read(self, name: str) -> bytes:
        """The file's content. Raises FileNotFoundError."""
        content: bytes = self._files.cat_file(self._at(name))
        return content

    def names(self, folder: str) -> list[str]:
        """Sorted names directly below a folder; unfinished ones (leading dot) are left out."""
        if not self.has(folder):
            return []
        found = self._files.ls(self._at(folder), detail=False, refresh=True)
        names = (str(path).rstrip("/").rpartition("/")[2] for path in found)
        return sorted(name for name in names if not name.startswith("."))

    def write(self, name: str, content: bytes) -> None:
        """Write the whole file or nothing: temporary name, fsync, rename."""
        if not self._local:
            self._files.pipe_file(self._at(name), content)
            return
        target = Path(self._at(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)

    def remove(self, name: str) -> None:
        """Delete a file; one that is gone already is no error."""
        with suppress(FileNotFoundError):
            self._files.rm_file(self._at(name))

    def workspace(self) -> Path:
        """A new empty folder for a stage to write to; on the root's disk if it is local."""
        parent = Path(self._base) / WORK if self._local else None
        if parent:
            parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=parent, prefix=f"{_HOST}.{os.getpid()}."))

    def drop_dead_workspaces(self) -> None:
        """Delete what killed processes of this machine left: it may be whole models."""
        parent = Path(self._base) / WORK
        for folder in parent.iterdir() if self._local and parent.is_dir() else ():
            host, _, pid = folder.name.rpartition(".")[0].rpartition(".")
            if host == _HOST and pid.isdigit() and not _is_alive(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)

    def publish(self, folder: Path, name: str) -> None:
        """Make a workspace, which holds a marker, visible under `name`.

        Idempotent: what was published before stays, and the workspace is dropped.
        """
        if self.has(f"{name}/{MARKER}"):
            shutil.rmtree(folder)
            return
        if self._local:
            _publish_by_rename(folder, Path(self._at(name)))
            return
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            if file != folder / MARKER:
                self._files.put_file(str(file), self._at(f"{name}/{file.relative_to(folder)}"))
        self._files.put_file(str(folder / MARKER), self._at(f"{name}/{MARKER}"))
        shutil.rmtree(folder)

    def fetch(self, name: str) -> Path:
        """A local path of a published folder, downloaded once a process if it is remote."""
        if self._local:
            return Path(self._at(name))
        target = self._downloads / name
        if not target.is_dir():
            unfinished = Path(tempfile.mkdtemp(dir=_process_folder())) / "download"
            self._files.get(self._at(name), str(unfinished), recursive=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished.rename(target)
        return target

    @property
    def _downloads(self) -> Path:
        """This process's own folder for what it downloaded from this root."""
        return _process_folder() / hashlib.sha256(self.root.encode()).hexdigest()[:16]

    def _at(self, name: str) -> str:
        return f"{self._base}/{name}"


@cache
def _process_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="trilemma-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _publish_by_rename(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            _sync_folder(file)
    _sync_folder(folder)
    try:
        folder.rename(target)
    except OSError:
        if not (target / MARKER).is_file():
            raise
        shutil.rmtree(folder)  # another worker published the same stage first
    _sync_folder(target.parent)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
