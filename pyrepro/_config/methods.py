"""The class of the object whose method is called: where it inherits the method, what that does depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyrepro._config.names import class_name


def with_class_of_self(form: Any, config: object, function: Any, arguments: Mapping[str, Any]) -> Any:
    """The form of a configuration, with the class of the object in it, where the object's own form does not say it.

    A method that stands in the class itself is told from others by what makes artifacts: the function.

    Args:
        form: the form; an object of it is changed in place.
        config: the configuration that was made of the arguments.
        function: what is called.
        arguments: its arguments by name, in their order.
    """
    name = next(iter(arguments), "")
    instance = arguments.get(name)
    if not _inherits(type(instance), name, function):
        return form
    if config is instance:
        return _with_class(form, instance)
    if isinstance(config, Mapping) and isinstance(form, dict):
        for key in config:
            # What is ignored is not in the form.
            if key in form and config[key] is instance:
                form[key] = _with_class(form[key], instance)
    return form


def _with_class(form: Any, instance: object) -> dict[str, Any]:
    name = class_name(type(instance))
    if not isinstance(form, dict) or form.get("__class__", name) != name:
        form = {"value": form}
    return {"__class__": name, **form}


def _inherits(kind: type, parameter: str, function: Any) -> bool:
    """Whether objects of a type have a function as a method that does not stand in their class itself."""
    name = getattr(function, "__qualname__", "")
    owner = function.__module__, name.rpartition(".")[0]
    known = [(base.__module__, base.__qualname__) for base in kind.__mro__]
    # A plain value is no object of a class that has methods of one's own.
    is_method = owner in known or (parameter == "self" and kind.__module__ != "builtins")
    return is_method and owner != known[0]
