"""A file that is written again within one tick of the clock of its file system looks as it did before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Repository
from test_what_runs import GONE, WAITS, Alive, tag, timeless, train

CLOCKS = {
    "of a kernel that is late": "time.time_ns = (lambda now: lambda: now() + 50_000_000)(time.time_ns)",
    "of a server that is slow": (
        "time.time_ns = (lambda now: lambda: now() + 3600 * 10**9)(time.time_ns)\n"
        "time.clock_gettime_ns = (lambda now: lambda clock: now(clock) + 3600 * 10**9)(time.clock_gettime_ns)"
    ),
}


def test_a_program_that_writes_a_module_again_just_after_it_was_imported_counts_it_as_it_was_loaded(
    repository: Repository,
) -> None:
    script = """\
import os, pyrepro

def write(text):
    with open("helper.py", "r+") as file:
        file.write(text)
    return os.stat("helper.py").st_ctime_ns

first = write("LR = 1")
while write("LR = 1") == first:
    pass  # the clock of files has just ticked: what follows falls into one tick
import helper
write("LR = 2")
print(pyrepro.tag(allow_dirty=True))
"""
    repository.commit(helper="LR = 0\n", main=script)
    assert repository.run("main.py").stdout == f"{tag(repository.head, helper='LR = 1' + chr(10))}\n"


@pytest.fixture
def whole_seconds(repository: Repository, tmp_path: Path) -> Iterator[Repository]:
    """A clone on a file system whose clock ticks once a second."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None or not os.path.exists("/dev/loop-control"):
        pytest.skip("only root can mount, with mkfs.ext4")
    image, mount = tmp_path / "image", tmp_path / "mount"
    image.write_bytes(b"")
    os.truncate(image, 2**24)
    mount.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-F", "-I", "128", image], check=True, capture_output=True)
    if subprocess.run(["mount", "-o", "loop", image, mount], check=False, capture_output=True).returncode:
        pytest.skip("only root can mount")
    try:
        yield repository.clone(mount / "clone")
    finally:
        subprocess.run(["umount", mount], check=True)


def write_in_place(path: Path, text: str) -> None:
    with open(path, "r+") as file:
        file.write(text)


def new_second() -> int:
    """A second of the clock that has just begun."""
    # FAT keeps every second one, so what was written in the last two may have been written now; and the start of a process
    # is told in hundredths.
    start = int(time.time())
    while time.time() < start + 3.1:
        time.sleep(0.01)
    return int(time.time())


def is_over(second: int, helper: Path) -> bool:
    """Whether a helper was written too late, as may be where much else runs."""
    return not int(os.stat(helper).st_mtime) == int(time.time()) == second


def test_a_helper_that_is_written_in_the_second_in_which_it_was_loaded_counts_as_it_was_loaded(
    whole_seconds: Repository,
) -> None:
    whole_seconds.commit(helper="LR = 0\n", train=train(after=f"{WAITS}import helper\n{WAITS}"))
    helper = whole_seconds.path / "helper.py"
    while True:
        alive, second = Alive(whole_seconds, "train.py"), new_second()
        write_in_place(helper, "LR = 1")
        alive.step()
        write_in_place(helper, "LR = 2")
        if not is_over(second, helper):
            break
        alive.kill()
    assert alive.go_on()[0] == f"foo-{tag(whole_seconds.head, helper='LR = 1' + chr(10))}.txt\n"


def test_a_helper_that_is_written_in_the_second_in_which_the_process_started_is_unknown(
    whole_seconds: Repository,
) -> None:
    whole_seconds.commit(helper="LR = 1\n", train=train(before=f"import helper\n{WAITS}", allow=False))
    helper = whole_seconds.path / "helper.py"
    while True:
        second, alive = new_second(), Alive(whole_seconds, "train.py")
        write_in_place(helper, "LR = 2")
        if not is_over(second, helper):
            break
        alive.kill()
    assert timeless(alive.go_on()[1].splitlines()[-1]) == (
        f"pyrepro.CodeStateError: which code runs cannot be determined: {whole_seconds.path}/helper.py was written at "
        f"<time>, by a clock of whole seconds, so perhaps after this process started at <time>, so the module helper may "
        f"have been loaded from something else; start the program again, or in a session type importlib.reload(helper); "
        f"import pyrepro above the other imports settles it for the next time"
    )


def test_a_program_that_starts_in_the_second_of_a_checkout_is_clean(whole_seconds: Repository) -> None:
    whole_seconds.commit(helper="LR = 1\n", train=train(after="import helper", allow=False))
    whole_seconds.git("checkout", "-q", "HEAD~1")
    whole_seconds.git("checkout", "-q", "-")
    done = whole_seconds.run("train.py")
    assert (done.stdout, done.stderr) == (f"foo-{tag(whole_seconds.head)}.txt\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="the clock that files have their times from can be asked on Linux")
@pytest.mark.parametrize("clock", CLOCKS)
def test_what_a_call_writes_has_its_true_name_by_whatever_clock_the_file_system_gives_times(
    repository: Repository, clock: str
) -> None:
    repository.commit(train=GONE.format(first=f"import time\n{CLOCKS[clock]}", imports="", inside="import lib.helper"))
    repository.write("lib/helper.py", "LR = 1\n")
    done = repository.run("train.py")
    renamed = f"foo-{tag(repository.head, lib__helper='LR = 1' + chr(10))}.txt"
    assert [path.name for path in repository.path.glob("foo-*.txt")] == [renamed], done.stderr


def test_what_a_call_writes_in_the_second_in_which_it_began_has_its_true_name(whole_seconds: Repository) -> None:
    whole_seconds.commit(train=GONE.format(first="", imports="", inside="import lib.helper"))
    whole_seconds.write("lib/helper.py", "LR = 1\n")
    done = whole_seconds.run("train.py")
    renamed = f"foo-{tag(whole_seconds.head, lib__helper='LR = 1' + chr(10))}.txt"
    assert [path.name for path in whole_seconds.path.glob("foo-*.txt")] == [renamed], done.stderr
