"""Arguments whose type JSON does not give back: a value -> JSON that names its type -> the value.

Nothing is run to write one. To read one, only what is listed here is called, and of classes only their fields are set.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import decimal
import enum
import fractions
import importlib
import math
import os
import pathlib
import sys
import types
import uuid
from collections.abc import Callable
from typing import Any

from pyrepro._config.forms import JSON

_TEXTS: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    datetime.datetime: ("datetime", datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.date: ("date", datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.time: ("time", datetime.time.isoformat, datetime.time.fromisoformat),
    decimal.Decimal: ("decimal", str, decimal.Decimal),
    fractions.Fraction: ("fraction", str, fractions.Fraction),
    uuid.UUID: ("uuid", str, uuid.UUID),
    float: ("float", repr, float),
    bytes: ("bytes", bytes.hex, bytes.fromhex),
}
_ITEMS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    str: ("text", "".join),
    list: ("list", list),
    tuple: ("tuple", tuple),
    set: ("set", set),
    frozenset: ("frozenset", frozenset),
    range: ("range", lambda items: range(*items)),
    slice: ("slice", lambda items: slice(*items)),
    complex: ("complex", lambda items: complex(*items)),
    datetime.timedelta: ("timedelta", lambda items: datetime.timedelta(*items)),
}
_HOME = "~/"
"""Begins a recorded path below the home directory; a text that was passed so is recorded otherwise."""
_PATHS = (pathlib.PosixPath, pathlib.WindowsPath)
_PURE_PATHS = {"pure-posix": pathlib.PurePosixPath, "pure-windows": pathlib.PureWindowsPath}
_NAMESPACES = {"argparse": argparse.Namespace, "namespace": types.SimpleNamespace}


class UnrecordedError(Exception):
    """A value that cannot be given back."""


def is_exact(value: Any) -> bool:
    """Whether JSON gives a value back as it was."""
    kind = type(value)
    if kind is list:
        return all(map(is_exact, value))
    if kind is dict:
        # A record holds its keys sorted, and functions write the columns of a table in the order in which they stand.
        is_sorted = all(type(key) is str for key in value) and [*value] == sorted(value)
        return is_sorted and all(map(is_exact, (*value, *value.values())))
    if kind is str:
        return not value.startswith(_HOME)
    return value is None or kind in (bool, int) or (kind is float and math.isfinite(value))


def typed_form(value: Any, portable: Callable[[str], str] = str, above: tuple[int, ...] = ()) -> JSON:
    """A value as JSON that names its type wherever JSON would lose it.

    Args:
        value: the value.
        portable: what makes a path mean the same elsewhere.
        above: the containers that hold it, by identity.

    Returns:
        A scalar, or an object with ``"type"``.

    Raises:
        UnrecordedError: it is of another type.
    """
    kind = type(value)
    if kind is str:
        return {"type": "text", "items": ["~", _unicode(value[1:])]} if value.startswith(_HOME) else _unicode(value)
    if value is None or kind in (bool, int) or (kind is float and math.isfinite(value)):
        return value  # type: ignore[no-any-return]
    if id(value) in above or len(above) > 50:
        raise UnrecordedError

    def inner(item: Any) -> JSON:
        return typed_form(item, portable, (*above, id(value)))

    if kind in _TEXTS:
        if getattr(value, "tzinfo", None) is not None and type(value.tzinfo) is not datetime.timezone:
            raise UnrecordedError  # a named time zone, which ISO 8601 does not give back
        name, write, _ = _TEXTS[kind]
        return {"type": name, "text": write(value)}
    if kind in _ITEMS:
        return {"type": _ITEMS[kind][0], "items": [inner(item) for item in _items_of(value)]}
    if kind is dict:
        return {"type": "dict", "items": [[inner(key), inner(item)] for key, item in value.items()]}
    if kind in _PATHS:
        # A relative one stays as it was passed; what is absolute stands elsewhere on another computer.
        text = _unicode(os.fspath(value))
        if value.is_absolute():
            return {"type": "place", "text": portable(text)}
        return {"type": "path", "text": os.path.join(".", text) if text.startswith(_HOME) else text}
    if kind in _PURE_PATHS.values():
        return {
            "type": next(name for name, one in _PURE_PATHS.items() if one is kind),
            "text": _unicode(os.fspath(value)),
        }
    if kind in _NAMESPACES.values():
        fields = {str(name): inner(item) for name, item in vars(value).items()}
        name = next(name for name, one in _NAMESPACES.items() if one is kind)
        return {"type": name, "fields": fields, "order": [*fields]}
    if isinstance(value, enum.Enum):
        if value.name is None or value.name not in type(value).__members__:
            raise UnrecordedError  # a combination of flags
        return {"type": "enum", "class": _name_of(kind), "text": value.name}
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return {"type": "tuple-of", "class": _name_of(kind), "items": [inner(item) for item in value]}
    if dataclasses.is_dataclass(kind):
        return {"type": "dataclass", "class": _name_of(kind), "fields": _fields_of(value, inner)}
    return _form_of_library(value, inner)


def _unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:  # of a name of a file that is not UTF-8, which no JSON holds
        raise UnrecordedError from error
    return text


def _items_of(value: Any) -> list[Any]:
    if isinstance(value, (range, slice)):
        return [value.start, value.stop, value.step]
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, datetime.timedelta):
        return [value.days, value.seconds, value.microseconds]
    return list(value)


def _name_of(kind: type) -> str:
    """Where a class is found again."""
    found: Any = sys.modules.get(kind.__module__)
    for step in kind.__qualname__.split("."):
        found = getattr(found, step, None)
    if found is not kind:
        raise UnrecordedError
    return f"{kind.__module__}:{kind.__qualname__}"


def _fields_of(value: Any, inner: Callable[[Any], JSON]) -> dict[str, JSON]:
    names = [field.name for field in dataclasses.fields(value)]
    if not {*getattr(value, "__dict__", names)} <= {*names} or not all(hasattr(value, name) for name in names):
        raise UnrecordedError  # what it carries beyond its fields would be lost
    return {name: inner(getattr(value, name)) for name in names}


def _form_of_library(value: Any, inner: Callable[[Any], JSON]) -> JSON:
    """Values of optional libraries, which are recognised without being imported."""
    kind = type(value)
    if kind.__module__.startswith("omegaconf.") and kind.__name__ in ("DictConfig", "ListConfig"):
        omegaconf = sys.modules["omegaconf"].OmegaConf
        try:
            return {"type": "omegaconf", "items": [inner(omegaconf.to_container(value, resolve=True))]}
        except Exception as error:  # a value that is missing, or an interpolation that leads nowhere
            raise UnrecordedError from error
    is_scalar = kind.__module__ == "numpy" and kind.__name__ not in ("ndarray", "longdouble")
    if is_scalar and getattr(getattr(value, "dtype", None), "kind", "") in ("b", "i", "u", "f"):
        return {"type": "numpy", "class": value.dtype.str, "items": [inner(value.item())]}
    raise UnrecordedError


def value_of(form: Any, class_named: Callable[[str], Any], located: Callable[[str], str]) -> Any:
    """The value that :func:`typed_form` wrote.

    Args:
        form: what it wrote.
        class_named: gives the class of a ``module:qualname``, or raises.
        located: gives the path that a recorded path is here.

    Raises:
        UnrecordedError: nothing writes such a form, or what it names is another kind of thing.
    """
    if not isinstance(form, dict):
        return form

    def inner(item: Any) -> Any:
        return value_of(item, class_named, located)

    try:
        return _read(form, inner, class_named, located)
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise UnrecordedError(f"{type(error).__name__}: {error}") from error


def _read(
    form: dict[str, Any], inner: Callable[[Any], Any], class_named: Callable[[str], Any], located: Callable[[str], str]
) -> Any:
    kind = form["type"]
    for name, _, read in _TEXTS.values():
        if kind == name:
            return read(form["text"])
    for name, make in _ITEMS.values():
        if kind == name:
            return make([inner(item) for item in form["items"]])
    if kind == "dict":
        return {inner(key): inner(item) for key, item in form["items"]}
    if kind in ("path", "place"):
        return pathlib.Path(form["text"] if kind == "path" else located(form["text"]))
    if kind in _PURE_PATHS:
        return _PURE_PATHS[kind](form["text"])
    if kind in _NAMESPACES:
        return _NAMESPACES[kind](**{name: inner(form["fields"][name]) for name in form.get("order", form["fields"])})
    if kind == "omegaconf":
        return importlib.import_module("omegaconf").OmegaConf.create(inner(form["items"][0]))
    if kind == "numpy":
        return importlib.import_module("numpy").dtype(form["class"]).type(inner(form["items"][0]))
    found = class_named(form["class"])
    if kind == "enum" and isinstance(found, type) and issubclass(found, enum.Enum):
        return found[form["text"]]
    if kind == "tuple-of" and isinstance(found, type) and issubclass(found, tuple):
        return tuple.__new__(found, [inner(item) for item in form["items"]])
    if kind == "dataclass" and isinstance(found, type) and dataclasses.is_dataclass(found):
        return _dataclass_of(found, {name: inner(item) for name, item in form["fields"].items()})
    raise UnrecordedError(f"{form['class']} is not of the kind {kind}")


def _dataclass_of(kind: type, fields: dict[str, Any]) -> Any:
    """An instance with these fields: neither __init__ nor __post_init__ is run, which would make a new one."""
    if fields.keys() != {field.name for field in dataclasses.fields(kind)}:
        raise UnrecordedError(f"{kind.__qualname__} has other fields now")
    made: Any = object.__new__(kind)
    for field in dataclasses.fields(kind):
        object.__setattr__(made, field.name, fields[field.name])  # as frozen ones do themselves
    return made
