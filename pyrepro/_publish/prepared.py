"""What is staged, made ready to be moved: synced, with links that hold, and without what calls in it left.

Sources: fsync(2), symlink(7).
"""

from __future__ import annotations

import contextlib
import os
import stat

from pyrepro._paths import is_inside
from pyrepro._publish.files import MARKERS, remove_tree, state_directory_of, sync_to_disk

_BEGINNING = 1 << 16
"""How many bytes of a file are looked through for a path: what others are told of where files lie stands above them."""


def prepare_for_move(path: str, staged: str, final: str) -> list[str]:
    """Make what is staged ready to be moved: synced, with links that hold, and without state directories in it.

    Args:
        path: what is to be moved: a file, a link or a directory.
        staged: the staging directory.
        final: the directory that it is moved to.

    Returns:
        The files in it that mention the staging directory.

    Raises:
        OSError: a file could not be written to the disk.
    """
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        _repoint_link(path, staged, final)
    elif stat.S_ISDIR(mode):
        remove_calls_in(path)
        inner = (prepare_for_move(os.path.join(path, name), staged, final) for name in sorted(os.listdir(path)))
        return [found for files in inner for found in files]
    elif stat.S_ISREG(mode):
        # Files alone, and each once: a move that a power failure takes back leaves nothing, which is not false.
        sync_to_disk(path)
        if leads_to_staging(path, os.path.basename(staged)):
            return [path]
    return []


def leads_to_staging(path: str, token: str) -> bool:
    """Whether a file names a staging directory, and so tells others to look where nothing is.

    A log is none of them: it tells what was so.

    Args:
        path: the file.
        token: the name of the staging directory.
    """
    # OSError: a file that its owner may not read.
    with contextlib.suppress(OSError):
        if not path.endswith(".log"):
            # With os.open, which takes a third of the time of a file object, for each of the files of a directory.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            try:
                return token.encode() in os.read(descriptor, _BEGINNING)
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


def _repoint_link(link: str, staged: str, final: str) -> None:
    """Let a link in the staging directory lead to the same thing after the move.

    Absolute links to what is staged and relative ones to what is not would break; the others hold as they are.
    """
    target = os.readlink(link)
    staged, final, place = map(os.path.realpath, (staged, final, os.path.dirname(link)))
    # The last component is not resolved: it may be a link itself, which is moved along.
    parent, name = os.path.split(os.path.join(place, target))
    aim = os.path.normpath(os.path.join(os.path.realpath(parent), name))
    is_staged = aim == staged or is_inside(aim, staged)
    if os.path.isabs(target) == is_staged:
        moved_aim = os.path.join(final, os.path.relpath(aim, staged)) if is_staged else aim
        moved_place = os.path.join(final, os.path.relpath(place, staged))
        # Written for where it will be, by a function that knows that place, and not this one.
        if not os.path.lexists(aim) and os.path.lexists(os.path.normpath(os.path.join(moved_place, target))):
            return
        # Beside it first, so that a failure leaves the link as it was.
        new_link = os.path.join(os.path.dirname(link), os.urandom(8).hex())
        os.symlink(moved_aim if os.path.isabs(target) else os.path.relpath(moved_aim, moved_place), new_link)
        os.replace(new_link, link)
