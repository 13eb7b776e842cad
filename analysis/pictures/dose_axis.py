"""An axis of doses: logarithmic, with 0 set apart at its left."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10
from typing import Any

from analysis.pictures.axes import LINES

GAP = 0.5
"""Decades between 0 and the smallest dose, at least; a logarithm has no place for 0."""
MOST_TICKS = 6


@dataclass(frozen=True)
class DoseAxis:
    """Where doses stand on an axis."""

    doses: tuple[int, ...]
    """In order, each once."""

    @property
    def zero(self) -> float:
        """Where 0 stands."""
        positive = [dose for dose in self.doses if dose > 0]
        return log10(positive[0]) - GAP if positive else 0.0

    def place(self, dose: int) -> float:
        """A dose's position."""
        return log10(dose) if dose > 0 else self.zero

    @property
    def settings(self) -> dict[str, Any]:
        """As plotly takes them: the doses that there are as ticks."""
        shown = self.doses[:: ceil(len(self.doses) / MOST_TICKS)]
        ends = self.place(self.doses[0]), self.place(self.doses[-1])
        return {
            **LINES,
            "tickvals": [self.place(dose) for dose in shown],
            "ticktext": [_short(dose) for dose in shown],
            "range": [ends[0] - 0.15, ends[1] + 0.15],
            "tickangle": 0,
        }

    def title(self, name: str) -> str:
        """The axis' title, which says what its scale is."""
        positive = sum(dose > 0 for dose in self.doses)
        apart = ", 0 set apart" if positive < len(self.doses) else ""
        return f"<b>{name}</b>, log scale{apart}" if positive > 1 else f"<b>{name}</b>"


def dose_axis(doses: Sequence[int]) -> DoseAxis:
    """The axis of these doses, in any order, repeated or not."""
    return DoseAxis(tuple(sorted(set(doses))))


def _short(dose: int) -> str:
    return f"{dose / 1000:g}k" if dose >= 1000 else str(dose)
