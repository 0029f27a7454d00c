"""What was typed in an interactive session, and what it loaded and edited since."""

from __future__ import annotations

import linecache
import sys
from typing import NamedTuple

from pyrepro._code import consoles
from pyrepro.errors import CodeStateError


class TypedCode(NamedTuple):
    """Code that was typed: what it is called, and the file name that its code object carries."""

    name: str
    file: str

    def inputs(self) -> list[str]:
        """The distinct inputs of the session, in the order of their first execution.

        There may be none so far where a file runs in the namespace of a session, as ``ipython train.py`` runs it.

        Raises:
            CodeStateError: the session keeps no record of them.
        """
        inputs = _input_of_command_line() if self.file == "<string>" else []
        inputs = inputs or self._inputs_of_ipython()
        if not inputs and not self._is_of_file:
            raise CodeStateError(
                f"{self.name} was typed in a session that keeps no record of its inputs, so no name could say "
                f"what made its output; put it in a file"
            )
        return list(dict.fromkeys(inputs))

    @property
    def _is_of_file(self) -> bool:
        return not self.file.startswith("<") and not consoles.is_console_name(self.file)

    def _inputs_of_ipython(self) -> list[str]:
        shell = consoles.ipython_shell()
        if shell is None:
            return []
        history = shell.history_manager
        # The source of a cell that was executed without being stored stands in the cache of lines alone.
        source = "" if self._is_of_file else "".join(linecache.getlines(self.file)).rstrip("\n")
        if source and source not in {parsed.rstrip("\n") for parsed in history.input_hist_parsed}:
            return []
        return [text for text in history.input_hist_raw if text]


def _input_of_command_line() -> list[str]:
    # Everything after -c <code> is in sys.argv, and -c ends the options.
    at = len(sys.orig_argv) - len(sys.argv)
    return [sys.orig_argv[at]] if sys.argv[:1] == ["-c"] and at > 0 else []
