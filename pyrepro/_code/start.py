"""The process: when it started, and where.

Source: proc_pid_stat(5).
"""

from __future__ import annotations

import os
import time


def start_of_process() -> int:
    """When the program began that runs here, or in the parent of a fork, in nanoseconds on the clock of files."""
    try:
        fields = _stat_of_process("self")
        started = int(fields[19])
        # The addresses of code and stack are random for each program that is started, and a fork has its parent's.
        while int(fields[1]) > 1 and fields[25] != "0":
            fields_of_parent = _stat_of_process(fields[1])
            if fields_of_parent[23:26] != fields[23:26]:
                break
            fields = fields_of_parent
            started = int(fields[19])
        return _boot() + started * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return _start_by_psutil() or time.time_ns()


def _boot() -> int:
    """When the machine was started, on the clock of files: the best of some looks at both clocks."""
    looks = []
    for _ in range(5):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        now = time.time_ns()
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        looks.append((after - before, now - (before + after) // 2))
    # The shortest look: another process may run in the midst of one.
    return min(looks)[1]


def _stat_of_process(pid: str) -> list[str]:
    """The fields of proc_pid_stat(5) from the third on: the second, a name, may hold anything."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def _start_by_psutil() -> int | None:
    try:
        import psutil  # type: ignore[import-untyped]
    except ImportError:
        return None
    return int(psutil.Process().create_time() * 1_000_000_000)


IMPORTED = time.time_ns()
"""When pyrepro was imported."""

STARTED = start_of_process()
"""When the process started; taken here, so that forks keep it."""


def working_directory() -> str | None:
    """The working directory, None where it was deleted."""
    try:
        return os.getcwd()
    except OSError:
        return None


DIRECTORY = working_directory()
"""Where pyrepro was imported."""


def real_path(path: str) -> str:
    """A path without links; a relative one as it is where the working directory was deleted."""
    try:
        return os.path.realpath(path)
    except FileNotFoundError:
        return path
