"""What is loaded and no name covers: modules of other work trees, of no repository, and ignored ones."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Set

from pyrepro._code import repository
from pyrepro._code.modules import LoadedModule, is_linked_alone
from pyrepro._paths import is_inside, relative_to
from pyrepro.errors import CodeStateError

_logger = logging.getLogger("pyrepro")

_NEVER = ("pyrepro", "__main__", "__mp_main__", "conftest", "sitecustomize", "usercustomize", "_virtualenv")
"""Not the user's code, or told of otherwise: what is decorated in a script always counts."""
_TOOLS = ("debugpy", "pydev", "_pydev")

_warned_of: set[str] = set()


def know_work_tree(top: str) -> None:
    """Stop warning of a work tree: whoever asked for its state knows of it."""
    _warned_of.add(top)


def warn_of_uncovered(top: str | None, loaded: Iterable[LoadedModule], ignored: Set[bytes]) -> None:
    """Warn, once for each, of loaded modules whose code no name of a work tree covers.

    Args:
        top: the top directory of the work tree, None where its state was declared.
        loaded: the loaded modules outside installed environments.
        ignored: the files among them that the work tree ignores, relative to its top.
    """
    for name, package, file, other in _uncovered(top, loaded, ignored):
        if other not in (None, top):
            if other not in _warned_of:
                _warned_of.add(other)
                _logger.warning(
                    "the module %s is loaded from another work tree, %s, whose code the names of %s do not cover; "
                    'add it to the configuration: config={..., "%s": pyrepro.code_state(%s)}',
                    *(package, other, top, package, package),
                )
        # A package is named once, however many of its files are like this.
        elif package not in _warned_of and not _is_of_tool(name, file):
            _warned_of.add(package)
            reason, remedy = (
                ("it is in no repository", "put it into one") if other is None else ("git ignores it", "commit it")
            )
            _logger.warning(
                "the module %s is loaded from %s, which no name covers, for %s; %s, or add it to the configuration: "
                'config={..., "%s": pyrepro.file_hash(%r)}',
                *(name, file, reason, remedy, package, file),
            )


def other_work_trees(top: str | None, loaded: Iterable[LoadedModule]) -> dict[str, str]:
    """The other work trees that modules are loaded from, by package."""
    found: dict[str, str] = {}
    for _, package, _, other in _uncovered(top, loaded, frozenset()):
        if other:
            found.setdefault(package, other)
    return found


def _is_of_tool(name: str, file: str) -> bool:
    """Whether a file is not the user's code: what tools load stands below hidden directories, or where Python does."""
    return (
        name.startswith(_TOOLS)
        or name.endswith("._version")  # build back ends write the commit into it
        or os.sep + "." in file
        or is_inside(file, sys.prefix)
        or is_inside(file, sys.base_prefix)
    )


def _uncovered(
    top: str | None, loaded: Iterable[LoadedModule], ignored: Set[bytes]
) -> Iterator[tuple[str, str, str, str | None]]:
    """Each with its name, its package, its file, and its work tree: None in no repository."""
    if top is None:
        return
    known: dict[str, str | None] = {}
    for module in loaded:
        package, file = module.name.partition(".")[0], module.file
        if module.original or package in _NEVER or package.startswith("%run ") or is_linked_alone(module.module):
            continue
        if is_inside(file, top) and os.fsencode(relative_to(file, top)) not in ignored:
            continue
        directory = os.path.dirname(file)
        if directory not in known:
            try:
                known[directory] = repository.find_work_tree(file)
            except CodeStateError:
                known[directory] = ""  # what git cannot read there must not stop a call here
        if known[directory] != "":
            yield module.name, package, file, known[directory]
