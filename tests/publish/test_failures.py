"""Whatever fails after the function has returned: what it wrote is in place, or named in the error."""

from __future__ import annotations

import errno
import pathlib

import pytest
from conftest import Repository, posix_only

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
def asks_the_system(event, argument):
    never_fail = ("fspath", "getpid", "urandom", "strerror", "fsencode", "_path_normpath", "_path_splitroot_ex")
    return event == "c_call" and getattr(argument, "__name__", "") not in never_fail and (
        getattr(argument, "__module__", None) == "posix"
        or type(getattr(argument, "__self__", None)).__module__ == "_io"
        or argument is open
    )

def fail_at(moment, fail):
    left = iter(range(moment))

    def watch(frame, event, argument):
        if asks_the_system(event, argument) and next(left, None) is None:
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
    begin = lambda: sys.setprofile(lambda frame, event, arg: asks_the_system(event, arg) and happened.append(1))
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
    # Each of the errors in turn, and a kill.
    for fail in (fails[moment % len({codes})], fails[-1]):
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
