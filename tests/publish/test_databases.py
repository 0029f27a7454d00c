"""What a database engine keeps beside its file is part of the artifact, or says nothing of it."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import sqlite3
import subprocess
import sys
from typing import Any

import pytest
from conftest import Repository, files

from pyrepro import Artifact, remove

KILLED_WRITER = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("INSERT INTO numbers VALUES (2)")
connection.commit()
os._exit(0)
"""

KILLED_IN_A_TRANSACTION = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA cache_size = 1")
connection.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in range(9999)])
os._exit(0)
"""


class Step:
    """A function that writes a database of one number, and counts how often it runs."""

    def __init__(self, repository: Repository, journal: str = "WAL", **options: Any) -> None:
        self.runs = 0

        @Artifact("outpath", repo=repository.path, ignore=("self", "journal"), **options)
        def save(outpath: pathlib.Path) -> None:
            self.runs += 1
            with contextlib.closing(sqlite3.connect(outpath)) as connection:
                connection.execute(f"PRAGMA journal_mode = {journal}")
                connection.execute("CREATE TABLE numbers (number)")
                connection.execute("INSERT INTO numbers VALUES (1)")
                connection.commit()

        self.save = save


def numbers_in(path: pathlib.Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM numbers")]


def kill_a_writer(path: pathlib.Path, program: str = KILLED_WRITER) -> None:
    subprocess.run([sys.executable, "-c", program, path], check=True)


@pytest.mark.parametrize(
    ("journal", "program", "ending"), [("WAL", KILLED_WRITER, "-wal"), ("DELETE", KILLED_IN_A_TRANSACTION, "-journal")]
)
def test_a_database_with_changes_that_were_not_merged_is_made_again_and_kept_with_them(
    journal: str,
    program: str,
    ending: str,
    repository: Repository,
    out: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    step = Step(repository, journal, cache=True)
    path = step.save(out / "numbers.db")
    kill_a_writer(path, program)
    caplog.set_level(logging.INFO, "pyrepro")
    assert (step.save(out / "numbers.db"), step.runs, numbers_in(path)) == (path, 2, [1])
    changed = f"{path}{ending}" if journal == "WAL" else path
    [aside] = (one for one in out.glob(f"{path.name}~*") if not one.name.endswith((ending, "-shm")))
    assert caplog.messages == [
        f"{path} was changed since it was made, so it is not overwritten; it is now {aside}",
        f"{step.save.__qualname__} made {path}: changed since it was made: {changed}",
    ]
    assert numbers_in(aside) == ([1, 2] if journal == "WAL" else [1])


@pytest.mark.parametrize("options", [{"atomic": True}, {"cache": True}])
def test_what_was_written_to_an_older_database_is_not_merged_into_the_new_one(
    options: Any, repository: Repository, out: pathlib.Path
) -> None:
    step = Step(repository, **options)
    step.save(out / "numbers.db")
    path = step.save.tagged(out / "numbers.db")
    kill_a_writer(path)
    (step.save.refresh if "cache" in options else step.save)(out / "numbers.db")
    assert numbers_in(path) == [1]


def test_what_was_written_to_a_database_that_is_gone_is_not_merged_into_the_new_one(
    repository: Repository, out: pathlib.Path
) -> None:
    step = Step(repository, cache=True)
    path = step.save(out / "numbers.db")
    kill_a_writer(path)
    path.unlink()
    assert numbers_in(step.save(out / "numbers.db")) == [1]
    assert [one.name for one in out.glob("*~*-wal")]


def test_what_was_written_to_an_older_database_beside_the_artifact_is_not_merged_into_the_new_one(
    repository: Repository, out: pathlib.Path
) -> None:
    write = Step(repository).save.__wrapped__

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> pathlib.Path:
        outpath.write_text("good job")
        write(outpath.with_suffix(".db"))
        return outpath

    path = save(out / "foo.txt").with_suffix(".db")
    kill_a_writer(path)
    save(out / "foo.txt")
    [aside] = out.glob("*.db~*Z")
    assert (numbers_in(aside), numbers_in(path)) == ([1, 2], [1])


def test_a_log_that_cannot_be_moved_aside_keeps_the_new_database_out(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step(repository, cache=True)
    path = step.save(out / "numbers.db")
    kill_a_writer(path)
    rename = os.rename

    def refused(source: Any, target: Any) -> None:
        if str(source).endswith("-wal"):
            raise PermissionError(1, "Operation not permitted")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(OSError, match="cannot be moved aside: Operation not permitted; it is kept as "):
        step.save(out / "numbers.db")
    assert numbers_in(path) == [1, 2]


def test_who_has_an_older_database_open_does_not_keep_others_from_the_new_one(
    repository: Repository, out: pathlib.Path
) -> None:
    path = Step(repository, cache=True).save(out / "numbers.db")
    program = KILLED_WRITER.replace("os._exit(0)", "print(flush=True); input()")
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        Step(repository, cache=True).save.refresh(out / "numbers.db")
        # Not with the index of the log that the writer holds, which would be an I/O error.
        assert numbers_in(path) == [1]
        writer.communicate(b"\n")
    [aside] = out.glob("*.db~*Z")
    assert (numbers_in(aside), numbers_in(path)) == ([1, 2], [1])


def test_a_database_that_is_being_read_is_found(repository: Repository, out: pathlib.Path) -> None:
    step = Step(repository, cache=True)
    path = step.save(out / "numbers.db")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT number FROM numbers").fetchall() == [(1,)]
        assert pathlib.Path(f"{path}-wal").stat().st_size == 0
        step.save(out / "numbers.db")
    assert step.runs == 1


def test_a_transaction_that_is_under_way_is_no_change(repository: Repository, out: pathlib.Path) -> None:
    step = Step(repository, "DELETE", cache=True)
    path = step.save(out / "numbers.db")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO numbers VALUES (2)")
        assert pathlib.Path(f"{path}-journal").stat().st_size > 0
        step.save(out / "numbers.db")
    assert step.runs == 1


def test_a_log_that_the_function_left_is_part_of_its_database(repository: Repository, out: pathlib.Path) -> None:
    runs = []

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        runs.append(1)
        with contextlib.closing(sqlite3.connect(outpath)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE numbers (number)")
        kill_a_writer(outpath)

    path = save(out / "numbers.db")
    save(out / "numbers.db")
    assert runs == [1]
    assert numbers_in(save.refresh(out / "numbers.db")) == [2]
    assert [one.name for one in out.glob("*~*")] == []
    assert runs == [1, 1]
    assert path.is_file()


@pytest.mark.parametrize("suffix", [".db", ".side.db"])
def test_what_was_written_to_a_log_that_the_function_left_is_moved_aside_with_its_database(
    suffix: str, repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True, ignore="suffix")
    def save(outpath: pathlib.Path) -> None:
        outpath.touch()
        database = outpath.with_suffix(suffix)
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE numbers (number)")
        kill_a_writer(database)

    path = save(out / "numbers.db").with_suffix(suffix)
    kill_a_writer(path)
    save(out / "numbers.db")
    [aside] = (one for one in out.glob("*~*") if one.name.endswith("Z"))
    assert (numbers_in(aside), numbers_in(path)) == ([2, 2], [2])


@pytest.mark.parametrize(
    ("stem", "data", "lock"),
    [("table.lmdb", "", "-lock"), ("table", "/data.mdb", "/lock.mdb"), ("table.db", "", "-shm")],
)
def test_who_reads_a_database_is_no_change(
    stem: str, data: str, lock: str, repository: Repository, out: pathlib.Path
) -> None:
    runs = []

    @Artifact("outpath", repo=repository.path, cache=True, ignore=("data", "lock"))
    def save(outpath: str) -> None:
        runs.append(1)
        if data:
            os.mkdir(outpath)
        for ending in (data, lock):
            pathlib.Path(outpath + ending).write_text("nobody")

    path = save(str(out / stem))
    pathlib.Path(path + lock).write_text("one reader")
    save(str(out / stem))
    assert runs == [1]
    pathlib.Path(path + data).write_text("changed")
    save(str(out / stem))
    assert runs == [1, 1]


def test_who_has_a_database_in_a_directory_open_is_no_change_and_who_writes_to_it_is(
    repository: Repository, out: pathlib.Path
) -> None:
    runs = []

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        runs.append(1)
        outpath.mkdir()
        with contextlib.closing(sqlite3.connect(outpath / "numbers.db")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE numbers (number)")
            connection.commit()

    path = save(out / "tables")
    with contextlib.closing(sqlite3.connect(path / "numbers.db")) as connection:
        assert connection.execute("SELECT * FROM numbers").fetchall() == []
        assert sorted(os.listdir(path)) == ["numbers.db", "numbers.db-shm", "numbers.db-wal"]
        assert (save(out / "tables"), runs) == (path, [1])
        connection.execute("INSERT INTO numbers VALUES (1)")
        connection.commit()
        assert (save(out / "tables"), runs) == (path, [1, 1])


@pytest.mark.parametrize("ending", [".poetry-lock", ".txt-lock", ".txt-shm"])
def test_a_side_file_whose_name_ends_like_a_lock_counts_where_it_is_none(
    ending: str, repository: Repository, out: pathlib.Path
) -> None:
    runs = []

    @Artifact("outpath", repo=repository.path, cache=True, ignore="ending")
    def save(outpath: str) -> None:
        runs.append(1)
        for path in (outpath, outpath.replace(".txt", ending)):
            pathlib.Path(path).write_text("good job")

    path = save(str(out / "foo.txt"))
    pathlib.Path(path.replace(".txt", ending)).write_text("changed")
    save(str(out / "foo.txt"))
    assert runs == [1, 1]


def test_what_an_engine_left_beside_a_database_is_removed_with_it(repository: Repository, out: pathlib.Path) -> None:
    path = Step(repository, cache=True).save(out / "numbers.db")
    kill_a_writer(path)
    assert remove(path) == [path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))]
    assert files(out) == {}
