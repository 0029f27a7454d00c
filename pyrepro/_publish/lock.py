"""Locks: who is making an artifact.

Source: flock(2).
"""

from __future__ import annotations

import contextvars
import logging
import os
import stat
from collections.abc import Iterable
from typing import Any

from pyrepro._publish.files import Target, make_state_directory, state_directory_of, unlink_if_possible

_logger = logging.getLogger("pyrepro")

_being_made: contextvars.ContextVar[frozenset[str]] = contextvars.ContextVar("being_made", default=frozenset())
_without_locks: set[str] = set()


class Locks:
    """The locks of the artifacts of one call."""

    def __init__(self, targets: Iterable[Target], maker: str | None) -> None:
        self._targets = targets
        self._maker = maker
        self._locks: list[Any] = []
        self.directories: set[str] = set()

    def lock(self) -> bool:
        """Whether this call now holds the locks of its artifacts, those that can be had."""
        import filelock

        paths = {
            target._replace(directory=os.path.join(os.path.realpath(target.directory), "")) for target in self._targets
        }
        for target in sorted(paths):
            path = target.state_file(".lock")
            if path in _being_made.get():
                raise RuntimeError(
                    f"{self._maker} was called for {target.path} by what is making it, and would wait for itself; "
                    f"pass another path"
                )
            self.directories.add(target.directory)
            make_state_directory(target.directory)
            mode = stat.S_IMODE(os.stat(state_directory_of(target.directory)).st_mode) & 0o666
            lock = filelock.FileLock(path, mode=mode, thread_local=False, fallback_to_soft=False)
            try:
                lock.acquire(blocking=False)
            except (filelock.Timeout, FileNotFoundError):
                self.unlock()
                return False
            except OSError as error:
                if target.directory not in _without_locks:
                    _without_locks.add(target.directory)
                    _logger.warning(
                        "%s has no locks, so calls may compute twice: %s", target.directory.rstrip(os.sep), error
                    )
            else:
                self._locks.append(lock)
                _being_made.set(_being_made.get() | {path})
        return True

    def unlock(self) -> None:
        for lock in self._locks:
            _being_made.set(_being_made.get() - {lock.lock_file})
            # Whoever waits for this very file sees that it has gone, and opens the next one.
            unlink_if_possible(lock.lock_file)
            lock.release()
        self._locks = []
