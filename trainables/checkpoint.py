"""What a training stage leaves: a base model plus a stack of LoRA adapters, or full weights."""

from dataclasses import dataclass, replace
from pathlib import Path

from search_spaces.sources import ModelSource

ADAPTER = "adapter"
FULL = "full"


@dataclass(frozen=True)
class Checkpoint:
    """A model's weights by reference. `full` replaces the base; adapters are merged in order."""

    base: ModelSource
    full: Path | None = None
    adapters: tuple[Path, ...] = ()

    def with_adapter(self, folder: Path) -> "Checkpoint":
        """This checkpoint with one more adapter on top."""
        return replace(self, adapters=(*self.adapters, folder))

    def with_full_weights(self, folder: Path) -> "Checkpoint":
        """The checkpoint that full weights make of this one."""
        return Checkpoint(self.base, full=folder)

    def extended(self, stage_folder: Path) -> "Checkpoint":
        """This checkpoint after a training stage that left `stage_folder`."""
        if (stage_folder / FULL).is_dir():
            return self.with_full_weights(stage_folder / FULL)
        if (stage_folder / ADAPTER).is_dir():
            return self.with_adapter(stage_folder / ADAPTER)
        return self
