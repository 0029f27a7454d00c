"""What program this process runs, and for whom, and which code calls pyrepro."""

from __future__ import annotations

import inspect
import itertools
import os
import re
import sys
import types
from typing import Any

from pyrepro._code import consoles
from pyrepro._code.modules import (
    file_of_code,
    file_of_module,
    function_file,
    is_installed,
    module_bodies,
    without_partials,
)
from pyrepro._code.start import DIRECTORY


def is_interactive() -> bool:
    """Whether this process is a prompt, a notebook or ``python -c``."""
    return _main_file() is None and not _is_worker()


def is_own_program() -> bool:
    """Whether this process runs a program of the user's own, not a tool that imports it."""
    file = _main_file()
    if file is None or _is_worker():
        return False
    return _is_own_script(file) or any(map(_is_own_script, _running_scripts()))


def _is_own_script(file: str) -> bool:
    return not is_installed(file) or _is_script_of_own_code(file)


def _running_scripts() -> set[str]:
    """The files that run as a main program now, in any thread.

    A profiler or a debugger is the main module itself, and runs the script that it is given under the same name;
    what a test runner or a docs build loads runs under names of its own.
    """
    scripts = {code.co_filename for namespace, code in module_bodies() if namespace.get("__name__") == "__main__"}
    # Made-up names, as those of doctests, are of no file.
    return {_from_start(script) for script in scripts if not script.startswith("<")}


def _from_start(file: str) -> str:
    """Where a relative path led when pyrepro was imported, whether or not something is there now."""
    return os.path.normpath(os.path.join(DIRECTORY or os.sep, file))


def _is_script_of_own_code(file: str) -> bool:
    """Whether an installed script starts code that is not installed, as those of editable installs do."""
    from importlib.metadata import entry_points  # where a tool runs, and is about to be refused something

    # On Windows, scripts are archives: train.exe/__main__.py.
    name = os.path.basename(re.sub(r"\.exe[/\\]__main__\.py$", "", file))
    points = [*entry_points(group="console_scripts", name=name), *entry_points(group="gui_scripts", name=name)]
    # A package may just be on the way to import the module that is started.
    names = (loaded for point in points for loaded in itertools.accumulate(point.module.split("."), "{}.{}".format))
    started = (sys.modules.get(name) for name in names)
    files = (file_of_module(module) for module in started if isinstance(module, types.ModuleType))
    return any(file is not None and not is_installed(file) for file in files)


def _is_worker() -> bool:
    process = sys.modules.get("multiprocessing.process")
    # A worker that is started anew knows its parent, and has a main file, only after it has imported
    # the program of its parent; until then it is marked as inheriting.
    is_child = process is not None and process.parent_process() is not None
    return _is_execnet_worker() or is_child or is_importing_for_parent()


def is_importing_for_parent() -> bool:
    """Whether this is a process of multiprocessing that is still importing the program of its parent."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and getattr(process.current_process(), "_inheriting", False)


def _is_execnet_worker() -> bool:
    """Whether this process serves execnet, as pytest-xdist's do: python -c, where nobody types."""
    gateway = sys.modules.get("execnet.gateway_base")
    main = getattr(sys.modules.get("__main__"), "__dict__", {})
    return gateway is not None and main.get("serve", gateway) is getattr(gateway, "serve", None)


def _main_file() -> str | None:
    namespace = getattr(sys.modules.get("__main__"), "__dict__", {})
    if consoles.is_console_namespace(namespace) and not _runs_file(namespace):
        return None
    file = namespace.get("__file__")
    return _from_start(file) if isinstance(file, str) and not file.startswith("<") else None


def _runs_file(namespace: dict[str, Any]) -> bool:
    """Whether the body of a file runs in a namespace now, as ``ipython train.py`` runs it in that of the console."""
    files = (code.co_filename for other, code in module_bodies() if other is namespace)
    return any(os.path.isabs(file) and not consoles.is_console_name(file) for file in files)


def caller_frame() -> types.FrameType:
    """The innermost frame outside pyrepro."""
    frame = sys._getframe(1)
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] == "pyrepro":
        frame = frame.f_back
    return frame


def caller_file() -> str | None:
    """The file of the code that calls pyrepro, as :func:`function_file` gives it."""
    frame = caller_frame()
    return file_of_code(frame.f_code, frame.f_globals)


def typed_code_of(function: object = None) -> types.CodeType | None:
    """The code that makes a function, or the calling code, one that was typed; None where neither was.

    Typed is what a console has compiled, or wraps such code, and what typed code decorates. In a session, so is all
    that runs in the namespace of the console, whose names may be bound there at any time.
    """
    frame = caller_frame()
    code = consoles.typed_part(function)
    if code is None and _is_typed(frame.f_code, frame.f_globals):
        code = frame.f_code
    if code is None and function is not None:
        own = getattr(without_partials(function), "__code__", frame.f_code)
        namespace = getattr(without_partials(function), "__globals__", {})
        is_of_main = getattr(without_partials(function), "__module__", None) == "__main__"
        if _is_typed(own, namespace) or (is_of_main and is_interactive() and function_file(function) is None):
            code = own
    return code


def _is_typed(code: types.CodeType, namespace: dict[str, Any]) -> bool:
    if consoles.is_console_name(code.co_filename) or consoles.is_console_namespace(namespace):
        return True
    return namespace.get("__name__") == "__main__" and is_interactive() and file_of_code(code, namespace) is None


def module_body(frame: types.FrameType) -> types.FrameType | None:
    """The frame of the module body that a frame belongs to, directly or by class bodies."""
    body: types.FrameType | None = frame
    while body and body.f_code.co_name != "<module>":
        body = None if body.f_code.co_flags & inspect.CO_OPTIMIZED else body.f_back
    return body
