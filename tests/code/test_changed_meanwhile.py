"""What a long call read or started may be other code than its name says, where files changed meanwhile."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Repository, posix_only
from test_what_runs import Alive, tag

from pyrepro import read_record
from pyrepro._code.state import changed_on_disk, read_code

LONG = "from pyrepro._code import tracker; tracker._LONG = 0"
"""Makes every call one that is long beside a reading."""

TRAIN = """\
import os, sys, time
import pyrepro
import helper
{long}

@pyrepro.Artifact("outpath", allow_dirty=True{options})
def save(outpath):
    started = time.perf_counter()
    print("waiting", flush=True)
    input()
    {inside}
    with open(outpath, "w") as outf:
        outf.write(str(helper.LR))

save("foo.txt")
"""


def train(*, long: str = LONG, options: str = ", cache=True, record=True", inside: str = "pass") -> str:
    return TRAIN.format(long=long, options=options, inside=inside)


def warning(repository: Repository, *lines: str, end: str = ", so later calls will make it again") -> str:
    listed = "".join(f"  {line}\n" for line in lines)
    return (
        f"files of the work tree {repository.path} have changed since the code of save was loaded or read:\n"
        f"{listed}"
        f"What save read or started while it ran may have been other code than its name says{end}.\n"
    )


def markers(repository: Repository) -> list[Path]:
    return list(repository.path.glob(".pyrepro/markers/*.json"))


def changed(repository: Repository) -> Any:
    [path] = repository.path.glob("foo-*.pyrepro.json")
    return json.loads(path.read_text())["code"]["changed_meanwhile"]


def test_what_a_long_call_made_while_files_changed_is_made_again(repository: Repository) -> None:
    # The call lasts until it is certainly a long one, however busy the machine.
    inside = "while time.perf_counter() - started < 50 * save._naming.tracker.reading.seconds: time.sleep(0.01)"
    repository.commit(helper="LR = 1\n", train=train(long="", inside=inside))
    alive = Alive(repository, "train.py")
    repository.write("helper.py", "LR = 2\n")
    assert alive.go_on() == ("", warning(repository, "helper.py"))
    artifact = repository.path / f"foo-{tag(repository.head)}.txt"
    assert artifact.read_text() == "1"
    assert changed(repository) == read_record(artifact).code["changed_meanwhile"] == ["helper.py"]
    assert "\nmeanwhile  helper.py changed\n" in str(read_record(artifact))
    assert markers(repository) == []
    repository.git("checkout", "-q", ".")
    again = Alive(repository, "train.py")
    assert again.line == "waiting\n"
    assert again.go_on() == ("", "")
    assert (changed(repository), len(markers(repository))) == ([], 1)
    assert repository.run("train.py").stdout == ""


def test_a_commit_of_another_file_meanwhile_is_a_change(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", train=train())
    head = repository.head
    alive = Alive(repository, "train.py")
    repository.write("README", "read me\n")
    repository.commit()
    assert alive.go_on() == ("", warning(repository, "README"))
    assert (repository.path / f"foo-{tag(head)}.txt").exists()


@pytest.mark.parametrize("options", ["", ", atomic=True"])
def test_ten_files_are_named_and_the_others_counted(repository: Repository, options: str) -> None:
    names = [f"file{number:02}" for number in range(13)]
    repository.commit(helper="LR = 1\n", train=train(options=options), **dict.fromkeys(names, "x = 1\n"))
    alive = Alive(repository, "train.py")
    for name in names:
        repository.write(f"{name}.py", "x = 2\n")
    lines = [f"{name}.py" for name in names[:10]]
    assert alive.go_on() == ("", warning(repository, *lines, "and 3 more", end=""))


def test_what_the_function_writes_is_no_change(repository: Repository) -> None:
    inside = "open('notes.txt', 'w').write('x'); os.utime('helper.py')"
    repository.commit(helper="LR = 1\n", train=train(inside=inside))
    assert Alive(repository, "train.py").go_on() == ("", "")
    assert (changed(repository), len(markers(repository))) == ([], 1)


def test_a_commit_of_what_was_there_already_is_no_change(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", train=train())
    repository.write("helper.py", "LR = 2\n")
    alive = Alive(repository, "train.py")
    repository.git("commit", "-q", "-a", "-m", "change")
    stderr = alive.go_on()[1]
    [patch] = repository.path.glob("*.patch")
    assert stderr.endswith(
        "does not hold:\n  helper.py\n"
        f"{patch.name} was put beside the record of what save made: it holds every local edit of the code, with any "
        "password or token in it; read it before you hand it on\n"
    )
    assert (changed(repository), len(markers(repository))) == ([], 1)


def test_where_git_fails_afterwards_the_artifact_is_kept_and_made_again(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", train=train(inside="os.environ['PATH'] = '/nowhere'"))
    stderr = Alive(repository, "train.py").go_on()[1]
    assert stderr.startswith("whether files changed while save ran cannot be determined: git could not be started")
    assert (changed(repository), markers(repository)) == (None, [])
    assert (repository.path / f"foo-{tag(repository.head)}.txt").read_text() == "1"


@posix_only
def test_a_child_that_returns_from_the_function_says_nothing(repository: Repository) -> None:
    inside = "child = os.fork(); child and os.waitpid(child, 0)"
    repository.commit(helper="LR = 1\n", train=train(inside=inside))
    alive = Alive(repository, "train.py")
    repository.write("helper.py", "LR = 2\n")
    assert alive.go_on() == ("", warning(repository, "helper.py"))


def test_a_declared_state_without_a_work_tree_has_no_disk(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", train=train())
    shutil.rmtree(repository.path / ".git")
    environment = {"PYREPRO_CODE_STATE": "0" * 40}
    assert repository.run("train.py", env=environment, input="\n").stderr == ""
    assert (changed(repository), len(markers(repository))) == ([], 1)


@posix_only
@pytest.mark.parametrize("options", ["", ", cache=True, record=True"])
def test_nothing_is_read_after_a_short_call(repository: Repository, tmp_path: Path, options: str) -> None:
    # A git that notes each start; the call is short beside a reading that has cost a second.
    log = tmp_path / "log"
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {shutil.which("git")} "$@"\n')
    wrapper.chmod(0o755)
    long = (
        "from pyrepro._value import replaced\n"
        "def pretend(seconds):\n"
        "    tracker = save._naming.tracker\n"
        "    tracker._reading = replaced(tracker._reading, seconds=seconds)\n"
    )
    inside = f"open({str(log)!r}, 'w').close()"
    script = train(long=long, options=options, inside=inside).replace(
        'save("foo.txt")', 'pretend(float(sys.argv[1]))\nsave("foo.txt")'
    )
    repository.commit(helper="LR = 1\n", train=script)
    environment = {"PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"}
    assert repository.run("train.py", "1000", env=environment, input="\n").stderr == ""
    assert " status " not in log.read_text()
    shutil.rmtree(repository.path / ".pyrepro", ignore_errors=True)
    assert repository.run("train.py", "0", env=environment, input="\n").stderr == ""
    assert log.read_text().count(" status ") == 1


POOLS = {
    "that lives on": "from multiprocessing import get_context\n    workers = get_context('spawn').Pool(1); sys.workers = workers; found = workers.map({0}, [0])[0]",
    "spawn": "from multiprocessing import get_context\n    with get_context('spawn').Pool(1) as pool: found = pool.map({0}, [0])[0]",
    "forkserver": "from multiprocessing import get_context\n    with get_context('forkserver').Pool(1) as pool: found = pool.map({0}, [0])[0]",
    "loky": "from joblib import Parallel, delayed\n    found = Parallel(2)(delayed({0})(0) for _ in range(1))[0]",
    "script": "import subprocess\n    found = subprocess.run([sys.executable, 'steps.py'], capture_output=True, text=True).stdout.strip()",
}

STEPS = """\
import pyrepro

LR = {lr}

@pyrepro.Artifact("outpath", allow_dirty=True)
def path(outpath):
    return outpath

def work(_):
    return f"{{LR}} {{path('bar.txt')}}"

if __name__ == "__main__":
    print(work(0))
"""

MAIN = """\
import sys
import pyrepro
import steps
{long}
{early}

@pyrepro.Artifact("outpath", cache=True)
def save(outpath):
    {late}
    {pool}
    with open(outpath, "w") as outf:
        outf.write(found)

if __name__ == "__main__":
    save("foo.txt")
"""
WAITS = "print('waiting', flush=True); input()"
MOMENTS = {
    "the function runs": {"early": "", "late": WAITS},
    "the program imports": {"early": f"if __name__ == '__main__': {WAITS}", "late": ""},
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("pool", [*POOLS])
def test_what_workers_made_that_started_after_an_edit_is_made_again(
    repository: Repository, pool: str, moment: str
) -> None:
    if pool == "loky":
        pytest.importorskip("joblib")
    if pool == "forkserver" and os.name == "nt":
        pytest.skip("only POSIX has it")
    started = POOLS[pool].format("steps.work")
    # However short the call, since nobody knows what its children have loaded.
    never_long = LONG.replace("= 0", "= float('inf')")
    repository.commit(main=MAIN.format(long=never_long, pool=started, **MOMENTS[moment]), steps=STEPS.format(lr=1))
    alive = Alive(repository, "main.py")
    repository.write("steps.py", STEPS.format(lr=2))
    stdout, stderr = alive.go_on()
    assert stdout == ""
    assert warning(repository, "steps.py") in stderr  # among what the workers write there
    # The worker's own names say what the worker has loaded.
    bar = f"bar-{tag(repository.head, steps=STEPS.format(lr=2))}.txt"
    assert (repository.path / f"foo-{tag(repository.head)}.txt").read_text() == f"2 {bar}"
    assert markers(repository) == []


HELPER = "def work(_):\n    return {lr}\n"
USES_WORKERS = """\
import pyrepro
import helper
{define}

@pyrepro.Artifact("outpath", allow_dirty=True, cache=True)
def save(outpath):
    with open(outpath, "w") as outf:
        outf.write(str(computed()))
"""
RELOADS = """\
import importlib, sys
import helper, steps

def shown():
    path = steps.save("foo.txt")
    print(path, open(path).read(), file=sys.stderr)

if __name__ == "__main__":
    shown()
    open("helper.py", "w").write({edited!r})
    importlib.reload(helper)
    shown()
    steps.end()
    shown()
"""
POOL = """\
from {package} import get_context
pools = []

def computed():
    if not pools:
        pools.append(get_context("spawn").Pool(1))
    return pools[0].map(helper.work, [0])[0]

def end():
    pool = pools.pop()
    pool.close()
    pool.join()
"""
WORKERS = {
    "multiprocessing": POOL.format(package="multiprocessing"),
    "multiprocess": POOL.format(package="multiprocess"),  # on which pathos builds
    "joblib": """\
import joblib

def computed():
    return joblib.externals.loky.get_reusable_executor(max_workers=1).submit(helper.work, 0).result()

def end():
    joblib.externals.loky.get_reusable_executor().shutdown()
""",
}


@pytest.mark.parametrize("how", WORKERS)
def test_what_workers_made_that_started_before_a_reload_is_made_again(repository: Repository, how: str) -> None:
    pytest.importorskip(how)
    edited = HELPER.format(lr=2)
    steps = USES_WORKERS.format(define=WORKERS[how])
    repository.commit(main=RELOADS.format(edited=edited), steps=steps, helper=HELPER.format(lr=1))
    lines = repository.run("main.py").stderr.splitlines()
    dirty = tag(repository.head, helper=edited)
    assert [line for line in lines if line.startswith("foo")] == [
        f"foo-{tag(repository.head)}.txt 1",
        f"foo-{dirty}.txt 1",  # what the name does not say
        f"foo-{dirty}.txt 2",
    ]
    start = lines.index(f"foo-{tag(repository.head)}.txt 1") + 3  # behind what the dirty tree is warned of
    assert lines[start : lines.index(f"foo-{dirty}.txt 1")] == [
        f"worker processes were started before these files of the work tree {repository.path} were loaded again:",
        "  helper.py",
        "What save computed in them may be of other code than its name says, so later calls will make it again; end the "
        "workers (those of joblib by joblib.externals.loky.get_reusable_executor().shutdown()), and call it again.",
    ]


IDLE = """\
import importlib, sys
from multiprocessing import get_context
import pyrepro
import helper

@pyrepro.Artifact("outpath", allow_dirty=True, cache=True)
def save(outpath):
    with open(outpath, "w") as outf:
        outf.write("1")

if __name__ == "__main__":
    pool = get_context("spawn").Pool(1)
    pool.map(helper.work, [0])
    # What it has answered it has computed, but it may not wait for the next task yet.
    while ") S " not in open("/proc/%d/stat" % pool._pool[0].pid).read():
        pass
    open("helper.py", "w").write({edited!r})
    {then}
    save("foo.txt")
"""


says_what_has_run = pytest.mark.skipif(
    not os.path.exists("/proc/self/schedstat"), reason="the platform does not say what has run"
)


@says_what_has_run
@pytest.mark.parametrize("then", ["pass", "importlib.reload(helper)"])
def test_workers_that_do_nothing_cost_no_marker(repository: Repository, then: str) -> None:
    repository.commit(main=IDLE.format(edited=HELPER.format(lr=2), then=then), helper=HELPER.format(lr=1))
    assert "so later calls" not in repository.run("main.py").stderr
    assert len(markers(repository)) == 1


@says_what_has_run
def test_where_the_platform_does_not_say_what_has_run_workers_count_as_if_they_had(repository: Repository) -> None:
    cannot_say = (
        "import pyrepro._code.workers as w; w.open = lambda *_, **__: open('/nowhere'); importlib.reload(helper)"
    )
    repository.commit(main=IDLE.format(edited=HELPER.format(lr=2), then=cannot_say), helper=HELPER.format(lr=1))
    assert "worker processes were started before these files" in repository.run("main.py").stderr
    assert markers(repository) == []


# What is a change on the disk


def test_where_the_platform_does_not_count_children_only_live_ones_and_long_calls_are_looked_at(
    repository: Repository,
) -> None:
    script = MAIN.format(long="sys.modules['resource'] = None", pool="found = '1'", **MOMENTS["the function runs"])
    repository.commit(main=script, steps=STEPS.format(lr=1))
    assert Alive(repository, "main.py").go_on() == ("", "")
    assert len(markers(repository)) == 1


def commit_everything(repository: Repository) -> None:
    repository.git("add", "-u")
    repository.git("commit", "-q", "--allow-empty", "-m", "change")


def edit(repository: Repository) -> None:
    repository.write("lib/model.py", "LAYERS = 3\n")


def edit_and_commit(repository: Repository) -> None:
    edit(repository)
    commit_everything(repository)


def undo(repository: Repository) -> None:
    repository.git("checkout", "-q", "--", "train.py")


def commit_without_the_changes(repository: Repository) -> None:
    repository.git("commit", "-q", "--allow-empty", "-m", "nothing")


def remove(repository: Repository) -> None:
    (repository.path / "lib" / "model.py").unlink()


def remove_the_link(repository: Repository) -> None:
    (repository.path / "link.py").unlink()
    commit_everything(repository)


def stage_a_new_file(repository: Repository) -> None:
    repository.write("new file\n.py")
    repository.git("add", "-A")


def amend(repository: Repository) -> None:
    repository.git("commit", "-q", "--amend", "-a", "-m", "change")


def write_beside(repository: Repository) -> None:
    repository.write("out.csv")


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        (commit_everything, ()),
        (commit_without_the_changes, ()),
        (amend, ()),
        (write_beside, ()),
        (edit, ("lib/model.py",)),
        (edit_and_commit, ("lib/model.py",)),
        (undo, ("train.py",)),
        (remove, ("lib/model.py",)),
        (remove_the_link, ("link.py",)),
        (stage_a_new_file, ("new%20file%0A.py",)),
    ],
)
def test_the_disk_is_compared_and_not_the_commits(
    repository: Repository, change: Callable[[Repository], None], paths: tuple[str, ...]
) -> None:
    repository.write("train.py", "x = 2\n")
    reading = read_code([], repo=str(repository.path))
    change(repository)
    assert changed_on_disk(reading) == paths


def test_a_loaded_module_that_git_does_not_hold_is_looked_at(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repository.path))
    repository.write("forgotten_meanwhile.py", "x = 1\n")
    module = importlib.import_module("forgotten_meanwhile")
    try:
        reading = read_code([], repo=str(repository.path))
        repository.git("add", "forgotten_meanwhile.py")
        repository.git("commit", "-q", "-m", "remembered")
        assert changed_on_disk(reading) == ()
        repository.write("forgotten_meanwhile.py", "x = 22\n")
        assert changed_on_disk(reading) == ("forgotten_meanwhile.py",)
        assert module.x == 1
    finally:
        del sys.modules["forgotten_meanwhile"]


def test_a_module_that_the_function_loads_is_looked_at_from_then_on(repository: Repository) -> None:
    script = train(inside="import late").replace('save("foo.txt")', 'save("foo.txt")\nsave("bar.txt")')
    repository.commit(helper="LR = 1\n", train=script)
    repository.write("late.py", "x = 1\n")
    process = Alive(repository, "train.py").process
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "waiting\n"
    repository.write("late.py", "x = 22\n")
    stderr = process.communicate("\n")[1]
    assert stderr.endswith(warning(repository, "late.py"))
    assert changed(repository) == []


def test_files_of_submodules_are_compared_under_their_paths(repository: Repository, tmp_path: Path) -> None:
    origin = repository.clone(tmp_path / "origin")
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(origin.path), "sub")
    repository.commit()
    reading = read_code([], repo=str(repository.path))
    assert changed_on_disk(reading) == ()
    repository.write("sub/lib/model.py", "LAYERS = 3\n")
    assert changed_on_disk(reading) == ("sub/lib/model.py",)
    later = read_code([], repo=str(repository.path))
    assert changed_on_disk(later) == ()
    Repository(repository.path / "sub").commit()
    assert "sub" in changed_on_disk(later)
