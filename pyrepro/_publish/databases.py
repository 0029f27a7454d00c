"""Databases: the files that an engine keeps beside its own, and what they say of it.

Sources: SQLite, "Temporary Files Used By SQLite" and "How To Corrupt An SQLite Database File"; LMDB, lmdb.h; DuckDB,
"Files Created by DuckDB".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container

SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3", ".gpkg", ".mbtiles", ".duckdb", ".ddb")
_LOGS = ("-wal", "-journal", ".wal")
LOCKS = ("-shm", "-lock")
"""Who reads and writes it just now: SQLite's index of its log, and the readers of an LMDB database in one file."""


def is_lock(name: str, names: Container[str]) -> bool:
    """Whether a file, one of some, says nothing of what a database among them holds: reading it changes the file."""
    return name.endswith(LOCKS) and name.rpartition("-")[0] in names


def logs_of(path: str) -> dict[str, os.stat_result]:
    """The endings of the logs beside a database, which hold what was written to it and is not in it yet.

    An engine that opens the database merges them, also into another that has taken its place. One that is empty is
    kept by whoever reads.
    """
    found = {}
    for ending in _LOGS if path.lower().endswith(SUFFIXES) else ():
        # OSError: as mostly, there is none.
        with contextlib.suppress(OSError):
            found[ending] = os.stat(path + ending)
    return {ending: status for ending, status in found.items() if status.st_size}


def kept_beside(name: str) -> list[str]:
    """The names of what engines may leave beside a database."""
    return [name + ending for ending in (*_LOGS, *LOCKS)] if name.lower().endswith(SUFFIXES) else []
