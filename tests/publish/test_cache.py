"""With cache=True, work that this code has done with this configuration is not done again."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import functools
import hashlib
import json
import logging
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
from typing import Any

import cloudpickle
import pytest
from conftest import Repository, files, files_opened_in, marker_in, posix_only

from pyrepro import Artifact, ArtifactMismatchError


def line_of(function: Any) -> int:
    """The line where the code of a decorated function begins."""
    return int(function.__wrapped__.__code__.co_firstlineno)


class Step:
    """A cached function that counts how often it runs."""

    def __init__(self, repository: Repository, returns: Any = None, **options: Any) -> None:
        self.runs = 0

        ignored = {"ignore": ("self", "returns")}

        @Artifact("outpath", **({"config": dict, "repo": repository.path, "cache": True} | ignored | options))
        def save(outpath: Any, lr: float = 0.1) -> Any:
            self.runs += 1
            with open(outpath, "w") as outf:
                outf.write(f"trained with {lr}")
            return returns and returns(outpath)

        self.save = save


@pytest.fixture
def step(repository: Repository) -> Step:
    return Step(repository)


# Hits


def test_a_call_whose_artifact_is_there_does_not_run(step: Step, out: pathlib.Path, name: Any) -> None:
    assert [step.save("foo.txt") for _ in range(3)] == [f"foo-{name(lr=0.1)}.txt"] * 3
    assert (step.runs, pathlib.Path(f"foo-{name(lr=0.1)}.txt").read_text()) == (1, "trained with 0.1")


def test_another_configuration_runs(step: Step, out: pathlib.Path, name: Any) -> None:
    assert [step.save("foo.txt", lr) for lr in (1, 2, 1)] == [f"foo-{name(lr=lr)}.txt" for lr in (1, 2, 1)]
    assert step.runs == 2


def test_the_tagged_path_comes_back_in_the_type_that_was_passed(step: Step, out: pathlib.Path, name: Any) -> None:
    tagged = f"foo-{name(lr=0.1)}.txt"
    assert [step.save(path) for path in ("foo.txt", b"foo.txt", pathlib.Path("foo.txt"), out / "foo.txt")] == [
        tagged,
        tagged.encode(),
        pathlib.Path(tagged),
        out / tagged,
    ]
    assert step.runs == 1


@pytest.mark.parametrize("returns", [str, os.fsencode, os.path.abspath, pathlib.Path, lambda path: [path]])
def test_a_function_may_return_its_path_in_any_form(
    returns: Any, repository: Repository, out: pathlib.Path, name: Any
) -> None:
    step = Step(repository, returns)
    assert [step.save("foo.txt") for _ in range(2)] == [f"foo-{name(lr=0.1)}.txt"] * 2
    assert step.runs == 1


@posix_only
def test_a_function_may_return_where_its_path_leads_through_a_link(
    repository: Repository, out: pathlib.Path, tmp_path_factory: pytest.TempPathFactory, name: Any
) -> None:
    step = Step(repository, lambda path: pathlib.Path(path).resolve())
    pathlib.Path("scratch").symlink_to(tmp_path_factory.mktemp("large"))
    assert [step.save("scratch/foo.txt") for _ in range(2)] == [f"scratch/foo-{name(lr=0.1)}.txt"] * 2
    assert step.runs == 1


def test_a_function_may_go_elsewhere_before_it_returns_its_path(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    def gone(path: str) -> str:
        absolute = os.path.abspath(path)
        monkeypatch.chdir("/")
        return absolute

    step = Step(repository, gone)
    for _ in range(2):
        assert step.save("foo.txt") == f"foo-{name(lr=0.1)}.txt"
        monkeypatch.chdir(out)
    assert step.runs == 1


def test_several_keywords_give_the_same_dict_as_tagged_and_a_partial_set_is_a_miss(
    repository: Repository, out: pathlib.Path
) -> None:
    runs = []

    @Artifact(["table", "plots"], repo=repository.path, cache=True)
    def save(table: str, plots: list[str] | None = None) -> Any:
        runs.append(1)
        for path in (table, *(plots or [])):
            pathlib.Path(path).write_text("good job")
        return table, plots

    expected = save.tagged("t.csv", ["a.png", "b.png"])
    assert [save("t.csv", ["a.png", "b.png"]) for _ in range(2)] == [expected] * 2
    assert len(runs) == 1
    pathlib.Path(expected["plots"][1]).unlink()
    assert save("t.csv", ["a.png", "b.png"]) == expected
    assert len(runs) == 2
    assert save("t.csv") == {"table": expected["table"], "plots": None}
    assert len(runs) == 2


def test_none_takes_a_place_among_the_paths(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpaths", repo=repository.path, cache=True)
    def save(outpaths: list[str | None]) -> None:
        for number, path in enumerate(outpaths):
            if path is not None:
                pathlib.Path(path).write_text(f"{number} of {len(outpaths)}")

    foo, texts = str(out / "foo.txt"), []
    for outpaths in ([foo, None], [None, foo], [foo]):
        [path] = filter(None, save(outpaths))
        texts.append(pathlib.Path(path).read_text())
    assert texts == ["0 of 2", "1 of 2", "0 of 1"]
    assert save([None, None]) == [None, None]


def test_two_paths_in_the_other_order_are_made_again(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact(["train", "test"], repo=repository.path, cache=True)
    def split(train: str, test: str) -> None:
        pathlib.Path(train).write_text("train")
        pathlib.Path(test).write_text("test")

    split("test.csv", "train.csv")
    caplog.set_level(logging.INFO, "pyrepro")
    paths = split("train.csv", "test.csv")
    assert {role: pathlib.Path(path).read_text() for role, path in paths.items()} == {"train": "train", "test": "test"}
    assert caplog.messages == [
        f"{split.__qualname__} made {paths['train']}, {paths['test']}: {paths['train']} was written as test, not as train; "
        f"{paths['test']} was written as train, not as test"
    ]
    caplog.clear()
    split("train.csv", "test.csv")
    assert caplog.messages == [f"{split.__qualname__} found {paths['train']}, {paths['test']}"]


def test_a_list_of_another_length_or_order_is_made_again(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpaths", repo=repository.path, cache=True)
    def shard(outpaths: str | list[str]) -> None:
        paths = [outpaths] if isinstance(outpaths, str) else outpaths
        for start, path in enumerate(paths):
            pathlib.Path(path).write_text("abcdef"[start :: len(paths)])

    def contents(paths: Any) -> list[str]:
        return [pathlib.Path(path).read_text() for path in ([paths] if isinstance(paths, str) else paths)]

    shard(["0", "1", "2"])
    caplog.set_level(logging.INFO, "pyrepro")
    assert contents(shard(["0", "1"])) == ["ace", "bdf"]
    assert contents(shard(["1", "0"])) == ["ace", "bdf"]
    assert contents(shard("0")) == ["abcdef"]
    path = shard.tagged("0")
    assert caplog.messages[2] == (
        f"{shard.__qualname__} made {path}: {path} was written as outpaths[1] of 2, not as the only path"
    )
    caplog.clear()
    assert shard(["0"]) == [path]
    assert caplog.messages == [f"{shard.__qualname__} found {path}"]


def test_a_marker_that_says_nothing_of_the_path_in_its_call_is_of_the_only_one(step: Step, out: pathlib.Path) -> None:
    step.save("a.txt")
    marker = marker_in(out)
    fields = json.loads(marker.read_text())
    del fields["role"]
    marker.write_text(json.dumps(fields))
    step.save("a.txt")
    assert step.runs == 1


def test_one_path_under_two_keywords_is_found(repository: Repository, out: pathlib.Path) -> None:
    runs = []

    @Artifact(["table", "plot"], repo=repository.path, cache=True)
    def save(table: str, plot: str) -> None:
        runs.append(1)
        pathlib.Path(table).write_text("good job")

    save("a.txt", "a.txt")
    save("a.txt", "a.txt")
    assert runs == [1]


def test_without_a_path_there_is_nothing_to_find(repository: Repository) -> None:
    runs = []

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str | None) -> None:
        runs.append(outpath)

    assert [save(None), save(None)] == [None, None]
    assert runs == [None, None]


def test_a_copy_of_the_directory_hits_and_what_it_costs_is_paid_once(
    step: Step, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    path = pathlib.Path(step.save("foo.txt"))
    shutil.copytree(out, tmp_path / "copy", copy_function=shutil.copyfile)
    os.utime(tmp_path / "copy" / path, (1_600_000_000,) * 2)
    with files_opened_in(tmp_path / "copy") as opened:
        for _ in range(2):
            assert step.save(tmp_path / "copy" / "foo.txt") == tmp_path / "copy" / path
    assert (step.runs, opened) == (1, [str(tmp_path / "copy" / path)])


def test_the_name_may_be_as_long_as_names_may_be(step: Step, out: pathlib.Path, name: Any) -> None:
    stem = "x" * (255 - len(f"-{name(lr=0.1)}.txt"))
    assert [step.save(f"{stem}.txt") for _ in range(2)] == [f"{stem}-{name(lr=0.1)}.txt"] * 2
    assert step.runs == 1


# Misses


def test_an_artifact_that_no_completed_call_made_is_not_taken(step: Step, out: pathlib.Path, name: Any) -> None:
    path = out / f"foo-{name(lr=0.1)}.txt"
    path.write_text("left by a killed run")
    step.save("foo.txt")
    assert (step.runs, path.read_text()) == (1, "trained with 0.1")


@pytest.mark.parametrize("content", ["", "trained wit", "trained with 0.2", "trained with 0.1 and more"])
def test_an_artifact_that_was_changed_since_is_made_again(content: str, step: Step, out: pathlib.Path) -> None:
    path = pathlib.Path(step.save("foo.txt"))
    path.write_text(content)
    step.save("foo.txt")
    assert (step.runs, path.read_text()) == (2, "trained with 0.1")


def test_an_artifact_that_was_deleted_is_made_again(step: Step, out: pathlib.Path) -> None:
    pathlib.Path(step.save("foo.txt")).unlink()
    assert pathlib.Path(step.save("foo.txt")).read_text() == "trained with 0.1"
    assert step.runs == 2


@pytest.mark.parametrize("change", ["truncate", "delete", "add", "rewrite", "link"])
def test_a_directory_that_was_changed_since_is_made_again(
    change: str, repository: Repository, out: pathlib.Path
) -> None:
    runs = []

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        runs.append(1)
        (outpath / "deep").mkdir(parents=True)
        for part in ("a", "b", "deep/c"):
            (outpath / part).write_text(part)
        (outpath / "empty").touch()
        (outpath / "broken").symlink_to("nowhere")

    path = save(out / "model")
    assert (save(out / "model"), len(runs)) == (path, 1)
    if change == "truncate":
        (path / "deep" / "c").write_text("")
    elif change == "delete":
        (path / "empty").unlink()
    elif change == "add":
        (path / "more").touch()
    elif change == "rewrite":
        (path / "a").write_text("z")
    else:
        (path / "broken").unlink()
        (path / "broken").symlink_to("elsewhere")
    assert (save(out / "model"), len(runs)) == (path, 2)
    assert sorted(part.name for part in path.iterdir()) == ["a", "b", "broken", "deep", "empty"]
    assert os.readlink(path / "broken") == "nowhere"


@pytest.mark.parametrize("change", ["delete", "rewrite"])
def test_a_side_file_in_a_directory_beside_the_artifact_that_was_changed_since_is_made_again(
    change: str, repository: Repository, out: pathlib.Path
) -> None:
    runs = []

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        runs.append(1)
        outpath.write_text("table")
        plots = outpath.parent / "plots" / "large"
        plots.mkdir(parents=True)
        (plots / f"{outpath.stem}.png").write_text("plot")

    path = save(out / "foo.csv")
    assert (save(out / "foo.csv"), len(runs)) == (path, 1)
    plot = out / "plots" / "large" / f"{path.stem}.png"
    plot.unlink()
    if change == "rewrite":
        plot.write_text("else")
    assert (save(out / "foo.csv"), len(runs), plot.read_text()) == (path, 2, "plot")


def test_a_directory_that_is_removed_while_it_is_looked_at_is_made_again(
    repository: Repository, tmp_path: pathlib.Path
) -> None:
    repository.commit(
        step="""import os, sys
from pyrepro import Artifact

@Artifact("outpath", cache=True)
def save(outpath):
    print("runs")
    os.mkdir(outpath)
    open(os.path.join(outpath, "part"), "w").close()

path = save(sys.argv[1])
left = [path]

def remove(event, arguments):
    if event == "os.scandir" and arguments[0] in left:
        left.remove(arguments[0])
        os.rename(path, path + "-old")

sys.addaudithook(remove)
print(save(sys.argv[1]) == path, left, os.listdir(path))
"""
    )
    done = repository.run("step.py", str(tmp_path / "foo"))
    assert (done.stdout, done.stderr) == ("runs\nruns\nTrue [] ['part']\n", "")


@posix_only
def test_what_leads_to_markers_is_written_into_no_hard_linked_copy_of_the_directory_and_through_no_link(
    step: Step, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    step.save("foo.txt", 1)
    [newest] = (out / ".pyrepro" / "markers").glob("*.newest")
    shutil.copytree(out, tmp_path / "copy", copy_function=os.link)  # as cp -al and backup programs do
    before = newest.read_text()
    step.save("foo.txt", 2)
    assert (tmp_path / "copy" / newest.relative_to(out)).read_text() == before != newest.read_text()
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    newest.unlink()
    newest.symlink_to(notes)
    step.save("foo.txt", 3)
    assert (notes.read_text(), newest.is_symlink(), newest.read_text()[:4]) == ("mine", False, "foo-")


def test_a_copied_directory_hits(repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path) -> None:
    runs = []

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        runs.append(1)
        outpath.mkdir()
        (outpath / "a").write_text("a")

    path = save(out / "model")
    shutil.copytree(out, tmp_path / "copy", copy_function=shutil.copyfile)
    os.utime(tmp_path / "copy" / path.name / "a", (1_600_000_000,) * 2)
    save(tmp_path / "copy" / "model")
    assert len(runs) == 1


@pytest.mark.parametrize(
    "marker",
    ["", "[", "3", "{}", "[1, 2, 3]", '{"pyrepro": 1}', '{"pyrepro": 2}', '{"pyrepro": 1, "origin": 3}', "\x00"],
)
def test_a_marker_that_cannot_be_read_is_none(marker: str, step: Step, out: pathlib.Path) -> None:
    step.save("foo.txt")
    marker_in(out).write_text(marker)
    step.save("foo.txt")
    step.save("foo.txt")
    assert step.runs == 2


@pytest.mark.parametrize(
    ("field", "damage"),
    [("files", 3), ("files", {"a": [[1, 2], None]}), ("files", {"a": [["x"] * 4, None]}), ("seen", "x"), ("parts", 3)],
)
def test_a_marker_with_a_damaged_field_is_none(field: str, damage: Any, step: Step, out: pathlib.Path) -> None:
    step.save("foo.txt")
    marker_in(out).write_text(json.dumps({**json.loads(marker_in(out).read_text()), field: damage}))
    step.save("foo.txt")
    assert step.runs == 2


@pytest.mark.parametrize(("field", "damage"), [("state", "HEAD"), ("state", 3), ("keys", 3), ("changes", 3)])
def test_a_marker_with_a_damaged_origin_is_none(field: str, damage: Any, step: Step, out: pathlib.Path) -> None:
    step.save("foo.txt")
    marker = json.loads(marker_in(out).read_text())
    marker_in(out).write_text(json.dumps(marker | {"origin": marker["origin"] | {field: damage}}))
    step.save("foo.txt")
    assert step.runs == 2


def test_a_marker_that_names_no_files_does_not_stand_for_a_file_that_is_gone(step: Step, out: pathlib.Path) -> None:
    path = pathlib.Path(step.save("foo.txt"))
    marker_in(out).write_text(json.dumps(json.loads(marker_in(out).read_text()) | {"files": {}}))
    path.unlink()
    step.save("foo.txt")
    assert (path.read_text(), step.runs) == ("trained with 0.1", 2)


def test_a_marker_of_another_format_is_none(step: Step, out: pathlib.Path) -> None:
    step.save("foo.txt")
    marker_in(out).write_text(marker_in(out).read_text().replace('"pyrepro": 1', '"pyrepro": 2'))
    step.save("foo.txt")
    assert step.runs == 2


def test_a_marker_that_was_copied_to_the_place_of_another_artifacts_is_none(step: Step, out: pathlib.Path) -> None:
    path = pathlib.Path(step.save("foo.txt"))
    marker = marker_in(out).read_text()
    step.save("bar.txt")
    for each in (out / ".pyrepro" / "markers").glob("*.json"):
        each.write_text(marker)
    pathlib.Path(str(path).replace("foo", "bar")).write_text("of another program")
    step.save("bar.txt")
    step.save("foo.txt")
    assert (files(out)[str(path).replace("foo", "bar")], step.runs) == ("trained with 0.1", 3)


def test_a_marker_may_hold_more_than_this_version_knows(step: Step, out: pathlib.Path) -> None:
    step.save("foo.txt")
    marker_in(out).write_text(json.dumps({"more": [1], **json.loads(marker_in(out).read_text())}))
    step.save("foo.txt")
    assert step.runs == 1


def test_a_directory_in_the_place_of_a_marker_is_none(step: Step, out: pathlib.Path) -> None:
    step.save("foo.txt")
    marker = marker_in(out)
    marker.unlink()
    marker.mkdir()
    assert (step.save("foo.txt"), step.runs) == (step.save.tagged("foo.txt"), 2)


def test_the_directory_of_markers_may_be_deleted_and_costs_a_run(step: Step, out: pathlib.Path) -> None:
    step.save("foo.txt")
    shutil.rmtree(out / ".pyrepro")
    step.save("foo.txt")
    assert step.runs == 2


def test_publishing_without_cache_removes_the_marker(repository: Repository, step: Step, out: pathlib.Path) -> None:
    atomic = Step(repository, cache=False, atomic=True)
    assert step.save("foo.txt") == step.save.tagged("foo.txt")
    atomic.save("foo.txt")
    assert list((out).glob(".pyrepro/*")) == []
    step.save("foo.txt")
    assert (step.runs, atomic.runs) == (2, 1)


def test_a_failed_call_is_no_completed_one_and_leaves_nothing(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", config=dict, ignore="fails", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path, fails: bool) -> None:
        outpath.write_text("half")
        if fails:
            raise ValueError

    with pytest.raises(ValueError):
        save(out / "foo.txt", fails=True)
    assert os.listdir(out) == []
    assert save(out / "foo.txt", fails=False).read_text() == "half"


# Lies that are refused


def test_the_artifact_of_another_function_is_not_taken_for_ones_own(
    repository: Repository, step: Step, out: pathlib.Path, name: Any
) -> None:
    @Artifact("outpath", config={"lr": 0.1}, repo=repository.path, cache=True)
    def other(outpath: str) -> None:
        raise AssertionError("is not called")

    step.save("foo.txt")
    with pytest.raises(ArtifactMismatchError) as error:
        other("foo.txt")
    path, makers = (
        out / f"foo-{name(lr=0.1)}.txt",
        [f".../test_cache.py:{f.__qualname__}:{line_of(f)}" for f in (step.save, other)],
    )
    assert str(error.value) == (
        f"{path} was made by {makers[0]}, and {makers[1]} would take it for its own; call one of them with another file name"
    )
    assert (error.value.path, error.value.maker) == (str(path), makers[0])


@pytest.mark.parametrize("returns", [lambda path: 3, lambda path: [path, 3], lambda path: "other", lambda path: [[]]])
def test_a_value_of_its_own_could_not_come_back_from_a_hit(
    returns: Any, repository: Repository, out: pathlib.Path, name: Any
) -> None:
    step = Step(repository, returns)
    path = out / f"foo-{name(lr=0.1)}.txt"
    for runs in (1, 2):
        with pytest.raises(TypeError) as error:
            step.save(out / "foo.txt")
        assert str(error.value) == (
            f"Step.__init__.<locals>.save returned {returns(path)!r}, which a later call could not return without "
            f"running it; return None or the path from a function with cache=True. What it wrote is complete: {path}"
        )
        assert (step.runs, path.read_text()) == (runs, "trained with 0.1")


def test_a_parameter_that_the_configuration_cannot_see_is_refused_at_the_decoration(repository: Repository) -> None:
    def save(outpath: str, table: str, lr: float, *args: int, workers: int = 1) -> None:
        raise AssertionError("is not called")

    decorate = functools.partial(Artifact, "outpath", repo=repository.path, cache=True)
    with pytest.raises(TypeError) as error:
        decorate(config={"a": 1}, inputs="table", ignore="workers")(save)
    assert str(error.value) == (
        f"Artifact cache=True with this config does not see lr, args of {save.__qualname__}(outpath: 'str', "
        f"table: 'str', lr: 'float', *args: 'int', workers: 'int' = 1) -> 'None', so an artifact could be taken for "
        f"one that other arguments made; pass config=dict to make the arguments the configuration, or name the files "
        f"to read in inputs=, and what changes nothing in ignore="
    )
    decorate(config=dict)(save)
    decorate(config=lambda call: call["lr"])(save)
    decorate(inputs="table", ignore=["lr", "args", "workers"])(save)


class Holder:
    def __call__(self, outpath: str) -> None:
        raise AssertionError("is not called")

    def method(self, outpath: str) -> None:
        raise AssertionError("is not called")

    @classmethod
    def of_class(cls, outpath: str) -> None:
        pathlib.Path(outpath).write_text("good job")


def holding(lr: float, outpath: str) -> None:
    raise AssertionError("is not called")


def taking_any(outpath: str, **options: float) -> None:
    pathlib.Path(outpath).write_text(str(options))


HOLDING = (
    Holder(),
    Holder().method,
    functools.partial(holding, 0.1),
    functools.partial(taking_any, **{"lambda": 0.1}),
)
"""What has values with it. XGBoost calls a parameter lambda, which no parameter in Python may be called."""


@pytest.mark.parametrize("function", HOLDING)
def test_values_that_no_parameter_shows_are_refused_at_the_decoration(function: Any) -> None:
    with pytest.raises(TypeError) as error:
        Artifact("outpath", cache=True)(function)
    assert str(error.value) == (
        f"Artifact cache=True cannot see the values that {function!r} holds, so an artifact could be taken for one that "
        f"others made; decorate a def that takes them as parameters"
    )


def test_a_partial_of_keywords_and_a_class_method_can_be_cached(
    repository: Repository, out: pathlib.Path, name: Any
) -> None:
    def train(outpath: str, lr: float) -> None:
        pathlib.Path(outpath).write_text(str(lr))

    decorate = Artifact("outpath", config=dict, repo=repository.path, cache=True)
    partial, of_class = decorate(functools.partial(train, lr=0.1)), decorate(Holder.of_class)
    assert [partial("foo.txt"), partial("foo.txt")] == [f"foo-{name(lr=0.1)}.txt"] * 2
    assert [of_class("bar.txt"), of_class("bar.txt")] == [f"bar-{name()}.txt"] * 2


def test_partials_that_differ_in_what_only_kwargs_takes_are_other_artifacts(
    repository: Repository, out: pathlib.Path, name: Any
) -> None:
    decorate = Artifact("outpath", config=dict, repo=repository.path, cache=True)
    made = [decorate(functools.partial(taking_any, lr=lr))("foo") for lr in (0.1, 0.2)]
    assert made == [f"foo-{name(lr=lr, options={})}" for lr in (0.1, 0.2)]
    assert [pathlib.Path(path).read_text() for path in made] == ["{'lr': 0.1}", "{'lr': 0.2}"]


def test_a_partial_of_what_only_kwargs_takes_is_refused_where_the_configuration_cannot_see_it() -> None:
    function = functools.partial(taking_any, lr=0.1)
    with pytest.raises(TypeError) as error:
        Artifact("outpath", ignore="options", cache=True)(function)
    assert str(error.value) == (
        f"Artifact cache=True with this config does not see lr of {function!r}(outpath: 'str', *, lr=0.1, **options: "
        f"'float') -> 'None', so an artifact could be taken for one that other arguments made; pass config=dict to "
        f"make the arguments the configuration, or name the files to read in inputs=, and what changes nothing in "
        f"ignore="
    )


def test_a_function_that_calls_itself_for_the_same_artifact_does_not_wait_for_ever(
    repository: Repository, out: pathlib.Path, name: Any
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        save("foo.txt")

    with pytest.raises(RuntimeError) as error:
        save("foo.txt")
    assert str(error.value) == (
        f".../test_cache.py:{save.__qualname__}:{line_of(save)} was called for {out}/foo-{name()}.txt by the call that is making it, and would "
        f"wait for itself; pass another path"
    )
    assert os.listdir(out) == []


def test_cached_functions_can_hand_on_their_path(repository: Repository, out: pathlib.Path, name: Any) -> None:
    runs = []
    decorate = Artifact("outpath", repo=repository.path, cache=True)

    @decorate
    def inner(outpath: str) -> None:
        runs.append("inner")
        pathlib.Path(outpath).write_text("good job")

    @decorate
    def outer(outpath: str) -> str:
        runs.append("outer")
        return inner(outpath)  # type: ignore[no-any-return]

    assert [outer("foo.txt") for _ in range(2)] == [f"foo-{name()}.txt"] * 2
    assert runs == ["outer", "inner"]


# One at a time


def test_threads_that_call_at_once_run_it_once(step: Step, out: pathlib.Path) -> None:
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(step.save("foo.txt"))) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (results, step.runs) == ([step.save.tagged("foo.txt")] * 32, 1)
    assert sorted(path.name for path in out.glob(".pyrepro/*")) == [".gitignore", "markers"]


def test_tasks_that_call_at_once_run_it_once_and_the_loop_goes_on(repository: Repository, out: pathlib.Path) -> None:
    asked, runs, ticks = [], [], []

    @Artifact("outpath", repo=repository.path, cache=True)
    async def save(outpath: pathlib.Path) -> None:
        runs.append(1)
        while len(ticks) < 5:
            await asyncio.sleep(0.01)
        outpath.write_text("good job")

    async def ask() -> Any:
        asked.append(1)
        return await save(out / "foo.txt")

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.01)
            if len(asked) == 32:  # from now on 31 tasks wait
                ticks.append(1)

    async def main() -> list[Any]:
        ticking = asyncio.create_task(tick())
        results = await asyncio.gather(*(ask() for _ in range(32)))
        ticking.cancel()
        assert await save(out / "foo.txt") == results[0]
        return results

    assert asyncio.run(main()) == [save.tagged(out / "foo.txt")] * 32
    assert len(runs) == 1
    assert len(ticks) >= 5


def test_what_a_call_left_running_may_make_its_artifact_again_when_that_call_has_ended(
    repository: Repository, out: pathlib.Path
) -> None:
    async def main() -> list[str]:
        has_ended = asyncio.Event()
        later: list[asyncio.Task[str]] = []
        runs = []

        @Artifact("outpath", repo=repository.path, cache=True, ignore=("again", "later"))
        async def save(outpath: str) -> None:
            runs.append(1)
            pathlib.Path(outpath).write_text(f"run {len(runs)}")
            if len(runs) == 1:
                later.append(asyncio.create_task(again()))

        async def again() -> str:
            await has_ended.wait()
            return await save.refresh("foo.txt")  # type: ignore[no-any-return]

        paths = [await save("foo.txt")]
        has_ended.set()
        return [*paths, await later[0]]

    path, same = asyncio.run(main())
    assert path == same
    assert pathlib.Path(path).read_text() == "run 2"


def test_the_next_one_in_line_computes_when_the_first_fails(repository: Repository, out: pathlib.Path) -> None:
    asked, runs = [], []

    @Artifact("outpath", repo=repository.path, cache=True)
    async def save(outpath: pathlib.Path) -> None:
        runs.append(1)
        while len(asked) < 8:
            await asyncio.sleep(0.01)
        if len(runs) < 3:
            raise ValueError
        outpath.write_text("good job")

    async def ask() -> Any:
        asked.append(1)
        return await save(out / "foo.txt")

    async def main() -> list[Any]:
        return await asyncio.gather(*(ask() for _ in range(8)), return_exceptions=True)

    results = asyncio.run(main())
    assert sum(isinstance(result, ValueError) for result in results) == 2
    assert results.count(save.tagged(out / "foo.txt")) == 6
    assert len(runs) == 3


def test_what_a_call_has_started_may_make_its_artifact_again_when_it_has_ended(
    repository: Repository, out: pathlib.Path
) -> None:
    contexts: list[contextvars.Context] = []

    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: pathlib.Path) -> None:
        contexts.append(contextvars.copy_context())  # as each task and asyncio.to_thread does
        outpath.write_text("good job")

    path = save(out / "foo.txt")
    assert (contexts[0].run(save.refresh, out / "foo.txt"), len(contexts)) == (path, 2)


def test_a_cancelled_task_lets_the_next_one_go_on(repository: Repository, out: pathlib.Path) -> None:
    runs = []

    @Artifact("outpath", repo=repository.path, cache=True)
    async def save(outpath: pathlib.Path) -> None:
        runs.append(1)
        if len(runs) == 1:
            await asyncio.Event().wait()  # which nobody sets
        outpath.write_text("good job")

    async def main() -> Any:
        first, second = (asyncio.create_task(save(out / "foo.txt")) for _ in range(2))
        while not runs:
            await asyncio.sleep(0.01)
        first.cancel()
        return await second

    assert asyncio.run(main()) == save.tagged(out / "foo.txt")
    assert len(runs) == 2


@posix_only
def test_a_call_may_have_more_artifacts_than_a_process_may_open_files(
    repository: Repository, out: pathlib.Path
) -> None:
    repository.commit(
        step="""\
import pathlib, resource
from pyrepro import Artifact

@Artifact("outpaths", config={}, cache=True)
def save(outpaths):
    for path in outpaths:
        pathlib.Path(path).touch()

resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
print(len(save([f"{number}.txt" for number in range(200)])))
"""
    )
    done = repository.run(repository.path / "step.py", cwd=out)
    assert (done.stdout, done.stderr) == ("200\n", "")


@posix_only
def test_where_the_file_system_has_no_locks_calls_may_compute_twice(
    step: Step, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def flock(*args: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    assert [step.save(f"{stem}.txt") for stem in ("foo", "foo", "bar")] == [
        step.save.tagged(f"{stem}.txt") for stem in ("foo", "foo", "bar")
    ]
    assert step.runs == 2
    assert caplog.record_tuples == [
        (
            "pyrepro",
            logging.WARNING,
            f"{out} has no locks, so calls may compute twice: [Errno {errno.ENOLCK}] No locks available",
        )
    ]


@posix_only
def test_a_lock_file_that_another_call_replaces_before_it_is_locked_is_waited_for(
    step: Step, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    flock, replaced = fcntl.flock, []

    def replace_first(*args: Any) -> None:
        [*lock_files] = out.glob(".pyrepro/*.lock")
        if lock_files and not replaced:
            replaced.append(lock_files[0].rename(out / "old"))
            lock_files[0].touch()
        flock(*args)

    monkeypatch.setattr("fcntl.flock", replace_first)
    assert step.save("foo.txt") == step.save.tagged("foo.txt")
    assert (step.runs, len(replaced)) == (1, 1)


@posix_only
def test_a_lock_that_is_not_permitted_is_not_called_missing(
    step: Step, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def flock(*args: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("fcntl.flock", flock)
    assert [step.save("foo.txt") for _ in range(2)] == [step.save.tagged("foo.txt")] * 2
    assert step.runs == 1
    [message] = [record.message for record in caplog.records]
    assert re.sub("[0-9a-f]{32}", "<digest>", message) == (
        f"{out}/.pyrepro/<digest>.lock cannot be used, so calls may compute twice; remove it when nothing runs: "
        f"[Errno {errno.EPERM}] Operation not permitted"
    )


@posix_only
def test_where_nothing_can_be_made_no_lock_is_called_missing(
    step: Step, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    (out / ".pyrepro").touch()
    with pytest.raises(NotADirectoryError, match=re.escape(f"{out}/.pyrepro/")):
        step.save("foo.txt")
    assert (step.runs, caplog.records) == (0, [])


def test_a_marker_that_cannot_be_written_costs_no_artifact(
    step: Step, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    (out / ".pyrepro").mkdir()
    (out / ".pyrepro" / "markers").touch()
    path = pathlib.Path(step.save("foo.txt"))
    assert (path.read_text(), step.save("foo.txt"), step.runs) == ("trained with 0.1", str(path), 2)
    assert [record.message.partition(": ")[0] for record in caplog.records] == [
        f"{out / path} is complete, but a later call will make it again"
    ] * 2
    assert sorted(entry.name for entry in (out / ".pyrepro").iterdir()) == [".gitignore", "markers"]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@posix_only
def test_a_forgotten_main_guard_is_shown_in_place_of_waiting_for_the_parent(
    method: str, repository: Repository, out: pathlib.Path
) -> None:
    repository.commit(
        step=f"""\
import multiprocessing
import pathlib

from pyrepro import Artifact


@Artifact("outpath", cache=True)
def train(outpath):
    child = multiprocessing.get_context({method!r}).Process(target=print)
    child.start()
    child.join()
    pathlib.Path(outpath).write_text(str(child.exitcode))


train({str(out / "foo.txt")!r})
"""
    )
    done = repository.run("step.py")
    shown = (
        "RuntimeError: train(...) is being made by another process, and this one is still importing the program of its "
        "parent, which may wait for it; call the function behind a main guard:\n\n"
        '    if __name__ == "__main__":\n'
        "        train(...)\n\n"
    )
    if method == "forkserver" and done.returncode:
        # Some versions of Python import the program in the server itself, which ends with that, and the parent is told.
        assert shown in done.stderr
        assert re.match(r"(ConnectionResetError|EOFError|BrokenPipeError)", done.stderr.splitlines()[-1])
        assert not list(out.glob("foo*"))
    else:
        assert next(out.glob("foo*")).read_text() == "1"
        assert done.stderr.endswith(shown)


@posix_only
def test_a_forgotten_main_guard_is_shown_in_a_coroutine_function_too(repository: Repository, out: pathlib.Path) -> None:
    repository.commit(
        step=f"""\
import asyncio
import multiprocessing
import pathlib

from pyrepro import Artifact


@Artifact("outpath", cache=True)
async def train(outpath):
    child = multiprocessing.get_context("spawn").Process(target=print)
    child.start()
    child.join()
    pathlib.Path(outpath).write_text(str(child.exitcode))


asyncio.run(train({str(out / "foo.txt")!r}))
"""
    )
    done = repository.run("step.py")
    assert next(out.glob("foo*")).read_text() == "1"
    assert 'behind a main guard:\n\n    if __name__ == "__main__":\n        train(...)\n' in done.stderr


def test_a_child_that_imports_its_parents_program_finds_what_is_there(
    repository: Repository, out: pathlib.Path
) -> None:
    repository.commit(
        step=f"""\
import multiprocessing
import pathlib

from pyrepro import Artifact


@Artifact("outpath", cache=True)
def train(outpath):
    pathlib.Path(outpath).touch()


print("found", train({str(out / "foo.txt")!r}))

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=print, args=["child"])
    child.start()
    child.join()
"""
    )
    done = repository.run("step.py")
    path = next(out.glob("foo*"))
    assert (done.stdout.splitlines(), done.stderr) == ([f"found {path}", f"found {path}", "child"], "")


# Who made it

MODULE = """\
import os
import sys

from pyrepro import Artifact


@Artifact("outpath", cache=True)
def save(outpath):
    print("runs")
    with open(outpath, "w") as outf:
        outf.write("good job")


if __name__ == "__main__":
    save(sys.argv[1])
"""


def test_a_function_is_the_same_as_a_script_as_a_module_in_a_clone_and_without_a_repository(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    repository.commit(src__lab__step=MODULE)
    clone = repository.clone(tmp_path / "clone")
    container = tmp_path / "container" / "lab"
    container.mkdir(parents=True)
    shutil.copy(repository.path / "src" / "lab" / "step.py", container)
    declared = {"PYREPRO_CODE_STATE": repository.head}
    path = str(out / "foo.txt")
    imported = "import lab.step, sys; lab.step.save(sys.argv[1])"
    stdout = [
        repository.run("src/lab/step.py", path).stdout,
        repository.run("-m", "src.lab.step", path).stdout,
        clone.run("src/lab/step.py", path).stdout,
        clone.run("-c", imported, path, env={"PYTHONPATH": str(clone.path / "src")}).stdout,
        clone.run(container / "step.py", path, env=declared).stdout,
        clone.run("-c", imported, path, env=declared | {"PYTHONPATH": str(container.parent)}, cwd=out).stdout,
    ]
    assert stdout == ["runs\n", "", "", "", "", ""]


def test_another_file_at_the_same_commit_is_another_maker(repository: Repository, out: pathlib.Path) -> None:
    repository.commit(a__step=MODULE, b__step=MODULE)
    assert repository.run("a/step.py", out / "foo.txt").stdout == "runs\n"
    done = repository.run("b/step.py", out / "foo.txt")
    path = next(out.glob("foo*"))
    assert done.stderr.endswith(
        f"ArtifactMismatchError: {path} was made by a/step.py:save:7, and b/step.py:save:7 would take it for its own; "
        f"call one of them with another file name\n"
    )


def test_where_the_state_is_declared_another_file_of_the_same_name_is_another_maker(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    one, other, copy = (tmp_path / directory / "step.py" for directory in ("one", "other", "copy"))
    for file, source in ((one, MODULE), (other, MODULE.replace("runs", "runs otherwise")), (copy, MODULE)):
        file.parent.mkdir()
        file.write_bytes(source.replace("\n", "\r\n" if file is copy else "\n").encode())
    declared = {"PYREPRO_CODE_STATE": repository.head}
    path = str(out / "foo.txt")
    assert repository.run(one, path, env=declared, cwd=out).stdout == "runs\n"
    assert repository.run(copy, path, env=declared, cwd=out).stdout == ""
    done = repository.run(other, path, env=declared, cwd=out)
    digests = [hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in (one, other)]
    assert done.stderr.endswith(
        f"ArtifactMismatchError: {next(out.glob('foo*'))} was made by .../[{digests[0]}]/step.py:save:7, and "
        f".../[{digests[1]}]/step.py:save:7 would take it for its own; call one of them with another file name\n"
    )


def test_a_function_typed_in_a_session_is_cached_by_its_inputs(repository: Repository, out: pathlib.Path) -> None:
    typed = MODULE.replace("cache=True", "cache=True, allow_dirty=True").partition("if __name__")[0]
    code = f"{typed}\nfor _ in range(2): print(save({str(out / 'foo.txt')!r}))"
    done = repository.run("-c", code)
    path = next(out.glob("foo*"))
    assert done.stdout.splitlines() == ["runs", str(path), str(path)]
    assert json.loads(marker_in(out).read_text())["origin"]["maker"] == "<session>:save:7"


def test_a_function_that_was_sent_elsewhere_finds_what_the_sender_made(
    repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text(str(os.getpid()))

    path = save("foo.txt")
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)('foo.txt'))"
    done = subprocess.run([sys.executable, "-c", code], input=cloudpickle.dumps(save), capture_output=True, check=True)
    assert done.stdout.decode() == f"{path}\n"
    assert pathlib.Path(path).read_text() == str(os.getpid())


def test_code_that_the_function_loads_gives_its_artifact_a_true_name_that_is_found_again(
    repository: Repository, out: pathlib.Path
) -> None:
    repository.commit(
        late=f"""\
from pyrepro import Artifact

@Artifact("outpath", cache=True)
def save(outpath):
    print("runs")
    import forgotten
    open(outpath, "w").write("good")
    return outpath

for _ in range(2):
    print(save("{out}/foo.txt"))
"""
    )
    repository.write("forgotten.py")
    stdout = repository.run("late.py").stdout
    [path] = out.glob("foo*")
    assert "-dirty-" in path.name
    assert stdout == f"runs\n{path}\n{path}\n"
