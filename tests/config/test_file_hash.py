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
