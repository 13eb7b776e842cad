"""The three readings of an answer."""

from typing import Literal

Verdict = Literal["comply", "refuse", "incoherent"]
