"""What killed calls left behind is removed by a later publication, and nothing else is."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Repository, files, posix_only, wait_until

from pyrepro import Artifact, PublishError

pytestmark = posix_only

RUNNING = """\
import os, time
from pyrepro import Artifact

@Artifact("outpath", {option})
def save(outpath):
    with open(outpath, "w") as file:
        file.write("half a file")
    open("begun", "w").close()
    time.sleep(600)

save("foo.txt")
"""


@pytest.fixture(params=["atomic=True", "cache=True"])
def running(request: Any, repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A process in the middle of a call."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # one that is killed leaves half a file of it
    repository.commit(running=RUNNING.format(option=request.param))
    with subprocess.Popen([sys.executable, str(repository.path / "running.py")]) as process:
        wait_until((out / "begun").exists, process)
        yield process
        process.kill()


def age(out: pathlib.Path, seconds: float) -> pathlib.Path:
    """Make what is staged older; the file that the call has written."""
    [staged] = out.glob(".pyrepro/*/foo*")
    when = time.time() - seconds
    os.utime(staged.parent, (when, when))
    return staged


def leave_staged(out: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """What a call that was killed long ago has left: what it had written, and its lock file."""
    staged, lock_file = out / ".pyrepro" / "0123456789abcdef" / "foo", out / ".pyrepro" / "0123456789abcdef.call"
    staged.parent.mkdir(parents=True)
    staged.write_text("ten hours")
    lock_file.touch()
    os.utime(staged.parent, (1e9, 1e9))
    return staged, lock_file


@pytest.fixture
def publish(repository: Repository) -> Any:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text("good job")

    return save


def test_what_a_killed_call_left_is_removed_after_a_day(running: Any, publish: Any, out: pathlib.Path) -> None:
    running.send_signal(signal.SIGKILL)
    running.wait()
    staged = age(out, 86_300)
    publish("bar.txt")
    assert staged.exists()
    age(out, 86_500)
    publish("bar.txt")
    assert not staged.parent.exists()
    assert not [*out.glob(".pyrepro/*.call")]


@pytest.mark.parametrize("running", ["cache=True"], indirect=True)
def test_the_lock_of_a_killed_call_is_removed_after_a_day_whatever_is_published_next(
    running: Any, publish: Any, out: pathlib.Path
) -> None:
    [lock_file] = out.glob(".pyrepro/*.lock")
    os.utime(lock_file, (1e9, 1e9))
    publish("bar.txt")
    assert lock_file.exists()  # it is held
    running.send_signal(signal.SIGKILL)
    running.wait()
    os.utime(lock_file)
    publish("bar.txt")
    assert lock_file.exists()  # as somebody may look for what was killed
    os.utime(lock_file, (1e9, 1e9))
    publish("bar.txt")
    assert not lock_file.exists()


def test_what_was_to_become_a_marker_when_a_call_was_killed_is_removed_after_a_day(
    publish: Any, out: pathlib.Path
) -> None:
    half = out / ".pyrepro" / "0123456789abcdef"
    half.parent.mkdir()
    half.write_text('{"pyrepro": 1, "arti')
    publish("bar.txt")
    assert half.exists()
    os.utime(half, (1e9, 1e9))
    publish("bar.txt")
    assert not (out / ".pyrepro").exists()


def test_what_a_running_call_writes_stays_however_old_it_is(running: Any, publish: Any, out: pathlib.Path) -> None:
    staged = age(out, 1e6)
    publish("bar.txt")
    assert staged.read_text() == "half a file"


def test_what_a_call_on_another_host_left_is_removed_after_thirty_days(
    repository: Repository, publish: Any, out: pathlib.Path
) -> None:
    elsewhere = "import os\nos.uname = lambda: os.uname_result(['Linux', 'another-host', '', '', ''])\n"
    repository.commit(running=elsewhere + RUNNING.format(option="atomic=True"))
    with subprocess.Popen([sys.executable, str(repository.path / "running.py")]) as process:
        wait_until((out / "begun").exists, process)
        process.kill()
    # It may still run, since its lock may not reach this host.
    staged = age(out, 29 * 86_400)
    publish("bar.txt")
    assert staged.exists()
    age(out, 31 * 86_400)
    publish("bar.txt")
    assert not staged.parent.exists()


def test_a_call_that_was_killed_before_it_had_a_directory_leaves_a_lock_file_for_a_day(
    publish: Any, out: pathlib.Path
) -> None:
    lock_file = out / ".pyrepro" / "0123456789abcdef.call"
    lock_file.parent.mkdir()
    lock_file.touch()
    publish("bar.txt")
    assert lock_file.exists()
    os.utime(lock_file, (1e9, 1e9))
    publish("bar.txt")
    assert not (out / ".pyrepro").exists()


@pytest.fixture
def shared() -> Iterator[pathlib.Path]:
    """A directory that every user of this machine reaches."""
    path = pathlib.Path(tempfile.mkdtemp())
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@contextlib.contextmanager
def for_whom_modes_count() -> Iterator[None]:
    codecs.lookup("ascii")  # another user may not be able to import it
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_read_only_directories_of_a_call_that_raises_are_removed(repository: Repository, shared: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        (outpath / "inner").mkdir(parents=True)
        (outpath / "inner" / "part").write_text("copied")
        (outpath / "elsewhere").symlink_to(shared / "data")
        for path in (outpath / "inner", outpath):
            path.chmod(0o555)
        raise ValueError("mine")

    (shared / "data").mkdir(mode=0o555)
    with for_whom_modes_count(), pytest.raises(ValueError, match="mine"):
        save(shared / "foo")
    assert files(shared) == {"data/": ""}
    assert stat.S_IMODE((shared / "data").stat().st_mode) == 0o555


@pytest.mark.parametrize("mode", [0o755, 0o555])
def test_read_only_directories_that_a_call_replaces_are_removed_unless_somebody_else_made_them_so(
    mode: int, repository: Repository, shared: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path, text: str) -> None:
        for inner, inner_mode in (("copied", 0o555), ("own", 0o755)):
            (outpath / inner).mkdir(parents=True)
            (outpath / inner / "part").write_text(text)
            (outpath / inner).chmod(inner_mode)
        outpath.chmod(mode)

    with for_whom_modes_count():
        for text in ("old", "corrected"):
            save(shared / "foo", text)
        [path] = shared.iterdir()
        (path / "own").chmod(0o555)
        save(shared / "foo", "new")
    assert {*files(path).values()} == {"new"}
    [aside] = shared.glob(".pyrepro/*~")
    assert {*files(aside).values()} == {"corrected"}
    assert caplog.messages == [
        f"what was there before is kept in {aside}; remove it if it is not needed, or let who owns it do so"
    ]


def test_read_only_directories_of_a_killed_call_are_removed(
    repository: Repository, shared: pathlib.Path, publish: Any
) -> None:
    with for_whom_modes_count():
        staged, _ = leave_staged(shared)
        inner = staged.with_name("inner")
        inner.mkdir()
        staged.rename(inner / "foo")
        inner.chmod(0o555)
        os.utime(inner.parent, (1e9, 1e9))
        publish(shared / "bar")
    assert [path.name.split("-")[0] for path in shared.iterdir()] == ["bar"]


@pytest.fixture
def mount(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system that keeps a file that is removed while it is open under another name, as NFS does."""
    bindfs, place, path = shutil.which("bindfs"), tmp_path / "real", tmp_path / "mount"
    place.mkdir()
    path.mkdir()
    done = bindfs and subprocess.run([bindfs, place, path], capture_output=True)
    if not done or done.returncode:
        pytest.skip(f"no such file system can be mounted: {done and done.stderr.decode().strip()}")
    yield path
    subprocess.run(["fusermount", "-u", path], check=True)


@pytest.mark.parametrize("error", [ValueError("mine"), None])
def test_a_directory_with_a_removed_file_that_is_still_open_is_removed_later_and_the_file_is_no_output(
    error: ValueError | None, repository: Repository, publish: Any, mount: pathlib.Path
) -> None:
    opened = []

    @Artifact("outpath", repo=repository.path, atomic=True, ignore="error")
    def save(outpath: pathlib.Path) -> None:
        outpath.write_text("good job")
        scratch = outpath.with_name("scratch")
        opened.append(scratch.open("w"))
        if error is not None:
            raise error
        scratch.unlink()

    with contextlib.suppress(ValueError):
        save(mount / "foo")
    assert [path.name.split("-")[0] for path in mount.glob("[!.]*")] == ([] if error else ["foo"])
    opened[0].close()
    assert [*mount.glob(".fuse*")] == []
    for path in mount.glob(".pyrepro/*"):
        os.utime(path, (1e9, 1e9))
    publish(mount / "bar")
    assert not (mount / ".pyrepro").exists()


def test_what_could_not_be_put_in_place_is_kept_for_ever(repository: Repository, out: pathlib.Path) -> None:
    (out / "runs.csv").write_text("row 1")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.write_text("good job")
        (outpath.parent / "runs.csv").write_text("row 2")

    with pytest.raises(OSError) as error:
        save(out / "foo.txt")
    [kept] = error.value.kept  # type: ignore[attr-defined]
    os.utime(os.path.dirname(kept), (1e9, 1e9))
    (out / "runs.csv").unlink()
    save(out / "foo.txt")
    assert pathlib.Path(kept).read_text() == "row 2"


@pytest.mark.parametrize("has_fcntl", [True, False])
def test_what_is_kept_stays_where_the_lock_file_could_not_be_removed(
    has_fcntl: bool, repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system that has become read-only, or where another one was mounted over the directory."""
    import filelock  # noqa: F401 (it looks for fcntl, too)

    monkeypatch.setitem(sys.modules, "fcntl", sys.modules["fcntl"] if has_fcntl else None)  # type: ignore[arg-type]
    unlink = os.unlink

    def unlink_others(path: Any, **options: Any) -> None:
        if os.fspath(path).endswith(".call"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        unlink(path, **options)

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.write_text("good job")
        (outpath.parent / "runs.csv").write_text("row 2")

    (out / "runs.csv").write_text("row 1")
    with monkeypatch.context() as read_only:
        read_only.setattr(os, "unlink", unlink_others)
        with pytest.raises(PublishError) as error:
            save(out / "foo.txt")
    [kept] = map(pathlib.Path, error.value.kept)
    [lock_file] = out.glob(".pyrepro/*.call")
    for path in (kept.parent, lock_file):
        os.utime(path, (1e9, 1e9))
    (out / "runs.csv").unlink()
    for _ in range(2):
        save(out / "foo.txt")
        assert (kept.read_text(), lock_file.exists()) == ("row 2", False)


def test_where_there_are_no_locks_nothing_is_left_to_remove(
    publish: Any, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def no_locks(*args: Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    publish("bar.txt")
    assert [path.split("-")[0] for path in files(out)] == ["bar"]


@pytest.mark.parametrize("suffix", [".call", ".lock"])
def test_where_there_are_no_locks_the_file_of_a_call_that_may_be_under_way_stays(
    publish: Any, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    import fcntl

    def no_locks(*args: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    lock_file = out / ".pyrepro" / f"{'0123456789abcdef' * (2 if suffix == '.lock' else 1)}{suffix}"
    lock_file.parent.mkdir()
    lock_file.touch()
    os.utime(lock_file, (1e9, 1e9))
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", no_locks)
        publish("bar.txt")
        assert lock_file.exists()
    publish("bar.txt")
    assert not lock_file.exists()


def test_where_there_are_no_locks_a_cached_call_leaves_its_marker_alone(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def no_locks(*args: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text("good job")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    save("foo.txt")
    # It would grow with the artifacts, and calls list it.
    assert sorted(os.listdir(out / ".pyrepro")) == [".gitignore", "markers"]


def test_where_there_is_no_fcntl_what_a_killed_call_left_is_told_from_what_is_under_way(
    publish: Any, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import filelock

    monkeypatch.setitem(sys.modules, "fcntl", None)
    staged, lock_file = leave_staged(out)
    with filelock.FileLock(lock_file):
        publish("bar.txt")
        assert staged.exists()
    publish("bar.txt")
    assert [path.split("-")[0] for path in files(out)] == ["bar"]


def test_what_a_call_keeps_is_not_removed_by_one_that_takes_it_for_abandoned_just_then(
    publish: Any, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    flock = fcntl.flock
    staged, lock_file = leave_staged(out)

    def end_before_lock(*args: Any) -> None:
        lock_file.unlink(missing_ok=True)
        flock(*args)

    publish("bar.txt")
    assert not staged.exists()  # it would be removed
    staged, lock_file = leave_staged(out)
    monkeypatch.setattr(fcntl, "flock", end_before_lock)
    publish("bar.txt")
    assert staged.read_text() == "ten hours"


def test_a_function_that_closes_the_descriptors_that_it_did_not_open_is_published(
    repository: Repository, out: pathlib.Path
) -> None:
    descriptors = pathlib.Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("the platform does not list open files")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.write_text("good job")
        [lock] = [one for one in descriptors.iterdir() if os.path.islink(one) and os.readlink(one).endswith(".call")]
        os.close(int(lock.name))

    save(out / "foo.txt")
    assert [*files(out).values()] == ["good job"]
