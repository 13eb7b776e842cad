"""How to make the numbers again: space, commands, versions, commits, and how to cite them."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

import fsspec
import yaml

from analysis.report.evidence import Evidence
from analysis.report.words import counted, first_few, listed
from search_spaces.space import SearchSpace


@dataclass(frozen=True)
class SourceStudy:
    """One study of the report, as far as its folder tells."""

    path: str
    name: str
    space: str
    """YAML; empty where the study tells no space."""
    data_hashes: tuple[tuple[str, str], ...]
    """Fields of the space and the SHA-256 of what they name."""


@dataclass(frozen=True)
class Reproduction:
    """What a reader needs to make the records and this page again."""

    studies: tuple[SourceStudy, ...]
    commands: tuple[str, ...]
    commits: tuple[str, ...]
    packages: tuple[tuple[str, str], ...]
    """Names and versions; several where cells differ."""
    citation: str


def reproduction(evidence: Evidence, version: str, date: str) -> Reproduction:
    """From the records' own columns and the studies' frozen spaces."""
    ok = evidence.records.ok
    studies = tuple(_study(path) for path in evidence.records.sources)
    commits = tuple(ok["git_commit"].drop_nulls().unique().sort().to_list())
    return Reproduction(
        studies,
        tuple(_commands(evidence, studies)),
        commits,
        tuple(_packages(ok["packages"].drop_nulls().unique().to_list())),
        _citation(evidence, version, date, commits),
    )


def _study(path: str) -> SourceStudy:
    frozen = _frozen(path)
    space = frozen.get("space")
    hashes = frozen.get("data_hashes")
    name = str(space.get("name", "")) if isinstance(space, dict) else ""
    return SourceStudy(
        path,
        name,
        yaml.safe_dump(_ordered(space), sort_keys=False, allow_unicode=True) if space else "",
        tuple(sorted(hashes.items())) if isinstance(hashes, dict) else (),
    )


def _frozen(path: str) -> dict[str, Any]:
    files, base = fsspec.core.url_to_fs(path)
    try:
        frozen = json.loads(files.cat_file(f"{base.rstrip('/')}/space.json"))
    except (OSError, ValueError):
        return {}
    return frozen if isinstance(frozen, dict) else {}


def _ordered(space: dict[str, Any]) -> dict[str, Any]:
    """In the order in which a space is documented."""
    given = _given(space)
    known = [name for name in SearchSpace.model_fields if name in given]
    return {name: given[name] for name in dict.fromkeys([*known, *given])}


def _given(value: Any) -> Any:
    """Settings without those that are null, which is what leaving them out means."""
    if isinstance(value, dict):
        return {name: _given(found) for name, found in value.items() if found is not None}
    return [_given(found) for found in value] if isinstance(value, list) else value


def _commands(evidence: Evidence, studies: tuple[SourceStudy, ...]) -> list[str]:
    commands = []
    for study in studies:
        if study.space:
            commands.append(f"trilemma run space.yaml --study {shlex.quote(study.path)}")
    tables = [s for s in evidence.records.table["study"].unique().sort() if s not in
              evidence.records.sources]  # fmt: skip
    sources = " ".join(shlex.quote(str(s)) for s in [*evidence.records.sources, *tables])
    judge = f" --judge {shlex.quote(evidence.records.judge)}" if evidence.records.judge else ""
    if sources:
        command = f"trilemma report {sources}{judge} --to report.html"
        # how a table's columns were named is not kept
        commands.append(f"{command}  # and --column, --objective as given" if tables else command)
    return commands


def _packages(found: list[str]) -> list[tuple[str, str]]:
    versions: dict[str, set[str]] = {}
    for text in found:
        for package, version in json.loads(text).items():
            versions.setdefault(package, set()).add(str(version or "not installed"))
    return [(package, listed(sorted(several))) for package, several in sorted(versions.items())]


def _citation(evidence: Evidence, version: str, date: str, commits: tuple[str, ...]) -> str:
    names = evidence.records.table["study"].unique().sort().to_list()
    what = first_few([str(name).rpartition("/")[2] or name for name in names], 3)
    what = f"study {what}" if names else "no records"
    cells = counted(len(evidence.records.ok), "ok cell")
    commit = f", commit {listed([commit[:12] for commit in commits])}" if commits else ""
    return f"trilemma {version}, {what} ({cells}{commit}), report of {date}."
