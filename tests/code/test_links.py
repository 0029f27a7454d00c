"""A package that a link in an environment leads to is the work tree's; what an installer has linked is installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Repository, posix_only
from test_what_runs import WAITS, Alive, tag, train

pytestmark = posix_only

PATH = "import sys; sys.path[0] = {!r}"


def environment(repository: Repository, tmp_path: Path, *links: str) -> Path:
    """An environment whose site-packages has links into the work tree."""
    packages = tmp_path / "environment" / "site-packages"
    packages.mkdir(parents=True)
    for link in links:
        (packages / os.path.basename(link)).symlink_to(repository.path / link)
    return packages


def program(packages: Path, *, before: str = "", after: str = "", inside: str = "0") -> str:
    """A program that finds its packages in an environment, and nowhere else."""
    script = train(before=PATH.format(str(packages)) + f"\n{before}", after=after, inside=inside)
    return script.replace("str(helper.LR)", "''")


@pytest.fixture
def lab(repository: Repository) -> Repository:
    repository.write("src/lab/__init__.py", "")
    repository.write("src/space/part.py", "LR = 1\n")
    repository.commit(src__lab__core="LR = 1\n", single="LR = 1\n")
    return repository


LINKED = {"src/lab": "lab.core", "single.py": "single", "src/space": "space.part"}
FILES = {"src/lab": "src/lab/core.py", "single.py": "single.py", "src/space": "src/space/part.py"}


@pytest.mark.parametrize("link", LINKED)
def test_what_nobody_edits_is_clean(lab: Repository, tmp_path: Path, link: str) -> None:
    lab.commit(train=program(environment(lab, tmp_path, link), after=f"import {LINKED[link]}"))
    done = lab.run("train.py")
    assert (done.stdout, done.stderr) == (f"foo-{tag(lab.head)}.txt\n", "")


@pytest.mark.parametrize("link", LINKED)
@pytest.mark.parametrize("place", ["before", "after"])
def test_an_edit_is_a_change(lab: Repository, tmp_path: Path, link: str, place: str) -> None:
    packages = environment(lab, tmp_path, link)
    lab.commit(train=program(packages, **{place: f"import {LINKED[link]}"}))
    lab.write(FILES[link], "LR = 2\n")
    changed = {FILES[link].removesuffix(".py"): "LR = 2\n"}
    assert lab.run("train.py").stdout == f"foo-{tag(lab.head, **changed)}.txt\n"


@pytest.mark.parametrize("link", LINKED)
def test_what_was_loaded_counts_whatever_is_committed_meanwhile(lab: Repository, tmp_path: Path, link: str) -> None:
    packages = environment(lab, tmp_path, link)
    lab.commit(train=program(packages, after=f"import {LINKED[link]}\n{WAITS}"))
    alive = Alive(lab, "train.py")
    lab.write(FILES[link], "LR = 2\n")
    lab.commit()
    loaded = {FILES[link].removesuffix(".py"): "LR = 1\n"}
    assert alive.go_on()[0] == f"foo-{tag(lab.head, **loaded)}.txt\n"


def test_a_module_that_nobody_added_to_git_is_a_change(lab: Repository, tmp_path: Path) -> None:
    packages = environment(lab, tmp_path, "src/lab")
    lab.commit(train=program(packages, after="import lab.new"))
    lab.write("src/lab/new.py", "X = 1\n")
    assert lab.run("train.py").stdout == f"foo-{tag(lab.head, **{'src/lab/new': 'X = 1' + chr(10)})}.txt\n"


def test_a_module_that_the_function_loads_counts(lab: Repository, tmp_path: Path) -> None:
    packages = environment(lab, tmp_path, "src/lab")
    lab.commit(train=program(packages, inside="import lab.new"))
    lab.write("src/lab/new.py", "X = 1\n")
    lab.run("train.py")
    changed = {"src/lab/new": "X = 1\n"}
    assert [path.name for path in lab.path.glob("foo-*")] == [f"foo-{tag(lab.head, **changed)}.txt"]


@pytest.mark.parametrize("link", ["src/lab", "single.py"])
def test_a_function_that_is_decorated_there_is_of_the_repository_behind_the_link(
    lab: Repository, tmp_path: Path, link: str
) -> None:
    lab.write(FILES[link], "from pyrepro import Artifact\n@Artifact('p')\ndef save(p): return p\n")
    lab.commit()
    packages = environment(lab, tmp_path, link)
    script = tmp_path / "elsewhere.py"
    script.write_text(f"{PATH.format(str(packages))}\nimport {LINKED[link]} as made\nprint(made.save('foo'))\n")
    done = lab.run(script, cwd=tmp_path)
    assert done.stdout == f"foo-{tag(lab.head)}\n", done.stderr


def test_files_that_an_installer_has_linked_from_its_cache_are_installed(lab: Repository, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "archive"
    cache.mkdir(parents=True)
    packages = environment(lab, tmp_path)
    (packages / "installed").mkdir()
    for name in ("alone.py", "installed/__init__.py"):
        (cache / os.path.basename(name)).write_text("X = 1\n")
        (packages / name).symlink_to(cache / os.path.basename(name))
    lab.commit(train=program(packages, before="import alone", after="import installed"))
    done = lab.run("train.py")
    assert (done.stdout, done.stderr) == (f"foo-{tag(lab.head)}.txt\n", "")


def test_an_environment_behind_a_link_is_installed(lab: Repository, tmp_path: Path) -> None:
    packages = environment(lab, tmp_path)
    real = packages.rename(lab.path / "ignored-packages")
    packages.symlink_to(real)
    (real / "alone.py").write_text("X = 1\n")
    lab.commit(train=program(packages, after="import alone"))
    lab.git("rm", "-q", "--cached", "-r", "ignored-packages")
    lab.git("commit", "-q", "-m", "forget the environment")
    assert lab.run("train.py").stdout == f"foo-{tag(lab.head)}.txt\n"
