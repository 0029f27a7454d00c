"""What is loaded from another copy of the project counts under its path in the work tree; what no name covers is told."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from conftest import Repository, names_dirty, posix_only
from test_what_runs import tag

BACKEND = """\
import zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "my_lab-1.0-py3-none-any.whl"
    files = {
        "mylab/core.py": open("mylab/core.py").read(),
        "mylab/__init__.py": "",
        "mylab/_version.py": "VERSION = 1\\n",
        "my_lab-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: my-lab\\nVersion: 1.0\\n",
        "my_lab-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files["my_lab-1.0.dist-info/RECORD"] = "".join(f"{file},,\\n" for file in files)
    with zipfile.ZipFile(directory + "/" + name, "w") as wheel:
        for file, content in files.items():
            wheel.writestr(file, content)
    return name
"""

PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "my.lab"
"""

TRAIN = """\
{before}
from pyrepro import Artifact

@Artifact("outpath"{allow})
def save(outpath):
    {inside}
    return outpath

print(save("foo.txt"))
"""

LATE = TRAIN.format(before="", inside="import mylab.core, mylab._version", allow="")
EARLY = TRAIN.format(before="import mylab.core, mylab._version", inside="0", allow=", allow_dirty=True")


def lab_at(path: Path) -> Repository:
    repository = Repository(path)
    path.mkdir()
    repository.git("init", "-q", "-b", "main")
    repository.write("pyproject.toml", PROJECT)
    repository.write(".gitignore", "_version.py\nignored/\n")
    repository.write("mylab/__init__.py", "")
    repository.commit(backend=BACKEND, mylab__core="LR = 1\n", late=LATE, early=EARLY)
    return repository


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, Path]:
    """A project, and the Python of an environment into which its first commit was installed."""
    base = tmp_path_factory.mktemp("installed").resolve()
    environment = pytest.MonkeyPatch()
    environment.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    repository = lab_at(base / "the lab")  # whose URL is percent-encoded
    venv.create(base / "venv", with_pip=False, symlinks=os.name != "nt")
    python = base / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", *options, "."]
    subprocess.run(command, cwd=repository.path, check=True)
    [packages] = (base / "venv").rglob("site-packages")
    lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    (packages / "outer.pth").write_text("\n".join(lines) + "\n")
    environment.undo()
    return repository, python


@pytest.fixture
def lab(installed: tuple[Repository, Path], tmp_path: Path) -> Repository:
    repository, _ = installed
    repository.git("reset", "-q", "--hard", repository.git("rev-list", "--max-parents=0", "HEAD"))
    repository.git("clean", "-q", "-fdx")
    return repository


def run(repository: Repository, python: Path, *arguments: str) -> tuple[str, str]:
    # Without the directory of the script, as where it stands in scripts/ or is an entry point.
    env = os.environ | {"PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [python, *arguments], cwd=repository.path, env=env, capture_output=True, text=True, check=False
    )
    return done.stdout, done.stderr


def scripts(repository: Repository) -> None:
    """The programs in a directory of their own, so that they load the installed package."""
    for name in ("early", "late"):
        repository.write(f"scripts/{name}.py", (repository.path / f"{name}.py").read_text())
    repository.commit()


# ---------------------------------------------------------------------------------------- installed copies


def test_an_installed_copy_of_what_the_commit_holds_changes_no_name(
    lab: Repository, installed: tuple[Repository, Path]
) -> None:
    scripts(lab)
    for name in ("early", "late"):
        assert run(lab, installed[1], f"scripts/{name}.py") == (f"foo-{tag(lab.head)}.txt\n", "")


def test_an_installed_copy_that_the_commit_does_not_hold_any_more_is_a_change(
    lab: Repository, installed: tuple[Repository, Path]
) -> None:
    scripts(lab)
    lab.commit(mylab__core="LR = 2\n")
    [core] = installed[1].parent.parent.rglob("core.py")
    name = f"foo-{tag(lab.head, mylab__core='LR = 1' + chr(10))}.txt"
    assert run(lab, installed[1], "scripts/early.py") == (
        f"{name}\n",
        f"{names_dirty(name)}the work tree {lab.path} has changes that commit {lab.head[:12]} does not hold:\n"
        f"  mylab/core.py (loaded from {core}, another copy of it; "
        f"install this work tree with: pip install -e '{lab.path}')\n",
    )


def test_an_installed_copy_that_is_loaded_during_the_call_counts(
    lab: Repository, installed: tuple[Repository, Path]
) -> None:
    scripts(lab)
    lab.commit(mylab__core="LR = 2\n")
    [core] = installed[1].parent.parent.rglob("core.py")
    _, stderr = run(lab, installed[1], "scripts/late.py")
    assert (
        "modules whose code no commit holds were loaded, too late to refuse: "
        f"the work tree {lab.path} has changes that commit {lab.head[:12]} does not hold:\n"
        f"  mylab/core.py (loaded from {core}, another copy of it; "
        f"install this work tree with: pip install -e '{lab.path}')\n"
    ) in stderr


def test_an_edit_of_the_work_tree_that_the_installed_copy_does_not_have_does_not_run(
    lab: Repository, installed: tuple[Repository, Path]
) -> None:
    scripts(lab)
    lab.write("mylab/core.py", "LR = 2\n")
    assert run(lab, installed[1], "scripts/early.py") == (f"foo-{tag(lab.head)}.txt\n", "")


def test_an_installed_module_that_the_commit_has_not_any_more_is_a_change(
    lab: Repository, installed: tuple[Repository, Path]
) -> None:
    scripts(lab)
    lab.git("rm", "-q", "mylab/core.py")
    lab.commit()
    stdout, _ = run(lab, installed[1], "scripts/early.py")
    assert stdout == f"foo-{tag(lab.head, mylab__core='LR = 1' + chr(10))}.txt\n"


def test_a_clone_is_known_by_the_name_of_the_project(
    lab: Repository, installed: tuple[Repository, Path], tmp_path: Path
) -> None:
    scripts(lab)
    clone = lab.clone(tmp_path.resolve() / "clone")
    clone.git("mv", "mylab", "src-mylab")
    (clone.path / "src").mkdir()
    clone.git("mv", "src-mylab", "src/mylab")
    clone.commit(src__mylab__core="LR = 3\n")
    stdout, _ = run(clone, installed[1], "scripts/early.py")
    assert stdout == f"foo-{tag(clone.head, src__mylab__core='LR = 1' + chr(10))}.txt\n"


def test_a_directory_that_happens_to_have_the_name_of_an_installed_package_is_no_copy(
    lab: Repository, installed: tuple[Repository, Path], tmp_path: Path
) -> None:
    scripts(lab)
    other = lab.clone(tmp_path.resolve() / "other")
    other.write("pyproject.toml", PROJECT.replace("my.lab", "other"))
    other.commit(mylab__core="LR = 3\n")
    assert run(other, installed[1], "scripts/early.py") == (f"foo-{tag(other.head)}.txt\n", "")


# ------------------------------------------------------------------------------------- other work trees


@pytest.fixture
def pair(repository: Repository) -> tuple[Repository, Repository]:
    """Two work trees of one repository, the second one commit behind."""
    repository.commit(helper="LR = 1\n")
    other = repository.path.parent / "other"
    repository.git("worktree", "add", "-q", "--detach", str(other))
    return repository, Repository(other)


def train(*, before: str = "", inside: str = "0") -> str:
    return TRAIN.format(before=before, inside=inside, allow=", allow_dirty=True")


def test_a_module_of_another_work_tree_counts_under_its_path_in_this_one(
    pair: tuple[Repository, Repository],
) -> None:
    for one, other in (pair, pair[::-1]):
        one.commit(scripts__train=train(before="import helper"), helper="LR = 2\n")
        done = one.run("scripts/train.py", env={"PYTHONPATH": str(other.path)})
        assert done.stdout == f"foo-{tag(one.head, helper='LR = 1' + chr(10))}.txt\n"
        assert done.stderr == (
            f"{names_dirty(done.stdout)}the work tree {one.path} has changes that commit {one.head[:12]} does not hold:\n"
            f"  helper.py (loaded from {other.path}/helper.py, another copy of it; "
            f"install this work tree with: pip install -e {one.path})\n"
        )
        one.commit(helper="LR = 1\n")
        assert one.run("scripts/train.py", env={"PYTHONPATH": str(other.path)}).stdout == f"foo-{tag(one.head)}.txt\n"


def test_a_work_tree_inside_this_one_is_another_copy_too(pair: tuple[Repository, Repository]) -> None:
    one, _ = pair
    one.git("worktree", "add", "-q", "--detach", "inner")
    one.write(".gitignore", "ignored/\ninner/\n")
    one.commit(scripts__train=train(before="import helper"), helper="LR = 2\n")
    done = one.run("scripts/train.py", env={"PYTHONPATH": str(one.path / "inner")})
    assert f"  helper.py (loaded from {one.path}/inner/helper.py, another copy of it; " in done.stderr
    assert done.stdout == f"foo-{tag(one.head, helper='LR = 1' + chr(10))}.txt\n"


def test_what_this_work_tree_ignores_does_not_count_from_another_one_either(
    pair: tuple[Repository, Repository],
) -> None:
    one, other = pair
    other.write("ignored/extra.py", "x = 1\n")
    one.commit(scripts__train=train(before="import ignored.extra"))
    done = one.run("scripts/train.py", env={"PYTHONPATH": str(other.path)})
    assert done.stdout == f"foo-{tag(one.head)}.txt\n"


def test_two_copies_that_differ_are_unknown_and_equal_ones_are_one(pair: tuple[Repository, Repository]) -> None:
    one, other = pair
    both = (
        "import importlib.util, helper\n"
        f"spec = importlib.util.spec_from_file_location('twin', {str(other.path / 'helper.py')!r})\n"
        "import sys; sys.modules['twin'] = twin = importlib.util.module_from_spec(spec); spec.loader.exec_module(twin)"
    )
    one.commit(train=train(before=both))
    assert one.run("train.py").stdout == f"foo-{tag(one.head)}.txt\n"
    one.commit(helper="LR = 2\n")
    done = one.run("train.py")
    assert done.stderr == (
        f"{names_dirty(done.stdout)}the work tree {one.path} has changes that commit {one.head[:12]} does not hold:\n"
        f"  helper.py: {other.path}/helper.py and {one.path}/helper.py were loaded, copies of one file that differ; "
        f"install the project with pip install -e, and start the program again\n"
    )


# --------------------------------------------------------------------------- what is ignored, or in no repository


def test_the_own_file_of_a_function_counts_where_it_is_ignored(repository: Repository) -> None:
    for number in range(2):
        script = train(before=f"x = {number}")
        repository.write("ignored/own.py", script)
        done = repository.run("ignored/own.py")
        assert done.stdout == f"foo-{tag(repository.head, ignored__own=script)}.txt\n"
        assert done.stderr == (
            f"{names_dirty(done.stdout)}the work tree {repository.path} has changes that commit {repository.head[:12]} does not hold:\n"
            f"  ignored/own.py\n"
        )


def test_a_module_in_no_repository_is_warned_of_once(repository: Repository, tmp_path: Path) -> None:
    loose = tmp_path.resolve() / "loose" / "loose.py"
    loose.parent.mkdir()
    loose.write_text("x = 1\n")
    (loose.parent / "conftest.py").write_text("")
    repository.commit(train=train(before="import loose, conftest") + "import pyrepro\npyrepro.tag()\n")
    done = repository.run("train.py", env={"PYTHONPATH": str(loose.parent)})
    assert done.stdout == f"foo-{tag(repository.head)}.txt\n"
    assert done.stderr == (
        f"the module loose is loaded from {loose}, which no name covers, for it is in no repository; put it into one, "
        f'or add it to the configuration: config={{..., "loose": pyrepro.file_hash({str(loose)!r})}}\n'
    )


def ignoring(repository: Repository, **modules: str) -> None:
    repository.write(".gitignore", "ignored/\n.pyrepro/\n__pycache__/\n")
    repository.commit(**modules)


def uncovered(name: str, file: Path, why: str, remedy: str) -> str:
    package = name.partition(".")[0]
    return (
        f"the module {name} is loaded from {file}, which no name covers, for {why}; {remedy}, "
        f'or add it to the configuration: config={{..., "{package}": pyrepro.file_hash({str(file)!r})}}\n'
    )


def test_an_ignored_module_is_warned_of_once(repository: Repository) -> None:
    ignoring(repository, train=train(before="import ignored.one, ignored.two") + "import pyrepro\npyrepro.tag()\n")
    for name in ("__init__", "one", "two"):
        repository.write(f"ignored/{name}.py", "x = 1\n")
    done = repository.run("train.py")
    assert done.stdout == f"foo-{tag(repository.head)}.txt\n"
    file = repository.path / "ignored" / "__init__.py"
    assert done.stderr == uncovered("ignored", file, "git ignores it", "commit it")


def test_a_version_that_a_build_writes_is_not_warned_of(repository: Repository) -> None:
    repository.write(".gitignore", "_version.py\n.pyrepro/\n__pycache__/\n")
    repository.write("package/__init__.py", "from package._version import x\n")
    repository.commit(train=train(before="import package"))
    repository.write("package/_version.py", "x = 1\n")
    assert repository.run("train.py").stderr == ""


def test_a_module_of_an_ignored_clone_is_warned_of(repository: Repository) -> None:
    ignoring(repository, train=train(before="import sys; sys.path.append('ignored'); import lab"))
    nested = lab_at(repository.path / "ignored")
    nested.commit(lab="x = 1\n")
    assert repository.run("train.py").stderr == (
        f"the module lab is loaded from another work tree, {nested.path}, whose code the names of {repository.path} "
        f'do not cover; add it to the configuration: config={{..., "lab": pyrepro.code_state(lab)}}\n'
    )


@posix_only
def test_a_module_behind_a_tracked_link_that_leads_out_is_warned_of(repository: Repository, tmp_path: Path) -> None:
    out = tmp_path.resolve() / "out" / "helper.py"
    out.parent.mkdir()
    out.write_text("x = 1\n")
    (repository.path / "helper.py").symlink_to(out)
    repository.commit(train=train(before="import helper"))
    assert repository.run("train.py").stderr == uncovered("helper", out, "it is in no repository", "put it into one")


def test_a_module_that_the_function_loads_is_warned_of_when_it_returns(repository: Repository) -> None:
    ignoring(repository, train=train(inside="import ignored.one"))
    repository.write("ignored/one.py", "x = 1\n")
    done = repository.run("train.py")
    file = repository.path / "ignored" / "one.py"
    assert done.stderr == uncovered("ignored.one", file, "git ignores it", "commit it")
