"""The names that lead to functions and classes: the same on every Python, and wherever a program is started."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from typing import Any

from pyrepro._config.loaded import loaded_classes
from pyrepro._config.place import Place, value_and_type_of

_MAIN = ("__main__", "__mp_main__")
_PLATFORM = {"posix": "os", "nt": "os"}  # where the functions of os say that they are from

_RENAMED = {"numpy:bool_": "numpy:bool", "numpy:float128": "numpy:longdouble", "numpy:complex256": "numpy:clongdouble"}
"""What NumPy 1 calls otherwise than later versions do."""


def class_name(kind: type) -> str:
    """``module:qualname`` of a class, ``__main__`` being what it is called where it is imported."""
    name = kind.__qualname__
    # Pydantic gives G[int] the module that wrote it first.
    generic = getattr(kind, "__pydantic_generic_metadata__", {}).get("origin")
    if generic is not None:
        name = generic.__qualname__ + kind.__name__.removeprefix(generic.__name__)
        kind = generic
    module = kind.__module__
    if module in _MAIN:
        return f"{_imported_main(module)}:{name}"
    return f"{_public_module(kind, module, kind.__qualname__) or module}:{name}"


def import_name(value: Any, place: Place) -> str | None:
    """``module:qualname`` of what can be imported under it; None of anything else.

    Raises:
        ConfigError: a function or class that has no such name.
    """
    if not isinstance(value, type) and not callable(value):
        return None
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    # Methods of types that are written in C say only which type they are of.
    owner = getattr(value, "__objclass__", getattr(value, "__self__", None))
    module = getattr(value, "__module__", None) or getattr(owner, "__module__", None)
    module = module or _module_of_ufunc(value) or "builtins"
    if not isinstance(name, str) or not isinstance(module, str):
        return None
    is_code = isinstance(value, (type, types.FunctionType))
    if "<lambda>" in name or "<locals>" in name:
        if not is_code:
            return None
        raise place.error(
            f"is {value_and_type_of(value)}, which cannot be imported by name", "move it to the top level of a module"
        )
    if module in _MAIN:
        if not is_code:
            return None
        raise place.error(
            f"is {value_and_type_of(value)} of __main__, "
            f"whose name differs between a script, its import and its workers",
            # As what argparse keeps of set_defaults(func=...).
            "move it into a module, or name it in ignore= if it does not change the artifact",
        )
    public = _public_module(value, module, name)
    return None if public is None else _RENAMED.get(f"{public}:{name}", f"{public}:{name}")


def _module_of_ufunc(value: Any) -> str | None:
    """Where a function of arrays is from: NumPy 1 does not say it of its own, and SciPy of none."""
    if not isinstance(value, loaded_classes("numpy", "ufunc")):
        return None
    # In no others: which are loaded must not decide.
    return next((one for one in ("numpy", "scipy.special") if _leads(one, value.__name__, value)), None)


def _imported_main(module: str) -> str:
    """What the program's module is called where it is imported, instead of run."""
    main = sys.modules.get(module)
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if name is not None and name not in _MAIN:  # python -m
        return str(name)
    file = getattr(main, "__file__", None)
    return os.path.splitext(os.path.basename(file))[0] if file else "__main__"


def _public_module(value: Any, module: str, name: str) -> str | None:
    """The shortest public module in whose namespace a value stands, else its own; None where no name leads to it.

    Looked at are packages around the module alone, which are loaded wherever it is: were it all
    loaded modules, the name would depend on what else a program has imported.
    """
    for candidate in ("builtins", *_public_modules(module)):
        if _leads(candidate, name, value):
            return candidate
    return module if _leads(module, name, value) else None


def _public_modules(module: str) -> Iterator[str]:
    """The public modules that a name may stand in, short ones first: of ``a._b.c`` ``a`` and ``a.c``."""
    if module in _PLATFORM:
        yield _PLATFORM[module]
    steps = module.split(".")
    if steps[0].startswith("_"):
        yield steps[0].lstrip("_")
    public: list[str] = []
    for step in steps:
        if not step.startswith("_"):
            public.append(step)
            yield ".".join(public)


def _leads(module: str, name: str, value: Any) -> bool:
    found: Any = sys.modules.get(module)
    try:
        for step in name.split("."):
            found = getattr(found, step, None)
    except Exception:  # modules that load lazily run code of theirs, which may fail in any way
        return False
    return found is value or (isinstance(value, (types.MethodType, types.BuiltinMethodType)) and bool(found == value))
