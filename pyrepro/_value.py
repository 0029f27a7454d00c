"""Values: what is compared, hashed and shown by its fields, and cannot be changed.

A frozen dataclass is the same, but takes as long to import and to make as a git process takes to run, and that in
every program that writes an artifact; a named tuple takes a tenth of that, and there would be a dozen.
"""

from __future__ import annotations

import contextlib
from typing import Any, NoReturn, TypeVar


def is_hex(value: object, *lengths: int) -> bool:
    """Whether a value is the text of so many lower-case hex digits."""
    return isinstance(value, str) and len(value) in lengths and not value.strip("0123456789abcdef")


class Value:
    """A value of named fields, which a subclass gives and checks."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot assign to field {name!r}: a {type(self).__name__} is immutable; make a new one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cannot delete field {name!r}: a {type(self).__name__} is immutable; make a new one")

    def __eq__(self, other: object) -> bool:
        return self is other or (self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented)

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


_V = TypeVar("_V", bound=Value)


def replaced(value: _V, **fields: Any) -> _V:
    """A value with some of its fields changed."""
    return type(value)(**{**value.__dict__, **fields})


def attribute_of(thing: object, name: str) -> Any:
    """An attribute of whatever it is, None where it has none: some look them up in a mapping, and raise a KeyError."""
    with contextlib.suppress(Exception):
        return getattr(thing, name)
    return None
