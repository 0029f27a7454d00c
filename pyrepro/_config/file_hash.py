"""file_hash: what a file or a directory holds, as one digest."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import time
from collections.abc import Iterator
from typing import Any

from pyrepro._config.companions import companions_of, is_empty_log, is_lock
from pyrepro._config.memo import SMALLEST, Memo
from pyrepro._paths import is_path
from pyrepro._stores import hash_in_store, is_in_store, told_in_store
from pyrepro.errors import ConfigError

_logger = logging.getLogger("pyrepro")

_CHUNK = 1 << 18
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)

LEFT_OUT = frozenset(
    {".pyrepro", ".git", "__pycache__", ".ipynb_checkpoints", ".DS_Store", "Thumbs.db", "desktop.ini", "lock.mdb"}
)
"""What programs leave in directories unasked: it is not data. The last is LMDB's, which changes it when it reads."""

PATIENCE = 5.0
"""After how many seconds, and how often from then on, it is logged how far a hashing has come."""


def file_hash(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """The SHA-256 of a file's content, or of everything in a directory.

    A file of a megabyte or more is not read again while its device, inode,
    size, mode and times are what they were, nor is an object in a store that
    tells its MD5. Hashing that takes longer than a
    few seconds logs how far it has come.

    Args:
        path: a file, or a directory; local, or in a store as a URL or a UPath. Symbolic links are followed. Left out in
            a directory is whatever is called ``.pyrepro``, ``.git``,
            ``__pycache__``, ``.ipynb_checkpoints``, ``.DS_Store``,
            ``Thumbs.db``, ``desktop.ini`` or ``lock.mdb``; and what says who has a file open:
            beside a database ``<name>-shm``, ``<name>-lock`` and a log that is empty, and the marks of
            LibreOffice, Microsoft Office, Vim and Emacs.

    Returns:
        The text ``sha256:<64 hex digits>`` of a file's bytes; of a directory, of the
        canonical JSON of ``{relative path: file hash}``, with forward slashes.

    Raises:
        ConfigError: a directory contains itself, or something there is neither
            a file nor a directory, or has a name that is not Unicode text.
        OSError: the path cannot be read.
        TypeError: what was passed is not a path.

    Example:
        ``config = {"lr": 0.1, "weights": file_hash("weights.bin")}``
    """
    if not is_path(path):
        raise TypeError(
            f"file_hash takes the path of a file or a directory, not {path!r} of type {type(path).__name__}"
        )
    if is_in_store(path):
        return _hash_in_store(path)
    place = os.fsdecode(path)
    if os.path.isdir(place):
        return "sha256:" + hashlib.sha256(_canonical(_files_in(place), place)).hexdigest()
    return _hash_of_file(place)


def hash_with_companions(path: Any) -> str:
    """As :func:`file_hash`; of a file to which others belong that stand beside it, of all of them.

    Returns:
        For such a file ``sha256:`` of the canonical JSON of ``{"": its hash, ".dbf": the hash of that companion}``.
    """
    companions = {} if is_in_store(path) else companions_of(os.fsdecode(path))
    if not companions:
        return file_hash(path)
    hashes = {"": file_hash(path)} | {ending: file_hash(companion) for ending, companion in companions.items()}
    return "sha256:" + hashlib.sha256(_canonical(hashes, os.fsdecode(path))).hexdigest()


def _hash_in_store(path: Any) -> str:
    with Memo() as memo:
        found = hash_in_store(path, memo)
    if isinstance(found, str):
        return f"sha256:{found}"
    counted = {name: f"sha256:{one}" for name, one in found.items() if LEFT_OUT.isdisjoint(name.split("/"))}
    return "sha256:" + hashlib.sha256(_canonical(counted, str(path))).hexdigest()


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
    names = {*os.listdir(directory)} - LEFT_OUT
    for name in sorted(names):
        path = os.path.join(directory, name)
        if is_lock(name, names) or is_empty_log(path, names):
            continue
        if not os.path.isdir(path) or os.path.realpath(path) in (*above, real):
            yield prefix + name, path
        else:
            yield from _entries_in(path, f"{prefix}{name}/", (*above, real))


def _digest_or_kind(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        mode = os.lstat(path).st_mode
    if stat.S_ISREG(mode):
        return _hash_of_file(path).partition(":")[2]
    if os.path.islink(path):
        return f"link:{_as_text(os.readlink(path))}"
    return "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"


def _as_text(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")


def fingerprint_of(path: Any) -> object:
    """What tells without reading it that a file, or any file in a directory, is as it was; None if there is none."""
    if is_in_store(path):
        # Whatever the store raises: to hash it tells more, and says so.
        with contextlib.suppress(Exception):
            return told_in_store(path)
        return None
    try:
        files = sorted(_paths_in(path, "", ())) if os.path.isdir(path) else [("", path), *companions_of(path).items()]
        return [(name, _fingerprint_of_file(file)) for name, file in files]
    except (OSError, ValueError):  # a ConfigError is one; a null character is another
        return None


def _fingerprint_of_file(path: str) -> tuple[int, ...]:
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _canonical(hashes: dict[str, str], directory: str) -> bytes:
    """The canonical JSON of the hashes of files: RFC 8785 sorts names by their UTF-16, and escapes as JSON does."""
    import json

    try:
        ordered = {name: hashes[name] for name in sorted(hashes, key=lambda name: name.encode("utf-16-be"))}
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"the directory {directory!r} holds {error.object!r}, which is not Unicode text; rename it"
        ) from None
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()


def _hash_of_file(path: str) -> str:
    if not stat.S_ISREG(os.stat(path).st_mode):  # before it is opened, which could wait forever
        raise _no_content(path)
    progress = _Progress(path)
    return _hash_of_small(path, progress) or _hashes_of_large([path], progress)[0]


def _no_content(path: str) -> ConfigError:
    return ConfigError(f"{path!r} is neither a file nor a directory, so it has no content to hash; write it to a file")


def _hash_of_small(path: str, progress: _Progress) -> str | None:
    """The hash of a file, None of one that is worth a thread and a look at what is known."""
    descriptor = os.open(path, _FLAGS)
    try:
        size = os.fstat(descriptor).st_size
        # A little more than its size, so that it is read at once, and one that grows to its end.
        return _read(descriptor, size + 1, progress) if size < SMALLEST else None
    finally:
        os.close(descriptor)


def _hashes_of_large(paths: list[str], progress: _Progress) -> list[str]:
    with Memo() as memo:

        def hash_of(path: str) -> str:
            descriptor = os.open(path, _FLAGS)
            try:
                return memo.digest(descriptor, lambda: _read(descriptor, _CHUNK, progress))
            finally:
                os.close(descriptor)

        if len(paths) == 1:
            return [hash_of(paths[0])]
        from concurrent.futures import ThreadPoolExecutor  # slow to import

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            try:
                return list(pool.map(hash_of, paths))
            except BaseException:  # KeyboardInterrupt too: what is under way may take minutes
                progress.is_stopped = True
                raise


def _read(descriptor: int, length: int, progress: _Progress) -> str:
    digest = hashlib.sha256()
    while chunk := os.read(descriptor, length):
        digest.update(chunk)
        progress.add(len(chunk))
    return "sha256:" + digest.hexdigest()


class _Progress:
    """How far a hashing has come, logged when it takes long."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._bytes = 0
        self._next = time.monotonic() + PATIENCE
        self.is_stopped = False

    def add(self, amount: int) -> None:
        self._bytes += amount  # about: threads may overtake each other here
        if self.is_stopped:
            raise InterruptedError("another file could not be hashed, or the hashing was interrupted")
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PATIENCE
            # A warning, which is seen without any setting: otherwise it is unclear what takes so long.
            _logger.warning("hashing %s: %.2f GB read so far", self._path, self._bytes / 1e9)


def _files_in(directory: str) -> dict[str, str]:
    """The hash of each file in a directory, by its relative path."""
    progress = _Progress(directory)
    hashes: dict[str, str] = {}
    large: dict[str, str] = {}
    for name, path in _paths_in(directory, "", ()):
        # Here: Python reads small files no faster in threads.
        found = _hash_of_small(path, progress)
        if found is None:
            large[name] = path
        else:
            hashes[name] = found
    if large:
        hashes.update(zip(large, _hashes_of_large([*large.values()], progress), strict=True))
    return hashes


def _paths_in(directory: str, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The files in a directory, in any order: relative paths with forward slashes, and where they are."""
    real = os.path.realpath(directory)
    if real in above:
        raise ConfigError(f"the directory {directory!r} is a link to a directory that contains it; remove the link")
    with os.scandir(directory) as scanned:
        entries = {entry.name: entry for entry in scanned}
    for name, entry in entries.items():
        if name in LEFT_OUT or is_lock(name, entries) or is_empty_log(entry.path, entries):
            continue
        if entry.is_dir():
            yield from _paths_in(entry.path, f"{prefix}{name}/", (*above, real))
        elif entry.is_file():
            yield prefix + name, entry.path
        else:
            os.stat(entry.path)  # a link that leads nowhere is the error of the system
            raise _no_content(entry.path)
