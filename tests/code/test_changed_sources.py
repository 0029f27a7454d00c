"""Loaders that change what they load keep compiled caches of their own, which are not believed either."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import PATIENCE, Repository
from test_what_runs import same_size_and_time, tag, timeless, took_stale, train

pytestmark = pytest.mark.usefixtures("caching")

# As beartype, jaxtyping and typeguard do it.
HOOK = """\
import importlib._bootstrap_external as external, sys
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import cache_from_source

class Loader(SourceFileLoader):
    def get_code(self, name):
        external.cache_from_source = lambda path: cache_from_source(path, optimization="changed1")
        try:
            return super().get_code(name)
        finally:
            external.cache_from_source = cache_from_source

    def source_to_code(self, data, path, *names, **options):
        return super().source_to_code(data + b"\\nLR *= 10\\n", path)

class Finder:
    def find_spec(self, name, path=None, target=None):
        spec = next(filter(None, (other.find_spec(name, path) for other in self.others)), None)
        if name == "helper":
            spec.loader = Loader(name, spec.origin)
        return spec

def install(place=0, asks_all=True):
    finder = Finder()
    finder.others = sys.meta_path[:] if asks_all else [PathFinder]
    sys.meta_path.insert(place, finder)
"""
SEEN = {
    "asks all finders": train(after="import hook; hook.install(); import helper"),
    "asks Python's own": train(after="import hook; hook.install(0, asks_all=False); import helper"),
    "is asked by them": train(after="import hook; hook.install(1, asks_all=False); import helper"),
}
UNSEEN = train(before="import hook; hook.install(); import helper", allow=False)


@pytest.fixture
def project(repository: Repository) -> Repository:
    repository.write(".gitignore", "__pycache__/\n*.txt\n")
    repository.commit(helper="LR = 1\n", hook=HOOK)
    return repository


def made(project: Repository) -> tuple[str, str]:
    """The name that a run gives, and what it has written."""
    name = project.run("train.py").stdout.strip()
    return name, (project.path / name).read_text()


@pytest.mark.parametrize("how", SEEN)
def test_a_stale_cache_of_a_loader_that_changes_sources_is_not_taken(project: Repository, how: str) -> None:
    project.commit(train=SEEN[how])
    assert made(project) == (f"foo-{tag(project.head)}.txt", "10")
    same_size_and_time(project.path / "helper.py", "LR = 2\n")
    project.commit()
    assert made(project) == (f"foo-{tag(project.head)}.txt", "20")


def test_a_stale_cache_that_such_a_loader_took_before_pyrepro_is_an_error(project: Repository) -> None:
    project.commit(train=UNSEEN)
    assert made(project) == (f"foo-{tag(project.head)}.txt", "10")
    same_size_and_time(project.path / "helper.py", "LR = 2\n")
    project.commit()
    cached = project.path / "__pycache__" / f"helper.{sys.implementation.cache_tag}.opt-changed1.pyc"
    assert timeless(project.run("train.py").stderr.splitlines()[-1]) == took_stale(cached)
    cached.unlink()
    assert made(project) == (f"foo-{tag(project.head)}.txt", "20")


def test_a_cache_of_such_a_loader_that_is_right_is_no_error_in_whatever_order_things_were_written(
    project: Repository,
) -> None:
    project.commit(train=UNSEEN)
    # The standard cache, which that loader does not take, holds what Python alone makes of the source.
    project.run("-c", "import helper")
    assert made(project) == (f"foo-{tag(project.head)}.txt", "10")
    os.utime(project.path / "__pycache__" / f"helper.{sys.implementation.cache_tag}.opt-changed1.pyc", (1, 1))
    assert made(project) == (f"foo-{tag(project.head)}.txt", "10")


def test_a_stale_standard_cache_is_not_what_such_a_loader_takes(project: Repository) -> None:
    project.commit(train=UNSEEN)
    project.run("-c", "import helper")
    same_size_and_time(project.path / "helper.py", "LR = 2\n")
    project.commit()
    assert made(project) == (f"foo-{tag(project.head)}.txt", "20")


# ---------------------------------------------------------------------------------------------------------- pytest

TEST = """\
from pathlib import Path
from pyrepro import Artifact

LR = 1

@Artifact("outpath", repo=Path(__file__).parent)
def save(outpath):
    Path(outpath).write_text(str(LR))
    return outpath

def test_save(tmp_path):
    path = Path(save(str(tmp_path / "foo.txt")))
    assert LR == int(path.read_text())
    print(path.name, LR)
"""
PYTEST = ["-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "test_save.py"]


def test_a_stale_cache_of_pytest_is_not_taken(project: Repository) -> None:
    project.commit(test_save=TEST, conftest="import pyrepro\n")
    assert project.run(*PYTEST).stdout.splitlines()[0] == f"foo-{tag(project.head)}.txt 1"
    same_size_and_time(project.path / "test_save.py", TEST.replace("LR = 1", "LR = 2"))
    project.commit()
    assert project.run(*PYTEST).stdout.splitlines()[0] == f"foo-{tag(project.head)}.txt 2"


def test_a_test_module_that_is_edited_before_pytest_imports_it_counts_as_it_was_imported(project: Repository) -> None:
    project.commit(test_save=TEST, conftest="print('waiting', flush=True)\ninput()\n")
    pipe = subprocess.PIPE
    run = subprocess.Popen([sys.executable, *PYTEST], cwd=project.path, stdin=pipe, stdout=pipe, text=True)
    assert run.stdout is not None and run.stdout.readline() == "waiting\n"
    project.commit(test_save=TEST.replace("LR = 1", "LR = 2"))
    assert run.communicate("\n", timeout=PATIENCE)[0].splitlines()[0] == f"foo-{tag(project.head)}.txt 2"
