"""find lists the artifacts of a plain path, newest first."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import pytest

from pyrepro import ConfigError, Tag, config_hash, find

CONFIG = {"lr": 0.1}
OLD = Tag("a" * 12, None, config_hash({})[:12])
NEW = Tag("b" * 12, "c" * 12, config_hash(CONFIG)[:12])


@pytest.fixture
def out(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with two artifacts of model.pkl, and files that are none."""
    for age, name in enumerate(
        [f"model-{NEW}.pkl", f"model-{OLD}.pkl", "model.pkl", f"model-{OLD}.pkl.pyrepro.json", f"model2-{OLD}.pkl"]
        + [f"model-{OLD}.pkl.gz", f"model-{OLD} (1).pkl", f"model-{str(OLD).upper()}.pkl", f"model-x-{OLD}.pkl"]
    ):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    (tmp_path / f"run-{OLD}").mkdir()
    (tmp_path / ".pyrepro").mkdir()
    return tmp_path


def test_the_artifacts_of_a_plain_path_are_listed_newest_first(out: pathlib.Path) -> None:
    assert find(out / "model.pkl") == [out / f"model-{NEW}.pkl", out / f"model-{OLD}.pkl"]
    os.utime(out / f"model-{OLD}.pkl", (2_000_000, 2_000_000))
    assert find(out / "model.pkl") == [out / f"model-{OLD}.pkl", out / f"model-{NEW}.pkl"]


def test_a_configuration_lists_those_that_it_made(out: pathlib.Path) -> None:
    assert find(out / "model.pkl", CONFIG) == [out / f"model-{NEW}.pkl"]
    assert find(out / "model.pkl", config={}) == [out / f"model-{OLD}.pkl"]
    assert find(out / "model.pkl", {"lr": 0.2}) == []


def test_the_type_of_the_path_is_kept(out: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(str(out / "model.pkl"), CONFIG) == [str(out / f"model-{NEW}.pkl")]
    assert find(os.fsencode(out / "model.pkl"), CONFIG) == [os.fsencode(out / f"model-{NEW}.pkl")]
    monkeypatch.chdir(out)
    assert find("model.pkl", CONFIG) == [f"model-{NEW}.pkl"]
    assert find("./model.pkl", CONFIG) == [f"./model-{NEW}.pkl"]


def test_directories_are_artifacts_too(out: pathlib.Path) -> None:
    assert find(out / "run") == [out / f"run-{OLD}"]
    assert find(f"{out}/run/") == [f"{out}/run-{OLD}/"]


def test_where_there_is_nothing_the_list_is_empty(out: pathlib.Path) -> None:
    assert find(out / "other.pkl") == find(out / "gone" / "model.pkl") == find(out / "model.pkl" / "x") == []


def test_an_artifact_that_is_removed_meanwhile_is_left_out(out: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.listdir(out)
    (out / f"model-{NEW}.pkl").unlink()
    monkeypatch.setattr(os, "listdir", lambda path: listed)
    assert find(out / "model.pkl") == [out / f"model-{OLD}.pkl"]


@pytest.mark.parametrize("path", [None, 3, ["a.txt"]])
def test_what_is_no_path_is_a_type_error(path: Any) -> None:
    with pytest.raises(TypeError) as error:
        find(path)
    assert str(error.value) == (
        f"find takes one plain path, a str, bytes or os.PathLike, not {path!r} of type {type(path).__name__}"
    )


@pytest.mark.parametrize("path", ["", ".", "out/..", "/"])
def test_a_path_without_a_name_is_a_value_error(path: str) -> None:
    with pytest.raises(ValueError) as error:
        find(path)
    assert str(error.value) == f"{path!r} has no file name; pass the plain path of an artifact, like 'out/model.pkl'"


def test_a_url_is_a_value_error() -> None:
    with pytest.raises(ValueError) as error:
        find("s3://bucket/model.pkl")
    assert str(error.value) == (
        "'s3://bucket/model.pkl' is a URL; find lists local directories, list this one with the library that writes to it"
    )


def test_a_configuration_without_a_form_is_refused(out: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match=r"^config\['a'\] is 1j"):
        find(out / "model.pkl", {"a": 1j})
