"""What is something else on another day or computer is warned of, once, with what to ignore."""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Repository

from pyrepro import Artifact

END = "; where that differs, the artifact will not be found again: add ignore="


@pytest.fixture
def warnings(repository: Repository, caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """What two calls with a configuration warn of."""

    def warnings_of(config: Any, **options: Any) -> list[str]:
        @Artifact("outpath", config=config, repo=repository.path, **options)
        def save(outpath: str) -> None:
            """Write nothing."""

        start = f"the configuration of {save.__qualname__} holds "
        for _ in range(2):
            save("foo")
            save.tagged("foo")
        said = [record.getMessage() for record in caplog.records if record.name == "pyrepro"]
        assert all(message.startswith(start) for message in said)
        return [message.removeprefix(start) for message in said]

    return warnings_of


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the working, home and temporary directories in it."""
    for name in ("working", "home", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "working")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path


@pytest.mark.parametrize("place", ["working", "home", "temporary"])
def test_an_absolute_path_of_this_user_or_computer_is_warned_of_once(place: str, places: Path, warnings: Any) -> None:
    path = places / place / "a" / "b"
    assert warnings({place: {"data": [path]}, "near": f"{places / place}other"}) == [
        f"{place}.data = {path.as_posix()!r}, an absolute path in the {place} directory{END}['{place}.data'], "
        "or name files to read in inputs="
    ]


@pytest.mark.parametrize("key", ["in_a_dictionary", "from_a_function"])
def test_a_path_that_a_later_call_brings_is_warned_of(
    key: str, repository: Repository, places: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings: dict[str, Any] = {key: "table.csv"}
    config = settings if key == "in_a_dictionary" else lambda call: settings

    @Artifact("outpath", config=config, repo=repository.path)
    def save(outpath: str) -> None:
        """Write nothing."""

    save("foo")
    settings[key] = (places / "home" / "table.csv").as_posix(), {"others": 2}
    save("foo")
    save("foo")
    assert [record.getMessage() for record in caplog.records] == [
        f"the configuration of {save.__qualname__} holds {key} = {settings[key][0]!r}, an absolute path in the home "
        f"directory{END}[{key!r}], or name files to read in inputs="
    ]


def test_all_of_them_are_in_one_warning(places: Path, warnings: Any) -> None:
    top = (places / "working").as_posix()
    assert warnings({"top": top, "lower": f"{top}/a"}) == [
        f"lower = {f'{top}/a'!r}, an absolute path in the working directory, and top = {top!r}, an absolute path in the "
        f"working directory{END}['lower', 'top'], or name files to read in inputs="
    ]


def test_a_run_directory_of_hydra_is_warned_of(warnings: Any) -> None:
    now = time.strftime("%Y-%m-%d/%H-%M-%S")
    assert warnings({"run_dir": f"outputs/{now}"}) == [
        f"run_dir = 'outputs/{now}', which holds today's time{END}['run_dir'], or name files to read in inputs="
    ]


def test_what_is_ignored_is_not_warned_of(places: Path, warnings: Any) -> None:
    config = {"paths": {"out": places / "working" / "a"}, "lr": 0.1}
    assert warnings(config, ignore="paths.out") == []


@pytest.mark.parametrize(
    "value",
    [
        "/opt/models/bert",
        "data/raw.csv",
        "s3://bucket/2020-01-01/10-00-00",
        "outputs/2020-01-01/10-00-00/model.pt",
        datetime.datetime.now(),
        datetime.date.today(),
        str(datetime.date.today()),
        "/",
    ],
)
def test_what_is_the_same_everywhere_is_not_warned_of(value: object, places: Path, warnings: Any) -> None:
    assert warnings({"innocent": value}) == []


def test_a_configuration_that_is_nothing_but_a_path_has_no_key_to_ignore(places: Path, warnings: Any) -> None:
    assert warnings(places / "working" / "b") == []


def test_a_root_as_working_directory_holds_everything_and_says_nothing(
    places: Path, warnings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert warnings({"root": "/opt/models"}) == []
