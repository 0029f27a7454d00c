"""The commit in a name is that of the repository that holds the code, wherever it was started from."""

from __future__ import annotations

import os
import sysconfig
import zipfile
from pathlib import Path

import pytest
from conftest import SCRIPT, Repository, posix_only

from pyrepro import Artifact, CodeStateError

EMPTY = "44136fa355b3"
TAKES_PATH = SCRIPT.replace('outpath="foo.txt"', "outpath=sys.argv[1]")


@pytest.fixture
def other(template: Path, tmp_path: Path) -> Repository:
    """Another repository, at another commit."""
    repository = Repository(tmp_path / "other")
    repository.path.mkdir()
    repository.git("init", "-q", "-b", "main")
    repository.commit(other="other = 1\n")
    return repository


def test_the_readme_example_writes_the_commit_of_the_script_from_every_working_directory(
    repository: Repository, other: Repository, tmp_path: Path
) -> None:
    expected = f"foo-{repository.head[:12]}-{EMPTY}.txt"
    for cwd in (repository.path, repository.path / "lib", other.path, tmp_path):
        done = repository.run(repository.path / "train.py", cwd=cwd)
        assert (done.stdout, done.stderr) == (expected + "\n", "")
        assert (cwd / expected).read_text() == "good job"


def test_a_relative_script_and_a_module_run_with_m(repository: Repository, tmp_path: Path) -> None:
    expected = f"foo-{repository.head[:12]}-{EMPTY}.txt\n"
    assert repository.run("repository/train.py", cwd=tmp_path).stdout == expected
    assert repository.run("-m", "train").stdout == expected


def test_a_script_started_through_a_link_is_of_the_repository_of_its_target(
    repository: Repository, tmp_path: Path
) -> None:
    (tmp_path / "start.py").symlink_to(repository.path / "train.py")
    done = repository.run(tmp_path / "start.py", cwd=tmp_path)
    assert (done.stdout, done.stderr) == (f"foo-{repository.head[:12]}-{EMPTY}.txt\n", "")


def test_a_module_of_another_repository_has_that_commit(repository: Repository, other: Repository) -> None:
    other.write(
        "main.py",
        f"import sys; sys.path.insert(0, {str(repository.path)!r})\nimport train\nprint(train.save_thing('foo'))\n",
    )
    other.commit()
    done = other.run("main.py")
    assert done.stdout == f"foo-{repository.head[:12]}-{EMPTY}\n"


def test_a_package_with_a_namespace_and_a_subdirectory(repository: Repository) -> None:
    repository.write("src/space/deep/steps.py", SCRIPT)
    repository.commit()
    done = repository.run("-c", "import space.deep.steps as s; print(s.save_thing('foo'))", env={"PYTHONPATH": "src"})
    assert done.stdout == f"foo-{repository.head[:12]}-{EMPTY}\n"


def test_the_innermost_repository_counts(repository: Repository) -> None:
    nested = Repository(repository.path / "nested")
    nested.path.mkdir()
    nested.git("init", "-q", "-b", "main")
    nested.commit(train=SCRIPT)
    assert nested.run("train.py").stdout == f"foo-{nested.head[:12]}-{EMPTY}.txt\n"


def test_a_home_directory_that_is_a_repository_counts_only_for_what_is_in_no_other(
    repository: Repository, tmp_path: Path
) -> None:
    home = Repository(tmp_path)
    home.git("init", "-q", "-b", "main")
    home.write("loose.py", SCRIPT)
    home.git("add", "loose.py")
    home.git("commit", "-q", "-m", "home")
    assert home.run("loose.py").stdout == f"foo-{home.head[:12]}-{EMPTY}.txt\n"
    assert repository.run("train.py").stdout == f"foo-{repository.head[:12]}-{EMPTY}.txt\n"


def test_a_library_function_is_of_the_repository_of_the_script_that_decorates_it(repository: Repository) -> None:
    repository.write(
        "plot.py",
        "import numpy as np\nfrom pyrepro import Artifact\n"
        "save = Artifact('fname')(np.savetxt)\nsave('x.txt', [1.0])\nprint(save.tagged('x.txt'))\n",
    )
    repository.commit()
    done = repository.run("plot.py")
    assert (done.stdout, done.stderr) == (f"x-{repository.head[:12]}-{EMPTY}.txt\n", "")
    assert (repository.path / done.stdout.strip()).exists()


def environment(repository: Repository, tmp_path: Path) -> Path:
    """A site-packages directory in the work tree, in which the package steps is installed."""
    site = repository.path / "venv/lib/python3/site-packages"
    repository.write("venv/lib/python3/site-packages/steps/__init__.py", SCRIPT)
    return site


def test_a_function_of_an_installed_package_is_of_no_repository_that_happens_to_hold_the_environment(
    repository: Repository, tmp_path: Path
) -> None:
    site = environment(repository, tmp_path)
    script = tmp_path / "outside.py"
    script.write_text("import steps\nprint(steps.save_thing('foo'))\n")
    done = repository.run(script, cwd=tmp_path, env={"PYTHONPATH": str(site)})
    file = site / "steps/__init__.py"
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"pyrepro.CodeStateError: looked for the git work tree that holds {file}, and found none; "
        "pass repo=<path of the work tree>, or declare the state with PYREPRO_CODE_STATE"
    )


def test_a_package_in_a_zip_file_counts_as_the_zip_file(repository: Repository) -> None:
    with zipfile.ZipFile(repository.path / "steps.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", SCRIPT)
    call = "import zipped; print(zipped.save_thing('foo'))"
    done = repository.run("-c", call, env={"PYTHONPATH": "steps.zip"})
    assert "\n  steps.zip\n" in done.stderr.split("DirtyRepositoryError")[1]
    repository.commit()
    done = repository.run("-c", call, env={"PYTHONPATH": "steps.zip"})
    assert done.stdout == f"foo-{repository.head[:12]}-{EMPTY}\n"


def test_repo_names_the_repository(repository: Repository, other: Repository) -> None:
    def save(outpath: str) -> str:
        return outpath

    for path in (other.path, str(other.path), os.fsencode(other.path), other.path / "other.py"):
        assert Artifact("outpath", repo=path)(save)("foo") == f"foo-{other.head[:12]}-{EMPTY}"


def test_a_relative_repo_is_of_the_working_directory_of_the_decorator(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(repository.path.parent)
    decorate = Artifact("outpath", repo=repository.path.name)
    monkeypatch.chdir("/")
    assert decorate(lambda outpath: outpath)("foo") == f"foo-{repository.head[:12]}-{EMPTY}"  # type: ignore[arg-type]


def test_a_script_in_no_repository_is_an_error_even_where_the_working_directory_is_in_one(
    repository: Repository, tmp_path: Path
) -> None:
    script = tmp_path / "loose.py"
    script.write_text(SCRIPT)
    done = repository.run(script)
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == (
        f"pyrepro.CodeStateError: looked for the git work tree that holds {script}, and found none; "
        "pass repo=<path of the work tree>, or declare the state with PYREPRO_CODE_STATE; "
        "in a new project, type: git init"
    )
    assert not list(repository.path.glob("foo*"))


def test_a_declared_state_serves_where_there_is_no_repository(repository: Repository, tmp_path: Path) -> None:
    script = tmp_path / "loose.py"
    script.write_text(SCRIPT)
    done = repository.run(script, cwd=tmp_path, env={"PYREPRO_CODE_STATE": "a" * 40})
    assert (done.stdout, done.stderr) == (f"foo-{'a' * 12}-{EMPTY}.txt\n", "")
    declared = f"{'a' * 40}-dirty-{'b' * 64}"
    done = repository.run(script, cwd=tmp_path, env={"PYREPRO_CODE_STATE": declared})
    assert done.stderr.partition("DirtyRepositoryError: ")[2] == (
        f"the declared code state has changes that commit {'a' * 12} does not hold:\n"
        f"  those of PYREPRO_CODE_STATE={declared}\n"
        "Commit them; or pass allow_dirty=True or set PYREPRO_ALLOW_DIRTY=1 to write under a -dirty- name.\n"
    )
    done = repository.run(script, cwd=tmp_path, env={"PYREPRO_CODE_STATE": declared, "PYREPRO_ALLOW_DIRTY": "1"})
    assert done.stdout == f"foo-{'a' * 12}-dirty-{'b' * 12}-{EMPTY}.txt\n"


def test_a_core_worktree_elsewhere_is_the_work_tree(repository: Repository, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    repository.git("config", "core.worktree", str(away))
    with pytest.raises(CodeStateError, match=r"holds .*train\.py, and found none"):
        raise_from(repository.run("train.py").stderr)
    repository.git("config", "core.worktree", str(repository.path))
    assert repository.run("train.py").stdout == f"foo-{repository.head[:12]}-{EMPTY}.txt\n"


def raise_from(stderr: str) -> None:
    raise CodeStateError(stderr)


def test_a_directory_whose_name_holds_the_separator_of_search_paths(repository: Repository, tmp_path: Path) -> None:
    path = repository.path.rename(tmp_path / f"a{os.pathsep}b")
    assert Repository(path).run("train.py").stdout == f"foo-{Repository(path).head[:12]}-{EMPTY}.txt\n"


def test_a_hook_in_the_git_directory_is_in_no_work_tree(repository: Repository) -> None:
    hook = repository.write(".git/hooks/tool.py", SCRIPT)
    done = repository.run(hook)
    assert done.stderr.splitlines()[-1] == (
        f"pyrepro.CodeStateError: looked for the git work tree that holds {hook}, and found none; "
        "pass repo=<path of the work tree>, or declare the state with PYREPRO_CODE_STATE; "
        "in a new project, type: git init"
    )


def test_the_scripts_directory_of_the_environment_is_installed() -> None:
    from pyrepro._code.modules import is_installed

    assert is_installed(os.path.join(sysconfig.get_path("scripts"), "tool"))
    assert is_installed(os.__file__)
    assert not is_installed(os.path.join(os.sep, "home", "me", "project", "train.py"))
    assert not is_installed(os.path.join(os.sep, "home", "me", "project", "bin", "train.py"))


@pytest.mark.parametrize("scheme", sysconfig.get_scheme_names())
@pytest.mark.parametrize("name", ["purelib", "platlib", "stdlib", "platstdlib", "scripts"])
def test_no_directory_of_an_installation_is_passed_over_by_its_name(scheme: str, name: str) -> None:
    from pyrepro._code.modules import can_be_installed

    assert can_be_installed(os.path.join(sysconfig.get_path(name, scheme), "tool.py"))


GOES_FIRST = "import os, sys; os.chdir(sys.argv.pop())\n" + SCRIPT
GOES_AFTER_THE_IMPORT = SCRIPT.replace("\n\n\n", "\nimport os; os.chdir(sys.argv.pop())\n\n\n", 1)
REPO = "@Artifact(repo=os.environ['PROJECT'], "
LAUNCHERS = [["-m", "cProfile"], ["-m", "trace", "--count", "--coverdir", "counted"]]


def refusal(file: str) -> str:
    return (
        f"pyrepro.CodeStateError: the code that runs gives {file} as its file, but no file of this name, "
        "in the working directory or in that of import pyrepro, holds it; "
        "pass repo=<path of the work tree>, or declare the state with PYREPRO_CODE_STATE"
    )


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_profiled_script_has_the_commit_of_its_own_repository(repository: Repository, launcher: list[str]) -> None:
    done = repository.run(*launcher, "train.py")
    assert done.stdout.startswith(f"foo-{repository.head[:12]}-{EMPTY}.txt\n"), done.stderr


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("script", ["x = 1\n", SCRIPT, "def broken(:\n", None])
def test_a_profiled_script_that_goes_into_another_repository_does_not_take_its_commit(
    repository: Repository, other: Repository, launcher: list[str], script: str | None
) -> None:
    repository.commit(train=GOES_FIRST)
    if script is not None:
        other.commit(train=script)
    done = repository.run(*launcher, "train.py", other.path)
    assert done.stderr.splitlines()[-1] == refusal("train.py")
    assert not list(other.path.glob("foo*"))


def test_a_profiled_script_that_goes_elsewhere_has_the_commit_of_the_repository_that_is_passed(
    repository: Repository, other: Repository
) -> None:
    repository.commit(train=GOES_FIRST.replace("@Artifact(", REPO))
    other.commit(train=SCRIPT)
    done = repository.run("-m", "cProfile", "train.py", other.path, env={"PROJECT": str(repository.path)})
    assert done.stdout.startswith(f"foo-{repository.head[:12]}-{EMPTY}.txt\n"), done.stderr


@pytest.mark.parametrize("script", [SCRIPT, GOES_AFTER_THE_IMPORT])
def test_a_profiled_script_that_goes_elsewhere_after_it_has_imported_pyrepro_has_its_own_commit(
    repository: Repository, other: Repository, script: str
) -> None:
    repository.commit(train=GOES_AFTER_THE_IMPORT)
    other.commit(train=script)
    done = repository.run("-m", "cProfile", "train.py", other.path)
    assert done.stdout.startswith(f"foo-{repository.head[:12]}-{EMPTY}.txt\n"), done.stderr


def test_a_profiled_script_that_comes_back_has_its_own_commit(repository: Repository, other: Repository) -> None:
    repository.commit(train=GOES_FIRST.replace("Artifact\n", "Artifact; os.chdir(os.environ['PROJECT'])\n", 1))
    other.commit(train=SCRIPT)
    done = repository.run("-m", "cProfile", "train.py", other.path, env={"PROJECT": str(repository.path)})
    assert done.stdout.startswith(f"foo-{repository.head[:12]}-{EMPTY}.txt\n"), done.stderr


@pytest.mark.parametrize("script", [GOES_FIRST, GOES_AFTER_THE_IMPORT], ids=["before the import", "after the import"])
@posix_only
def test_a_profiled_script_may_go_into_a_directory_that_is_deleted(
    repository: Repository, tmp_path: Path, script: str
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    deletes = script.replace("os.chdir(sys.argv.pop())", "os.chdir(sys.argv.pop()); os.rmdir(os.getcwd())")
    repository.commit(train=deletes.replace('"foo.txt"', f'"{tmp_path}/foo.txt"'))
    done = repository.run("-m", "cProfile", "train.py", gone)
    if script == GOES_FIRST:
        assert done.stderr.splitlines()[-1] == refusal("train.py")
    else:
        assert done.stdout.startswith(f"{tmp_path}/foo-{repository.head[:12]}-{EMPTY}.txt\n"), done.stderr


@pytest.fixture
def deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is one that was deleted."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()


@posix_only
@pytest.mark.usefixtures("deleted")
def test_a_relative_path_to_the_repository_says_that_the_working_directory_was_deleted() -> None:
    with pytest.raises(FileNotFoundError) as error:
        Artifact("outpath", repo="project")
    assert str(error.value) == (
        "repo='project' is relative, and the working directory was deleted; pass an absolute path, or change to a "
        "directory that exists"
    )


@posix_only
def test_what_is_typed_in_a_directory_that_was_deleted_says_so(repository: Repository, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    typed = "import os; os.chdir(os.environ['GONE']); os.rmdir(os.getcwd())\nimport pyrepro; pyrepro.code_state()"
    done = repository.run("-c", typed, env={"GONE": str(gone)})
    assert done.stderr.splitlines()[-1] == (
        "pyrepro.CodeStateError: the working directory was deleted, so no repository can be looked for there; change to "
        "one that exists, pass repo=<path of the work tree>, or declare the state with PYREPRO_CODE_STATE"
    )


ZIPPED = SCRIPT.replace("import sys\n", "import os\n")


def zip_file(path: Path, source: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("zipped/__init__.py", source)


@pytest.mark.parametrize("first", ["", "import pyrepro; ", "import zipped; "])
def test_a_module_of_a_relative_archive_is_of_the_archive_wherever_the_process_goes(
    repository: Repository, other: Repository, first: str
) -> None:
    zip_file(repository.path / "steps.zip", ZIPPED)
    zip_file(other.path / "steps.zip", "def save_thing(outpath): pass\n")
    call = f"import sys; sys.path.insert(0, 'steps.zip'); {first}import zipped, os; os.chdir(sys.argv[1])\n"
    done = repository.run("-c", call + "print(zipped.save_thing('foo'))", other.path)
    assert "\n  steps.zip\n" in done.stderr.split("DirtyRepositoryError")[1]
    repository.commit()
    done = repository.run("-c", call + "print(zipped.save_thing('foo'))", other.path)
    assert done.stdout == f"foo-{repository.head[:12]}-{EMPTY}\n", done.stderr


PLAIN = "def save(outpath):\n    return outpath\n"
DECORATES = "import pyrepro\nsave = pyrepro.Artifact('outpath')(zipped.save)\nprint(save('foo'))\n"


@pytest.mark.parametrize("there", ["# moved\n" + PLAIN, None])
def test_a_function_of_a_relative_archive_that_was_loaded_before_pyrepro_is_known_by_its_code(
    repository: Repository, other: Repository, there: str | None
) -> None:
    zip_file(repository.path / "steps.zip", PLAIN)
    goes = "import sys; sys.path.insert(0, 'steps.zip')\nimport os, zipped\n"
    repository.commit(main=goes + DECORATES, away=goes + "os.chdir(sys.argv[1])\n" + DECORATES)
    done = repository.run("main.py")
    assert done.stdout == f"foo-{repository.head[:12]}-{EMPTY}\n", done.stderr
    if there is None:
        other.write("steps.zip", "no archive")
    else:
        zip_file(other.path / "steps.zip", there)
    done = repository.run("away.py", other.path)
    assert done.stderr.splitlines()[-1] == refusal("steps.zip/zipped/__init__.py")
