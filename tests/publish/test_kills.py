"""Processes that are killed, and processes that wait: an artifact is complete or absent, and made once."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from conftest import PATIENCE, Repository, posix_only

pytestmark = posix_only


@pytest.fixture
def no_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed would leave a file of coverage data that cannot be read."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


KILLED = """\
import os, random, signal, sys
from pyrepro import Artifact

@Artifact("outpath", config=dict, {option})
def save(outpath, number):
    os.mkdir(outpath)
    for part in range(20):
        with open(f"{{outpath}}/{{part}}", "w") as outf:
            outf.write(str(number) * 10_000)

@Artifact("outpath", config=dict, {option})
def save_file(outpath, number):
    with open(outpath, "w") as outf:
        for part in range(20):
            outf.write(str(number) * 10_000)
            outf.flush()

def is_complete(path, number):
    if os.path.isdir(path):
        return all(open(f"{{path}}/{{part}}").read() == str(number) * 10_000 for part in range(20))
    return open(path).read() == str(number) * 10_000 * 20

# Told are each call of a function, in Python or in C, and each return: between them nothing happens to a disk.
def watch(happens):
    sys.setprofile(lambda frame, event, argument: happens())

def count(function, *arguments):
    counted, tell = os.pipe()
    child = os.fork()
    if child == 0:
        happened = []
        watch(lambda: happened.append(1))
        function(*arguments)
        sys.setprofile(None)
        os.write(tell, str(len(happened)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return int(os.read(counted, 20))

def kill_at(moment):
    left = iter(range(moment))
    watch(lambda: next(left, None) is None and os.kill(os.getpid(), signal.SIGKILL))

random.seed(3)
save("directory", -1), save_file("file", -1)  # what happens in the first calls alone is not counted
moments = {{save: count(save, "directory", -2), save_file: count(save_file, "file", -2)}}
counts = {{"complete": 0, "absent": 0}}
for number in range(200):
    function, stem = random.choice([(save, "directory"), (save_file, "file")])
    path = function.tagged(stem, number)
    child = os.fork()
    if child == 0:
        kill_at(random.randrange(moments[function]))
        function(stem, number)
        os._exit(0)
    os.waitpid(child, 0)
    if os.path.exists(path):
        assert is_complete(path, number), path
        counts["complete"] += 1
    else:
        counts["absent"] += 1
    if number % 10 == 0:
        function(stem, number)
        assert is_complete(path, number), path
assert min(counts.values()) > 10, counts
for directory, directories, files in os.walk(".pyrepro"):
    for name in [*directories, *files]:
        os.utime(os.path.join(directory, name), (1e9, 1e9))
save("directory", 200)
print(counts["complete"] + counts["absent"], *sorted(os.listdir(".pyrepro") if os.path.exists(".pyrepro") else ()))
"""


@pytest.mark.usefixtures("no_coverage")
@pytest.mark.parametrize(("option", "left"), [("atomic=True", ""), ("cache=True", " .gitignore markers")])
def test_after_a_kill_at_any_moment_the_artifact_is_complete_or_absent_the_next_call_succeeds_and_a_later_one_tidies(
    option: str, left: str, repository: Repository, tmp_path: pathlib.Path
) -> None:
    repository.commit(killed=KILLED.format(option=option))
    done = repository.run(repository.path / "killed.py", cwd=tmp_path)
    assert (done.stdout, done.stderr) == (f"200{left}\n", "")


AT_ONCE = """\
import os, sys
from pyrepro import Artifact

asks, is_asked = os.pipe()

@Artifact("outpath", cache=True)
def save(outpath):
    os.write(1, b"runs\\n")
    for _ in range(32):
        os.read(asks, 1)
    with open(outpath, "w") as outf:
        outf.write("good job")

children = []
for _ in range(32):
    children.append(os.fork())
    if not children[-1]:
        os.write(is_asked, b".")
        os._exit(save("foo.txt") != save.tagged("foo.txt"))
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def test_processes_that_call_at_once_run_it_once(repository: Repository, tmp_path: pathlib.Path) -> None:
    repository.commit(at_once=AT_ONCE)
    done = repository.run(repository.path / "at_once.py", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "runs\n", "")


WAITING = """\
import os, sys, time
from pyrepro import Artifact

@Artifact("outpath", cache=True)
def save(outpath):
    if sys.argv[1:]:
        child = os.fork()
        if child:
            print(child, flush=True)
        time.sleep(600)
    with open(outpath, "w") as outf:
        outf.write("good job")

print("asks", flush=True)
print(save("foo.txt"))
"""


@pytest.mark.usefixtures("no_coverage")
def test_who_waits_for_a_process_that_is_killed_goes_on_though_a_child_of_it_lives(
    repository: Repository, tmp_path: pathlib.Path
) -> None:
    repository.commit(waiting=WAITING)
    command = [sys.executable, str(repository.path / "waiting.py")]
    with subprocess.Popen([*command, "sleeps"], cwd=tmp_path, stdout=subprocess.PIPE) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == b"asks\n"
            child = int(first.stdout.readline())
            second = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE)
            assert second.stdout is not None
            assert second.stdout.readline() == b"asks\n"
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(timeout=1)
        finally:
            first.kill()
        output, _ = second.communicate(timeout=PATIENCE)
        os.kill(child, signal.SIGKILL)
    [path] = tmp_path.glob("foo*")
    assert (output.decode(), path.read_text()) == (f"{path.name}\n", "good job")


FORKING = """\
import os, sys
from pyrepro import Artifact

asks, is_asked = os.pipe()

@Artifact("outpath", cache=True)
def save(outpath):
    os.write(1, b"runs\\n")
    for leave in (os._exit, sys.exit, str):
        child = os.fork()
        if not child:
            leave(0)
            return None
        os.waitpid(child, 0)
    for _ in range(2):
        os.read(asks, 1)
    with open(outpath, "w") as outf:
        outf.write("good job")

program = os.getpid()
other = os.fork()
os.write(is_asked, b".")
path = save("foo.txt")
if other and os.getpid() == program:
    os.waitpid(other, 0)
    print(path)
"""


def test_a_forked_child_that_ends_leaves_its_parent_the_lock_and_what_is_staged(
    repository: Repository, tmp_path: pathlib.Path
) -> None:
    repository.commit(forking=FORKING)
    done = repository.run(repository.path / "forking.py", cwd=tmp_path)
    [path] = tmp_path.glob("foo*")
    assert (done.stdout, done.stderr) == (f"runs\n{path.name}\n", "")
    assert path.read_text() == "good job"


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 256 kB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run([mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", path], capture_output=True)
    if not done or done.returncode:
        pytest.skip(f"no file system can be mounted here: {done and done.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


FULL = """\
import os, sys
from pyrepro import Artifact

@Artifact("outpath", config=dict, {option})
def save(outpath, size):
    with open(outpath, "w") as outf:
        outf.write("x" * size)

for size in (1_000_000, 100_000):
    try:
        print(os.path.getsize(save("foo.txt", size) or save.tagged("foo.txt", size)))
    except OSError as error:
        print(error.strerror, sorted(os.listdir()))
"""


@pytest.mark.parametrize("option", ["atomic=True", "cache=True"])
def test_on_a_full_disk_nothing_is_left_and_the_next_call_succeeds(
    option: str, repository: Repository, small_disk: pathlib.Path
) -> None:
    repository.commit(full=FULL.format(option=option))
    done = repository.run(repository.path / "full.py", cwd=small_disk)
    assert (done.stdout, done.stderr) == ("No space left on device []\n100000\n", "")


NO_SPACE_LEFT = """\
import os, sys
from pyrepro import Artifact, PublishError

@Artifact("outpath", record=True)
def save(outpath):
    free = os.statvfs(os.path.dirname(outpath))
    with open(outpath, "wb") as outf:
        outf.write(b"x" * free.f_bavail * free.f_frsize)

try:
    save("foo.txt")
except PublishError as error:
    print(error.kept, os.path.getsize(error.path) > 200_000)
    print(str(error).partition("foo")[2].partition(".pyrepro.json")[2])
"""


def test_a_record_that_does_not_fit_on_the_disk_never_costs_its_artifact(
    repository: Repository, small_disk: pathlib.Path
) -> None:
    repository.commit(no_space_left=NO_SPACE_LEFT)
    done = repository.run(repository.path / "no_space_left.py", cwd=small_disk)
    assert (done.stdout, done.stderr) == ("() True\n: it cannot be written: No space left on device\n", "")
    assert [path.suffix for path in small_disk.iterdir()] == [".txt"]
