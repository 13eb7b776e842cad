"""Turns pydantic's validation errors into one line that names the field and what is allowed."""

from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from search_spaces.settings import Settings, SpaceError

MAPPING_EXPECTED = ("model_type", "model_attributes_type", "dict_type")
LIST_EXPECTED = ("tuple_type", "list_type")
UNKNOWN_KEY = ("extra_forbidden", "invalid_key")

Location = tuple[int | str, ...]


def space_error(
    file: str, root: type[Settings], error: ValidationError, within: str = ""
) -> SpaceError:
    """The first problem as a SpaceError, with the number of other fields that have one.

    `within` is the field that holds `root`; empty where `root` is the whole file.
    """
    # a misspelt key comes first: it is why another key is missing
    details: list[Any] = sorted(
        (detail for detail in error.errors() if not _follows_from_another(detail)),
        key=lambda detail: detail["type"] == "missing",
    )
    fields = [_field(root, detail) for detail in details]
    first = fields[0]
    same = [detail for detail, field in zip(details, fields, strict=True) if field == first]
    # a member of a union that was not meant complains about the field around the real problem
    others = {field for field in fields if field != first and not first.startswith(f"{field}.")}
    message = _message(root, same)
    if others:
        message += f" (and {len(others)} more)"
    return SpaceError(file, f"{within}.{first}".strip("."), message)


def _follows_from_another(detail: Any) -> bool:
    """True for a list that is too short only because its refused items are not counted."""
    kind, value = detail["type"], detail["input"]
    return bool(kind == "too_short" and len(value) >= detail["ctx"]["min_length"])


def _message(root: type[Settings], details: list[Any]) -> str:
    """What is wrong with one field; several details are the members of a union, each refusing."""
    detail = details[0]
    kind, value = detail["type"], detail["input"]
    _, types = _walk(root, detail["loc"][:-1] if kind in UNKNOWN_KEY else detail["loc"])
    if kind in UNKNOWN_KEY:
        key, keys = str(detail["loc"][-1]), _keys(types)
        return f"unknown key; {_nearest(key, keys)}allowed: {', '.join(keys) or 'none'}"
    if kind == "missing":
        return "missing; it has no default"
    if kind == "union_tag_not_found":
        return f"missing; allowed: {', '.join(_tags(types))}"
    if kind == "union_tag_invalid":
        tag = detail["ctx"]["tag"]
        return (
            f"unknown method '{tag}'; {_nearest(tag, _tags(types))}"
            f"allowed: {', '.join(_tags(types))}"
        )
    if kind == "too_short":
        least = detail["ctx"]["min_length"]
        if least == 1:
            return "empty; at least one item is needed"
        return f"too short; at least {least} items are needed"
    first, *others = dict.fromkeys(_wanted(d, types) for d in details)
    text = " or ".join([first, *(other.removeprefix("allowed: ") for other in others)])
    if isinstance(value, dict | list):
        return text
    return f"{'null' if value is None else repr(value)} is refused; {text}"


def _wanted(detail: Any, types: list[Any]) -> str:
    if detail["type"] in MAPPING_EXPECTED:
        keys = ", ".join(_keys(types))
        return f"allowed: a mapping of {keys}" if keys else "allowed: a mapping"
    if detail["type"] in LIST_EXPECTED:
        return "allowed: a list"
    text = str(detail["msg"]).removeprefix("Value error, ")
    return text.split(", unable to ")[0].replace("Input should be", "allowed:")


def _nearest(name: str, allowed: list[str]) -> str:
    close = get_close_matches(name, allowed, n=1)
    return f"did you mean '{close[0]}'? " if close else ""


def _field(root: type[Settings], detail: Any) -> str:
    """`compressions[1].bits`, leaving out the tags that pydantic adds for union members."""
    location = detail["loc"]
    if detail["type"] in UNKNOWN_KEY:
        return f"{_walk(root, location[:-1])[0]}.{location[-1]}".removeprefix(".")
    text, _ = _walk(root, location)
    return f"{text}.method" if detail["type"].startswith("union_tag_") else text


def _walk(root: type[Settings], location: Location) -> tuple[str, list[Any]]:
    """The name of the field at the location and the types that it may have."""
    text = ""
    current: list[Any] = [root]
    for part in location:
        inner = _step(current, part)
        if inner:
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
            current = inner
        else:
            current = [kind for kind in current if _has_tag(kind, part)] or current
    return text.removeprefix("."), current


def _step(types: list[Any], part: int | str) -> list[Any]:
    """The types one step down; none where the part is a union's tag, not a key."""
    found: list[Any] = []
    for kind in types:
        if isinstance(part, int) and get_origin(kind) is tuple:
            found += _members(get_args(kind)[0])
        elif _is_settings(kind) and part in kind.model_fields:
            found += _members(kind.model_fields[part].annotation)
        elif get_origin(kind) is dict:
            found += _members(get_args(kind)[1])
    return found


def _members(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [m for a in get_args(annotation) for m in _members(a)]
    return [annotation]


def _keys(types: list[Any]) -> list[str]:
    models = [kind for kind in types if _is_settings(kind)]
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _tags(types: list[Any]) -> list[str]:
    return [tag for kind in types for tag in _own_tags(kind)]


def _own_tags(kind: Any) -> tuple[str, ...]:
    field = kind.model_fields.get("method") if _is_settings(kind) else None
    literal = field.annotation if field else None
    return get_args(literal) if get_origin(literal) is Literal else ()


def _has_tag(kind: Any, tag: int | str) -> bool:
    return _is_settings(kind) and (kind.__name__ == tag or tag in _own_tags(kind))


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)
