"""Held files: locked by a call until it ends, in whatever way, since the kernel frees them with the process.

Sources: flock(2), fork(2), proc(5).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
from collections.abc import Callable, Iterator

from pyrepro._publish.files import unlink_if_possible

_KEEPS = b"keeps"
"""What a file holds whose holder was not killed, but has kept something, and could not unlink the file."""

_descriptors: set[int] = set()


def _close_all() -> None:
    """Let a child process that outlives this one keep nobody waiting: its parent still has them open, and locked."""
    while _descriptors:
        with contextlib.suppress(OSError):  # closed by the function itself
            os.close(_descriptors.pop())


getattr(os, "register_at_fork", dict)(after_in_child=_close_all)  # Windows has no forks


def open_files(process: str = "self") -> Iterator[str]:
    """The paths of what a process has open, by default this one, where the platform lists it."""
    # OSError: it does not; or the descriptor was that of the listing, or one that another thread has closed; or the
    # process has just ended, or belongs to another user.
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{process}/fd"):
            with contextlib.suppress(OSError):
                yield os.readlink(f"/proc/{process}/fd/{descriptor}")


def children() -> list[str]:
    """The processes that this thread has started, and that still run, where the platform lists them."""
    import threading  # imported where something is published

    with contextlib.suppress(OSError):
        # With os.open, because every publication does this, and a file object asks the system five things more.
        descriptor = os.open(f"/proc/self/task/{threading.get_native_id()}/children", os.O_RDONLY)
        try:
            return os.read(descriptor, 1 << 16).decode().split()
        finally:
            os.close(descriptor)
    return []


def command_line(process: str) -> str:
    """What a process was started with, where the platform tells; empty if it has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/cmdline", "rb") as file:
        return os.fsdecode(file.read())
    return ""


def hold(path: str, mode: int | None, signature: bytes = b"") -> Callable[..., None]:
    """Lock a file.

    Args:
        path: the file.
        mode: the mode of one that is made; None if it must be there.
        signature: what it says of who holds it, where the platform lets a locked file be written to.

    Returns:
        What unlinks it, and lets others lock a new file of this name; with ``keeps``, one that cannot be unlinked says
        that what it stands for is kept.

    Raises:
        FileNotFoundError: it, or its directory, is not there.
        BlockingIOError, TimeoutError: somebody else holds it.
        OSError: it may not be used, or its file system has no locks.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return _hold_without_fcntl(path, mode)
    # Not with filelock where that can be helped: it takes ten times as long.
    made = 0 if mode is None else os.O_CREAT
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | made, 0o666 if mode is None else mode)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # there are no locks
            # What was to be made, and nobody else would remove. Who else left a file there cannot be told now.
            if mode is not None:
                unlink_if_possible(path)
            raise
        status = os.fstat(descriptor)
        # Who held it before may have unlinked it since it was opened, and others lock a new file of this name.
        if not os.path.samestat(status, os.stat(path)):
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), path)
        if mode is not None and stat.S_IMODE(status.st_mode) != mode:
            # The umask was in its way. OSError: it is another user's, or the file system has no modes.
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, mode)
        if signature:
            # Not truncated, after which some file systems write the content to the disk when the file is closed.
            # OSError: the disk is full.
            with contextlib.suppress(OSError):
                os.write(descriptor, signature)
    except BaseException:
        os.close(descriptor)
        raise
    _descriptors.add(descriptor)
    return functools.partial(_release, path, descriptor, status)


def _release(path: str, descriptor: int, status: os.stat_result, *, keeps: bool = False) -> None:
    # Unlinked while it is locked: after the release another call may hold a lock on this very file, and a third one
    # would lock a new file of this name beside it.
    unlink_if_possible(path)
    _descriptors.discard(descriptor)
    # OSError: the function closed every descriptor.
    with contextlib.suppress(OSError):
        # What it opened then may have the number, and is its own.
        if not os.path.samestat(os.fstat(descriptor), status):
            return
        try:
            # OSError: the file is unlinked, as nearly always.
            if keeps and os.path.samestat(os.stat(path), status):
                # By the descriptor, which may be written to where the path has become read-only.
                os.pwrite(descriptor, _KEEPS, 0)
        finally:
            os.close(descriptor)


def keeps(path: str) -> bool:
    """Whether who held a file has kept what it stands for, and could not unlink the file.

    Raises:
        OSError: it cannot be read.
    """
    return os.stat(path).st_size > 0


def _hold_without_fcntl(path: str, mode: int | None) -> Callable[..., None]:
    import filelock  # imported where it is needed

    if mode is None:
        os.stat(path)
    # Not thread-local: a coroutine may end in another thread than the one where it began.
    # No soft locks: they are files, which outlive a process that is killed.
    lock = filelock.FileLock(path, mode=mode or 0o666, thread_local=False, fallback_to_soft=False)
    lock.acquire(blocking=False)

    def release(*, keeps: bool = False) -> None:
        unlink_if_possible(path)
        # OSError: it is unlinked. Not the first byte, which is locked.
        with contextlib.suppress(OSError):
            if keeps:
                os.truncate(path, 2)
        lock.release()

    return release
