"""A hit is the artifact as it was completed: what was done to it since is seen, and a copy is no change."""

from __future__ import annotations

import logging
import os
import pathlib
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Repository, files_opened_in, posix_only

from pyrepro import Artifact

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


class Step:
    """A cached function that writes an artifact of several files, and counts how often it runs."""

    def __init__(self, repository: Repository, write: Callable[[pathlib.Path], object], stem: str) -> None:
        self.runs = 0
        self._stem = stem

        @Artifact("outpath", repo=repository.path, cache=True, ignore=("self", "write"))
        def save(outpath: pathlib.Path) -> None:
            self.runs += 1
            write(outpath)

        self._save = save

    def __call__(self, directory: pathlib.Path) -> pathlib.Path:
        return self._save(directory / self._stem)  # type: ignore[no-any-return]


def write_shapefile(path: pathlib.Path) -> None:
    for suffix in (".shp", ".shx", ".dbf"):
        path.with_suffix(suffix).write_text(f"shapes in {suffix}")


def write_model(path: pathlib.Path) -> None:
    (path / "deep").mkdir(parents=True)
    for part in ("a", "b", "deep/c"):
        (path / part).write_text(f"part {part[-1]}")
    (path / "empty").mkdir()
    (path / "link").symlink_to("a")
    (path / "dangling").symlink_to("nowhere")


def write_file(path: pathlib.Path) -> None:
    path.write_text("good job")


def state_of(path: pathlib.Path) -> dict[str, str]:
    """What stands in an artifact and beside it."""
    files = [*path.parent.glob("*"), *path.glob("**/*")]
    return {
        str(file.relative_to(path.parent)): os.readlink(file) if file.is_symlink() else file.read_text()
        for file in files
        if file.is_symlink() or file.is_file()
    }


def edit_and_set_back(path: pathlib.Path) -> None:
    """Another content of the same size in the same file, with the times that it had."""
    status = path.stat()
    with open(path, "r+") as file:
        file.write("EDIT")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def swap(one: pathlib.Path, other: pathlib.Path) -> None:
    one.rename(one.with_name("aside"))
    other.rename(one)
    one.with_name("aside").rename(other)


def replace_by_older(path: pathlib.Path) -> None:
    """An older file of the same size in its place."""
    older = path.with_name("older")
    older.write_text(path.read_text().swapcase())
    os.utime(older, (1_000_000_000,) * 2)
    older.replace(path)


def relink(path: pathlib.Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def move_and_link(path: pathlib.Path) -> pathlib.Path:
    """Elsewhere, with a link left in its place: to where there is space, or as git-annex does."""
    elsewhere = pathlib.Path(tempfile.mkdtemp(dir=path.parents[2])) / "moved"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    return elsewhere


ALTERATIONS: list[tuple[str, Callable[[pathlib.Path], object], Callable[[pathlib.Path], object]]] = [
    ("foo.txt", write_file, edit_and_set_back),
    ("foo.txt", write_file, replace_by_older),
    ("foo.txt", write_file, lambda path: path.write_text("")),
    ("foo.txt", write_file, lambda path: path.unlink()),
    ("foo.txt", write_file, lambda path: relink(path, "nowhere")),
    ("foo.shp", write_shapefile, lambda path: path.with_suffix(".dbf").unlink()),
    ("foo.shp", write_shapefile, lambda path: path.with_suffix(".dbf").write_text("no shapes at all")),
    ("foo.shp", write_shapefile, lambda path: edit_and_set_back(path.with_suffix(".dbf"))),
    ("foo.shp", write_shapefile, lambda path: replace_by_older(path.with_suffix(".shx"))),
    ("foo.shp", write_shapefile, lambda path: swap(path.with_suffix(".dbf"), path.with_suffix(".shx"))),
    ("model", write_model, lambda path: (path / "a").rename(path / "z")),
    ("model", write_model, lambda path: swap(path / "a", path / "b")),
    ("model", write_model, lambda path: swap(path / "a", path / "deep" / "c")),
    ("model", write_model, lambda path: replace_by_older(path / "deep" / "c")),
    ("model", write_model, lambda path: edit_and_set_back(path / "deep" / "c")),
    ("model", write_model, lambda path: (path / "deep" / "more").touch()),
    ("model", write_model, lambda path: (path / ".~lock.more#").touch()),
    ("model", write_model, lambda path: (path / "empty").rmdir()),
    ("model", write_model, lambda path: relink(path / "dangling", "elsewhere")),
    ("model", write_model, lambda path: relink(path / "link", "b")),
    ("model", write_model, shutil.rmtree),
    ("foo.txt", write_file, lambda path: edit_and_set_back(move_and_link(path))),
    ("model", write_model, lambda path: edit_and_set_back(move_and_link(path) / "a")),
    ("model", write_model, lambda path: edit_and_set_back(move_and_link(path / "a"))),
    ("model", write_model, lambda path: (move_and_link(path / "deep") / "more").touch()),
]


@posix_only
@pytest.mark.parametrize(("stem", "write", "alter"), ALTERATIONS)
@pytest.mark.parametrize("hits_before", [0, 2])
def test_what_was_altered_is_made_again(
    hits_before: int, stem: str, write: Any, alter: Any, repository: Repository, out: pathlib.Path
) -> None:
    step = Step(repository, write, stem)
    for _ in range(1 + hits_before):
        path = step(out)
    made = state_of(path)
    assert step.runs == 1
    alter(path)
    found = state_of(step(out))
    # What was changed by hand is moved aside, and not overwritten.
    assert {name: content for name, content in found.items() if "~" not in name} == made
    assert (step.runs, step(out), step.runs) == (2, path, 2)


LEFT_ALONE: list[tuple[str, Callable[[pathlib.Path], object], Callable[[pathlib.Path], object]]] = [
    ("foo.txt", write_file, lambda path: path.chmod(0o400)),
    ("foo.txt", write_file, os.utime),
    ("foo.txt", write_file, lambda path: path.write_text("good job")),
    ("foo.txt", write_file, lambda path: path.with_name("other.txt").touch()),
    ("foo.shp", write_shapefile, lambda path: os.utime(path.with_suffix(".dbf"))),
    ("model", write_model, lambda path: shutil.copytree(path, path.with_name("copy"), symlinks=True)),
    ("model", write_model, lambda path: (path / ".DS_Store").touch()),
    ("model", write_model, lambda path: (path / "deep" / "__pycache__").mkdir()),
    ("model", write_model, lambda path: path.rename(path.with_name("aside")).rename(path)),
    ("model", write_model, lambda path: [(path / name).touch() for name in (".~lock.a#", "~$a", ".a.swp", "._a")]),
    ("model", write_model, lambda path: (path / "deep" / ".#c").symlink_to("me@host:1")),
    ("foo.txt", write_file, move_and_link),
    ("foo.shp", write_shapefile, lambda path: move_and_link(path.with_suffix(".dbf"))),
    ("model", write_model, move_and_link),
    ("model", write_model, lambda path: move_and_link(path / "a")),
    ("model", write_model, lambda path: move_and_link(path / "deep")),
]


@posix_only
@pytest.mark.parametrize(("stem", "write", "touch"), LEFT_ALONE)
def test_what_holds_the_same_is_found_again(
    stem: str, write: Any, touch: Any, repository: Repository, out: pathlib.Path
) -> None:
    step = Step(repository, write, stem)
    path = step(out)
    touch(path)
    assert (step(out), step(out), step.runs) == (path, path, 1)


@posix_only
@pytest.mark.parametrize("moved", ["model", "model/a", "model/deep"])
def test_what_was_moved_and_found_again_is_made_again_when_it_is_edited(
    moved: str, repository: Repository, out: pathlib.Path
) -> None:
    step = Step(repository, write_model, "model")
    path = step(out)
    name = moved.replace("model", path.name)
    move_and_link(out / name)
    assert (step(out), step.runs) == (path, 1)
    edit_and_set_back(path / "a" if moved != "model/deep" else path / "deep" / "c")
    assert (step(out), step.runs, step(out), step.runs) == (path, 2, path, 2)


@posix_only
@pytest.mark.parametrize(("stem", "write"), [("foo.txt", write_file), ("foo.shp", write_shapefile)])
def test_a_link_to_what_was_made_is_the_artifact_as_long_as_that_is_what_it_was(
    stem: str, write: Any, repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    def link(path: pathlib.Path) -> None:
        write(tmp_path / stem)
        path.symlink_to(tmp_path / stem)

    step = Step(repository, link, stem)
    assert (step(out).is_symlink(), step(out), step.runs) == (True, step(out), 1)
    edit_and_set_back(tmp_path / stem)
    assert (step(out).read_text(), step.runs) == ((tmp_path / stem).read_text(), 2)


@posix_only
def test_a_link_to_a_directory_is_looked_through(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    def link(path: pathlib.Path) -> None:
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        write_model(tmp_path / "store")
        path.symlink_to(tmp_path / "store")

    step = Step(repository, link, "model")
    assert (step(out), step.runs) == (step(out), 1)
    edit_and_set_back(tmp_path / "store" / "a")
    step(out)
    assert step.runs == 2


@posix_only
def test_a_pipe_in_a_directory_is_known_by_what_it_is(repository: Repository, out: pathlib.Path) -> None:
    def write(path: pathlib.Path) -> None:
        path.mkdir()
        os.mkfifo(path / "pipe")

    step = Step(repository, write, "model")
    path = step(out)
    os.utime(path / "pipe")
    assert (step(out), step.runs) == (path, 1)
    (path / "pipe").unlink()
    (path / "pipe").write_text("")
    step(out)
    assert step.runs == 2


def test_a_side_file_of_another_configuration_is_no_part(repository: Repository, out: pathlib.Path) -> None:
    runs = []

    @Artifact("outpath", config=dict, repo=repository.path, cache=True)
    def save(outpath: pathlib.Path, lr: float) -> None:
        runs.append(lr)
        write_shapefile(outpath)

    first, second = save(out / "foo.shp", 0.1), save(out / "foo.shp", 0.2)
    second.with_suffix(".dbf").unlink()
    assert (save(out / "foo.shp", 0.1), save(out / "foo.shp", 0.2), runs) == (first, second, [0.1, 0.2, 0.2])
    first.write_text("by hand")
    assert (save(out / "foo.shp", 0.2), save(out / "foo.shp", 0.1), runs[3:]) == (second, first, [0.1])


def test_a_side_directory_may_hold_what_was_there_before(repository: Repository, out: pathlib.Path) -> None:
    def write(path: pathlib.Path) -> None:
        path.write_text("page")
        files = path.with_name(f"{path.stem}_files")
        files.mkdir()
        (files / f"plot{step.runs}.png").write_text("plot")

    step = Step(repository, write, "page.html")
    path = step(out)
    path.write_text("edited")
    assert (step(out), step(out), step.runs) == (path, path, 2)
    files = path.with_name(f"{path.stem}_files")
    assert sorted(plot.name for plot in files.iterdir()) == ["plot1.png", "plot2.png"]
    (files / "plot1.png").unlink()
    step(out)
    assert step.runs == 3


_hooks: list[Callable[[str, tuple[Any, ...]], object]] = []
sys.addaudithook(lambda event, arguments: [hook(event, arguments) for hook in _hooks])  # for good: none can be removed


def test_what_is_edited_while_it_is_moved_is_not_what_was_made(repository: Repository, out: pathlib.Path) -> None:
    step = Step(repository, write_file, "foo.txt")

    def edit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename" and arguments[1] == str(path):
            pathlib.Path(arguments[0]).write_text("somebody else's")

    path = step(out)
    path.unlink()
    _hooks.append(edit)
    step(out)
    _hooks.clear()
    assert (path.read_text(), list(out.glob(".pyrepro/markers/*.json"))) == ("somebody else's", [])
    assert (step(out).read_text(), step.runs) == ("good job", 3)


def test_what_may_not_be_read_is_known_by_its_times_alone(repository: Repository, out: pathlib.Path) -> None:
    step = Step(repository, write_file, "foo.txt")

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and not arguments[1] and "foo-" in str(arguments[0]):
            raise PermissionError

    _hooks.append(refuse)
    path = step(out)
    assert (step(out), step.runs) == (path, 1)
    os.utime(path, (1_000_000_000,) * 2)
    step(out)
    _hooks.clear()
    assert step.runs == 2


def test_a_large_artifact_is_not_read_again_at_the_first_hit(repository: Repository, out: pathlib.Path) -> None:
    step = Step(repository, lambda path: path.write_bytes(bytes((16 << 20) + 1)), "foo.bin")
    step(out)
    with files_opened_in(out) as opened:
        step(out)
    assert (opened, step.runs) == ([], 1)


@posix_only
def test_a_directory_of_very_many_files_is_found_again(repository: Repository, out: pathlib.Path) -> None:
    def write(path: pathlib.Path) -> None:
        path.mkdir()
        for number in range(1000):
            (path / f"chunk{number}").touch()

    step = Step(repository, write, "array.zarr")
    path = step(out)
    assert (step(out), step(out), step.runs) == (path, path, 1)
    (path / "chunk500").unlink()
    step(out)
    assert step.runs == 2


# Read no oftener than needed


@pytest.mark.parametrize(("stem", "write", "count"), [("foo.txt", write_file, 1), ("foo.shp", write_shapefile, 3)])
def test_a_copy_is_read_once(
    stem: str, write: Any, count: int, repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    step = Step(repository, write, stem)
    step(out)
    shutil.copytree(out, tmp_path / "copy")
    with files_opened_in(tmp_path / "copy") as opened:
        for _ in range(3):
            step(tmp_path / "copy")
    assert (len(opened), step.runs) == (count, 1)


@posix_only
@pytest.mark.skipif(IS_ROOT, reason="root may write everywhere")
def test_a_copy_where_nothing_may_be_written_is_read_once(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    step = Step(repository, write_file, "foo.txt")
    step(out)
    copy = shutil.copytree(out, tmp_path / "copy")
    directories = [copy, copy / ".pyrepro", copy / ".pyrepro" / "markers"]
    for directory in directories:
        directory.chmod(0o555)
    with files_opened_in(copy) as opened:
        for _ in range(3):
            step(copy)
    for directory in directories:
        directory.chmod(0o755)
    assert (len(opened), step.runs) == (1, 1)


def test_where_no_new_file_may_be_made_a_copy_is_read_once(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments[2] & os.O_CREAT:
            raise PermissionError

    step = Step(repository, write_file, "foo.txt")
    step(out)
    copy = shutil.copytree(out, tmp_path / "copy")
    _hooks.append(refuse)
    with files_opened_in(copy) as opened:
        for _ in range(3):
            step(copy)
    _hooks.clear()
    assert (len(opened), step.runs) == (1, 1)


# Several users

as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become other users")


@pytest.fixture
def shared() -> Iterator[pathlib.Path]:
    """A directory that every user may write to; the directories of pytest are its user's alone."""
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name)
        path.chmod(0o777)
        yield path


def as_user(user: int, call: Callable[[], int], umask: int = 0o022) -> int:
    """What a call returns in a process of another user, who is in the group 2000."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of the thread that pytest-xdist has, which does not matter
        child = os.fork()
    if child == 0:
        code = 99
        try:
            os.umask(umask)
            os.setgroups([])
            os.setgid(2000)
            os.setuid(user)
            code = call()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def step(repository: Repository, shared: pathlib.Path) -> Step:
    """A step that has run once, in this process, so that all that it imports is loaded."""
    warm = shared / "warm"
    step = Step(repository, write_file, "foo.txt")
    step(warm)
    shutil.rmtree(warm)
    step.runs = 0
    return step


def runs_and_readings(step: Step, directory: pathlib.Path) -> int:
    """Ten times how often a step runs in three calls, and how many files it reads."""
    with files_opened_in(directory) as opened:
        for _ in range(3):
            step(directory)
    return 10 * step.runs + len(opened)


@as_root
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o2775])
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_artifact_of_another_user_is_found(umask: int, mode: int, step: Step, shared: pathlib.Path) -> None:
    os.chown(shared, 0, 2000)
    shared.chmod(mode)

    def make() -> int:
        step(shared).chmod(0o644)
        step(shared)
        return step.runs

    assert as_user(2001, make, umask) == 1
    assert as_user(2002, lambda: runs_and_readings(step, shared) // 10) == 0


@as_root
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_marker_that_may_not_be_replaced_costs_one_reading_and_leaves_nothing(
    mode: int, step: Step, shared: pathlib.Path
) -> None:
    shared.chmod(mode)
    assert as_user(2001, lambda: (step(shared), step.runs)[1]) == 1
    os.utime(next(shared.glob("foo*")))
    before = sorted(str(path) for path in shared.rglob("*"))
    assert as_user(2002, lambda: runs_and_readings(step, shared)) == 1
    assert sorted(str(path) for path in shared.rglob("*")) == before


@as_root
def test_what_a_second_user_makes_in_a_sticky_folder_is_complete_without_a_warning(
    repository: Repository, shared: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []

    @Artifact("outpath", config=dict, repo=repository.path, cache=True)
    def save(outpath: pathlib.Path, seed: int) -> None:
        runs.append(seed)
        outpath.write_text("good job")

    def make(seed: int) -> int:
        caplog.clear()
        for _ in range(2):
            save(shared / "foo.txt", seed)
        return 10 * len(runs) + sum(record.levelno >= logging.WARNING for record in caplog.records)

    save(shared / "warm" / "foo.txt", 0)
    runs.clear()
    shared.chmod(0o1777)
    assert as_user(2001, lambda: make(1)) == 10
    assert as_user(2002, lambda: make(2)) == 10


@as_root
def test_a_copy_in_a_folder_of_another_user_is_read_once(step: Step, shared: pathlib.Path) -> None:
    step(shared / "original")
    step.runs = 0
    shutil.copytree(shared / "original", shared / "copy")
    assert as_user(2001, lambda: runs_and_readings(step, shared / "copy")) == 1


@as_root
def test_a_folder_that_is_opened_later_is_open_to_all_that_it_is_open_to(step: Step, shared: pathlib.Path) -> None:
    os.chown(shared, 2001, 2000)
    shared.chmod(0o700)
    assert as_user(2001, lambda: (step(shared), step.runs)[1]) == 1
    shared.chmod(0o770)
    (shared / ".pyrepro").chmod(0o770)
    next(shared.glob("foo*")).unlink()
    assert as_user(2001, lambda: (step(shared), step.runs)[1]) == 1
    next(shared.glob("foo*")).unlink()
    assert as_user(2002, lambda: (step(shared), step(shared), step.runs)[2]) == 1


@pytest.mark.parametrize("is_relative", [False, True])
def test_what_a_link_to_a_directory_in_an_artifact_leads_to_counts(
    is_relative: bool, repository: Repository, tmp_path: pathlib.Path
) -> None:
    scratch = tmp_path / "scratch"
    (scratch / "deep").mkdir(parents=True)
    (scratch / "back").symlink_to(scratch)

    def write_links(path: pathlib.Path) -> None:
        path.mkdir()
        (scratch / "deep" / "weights").write_text("trained")
        (path / "weights").symlink_to(os.path.relpath(scratch, path) if is_relative else scratch)
        (path / "same").symlink_to(path / "weights")
        (path / "itself").symlink_to(".")
        (path / "above").symlink_to("..")

    step = Step(repository, write_links, "model")
    path = step(tmp_path / "out")
    assert (step(tmp_path / "out"), step.runs) == (path, 1)
    assert (path / "weights" / "deep" / "weights").read_text() == "trained"
    (scratch / "deep" / "weights").write_text("changed")
    assert (step(tmp_path / "out"), step.runs) == (path, 2)
    assert (step(tmp_path / "out"), step.runs) == (path, 2)
    shutil.rmtree(scratch / "deep")
    (scratch / "deep").mkdir()
    assert (step(tmp_path / "out"), step.runs) == (path, 3)


@pytest.mark.parametrize("is_itself", [False, True])
@pytest.mark.parametrize("is_relative", [False, True])
def test_what_a_link_to_a_file_leads_to_counts_be_it_in_an_artifact_or_the_artifact(
    is_relative: bool, is_itself: bool, repository: Repository, tmp_path: pathlib.Path
) -> None:
    weights = tmp_path / "weights"

    def write_link(path: pathlib.Path) -> None:
        weights.write_text("trained")
        link = path if is_itself else path / "weights"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(os.path.relpath(weights, link.parent) if is_relative else weights)

    step = Step(repository, write_link, "model")
    path = step(tmp_path / "out")
    assert (step(tmp_path / "out"), step.runs) == (path, 1)
    weights.write_text("changed")
    assert (step(tmp_path / "out"), step.runs) == (path, 2)
