"""What a function returned: staged paths become final ones, and what still uses the staging directory is found."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import inspect
import os
import types
from collections.abc import Callable, Generator, Iterator
from typing import Any

from pyrepro._paths import made_like
from pyrepro._publish.held import children, command_line, open_files
from pyrepro._value import attribute_of

_MAX_OBJECTS = 1_000
"""How many objects are looked at: whatever still uses a path holds it near its surface."""

_PLAIN = (type(None), bool, int, float, complex, type, types.ModuleType)
_MAX_SHOWN = 100

_PLANS = {"polars": "explain", "duckdb": "sql_query", "_duckdb": "sql_query", "pyarrow": "files"}
"""What says which files a lazy object of a package will read, where its repr does not."""


def with_final_paths(value: Any, final: Callable[[Any], Any]) -> Any:
    """What a function returned, with the paths that it will have after publishing.

    Args:
        value: what it returned.
        final: gives the final path of a staged one, and anything else as it is.

    Returns:
        The value, or a copy of it if it holds staged paths. A generator gives its items so, when it is asked for them.
        What contains itself or cannot be copied is returned as it is: it must not cost what the function wrote.
    """
    # At the top alone: below it, what contains itself would be copied at each depth.
    with contextlib.suppress(Exception):
        return _with_final_paths(value, final)
    return value


def _with_final_paths(value: Any, final: Callable[[Any], Any]) -> Any:
    change = functools.partial(_with_final_paths, final=final)
    if isinstance(value, dict):
        return _changed_items(value, {key: change(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        after = [change(item) for item in value]
        return value if _are_the_very(value, after) else made_like(value, after)
    if isinstance(value, types.GeneratorType):
        return _with_final_paths_later(value, functools.partial(with_final_paths, final=final))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _changed_fields(value, change)
    return final(value)


def _are_the_very(before: Any, after: Any) -> bool:
    return all(one is other for one, other in zip(before, after, strict=True))


def _changed_items(value: dict[Any, Any], after: dict[Any, Any]) -> dict[Any, Any]:
    if _are_the_very(value.values(), after.values()):
        return value
    changed = copy.copy(value)  # a subclass stays one
    changed.update(after)
    with contextlib.suppress(Exception):  # a dict itself has no attributes
        if vars(value) is value:  # its items are its attributes, but those of the copy are still the old ones
            changed.__dict__ = changed
    return changed


def _changed_fields(value: Any, change: Callable[[Any], Any]) -> Any:
    before = {field.name: attribute_of(value, field.name) for field in dataclasses.fields(value)}
    after = {name: change(item) for name, item in before.items()}
    if _are_the_very(before.values(), after.values()):
        return value
    changed = copy.copy(value)
    for name, item in after.items():
        if item is not before[name]:
            object.__setattr__(changed, name, item)  # a frozen one, too: the copy is nobody else's yet
    return changed


def _with_final_paths_later(
    generator: Generator[Any, Any, Any], change: Callable[[Any], Any]
) -> Generator[Any, Any, Any]:
    try:
        sent = None
        while True:
            sent = yield change(generator.send(sent))
    except StopIteration as end:
        return change(end.value)
    finally:
        generator.close()


def users_of(value: Any, tokens: list[str]) -> list[str]:
    """What would still use staging directories after they are gone.

    Args:
        value: what the function returned, its staged paths replaced.
        tokens: the names of the staging directories.

    Returns:
        What it is, to be read by people.
    """
    return [*_users_in(value, tokens), *_open_files_in(tokens)]


def _users_in(value: Any, tokens: list[str]) -> Iterator[str]:
    """The first part of a value that holds the name of a staging directory."""
    seen: set[int] = set()
    # First in, first out: near the surface before deep.
    waiting = [value]
    while waiting and len(seen) < _MAX_OBJECTS:
        part = waiting.pop(0)
        if id(part) in seen or issubclass(type(part), _PLAIN):
            continue
        seen.add(id(part))
        text = ""
        # Not even its class can be asked of whatever it is: a weak proxy of what is gone raises a ReferenceError.
        with contextlib.suppress(Exception):
            text = _text_of(part)
        if any(token in text for token in tokens):
            yield f"what it returned holds {text if len(text) <= _MAX_SHOWN else _kind(part)}"
            return
        with contextlib.suppress(Exception):
            waiting += _parts_of(part)


def _text_of(part: Any) -> str:
    if isinstance(part, (str, bytes, os.PathLike)):
        with contextlib.suppress(Exception):  # a path object can be anybody's
            return os.fsdecode(part)
    # Of containers their parts are looked at, and of some a repr can be long.
    if isinstance(part, (dict, list, tuple, set, frozenset, types.FunctionType, bytearray, memoryview)):
        return ""
    with contextlib.suppress(Exception):  # what cannot be shown may be used all the same
        plan = getattr(part, _PLANS.get(type(part).__module__.partition(".")[0], ""), None)
        return repr(part if plan is None else plan() if callable(plan) else plan)
    return ""


def _parts_of(part: Any) -> list[Any]:
    """What a value holds: items, attributes, what functions close over, and what generators have at hand."""
    if isinstance(part, dict):
        return list(part.values())[:_MAX_OBJECTS]
    if isinstance(part, (list, tuple, set, frozenset)):
        return list(part)[:_MAX_OBJECTS]
    parts: list[Any] = []
    if isinstance(part, types.GeneratorType):
        parts += inspect.getgeneratorlocals(part).values()
    if isinstance(part, types.MethodType):
        parts += [part.__self__, part.__func__]
    if isinstance(part, functools.partial):
        parts += [part.func, *part.args, *part.keywords.values()]
    # Not of whatever has the attribute: objects that look their attributes up in a mapping raise a KeyError.
    for cell in (part.__closure__ or ()) if isinstance(part, types.FunctionType) else ():
        with contextlib.suppress(ValueError):  # an empty cell
            parts.append(cell.cell_contents)
    with contextlib.suppress(Exception):  # objects that refuse to be looked into
        # Not getattr of each name: properties would run.
        parts += vars(part).values()
    for kind in type(part).__mro__:
        for slot in vars(kind).values():
            if isinstance(slot, types.MemberDescriptorType):
                with contextlib.suppress(Exception):  # not set
                    parts.append(slot.__get__(part))
    return parts


def _open_files_in(tokens: list[str]) -> Iterator[str]:
    """The files in staging directories that this process has open, where the platform lists them."""
    # By the names alone, which are random: the paths would have to be real ones.
    for path in open_files():
        if any(f"/{token}/" in path for token in tokens):
            yield f"{os.path.basename(path)} is still open"
    for process in children():
        names = [
            os.path.basename(path) for path in open_files(process) if any(f"/{token}/" in path for token in tokens)
        ]
        yield from (f"{name} is still open in process {process}, which nobody waited for" for name in names)
        # One that has not opened its file yet would write where nothing is any more.
        if not names and any(f"/{token}/" in command_line(process) for token in tokens):
            yield f"process {process}, which nobody waited for, was started with a path in it"


def described(value: Any) -> str:
    """A value as messages show it; its type where it cannot be shown, as a query whose file has moved, or is long."""
    with contextlib.suppress(Exception):
        text = repr(value)
        if len(text) <= 10 * _MAX_SHOWN:
            return text
    return _kind(value)


def advice_on(value: Any) -> str:
    """What to do where a function returned without writing, by what it returned instead."""
    if inspect.iscoroutine(value):
        # Nobody else has it, and it would be warned of as never awaited.
        value.close()
        return (
            "It returned a coroutine, which has not run: put @Artifact(...) directly above the async def, below other "
            "decorators."
        )
    not_run = _not_run_yet(value)
    if not_run:
        return f"It returned {_kind(value)}, {not_run} inside of the function, or put @Artifact(...) directly above it."
    returned = "" if value is None or isinstance(value, (str, bytes, os.PathLike)) else f"It returned {_kind(value)}. "
    return f"{returned}Write to the very path that is passed to it."


def _not_run_yet(value: Any) -> str:
    if isinstance(value, types.GeneratorType) or inspect.isasyncgen(value):
        return "whose body has not run: exhaust it"
    if isinstance(value, (contextlib.ContextDecorator, contextlib.AsyncContextDecorator)):
        return "a context manager whose body has not run: enter it"
    # Of the type: an object that answers for any attribute, or raises something of its own, says nothing by it.
    kind = type(value)
    if inspect.isawaitable(value) or hasattr(kind, "add_done_callback"):
        return "which may not have run to its end: wait for it"
    if hasattr(kind, "__dask_graph__") or "Lazy" in kind.__qualname__:
        return "which is lazy and may not have been computed: compute it"
    return ""


def _kind(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
