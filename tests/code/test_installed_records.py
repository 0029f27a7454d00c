"""Which project an installed copy is of, from what its installer has recorded (PEP 376, PEP 610)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Repository
from test_what_runs import WAITS, Alive, tag, timeless

SCRIPT = """\
import sys
sys.path[0] = {packages!r}
import pyrepro, lab
{waits}
print(pyrepro.tag(allow_dirty={allow}))
"""


def install(packages: Path, url: dict[str, object] | None, record: str | None = "lab.py,,\n") -> Path:
    """What an installer leaves behind of a distribution that is called lab."""
    information = packages / "lab-1.0.dist-info"
    information.mkdir(parents=True)
    if record is not None:
        (information / "RECORD").write_text(record)
    if url is not None:
        (information / "direct_url.json").write_text(json.dumps(url))
    (packages / "lab.py").write_text("LR = 1\n")
    return packages / "lab.py"


def committed(repository: Repository, packages: Path, *, waits: str = "", allow: bool = True) -> Repository:
    repository.write("pyproject.toml", '[project]\nname = "lab"\n')
    repository.write("part/lab.py", "LR = 3\n")
    repository.commit(lab="LR = 2\n", main=SCRIPT.format(packages=str(packages), waits=waits, allow=allow))
    return repository


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "environment" / "site-packages"


def test_a_copy_of_a_project_below_the_top_is_of_its_directory(repository: Repository, packages: Path) -> None:
    install(packages, {"url": (repository.path / "part").as_uri(), "dir_info": {}})
    committed(repository, packages)
    assert repository.run("main.py").stdout == f"{tag(repository.head, **{'part/lab': 'LR = 1' + chr(10)})}\n"


def test_a_copy_of_a_directory_that_git_does_not_track_is_of_another_project(
    repository: Repository, packages: Path
) -> None:
    repository.write("ignored/lab.py", "LR = 1\n")
    install(packages, {"url": (repository.path / "ignored").as_uri(), "dir_info": {}})
    committed(repository, packages)
    assert repository.run("main.py").stdout == f"{tag(repository.head)}\n"


@pytest.mark.parametrize("url", [None, {"url": "https://example.org/lab.whl", "archive_info": {}}, {"dir_info": {}}])
def test_a_copy_that_was_installed_from_no_directory_is_known_by_its_name(
    repository: Repository, packages: Path, url: dict[str, object] | None
) -> None:
    install(packages, url)
    committed(repository, packages)
    assert repository.run("main.py").stdout == f"{tag(repository.head, lab='LR = 1' + chr(10))}\n"


def test_what_no_record_lists_is_no_copy(repository: Repository, packages: Path) -> None:
    install(packages, None, record=None)
    committed(repository, packages)
    assert repository.run("main.py").stdout == f"{tag(repository.head)}\n"


def test_a_copy_that_is_written_after_it_was_loaded_is_unknown(repository: Repository, packages: Path) -> None:
    file = install(packages, None)
    committed(repository, packages, waits=WAITS, allow=False)
    alive = Alive(repository, "main.py")
    file.write_text("LR = 4\n")
    assert timeless(alive.go_on()[1].splitlines()[-1]) == (
        f"pyrepro.CodeStateError: which code runs cannot be determined: {file} was written at <time>, after this process started "
        f"at <time>, so the module lab may have been loaded from something else; start the program again, or in a "
        f"session type importlib.reload(lab); import pyrepro above the other imports settles it for the next time"
    )


LAZY = """\
import importlib.util, os, sys
import pyrepro
sys.path.insert(0, {copy!r})
spec = importlib.util.find_spec("lab")
spec.loader = importlib.util.LazyLoader(spec.loader)
sys.modules["lab"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["lab"])
os.unlink(spec.origin)
print(pyrepro.tag())
"""


def test_a_lazy_copy_that_is_gone_before_its_first_use_is_unknown(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # what measures looks into all modules
    copy = tmp_path.resolve() / "copy"
    repository.commit(lab="LR = 1\n", main=LAZY.format(copy=str(copy)))
    repository.git("worktree", "add", "-q", "--detach", str(copy))
    assert repository.run("main.py").stderr.splitlines()[-1] == (
        f"pyrepro.CodeStateError: which code runs cannot be determined: {copy}/lab.py can no longer be read; "
        f"start the program again"
    )
