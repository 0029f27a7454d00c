"""An array job: many processes of one program in one directory, as SLURM starts them, in containers without git."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import PATIENCE, Repository
from systems import Guide

TASKS = [str(number % 4) for number in range(16)]


@pytest.fixture
def container(guide: Guide, tmp_path: Path) -> tuple[Repository, Path]:
    """A repository, and its files where there is neither .git nor git."""
    repository = guide("simulate.py", "array_task.py")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=repository.path, capture_output=True, check=True).stdout
    files = tmp_path / "container"
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(files, filter="data")
    return repository, files


def run_at_once(directory: Path, **environment: str) -> list[tuple[str, str]]:
    """What the tasks print to standard output and to standard error."""
    processes = [
        subprocess.Popen(
            [sys.executable, "array_task.py"],
            cwd=directory,
            env=os.environ | {"PATH": "/nonexistent", "SLURM_ARRAY_TASK_ID": task} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for task in TASKS
    ]
    return [process.communicate(timeout=PATIENCE) for process in processes]


def test_the_tasks_write_what_the_login_node_names_and_each_artifact_is_made_once(
    container: tuple[Repository, Path],
) -> None:
    repository, files = container
    state = repository.run("-c", "import pyrepro; print(pyrepro.code_state())").stdout.strip()
    asked = "from simulate import simulate; [print(simulate.tagged(seed, 'out/pi.txt')) for seed in range(4)]"
    expected = repository.run("-c", asked).stdout.splitlines()
    done = run_at_once(files, PYREPRO_CODE_STATE=state)
    assert done == [(f"{expected[int(task)]}\n", "") for task in TASKS]
    assert sorted((files / "runs.log").read_text().split()) == sorted(set(TASKS))


def test_a_task_that_was_not_told_the_state_is_refused_before_it_writes(container: tuple[Repository, Path]) -> None:
    _, files = container
    path = files / "simulate.py"
    assert {(out, err.splitlines()[-1]) for out, err in run_at_once(files)} == {
        (
            "",
            f"pyrepro.CodeStateError: looked for the git work tree that holds {path}, and found none; "
            f"pass repo=<path of the work tree>, or declare the state with PYREPRO_CODE_STATE; "
            "in a new project, type: git init",
        )
    }
    assert not (files / "out").exists()
