"""What a message says of a value without a stable JSON form: what it is, and what to pass instead."""

from __future__ import annotations

import builtins
import functools
import io
import os
import sys
import types
from collections.abc import Awaitable, Iterator, Mapping, MappingView, Sequence, Set
from typing import Any

from pyrepro._config.fields import is_data, is_secret
from pyrepro._config.loaded import loaded_classes
from pyrepro._config.names import class_name
from pyrepro._config.place import type_of, value_and_type_of
from pyrepro._paths import is_plainly_installed


def advice(value: object) -> tuple[str, str]:
    """What was found, and the remedy that fits it."""
    kind = type(value)
    if is_secret(value):
        return f"is {type_of(value)}, a secret, which must not enter a name", "name it in ignore="
    if is_data(kind) or isinstance(value, loaded_classes("polars", "DataFrame", "LazyFrame", "Series")):
        return _advice_on_data(value)
    if isinstance(value, (*loaded_classes("numpy", "ndarray", "generic"), *loaded_classes("torch", "Tensor"))):
        found = f"is {value_and_type_of(value)}, which may carry more than its numbers, such as a unit or a mask"
        # NumPy reads no tensor with a gradient.
        plain = ".as_subclass(torch.Tensor)" if hasattr(value, "as_subclass") else "numpy.asarray()"
        return found, _advice_on_quantity(value) or f"pass {plain} of it, and what it carries besides"
    if isinstance(value, loaded_classes("absl.flags", "FlagValues")):
        return (
            f"is {type_of(value)[8:]}, whose flags have no values before they are parsed",
            "pass config=lambda call: FLAGS.flag_values_dict()",
        )
    found = f"is {value_and_type_of(value)}, which has no stable JSON form"
    if issubclass(kind, type):  # not isinstance(), which older Pythons answer for list[int]
        return found, "pass its .__qualname__"
    known = next((remedy for kinds, remedy in _remedies() if isinstance(value, kinds)), None)
    if known is not None or str(kind.__module__).lstrip("_").partition(".")[0] in _HANDLES:
        return found, known or _IGNORE
    # With the class, since objects of two classes may have equal parts.
    for method, parts in (("get_params", {"deep": False}), ("to_dict", {})):
        if _is_method(kind, method, parts):
            passed = ", ".join(f"{name}={part}" for name, part in parts.items())
            return found, f'pass {{"__class__": "{class_name(kind)}", **value.{method}({passed})}}'
    if _is_method(kind, "tolist", {}):
        return found, _advice_on_quantity(value) or "pass its .tolist()"
    if _is_internal(kind) or (_is_installed(kind) and callable(getattr(kind, "close", None))):
        return found, f"pass plain values, or {_IGNORE}"
    return found, f"pass plain values, or register the type with pyrepro.to_json.register({kind.__name__})"


_IGNORE = "name it in ignore= if it does not change the artifact"

_HANDLES = {
    "asyncio",
    "concurrent",
    "contextvars",
    "io",
    "logging",
    "mmap",
    "multiprocessing",
    "queue",
    "select",
    "selectors",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "thread",
    "threading",
    "weakref",
}
"""The modules of the standard library, without underscores, whose objects stand for something outside of them."""


def _remedies() -> Iterator[tuple[Any, str]]:
    """What to pass in place of objects of the types that are met most."""
    yield types.ModuleType, "pass its .__name__"
    yield (io.IOBase, *loaded_classes("logging", "Logger", "LoggerAdapter", "Handler")), _IGNORE
    generators = ("Generator", "RandomState", "BitGenerator", "SeedSequence")
    yield (
        (
            *loaded_classes("random", "Random"),
            *loaded_classes("numpy.random", *generators),
            *loaded_classes("torch", "Generator"),
        ),
        "pass the seed that it was made from",
    )
    yield loaded_classes("jax.core", "Tracer"), "pass it from outside of what JAX transforms"
    yield loaded_classes("jax", "Array"), "pass jax.random.key_data() of it"
    yield loaded_classes("concurrent.futures", "Future"), "pass its .result()"
    yield Awaitable, "await it, and pass what it returns"
    yield loaded_classes("itertools", "count", "cycle", "repeat"), "pass what it was made from"  # without end
    yield (Iterator, MappingView, *loaded_classes("ctypes", "Array")), "pass list() of it"
    yield Set, "pass set() of it"
    yield loaded_classes("_ctypes", "_SimpleCData"), "pass its .value"
    yield loaded_classes("datetime", "timezone"), "pass its .utcoffset(None)"
    yield loaded_classes("cloudpathlib", "CloudPath"), "pass str() of it"  # os.fspath() would download it
    yield os.PathLike, "pass os.fspath() of it"
    names = (*loaded_classes("torch", "layout", "memory_format"), *loaded_classes("polars", "DataType"))
    yield (*names, *loaded_classes("upath", "UPath")), "pass str() of it"


def _is_method(kind: type, name: str, passed: dict[str, Any]) -> bool:
    """Whether objects of a type have a method that takes nothing but this."""
    method = getattr(kind, name, None)
    if not callable(method):
        return False
    import inspect  # slow to import, and rarely needed

    try:
        inspect.signature(method).bind(None, **passed)
    except Exception:  # from Python 3.14 on, annotations are evaluated here, which may fail in any way
        return False
    return True


def _is_internal(kind: type) -> bool:
    """Whether a type has no name that a program could say, having imported it, or none that is meant for it."""
    if not isinstance(kind.__module__, str):  # Cython's
        return True
    module, _, name = class_name(kind).partition(":")
    is_private = any(step.startswith("_") for step in f"{module}.{name}".split("."))
    has_name = kind.__module__ != "builtins" or (hasattr(builtins, name) and kind is not object)
    return _is_installed(kind) and (is_private or not has_name)


def _is_installed(kind: type) -> bool:
    """Whether a type is of the interpreter or of an installed library."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    # What is built into the interpreter has no file.
    return is_plainly_installed(file) if isinstance(file, str) else kind.__module__ in sys.builtin_module_names


_PLAIN = {int: "number", float: "number", str: "text", bytes: "bytes", bytearray: "bytes"}
_PLAIN |= dict.fromkeys((list, tuple, set, frozenset), "items")


def advice_on_more(value: object, beyond: list[str]) -> tuple[str, str]:
    """What is said of a value of a type derived from a built-in one that has attributes of its own."""
    if isinstance(value, Mapping):
        plain, parts = "items", ["**value"]
    elif isinstance(value, functools.partial):
        plain, parts = "function and arguments", [f'"{name}": value.{name}' for name in ("func", "args", "keywords")]
    else:
        is_text = isinstance(value, loaded_classes("collections", "UserString"))
        other = list if isinstance(value, Sequence) and not is_text else str
        kind = next((kind for kind in type(value).__mro__ if kind in _PLAIN), other)
        plain = _PLAIN[kind] if isinstance(value, kind) or other is list else "value"
        parts = [f'"value": {kind.__name__}(value)']
    parts += [f'"{name}": value.{name}' for name in beyond]
    return f"is {value_and_type_of(value)}, which carries more than its {plain}", f"pass {{{', '.join(parts)}}}"


def advice_on_time(value: Any) -> str:
    """How to pass times of NumPy that Python's do not hold, to the last digit and with their unit."""
    if value.dtype.kind == "V":
        return "pass its fields one by one"
    if value.dtype.kind == "M":
        return "pass numpy.datetime_as_string() of it"
    return 'pass {"value": value.astype("int64"), "unit": numpy.datetime_data(value.dtype)}'


_PLAIN_OF_PANDAS = (("to_dict", "to_dict()"), ("tolist", "tolist()"))
_PLAIN_OF_POLARS = (
    ("collect", "collect().to_dict(as_series=False)"),
    ("to_dict", "to_dict(as_series=False)"),
    ("to_list", "to_list()"),
)
_INPUTS = ("DataFrame", "Series", "Index")  # what counts with its content there


def _advice_on_data(value: object) -> tuple[str, str]:
    kind = type(value)
    if kind.__name__ in ("NaTType", "NAType"):
        return f"is {value_and_type_of(value)}, a missing value that only pandas knows", "pass None"
    plain = _PLAIN_OF_POLARS if kind.__module__.startswith("polars.") else _PLAIN_OF_PANDAS
    remedy = next((f"pass its .{call}" for method, call in plain if hasattr(kind, method)), "pass plain values")
    if getattr(value, "categories", None) is not None and not hasattr(kind, "tolist"):  # which its name does not say
        remedy = 'pass {"categories": value.categories.tolist(), "ordered": value.ordered}'
    elif isinstance(value, (*loaded_classes("pandas", "Interval", "Period"), *_of_pandas_with_names())):
        remedy = "pass str() of it"
    if isinstance(value, (*loaded_classes("pandas", *_INPUTS), *loaded_classes("polars", *_INPUTS))):
        remedy += ", or name it in inputs="
    return f"is {type_of(value)[8:]}, which is data, not configuration", remedy


def _of_pandas_with_names() -> Any:
    return (
        *loaded_classes("pandas.tseries.offsets", "BaseOffset"),
        *loaded_classes("pandas.api.extensions", "ExtensionDtype"),
    )


def _advice_on_quantity(value: object) -> str | None:
    """How to pass a number with its unit; None where there is none."""
    for unit in ("units", "unit"):
        if hasattr(value, unit):
            number = next((name for name in ("magnitude", "value") if hasattr(value, name)), "tolist()")
            return f'pass {{"value": value.{number}, "{unit}": str(value.{unit})}}'
    return None
