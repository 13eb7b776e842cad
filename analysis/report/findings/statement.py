"""What a finding is made of."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One statement."""

    title: str
    """What it is about, in a few words."""
    text: str
    evidence: str = ""
    """Which numbers it rests on, and of how much."""
    warns: bool = False
    """True for what weakens other findings."""


@dataclass(frozen=True)
class Section:
    """Statements on one question."""

    title: str
    findings: Sequence[Finding]
    lead: str = ""
