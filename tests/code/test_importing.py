"""Importing never raises in what is not the user's own program, and pyrepro is light to import."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import SCRIPT, Repository, posix_only

EMPTY = "44136fa355b3"
REFUSED = "calls that write artifacts will be refused: the work tree "


@pytest.fixture
def dirty(repository: Repository) -> Repository:
    """A work tree with the changed module train."""
    repository.write("train.py", SCRIPT + "# edited\n")
    return repository


def test_importing_pyrepro_imports_neither_git_nor_anything_heavy() -> None:
    heavy = {"git", "gitdb", "filelock", "asyncio", "argparse", "multiprocessing", "unittest", "sysconfig", "numpy"}
    heavy |= {"sqlite3", "platformdirs", "pandas", "polars", "json", "concurrent.futures"}
    code = f"import sys; before = {{*sys.modules}}; import pyrepro; print({heavy} & (sys.modules.keys() - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_importing_pyrepro_works_without_git_on_the_path(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import pyrepro; print(pyrepro.config_hash({}))"],
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(EMPTY)


def test_a_test_runner_imports_a_dirty_module(dirty: Repository) -> None:
    dirty.write(
        "test_train.py",
        "import pytest, pyrepro, train\n"
        "def test_it():\n    with pytest.raises(pyrepro.DirtyRepositoryError):\n        train.save_thing('foo')\n",
    )
    done = dirty.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_train.py")
    assert "1 passed" in done.stdout, done.stdout
    assert not list(dirty.path.glob("foo*"))


def test_a_tool_imports_a_dirty_module(dirty: Repository) -> None:
    done = dirty.run("-m", "pydoc", "train")
    assert done.returncode == 0
    assert "save_thing(outpath)" in done.stdout
    assert REFUSED in done.stderr


WORKS_FIRST = SCRIPT.replace("@Artifact", "print('decorated')\n\n\n@Artifact").replace(
    "if __name__", "print('worked')\nif __name__"
)
MAIN = "\n\ndef main():\n    print(save_thing(outpath='foo.txt'))\n"


def is_refused_before_the_work(done: subprocess.CompletedProcess[str], dirty: Repository, path: str) -> bool:
    """Whether the decoration raised the whole error, and nothing ran that stands below it."""
    message = (
        f"pyrepro.DirtyRepositoryError: the work tree {dirty.path} has changes that commit {dirty.head[:12]} "
        f"does not hold:\n  {path}\n"
        f"Commit them; or pass allow_dirty=True or set PYREPRO_ALLOW_DIRTY=1 to write under a -dirty- name.\n"
    )
    assert message in done.stdout + done.stderr, done.stdout + done.stderr
    assert REFUSED not in done.stderr
    assert "decorated\n" in done.stdout
    return "worked\n" not in done.stdout


LAUNCHERS = {
    "cProfile": ["-m", "cProfile", "train.py"],
    "cProfile of a module": ["-m", "cProfile", "-m", "train"],
    "profile": ["-m", "profile", "train.py"],
    "trace": ["-m", "trace", "--count", "--coverdir", "counted", "train.py"],
    "pdb": ["-m", "pdb", "-c", "continue", "-c", "quit", "train.py"],
    "coverage": ["-m", "coverage", "run", "--data-file", "covered", "train.py"],
    "coverage of a module": ["-m", "coverage", "run", "--data-file", "covered", "-m", "train"],
    "runpy": ["-m", "runpy", "train"],
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_profiler_or_a_debugger_runs_the_own_program_which_is_refused_before_its_work(
    dirty: Repository, launcher: str
) -> None:
    dirty.write("train.py", WORKS_FIRST)
    done = dirty.run(*LAUNCHERS[launcher], input="")
    assert is_refused_before_the_work(done, dirty, "train.py")


def test_what_a_thread_of_the_profiled_program_imports_is_refused_before_its_work(dirty: Repository) -> None:
    dirty.commit(
        main="from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor().submit(__import__, 'train').result()\nprint('worked')\n"
    )
    dirty.write("train.py", WORKS_FIRST)
    done = dirty.run("-m", "cProfile", "main.py")
    assert is_refused_before_the_work(done, dirty, "train.py")


@pytest.mark.parametrize("under", [[], ["-m", "coverage", "run", "--data-file", "covered"], ["-m", "cProfile"]])
@pytest.mark.parametrize("runner", [["pytest", "-q", "-p", "no:cacheprovider"], ["unittest"]])
def test_a_test_runner_imports_a_dirty_module_whatever_it_runs_under(
    dirty: Repository, under: list[str], runner: list[str]
) -> None:
    dirty.write(
        "test_train.py",
        "import doctest, unittest, pyrepro, train\n"
        "class TestIt(unittest.TestCase):\n"
        "    def test_it(self):\n"
        "        self.assertRaises(pyrepro.DirtyRepositoryError, train.save_thing, 'foo')\n"
        "        self.assertEqual(doctest.testfile('guide.txt').failed, 0)\n",
    )
    dirty.write("guide.txt", ">>> import sys; _ = sys.modules.pop('train')\n>>> import train\n")
    target = "test_train" if runner == ["unittest"] else "test_train.py"
    done = dirty.run(*under, "-m", *runner, target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout or "OK" in done.stderr


class Environment:
    """A virtual environment that sees what this one has installed."""

    def __init__(self, path: Path) -> None:
        venv.create(path, symlinks=hasattr(os, "fork"))
        self.scripts = next(path / name for name in ("bin", "Scripts") if (path / name).exists())
        self.python = self.scripts / ("python" if hasattr(os, "fork") else "python.exe")
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        done = subprocess.run([self.python, "-c", ask], capture_output=True, text=True, check=True)
        self.packages = Path(done.stdout.strip())
        seen = [path for path in sys.path if path.endswith("site-packages")]
        (self.packages / "seen.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in seen))

    def install(self, point: str, code: Path | None, group: str = "console_scripts") -> None:
        """Install a script as pip does, editable where the code stands elsewhere."""
        module, _, function = point.partition(":")
        if code is not None:
            (self.packages / "editable.pth").write_text(f"{code}\n")
        metadata = self.packages / "steps-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: steps\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(f"[{group}]\nstart-training = {point}\n")
        self.script = self.scripts / "start-training"
        self.script.write_text(
            f"import sys\nfrom {module} import {function}\nif __name__ == '__main__':\n    sys.exit({function}())\n"
        )

    def run(self, *args: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.python, *args], cwd=cwd, capture_output=True, text=True)


@pytest.fixture
def installed(tmp_path: Path) -> Environment:
    """A new environment."""
    return Environment(tmp_path / "environment")


@pytest.mark.parametrize("under", [[], ["-m", "cProfile"]])
def test_the_script_of_an_editable_install_is_refused_before_its_work(
    dirty: Repository, installed: Environment, tmp_path: Path, under: list[str]
) -> None:
    dirty.write("train.py", WORKS_FIRST + MAIN)
    installed.install("train:main", dirty.path)
    assert is_refused_before_the_work(installed.run(*under, installed.script, cwd=tmp_path), dirty, "train.py")


def test_the_script_is_refused_by_the_package_of_what_it_starts(
    repository: Repository, installed: Environment, tmp_path: Path
) -> None:
    repository.write("space/steps/__init__.py", "")
    repository.commit(space__steps__cli="def main(): pass\n")
    repository.write("space/steps/__init__.py", WORKS_FIRST)
    installed.install("space.steps.cli:main", repository.path)
    done = installed.run(installed.script, cwd=tmp_path)
    assert is_refused_before_the_work(done, repository, "space/steps/__init__.py")


def test_the_script_is_an_archive_on_windows(dirty: Repository, installed: Environment, tmp_path: Path) -> None:
    dirty.write("train.py", WORKS_FIRST + MAIN)
    installed.install("train:main", dirty.path, "gui_scripts")
    archive = installed.scripts / "start-training.exe"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(installed.script, "__main__.py")
    assert is_refused_before_the_work(installed.run(archive, cwd=tmp_path), dirty, "train.py")


@pytest.mark.parametrize("under", [[], ["-m", "cProfile"]])
@pytest.mark.parametrize("name", ["start-training", "other-name"])
def test_an_installed_tool_that_imports_a_dirty_module_only_warns(
    dirty: Repository, installed: Environment, name: str, under: list[str]
) -> None:
    (installed.packages / "tool.py").write_text(
        "import sys; sys.path.insert(0, '')\nimport train\ndef main(): print('imported')\n"
    )
    installed.install("tool:main", None)
    script = installed.script.rename(installed.scripts / name)
    done = installed.run(*under, os.path.relpath(script, dirty.path), cwd=dirty.path)
    assert done.returncode == 0 and done.stdout.startswith("imported\n"), done.stderr
    assert REFUSED in done.stderr


def test_an_installed_tool_that_imports_before_its_own_code_only_warns(
    dirty: Repository, installed: Environment
) -> None:
    (installed.packages / "tool.py").write_text("def main(): pass\n")
    installed.install("tool:main", None)
    installed.script.write_text("import sys; sys.path.insert(0, '')\nimport train\nprint('imported')\n")
    done = installed.run(installed.script, cwd=dirty.path)
    assert (done.returncode, done.stdout) == (0, "imported\n"), done.stderr
    assert REFUSED in done.stderr


@pytest.mark.parametrize("how", ["-c", "standard input"])
def test_a_prompt_imports_a_dirty_module(dirty: Repository, how: str) -> None:
    code = "import train\ntry: train.save_thing('foo')\nexcept Exception as error: print(type(error).__name__)\n"
    done = dirty.run("-c", code) if how == "-c" else dirty.run("-", input=code)
    assert done.stdout == "DirtyRepositoryError\n"
    assert REFUSED in done.stderr


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@posix_only
def test_a_pool_that_imports_a_dirty_module_ends_with_the_error(dirty: Repository, method: str) -> None:
    dirty.write(
        "main.py",
        "import multiprocessing\n"
        "def work(name):\n    import train\n    return train.save_thing(name)\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        print(pool.map(work, ['a', 'b']))\n",
    )
    done = dirty.run("main.py")
    assert done.returncode == 1
    assert f"pyrepro.DirtyRepositoryError: the work tree {dirty.path} has changes" in done.stderr
    assert done.stderr.strip().endswith("to write under a -dirty- name.")


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@posix_only
def test_a_worker_imports_a_dirty_module_and_reads_the_state_once(dirty: Repository, method: str) -> None:
    dirty.write(
        "main.py",
        "import multiprocessing, os\nfrom pyrepro import Artifact\n"
        "os.environ['PYREPRO_ALLOW_DIRTY'] = '1'\n"
        "@Artifact('p')\ndef own(p): return p\n"
        "def work(name):\n"
        "    del os.environ['PYREPRO_ALLOW_DIRTY']\n    import train\n    before = own(name)\n"
        "    open('run.sh', 'w').write('edited')\n    return train.__name__, before == own(name)\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context({method!r}).Pool(1) as pool:\n"
        "        print(pool.map(work, ['a']))\n",
    )
    done = dirty.run("main.py")
    assert done.stdout == "[('train', True)]\n", done.stderr
    assert REFUSED in done.stderr


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@posix_only
def test_a_pool_whose_script_was_edited_after_its_start_ends_with_the_error(
    repository: Repository, method: str
) -> None:
    repository.write(
        "main.py",
        "import multiprocessing\nfrom pyrepro import Artifact\n"
        "@Artifact('outpath')\ndef own(outpath):\n    return outpath\n"
        "if __name__ == '__main__':\n"
        "    open('run.sh', 'w').write('edited')\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        print(pool.map(own, ['a', 'b']))\n",
    )
    repository.commit()
    done = repository.run("main.py")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("to write under a -dirty- name.")


def test_a_pool_of_a_clean_script_writes_the_tag_of_its_driver(repository: Repository) -> None:
    repository.write(
        "main.py",
        "import multiprocessing\nfrom train import save_thing\nfrom pyrepro import Artifact\n"
        "@Artifact('outpath')\ndef own(outpath):\n    return outpath\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
        "        print(*pool.map(own, ['a', 'b']), *pool.map(save_thing, ['c']))\n",
    )
    repository.commit()
    tag = f"{repository.head[:12]}-{EMPTY}"
    assert repository.run("main.py").stdout == f"a-{tag} b-{tag} c-{tag}\n"


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    import pyrepro

    assert pyrepro.__version__ == version("pyrepro")
    with pytest.raises(AttributeError, match="^module 'pyrepro' has no attribute 'gone'$"):
        pyrepro.gone  # noqa: B018


def test_every_public_name_is_listed_and_there_whether_or_not_it_was_imported_before() -> None:
    ask = (
        "import pyrepro; print(set(pyrepro.__all__) <= set(dir(pyrepro))); from pyrepro import *; print(find.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout == "True\nfind\n"


def test_every_public_name_says_that_it_is_of_pyrepro() -> None:
    import pyrepro

    modules = {name: getattr(pyrepro, name).__module__ for name in pyrepro.__all__}
    assert modules == dict.fromkeys(pyrepro.__all__, "pyrepro")


def test_another_name_is_an_attribute_error() -> None:
    import pyrepro

    with pytest.raises(AttributeError, match="^module 'pyrepro' has no attribute 'artefact'$"):
        pyrepro.artefact  # noqa: B018


EDITS_WHAT_IT_LOADED = """\
import pathlib
import lib.model
from pyrepro import Artifact

@Artifact("outpath", allow_dirty=True)
def save(outpath):
    pathlib.Path(outpath).write_text("good job")
    return outpath

def test_that_edits():
    before = save("foo.txt")
    pathlib.Path(lib.model.__file__).write_text("LAYERS = 9\\n")
    assert save("foo.txt") == before
"""


@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_a_worker_of_pytest_is_no_session_as_pytest_itself_is_none(repository: Repository, workers: list[str]) -> None:
    repository.commit(test_edits=EDITS_WHAT_IT_LOADED)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers, "test_edits.py"],
        cwd=repository.path,
        capture_output=True,
        text=True,
    )
    assert "1 passed" in done.stdout, done.stdout
