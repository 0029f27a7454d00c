"""Every cached call logs one line: whether it found its artifact, or made it and why."""

from __future__ import annotations

import hashlib
import logging
import os
import pathlib
import platform
import shutil
import threading
from typing import Any

import pytest
from conftest import PATIENCE, Repository

from pyrepro import Artifact

PROGRAM = """\
import logging, sys
from pyrepro import Artifact
import helper

logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
logging.getLogger("pyrepro").setLevel({level!r})

@Artifact("outpath", config=dict, cache=True, allow_dirty=True)
def save(outpath, lr=0.1, model={{}}):
    open(outpath, "w").close()

save({out!r} + "/foo.txt", **eval(sys.argv[1]))
"""


class Program:
    """A committed program that calls a cached function and prints what is logged."""

    def __init__(self, repository: Repository, out: pathlib.Path) -> None:
        self.repository = repository
        self.out = out
        repository.commit(program=PROGRAM.format(level="INFO", out=str(out)), helper="x = 1\n")

    def __call__(self, **arguments: Any) -> list[str]:
        done = self.repository.run("program.py", repr(arguments))
        assert done.returncode == 0, done.stderr
        return [line.replace(f"{self.out}/", "") for line in done.stdout.splitlines() if line.startswith("save ")]

    @property
    def newest(self) -> str:
        """The name of the artifact that was made last."""
        return max(self.out.glob("foo*"), key=lambda path: path.stat().st_mtime_ns).name


@pytest.fixture
def program(repository: Repository, out: pathlib.Path) -> Program:
    return Program(repository, out)


def test_nothing_is_there_and_then_it_is_found(program: Program) -> None:
    assert program() == [f"save made {program.newest}: nothing is there"]
    assert program() == [f"save found {program.newest}"]


def test_the_code_differs_in_the_paths_that_were_committed(program: Program) -> None:
    program()
    old = program.newest
    program.repository.commit(helper="x = 2\n", other="y = 1\n")
    assert program() == [f"save made {program.newest}: the code differs in helper.py, other.py, compared with {old}"]


def test_the_code_differs_in_the_paths_that_are_not_committed_yet(program: Program) -> None:
    program()
    old = program.newest
    program.repository.write("helper.py", "x = 3\n")
    [dirty] = program()
    assert dirty == f"save made {program.newest}: the code differs in helper.py, compared with {old}"
    old = program.newest
    program.repository.write("helper.py", "x = 4\n")
    assert program() == [f"save made {program.newest}: the code differs in helper.py, compared with {old}"]


def test_what_was_dirty_and_is_committed_is_the_same_code_under_another_commit(
    program: Program, out: pathlib.Path
) -> None:
    program.repository.write("helper.py", "x = 3\n")
    program.repository.write("run.sh", "echo walk\n")
    (program.repository.path / "lib" / "model.py").unlink()
    program()
    old = program.newest
    program.repository.commit()
    (out / old).unlink()  # or it would be copied
    assert program() == [
        f"save made {program.newest}: the code that it depends on is that of {old}, which is not copied: {old} was removed"
    ]


def test_of_many_paths_the_first_ten_are_named(program: Program) -> None:
    program()
    old = program.newest
    program.repository.commit(**{f"m{number:02}": "x = 1\n" for number in range(12)})
    named = ", ".join(f"m{number:02}.py" for number in range(10))
    assert program() == [f"save made {program.newest}: the code differs in {named} and 2 more, compared with {old}"]


def test_very_many_changes_are_not_kept(program: Program) -> None:
    program.repository.commit(**{f"m{number:03}": "x = 1\n" for number in range(101)})
    for number in range(101):
        program.repository.write(f"m{number:03}.py", "x = 2\n")
    program()
    old = program.newest
    program.repository.commit(helper="x = 7\n")
    assert program() == [f"save made {program.newest}: the code differs, compared with {old}"]


def test_a_commit_that_this_clone_does_not_hold_is_named(
    program: Program, repository: Repository, tmp_path: pathlib.Path
) -> None:
    program()
    old, commit = program.newest, repository.head[:12]
    repository.commit(helper="x = 2\n")
    program.repository = repository.clone(tmp_path / "clone", "--depth=1")
    assert program() == [
        f"save made {program.newest}: the code differs from that of commit {commit}, which this clone does not hold, "
        f"compared with {old}"
    ]


def test_another_declared_state_is_named(program: Program, repository: Repository, out: pathlib.Path) -> None:
    shutil.rmtree(repository.path / ".git")
    for digit in "01":
        done = repository.run("program.py", "{}", env={"PYREPRO_CODE_STATE": digit * 40})
    config = hashlib.sha256(b'{"lr":0.1,"model":{}}').hexdigest()[:12]
    new, old = (f"foo-{digit * 12}-{config}.txt" for digit in "10")
    assert done.stdout == (
        f"save made {out}/{new}: the code differs from that of commit 000000000000, which this clone does not hold, "
        f"compared with {old}\n"
    )


def test_the_configuration_differs_in_keys(program: Program) -> None:
    program(lr=0.1, model={"layers": [2, 3], "act": "relu"})
    old = program.newest
    assert program(lr=0.2, model={"layers": [2, 4], "norm": True, "act": "relu"}) == [
        f"save made {program.newest}: the configuration differs in lr, model.layers, model.norm, compared with {old}"
    ]


def test_both_may_differ(program: Program) -> None:
    program()
    old = program.newest
    program.repository.commit(helper="x = 2\n")
    assert program(lr=1) == [
        f"save made {program.newest}: the code differs in helper.py and the configuration differs in lr, "
        f"compared with {old}"
    ]


def test_the_newest_marker_of_the_plain_path_is_compared_with(program: Program, out: pathlib.Path) -> None:
    program(lr=1)
    program(lr=2)
    newest = program.newest
    assert program(lr=3) == [
        f"save made {program.newest}: the configuration differs in lr, compared with {newest}",
    ]
    (out / program.newest).unlink()
    assert program(lr=3) == [f"save made {program.newest}: {program.newest} was removed"]


def test_it_was_changed_since(program: Program, out: pathlib.Path) -> None:
    program()
    (out / program.newest).write_text("by hand")
    assert program() == [f"save made {program.newest}: changed since it was made: {program.newest}"]


def test_no_cached_call_completed_it(program: Program, out: pathlib.Path) -> None:
    program()
    shutil.rmtree(out / ".pyrepro")
    assert program() == [f"save made {program.newest}: no cached call completed {program.newest}"]


def log_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.INFO]


def test_its_record_is_not_there(repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    @Artifact("outpath", repo=repository.path, cache=True, record=True)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text("good job")

    path = save("foo.txt")
    pathlib.Path(f"{path}.pyrepro.json").unlink()
    caplog.set_level(logging.INFO, "pyrepro")
    save("foo.txt")
    assert log_of(caplog) == [f"{save.__qualname__} made {path}: {path}.pyrepro.json is not there"]


def test_no_path_was_passed(repository: Repository, caplog: pytest.LogCaptureFixture) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str | None) -> None:
        pass

    caplog.set_level(logging.INFO, "pyrepro")
    save(None)
    assert log_of(caplog) == [f"{save.__qualname__} made nothing: no path was passed"]


def test_a_configuration_that_is_no_object_is_one_value(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", config=lambda call: call["lr"], repo=repository.path, cache=True)
    def save(outpath: str, lr: float) -> None:
        pathlib.Path(outpath).write_text("good job")

    old = save("foo.txt", 1)
    caplog.set_level(logging.INFO, "pyrepro")
    new = save("foo.txt", 2)
    assert log_of(caplog) == [f"{save.__qualname__} made {new}: the configuration differs, compared with {old}"]


@pytest.mark.parametrize("is_signed", [True, False])
def test_a_call_that_waits_says_for_whom_and_then_that_another_one_made_it(
    is_signed: bool, repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    started, goes_on = threading.Event(), threading.Event()

    @Artifact("outpath", repo=repository.path, cache=True, ignore=("goes_on", "is_signed", "out", "started"))
    def save(outpath: str) -> None:
        if not is_signed:
            next(out.glob(".pyrepro/*.lock")).write_text("")
        started.set()
        assert goes_on.wait(PATIENCE)
        pathlib.Path(outpath).write_text("good job")

    class GoesOn(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if " waits for " in record.getMessage():
                goes_on.set()

    caplog.set_level(logging.INFO, "pyrepro")
    handler = GoesOn()
    logging.getLogger("pyrepro").addHandler(handler)
    first = threading.Thread(target=save, args=["foo.txt"])
    first.start()
    assert started.wait(PATIENCE)
    path = save("foo.txt")
    first.join()
    logging.getLogger("pyrepro").removeHandler(handler)
    name, line = save.__qualname__, save.__wrapped__.__code__.co_firstlineno
    whom = f"process {os.getpid()} on {platform.node()}" if is_signed else "another call"
    assert sorted(record.message for record in caplog.records) == [
        f".../test_reasons.py:{name}:{line} waits for {out}/{path}, which {whom} is making",
        f"{name} found {path}, which another call made meanwhile",
        f"{name} made {path}: nothing is there",
    ]


def test_the_line_is_not_composed_where_nobody_reads_it(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text("good job")

    caplog.set_level(logging.WARNING, "pyrepro")
    assert (save("foo.txt"), save("foo.txt")) == (save.tagged("foo.txt"),) * 2
    assert caplog.records == []


def test_a_secret_that_differs_is_in_no_marker(program: Program) -> None:
    source = (program.repository.path / "program.py").read_text()
    program.repository.commit(program=source.replace("lr=0.1", "token=None"))
    program(token="first")
    old = program.newest
    assert program(token="second") == [f"save made {program.newest}: the configuration differs, compared with {old}"]
    files = [path for path in program.out.rglob("*") if path.is_file() and ".pyrepro" in path.parts]
    assert files
    assert not any(b"token" in path.read_bytes() for path in files)
