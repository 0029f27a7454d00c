"""Measuring things side by side, and the repositories to measure them in."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

Cases = dict[str, Callable[[], object]]

IDENTITY = {
    **{
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", "A"), ("EMAIL", "a@b"))
    },
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def side_by_side(cases: Cases, rounds: int, number: int = 1) -> dict[str, float]:
    """The median seconds of one run of each case, run in turn so that all see the same machine."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for run in cases.values():
        run()
    for _ in range(rounds):
        for name, run in cases.items():
            began = time.perf_counter()
            for _ in range(number):
                run()
            seconds[name].append((time.perf_counter() - began) / number)
    return {name: median(values) for name, values in seconds.items()}


def git(directory: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=directory, env=os.environ | IDENTITY, check=True, capture_output=True)


def repository(path: Path, files: int) -> Path:
    """A clean repository of so many small files, a hundred in each directory."""
    for number in range(files):
        directory = path / f"d{number // 100:04}"
        if number % 100 == 0:
            directory.mkdir(parents=True)
        (directory / f"f{number:06}.py").write_text(f"x = {number}\n")
    git(path, "init", "-q")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "files")
    time.sleep(1.1)  # git compares the content of what was written in the second in which the index was
    git(path, "status")
    return path
