"""What the tests of other systems share."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest
from conftest import PATIENCE, Repository

Guide = Callable[..., Repository]

SEEDS = ("1", "2", "1", "2")
"""What the programs of the guides for engines simulate, each twice and at once."""


def needs(module: str) -> pytest.MarkDecorator:
    """Skip, and say why, where a package is not installed."""
    found = importlib.util.find_spec(module) is not None
    return pytest.mark.skipif(not found, reason=f"the package {module} is not installed")


def needs_program(name: str) -> pytest.MarkDecorator:
    """Skip, and say why, where a program is not installed."""
    return pytest.mark.skipif(
        shutil.which(name, path=search_path()) is None, reason=f"there is no {name} on this machine"
    )


def names(repository: Repository) -> list[str]:
    """The names that the driver has for what the workers write."""
    asked = f"from simulate import simulate; [print(simulate.tagged(s, 'out/pi.txt')) for s in ({', '.join(SEEDS)})]"
    done = repository.run("-c", asked)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def runs(repository: Repository) -> list[str]:
    """The seeds that were simulated, one for each run of the function."""
    return sorted((repository.path / "runs.log").read_text().split())


def run(repository: Repository, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the work tree; its ``python`` is this one."""
    return subprocess.run(
        command,
        cwd=repository.path,
        env=os.environ | {"PATH": search_path()} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def written(repository: Repository) -> list[str]:
    """The artifacts that are there."""
    return sorted(path.name for path in (repository.path / "out").glob("*.*") if path.name != ".pyrepro")


def search_path() -> str:
    """The directories of programs, this Python's first."""
    return os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
