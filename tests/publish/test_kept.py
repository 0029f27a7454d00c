"""What is done is kept, and what is there is left alone."""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import logging
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Repository, files, posix_only

from pyrepro import Artifact, ArtifactMissingError, InputChangedError, PublishError, read_record, remove, to_json


@pytest.fixture
def name(name: Callable[..., str]) -> str:
    """What a clean name ends in, here where there is no configuration."""
    return name()


def write(path: Any, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


NEW_SIDE_FILE = (
    "{}: put in place, without the tag in the name; the next call that writes something else there will be refused, "
    "so put the tag of the path into it, or write it elsewhere"
)


# Beside the artifact


def test_a_log_that_is_there_already_is_never_replaced_by_new_rows(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    (out / "runs.csv").write_text("row 1\n")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "good job")
        with open(outpath.parent / "runs.csv", "a") as log:
            log.write("row 2\n")

    with pytest.raises(PublishError) as error:
        save(out / "foo.txt")
    [kept] = error.value.kept
    assert str(error.value) == (
        f"{out}/foo-{name}.txt is in place; this is not:\n"
        f"  {out}/runs.csv: it already exists, with other content; it is kept as {kept}\n"
        f"Move what is kept to where it belongs, or remove it; a file that is appended to needs a path of its own."
    )
    assert error.value.path == str(out / f"foo-{name}.txt")
    assert pathlib.Path(kept).read_text() == "row 2\n"
    assert ((out / "runs.csv").read_text(), (out / f"foo-{name}.txt").read_text()) == ("row 1\n", "good job")


def test_the_log_of_a_handler_that_is_there_already_is_kept_too(repository: Repository, out: pathlib.Path) -> None:
    (out / "train.log").write_text("yesterday\n")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "good job")
        handler = logging.FileHandler(outpath.parent / "train.log")
        handler.emit(logging.LogRecord("train", logging.INFO, "", 0, "today", None, None))
        handler.close()

    with pytest.raises(PublishError) as error:
        save(out / "foo.txt")
    assert (out / "train.log").read_text() == "yesterday\n"
    assert pathlib.Path(error.value.kept[0]).read_text() == "today\n"


def test_a_new_side_file_is_put_in_place_with_one_warning_and_the_same_one_again_without(
    repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "good job")
        write(outpath.parent / "about.txt", "about")
        outpath.with_name("latest").symlink_to(outpath.name)

    save(out / "foo.txt")
    save(out / "foo.txt")
    assert files(out) == {"about.txt": "about", f"foo-{name}.txt": "good job", "latest": f"-> foo-{name}.txt"}
    assert messages(caplog) == [NEW_SIDE_FILE.format(f"{out}/about.txt, {out}/latest")]


def test_a_step_that_two_calls_make_beside_their_artifacts_keeps_its_first_record(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, record=True)
    def clean(outpath: pathlib.Path) -> pathlib.Path:
        write(outpath, "clean")
        return outpath

    @Artifact("outpath", config=dict, repo=repository.path, record=True)
    def save(outpath: pathlib.Path, alpha: int) -> None:
        write(outpath, f"{clean(outpath.with_name('clean.txt')).read_text()} {alpha}")

    save(out / "foo.txt", 1)
    [cleaned] = out.glob("clean-*.txt")
    first = read_record(cleaned)
    save(out / "foo.txt", 2)
    assert read_record(cleaned) == first
    assert messages(caplog) == [NEW_SIDE_FILE.format(f"{cleaned}, {cleaned}.pyrepro.json")]
    assert not (out / ".pyrepro").exists()


def test_a_step_that_two_calls_make_otherwise_beside_their_artifacts_is_kept_with_its_record(
    repository: Repository, out: pathlib.Path
) -> None:
    texts = iter(["one", "two"])

    @Artifact("outpath", repo=repository.path, record=True)
    def clean(outpath: pathlib.Path) -> None:
        write(outpath, next(texts))

    @Artifact("outpath", config=dict, repo=repository.path, record=True)
    def save(outpath: pathlib.Path, alpha: int) -> None:
        write(outpath, str(alpha))
        clean(outpath.with_name("clean.txt"))

    save(out / "foo.txt", 1)
    with pytest.raises(PublishError) as error:
        save(out / "foo.txt", 2)
    kept, record = map(pathlib.Path, error.value.kept)
    assert kept.read_text() == "two"
    assert read_record(record).artifact["sha256"] == hashlib.sha256(b"two").hexdigest()
    [cleaned] = out.glob("clean-*.txt")
    assert read_record(cleaned).artifact["sha256"] == hashlib.sha256(b"one").hexdigest()


def raised(error: Exception) -> None:
    raise error


def raised_from(error: Exception) -> None:
    try:
        raise ValueError("while it was handled")
    except ValueError as other:
        raise error from other


def raised_after(error: Exception) -> None:
    try:
        raise error
    except type(error):
        raise KeyError("while it was handled") from None


def raised_together(error: Exception) -> None:
    class GroupError(Exception):  # ExceptionGroup is as old as Python 3.11
        exceptions = (KeyError(), error)

    raise GroupError from None


@pytest.mark.parametrize("handle", [raised, raised_from, raised_after, raised_together])
def test_what_a_call_in_a_call_kept_stays_where_it_says_although_the_other_one_raises(
    repository: Repository, out: pathlib.Path, handle: Callable[[Exception], None]
) -> None:
    @Artifact("outpath", config=dict, repo=repository.path, atomic=True)
    def part(outpath: pathlib.Path, number: int) -> None:
        write(outpath, str(number))
        write(outpath.with_name("runs.csv"), f"row {number}")

    told: list[PublishError] = []

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        part(outpath / "part.txt", 1)
        try:
            part(outpath / "part.txt", 2)
        except PublishError as error:
            told.append(error)
            handle(error)

    with pytest.raises(Exception):  # noqa: B017 - whatever it is
        save(out / "foo")
    [error] = told
    [kept] = error.kept
    assert pathlib.Path(kept).read_text() == "row 2"
    assert pathlib.Path(str(error.path)).read_text() == "2"


def test_what_a_cached_call_in_a_call_that_raises_has_made_is_named(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def clean(outpath: pathlib.Path) -> None:
        write(outpath, "took hours")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "half")
        clean(outpath.with_name("clean.txt"))
        clean(out / "elsewhere.txt")
        raise KeyError

    with pytest.raises(KeyError):
        save(out / "foo.txt")
    assert [path.name for path in out.glob("*.txt")] == [f"elsewhere-{name}.txt"]
    assert messages(caplog) == [
        f"clean-{name}.txt: made by cached functions in the directory of a call that failed, and removed with it; pass "
        f"them a path outside of that directory, or they will run again"
    ]


def test_what_a_call_in_a_call_wrote_of_changed_inputs_stays_where_it_says(
    repository: Repository, out: pathlib.Path
) -> None:
    table = out / "table.csv"
    table.write_text("1")

    @Artifact("outpath", inputs="table", repo=repository.path, atomic=True)
    def part(table: pathlib.Path, outpath: pathlib.Path) -> None:
        write(outpath, table.read_text())
        table.write_text("changed")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        part(table, outpath / "part.txt")

    with pytest.raises(InputChangedError) as error:
        save(out / "foo")
    assert pathlib.Path(str(error.value.path)).read_text() == "1"


def test_nothing_stays_of_calls_in_a_call_that_raises_for_another_reason(
    repository: Repository, out: pathlib.Path
) -> None:
    (out / "runs.csv").write_text("row 1")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def part(outpath: pathlib.Path) -> None:
        write(outpath, "good job")
        write(outpath.with_name("runs.csv"), "row 2")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        part(out / "part.txt")

    with pytest.raises(PublishError) as error:
        save(out / "foo")
    [kept] = map(pathlib.Path, error.value.kept)
    assert kept.read_text() == "row 2"
    assert sorted(path.name for path in (out / ".pyrepro").iterdir()) == sorted([".gitignore", kept.parent.name])


def test_side_files_that_carry_the_tag_are_replaced_without_a_word(
    repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    texts = iter(["one", "two"])

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        text = next(texts)
        write(outpath, text)
        write(outpath.with_suffix(".dbf"), text)
        (outpath.parent / "plots").mkdir()
        write(outpath.parent / "plots" / f"{outpath.stem}.png", text)

    save(out / "foo.shp")
    save(out / "foo.shp")
    assert files(out) == {f"foo-{name}.dbf": "two", f"foo-{name}.shp": "two", f"plots/foo-{name}.png": "two"}
    assert messages(caplog) == []


@pytest.mark.parametrize("is_directory", [False, True])
def test_a_side_file_that_would_replace_what_another_cached_function_made_moves_that_aside(
    is_directory: bool, repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    def write_data(path: pathlib.Path, text: str) -> None:
        path.mkdir() if is_directory else None
        write(path / "part" if is_directory else path, text)

    @Artifact("outpath", repo=repository.path, cache=True, ignore="is_directory")
    def train(outpath: pathlib.Path) -> None:
        write_data(outpath, "weights")

    @Artifact("outpath", repo=repository.path, atomic=True, ignore="text")
    def plot(outpath: pathlib.Path, text: str) -> None:
        write(outpath, "plot")
        write_data(outpath.with_suffix(".data"), text)

    trained = train(out / "foo.data")
    plot(out / "foo.png", "rows of the plot")
    [aside] = [path for path in out.glob("foo*") if "~" in path.name]
    part = "/part" if is_directory else ""
    assert {path: text for path, text in files(out).items() if not path.startswith(".pyrepro")} == {
        f"foo-{name}.data{part}": "rows of the plot",
        f"{aside.name}{part}": "weights",
        f"foo-{name}.png": "plot",
    }
    assert messages(caplog) == [
        f"{trained} is an artifact that a cached call made, so a file written beside another artifact does not "
        f"overwrite it; it is now {aside}"
    ]


def test_a_side_file_that_is_what_another_cached_function_made_needs_no_word(
    repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def table(outpath: pathlib.Path) -> None:
        write(outpath, "rows")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def plot(outpath: pathlib.Path) -> None:
        write(outpath, "plot")
        table(outpath.with_suffix(".csv"))

    table(out / "foo.csv")
    plot(out / "foo.png")
    assert sorted(path.name for path in out.glob("foo*")) == [f"foo-{name}.csv", f"foo-{name}.png"]
    assert messages(caplog) == []


@posix_only
def test_side_files_of_other_content_or_of_another_kind_are_both_kept(
    repository: Repository, out: pathlib.Path
) -> None:
    (out / "dir").mkdir()
    write(out / "dir" / "same", "same")
    write(out / "dir" / "same size", "old")
    (out / "dir" / "link").symlink_to("old")
    os.mkfifo(out / "dir" / "pipe")
    write(out / "dir" / "kind", "a file")
    write(out / "file", "where a directory belongs")
    (out / "folder").mkdir()
    before = sorted(path.relative_to(out) for path in out.rglob("*"))

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "good job")
        side = outpath.parent / "dir"
        side.mkdir()
        write(side / "same", "same")
        write(side / "same size", "new")
        (side / "link").symlink_to("new")
        os.mkfifo(side / "pipe")
        os.mkfifo(side / "kind")
        (outpath.parent / "file").mkdir()
        write(outpath.parent / "file" / "part", "part")
        write(outpath.parent / "folder", "where a directory is")

    with pytest.raises(PublishError) as error:
        save(out / "foo.txt")
    assert [os.path.join(*pathlib.Path(kept).parts[-2:]) for kept in error.value.kept] == [
        "dir/kind",
        "dir/link",
        "dir/same size",
        os.path.join(os.path.basename(os.path.dirname(error.value.kept[3])), "file"),
        os.path.join(os.path.basename(os.path.dirname(error.value.kept[4])), "folder"),
    ]
    assert (out / "dir" / "same size").read_text() == "old"
    after = sorted(path.relative_to(out) for path in out.rglob("*") if ".pyrepro" not in path.parts)
    assert [path for path in after if not path.name.startswith("foo")] == before


@posix_only
@pytest.mark.parametrize("is_there", [True, False])
def test_a_directory_beside_the_artifact_may_be_a_link_to_where_there_is_space(
    is_there: bool, repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path, name: str
) -> None:
    if is_there:
        (tmp_path / "big").mkdir()
    (out / "plots").symlink_to(tmp_path / "big")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "good job")
        (outpath.parent / "plots").mkdir()
        write(outpath.parent / "plots" / f"{outpath.stem}.png", "plot")

    save(out / "foo.txt")
    assert files(tmp_path / "big") == {f"foo-{name}.png": "plot"}


@posix_only
def test_a_directory_beside_the_artifact_may_be_a_link_to_another_disk(
    repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    memory = pathlib.Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == out.stat().st_dev:
        pytest.skip("there is no other file system to write to")
    runs = []

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        runs.append(1)
        write(outpath, "good job")
        plots = outpath.parent / "plots"
        (plots / "more").mkdir(parents=True)
        write(plots / outpath.name, f"plot {len(runs)}")
        write(plots / "more" / "legend", "legend")
        (plots / "latest").symlink_to(f"../{outpath.name}")

    with tempfile.TemporaryDirectory(dir=memory) as disk:
        (out / "plots").symlink_to(disk)
        for call in (save, save, save.refresh):
            call(out / "foo.txt")
        assert runs == [1, 1]
        plots = pathlib.Path(disk)
        assert sorted(files(plots)) == [f"foo-{name}.txt", "latest", "more/legend"]
        assert (plots / f"foo-{name}.txt").read_text() == "plot 2"
        assert (plots / "latest").read_text() == "good job"
        assert sorted(path.name for path in out.iterdir()) == [".pyrepro", f"foo-{name}.txt", "plots"]
        (plots / "more" / "legend").write_text("of somebody else")
        with pytest.raises(PublishError) as error:
            save.refresh(out / "foo.txt")
        assert [pathlib.Path(path).read_text() for path in error.value.kept] == ["legend"]


def test_where_there_are_no_hard_links_nothing_is_replaced_either(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*args: Any, **options: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path, text: str) -> None:
        write(outpath, "good job")
        write(outpath.parent / "runs.csv", text)

    monkeypatch.setattr(os, "link", no_links)
    save(out / "foo.txt", "one")
    with pytest.raises(PublishError):
        save(out / "foo.txt", "two")
    assert (out / "runs.csv").read_text() == "one"


def test_what_a_call_in_the_function_could_not_put_in_place_is_kept_too(
    repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    decorate = Artifact("outpath", repo=repository.path, atomic=True)

    @decorate
    def inner(outpath: pathlib.Path) -> None:
        write(outpath, "inner")
        write(outpath.parent / "runs.csv", "of the inner one")

    @decorate
    def outer(outpath: pathlib.Path) -> None:
        write(outpath.parent / "runs.csv", "of the outer one")
        with contextlib.suppress(PublishError):
            inner(outpath)

    outer(out / "foo.txt")
    [kept] = [path for path in out.rglob("runs.csv") if path.read_text() == "of the inner one"]
    staging = kept.parent.parent.parent
    assert files(out)[f"foo-{name}.txt"] == "inner"
    assert messages(caplog)[-1] == f"not everything that was written was put in place; it is kept in {staging}"


# Artifacts that somebody changed


def test_an_artifact_that_was_corrected_by_hand_is_moved_aside_and_not_overwritten(
    repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        write(outpath, "computed")

    path = pathlib.Path(save("foo.txt"))
    path.write_text("corrected by hand")
    caplog.clear()
    save("foo.txt")
    [aside] = out.glob("*~*")
    assert (aside.read_text(), path.read_text()) == ("corrected by hand", "computed")
    assert f"{out}/{path} was changed since it was made, so it is not overwritten; it is now {aside}" in messages(
        caplog
    )


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_an_artifact_that_is_not_what_its_record_says_is_moved_aside_and_not_overwritten(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    inner = "" if kind == "file" else "part.txt"

    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: pathlib.Path) -> pathlib.Path:
        if kind == "directory":
            outpath.mkdir()
        write(outpath / inner, "computed")
        return outpath

    path = out / save(pathlib.Path("foo.txt"))
    (path / inner).write_text("corrected by hand")
    save(pathlib.Path("foo.txt"))
    aside, its_record = sorted(out.glob("*~*"))
    assert ((aside / inner).read_text(), (path / inner).read_text()) == ("corrected by hand", "computed")
    assert its_record.name == f"{aside.name}.pyrepro.json"
    assert messages(caplog) == [
        f"{path} was changed since it was made, so it is not overwritten; it is now {aside}",
    ]


@pytest.mark.parametrize("spoiled", ["nothing", "the record", "the name in the record"])
def test_an_artifact_that_is_what_its_record_says_is_replaced_and_so_is_one_of_which_nothing_is_known(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture, spoiled: str
) -> None:
    numbers = iter("12")

    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: pathlib.Path) -> pathlib.Path:
        write(outpath, next(numbers))
        return outpath

    path = out / save(pathlib.Path("foo.txt"))
    record = pathlib.Path(f"{path}.pyrepro.json")
    if spoiled != "nothing":
        path.write_text("of another")
        record.write_text(
            "{" if spoiled == "the record" else record.read_text().replace('"name": "foo', '"name": "bar')
        )
    save(pathlib.Path("foo.txt"))
    assert (path.read_text(), [*out.glob("*~*")], messages(caplog)) == ("2", [], [])


@posix_only
def test_a_read_only_artifact_is_moved_aside_unless_the_function_makes_it_so(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    def save(outpath: pathlib.Path, text: str, mode: int) -> None:
        outpath.mkdir()
        write(outpath / "part", text)
        outpath.chmod(mode)

    save = Artifact("outpath", repo=repository.path, atomic=True)(save)
    save(out / "model", "kept", 0o555)
    save(out / "model", "made read-only by the function", 0o555)
    assert list(out.glob("*~*")) == []
    save(out / "model", "new", 0o755)
    [aside] = out.glob("*~*")
    path = next(one for one in out.glob("model*") if one != aside)
    assert ((aside / "part").read_text(), (path / "part").read_text()) == ("made read-only by the function", "new")
    assert messages(caplog) == [
        f"{path} was made read-only since it was made, so it is not overwritten; it is now {aside}"
    ]


@posix_only
def test_what_is_moved_aside_keeps_its_record(repository: Repository, out: pathlib.Path) -> None:
    texts = iter(["kept", "new"])

    @Artifact("outpath", repo=repository.path, record=True, ignore="texts")
    def save(outpath: pathlib.Path) -> None:
        write(outpath, next(texts))

    save(out / "foo.txt")
    [path] = out.glob("*.txt")
    path.chmod(0o444)
    record = read_record(path)
    save(out / "foo.txt")
    [aside] = out.glob("*~*Z")
    assert (aside.read_text(), path.read_text()) == ("kept", "new")
    assert read_record(aside).artifact == record.artifact != read_record(path).artifact


def test_two_versions_that_are_moved_aside_in_one_second_have_two_names(
    repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        write(outpath, "computed")

    for text in ("one", "two"):
        pathlib.Path(save("foo.txt")).write_text(text)
    save("foo.txt")
    assert sorted(path.read_text() for path in out.glob("*~*")) == ["one", "two"]


# Records


@posix_only
def test_a_record_says_of_odd_entries_what_they_are(repository: Repository, tmp_path: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str) -> str:
        os.mkdir(outpath)
        os.chdir(outpath)
        write("weights", "ten hours")
        os.symlink("nowhere", "dangling")
        os.symlink("itself", "itself")
        os.symlink(".", "circle")
        os.symlink("weights", "link")
        os.mkfifo("pipe")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket")
        write(os.fsdecode(b"caf\xe9"), "")
        os.chdir(tmp_path)
        return outpath

    before = os.getcwd()
    # A socket has a short path.
    with tempfile.TemporaryDirectory() as short:
        try:
            os.chdir(tmp_path)
            path = save(os.path.join(short, "model"))
        finally:
            os.chdir(before)
        record = read_record(path)
        assert pathlib.Path(path, "weights").read_text() == "ten hours"
    ten_hours, nothing = (hashlib.sha256(content).hexdigest() for content in (b"ten hours", b""))
    assert record.artifact["sha256"] == {
        "weights": ten_hours,
        "link": ten_hours,
        "caf\\xe9": nothing,
        "dangling": "link:nowhere",
        "itself": "link:itself",
        "circle": "link:.",
        "pipe": "pipe",
        "socket": "socket",
    }


@posix_only
def test_an_artifact_that_leads_nowhere_has_a_record(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str) -> str:
        os.symlink("/nowhere", outpath)
        return outpath

    artifact = read_record(save("foo")).artifact
    assert (artifact["size"], artifact["sha256"]) == (0, "link:/nowhere")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_costs_its_record_and_no_more(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str) -> None:
        write(outpath, "good job")
        os.chmod(outpath, 0)

    with pytest.raises(PublishError, match="it cannot be made: Permission denied"):
        save("foo")


def test_a_record_that_cannot_be_made_never_costs_its_artifact(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    class Strange:
        pass

    @to_json.register(Strange)
    def _(value: Strange) -> None:
        raise RuntimeError("no form")

    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str, argument: Any) -> None:
        write(outpath, str(argument is None))

    save("foo.txt", None)
    with pytest.raises(PublishError) as error:
        save("foo.txt", Strange())
    assert str(error.value) == (
        f"{out}/foo-{name}.txt is in place; this is not:\n"
        f"  {out}/foo-{name}.txt.pyrepro.json: it cannot be made: RuntimeError: no form"
    )
    # The old record, which would be false, is gone.
    assert (error.value.kept, files(out)) == ((), {f"foo-{name}.txt": "False"})


# What does not fit


@posix_only
def test_a_target_directory_that_became_a_file_leaves_the_output_where_it_is(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "ten hours")
        (out / outpath.name).mkdir()
        (out / outpath.name).chmod(0o755)
        write(outpath.with_suffix(".idx"), "index")
        (out / outpath.name).with_suffix(".idx").mkdir()

    with pytest.raises(PublishError) as error:
        save(out / "foo.txt")
    staging = os.path.dirname(error.value.kept[0])
    assert str(error.value) == (
        f"this could not be put in place:\n"
        f"  {out}/foo-{name}.txt: {out}/foo-{name}.idx belongs to it, but is not in place; "
        f"it is kept as {staging}/foo-{name}.txt\n"
        f"  {out}/foo-{name}.idx: Is a directory; it is kept as {staging}/foo-{name}.idx\n"
        f"Move what is kept to where it belongs, or remove it; a file that is appended to needs a path of its own."
    )
    assert files(pathlib.Path(staging)) == {f"foo-{name}.idx": "index", f"foo-{name}.txt": "ten hours"}


# Directories


@pytest.fixture
def shared() -> Iterator[pathlib.Path]:
    """A directory that every user of this machine reaches."""
    path = pathlib.Path(tempfile.mkdtemp())
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@posix_only
def test_the_room_takes_the_mode_of_its_parent_at_every_entry(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        write(outpath, "good job")

    save("foo.txt")
    out.chmod(0o2770)
    save("bar.txt")
    assert stat.S_IMODE((out / ".pyrepro").stat().st_mode) == 0o2770


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives directories to other groups")
def test_the_room_takes_the_group_of_its_parent_at_every_entry(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        write(outpath, "good job")

    save("foo.txt")
    os.chown(out, -1, 65534)
    save("bar.txt")
    assert (out / ".pyrepro").stat().st_gid == 65534


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be two users")
def test_a_user_goes_on_where_root_has_cached_in_a_directory_of_theirs(
    repository: Repository, shared: pathlib.Path, name: str
) -> None:
    os.chown(shared, 65534, 65534)
    shared.chmod(0o755)

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "good job")

    save(shared / "foo.txt")
    assert {path.stat().st_uid for path in shared.glob(".pyrepro/**/") if path.is_dir()} == {65534}
    codecs.lookup("ascii")  # the user may not be able to import it
    with as_user(65534):
        save(shared / "bar.txt")
        save.refresh(shared / "foo.txt")
    assert (shared / f"bar-{name}.txt").stat().st_uid == (shared / f"foo-{name}.txt").stat().st_uid == 65534


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be two users")
@pytest.mark.parametrize("options", [{"atomic": True}, {"cache": True}])
def test_a_room_that_its_owner_has_not_opened_is_named_with_what_opens_it(
    options: dict[str, bool], repository: Repository, shared: pathlib.Path, name: str
) -> None:
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "good job")

    cached = Artifact("outpath", repo=repository.path, cache=True)(save)
    again = Artifact("outpath", repo=repository.path, **options)(save)  # type: ignore[call-overload]
    codecs.lookup("ascii")  # the other users may not be able to import it
    os.chown(shared, 65533, -1)
    shared.chmod(0o755)
    with as_user(65533):
        cached(shared / "foo.txt")
        shared.chmod(0o777)
    with as_user(65534), pytest.raises(PermissionError) as error:
        again(shared / "bar.txt")
    assert str(error.value) == (
        f"{shared}/.pyrepro may not be written to by all who may write to the directory that it is in; let its owner "
        f"type: chmod -R go+w {shared}/.pyrepro"
    )
    subprocess.run(str(error.value).partition(" type: ")[2].split(), check=True)
    with as_user(65534):
        again(shared / "bar.txt")
    assert (shared / f"bar-{name}.txt").read_text() == "good job"


@posix_only
def test_a_group_that_cannot_be_given_is_no_error(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(*args: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    real = os.stat

    def of_another_group(path: Any, **options: Any) -> os.stat_result:
        status = real(path, **options)
        return os.stat_result([*status[:5], status.st_gid + 1, *status[6:]]) if str(path) == f"{out}/" else status

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        write(outpath, "good job")

    monkeypatch.setattr(os, "stat", of_another_group)
    monkeypatch.setattr(os, "chown", refuse)
    monkeypatch.setattr(os, "chmod", refuse)
    save("foo.txt")
    assert (out / f"foo-{name}.txt").read_text() == "good job"


@pytest.fixture
def without_modes(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A mount that refuses chmod and chown, as those of WSL and gcsfuse do."""
    bindfs, place, path = shutil.which("bindfs"), tmp_path / "real", tmp_path / "mount"
    place.mkdir()
    path.mkdir()
    done = bindfs and subprocess.run(
        [bindfs, "--chmod-deny", "--chown-deny", "--chgrp-deny", place, path], capture_output=True
    )
    if not done or done.returncode:
        pytest.skip(f"no file system that refuses chmod can be mounted: {done and done.stderr.decode().strip()}")
    yield path
    subprocess.run(["fusermount", "-u", path], check=True)


@pytest.mark.parametrize("options", [{"atomic": True}, {"cache": True}, {"record": True}])
def test_where_chmod_is_refused_every_mode_works(
    options: dict[str, bool], repository: Repository, without_modes: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, **options)  # type: ignore[call-overload, misc]
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "good job")

    save(without_modes / "foo.txt")
    assert (without_modes / f"foo-{name}.txt").read_text() == "good job"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be two users")
def test_another_users_artifact_in_a_sticky_folder_stays_and_the_new_one_is_kept(
    repository: Repository, shared: pathlib.Path, name: str
) -> None:
    shared.chmod(0o1777)
    path = shared / f"foo-{name}.txt"
    path.write_text("of the other user")

    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "ten hours")

    codecs.lookup("ascii")  # the other user may not be able to import it
    os.seteuid(65534)
    try:
        with pytest.raises(PublishError) as error:
            save(shared / "foo.txt")
    finally:
        os.seteuid(0)
    assert path.read_text() == "of the other user"
    assert pathlib.Path(error.value.kept[0]).read_text() == "ten hours"
    # The record went with what it is of.
    assert sorted(path.name for path in shared.iterdir()) == [".pyrepro", path.name]
    assert pathlib.Path(f"{error.value.kept[0]}.pyrepro.json").is_file()


@contextlib.contextmanager
def as_user(user: int) -> Iterator[None]:
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def save_model(repository: Repository) -> Any:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path, text: str) -> None:
        outpath.mkdir()
        (outpath / "layers").mkdir()
        write(outpath / "layers" / "part", text)

    codecs.lookup("ascii")  # the other user may not be able to import it
    return save


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be two users")
def test_another_users_directory_is_moved_aside_where_it_can_be_renamed(
    save_model: Any, shared: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with as_user(65533):
        save_model(shared / "model", "of the other user")
    with as_user(65534):
        save_model(shared / "model", "ten hours")
    path = shared / f"model-{name}"
    [aside] = shared.glob("model-*~*")
    assert (files(path / "layers"), files(aside / "layers")) == ({"part": "ten hours"}, {"part": "of the other user"})
    assert messages(caplog) == [f"{path} is a directory that only its owner may replace; it is now {aside}"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be two users")
def test_another_users_directory_that_is_moved_aside_keeps_its_record(
    repository: Repository, shared: pathlib.Path, name: str
) -> None:
    texts = iter(["of the other user", "ten hours"])

    @Artifact("outpath", repo=repository.path, record=True, ignore="texts")
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        write(outpath / "part", next(texts))

    save.tagged(shared / "model")  # what is imported for that may be out of reach for the others
    for user in (65533, 65534):
        with as_user(user):
            save(shared / "model")
    path, [aside] = shared / f"model-{name}", shared.glob("model-*~*Z")
    sizes = [read_record(one).artifact["size"] for one in (path, aside)]
    assert sizes == [len("ten hours"), len("of the other user")]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be two users")
def test_another_users_directory_that_is_replaced_and_cannot_be_removed_is_not_called_output(
    save_model: Any, shared: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = shared / f"model-{name}"
    with as_user(65533):
        save_model(shared / "model", "of the other user")
        path.chmod(0o777)
    with as_user(65534):
        save_model(shared / "model", "ten hours")
    [aside] = shared.glob(".pyrepro/*~")
    [old] = aside.iterdir()
    assert (files(path / "layers"), files(old / "layers")) == ({"part": "ten hours"}, {"part": "of the other user"})
    assert messages(caplog) == [
        f"what was there before is kept in {aside}; remove it if it is not needed, or let who owns it do so"
    ]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be two users")
def test_another_users_directory_in_a_sticky_folder_stays_and_the_new_one_is_kept(
    save_model: Any, shared: pathlib.Path, name: str
) -> None:
    shared.chmod(0o1777)
    with as_user(65533):
        save_model(shared / "model", "of the other user")
    with as_user(65534), pytest.raises(PublishError) as error:
        save_model(shared / "model", "ten hours")
    assert files(shared / f"model-{name}" / "layers") == {"part": "of the other user"}
    assert files(pathlib.Path(error.value.kept[0], "layers")) == {"part": "ten hours"}


@posix_only
def test_a_directory_that_its_owner_may_not_write_to_is_put_in_place(
    repository: Repository, shared: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        write(outpath / "part", "good job")
        outpath.chmod(0o555)

    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        save(shared / "model")
    finally:
        if is_root:
            os.seteuid(0)
    path = shared / f"model-{name}"
    assert (stat.S_IMODE(path.stat().st_mode), files(path)) == (0o555, {"part": "good job"})
    path.chmod(0o755)


# Where nothing was written


def test_an_absolute_path_is_enough_where_the_working_directory_was_deleted(
    repository: Repository, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    @Artifact("outpath", repo=repository.path, cache=True, record=True)
    def save(outpath: Any) -> None:
        write(outpath, "good job")

    save(tmp_path / "foo.txt")
    assert (tmp_path / f"foo-{name}.txt").read_text() == "good job"
    with pytest.raises(FileNotFoundError) as error:
        save("foo.txt")
    assert str(error.value) == (
        f"foo-{name}.txt is relative, and the working directory was deleted; pass an absolute path, or change to a "
        f"directory that exists"
    )


@posix_only
@pytest.mark.parametrize("options", [{"atomic": True}, {"cache": True}])
def test_a_function_that_goes_to_where_it_writes_and_does_not_come_back_is_where_its_artifact_is(
    options: dict[str, bool], repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, ignore="fails", **options)  # type: ignore[call-overload, untyped-decorator]
    def save(outpath: str, fails: bool = False) -> None:
        os.chdir(os.path.dirname(os.path.abspath(outpath)))
        write(os.path.basename(outpath), "good job")
        if fails:
            raise ValueError("mine")

    save("foo.txt")
    assert os.getcwd() == str(out)
    with pytest.raises(ValueError, match="mine"):
        save("bar.txt", fails=True)
    save("more/bar.txt")
    assert os.getcwd() == str(out / "more")
    found = [path.relative_to(out).as_posix() for path in out.rglob("*.txt")]
    assert sorted(found) == [f"foo-{name}.txt", f"more/bar-{name}.txt"]


@posix_only
def test_a_relative_path_may_be_returned_from_a_working_directory_that_was_deleted(
    repository: Repository, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: Any) -> Any:
        write(outpath, "good job")
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir(os.getcwd())
        return outpath

    assert save("foo.txt") == f"foo-{name}.txt"
    monkeypatch.chdir(tmp_path)
    assert save("foo.txt") == f"foo-{name}.txt"


def test_what_was_written_after_a_change_of_the_working_directory_is_found(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        os.chdir(elsewhere)
        os.makedirs(os.path.dirname(outpath))
        write(outpath, "ten hours")

    with pytest.raises(ArtifactMissingError) as error:
        save("foo.txt")
    [written] = elsewhere.rglob("foo*")
    assert written.read_text() == "ten hours"
    assert str(error.value) == (
        f"the function returned without writing {out}/foo-{name}.txt; it wrote {written}. "
        f"It changed the working directory: pass an absolute path."
    )


@pytest.fixture
def listed() -> None:
    """The platform tells what a process has open, wherever that was moved to."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the platform does not list open files")


def test_a_directory_that_is_renamed_while_the_function_runs_keeps_what_was_written(
    repository: Repository, out: pathlib.Path, name: str, listed: None
) -> None:
    runs = out / "runs"

    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "ten hours")
        runs.rename(out / "old")

    with pytest.raises(PublishError) as error:
        save(runs / "foo.txt")
    [kept] = error.value.kept
    assert str(error.value) == (
        f"this could not be put in place:\n"
        f"  {runs}/foo-{name}.txt.pyrepro.json: it cannot be written: No such file or directory\n"
        f"  {runs}/foo-{name}.txt: No such file or directory; it is kept as {kept}\n"
        f"Move what is kept to where it belongs, or remove it; a file that is appended to needs a path of its own."
    )
    assert pathlib.Path(kept).parent.parent == out / "old" / ".pyrepro"
    # Later calls there must not take it for what a killed one left.
    os.utime(os.path.dirname(kept), (1e9, 1e9))

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save_another(outpath: pathlib.Path) -> None:
        write(outpath, "good job")

    save_another(out / "old" / "bar.txt")
    assert pathlib.Path(kept).read_text() == "ten hours"


def test_a_directory_that_is_made_anew_while_the_function_runs_gets_what_was_written(
    repository: Repository, out: pathlib.Path, name: str, listed: None
) -> None:
    runs = out / "runs"

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "ten hours")
        runs.rename(out / "old")
        runs.mkdir()

    save(runs / "foo.txt")
    assert files(runs) == {f"foo-{name}.txt": "ten hours"}


@pytest.mark.parametrize("names", [["a-scratch", "foo"], ["foo", "z-scratch"]])
def test_a_temporary_file_that_is_removed_while_files_are_moved_is_no_output(
    repository: Repository,
    out: pathlib.Path,
    name: str,
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As by a thread, or by a connection that the garbage collector closes."""
    fsync, listdir = os.fsync, os.listdir

    def remove_scratch(descriptor: int) -> None:
        fsync(descriptor)
        for path in out.glob(".pyrepro/**/*scratch"):
            path.unlink()

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        for path in (outpath / one for one in names):
            write(path, "good job")
        for path in (outpath.with_name(one) for one in names):
            write(path, "beside")

    monkeypatch.setattr(os, "listdir", lambda path: sorted(listdir(path)))
    monkeypatch.setattr(os, "fsync", remove_scratch)
    save(out / "model")
    assert files(out) == {f"model-{name}/foo": "good job", "foo": "beside"}


def test_a_staging_directory_that_is_cleaned_away_is_named(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "ten hours")
        save.staged = outpath.parent  # type: ignore[attr-defined]
        subprocess.run(["git", "clean", "-qfdx"], cwd=outpath.parent.parent.parent, check=True)

    subprocess.run(["git", "init", "-q"], cwd=out, check=True)
    with pytest.raises(ArtifactMissingError) as error:
        save(out / "foo.txt")
    assert str(error.value) == (
        f"{save.staged}, where the function was to write, was removed while it ran, "  # type: ignore[attr-defined]
        f"and with it what it wrote there; let nothing clean {out}/ meanwhile"
    )
    assert error.value.path == str(out / f"foo-{name}.txt")


@posix_only
@pytest.mark.parametrize("options", [{"atomic": True}, {"cache": True}], ids=str)
def test_a_room_that_is_a_link_to_nowhere_is_refused_before_the_function_runs(
    options: dict[str, bool], repository: Repository, out: pathlib.Path
) -> None:
    (out / ".pyrepro").symlink_to(out / "scratch" / "gone")

    @Artifact("outpath", repo=repository.path, **options)  # type: ignore[call-overload,untyped-decorator]
    def save(outpath: pathlib.Path) -> None:
        pytest.fail("it ran")

    with pytest.raises(FileNotFoundError) as error:
        save(out / "foo.txt")
    assert str(error.value) == (
        f"{out}/.pyrepro is a link to {out}/scratch/gone, which is not a directory; remove the link"
    )


@posix_only
def test_a_room_that_is_a_link_to_a_directory_serves(repository: Repository, out: pathlib.Path, name: str) -> None:
    (out / "room").mkdir()
    (out / ".pyrepro").symlink_to(out / "room")

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "good job")

    save(out / "foo.txt")
    assert (out / f"foo-{name}.txt").read_text() == "good job"


# What is not written


def test_an_artifact_that_is_missing_among_several_is_told_with_those_that_are_there(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact(["table", "plot"], repo=repository.path, atomic=True)
    def save(table: pathlib.Path, plot: pathlib.Path) -> None:
        write(table, "good job")

    with pytest.raises(ArtifactMissingError) as error:
        save(out / "a.csv", out / "b.png")
    assert str(error.value) == (
        f"the function returned without writing {out}/b-{name}.png; it wrote {out}/a-{name}.csv. "
        f"Write to the very path that is passed to it."
    )


@posix_only
def test_a_name_that_differs_in_nothing_that_can_be_seen_is_told_so(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        write(unicodedata.normalize("NFD", outpath), "good job")

    path = unicodedata.normalize("NFC", f"{out}/caf\u00e9-{name}.txt")
    with pytest.raises(ArtifactMissingError) as error:
        save(unicodedata.normalize("NFC", f"{out}/caf\u00e9.txt"))
    assert str(error.value) == (
        f"the function returned without writing {path}; it wrote {unicodedata.normalize('NFD', path)}. "
        f"The names look alike, but differ in their Unicode normalisation (NFC, NFD). "
        f"Write to the very path that is passed to it."
    )


def test_a_side_file_that_was_corrected_by_hand_is_moved_aside_and_not_overwritten(
    repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        for suffix in (".shp", ".shx", ".dbf"):
            write(outpath.with_suffix(suffix), f"computed {suffix}")
        outpath.with_suffix(".parts").mkdir()
        write(outpath.with_suffix(".parts") / "legend", "computed legend")

    save(out / "foo.shp")
    (out / f"foo-{name}.dbf").write_text("corrected by hand")
    (out / f"foo-{name}.parts" / "legend").write_text("corrected as well")
    caplog.clear()
    save(out / "foo.shp")
    aside, legend = sorted(out.glob("*~*")) + sorted(out.glob("*/*~*"))
    assert (aside.read_text(), legend.read_text()) == ("corrected by hand", "corrected as well")
    assert (out / f"foo-{name}.dbf").read_text() == "computed .dbf"
    assert (out / f"foo-{name}.parts" / "legend").read_text() == "computed legend"
    assert messages(caplog) == [
        f"{out}/foo-{name}.dbf was changed since it was made, so it is not overwritten; it is now {aside}",
        f"{out}/foo-{name}.parts/legend was changed since it was made, so it is not overwritten; it is now {legend}",
    ]


@posix_only
def test_a_read_only_side_file_is_moved_aside_unless_the_function_makes_it_so(
    repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path, text: str, mode: int) -> None:
        write(outpath, text)
        write(outpath.with_suffix(".dbf"), text)
        outpath.with_suffix(".dbf").chmod(mode)

    for text, mode in ("kept", 0o444), ("made read-only by the function", 0o444), ("new", 0o644):
        save(out / "foo.shp", text, mode)
    path, [aside] = out / f"foo-{name}.dbf", out.glob("*~*")
    assert (aside.read_text(), path.read_text()) == ("made read-only by the function", "new")
    assert messages(caplog) == [
        f"{path} was made read-only since it was made, so it is not overwritten; it is now {aside}"
    ]


def test_a_side_file_that_was_corrected_stays_where_the_function_writes_the_same(
    repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    texts = iter(["one", "two"])

    @Artifact("outpath", repo=repository.path, cache=True, ignore="texts")
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "good job")
        write(outpath.with_suffix(".dbf"), next(texts))

    save(out / "foo.shp")
    (out / f"foo-{name}.dbf").write_text("two")
    save(out / "foo.shp")
    assert sorted(path.name for path in out.glob("foo*")) == [f"foo-{name}.dbf", f"foo-{name}.shp"]
    assert (out / f"foo-{name}.dbf").read_text() == "two"
    assert messages(caplog) == []


@posix_only
def test_an_empty_directory_that_is_there_already_keeps_its_mode(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        write(outpath, "good job")
        (outpath.parent / "plots").mkdir()
        write(outpath.parent / "plots" / f"{outpath.stem}.png", "plot")

    (out / "plots").mkdir()
    (out / "plots").chmod(0o2770)
    before = (out / "plots").stat()
    save(out / "foo.txt")
    after = (out / "plots").stat()
    assert (after.st_ino, oct(after.st_mode)) == (before.st_ino, oct(before.st_mode))
    assert files(out) == {f"foo-{name}.txt": "good job", f"plots/foo-{name}.png": "plot"}


@posix_only
@pytest.mark.parametrize("option", ["atomic", "cache"])
def test_a_relative_link_that_was_written_for_where_it_will_be_leads_there(
    option: str, repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", repo=repository.path, **{option: True})
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        (outpath / "input").symlink_to("../../raw.csv")
        # As os.path.relpath gives it from where the function writes.
        (outpath / "nothing").symlink_to("../../../later.csv")

    write(out.parent / "raw.csv", "raw data")
    save(out / "model")
    [path] = out.glob("model-*")
    assert (path / "input").read_text() == "raw data"
    assert os.readlink(path / "nothing") == "../later.csv"


def test_what_is_linked_to_what_is_there_already_is_in_place(
    repository: Repository, out: pathlib.Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        for path in (outpath, outpath.with_suffix(".idx")):
            older = out / path.name
            os.link(older, path) if older.exists() else write(path, "good job")

    save(out / "foo.txt")
    save(out / "foo.txt")
    assert files(out) == {f"foo-{name}.txt": "good job", f"foo-{name}.idx": "good job"}
    assert (messages(caplog), (out / ".pyrepro").exists()) == ([], False)


def test_a_name_that_is_too_long_is_refused_before_the_call(repository: Repository, name: str) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ValueError) as error:
        save("x" * 240 + ".txt")
    assert str(error.value) == (
        f"'{'x' * 240}-{name}.txt' is longer than the 255 bytes that a name may have; use a shorter stem"
    )


def test_a_home_directory_that_nobody_expands_is_refused_before_the_call(
    repository: Repository, out: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        write(outpath, "good job")

    with pytest.raises(ValueError) as error:
        save("~/foo.txt")
    assert str(error.value) == (
        f"'~/foo-{name}.txt' begins with ~; only the shell expands it: pass os.path.expanduser() of it"
    )
    assert files(out) == {}
    save("~nobody-of-this-name/foo.txt")
    (out / "~").mkdir()
    save("~/foo.txt")
    assert files(out) == {f"~nobody-of-this-name/foo-{name}.txt": "good job", f"~/foo-{name}.txt": "good job"}


@pytest.mark.parametrize("returns", [True, False])
def test_what_was_written_above_the_directory_that_the_function_was_given_is_named(
    returns: bool, repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path, figures: str) -> None:
        write(outpath, "good job")
        plots = outpath.parent.parent / figures
        plots.mkdir()
        write(plots / "loss.png", "plot")
        if not returns:
            raise ValueError("after the plot")

    for figures in ("figures", "more"):
        with contextlib.nullcontext() if returns else pytest.raises(ValueError):
            save(out / "foo.txt", figures)
    assert (out / ".pyrepro" / "figures" / "loss.png").read_text() == "plot"
    assert messages(caplog) == [
        f"{out}/.pyrepro/{figures} was written above the directory that the function was given, where no artifacts are; "
        f"move it to where it belongs, and pass its path to the function, which cannot go up from another one"
        for figures in ("figures", "more")
    ]


# Directories that cannot be renamed


@pytest.fixture(params=["overlay", "error"])
def image(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pathlib.Path]:
    """A directory with a directory in it that comes from the image of a container, and so cannot be renamed."""
    lower, place = tmp_path / "lower", tmp_path / "place"
    model = lower / f"model-{request.getfixturevalue('name')}"
    for directory in (model, place, tmp_path / "upper", tmp_path / "work"):
        directory.mkdir(parents=True)
    write(model / "part", "of the image")
    if request.param == "error":
        model.rename(place / model.name)
        really_rename, inode = os.rename, (place / model.name).stat().st_ino

        def rename(source: Any, path: Any) -> None:
            if os.stat(source).st_ino == inode:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, path)
            really_rename(source, path)

        monkeypatch.setattr(os, "rename", rename)
        yield place
        return
    options = f"lowerdir={lower},upperdir={tmp_path / 'upper'},workdir={tmp_path / 'work'}"
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "overlay", "-o", options, "overlay", place]).returncode != 0:
        pytest.skip("overlay file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_directory_from_the_image_of_a_container_is_replaced(
    repository: Repository, image: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        write(outpath / "new", "good job")

    save(image / "model")
    assert files(image) == {f"model-{name}/new": "good job"}


def test_a_directory_from_the_image_of_a_container_that_is_protected_is_moved_aside(
    repository: Repository, image: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        write(outpath / "new", "good job")

    path = image / f"model-{name}"
    path.chmod(0o555)
    save(image / "model")
    [aside] = image.glob("*~*")
    assert files(image) == {f"model-{name}/new": "good job", f"{aside.name}/part": "of the image"}
    assert stat.S_IMODE(aside.stat().st_mode) == 0o555


def test_a_directory_from_the_image_of_a_container_is_removed(image: pathlib.Path, name: str) -> None:
    path = image / f"model-{name}"
    assert remove(path) == [path]
    assert os.listdir(image) == []


@posix_only
def test_a_directory_that_can_be_neither_renamed_nor_copied_stays(
    repository: Repository, image: pathlib.Path, name: str
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.mkdir()
        write(outpath / "new", "good job")

    path = image / f"model-{name}"
    os.mkfifo(path / "pipe")
    with pytest.raises(PublishError) as raised:
        save(image / "model")
    [kept] = raised.value.kept
    assert sorted(os.listdir(path)) == ["part", "pipe"]
    assert files(pathlib.Path(kept)) == {"new": "good job"}


DAEMON = """\
import os
from pyrepro import Artifact

opened = []


@Artifact("outpath", cache=True)
def save(outpath):
    os.closerange(3, 256)
    opened.append(open("of the function", "w"))
    opened.append(open("another of it", "w"))
    with open(outpath, "w") as outf:
        outf.write("good job")


save("foo.txt")
for file in opened:
    file.write("still open")
    file.close()
"""


@posix_only
def test_what_a_function_opened_after_it_had_closed_everything_stays_open(repository: Repository) -> None:
    repository.commit(step=DAEMON)
    repository.run("step.py")
    written = [(repository.path / name).read_text() for name in ("of the function", "another of it")]
    assert written == ["still open", "still open"]
