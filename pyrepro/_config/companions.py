"""Companions: the files that stand beside another one and belong to it, by their names.

Sources: SQLite, "Temporary Files Used By SQLite"; LMDB, lmdb.h; DuckDB, "Files Created by DuckDB"; ESRI Shapefile
Technical Description.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container

_SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3", ".gpkg", ".mbtiles", ".duckdb", ".ddb")
_LMDB = (".lmdb", ".mdb")

LOGS = ("-wal", ".wal")
"""What was committed to a database, and is not in it yet."""

_SHAPEFILE = (".dbf", ".shx", ".prj", ".cpg")
"""What is a shapefile beside its shapes: their attributes, and what these and the coordinates mean."""

LOCKS = ("-shm", "-lock")
"""Who reads and writes it just now: SQLite's index of its log, and the readers of an LMDB database in one file."""

_OPEN = ((".~lock.", "#"), (".", ".swp"), (".#", ""), ("._", ""))
"""How LibreOffice, Vim and Emacs mark a file that is open, and where macOS notes what it knows of one elsewhere."""

_MARKS = ("~$", ".")
"""What these begin with, and those of Microsoft Office."""


def is_database(name: str) -> bool:
    """Whether a file is a database, by its name: to look into every file would cost each call a reading."""
    return name.lower().endswith(_SUFFIXES)


def is_lock(name: str, names: Container[str]) -> bool:
    """Whether a file, one of some, says nothing of what another one among them holds, but who has that open."""
    if name.endswith(LOCKS):
        database = name.rpartition("-")[0]
        if (is_database(database) or database.lower().endswith(_LMDB)) and database in names:
            return True
    # Word leaves out the first two letters of the name, and no data is called so.
    return name.startswith(_MARKS) and (
        name.startswith("~$")
        or any(
            name.startswith(start) and name.endswith(end) and name[len(start) : len(name) - len(end)] in names
            for start, end in _OPEN
        )
    )


def is_empty_log(path: str, names: Container[str]) -> bool:
    """Whether a file, one of some in a directory, is a log without content, which whoever reads a database keeps."""
    if not path.endswith(LOGS):
        return False
    database = os.path.basename(path)[: -len(LOGS[0])]
    return is_database(database) and database in names and os.path.isfile(path) and not os.path.getsize(path)


def companions_of(path: str) -> dict[str, str]:
    """What else whoever reads a file reads with it: of a database its logs, of a shapefile the rest of it.

    Returns:
        Where each of them is, by what its name ends in.
    """
    stem, suffix = os.path.splitext(path)
    if suffix.lower() == ".shp":
        # Written as the suffix is: WATER.SHP stands beside WATER.DBF.
        places = {end: stem + (end.upper() if suffix.isupper() else end) for end in _SHAPEFILE}
        return {end: place for end, place in places.items() if os.path.isfile(place)}
    # SQLite keeps the log beside the file that a link leads to.
    real = os.path.realpath(path) if os.path.islink(path) else path
    return {
        ending: place + ending
        for place in dict.fromkeys((real, path))
        if is_database(place) and not os.path.isdir(place)
        for ending in logs_of(place)
    }


def logs_of(path: str) -> dict[str, os.stat_result]:
    """The endings of the logs beside a database, which hold what was committed to it and is not in it yet."""
    return with_content(path, LOGS)


def with_content(path: str, endings: tuple[str, ...]) -> dict[str, os.stat_result]:
    """Of the files beside another that are called after it those that hold anything, by the endings of their names."""
    found = {}
    for ending in endings:
        # OSError: as mostly, there is none.
        with contextlib.suppress(OSError):
            found[ending] = os.stat(path + ending)
    # One that is empty is kept by whoever reads.
    return {ending: status for ending, status in found.items() if status.st_size}
