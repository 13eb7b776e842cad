"""What stages leave: a base model with LoRA adapters, full weights, or compressed weights."""

from dataclasses import dataclass, replace
from pathlib import Path

from search_spaces.sources import ModelSource

ADAPTER = "adapter"
FULL = "full"
WEIGHTS = "weights"


@dataclass(frozen=True)
class Checkpoint:
    """A model's weights by reference; adapters come on top of them in order."""

    base: ModelSource
    full: Path | None = None
    """A folder that replaces the base: full or compressed weights."""
    adapters: tuple[Path, ...] = ()
    compressed: bool = False
    """True once compressed: adapters are no longer merged, or the compression would be undone."""

    def with_adapter(self, folder: Path) -> "Checkpoint":
        """This checkpoint with one more adapter on top."""
        return replace(self, adapters=(*self.adapters, folder))

    def with_full_weights(self, folder: Path) -> "Checkpoint":
        """The checkpoint that full weights make of this one."""
        return Checkpoint(self.base, full=folder)

    def with_compressed_weights(self, folder: Path) -> "Checkpoint":
        """The checkpoint that compressed weights make of this one."""
        return Checkpoint(self.base, full=folder, compressed=True)

    def extended(self, stage_folder: Path) -> "Checkpoint":
        """This checkpoint after a stage that left `stage_folder`."""
        if (stage_folder / WEIGHTS).is_dir():
            return self.with_compressed_weights(stage_folder / WEIGHTS)
        if (stage_folder / FULL).is_dir():
            return self.with_full_weights(stage_folder / FULL)
        if (stage_folder / ADAPTER).is_dir():
            return self.with_adapter(stage_folder / ADAPTER)
        return self
