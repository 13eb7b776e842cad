"""The Pareto front: what no other cell dominates on the declared objectives."""

from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np

from analysis.records.configurations import Floats, Mask
from search_spaces.metrics import DEVICE_METRICS
from search_spaces.space import Objective


def fronts(
    rows: Sequence[dict[str, Any]], objectives: Sequence[Objective]
) -> dict[str, list[dict[str, Any]]]:
    """The front of each device, where an objective depends on it; else one front, of any device.

    A number that was measured on a CPU says nothing about one that was measured on a GPU.
    """
    if not bound_to_device(objectives):
        return {"": front(rows, objectives)}
    ok = [row for row in rows if row["status"] == "ok"]
    devices = sorted({row["device"] for row in ok}, key=str)
    return {
        str(device): front([row for row in ok if row["device"] == device], objectives)
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
    refuse_several_devices([row["device"] for row in complete], objectives)
    points = losses(
        np.array([[row[name] for name in names] for row in complete], dtype=float), objectives
    )
    chosen = np.flatnonzero(nondominated(points))
    return [complete[i] for i in sorted(chosen, key=lambda i: tuple(points[i]))]


def bound_to_device(objectives: Sequence[Objective]) -> bool:
    """True if an objective depends on the device it was measured on."""
    return any(objective.metric in DEVICE_METRICS for objective in objectives)


def refuse_several_devices(devices: Sequence[Any], objectives: Sequence[Objective]) -> None:
    """Raises ValueError if a device-bound objective was measured on several devices."""
    bound = [o.metric for o in objectives if o.metric in DEVICE_METRICS]
    several = sorted({str(device) for device in devices})
    if bound and len(several) > 1:
        raise ValueError(f"{bound[0]} was measured on {', '.join(several)}: one front a device")


def losses(values: Floats, objectives: Sequence[Objective]) -> Floats:
    """Values (..., objectives) as losses, of which less is better."""
    signs = [-1.0 if objective.direction == "maximize" else 1.0 for objective in objectives]
    signed: Floats = values * np.array(signs)
    return signed


def nondominated(points: Floats) -> Mask:
    """Which points (points, objectives) no other dominates; equal points are all kept.

    `points` are losses. Without a point, none.
    """
    if not len(points):
        return np.zeros(0, dtype=bool)
    kept: Mask = moocore.is_nondominated(points, keep_weakly=True)
    return kept


def knee(points: Floats) -> int:
    """The point of a front that lies furthest from the plane through the front's ends towards the
    ideal point (Das 1999): the least sum of losses, each scaled to the front's own range.

    `points` are losses (points, objectives), non-dominated and at least one.
    """
    ideal, nadir = points.min(axis=0), points.max(axis=0)
    width = np.where(nadir > ideal, nadir - ideal, 1.0)
    return int(((points - ideal) / width).sum(axis=1).argmin())
