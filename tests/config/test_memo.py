"""What is known of large files: a slower hash where it is of no use, never an error, and never a wrong digest."""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from conftest import PATIENCE, posix_only
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pyrepro import file_hash
from pyrepro._config import memo

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing is remembered")

MEGABYTE = 1 << 20
OLD = 30_000_000
"""Nanoseconds: some ticks of the kernel's clock, as two seconds are, so that the tests need not wait as long."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the memo; whatever file system the tests are run on counts as one that keeps times."""
    monkeypatch.setattr(memo, "OLD_ENOUGH", OLD)
    monkeypatch.setattr(memo, "FILE_SYSTEMS", {*memo._mounts().values()})
    monkeypatch.setattr(memo, "_in_process", {})
    monkeypatch.setattr(memo, "_reported", set())
    monkeypatch.setenv("PYREPRO_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of a megabyte that was written long enough ago."""
    path = tmp_path / "large.bin"
    path.write_bytes(b"x" * MEGABYTE)
    grow_old(path)
    return path


def grow_old(path: Path) -> None:
    """Wait until the last change of a file is long enough ago."""
    status = path.stat()
    while time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) <= OLD:
        time.sleep(OLD / 1e9)


def sha(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def entries(cache: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(cache / "files-1.sqlite") as connection:
        found = connection.execute("SELECT place, state, digest FROM files").fetchall()
    connection.close()
    return found


def lie(cache: Path) -> None:
    """Let each entry that is there give another digest, to see whether it is used."""
    with sqlite3.connect(cache / "files-1.sqlite") as connection:
        for place, state, _ in connection.execute("SELECT place, state, digest FROM files").fetchall():
            connection.execute(
                "UPDATE files SET digest = 'lie', seal = ? WHERE place = ?", (memo._seal(place, state, "lie"), place)
            )
    connection.close()


def is_known(path: Path, cache: Path) -> bool:
    """Whether a file is not read again, in another process."""
    memo._in_process.clear()
    lie(cache)
    return file_hash(path) == "lie"


def test_a_large_file_that_has_not_changed_is_not_read_again(large: Path, cache: Path) -> None:
    assert file_hash(large) == sha(large)
    status = large.stat()
    state = f"{status.st_size}:{status.st_mode}:{status.st_mtime_ns}:{status.st_ctime_ns}"
    assert entries(cache) == [(f"{status.st_dev}:{status.st_ino}", state, sha(large))]
    lie(cache)
    assert file_hash(large) == sha(large)  # this process knows it without a look at the database
    assert is_known(large, cache)


def test_a_small_file_is_not_remembered(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "small.bin"
    path.write_bytes(b"x" * (MEGABYTE - 1))
    grow_old(path)
    assert file_hash(path) == sha(path)
    assert not cache.exists()


def test_the_large_files_in_a_directory_are_remembered(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in "abc":
        (tmp_path / "data" / name).write_bytes(name.encode() * MEGABYTE)
    grow_old(tmp_path / "data" / "c")
    expected = file_hash(tmp_path / "data")
    assert len(entries(cache)) == 3
    assert file_hash(tmp_path / "data") == expected


def test_a_file_that_was_written_just_now_is_not_remembered(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.bin"
    path.write_bytes(b"x" * MEGABYTE)
    os.utime(path, (1, 1))  # the other time tells
    monkeypatch.setattr(memo, "OLD_ENOUGH", 10**12)
    assert file_hash(path) == sha(path)
    assert entries(cache) == []


def test_a_file_on_another_file_system_is_not_remembered(
    large: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memo, "FILE_SYSTEMS", {b"other"})
    assert file_hash(large) == sha(large)
    assert entries(cache) == []


def test_a_change_while_the_file_is_read_is_not_remembered(
    large: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = hashlib.sha256

    def change(*content: bytes) -> Any:
        if not content:
            large.write_bytes(b"y" * MEGABYTE)
        return sha256(*content)

    monkeypatch.setattr(hashlib, "sha256", change)
    file_hash(large)
    monkeypatch.undo()
    monkeypatch.setenv("PYREPRO_CACHE_DIR", str(cache))
    assert entries(cache) == []
    assert file_hash(large) == sha(large)


def test_what_is_written_through_a_memory_map_is_seen(large: Path) -> None:
    if b"tmpfs" in {memo._mounts().get(os.fsencode(parent) + b"/") for parent in large.parents}:
        pytest.skip("tmpfs, where nothing is remembered, gives what is written through a map no time")
    with large.open("r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
        pages[0] = 1
        grow_old(large)
        assert file_hash(large) == sha(large)
        pages[1] = 2  # of a page that was changed before
        assert file_hash(large) == sha(large)


def test_zero_turns_it_off(large: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYREPRO_CACHE_DIR", "0")
    assert file_hash(large) == sha(large)
    assert not cache.exists()
    assert memo._in_process == {}


def test_it_is_in_the_cache_directory_of_the_user(large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYREPRO_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    file_hash(large)
    assert len(entries(tmp_path / "home" / "pyrepro")) == 1


def test_an_entry_that_does_not_fit_its_seal_is_not_believed(large: Path, cache: Path) -> None:
    file_hash(large)
    with sqlite3.connect(cache / "files-1.sqlite") as connection:
        connection.execute("UPDATE files SET digest = 'sha256:0'")
    connection.close()
    memo._in_process.clear()
    assert file_hash(large) == sha(large)


def test_a_corrupt_database_is_reported_once_and_the_file_is_read(
    large: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.mkdir()
    (cache / "files-1.sqlite").write_bytes(b"no database at all" * 1000)
    for _ in range(2):
        assert file_hash(large) == sha(large)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            f"large files are read each time, since {cache / 'files-1.sqlite'} cannot be used: file is not a database; "
            f"remove it, or set PYREPRO_CACHE_DIR to a directory that can be written, or to 0",
        )
    ]


def test_a_database_with_other_tables_is_an_error_of_no_one(large: Path, cache: Path) -> None:
    cache.mkdir()
    with sqlite3.connect(cache / "files-1.sqlite") as connection:
        connection.execute("CREATE TABLE files (other TEXT)")
    connection.close()
    assert file_hash(large) == sha(large)


def test_a_directory_that_cannot_be_made_is_no_error(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("PYREPRO_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.INFO, "pyrepro"):
        assert file_hash(large) == sha(large)
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_a_read_only_database_is_no_error(large: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file_hash(large)
    shutil.copy(large, large.with_name("other.bin"))
    grow_old(large.with_name("other.bin"))
    (cache / "files-1.sqlite").chmod(0o400)
    connect = sqlite3.connect
    # The tests may be run by root, whom no mode keeps from writing.
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options)
    )
    assert file_hash(large.with_name("other.bin")) == sha(large)
    assert is_entry_of(large, cache)


def is_entry_of(path: Path, cache: Path) -> bool:
    return [digest for _, _, digest in entries(cache)] == [sha(path)]


@posix_only
def test_a_full_disk_is_no_error(large: Path, cache: Path) -> None:
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "limits = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "import pyrepro\nfrom pyrepro._config import memo\n"
        f"memo.OLD_ENOUGH, memo.FILE_SYSTEMS = {OLD}, {{*memo._mounts().values()}}\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))\n"
        f"digest = pyrepro.file_hash({str(large)!r})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, limits)\n"
        "print(digest)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (done.stdout.strip(), done.stderr) == (sha(large), "")


def test_two_processes_write_it_at_once(tmp_path: Path, cache: Path) -> None:
    directories = [tmp_path / "one", tmp_path / "two"]
    for directory in directories:
        directory.mkdir()
        for number in range(10):
            (directory / f"{number}.bin").write_bytes(os.urandom(MEGABYTE))
    grow_old(directories[-1] / "9.bin")
    code = (
        "import sys, pyrepro\nfrom pyrepro._config import memo\n"
        f"memo.OLD_ENOUGH, memo.FILE_SYSTEMS = {OLD}, {{*memo._mounts().values()}}\n"
        "sys.stdin.read(1)\n"
        "for number in range(10): print(pyrepro.file_hash(f'{sys.argv[1]}/{number}.bin'))\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for directory in directories
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.close()
    for process, directory in zip(running, directories, strict=True):
        assert process.stdout is not None
        assert process.stdout.read().split() == [sha(directory / f"{number}.bin") for number in range(10)]
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
    assert len(entries(cache)) == 20


names = st.sampled_from(["a", "b", "c"])
letters = st.sampled_from([b"x", b"y", b"z"])


class Edits(RuleBasedStateMachine):
    """Any order of edits of three files, each hashed after any of them; the model reads everything."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    @initialize()
    def write_all(self) -> None:
        memo._in_process.clear()
        for name in "abc":
            (self.directory / name).write_bytes(b"x" * MEGABYTE)

    @rule(name=names, letter=letters, offset=st.sampled_from([0, 5000, MEGABYTE - 1]))
    def edit_in_place(self, name: str, letter: bytes, offset: int) -> None:
        with (self.directory / name).open("r+b") as file:
            file.seek(offset)
            file.write(letter)

    @rule(name=names, letter=letters, offset=st.sampled_from([0, 5000]))
    def edit_in_place_and_set_the_time_back(self, name: str, letter: bytes, offset: int) -> None:
        status = (self.directory / name).stat()
        self.edit_in_place(name, letter, offset)
        os.utime(self.directory / name, ns=(status.st_atime_ns, status.st_mtime_ns))

    @rule(name=names, letter=letters)
    def edit_through_a_map(self, name: str, letter: bytes) -> None:
        with (self.directory / name).open("r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
            pages[7:8] = letter

    @rule(name=names, letter=letters, more=st.integers(0, 1))
    def replace(self, name: str, letter: bytes, more: int) -> None:
        new = self.directory / "new"
        new.write_bytes(letter * (MEGABYTE + more))
        new.replace(self.directory / name)

    @rule(name=names, letter=letters)
    def remove_and_write(self, name: str, letter: bytes) -> None:
        (self.directory / name).unlink()
        (self.directory / name).write_bytes(letter * MEGABYTE)

    @rule(one=names, other=names)
    def rename_over(self, one: str, other: str) -> None:
        shutil.copy2(self.directory / one, self.directory / "copy")
        (self.directory / one).replace(self.directory / other)
        (self.directory / "copy").replace(self.directory / one)

    @rule(name=names)
    def touch_with_an_old_time(self, name: str) -> None:
        os.utime(self.directory / name, (10**9, 10**9))

    @rule(name=names)
    def time_passes(self, name: str) -> None:
        grow_old(self.directory / name)

    @rule()
    def another_process_begins(self) -> None:
        memo._in_process.clear()

    @rule(name=names)
    def hash_one(self, name: str) -> None:
        assert file_hash(self.directory / name) == sha(self.directory / name)

    @rule()
    def hash_all(self) -> None:
        file_hash(self.directory)
        for name in "abc":
            self.hash_one(name)


def test_no_edit_gives_a_wrong_digest(cache: Path) -> None:
    # --hypothesis-profile=long runs ten times as many, and others each time.
    settings = hypothesis.settings(max_examples=hypothesis.settings.default.max_examples // 5, stateful_step_count=25)
    run_state_machine_as_test(Edits, settings=settings)
