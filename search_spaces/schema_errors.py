"""Turns pydantic's validation errors into one line that names the field and what is allowed."""

from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from search_spaces.settings import Settings, SpaceError


def space_error(file: str, root: type[Settings], error: ValidationError) -> SpaceError:
    """The first problem as a SpaceError, with the number of further ones."""
    details = error.errors()
    first = details[0]
    location = first["loc"]
    message = _message(root, location, first)
    if len(details) > 1:
        message += f" (and {len(details) - 1} more)"
    return SpaceError(file, _field(root, location), message)


def _message(root: type[Settings], location: tuple[int | str, ...], detail: Any) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        allowed = _allowed_keys(root, location[:-1])
        close = get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        return f"unknown key; {hint}allowed: {', '.join(allowed)}"
    if kind == "missing":
        return "missing; it has no default"
    if kind == "union_tag_invalid":
        close = get_close_matches(detail["ctx"]["tag"], detail["ctx"]["expected_tags"], n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"unknown method '{detail['ctx']['tag']}'; {hint}allowed: " + (
            detail["ctx"]["expected_tags"]
        )
    text = detail["msg"].removeprefix("Value error, ").replace("Input should be", "allowed:")
    return text if isinstance(value, dict | list) else f"{value!r} is refused; {text}"


def _field(root: type[Settings], location: tuple[int | str, ...]) -> str:
    """`compressions[1].bits`, leaving out the tags that pydantic adds for union members."""
    text = ""
    current: list[Any] = [root]
    for part in location:
        inner = _step(current, part)
        if inner is None:
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
        current = inner
    return text.removeprefix(".")


def _allowed_keys(root: type[Settings], location: tuple[int | str, ...]) -> list[str]:
    current: list[Any] = [root]
    for part in location:
        inner = _step(current, part)
        if inner is None:
            current = [t for t in current if _has_tag(t, part)] or current
        else:
            current = inner
    models = [t for t in current if isinstance(t, type) and issubclass(t, Settings)]
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _step(types: list[Any], part: int | str) -> list[Any] | None:
    """The types one step down, or None where the part is a union tag, not a key."""
    found: list[Any] = []
    for kind in types:
        if isinstance(part, int) and get_origin(kind) is tuple:
            found += _members(get_args(kind)[0])
        elif isinstance(kind, type) and issubclass(kind, Settings):
            if part in kind.model_fields:
                found += _members(kind.model_fields[str(part)].annotation)
            elif not any(_has_tag(t, part) for t in types) and isinstance(part, str):
                found += [object]
        elif get_origin(kind) is dict:
            found += _members(get_args(kind)[1])
    return found or None


def _members(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [m for a in get_args(annotation) for m in _members(a)]
    return [annotation]


def _has_tag(kind: Any, tag: int | str) -> bool:
    if not (isinstance(kind, type) and issubclass(kind, Settings)):
        return False
    field = kind.model_fields.get("method")
    literal = field.annotation if field else None
    return kind.__name__ == tag or (get_origin(literal) is Literal and tag in get_args(literal))
