"""What is measured on every model that finally runs: prompts, judge, decoding."""

from typing import ClassVar, Literal

from pydantic import Field

from search_spaces.judges import Judge, PhraseJudge
from search_spaces.settings import Settings
from search_spaces.sources import DataSource


class Evaluation(Settings):
    """The prompt sets and how answers are generated and judged. Decoding is greedy."""

    VERSION: ClassVar[int] = 2
    method: Literal["generation"] = "generation"
    helpfulness: DataSource
    """Benign tasks with the expected answer: exact match."""
    harmful: DataSource
    """Held-out harmful requests."""
    borderline: DataSource
    """Requests that look harmful and are safe: over-refusal."""
    perplexity: DataSource
    """Held-out text in its `prompt` column."""
    judge: Judge = PhraseJudge()
    max_new_tokens: int = Field(default=128, ge=1)
    batch_size: int = Field(default=32, ge=1)
    max_tokens: int = Field(default=512, ge=8)
    """Longer prompts and texts are cut."""
