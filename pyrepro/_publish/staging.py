"""Staging directories: made, kept, removed, and what killed calls left of them.

Sources: flock(2), rmdir(2).
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from pyrepro._publish.files import (
    CALLS,
    make_directory_like,
    make_state_directory,
    remove_calls_in,
    remove_state_directory,
    remove_tree,
    state_directory_of,
    unlink_if_possible,
    write_gitignore,
)

_DAY = 86_400  # seconds


class Staging:
    """The staging directory of one call, beside the artifacts of one directory.

    Args:
        directory: the directory of the artifacts, an absolute path.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.token = os.urandom(8).hex()
        self.path = os.path.join(state_directory_of(directory), self.token)
        self.aside = f"{self.path}~"
        """A directory for temporary files and for what is replaced, on the same file system; not made yet."""
        self._lock: Any = None

    def make(self) -> None:
        """Make the directory.

        Raises:
            OSError: it cannot be made.
        """
        while not os.path.isdir(self.path):
            make_state_directory(self.directory)
            # FileNotFoundError: another call that ended removed the state directory before it was in use.
            with contextlib.suppress(FileNotFoundError):
                # Locked before it is there, or a call that removes what was abandoned could take it for that.
                self._lock = self._lock or _new_lock(self.directory, self.token)
                make_directory_like(self.directory, self.path)
        # Again, because such a call may have removed the first one; now that this is in use, it stays.
        write_gitignore(self.directory)

    def discard(self) -> None:
        """Remove the directory with all that is in it: the function did not return."""
        for path in (self.path, self.aside):
            remove_tree(path)
        self._leave()

    def finish(self) -> list[str]:
        """Remove what is empty of it: the function returned, so what is still there may be work.

        Returns:
            What is not empty, and kept.
        """
        remove_calls_in(self.path)
        kept = [path for path in (self.path, self.aside) if not _remove_empty(path)]
        # Without a lock file, no later call takes it for what a killed one left.
        self._leave()
        return kept

    def _leave(self) -> None:
        if self._lock is not None:
            # Unlinked while it is locked, as the locks of artifacts are.
            unlink_if_possible(self._lock.lock_file)
            # An error here must not hide the one that says what is kept.
            with contextlib.suppress(OSError):
                self._lock.release()
        # Last, when the artifact is in place: it may take a while where many were killed.
        _remove_abandoned(self.directory)
        with contextlib.suppress(OSError):
            os.rmdir(_calls_of(self.directory))
        remove_state_directory(self.directory)


def _calls_of(directory: str) -> str:
    return os.path.join(state_directory_of(directory), CALLS)


def _remove_empty(path: str) -> bool:
    """Remove a directory if it is empty; whether nothing is kept in it."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        # It may be empty, and not be removable: then nothing is kept, but an empty directory.
        with contextlib.suppress(OSError):
            return not os.listdir(path)
        return False
    return True


def _new_lock(directory: str, token: str) -> Any:
    """A lock that says that the call of a token is under way; None where there are no locks."""
    calls = _calls_of(directory)
    with contextlib.suppress(FileExistsError):
        make_directory_like(directory, calls)
    lock = _lock_file(os.path.join(calls, token))
    try:
        lock.acquire(blocking=False)
    except OSError:
        # A lock file that nobody holds would tell later calls that this one was killed.
        unlink_if_possible(lock.lock_file)
        return None
    return lock


def _lock_file(path: str) -> Any:
    import filelock  # imported where something is staged

    # Not thread-local: a coroutine may end in another thread than the one where it began.
    # No soft locks: they are files, which outlive a process that is killed.
    return filelock.FileLock(path, mode=0o666, thread_local=False, fallback_to_soft=False)


def _remove_abandoned(directory: str) -> None:
    """Remove what killed calls left more than a day ago in a directory."""
    calls = _calls_of(directory)
    # Whatever cannot be removed stays, and is no reason for this call to fail.
    with contextlib.suppress(OSError):
        for token in os.listdir(calls):
            _remove_if_abandoned(os.path.join(state_directory_of(directory), token), os.path.join(calls, token))


def _remove_if_abandoned(staged: str, lock_file: str) -> None:
    # OSError: its lock is held (filelock's Timeout is one), or it is another user's, or another call was quicker.
    with contextlib.suppress(OSError):
        # The lock file itself where the call was killed before it had a directory.
        oldest_sign = staged if os.path.lexists(staged) else lock_file
        if time.time() - os.stat(oldest_sign).st_mtime < _DAY:
            return
        lock = _lock_file(lock_file)
        lock.acquire(blocking=False)
        remove_tree(staged)
        remove_tree(f"{staged}~")
        unlink_if_possible(lock_file)
        lock.release()
