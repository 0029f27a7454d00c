"""Files: what the operating system is asked while outputs are put in place.

Sources: rename(2), fsync(2).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import itertools
import os
import stat
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from pyrepro._paths import STATE_DIRECTORY, split_text

MARKERS = "markers"
"""The directory in it for markers: it grows with the artifacts."""

TICK = 10_000_000  # nanoseconds: the clocks that kernels take the times of files from are coarse

_GITIGNORE = ".gitignore"
_NOT_EMPTY_ERRORS = (errno.ENOTEMPTY, errno.EEXIST)
_CANNOT_SYNC_ERRORS = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


class Target(NamedTuple):
    """Where an artifact belongs: a directory, which ends in a separator or is empty, and its name in it.

    Attributes:
        directory: the directory.
        name: the name.
        store: the store that the directory is in, None if it is on a local file system.
        role: as which of the paths of its call the function writes it; empty if there can be no other.
    """

    directory: str
    name: str
    store: Any = None
    role: str = ""

    @classmethod
    def of(cls, path: Any) -> Target:
        """The target of a tagged local path, relative if the path is."""
        head, name, _ = split_text(path if type(path) is str else os.fsdecode(path))
        return cls(head, name)

    @property
    def path(self) -> str:
        return self.directory + self.name

    def absolute(self) -> Target:
        """The same target, wherever the function goes.

        Raises:
            FileNotFoundError: it is relative to a working directory that was deleted.
        """
        if self.store is not None or os.path.isabs(self.directory):
            return self
        try:
            directory = os.getcwd()
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self.path} is relative, and the working directory was deleted; pass an absolute path, or change "
                f"to a directory that exists"
            ) from None
        return self._replace(directory=os.path.join(directory, self.directory))

    def state_file(self, suffix: str) -> str:
        """The path in the state directory of what is known about this artifact."""
        # A digest, because the artifact's name may be too long to take a suffix.
        return f"{self.directory}{STATE_DIRECTORY}{os.sep}{_digest_of_name(self.name)}{suffix}"


@functools.lru_cache(maxsize=256)
def _digest_of_name(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def last_change(modified: int, changed: int) -> int:
    """When a file was last changed, from its times in nanoseconds."""
    # Where the second one is the time of the creation, the first one tells of changes.
    return changed if os.name == "posix" else max(modified, changed)


def state_directory_of(directory: str) -> str:
    """The path of the state directory of a directory with artifacts."""
    return os.path.join(directory, STATE_DIRECTORY)


def make_state_directory(directory: str) -> int:
    """Make the state directory of a directory, and the directory itself, if they are missing.

    Args:
        directory: the directory, an absolute path.

    Returns:
        The mode of files that whoever may write there may write to.
    """
    path = state_directory_of(directory)
    while True:
        try:
            # FileExistsError: as mostly; the directory may have been opened to others since.
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
            return share_like(directory, path) & 0o666
        except FileNotFoundError:
            # Another call that ended removed it between two steps; both are taken again. No call removes a link.
            if os.path.islink(path):
                raise FileNotFoundError(
                    f"{path} is a link to {os.readlink(path)}, which is not a directory; remove the link"
                ) from None
        try:
            os.makedirs(directory, exist_ok=True)
        except (FileExistsError, FileNotFoundError):
            # A link on the way leads nowhere, as where a scratch disk was cleaned.
            os.makedirs(os.path.realpath(directory), exist_ok=True)
            if not os.path.isdir(directory):
                raise


def remove_state_directory(directory: str, names: list[str] | None = None) -> None:
    """Remove the state directory of a directory if it holds nothing but its .gitignore.

    Args:
        directory: the directory. If the state directory may not be removed, it stays.
        names: what has just been found in the state directory.
    """
    path = state_directory_of(directory)
    # FileNotFoundError, too: another call removed it first.
    with contextlib.suppress(OSError):
        names = os.listdir(path) if names is None else names
        while not {*names} - {_GITIGNORE}:
            unlink_if_possible(os.path.join(path, _GITIGNORE))
            try:
                os.rmdir(path)
                return
            except OSError as error:
                if error.errno not in _NOT_EMPTY_ERRORS:
                    raise
                # Another call began to use it after the look at it: it needs the .gitignore that is gone.
                write_gitignore(directory)
            names = os.listdir(path)


def write_gitignore(directory: str) -> None:
    """Let git ignore the state directory of a directory, as other tools' caches do."""
    path = os.path.join(state_directory_of(directory), _GITIGNORE)
    with contextlib.suppress(FileExistsError):
        # With os.open, because calls that stage do this, and a file object asks the system four things more.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            os.write(descriptor, b"*\n")
        finally:
            os.close(descriptor)


def make_directory_like(model: str, path: str) -> None:
    """Make a directory that the same users may enter and write to as a given one.

    Args:
        model: the other directory.
        path: the new one.

    Raises:
        FileExistsError: it exists.
        FileNotFoundError: the directory that it is to be in does not exist.
    """
    os.mkdir(path)
    share_like(model, path)


def share_like(model: str, path: str, bits: int = 0o7777) -> int:
    """Let the users of a directory use another directory or a file, as far as it is ours, by these bits of its mode.

    Returns:
        These bits.
    """
    wanted, found = os.stat(model), os.stat(path)
    if found.st_uid == 0 != wanted.st_uid:
        # What root makes in the directory of a user, as in a container, would shut that user out. Not what a link
        # leads to. OSError: this process is not root, or the file system has no owners.
        with contextlib.suppress(OSError):
            os.chown(path, wanted.st_uid, -1, follow_symlinks=False)
    if found.st_gid != wanted.st_gid:
        # OSError: it is another user's, or its file system has no groups. AttributeError: Windows has none.
        with contextlib.suppress(OSError, AttributeError):
            os.chown(path, -1, wanted.st_gid)
    # After the group, whose change may take bits of the mode; and after mkdir, whose mode is subject to the umask.
    # Not where there is nothing to change: it would be one more change that the next sync of a file has to write.
    if found.st_gid != wanted.st_gid or (found.st_mode ^ wanted.st_mode) & bits:
        with contextlib.suppress(OSError):
            os.chmod(path, wanted.st_mode & bits)
    return wanted.st_mode & bits


def sync_to_disk(path: str) -> None:
    """Wait until a file is on the disk.

    Args:
        path: the file. What may not be read, or cannot be synced on its file system, is left as it is.

    Raises:
        OSError: it could not be written to the disk.
    """
    # PermissionError: a file that its owner may not read.
    with contextlib.suppress(PermissionError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC_ERRORS:
                raise
        finally:
            os.close(descriptor)


def write_then_rename(content: bytes, path: str, temporary: str) -> None:
    """Write a file that others see whole or not at all, and that is on the disk before it is seen.

    Args:
        content: what it holds.
        path: the file.
        temporary: a path on the same file system that no other call uses, where it is written first.

    Raises:
        OSError: it could not be written.
    """
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        sync_to_disk(temporary)
        os.replace(temporary, path)
    except BaseException:
        unlink_if_possible(temporary)
        raise


def holds_exactly(path: str, content: bytes) -> bool:
    """Whether a file can be read and holds these bytes and no more."""
    try:
        with open(path, "rb") as file:
            return file.read(len(content) + 1) == content
    except OSError:
        return False


def rename(source: str, path: str) -> None:
    """Rename a file or directory, a directory that its owner may not write to included.

    Raises:
        OSError: it could not be renamed; it is as it was.
    """
    try:
        os.rename(source, path)
    except PermissionError:
        mode = stat.S_IMODE(os.lstat(source).st_mode)
        if not is_real_directory(source) or mode & stat.S_IWUSR:
            raise
        # rename(2): a directory that gets another parent is written to, since its ".." changes.
        os.chmod(source, mode | stat.S_IWUSR)
        place = source
        try:
            os.rename(source, path)
            place = path
        finally:
            os.chmod(place, mode)


def move_away(source: str, path: str) -> None:
    """Move a file or directory to where nothing is; file by file where a directory cannot be renamed.

    Raises:
        OSError: it could not be moved; nothing of it is lost.
    """
    try:
        rename(source, path)
    except OSError as error:
        # As one that comes from the image of a container (overlayfs).
        if error.errno != errno.EXDEV or not is_real_directory(source):
            raise
        import shutil

        # First, and alone: what an error removes below must be what was made here.
        os.mkdir(path)
        try:
            shutil.copytree(source, path, symlinks=True, dirs_exist_ok=True)
        except BaseException:
            remove_tree(path)
            raise
        shutil.rmtree(source)


def replace(source: str, path: str) -> None:
    """Move a file to where another may be.

    Raises:
        OSError: it could not be moved.
    """
    os.replace(source, path)
    # rename(2) does nothing where both are hard links to one file, as after os.link(older_artifact, path).
    if _are_one_file(source, path):
        os.unlink(source)


def _are_one_file(one: str, other: str) -> bool:
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except OSError:
        return False


def move_where_nothing_is(source: str, path: str) -> bool:
    """Move a file in one step, but never over another.

    Returns:
        Whether it was moved; if not, there is something at the path.

    Raises:
        OSError: it could not be moved.
    """
    try:
        # link(2), since rename(2) would replace what another process has just put there.
        os.link(source, path, follow_symlinks=False)
    except FileExistsError:
        return False
    except (OSError, NotImplementedError):  # no hard links here
        if os.path.lexists(path):
            return False
        os.rename(source, path)
    else:
        os.unlink(source)
    return True


def move_into_place(source: str, path: str, aside: str) -> None:
    """Move a file or directory into place; a directory there is not merged, but replaced.

    Args:
        source: the file or directory.
        path: where it belongs.
        aside: a directory of this call's own on the same file system, made if needed, for what was there before.

    Raises:
        OSError: it could not be moved; what was there before is back in place, or still aside.
    """
    if not is_real_directory(source) and not is_real_directory(path):
        replace(source, path)
        return
    # A rename does not replace a directory that is not empty, so the old one is moved out of the way first.
    os.makedirs(aside, exist_ok=True)
    moved = []
    while True:
        old = os.path.join(aside, os.urandom(8).hex())
        moved.append(old)
        with contextlib.suppress(FileNotFoundError):
            move_away(path, old)
        try:
            rename(source, path)
        except OSError as error:
            # Another call may have published the same artifact since the old one was moved; that one is moved as well.
            if error.errno not in (*_NOT_EMPTY_ERRORS, errno.ENOTDIR, errno.EISDIR):
                # If nothing was there before, nothing comes back.
                with contextlib.suppress(OSError):
                    move_away(old, path)
                raise
        else:
            for old in moved:
                _remove_replaced(old, path)
            return


def _remove_replaced(old: str, new: str) -> None:
    """Remove what was replaced; what in it is read-only, only if the function has made that so in the new one, too."""
    remove_tree(old)
    if is_real_directory(old):
        left = [os.path.relpath(directory, old) for directory, _, _ in os.walk(old)]
        if all(is_protected(os.path.join(new, one)) for one in left if is_protected(os.path.join(old, one))):
            remove_all(old)


def is_protected(path: str) -> bool:
    """Whether a file or directory is there and is read-only for everybody."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISLNK(mode) and not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def own_path_in(directory: str) -> str:
    """A path in a directory that no other call uses, for what is there for a moment."""
    return os.path.join(directory, f"{STATE_DIRECTORY}-{os.urandom(8).hex()}")


def free_name(path: str, is_there: Callable[[str], bool] = os.path.lexists) -> str:
    """A free path beside another that says when what was there was moved aside."""
    seconds = (int(time.time()) + number for number in itertools.count())
    names = (time.strftime("~%Y%m%dT%H%M%SZ", time.gmtime(second)) for second in seconds)
    return next(path + name for name in names if not is_there(path + name))


def is_real_directory(path: str) -> bool:
    """Whether there is a directory at a path, and not a link to one."""
    return os.path.isdir(path) and not os.path.islink(path)


def remove_tree(path: str) -> None:
    """Remove a file or a directory with all that is in it, as far as it may be removed."""
    import shutil

    shutil.rmtree(path, ignore_errors=True)
    unlink_if_possible(path)


def remove_all(path: str) -> None:
    """Remove what a function wrote, with what is in directories that it has made read-only."""
    remove_tree(path)
    if is_real_directory(path):
        inner = (os.path.join(parent, name) for parent, names, _ in os.walk(path) for name in names)
        # Each before it is looked into.
        for directory in itertools.chain([path], inner):
            with contextlib.suppress(OSError):
                if is_real_directory(directory):
                    os.chmod(directory, stat.S_IRWXU)
        remove_tree(path)


def unlink_if_possible(path: str) -> None:
    """Remove a file if it is there and may be removed."""
    with contextlib.suppress(OSError):
        os.unlink(path)
