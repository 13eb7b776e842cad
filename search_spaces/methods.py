"""Which compression works at which widths on which family, from the settings and the families."""

from dataclasses import dataclass
from typing import Any, get_args

from search_spaces.compressions import Pruner, Pruning, Quantizer
from search_spaces.families import FAMILIES


@dataclass(frozen=True)
class MethodRow:
    """One compression method."""

    method: str
    widths: str
    """Bits, or the sparsities and patterns of a pruning."""
    calibrated: bool
    compress_then_attack: bool
    """True if an adversary's adapter can be trained on its weights."""
    families: dict[str, str | None]
    """Family -> why the method cannot work there; None where it works."""
    untrainable: dict[str, str]
    """Family -> why adapters cannot be trained there, where elsewhere they can."""


def method_table() -> list[MethodRow]:
    """A row for each method, quantizers first."""
    return [_row(kind) for kind in (*get_args(Quantizer), *get_args(Pruner))]


def _row(kind: Any) -> MethodRow:
    (method,) = get_args(kind.model_fields["method"].annotation)
    return MethodRow(
        method=method,
        widths=_widths(kind),
        calibrated="calibration" in kind.model_fields,
        compress_then_attack=kind.trainable,
        families={family.name: family.refused.get(method) for family in FAMILIES},
        untrainable={
            family.name: family.untrainable[method]
            for family in FAMILIES
            if method in family.untrainable
        },
    )


def _widths(kind: Any) -> str:
    if issubclass(kind, Pruning):
        patterns = get_args(kind.model_fields["pattern"].annotation)
        return " ".join(("0..1", *(pattern for pattern in patterns if ":" in pattern)))
    if "bits" not in kind.model_fields:
        return str(kind.bits)
    return " ".join(map(str, get_args(kind.model_fields["bits"].annotation)))
