"""A colleague: who was sent an artifact and its record, and has a clone in another directory, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from conftest import Repository

from pyrepro import Reproduction, reproduce


def artifact_of(done: subprocess.CompletedProcess[str], directory: Path) -> Path:
    """The artifact whose path a program printed last."""
    assert done.returncode == 0, done.stderr
    return directory / done.stdout.strip().splitlines()[-1]


def handed_on(path: Path, to: Path) -> Path:
    """An artifact in an empty directory, with its record and its patch."""
    to.mkdir(exist_ok=True)
    for file in [path, Path(f"{path}.pyrepro.json"), *path.parent.glob("*.patch")]:
        (shutil.copytree if file.is_dir() else shutil.copy)(file, to / file.name)
    return to / path.name


def made_by_colleague(repository: Repository, path: Path, tmp_path: Path, **options: Any) -> Reproduction:
    """The artifact, made again where the author's files are not."""
    clone = repository.clone(tmp_path / "clone of the colleague")
    sent = handed_on(path, tmp_path / "mail")
    away = tmp_path / "away"
    repository.path.rename(away)
    try:
        return reproduce(sent, clone.path, **options)
    finally:
        away.rename(repository.path)
