"""The stage store: the authority on what is done. A stage without its marker does not exist."""

import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grid.stage import KINDS, Kind, Stage
from grid.storage import MARKER, Storage


@dataclass(frozen=True)
class StageResult:
    """What a published stage says of itself."""

    kind: Kind
    fingerprint: str
    parent: str | None
    method: str
    seconds: float
    """Wall time of the stage's own work."""
    started: float
    """Unix time."""
    facts: dict[str, Any]
    """What the method measured, by column name."""
    provenance: dict[str, Any]


class Store:
    """Published stages below a study, by kind and fingerprint."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def published(self) -> set[str]:
        """Fingerprints of all published stages."""
        return {fingerprint for kind in KINDS for fingerprint in self._published(kind)}

    def counts(self) -> dict[Kind, int]:
        """Number of published stages of each kind."""
        return {kind: len(self._published(kind)) for kind in KINDS}

    def has(self, stage: Stage) -> bool:
        """True if the stage is published."""
        return self._storage.has(f"{_name(stage)}/{MARKER}")

    def result(self, stage: Stage) -> StageResult:
        """What a published stage says of itself. Raises FileNotFoundError if it is not."""
        return StageResult(**json.loads(self._storage.read(f"{_name(stage)}/{MARKER}")))

    def folder(self, stage: Stage) -> Path:
        """A local path of a published stage's files."""
        return self._storage.fetch(_name(stage))

    def workspace(self) -> Path:
        """A new empty folder for a stage to write to."""
        return self._storage.workspace()

    def publish(self, stage: Stage, folder: Path, result: StageResult) -> None:
        """Publish a workspace as the stage; a stage that is there already stays as it is."""
        content = json.dumps(result.__dict__, indent=1, sort_keys=True)
        (folder / MARKER).write_text(content)
        self._storage.publish(folder, _name(stage))

    def log_execution(self, stage: Stage) -> None:
        """Note that a worker began the stage: what was computed twice is there to be counted."""
        entry = json.dumps({"kind": stage.kind, "started": time.time()})
        name = f"executions/{stage.fingerprint}-{uuid.uuid4().hex[:8]}.json"
        self._storage.write(name, entry.encode())

    def executions(self) -> dict[str, int]:
        """How often each stage was begun, by fingerprint."""
        counts: dict[str, int] = {}
        for name in self._storage.names("executions"):
            fingerprint = name.partition("-")[0]
            counts[fingerprint] = counts.get(fingerprint, 0) + 1
        return counts

    def _published(self, kind: Kind) -> list[str]:
        names = self._storage.names(f"stages/{kind}")
        return [n for n in names if self._storage.has(f"stages/{kind}/{n}/{MARKER}")]


def _name(stage: Stage) -> str:
    return f"stages/{stage.kind}/{stage.fingerprint}"
