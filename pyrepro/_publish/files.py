"""Files: what the operating system is asked while outputs are put in place.

Sources: rename(2), fsync(2).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import stat
from typing import Any, NamedTuple

from pyrepro._paths import is_inside, is_url, split_text

ROOM = ".pyrepro"
"""The directory beside artifacts for what belongs to them and is none."""

_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)
_CANNOT_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


class Target(NamedTuple):
    """Where an artifact belongs: a directory, which ends in a separator or is empty, and its name in it."""

    directory: str
    name: str

    @classmethod
    def of(cls, path: Any) -> Target:
        """The target of a tagged path.

        Raises:
            ValueError: it is on no local file system.
        """
        text = path if type(path) is str else os.fsdecode(path) if isinstance(path, (bytes, os.PathLike)) else None
        if text is None or ("://" in text and is_url(text)):
            raise ValueError(
                f"{path!r} is on no local file system, and atomic=True and cache=True need one, to move files there in "
                f"one step; leave them out, or write to a local path"
            )
        head, name, _ = split_text(text)
        return cls(head, name)

    @property
    def path(self) -> str:
        return self.directory + self.name

    def absolute(self) -> Target:
        return Target(os.path.join(os.getcwd(), self.directory), self.name)

    def own_file(self, suffix: str) -> str:
        """A file of this artifact in the room of its directory, where its name may be too long to take a suffix."""
        return f"{self.directory}{ROOM}{os.sep}{_digest(self.name)}{suffix}"


@functools.lru_cache(maxsize=256)
def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def _room(directory: str) -> str:
    return os.path.join(directory, ROOM)


def _make_like(directory: str, path: str) -> None:
    """Make a directory that lets in whom another one lets in."""
    os.mkdir(path)
    os.chmod(path, stat.S_IMODE(os.stat(directory).st_mode))


def _enter_room(directory: str) -> None:
    """Make the room of a directory, which another call may be removing."""
    while True:
        os.makedirs(directory, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            with contextlib.suppress(FileExistsError):
                _make_like(directory, _room(directory))
            _write_gitignore(directory)
            return


def _leave_room(directory: str) -> None:
    """Remove the room of a directory if nothing is in it any more."""
    room = _room(directory)
    with contextlib.suppress(OSError):
        while not set(os.listdir(room)) - {".gitignore"}:
            _unlink(os.path.join(room, ".gitignore"))
            try:
                os.rmdir(room)
                return
            except OSError as error:
                if error.errno not in _NOT_EMPTY:
                    raise
                _write_gitignore(directory)  # another call has entered it meanwhile


def _write_gitignore(directory: str) -> None:
    with contextlib.suppress(FileExistsError), open(os.path.join(_room(directory), ".gitignore"), "x") as file:
        file.write("*\n")


def _settle(directory: str, staged: str, final: str) -> None:
    """Make what was staged fit to be moved: on the disk, without what calls kept for themselves, links that hold."""
    for entry in list(os.scandir(directory)):
        if entry.is_symlink():
            _relink(entry.path, staged, final)
        elif entry.is_dir():
            if entry.name == ROOM:
                _remove(entry.path)
            else:
                _settle(entry.path, staged, final)
        elif entry.is_file():
            _sync(entry.path)
    _sync(directory)


def _relink(link: str, staged: str, final: str) -> None:
    """Lead a link to where it will lead to the same thing."""
    target = os.readlink(link)
    staged, final, place = map(os.path.realpath, (staged, final, os.path.dirname(link)))
    parent, name = os.path.split(os.path.join(place, target))
    aim = os.path.normpath(os.path.join(os.path.realpath(parent), name))
    is_staged = aim == staged or is_inside(aim, staged)
    if os.path.isabs(target) == is_staged:
        moved = os.path.join(final, os.path.relpath(aim, staged)) if is_staged else aim
        at = os.path.join(final, os.path.relpath(place, staged))
        os.unlink(link)
        os.symlink(moved if os.path.isabs(target) else os.path.relpath(moved, at), link)


def _sync(path: str) -> None:
    with contextlib.suppress(PermissionError):  # what may not be read, like a directory on Windows
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise
        finally:
            os.close(descriptor)


def _merge(source: str, path: str) -> None:
    """Move a file, or every file in a directory, and leave what else is in the directory there."""
    if _is_directory(source):
        with contextlib.suppress(OSError):
            os.rename(source, path)
            return
        for name in os.listdir(source):
            _merge(os.path.join(source, name), os.path.join(path, name))
    else:
        os.replace(source, path)


def _put(content: bytes, path: str, aside: str) -> None:
    """Write a file whole, if it does not hold that already: a thousand artifacts share one patch."""
    if _holds(path, content):
        return
    os.makedirs(aside, exist_ok=True)
    beside = os.path.join(aside, os.urandom(8).hex())
    with open(beside, "xb") as file:
        file.write(content)
    _sync(beside)
    os.replace(beside, path)


def _holds(path: str, content: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(content) + 1) == content
    except OSError:
        return False


def _replace(source: str, path: str, aside: str) -> None:
    """Move an artifact into place; an old one that a rename cannot replace is moved aside first."""
    if not _is_directory(source) and not _is_directory(path):
        os.replace(source, path)
        return
    os.makedirs(aside, exist_ok=True)
    while True:
        old = os.path.join(aside, os.urandom(8).hex())
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, old)
        try:
            os.rename(source, path)
            return
        except OSError as error:
            # Another call may have published the same artifact meanwhile.
            if error.errno not in (*_NOT_EMPTY, errno.ENOTDIR, errno.EISDIR):
                with contextlib.suppress(OSError):
                    os.rename(old, path)
                raise


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _remove(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)
    _unlink(path)


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
