"""file_hash says what a file or a directory holds."""

from __future__ import annotations

import hashlib
import os
import pathlib
from typing import Any

import pytest
from conftest import posix_only

from pyrepro import ConfigError, config_hash, file_hash


def sha(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def test_a_file_is_the_sha_256_of_its_bytes(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "t.csv"
    for content in (b"", b"1,2\n", os.urandom(3_000_000)):
        path.write_bytes(content)
        assert file_hash(path) == file_hash(str(path)) == file_hash(os.fsencode(path)) == sha(content)


def test_a_directory_is_the_hash_of_its_files_by_relative_path(tmp_path: pathlib.Path) -> None:
    for name in ("b.txt", "a/x.txt", "a/é.txt", ".hidden", ".pyrepro/marker", "a/.pyrepro/marker"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "empty").mkdir()
    names = ["b.txt", "a/x.txt", "a/é.txt", ".hidden"]
    assert file_hash(tmp_path) == "sha256:" + config_hash({name: sha(name.encode()) for name in names})


def test_links_are_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x.txt").write_text("x")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").symlink_to(tmp_path / "real/x.txt")
    (tmp_path / "in/directory").symlink_to(tmp_path / "real")
    expected = {"file": sha(b"x"), "directory/x.txt": sha(b"x")}
    assert file_hash(tmp_path / "in") == "sha256:" + config_hash(expected)
    (tmp_path / "link").symlink_to("in")
    assert file_hash(tmp_path / "link") == file_hash(tmp_path / "in")


def test_a_directory_that_contains_itself_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    with pytest.raises(ConfigError) as error:
        file_hash(tmp_path)
    assert str(error.value) == (
        f"the directory {str(tmp_path / 'loop')!r} is a link to a directory that contains it; remove the link"
    )


@posix_only
def test_what_has_no_content_is_refused_and_not_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    message = f"{str(tmp_path / 'pipe')!r} is neither a file nor a directory, so it has no content to hash; write it to a file"
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ConfigError) as error:
            file_hash(path)
        assert str(error.value) == message


def test_a_file_that_is_not_there_is_the_error_of_the_system(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_hash(tmp_path / "gone")
    (tmp_path / "broken").symlink_to("gone")
    with pytest.raises(FileNotFoundError):
        file_hash(tmp_path)


@pytest.mark.parametrize("value", [None, 3, ["a"]])
def test_what_is_no_path_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError) as error:
        file_hash(value)
    assert str(error.value) == (
        f"file_hash takes the path of a file or a directory, not {value!r} of type {type(value).__name__}"
    )


def test_what_programs_leave_in_directories_is_left_out(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "gitignore").write_text("kept")
    expected = file_hash(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "deep/.git", "deep/.DS_Store", "lock.mdb", "deep/lock.mdb"):
        (tmp_path / name).write_text("left out")
    for name in (".git", "__pycache__", ".ipynb_checkpoints", ".pyrepro", "deep/__pycache__"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("left out")
    assert file_hash(tmp_path) == expected
    assert file_hash(tmp_path / "__pycache__") == "sha256:" + config_hash({"file": sha(b"left out")})


def test_who_has_a_file_in_a_directory_open_does_not_count(tmp_path: pathlib.Path) -> None:
    for name in (
        "a.db",
        "b.mdb",
        "c.duckdb",
        "plain-shm",
        "other.db-wal",
        "a.db-wal.txt",
        ".~lock.b#",
        ".b.swp",
        "._b",
    ):
        (tmp_path / name).write_text(name)
    expected = file_hash(tmp_path)
    for name in ("a.db-shm", "b.mdb-lock", ".~lock.plain-shm#", "~$ain.docx", ".plain-shm.swp", ".#a.db", "._a.db"):
        (tmp_path / name).write_text("left out")
    for name in ("a.db-wal", "c.duckdb.wal"):
        (tmp_path / name).write_text("")
    assert file_hash(tmp_path) == expected
    hashes = {expected}
    for name in ("a.db-wal", "c.duckdb.wal"):
        (tmp_path / name).write_text("committed")
        hashes.add(file_hash(tmp_path))
    assert len(hashes) == 3


def test_names_are_sorted_and_escaped_as_canonical_json_has_it(tmp_path: pathlib.Path) -> None:
    names = ["é", "\U0001f600", "\ufb33", 'quo"te', "back\\slash", "line\nend", "\x7f", "a", "B", "\u2028"]
    for name in names:
        (tmp_path / name).write_text("x")
    assert file_hash(tmp_path) == "sha256:" + config_hash(dict.fromkeys(names, sha(b"x")))


@posix_only
def test_a_name_that_is_no_text_is_refused(tmp_path: pathlib.Path) -> None:
    name = os.fsdecode(b"caf\xe9.csv")
    (tmp_path / name).write_text("x")
    with pytest.raises(ConfigError) as error:
        file_hash(tmp_path)
    assert str(error.value) == (f"the directory {str(tmp_path)!r} holds {name!r}, which is not Unicode text; rename it")


def test_large_files_in_a_directory_are_hashed_in_threads(tmp_path: pathlib.Path) -> None:
    contents = {f"{number}.bin": bytes([number]) * (1 << 20) for number in range(5)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert file_hash(tmp_path) == "sha256:" + config_hash({name: sha(content) for name, content in contents.items()})


def test_a_failure_in_one_thread_stops_the_others(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        (tmp_path / f"{number:02}.bin").write_bytes(b"x" * (1 << 20))
    opened: list[str] = []
    real = os.open

    def open_and_fail(path: str, flags: int) -> int:
        opened.append(path)
        if len(opened) == 41:  # the first that is opened a second time, to be read
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", open_and_fail)
    with pytest.raises((PermissionError, InterruptedError)):
        file_hash(tmp_path)


def test_what_takes_long_says_how_far_it_has_come(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(b"x" * 20_000_000)
    seconds = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: next(seconds) / 5)
    file_hash(path)
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == f"hashing {path}: 0.01 GB read so far"
    assert len(messages) in (2, 3)
