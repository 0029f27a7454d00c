"""With atomic=True an artifact is complete or absent."""

from __future__ import annotations

import asyncio
import errno
import os
import pathlib
import shutil
import stat
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from conftest import Repository, files, posix_only
from hypothesis import given
from hypothesis import strategies as st

from pyrepro import Artifact, ArtifactMissingError, PublishError, Tag

EMPTY = "44136fa355b3"


@pytest.fixture
def name(name: Callable[..., str]) -> str:
    """What a clean name ends in, here where there is no configuration."""
    return name()


def append(outpath: Any, text: str) -> None:
    with open(outpath, "a") as outf:
        outf.write(text)


def test_the_function_writes_beside_the_target_and_the_file_is_moved_when_it_returns(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    seen = []

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        append(outpath, "good job")
        seen.append((outpath, files(out)))

    save("foo.txt")
    [(path, meanwhile)] = seen
    room, staging, written = path.split("/")
    assert (room, written) == (".pyrepro", f"foo-{name}.txt")
    assert meanwhile == {
        ".pyrepro/.gitignore": "*\n",
        f".pyrepro/{staging}.call": "",
        f".pyrepro/{staging}/foo-{name}.txt": "good job",
    }
    assert files(out) == {f"foo-{name}.txt": "good job"}


def test_an_older_artifact_is_replaced_and_cannot_be_appended_to(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    (out / f"foo-{name}.txt").write_text("old")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        append(outpath, "new")

    save("foo.txt")
    assert files(out) == {f"foo-{name}.txt": "new"}


def test_missing_parents_are_made(repository: Repository, out: pathlib.Path, name: str) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        append(outpath, "good job")

    save(out / "a" / "b" / "foo.txt")
    assert files(out) == {f"a/b/foo-{name}.txt": "good job"}


@posix_only
@pytest.mark.parametrize("options", [{"atomic": True}, {"cache": True}])
@pytest.mark.parametrize("directory", ["results", "results/run"])
def test_a_directory_that_a_link_leads_to_is_made_too(
    options: dict[str, bool], directory: str, repository: Repository, out: pathlib.Path, name: str
) -> None:
    """As where a scratch disk was cleaned."""
    (out / "results").symlink_to("scratch/me/results")

    @Artifact("outpath", repo=repository.path, **options)  # type: ignore[call-overload, untyped-decorator]
    def save(outpath: pathlib.Path) -> None:
        append(outpath, "good job")

    save(out / directory / "foo.txt")
    assert (out / "scratch" / "me" / directory / f"foo-{name}.txt").read_text() == "good job"


@posix_only
def test_a_directory_that_a_link_to_nowhere_must_be_left_for_cannot_be_made(
    repository: Repository, out: pathlib.Path
) -> None:
    (out / "results").symlink_to("scratch/me/results")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        pytest.fail("it ran")

    with pytest.raises(FileNotFoundError):
        save(out / "results" / ".." / "run" / "foo.txt")


def test_every_type_of_path_is_staged_as_what_it_is(repository: Repository, out: pathlib.Path, name: str) -> None:
    class Other:
        def __fspath__(self) -> str:
            return "d.txt"

    seen = []

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: Any) -> Any:
        seen.append(type(outpath))
        append(outpath, "good job")
        return outpath

    results = [save("./a.txt"), save(b"b.txt"), save(out / "c.txt"), save(Other())]
    assert results == [f"./a-{name}.txt", f"b-{name}.txt".encode(), out / f"c-{name}.txt", f"d-{name}.txt"]
    assert seen == [str, bytes, type(out), str]
    assert sorted(files(out)) == [f"{stem}-{name}.txt" for stem in "abcd"]


# What else the function writes


def test_side_files_are_moved_too_and_links_lead_where_they_led(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    (out / "data.csv").write_text("1")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        append(outpath, "good job")
        append(f"{outpath}.idx", "index")
        (outpath.parent / "plots").mkdir()
        append(outpath.parent / "plots" / "a.png", "plot")
        outpath.with_name("beside").symlink_to(outpath.name)
        outpath.with_name("absolute").symlink_to(outpath.absolute())
        outpath.with_name("outside").symlink_to("../../data.csv")
        outpath.with_name("elsewhere").symlink_to("/nowhere")

    save(out / "foo.txt")
    assert files(out) == {
        f"foo-{name}.txt": "good job",
        f"foo-{name}.txt.idx": "index",
        "plots/a.png": "plot",
        "data.csv": "1",
        "beside": f"-> foo-{name}.txt",
        "absolute": f"-> {out}/foo-{name}.txt",
        "outside": "-> data.csv",
        "elsewhere": "-> /nowhere",
    }


def test_links_between_the_directories_of_a_call_lead_where_they_led(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact(["data", "link", "planned"], repo=repository.path, atomic=True)
    def save(data: pathlib.Path, link: pathlib.Path, planned: pathlib.Path) -> None:
        append(data, "good job")
        link.symlink_to(data)
        link.with_name("relative").symlink_to(os.path.relpath(data, link.parent))
        planned.symlink_to(f"../runs/{data.name}")

    for _ in range(2):
        save(out / "runs" / "foo.txt", out / "latest" / "foo.txt", out / "plans" / "foo.txt")
        assert files(out) == {
            f"runs/foo-{name}.txt": "good job",
            f"latest/foo-{name}.txt": f"-> {out}/runs/foo-{name}.txt",
            "latest/relative": f"-> ../runs/foo-{name}.txt",
            f"plans/foo-{name}.txt": f"-> ../runs/foo-{name}.txt",
        }


@posix_only
def test_a_pipe_beside_an_artifact_is_moved_too(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        append(outpath, "good job")
        os.mkfifo(outpath.with_name("pipe"))

    save(out / "foo.txt")
    assert (out / "pipe").is_fifo()


def test_a_side_directory_is_merged_file_by_file(repository: Repository, out: pathlib.Path, name: str) -> None:
    (out / "plots" / "more").mkdir(parents=True)
    (out / "plots" / "old.png").write_text("old")
    (out / "plots" / f"a-{name}.png").write_text("old")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        append(outpath, "good job")
        (outpath.parent / "plots" / "more").mkdir(parents=True)
        append(outpath.parent / "plots" / f"a-{name}.png", "new")
        append(outpath.parent / "plots" / "more" / "b.png", "new")

    save(out / "foo.txt")
    assert files(out) == {
        f"foo-{name}.txt": "good job",
        f"plots/a-{name}.png": "new",
        "plots/old.png": "old",
        "plots/more/b.png": "new",
    }


def test_a_directory_is_an_artifact_and_replaces_an_older_one_whole(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str, part: str) -> str:
        os.mkdir(outpath)
        append(os.path.join(outpath, part), part)
        return outpath

    assert save("model/", "a") == f"model-{name}/"
    assert files(out) == {f"model-{name}/a": "a"}
    assert save("model", "b") == f"model-{name}"
    assert files(out) == {f"model-{name}/b": "b"}


@pytest.mark.parametrize("is_directory", [True, False])
def test_a_file_and_a_directory_replace_each_other(
    is_directory: bool, repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path, is_directory: bool) -> None:
        if is_directory:
            outpath.mkdir()
            outpath /= "part"
        append(outpath, "good job")

    save(pathlib.Path("foo"), not is_directory)
    save(pathlib.Path("foo"), is_directory)
    assert files(out) == {f"foo-{name}/part" if is_directory else f"foo-{name}": "good job"}


def test_several_paths_in_several_directories_are_staged_beside_each(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact(["table", "plots"], repo=repository.path, atomic=True)
    def save(table: str, plots: list[str] | None = None) -> Any:
        for path in (table, *(plots or [])):
            append(path, "good job")
        return table, plots

    assert save("a/t.csv") == (f"a/t-{name}.csv", None)
    save("a/t.csv", ["b.png", "a/c.png", "a/c.png"])
    assert files(out) == {f"a/t-{name}.csv": "good job", f"b-{name}.png": "good job", f"a/c-{name}.png": "good job" * 2}


def test_decorated_functions_can_call_each_other_with_the_same_path(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    decorate = Artifact("outpath", repo=repository.path, atomic=True)

    @decorate
    def inner(outpath: str) -> str:
        append(outpath, "inner")
        append(f"{outpath}.side", "side")
        return outpath

    @decorate
    def outer(outpath: str) -> str:
        path = inner(outpath)
        assert path == outpath
        append(path, " and outer")
        return path

    assert outer("out/foo.txt") == f"out/foo-{name}.txt"
    assert files(out) == {f"out/foo-{name}.txt": "inner and outer", f"out/foo-{name}.txt.side": "side"}


# What the function returns


def test_a_staged_path_that_is_returned_is_the_final_one(repository: Repository, out: pathlib.Path, name: str) -> None:
    returns: Any = None

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> Any:
        append(outpath, "good job")
        return returns(outpath)

    cases: list[tuple[Any, Any]] = [
        (lambda path: path, f"foo-{name}.txt"),
        (os.path.abspath, str(out / f"foo-{name}.txt")),
        (pathlib.Path, pathlib.Path(f"foo-{name}.txt")),
        (os.fsencode, f"foo-{name}.txt".encode()),
        (lambda path: [path, 3], [f"foo-{name}.txt", 3]),
        (lambda path: (path, pathlib.Path(path)), (f"foo-{name}.txt", pathlib.Path(f"foo-{name}.txt"))),
        (lambda path: [[path], None], [[f"foo-{name}.txt"], None]),
        (lambda path: {"path": path, "loss": 0.1}, {"path": f"foo-{name}.txt", "loss": 0.1}),
        (lambda path: path + ".idx", f"foo-{name}.txt.idx"),
        (os.path.dirname, "."),
        (lambda path: os.path.dirname(path) + "/", "./"),
        (lambda path: os.path.dirname(os.path.abspath(path)), str(out)),
        (lambda path: "other", "other"),
        (lambda path: None, None),
    ]
    for returns, expected in cases:  # noqa: B007
        returned = save("foo.txt")
        assert (type(returned), returned) == (type(expected), expected)


def test_a_value_without_staged_paths_is_the_very_value(repository: Repository, out: pathlib.Path) -> None:
    value = [1, "a", {"deep": "value"}]

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> Any:
        append(outpath, "good job")
        return value

    assert save("foo.txt") is value


# When it does not come to its end


def test_a_function_that_writes_nothing_is_told_so(repository: Repository, out: pathlib.Path, name: str) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        return None

    with pytest.raises(ArtifactMissingError) as error:
        save("foo.txt")
    assert error.value.path == str(out / f"foo-{name}.txt")
    assert str(error.value) == (
        f"the function returned without writing {out}/foo-{name}.txt; it wrote nothing. "
        f"Write to the very path that is passed to it."
    )
    assert files(out) == {}


def test_what_a_function_wrote_under_another_name_is_not_thrown_away(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        append(f"{outpath}.npy", "hours of work")

    with pytest.raises(ArtifactMissingError) as error:
        save("foo")
    assert str(error.value) == (
        f"the function returned without writing {out}/foo-{name}; it wrote {out}/foo-{name}.npy. "
        f"Write to the very path that is passed to it."
    )
    assert files(out) == {f"foo-{name}.npy": "hours of work"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_nothing_is_left_of_a_call_that_raises(
    error: type[BaseException], repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        append(outpath, "half a fi")
        append(f"{outpath}.idx", "index")
        raise error

    with pytest.raises(error):
        save("foo.txt")
    assert files(out) == {}


@pytest.mark.parametrize("status", [None, 0])
def test_a_function_that_exits_as_if_all_were_well_is_told_what_is_removed(
    status: int | None, repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        append(outpath, "hours of work")
        sys.exit(status)

    with pytest.raises(SystemExit):
        save("foo.txt")
    assert caplog.messages == [
        f"{save.__qualname__} ended with sys.exit(), which may be too early, so what it wrote is removed: "
        f"foo-{name}.txt; let it return, or catch SystemExit in it"
    ]
    assert files(out) == {}


def test_a_function_that_exits_before_it_wrote_or_with_an_error_is_told_nothing(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True, ignore="write")
    def save(outpath: str, write: bool) -> None:
        if write:
            append(outpath, "half a fi")
        sys.exit(int(write))

    for write in (False, True):
        with pytest.raises(SystemExit):
            save("foo.txt", write)
    assert caplog.messages == []


@posix_only
def test_a_forked_child_that_exits_is_told_nothing(repository: Repository) -> None:
    repository.commit(
        step="""\
import os, pathlib, sys
from pyrepro import Artifact

@Artifact("outpath", atomic=True)
def save(outpath):
    pathlib.Path(outpath).write_text("good job")
    if os.fork() == 0:
        sys.exit()
    os.wait()

save("foo.txt")
"""
    )
    assert repository.run("step.py").stderr == ""


def test_an_older_artifact_survives_a_call_that_raises(repository: Repository, out: pathlib.Path, name: str) -> None:
    (out / f"foo-{name}.txt").write_text("old")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        append(outpath, "half a fi")
        raise ValueError

    with pytest.raises(ValueError):
        save("foo.txt")
    assert files(out) == {f"foo-{name}.txt": "old"}


def test_nothing_is_left_of_a_task_that_is_cancelled(repository: Repository, out: pathlib.Path, name: str) -> None:
    began = asyncio.Event()

    @Artifact("outpath", repo=repository.path, atomic=True)
    async def save(outpath: str, event: asyncio.Event) -> str:
        append(outpath, "half a fi")
        began.set()
        await event.wait()
        append(outpath, "le")
        return outpath

    async def main() -> str:
        task = asyncio.create_task(save("foo.txt", asyncio.Event()))
        await began.wait()
        assert len(files(out)) == 3
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert files(out) == {}
        return await save("foo.txt", began)

    assert asyncio.run(main()) == f"foo-{name}.txt"
    assert files(out) == {f"foo-{name}.txt": "half a file"}


@pytest.fixture
def limited() -> Iterator[Any]:
    """Sets how large files may get."""
    resource = pytest.importorskip("resource", reason="only POSIX limits how large files may get")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_nothing_is_left_where_a_write_fails(
    repository: Repository, out: pathlib.Path, limited: Any, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.write_bytes(b"x" * 100_000)

    limited(50_000)
    with pytest.raises(OSError) as error:
        save(out / "foo.bin")
    assert error.value.errno == errno.EFBIG
    assert files(out) == {}
    limited(200_000)
    save(out / "foo.bin")
    assert files(out) == {f"foo-{name}.bin": "x" * 100_000}


@given(st.integers(0, 5), st.booleans())
def test_a_call_that_raises_at_any_point_leaves_all_or_nothing(
    repository_once: Repository, out_once: pathlib.Path, steps: int, is_first: bool
) -> None:
    name = f"{repository_once.head[:12]}-{EMPTY}"
    shutil.rmtree(out_once)
    out_once.mkdir()
    complete = {f"foo-{name}/{step}": "good job" for step in range(5)}

    @Artifact("outpath", repo=repository_once.path, atomic=True)
    def save(outpath: pathlib.Path, steps: int) -> None:
        outpath.mkdir()
        for step in range(5):
            if step == steps:
                raise ValueError(step)
            append(outpath / str(step), "good job")

    if not is_first:
        save(out_once / "foo", 5)
    try:
        save(out_once / "foo", steps)
    except ValueError:
        assert files(out_once) == ({} if is_first else complete)
    else:
        assert files(out_once) == complete


@pytest.fixture(scope="module")
def out_once(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("out_once")


# The room


def test_the_repository_stays_clean_while_a_function_writes_into_it(repository: Repository, name: str) -> None:
    status = []

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        append(outpath, "good job")
        status.append(repository.git("status", "--porcelain"))

    save(repository.path / "foo.txt")
    assert status == [""]
    assert repository.git("status", "--porcelain") == f"?? foo-{name}.txt"


@posix_only
def test_the_room_has_the_mode_of_its_parent(repository: Repository, out: pathlib.Path) -> None:
    modes = []
    out.chmod(0o2770)

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        append(outpath, "good job")
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in (outpath.parent, outpath.parent.parent))

    save(out / "foo.txt")
    assert modes == [0o2770, 0o2770]


def test_what_others_keep_in_the_room_stays(repository: Repository, out: pathlib.Path, name: str) -> None:
    (out / ".pyrepro").mkdir()
    (out / ".pyrepro" / "other").write_text("kept")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        append(outpath, "good job")

    save("foo.txt")
    assert files(out) == {f"foo-{name}.txt": "good job", ".pyrepro/.gitignore": "*\n", ".pyrepro/other": "kept"}


def test_calls_at_once_leave_no_room_and_every_artifact(repository: Repository, out: pathlib.Path, name: str) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        append(outpath / "part", "good job")
        (outpath.parent / "plots").mkdir()
        append(outpath.parent / "plots" / outpath.name, "plot")

    stems = ["same"] * 8 + [f"foo{number}" for number in range(24)]
    errors: list[BaseException] = []

    def call(stem: str) -> None:
        for _ in range(5):
            try:
                save(out / stem)
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=call, args=(stem,)) for stem in stems]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert files(out) == {f"{stem}-{name}/part": "good job" for stem in stems} | {
        f"plots/{stem}-{name}": "plot" for stem in stems
    }


def test_a_call_that_enters_the_room_while_another_leaves_it_finds_it_ignored(
    repository: Repository, out: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rmdir, entered = os.rmdir, out / ".pyrepro" / "another call"

    def enter(path: Any, **options: Any) -> None:
        if str(path) == str(out / ".pyrepro"):
            entered.mkdir()
        rmdir(path, **options)

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        append(outpath, "good job")

    monkeypatch.setattr(os, "rmdir", enter)
    save("foo.txt")
    assert files(out) == {f"foo-{name}.txt": "good job", ".pyrepro/.gitignore": "*\n", ".pyrepro/another call/": ""}


def test_a_room_that_another_call_removes_is_made_again(
    repository: Repository, out: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir, removed = os.mkdir, []

    def remove(path: Any, *mode: int) -> None:
        mkdir(path, *mode)
        if str(path).endswith(".pyrepro") and len(removed) < 3:
            removed.append(path)
            os.rmdir(path)

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        append(outpath, "good job")

    monkeypatch.setattr(os, "mkdir", remove)
    save("foo.txt")
    assert len(removed) == 3
    assert files(out) == {f"foo-{name}.txt": "good job"}


def test_a_room_that_may_not_be_removed_stays(
    repository: Repository, out: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rmdir = os.rmdir

    def refuse(path: Any, **options: Any) -> None:
        if str(path).endswith(".pyrepro"):
            raise PermissionError(errno.EACCES, "Permission denied")
        rmdir(path, **options)

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        append(outpath, "good job")

    monkeypatch.setattr(os, "rmdir", refuse)
    save("foo.txt")
    assert files(out) == {f"foo-{name}.txt": "good job", ".pyrepro/": ""}


def test_where_nothing_can_be_synced_everything_is_published(
    repository: Repository, out: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        append(outpath, "good job")

    monkeypatch.setattr(os, "fsync", fsync)
    save("foo.txt")
    assert files(out) == {f"foo-{name}.txt": "good job"}


def test_a_file_is_synced_once_and_nothing_else_is(
    repository: Repository, out: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, synced = os.fsync, []

    def watched(descriptor: int) -> None:
        synced.append(stat.S_IFMT(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        append(outpath / "weights", "good job")
        append(f"{outpath}.log", "good job")

    monkeypatch.setattr(os, "fsync", watched)
    save(out / "model")
    assert synced == [stat.S_IFREG] * 2


def test_a_directory_that_another_call_has_just_published_is_replaced(
    repository: Repository, out: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, target = os.rename, out / f"model-{name}"
    published = []

    def publish_first(source: Any, path: Any) -> None:
        if str(path) == str(target) and not published:
            published.append(path)
            target.mkdir()
            append(target / "part", "of another call")
        rename(source, path)

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        os.mkdir(outpath)
        append(os.path.join(outpath, "part"), "good job")

    monkeypatch.setattr(os, "rename", publish_first)
    save("model")
    assert files(out) == {f"model-{name}/part": "good job"}


def test_an_older_directory_comes_back_when_the_new_one_cannot_be_moved(
    repository: Repository, out: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, target = os.rename, out / f"model-{name}"

    def refuse(source: Any, path: Any) -> None:
        if str(path) == str(target) and os.path.exists(os.path.join(source, "part")):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, path)

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        os.mkdir(outpath)
        append(os.path.join(outpath, "part"), "good job")

    target.mkdir()
    append(target / "old", "old")
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(PublishError, match="Input/output error") as error:
        save("model")
    [kept] = error.value.kept
    assert files(out) == {
        ".pyrepro/.gitignore": "*\n",
        f"{os.path.relpath(kept, out)}/part": "good job",
        f"model-{name}/old": "old",
    }


# What cannot be published


def test_a_path_object_that_is_no_local_path_is_refused(repository: Repository) -> None:
    class Remote:
        name = "foo.txt"

        def with_name(self, name: str) -> Remote:
            return self

        def __repr__(self) -> str:
            return "Remote()"

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: Any) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ValueError) as error:
        save(Remote())
    assert str(error.value) == "Remote() is neither a local path nor a URL nor a UPath; pass one of these"


def a_generator(outpath: str) -> Iterator[int]:
    yield 1


async def an_async_generator(outpath: str) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [a_generator, an_async_generator])
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"atomic": True}, "atomic=True and cache=True"),
        ({"cache": True}, "atomic=True and cache=True"),
        ({"record": True}, "atomic=True, cache=True and record=True"),
    ],
)
def test_a_generator_function_is_refused_at_the_decoration(options: Any, named: str, function: Any) -> None:
    with pytest.raises(TypeError) as error:
        Artifact("outpath", **options)(function)
    assert str(error.value) == (
        f"Artifact {named} cannot publish the output of the generator function {function.__name__}, "
        f"whose caller may never exhaust it; leave them out, or decorate a function that returns"
    )


# Without atomic


def test_without_atomic_no_directory_is_made(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(outpath: str) -> list[str]:
        return os.listdir(out)

    assert save("foo.txt") == []
    with pytest.raises(FileNotFoundError):
        Artifact("outpath", repo=repository.path)(append)("no/foo.txt", "")


def test_code_that_the_function_loads_gives_what_it_staged_its_true_name(
    repository: Repository, tmp_path: pathlib.Path
) -> None:
    repository.commit(
        late=f"""\
import sys
from pyrepro import Artifact

@Artifact("outpath", atomic=True)
def inner(outpath):
    import forgotten
    open(outpath, "w").write("good")
    return outpath

@Artifact("outpath", atomic=True)
def save(outpath):
    inner(outpath)
    open(outpath + ".idx", "w").write("index")
    return outpath

print(save("{tmp_path}/foo.txt"))
"""
    )
    repository.write("forgotten.py")
    done = repository.run("late.py")
    [artifact] = tmp_path.glob("foo*.txt")
    assert done.stdout == f"{artifact}\n"
    assert Tag.from_path(artifact).changes is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == [artifact.name, f"{artifact.name}.idx", "repository"]
    assert done.stderr.startswith("modules whose code no commit holds were loaded, too late to refuse: the work tree")
