"""The Pareto front: the cells that no other cell dominates on the declared objectives."""

from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np

from search_spaces.metrics import DEVICE_METRICS
from search_spaces.space import Objective


def fronts(
    rows: Sequence[dict[str, Any]], objectives: Sequence[Objective]
) -> dict[str, list[dict[str, Any]]]:
    """The front of each device, where an objective depends on it; else one front, of any device.

    A number that was measured on a CPU says nothing about one that was measured on a GPU.
    """
    if not any(objective.metric in DEVICE_METRICS for objective in objectives):
        return {"": front(rows, objectives)}
    ok = [row for row in rows if row["status"] == "ok"]
    devices = sorted({row["device"] for row in ok})
    return {
        device: front([row for row in ok if row["device"] == device], objectives)
        for device in devices
    }


def front(rows: Sequence[dict[str, Any]], objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    """The non-dominated rows, best on the first objective first; ties are all kept.

    A failed cell, or one without a value for an objective, is never on the front. Computed by
    moocore. Raises ValueError if a device-bound objective was measured on several devices.
    """
    names = [objective.metric for objective in objectives]
    complete = [
        row
        for row in rows
        if row["status"] == "ok" and all(row[name] is not None for name in names)
    ]
    if not complete:
        return []
    devices = sorted({str(row["device"]) for row in complete})
    bound = [name for name in names if name in DEVICE_METRICS]
    if bound and len(devices) > 1:
        raise ValueError(f"{bound[0]} was measured on {', '.join(devices)}: one front a device")
    points = np.array([[row[name] for name in names] for row in complete], dtype=float)
    maximise = [objective.direction == "maximize" for objective in objectives]
    on_front = moocore.is_nondominated(points, maximise=maximise, keep_weakly=True)
    chosen = [row for row, kept in zip(complete, on_front, strict=True) if kept]
    signs = [-1 if up else 1 for up in maximise]
    return sorted(
        chosen, key=lambda row: tuple(s * row[n] for s, n in zip(signs, names, strict=True))
    )
