"""A document checked against schema.json.

Source: JSON Schema 2020-12, https://json-schema.org/draft/2020-12.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any


@functools.lru_cache(maxsize=1)
def _schema() -> Any:
    import json
    from importlib.resources import files

    return json.loads(files("pyrepro._record").joinpath("schema.json").read_text(encoding="utf-8"))


_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


def _problem(value: Any, schema: Mapping[str, Any], place: str) -> str | None:
    """What is wrong with a document, by those words of JSON Schema that record.schema.json uses."""
    if not schema:
        return None
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and (isinstance(value, bool) or not any(isinstance(value, _TYPES[kind]) for kind in kinds)):
        return f"{place} is not of type {' or '.join(kinds)}"
    if "const" in schema and (value != schema["const"] or isinstance(value, bool)):
        return f"{place} is not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{place} is none of {', '.join(schema['enum'])}"
    if "minimum" in schema and not value >= schema["minimum"]:
        return f"{place} is less than {schema['minimum']}"
    if isinstance(value, str) and "pattern" in schema and not re.fullmatch(schema["pattern"].strip("^$"), value):
        return f"{place} does not match {schema['pattern']}"
    problems: list[str | None] = []
    if isinstance(value, list) and "items" in schema:
        problems += [_problem(item, schema["items"], f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        problems += [f"{place} has no {name!r}" for name in schema.get("required", []) if name not in value]
        problems += [f"{place} has {name!r}" for name in value if name not in known and others is False]
        problems += [
            _problem(item, known.get(name) or others or {}, f"{place}[{name!r}]") for name, item in value.items()
        ]
    return next(filter(None, problems), None)
