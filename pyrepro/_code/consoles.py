"""Consoles: which code was typed, in which namespace it runs, and the scripts that IPython's %run runs there."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from pyrepro._code import imports

_NAMES = (
    r"(?s)<(stdin|console|input|(ipython|python|bpython)-input-.*|pyshell#\d+)>"
    # Below the directory of temporary files, where a debugger may write them, too.
    r"|.*[/\\]((ipykernel|xpython)_\d+[/\\][^/\\]+|__marimo__cell_[^/\\]+)"
)
# One of them is in each such name: in most processes there is none, and nothing to compile.
_MARKS = "<", "ipykernel_", "xpython_", "__marimo__"
_MOST_WRAPPERS = 100


def is_console_name(file: str) -> bool:
    """Whether a console gives this file name to the code that is typed there; others make names up, too."""
    return any(mark in file for mark in _MARKS) and re.fullmatch(_NAMES, file) is not None


def typed_part(function: object) -> types.CodeType | None:
    """The code of a function, or of one that it wraps or calls as a partial, that was typed at a console."""
    return next((code for code in _codes_of(function) if is_console_name(code.co_filename)), None)


def _codes_of(function: Any) -> Iterator[types.CodeType]:
    # What makes attributes up as they are asked for may wrap itself forever.
    for _ in range(_MOST_WRAPPERS):
        if isinstance(function, functools.partial):
            function = function.func
            continue
        for each in (function, getattr(type(function), "__call__", None)):  # noqa: B004
            code = getattr(each, "__code__", None)
            if isinstance(code, types.CodeType):
                yield code
        function = getattr(function, "__wrapped__", None)
        if function is None:
            return


def ipython_shell() -> Any:
    """The shell of IPython that runs in this process, None where there is none."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return None if get_ipython is None else get_ipython()


def is_console_namespace(namespace: dict[str, Any]) -> bool:
    """Whether code that is typed in IPython runs in a namespace, whatever stands there as its file.

    VS Code's interactive window sets one, and ``%run -i`` leaves one behind.
    """
    shell = ipython_shell() if namespace.get("__name__") == "__main__" else None
    return shell is not None and shell.user_ns is namespace


def files_run() -> set[str]:
    """The files that %run has run so far, as far as IPython, its history and what they have defined tell it."""
    shell = ipython_shell()
    names: set[str] = {*getattr(shell, "_main_mod_cache", ()), *_run_before}
    namespace = getattr(shell, "user_ns", {})
    for each in list(namespace.values()):
        if isinstance(each, types.FunctionType) and each.__globals__ is namespace:
            names.add(each.__code__.co_filename)
    return {os.path.realpath(name) for name in names if os.path.isabs(name) and not is_console_name(name)}


_run_before: set[str] = set()
"""The files that were run before runs were noted: with -i they leave no module, and perhaps no function."""


def _files_run_before(shell: Any) -> Iterator[str]:
    """The files that the history says were run."""
    import ast  # both for sessions only
    import shlex

    for line in re.findall(r"run_line_magic\('run', (.+)\)", "\n".join(shell.history_manager.input_hist_parsed)):
        # What is typed may be anything.
        with contextlib.suppress(SyntaxError, ValueError):
            words = [os.path.expanduser(word) for word in shlex.split(ast.literal_eval(line))]
            found = (path for word in words for path in (word, f"{word}.py") if os.path.isfile(path))
            yield from map(os.path.abspath, itertools.islice(found, 1))


def watch_runs() -> None:
    """Note from now on what %run runs, just before: IPython reads the file at once, and keeps no module of it."""
    shell = ipython_shell()
    if shell is not None:
        _watch_patches(shell)
    if shell is None or isinstance(shell.safe_execfile, _Noting):
        return
    # The extension that patches may be loaded in any cell, and patches before the next one.
    shell.events.register("post_run_cell", lambda *_: _watch_patches(shell))
    with contextlib.suppress(Exception):  # whatever a history is
        _run_before.update(_files_run_before(shell))
    shell.safe_execfile = _Noting(shell.safe_execfile)
    shell.safe_execfile_ipy = _Noting(shell.safe_execfile_ipy)
    spyder = shell.magics_manager.registry.get("SpyderCodeRunner")
    if spyder is not None:
        spyder._exec_code = _Noting(spyder._exec_code, at=1)
    magics = shell.magics_manager.registry.get("ExecutionMagics")
    # %matplotlib has put a runner there that knows the method as it was.
    if getattr(magics, "default_runner", None) is not None:
        magics.default_runner = _Noting(magics.default_runner)


def _watch_patches(shell: Any) -> None:
    """Note from now on what %autoreload patches into modules, which it does without loading them again."""
    reloader = getattr(shell.magics_manager.registry.get("AutoreloadMagics"), "_reloader", None)
    patcher = getattr(reloader, "deduper_reloader", None)
    if patcher is not None and not isinstance(patcher.maybe_reload_module, _NotingPatches):
        patcher.maybe_reload_module = _NotingPatches(patcher)


class _NotingPatches:
    """What patches modules by the differences of two sources, which notes them afterwards.

    The first of the two need not be what the module was loaded from: it is what the file held when the extension was
    loaded, and then what it was patched with.
    """

    def __init__(self, patcher: Any) -> None:
        self._patch, self._sources = patcher.maybe_reload_module, patcher.source_by_modname

    def __call__(self, module: Any) -> Any:
        before = self._sources.get(module.__name__)
        is_done = self._patch(module)
        if is_done:
            # The session never fails because of this.
            with contextlib.suppress(Exception):
                imports.note_patch(module, before, self._sources[module.__name__])
        return is_done


class _Noting:
    """A runner of scripts and notebooks that notes each of them before it runs.

    Args:
        run: the runner.
        at: where among its arguments the file stands; next comes the namespace, if there is one.
    """

    def __init__(self, run: Callable[..., Any], at: int = 0) -> None:
        self._run, self._at = run, at

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        loads = []
        # The run never fails because of this.
        with contextlib.suppress(Exception):
            file, *where = arguments[self._at :]
            # A notebook runs where what is typed does.
            namespace = where[0] if where else {}
            module = sys.modules.get(namespace.get("__name__", ""))
            is_own = imports.namespace_of(module) is namespace and not is_console_namespace(namespace)
            loads.append(imports.note_run(file, module if is_own else None))
        try:
            return self._run(*arguments, **options)
        finally:
            for load in loads:
                imports.confirm(load)
