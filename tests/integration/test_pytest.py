"""pytest: a project that tests its own decorated functions."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Repository
from systems import Guide


@pytest.fixture
def project(guide: Guide) -> Repository:
    """A project with the tests of the guide."""
    repository = guide("steps.py", "test_steps.py", "conftest_allowing.py")
    repository.git("mv", "conftest_allowing.py", "conftest.py")
    repository.commit()
    return repository


def outcome(repository: Repository) -> str:
    done = repository.run("-m", "pytest", "-q", "-p", "no:cacheprovider")
    return done.stdout.splitlines()[-1].partition(" in ")[0]


def test_the_tests_pass_in_a_shallow_clone_with_a_detached_head(project: Repository, tmp_path: Path) -> None:
    project.commit(later="x = 1\n")
    clone = project.clone(tmp_path / "ci", "--depth", "1")
    clone.git("checkout", "-q", "--detach")
    assert outcome(clone) == "3 passed"


def test_the_tests_pass_in_a_working_copy_with_edits(project: Repository) -> None:
    project.write("steps.py", (project.path / "steps.py").read_text() + "# edited\n")
    assert outcome(project) == "3 passed"


def test_without_the_fixture_only_the_clean_tree_passes(project: Repository) -> None:
    project.git("rm", "-q", "conftest.py")
    project.commit()
    assert outcome(project) == "3 passed"
    project.write("steps.py", (project.path / "steps.py").read_text() + "# edited\n")
    assert outcome(project) == "2 failed, 1 passed"
