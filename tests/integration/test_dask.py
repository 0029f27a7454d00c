"""Dask: a cluster of worker processes on this machine, and workers that have another checkout or none."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from conftest import wait_until
from systems import SEEDS, Guide, names, needs, runs

pytestmark = needs("distributed")


@contextlib.contextmanager
def cluster(directory: Path, scheduler_file: Path, **environment: str) -> Iterator[None]:
    """A scheduler, and one worker that works in a directory."""
    options = ["--scheduler-file", str(scheduler_file), "--no-dashboard"]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", *options, "--port", "0"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", *options, "--no-nanny", "--nthreads", "1"]
    with contextlib.ExitStack() as stack:
        for command in (scheduler, worker):
            process = stack.enter_context(
                subprocess.Popen(command, cwd=directory, env=os.environ | environment, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.terminate)
        wait_until(scheduler_file.exists, process)
        yield


def test_every_worker_writes_what_the_driver_names_and_each_artifact_is_made_once(guide: Guide) -> None:
    repository = guide("simulate.py", "dask_cluster.py")
    done = repository.run("dask_cluster.py")
    assert done.stdout.splitlines() == names(repository), done.stderr
    assert runs(repository) == sorted(set(SEEDS))


def test_a_worker_without_the_code_gets_function_and_state_by_value(guide: Guide, tmp_path: Path) -> None:
    repository = guide("dask_by_value.py")
    elsewhere, scheduler = tmp_path / "elsewhere", tmp_path / "scheduler.json"
    elsewhere.mkdir()
    with cluster(elsewhere, scheduler, PATH="/nonexistent"):
        done = repository.run("dask_by_value.py", scheduler)
    named, written = done.stdout.split()
    assert written == named, done.stderr
    assert (elsewhere / written).read_text() == "1\n"
    assert not (repository.path / "out").exists()


def test_a_worker_whose_checkout_is_another_commit_is_refused(guide: Guide, tmp_path: Path) -> None:
    repository = guide("simulate.py", "dask_by_name.py")
    state = repository.run("-c", "import pyrepro; print(pyrepro.code_state())").stdout.strip()
    other = repository.clone(tmp_path / "other")
    other.commit(other="x = 2\n")
    with cluster(other.path, tmp_path / "scheduler.json", PYREPRO_CODE_STATE=state, PYTHONPATH=str(other.path)):
        done = repository.run("dask_by_name.py", tmp_path / "scheduler.json")
    assert done.stderr.splitlines()[-1] == (
        f"pyrepro.CodeStateError: PYREPRO_CODE_STATE declares {state}, but the work tree {other.path} is at "
        f"{other.head}; unset PYREPRO_CODE_STATE, or check out what it declares"
    )
    assert not (other.path / "out").exists()
    assert other.git("status", "--porcelain") == ""
