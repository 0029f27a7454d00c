"""What a function is annotated to return: whether that can be nothing but paths."""

from __future__ import annotations

import inspect
import pathlib
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pyrepro._binding import declared_signature
from pyrepro._code.modules import without_partials

_PLAIN = (str, bytes, type(None))
_CONTAINERS = (list, tuple, dict)
# What an annotation like object or Sequence may stand for.
_POSSIBLE = (str, bytes, pathlib.PurePath, list, tuple, dict, type(None))


def returned_by(function: Callable[..., Any]) -> Any:
    """What a function is annotated to return; Any where nothing says so, or where it cannot be resolved."""
    own = inspect.unwrap(without_partials(function))
    try:
        hints = {"return": declared_signature(function).return_annotation}
        if hints["return"] is inspect.Signature.empty:
            return Any
        # An object of its own: where another annotation cannot be resolved, this one still can.
        holder = types.SimpleNamespace(__annotations__=hints)
        return typing.get_type_hints(holder, getattr(own, "__globals__", {}), include_extras=False)["return"]
    except Exception:  # whatever the annotation runs into; the call still refuses what it cannot give back
        return Any


def may_be_none_or_paths(annotation: Any) -> bool:
    """Whether what is annotated may be None, a path, or a list, tuple or dict of these.

    What is not a class, as a TypeVar or a Protocol, may be anything.
    """
    # Of a NewType, and of an alias that a type statement makes.
    annotation = getattr(annotation, "__supertype__", getattr(annotation, "__value__", annotation))
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return all(map(may_be_none_or_paths, args))
    if origin is typing.Literal:
        return all(isinstance(value, _PLAIN) for value in args)
    # In newer versions of Python, Any is a class.
    if annotation is Any or not isinstance(origin or annotation, type):
        return True
    return _may_be_class(origin or annotation) and _may_hold(origin or annotation, args)


def _may_be_class(cls: Any) -> bool:
    if _is_path_class(cls) or issubclass(cls, (*_PLAIN, *_CONTAINERS)):
        return True
    try:
        return any(issubclass(one, cls) for one in _POSSIBLE)
    except TypeError:  # a Protocol that cannot be asked
        return True


def _is_path_class(cls: Any) -> bool:
    return hasattr(cls, "__fspath__") or hasattr(cls, "with_name")


def _may_hold(cls: Any, args: tuple[Any, ...]) -> bool:
    """Whether the parts may be paths: type arguments, or the fields of a named tuple or a typed dict."""
    if _is_path_class(cls):
        return True
    if not args and issubclass(cls, (tuple, dict)):
        try:
            return all(map(may_be_none_or_paths, typing.get_type_hints(cls).values()))
        except Exception:  # as above
            return True
    return all(map(may_be_none_or_paths, args[1:] if issubclass(cls, Mapping) else args))
