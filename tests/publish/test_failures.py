"""Whatever fails after the function has returned: what it wrote is in place, or named in the error."""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Repository, files, posix_only

from pyrepro import Artifact, PublishError

pytestmark = posix_only

INJECTED = """\
import collections, contextlib, errno, os, signal, sys
from pyrepro import Artifact, PublishError

WORK = {{"": "weights", ".idx": "index"}}

def begin():
    pass

@Artifact("outpath", config=dict, {option})
def save(outpath, number):
    os.mkdir(outpath) if {is_directory} else None
    for suffix, content in WORK.items():
        with open((outpath + "/part" if {is_directory} and not suffix else outpath + suffix), "w") as file:
            file.write(content)
    with open(os.path.join(os.path.dirname(outpath), "runs.csv"), "w") as file:
        file.write("rows")
    os.symlink(os.path.abspath(outpath), os.path.join(os.path.dirname(outpath), f"link-{{number}}"))
    begin()

# Of the calls of C functions those of the operating system are told, which may fail.
def asks_the_system(frame, event, argument):
    # A record looks at each installed distribution in the same way, so that one of the hundreds stands for all.
    if frame.f_code.co_name == "_fingerprint_of" and "rfc8785" not in frame.f_locals["path"]:
        return False
    never_fail = ("fspath", "getpid", "urandom", "strerror", "fsencode", "_path_normpath", "_path_splitroot_ex")
    return event == "c_call" and getattr(argument, "__name__", "") not in never_fail and (
        getattr(argument, "__module__", None) == "posix"
        or type(getattr(argument, "__self__", None)).__module__ == "_io"
        or argument is open
    )

def fail_at(moment, fail):
    left = iter(range(moment))

    def watch(frame, event, argument):
        if asks_the_system(frame, event, argument) and next(left, None) is None:
            sys.setprofile(None)
            fail()

    global begin
    begin = lambda: sys.setprofile(watch)

def in_child(function):
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        with open(writable, "w") as told:
            try:
                print(function(), file=told)
            except BaseException as error:
                print(f"{{type(error).__name__}}: {{error}}", file=told)
                told.flush()
                os._exit(1)
        os._exit(0)
    os.close(writable)
    with open(readable) as answer:
        text = answer.read()
    return os.waitpid(child, 0)[1], text.strip()

def count(number):
    happened = []
    global begin
    begin = lambda: sys.setprofile(lambda *call: asks_the_system(*call) and happened.append(1))
    save("foo", number)
    sys.setprofile(None)
    return len(happened)

def contents(directory):
    found = collections.defaultdict(list)
    for above, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(above, name)
            if not os.path.islink(path):
                with open(path, errors="replace") as file:
                    found[file.read()].append(path)
    return found

def check(number, status, told):
    path = os.path.abspath(save.tagged("foo", number))
    artifact = path + "/part" if {is_directory} else path
    if os.path.lexists(path):
        assert open(artifact).read() == "weights", "half an artifact"
        assert os.path.exists(path + ".idx"), "an artifact without what belongs to it"
    found = contents(".")
    assert "old rows" in found, "what was there is gone"
    for content in (*WORK.values(), "rows"):
        assert found[content], f"{{content}} is gone"
    if os.WIFSIGNALED(status):
        return
    place = os.path.abspath("runs.csv")
    for content, places in (("weights", [artifact]), ("index", [path + ".idx"]), ("rows", [place])):
        paths = [os.path.abspath(one) for one in found[content]]
        named = [one for one in paths if any(part in told for part in (one, os.path.dirname(one)))]
        assert any(one in places for one in paths) or named, (content, paths)

os.makedirs("out")
os.chdir("out")
save("first", -1)
moments = int(in_child(lambda: count(-2))[1])
fails = [lambda code=code: (_ for _ in ()).throw(OSError(code, os.strerror(code))) for code in {codes}]
fails.append(lambda: os.kill(os.getpid(), signal.SIGKILL))
number, outcomes = 0, collections.Counter()
for moment in range(moments):
    # Each of the errors in turn, and now and then a kill.
    for fail in (fails[moment % len({codes})], *([] if moment % 3 else [fails[-1]])):
        number += 1
        os.mkdir(str(number))
        os.chdir(str(number))
        with open("runs.csv", "w") as file:
            file.write("old rows")
        status, told = in_child(lambda: (fail_at(moment, fail), save("foo", number))[1])
        try:
            check(number, status, told)
        except AssertionError as error:
            print("at", moment, "of", moments, number, type(error).__name__, error, "told:", told, sorted(contents(".").values()))
        outcomes[told.partition(":")[0] or "killed"] += 1
        os.chdir("..")
print(moments > 20, sorted(outcomes))
"""


@pytest.mark.parametrize(("option", "is_directory"), [("atomic=True", False), ("cache=True, record=True", True)])
def test_at_every_call_of_the_system_a_failure_or_a_kill_leaves_the_work_in_place_or_named(
    option: str, is_directory: bool, repository: Repository, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # a process that is killed leaves half a file of it
    codes = [errno.ENOSPC, errno.EACCES, errno.EIO, errno.EROFS, errno.ENAMETOOLONG]
    program = INJECTED.format(option=option, is_directory=is_directory, codes=codes)
    repository.commit(injected=program)
    done = repository.run(repository.path / "injected.py", cwd=tmp_path)
    assert done.stdout == "True ['PublishError', 'killed']\n", done.stdout + done.stderr[-2000:]


# One step at a time


@pytest.fixture
def name(name: Callable[..., str]) -> str:
    """What a clean name ends in, here where there is no configuration."""
    return name()


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[..., bool], BaseException], None]:
    """Makes a function of the operating system fail for some of its arguments."""

    def refuse(function: str, is_refused: Callable[..., bool], error: BaseException) -> None:
        real = getattr(os, function)

        def refusing(*args: Any, **options: Any) -> Any:
            if is_refused(*args):
                raise error
            return real(*args, **options)

        monkeypatch.setattr(os, function, refusing)

    return refuse


def os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@pytest.fixture
def save(repository: Repository, out: pathlib.Path) -> Any:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path, returns: Callable[[pathlib.Path], Any] = lambda path: None) -> Any:
        outpath.write_text("ten hours")
        outpath.with_name("side").write_text("side")
        return returns(outpath)

    return save


def test_what_does_not_reach_the_disk_is_kept(save: Any, out: pathlib.Path, refuse: Any, name: str) -> None:
    refuse("fsync", lambda descriptor: True, os_error(errno.EIO))
    with pytest.raises(PublishError) as error:
        save(out / "foo")
    staging = os.path.dirname(error.value.kept[0])
    assert str(error.value).splitlines()[0] == "this could not be put in place:"
    assert sorted(str(error.value).splitlines()[1:-1]) == [
        f"  {out}/foo-{name}: Input/output error; it is kept as {staging}/foo-{name}",
        f"  {out}/side: Input/output error; it is kept as {staging}/side",
    ]
    assert files(pathlib.Path(staging)) == {f"foo-{name}": "ten hours", "side": "side"}


def test_an_interrupt_after_the_function_has_returned_leaves_what_it_wrote(
    save: Any, out: pathlib.Path, refuse: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    refuse("fsync", lambda descriptor: True, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        save(out / "foo")
    [staged] = out.glob(".pyrepro/*/foo*")
    assert staged.read_text() == "ten hours"
    assert [record.message for record in caplog.records] == [
        f"not everything that was written was put in place; it is kept in {staged.parent}"
    ]


class Raises(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise RuntimeError("cannot be looked into")


class RaisesItself(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise RuntimeError("cannot be looked into")


def test_what_was_returned_never_costs_what_was_written(save: Any, out: pathlib.Path, name: str) -> None:
    returned = Raises()
    assert save(out / "foo", lambda path: returned) is returned
    assert (out / f"foo-{name}").read_text() == "ten hours"


@pytest.mark.parametrize("kind", [Raises, RaisesItself])
def test_what_cannot_be_looked_into_is_a_value_of_its_own(
    kind: Any, repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> Any:
        outpath.write_text("ten hours")
        return kind()

    with pytest.raises(TypeError, match="returned"):
        save(out / "foo")
    assert (out / f"foo-{name}").read_text() == "ten hours"


@posix_only
def test_what_cannot_be_looked_into_is_kept(save: Any, out: pathlib.Path) -> None:
    def replace(path: pathlib.Path) -> Any:
        shutil.rmtree(path.parent)
        path.parent.write_text("not a directory any more")
        return Raises()

    with pytest.raises(PublishError) as error:
        save(out / "foo", replace)
    assert pathlib.Path(error.value.kept[0]).read_text() == "not a directory any more"


def test_a_read_only_artifact_that_cannot_be_moved_aside_stays(
    save: Any, out: pathlib.Path, refuse: Any, name: str
) -> None:
    (out / f"foo-{name}").write_text("kept")
    (out / f"foo-{name}").chmod(0o444)
    refuse("rename", lambda source, path: "~" in str(path), os_error(errno.EPERM))
    with pytest.raises(PublishError) as error:
        save(out / "foo")
    [kept] = error.value.kept
    assert (out / f"foo-{name}").read_text() == "kept"
    assert str(error.value).splitlines()[1] == (
        f"  {out}/foo-{name}: what is there was made read-only since it was made, and cannot be moved aside: "
        f"Operation not permitted; it is kept as {kept}"
    )


@pytest.fixture
def recorded(repository: Repository, out: pathlib.Path) -> Any:
    @Artifact("outpath", repo=repository.path, ignore="text", record=True, cache=True)
    def save(outpath: str, text: str) -> None:
        pathlib.Path(outpath).write_text(text)

    return save


def test_a_record_that_cannot_be_written_never_costs_its_artifact(
    recorded: Any, out: pathlib.Path, refuse: Any, name: str
) -> None:
    refuse("replace", lambda source, path: str(path).endswith(".pyrepro.json"), os_error(errno.ENOSPC))
    with pytest.raises(PublishError) as error:
        recorded("foo", "ten hours")
    assert str(error.value) == (
        f"{out}/foo-{name} is in place; this is not:\n"
        f"  {out}/foo-{name}.pyrepro.json: it cannot be written: No space left on device"
    )
    assert files(out) == {f"foo-{name}": "ten hours"}


def test_a_directory_that_may_not_leave_the_one_that_it_is_in_is_moved_aside_there(
    repository: Repository, out: pathlib.Path, refuse: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path, text: str) -> None:
        outpath.mkdir()
        (outpath / "part").write_text(text)

    path = out / f"foo-{name}"
    save(out / "foo", "old")
    refuse("rename", lambda source, aim: source == str(path) and f"~{os.sep}" in aim, os_error(errno.EACCES))
    save(out / "foo", "new")
    [aside] = out.glob("foo-*~*")
    assert (files(path), files(aside)) == ({"part": "new"}, {"part": "old"})
    assert [record.message for record in caplog.records] == [
        f"{path} is a directory that only its owner may replace; it is now {aside}"
    ]


def test_the_record_of_an_older_artifact_that_stays_is_put_back(
    recorded: Any, out: pathlib.Path, refuse: Any, name: str
) -> None:
    recorded("foo", "old")
    record = (out / f"foo-{name}.pyrepro.json").read_text()
    (out / ".pyrepro").rename(out / "room")  # so that the second call runs
    refuse("replace", lambda source, path: str(path) == str(out / f"foo-{name}"), os_error(errno.EROFS))
    with pytest.raises(PublishError) as error:
        recorded("foo", "new")
    assert (out / f"foo-{name}").read_text() == "old"
    assert (out / f"foo-{name}.pyrepro.json").read_text() == record
    assert pathlib.Path(error.value.kept[0]).read_text() == "new"


def test_a_marker_that_cannot_be_written_costs_a_warning(
    repository: Repository, out: pathlib.Path, refuse: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text("good job")

    refuse("replace", lambda source, path: str(path).endswith(".json"), os_error(errno.ENOSPC))
    assert save("foo") == f"foo-{name}"
    assert [record.message for record in caplog.records] == [
        f"{out}/foo-{name} is complete, but a later call will make it again: [Errno 28] No space left on device"
    ]


def test_a_directory_that_may_not_be_moved_is_kept(
    repository: Repository, out: pathlib.Path, refuse: Any, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        os.mkdir(outpath)
        os.chmod(outpath, 0o755)

    refuse("rename", lambda source, path: str(path) == str(out / f"foo-{name}"), os_error(errno.EACCES))
    with pytest.raises(PublishError, match="Permission denied; it is kept as"):
        save("foo")


@posix_only
def test_a_name_is_as_long_as_the_file_system_allows(
    recorded: Any, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(os, "pathconf", lambda path, what: {"PC_NAME_MAX": 143}[what])
    with pytest.raises(ValueError, match="is longer than the 143 bytes that a name may have; use a shorter stem"):
        recorded(out / "not yet" / "there" / ("x" * 110), "text")
    monkeypatch.delattr(os, "pathconf")
    recorded("y" * 110, "text")
    assert (out / f"{'y' * 110}-{name}").read_text() == "text"


def test_a_name_that_the_true_one_meets_is_kept_beside_it(repository: Repository, tmp_path: pathlib.Path) -> None:
    repository.commit(
        late=f"""\
from pyrepro import Artifact, PublishError

@Artifact("outpath", atomic=True, allow_dirty=True)
def save(outpath):
    import forgotten
    open(outpath, "w").write("under the name that was given")
    true = outpath.rpartition("/")[0] + "/" + save.tagged("foo")
    open(true, "w").write("under the true one")

try:
    save("{tmp_path}/foo")
except PublishError as error:
    print(error)
"""
    )
    repository.write("forgotten.py")
    done = repository.run("late.py")
    assert "the function wrote foo-" in done.stdout
    kept = [path.read_text() for path in tmp_path.rglob("foo*") if path.is_file()]
    assert sorted(kept) == ["under the name that was given", "under the true one"], done.stdout + done.stderr
