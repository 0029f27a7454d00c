"""The memo: digests of files that were read before, so that what has not changed is not read again.

It is an aid and never an authority: whatever goes wrong with it, the file is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from pyrepro import _environ

_logger = logging.getLogger("pyrepro")

SMALLEST = 1 << 20
"""Of how many bytes a file is at least that is remembered; a smaller one is read as fast as it is looked up."""

OLD_ENOUGH = 2_000_000_000
"""How many nanoseconds ago the last change must be: within one tick of a clock, two changes have the same time."""

FILE_SYSTEMS = frozenset({b"btrfs", b"ext2", b"ext3", b"ext4", b"ntfs3", b"xfs", b"zfs"})
"""Those that are local and change a file's ctime whenever its content changes, once it was synced.

Not tmpfs: what is written to it through a memory map changes no time. Not overlay or network file systems either.
"""

_NAME = "files-1.sqlite"

_in_process: dict[str, tuple[str, str]] = {}
_reported: set[str] = set()


def prepare() -> None:
    """Import what the memo needs, where inputs are declared: a hit takes less than that."""
    # Whatever it is, the files are read.
    with contextlib.suppress(Exception):
        if _environ.cache_directory() is not None:
            import sqlite3  # noqa: F401


class Memo:
    """What is known of files, and of objects in stores, opened for one hashing and used by all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: dict[str, tuple[str, str]] = {}
        self._connection: Any = None
        self._mounts: dict[bytes, bytes] = {}
        self._directory: str | None = None
        self._is_off = False

    def __enter__(self) -> Memo:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._attempt(self._write)
            if self._connection is not None:
                self._connection.close()  # which never fails: what was not committed is taken back

    def digest(self, descriptor: int, read: Callable[[], str]) -> str:
        """The digest of an open file: the one that is known, or what reading it gives.

        Args:
            descriptor: the file, open for reading.
            read: reads the file and returns its digest.
        """
        # Elsewhere the type of a file system cannot be asked, and on Windows a ctime is when a file was made.
        if not sys.platform.startswith("linux"):
            return read()
        status = os.fstat(descriptor)
        found = self.known(_place(status), _text(_state(status)))
        if found is not None:
            return found
        with self._lock:
            may_keep = self._attempt(lambda: self._may_keep(descriptor))
        # Asked anew: syncing may have taken long.
        before = _state(os.fstat(descriptor))
        is_old = may_keep and _is_old(before)
        digest = read()
        after = os.fstat(descriptor)
        # Two seconds before and after: a change while it was read, or in the tick of its last change, would not show.
        if is_old and _state(after) == before and _is_old(before):
            self.keep(_place(after), _text(before), digest)
        return digest

    def known(self, place: str, state: str) -> str | None:
        """The digest that was kept of what is at a place, if it is in the same state; None if it must be read."""
        with self._lock:
            found = self._attempt(lambda: self._looked_up(place, state))
        return None if found is None else str(found)

    def keep(self, place: str, state: str, digest: str) -> None:
        """Keep the digest of what is at a place for as long as it is in this state."""
        _in_process[place] = self._new[place] = state, digest

    def _attempt(self, step: Callable[[], Any]) -> Any:
        """What a step returns, or None where it fails: then the memo is of no use, and the file is read."""
        if self._is_off:
            return None
        try:
            return step()
        except Exception as error:  # whatever it is, a file can be hashed without the memo
            self._is_off = True
            self._report(error)
            return None

    def _report(self, error: Exception) -> None:
        text = f"{self._directory}: {error}"
        if text not in _reported:
            _reported.add(text)
            # Busy or read-only passes, or is meant; what is broken stays so.
            level = logging.WARNING if type(error).__name__ == "DatabaseError" else logging.INFO
            _logger.log(
                level,
                "large files are read each time, since %s cannot be used: %s; remove it, or set PYREPRO_CACHE_DIR "
                "to a directory that can be written, or to 0",
                self._directory and os.path.join(self._directory, _NAME),
                error,
            )

    def _looked_up(self, place: str, text: str) -> str | None:
        if self._directory is None:
            self._directory = _environ.cache_directory()
            self._is_off = self._directory is None
        if self._directory is None:
            return None
        if place not in _in_process:
            row = self._open().execute("SELECT state, digest, seal FROM files WHERE place = ?", (place,)).fetchone()
            # Sealed, so that a row that a failing disk has changed is not believed.
            if row is None or row[2] != _seal(place, row[0], row[1]):
                return None
            _in_process[place] = row[0], row[1]
        state, digest = _in_process[place]
        return digest if state == text else None

    def _open(self) -> Any:
        if self._connection is None:
            import sqlite3  # as slow to import as a small file is to hash

            assert self._directory is not None
            os.makedirs(self._directory, exist_ok=True)
            path = os.path.join(self._directory, _NAME)
            # Ten seconds: who writes holds it for milliseconds, but for longer than one second where the disk is busy.
            self._connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS files (place TEXT PRIMARY KEY, state TEXT, digest TEXT, seal TEXT)"
            )
        return self._connection

    def _may_keep(self, descriptor: int) -> bool:
        path = os.fsencode(os.readlink(f"/proc/self/fd/{descriptor}"))
        self._mounts = self._mounts or _mounts()
        mount = max((mount for mount in self._mounts if (path + b"/").startswith(mount)), key=len)
        if self._mounts[mount] not in FILE_SYSTEMS:
            return False
        # Before the file is looked at: a page that waits to be written back can be changed through a memory map
        # without a change of the times.
        os.fsync(descriptor)
        return True

    def _write(self) -> None:
        if self._new:
            rows = [(place, *entry, _seal(place, *entry)) for place, entry in self._new.items()]
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")


def _mounts() -> dict[bytes, bytes]:
    """The type of the file system at each mount point, with a slash at its end (proc(5), mountinfo)."""
    with open("/proc/self/mountinfo", "rb") as file:
        lines = [line.split(b" ") for line in file]
    # A later mount covers an earlier one.
    return {
        fields[4].decode("unicode_escape").encode("latin-1").rstrip(b"/") + b"/": fields[fields.index(b"-") + 1]
        for fields in lines
    }


def _place(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"


def _state(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mode, status.st_mtime_ns, status.st_ctime_ns


def _text(state: tuple[int, ...]) -> str:
    return ":".join(map(str, state))


def _is_old(state: tuple[int, int, int, int]) -> bool:
    return time.time_ns() - max(state[2], state[3]) >= OLD_ENOUGH


def _seal(place: str, state: str, digest: str) -> str:
    return hashlib.sha256(f"{place} {state} {digest}".encode()).hexdigest()[:16]
