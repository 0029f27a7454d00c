"""With atomic, cache and record, artifacts in stores are as complete as local ones."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from conftest import Repository

from pyrepro import Artifact


class Store:
    """A prefix of a store that nobody else uses."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.options = options
        self.system, self.root = fsspec.core.url_to_fs(url, **options)

    def __truediv__(self, name: str) -> str:
        return f"{self.url}/{name}"

    def files(self) -> dict[str, bytes]:
        """The objects in it but for markers, by their path."""
        self.system.invalidate_cache()
        found = self.system.find(self.root)
        start = len(self.root.rstrip("/")) + 1
        return {path[start:]: self.system.cat_file(path) for path in found if ".pyrepro/" not in path}

    def markers(self) -> list[str]:
        self.system.invalidate_cache()
        return [path for path in self.system.find(self.root) if path.endswith(".json") and ".pyrepro/" in path]

    def put(self, name: str, content: bytes) -> None:
        self.system.pipe_file(f"{self.root}/{name}", content)


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Store]:
    if request.param == "memory":
        one = Store(f"memory://{tmp_path.name}")
        yield one
        one.system.store.clear()
    else:
        (tmp_path / "store").mkdir()
        yield Store(f"file://{tmp_path}/store")


class Step:
    """A function that counts how often it runs."""

    def __init__(self, repository: Repository, **options: Any) -> None:
        self.runs = 0
        self.content = "trained"

        @Artifact("outpath", config=dict, repo=repository.path, **({"ignore": ("self",)} | options))
        def save(outpath: Any, lr: float = 0.1) -> Any:
            self.runs += 1
            with open(outpath, "w") as outf:
                outf.write(f"{self.content} with {lr}")
            return outpath

        self.save = save


def test_an_artifact_is_uploaded_when_the_function_has_returned(
    repository: Repository, store: Store, name: Any
) -> None:
    step = Step(repository, atomic=True)
    assert step.save(store / "foo.txt") == store / f"foo-{name(lr=0.1)}.txt"
    assert store.files() == {f"foo-{name(lr=0.1)}.txt": b"trained with 0.1"}


def test_a_cached_artifact_is_found_and_its_function_does_not_run(
    repository: Repository, store: Store, name: Any
) -> None:
    step = Step(repository, cache=True)
    assert [step.save(store / "foo.txt") for _ in range(3)] == [store / f"foo-{name(lr=0.1)}.txt"] * 3
    assert (step.runs, len(store.markers())) == (1, 1)


def test_a_record_stands_beside_its_artifact(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, cache=True, record=True)
    step.save(store / "foo.txt")
    step.save(store / "foo.txt")
    files = store.files()
    assert sorted(files) == [f"foo-{name(lr=0.1)}.txt", f"foo-{name(lr=0.1)}.txt.pyrepro.json"]
    record = json.loads(files[f"foo-{name(lr=0.1)}.txt.pyrepro.json"])
    assert record["artifact"]["name"] == f"foo-{name(lr=0.1)}.txt"
    assert step.runs == 1
