"""Closures: what a function takes from the functions around it, and what of that no configuration sees."""

from __future__ import annotations

import collections
import dis
import functools
import inspect
import itertools
import logging
import sys
import threading
import types
import typing
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from pyrepro._code.modules import is_installed
from pyrepro._config.forms import JSON, hash_of_form, json_form
from pyrepro._value import attribute_of
from pyrepro.errors import ConfigError

_DIGITS = 12

_GATHERING = (list, dict, set, collections.deque, collections.Counter, collections.defaultdict, collections.OrderedDict)
"""Something is gathered there: what is still empty says nothing of what is made."""

_FOR_TYPE_CHECKERS = tuple(
    getattr(typing, name) for name in ("TypeVar", "ParamSpec", "TypeVarTuple", "TypeAliasType") if hasattr(typing, name)
)
"""What ``def save[T](...)`` makes around a function; the last two are not in every version of Python."""

_SAYING_NOTHING = (
    logging.Logger,
    logging.LoggerAdapter,
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    threading.Semaphore,
    threading.Event,
    threading.Barrier,
    *_FOR_TYPE_CHECKERS,
)
"""What tells people something, or lets threads wait, and changes nothing of what is made."""

_NO_FORM: Any = object()


class Held(NamedTuple):
    """A value that a function closes over, itself or through what it closes over.

    Attributes:
        name: the variable, the parameter whose default it is, or the attribute.
        cell: what holds a variable, None of what is none.
        value: the value, None if a variable has none yet.
        is_hidden: whether it is a value that no name in the code leads to.
        text: what tells it from another value, where a maker is described with it; else empty.
        is_filled_later: whether the function itself may fill it, so that a change of its content says nothing.
    """

    name: str
    cell: types.CellType | None
    value: Any
    is_hidden: bool
    text: str = ""
    is_filled_later: bool = False


def held_by(function: Any, ignored: Collection[str] = ()) -> list[Held]:
    """What a function closes over, but for what is ignored.

    Of a wrapper it is what the innermost function closes over, and what the decorators hold that can be told from
    other values.
    """
    *decorators, innermost = chain = chain_of(function)
    held = [one for each in decorators for one in _of_decorator(each, chain) if one.name not in ignored]
    waiting, known = [innermost], set()
    while waiting:
        own = waiting.pop()
        known.add(id(own))
        found = [*_cells(own), *(_attributes(own) if isinstance(own, type) else ())]
        # Its own defaults are those of its parameters, which the configuration sees.
        found += _defaults(own) if own is not innermost else ()
        held += (one for one in found if one.name not in ignored)
        inner = [one.value for one in found if one.name not in ignored and not one.is_hidden and not one.text]
        inner += _methods(own) if isinstance(own, type) else []
        for one in inner:
            last = chain_of(one)[-1]
            if id(last) not in known and not _is_of_module(one):
                waiting.append(last)
    return held


def unseen(function: Any, config: Any, *, reads_call: bool, ignored: Collection[str]) -> list[str]:
    """The names of the values that a function closes over and a configuration does not see.

    Args:
        function: the function.
        config: the configuration, or what is called for it.
        reads_call: whether it is called.
        ignored: what changes nothing.
    """
    hidden = [one for one in held_by(function, ignored) if one.is_hidden]
    if not hidden:
        return []
    if reads_call:
        taken = held_by(config)
        is_seen = [any(_is_same_variable(one, other) for other in taken) for one in hidden]
    else:
        form = _form_of(config)
        is_seen = [_is_in_form(one, form) for one in hidden]
    return [*dict.fromkeys(one.name for one, is_one in zip(hidden, is_seen, strict=True) if not is_one)]


def classes_of(held: Iterable[Held]) -> list[str]:
    """The user's own classes of what a configuration must see: one that holds the fields alone does not tell them."""
    kinds = ((one.name, type(one.value)) for one in held if one.is_hidden)
    return [f"{name}={kind.__qualname__}" for name, kind in kinds if kind.__module__ != "builtins" and _is_own(kind)]


def holds_value(function: Any) -> bool:
    """Whether a callable has values with it that its parameters do not show: an instance, or a partial's arguments."""
    chain = chain_of(function)
    owners = (attribute_of(one, "__self__") for one in chain)
    return (
        any(isinstance(one, functools.partial) and one.args for one in chain)
        or attribute_of(chain[-1], "__qualname__") is None
        or not all(owner is None or isinstance(owner, (types.ModuleType, type)) for owner in owners)
    )


def chain_of(function: Any) -> list[Any]:
    """A function and what it leads to by partials, methods and wrappers, the innermost last."""
    chain: list[Any] = []
    while all(function is not one for one in chain):
        chain.append(function)
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif _is_proxy(function):
            function = getattr(function, "__wrapped__", function)
        else:
            # Not getattr: what makes attributes up as they are asked for may wrap itself forever.
            function = (attribute_of(function, "__dict__") or {}).get("__wrapped__", function)
    return chain


def _is_proxy(function: Any) -> bool:
    """Whether it says that it is what it wraps, its dictionary included, as those of wrapt do."""
    return isinstance(function, types.FunctionType) and type(function) is not types.FunctionType


def _cells(function: Any) -> Iterator[Held]:
    if isinstance(function, types.FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            # The class that super() needs, and the function's own name, are not there at the decoration.
            if name not in ("__class__", function.__name__):
                try:
                    value = cell.cell_contents
                except ValueError:  # it is assigned below the function
                    yield Held(name, cell, None, is_hidden=True)
                    continue
                is_filled = _is_empty(value) or (value is None and name in _assigned_in(function.__code__))
                yield Held(name, cell, value, is_hidden=_is_hidden(value), is_filled_later=is_filled)


def _assigned_in(code: types.CodeType) -> set[str]:
    """The variables of the functions around it to which a function assigns."""
    return {one.argval for one in dis.get_instructions(code) if one.opname == "STORE_DEREF"}


def _defaults(function: Any) -> Iterator[Held]:
    """The defaults of a function that others call: they are made where it is defined, as what it closes over is."""
    if isinstance(function, types.FunctionType):
        code, defaults = function.__code__, function.__defaults__ or ()
        names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
        pairs = itertools.chain(zip(names, defaults, strict=True), (function.__kwdefaults__ or {}).items())
        for name, value in pairs:
            # The code may say the value itself, so what can be told from others is not refused.
            yield _told(name, value) or Held(name, None, value, is_hidden=_is_hidden(value))


def _of_decorator(wrapper: Any, chain: list[Any]) -> Iterator[Held]:
    """What a wrapper has with it, as far as it can be told: ``2`` of ``scaled(2)``, and the user's own functions.

    What has no form, such as a session, is the decorator's own: refused, hardly anything could be decorated.
    """
    wrapper = getattr(wrapper, "_self_wrapper", None) if _is_proxy(wrapper) else wrapper
    if isinstance(wrapper, types.FunctionType):
        # Those of an artifact that is decorated again say what the artifact is.
        if wrapper.__globals__.get("__name__") == "pyrepro._wrapper":
            return
        found = {one.name: one.value for one in (*_cells(wrapper), *_defaults(wrapper))}
    elif isinstance(wrapper, functools.partial) or inspect.ismethod(wrapper):
        return  # arguments that are parameters, and owners that are looked at elsewhere
    elif isinstance(wrapper, type) or not (_is_own(type(wrapper)) or type(wrapper).__module__ == "contextlib"):
        return  # what a library keeps there differs between its versions
    else:
        found = {name: value for name, value in getattr(wrapper, "__dict__", {}).items() if not name.startswith("__")}
    yield from _told_in(found, wrapper, chain)


def _told_in(found: dict[str, Any], wrapper: Any, chain: list[Any]) -> Iterator[Held]:
    for name, value in found.items():
        if value is None or _is_empty(value) or any(value is one for one in chain):
            continue
        told = _told_by_form(name, value)
        if told is not None:
            yield told
        elif isinstance(value, (types.FunctionType, type)) and _is_own(value):
            yield Held(name, None, value, is_hidden=False)
            yield from _of_decorator(value, [*chain, value])
        elif _is_made_by_call_of(value, wrapper):
            yield from _of_decorator(value, [*chain, value])  # scaled(2) that is an instance of a class
        elif isinstance(value, functools.partial):
            parts = {name: value.func, f"{name}.args": [*value.args], f"{name}.keywords": value.keywords}
            yield from _told_in(parts, wrapper, chain)
        elif _is_of_module(value):
            yield Held(name, None, value, is_hidden=False, text=f"{name}={value.__module__}:{value.__name__}")


def _is_made_by_call_of(decorator: object, wrapper: Any) -> bool:
    call = getattr(type(decorator), "__call__", None)  # noqa: B004
    constants = getattr(getattr(call, "__code__", None), "co_consts", ())
    return isinstance(wrapper, types.FunctionType) and wrapper.__code__ in constants


def _is_own(thing: Any) -> bool:
    """Whether a function or class is of a module that is not installed, where lines and attributes are the user's."""
    file = getattr(sys.modules.get(thing.__module__ or ""), "__file__", None)
    return not isinstance(file, str) or not is_installed(file)


def _attributes(kind: type) -> Iterator[Held]:
    """The values in the body of a class that is made by a function."""
    for name, value in vars(kind).items():
        if not (name.startswith("__") or _is_method(value)) and (told := _told(name, value)) is not None:
            yield told


def _methods(kind: type) -> list[Any]:
    """The functions and classes that a class is made of."""
    found = [value for value in vars(kind).values() if _is_method(value)]
    # Where a property, a cached one, and a static or class method have their function.
    inner = [getattr(one, attribute, None) for one in found for attribute in ("fget", "func", "__func__")]
    return [*found, *inner, *kind.__bases__]


def _is_method(value: object) -> bool:
    kinds = (types.FunctionType, staticmethod, classmethod, property, functools.cached_property)
    return isinstance(value, kinds)


def _told(name: str, value: object) -> Held | None:
    """A value that is told from others by its JSON form; None if it has none, or says nothing."""
    return _told_by_form(name, value) if _is_hidden(value) else None


def _told_by_form(name: str, value: object) -> Held | None:
    form = _form_of(value)
    if form is _NO_FORM:
        return None
    return Held(name, None, value, is_hidden=False, text=f"{name}={hash_of_form(form)[:_DIGITS]}")


def _is_hidden(value: object) -> bool:
    """Whether a value may change what is made, and no name in the code leads to it."""
    return not (isinstance(value, _SAYING_NOTHING) or _is_empty(value) or _has_name(value))


def _is_empty(value: object) -> bool:
    return type(value) in _GATHERING and not value


def _has_name(value: object) -> bool:
    """Whether the code says what a value is: None, a module, a class, or a function that holds no values."""
    if value is None or isinstance(value, (types.ModuleType, type)) or _is_of_module(value):
        return True
    return not holds_value(value) and not any(isinstance(one, functools.partial) for one in chain_of(value))


def _is_of_module(value: Any) -> bool:
    """Whether a module has a value under its name, so that what it holds is the module's: ``os.fsencode``."""
    of_module, *names = (attribute_of(value, name) for name in ("__module__", "__qualname__", "__name__"))
    module = sys.modules.get(of_module) if isinstance(of_module, str) else None
    # The simple name, too: what a function of the module makes has a qualified one that leads nowhere.
    paths = (name.split(".") for name in names if isinstance(name, str))
    return any(functools.reduce(attribute_of, path, module) is value for path in paths)


def _form_of(value: object) -> Any:
    try:
        return json_form(value)
    except ConfigError:
        return _NO_FORM


def _is_same_variable(one: Held, other: Held) -> bool:
    """Whether two functions take one variable: its cell, or where they were sent to another process its value."""
    if one.name != other.name:
        return one.cell is not None and one.cell is other.cell
    form = _form_of(one.value)
    return one.value is other.value or (form is not _NO_FORM and form == _form_of(other.value))


def _is_in_form(held: Held, form: Any) -> bool:
    """Whether a configuration is the value of a variable, or has it under its name, or each of its fields."""
    value = _NO_FORM if held.value is None else _form_of(held.value)
    if value is _NO_FORM:
        return False
    is_under_name = isinstance(form, dict) and held.name in form and form[held.name] == value
    if is_under_name or value == form:
        return True
    bare, bare_form = _without_classes(value), _without_classes(form)
    if isinstance(bare, dict) and isinstance(bare_form, dict):
        # Of what has no fields, the class says everything.
        return bool(bare) and all(name in bare_form and bare_form[name] == item for name, item in bare.items())
    return bare == bare_form


def _without_classes(form: JSON) -> JSON:
    """A form without the classes of its objects, as ``dataclasses.asdict`` and ``vars`` give their fields."""
    if isinstance(form, dict):
        return {name: _without_classes(value) for name, value in form.items() if name != "__class__"}
    return [*map(_without_classes, form)] if isinstance(form, list) else form
