"""The programs of the how-to guides do what the guides say."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from conftest import Repository

GUIDES = Path(__file__).parent.parent / "docs" / "how-to"


@pytest.fixture
def guide(repository: Repository, request: pytest.FixtureRequest) -> Repository:
    """A repository that holds the program of a guide, and ignores what it writes."""
    shutil.copy(GUIDES / request.param, repository.path / "program.py")
    repository.write(".gitignore", "out/\nfigures/\n")
    repository.commit()
    return repository


@pytest.mark.parametrize("guide", ["atomic.py"], indirect=True)
def test_never_leave_half_a_file(guide: Repository) -> None:
    done = guide.run("program.py")
    path = guide.path / done.stdout.strip()
    assert (done.stderr, path.read_text()) == ("", "and\t1\ncat\t1\nhat\t1\nthe\t2\n")
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("guide", ["cache.py"], indirect=True)
def test_cache_a_step_that_reads_files(guide: Repository) -> None:
    first, second = (guide.run("program.py") for _ in range(2))
    path = first.stdout.splitlines()[-1]
    assert (first.stderr, first.stdout) == ("", f"cleaning raw.txt\nadding up\n{path}\n")
    assert (second.stderr, second.stdout) == ("", f"{path}\n")
    assert (guide.path / path).read_text() == "4.0"


@pytest.mark.parametrize("guide", ["stable_name.py"], indirect=True)
def test_a_stable_name(guide: Repository) -> None:
    for edit in ("# one\n", "# two\n"):
        guide.write("program.py", (guide.path / "program.py").read_text() + edit)
        guide.commit()
        newest = guide.run("program.py").stdout.strip()
        assert f"figures/{os.readlink(guide.path / 'figures' / 'bills.svg')}" == newest
        assert guide.head[:12] in newest
