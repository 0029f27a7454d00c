"""What was written under a name that turned out to be false gets another one, with everything that belongs to it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Repository, forget, posix_only

from pyrepro import Artifact, DirtyRepositoryError, PublishError

EMPTY = "44136fa355b3"
HELPER = "later_helper"


class Late:
    """A repository with a module that nobody added, and a directory to write to."""

    def __init__(self, repository: Repository, directory: Path) -> None:
        self.repository = repository
        self.directory = directory
        blob = hashlib.sha1(b"blob 6\0x = 1\n").hexdigest()
        changes = json.dumps([[f"{HELPER}.py", "100644", blob]], separators=(",", ":"))
        self.clean = f"{repository.head[:12]}-{EMPTY}"
        self.dirty = f"{repository.head[:12]}-dirty-{hashlib.sha256(changes.encode()).hexdigest()[:12]}-{EMPTY}"

    def artifact(self, *, allow_dirty: bool = True) -> Artifact:
        return Artifact("path", repo=self.repository.path, allow_dirty=allow_dirty)

    def names(self) -> list[str]:
        """Everything in the directory, with short names for the tags."""
        paths = (path.relative_to(self.directory).as_posix() for path in self.directory.rglob("*"))
        return sorted(path.replace(self.clean, "CLEAN").replace(self.dirty, "DIRTY") for path in paths)


@pytest.fixture
def late(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Late]:
    repository.write(f"{HELPER}.py", "x = 1\n")
    monkeypatch.syspath_prepend(str(repository.path))
    directory = tmp_path / "written"
    directory.mkdir()
    monkeypatch.chdir(directory)
    yield Late(repository, directory)
    forget(HELPER)


def long_ago() -> None:
    """Let more than a tick of the kernel's clock pass."""
    time.sleep(0.05)


def load() -> None:
    __import__(HELPER)


def test_what_the_writer_added_to_the_name_or_put_beside_it_is_renamed_with_it(late: Late) -> None:
    @late.artifact(allow_dirty=False)
    def save(path: str) -> None:
        load()
        for suffix in (".shp", ".dbf", ".shp.npy"):
            Path(path).with_suffix(suffix).write_text("x")
        Path(f"meta_{path}").write_text("x")
        Path("notes.txt").write_text("x")

    with pytest.raises(DirtyRepositoryError) as error:
        save("a.shp")
    assert late.names() == ["a-DIRTY.dbf", "a-DIRTY.shp", "a-DIRTY.shp.npy", "meta_a-DIRTY.shp", "notes.txt"]
    renamed = ", ".join(
        name.replace("DIRTY", late.dirty)
        for name in (
            "a-DIRTY.shp",
            "a-DIRTY.dbf",
            "a-DIRTY.shp.npy",
            "meta_a-DIRTY.shp",
        )
    )
    assert str(error.value).endswith(f"loaded them while it ran; what it wrote was renamed to {renamed}.")


def test_what_is_in_a_directory_is_renamed_too_and_links_lead_on(late: Late) -> None:
    @late.artifact()
    def save(path: str) -> None:
        load()
        directory = Path(path)
        (directory / "deep").mkdir(parents=True)
        (directory / f"part-{late.clean}").mkdir()
        (directory / f"part-{late.clean}" / f"x-{late.clean}.npy").write_text("x")
        (directory / "deep" / f"y-{late.clean}.npy").write_text("y")
        (directory / "deep" / "link").symlink_to(f"../part-{late.clean}/x-{late.clean}.npy")
        (directory / "elsewhere").symlink_to("deep")
        Path("absolute").symlink_to((directory / "deep" / f"y-{late.clean}.npy").absolute())
        Path(f"{path}.link").symlink_to(path)
        Path(f"{path}.dangling").symlink_to(f"{path}.nothing")

    save("d")
    assert late.names() == [
        "absolute",
        "d-DIRTY",
        "d-DIRTY.dangling",
        "d-DIRTY.link",
        "d-DIRTY/deep",
        "d-DIRTY/deep/link",
        "d-DIRTY/deep/y-DIRTY.npy",
        "d-DIRTY/elsewhere",
        "d-DIRTY/part-DIRTY",
        "d-DIRTY/part-DIRTY/x-DIRTY.npy",
    ]
    assert Path("absolute").read_text() == "y"
    assert Path(f"d-{late.dirty}/deep/link").read_text() == "x"
    assert os.readlink(f"d-{late.dirty}.link") == f"d-{late.dirty}"
    assert os.readlink(f"d-{late.dirty}.dangling") == f"d-{late.clean}.nothing"


def test_what_is_in_a_directory_that_was_staged_is_renamed_too_and_links_lead_on(late: Late) -> None:
    Path(f"d-{late.clean}").mkdir()

    @Artifact("path", repo=late.repository.path, allow_dirty=True, atomic=True)
    def save(path: str) -> list[str]:
        load()
        directory, deep = Path(path), Path(path, "deep")
        deep.mkdir(parents=True)
        (deep / f"y-{late.clean}.npy").write_text("y")
        (directory / "link").symlink_to(f"deep/y-{late.clean}.npy")
        directory.with_name("beside").mkdir()
        directory.with_name("beside").joinpath(f"x-{late.clean}.npy").write_text("x")
        directory.with_name("absolute").symlink_to((deep / f"y-{late.clean}.npy").absolute())
        directory.with_name("latest").symlink_to(directory.name)
        return [f"{path}/link", f"{path}/deep/y-{late.clean}.npy"]

    assert save("d") == [f"d-{late.dirty}/link", f"d-{late.dirty}/deep/y-{late.dirty}.npy"]
    assert late.names() == [
        "absolute",
        "beside",
        "beside/x-DIRTY.npy",
        "d-CLEAN",
        "d-DIRTY",
        "d-DIRTY/deep",
        "d-DIRTY/deep/y-DIRTY.npy",
        "d-DIRTY/link",
        "latest",
    ]
    assert Path("absolute").read_text() == Path(f"d-{late.dirty}/link").read_text() == "y"
    assert os.readlink("latest") == f"d-{late.dirty}"


def test_names_in_a_directory_that_meet_when_they_become_true_are_kept(late: Late) -> None:
    @Artifact("path", repo=late.repository.path, allow_dirty=True, atomic=True)
    def save(path: str) -> None:
        load()
        os.mkdir(path)
        Path(path, f"x-{late.clean}.npy").write_text("x")
        Path(path, f"x-{late.dirty}.npy").write_text("y")

    with pytest.raises(PublishError) as error:
        save("d")
    [kept] = error.value.kept
    assert str(error.value) == (
        f"this could not be put in place:\n"
        f"  {late.directory}/d-{late.dirty}: FileExistsError: the function wrote x-{late.dirty}.npy, too; "
        f"it is kept as {kept}\n"
        f"Move what is kept to where it belongs, or remove it; a file that is appended to needs a path of its own."
    )
    assert sorted(path.read_text() for path in Path(kept).iterdir()) == ["x", "y"]


def test_what_was_there_before_the_call_or_carries_another_tag_keeps_its_name(late: Late) -> None:
    other = f"b-{late.clean}-{'0' * 12}.txt"
    for name in (f"old-{late.clean}.txt", f"dir-{late.clean}/x", f"a-{late.clean}.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("by a clean run")
    Path(f"link-{late.clean}").symlink_to(f"old-{late.clean}.txt")
    Path(f"dangling-{late.clean}").symlink_to("nothing")
    long_ago()

    @late.artifact()
    def save(path: str) -> None:
        load()
        Path(other).write_text("of another configuration")

    save("a.txt")
    assert late.names() == [
        "a-CLEAN.txt",
        f"b-CLEAN-{'0' * 12}.txt",
        "dangling-CLEAN",
        "dir-CLEAN",
        "dir-CLEAN/x",
        "link-CLEAN",
        "old-CLEAN.txt",
    ]


def test_an_older_artifact_that_the_call_rewrote_is_renamed(late: Late) -> None:
    Path(f"a-{late.clean}").mkdir()
    Path(f"a-{late.clean}/x").write_text("old")
    Path(f"data-{late.clean}").write_text("old")
    Path(f"link-{late.clean}").symlink_to(f"data-{late.clean}")
    Path(f"a-{late.dirty}").mkdir()
    Path(f"a-{late.dirty}/of-an-older-dirty-run").write_text("old")
    long_ago()

    @late.artifact()
    def save(path: str) -> None:
        load()
        Path(path, "x").write_text("new")
        Path(f"link-{late.clean}").write_text("new")

    save("a")
    assert late.names() == ["a-DIRTY", "a-DIRTY/x", "data-DIRTY", "link-DIRTY"]
    assert Path(f"link-{late.dirty}").read_text() == "new"


def test_the_directory_is_that_of_the_call_wherever_the_function_went(late: Late, tmp_path: Path) -> None:
    @late.artifact()
    def save(path: str) -> None:
        load()
        Path(path).write_text("x")
        os.chdir(tmp_path)

    save("a.txt")
    assert late.names() == ["a-DIRTY.txt"]


class Remote:
    """A path in an object store, as libraries have them: no os.PathLike."""

    def __init__(self, name: str) -> None:
        self.name = name

    def with_name(self, name: str) -> Remote:
        return Remote(name)


def test_a_path_that_is_not_local_is_left_alone(late: Late) -> None:
    @late.artifact(allow_dirty=False)
    def save(path: Remote) -> None:
        load()

    with pytest.raises(DirtyRepositoryError, match="no local file was renamed"):
        save(Remote("a.txt"))
    assert late.names() == []


@posix_only
def test_a_working_directory_that_was_removed_is_no_reason_not_to_call(late: Late, tmp_path: Path) -> None:
    @late.artifact()
    def save(path: Path) -> None:
        load()
        path.write_text("x")

    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    save(late.directory / "a.txt")
    os.chdir(late.directory)
    assert late.names() == ["a-DIRTY.txt"]


@posix_only
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of the threads of those who run the tests
def test_a_forked_child_that_ends_the_call_renames_nothing(late: Late) -> None:
    @late.artifact()
    def save(path: str) -> None:
        load()
        Path(path).write_text("x")
        if not os.fork():
            raise SystemExit
        os.wait()
        assert Path(path).exists()

    parent = os.getpid()
    try:
        save("a.txt")
    finally:
        if os.getpid() != parent:
            os._exit(0)
    assert late.names() == ["a-DIRTY.txt"]


@pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(3), KeyboardInterrupt()])
def test_when_the_function_ends_early_its_own_exception_propagates_and_what_it_wrote_is_renamed(
    late: Late, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    @late.artifact(allow_dirty=False)
    def save(path: str) -> None:
        load()
        Path(path).write_text("x")
        raise error

    with pytest.raises(type(error)) as raised:
        save("a.txt")
    assert raised.value is error
    assert late.names() == ["a-DIRTY.txt"]
    assert caplog.record_tuples[-1] == (
        "pyrepro",
        logging.WARNING,
        f"{save.__qualname__} loaded code that no commit holds and ended early; "
        f"what it wrote was renamed to a-{late.dirty}.txt",
    )


def test_a_function_that_ends_early_without_late_modules_or_files_is_left_alone(
    late: Late, caplog: pytest.LogCaptureFixture
) -> None:
    @late.artifact()
    def save(path: str, loads: bool) -> None:
        if loads:
            load()
        else:
            Path(path).write_text("x")
        raise ValueError("mine")

    for loads in (False, True):
        long_ago()
        with pytest.raises(ValueError, match="^mine$"):
            save("a.txt", loads)
    assert late.names() == ["a-CLEAN.txt"]
    assert "ended early" not in caplog.text


def test_a_renaming_that_fails_does_not_hide_the_exception_of_the_function(
    late: Late, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    @late.artifact()
    def save(path: str) -> None:
        load()
        Path(path).write_text("x")

        def refuse(*paths: object) -> None:
            raise PermissionError("not allowed")

        monkeypatch.setattr(os, "replace", refuse)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="^mine$"):
        save("a.txt")
    assert caplog.messages[-1] == (
        f"what {save.__qualname__} wrote before it ended early may carry a false name: not allowed"
    )


def failing(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="^mine$"):
        asyncio.run(function("a.txt"))


def test_a_coroutine_that_raises_gives_what_it_wrote_its_true_name(late: Late) -> None:
    @late.artifact()
    async def save(path: str) -> None:
        load()
        Path(path).write_text("x")
        raise ValueError("mine")

    failing(save)
    assert late.names() == ["a-DIRTY.txt"]


def test_a_generator_that_is_closed_gives_what_it_wrote_its_true_name(late: Late) -> None:
    @late.artifact()
    def save(path: str) -> Generator[int, None, None]:
        load()
        Path(path).write_text("x")
        yield 1
        yield 2

    generator = save("a.txt")
    assert next(generator) == 1
    generator.close()
    assert late.names() == ["a-DIRTY.txt"]


def test_an_async_generator_that_is_closed_gives_what_it_wrote_its_true_name(late: Late) -> None:
    @late.artifact()
    async def save(path: str) -> AsyncGenerator[int, None]:
        load()
        Path(path).write_text("x")
        yield 1
        yield 2

    async def take_one() -> None:
        generator = save("a.txt")
        assert await anext(generator) == 1
        await generator.aclose()

    asyncio.run(take_one())
    assert late.names() == ["a-DIRTY.txt"]
