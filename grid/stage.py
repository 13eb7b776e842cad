"""One step of a cell, with its identity and its place in the stage tree."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from grid.fingerprint import ContentOf, canonical, digest
from search_spaces.attacks import Attack, NoAttack
from search_spaces.cells import Cell
from search_spaces.compressions import Compression
from search_spaces.evaluation import Evaluation
from search_spaces.safety_tuning import SafetyDose
from search_spaces.sources import ModelSource

Kind = Literal["safety_tuning", "attack", "compression", "evaluation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
StageSettings = SafetyDose | Attack | Compression | Evaluation


@dataclass(frozen=True)
class Stage:
    """A step that is computed once, however many cells need it."""

    kind: Kind
    fingerprint: str
    parent: str | None
    """Fingerprint of the stage before it; None for the first, which starts from the model."""
    settings: StageSettings
    model: ModelSource
    seed: int


def stages_of(cell: Cell, content_of: ContentOf) -> tuple[Stage, ...]:
    """The cell's stages from first to last, each fingerprinted over all that came before it."""
    root = digest({"model": canonical(cell.model, content_of)})
    stages: list[Stage] = []
    for kind, settings in _steps(cell):
        parent = stages[-1].fingerprint if stages else None
        payload: dict[str, Any] = {
            "kind": kind,
            "settings": canonical(settings, content_of),
            "seed": cell.seed,
            "parent": parent or root,
        }
        stages.append(Stage(kind, digest(payload), parent, settings, cell.model, cell.seed))
    return tuple(stages)


def _steps(cell: Cell) -> list[tuple[Kind, StageSettings]]:
    """What is done, in the cell's order.

    A release that is attacked once it ships was not attacked before: so it begins with the stages
    of the cell without an attack, and shares them.
    """
    steps: list[tuple[Kind, StageSettings]] = [("safety_tuning", cell.safety)]
    if cell.order == "attack_then_compress":
        steps += [("attack", cell.attack), ("compression", cell.compression)]
    else:
        steps += [("attack", NoAttack()), ("compression", cell.compression)]
        steps += [("attack", cell.attack)]
    return [*steps, ("evaluation", cell.evaluation)]
