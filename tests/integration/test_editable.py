"""Editable installs: by setuptools in each of its ways, hatchling and flit, and the links of flit."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest
from conftest import PATIENCE, Repository, posix_only
from systems import needs

EMPTY = "44136fa355b3"

PROJECT = """\
[build-system]
requires = []
build-backend = "{backend}"

[project]
name = "lab"
version = "1.0"
description = "A lab."

[project.scripts]
start = "lab.cli:main"
"""

CLI = """\
from pyrepro import Artifact
from lab import core

@Artifact("outpath", allow_dirty=True)
def save(outpath):
    return outpath

def main():
    print("waiting", flush=True)
    input()
    import lab.late
    print(save("foo"), core.LR, lab.late.LR)
"""

BACKENDS = {
    "setuptools": ("setuptools.build_meta", []),
    "setuptools strict": ("setuptools.build_meta", ["--config-settings=editable_mode=strict"]),
    "setuptools compat": ("setuptools.build_meta", ["--config-settings=editable_mode=compat"]),
    "hatchling": ("hatchling.build", []),
    "flit": ("flit_core.buildapi", []),
    "flit with links": ("flit_core.buildapi", []),
}


@pytest.fixture(
    params=[pytest.param(name, marks=needs(name.partition(" ")[0].replace("flit", "flit_core"))) for name in BACKENDS]
)
def installed(request: pytest.FixtureRequest, repository: Repository, tmp_path: Path) -> tuple[Repository, Path]:
    """A project with its sources in src, and the script of an environment that it is installed into."""
    backend, options = BACKENDS[request.param]
    repository.write("pyproject.toml", PROJECT.format(backend=backend))
    repository.write(".gitignore", "__pycache__/\n*.egg-info/\nbuild/\n")
    repository.write("src/lab/__init__.py", '"""A lab."""\n__version__ = "1.0"\n')
    repository.commit(src__lab__core="LR = 1\n", src__lab__late="LR = 1\n", src__lab__cli=CLI)
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    [packages] = (tmp_path / "venv").rglob("site-packages")
    seen = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "outer.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in seen))
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check", *options, "-e", "."]
    subprocess.run(command, cwd=repository.path, check=True)
    if "links" in request.param:  # as flit install --symlink leaves them
        for path in packages.glob("*lab*.pth"):
            path.unlink()
        (packages / "lab").symlink_to(repository.path / "src" / "lab")
    return repository, tmp_path / "venv" / "bin" / "start"


def tag_of(repository: Repository) -> str:
    state = repository.run("-c", "import pyrepro; print(pyrepro.code_state())").stdout.strip()
    commit, _, changes = state.partition("-dirty-")
    return "-".join([commit[:12], *(["dirty", changes[:12]] if changes else []), EMPTY])


def start(repository: Repository, script: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    process = subprocess.Popen([script], cwd=repository.path, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n", process.communicate()
    return process


@posix_only
def test_an_editable_install_is_the_work_tree(installed: tuple[Repository, Path]) -> None:
    repository, script = installed
    clean = f"foo-{tag_of(repository)} 1 1\n"
    assert start(repository, script).communicate("\n", timeout=PATIENCE) == (clean, "")
    running = start(repository, script)
    repository.write("src/lab/core.py", "LR = 2\n")
    assert running.communicate("\n", timeout=PATIENCE) == (clean, "")
    edited, _ = start(repository, script).communicate("\n", timeout=PATIENCE)
    assert edited == f"foo-{tag_of(repository)} 2 1\n" != clean
    repository.commit()
    assert start(repository, script).communicate("\n", timeout=PATIENCE) == (f"foo-{tag_of(repository)} 2 1\n", "")


@posix_only
def test_what_is_loaded_late_from_an_editable_install_counts_as_it_was_loaded(
    installed: tuple[Repository, Path],
) -> None:
    repository, script = installed
    running = start(repository, script)
    repository.write("src/lab/late.py", "LR = 2\n")
    stdout, _ = running.communicate("\n", timeout=PATIENCE)
    assert stdout == f"foo-{tag_of(repository)} 1 2\n"
