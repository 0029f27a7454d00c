"""What was typed in an interactive session, and what it loaded and edited since."""

from __future__ import annotations

import linecache
import os
import sys
from typing import Any, NamedTuple

from pyrepro._code import modules
from pyrepro._paths import is_inside
from pyrepro.errors import CodeStateError


class TypedCode(NamedTuple):
    """Code that was typed: what it is called, and the file name that its code object carries."""

    name: str
    file: str

    @classmethod
    def of(cls, function: object) -> TypedCode:
        """The typed function."""
        code = getattr(function, "__code__", None)
        return cls(getattr(function, "__qualname__", repr(function)), getattr(code, "co_filename", ""))

    def inputs(self) -> list[str]:
        """The distinct inputs of the session, in the order of their first execution.

        Raises:
            CodeStateError: the session keeps no record of them.
        """
        inputs = _input_of_command_line() if self.file == "<string>" else []
        inputs = inputs or self._inputs_of_ipython()
        if not inputs:
            raise CodeStateError(
                f"{self.name} was typed in a session that keeps no record of its inputs, so no name could say "
                f"what made its output; put it in a file"
            )
        return list(dict.fromkeys(inputs))

    def _inputs_of_ipython(self) -> list[str]:
        shell = _ipython_shell()
        if shell is None:
            return []
        history = shell.history_manager
        # The source of a cell that was executed without being stored stands in the cache of lines alone.
        source = "".join(linecache.getlines(self.file)).rstrip("\n")
        if source and source not in {parsed.rstrip("\n") for parsed in history.input_hist_parsed}:
            return []
        return [text for text in history.input_hist_raw if text]


def _input_of_command_line() -> list[str]:
    # Everything after -c <code> is in sys.argv, and -c ends the options.
    at = len(sys.orig_argv) - len(sys.argv)
    return [sys.orig_argv[at]] if sys.argv[:1] == ["-c"] and at > 0 else []


class _ModuleThen(NamedTuple):
    """A module as it was seen: it was loaded again when its spec or its time of reloading is another."""

    spec: object
    reloaded: float | None
    source: bytes | None  # None where there is no file any more


_modules_then: dict[str, _ModuleThen] = {}


def refuse_edited_modules(top: str) -> None:
    """Refuse when a loaded module of a work tree was edited since it was first seen, and not loaded again.

    Raises:
        CodeStateError: what runs is in no commit and in no file.
    """
    for name, _, spec, file in modules.loaded_modules():
        if not is_inside(file, top):
            continue
        now = _ModuleThen(spec, _reloaded_by_ipython(name, file), _source_of(file))
        before = _modules_then.setdefault(name, now)
        is_reloaded = None not in (before.reloaded, now.reloaded) and before.reloaded != now.reloaded
        is_loaded_again = is_reloaded or before.spec is not now.spec
        if before.source != now.source and not is_loaded_again:
            raise CodeStateError(
                f"the module {name} was edited after it was loaded: what runs is not in {file} any more; "
                f"type importlib.reload({name}), or restart the session",
                work_tree=top,
            )
        _modules_then[name] = now


def _reloaded_by_ipython(name: str, file: str) -> float | None:
    """The time of modification of the file that %autoreload last loaded a module from."""
    shell = _ipython_shell()
    magics = None if shell is None else shell.magics_manager.registry.get("AutoreloadMagics")
    reloader = getattr(magics, "_reloader", None)
    times: dict[str, float] | None = getattr(reloader, "modules_mtimes", None)
    if reloader is None or times is None:
        return None
    if name not in times and os.path.exists(file):
        # What it finds later is then an edit to it, and not the module as it was loaded.
        times[name] = os.stat(file).st_mtime
    return None if file in reloader.failed else times.get(name)


def _ipython_shell() -> Any:
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def _source_of(file: str) -> bytes | None:
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except OSError:
        return None
