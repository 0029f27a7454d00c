"""The staging directory that a call has emptied serves the next one, and what is in one is nobody else's."""

from __future__ import annotations

import os
import pathlib
import stat
from typing import Any

import pytest
from conftest import Repository, files, posix_only

from pyrepro import Artifact

pytestmark = posix_only


@pytest.fixture
def stagings() -> list[Any]:
    """The status of each directory that a call has staged in."""
    return []


@pytest.fixture
def save(repository: Repository, stagings: list[Any]) -> Any:
    @Artifact("outpath", config=dict, repo=repository.path, cache=True)
    def save(outpath: pathlib.Path, number: int) -> None:
        stagings.append(os.stat(outpath.parent))
        assert os.listdir(outpath.parent) == []
        outpath.write_text(f"good job {number}")

    return save


@pytest.fixture
def spare(out: pathlib.Path) -> pathlib.Path:
    return out / ".pyrepro" / "markers" / "spare"


def test_a_call_stages_where_the_last_one_did(
    save: Any, out: pathlib.Path, spare: pathlib.Path, stagings: list[Any]
) -> None:
    save(out / "foo", 0)
    # While it is open, no other directory gets its inode.
    descriptor = os.open(spare, os.O_RDONLY)
    save(out / "foo", 1)
    assert os.path.samestat(stagings[1], os.fstat(descriptor))
    assert os.path.samestat(os.stat(spare), os.fstat(descriptor))
    os.close(descriptor)


def test_a_call_within_another_one_stages_in_a_directory_of_its_own(
    save: Any, repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True, ignore=["save", "out"])
    def outer(outpath: pathlib.Path, save: Any) -> None:
        outpath.write_text("outer")
        save(out / "inner", 1)
        assert outpath.read_text() == "outer"

    save(out / "foo", 0)
    outer(out / "outer", save)
    assert sorted(text for name, text in files(out).items() if ".pyrepro" not in name) == [
        "good job 0",
        "good job 1",
        "outer",
    ]


def test_where_no_markers_are_kept_nothing_is_left(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.write_text("good job")

    save(out / "foo")
    assert [*files(out).values()] == ["good job"]


def test_it_goes_with_the_last_marker(save: Any, repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", config=dict, repo=repository.path, atomic=True)
    def publish(outpath: pathlib.Path, number: int) -> None:
        outpath.write_text("by another one")

    save(out / "foo", 0)
    publish(out / "foo", 0)
    assert [*files(out).values()] == ["by another one"]


def test_one_that_cannot_serve_goes_with_the_last_marker_too(
    save: Any, repository: Repository, out: pathlib.Path, spare: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @Artifact("outpath", config=dict, repo=repository.path, atomic=True)
    def publish(outpath: pathlib.Path, number: int) -> None:
        outpath.write_text("by another one")

    save(out / "foo", 0)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    publish(out / "foo", 0)
    assert [*files(out).values()] == ["by another one"]


def test_it_has_the_mode_that_the_directory_has_by_now(save: Any, out: pathlib.Path, stagings: list[Any]) -> None:
    save(out / "foo", 0)
    out.chmod(0o770)
    save(out / "foo", 1)
    assert stat.S_IMODE(stagings[1].st_mode) == 0o770


def test_that_of_another_user_is_not_used(
    save: Any, out: pathlib.Path, spare: pathlib.Path, stagings: list[Any]
) -> None:
    if os.geteuid():
        pytest.skip("only root can give a directory to another user")
    save(out / "foo", 0)
    os.chown(spare, 12345, -1)
    save(out / "foo", 1)
    assert stagings[1].st_uid == 0


def test_what_a_thread_has_left_in_one_is_kept_and_is_not_published(
    save: Any, out: pathlib.Path, spare: pathlib.Path
) -> None:
    save(out / "foo", 0)
    (spare / "late").write_text("late")
    save(out / "foo", 1)
    assert (spare / "late").read_text() == "late"
    assert not (out / "late").exists()


def test_a_link_in_its_place_is_not_followed(
    save: Any, out: pathlib.Path, spare: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    save(out / "foo", 0)
    spare.rmdir()
    spare.symlink_to(tmp_path / "home")
    out.chmod(0o777)
    save(out / "foo", 1)
    assert stat.S_IMODE(os.stat(tmp_path / "home").st_mode) == 0o700


def test_one_that_very_many_files_have_made_large_is_not_left(
    repository: Repository, out: pathlib.Path, spare: pathlib.Path
) -> None:
    sizes = []

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        for number in range(400):
            (outpath.parent / f"{number:0>250}").touch()
        for path in outpath.parent.iterdir():
            path.unlink()
        outpath.write_text("good job")
        sizes.append(os.stat(outpath.parent).st_size)

    save(out / "foo")
    if sizes[0] <= 1 << 16:
        pytest.skip("on this file system directories shrink")
    assert not spare.exists()
