"""The pictures of a report, each with a caption that says how to read it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import combinations
from typing import Any

import plotly.graph_objects as go

from analysis.pictures.axes import name_of
from analysis.pictures.front_pair import front_pair
from analysis.report.evidence import Evidence

TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True)
class Picture:
    """One picture and what is said of it."""

    name: str
    figure: go.Figure
    caption: str
    wide: bool = False

    @property
    def title(self) -> str:
        """The figure's own title as plain text."""
        text = self.figure.layout.title.text or self.name
        heading = str(text).partition("<br><span")[0].replace("<br>", " ")
        return unescape(TAG.sub("", heading))

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.figure.layout.height or 450)

    @property
    def values(self) -> dict[str, Any]:
        """As plotly.js takes it; plotly writes arrays in a form that its JavaScript reads."""
        plain: dict[str, Any] = json.loads(self.figure.to_json())
        return {"data": plain["data"], "layout": plain["layout"]}


def gallery(evidence: Evidence) -> list[Picture]:
    """Every picture that the records have the values for."""
    return [*_fronts(evidence)]


def _fronts(evidence: Evidence) -> Iterator[Picture]:
    for device, front in evidence.fronts.items():
        pairs = combinations([objective.metric for objective in front.objectives], 2)
        for x, y in pairs:
            where = f" On {device}." if len(evidence.fronts) > 1 else ""
            yield Picture(
                f"front-{x}-{y}-{device}",
                front_pair(front, x, y),
                f"Each mark is a configuration; full marks are those that no other beats on every "
                f"objective. A bar is where the {name_of(x)} or {name_of(y)} of one alone may lie. "
                f"All were asked the same prompts, so two whose bars overlap may still be told "
                f"apart: the table's P(on the front) counts that.{where}",
            )
