"""Databases: the files that an engine keeps beside its own, and what they say of it.

Sources: SQLite, "Temporary Files Used By SQLite" and "How To Corrupt An SQLite Database File"; LMDB, lmdb.h; DuckDB,
"Files Created by DuckDB".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container

from pyrepro._publish.files import free_name, move_away

_SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3", ".gpkg", ".mbtiles", ".duckdb", ".ddb")
_LMDB = (".lmdb", ".mdb")
_LOGS = ("-wal", ".wal")
_JOURNALS = (*_LOGS, "-journal")
"""What an engine reads into whatever database it stands beside; the last takes back what was not committed."""

_LOCKS = ("-shm", "-lock")
"""Who reads and writes it just now: SQLite's index of its log, and the readers of an LMDB database in one file."""


def is_lock(name: str, names: Container[str]) -> bool:
    """Whether a file, one of some, says nothing of what a database among them holds: reading it changes the file."""
    database = name.rpartition("-")[0]
    is_of_engine = name.endswith(_LOCKS) and (is_database(database) or database.lower().endswith(_LMDB))
    return is_of_engine and database in names


def is_database(name: str) -> bool:
    """Whether a file is a database, by its name: to look into every file would cost each call a reading."""
    return name.lower().endswith(_SUFFIXES)


def logs_of(path: str) -> dict[str, os.stat_result]:
    """The endings of the logs beside a database, which hold what was committed to it and is not in it yet."""
    return _with_content(path, _LOGS)


def _with_content(path: str, endings: tuple[str, ...]) -> dict[str, os.stat_result]:
    found = {}
    for ending in endings:
        # OSError: as mostly, there is none.
        with contextlib.suppress(OSError):
            found[ending] = os.stat(path + ending)
    # One that is empty is kept by whoever reads.
    return {ending: status for ending, status in found.items() if status.st_size}


def kept_beside(name: str) -> list[str]:
    """The names of what engines may leave beside a database."""
    return [name + ending for ending in (*_JOURNALS, *_LOCKS)] if is_database(name) else []


def would_merge(path: str, staged: str) -> bool:
    """Whether an engine would merge what it has left at a path into the database that takes the place of that one."""
    left = _with_content(path, _JOURNALS) if is_database(path) else {}
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
