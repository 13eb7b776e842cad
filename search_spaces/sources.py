"""Where models and data come from: a local path or a Hub id, with the names of its columns."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from search_spaces.settings import Settings


class Columns(Settings):
    """Which column of a data file plays which part."""

    prompt: str = "prompt"
    """What the user says."""
    answer: str | None = None
    """What the model should say; needed for training and for exact match."""
    input: str | None = None
    """Extra context appended to the prompt (Alpaca's `input`); empty values are skipped."""


class Exclusion(Settings):
    """Rows to leave out: those whose `column` starts with `prefix` (XSTest: type, contrast_)."""

    column: str
    prefix: str = Field(min_length=1)


class DataSource(Settings):
    """Rows of one file (.json, .jsonl, .csv, .parquet) or of one Hub dataset."""

    path: str
    """A file, relative to the YAML that names it, or a Hub dataset id (`owner/name`)."""
    revision: str | None = None
    """Hub only: branch, tag or commit."""
    subset: str | None = None
    """Hub only: the dataset's configuration name."""
    split: str = "train"
    """Hub only."""
    columns: Columns = Columns()
    exclude: Exclusion | None = None

    @property
    def is_local(self) -> bool:
        """True where the path is a file of this machine, not a Hub id."""
        return Path(self.path).is_absolute()


class StoredModel(Settings):
    """A model: a Hugging Face folder or a Hub id."""

    path: str
    """A folder, relative to the YAML that names it, or a Hub id (`owner/name`)."""
    revision: str | None = None
    """Hub only: branch, tag or commit."""
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"

    @property
    def is_local(self) -> bool:
        """True where the path is a folder of this machine, not a Hub id."""
        return Path(self.path).is_absolute()


class ModelSource(StoredModel):
    """A causal language model, and how it is prompted."""

    prompt_template: Literal["chat", "alpaca"] = "chat"
    """`chat`: the tokenizer's own template; `alpaca`: `### Instruction:` / `### Response:`."""


class EmbeddedWorld(Settings):
    """A world that the project makes itself at first use; the space's paths are relative to it."""

    world: Literal["nano"]
    seed: int = Field(default=0, ge=0)
    family: Literal["llama", "mamba"] = "llama"
    """Architecture of its model; the data files are the same."""

    @property
    def name(self) -> str:
        """`nano`, or `nano-mamba`: what its folder is called by."""
        return self.world if self.family == "llama" else f"{self.world}-{self.family}"
