"""find lists the artifacts of a plain path, newest first."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import pytest
from conftest import Repository

from pyrepro import Artifact, ConfigError, Tag, config_hash, find

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


def test_a_configuration_without_a_form_is_refused(out: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match=r"^config\['a'\] is 1j"):
        find(out / "model.pkl", {"a": 1j})


def test_dirty_is_true_false_or_none(out: pathlib.Path) -> None:
    with pytest.raises(TypeError) as error:
        find("foo.txt", dirty="no")  # type: ignore[arg-type]
    assert str(error.value) == "dirty='no' of find is not True, False or None; pass one of them"


def test_clean_or_dirty_ones_alone_are_listed(out: pathlib.Path) -> None:
    assert find(out / "model.pkl", dirty=False) == [out / f"model-{OLD}.pkl"]
    assert find(out / "model.pkl", dirty=True) == [out / f"model-{NEW}.pkl"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "",
            "{path!r} is a directory; pass the plain path of an artifact in it, like {inside!r}; records({path!r}) lists "
            "what is recorded there",
        ),
        (
            f"model-{OLD}.pkl",
            "{path!r} is the path of one artifact; pass its plain path {plain!r}, or read_record of it",
        ),
        (
            f"model-{OLD}.pkl.pyrepro.json",
            "{path!r} is the path of one artifact; pass its plain path {plain!r}, or read_record of it",
        ),
        (
            "*.pkl",
            "{path!r} is a pattern; pass the plain path of an artifact, like 'out/model.pkl', once for each of several",
        ),
        (
            "[mn]odel-*.pkl",
            "{path!r} is a pattern; pass the plain path of an artifact, like 'out/model.pkl', once for each of several",
        ),
    ],
)
def test_what_no_function_is_called_with_is_a_value_error(name: str, message: str, out: pathlib.Path) -> None:
    path = f"{out}/{name}"
    with pytest.raises(ValueError) as error:
        find(path)
    assert str(error.value) == message.format(path=path, inside=f"{path}model.pkl", plain=f"{out}/model.pkl")


def test_a_plain_path_that_looks_like_these_is_none(out: pathlib.Path) -> None:
    (out / "run").symlink_to(out / f"run-{OLD}")
    assert find(out / "run") == [out / f"run-{OLD}"]
    (out / f"model-{OLD}-{NEW}.pkl").write_text("")
    assert find(out / f"model-{OLD}.pkl") == [out / f"model-{OLD}-{NEW}.pkl"]
    (out / f"what?-{OLD}.pkl").write_text("")
    assert find(out / "what?.pkl") == [out / f"what?-{OLD}.pkl"]
    assert find(out / "lr[0.1].pkl") == []


# where


def saver(repository: Repository, **options: Any) -> Any:
    @Artifact("outpath", repo=repository.path, **options)
    def save(outpath: str, alpha: float = 1.0, model: Any = None) -> str:
        pathlib.Path(outpath).write_text(f"{alpha}")
        return outpath

    return save


@pytest.fixture
def empty(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    path = tmp_path / "empty"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.mark.parametrize("options", [{"cache": True}, {"record": True}, {"cache": True, "record": True}])
def test_a_part_of_the_configuration_is_enough(
    options: dict[str, bool], repository: Repository, empty: pathlib.Path
) -> None:
    save = saver(repository, config=dict, **options)
    one = save("foo.txt", 2.0, {"layers": [2, 3], "act": {"name": "relu"}})
    other = save("foo.txt", 3, {"layers": [2], "act": {}})
    assert find("foo.txt", where={"alpha": 2}) == find("foo.txt", where={"alpha": 2.0}) == [one]
    assert find("foo.txt", where={"model.layers": (2, 3)}) == [one]
    assert find("foo.txt", where={"model": {"act": {"name": "relu"}}, "alpha": 2}) == [one]
    assert find("foo.txt", where={"model.act": {}}) == [other]
    assert find("foo.txt", where={"alpha": True}) == find("foo.txt", where={"alpha": 3, "model.layers": []}) == []
    assert find("foo.txt", where={}) == [other, one]


def test_an_argument_that_is_not_in_the_configuration_is_looked_for_in_the_record(
    repository: Repository, empty: pathlib.Path
) -> None:
    options = {"config": lambda call: {"doubled": 2 * call["alpha"]}, "cache": True, "record": True}
    save = saver(repository, **options)
    one, other = save("foo.txt", 1, {"layers": 2}), save("foo.txt", 2)
    assert find("foo.txt", where={"alpha": 1}) == find("foo.txt", where={"model.layers": 2, "doubled": 2}) == [one]
    pathlib.Path(f"{other}.pyrepro.json").unlink()
    assert find("foo.txt", where={"alpha": 2}) == []
    assert find("foo.txt", where={"doubled": 4}) == [other]


@pytest.mark.parametrize("option", ["cache", "record"])
def test_a_value_in_the_home_directory_is_found_as_it_was_passed(
    option: str, repository: Repository, empty: pathlib.Path
) -> None:
    save = saver(repository, config=dict, **{option: True})
    home = os.path.expanduser("~")
    one, _ = (save("foo.txt", model={"data": f"{home}/{name}", f"{home}/{name}": 1}) for name in ("one", "two"))
    for where in (
        {"model.data": f"{home}/one"},
        {"model.data": pathlib.Path(home, "one")},
        {"model": {f"{home}/one": 1}},
    ):
        assert find("foo.txt", where=where) == [one]


def test_a_key_that_no_artifact_has_is_an_error_that_lists_the_keys(
    repository: Repository, empty: pathlib.Path
) -> None:
    assert find("foo.txt", where={"alhpa": 1}) == []
    saver(repository, config=dict, cache=True)("foo.txt", 1, {"layers": 2})
    with pytest.raises(ValueError) as error:
        find("foo.txt", where={"alhpa": 1})
    assert str(error.value) == (
        "where='alhpa': looked in the configurations and recorded arguments of the 1 artifacts of 'foo.txt': "
        "they have alpha, model.layers"
    )


def test_without_markers_and_records_nobody_knows(out: pathlib.Path) -> None:
    with pytest.raises(ValueError) as error:
        find(out / "model.pkl", where={"lr": 0.1})
    assert str(error.value) == (
        f"where='lr': looked in the configurations and recorded arguments of the 2 artifacts of "
        f"{out / 'model.pkl'!r}: none has a marker or a record, which cache=True and record=True write"
    )


def test_where_takes_a_mapping(out: pathlib.Path) -> None:
    with pytest.raises(TypeError) as error:
        find(out / "model.pkl", where="alpha=1")  # type: ignore[arg-type]
    assert str(error.value) == (
        "where takes a mapping of keys to values, like {'alpha': 2.0}, not 'alpha=1' of type str"
    )
