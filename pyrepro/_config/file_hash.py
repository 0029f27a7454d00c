"""file_hash: what a file or a directory holds, as one digest."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

from pyrepro._config.forms import config_hash
from pyrepro.errors import ConfigError

_CHUNK = 1 << 20


def file_hash(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """The SHA-256 of a file's content, or of everything in a directory.

    Args:
        path: a file, or a directory. Symbolic links are followed; a directory
            called ``.pyrepro`` in a directory is left out.

    Returns:
        ``"sha256:<64 hex digits>"``: of a file's bytes; of a directory, of the
        canonical JSON of ``{relative path: file hash}``, with forward slashes.

    Raises:
        ConfigError: a directory contains itself, or something there is neither
            a file nor a directory, or has a name that is no Unicode text.
        OSError: the path cannot be read.
        TypeError: what was passed is no path.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(
            f"file_hash takes the path of a file or a directory, not {path!r} of type {type(path).__name__}"
        )
    place = os.fsdecode(path)
    if os.path.isdir(place):
        return "sha256:" + config_hash(_files_in(place))
    return _hash_of_content(place)


def digests_of(path: str) -> str | dict[str, str]:
    r"""The SHA-256 of a file as 64 hex digits, or of each file in a directory by its relative path.

    What has no content stands there as what it is: a link that leads nowhere or in a circle as ``link:<target>``,
    anything else as ``pipe``, ``socket`` or ``device``. Bytes of a name that are no UTF-8 are written as ``\xff``.
    """
    if os.path.isdir(path):
        return {_as_text(name): _digest_or_kind(file) for name, file in _entries_in(path, "", ())}
    return _digest_or_kind(path)


def _entries_in(directory: str, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """As :func:`_paths_in`, but a link to a directory that contains it is an entry."""
    real = os.path.realpath(directory)
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if not os.path.isdir(path) or os.path.realpath(path) in (*above, real):
            yield prefix + name, path
        elif name != ".pyrepro":
            yield from _entries_in(path, f"{prefix}{name}/", (*above, real))


def _digest_or_kind(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        mode = os.lstat(path).st_mode
    if stat.S_ISREG(mode):
        return _hash_of_content(path).partition(":")[2]
    if os.path.islink(path):
        return f"link:{_as_text(os.readlink(path))}"
    return "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"


def _as_text(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")


def fingerprint_of(path: str) -> object:
    """What tells without reading it that a file, or any file in a directory, is as it was; None if there is none."""
    try:
        files = _paths_in(path, "", ()) if os.path.isdir(path) else [("", path)]
        return [(name, _fingerprint_of_file(file)) for name, file in files]
    except (ConfigError, OSError):
        return None


def _fingerprint_of_file(path: str) -> tuple[int, ...]:
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _hash_of_content(path: str) -> str:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ConfigError(
            f"{path!r} is neither a file nor a directory, so it has no content to hash; write it to a file"
        )
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return "sha256:" + digest.hexdigest()


def _files_in(directory: str) -> dict[str, str]:
    return {name: _hash_of_content(path) for name, path in _paths_in(directory, "", ())}


def _paths_in(directory: str, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The files in a directory: relative paths with forward slashes, and where they are."""
    real = os.path.realpath(directory)
    if real in above:
        raise ConfigError(f"the directory {directory!r} is a link to a directory that contains it; remove the link")
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if not os.path.isdir(path):
            yield prefix + name, path
        elif name != ".pyrepro":
            yield from _paths_in(path, f"{prefix}{name}/", (*above, real))
