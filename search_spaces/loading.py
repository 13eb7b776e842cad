"""Loads a search space from a preset or a YAML file and checks that it can run."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from search_spaces.checks import check
from search_spaces.hub import HubError, Kind, pin
from search_spaces.judge_checks import judge_problems
from search_spaces.judges import JUDGES, Judge
from search_spaces.rows import SUFFIXES
from search_spaces.schema_errors import space_error
from search_spaces.settings import SpaceError
from search_spaces.sources import EmbeddedWorld
from search_spaces.space import SearchSpace

WorldFolder = Callable[[EmbeddedWorld], Path]


def presets() -> list[str]:
    """Names of the presets that ship with the project."""
    folder = files("search_spaces") / "presets"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith("yaml"))


def load_space(spec: str, world_folder: WorldFolder) -> SearchSpace:
    """The checked space of a preset's name or a YAML path, with its paths made absolute.

    `world_folder` tells where an embedded world's files are. Raises SpaceError.
    """
    path = _locate(spec)
    raw = _parse(path)
    paths = _Paths(path.name, path.parent.resolve(), embedded=False)
    if raw.get("embedded") is not None:
        try:
            world = EmbeddedWorld.model_validate(raw["embedded"])
        except ValidationError as error:
            raise space_error(path.name, EmbeddedWorld, error, within="embedded") from error
        paths = _Paths(path.name, world_folder(world), embedded=True)
    try:
        space = SearchSpace.model_validate(paths.resolved(raw))
    except ValidationError as error:
        raise space_error(path.name, SearchSpace, error) from error
    check(space, path.name)
    return space


def load_judge(spec: str) -> Judge:
    """The checked judge of a method's name, with its defaults, or of a YAML path.

    Raises SpaceError.
    """
    if spec in JUDGES:
        return _default_judge(spec)
    path = Path(spec).expanduser()
    if not path.is_file():
        raise SpaceError("--judge", "", f"'{spec}' is no file; {_nearest_judge(spec)}")
    raw = _parse(path)
    method = raw.get("method")
    if method not in JUDGES:
        what = "missing" if method is None else f"unknown method '{method}'"
        raise SpaceError(path.name, "method", f"{what}; {_nearest_judge(str(method))}")
    paths = _Paths(path.name, path.parent.resolve(), embedded=False)
    try:
        judge: Any = JUDGES[method].model_validate(paths.resolved(raw))
    except ValidationError as error:
        raise space_error(path.name, JUDGES[method], error) from error
    for field, message in judge_problems(judge, ""):
        raise SpaceError(path.name, field, message)
    checked: Judge = judge
    return checked


def _default_judge(method: str) -> Judge:
    try:
        judge: Any = JUDGES[method].model_validate({"method": method})
    except ValidationError as error:
        needed = ", ".join(str(detail["loc"][0]) for detail in error.errors())
        raise SpaceError(
            "--judge", "", f"{method} has no default for {needed}; name a YAML file of its settings"
        ) from error
    checked: Judge = judge
    return checked


def _nearest_judge(method: str) -> str:
    close = get_close_matches(method, JUDGES, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}allowed: {', '.join(JUDGES)}, or a YAML path"


def _locate(spec: str) -> Path:
    if spec in presets():
        return Path(str(files("search_spaces") / "presets" / f"{spec}.yaml"))
    path = Path(spec).expanduser()
    if path.is_file():
        return path
    close = get_close_matches(spec, presets(), n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise SpaceError(
        spec,
        "",
        f"neither a file nor a preset; {hint}allowed: a YAML path or one of {', '.join(presets())}",
    )


def _parse(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise SpaceError(path.name, "", f"not valid YAML: {problem}") from error
    if not isinstance(raw, dict):
        raise SpaceError(path.name, "", "expected a mapping of fields such as `model:`")
    return raw


@dataclass(frozen=True)
class _Paths:
    """How the `path` fields of one file are read."""

    file: str
    base: Path
    embedded: bool

    def resolved(self, value: Any, field: str = "") -> Any:
        """The raw settings with every `path` absolute if local, pinned to a commit if a Hub id."""
        if isinstance(value, list):
            return [self.resolved(v, f"{field}[{i}]") for i, v in enumerate(value)]
        if not isinstance(value, dict):
            return value
        inner = {k: self.resolved(v, f"{field}.{k}".lstrip(".")) for k, v in value.items()}
        if not isinstance(inner.get("path"), str):
            return inner
        local = (self.base / Path(inner["path"]).expanduser()).resolve()
        if self.embedded or _names_local(inner["path"], local):
            return {**inner, "path": str(local)}
        kind: Kind = "model" if field.rpartition(".")[2] == "model" else "dataset"
        try:
            return {**inner, "revision": pin(inner["path"], kind, inner.get("revision"))}
        except HubError as error:
            raise SpaceError(self.file, f"{field}.path", str(error)) from error


def _names_local(text: str, local: Path) -> bool:
    return local.exists() or text.startswith((".", "/", "~")) or local.suffix in SUFFIXES
