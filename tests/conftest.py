"""Real repositories: a template is built once, and a fixture copies it in one line."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from pyrepro import CodeStateError, Tag, code_state, config_hash
from pyrepro._code import imports

TIMELESS: dict[str, Any] = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
"""No example fails because the machine is busy."""

hypothesis.settings.register_profile("default", derandomize=True, print_blob=False, **TIMELESS)
hypothesis.settings.register_profile("long", max_examples=1000, **TIMELESS)
hypothesis.settings.load_profile("default")

PATIENCE = 300
"""How many seconds a test waits for what comes within a few, on a machine that is far busier than this one."""

TIMEOUT = 600
"""After how many seconds a test is ended, whatever it waits for."""

QUICK = {"test_code_state", "test_config", "test_errors", "test_file_hash", "test_find", "test_golden", "test_tag"}
"""The files of the inner loop, ``pytest -m quick``."""

posix_only = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="only POSIX has fork, signals, modes and pipes with names"
)

GUIDES = Path(__file__).parent.parent / "docs" / "how-to"

SCRIPT = """\
import sys

from pyrepro import Artifact


@Artifact(keyword="outpath", config={})
def save_thing(outpath):
    with open(outpath, "w") as outf:
        outf.write("good job")
    return outpath


if __name__ == "__main__":
    print(save_thing(outpath="foo.txt"))
"""

IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is not installed nobody asks
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are processors: the tests wait for disks and for other processes."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return -(-3 * processors // 2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test has its time, and the inner loop is told from the rest."""
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT))
        if item.path.stem in QUICK:
            item.add_marker(pytest.mark.quick)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Wait for what a process brings about, as long as it lives."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, f"ended with {process.returncode} before it happened"
        assert time.monotonic() < end, f"did not happen within {PATIENCE} seconds"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "PYREPRO_", "PYTHONPATH")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp()))
    # A test suite that a test runs would otherwise remove what earlier runs of these tests have left behind, as pytest
    # does when it ends: a quarter of a million files.
    monkeypatch.setenv("PYTEST_DEBUG_TEMPROOT", str(tmp_path_factory.getbasetemp()))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.fixture(autouse=True, scope="session")
def known_work_tree() -> None:
    """No test is the first to be warned of the work tree that the tests themselves are loaded from."""
    with contextlib.suppress(CodeStateError):  # where the tests are in none, or there is no git
        code_state(Path(__file__).parent)


def files(directory: Path) -> dict[str, str]:
    """Everything in a directory: files with their content, links with their targets, empty directories."""
    found = {}
    for path in sorted(directory.rglob("*")):
        key = path.relative_to(directory).as_posix()
        if path.is_symlink():
            found[key] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[key] = path.read_text()
        elif not any(path.iterdir()):
            found[f"{key}/"] = ""
    return found


def names_dirty(name: str) -> str:
    """How the warning of a dirty tree that is allowed begins, by the name of an artifact that it was given."""
    tag = Tag.from_path(name)
    return f"pyrepro puts {tag.commit}-dirty-{tag.changes} into names, since "


def marker_in(directory: Path) -> Path:
    """The one marker in a directory with artifacts."""
    [marker] = directory.glob(".pyrepro/markers/*.json")
    return marker


_opened: list[str] | None = None


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(str(arguments[0]))


sys.addaudithook(_note_opened)  # for good: none can be removed


@contextlib.contextmanager
def files_opened_in(directory: Path) -> Iterator[list[str]]:
    """The artifacts in a directory that this process opens, in a list that is complete when the block ends."""
    global _opened
    _opened = []
    opened: list[str] = []
    try:
        yield opened
    finally:
        opened += [path for path in _opened if path.startswith(str(directory)) and ".pyrepro" not in path]
        _opened = None


class Repository:
    """A git repository in a temporary directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *args: str | bytes, check: bool = True, input: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.path, env=os.environ | IDENTITY, capture_output=True, input=input, check=False
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(errors="surrogateescape").strip()

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def write(self, name: str, content: str | bytes = "x = 1\n") -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def commit(self, **files: str) -> str:
        for name, content in files.items():
            self.write(name.replace("__", "/") + ".py", content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.head

    def clone(self, path: Path, *options: str) -> Repository:
        self.git("-c", "protocol.file.allow=always", "clone", "-q", *options, f"file://{self.path}", str(path))
        return Repository(path)

    def run(
        self, *args: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run this Python, by default in the work tree."""
        return subprocess.run(
            [sys.executable, *args],
            cwd=cwd or self.path,
            env=os.environ | (env or {}),
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )


def forget(*names: str) -> None:
    """Let modules that a test has imported be as if they never were: what has run counts, also when it is gone."""
    for name in names:
        sys.modules.pop(name, None)
        imports._loads.pop(name, None)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "repository"
    path.mkdir()
    repository = Repository(path)
    environment = pytest.MonkeyPatch()
    environment.setenv("GIT_CONFIG_NOSYSTEM", "1")
    environment.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    environment.setenv("HOME", str(path.parent))  # for git before 2.32, which does not know GIT_CONFIG_GLOBAL
    repository.git("init", "-q", "-b", "main")
    repository.write("train.py", SCRIPT)
    repository.write("lib/model.py", "LAYERS = 2\n")
    repository.write("run.sh", "echo run\n").chmod(0o755)
    (path / "link.py").symlink_to("train.py")
    repository.write(".gitignore", "ignored/\n*.log\n")
    repository.commit()
    environment.undo()
    return path


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Repository:
    """A repository at one commit: train.py, lib/model.py, the executable run.sh, link.py -> train.py, .gitignore."""
    path = (tmp_path / "repository").resolve()
    shutil.copytree(template, path, symlinks=True)
    return Repository(path)


@pytest.fixture
def caching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python writes and takes compiled caches."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The kernel of this Python, and no history of the person who runs the tests."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")


@pytest.fixture
def guide(repository: Repository) -> Callable[..., Repository]:
    """Commits programs of the how-to guides to a repository that ignores what they write."""

    def committed(*programs: str) -> Repository:
        for program in programs:
            target = repository.path / program
            target.parent.mkdir(exist_ok=True)
            shutil.copy(GUIDES / program, target)
        repository.write(".gitignore", "figures/\nout/\n*.log\n")
        repository.write("raw.txt", "1\n-2\n3\n")
        repository.commit()
        return repository

    return committed


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, which is the working directory."""
    path = tmp_path / "out"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture(scope="session")
def repository_once(template: Path) -> Repository:
    """The repository that the fixture ``repository`` copies, for what only reads it."""
    return Repository(template)


@pytest.fixture
def name(repository: Repository) -> Callable[..., str]:
    """What a clean name ends in, for a configuration, or for the arguments that are one."""

    def named(*config: object, **arguments: object) -> str:
        return f"{repository.head[:12]}-{config_hash(*config or [arguments])[:12]}"

    return named
