"""Child processes, which load code of their own: those that have ended, and the workers that live on.

Sources: getrusage(2); multiprocessing.active_children.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any


def children_ended() -> int:
    """What is another after a child process was waited for; always 0 where the platform does not say."""
    try:
        import resource
    except ImportError:  # Windows has none
        return 0
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt  # every process has page faults


def are_there() -> bool:
    """Whether there are processes of multiprocessing, or of what builds on it, that nobody has waited for."""
    # The children of a fork server are its own, and it outlives them.
    server = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    return bool(_alive()) or getattr(server, "_forkserver_pid", None) is not None


def _alive() -> list[Any]:
    multiprocessing: Any = sys.modules.get("multiprocessing")
    return [] if multiprocessing is None else multiprocessing.active_children()


_reloaded: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()
"""The files that were loaded again since a worker started: it has perhaps loaded what they held before."""


def note_reload(file: str) -> None:
    """Note that a module is about to be loaded from another content of its file than before."""
    for worker in _alive():
        _reloaded.setdefault(worker, set()).add(file)


def reloaded_since_they_started() -> set[str]:
    """The files from which modules were loaded again while workers were there that still are."""
    if not _reloaded:  # as mostly
        return set()
    return set().union(*(_reloaded.get(worker, ()) for worker in _alive()))
