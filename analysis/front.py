"""The Pareto front: the cells that no other cell dominates on the declared objectives."""

from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np

from search_spaces.space import Objective


def front(rows: Sequence[dict[str, Any]], objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    """The non-dominated rows, best on the first objective first; ties are all kept.

    A failed cell, or one without a value for an objective, is never on the front. Computed by
    moocore.
    """
    names = [objective.metric for objective in objectives]
    complete = [
        row
        for row in rows
        if row["status"] == "ok" and all(row[name] is not None for name in names)
    ]
    if not complete:
        return []
    points = np.array([[row[name] for name in names] for row in complete], dtype=float)
    maximise = [objective.direction == "maximize" for objective in objectives]
    on_front = moocore.is_nondominated(points, maximise=maximise, keep_weakly=True)
    chosen = [row for row, kept in zip(complete, on_front, strict=True) if kept]
    signs = [-1 if up else 1 for up in maximise]
    return sorted(
        chosen, key=lambda row: tuple(s * row[n] for s, n in zip(signs, names, strict=True))
    )
