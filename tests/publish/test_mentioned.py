"""Files that mention the directory that they were written in, which is gone when the call ends."""

from __future__ import annotations

import json
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Repository

from pyrepro import Artifact

WARNING = (
    "{}: holds the path of a directory that is gone when the call ends; write there a path relative to the file, or "
    "the one that tagged() gives for the plain path"
)


def export(directory: str, write: Callable[[pathlib.Path], object]) -> None:
    os.mkdir(directory)
    write(pathlib.Path(directory))


@pytest.fixture(params=[{"atomic": True}, {"cache": True}, {"record": True}], ids=lambda options: next(iter(options)))
def save(request: pytest.FixtureRequest, repository: Repository, caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level("WARNING", "pyrepro")

    @Artifact("outpath", repo=repository.path, ignore="write", **request.param)
    def save(outpath: str, write: Callable[[str], object]) -> None:
        write(outpath)

    return save


def test_a_file_that_mentions_where_it_was_written_is_warned_of(
    save: Any, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    save("foo.json", lambda path: pathlib.Path(path).write_text(json.dumps({"location": path})))
    name = save.tagged("foo.json", None)
    assert ".pyrepro" in (out / name).read_text()
    assert [record.message for record in caplog.records] == [WARNING.format(out / name)]


def test_files_in_a_directory_that_mention_it_are_warned_of_in_one_line(
    save: Any, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    def write(directory: pathlib.Path) -> None:
        (directory / "load.sql").write_text(f"COPY t FROM '{directory}/t.csv';")
        (directory / "run").mkdir()
        (directory / "run" / "meta.yaml").write_text(f"artifact_uri: {directory.absolute().as_uri()}/run")
        (directory / "t.csv").write_text("1")

    save("foo", lambda path: export(path, write))
    directory = out / save.tagged("foo", None)
    found = f"{directory / 'load.sql'}, {directory / 'run' / 'meta.yaml'}"
    assert [record.message for record in caplog.records] == [WARNING.format(found)]


def test_a_file_that_mentions_where_what_lies_in_another_directory_was_written_is_warned_of(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact(["table", "index"], repo=repository.path, atomic=True)
    def save(table: pathlib.Path, index: pathlib.Path) -> None:
        table.write_text("1")
        index.write_text(str(table))

    save(out / "tables" / "foo.csv", out / "foo.idx")
    path = save.tagged(out / "tables" / "foo.csv", out / "foo.idx")["index"]
    assert [record.message for record in caplog.records] == [WARNING.format(path)]


def test_a_file_that_says_where_it_will_be_is_not_warned_of(
    save: Any, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    final = save.tagged("foo.json", None)
    save("foo.json", lambda path: pathlib.Path(path).write_text(f"{final} in .pyrepro"))
    assert caplog.records == []


def test_a_log_that_says_where_things_were_written_is_not_warned_of(
    save: Any, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    def write(directory: pathlib.Path) -> None:
        (directory / "train.log").write_text(f"saved {directory}/weights")
        (directory / "weights").write_bytes(b"\0" * 100_000 + os.fsencode(directory))

    save("foo", lambda path: export(path, write))
    assert caplog.records == []


def test_a_virtual_environment_is_warned_of(save: Any, out: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    import venv

    save("env", lambda path: venv.create(os.path.abspath(path), symlinks=sys.platform != "win32"))
    [message] = [record.message for record in caplog.records]
    scripts = out / save.tagged("env", None) / ("Scripts" if sys.platform == "win32" else "bin")
    assert str(scripts / "activate") in message
