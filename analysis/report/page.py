"""Writes the page: one HTML file with its data, style and scripts in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis.report.answers import answers
from analysis.report.cells import cell_details, cell_table
from analysis.report.design import design, names_of, question
from analysis.report.evidence import Evidence
from analysis.report.findings.everything import findings
from analysis.report.gallery import Picture, gallery
from analysis.report.payload import json_text, packed, script_hash
from analysis.report.reproduction import reproduction
from analysis.report.words import first_few, typeset

SCRIPTS = ("page", "filters", "table", "answers", "pictures", "live", "main")
"""Parts of the page's own script, in the order in which they need each other."""


@dataclass(frozen=True)
class Live:
    """What a page that is served while its study runs knows of that."""

    version: str
    progress: str


def report(evidence: Evidence) -> str:
    """The page as a file: nothing in it asks for the network."""
    return _render(_contents(evidence, None), [_own_script(), plotly_script()])


def live_pages(evidence: Evidence, live: Live) -> tuple[str, str]:
    """The page as the server of a running study shows it, which asks for newer parts; and the same
    without scripts, from which a page that is open takes those parts."""
    contents = _contents(evidence, live)
    return _render(contents, [_own_script(), plotly_script()]), _render(contents, [])


def _contents(evidence: Evidence, live: Live | None) -> dict[str, Any]:
    """What the template shows, by the names that it has there."""
    pictures = gallery(evidence)
    now = datetime.now(UTC)
    number = version("trilemma")
    return {
        "title": f"trilemma: {first_few(names_of(evidence), 3) or 'no study'}",
        "live": live,
        "question": question(evidence),
        "sections": findings(evidence),
        "design": design(evidence),
        "pictures": pictures,
        "reproduction": reproduction(evidence, number, f"{now:%Y-%m-%d}"),
        "version": number,
        "date": f"{now:%Y-%m-%d %H:%M} UTC",
        "data": _data(evidence, pictures, live),
    }


def _render(contents: dict[str, Any], scripts: Sequence[str]) -> str:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["typeset"] = typeset
    return environment.from_string(_asset("page.html.j2")).render(
        contents,
        policy=_policy(scripts, contents["pictures"], contents["live"] is not None),
        style=Markup(_asset("page.css")),
        scripts=[Markup(script) for script in scripts],
    )


def _data(evidence: Evidence, pictures: Sequence[Picture], live: Live | None) -> dict[str, Markup]:
    said = {"answers": answers(evidence.records), "details": cell_details(evidence)}
    settings = {"live": {"version": live.version} if live else None}
    return {
        "page": Markup(json_text(settings)),
        "table": Markup(json_text(cell_table(evidence))),
        "pictures": Markup(packed(json_text({p.name: p.values for p in pictures}))),
        "answers": Markup(packed(json_text(said))),
    }


def _policy(scripts: Sequence[str], pictures: Sequence[Picture], live: bool) -> str:
    """Only these very scripts run, and nothing is fetched; a served page asks its own server."""
    sources = [script_hash(script) for script in scripts] or ["'none'"]
    if scripts and any(picture.front is not None for picture in pictures):
        # plotly compiles what draws parallel coordinates; it never sees what a model said
        sources.append("'unsafe-eval'")
    rules = [
        "default-src 'none'",
        f"script-src {' '.join(sources)}",
        # plotly sets the style of what it draws
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join([*rules, "connect-src 'self'"] if live else rules)


@cache
def plotly_script() -> str:
    """plotly.js as it comes with plotly, safe to stand in a page."""
    script: str = get_plotlyjs()
    return _inline(script)


def _own_script() -> str:
    parts = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    return _inline(f'(() => {{\n"use strict";\n\n{parts}\n}})();\n')


def _inline(script: str) -> str:
    """Without what would end the script's element early, and with ends of lines as HTML has them:
    the browser compares the hash of what it reads."""
    return script.replace("</script", "<\\/script").replace("\r\n", "\n").replace("\r", "\n")


def _asset(name: str) -> str:
    return (files("analysis.report") / "assets" / name).read_text(encoding="utf-8")
