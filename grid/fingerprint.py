"""The identity of a stage: a SHA-256 of everything that changes its result, and nothing else."""

import hashlib
import json
import math
from collections.abc import Callable
from enum import Enum
from typing import Any

from pydantic import BaseModel

from search_spaces.sources import DataSource, StoredModel

ContentOf = Callable[[DataSource | StoredModel], str]
"""Tells the content hash of a source."""


def digest(payload: dict[str, Any]) -> str:
    """SHA-256, in hex, of the payload's canonical JSON."""
    return hashlib.sha256(canonical_json(payload).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces. Raises TypeError for what has no stable form."""
    return json.dumps(_stable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def canonical(value: Any, content_of: ContentOf) -> Any:
    """Settings as plain values: a source's path becomes its content's hash, a method's VERSION
    is told with its fields."""
    if isinstance(value, DataSource | StoredModel):
        fields = {k: canonical(getattr(value, k), content_of) for k in type(value).model_fields}
        for located in ("path", "revision", "subset", "split"):
            if value.is_local or located in ("path", "revision"):
                fields.pop(located, None)
        return {**fields, "content": content_of(value)}
    if isinstance(value, BaseModel):
        fields = {k: canonical(getattr(value, k), content_of) for k in type(value).model_fields}
        version = getattr(type(value), "VERSION", None)
        return fields if version is None else {**fields, "version": version}
    if isinstance(value, dict):
        return {k: canonical(v, content_of) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [canonical(v, content_of) for v in value]
    return value


def _stable(value: Any) -> Any:
    if isinstance(value, Enum) or not isinstance(
        value, dict | list | tuple | str | int | float | bool | None
    ):
        raise TypeError(f"{type(value).__name__} has no stable form to fingerprint: {value!r}")
    if isinstance(value, dict):
        if not all(isinstance(k, str) for k in value):
            raise TypeError(f"only string keys have a stable form: {list(value)!r}")
        return {k: _stable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_stable(v) for v in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{value} has no JSON form to fingerprint")
        # 3 and 3.0 mean the same in YAML and must not name two stages
        return int(value) if value.is_integer() else value
    return value
