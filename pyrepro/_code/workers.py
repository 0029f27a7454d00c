"""Child processes, which load code of their own: those that have ended, and the workers that live on.

Sources: getrusage(2); multiprocessing.active_children; the kernel's sched-stats, /proc/<pid>/schedstat.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any, NamedTuple


class Moment(NamedTuple):
    """What tells later whether child processes have been at work.

    Attributes:
        ended: what is another after a child process was waited for; always 0 where the platform does not say.
        running: of each worker how often and how long it has run, None where the platform does not say.
    """

    ended: int
    running: dict[int, str | None]

    @classmethod
    def now(cls) -> Moment:
        return cls(_faults_of_ended(), {pid: _time_run_by(pid) for pid in _workers()})

    def at_work_since(self) -> list[int]:
        """The workers that may have been at work since."""
        return [pid for pid in _workers() if (now := _time_run_by(pid)) is None or now != self.running.get(pid)]

    def have_children_run_since(self) -> bool:
        return _faults_of_ended() != self.ended or bool(self.at_work_since())


def _faults_of_ended() -> int:
    try:
        import resource
    except ImportError:  # Windows has none
        return 0
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt  # every process has page faults


def _workers() -> list[int]:
    """The processes of multiprocessing, or of what builds on it, that nobody has waited for."""
    found = []
    for name in ("multiprocessing", "multiprocess"):  # the second is what pathos builds on
        multiprocessing: Any = sys.modules.get(name)
        if multiprocessing is not None:
            # The children of a fork server are its own, and it outlives them.
            server = getattr(sys.modules.get(f"{name}.forkserver"), "_forkserver", None)
            workers = multiprocessing.active_children()
            found += [getattr(server, "_forkserver_pid", None), *(worker.pid for worker in workers)]
    return [pid for pid in found if pid is not None]


def _time_run_by(pid: int) -> str | None:
    # OSError: it has just ended, or this is not Linux.
    with contextlib.suppress(OSError), open(f"/proc/{pid}/schedstat", encoding="ascii") as opened:
        return opened.read()
    return None


_reloaded: dict[int, set[str]] = {}
"""The files that were loaded again since a worker started: it has perhaps loaded what they held before."""


def note_reload(file: str) -> None:
    """Note that a module is about to be loaded from another content of its file than before."""
    for pid in _workers():
        _reloaded.setdefault(pid, set()).add(file)


def reloaded_before(moment: Moment) -> set[str]:
    """The files that were loaded again since workers had started that have been at work after a moment."""
    if not _reloaded:  # as mostly
        return set()
    for pid in _reloaded.keys() - {*_workers()}:
        del _reloaded[pid]  # its number may be given to another process
    return set().union(*(_reloaded.get(pid, ()) for pid in moment.at_work_since()))
