"""File systems that are not the local one: fsspec, universal_pathlib."""

from __future__ import annotations

import pytest
from systems import Guide, needs

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
