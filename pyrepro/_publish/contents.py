"""Contents: the files of an artifact, how each is recognised without reading it, and what it holds.

Source: inode(7).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

from pyrepro._config.file_hash import LEFT_OUT, file_hash
from pyrepro.errors import ConfigError

Fingerprint = list[int]
"""Of a file its size, its times of modification and of change in nanoseconds, and its inode."""


def fingerprints_of(directory: str, parts: Iterable[str]) -> dict[str, Fingerprint]:
    """Each file of an artifact by its path from the directory that the artifact is in, with forward slashes.

    Args:
        directory: that directory, which ends in a separator or is empty.
        parts: the names of the artifact and of the side files that belong to it.
    """
    found: dict[str, Fingerprint] = {}
    for part in parts:
        path = directory + part
        try:
            status = os.lstat(path)
        except OSError:
            continue  # it is gone
        if stat.S_ISREG(status.st_mode):
            found[part] = _fingerprint(status)
            continue
        if not stat.S_ISDIR(status.st_mode):
            found[part] = _of_odd_file(path, status)
        # The artifact itself may be a link to a directory; in it no link is followed to one, or there could be no end.
        if os.path.isdir(path):
            _walk(path, f"{part}/", found)
    return found


def _walk(directory: str, prefix: str, found: dict[str, Fingerprint]) -> None:
    # Its own times tell nothing: it is changed by what is not part of it, too.
    found[prefix] = [0, 0, 0, 0]
    # FileNotFoundError, NotADirectoryError: another process removes or replaces it just now.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name in LEFT_OUT:
                continue
            if entry.is_dir(follow_symlinks=False):
                _walk(entry.path, f"{prefix}{entry.name}/", found)
            else:
                # Not entry.stat(), which knows no inode on Windows.
                status = os.lstat(entry.path)
                is_plain = stat.S_ISREG(status.st_mode)
                found[prefix + entry.name] = _fingerprint(status) if is_plain else _of_odd_file(entry.path, status)


def _of_odd_file(path: str, status: os.stat_result) -> Fingerprint:
    """Of a link the fingerprint of the file that it leads to, since that may be edited; else its own."""
    try:
        followed = os.stat(path)
    except OSError:
        return _fingerprint(status)
    return _fingerprint(followed if stat.S_ISREG(followed.st_mode) else status)


def _fingerprint(status: os.stat_result) -> Fingerprint:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def digest_of(path: str) -> str | None:
    """What a file holds: a hash, of a link its target, too; None if it cannot be read."""
    try:
        if path.endswith("/"):
            return "directory"
        if os.path.islink(path):
            held = file_hash(path) if os.path.isfile(path) else ""
            return f"link:{os.readlink(path)}:{held}"
        return file_hash(path)
    except ConfigError:
        return "odd"  # a pipe or a socket holds nothing
    except OSError:
        return None
