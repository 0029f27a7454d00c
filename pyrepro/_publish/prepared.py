"""What is staged, made ready to be moved: synced, with links that hold, and without what calls in it left.

Sources: fsync(2), symlink(7).
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections.abc import Iterable, Mapping

from pyrepro._paths import is_inside
from pyrepro._publish.files import (
    MARKERS,
    is_real_directory,
    move_where_nothing_is,
    remove_tree,
    state_directory_of,
    sync_to_disk,
)

_BEGINNING = 1 << 16
"""How many bytes of a file are looked through for a path: what others are told of where files lie stands above them."""


class Moves:
    """Where what a call has staged in local directories is moved to.

    Args:
        directories: the directory that each staging directory is moved to.
        old: what names carried when the function wrote them.
        new: what they carry now.
        artifacts: the paths of the artifacts, which replace what is there.
    """

    def __init__(self, directories: Mapping[str, str], old: str, new: str, artifacts: Iterable[str]) -> None:
        self._directories = directories
        self._artifacts = [*artifacts]
        self._old = old
        self._new = new
        self.tokens = [os.path.basename(staged) for staged in directories]
        """The names of the staging directories."""

    @functools.cached_property
    def _real(self) -> dict[str, str]:
        return {os.path.realpath(staged): os.path.realpath(final) for staged, final in self._directories.items()}

    def now(self, path: str) -> str:
        """A real path, under the name that it has now if it is staged."""
        for staged in self._real:
            if is_inside(path, staged):
                return os.path.join(staged, self.renamed(os.path.relpath(path, staged)))
        return path

    def final(self, path: str) -> str:
        """Where a real path leads when all is moved."""
        for staged, final in self._real.items():
            if path == staged or is_inside(path, staged):
                return os.path.join(final, os.path.relpath(path, staged))
        return path

    def final_place(self, directory: str) -> str:
        """Where a real directory is when all is moved: a link that is there is followed, unless it is replaced."""
        final = self.final(directory)
        return os.path.realpath(final) if self.artifact_around(final) is None else final

    def artifact_around(self, path: str) -> str | None:
        """The artifact that a final path is, or is in."""
        artifacts = (
            os.path.join(os.path.realpath(os.path.dirname(one)), os.path.basename(one)) for one in self._artifacts
        )
        return next((one for one in artifacts if path == one or is_inside(path, one)), None)

    def renamed(self, name: str) -> str:
        """A name, or a path, with what it carries now."""
        return name.replace(self._old, self._new)

    def rename_inside(self, path: str) -> None:
        """Let what is in a staged directory carry what the directory carries.

        Raises:
            OSError: something could not be renamed.
        """
        if self._old == self._new or not is_real_directory(path):
            return
        for name in sorted(os.listdir(path)):
            true_name = self.renamed(name)
            inner = os.path.join(path, true_name)
            if name != true_name and not move_where_nothing_is(os.path.join(path, name), inner):
                raise FileExistsError(f"the function wrote {true_name}, too")
            self.rename_inside(inner)

    def will_be(self, path: str) -> bool:
        """Whether something is at a real path, or will be when all is moved."""
        staged = (
            os.path.join(one, os.path.relpath(path, final))
            for one, final in self._real.items()
            if is_inside(path, final)
        )
        return any(map(os.path.lexists, (path, *staged)))


def prepare_for_move(path: str, moves: Moves) -> list[str]:
    """Make what is staged ready to be moved: synced, with links that hold, and without state directories in it.

    Args:
        path: what is to be moved: a file, a link or a directory.
        moves: where everything that the call has staged is moved to.

    Returns:
        The files in it that mention a staging directory.

    Raises:
        OSError: a file could not be written to the disk.
    """
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        _repoint_link(path, moves)
    elif stat.S_ISDIR(mode):
        remove_calls_in(path)
        found = []
        for name in sorted(os.listdir(path)):
            # FileNotFoundError: a temporary file that a thread, or a connection that is closed, has just removed.
            with contextlib.suppress(FileNotFoundError):
                found += prepare_for_move(os.path.join(path, name), moves)
        return found
    elif stat.S_ISREG(mode):
        # Files alone, and each once: a move that a power failure takes back leaves nothing, which is not false.
        sync_to_disk(path)
        if leads_to_staging(path, moves.tokens):
            return [path]
    return []


def leads_to_staging(path: str, tokens: Iterable[str]) -> bool:
    """Whether a file names a staging directory, and so tells others to look where nothing is.

    A log is none of them: it tells what was so.

    Args:
        path: the file.
        tokens: the names of the staging directories.
    """
    # OSError: a file that its owner may not read.
    with contextlib.suppress(OSError):
        if not path.endswith(".log"):
            # With os.open, which takes a third of the time of a file object, for each of the files of a directory.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            try:
                beginning = os.read(descriptor, _BEGINNING)
                return any(token.encode() in beginning for token in tokens)
            finally:
                os.close(descriptor)
    return False


def remove_calls_in(directory: str) -> None:
    """Remove the state directory in a staged directory, but not what calls keep there that could not be put in place.

    Args:
        directory: the directory, in which the function called decorated functions.
    """
    path = state_directory_of(directory)
    # FileNotFoundError: it did not.
    with contextlib.suppress(OSError):
        with os.scandir(path) as entries:
            others = [entry for entry in entries if entry.name != MARKERS]
            keeps_output = any(entry.is_dir(follow_symlinks=False) for entry in others)
        if not keeps_output:
            remove_tree(path)


def _repoint_link(link: str, moves: Moves) -> None:
    """Let a link in a staging directory lead to the same thing after the move.

    Absolute links to what is staged and relative ones to what is not would break; the others hold as they are. Within
    an artifact an absolute one becomes relative: it is handed on, and made again, as a whole.
    """
    target, place = os.readlink(link), os.path.realpath(os.path.dirname(link))
    # The last component is not resolved: it may be a link itself, which is moved along.
    parent, name = os.path.split(os.path.join(place, target))
    written = os.path.normpath(os.path.join(os.path.realpath(parent), name))
    aim = moves.now(written)
    moved_aim, moved_place = moves.final(aim), moves.final_place(place)
    if os.path.isabs(target):
        before, after = written, moved_aim
        artifact = moves.artifact_around(moved_place)
        if artifact is not None and moves.artifact_around(moved_aim) == artifact:
            after = os.path.relpath(moved_aim, moved_place)
    else:
        before, after = os.path.relpath(written, place), os.path.relpath(moved_aim, moved_place)
    # Not what was written for where it will be, by a function that knows that place, and not this one.
    if after != before and (
        os.path.lexists(aim) or not moves.will_be(os.path.normpath(os.path.join(moved_place, target)))
    ):
        # Beside it first, so that a failure leaves the link as it was.
        new_link = os.path.join(os.path.dirname(link), os.urandom(8).hex())
        os.symlink(after, new_link)
        os.replace(new_link, link)
