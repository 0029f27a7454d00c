"""The canonical JSON of a configuration that consists of built-in values alone, in one walk.

It is the same as that of its form; a call that finds its artifact would spend most of its time on making that.

Source: RFC 8785.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from typing import Any

_MAX_SAFE = 2**53 - 1
_STR = {str}
_quoted = json.encoder.encode_basestring


class _NotPlainError(Exception):
    """Something that only the table in the reference knows how to write."""


def plain_bytes(config: object) -> bytes | None:
    """The RFC 8785 bytes of a configuration of built-in values; None if it holds anything else.

    Args:
        config: the configuration.
    """
    try:
        return _WRITERS[type(config)](config).encode()
    # KeyError: another type. RecursionError, UnicodeEncodeError: whoever converts it step by step says where.
    except (_NotPlainError, KeyError, RecursionError, UnicodeEncodeError):
        return None


# Configurations that differ in one number share the others.
@functools.lru_cache(maxsize=256)
def _integer(value: int) -> str:
    if -_MAX_SAFE <= value <= _MAX_SAFE:
        return repr(value)
    raise _NotPlainError


@functools.lru_cache(maxsize=256)
def _number(value: float) -> str:
    # In this range, and only there, Python writes what ECMAScript does.
    if not value or 1e-4 <= abs(value) <= _MAX_SAFE:
        return repr(int(value)) if value.is_integer() else repr(value)
    raise _NotPlainError


def _array(items: Iterable[Any]) -> str:
    return f"[{','.join([_WRITERS[type(item)](item) for item in items])}]"


def _object(mapping: dict[Any, Any]) -> str:
    if not {*map(type, mapping)} <= _STR:
        raise _NotPlainError  # other keys are converted first
    members = [start + _WRITERS[type(value := mapping[key])](value) for key, start in _members(tuple(mapping))]
    return f"{{{','.join(members)}}}"


@functools.lru_cache(maxsize=256)  # most configurations have the keys of the one before
def _members(keys: tuple[str, ...]) -> list[tuple[str, str]]:
    """The keys of an object in their order, each with how its member begins."""
    # The order of other texts is that of UTF-16.
    if not all(map(str.isascii, keys)):
        raise _NotPlainError
    return [(key, f"{_quoted(key)}:") for key in sorted(keys)]


# Exact types: a subclass may have another form.
_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _quoted,
    int: _integer,
    float: _number,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
    list: _array,
    tuple: _array,
    dict: _object,
}
