"""How the program was run, and where Python finds the modules of its work tree.

Sources: the Python manual on the command line, ``sys.flags``, ``__main__`` and ``sys.path``.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from pyrepro._code.modules import LoadedModule, is_installed
from pyrepro._code.start import real_path
from pyrepro._paths import is_inside, relative_to

_MAIN = ("__main__", "__mp_main__")


class RecordedProgram(TypedDict):
    """What was started."""

    kind: str  # "script", "module", as by python -m, or "entry", the target of a console script
    name: str  # the file, the module, or "module:function"


class Layout(TypedDict):
    """Where Python found the modules of a work tree."""

    path: list[str]  # entries of sys.path in the work tree, relative to it; absolute where the tree is not known
    path_late: list[str]  # those behind the installed environment, and what finders of editable installs add
    packages: dict[str, str]  # directories of packages whose names do not follow from an entry, by name


def program_now(module: str, file: str | None) -> RecordedProgram | None:
    """What this process, or the one that started it as a worker, was started with; None for what is in no file.

    Args:
        module: the name of the function's module, as the function has it.
        file: its real file.
    """
    # A worker that was started anew has the program of its parent under this name.
    main = _main()
    found = getattr(main, "__file__", None)
    found = os.path.realpath(found) if isinstance(found, str) and not found.startswith("<") else None
    if module == "__main__" and file is not None and file != found:
        return {"kind": "script", "name": file}  # a worker of another system, which was sent the function by its value
    if found is None:
        return None
    name = getattr(getattr(main, "__spec__", None), "name", None) or "__main__"
    if name not in _MAIN:
        return {"kind": "module", "name": name.removesuffix(".__main__")}
    target = _target_of_script(os.path.abspath(main.__file__)) if is_installed(os.path.abspath(main.__file__)) else None
    return {"kind": "script", "name": found} if target is None else {"kind": "entry", "name": target}


def _main() -> Any:
    return sys.modules.get("__mp_main__") or sys.modules.get("__main__")


@functools.lru_cache(maxsize=8)
def _target_of_script(file: str) -> str | None:
    """The ``module:function`` that an installed script starts."""
    from importlib.metadata import entry_points

    # On Windows, scripts are archives: train.exe/__main__.py.
    name = os.path.basename(re.sub(r"\.exe[/\\]__main__\.py$", "", file))
    points = [*entry_points(group="console_scripts", name=name), *entry_points(group="gui_scripts", name=name)]
    return next((f"{point.module}:{point.attr}" for point in points), None)


def interpreter_flags() -> list[str]:
    """The flags of this interpreter that change what code computes, as its command line takes them."""
    flags = ["-O"] * sys.flags.optimize + ["-b"] * sys.flags.bytes_warning
    flags += ["-Xdev"] if sys.flags.dev_mode else []
    # The default of Python 3.15 on (PEP 686).
    is_default = bool(sys.flags.utf8_mode) is (sys.version_info >= (3, 15))
    flags += [] if is_default else [f"-Xutf8={sys.flags.utf8_mode:d}"]
    digits = getattr(sys.flags, "int_max_str_digits", -1)
    return flags + ([f"-Xint_max_str_digits={digits}"] if digits >= 0 and digits != 4300 else [])


def import_name(module: str, file: str | None) -> str | None:
    """The name under which a function's module is imported; None for a script, which has only a file."""
    if module not in _MAIN:
        return module
    name = getattr(getattr(_main(), "__spec__", None), "name", None)
    program = program_now(module, file)
    return name if program is not None and program["kind"] == "module" else None


def import_layout(top: str | None, loaded: Iterable[LoadedModule]) -> Layout:
    """Where the modules of a work tree are found.

    Args:
        top: the top directory of the work tree, None where it is not known.
        loaded: the loaded modules outside installed environments.
    """
    path: dict[str, None] = {}
    late: dict[str, None] = {}
    seen = path
    for entry in [real_path(entry) for entry in sys.path if isinstance(entry, str)]:
        if is_installed(os.path.join(entry, "")):
            # What .pth files of editable installs add stands behind it, and must not come before it again.
            seen = late if is_site(entry) else seen
        elif top is None and os.path.isdir(entry):
            seen.setdefault(entry)
        elif top is not None and (entry == top or is_inside(entry, top)):
            seen.setdefault(relative_to(entry, top) or ".")
    packages: dict[str, str] = {}
    for module in loaded if top is not None else ():
        assert top is not None
        file = module.original or module.file
        if is_inside(file, top) and module.name not in _MAIN and file.endswith(".py"):
            _add_root(module.name.split("."), relative_to(file, top), {**path, **late}, late, packages)
    return {"path": list(path), "path_late": [entry for entry in late if entry not in path], "packages": packages}


def is_site(entry: str) -> bool:
    """Whether an entry of sys.path is where distributions are installed."""
    return os.path.basename(entry) in ("site-packages", "dist-packages")


def _add_root(
    names: list[str], file: str, known: Mapping[str, None], late: dict[str, None], packages: dict[str, str]
) -> None:
    """Add the directory that a module was found from, which no entry need be: editable installs have finders."""
    steps = file.removesuffix(".py").split("/")
    if steps[-1] == "__init__":
        steps.pop()
        is_package = True
    else:
        is_package = len(names) > 1
    above, rest = steps[: len(steps) - len(names)], names[1:]
    if steps[len(above) :] == names:
        root = "/".join(above) or "."
        if root not in known:
            late.setdefault(root)
    elif is_package and (not rest or steps[len(steps) - len(rest) :] == rest):
        packages[names[0]] = "/".join(steps[: len(steps) - len(rest)]) or "."
