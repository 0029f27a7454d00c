"""The programs of the how-to guides do what the guides say."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import GUIDES, Repository

from pyrepro import Tag, config_hash, read_record

GALLERY = sorted(GUIDES.parent.glob("gallery/*.pyrepro.json"))
Guide = Callable[..., Repository]


def test_never_leave_half_a_file(guide: Guide) -> None:
    repository = guide("atomic.py")
    done = repository.run("atomic.py")
    path = repository.path / done.stdout.strip()
    assert (done.stderr, path.read_text()) == ("", "and\t1\ncat\t1\nhat\t1\nthe\t2\n")
    assert os.listdir(path.parent) == [path.name]


def test_cache_a_step_that_reads_files(guide: Guide) -> None:
    repository = guide("cache.py")
    first, second = (repository.run("cache.py") for _ in range(2))
    path = first.stdout.splitlines()[-1]
    assert (first.stderr, first.stdout) == ("", f"cleaning raw.txt\nadding up\n{path}\n")
    assert (second.stderr, second.stdout) == ("", f"{path}\n")
    assert (repository.path / path).read_text() == "4.0"


def test_a_stable_name(guide: Guide) -> None:
    repository = guide("stable_name.py")
    for edit in ("# one\n", "# two\n"):
        repository.write("stable_name.py", (repository.path / "stable_name.py").read_text() + edit)
        repository.commit()
        newest = repository.run("stable_name.py").stdout.strip()
        assert f"figures/{os.readlink(repository.path / 'figures' / 'bills.svg')}" == newest
        assert repository.head[:12] in newest


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.name.partition("-")[0])
def test_what_the_gallery_shows_is_what_its_records_say(path: Path) -> None:
    record = read_record(path)
    artifact = path.with_name(record.artifact["name"])
    assert hashlib.sha256(artifact.read_bytes()).hexdigest() == record.artifact["sha256"]
    assert Tag.from_path(artifact) == Tag(record.code["commit"][:12], None, config_hash(record.config)[:12])
