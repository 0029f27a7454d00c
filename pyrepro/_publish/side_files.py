"""Side files: what a function wrote beside its artifact, put in place without destroying what is there.

Sources: link(2), rename(2).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from pyrepro._config.companions import is_database, logs_of
from pyrepro._publish.databases import move_aside, would_merge
from pyrepro._publish.files import (
    Target,
    is_protected,
    is_real_directory,
    move_where_nothing_is,
    own_path_in,
    rename,
    replace,
    sync_to_disk,
    unlink_if_possible,
)
from pyrepro._publish.marker import is_completed
from pyrepro.errors import PublishError, RecordError

_logger = logging.getLogger("pyrepro")

_CHUNK = 1 << 20


class Unplaced(NamedTuple):
    """What could not be put in place.

    Attributes:
        staged: where it is, None if it is nowhere else, as a record that could not be made.
        path: where it belongs.
        reason: why it is not there.
        is_tagged: whether it carries the tag of the artifact, and so is a part of it.
    """

    staged: str | None
    path: str
    reason: str
    is_tagged: bool = True


def reason_of(error: BaseException) -> str:
    """Why something failed, in a few words: the paths stand beside it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}"


def not_in_place(unplaced: list[Unplaced], targets: list[Target], placed: list[Target]) -> PublishError:
    """The error that says what is kept.

    Args:
        unplaced: what could not be put in place.
        targets: where the artifacts belong.
        placed: those of them that are in place.
    """
    there = ", ".join(target.path for target in placed)
    lines = [
        f"  {one.path}: {one.reason}" + (f"; it is kept as {one.staged}" if one.staged else "") for one in unplaced
    ]
    kept = tuple(one.staged for one in unplaced if one.staged is not None)
    head = f"{there} is in place; this is not:" if there else "this could not be put in place:"
    advice = "Move what is kept to where it belongs, or remove it; a file that is appended to needs a path of its own."
    return PublishError("\n".join([head, *lines, *([advice] if kept else [])]), path=targets[0].path, kept=kept)


def tagged_in(staged: str, tag: str) -> Iterator[str]:
    """The names that carry a tag of what was written beside an artifact: its own, or of what is in a directory of it.

    Args:
        staged: a file or directory.
        tag: the tag.

    Returns:
        The paths, from the directory that it is in, with forward slashes.
    """
    name = os.path.basename(staged)
    if f"-{tag}" in name:
        yield name
    elif is_real_directory(staged):
        for inner in sorted(os.listdir(staged)):
            yield from (f"{name}/{one}" for one in tagged_in(os.path.join(staged, inner), tag))


class SideFiles:
    """The side files of one publication on their way.

    Args:
        tag: the tag of the artifacts. What carries it belongs to them, and is replaced; anything else is not.
    """

    def __init__(self, tag: str) -> None:
        self._tag = f"-{tag}"
        self.new: list[str] = []
        """What does not carry the tag, and is there for the first time."""
        self.unplaced: list[Unplaced] = []
        self.changed: set[str] = set()
        """What is there, carries the tag, and is not as a cached call made it."""

    def carries_tag(self, path: str) -> bool:
        return self._tag in os.path.basename(path)

    def warn_of_new(self) -> None:
        """Say what the next call will meet."""
        if self.new:
            _logger.warning(
                "%s: put in place, without the tag in the name; the next call that writes something else there "
                "will be refused, so put the tag of the path into it, or write it elsewhere",
                ", ".join(self.new),
            )

    def move(self, staged: str, path: str, is_tagged: bool = False) -> None:
        """Move a file, or every file in a directory, and keep what else is in the directory there.

        Args:
            staged: the file or directory.
            path: where it belongs.
            is_tagged: whether a directory that it is in carries the tag.
        """
        is_tagged = is_tagged or self.carries_tag(path)
        try:
            if is_tagged:
                self._set_aside(staged, path)
            if is_real_directory(staged):
                self._move_directory(staged, path, is_tagged)
            elif not self._move_file(staged, path, is_tagged):
                self.unplaced.append(Unplaced(staged, path, "it already exists, with other content", is_tagged))
        except OSError as error:
            # Else it was a temporary file, which a thread, or a connection that is closed, has just removed.
            if os.path.lexists(staged):
                self.unplaced.append(Unplaced(staged, path, reason_of(error), is_tagged))

    def _move_file(self, staged: str, path: str, is_tagged: bool) -> bool:
        try:
            return self._move_here(staged, path, is_tagged)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        # As where the directory that it belongs to is a link to another disk.
        copy = _copy_beside(staged, path)
        try:
            is_moved = self._move_here(copy, path, is_tagged)
        finally:
            unlink_if_possible(copy)
        if is_moved:
            os.unlink(staged)
        return is_moved

    def _move_here(self, source: str, path: str, is_tagged: bool) -> bool:
        """Move a file within its file system; whether it, or the same, is in place."""
        if is_tagged:
            replace(source, path)
        elif move_where_nothing_is(source, path):
            self.new.append(path)
        elif _are_the_same(source, path) or _are_records_of_the_same(source, path):
            os.unlink(source)
        else:
            return False
        return True

    def _set_aside(self, staged: str, path: str) -> None:
        """Move what is there aside if it was changed or protected since, or another cached call completed it.

        Raises:
            OSError: it cannot be moved.
        """
        merges = would_merge(path, staged)
        if not merges and not os.path.lexists(path):
            return
        if merges or path in self.changed:
            found = "was changed since it was made, so it is not overwritten"
        elif is_protected(path) and not is_protected(staged):
            found = "was made read-only since it was made, so it is not overwritten"
        elif is_completed(path):
            found = (
                "is an artifact that a cached call made, so a file written beside another artifact does not "
                "overwrite it"
            )
        else:
            return
        logs = logs_of(path) if is_database(path) else ()
        if merges or not all(_are_the_same(staged + ending, path + ending) for ending in ("", *logs)):
            _logger.warning("%s %s; it is now %s", path, found, move_aside(path))

    def _move_directory(self, staged: str, path: str, is_tagged: bool) -> None:
        is_new = not is_tagged and self._holds_other_than_tagged(staged)
        try:
            # One step where nothing is there; else file by file. Made first, since a rename would replace an empty
            # directory that somebody has made for this, with its mode and its owner.
            os.mkdir(path)
            rename(staged, path)
        except OSError:
            # A link to a directory is one, too: people link plots/ to where there is space.
            if not os.path.isdir(path):
                if not os.path.islink(path):
                    raise
                # It leads nowhere, as where a scratch disk was cleaned.
                os.makedirs(os.path.realpath(path))
            for name in sorted(os.listdir(staged)):
                self.move(os.path.join(staged, name), os.path.join(path, name), is_tagged)
            # What could not be put in place is still in it.
            with contextlib.suppress(OSError):
                os.rmdir(staged)
        else:
            self.new += [path] if is_new else []

    def _holds_other_than_tagged(self, directory: str) -> bool:
        with os.scandir(directory) as entries:
            return any(
                not entry.is_dir(follow_symlinks=False) or self._holds_other_than_tagged(entry.path)
                for entry in entries
                if not self.carries_tag(entry.name)
            )


def _copy_beside(source: str, path: str) -> str:
    """Copy a file or link to the file system of a path, synced, under a name of its own beside it.

    Returns:
        The path of the copy.

    Raises:
        OSError: it could not be copied; nothing of the copy is left.
    """
    import shutil

    copy = own_path_in(os.path.dirname(path))
    try:
        shutil.copy2(source, copy, follow_symlinks=False)
        if not os.path.islink(copy):
            sync_to_disk(copy)
    except BaseException:
        unlink_if_possible(copy)
        raise
    return copy


def _are_records_of_the_same(one: str, other: str) -> bool:
    """Whether two files are records of one artifact: a decorated function that several calls call makes it for each."""
    from pyrepro._record.record import SUFFIX, read_record  # imported where two files of one name differ

    if not one.endswith(SUFFIX):
        return False
    try:
        return read_record(one).artifact == read_record(other).artifact
    except RecordError:
        return False


def _are_the_same(one: str, other: str) -> bool:
    """Whether two files hold the same, or two links lead to the same."""
    statuses = os.lstat(one), os.lstat(other)
    kinds = {stat.S_IFMT(status.st_mode) for status in statuses}
    if kinds == {stat.S_IFLNK}:
        return os.readlink(one) == os.readlink(other)
    if kinds != {stat.S_IFREG}:
        return len(kinds) == 1 and kinds != {stat.S_IFDIR}
    if statuses[0].st_size != statuses[1].st_size:
        return False
    with open(one, "rb") as file, open(other, "rb") as other_file:
        while chunk := file.read(_CHUNK):
            if chunk != other_file.read(_CHUNK):
                return False
    return True
