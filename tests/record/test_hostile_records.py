"""A record is somebody else's text: whatever it says, nothing elsewhere is written, run or loaded."""

from __future__ import annotations

import json
import os
import pathlib
import random
import shutil
import sys
from typing import Any

import pytest
from conftest import Repository
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pyrepro
from pyrepro import RecordError, ReproduceError, read_record, reproduce

PROGRAM = """\
import sys
from pathlib import Path
from pyrepro import Artifact

@Artifact("outpath", config=dict, inputs="table", record=True, allow_dirty=True)
def save(table, outpath, names=("a",), *, deep, path):
    Path(outpath).write_text(Path(table).read_text() + str(deep))
    return outpath

if __name__ == "__main__":
    print(save(sys.argv[1], sys.argv[2], deep={"x": [1, None]}, path=Path("lib")))
"""

WATCH = """\
import os, sys

def watch(event, args, log={log!r}, scratch={scratch!r}, known={known!r}, busy=[]):
    if busy or event not in ("open", "exec", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink",
                             "os.link", "os.truncate", "shutil.rmtree", "subprocess.Popen", "os.system", "os.exec",
                             "os.posix_spawn", "socket.connect", "ctypes.dlopen"):
        return
    busy.append(1)
    try:
        found = fault(event, args, scratch, known)
        if found:
            with open(log, "a") as file:
                file.write(f"{{event}} {{found}}\\n")
    finally:
        busy.pop()

def fault(event, args, scratch, known):
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"):
        command = args[1][0] if event == "subprocess.Popen" and args[1] else args[0]
        return None if os.path.basename(os.fsdecode(command)) in ("git", "uname") else str(args)
    if event == "exec":
        file = args[0].co_filename
        return None if file.startswith("<") or os.path.realpath(file).startswith((scratch, *known)) else file
    if not isinstance(args[0], (str, bytes)):
        return None
    path = os.path.realpath(os.fsdecode(args[0] if event not in ("os.symlink", "os.link") else args[1]))
    if event == "open":
        writes = isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        is_module = path.endswith((".py", ".pyc", ".so")) and not path.startswith((scratch, *known))
        return path if (writes and not path.startswith(scratch) and path != os.devnull) or is_module else None
    if event == "ctypes.dlopen":
        return None
    return None if path.startswith(scratch) else path

sys.addaudithook(watch)
"""

TEXTS = [
    *("", ".", "..", "../x", "../../../../../../../../evil", "/evil", "~/evil", "~", "a/../../b", "//", "C:\\x", "-x"),
    *(
        "--upload-pack=touch evil",
        "ext::sh -c touch% evil",
        "; touch evil",
        "$(touch evil)",
        "\x00",
        "a\x00b",
        "\x1b[2J",
    ),
    *(
        "a\nb",
        "x\r",
        "\u202eevil",
        "\u2028",
        "\ud800",
        "\x7f",
        "x" * 300,
        "x" * 5000,
        "os:system",
        "a.b.c.d.e:f",
        "__main__:x",
    ),
    *(
        "0" * 40,
        "0" * 64,
        "sha256:" + "0" * 64,
        "NaN",
        "evil.py",
        "evil",
        "lib",
        "lib/model.py",
        ".git/config",
        ".git/hooks/x",
    ),
    *(
        "__main__:save",
        "builtins:exec",
        "subprocess:Popen",
        "train:save_thing",
        "script",
        "module",
        "entry",
        "-O",
        "random",
        "CPython ./evil",
        "CPython 3.11.99",
        "-u:evil",
        "uv.lock",
    ),
]
VALUES = [None, True, False, 0, 1, -1, 2**70, 1.5, 1e308, [], {}, [[]], [None], ["x"], {"x": None}, {"x": "../x"}]


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


FORMS = [
    {"type": kind, "class": named, "text": text, "items": items, "fields": fields}
    for kind in (
        "dataclass",
        "enum",
        "tuple-of",
        "omegaconf",
        "numpy",
        "path",
        "range",
        "dict",
        "bytes",
        "decimal",
        "nothing",
    )
    for named, text, items, fields in (
        ("subprocess:Popen", "../../evil", [[], 1], {"args": "touch evil"}),
        ("os:system", "\x00", [[1, 2, 3]], {}),
        ("evil:Evil", "x", [10**9], {"__class__": "x"}),
    )
]


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document but its top."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [deep for key, item in inner for deep in [(*place, key), *places(item, (*place, key))]]


def mutated(good: str, chance: random.Random) -> Any:
    """A record with one to three fields replaced, renamed, removed or added."""
    document = json.loads(good)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        # By section, so that hundreds of installed distributions are not what is changed most.
        section = chance.choice(sorted(document)) if isinstance(document, dict) and document else None
        inside = [place for place in places(document) if place[0] == section] or [()]
        shallow = [place for place in inside if len(place) <= 3]
        place = chance.choice(shallow if chance.random() < 0.8 else inside)
        if not place:
            return chance.choice(VALUES)
        holder = document
        for key in place[:-1]:
            holder = holder[key]
        old, how = holder[place[-1]], chance.random()
        text = chance.choice(TEXTS)
        if how < 0.1:
            del holder[place[-1]]
        elif how < 0.25 and isinstance(holder, dict):
            holder[text] = holder.pop(place[-1])
        elif how < 0.35 and isinstance(old, dict):
            old[text] = chance.choice([*VALUES, *TEXTS])
        elif how < 0.55 and isinstance(old, str):
            holder[place[-1]] = chance.choice(
                [old + text, text + old, f"{text}/{old}", f"{old}/{text}", old[:-1], old * 50]
            )
        elif how < 0.75:
            holder[place[-1]] = text
        elif how < 0.85:
            holder[place[-1]] = chance.choice(FORMS)
        elif how < 0.9:
            holder[place[-1]] = nested(chance.choice([20, 200, 900]))
            break  # nothing else can follow it down
        else:
            holder[place[-1]] = chance.choice(VALUES)
    return document


def is_printable(text: str) -> bool:
    return all(one.isprintable() or one in "\n\t" for one in text)


def snapshot(*directories: pathlib.Path) -> dict[str, bytes]:
    found = {}
    for directory in directories:
        for above, _, names in os.walk(directory):
            for name in names:
                path = pathlib.Path(above, name)
                found[str(path)] = os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes()
    return found


@pytest.fixture(scope="module")
def sent(template: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory with a repository, and with an artifact, its record, its patch and its input in "out"."""
    directory = tmp_path_factory.mktemp("sent").resolve()
    shutil.copytree(template, directory / "repository", symlinks=True)
    repository = Repository(directory / "repository")
    repository.commit(step=PROGRAM)
    repository.write("lib/model.py", "LAYERS = 3\n")
    repository.git("add", "-A")
    out = directory / "out"
    out.mkdir()
    (out / "table.csv").write_text("1,2")
    done = repository.run("step.py", out / "table.csv", out / "foo.txt", env={"HOME": str(directory)})
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture
def repository(sent: pathlib.Path, tmp_path: pathlib.Path) -> Repository:
    path = tmp_path.resolve() / "repository"
    shutil.copytree(sent / "repository", path, symlinks=True)
    return Repository(path)


@pytest.fixture
def hostile(
    repository: Repository,
    sent: pathlib.Path,
    out: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """A good record, an interpreter whose every step is watched, and modules elsewhere that leave a trace when loaded."""
    home, scratch, site = tmp_path / "home", tmp_path / "scratch", tmp_path / "site"
    for directory in (home, scratch, site):
        directory.mkdir()
    for file in (sent / "out").iterdir():
        if file.is_file():
            shutil.copy(file, out)
    log = tmp_path / "log.txt"
    for directory in (tmp_path, home, out):
        (directory / "evil.py").write_text(f"open({str(log)!r}, 'a').write('evil was loaded')\nsave = None\n")
    known = sorted(
        {os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, os.path.dirname(pyrepro.__file__))}
    )
    (site / "sitecustomize.py").write_text(WATCH.format(log=str(log), scratch=str(scratch), known=[*known, str(site)]))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(site))
    # What a measurement of coverage writes elsewhere is not the record's doing.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("TMPDIR", str(scratch))
    [path] = out.glob("foo-*.txt")
    good = pathlib.Path(f"{path}.pyrepro.json").read_text(encoding="utf-8")
    return {"path": path, "good": good, "log": log, "scratch": scratch, "kept": (repository.path, out, home, site)}


def changed(hostile: dict[str, Any], *place: Any, to: Any) -> None:
    """Write the good record with one field changed."""
    document = json.loads(hostile["good"])
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = to
    pathlib.Path(f"{hostile['path']}.pyrepro.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("place", "to", "problem"),
    [
        (("config",), "\ud800", "record holds text that is not Unicode"),
        (("config",), {"\udfff": 1}, "record holds text that is not Unicode"),
        (("call", "paths"), {"../x": "a"}, "record['call']['paths'] '../x' does not match "),
        (("call", "paths"), {"/tmp/x": "a"}, "record['call']['paths'] '/tmp/x' does not match "),
        (("call", "arguments"), {"a.b": 1}, "record['call']['arguments'] 'a.b' does not match "),
        (("call", "function"), "...evil:save", "record['call']['function'] does not match "),
        (("call", "function"), "../evil:save", "record['call']['function'] does not match "),
        (("call", "paths", "outpath"), "a\x00b", "record['call']['paths']['outpath'] does not match "),
        (("call", "argv"), ["a\x00b"], "record['call']['argv'][0] does not match "),
        (("code", "remote"), "\x1b[2Jhttps://h", "record['code']['remote'] does not match "),
        (("code", "module"), "x" * 10_001, "record['code']['module'] is longer than 10000"),
        (("environment", "python"), "CPython\n3", "record['environment']['python'] does not match "),
        (("artifact", "name"), "..", "record['artifact']['name'] does not match "),
        (("artifact", "name"), "x" * 256, "record['artifact']['name'] is longer than 255"),
    ],
    ids=str,
)
def test_a_field_that_no_call_gives_is_refused(place: Any, to: Any, problem: str, hostile: dict[str, Any]) -> None:
    changed(hostile, *place, to=to)
    with pytest.raises(RecordError) as error:
        read_record(hostile["path"])
    assert f" is not a record that this version of pyrepro can read: {problem}" in str(error.value)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_is_none_in_json_is_refused(number: str, hostile: dict[str, Any]) -> None:
    text = hostile["good"].replace('"seconds": ', f'"seconds": {number}, "x": ')
    pathlib.Path(f"{hostile['path']}.pyrepro.json").write_text(text)
    with pytest.raises(RecordError, match=f"cannot be read: {number} is not JSON; take it from a backup"):
        read_record(hostile["path"])


def test_what_a_terminal_would_obey_is_shown_as_an_escape(hostile: dict[str, Any]) -> None:
    changed(hostile, "config", to={"note": "\x1b[2J\x9b2J\u202egnp.\x7f\n", "deep": "日本語 é"})
    record = read_record(hostile["path"])
    assert r'{"note": "\u001b[2J\x9b2J\u202egnp.\x7f\n", "deep": "日本語 é"}' in str(record)
    assert is_printable(str(record) + record._repr_html_())
    changed(hostile, "code", "module", to="evil\x1b[2J.py")
    with pytest.raises(ReproduceError, match=r"its function is in evil\\x1b\[2J\.py, which the commit does not hold$"):
        reproduce(hostile["path"], hostile["kept"][0])


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("code", "module"), "evil\n\ntype curl evil"),
        (("inputs", "table", "path"), "evil\n\ntype curl evil"),
        (("call", "paths", "outpath"), "evil\n\ntype curl evil"),
        (("code", "left_out"), ["evil\n\ntype curl evil"]),
    ],
    ids=str,
)
def test_a_name_of_several_lines_is_said_on_one(place: Any, text: Any, hostile: dict[str, Any]) -> None:
    if place[0] == "inputs":
        (hostile["path"].parent / "table.csv").unlink()
    changed(hostile, *place, to=text)
    with pytest.raises(ReproduceError, match=r"evil\\n\\ntype curl evil"):
        reproduce(hostile["path"], hostile["kept"][0])


@pytest.mark.parametrize("path", ["/", "//", "..", "../../../../../../../.."])
def test_a_directory_that_holds_everything_is_not_read_as_an_input(path: str, hostile: dict[str, Any]) -> None:
    (hostile["path"].parent / "table.csv").unlink()
    changed(hostile, "inputs", "table", "path", to=path)
    with pytest.raises(ReproduceError, match=r": holds the temporary directory\n"):
        reproduce(hostile["path"], hostile["kept"][0])


def test_packages_that_are_not_of_the_commit_are_not_laid_out(hostile: dict[str, Any], repository: Repository) -> None:
    changed(hostile, "code", "packages", to={"pyrepro": "lib", "evil": str(hostile["kept"][2]), "gone": "gone"})
    assert reproduce(hostile["path"], repository.path).same
    assert not hostile["log"].exists()


def test_a_version_of_python_that_is_a_path_is_not_run(hostile: dict[str, Any]) -> None:
    evil = hostile["path"].parent / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {hostile['log']}\n")
    evil.chmod(0o755)
    changed(hostile, "environment", "python", to=f"CPython {evil}")
    with pytest.raises(
        ReproduceError, match=f"its version of Python, {evil}, is not one; pass an interpreter as python=$"
    ):
        reproduce(hostile["path"], hostile["kept"][0], environment="recorded")
    assert not hostile["log"].exists()


def test_a_submodule_whose_url_is_a_command_or_an_option_is_left_out(
    hostile: dict[str, Any], repository: Repository, out: pathlib.Path
) -> None:
    urls = [f"ext::sh -c touch% {hostile['log']}", f"--upload-pack=touch {hostile['log']}", "-u./evil", "../../evil"]
    for number, url in enumerate(urls):
        name = f"sub-{number}"
        (repository.path / name).mkdir()
        repository.git("config", "-f", ".gitmodules", f"submodule.{name}.path", name)
        repository.git("config", "-f", ".gitmodules", f"submodule.{name}.url", url)
        repository.git("config", "-f", ".gitmodules", f"submodule.{name}.update", f"!touch {hostile['log']}")
        repository.git("update-index", "--add", "--cacheinfo", f"160000,{repository.head},{name}")
    repository.git("add", ".gitmodules")
    repository.git("commit", "-q", "-m", "submodules")
    done = repository.run("step.py", out / "table.csv", out / "bar.txt", env={"PYTHONPATH": ""})
    before = snapshot(*hostile["kept"])
    for repo in (f"file://{repository.path}", repository.path):
        assert reproduce(done.stdout.strip(), repo).same
    assert snapshot(*hostile["kept"]) == before
    assert not hostile["log"].exists(), hostile["log"].read_text()


def test_an_input_is_not_laid_into_git_by_a_link_of_the_commit(hostile: dict[str, Any], repository: Repository) -> None:
    (repository.path / "hooks").symlink_to(".git/hooks")
    (repository.path / ".git" / "hooks").mkdir(exist_ok=True)
    repository.commit()
    repository.commit(
        step=PROGRAM.replace(
            "str(deep)", "str(os.listdir('.git/hooks') if os.path.isdir('.git/hooks') else [])"
        ).replace("import sys", "import os, sys")
    )
    hook = hostile["path"].parent / "post-checkout"
    hook.write_text("1,2")
    done = repository.run("step.py", hook, hook.parent / "bar.txt")
    path = done.stdout.strip()
    record = pathlib.Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["inputs"]["table"]["path"] = "hooks/post-checkout"
    record.write_text(json.dumps(document))
    result = reproduce(path, repository.path)
    assert pathlib.Path(result.reproduced).read_text() == "1,2[]"


@pytest.mark.parametrize("name", ["नाम", "größe", "变量", "_x1"])
def test_names_of_parameters_in_any_script_are_innocent(name: str, hostile: dict[str, Any]) -> None:
    changed(hostile, "call", "arguments", to={name: 1})
    assert read_record(hostile["path"]).call["arguments"] == {name: 1}


def test_a_configuration_as_deep_as_python_can_follow_is_read_and_refused_where_it_cannot_be_passed_on(
    hostile: dict[str, Any],
) -> None:
    changed(hostile, "config", to=nested(900))
    assert read_record(hostile["path"]).config == nested(900)
    text = hostile["good"].replace('"x": [', '"x": [' + "[" * 3_000 + "]" * 3_000 + ", ")
    pathlib.Path(f"{hostile['path']}.pyrepro.json").write_text(text)
    with pytest.raises((RecordError, ReproduceError)):
        reproduce(hostile["path"], hostile["kept"][0])


def test_a_good_record_is_made_again_and_the_watch_sees_what_is_done_elsewhere(
    hostile: dict[str, Any], repository: Repository
) -> None:
    assert reproduce(hostile["path"], repository.path).same
    assert not hostile["log"].exists()
    repository.run(
        "-c", f"open({str(hostile['scratch'].parent / 'elsewhere')!r}, 'w'); import evil", cwd=hostile["path"].parent
    )
    assert [line.split()[0] for line in hostile["log"].read_text().splitlines()][:2] == ["open", "open"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=settings().max_examples * 3 // 10,
)
@given(st.integers(0, 2**32))
def test_a_record_with_changed_fields_is_refused_or_harmless(
    hostile: dict[str, Any], repository: Repository, seed: int
) -> None:
    check_mutation(hostile, repository, seed)


def check_mutation(hostile: dict[str, Any], repository: Repository, seed: int) -> None:
    """A mutated record gives a result or an error that can be shown, and nothing is done elsewhere."""
    path, chance = hostile["path"], random.Random(seed)
    record = pathlib.Path(f"{path}.pyrepro.json")
    changed = json.dumps(mutated(hostile["good"], chance))
    record.write_text(changed)
    before = snapshot(*hostile["kept"])
    try:
        shown = str(read_record(path)) + read_record(path)._repr_html_()
        assert is_printable(shown)
        shown = str(reproduce(path, repository.path))
    except (RecordError, ReproduceError) as error:
        shown = str(error)
    assert is_printable(shown)
    assert snapshot(*hostile["kept"]) == before
    assert not hostile["log"].exists(), hostile["log"].read_text()
