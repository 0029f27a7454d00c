"""A document checked against schema.json.

Source: JSON Schema 2020-12, https://json-schema.org/draft/2020-12: of its keywords those that schema.json uses.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
    "boolean": (bool,),
}


def first_violation(document: Any) -> str | None:
    """What is wrong with a record.

    Args:
        document: what its JSON says.

    Returns:
        The first violation of schema.json and where it is, such as "record['seconds'] is less than 0"; None for a
        document that follows the schema, and whose texts are Unicode.
    """
    return next(_violations(document, _record_schema(), "record"), None) or _violation_anywhere(document)


def _violation_anywhere(document: Any) -> str | None:
    """What no schema says: a text that cannot be shown. Level by level, since a configuration can be deep."""
    level = [document]
    while level:
        keys = (key for item in level if isinstance(item, dict) for key in item)
        texts = (item for item in level if isinstance(item, str))
        if any(map(_LONE_SURROGATE.search, (*keys, *texts))):
            return "record holds text that is not Unicode"
        level = [
            inner
            for item in level
            if isinstance(item, (dict, list))
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return None


@functools.lru_cache(maxsize=1)
def _record_schema() -> Any:
    """The content of schema.json; kept, since a file of this package does not change while it runs."""
    import json
    from importlib.resources import files

    return json.loads(files("pyrepro._record").joinpath("schema.json").read_text(encoding="utf-8"))


def _violations(value: Any, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    """What violates a schema in a value and in all that it holds."""
    if not schema:
        return  # anything will do, and a configuration can be deep
    # The type first: the other keywords compare values that have it.
    for keyword in ("type", "const", "enum", "minimum", "maxLength", "pattern"):
        if keyword in schema:
            yield from _CHECKS[keyword](value, schema[keyword], place)
    if "$ref" in schema:
        yield from _violations(value, _record_schema()["$defs"][schema["$ref"].rpartition("/")[2]], place)
    if isinstance(value, list):
        yield from _violations_of_items(value, schema, place)
    if isinstance(value, dict):
        yield from _missing_properties(value, schema, place)
        yield from _unknown_properties(value, schema, place)
        yield from _violations_of_properties(value, schema, place)


def _check_type(value: Any, names: str | list[str], place: str) -> Iterator[str]:
    accepted = [names] if isinstance(names, str) else names
    # To Python true is 1, and to JSON it is not.
    if isinstance(value, bool) != ("boolean" in accepted) or not any(
        isinstance(value, _TYPES[name]) for name in accepted
    ):
        yield f"{place} is not of type {' or '.join(accepted)}"


def _check_const(value: Any, constant: Any, place: str) -> Iterator[str]:
    if value != constant or isinstance(value, bool):  # true == 1
        yield f"{place} is not {constant}"


def _check_enum(value: Any, accepted: list[str], place: str) -> Iterator[str]:
    if value not in accepted:
        yield f"{place} is not one of {', '.join(accepted)}"


def _check_minimum(value: Any, minimum: float, place: str) -> Iterator[str]:
    if not value >= minimum:  # which refuses NaN, too
        yield f"{place} is less than {minimum}"


def _check_length(value: Any, length: int, place: str) -> Iterator[str]:
    if isinstance(value, str) and len(value) > length:
        yield f"{place} is longer than {length}"


def _check_pattern(value: Any, pattern: str, place: str) -> Iterator[str]:
    # The whole value: to Python $ matches before a line end, and to JSON Schema it does not.
    if isinstance(value, str) and not re.fullmatch(pattern.strip("^$"), value):
        yield f"{place} does not match {pattern}"


_CHECKS: dict[str, Callable[[Any, Any, str], Iterator[str]]] = {
    "type": _check_type,
    "const": _check_const,
    "enum": _check_enum,
    "minimum": _check_minimum,
    "maxLength": _check_length,
    "pattern": _check_pattern,
}


def _violations_of_items(items: list[Any], schema: Mapping[str, Any], place: str) -> Iterator[str]:
    for index, item in enumerate(items):
        yield from _violations(item, schema.get("items", {}), f"{place}[{index}]")


def _missing_properties(value: dict[str, Any], schema: Mapping[str, Any], place: str) -> Iterator[str]:
    for name in schema.get("required", []):
        if name not in value:
            yield f"{place} has no {name!r}"


def _unknown_properties(value: dict[str, Any], schema: Mapping[str, Any], place: str) -> Iterator[str]:
    if schema.get("additionalProperties") is False:
        for name in value:
            if name not in schema.get("properties", {}):
                yield f"{place} has {name!r}"


def _violations_of_properties(value: dict[str, Any], schema: Mapping[str, Any], place: str) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name, item in value.items():
        yield from _violations(name, schema.get("propertyNames", {}), f"{place} {name!r}")
        yield from _violations(item, properties.get(name) or others or {}, f"{place}[{name!r}]")
