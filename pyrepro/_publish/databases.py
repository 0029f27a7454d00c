"""Databases: what an engine has left beside one that is replaced, or would merge into another.

Sources: SQLite, "Temporary Files Used By SQLite" and "How To Corrupt An SQLite Database File".
"""

from __future__ import annotations

import contextlib
import os

from pyrepro._config.companions import LOCKS, LOGS, is_database, with_content
from pyrepro._publish.files import free_name, move_away

_JOURNALS = (*LOGS, "-journal")
"""What an engine reads into whatever database it stands beside; the last takes back what was not committed."""


def kept_beside(name: str) -> list[str]:
    """The names of what engines may leave beside a database."""
    return [name + ending for ending in (*_JOURNALS, *LOCKS)] if is_database(name) else []


def database_of(name: str) -> str:
    """The database whose log a file is by its name; the file itself if it is none."""
    databases = (name.removesuffix(ending) for ending in LOGS if name.endswith(ending))
    return next(filter(is_database, databases), name)


def would_merge(path: str, staged: str) -> bool:
    """Whether an engine would merge what it has left at a path into the database that takes the place of that one."""
    left = with_content(path, _JOURNALS) if is_database(path) else {}
    return any(not os.path.lexists(staged + ending) for ending in left)


def move_aside(path: str) -> str:
    """Give what is at a path a name that says when, and what an engine keeps beside a database the name of that.

    Returns:
        The new name.

    Raises:
        OSError: it cannot be moved.
    """
    aside = free_name(path)
    # The database last: without its log it would hold less than it did.
    for one in (*kept_beside(path), path):
        # FileNotFoundError: mostly there is no log; or the database was removed, and its log was not.
        with contextlib.suppress(FileNotFoundError):
            move_away(one, aside + one.removeprefix(path))
    return aside
