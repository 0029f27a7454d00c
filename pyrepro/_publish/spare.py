"""Spare directories: the staging directory that a call has emptied serves the next one.

Not for the sake of making it: where freed blocks are discarded at once, removing a directory takes as long as a sync.

Sources: rename(2), inode(7).
"""

from __future__ import annotations

import contextlib
import os
import stat

from pyrepro._publish.files import share_like
from pyrepro._publish.marker_files import spare_directory

_LARGEST = 1 << 16  # bytes: a directory that held very many files may stay large, and slow to list


def take_spare(directory: str, path: str) -> bool:
    """Move the spare directory to where a call stages.

    Args:
        directory: the directory of the artifacts, an absolute path.
        path: where it stages; nothing is there.

    Returns:
        Whether there was one that could serve.
    """
    spare = spare_directory(directory)
    try:
        status = os.lstat(spare)
        # Another user could do with what is staged in it what only the owner of a directory may. What is in it was
        # written by a thread of the last call just when that ended, and is kept.
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or os.listdir(spare):
            return False
        os.rename(spare, path)
    except (OSError, AttributeError):  # there is none, or another call has just taken it; Windows knows no owners
        return False
    share_like(directory, path)
    return True


def leave_spare(directory: str, path: str) -> bool:
    """Leave a staging directory to the next call, if it is empty and markers are kept in the state directory anyway.

    Args:
        directory: the directory of the artifacts, an absolute path.
        path: the staging directory.

    Returns:
        Whether it was left.
    """
    spare = spare_directory(directory)
    # OSError: no markers are kept; or what another call left is not empty, or cannot be replaced here.
    with contextlib.suppress(OSError):
        os.stat(os.path.dirname(spare))  # first, since the rest is for nothing where there are none
        status = os.lstat(path)
        if stat.S_ISDIR(status.st_mode) and status.st_size <= _LARGEST and not os.listdir(path):
            os.rename(path, spare)
            return True
    return False
