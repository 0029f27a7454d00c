"""What an object is made of: the fields that its class declares, and the attributes that it carries beyond them."""

from __future__ import annotations

import enum
import functools
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyrepro._config.loaded import loaded_classes
from pyrepro._paths import is_plainly_installed

_BUILTIN = (str, bytes, bytearray, list, tuple, set, frozenset, dict)


def fields_of(instance: object) -> list[str] | None:
    """The names of what counts of an object with fields; None of any other value."""
    declared = _declared(instance)
    if declared is None:
        return None
    known = dict.fromkeys(declared)
    beyond = dict.fromkeys(name for name in attributes_of(instance) if name not in known)
    return [name for name in known if not _is_excluded(instance, name)] + [*beyond]


def is_namespace(value: object) -> bool:
    """Whether a value is nothing but its attributes."""
    return isinstance(value, (types.SimpleNamespace, *loaded_classes("argparse", "Namespace")))


def is_data(kind: type) -> bool:
    """Whether values of a type are pandas' or xarray's own; times of pandas are like those of the standard library."""
    is_time = kind.__name__ in ("Timestamp", "Timedelta")
    # As text: the type of Cython's functions has a descriptor there.
    return not is_time and any(str(base.__module__).partition(".")[0] in ("pandas", "xarray") for base in kind.__mro__)


def is_secret(value: object) -> bool:
    """Whether a value is one that pydantic hides."""
    secrets = ("SecretStr", "SecretBytes", "Secret")
    return isinstance(
        value, (*loaded_classes("pydantic.types", *secrets), *loaded_classes("pydantic.v1.types", *secrets))
    )


def is_unset(value: object) -> bool:
    """Whether a value is one of those that msgspec and pydantic do not write, as if there were no such field."""
    missing = getattr(sys.modules.get("pydantic_core"), "MISSING", None)
    return isinstance(value, loaded_classes("msgspec", "UnsetType")) or (value is missing is not None)


def unset_placeholder() -> Any:
    """What ml_collections raises for a placeholder that needs a value, as types to catch."""
    return loaded_classes("ml_collections.config_dict", "RequiredValueError")


def _declared(instance: object) -> Iterable[str] | None:
    """The names of the fields of a dataclass, attrs or pydantic instance, a named tuple or a msgspec struct."""
    value: Any = instance
    kind: Any = type(value)
    if isinstance(value, type):
        return None
    if hasattr(kind, "__dataclass_fields__"):
        return [field.name for field in sys.modules["dataclasses"].fields(value)]
    if hasattr(kind, "__attrs_attrs__"):
        return [attribute.name for attribute in kind.__attrs_attrs__]
    if tuple in kind.__mro__ and hasattr(kind, "_fields"):
        return [*kind._fields]
    if issubclass(kind, loaded_classes("msgspec", "Struct")):
        return [*kind.__struct_fields__]
    if issubclass(kind, (*loaded_classes("pydantic", "BaseModel"), *loaded_classes("pydantic.v1", "BaseModel"))):
        if hasattr(kind, "model_fields"):
            return [*kind.model_fields, *(value.__pydantic_extra__ or ())]
        return [*kind.__fields__, *value.__fields_set__]  # of pydantic 1
    return None


def _is_excluded(instance: object, name: str) -> bool:
    """Whether pydantic leaves a field out of what it writes."""
    kind: Any = type(instance)
    places = ("__pydantic_fields__", "model_fields", "__fields__")  # of every pydantic one; asked for the last, 2 warns
    declared = next((getattr(kind, place) for place in places if hasattr(kind, place)), None)
    field = declared.get(name) if isinstance(declared, dict) else None
    field = getattr(field, "field_info", field)  # of pydantic 1
    decide = getattr(field, "exclude_if", None)
    return getattr(field, "exclude", None) is True or (decide is not None and bool(decide(getattr(instance, name))))


def attributes_of(instance: object) -> Iterator[str]:
    """The public attributes of an instance, without those that its class derives from others."""
    kind = type(instance)
    names = [*getattr(instance, "__dict__", ())]
    for base in kind.__mro__:
        # attrs names its cached properties among the slots, and its fields elsewhere.
        slots = () if "__attrs_attrs__" in vars(base) else vars(base).get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    for name in names:
        if not name.startswith("_") and hasattr(instance, name) and not _is_derived(kind, name):
            yield name


def own_attributes_of(value: object) -> list[str]:
    """The public attributes of an instance of a class of the user's own that is derived from a built-in one.

    What installed libraries note there is not what a value says, such as how TOML was written. Keys that can be read
    as attributes say nothing more, and a function that was put there is a method.
    """
    file = getattr(sys.modules.get(type(value).__module__), "__file__", None)
    if isinstance(file, str) and is_plainly_installed(file):
        return []
    keys: Any = value if isinstance(value, Mapping) else ()
    names = [name for name in attributes_of(value) if name not in keys and not callable(getattr(value, name))]
    if isinstance(value, (*_BUILTIN, *_of_standard_library())):
        known = {name for base in type(value).__mro__ for name in _KEPT.get(base.__name__, ())}
        return [name for name in names if name not in known]
    # A mapping or sequence of another kind keeps its items in an attribute, and maybe how many there are.
    items: Any = value
    return [name for name in names if _is_single(getattr(items, name)) and getattr(items, name) != len(items)]


def _is_single(value: object) -> bool:
    return isinstance(value, (str, bytes, int, float, complex, enum.Enum))


_KEPT = {
    "UserDict": ["data"],
    "UserList": ["data"],
    "UserString": ["data"],
    "ChainMap": ["maps"],
    "UUID": ["int", "is_safe"],
}
"""Where classes of the standard library keep what they hold."""


def _of_standard_library() -> Any:
    return (
        *loaded_classes("datetime", "date", "time", "timedelta"),
        *loaded_classes("pathlib", "PurePath"),
        *loaded_classes("collections", "deque", "UserDict", "UserList", "UserString", "ChainMap"),
        *loaded_classes("array", "array"),
        *loaded_classes("decimal", "Decimal"),
        *loaded_classes("fractions", "Fraction"),
        *loaded_classes("uuid", "UUID"),
        functools.partial,
    )


def _is_derived(kind: type, name: str) -> bool:
    """Whether an attribute is what a cached property has written into the instance."""
    found: Any = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
    if isinstance(found, property):
        return found.fset is None
    is_method = isinstance(found, (types.FunctionType, staticmethod, classmethod))
    return hasattr(type(found), "__get__") and not hasattr(type(found), "__set__") and not is_method
