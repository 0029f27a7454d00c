"""Staging directories: made, kept, removed, and what killed calls left of them.

Sources: flock(2), rmdir(2).
"""

from __future__ import annotations

import contextlib
import errno
import os
import time

from pyrepro._publish.files import (
    make_directory_like,
    make_state_directory,
    remove_calls_in,
    remove_state_directory,
    remove_tree,
    state_directory_of,
    unlink_if_possible,
    write_gitignore,
)
from pyrepro._publish.spare import leave_spare, take_spare

_UNDER_WAY = ".call"
"""The suffix of the file beside a staging directory that a call under way keeps locked.

A file, since not every file system locks directories. In the state directory itself, since a directory of their own
would be made and removed by every call, and where freed blocks are discarded at once that costs as much as a sync.
"""

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
        self._lock: int | None = None

    def make(self) -> None:
        """Make the directory.

        Raises:
            OSError: it cannot be made.
        """
        while True:
            make_state_directory(self.directory)
            # FileNotFoundError: another call that ended removed the state directory before it was in use.
            with contextlib.suppress(FileNotFoundError):
                # Locked before it is there, or a call that removes what was abandoned could take it for that.
                if self._lock is None:
                    self._lock = _new_lock(f"{self.path}{_UNDER_WAY}")
                if not take_spare(self.directory, self.path):
                    make_directory_like(self.directory, self.path)
                break
        # Again, because such a call may have removed the first one; now that this is in use, it stays.
        write_gitignore(self.directory)

    def discard(self) -> None:
        """Remove the directory with all that is in it: the function did not return."""
        for path in (self.path, self.aside):
            remove_tree(path)
        self._unlock()

    def finish(self) -> list[str]:
        """Remove what is empty of it: the function returned, so what is still there may be work.

        Returns:
            What is not empty, and kept.
        """
        remove_calls_in(self.path)
        leave_spare(self.directory, self.path)
        kept = [path for path in (self.path, self.aside) if not _remove_empty(path)]
        # Without a lock file, no later call takes it for what a killed one left.
        self._unlock()
        return kept

    def _unlock(self) -> None:
        if self._lock is not None:
            # Unlinked while it is locked, or a call that removes what was abandoned could lock it in between.
            unlink_if_possible(f"{self.path}{_UNDER_WAY}")
            # OSError: the function closed every descriptor.
            with contextlib.suppress(OSError):
                os.close(self._lock)


def tidy(directory: str) -> None:
    """Remove what killed calls left more than a day ago in a directory, and the state directory if that is empty.

    Args:
        directory: the directory of the artifacts.
    """
    state_directory = state_directory_of(directory)
    # Whatever cannot be removed stays, and is no reason for this call to fail.
    with contextlib.suppress(OSError):
        # It is as small as the calls under way are few: what there is one of for each artifact is in directories in it.
        for name in os.listdir(state_directory):
            if name.endswith(_UNDER_WAY):
                _remove_if_abandoned(os.path.join(state_directory, name))
    remove_state_directory(directory)


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


def _new_lock(path: str) -> int | None:
    """A descriptor by which a new file is locked as long as a call is under way; None where there are no locks."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _lock(descriptor)
    except OSError:
        # A file that nobody holds locked would tell later calls that this one was killed.
        unlink_if_possible(path)
        os.close(descriptor)
        return None
    # Whoever may write here may find out whether it is locked. OSError: the file system has no modes.
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, 0o666)
    return descriptor


def _lock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError as error:  # Windows, where a file could not be unlinked while it is locked
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from error
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_if_abandoned(lock_file: str) -> None:
    staged = lock_file.removesuffix(_UNDER_WAY)
    # OSError: it is locked, or it is another user's, or another call was quicker.
    with contextlib.suppress(OSError):
        # The lock file itself where the call was killed before it had a directory.
        oldest_sign = staged if os.path.lexists(staged) else lock_file
        if time.time() - os.stat(oldest_sign).st_mtime < _DAY:
            return
        descriptor = os.open(lock_file, os.O_RDWR)
        try:
            _lock(descriptor)
            # FileNotFoundError: its call ended before it was locked here, and what is still staged is kept.
            os.stat(lock_file)
            remove_tree(staged)
            remove_tree(f"{staged}~")
            unlink_if_possible(lock_file)
        finally:
            os.close(descriptor)
