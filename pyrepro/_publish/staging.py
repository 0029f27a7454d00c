"""Staging directories: made, kept, removed, and what killed calls left of them.

Sources: rmdir(2), proc(5).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator

from pyrepro._paths import STATE_DIRECTORY, is_inside
from pyrepro._publish.files import (
    MARKERS,
    last_change,
    make_directory_like,
    make_state_directory,
    remove_all,
    remove_state_directory,
    remove_tree,
    state_directory_of,
    unlink_if_possible,
    write_gitignore,
)
from pyrepro._publish.held import hold, keeps, open_files
from pyrepro._publish.prepared import remove_calls_in
from pyrepro._publish.spare import leave_spare, take_spare
from pyrepro.errors import InputChangedError, PublishError

_UNDER_WAY = ".call"
"""The suffix of the file beside a staging directory that a call under way holds.

A file, since not every file system locks directories. In the state directory itself, since a directory of their own
would be made and removed by every call, and where freed blocks are discarded at once that costs as much as a sync.
"""

_OWN = re.compile(rf"\.gitignore|{MARKERS}|[0-9a-f]{{16}}(~|\{_UNDER_WAY})?|[0-9a-f]{{32}}\..*")
"""What calls put into the state directory."""

_REMOVED = re.compile(r"\.(nfs|fuse_hidden)[0-9a-f]+")
"""What file systems call a file that is removed while it is open; where it is cannot be removed before it is closed."""

_NEW_STATE_FILE = re.compile("[0-9a-f]{16}")

_DAY = 86_400  # seconds
_MONTH = 30 * _DAY

_HOST = hashlib.sha256((os.uname().nodename if hasattr(os, "uname") else "").encode()).hexdigest()[:4]
"""What the token of a call ends in. Whether a call on another host has ended cannot always be told: the locks of some
network file systems do not reach from one host to another."""


class Staging:
    """The staging directory of one call, beside the artifacts of one directory.

    Args:
        directory: the directory of the artifacts, an absolute path.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.token = os.urandom(6).hex() + _HOST
        self.path = os.path.join(state_directory_of(directory), self.token)
        self.aside = f"{self.path}~"
        """A directory for temporary files and for what is replaced, on the same file system; not made yet."""
        self._release: Callable[..., None] | None = None
        self.made = 1 << 63  # nothing is later: it is not made yet
        """When it was made, in nanoseconds on the clock of its file system."""

    def make(self, mode: int | None = None) -> None:
        """Make the directory.

        Args:
            mode: the mode of files in the state directory if that has just been made.

        Raises:
            OSError: it cannot be made.
        """
        while True:
            mode = make_state_directory(self.directory) if mode is None else mode
            # FileNotFoundError: another call that ended removed the state directory before it was in use.
            with contextlib.suppress(FileNotFoundError):
                # Held before it is there, or a call that removes what was abandoned could take it for that.
                self._release = self._release or _hold_new(f"{self.path}{_UNDER_WAY}", mode)
                if not take_spare(self.directory, self.path):
                    self._make_directory()
                break
            mode = None
        # Not before it is in use, or such a call may remove it.
        write_gitignore(self.directory)
        self.made = os.stat(self.path).st_ctime_ns

    def _make_directory(self) -> None:
        try:
            make_directory_like(self.directory, self.path)
        except PermissionError:
            state_directory = os.path.dirname(self.path)
            closed = os.stat(self.directory).st_mode & ~os.stat(state_directory).st_mode
            whom = "".join(one for one, bit in (("g", stat.S_IWGRP), ("o", stat.S_IWOTH)) if closed & bit)
            if not whom:
                raise
            import shlex  # imported where something is refused

            # The directory was opened to others when the state directory was there, whose owner has not been back.
            raise PermissionError(
                f"{state_directory} may not be written to by all who may write to the directory that it is in; let "
                f"its owner type: chmod -R {whom}+w {shlex.quote(state_directory)}"
            ) from None

    def go_back(self) -> None:
        """Go to the directory of the artifacts, if the function has gone to this one and has not come back.

        There it would be without the decorator. From here relative paths would soon lead nowhere, or to what the next
        call stages.
        """
        # OSError: it has gone to a directory that it removed; or that of the artifacts is gone, too.
        with contextlib.suppress(OSError):
            # By the name alone, which is random.
            if os.path.basename(os.getcwd()) == self.token:
                os.chdir(self.directory)

    def follow(self) -> None:
        """Go on where the directory is now, if the one that it is in was renamed, and the platform tells where that is.

        To be called when the function has returned: then it no longer looks like a killed call's.
        """
        if os.path.lexists(self.path):
            return
        # By the name alone, which is random, of the file that this call holds open.
        name = f"{os.sep}{self.token}{_UNDER_WAY}"
        found = next((path for path in open_files() if path.endswith(name)), None)
        if found is not None:
            self.path = found.removesuffix(_UNDER_WAY)
            self.aside = f"{self.path}~"
            self.directory = os.path.dirname(os.path.dirname(found))
            unlink_if_possible(found)

    def entries(self) -> list[str]:
        """What the function wrote into the directory.

        Raises:
            OSError: it cannot be looked into.
        """
        names = (name for name in os.listdir(self.path) if name != STATE_DIRECTORY and not _is_removed(name))
        return [os.path.join(self.path, name) for name in names]

    def left(self) -> list[str]:
        """The same where it may be gone; the directory itself where it cannot be looked into, and may hold anything."""
        try:
            return self.entries()
        except FileNotFoundError:
            return []
        except OSError:
            return [self.path]

    def empty(self) -> None:
        """Remove what is in the directory."""
        for name in os.listdir(self.path):
            remove_tree(os.path.join(self.path, name))

    def discard(self, error: BaseException | None = None) -> None:
        """Remove the directory with all that is in it: the function did not return.

        Args:
            error: what it raised. Where that says that a call in this one has put or kept something in here, all stays.
        """
        inside = os.path.realpath(self.path)
        is_kept = any(is_inside(os.path.realpath(path), inside) and os.path.lexists(path) for path in _named_in(error))
        if not is_kept:
            for path in (self.path, self.aside):
                remove_all(path)
        self._end(keeps=is_kept, leaves=any(map(os.path.lexists, (self.path, self.aside))))

    def finish(self) -> list[str]:
        """Remove what is empty of it: the function returned, so what is still there may be work.

        Returns:
            What is not empty, and kept.
        """
        is_gone = self._give_back()
        if not is_gone:
            # Mostly there are none, and then nothing need be looked for.
            remove_calls_in(self.path)
            is_gone = self._give_back()
        left = [] if is_gone else [self.path]
        if not _remove_empty(self.aside):
            left.append(self.aside)
        kept = [path for path in left if _holds_something(path)]
        # Without a lock file, or with one that says so, no later call takes it for what a killed one left.
        self._end(keeps=bool(kept), leaves=bool(left))
        return kept

    def _give_back(self) -> bool:
        return leave_spare(self.directory, self.path) or _remove_empty(self.path)

    def _end(self, *, keeps: bool = False, leaves: bool) -> None:
        if self._release is None:
            return
        self._release(keeps=keeps)
        if leaves and not keeps:
            # What could not be removed now is removed later as what a killed call left: a file was still open.
            with contextlib.suppress(OSError):
                os.close(os.open(f"{self.path}{_UNDER_WAY}", os.O_WRONLY | os.O_CREAT, 0o666))


def _named_in(error: BaseException | None) -> Iterator[str]:
    """The paths of what calls in this one wrote, by the errors of theirs that led to what it raised."""
    left, seen = [error], set()
    while left:
        one = left.pop()
        # An error that is raised from one that was raised while it was handled leads back to itself.
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, (PublishError, InputChangedError)):
            yield from filter(None, (one.path, *getattr(one, "kept", ())))
        left += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]  # the last of a task group


def _is_own(name: str) -> bool:
    return _OWN.fullmatch(name) is not None or _is_removed(name)


def _is_removed(name: str) -> bool:
    """Whether a name is that of a file that was removed while it was open, and goes when it is closed."""
    return name.startswith(".") and _REMOVED.fullmatch(name) is not None


def _changed_at(path: str) -> int:
    status = os.lstat(path)
    return last_change(status.st_mtime_ns, status.st_ctime_ns)


def tidy(directory: str, since: int) -> list[str]:
    """Remove what killed calls left in a directory, and the state directory if that is empty.

    That is what is older than a day; of calls on other hosts what is older than thirty.

    Args:
        directory: the directory of the artifacts.
        since: when the call began, in nanoseconds on the clock of its file system.

    Returns:
        What was written into the state directory since by no call, but by a function, where nobody looks for it.
    """
    state_directory = state_directory_of(directory)
    strays = []
    # Whatever cannot be removed stays, and must not make this call fail.
    with contextlib.suppress(OSError):
        # It is as small as the calls under way are few: what there is one of for each artifact is in directories in it.
        names = os.listdir(state_directory)
        for name in names:
            path = os.path.join(state_directory, name)
            if name.endswith(_UNDER_WAY):
                _remove_if_abandoned(path)
            elif name.endswith(".lock"):
                _remove_if_free(path)
            elif _NEW_STATE_FILE.fullmatch(name):
                _remove_if_old_file(path)
            elif not _is_own(name) and _changed_at(path) >= since:
                strays.append(path)
        if MARKERS not in names:
            # Looked at again where something may just have been removed.
            remove_state_directory(directory, names if len(names) == 1 else None)
    return sorted(strays)


def _remove_empty(path: str) -> bool:
    """Remove a directory if it is empty; whether it is gone."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def _holds_something(path: str) -> bool:
    try:
        return not all(map(_is_removed, os.listdir(path)))
    except OSError:  # it cannot be looked into
        return True


def _hold_new(path: str, mode: int) -> Callable[..., None] | None:
    """Hold the file of a call that begins; None where there are no locks."""
    try:
        # Whoever may write here may find out whether it is held.
        return hold(path, mode)
    except OSError:
        # A file that nobody holds would tell later calls that this one was killed.
        unlink_if_possible(path)
        return None


def _is_older(path: str, seconds: int) -> bool:
    return time.time() - os.lstat(path).st_mtime >= seconds


def _remove_if_old_file(path: str) -> None:
    """Remove what was to become a marker; a directory of this name is what a call keeps, or stages."""
    with contextlib.suppress(OSError):
        if _is_older(path, _DAY) and stat.S_ISREG(os.lstat(path).st_mode):
            os.unlink(path)


def _remove_if_free(lock_file: str) -> None:
    """Remove the lock of an artifact if nobody holds it; a call that ends removes its own."""
    # OSError: it is held, or it is another user's, or another call was quicker.
    with contextlib.suppress(OSError):
        if _is_older(lock_file, _DAY):
            hold(lock_file, None)()


def _remove_if_abandoned(lock_file: str) -> None:
    staged = lock_file.removesuffix(_UNDER_WAY)
    # OSError: it is held, or it is another user's, or another call was quicker.
    with contextlib.suppress(OSError):
        # The lock file itself where the call was killed before it had a directory.
        age = _DAY if staged.endswith(_HOST) else _MONTH
        if not _is_older(staged if os.path.lexists(staged) else lock_file, age):
            return
        # Asked before it is held, too, since filelock empties what it locks.
        is_kept = keeps(lock_file)
        # Not made anew: a call that has just ended unlinked its own, and what is still staged is kept.
        release = hold(lock_file, None)
        # Asked while it is held, since the call may have ended just before.
        is_kept = is_kept or keeps(lock_file)
        if not is_kept:
            remove_all(staged)
            remove_all(f"{staged}~")
        release(keeps=is_kept)
