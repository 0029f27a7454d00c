"""Inputs that are keys of the configuration, lists, mappings and data in memory, where an artifact is made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from colleague import artifact_of, made_by_colleague
from conftest import Repository

from pyrepro import ReproduceError, file_hash, read_record, reproduce

SCRIPT = """\
import sys
from pathlib import Path
from types import SimpleNamespace
from pyrepro import Artifact

CONFIG = {"data": {"table": sys.argv[1]}, "lr": 0.1}
FIELDS = SimpleNamespace(data=SimpleNamespace(table=sys.argv[1]))
FILES = {"one": sys.argv[1], "two": [sys.argv[2], None, (sys.argv[1],)], "three.a": {"b": sys.argv[2]}}
LIST = [sys.argv[1], [Path(sys.argv[2])]]


def texts(files):
    if isinstance(files, dict):
        return "".join(name + texts(item) for name, item in sorted(files.items()))
    if isinstance(files, (list, tuple)):
        return "".join(map(texts, files))
    return "none" if files is None else Path(files).read_text()


@Artifact("outpath", config=CONFIG, inputs="data.table", record=True)
def by_key(outpath):
    Path(outpath).write_text(texts(CONFIG["data"]["table"]))
    return outpath


@Artifact("outpath", config=FIELDS, inputs="data.table", record=True)
def by_field(outpath):
    Path(outpath).write_text(texts(FIELDS.data.table))
    return outpath


@Artifact("outpath", inputs="files", record=True)
def by_parameter(outpath, files):
    Path(outpath).write_text(texts(files))
    return outpath


if __name__ == "__main__":
    what = sys.argv[3]
    if what in ("by_key", "by_field"):
        print(globals()[what](sys.argv[4]))
    else:
        print(by_parameter(sys.argv[4], {"mapping": FILES, "list": LIST, "empty": {}}[what]))
"""


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "data" / "a.csv", tmp_path / "data" / "b.csv"
    paths[0].parent.mkdir()
    for path in paths:
        path.write_text(path.name)
    return paths


def made(repository: Repository, out: Path, tables: tuple[Path, Path], what: str) -> Path:
    repository.commit(step=SCRIPT)
    return artifact_of(repository.run("step.py", *tables, what, out / "foo.txt"), out)


def moved(tables: tuple[Path, Path], to: Path) -> list[Path]:
    to.mkdir()
    return [table.rename(to / f"moved-{table.name}") for table in tables]


def refusal(path: Path, *arguments: Any, **options: Any) -> str:
    with pytest.raises(ReproduceError) as error:
        reproduce(path, *arguments, **options)
    return str(error.value).removeprefix(f"{path.name} cannot be made again: ")


@pytest.mark.parametrize("what", ["by_key", "by_field", "mapping", "list", "empty"])
def test_inputs_of_every_shape_are_found_where_they_were(
    what: str, repository: Repository, out: Path, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    path = made(repository, out, tables, what)
    assert made_by_colleague(repository, path, tmp_path).same


@pytest.mark.parametrize("what", ["by_key", "by_field"])
def test_a_colleague_says_where_the_file_of_a_key_is(
    what: str, repository: Repository, out: Path, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    path = made(repository, out, tables, what)
    table, _ = moved(tables, tmp_path / "here")
    assert made_by_colleague(repository, path, tmp_path, inputs={"data.table": table}).same


def test_a_colleague_says_where_the_files_of_a_mapping_are(
    repository: Repository, out: Path, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    path = made(repository, out, tables, "mapping")
    one, two = moved(tables, tmp_path / "here")
    files = {"one": one, "two": [two, None, [one]], "three.a": {"b": two}}
    assert made_by_colleague(repository, path, tmp_path, inputs={"files": files}).same


@pytest.mark.parametrize(("what", "given"), [("mapping", "dict"), ("list", "list")])
def test_a_program_that_is_run_again_reads_them_there_too(
    what: str, given: str, repository: Repository, out: Path, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    unrecorded = SCRIPT.replace("(outpath, files)", "(outpath, files, extra)").replace(
        "}[what]))", "}[what], object()))"
    )
    repository.commit(step=unrecorded.replace('inputs="files"', 'inputs="files", ignore="extra"'))
    path = artifact_of(repository.run("step.py", *tables, what, out / "foo.txt"), out)
    one, two = moved(tables, tmp_path / "here")
    files = {"dict": {"one": one, "two": [two, None, [one]], "three.a": {"b": two}}, "list": [one, [two]]}[given]
    assert made_by_colleague(repository, path, tmp_path, inputs={"files": files}).same


@pytest.mark.parametrize("change", ["files.reverse()", "files.clear()"])
def test_inputs_are_recorded_as_they_were_passed_whatever_the_function_does_to_them(
    change: str, repository: Repository, out: Path, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    repository.commit(step=SCRIPT.replace("write_text(texts(files))", f"write_text(texts(files)); {change}"))
    path = artifact_of(repository.run("step.py", *tables, "list", out / "foo.txt"), out)
    recorded = read_record(path).inputs["files"]
    assert isinstance(recorded, list)
    home = Path.home()
    expected = [(f"~/{table.relative_to(home)}", file_hash(table)) for table in tables]
    assert [(one["path"], one["hash"]) for one in recorded] == expected
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_mapping_of_other_keys_names_those_of_the_record(
    repository: Repository, out: Path, tables: tuple[Path, Path]
) -> None:
    path = made(repository, out, tables, "mapping")
    for given in ({"one": "a"}, "a"):
        assert refusal(path, repository.path, inputs={"files": given}) == (
            "inputs['files'] must be a mapping with the keys one, three.a, two"
        )


def test_a_frozen_configuration_names_the_files_as_then(
    repository: Repository, out: Path, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    frozen = "import types\nCONFIG = types.MappingProxyType({'data': types.MappingProxyType({'table': sys.argv[1]})})"
    repository.commit(step=SCRIPT.replace("FIELDS =", f"{frozen}\nFIELDS ="))
    path = artifact_of(repository.run("step.py", *tables, "by_key", out / "foo.txt"), out)
    assert reproduce(path, repository.path).same
    table, _ = moved(tables, tmp_path / "here")
    assert f"No such file or directory: '{tables[0]}'" in refusal(path, repository.path, inputs={"data.table": table})


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["inputs"]["files"].pop(),
        lambda document: document["inputs"]["files"].append(document["inputs"]["files"][0]),
        lambda document: document["config"].pop("files"),
        lambda document: document.update(config="other"),
    ],
)
def test_inputs_that_the_configuration_does_not_hold_are_refused(
    change: Any, repository: Repository, out: Path, tables: tuple[Path, Path]
) -> None:
    path = made(repository, out, tables, "mapping")
    record = Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    change(document)
    record.write_text(json.dumps(document))
    assert refusal(path, repository.path) == (
        "the configuration in its record does not hold the input files as it is listed; take the record from a backup"
    )


def test_an_input_that_is_called_like_a_secret_is_found_again(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    repository.commit(
        step="""\
from pathlib import Path
from pyrepro import Artifact


@Artifact("outpath", inputs="files", record=True)
def save(outpath, files):
    Path(outpath).write_text("".join(Path(path).read_text() for path in files.values()))
    return outpath


if __name__ == "__main__":
    print(save("foo.txt", {"auth": "auth.csv", "users": "users.csv"}))
""",
        auth="auth",
        users="users",
    )
    for name in ("auth", "users"):
        (repository.path / f"{name}.csv").write_text(name)
    path = artifact_of(repository.run("step.py"), repository.path)
    record = read_record(path)
    hashes = {name: file_hash(repository.path / f"{name}.csv") for name in ("auth", "users")}
    assert (record.config, record.withheld) == ({"files": hashes}, [])
    assert reproduce(path).same


IN_MEMORY = """\
import sys
from pathlib import Path
from pyrepro import Artifact




@Artifact("outpath", inputs="table", record=True)
def save(outpath, table):
    Path(outpath).write_text(str(table.sum()))
    return outpath


CONFIG = {}


@Artifact("outpath", config=CONFIG, inputs="table", record=True)
def by_key(outpath):
    Path(outpath).write_text(str(CONFIG["table"].sum()))
    return outpath


import numpy

CONFIG["table"] = numpy.arange(3)

if __name__ == "__main__":
    print(save(sys.argv[2], numpy.arange(3)) if sys.argv[1] == "save" else by_key(sys.argv[2]))
"""


@pytest.mark.parametrize("what", ["save", "by_key"])
def test_data_in_memory_is_made_by_the_program_again(
    what: str, repository: Repository, out: Path, tmp_path: Path
) -> None:
    pytest.importorskip("numpy")
    repository.commit(step=IN_MEMORY)
    path = artifact_of(repository.run("step.py", what, out / "foo.txt"), out)
    assert made_by_colleague(repository, path, tmp_path).same


def test_data_in_memory_cannot_be_given_as_a_file(repository: Repository, out: Path) -> None:
    pytest.importorskip("numpy")
    repository.commit(step=IN_MEMORY)
    path = artifact_of(repository.run("step.py", "save", out / "foo.txt"), out)
    assert refusal(path, repository.path, inputs={"table": path}) == (
        "inputs['table'] was data in memory, which no file holds; leave it out"
    )
