"""Locks: who is making an artifact, and waiting for it."""

from __future__ import annotations

import contextlib
import contextvars
import errno
import logging
import os
import time
from collections.abc import Callable, Generator, Sequence

from pyrepro._publish.files import Target, make_state_directory
from pyrepro._publish.held import hold

_logger = logging.getLogger("pyrepro")

_under_way: contextvars.ContextVar[frozenset[Locks]] = contextvars.ContextVar("under_way", default=frozenset())
"""The locks of this call and of the calls that it is part of. A task that one of them has left running still has its
locks here when it has ended: they hold nothing then."""

_warned_of: set[str] = set()
"""What was said of directories whose file system has no locks, and of locks that are not permitted."""

_MOST = 64
"""How many of the artifacts of one call are locked: each costs an open file, of which a process may have as few as 256.
Calls that make the same have the same first ones."""

_NOTHING_CAN_BE_MADE = (errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR)

_PATIENCE = 5.0
"""Seconds after which it is logged for whom a call waits."""


class Locks:
    """The locks of the artifacts of one call.

    Args:
        targets: where the artifacts belong.
        maker: which function makes them.
    """

    def __init__(self, targets: Sequence[Target], maker: str | None) -> None:
        self._targets = targets
        self._maker = maker
        self._held: dict[str, Callable[[], None]] = {}
        self.directories: dict[str, int] = {}
        """The directories whose state directories were made for lock files, with the modes of files there."""

    def wait(self, is_completed: Callable[[], bool]) -> Generator[None, None, bool]:
        """Yield as long as another call holds one of the locks.

        Args:
            is_completed: whether the artifacts are complete.

        Returns:
            Whether the artifacts are complete; if not, this call holds the locks.

        Raises:
            RuntimeError: this call is part of one that makes the same artifact.
        """
        began: float | None = time.monotonic()
        while True:
            held = self._acquire()
            if held is None:
                # Whoever held the locks may have completed the artifacts after the last look at them.
                return is_completed()
            if began is not None and time.monotonic() - began > _PATIENCE:
                _logger.warning("%s waits for %s, which %s is making", self._maker, held.path, _holder_of(held))
                began = None
            yield
            if is_completed():
                return True

    def release(self) -> None:
        """Let other calls make the artifacts."""
        for release in self._held.values():
            release()
        self._held = {}
        _under_way.set(_under_way.get() - {self})

    def _acquire(self) -> Target | None:
        """Acquire all locks or none, except where there are none; the artifact whose lock another call holds."""
        # Real paths, so that calls that reach a directory over different links meet at one lock file.
        targets = {
            target._replace(directory=os.path.join(os.path.realpath(target.directory), ""), role="")
            for target in self._targets
        }
        # Sorted, or two calls for the same artifacts could each get the lock that the other one needs, again and again.
        for target in sorted(targets)[:_MOST]:
            path = target.state_file(".lock")
            # Only what this call is part of could release this lock, and it waits for this call.
            if any(path in locks._held for locks in _under_way.get()):
                raise RuntimeError(
                    f"{self._maker} was called for {target.path} by the call that is making it, and would wait for "
                    f"itself; pass another path"
                )
            self.directories[target.directory] = mode = make_state_directory(target.directory)
            try:
                release = hold(path, mode, _signature())
            except (BlockingIOError, TimeoutError, FileNotFoundError):
                # FileNotFoundError: who held it has just unlinked it, or removed the state directory.
                self.release()
                return target
            except OSError as error:
                if error.errno in _NOTHING_CAN_BE_MADE and error.filename and not os.path.lexists(path):
                    # It says nothing of locks: neither can the staging directory be made here, whose error is clear.
                    continue
                if isinstance(error, PermissionError):
                    # The lock of another user whom nothing else keeps from writing here: it may be a killed call's.
                    found = "cannot be used, so calls may compute twice; remove it when nothing runs"
                    _warn_once(f"{path} {found}: {error}")
                    continue
                _warn_once(f"{target.directory.rstrip(os.sep)} has no locks, so calls may compute twice: {error}")
            else:
                self._held[path] = release
                _under_way.set(_under_way.get() | {self})
        return None


def _signature() -> bytes:
    """What says in a lock file who holds the lock, for those who wait."""
    import platform  # imported where something is cached, and is run

    return f"process {os.getpid()} on {platform.node()}\n".encode()


def _holder_of(target: Target) -> str:
    """Who makes an artifact, as the lock file says."""
    holder = ""
    with contextlib.suppress(OSError), open(target.state_file(".lock"), errors="replace") as file:
        holder = file.readline().strip()
    return holder or "another call"


def _warn_once(text: str) -> None:
    if text not in _warned_of:
        _warned_of.add(text)
        _logger.warning("%s", text)
