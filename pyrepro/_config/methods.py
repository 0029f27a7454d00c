"""The class of the object whose method is called: where it inherits the method, what that does depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyrepro._config.names import class_name


def put_class_of_self(form: Any, function: Any, arguments: Mapping[str, Any]) -> None:
    """Put the class of an object into the form of a call's arguments, unless its own form says it.

    A method that stands in the class itself is told from others by what makes artifacts: the function.

    Args:
        form: the arguments that count, by name, in JSON.
        function: what is called.
        arguments: all its arguments by name, in their order.
    """
    name = next(iter(arguments), "")
    if name not in form or not _inherits(type(arguments[name]), name, function):
        return
    known, cls = form[name], class_name(type(arguments[name]))
    if not isinstance(known, dict) or known.get("__class__", cls) != cls:
        known = {"value": known}
    form[name] = {"__class__": cls, **known}


def _inherits(kind: type, parameter: str, function: Any) -> bool:
    """Whether objects of a type have a function as a method that does not stand in their class itself."""
    name = getattr(function, "__qualname__", "")
    owner = function.__module__, name.rpartition(".")[0]
    known = [(base.__module__, base.__qualname__) for base in kind.__mro__]
    # A plain value is no object of a class that has methods of one's own.
    is_method = owner in known or (parameter == "self" and kind.__module__ != "builtins")
    return is_method and owner != known[0]
