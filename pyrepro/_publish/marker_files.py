"""The files of markers: where they are, read in one step, and replaced as a whole.

Sources: rename(2), inode(7).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Iterable

from pyrepro._paths import STATE_DIRECTORY
from pyrepro._publish.files import MARKERS, Target, share_like, unlink_if_possible

_KEPT = 100
"""How many artifacts of one code key are known: one is enough, and any may be removed."""

_O_BINARY = getattr(os, "O_BINARY", 0)
_O_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)  # Windows has neither this nor such links


def markers_directory(directory: str) -> str:
    # Not among what calls leave in the state directory, which is listed: it grows with the artifacts.
    return f"{directory}{STATE_DIRECTORY}{os.sep}{MARKERS}"


def spare_directory(directory: str) -> str:
    """Where an empty directory for the next call that stages is: it goes when the last marker goes."""
    return f"{markers_directory(os.path.join(directory, ''))}{os.sep}spare"


def marker_file(target: Target) -> str:
    return target.directory + marker_name(target.name)


def newest_file(directory: str, plain: str) -> str:
    return directory + newest_name(plain)


def key_file(directory: str, plain: str, maker: str, config: str, code_key: str) -> str:
    """The file with the names of the artifacts of one plain path, maker, configuration and code key."""
    return directory + key_name(plain, maker, config, code_key)


def marker_name(name: str) -> str:
    """Where the marker of an artifact is, from the directory of the artifact."""
    # A digest, because the artifact's name may be too long to take a suffix.
    return f"{STATE_DIRECTORY}/{MARKERS}/{_digest(name)}.json"


def newest_name(plain: str) -> str:
    return f"{STATE_DIRECTORY}/{MARKERS}/{_digest(plain)}.newest"


def key_name(plain: str, maker: str, config: str, code_key: str) -> str:
    return f"{STATE_DIRECTORY}/{MARKERS}/{_digest(chr(0).join((plain, maker, config, code_key)))}.key"


@functools.lru_cache(maxsize=1024)
def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def pointed_name(path: str) -> str:
    """The name in a file that leads to a marker; empty if there is none."""
    try:
        return os.fsdecode(read_whole(path))
    except OSError:
        return ""


def listed_names(path: str) -> list[str]:
    """The names in a file that leads to markers, the newest first."""
    # No name of a file holds what stands between them.
    return [name for name in pointed_name(path).split(os.sep) if name]


def with_newest(name: str, names: Iterable[str]) -> list[str]:
    """The names in a file that leads to markers, once this artifact is the newest; of many, the oldest go."""
    return [name, *(other for other in names if other != name)][:_KEPT]


def put_names(names: list[str], path: str, directory: str) -> None:
    """Write the names of artifacts into a file that leads to their markers.

    In place, since whoever follows them looks at the markers: what replaces a file as a whole takes ten steps, and some
    file systems write its content to the disk at once.

    Raises:
        OSError: that was not possible.
    """
    content = os.fsencode(os.sep.join(names))
    # OSError: it is another user's, or a link, or has another name in a copy of the directory.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | _O_BINARY | _O_NOFOLLOW, 0o666)
        try:
            before = os.fstat(descriptor)
            if before.st_nlink == 1:
                os.write(descriptor, content)
                # Not to nothing before it is written, after which file systems write it to the disk, too.
                if before.st_size > len(content):
                    os.ftruncate(descriptor, len(content))
                if not before.st_size:
                    share_like(markers_directory(directory), path, 0o666)
                return
        finally:
            os.close(descriptor)
    unlink_if_possible(path)
    with NewStateFile(directory) as new_file:
        new_file.put(content, path)


def read_whole(path: str) -> bytes:
    # With os.open, because calls that hit do this, and a file object takes five times as long.
    descriptor = os.open(path, os.O_RDONLY | _O_BINARY)
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


class NewStateFile:
    """A file of the state directory that others see whole or not at all; what is not put in place is removed.

    Args:
        directory: the directory with artifacts.

    Raises:
        OSError: nothing may be written there.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        # Where staging directories are, so that what a kill leaves is removed as they are.
        self._path = f"{directory}{STATE_DIRECTORY}{os.sep}{os.urandom(8).hex()}"
        self._is_in_place = False
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _O_BINARY, 0o666)
        self._file = os.fdopen(descriptor, "wb")
        self.time = os.fstat(descriptor).st_mtime_ns
        """When it was made, by the clock of its file system."""

    def __enter__(self) -> NewStateFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        if not self._is_in_place:
            unlink_if_possible(self._path)

    def put(self, content: bytes, path: str) -> None:
        """Write it, and put it in place among the markers.

        Raises:
            OSError: that was not possible.
        """
        # Not synced: a marker that a power failure takes back costs a computation, no more.
        self._file.write(content)
        self._file.close()
        markers = markers_directory(self._directory)
        share_like(markers, self._path, 0o666)
        os.replace(self._path, path)
        self._is_in_place = True


def make_markers_directory(directory: str) -> None:
    """Make the directory for the markers of a directory with artifacts, or open it to whom that is open to now."""
    markers = markers_directory(directory)
    with contextlib.suppress(FileExistsError):
        os.mkdir(markers)
    share_like(f"{directory}{STATE_DIRECTORY}", markers)


def remove_markers_directory(directory: str) -> None:
    """Remove the directory for the markers of a directory with artifacts, if there are none."""
    # Not with each marker of many: where many were, it takes a file system long to see that some are left.
    for path in (spare_directory(directory), markers_directory(directory)):
        # OSError: there is none, or it is not empty.
        with contextlib.suppress(OSError):
            os.rmdir(path)
