"""The programs of the how-to guides do what the guides say."""

from __future__ import annotations

import os
from collections.abc import Callable

from conftest import Repository

Guide = Callable[..., Repository]


def test_never_leave_half_a_file(guide: Guide) -> None:
    repository = guide("atomic.py")
    done = repository.run("atomic.py")
    path = repository.path / done.stdout.strip()
    assert (done.stderr, path.read_text()) == ("", "and\t1\ncat\t1\nhat\t1\nthe\t2\n")
    assert os.listdir(path.parent) == [path.name]


def test_cache_a_step_that_reads_files(guide: Guide) -> None:
    repository = guide("cache.py")
    first, second = (repository.run("cache.py") for _ in range(2))
    path = first.stdout.splitlines()[-1]
    assert (first.stderr, first.stdout) == ("", f"cleaning raw.txt\nadding up\n{path}\n")
    assert (second.stderr, second.stdout) == ("", f"{path}\n")
    assert (repository.path / path).read_text() == "4.0"


def test_a_stable_name(guide: Guide) -> None:
    repository = guide("stable_name.py")
    for edit in ("# one\n", "# two\n"):
        repository.write("stable_name.py", (repository.path / "stable_name.py").read_text() + edit)
        repository.commit()
        newest = repository.run("stable_name.py").stdout.strip()
        assert f"figures/{os.readlink(repository.path / 'figures' / 'bills.svg')}" == newest
        assert repository.head[:12] in newest
