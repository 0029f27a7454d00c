"""A record says what made an artifact, and its patch gives back the code that ran."""

from __future__ import annotations

import concurrent.futures
import copy
import dataclasses
import enum
import hashlib
import importlib
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import shutil
import sys
import threading
import time
import types
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jsonschema
import pytest
from conftest import PATIENCE, Repository, posix_only

import pyrepro
from pyrepro import Artifact, RecordError, config_hash, file_hash, read_record


class Flags(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Carrying:
    x: int


SCHEMA = json.loads((pathlib.Path(pyrepro.__file__).parent / "_record" / "schema.json").read_text())
DIGEST = hashlib.sha256(b"good job").hexdigest()


def document(path: Any) -> Any:
    """The record of an artifact as it stands on disk, which the schema describes."""
    text = pathlib.Path(f"{os.fspath(path)}.pyrepro.json").read_text(encoding="utf-8")
    found = json.loads(text)
    jsonschema.validate(found, SCHEMA)
    assert text == json.dumps(found, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    return found


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


# What is recorded


def test_everything_that_made_the_artifact_is_recorded(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--lr", "0.1"])
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    repository.git("remote", "add", "origin", "https://me:secret@example.org/lab/project.git?token=secret")
    table = repository.write("data/table.csv", "1,2\n")
    config = {"lr": 0.1, "table": file_hash(table)}

    @Artifact("outpath", config=dict, inputs="table", repo=repository.path, record=True)
    def save(table: Any, outpath: Any, lr: float = 0.1) -> None:
        outpath.write_text("good job")

    save(str(table), pathlib.Path("foo.txt"))
    path = f"foo-{repository.head[:12]}-{config_hash(config)[:12]}.txt"
    found = document(path)
    assert re.fullmatch(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("started"))
    assert 0 < found.pop("seconds") < 60
    packages = found["environment"].pop("packages")
    assert packages["pyrepro"] == version("pyrepro")
    assert packages["pytest"] == version("pytest")
    assert {"pyrepro", "pytest"} <= {*found["environment"].pop("loaded")} <= {*packages}
    assert found["environment"].pop("origins").keys() <= packages.keys()
    assert found == {
        "pyrepro": 1,
        "artifact": {"name": path, "size": 8, "sha256": DIGEST},
        "code": {
            "commit": repository.head,
            "changes": None,
            "remote": "https://example.org/lab/project.git",
            "module": __file__,
            "import": __name__,
            "declared": False,
            "path": [],
            "path_late": [],
            "packages": {},
            "others": found["code"]["others"],
            "patch": None,
            "patch_size": 0,
            "left_out": [],
            "changed_meanwhile": [],
        },
        "made_at": None,
        "config": config,
        "config_hash": config_hash(config),
        "inputs": {"table": {"path": "data/table.csv", "hash": file_hash(table), "artifact": None}},
        "call": {
            "function": f"{__name__}:{save.__qualname__}",
            "paths": {"outpath": "foo.txt"},
            "types": {"outpath": "path", "table": "str"},
            "argv": ["train.py", "--lr", "0.1"],
            "program": found["call"]["program"],
            "directory": None,
            "flags": [],
            "hash_seed": "7",
            "timezone": "Asia/Tokyo",
            "arguments": {"lr": 0.1},
            "defaults": ["lr"],
            "typed": {},
            "unrecorded": {},
        },
        "environment": {
            "python": f"{sys.implementation.name.replace('cpython', 'CPython')} {sys.version.split()[0]}",
            "platform": f"{platform.system()} {platform.machine()}",
            "lock": None,
        },
        "withheld": [],
    }


def test_arguments_that_json_does_not_give_back_are_recorded_with_their_types(
    repository: Repository, out: pathlib.Path
) -> None:
    def default() -> None:
        """Has no JSON form where it stands, and need not."""

    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str, /, *args: Any, sizes: Any, seed: int, net: Any, hook: Any = default, **kwargs: Any) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    call = document(save("foo.txt", 1, 1.0, sizes=(1, 2), seed=2**60, net=object(), deep={"a": [None, True]}))["call"]
    assert call["arguments"] == {
        "args": [1, 1.0],
        "sizes": [1, 2],
        "seed": 2**60,
        "kwargs": {"deep": {"a": [None, True]}},
    }
    assert call["typed"] == {"sizes": {"type": "tuple", "items": [1, 2]}}
    assert call["defaults"] == ["hook"]
    assert call["unrecorded"] == {"net": "builtins.object"}


def test_arguments_are_recorded_as_they_were_passed_whatever_the_function_does_to_them(
    repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", config={}, repo=repository.path, record=True)
    def save(outpath: str, options: dict[str, Any], carrying: Carrying, *names: list[str], **given: Any) -> str:
        options.pop("lr")
        options["nested"]["x"] = 2
        carrying.x = 2
        names[0].append("b")
        given.clear()
        pathlib.Path(outpath).write_text("good job")
        return outpath

    call = read_record(save("foo.txt", {"lr": 0.1, "nested": {"x": 1}}, Carrying(1), ["a"], more=1)).call
    kind = f"{Carrying.__module__}:Carrying"
    assert (call["arguments"], call["typed"], call["unrecorded"]) == (
        {
            "options": {"lr": 0.1, "nested": {"x": 1}},
            "carrying": {"__class__": kind, "x": 1},
            "names": [["a"]],
            "given": {"more": 1},
        },
        {"carrying": {"type": "dataclass", "class": kind, "fields": {"x": 1}}},
        {},
    )


def test_what_cannot_be_given_back_is_named_with_its_type(repository: Repository, out: pathlib.Path) -> None:
    import datetime
    import zoneinfo

    import omegaconf

    class Access(enum.Flag):
        READ = 1
        WRITE = 2

    @dataclasses.dataclass
    class Local:
        x: int = 1

    @Artifact("outpath", config={}, repo=repository.path, record=True)
    def save(outpath: str, **given: Any) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    carrying = Carrying(1)
    carrying.more = object()  # type: ignore[attr-defined]
    circle: list[Any] = []
    circle.append(circle)
    values = {
        "circle": circle,
        "time": datetime.datetime(2024, 5, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
        "flags": Flags.READ | Flags.WRITE,
        "local": Local(),
        "local_flag": Access.READ,
        "carrying": carrying,
        "missing": omegaconf.OmegaConf.create({"a": "???", "b": "${nowhere}"}),
        "file": object(),
        "name": os.fsdecode(b"\xff"),
        "path": [pathlib.Path(os.fsdecode(b"\xff"))],
        "pure_path": pathlib.PurePosixPath(os.fsdecode(b"\xff")),
    }
    for name, value in values.items():
        assert document(save(f"{name}.txt", x=value))["call"]["unrecorded"] == {"given": "builtins.dict"}, name


def test_the_record_of_a_directory_holds_the_digest_of_each_file(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: pathlib.Path) -> pathlib.Path:
        (outpath / "deep").mkdir(parents=True)
        (outpath / "a").write_text("good job")
        (outpath / "deep" / "b").write_text("good job")
        return outpath

    assert document(save(out / "model"))["artifact"] | {"name": ""} == {
        "name": "",
        "size": 16,
        "sha256": {"a": DIGEST, "deep/b": DIGEST},
    }


def test_each_of_several_artifacts_has_a_record(repository: Repository, out: pathlib.Path) -> None:
    @Artifact(["table", "plots"], repo=repository.path, record=True, cache=True)
    def save(table: bytes, plots: Any) -> None:
        for path in (table, *plots):
            pathlib.Path(os.fsdecode(path)).write_text("good job")

    paths = save(b"t.csv", ["a.png", "b.png"])
    records = [document(os.fsdecode(path)) for path in (paths["table"], *paths["plots"])]
    assert [record["artifact"]["name"] for record in records] == [os.fsdecode(paths["table"]), *paths["plots"]]
    assert records[0]["call"]["paths"] == {"table": "t.csv", "plots": ["a.png", "b.png"]}
    assert records[0]["call"]["types"] == {"table": "bytes", "plots": "str"}


@pytest.mark.parametrize(
    ("url", "recorded"),
    [
        ("https://example.org/a.git", "https://example.org/a.git"),
        ("https://token@example.org:8443/a.git#x", "https://example.org:8443/a.git"),
        ("ssh://me@example.org/a.git", "ssh://example.org/a.git"),
        ("ssh://git@example.org/a.git", "ssh://git@example.org/a.git"),
        ("git@example.org:lab/a.git", "git@example.org:lab/a.git"),
        ("me@example.org:lab/a.git", "example.org:lab/a.git"),
        ("{home}/a.git", "~/a.git"),
        ("file://{home}/a.git", "file://~/a.git"),
    ],
)
def test_the_remote_is_recorded_without_credentials_and_without_the_name_of_the_user(
    url: str, recorded: str, repository: Repository, out: pathlib.Path
) -> None:
    repository.git("remote", "add", "upstream", url.format(home=os.path.expanduser("~")))

    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    assert document(save("foo.txt"))["code"]["remote"] == recorded


def install(directory: pathlib.Path, name: str, version: str) -> None:
    """Put a distribution with one module of the same name into a directory."""
    metadata = directory / f"{name}-1.0.dist-info"  # the same for each version, as where one is written over the other
    metadata.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.py").write_text("")
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "RECORD").write_text(f"{name}.py,,\n")


@pytest.fixture
def save(repository: Repository, out: pathlib.Path) -> Callable[[str], Any]:
    """A function that gives the record of an artifact that it made."""

    @Artifact("outpath", repo=repository.path, record=True)
    def written(outpath: str) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    return lambda outpath: document(written(outpath))


def test_what_is_installed_after_a_record_is_in_the_next(
    save: Callable[[str], Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def packages(outpath: str) -> Any:
        found = save(outpath)["environment"]
        return {name: found["packages"][name] for name in found["loaded"] if name.startswith("late_")}

    site = tmp_path / "site"
    monkeypatch.syspath_prepend(site)
    assert packages("none.txt") == {}
    # All within a tick of the clock of most file systems, and of one size.
    for number in range(5):
        install(site, "late_one", f"{number}.0")
        importlib.invalidate_caches()
        importlib.import_module("late_one")
        assert packages(f"one-{number}.txt") == {"late_one": f"{number}.0"}
    time.sleep(0.05)
    assert packages("kept.txt") == packages("kept-again.txt") == {"late_one": "4.0"}
    install(site, "late_two", "1.0")
    assert packages("not-loaded.txt") == {"late_one": "4.0"}
    importlib.invalidate_caches()
    importlib.import_module("late_two")
    assert packages("two.txt") == {"late_one": "4.0", "late_two": "1.0"}
    shutil.rmtree(site / "late_one-1.0.dist-info")
    assert packages("removed.txt") == {"late_two": "1.0"}
    develop = tmp_path / "develop" / "late_two.egg-info"
    develop.mkdir(parents=True)
    (develop / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: late_two\nVersion: 2.0\n")
    (develop / "top_level.txt").write_text("late_two\n")
    monkeypatch.syspath_prepend(develop.parent)
    assert packages("develop.txt") == {"late_two": "2.0"}


def test_what_is_loaded_into_each_process_at_its_start_does_not_count_as_loaded(
    save: Callable[[str], Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(site)
    finder = "__editable___late_lab_1_0_finder"
    for module in ("_distutils_hack", finder):
        install(site, module, "1.0")
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    environment = save("foo.txt")["environment"]
    assert {"_distutils_hack", finder} <= environment["packages"].keys()
    assert not {"_distutils_hack", finder} & {*environment["loaded"]}


def test_where_a_distribution_came_from_is_recorded(
    save: Callable[[str], Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(site)
    commit = "0" * 40
    direct: dict[str, Any] = {
        "origin_a": {"url": f"file://{os.path.expanduser('~')}/lab", "dir_info": {"editable": True}},
        "origin_b": {"url": "https://me:secret@example.org/b.git", "vcs_info": {"vcs": "git", "commit_id": commit}},
        "origin_c": {"url": "file:///wheels/c.whl", "archive_info": {}},
        "origin_d": [],
    }
    for name, found in direct.items():
        install(site, name, "1.0")
        (site / f"{name}-1.0.dist-info" / "direct_url.json").write_text(json.dumps(found))
    (site / "half_removed-1.0.dist-info").mkdir()
    (site / "nameless-1.0.dist-info").mkdir()
    (site / "nameless-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\n\nName: description\n")
    (site / "versionless-1.0.dist-info").mkdir()
    (site / "versionless-1.0.dist-info" / "METADATA").write_text("Name: versionless\n\nVersion: 1\n")
    environment = save("foo.txt")["environment"]
    assert {name: text for name, text in environment["origins"].items() if name.startswith("origin_")} == {
        "origin_a": "editable file://~/lab",
        "origin_b": f"git+https://example.org/b.git@{commit}",
        "origin_c": "file:///wheels/c.whl",
        "origin_d": "unknown",
    }
    assert environment["packages"]["origin_a"] == "1.0"
    assert not {"half_removed", "nameless", "description", "versionless"} & environment["packages"].keys()


def test_the_lock_file_of_the_work_tree_is_named(repository: Repository, save: Callable[[str], Any]) -> None:
    assert save("none.txt")["environment"]["lock"] is None
    repository.write("requirements.txt", "numpy==2.0\n")
    assert save("requirements.txt")["environment"]["lock"] is None  # what people ask for, and seldom all of it
    names = ["conda-lock.yml", "requirements.lock", "pylock.toml", "Pipfile.lock", "pdm.lock", "poetry.lock", "uv.lock"]
    for name in names:  # the likeliest to be followed comes first
        repository.write(name, "version = 1\n")
        assert save(f"{name}.txt")["environment"]["lock"] == name


def test_what_is_installed_is_read_again_only_after_a_change(
    save: Callable[[str], Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = []
    read = importlib.metadata.distributions
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: readings.append(1) or read())
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "out")  # artifacts are not installed, and change the directory
    install(tmp_path / "site", "late_three", "1.0")
    time.sleep(0.05)
    for number in range(10):
        save(f"{number}.txt")
    assert len(readings) == 1


def test_a_remote_that_is_set_after_a_record_is_in_the_next(repository: Repository, save: Callable[[str], Any]) -> None:
    assert save("none.txt")["code"]["remote"] is None
    repository.git("remote", "add", "origin", "https://example.org/old.git")
    assert save("old.txt")["code"]["remote"] == "https://example.org/old.git"
    repository.git("remote", "set-url", "origin", "https://example.org/new.git")
    assert save("new.txt")["code"]["remote"] == "https://example.org/new.git"


def test_no_user_host_or_variable_is_recorded(repository: Repository, out: pathlib.Path) -> None:
    script = """\
import sys
import threading
from pyrepro import Artifact

@Artifact("outpath", config=dict, inputs="table", record=True)
def save(outpath, table):
    open(outpath, "w").write("good job")
    return outpath

if __name__ == "__main__":
    print(save(sys.argv[1], sys.argv[2]))
"""
    repository.commit(lab__step=script)
    home = out / "alice"
    home.mkdir()
    (home / "table.csv").write_text("1")
    environment = {"HOME": str(home), "USER": "alice", "SECRET": "hunter2", "HOSTNAME": "wonderland"}
    done = repository.run(
        repository.path / "lab" / "step.py", home / "foo.txt", home / "table.csv", env=environment, cwd=home
    )
    text = pathlib.Path(f"{done.stdout.strip()}.pyrepro.json").read_text()
    assert not re.search("alice|hunter2|wonderland", text.replace(f"{repository.path}", ""))
    found = json.loads(text)
    assert found["call"]["paths"] == {"outpath": "~/foo.txt"}
    assert found["call"]["argv"] == ["lab/step.py", "~/foo.txt", "~/table.csv"]
    assert found["inputs"]["table"]["path"] == "~/table.csv"
    assert (found["code"]["module"], found["call"]["function"]) == ("lab/step.py", "__main__:save")


def test_other_work_trees_are_recorded_with_their_states(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    lab = repository.clone(tmp_path / "lab")
    lab.commit(lablib="X = 1\n")
    repository.commit(
        step="""\
import lablib
from pyrepro import Artifact

@Artifact("outpath", record=True)
def save(outpath):
    open(outpath, "w").write("good job")
    return outpath

print(save("foo.txt"))
"""
    )
    environment = {"PYTHONPATH": str(lab.path)}
    done = repository.run(repository.path / "step.py", cwd=out, env=environment)
    assert document(out / done.stdout.strip())["code"]["others"]["lablib"] == lab.head
    lab.git("update-ref", "-d", "HEAD")
    done = repository.run(repository.path / "step.py", cwd=out, env=environment)
    assert document(out / done.stdout.strip())["code"]["others"]["lablib"] is None


@pytest.mark.parametrize("packages", ["one", "one, two, three"])
def test_another_work_tree_is_read_once_however_many_packages_are_loaded_from_it(
    packages: str, repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    lab = repository.clone(tmp_path / "lab")
    lab.commit(one="X = 1\n", two="X = 2\n", three="X = 3\n")
    repository.commit(
        step=f"""\
import sys
import threading
import {packages}
from pyrepro import Artifact

@Artifact("outpath", record=True)
def save(outpath):
    open(outpath, "w").write("good job")
    return outpath

def note(event, arguments):
    if event == "subprocess.Popen" and {str(lab.path)!r} in arguments[1]:
        reads.append(arguments[1])

reads = []
sys.addaudithook(note)
print(save("foo.txt"))
print(len(reads))
"""
    )
    done = repository.run(repository.path / "step.py", cwd=out, env={"PYTHONPATH": str(lab.path)})
    path, reads = done.stdout.split()
    assert (document(out / path)["code"]["others"], reads) == (dict.fromkeys(packages.split(", "), lab.head), "2")


def test_a_file_that_git_reads_otherwise_each_time_is_in_no_patch(repository: Repository, out: pathlib.Path) -> None:
    repository.write(".gitattributes", "*.noise filter=noise\n")
    repository.write("a.noise", "a\n")
    repository.commit()
    repository.git("config", "filter.noise.clean", "od -N 8 /dev/urandom")
    repository.write("a.noise", "b\n")

    @Artifact("outpath", repo=repository.path, record=True, allow_dirty=True)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(pyrepro.CodeStateError) as error:
        save("foo.txt")
    assert str(error.value) == (
        f"files of the work tree {repository.path} changed each time that they were read; "
        f"let what writes them end, and run again"
    )


@pytest.mark.parametrize(
    ("rule", "content", "refused"),
    [
        ("* text=auto", "edited = 1\r\n", "CRLF would be replaced by LF"),
        ("* text eol=crlf", "edited = 1\n", "LF would be replaced by CRLF"),
    ],
)
def test_line_ends_that_git_refuses_to_store_are_named_with_the_setting(
    repository: Repository, out: pathlib.Path, rule: str, content: str, refused: str
) -> None:
    repository.write(".gitattributes", f"{rule}\n")
    repository.commit()
    repository.git("config", "core.safecrlf", "true")
    repository.write("lib/my model.py", "")
    repository.git("add", "lib/my model.py")
    repository.write("lib/my model.py", content)

    def save() -> str:
        @Artifact("outpath", repo=repository.path, record=True, allow_dirty=True)
        def write(outpath: str) -> str:
            pathlib.Path(outpath).write_text("good job")
            return outpath

        return write("foo.txt")

    with pytest.raises(pyrepro.CodeStateError) as error:
        save()
    assert str(error.value) == (
        f"git cannot read the code state of {repository.path}: fatal: {refused} in lib/my model.py\n"
        f"The setting core.safecrlf makes git refuse the line ends of lib/my model.py: give the file those that a "
        f"checkout would give it, or let git only warn, with 'git -C {repository.path} config core.safecrlf warn', "
        f"or declare the state with PYREPRO_CODE_STATE."
    )
    repository.git("config", "core.safecrlf", "warn")
    assert "-dirty-" in save()


# When it is written


@posix_only
def test_a_directory_whose_name_is_not_utf8_has_records_all_the_same(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = repository.path / os.fsdecode(b"r\xffsum\xe9")
    try:
        inside.mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    monkeypatch.syspath_prepend(str(inside))
    monkeypatch.chdir(inside)

    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    found = document(save("foo.txt"))
    assert (found["call"]["directory"], found["code"]["path"]) == ("r?sum?", ["r?sum?"])


def test_what_a_call_in_a_call_writes_and_reads_is_recorded_where_it_is_once_both_have_ended(
    repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", inputs="raw", repo=repository.path, record=True)
    def clean(raw: pathlib.Path, outpath: pathlib.Path) -> None:
        outpath.write_text(raw.read_text())

    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: pathlib.Path) -> pathlib.Path:
        outpath.mkdir()
        (outpath / "raw.txt").write_text("raw")
        clean(outpath / "raw.txt", outpath / "clean.txt")
        return outpath

    saved = save(out / "foo")
    [cleaned] = saved.glob("clean-*.txt")
    record = document(cleaned)
    home = f"~/{saved.relative_to(pathlib.Path.home()).as_posix()}"
    assert record["call"]["paths"] == {"outpath": f"{home}/clean.txt"}
    assert record["inputs"]["raw"]["path"] == f"{home}/raw.txt"


def test_a_process_without_arguments_has_records(save: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [])
    assert save("foo.txt")["call"]["argv"] == []


def test_a_call_that_fails_leaves_no_record(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text("half")
        raise ValueError

    with pytest.raises(ValueError):
        save("foo.txt")
    assert os.listdir(out) == []


def test_a_hit_leaves_the_record_and_an_artifact_without_one_is_made_again(
    repository: Repository, out: pathlib.Path
) -> None:
    runs = []

    @Artifact("outpath", repo=repository.path, record=True, cache=True)
    def save(outpath: str) -> None:
        runs.append(1)
        pathlib.Path(outpath).write_text("good job")

    record = pathlib.Path(f"{save('foo.txt')}.pyrepro.json")
    before = record.read_text()
    save("foo.txt")
    assert (record.read_text(), len(runs)) == (before, 1)
    record.unlink()
    save("foo.txt")
    assert (record.exists(), len(runs)) == (True, 2)


def test_a_name_that_has_no_room_for_its_record_is_refused_before_the_call(repository: Repository) -> None:
    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ValueError, match=r"with the suffix \.pyrepro\.json of its record is longer than the 255 bytes"):
        save("x" * 220 + ".txt")


def test_a_coroutine_function_has_a_record(repository: Repository, out: pathlib.Path) -> None:
    import asyncio

    @Artifact("outpath", repo=repository.path, record=True)
    async def save(outpath: str) -> str:
        await asyncio.sleep(0.01)
        pathlib.Path(outpath).write_text("good job")
        return outpath

    assert document(asyncio.run(save("foo.txt")))["seconds"] >= 0.01


# The patch

STEP = """\
import importlib
import sys
import threading

from pyrepro import Artifact


@Artifact("outpath", config=dict, record=True, allow_dirty=True)
def save(outpath, modules):
    text = "".join(repr(sorted(vars(importlib.import_module(name)).get("VALUES", []))) for name in modules)
    with open(outpath, "w") as outf:
        outf.write(text)
    return outpath


for module in sys.argv[2:]:
    importlib.import_module(module)

if __name__ == "__main__":
    print(save(sys.argv[1], sys.argv[2:]))
"""


def staged(repository: Repository) -> None:
    repository.write("lib/model.py", "VALUES = [1]\n")
    repository.git("add", "-A")


def unstaged(repository: Repository) -> None:
    repository.write("lib/model.py", "VALUES = [2]\n")


def staged_and_edited(repository: Repository) -> None:
    staged(repository)
    unstaged(repository)


def binary(repository: Repository) -> None:
    repository.write("data.bin", bytes(range(256)) * 4)
    repository.git("add", "data.bin")


def mode(repository: Repository) -> None:
    (repository.path / "run.sh").chmod(0o644)
    (repository.path / "train.py").chmod(0o755)


def symlink(repository: Repository) -> None:
    (repository.path / "link.py").unlink()
    (repository.path / "link.py").symlink_to("lib/model.py")


def deleted(repository: Repository) -> None:
    (repository.path / "run.sh").unlink()


def renamed(repository: Repository) -> None:
    repository.git("mv", "run.sh", "walk.sh")


def not_unicode(repository: Repository) -> None:
    path = os.fsencode(repository.path) + b'/caf\xe9 "\t\n.txt'
    with open(path, "w") as outf:
        outf.write("VALUES")
    repository.git("add", "-A")


def untracked_module(repository: Repository) -> None:
    repository.write("forgotten.py", "VALUES = [3]\n")


def assume_unchanged(repository: Repository) -> None:
    repository.git("update-index", "--assume-unchanged", "lib/model.py")
    unstaged(repository)


def skip_worktree(repository: Repository) -> None:
    repository.git("update-index", "--skip-worktree", "lib/model.py")
    unstaged(repository)


def removed_from_the_index(repository: Repository) -> None:
    unstaged(repository)
    repository.git("rm", "-q", "--cached", "lib/model.py")


def file_becomes_directory(repository: Repository) -> None:
    (repository.path / "run.sh").unlink()
    repository.write("run.sh/inner.txt", "inner\n")
    repository.git("add", "-A")


def link_becomes_file(repository: Repository) -> None:
    (repository.path / "link.py").unlink()
    repository.write("link.py", "VALUES = [4]\n")


def empty(repository: Repository) -> None:
    repository.write("lib/model.py", "")


def carriage_returns(repository: Repository) -> None:
    repository.write("lib/model.py", "VALUES = [5]\r\nX = 1\r\n")


def without_line_end(repository: Repository) -> None:
    repository.write("lib/model.py", "VALUES = [6]")


def hostile_settings(repository: Repository) -> None:
    unstaged(repository)
    repository.write(".git/info/attributes", "*.py diff=upper\n")
    for setting in (
        "diff.noprefix=true",
        "diff.mnemonicPrefix=true",
        "diff.external=false",
        "diff.upper.textconv=tr a-z A-Z <",
        "color.ui=always",
        "diff.renames=copies",
        "diff.relative=true",
        "diff.context=0",
        "core.quotePath=false",
        "diff.ignoreSubmodules=all",
    ):
        repository.git("config", *setting.split("=", 1))


CHANGES = [
    staged,
    unstaged,
    staged_and_edited,
    binary,
    mode,
    symlink,
    deleted,
    renamed,
    not_unicode,
    untracked_module,
    assume_unchanged,
    skip_worktree,
    removed_from_the_index,
    file_becomes_directory,
    link_becomes_file,
    empty,
    carriage_returns,
    without_line_end,
    hostile_settings,
]


def tree(path: pathlib.Path) -> dict[bytes, Any]:
    """Every file of a work tree but .git, with its mode and content."""
    found: dict[bytes, Any] = {}
    for above, directories, names in os.walk(os.fsencode(path)):
        directories[:] = [name for name in directories if name != b".git"]
        for name in names:
            file = os.path.join(above, name)
            content = os.readlink(file) if os.path.islink(file) else pathlib.Path(os.fsdecode(file)).read_bytes()
            executable = not os.path.islink(file) and os.access(file, os.X_OK)
            found[os.path.relpath(file, os.fsencode(path))] = (
                content,
                bool(os.stat(file).st_mode & 0o100) and executable,
            )
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_a_fresh_clone_and_the_patch_give_back_the_code_that_ran_and_it_makes_the_same_artifact(
    change: Any, repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    repository.commit(step=STEP)
    change(repository)
    modules = ["forgotten" if change is untracked_module else "lib.model"]
    status = repository.git("status", "--porcelain=v2")
    done = repository.run("step.py", out / "foo.txt", *modules)
    path = pathlib.Path(done.stdout.strip())
    assert repository.git("status", "--porcelain=v2") == status
    found = document(path)
    patch = out / found["code"]["patch"]
    assert found["code"]["patch"] == f"{found['code']['commit']}-dirty-{found['code']['changes']}.patch"
    assert found["code"]["patch_size"] == patch.stat().st_size
    clone = repository.clone(tmp_path / "clone")
    clone.git("apply", "--whitespace=nowarn", str(patch))
    assert tree(clone.path) == tree(repository.path)
    reproduction = pyrepro.reproduce(path, repo=clone.path)
    assert (reproduction.same, pathlib.Path(reproduction.reproduced).name) == (True, path.name)
    assert clone.git("worktree", "list").count("\n") == 0


def test_a_thousand_records_of_one_state_hold_one_patch(repository: Repository, out: pathlib.Path) -> None:
    program = (
        "import os, sys\nfrom pyrepro import Artifact\n"
        "os.fsync = lambda descriptor: None  # the disk takes longer than all the rest\n"
        "@Artifact('outpath', record=True, allow_dirty=True)\ndef save(outpath):\n    open(outpath, 'x').close()\n"
        "for number in range(1_000):\n    save(f'{sys.argv[1]}/{number}.txt')\n"
    )
    repository.commit(thousand=program)
    unstaged(repository)
    assert repository.run("thousand.py", out).returncode == 0
    suffixes = [path.suffix for path in out.iterdir()]
    assert {suffix: suffixes.count(suffix) for suffix in set(suffixes)} == {".txt": 1000, ".json": 1000, ".patch": 1}


def test_a_patch_of_more_than_ten_megabytes_is_left_out_with_its_size(
    repository: Repository, out: pathlib.Path
) -> None:
    repository.write("large.bin", os.urandom(11_000_000))
    repository.git("add", "large.bin")

    @Artifact("outpath", repo=repository.path, record=True, allow_dirty=True)
    def save(outpath: pathlib.Path) -> pathlib.Path:
        outpath.write_text("good job")
        return outpath

    code = document(save(out / "foo.txt"))["code"]
    assert (code["patch"], code["patch_size"] > 10_000_000) == (None, True)
    assert list(out.glob("*.patch")) == []


def test_changes_of_submodules_are_named(repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path) -> None:
    inner = repository.clone(tmp_path / "inner")
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.path), "sub")
    repository.git("commit", "-q", "-m", "submodule")
    repository.write("sub/lib/model.py", "VALUES = [7]\n")
    unstaged(repository)

    @Artifact("outpath", repo=repository.path, record=True, allow_dirty=True)
    def save(outpath: pathlib.Path) -> pathlib.Path:
        outpath.write_text("good job")
        return outpath

    path = save(out / "foo.txt")
    code = document(path)["code"]
    assert code["left_out"] == ["sub/lib/model.py"]
    assert b"sub" not in (out / code["patch"]).read_bytes()


def test_the_patch_is_that_of_the_code_as_it_was_read(repository: Repository, out: pathlib.Path) -> None:
    unstaged(repository)

    @Artifact("outpath", repo=repository.path, record=True, allow_dirty=True)
    def save(outpath: pathlib.Path) -> pathlib.Path:
        outpath.write_text("good job")
        return outpath

    repository.write("lib/model.py", "VALUES = [8]\n")
    code = document(save(out / "foo.txt"))["code"]
    assert b"+VALUES = [2]\n" in (out / code["patch"]).read_bytes()


def test_the_patch_is_kept_when_something_is_imported_after_an_edit(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unstaged(repository)

    @Artifact("outpath", repo=repository.path, record=True, allow_dirty=True)
    def save(outpath: pathlib.Path) -> pathlib.Path:
        outpath.write_text("good job")
        return outpath

    repository.write("lib/model.py", "VALUES = [8]\n")
    monkeypatch.setitem(sys.modules, "imported_later", types.ModuleType("imported_later"))
    code = document(save(out / "foo.txt"))["code"]
    assert b"+VALUES = [2]\n" in (out / code["patch"]).read_bytes()


def test_code_that_the_function_loads_is_in_the_patch(repository: Repository, out: pathlib.Path) -> None:
    repository.commit(
        late=f"""\
from pyrepro import Artifact

@Artifact("outpath", record=True)
def save(outpath):
    import forgotten
    open(outpath, "w").write("good job")
    return outpath

if __name__ == "__main__":
    print(save("{out}/foo.txt"))
"""
    )
    repository.write("forgotten.py", "X = 1\n")
    path = pathlib.Path(repository.run("late.py").stdout.strip())
    code = document(path)["code"]
    assert f"-dirty-{code['changes'][:12]}-" in path.name
    assert b"+X = 1\n" in (out / code["patch"]).read_bytes()
    (repository.path / "forgotten.py").unlink()
    assert pyrepro.reproduce(path, repo=repository.path).same


# What is read


def recorded(repository: Repository, out: pathlib.Path) -> pathlib.Path:
    """The record of an artifact."""

    @Artifact("outpath", config={"<b>": "&"}, repo=repository.path, record=True)
    def save(outpath: pathlib.Path) -> None:
        outpath.write_text("good job")

    save(out / "foo.txt")
    return next(out.glob("*.pyrepro.json"))


def test_a_record_is_read_by_the_artifact_or_by_its_own_path(repository: Repository, out: pathlib.Path) -> None:
    path = recorded(repository, out)
    artifact = str(path).removesuffix(".pyrepro.json")
    record = read_record(path)
    assert [read_record(one) for one in (str(path), artifact, os.fsencode(artifact), f"{artifact}/")] == [record] * 4
    assert (record.artifact["sha256"], record.config) == (DIGEST, {"<b>": "&"})
    assert record.tag == pyrepro.Tag.from_path(artifact)
    assert record.matches(record)


def test_records_match_when_code_and_configuration_are_the_same(repository: Repository, out: pathlib.Path) -> None:
    decorate: Any = Artifact("outpath", config=dict, repo=repository.path, record=True, allow_dirty=True)

    def save(outpath: pathlib.Path, lr: float) -> pathlib.Path:
        outpath.write_text("good job")
        return outpath

    one, same, other = (read_record(decorate(save)(out / name, lr)) for name, lr in (("a", 1), ("b", 1), ("a", 2)))
    unstaged(repository)
    dirty = read_record(decorate(save)(out / "a", 1))
    assert [one.matches(record) for record in (one, same, other, dirty)] == [True, True, False, False]


def test_a_record_prints_readably_and_is_an_escaped_table_in_a_notebook(
    repository: Repository, out: pathlib.Path
) -> None:
    record = read_record(recorded(repository, out))
    lines = str(record).splitlines()
    assert lines[0] == f"artifact  {record.artifact['name']}, 8 bytes, sha256 {DIGEST}"
    assert f'config    {{"<b>": "&"}}, sha256 {record.config_hash}' in lines
    html = record._repr_html_()
    assert html.startswith("<table><tr><th>artifact</th><td>")
    assert "{&quot;&lt;b&gt;&quot;: &quot;&amp;&quot;}" in html
    assert "<b>" not in html


def test_an_artifact_without_a_record_is_an_error_that_says_what_makes_one(out: pathlib.Path) -> None:
    with pytest.raises(RecordError) as error:
        read_record("foo.txt")
    assert str(error.value) == (
        f"there is no record foo.txt.pyrepro.json (the working directory is {out}); "
        f"artifacts of functions decorated with record=True have one"
    )
    assert error.value.path == "foo.txt.pyrepro.json"


def test_a_plain_path_is_an_error_that_says_what_lists_its_artifacts(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", config=dict, repo=repository.path, record=True)
    def save(outpath: str, alpha: int) -> None:
        pathlib.Path(outpath).write_text("good job")

    save("foo.txt", 1)
    save("foo.txt", 2)
    with pytest.raises(RecordError) as error:
        read_record("foo.txt")
    assert str(error.value) == (
        "'foo.txt' is a plain path, of which 2 artifacts have records; pass one of them, which records('foo.txt') lists"
    )
    with pytest.raises(RecordError, match="there is no record bar.txt.pyrepro.json "):
        read_record("bar.txt")


def test_what_is_no_path_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="^read_record takes the path of an artifact, not 3 of type int$"):
        read_record(3)  # type: ignore[arg-type]


def write_anew(path: pathlib.Path, content: bytes) -> None:
    """Write a file that is not there: to write over one, thousands of times, keeps some file systems busy."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(deep for key, item in inner for deep in places(item, (*place, key)))]


def test_a_record_with_a_field_of_a_wrong_type_is_refused_as_the_schema_refuses_it(
    repository: Repository, out: pathlib.Path
) -> None:
    path = recorded(repository, out)
    good = json.loads(path.read_text())
    # One distribution stands for all of them, which are alike.
    name = good["environment"]["loaded"][0]
    good["environment"] |= {"packages": {name: good["environment"]["packages"][name]}, "loaded": [name]}
    validator = jsonschema.Draft202012Validator(SCHEMA)
    wrong = [None, True, 3, -1, 1.5, "", "x\n", "../x", [], [[]], [3], {}, {"x": 3}, {"path": "a", "hash": 3}]
    outcomes = set()
    for place in places(good):
        for value in wrong:
            bad = copy.deepcopy(good)
            holder: Any = {"top": bad}
            for key in ("top", *place)[:-1]:
                holder = holder[key]
            holder[("top", *place)[-1]] = value
            content = holder["top"] if not place else bad
            write_anew(out / "bad.pyrepro.json", json.dumps(content).encode())
            is_valid = validator.is_valid(content)
            outcomes.add(is_valid)
            if is_valid:
                read_record(out / "bad")
            else:
                with pytest.raises(
                    RecordError, match=r"bad\.pyrepro\.json is not a record that this version of pyrepro can read: rec"
                ):
                    read_record(out / "bad")
    assert outcomes == {True, False}


def test_a_record_that_lacks_or_has_a_field_is_refused(repository: Repository, out: pathlib.Path) -> None:
    path = recorded(repository, out)
    for change, problem in (
        (lambda found: found.pop("code"), "record has no 'code'"),
        (lambda found: found["call"].pop("argv"), "record['call'] has no 'argv'"),
        (lambda found: found.update(more=1), "record has 'more'"),
        (lambda found: found.update(pyrepro=2), "record['pyrepro'] is not 1"),
    ):
        found = json.loads(path.read_text())
        change(found)
        (out / "bad.pyrepro.json").write_text(json.dumps(found))
        with pytest.raises(RecordError) as error:
            read_record("bad")
        assert str(error.value) == (
            f"bad.pyrepro.json is not a record that this version of pyrepro can read: {problem}; take it from a backup"
        )


def test_a_record_that_is_cut_off_anywhere_is_refused(repository: Repository, out: pathlib.Path) -> None:
    content = recorded(repository, out).read_bytes()
    for length in range(len(content.rstrip())):
        write_anew(out / "cut.pyrepro.json", content[:length])
        with pytest.raises(RecordError):
            read_record("cut")


@pytest.mark.parametrize("content", [b"\xff", b"[" * 100_000, b'{"seconds": NaN}', b"null", b'"x"', b"3", b"[]"])
def test_what_is_no_record_is_refused(content: bytes, out: pathlib.Path) -> None:
    (out / "bad.pyrepro.json").write_bytes(content)
    with pytest.raises(RecordError):
        read_record("bad")


def test_a_directory_where_a_record_should_be_is_refused(out: pathlib.Path) -> None:
    (out / "bad.pyrepro.json").mkdir()
    with pytest.raises(RecordError, match="cannot be read: .*Is a directory"):
        read_record("bad")


@posix_only
def test_the_record_beside_an_artifact_is_its_own_however_many_calls_end_at_once(
    repository: Repository, tmp_path: pathlib.Path
) -> None:
    """Two threads put other bytes in the same place again and again: neither is beside the record of the other."""
    both = threading.Barrier(2)

    @Artifact("outpath", repo=repository.path, record=True)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_bytes(os.urandom(8))
        both.wait(PATIENCE)

    digests = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number in range(50):
            path = tmp_path / "out" / f"foo{number}.txt"
            for call in [pool.submit(save, str(path)) for _ in range(2)]:
                call.result()
            [artifact] = path.parent.glob(f"foo{number}-*.txt")
            digests.append(
                (document(artifact)["artifact"]["sha256"], hashlib.sha256(artifact.read_bytes()).hexdigest())
            )
    assert [recorded for recorded, _ in digests] == [held for _, held in digests]
