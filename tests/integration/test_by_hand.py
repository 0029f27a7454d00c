"""A name is checked without pyrepro: with git, sha256sum, and a program for Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import Repository
from systems import Guide, needs_program, run

from pyrepro import Tag, canonical_json, config_hash

CONFIGURATIONS = [
    {},
    {"lr": 0.1},
    {"b": [1, 2.5, 1e-7, -0.0, 123456789.0], "a": {"": None, "ß": '\u20ac\t\\"', "😀": True}},
    {"\ufb33": "Hebrew", "\U0001f600": "smiley", "\r": "control"},
]


@pytest.fixture(scope="session")
def canonicalize(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds the npm package of that name."""
    directory = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "canonicalize"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    if done.returncode:  # there is no registry to be reached, so nothing to compare with
        pytest.skip(f"npm cannot install canonicalize: {done.stderr or done.stdout}")
    return directory


@needs_program("npm")
@needs_program("node")
@pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda config: f"{len(config)} keys")
def test_another_implementation_gives_the_same_hash(guide: Guide, canonicalize: Path, config: object) -> None:
    repository = guide("config_hash.mjs")
    (repository.path / "node_modules").symlink_to(canonicalize / "node_modules")
    repository.write("config.json", json.dumps(config))
    done = run(repository, "node", "config_hash.mjs", "config.json")
    assert (done.stdout, done.stderr) == (f"{config_hash(config)}\n", "")


@needs_program("sha256sum")
def test_sha256sum_gives_the_configuration_of_a_name(repository: Repository) -> None:
    done = run(repository, "sh", "-c", "printf '%s' \"$1\" | sha256sum", "-", canonical_json({"lr": 0.1}).decode())
    assert done.stdout.split()[0] == config_hash({"lr": 0.1})


@needs_program("sha256sum")
def test_git_and_sha256sum_give_the_changes_of_a_name(guide: Guide) -> None:
    repository = guide("check_changes.sh")
    repository.write("train.py", (repository.path / "train.py").read_text() + "# edited\n")
    path = repository.run("train.py", env={"PYREPRO_ALLOW_DIRTY": "1"}).stdout.strip()
    digest = run(repository, "sh", "check_changes.sh", "train.py").stdout.split()[0]
    assert digest[:12] == Tag.from_path(path).changes
    assert run(repository, "git", "show", "--no-patch", "--format=%H", Tag.from_path(path).commit).stdout.strip() == (
        repository.head
    )
