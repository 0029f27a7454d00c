"""An input that is changed between the call and the end of the function: what was written does not get a false name."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from conftest import Repository

from pyrepro import Artifact, InputChangedError

MODES: list[dict[str, bool]] = [{}, {"atomic": True}, {"cache": True}, {"record": True}]
UNNAMED = r"unnamed-\d{8}T\d{6}Z"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with an input in it and nothing else."""
    directory = tmp_path / "written"
    directory.mkdir()
    monkeypatch.chdir(directory)
    Path("raw.csv").write_text("old")
    return directory


def artifact(repository: Repository, **options: Any) -> Artifact:
    return Artifact("path", repo=repository.path, inputs=["raw"], **options)


def names(directory: Path) -> list[str]:
    """What is in a directory, the time of what has no name left out."""
    return sorted(re.sub(UNNAMED, "unnamed-TIME", path.name) for path in directory.iterdir())


def replace_input() -> None:
    Path("raw.csv.new").write_text("new")
    os.replace("raw.csv.new", "raw.csv")


@pytest.mark.parametrize("mode", MODES)
def test_what_is_made_of_a_replaced_input_is_kept_without_a_name(
    repository: Repository, directory: Path, mode: dict[str, bool]
) -> None:
    @artifact(repository, **mode)
    def train(path: str, raw: str) -> None:
        replace_input()
        Path(path).write_text(Path(raw).read_text())

    with pytest.raises(InputChangedError) as error:
        train("model.pkl", raw="raw.csv")
    assert names(directory) == ["model-unnamed-TIME.pkl", "raw.csv"]
    (kept,) = directory.glob("model-*")
    assert kept.read_text() == "new"
    assert (error.value.input, error.value.path) == ("raw", str(kept))
    name = train.__qualname__
    assert str(error.value) == (
        f"the input raw of {name} was changed after it was hashed for the name, so what it wrote has no true name and "
        f"is kept as {kept}; use or remove that. Then call again when nothing else writes to the input; if {name} "
        f"itself changes it, let it write to another path"
    )


@pytest.mark.parametrize("mode", MODES)
def test_an_input_that_was_only_touched_or_written_again_is_as_it_was(
    repository: Repository, directory: Path, mode: dict[str, bool]
) -> None:
    @artifact(repository, **mode)
    def train(path: str, raw: list[str]) -> None:
        time.sleep(0.02)
        Path("raw.csv").write_text("old")
        Path(path).write_text("x")
        os.chdir("/")

    train("model.pkl", raw=["raw.csv"])
    kept = [path.name for path in directory.glob("model-*.pkl")]
    assert kept == [Path(train.tagged("model.pkl", [str(directory / "raw.csv")])).name]


def test_no_later_call_takes_what_has_no_name_for_its_artifact(repository: Repository, directory: Path) -> None:
    calls = []

    @artifact(repository, cache=True)
    def train(path: str, raw: str) -> None:
        calls.append(raw)
        Path(path).write_text("x")
        if len(calls) == 1:
            Path(raw).write_text("new")

    with pytest.raises(InputChangedError):
        train("model.pkl", "raw.csv")
    Path("raw.csv").write_text("old")
    for _ in range(2):
        assert train("model.pkl", "raw.csv") == train.tagged("model.pkl", "raw.csv")
    assert len(calls) == 2


def test_any_file_in_a_directory_is_looked_at(repository: Repository, directory: Path) -> None:
    Path("data/deep").mkdir(parents=True)
    Path("data/deep/x").write_text("old")

    @artifact(repository)
    def train(path: str, raw: str, content: str) -> None:
        Path(path).write_text("x")
        Path(raw, "deep", "x").write_text(content)

    train("a", "data", "old")
    with pytest.raises(InputChangedError, match="^the input raw of .* was changed after"):
        train("b", "data", "new")
    assert names(directory)[1:] == ["b-unnamed-TIME", "data", "raw.csv"]


def make_directory_instead(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)
    Path(path, "loop").symlink_to(".")


@pytest.mark.parametrize("remove", [os.unlink, make_directory_instead])
def test_an_input_that_is_gone_is_none_that_the_name_can_speak_of(
    repository: Repository, directory: Path, remove: Callable[[str], object]
) -> None:
    @artifact(repository)
    def train(path: str, raw: str) -> None:
        Path(path).write_text("x")
        remove(raw)

    with pytest.raises(InputChangedError, match="was removed, or can no longer be read, after it was hashed"):
        train("model.pkl", "raw.csv")
    assert "model-unnamed-TIME.pkl" in names(directory)


def test_everything_that_belongs_to_the_artifact_is_kept_with_it_and_never_over_another(
    repository: Repository, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1795680930.5)

    @artifact(repository)
    def train(path: str, raw: str, content: str) -> None:
        Path(raw).write_text(content)
        Path(path).write_text(content)
        Path(path + ".npy").write_text(content)

    for content in ("new", "newer"):
        with pytest.raises(InputChangedError):
            train("model", "raw.csv", content)
    assert sorted(path.name for path in directory.iterdir()) == [
        "model-unnamed-20261126T081530Z",
        "model-unnamed-20261126T081530Z.npy",
        "model-unnamed-20261126T081531Z",
        "model-unnamed-20261126T081531Z.npy",
        "raw.csv",
    ]


def test_where_no_local_file_was_written_the_error_says_so(repository: Repository, directory: Path) -> None:
    @artifact(repository)
    def train(path: str, raw: str) -> None:
        replace_input()

    with pytest.raises(InputChangedError) as error:
        train("memory://model.pkl", "raw.csv")
    assert error.value.path is None
    name = train.__qualname__
    assert str(error.value) == (
        f"the input raw of {name} was changed after it was hashed for the name, and no local file was renamed; remove "
        f"what it wrote, whose name is false. Then call again when nothing else writes to the input; if {name} itself "
        f"changes it, let it write to another path"
    )


def test_an_input_that_is_not_given_has_no_content_that_could_change(repository: Repository, directory: Path) -> None:
    @artifact(repository)
    def train(path: str, raw: str | list[str | None] | None) -> None:
        replace_input()
        Path(path).write_text("x")

    train("a.pkl", None)
    train("b.pkl", [None])
    assert len(list(directory.glob("[ab]-*.pkl"))) == 2
    assert not list(directory.glob("*-unnamed-*"))


def test_a_change_while_the_content_is_hashed_is_seen(
    repository: Repository, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("raw.csv").open("wb") as file:
        file.truncate(3 << 20)
    sha256 = hashlib.sha256

    class Slow:
        """A digest during whose computation the file is replaced."""

        def __init__(self) -> None:
            self.digest = sha256()

        def update(self, chunk: bytes) -> None:
            monkeypatch.setattr(hashlib, "sha256", sha256)
            self.digest.update(chunk)
            replace_input()

        def hexdigest(self) -> str:
            return self.digest.hexdigest()

    @artifact(repository)
    def train(path: str, raw: str) -> None:
        Path(path).write_text("x")

    monkeypatch.setattr(hashlib, "sha256", lambda *content: sha256(*content) if content else Slow())
    with pytest.raises(InputChangedError, match="was changed after it was hashed"):
        train("model.pkl", "raw.csv")


def test_a_function_that_raised_is_not_asked_for_its_inputs(repository: Repository, directory: Path) -> None:
    @artifact(repository)
    def train(path: str, raw: str) -> None:
        replace_input()
        raise ValueError("mine")

    with pytest.raises(ValueError, match="^mine$"):
        train("model.pkl", "raw.csv")


@pytest.mark.parametrize("mode", MODES)
def test_inputs_of_coroutines_are_looked_at_again(
    repository: Repository, directory: Path, mode: dict[str, bool]
) -> None:
    @artifact(repository, **mode)
    async def train(path: str, raw: str) -> None:
        replace_input()
        Path(path).write_text("x")

    with pytest.raises(InputChangedError):
        asyncio.run(train("model.pkl", "raw.csv"))
    assert names(directory) == ["model-unnamed-TIME.pkl", "raw.csv"]


def test_inputs_of_generators_that_are_exhausted_are_looked_at_again(repository: Repository, directory: Path) -> None:
    @artifact(repository)
    def train(path: str, raw: str) -> Generator[int, None, None]:
        yield 1
        replace_input()
        Path(path).write_text("x")

    @artifact(repository)
    async def train_later(path: str, raw: str) -> AsyncGenerator[int, None]:
        yield 1
        Path("raw.csv").write_text("newer")
        Path(path).write_text("x")

    async def exhaust() -> None:
        async for _ in train_later("b.pkl", "raw.csv"):
            pass

    with pytest.raises(InputChangedError):
        list(train("a.pkl", "raw.csv"))
    with pytest.raises(InputChangedError):
        asyncio.run(exhaust())
    assert names(directory) == ["a-unnamed-TIME.pkl", "b-unnamed-TIME.pkl", "raw.csv"]
