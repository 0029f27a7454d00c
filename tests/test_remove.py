"""remove takes an artifact with all that belongs to it; unused lists what a cleaning may remove."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pathlib
import shutil
import threading
from collections.abc import Callable
from typing import Any

import pytest
from conftest import PATIENCE, Repository, marker_in
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrepro import (
    Artifact,
    CodeStateError,
    NotTaggedError,
    Tag,
    code_state,
    config_hash,
    find,
    read_record,
    remove,
    unused,
)

TAG = Tag("a" * 12, None, config_hash({})[:12])
Save = Callable[..., str]


def saver(repository: Repository, **options: Any) -> Save:
    """A function that writes its artifact."""

    @Artifact("outpath", config=dict, repo=repository.path, allow_dirty=True, **options)
    def save(outpath: str, alpha: int = 1) -> str:
        pathlib.Path(outpath).write_text(f"{alpha}")
        return outpath

    return save


def names(directory: pathlib.Path) -> list[str]:
    """What is in a directory, and below it."""
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


# remove


def test_an_artifact_goes_with_its_marker_and_record_and_nothing_is_left(
    repository: Repository, out: pathlib.Path
) -> None:
    path = saver(repository, cache=True, record=True)("foo.txt")
    assert remove(path) == [path, f"{path}.pyrepro.json"]
    assert names(out) == []


def test_others_stay_and_are_found_as_before(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    save = saver(repository, cache=True, record=True)
    first, second = save("foo.txt", 1), save("foo.txt", 2)
    assert remove(out / first) == [out / first, out / f"{first}.pyrepro.json"]
    caplog.set_level(logging.INFO, "pyrepro")
    assert save("foo.txt", 2) == second
    assert caplog.messages == [f"{save.__qualname__} found {second}"]
    assert find("foo.txt") == [second]


def test_the_patch_goes_with_the_last_record_that_names_it(repository: Repository, out: pathlib.Path) -> None:
    repository.write("train.py", "x = 2\n")
    save = saver(repository, record=True)
    first, second = save("foo.txt", 1), save("foo.txt", 2)
    patch = read_record(first).code["patch"]
    assert remove(first) == [first, f"{first}.pyrepro.json"]
    assert remove(second.encode()) == [second.encode(), f"{second}.pyrepro.json".encode(), str(patch).encode()]
    assert names(out) == []


def test_a_patch_that_a_renamed_record_names_stays(repository: Repository, out: pathlib.Path) -> None:
    repository.write("train.py", "x = 2\n")
    save = saver(repository, record=True)
    first, second = save("foo.txt", 1), save("foo.txt", 2)
    os.rename(second, "final plot.txt")
    os.rename(f"{second}.pyrepro.json", "final plot.txt.pyrepro.json")
    patch = str(read_record("final plot.txt").code["patch"])
    assert remove(first) == [first, f"{first}.pyrepro.json"]
    assert names(out) == sorted(["final plot.txt", "final plot.txt.pyrepro.json", patch])


def test_a_patch_that_a_damaged_record_may_name_stays(repository: Repository, out: pathlib.Path) -> None:
    repository.write("train.py", "x = 2\n")
    save = saver(repository, record=True)
    first, second = save("foo.txt", 1), save("foo.txt", 2)
    pathlib.Path(f"{second}.pyrepro.json").write_text("{")
    patch = read_record(first).code["patch"]
    remove(first)
    assert names(out) == sorted([second, f"{second}.pyrepro.json", str(patch)])


def test_side_files_that_the_marker_names_go_too(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        path = pathlib.Path(outpath)
        for beside in (path, path.with_suffix(".dbf"), path.with_name(f"{path.name}.xml")):
            beside.write_text("good job")
        path.with_suffix(".tiles").mkdir()
        (path.with_suffix(".tiles") / "0").write_text("good job")

    path = save("foo.shp")
    stem = path.removesuffix(".shp")
    for part in (f"{stem}.dbf", f"{path}.xml", f"{stem}.tiles"):
        with pytest.raises(ValueError) as error:
            remove(part)
        assert str(error.value) == f"{part!r} is a side file of {path!r}; pass that"
    assert unused(str(out), keep=0, repo=repository.path) == []
    assert sorted(remove(path)) == sorted([path, f"{stem}.dbf", f"{path}.xml", f"{stem}.tiles"])
    assert names(out) == []


@pytest.mark.parametrize("kind", [str, pathlib.Path, os.fsencode])
def test_side_files_in_a_directory_beside_it_go_too(
    kind: Callable[[str], Any], repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        path = pathlib.Path(outpath)
        path.write_text("good job")
        plots = path.parent / "plots"
        (plots / "deep" / f"{path.name}.tiles").mkdir(parents=True)
        for beside in (plots / f"{path.name}.png", plots / "deep" / f"{path.name}.tiles" / "0", plots / "legend"):
            beside.write_text("good job")

    path = save("foo.txt")
    parts = [f"plots/{path}.png", f"plots/deep/{path}.tiles"]
    assert sorted(remove(kind(path))) == sorted(map(kind, [path, *parts]))
    assert names(out) == ["plots", "plots/deep", "plots/legend"]


def test_a_side_file_in_a_directory_beside_it_may_be_an_artifact_of_its_own(
    repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        path = pathlib.Path(outpath)
        path.write_text("good job")
        (path.parent / "plots").mkdir(exist_ok=True)
        (path.parent / "plots" / path.name.replace("foo", "bar")).write_text("good job")

    @Artifact("outpath", repo=repository.path, cache=True)
    def plot(outpath: str) -> None:
        pathlib.Path(outpath).write_text("good job")

    path, other = save("foo.txt"), plot("plots/bar.txt")
    assert remove(path) == [path]
    assert remove(other) == [other]


def test_what_a_forged_marker_names_elsewhere_stays(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text("good job")

    path = save("foo.txt")
    elsewhere = out.parent / path.replace("foo", "bar")
    elsewhere.write_text("of somebody else")
    marker = marker_in(out)
    fields = json.loads(marker.read_text())
    parts = [path, f"../{elsewhere.name}", f"plots/../../{elsewhere.name}", str(elsewhere)]
    marker.write_text(json.dumps(fields | {"parts": parts}))
    assert remove(path) == [path]
    assert elsewhere.exists()


def test_a_side_file_that_another_artifact_needs_stays(repository: Repository, out: pathlib.Path) -> None:
    @Artifact(["table", "plot"], repo=repository.path, cache=True)
    def save(table: str, plot: str) -> None:
        for path in (table, plot, f"{plot}.log"):
            pathlib.Path(path).write_text("good job")

    table, plot = save("foo.csv", "bar.png").values()
    assert remove(table) == [table]
    assert find("bar.png") == [plot]
    assert remove(plot) == [plot, f"{plot}.log"]
    assert names(out) == []


def test_what_another_artifact_wrote_beside_it_and_is_recorded_is_an_artifact_of_its_own(
    repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        for path in (outpath, outpath.replace(".shp", ".dbf")):
            pathlib.Path(path).write_text("good job")

    @Artifact("outpath", repo=repository.path, record=True)
    def save_again(outpath: str) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    path, other = save("foo.shp"), save_again("foo.dbf")
    assert remove(path) == [path]
    assert remove(other) == [other, f"{other}.pyrepro.json"]


def test_a_directory_is_an_artifact_and_its_parts_are_none(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        path = pathlib.Path(outpath)
        path.mkdir()
        for part in (f"part-{TAG}.bin", "part.bin"):
            (path / part).write_text("good job")

    path = save("run")
    for part in (f"{path}/part-{TAG}.bin", f"{path}/part.bin"):
        with pytest.raises(ValueError) as error:
            remove(part)
        assert str(error.value) == f"'{part}' is a part of the artifact '{out / path}'; pass that"
    assert remove(f"{path}/") == [path]
    assert names(out) == []


def test_a_part_of_a_recorded_directory_is_none(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str) -> str:
        path = pathlib.Path(outpath)
        path.mkdir()
        (path / f"part-{TAG}.bin").write_text("good job")
        return outpath

    path = save("run")
    with pytest.raises(ValueError, match=r"is a part of the artifact"):
        remove(f"{path}/part-{TAG}.bin")
    # What was put there since is none of it.
    pathlib.Path(path, f"other-{TAG}.bin").write_text("good job")
    assert remove(f"{path}/other-{TAG}.bin") == [f"{path}/other-{TAG}.bin"]


def test_what_is_left_of_an_artifact_that_is_gone_is_removed(repository: Repository, out: pathlib.Path) -> None:
    path = saver(repository, cache=True, record=True)("foo.txt")
    pathlib.Path(path).unlink()
    assert remove(path) == [f"{path}.pyrepro.json"]
    assert names(out) == []


def test_an_artifact_without_a_marker_is_removed_alone(out: pathlib.Path) -> None:
    for name in (f"foo-{TAG}.txt", f"foo-{TAG}.csv", "foo.txt"):
        pathlib.Path(name).write_text("")
    assert remove(f"foo-{TAG}.txt") == [f"foo-{TAG}.txt"]
    assert names(out) == [f"foo-{TAG}.csv", "foo.txt"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "out/foo.txt",
            "'out/foo.txt' carries no tag, so it is not an artifact; pass one that find('out/foo.txt') lists",
        ),
        ("out", "'out' carries no tag, so it is not an artifact; pass one that find('out') lists"),
        (
            f"out/foo-{TAG}.txt.pyrepro.json",
            f"'out/foo-{TAG}.txt.pyrepro.json' is a record; pass its artifact 'out/foo-{TAG}.txt'",
        ),
        (
            f"{'a' * 40}-dirty-{'b' * 64}.patch",
            f"'{'a' * 40}-dirty-{'b' * 64}.patch' is the patch of a state; pass the artifacts whose records name it: it "
            f"goes with the last of them",
        ),
        (
            f"out/.pyrepro/0123456789abcdef/foo-{TAG}.txt",
            f"'out/.pyrepro/0123456789abcdef/foo-{TAG}.txt' is in .pyrepro, where pyrepro keeps its own files; pass "
            f"the artifact",
        ),
        (
            f"out/foo-{TAG} (1).txt",
            f"'out/foo-{TAG} (1).txt' carries a tag, but an artifact's name ends in the tag and the suffix; "
            f"remove it by hand",
        ),
        (
            "memory://bucket/foo.txt",
            "'memory://bucket/foo.txt' carries no tag, so it is not an artifact; pass one that find('memory://bucket/foo.txt') lists",
        ),
        (
            f"gone-{TAG}.txt",
            f"there is no 'gone-{TAG}.txt' (the working directory is {{}}); find lists the artifacts of a plain path",
        ),
    ],
)
def test_what_is_no_artifact_is_an_error_and_nothing_is_removed(
    path: str, message: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    for name in ("foo.txt", f"foo-{TAG}.txt", f"foo-{TAG} (1).txt", f"foo-{TAG}.txt.pyrepro.json"):
        (tmp_path / "out" / name).write_text("")
    before = names(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        remove([f"out/foo-{TAG}.txt", path])
    assert str(error.value) == message.replace("{}", str(tmp_path))
    assert names(tmp_path) == before
    assert isinstance(error.value, NotTaggedError) == ("carries no tag" in message)


def test_what_is_no_path_is_a_type_error() -> None:
    for path in (None, 3, {3}):
        with pytest.raises(TypeError) as error:
            remove(path)  # type: ignore[type-var]
        assert str(error.value) == (
            f"remove takes the path of an artifact, or a list of them, not {path!r} of type {type(path).__name__}"
        )


def test_the_lock_file_of_a_killed_call_is_in_nobodys_way(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text("good job")

    path = save("foo.txt")
    (out / ".pyrepro" / f"{hashlib.sha256(path.encode()).hexdigest()[:32]}.lock").touch()
    assert remove(path) == [path]
    assert list(out.iterdir()) == []


def test_what_a_call_is_making_is_not_removed(repository: Repository, out: pathlib.Path) -> None:
    started, goes_on = threading.Event(), threading.Event()

    @Artifact("outpath", repo=repository.path, cache=True, ignore=("started", "goes_on"))
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text("good job")
        started.set()
        assert goes_on.wait(PATIENCE)

    goes_on.set()
    path = save("foo.txt")
    started.clear()
    goes_on.clear()
    again = threading.Thread(target=save.refresh, args=["foo.txt"])
    again.start()
    assert started.wait(PATIENCE)
    with pytest.raises(RuntimeError) as error:
        remove(path)
    goes_on.set()
    again.join()
    assert str(error.value) == f"{path} is being made by another call; remove it when that has ended"
    assert pathlib.Path(path).read_text() == "good job"


def test_a_record_that_names_another_file_as_its_patch_does_not_cost_it(
    repository: Repository, out: pathlib.Path
) -> None:
    repository.write("train.py", "x = 2\n")
    path = saver(repository, record=True)("foo.txt")
    record = pathlib.Path(f"{path}.pyrepro.json")
    record.write_text(record.read_text().replace(str(read_record(path).code["patch"]), "../thesis.tex"))
    (out.parent / "thesis.tex").write_text("years")
    remove(path)
    assert (out.parent / "thesis.tex").read_text() == "years"


# unused


def test_all_but_the_newest_of_each_plain_path_and_configuration_are_unused(
    repository: Repository, out: pathlib.Path
) -> None:
    paths = {}
    for number in range(3):
        save = saver(repository, cache=True, record=True)
        paths[number] = [save("foo.txt", 1), save("foo.txt", 2), save("bar.txt", 1)]
        for path in paths[number]:
            os.utime(path, (number + 1, number + 1))
        repository.commit(code=f"x = {number}\n")
    assert unused(str(out), repo=repository.path) == sorted(f"{out}/{path}" for path in [*paths[0], *paths[1]])
    assert unused(out, 2, repository.path) == sorted(out / path for path in paths[0])
    assert unused(os.fsencode(out), keep=3, repo=os.fsencode(repository.path)) == []
    assert unused("", keep=3, repo=repository.path) == []
    remove(unused(out, 0, repository.path))
    assert names(out) == []


def test_what_no_ref_and_no_reflog_reaches_is_unused(repository: Repository, out: pathlib.Path) -> None:
    path = saver(repository)("foo.txt", 1)
    repository.git("commit", "-q", "--amend", "--allow-empty", "-m", "other")
    assert unused(out, repo=repository.path) == []  # the reflog reaches it
    repository.git("reflog", "expire", "--expire=now", "--all")
    assert unused(out, repo=repository.path) == [out / path]


def test_what_is_unreachable_does_not_count_as_the_newest(repository: Repository, out: pathlib.Path) -> None:
    older = saver(repository)("foo.txt")
    repository.commit(code="x = 1\n")
    newer = saver(repository)("foo.txt")
    repository.git("commit", "-q", "--amend", "-m", "other")
    repository.git("reflog", "expire", "--expire=now", "--all")
    os.utime(older, (1, 1))
    assert unused(out, repo=repository.path) == [out / newer]


def test_the_head_of_another_work_tree_is_used(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    repository.git("worktree", "add", "-q", "--detach", str(tmp_path / "other"))
    other = Repository(tmp_path / "other")
    other.commit(code="x = 1\n")
    save = saver(other)
    path = save("foo.txt")
    repository.git("reflog", "expire", "--expire=now", "--all")
    other.git("reflog", "expire", "--expire=now", "--all")
    assert unused(out, keep=0, repo=repository.path) == []
    other.git("checkout", "-q", "--detach", repository.head)
    other.git("reflog", "expire", "--expire=now", "--all")
    assert unused(out, repo=repository.path) == [out / path]


def test_a_directory_where_a_work_tree_was_is_none(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Git lists it until git worktree prune."""
    repository.git("worktree", "add", "-q", "--detach", str(tmp_path / "other"))
    shutil.rmtree(tmp_path / "other")
    (tmp_path / "other").mkdir()
    saver(repository)("foo.txt")
    assert unused(out, keep=0, repo=repository.path) == []


def test_what_a_commit_made_that_the_clone_does_not_have_is_unknown(repository: Repository, out: pathlib.Path) -> None:
    (out / f"foo-{TAG}.txt").write_text("")
    assert unused(out, keep=0, repo=repository.path) == []


def test_a_shallow_clone_is_an_error(repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path) -> None:
    repository.commit()
    clone = repository.clone(tmp_path / "my clone", "--depth=1")
    with pytest.raises(CodeStateError) as error:
        unused(out, repo=clone.path)
    assert str(error.value) == (
        f"{clone.path} is a shallow clone, so what its refs reach cannot be determined; "
        f"type: git -C '{clone.path}' fetch --unshallow"
    )


def test_without_a_work_tree_there_is_an_error(out: pathlib.Path) -> None:
    with pytest.raises(CodeStateError) as error:
        unused("")
    assert str(error.value) == (
        "looked for a git work tree that holds . or the working directory, and found none; "
        "pass repo=<path of the work tree>"
    )


def test_the_work_tree_of_the_directory_is_asked(repository: Repository, out: pathlib.Path) -> None:
    directory = repository.path / "ignored"
    directory.mkdir()
    path = saver(repository)(str(directory / "foo.txt"))
    repository.commit(code="x = 1\n")
    assert unused(str(directory), keep=0) == [path]
    assert unused(str(directory / "gone")) == []


def test_an_edit_that_is_not_committed_names_what_stays_and_an_older_one_does_not(
    repository: Repository, out: pathlib.Path
) -> None:
    paths = []
    for number in range(3):
        repository.write("train.py", f"x = {number}\n")
        paths.append(saver(repository)("foo.txt"))
    os.utime(paths[2], (1, 1))
    assert unused(out, keep=0, repo=repository.path) == sorted(out / path for path in paths[:2])


def test_where_code_may_be_loaded_that_is_not_tracked_every_dirty_name_of_this_commit_stays(
    repository: Repository, out: pathlib.Path
) -> None:
    repository.write("train.py", "x = 2\n")
    saver(repository)("foo.txt")
    repository.write("train.py", "x = 3\n")
    repository.write("forgotten.py")
    assert unused(out, keep=0, repo=repository.path) == []


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((3,), TypeError, "unused takes a directory, not 3 of type int"),
        (("out", "1"), TypeError, "keep='1' of unused is a number of artifacts; pass an int, like 1"),
        (("out", -1), ValueError, "keep=-1 of unused is a number of artifacts; pass 0 or more"),
        (
            (__file__,),
            ValueError,
            f"{__file__!r} is not a directory; pass the one that holds the artifacts, like 'out/'",
        ),
    ],
)
def test_a_wrong_argument_of_unused_is_an_error(
    arguments: tuple[Any, ...], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as error:
        unused(*arguments)
    assert str(error.value) == message


def test_how_far_it_has_come_is_logged(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyrepro._remove._PATIENCE", 0)
    caplog.set_level(logging.INFO, "pyrepro")
    path = saver(repository)("foo.txt")
    repository.commit(code="x = 1\n")
    assert remove(unused(out, keep=0, repo=repository.path)) == [out / path]
    assert caplog.messages == [f"looked at 1 of 1 names in {out}/", "removed 1 of 1 artifacts"]


def test_how_far_it_has_come_is_logged_of_a_directory_with_a_percent_sign_too(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyrepro._remove._PATIENCE", 0)
    caplog.set_level(logging.INFO, "pyrepro")
    directory = out / "100%done"
    directory.mkdir()
    saver(repository)(str(directory / "foo.txt"))
    assert unused(directory, repo=repository.path) == []
    assert caplog.messages == [f"looked at 1 of 1 names in {directory}/"]


def test_a_link_that_leads_nowhere_is_an_artifact_too(repository: Repository, out: pathlib.Path) -> None:
    for config in ("1", "2"):
        (out / f"foo-{repository.head[:12]}-{config * 12}.txt").symlink_to("gone")
    repository.commit(code="x = 1\n")
    listed = unused(out, keep=0, repo=repository.path)
    assert len(listed) == 2
    assert remove(listed) == listed
    assert names(out) == []


def test_a_patch_that_another_record_of_the_same_state_does_not_name_goes(
    repository: Repository, out: pathlib.Path
) -> None:
    repository.write("train.py", "x = 2\n")
    save = saver(repository, record=True)
    first, second = save("foo.txt", 1), save("foo.txt", 2)
    patch = str(read_record(first).code["patch"])
    record = pathlib.Path(f"{second}.pyrepro.json")
    record.write_text(record.read_text().replace(f'"patch": "{patch}"', '"patch": null'))
    assert remove(first) == [first, f"{first}.pyrepro.json", patch]


# Both, whatever was made


def save_step(
    repository: Repository, options: dict[str, bool], out: pathlib.Path, name: str, alpha: int, sides: bool, both: bool
) -> None:
    """One call of a function with or without a second artifact and a side file, with the code as it is then."""

    @Artifact(["a", "b"], config=dict, repo=repository.path, allow_dirty=True, **options)
    def save(a: str, b: str | None, alpha: int, sides: bool) -> None:
        for path in filter(None, (a, b, f"{a}.side" if sides else None)):
            pathlib.Path(path).write_text(f"{alpha}")

    save(f"{out}/a{name}.txt", f"{out}/b{name}.txt" if both else None, alpha, sides)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["commit", "edit", "amend", "nothing"]),
            st.sampled_from(["cache", "record", "both"]),
            st.booleans(),
            st.booleans(),
            st.integers(1, 2),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 1),
    st.data(),
)
@settings(max_examples=15)
def test_nothing_is_orphaned_nothing_else_is_taken_and_present_names_stay(
    template: pathlib.Path,
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, str, bool, bool, int]],
    keep: int,
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.mktemp("project") / "repository"
    shutil.copytree(template, path, symlinks=True)
    repository, out = Repository(path), path.parent / "out"
    for number, (change, kind, sides, both, alpha) in enumerate(steps):
        if change == "commit":
            repository.commit(code=f"x = {number}\n")
        elif change == "edit":
            repository.write("train.py", f"x = {number}\n")
        elif change == "amend":
            repository.git("commit", "-q", "--amend", "-m", f"{number}")
        options = {"cache": kind != "record", "record": kind != "cache"}
        save_step(repository, options, out, kind, alpha, sides, both)
    if data.draw(st.booleans()):
        repository.git("reflog", "expire", "--expire=now", "--all")
    listed = unused(out, keep=keep, repo=path)
    state = code_state(path)
    for one in listed:
        tag = Tag.from_path(one)
        assert not (state.commit.startswith(tag.commit) and (state.changes or "")[:12] == (tag.changes or ""))
        assert one.suffix == ".txt"
    chosen = data.draw(st.sampled_from(sorted(out.glob("*.txt"))))
    others = {other: other.with_name(f"{other.name}.side").exists() for other in out.glob("*.txt") if other != chosen}
    removed = remove(chosen)
    assert chosen in removed
    assert not any(one.exists() for one in removed)
    for other, had_side in others.items():
        assert other.exists()
        assert other.with_name(f"{other.name}.side").exists() or not had_side
        if other.with_name(f"{other.name}.pyrepro.json").exists():
            patch = read_record(other).code["patch"]
            assert patch is None or (out / patch).exists()
    if any(one[1] == "record" for one in steps):
        return
    remove(sorted(out.glob("*.txt")))
    assert not out.exists() or names(out) == []
