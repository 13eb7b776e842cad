"""What `report` and `serve` do: read, make the page, write or serve it."""

from collections.abc import Callable
from pathlib import Path

from analysis.records.loading import Records, load_records
from analysis.report.evidence import Evidence
from analysis.report.page import report
from analysis.report.serving import ADDRESS, LiveStudy, make_server
from grid.stage import KINDS
from grid.study import Study, open_study, recorded_statuses
from search_spaces.settings import SpaceError


def write_report(records: Records, to: Path) -> float:
    """Writes the report as one file; gives its size in bytes. Raises SpaceError for a bad path."""
    if to.is_dir():
        raise SpaceError("--to", str(to), "is a folder; name a file, such as report.html")
    for source in records.table["study"].unique():
        own = Path(source).resolve()
        if own in (to.resolve(), *to.resolve().parents) and own.exists():
            raise SpaceError("--to", str(to), f"is {source} or lies in it; name another file")
    content = report(Evidence(records)).encode()
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(content)
    except OSError as error:
        raise SpaceError("--to", str(to), f"cannot be written ({error.strerror})") from error
    return len(content)


def serve_study(root: str, port: int, judge: str | None, ready: Callable[[str], None]) -> None:
    """Serves a study's report until Ctrl-C; `ready` is told the address.

    Raises SpaceError where there is no study, and for a busy port.
    """
    study = open_study(root)
    live = LiveStudy((root,), lambda: load_records(root, judge=judge), StudyProgress(study).text)
    server = make_server(live, port)
    try:
        ready(f"http://{ADDRESS}:{server.server_port}/")
        # looks up twice a second: where polars is loaded, Ctrl-C does not wake a thread that waits
        server.serve_forever()
    except KeyboardInterrupt:
        return
    finally:
        server.server_close()
        live.stop()


class StudyProgress:
    """What of a study is recorded, running and missing, asked again and again."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._statuses: dict[str, dict[str, str]] = {}

    def text(self) -> str:
        """In words."""
        total = len(self._study.plan.cells)
        statuses = self._recorded()
        failed = sum(status != "ok" for status in statuses.values())
        cells = f"{len(statuses)} of {total} cells are recorded" + (
            f", {failed} of them failed." if failed else "."
        )
        if len(statuses) >= total:
            return cells
        published = self._study.store.published()
        done, unique = self._study.plan.count(published), self._study.plan.unique()
        stages = [f"{kind.replace('_', ' ')} {done[kind]} of {unique[kind]}" for kind in KINDS]
        begun = set(self._study.store.executions()) & set(self._study.plan.stages) - published
        running = f"{len(begun)} more begun and not done." if begun else ""
        return " ".join(filter(None, [cells, f"Stages done: {', '.join(stages)}.", running]))

    def _recorded(self) -> dict[str, str]:
        """The status of each recorded cell; a file is read once, for it never changes."""
        known = self._statuses
        storage = self._study.storage
        self._statuses = {}
        for name in storage.names("records"):
            try:
                self._statuses[name] = known.get(name) or recorded_statuses(storage, name)
            except (OSError, ValueError):
                continue  # half-written or broken: the page names it
        by_cell: dict[str, str] = {}
        for statuses in self._statuses.values():
            for cell, status in statuses.items():
                by_cell[cell] = "ok" if "ok" in (status, by_cell.get(cell)) else status
        return by_cell
