"""What differs between two artifacts, and records of several, shown as a table."""

from __future__ import annotations

import logging
import pathlib
from typing import Any

import pytest
from colleague import artifact_of
from conftest import Repository

from pyrepro import Artifact, Record, config_hash, read_record, records


def saved(repository: Repository, path: str, **arguments: Any) -> Record:
    """The record of an artifact that the code makes as it is now."""

    @Artifact("outpath", config=dict, inputs="raw", repo=repository.path, record=True, allow_dirty=True)
    def save(
        outpath: str, raw: Any = None, alpha: float = 1.0, model: Any = None, flags: Any = True, name: str = ""
    ) -> str:
        pathlib.Path(outpath).write_text(f"{alpha}")
        return outpath

    return read_record(save(path, **arguments))


def test_each_key_of_the_configuration_that_differs_is_told(repository: Repository, out: pathlib.Path) -> None:
    one = saved(repository, "foo.txt", model={"layers": 2, "act": "relu"})
    other = saved(repository, "foo.txt", model={"layers": 3}, alpha=2)
    found = one.differences(other)
    expected = {"alpha": (1, 2), "model.act": ("relu", ...), "model.layers": (2, 3)}
    assert (found.code, found.config, found.inputs, found.versions) == ({}, expected, {}, {})
    assert {name: found.arguments[name] for name in expected} == expected
    assert bool(found) and not found.same_content
    assert str(found) == (
        f"{one.artifact['name']} | {other.artifact['name']}\n"
        "config alpha: 1 | 2\n"
        "config model.act: relu | not there\n"
        "config model.layers: 2 | 3\n"
        "the artifacts hold different bytes"
    )
    assert found._repr_html_() == (
        f"<table><tr><th></th><th></th><th>{one.artifact['name']}</th><th>{other.artifact['name']}</th></tr>"
        "<tr><td>config</td><td>alpha</td><td>1</td><td>2</td></tr>"
        "<tr><td>config</td><td>model.act</td><td>relu</td><td>not there</td></tr>"
        "<tr><td>config</td><td>model.layers</td><td>2</td><td>3</td></tr></table>"
    )


def test_true_is_not_one(repository: Repository, out: pathlib.Path) -> None:
    found = saved(repository, "foo.txt", flags=True).differences(saved(repository, "foo.txt", flags=1))
    assert repr(found.config) == "{'flags': (True, 1)}"


def test_the_code_differs(repository: Repository, out: pathlib.Path) -> None:
    one = saved(repository, "foo.txt")
    repository.commit(code="x = 1\n")
    other = saved(repository, "foo.txt")
    found = one.differences(other)
    commits = one.code["commit"], other.code["commit"]
    assert (found.code, found.config, found.arguments) == ({"commit": commits}, {}, {})
    assert str(found).splitlines()[1:] == [
        f"code commit: {commits[0]} | {commits[1]}",
        f"to see it in the code, type: git diff {commits[0]} {commits[1]}",
        "the artifacts hold the same bytes",
    ]


def test_what_was_not_committed_is_in_the_patch(repository: Repository, out: pathlib.Path) -> None:
    one = saved(repository, "foo.txt")
    repository.commit(code="x = 1\n")
    repository.write("code.py", "x = 2\n")
    other = saved(repository, "foo.txt")
    commits, patch = (one.code["commit"], other.code["commit"]), other.code["patch"]
    assert (out / patch).exists()
    assert str(one.differences(other)).splitlines()[1:] == [
        f"code changes: null | {other.code['changes']}",
        f"code commit: {commits[0]} | {commits[1]}",
        f"code patch: null | {patch}",
        f"to see what is committed of it, type: git diff {commits[0]} {commits[1]}",
        "the artifacts hold the same bytes",
    ]


def test_inputs_differ_by_their_content_and_not_by_their_path(repository: Repository, out: pathlib.Path) -> None:
    for name, content in (("a", "1"), ("b", "1"), ("c", "2")):
        (out / name).write_text(content)
    one, same, other = (saved(repository, "foo.txt", raw=name) for name in "abc")
    assert not one.differences(same)
    assert str(one.differences(same)).splitlines()[1:] == [
        "nothing that is recorded differs",
        "the artifacts hold the same bytes",
    ]
    found = one.differences(other)
    assert (set(found.inputs), found.config) == ({"raw"}, {})
    several = saved(repository, "foo.txt", raw=["a", "c"]).differences(saved(repository, "foo.txt", raw=["a", "b"]))
    assert (set(several.inputs), several.config) == ({"raw.1"}, {})
    assert one.differences(saved(repository, "foo.txt")).inputs["raw"][1] is None


def test_versions_differ(repository: Repository, out: pathlib.Path) -> None:
    one = saved(repository, "foo.txt")
    path = pathlib.Path(one.path)
    path.write_text(path.read_text().replace(f'"python": "{one.environment["python"]}"', '"python": "CPython 4.0"'))
    assert one.differences(read_record(path)).versions == {"Python": (one.environment["python"], "CPython 4.0")}


def test_an_empty_configuration_has_no_key_that_differs(repository: Repository, out: pathlib.Path) -> None:
    def save(outpath: str, **options: Any) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    one, other = (
        read_record(Artifact("outpath", config=config, repo=repository.path, record=True)(save)("foo.txt"))
        for config in ({}, {"alpha": 1})
    )
    assert one.differences(other).config == {"alpha": (..., 1)}
    assert other.differences(one).config == {"alpha": (1, ...)}


def test_how_python_was_started_differs(repository: Repository, out: pathlib.Path) -> None:
    script = """\
from pathlib import Path
from pyrepro import Artifact

@Artifact("outpath", record=True)
def save(outpath):
    Path(outpath).write_text(str(hash("good job")))
    return outpath

print(save("foo.txt"))
"""
    repository.commit(step=script)
    one, other = (
        read_record(artifact_of(repository.run("step.py", env=variables), repository.path))
        for variables in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "TZ": "UTC", "PYTHONOPTIMIZE": "1"})
    )
    assert str(one.differences(other)) == (
        f"{one.artifact['name']} | {one.artifact['name']}\n"
        f"versions PYTHONHASHSEED: 1 | 2\n"
        f"versions Python flags: not there | -O\n"
        f"versions time zone: not there | UTC\n"
        f"the artifacts hold different bytes"
    )


def test_a_value_that_is_not_recorded_shows_in_the_hash(repository: Repository, out: pathlib.Path) -> None:
    one = saved(repository, "foo.txt")
    path = pathlib.Path(one.path)
    path.write_text(path.read_text().replace(one.config_hash, "0" * 64))
    assert one.differences(read_record(path)).config == {"": (one.config_hash, "0" * 64)}


def test_an_argument_without_a_form_is_told_by_its_type(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str, model: Any) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    one, other = read_record(save("foo.txt", object())), read_record(save("foo.txt", 1))
    assert one.differences(other).arguments == {"model": ("not recorded, a builtins.object", 1)}
    assert str(one.differences(other)).splitlines()[1] == "arguments model: not recorded, a builtins.object | 1"


def test_an_argument_with_a_type_is_told_with_it(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str, model: Any) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    one, other = read_record(save("foo.txt", 1j)), read_record(save("foo.txt", 1))
    assert one.differences(other).arguments == {
        "model": (..., 1),
        "model.items": ([0.0, 1.0], ...),
        "model.type": ("complex", ...),
    }


def test_what_is_no_record_is_a_type_error(repository: Repository, out: pathlib.Path) -> None:
    with pytest.raises(TypeError) as error:
        saved(repository, "foo.txt").differences("foo.txt")  # type: ignore[arg-type]
    assert str(error.value) == "differences takes a Record, as read_record returns it, not 'foo.txt'"


# records


def test_the_records_of_a_plain_path_or_a_directory_are_listed_newest_first(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = saved(repository, "foo.txt"), saved(repository, "foo.txt", alpha=2)
    three = saved(repository, "bar.txt")
    absolute = [pathlib.Path(record.path).absolute() for record in (three, two, one)]
    assert [pathlib.Path(record.path) for record in records(out)] == absolute
    assert records("foo.txt") == [two, one]
    assert [record.artifact for record in records(b".")] == [record.artifact for record in (three, two, one)]
    assert [pathlib.Path(record.path) for record in records(f"{out}/foo.txt")] == absolute[1:]
    assert records("gone.txt") == records("gone/") == []
    # The plain path of a directory that a link without a tag leads to.
    (out / "foo.txt").symlink_to(out)
    assert records("foo.txt") == [two, one]


def test_they_show_themselves_as_a_table_of_what_differs(repository: Repository, out: pathlib.Path) -> None:
    repository.git("commit", "-q", "--allow-empty", "-m", "a <b>\x1b subject\n\nand more")
    one = saved(repository, "foo.txt", model={"layers": [2]}, name="first")
    repository.write("train.py", "x = 2\n")
    two = saved(repository, "foo.txt", alpha=2, name="second")
    head = repository.head[:12]
    changes = (two.code["changes"] or "")[:12]
    (repository.path / "ignored").mkdir()
    for path in out.glob("foo*.json"):
        path.rename(repository.path / "ignored" / path.name)
    found = records(repository.path / "ignored")
    rows: list[dict[str, Any]] = [
        {
            "name": two.artifact["name"],
            "when": two.started,
            "commit": f"{head}-dirty-{changes}",
            "subject": "a <b>\x1b subject",
            "alpha": 2,
            "model": None,
            "model.layers": None,
            "argument name": "second",
        },
        {
            "name": one.artifact["name"],
            "when": one.started,
            "commit": head,
            "subject": "a <b>\x1b subject",
            "alpha": 1,
            "model": None,
            "model.layers": [2],
            "argument name": "first",
        },
    ]
    assert found.rows() == rows
    lines = [line.split() for line in repr(found).splitlines()]
    assert lines == [
        ["name", "when", "commit", "subject", "alpha", "model", "model.layers", "argument", "name"],
        [rows[0]["name"], two.started, rows[0]["commit"], "a", "<b>?", "subject", "2", "second"],
        [rows[1]["name"], one.started, head, "a", "<b>?", "subject", "1", "[2]", "first"],
    ]
    html = found[1:]._repr_html_()
    assert html == (
        "<table><tr><th>name</th><th>when</th><th>commit</th><th>subject</th></tr>"
        f"<tr><td>{rows[1]['name']}</td><td>{one.started}</td><td>{head}</td><td>a &lt;b&gt;? subject</td></tr></table>"
    )
    assert found[0].tag == two.tag
    assert (repr(found[:0]), found[:0]._repr_html_()) == ("no records", "<table><tr><th>no records</th></tr></table>")


@pytest.mark.parametrize("config", [{}, 3])
def test_a_configuration_without_keys_has_one_column_or_none(
    config: Any, repository: Repository, out: pathlib.Path
) -> None:
    for value in (config, 4):

        @Artifact("outpath", config=lambda call, value=value: value, repo=repository.path, record=True)
        def save(outpath: str) -> None:
            pathlib.Path(outpath).write_text("good job")

        save("foo.txt")
    assert [row.get("config") for row in records("foo.txt").rows()] == [4, None if config == {} else 3]


def test_where_no_clone_is_at_hand_or_has_the_commit_there_is_no_subject(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(repository, "foo.txt")
    assert [row["subject"] for row in records("foo.txt").rows()] == [None]
    monkeypatch.chdir(repository.path)
    assert [row["subject"] for row in records(out).rows()] == ["change"]
    repository.git("checkout", "-q", "--orphan", "other")
    repository.git("commit", "-q", "-m", "other")
    repository.git("branch", "-q", "-D", "main")
    repository.git("reflog", "expire", "--expire=now", "--all")
    repository.git("gc", "-q", "--prune=now")
    assert [row["subject"] for row in records(out).rows()] == [None]
    monkeypatch.setenv("PATH", "")
    assert [row["subject"] for row in records(out).rows()] == [None]


def test_what_cannot_be_read_is_warned_of_and_left_out(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = saved(repository, "foo.txt"), saved(repository, "foo.txt", alpha=2)
    pathlib.Path(two.path).write_text("{}")
    with caplog.at_level(logging.WARNING, "pyrepro"):
        assert records("foo.txt") == [one]
    assert caplog.messages == [
        f"a record is left out: {two.path} is not a record that this version of pyrepro can read: record has no 'pyrepro'; "
        "take it from a backup"
    ]


TAGGED = f"foo-{'a' * 12}-{config_hash({})[:12]}.txt"


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        (
            3,
            TypeError,
            "records takes a directory or a plain path, a str, bytes or os.PathLike, not 3 of type int",
        ),
        ("", ValueError, "'' has no file name; pass the plain path of an artifact, like 'out/model.pkl'"),
        (
            f"{TAGGED}.pyrepro.json",
            ValueError,
            f"'{TAGGED}.pyrepro.json' is the path of one artifact; pass its plain path 'foo.txt', or read_record of it",
        ),
        (
            "*.txt",
            ValueError,
            "'*.txt' is a pattern; pass the plain path of an artifact, like 'out/model.pkl', once for each of several",
        ),
    ],
)
def test_what_records_cannot_take_is_an_error(
    path: Any, kind: type[Exception], message: str, out: pathlib.Path
) -> None:
    with pytest.raises(kind) as error:
        records(path)
    assert str(error.value) == message
