"""Pinball, which needs Python 2.7: its jobs start this Python, and make or find the artifacts."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import GUIDES, PATIENCE, Repository, wait_until
from systems import Guide, run, search_path

# Two runs of Pinball after its installation: each of their jobs starts within some seconds.
pytestmark = pytest.mark.timeout(3 * PATIENCE)

STATUS = """\
from pinball.config.pinball_config import PinballConfig
from pinball.config.utils import master_name
PinballConfig.parse("pinball.yaml")
master_name(PinballConfig.MASTER_NAME)
from pinball.persistence.store import DbStore
from pinball.ui.data import Status
from pinball.ui.data_builder import DataBuilder
print([Status.to_string(each.status) for each in DataBuilder(DbStore()).get_instances("numbers")])
"""


def python_2() -> str | None:
    """A Python 2.7 that runs: that of a version manager may be there and refuse."""
    managed = os.path.join(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")), "versions", "2.7*", "bin")
    for program in [shutil.which("python2.7"), *glob.glob(os.path.join(managed, "python2.7"))]:
        if program and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
            return program
    return None


@pytest.fixture(scope="module")
def pinball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with Pinball."""
    base = python_2()
    if base is None:
        pytest.skip("there is no Python 2.7 on this machine")
    tools, environment = tmp_path_factory.mktemp("tools"), tmp_path_factory.mktemp("pinball")
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    # In a directory of its own, since other systems here need a later virtualenv.
    subprocess.run([sys.executable, *pip, "--target", tools, "virtualenv==20.21.1"], check=True)
    with_tools = os.environ | {"PYTHONPATH": str(tools)}
    subprocess.run([sys.executable, "-m", "virtualenv", "--quiet", "-p", base, environment], env=with_tools, check=True)
    python = environment / "bin" / "python"
    subprocess.run([python, *pip, "--no-deps", "-r", GUIDES / "pinball_requirements.txt"], check=True)
    return python


@contextlib.contextmanager
def started(repository: Repository, python: Path, mode: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """One of Pinball's servers, and its log."""
    path = repository.path / f"{mode}.log"
    with path.open("wb") as log:
        command = [python, "-m", "pinball.run_pinball", "-c", "pinball.yaml", "-m", mode]
        environment = os.environ | {"PATH": search_path()}
        server = subprocess.Popen(command, cwd=repository.path, env=environment, stdout=log, stderr=log)
    try:
        yield server, path
    finally:
        server.terminate()
        server.wait()


def control(repository: Repository, python: Path, *command: str) -> None:
    utility = ("-m", "pinball.tools.workflow_util", "-c", "pinball.yaml", "-w", "numbers")
    done = run(repository, str(python), *utility, *command)
    assert done.returncode == 0, done.stderr


def statuses(repository: Repository, python: Path) -> str:
    """How the runs of the workflow went, one for each."""
    done = run(repository, str(python), "-c", STATUS)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def has_done(repository: Repository, python: Path, runs: int) -> bool:
    """Whether so many runs of the workflow have come to their end, well or not."""
    with contextlib.closing(sqlite3.connect(repository.path / "pinball.db", timeout=PATIENCE)) as store:
        names = [name for (name,) in store.execute("SELECT name FROM active_tokens_numbers")]
    # It is to archive what is done. The last job's own token follows, and to ask for the status starts a process.
    is_about_to = sum(name.endswith("/__SIGNAL__/ARCHIVE") for name in names) == runs
    return is_about_to and "RUNNING" not in statuses(repository, python)


def said(repository: Repository) -> list[str]:
    """What the jobs logged, run by run, in the order of the jobs."""
    logs = (repository.path / "pinball_job_logs" / "numbers").glob("*/*.stderr")
    return [line for path in sorted(logs) for line in path.read_text().splitlines()]


def test_a_pinball_workflow_runs_to_success_and_the_next_finds_what_it_made(guide: Guide, pinball: Path) -> None:
    repository = guide(
        "steps.py",
        "pinball_job.py",
        "pinball_workflows.py",
        "pinball_sqlite/__init__.py",
        "pinball_sqlite/base.py",
        "pinball.yaml",
    )
    with socket.create_server(("localhost", 0)) as free:
        port = str(free.getsockname()[1])
    repository.write("pinball.yaml", (repository.path / "pinball.yaml").read_text().replace("9090", port))
    # As the guide says: on PYTHONPATH it would be on the path of the jobs, too, which another Python runs.
    [packages] = pinball.parent.parent.glob("lib/python2.7/site-packages")
    (packages / "numbers_project.pth").write_text(f"{repository.path}\n")
    repository.write(".gitignore", "out/\npinball.db\npinball_job_logs/\n*.log\n*.pyc\n")
    repository.commit()
    with started(repository, pinball, "master") as (master, log):
        wait_until(lambda: "Starting server" in log.read_text(), master)
        with started(repository, pinball, "scheduler"), started(repository, pinball, "workers") as (worker, _):
            control(repository, pinball, "-f", "reschedule")
            for runs in (1, 2):
                control(repository, pinball, "start")
                wait_until(lambda: has_done(repository, pinball, runs), worker)  # noqa: B023
            assert statuses(repository, pinball) == "['SUCCESS', 'SUCCESS']"
    clean, total = (next((repository.path / "out").glob(f"{name}-*.txt")).name for name in ("clean", "total"))
    assert (repository.path / "out" / total).read_text() == "4.0\n"
    assert (clean[6:18], total[6:18]) == (repository.head[:12],) * 2
    assert said(repository) == [
        f"INFO:pyrepro:clean made out/{clean}: nothing is there",
        f"INFO:pyrepro:total made out/{total}: nothing is there",
        f"INFO:pyrepro:clean found out/{clean}",
        f"INFO:pyrepro:total found out/{total}",
    ]
