"""Contents: the files of an artifact, how each is recognised without reading it, and what it holds.

Source: inode(7).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection

from pyrepro._config.companions import is_database, is_empty_log, is_lock, logs_of
from pyrepro._config.file_hash import LEFT_OUT, file_hash
from pyrepro._paths import is_inside
from pyrepro.errors import ConfigError

DIRECTORY = "directory"
"""The digest of a directory, of which other files tell what it holds."""

Fingerprint = list[int]
"""Of a file its size, its times of modification and of change in nanoseconds, and its inode."""


def fingerprints_of(directory: str, parts: Collection[str], *, is_staged: bool = False) -> dict[str, Fingerprint]:
    """Each file of an artifact by its path from the directory that the artifact is in, with forward slashes.

    The log of a database is one, whoever wrote it.

    Args:
        directory: that directory, which ends in a separator or is empty.
        parts: the names of the artifact and of the side files that belong to it.
        is_staged: whether they are still to be moved, so that links may lead nowhere yet, and are left out.
    """
    found: dict[str, Fingerprint] = {}
    for part in parts:
        if is_lock(part, parts):
            continue
        path = directory + part
        try:
            status = os.lstat(path)
        except OSError:
            continue  # it is gone
        if stat.S_ISREG(status.st_mode):
            found[part] = _fingerprint(status)
            if is_database(part):
                found |= {part + ending: _fingerprint(log) for ending, log in logs_of(path).items()}
            continue
        if is_staged and stat.S_ISLNK(status.st_mode):
            continue
        if not stat.S_ISDIR(status.st_mode):
            found[part] = _of_odd_file(path, status)
        if os.path.isdir(path):
            _walk(path, f"{part}/", found, None if is_staged else [path])
    return found


def _walk(directory: str, prefix: str, found: dict[str, Fingerprint], walked: list[str] | None) -> None:
    # Its own times tell nothing: it is changed by what is not part of it, too.
    found[prefix] = [0, 0, 0, 0]
    # FileNotFoundError, NotADirectoryError: another process removes or replaces it just now.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        # Sorted, because of two links to one directory only the first is followed.
        by_name = {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)}
        for name, entry in by_name.items():
            if name in LEFT_OUT or is_lock(name, by_name) or is_empty_log(entry.path, by_name):
                continue
            if entry.is_dir(follow_symlinks=False):
                _walk(entry.path, f"{prefix}{entry.name}/", found, walked)
                continue
            if walked is None and entry.is_symlink():
                continue
            # Not entry.stat(), which knows no inode on Windows.
            status = os.lstat(entry.path)
            is_plain = stat.S_ISREG(status.st_mode)
            found[prefix + entry.name] = _fingerprint(status) if is_plain else _of_odd_file(entry.path, status)
            if walked and entry.is_symlink() and entry.is_dir() and _is_elsewhere(entry.path, walked):
                walked.append(entry.path)
                _walk(entry.path, f"{prefix}{entry.name}/", found, walked)


def _is_elsewhere(link: str, walked: list[str]) -> bool:
    """Whether a link leads to a directory that shares nothing with those that are walked, or there could be no end."""
    real = os.path.realpath(link)
    others = list(map(os.path.realpath, walked))
    return not any(real == one or is_inside(real, one) or is_inside(one, real) for one in others)


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
            return DIRECTORY
        if os.path.islink(path):
            held = file_hash(path) if os.path.isfile(path) else ""
            return f"link:{os.readlink(path)}:{held}"
        return file_hash(path)
    except ConfigError:
        return "odd"  # a pipe or a socket holds nothing
    except OSError:
        return None


def holds(path: str, held: str) -> bool:
    """Whether a file holds what it held; so it does where it was moved, and a link left in its place, as by git-annex.

    Args:
        path: the file.
        held: its digest then.
    """
    found = digest_of(path)
    if not is_moved(path, held):
        return found == held
    return os.path.isdir(path) if held == DIRECTORY else found is not None and found.endswith(f":{held}")


def is_moved(path: str, held: str) -> bool:
    """Whether a link stands where a file or a directory was."""
    return not held.startswith("link:") and not path.endswith("/") and os.path.islink(path)
