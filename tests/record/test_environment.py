"""The recorded versions, in a virtual environment that is made for one call: by uv, or by pip."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import Repository

from pyrepro import ReproduceError, reproduce

SCRIPT = """\
import importlib.metadata
from pathlib import Path
from pyrepro import Artifact

@Artifact("outpath", record=True)
def save(outpath):
    Path(outpath).write_text(importlib.metadata.version("tinylab"))
    return outpath

if __name__ == "__main__":
    print(save("ignored/foo.txt"))
"""

PROJECT = """\
[project]
name = "lab"
version = "1"
requires-python = "=={}.{}.*"
dependencies = ["tinylab==1.0", "GitPython", "filelock", "rfc8785"]
"""

OWN = ("GitPython", "gitdb", "smmap", "filelock", "rfc8785")

uv_only = pytest.mark.skipif(shutil.which("uv", path=os.path.dirname(sys.executable)) is None, reason="there is no uv")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index without a network: what pyrepro needs, as it is installed here, and two versions of a distribution."""
    directory = tmp_path_factory.mktemp("wheels").resolve()
    for name in OWN:
        distribution = importlib.metadata.distribution(name)
        files = [file for file in distribution.files or [] if ".." not in file.parts and file.suffix != ".pyc"]
        wheel = directory / f"{name.replace('-', '_')}-{distribution.version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for file in files:
                if os.path.isfile(str(file.locate())) and file.name not in (
                    "INSTALLER",
                    "REQUESTED",
                    "direct_url.json",
                ):
                    archive.write(str(file.locate()), file.as_posix())
    for version in ("1.0", "2.0"):
        with zipfile.ZipFile(directory / f"tinylab-{version}-py3-none-any.whl", "w") as archive:
            information = f"tinylab-{version}.dist-info"
            archive.writestr("tinylab.py", "")
            metadata = f"Metadata-Version: 2.1\nName: tinylab\nVersion: {version}\n"
            archive.writestr(f"{information}/METADATA", metadata)
            tags = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            archive.writestr(f"{information}/WHEEL", tags)
            archive.writestr(f"{information}/RECORD", "tinylab.py,,\n")
    return directory


@pytest.fixture(scope="module")
def author(template: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with an artifact that the older version made."""
    directory = tmp_path_factory.mktemp("author").resolve()
    shutil.copytree(template, directory / "repository", symlinks=True)
    made = Repository(directory / "repository")
    made.commit(step=SCRIPT)
    with zipfile.ZipFile(wheels / "tinylab-1.0-py3-none-any.whl") as archive:
        archive.extractall(directory / "then")
    done = made.run("step.py", env={"PYTHONPATH": str(directory / "then"), "HOME": str(directory)})
    assert done.returncode == 0, done.stderr
    change(made.path / done.stdout.strip(), loaded=[*OWN, "tinylab"])
    return made


@pytest.fixture
def repository(author: Repository, tmp_path: Path) -> Repository:
    path = tmp_path.resolve() / "repository"
    shutil.copytree(author.path, path, symlinks=True)
    shutil.copytree(author.path.parent / "then", tmp_path / "then")
    return Repository(path)


@pytest.fixture
def path(repository: Repository, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The artifact, where nothing but these wheels can be installed, and there is no uv."""
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX", "UV_OFFLINE"):
        monkeypatch.setenv(name, "1")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, str(wheels))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache of uv"))
    git = shutil.which("git")
    assert git is not None
    monkeypatch.setenv("PATH", os.path.dirname(git))
    [made] = repository.path.glob("ignored/*.txt")
    return made


def change(path: Path, **environment: object) -> None:
    """Let a record say something else of the environment."""
    record = Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    versions = environment.pop("versions", {})
    document["environment"] |= environment
    document["environment"]["packages"] |= versions
    record.write_text(json.dumps(document))


def with_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))


def not_followed(lock: str) -> str:
    return (
        f"{lock} is not followed, since only uv reads lock files, and only uv.lock; the recorded versions are installed"
    )


def test_here_the_newer_version_makes_another(
    path: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(wheels / "tinylab-2.0-py3-none-any.whl") as archive:
        archive.extractall(tmp_path / "here")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "here"))
    assert not reproduce(path).same


def test_pip_installs_the_recorded_versions_and_no_lock_file(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    change(path, lock="uv.lock", loaded=[*OWN, "tinylab", "pyrepro"])  # which comes along, and is not installed
    result = reproduce(path, environment="recorded")
    # Before Python 3.12 a virtual environment is made with a setuptools of its own.
    others = {name: versions for name, versions in result.environment.items() if name != "setuptools"}
    assert (result.same, others) == (True, {})
    assert caplog.messages == [not_followed("uv.lock")]


def test_what_cannot_be_had_is_among_the_differences(path: Path) -> None:
    change(
        path,
        loaded=[*OWN, "tinylab", "no-such-distribution"],
        versions={"tinylab": "1.0+local", "no-such-distribution": "1", "smmap": "0.0.1", "filelock": "0.0.1"},
    )
    result = reproduce(path, environment="recorded")
    assert result.same
    assert result.environment["tinylab"] == ("1.0+local", "1.0")
    assert result.environment["no-such-distribution"] == ("1", None)
    # What pyrepro itself needs comes along in any version.
    assert result.environment["filelock"] == ("0.0.1", importlib.metadata.version("filelock"))
    assert result.environment["smmap"] == ("0.0.1", importlib.metadata.version("smmap"))


@uv_only
def test_an_environment_that_cannot_be_made_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_uv(monkeypatch)
    monkeypatch.setenv("UV_FIND_LINKS", "")
    with pytest.raises(ReproduceError, match="its environment cannot be made:\n"):
        reproduce(path, environment="recorded")


@uv_only
@pytest.mark.parametrize("lock", ["poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "requirements.lock"])
def test_uv_installs_the_recorded_versions_where_it_cannot_follow_the_lock_file(
    lock: str, path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_uv(monkeypatch)
    repository.write(lock, "tinylab 2.0")
    change(path, loaded=[*OWN, "tinylab", "no-such-distribution"], versions={"no-such-distribution": "1"}, lock=lock)
    result = reproduce(path, environment="recorded")
    assert (result.same, result.environment) == (True, {"no-such-distribution": ("1", None)})
    assert caplog.messages == [not_followed(lock)]


@uv_only
def test_a_python_that_uv_cannot_find_is_this_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_uv(monkeypatch)
    now = json.loads(Path(f"{path}.pyrepro.json").read_text())["environment"]["python"]
    change(path, python="CPython 3.0.99")
    result = reproduce(path, environment="recorded")
    assert (result.same, result.environment) == (True, {"python": ("CPython 3.0.99", now)})


@uv_only
def test_the_lock_file_of_the_commit_is_followed(
    path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_uv(monkeypatch)
    repository.write("pyproject.toml", PROJECT.format(*sys.version_info))
    subprocess.run(["uv", "lock", "-q", "--python", sys.executable], cwd=repository.path, check=True)
    repository.commit()
    done = repository.run("step.py", env={"PYTHONPATH": str(tmp_path / "then")})
    locked = repository.path / done.stdout.strip()
    change(locked, loaded=[*OWN, "tinylab"], versions={"tinylab": "0.9"})
    assert reproduce(locked, environment="recorded").environment["tinylab"] == ("0.9", "1.0")
    repository.write("uv.lock", "no lock")
    repository.commit()
    done = repository.run("step.py", env={"PYTHONPATH": str(tmp_path / "then")})
    with pytest.raises(ReproduceError, match="its environment cannot be made from uv.lock:\n"):
        reproduce(repository.path / done.stdout.strip(), environment="recorded")


def test_no_virtual_environment_is_an_error(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false", path="/bin:/usr/bin"))
    with pytest.raises(ReproduceError, match="its environment cannot be made:\n"):
        reproduce(path, environment="recorded")
