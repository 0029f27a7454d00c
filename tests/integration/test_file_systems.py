"""File systems that are not the usual local one: fsspec, universal_pathlib, and those whose files share blocks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE, Repository
from systems import Guide, needs, needs_program, run

from pyrepro import Tag, config_hash


@needs("fsspec")
@pytest.mark.parametrize("url", ["memory://bucket/a//model.txt", "file://{}/out/model.txt"])
def test_a_url_keeps_its_scheme_and_every_slash(guide: Guide, url: str) -> None:
    repository = guide("remote.py")
    url = url.format(repository.path)
    show = (
        "import fsspec, remote; url = remote.save('weights', '{}'); print(url); print(fsspec.open(url).open().read())"
    )
    done = repository.run("-c", show.format(url))
    tag = Tag(repository.head[:12], None, config_hash({"lr": 0.1})[:12])
    assert (done.stdout, done.stderr) == (f"{tag.put(url)}\nb'weights'\n", "")


@needs("upath")
@pytest.mark.parametrize("url", ["memory://bucket/a/model.txt", "file://{}/model.txt"])
def test_a_universal_path_stays_one(guide: Guide, url: str) -> None:
    repository = guide("remote_path.py")
    url = url.format(repository.path)
    show = "from remote_path import save, UPath; path = save('weights', UPath('{}')); print(path.read_text(), path)"
    done = repository.run("-c", show.format(url))
    tag = Tag(repository.head[:12], None, config_hash({"lr": 0.1})[:12])
    assert (done.stderr, done.stdout.split()[0]) == ("", "weights")
    assert done.stdout.split()[1].endswith(tag.put("/model.txt"))


@needs("upath")
def test_a_universal_path_is_published_atomically(guide: Guide) -> None:
    repository = guide("remote_path.py")
    program = (repository.path / "remote_path.py").read_text()
    repository.write("remote_path.py", program.replace('{"lr": 0.1}', '{"lr": 0.1}, atomic=True'))
    repository.commit()
    show = (
        "from remote_path import *; path = save('weights', UPath('memory://bucket/model.txt')); print(path.read_text())"
    )
    done = repository.run("-c", show)
    assert (done.stderr, done.stdout) == ("", "weights\n")


@needs("fsspec")
def test_a_database_is_published_into_a_store_and_found_there(guide: Guide) -> None:
    repository = guide("remote_atomic.py")
    show = (
        "import logging; logging.basicConfig(level=20); import fsspec, sqlite3; from remote_atomic import save\n"
        "url = [save('memory://lab/cache/numbers.db', rows=10) for _ in range(2)][1]; print(url)\n"
        "fsspec.filesystem('memory').get(url, 'copy.db')\n"
        "print(sqlite3.connect('copy.db').execute('select count(*) from numbers').fetchone())"
    )
    done = repository.run("-c", show)
    tag = Tag(repository.head[:12], None, config_hash({"rows": 10})[:12])
    url = tag.put("memory://lab/cache/numbers.db")
    assert done.stdout == f"{url}\n(10,)\n", done.stderr
    assert re.findall(r"INFO:pyrepro:(save \w+)", done.stderr) == ["save made", "save found"]


CACHED = """\
import os
from pathlib import Path

from pyrepro import Artifact


@Artifact("outpath", config={}, cache=True, code="make.py")
def make(outpath):
    print("runs")
    Path(outpath).write_bytes(os.urandom(1 << 24))


print(make("out/noise.bin"))
"""


@pytest.fixture(params=["btrfs", "xfs"])
def with_reflinks(request: pytest.FixtureRequest, repository: Repository, tmp_path: Path) -> Iterator[Repository]:
    """A repository on a file system whose files can share their blocks."""
    make = shutil.which(f"mkfs.{request.param}")
    if make is None:
        pytest.skip(f"mkfs.{request.param} is not installed")
    image, mounted = tmp_path / "image", tmp_path / "mounted"
    with open(image, "wb") as file:
        file.truncate(320 << 20)  # the least that xfs takes
    mounted.mkdir()
    subprocess.run([make, "-q", image], check=True, timeout=PATIENCE)
    done = subprocess.run(["mount", "-o", "loop", image, mounted], capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode != 0:
        pytest.skip(f"no {request.param} can be mounted on this machine: {done.stderr.strip()}")
    try:
        repository.write(".gitignore", "out/\n")
        repository.commit(make=CACHED, other="x = 1\n")
        yield repository.clone(mounted / "clone")
    finally:
        subprocess.run(["umount", mounted], check=True, timeout=PATIENCE)


def test_a_copy_shares_its_blocks_with_its_source_until_one_of_them_is_edited(with_reflinks: Repository) -> None:
    def used() -> int:
        os.sync()
        status = os.statvfs(with_reflinks.path)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    first = with_reflinks.run("make.py").stdout.split()
    with_reflinks.commit(other="x = 2\n")
    before = used()
    second = with_reflinks.run("make.py").stdout.split()
    assert (first[0], len(second)) == ("runs", 1)
    assert used() - before < 1 << 22  # the artifact has four times as much
    source, copy = with_reflinks.path / first[1], with_reflinks.path / second[0]
    content = source.read_bytes()
    assert copy.read_bytes() == content
    with open(source, "r+b") as file:
        file.write(bytes(100))
    assert copy.read_bytes() == content


@needs_program("strace")
def test_where_no_blocks_can_be_shared_it_is_asked_and_the_content_is_copied(repository: Repository) -> None:
    repository.write(".gitignore", "out/\n")
    repository.commit(make=CACHED, other="x = 1\n")
    source = repository.run("make.py").stdout.split()[1]
    repository.commit(other="x = 2\n")
    done = run(repository, *("strace", "-f", "-y", "-e", "trace=ioctl", "-o", "calls.log", sys.executable, "make.py"))
    if "PTRACE" in done.stderr:
        pytest.skip(f"no process can be traced on this machine: {done.stderr.strip()}")
    copy = done.stdout.split()[0]
    asked = re.findall(r"ioctl\(\d+<(.*)>, .*FICLONE, \d+", (repository.path / "calls.log").read_text())
    assert [Path(path).name for path in asked] == [Path(copy).name]
    assert (repository.path / copy).read_bytes() == (repository.path / source).read_bytes()
