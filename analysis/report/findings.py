"""What the numbers say, in sentences that are made from them and name what they rest on."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.report.evidence import Evidence


@dataclass(frozen=True)
class Finding:
    """One statement."""

    text: str
    evidence: str = ""
    """Which numbers, and of how much."""
    warns: bool = False
    """True for what weakens other findings."""


@dataclass(frozen=True)
class Section:
    """Statements on one question."""

    title: str
    findings: Sequence[Finding]
    lead: str = ""


def findings(evidence: Evidence) -> list[Section]:
    """All that the records support; sections without a statement are left out."""
    return []
