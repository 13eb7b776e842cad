"""Serves the report of a study on this machine while the study runs, renewed as cells land."""

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import fsspec

from analysis.records.judgements import JUDGEMENTS
from analysis.records.loading import Records
from analysis.report.evidence import Evidence
from analysis.report.page import Live, live_pages
from search_spaces.settings import SpaceError

ADDRESS = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost")
"""Names by which a browser may ask: any other came by a name that was pointed here from afar."""
LOOK_SECONDS = 1.0
"""How often, at most, it is looked whether anything changed; only while a page is open."""
REST = 2.0
"""After a page was made, so many times as long as that took pass before the next: the study needs
the processor more."""
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Files = frozenset[tuple[str, int, float]]


@dataclass
class LiveStudy:
    """The page of a study as it is now; made again in the background when its files changed."""

    sources: tuple[str, ...]
    """Folders of the studies whose files are watched."""
    read: Callable[[], Records]
    progress: Callable[[], str]
    """What is done, running and missing, in words; asked about once a second."""
    text: str = ""
    """The progress, or why it or the page could not be made."""
    _version: int = 0
    _page: str = ""
    _parts: str = ""
    _seen: Files | None = None
    _looked: float = 0.0
    _next: float = 0.0
    _builder: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _session: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def page(self) -> str:
        """The whole page. Raises what reading raises, if there is no page yet."""
        with self._lock:
            if not self._page:
                self._try_building()
        return self._page

    def parts(self) -> str:
        """The page without its scripts."""
        return self._parts

    def state(self) -> dict[str, str]:
        """`version`, another one whenever there is a new page, and `text`."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked >= LOOK_SECONDS:
                self._looked = now
                self._look(now)
        return {"version": self.version, "text": self.text}

    @property
    def version(self) -> str:
        """Of the newest page; a server that was started again has others."""
        return f"{self._session}-{self._version}"

    def stop(self) -> None:
        """Waits for a page that is being made: Python must not end amid a native library's work."""
        with self._lock:
            builder = self._builder
        if builder is not None:
            builder.join()

    def _look(self, now: float) -> None:
        busy = self._builder is not None and self._builder.is_alive()
        try:
            self.text = self.progress()
            changed = files_of(self.sources) != self._seen
        except (OSError, ValueError) as error:
            # a study is written to while it is read: the next look will see it whole
            self.text = f"The study could not be read just now: {error}"
            return
        if changed and not busy and now >= self._next:
            self._builder = threading.Thread(target=self._rebuild, daemon=True)
            self._builder.start()

    def _rebuild(self) -> None:
        try:
            self._try_building()
        except Exception as error:
            self.text = f"The page could not be renewed: {type(error).__name__}: {error}"

    def _try_building(self) -> None:
        try:
            self._build()
        except KeyboardInterrupt as stop:
            # polars raises it in the thread that reads; the main one has heard of it, too
            raise InterruptedError("stopped from the keyboard") from stop

    def _build(self) -> None:
        began = time.monotonic()
        # before reading: what lands meanwhile makes another page
        seen = files_of(self.sources)
        evidence = Evidence(self.read())
        self.text = self.progress()
        live = Live(f"{self._session}-{self._version + 1}", self.text)
        self._page, self._parts = live_pages(evidence, live)
        self._seen, self._version = seen, self._version + 1
        self._next = time.monotonic() + REST * (time.monotonic() - began)


def files_of(studies: tuple[str, ...]) -> Files:
    """Names, sizes and times of the files that the studies' pages are made from."""
    found: set[tuple[str, int, float]] = set()
    for study in studies:
        files, base = fsspec.core.url_to_fs(study)
        for folder in ("records", JUDGEMENTS):
            try:
                listed = files.find(f"{base.rstrip('/')}/{folder}", detail=True)
            except FileNotFoundError:
                continue
            found |= {(name, int(at["size"] or 0), _time(at)) for name, at in listed.items()}
    return frozenset(found)


def _time(at: dict[str, Any]) -> float:
    changed = at.get("mtime") or at.get("LastModified") or at.get("created") or 0.0
    return float(changed.timestamp() if hasattr(changed, "timestamp") else changed)


def make_server(study: LiveStudy, port: int) -> ThreadingHTTPServer:
    """A server on this machine only; port 0 takes a free one. Raises SpaceError for a busy port."""
    handler = type("Handler", (_Handler,), {"study": study})
    try:
        return _Server((ADDRESS, port), handler)
    except OSError as error:
        reason = f"cannot be used ({error.strerror}); name another, or 0 for any that is free"
        raise SpaceError("--port", str(port), reason) from error


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that was closed while it was sent is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of three paths, asked by a page of this machine."""

    study: LiveStudy
    timeout = 30
    protocol_version = "HTTP/1.1"
    server_version = "trilemma"
    sys_version = ""

    def do_GET(self) -> None:
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host")
        if host not in HOSTS:
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", "Ask for 127.0.0.1 or localhost.\n")
            return
        answers = {
            "/": ("text/html", self.study.page),
            "/parts.html": ("text/html", self.study.parts),
            "/state.json": ("application/json", lambda: json.dumps(self.study.state())),
        }
        path = self.path.partition("?")[0]
        if path not in answers:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "There is nothing here.\n")
            return
        kind, make = answers[path]
        try:
            content = make()
        except Exception as error:
            problem = f"The page could not be made: {type(error).__name__}: {error}\n"
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", problem)
            return
        self._answer(HTTPStatus.OK, kind, content)

    do_HEAD = do_GET

    def _refuse(self) -> None:
        # what was sent with it is not read, so the connection cannot be used again
        self.close_connection = True
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", "Only GET and HEAD.\n")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def _answer(self, status: HTTPStatus, kind: str, content: str) -> None:
        body = content.encode()
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
            self.send_header("Connection", "close")
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a page that asks each second would fill the terminal."""
