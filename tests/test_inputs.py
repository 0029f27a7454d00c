"""Inputs: parameters and keys of the configuration whose content counts, not their paths."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import enum
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import omegaconf
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import Repository, posix_only

import pyrepro
from pyrepro import Artifact, ConfigError, InputChangedError, ReproduceError, file_hash, read_record, reproduce


@pytest.fixture
def data(out: Path) -> Path:
    """A directory with two files, in the working directory."""
    (out / "data").mkdir()
    (out / "data" / "a.csv").write_text("1\n")
    (out / "data" / "b.csv").write_text("2\n")
    return out / "data"


@dataclasses.dataclass
class Source:
    table: Any
    sep: str = ","


@dataclasses.dataclass
class Settings:
    source: Source
    lr: float = 0.1


A = "data/a.csv"

CONFIGURATIONS: list[tuple[Any, str, Any]] = [
    ({"lr": 0.1, "table": A}, "table", {"lr": 0.1}),
    (argparse.Namespace(lr=0.1, table=A), "table", {"lr": 0.1}),
    (omegaconf.OmegaConf.create({"lr": 0.1, "table": A}), "table", {"lr": 0.1}),
    ({"lr": 0.1, "table": os.fsencode(A)}, "table", {"lr": 0.1}),
    ({"lr": 0.1, "table": Path(A)}, "table", {"lr": 0.1}),
    ({"lr": 0.1, "data.table": A}, "data.table", {"lr": 0.1}),
    (argparse.Namespace(**{"lr": 0.1, "data.table": A}), "data.table", {"lr": 0.1}),
    (argparse.Namespace(**{"data": 3, "data.table": A}), "data.table", {"data": 3}),
    ({"lr": 0.1, 3: 4, "table": A}, "table", {"lr": 0.1, "3": 4}),
    ({"lr": 0.1, enum.Enum("Key", {"RAW": "table"}, type=str).RAW: A}, "table", {"lr": 0.1}),
]


@pytest.mark.parametrize(("config", "key", "rest"), CONFIGURATIONS)
def test_an_input_can_be_a_key_of_the_configuration(
    config: Any, key: str, rest: Any, repository: Repository, data: Path, name: Any
) -> None:
    @Artifact("outpath", config=config, inputs=key, repo=repository.path)
    def save(outpath: str) -> str:
        return outpath

    assert save("foo") == f"foo-{name(rest | {key: file_hash(A)})}"
    assert save.tagged("foo") == save("foo")
    (data / "a.csv").write_text("other\n")
    assert save("foo") == f"foo-{name(rest | {key: file_hash(A)})}"


def nested(config: Any) -> Any:
    return {"data": {"table": file_hash(A), "sep": ","}, "lr": 0.1}


def test_a_dotted_name_leads_into_nested_configurations(repository: Repository, data: Path, name: Any) -> None:
    plain = {"data": {"table": A, "sep": ","}, "lr": 0.1}
    for config in (plain, omegaconf.OmegaConf.create(plain)):

        @Artifact("outpath", config=config, inputs="data.table", repo=repository.path)
        def save(outpath: str) -> str:
            return outpath

        assert save("foo") == f"foo-{name(nested(config))}"


def test_a_dotted_name_leads_into_objects_and_arguments(repository: Repository, data: Path) -> None:
    @Artifact("outpath", config=dict, inputs="cfg.source.table", repo=repository.path)
    def save(outpath: str, cfg: Settings) -> str:
        return outpath

    first = save("foo", Settings(Source(A)))
    assert save("foo", Settings(Source(str(data / "a.csv")))) == first
    assert save("foo", Settings(Source(A, ";"))) != first
    (data / "a.csv").write_text("other\n")
    assert save("foo", Settings(Source(A))) != first


def test_a_table_in_the_configuration_can_be_an_input(repository: Repository, out: Path) -> None:
    @Artifact("outpath", config=dict, inputs="cfg.table", repo=repository.path)
    def save(outpath: str, cfg: Any) -> str:
        return outpath

    tables = [pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]}), np.arange(3)]
    assert len({save("foo", {"table": table}) for table in tables}) == 3


def test_a_mapping_of_paths_counts_with_its_keys(repository: Repository, data: Path, name: Any) -> None:
    @Artifact("outpath", inputs="files", repo=repository.path)
    def save(outpath: str, files: Any) -> str:
        return outpath

    files = {"train": A, "test": ["data/b.csv"], "none": None, 1: A}
    contents = {"train": file_hash(A), "test": [file_hash("data/b.csv")], "none": None, "1": file_hash(A)}
    assert save("foo", files) == f"foo-{name({'files': contents})}"
    assert save("foo", omegaconf.OmegaConf.create(files)) == save("foo", files)


@pytest.mark.parametrize("mode", [{}, {"atomic": True}, {"record": True}])
def test_a_file_in_a_mapping_or_a_key_is_looked_at_again(
    repository: Repository, data: Path, mode: dict[str, bool]
) -> None:
    @Artifact("outpath", config={"table": A}, inputs=["files", "table"], repo=repository.path, **mode)  # type: ignore[call-overload]
    def save(outpath: str, files: Any, change: str) -> None:
        Path(outpath).write_text("x")
        Path(change).write_text("changed")

    with pytest.raises(InputChangedError) as error:
        save("foo", {"b": "data/b.csv"}, "data/b.csv")
    assert error.value.input == "files"
    with pytest.raises(InputChangedError) as error:
        save("foo", {"b": "data/b.csv"}, A)
    assert error.value.input == "table"


def test_a_cached_call_with_a_file_in_its_configuration_sees_that_the_file_changes(
    repository: Repository, data: Path
) -> None:
    options = argparse.Namespace(data=A, lr=0.1)
    calls: list[str] = []

    @Artifact("outpath", config=options, inputs="data", cache=True, repo=repository.path)
    def save(outpath: str) -> None:
        calls.append(outpath)
        Path(outpath).write_text(Path(options.data).read_text())

    assert save("foo") == save("foo")
    (data / "a.csv").write_text("other\n")
    assert Path(save("foo")).read_text() == "other\n"
    assert len(calls) == 2


NEITHER = "which is neither a parameter of {0} nor a key of the configuration; "


@pytest.mark.parametrize(
    "config", [{"lr": 0.1}, {}, {"tabel": {}}, {"tabel": 3}, lambda call: {"a": int}, Settings(Source(""))]
)
@pytest.mark.parametrize("key", ["table", "tabel.x", "lr.x", "a.real", ""])
def test_a_name_that_is_nowhere_is_refused(config: Any, key: str, repository: Repository) -> None:
    @Artifact("outpath", config=config, inputs=key, repo=repository.path)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError) as error:
        save("foo")
    assert str(error.value).startswith(f"inputs names {key!r}, {NEITHER.format(save.__qualname__)}")


@pytest.mark.parametrize(
    ("config", "key", "remedy"),
    [
        ({"table": A}, "tabel", "did you mean 'table'?"),
        ({"data": {"table": A}}, "data.tabel", "did you mean 'data.table'?"),
        (Settings(Source(A)), "source.tabel", "did you mean 'source.table' or 'source.sep'?"),
        (argparse.Namespace(table=A, log=print), "tables", "did you mean 'table'?"),
        (lambda call: {"table": pl.DataFrame({"a": [1]}), 3: 4}, "tabel", "did you mean 'table'?"),
        (lambda call: argparse.Namespace(table=pl.DataFrame({"a": [1]})), "tabel", "correct the name"),
        ({"data": {"raw": {"table": A}}}, "table", "did you mean 'data.raw.table'?"),
        ({"data": {"table": A}, "raw": {"table": A}}, "table", "did you mean 'data.table' or 'raw.table'?"),
        ({"lr": 0.1}, "outpaht", "correct the name"),
        ({"lr": 0.1}, "table", "correct the name"),
    ],
)
def test_the_names_that_are_close_are_told(config: Any, key: str, remedy: str, repository: Repository) -> None:
    @Artifact("outpath", config=config, inputs=key, repo=repository.path)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError) as error:
        save("foo")
    assert str(error.value) == f"inputs names {key!r}, {NEITHER.format(save.__qualname__)}{remedy}"


@pytest.mark.parametrize(
    ("names", "role"),
    [
        ({"inputs": ["data", "data.table"]}, "inputs"),
        ({"inputs": ["data.table", "data"]}, "inputs"),
        ({"inputs": "data.table", "ignore": "data"}, "ignore"),
    ],
)
def test_an_input_in_what_is_named_as_a_whole_is_refused(
    names: Any, role: str, repository: Repository, data: Path
) -> None:
    @Artifact("outpath", config={"data": {"table": A}}, repo=repository.path, **names)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError) as error:
        save("foo")
    assert str(error.value) == (
        f"inputs names 'data.table', a part of 'data', which {role} names as a whole; name one of them"
    )


def test_a_name_that_no_argument_has_is_refused_at_the_decoration_where_the_arguments_are_the_configuration() -> None:
    def save(outpath: str, cfg: Any) -> None:
        raise AssertionError("is not called")

    Artifact("outpath", config=dict, inputs="cfg.table")
    with pytest.raises(
        TypeError, match=r"^Artifact inputs names 'cgf', which is not a parameter of .*; name one of outpath, cfg$"
    ):
        Artifact("outpath", config=dict, inputs="cgf.table")(save)


def test_an_input_in_what_is_no_object_in_json_is_refused(repository: Repository, data: Path) -> None:
    class Named(str):
        table = A

    @Artifact("outpath", config={"a": Named("x")}, inputs="a.table", repo=repository.path)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError) as error:
        save("foo")
    assert str(error.value) == (
        "inputs names 'a.table', but what contains it in the configuration is not a JSON object; pass a mapping "
        "or an object with fields there"
    )


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (np.array, "ndarray"),
        (lambda paths: np.array([Path(path) for path in paths], dtype=object), "ndarray"),
        (pd.Series, "Series"),
        (pd.Index, "Index"),
        (pl.Series, "Series"),
        (lambda paths: np.array([os.fsencode(path) for path in paths]), "ndarray"),
    ],
)
def test_an_array_or_a_column_of_paths_is_refused_and_its_list_is_read(
    files: Any, kind: str, repository: Repository, data: Path
) -> None:
    @Artifact("outpath", config={}, inputs="files", repo=repository.path)
    def save(outpath: str, files: Any) -> None:
        raise AssertionError("is not called")

    paths = files([A, "data/b.csv"])
    with pytest.raises(ConfigError) as error:
        save("foo", paths)
    assert str(error.value) == (
        f"the input files is of type {kind} and holds paths, of which the names alone would count; pass list() of it"
    )
    assert save.tagged("foo", list(paths)) == save.tagged("foo", [A, "data/b.csv"])
    with pytest.raises(ConfigError, match="holds paths"):
        save("foo", files(["./data", A]))
    assert save.tagged("foo", files([A, "a text"])) != save.tagged("foo", files(["a text", A]))
    assert save.tagged("foo", np.array(["data", "text"])) != save.tagged("foo", np.array(["data", "data"]))


URL = (
    "it is a URL, and only what fsspec reaches can be read; download it and pass the path of the copy, or ignore it and put its "
    "version or checksum into the configuration"
)
PATH = "pass the path of a file or a directory"

UNREADABLE: list[tuple[Any, str]] = [
    ("memory://bucket/raw.csv", URL),
    ("file:///gone/raw.csv", URL),
    ("raw/*.csv", "it is a pattern, not a path; pass sorted(glob.glob()) of it"),
    ("raw/[ab].csv", "it is a pattern, not a path; pass sorted(glob.glob()) of it"),
    ("~/raw.csv", "only the shell expands ~; pass os.path.expanduser() of it"),
    ("$DATA/raw.csv", "only the shell expands variables; pass os.path.expandvars() of it"),
    ("${DATA}/raw.csv", "only the shell expands variables; pass os.path.expandvars() of it"),
    ("raw.csv\n", f"{PATH} without the space around it"),
    ("", "it is empty; pass None where nothing is read"),
    ("raw.csv", PATH),
    (Path("gone"), PATH),
    (b"gone", PATH),
    ("/gone/raw.csv", PATH),
]


@pytest.mark.parametrize(("path", "remedy"), UNREADABLE)
def test_what_cannot_be_read_as_a_path_says_what_to_pass(
    path: Any, remedy: str, repository: Repository, out: Path
) -> None:
    @Artifact("outpath", inputs="table", repo=repository.path)
    def save(outpath: str, table: Any) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError) as error:
        save("foo", path)
    found = f"[Errno 2] No such file or directory: {os.fsdecode(path)!r}"
    if remedy == PATH and path != "/gone/raw.csv":  # as cron starts programs elsewhere
        found += f" (the working directory is {out})"
    assert str(error.value) == f"the input table cannot be read: {found}; {remedy}"


@posix_only
@pytest.mark.parametrize(("plain", "end"), [("out/table.csv", ""), ("out/table", "/")])
def test_a_plain_path_whose_artifacts_are_there_is_told_the_newest(
    plain: str, end: str, repository: Repository, out: Path
) -> None:
    @Artifact("outpath", config=dict, cache=True, repo=repository.path)
    def clean(outpath: str, alpha: int) -> None:
        Path(outpath).write_text(str(alpha))

    @Artifact("outpath", inputs="table", repo=repository.path)
    def save(outpath: str, table: str) -> None:
        raise AssertionError("is not called")

    paths = [str(clean(plain, alpha)) for alpha in (1, 2)]
    os.utime(paths[1], (1_000_000_000,) * 2)
    with pytest.raises(ConfigError) as error:
        save("foo", plain + end)
    assert str(error.value) == (
        f"the input table cannot be read: [Errno 2] No such file or directory: {plain + end!r}; it is a plain path; pass "
        f"the tagged one, which the call that writes it returns, such as {paths[0]!r}"
    )


@posix_only
@pytest.mark.parametrize("path", ["raw/a.nii", "raw"])
def test_a_link_to_what_was_not_fetched_says_so(path: str, repository: Repository, out: Path) -> None:
    @Artifact("outpath", inputs="raw", repo=repository.path)
    def save(outpath: str, raw: str) -> None:
        raise AssertionError("is not called")

    (out / "raw").mkdir()
    (out / "raw" / "a.nii").symlink_to("../.git/annex/objects/a.nii")
    with pytest.raises(ConfigError) as error:
        save("foo", path)
    assert str(error.value) == (
        "the input raw cannot be read: [Errno 2] No such file or directory: 'raw/a.nii'; it is a link to "
        "'../.git/annex/objects/a.nii', where nothing is; fetch that, as by git annex get or dvc pull, or remove the link"
    )


def test_a_relative_input_is_not_there_where_the_working_directory_was_deleted(
    repository: Repository, out: Path
) -> None:
    @Artifact("outpath", inputs="table", repo=repository.path)
    def save(outpath: str, table: Any) -> None:
        raise AssertionError("is not called")

    out.rmdir()
    with pytest.raises(ConfigError, match=r": 'raw\.csv' \(the working directory was deleted\); pass the path"):
        save("foo", "raw.csv")


def test_a_url_that_nothing_reaches_says_what_to_pass(repository: Repository, out: Path) -> None:
    @Artifact("outpath", inputs="table", repo=repository.path)
    def save(outpath: str, table: Any) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError) as error:
        save("foo", "nothing://user:password@host/raw.csv")
    assert str(error.value) == (
        f"the input table cannot be read: 'nothing://host/raw.csv' cannot be reached: Protocol not known: nothing; {URL}"
    )


def test_a_path_with_a_null_character_cannot_be_read(repository: Repository, out: Path) -> None:
    @Artifact("outpath", inputs="table", repo=repository.path)
    def save(outpath: str, table: Any) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError, match=f"^the input table cannot be read: .*; {PATH}$"):
        save("foo", "a\0b")


@pytest.mark.parametrize("path", ["*.csv", "[ab].csv", "~", "$DATA", " a "])
def test_a_file_that_is_called_so_is_read(path: str, repository: Repository, out: Path, name: Any) -> None:
    Path(path).write_text("x")

    @Artifact("outpath", inputs="table", repo=repository.path)
    def save(outpath: str, table: Any) -> str:
        return outpath

    assert save("foo", path) == f"foo-{name({'table': file_hash(path)})}"


@pytest.mark.parametrize("config", [None, dict])
def test_the_files_that_a_function_takes_one_by_one_are_a_list(
    config: Any, repository: Repository, data: Path, name: Any
) -> None:
    @Artifact("outpath", config=config, inputs="tables", repo=repository.path)
    def merge(outpath: str, *tables: str) -> tuple[str, ...]:
        return outpath, *tables

    expected = f"foo-{name({'tables': [file_hash(A), file_hash('data/b.csv')]})}"
    assert merge("foo", A, "data/b.csv") == (expected, A, "data/b.csv")
    assert merge.tagged("foo", A, "data/b.csv") == expected
    assert merge("foo") == (f"foo-{name({'tables': []})}",)


class Remote:
    """A path of an object store, which is no path of the operating system."""

    def __str__(self) -> str:
        return "s3://bucket/raw.csv"

    __repr__ = __str__


class Tensor:
    """As those of PyTorch, which NumPy cannot read where they have a gradient."""

    def __array__(self) -> None:
        raise AssertionError("is not called")

    def detach(self) -> None:
        raise AssertionError("is not called")


TABLE = pa.table({f"column {number}": [number] for number in range(100)})

NOT_PATHS: list[tuple[Any, str]] = [
    (3, f"3 of type int; {PATH}"),
    ({"a"}, f"{{'a'}} of type set; {PATH}, or list() of them"),
    (pl.LazyFrame({"a": [1]}), "{0!r} of type LazyFrame; pass .collect() of it"),
    (Remote(), f"s3://bucket/raw.csv of type Remote; {URL}"),
    (pd.array([1]), "{0!r} of type IntegerArray; pass numpy.asarray() of it"),
    (Tensor(), "{0!r} of type Tensor; pass .numpy(force=True) of it"),
    (pa.array([1]), "{0!r} of type Int64Array; pass .to_pandas() of it"),
    (TABLE, f"{str(TABLE)[:77]}... of type Table; pass .to_pandas() of it"),
]


@pytest.mark.parametrize(("value", "message"), NOT_PATHS)
def test_what_is_no_path_and_no_data_is_a_type_error(value: Any, message: str, repository: Repository) -> None:
    @Artifact("outpath", inputs="table", repo=repository.path)
    def save(outpath: str, table: Any) -> None:
        raise AssertionError("is not called")

    with pytest.raises(TypeError) as error:
        save("foo", value)
    what = message.replace("{0!r}", repr(value))
    assert str(error.value) == f"the input table is {what}; it is an argument of {save.__qualname__}"


def test_an_open_file_is_refused_with_its_path(repository: Repository, data: Path) -> None:
    @Artifact("outpath", inputs="table", repo=repository.path)
    def save(outpath: str, table: Any) -> None:
        raise AssertionError("is not called")

    with open(A) as file, pytest.raises(TypeError) as error:
        save("foo", file)
    assert str(error.value) == (
        f"the input table is {file!r} of type TextIOWrapper; pass the path 'data/a.csv'; it is an argument of "
        f"{save.__qualname__}"
    )


SCRIPT = """\
import pandas
from pyrepro import Artifact

config = {"table": "data.csv"}

@Artifact("outpath", config=config, inputs=["files", "table"], record=True)
def save(outpath, files=None):
    with open(outpath, "w") as file:
        file.write("".join(open(path).read() for path in files.values()) + open(config["table"]).read())
"""


def test_mappings_and_keys_stand_in_the_record_and_come_back(repository: Repository, out: Path) -> None:
    repository.write("data.csv", "1\n")
    repository.commit(step=SCRIPT)
    repository.write("ignored/b.csv", "2\n")
    call = "import step; step.save('out.txt', {'one': 'ignored/b.csv', 'two': 'data.csv'})"
    done = repository.run("-c", call)
    assert done.stderr == ""
    (path,) = repository.path.glob("out-*.txt")
    record = read_record(path)
    hashes = [file_hash(repository.path / name) for name in ("ignored/b.csv", "data.csv")]
    assert record.inputs == {
        "files": [
            {"path": "ignored/b.csv", "hash": hashes[0], "artifact": None, "key": "one"},
            {"path": "data.csv", "hash": hashes[1], "artifact": None, "key": "two"},
        ],
        "table": {"path": "data.csv", "hash": hashes[1], "artifact": None},
    }
    assert reproduce(path, repo=repository.path).same


def test_data_in_memory_stands_in_the_record_and_cannot_be_made_again(repository: Repository, out: Path) -> None:
    repository.commit(step=SCRIPT.replace(', "table"]', "]"))
    code = "import numpy, step; step.save.__wrapped__.__code__ = (lambda outpath, files=None: open(outpath, 'w').close()).__code__;"
    done = repository.run("-c", f"{code} step.save('out.txt', [numpy.arange(3), None])")
    assert done.stderr == ""
    (path,) = repository.path.glob("out-*.txt")
    record = read_record(path)
    (first, second) = record.inputs["files"]  # type: ignore[misc]
    assert (first["path"], second) == (None, {"path": None, "hash": None, "artifact": None})  # type: ignore[index]
    with pytest.raises(
        pyrepro.ReproduceError, match="its input files was data in memory, which no record holds; write"
    ):
        reproduce(path, repo=repository.path)


@pytest.mark.parametrize(("file", "companion"), [("roads.shp", "roads.dbf"), ("ROADS.SHP", "ROADS.DBF")])
def test_the_attributes_of_a_shapefile_count(file: str, companion: str, repository: Repository, out: Path) -> None:
    @Artifact("outpath", inputs="roads", cache=True, repo=repository.path)
    def save(roads: str, outpath: str) -> None:
        Path(outpath).write_text(Path(roads.replace("shp", "dbf").replace("SHP", "DBF")).read_text())

    Path(file).write_text("shapes")
    for attributes in ("30", "50"):
        Path(companion).write_text(attributes)
        assert Path(str(save(file, "out.txt"))).read_text() == attributes


def test_attributes_that_change_during_the_call_are_a_changed_input(repository: Repository, out: Path) -> None:
    @Artifact("outpath", inputs="roads", repo=repository.path)
    def save(roads: str, outpath: str) -> None:
        Path(outpath).write_text("good job")
        Path("roads.dbf").write_text("other")

    Path("roads.shp").write_text("shapes")
    Path("roads.dbf").write_text("30")
    with pytest.raises(InputChangedError):
        save("roads.shp", "out.txt")


def test_what_belongs_to_a_shapefile_counts_where_it_is_made_again(repository: Repository, out: Path) -> None:
    repository.commit(
        step="import pathlib, pyrepro\n"
        "@pyrepro.Artifact('outpath', inputs='roads', record=True)\n"
        "def save(roads, outpath):\n"
        "    pathlib.Path(outpath).write_text(pathlib.Path(roads).with_suffix('.dbf').read_text())\n"
        "if __name__ == '__main__':\n"
        "    save('roads.shp', 'out.txt')\n"
    )
    for end, content in {".shp": "shapes", ".dbf": "30"}.items():
        repository.write(f"roads{end}", content)
    assert repository.run("step.py").returncode == 0
    [made] = repository.path.glob("out-*.txt")
    assert reproduce(made, repo=repository.path).same
    repository.write("roads.dbf", "50")
    with pytest.raises(ReproduceError, match=r"the content sha256:[0-9a-f]{64}, was not found"):
        reproduce(made, repo=repository.path)


@pytest.fixture
def writer(out: Path) -> Iterator[sqlite3.Connection]:
    """Who has a database in a directory open, as QGIS does, and commits to its log."""
    (out / "data").mkdir()
    with contextlib.closing(sqlite3.connect(out / "data" / "numbers.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE numbers (number)")
        connection.commit()
        yield connection


@pytest.mark.parametrize("path", ["data/numbers.db", "link.db", "data"])
def test_what_a_database_has_in_its_log_alone_counts(
    path: str, writer: sqlite3.Connection, repository: Repository, out: Path
) -> None:
    (out / "link.db").symlink_to("data/numbers.db")

    @Artifact("outpath", inputs="database", cache=True, repo=repository.path)
    def count(database: str, outpath: str) -> None:
        file = os.path.join(database, "numbers.db") if os.path.isdir(database) else database
        with contextlib.closing(sqlite3.connect(file)) as connection:
            [found] = connection.execute("SELECT count(*) FROM numbers").fetchone()
        Path(outpath).write_text(str(found))

    counted = []
    for _ in range(2):
        writer.execute("INSERT INTO numbers VALUES (1)")
        writer.commit()
        counted += [Path(str(count(path, "out.txt"))).read_text() for _ in range(2)]
    assert counted == ["1", "1", "2", "2"]


def test_a_database_with_a_log_is_known_by_both(writer: sqlite3.Connection, repository: Repository, out: Path) -> None:
    @Artifact("outpath", inputs="database", record=True, repo=repository.path)
    def save(database: str, outpath: str) -> str:
        Path(outpath).write_text("good job")
        return outpath

    database = "data/numbers.db"
    entry: Any = read_record(save(database, "out.txt")).inputs["database"]
    assert entry["hash"] == "sha256:" + pyrepro.config_hash(
        {"": file_hash(database), "-wal": file_hash(f"{database}-wal")}
    )
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    entry = read_record(save(database, "out.txt")).inputs["database"]
    assert entry["hash"] == file_hash(database)


@pytest.mark.parametrize("passed", ["data", Path("data"), ["data/a.csv", "data"], {"all": "data/"}])
def test_an_artifact_in_an_input_is_warned_of_once(
    passed: Any, repository: Repository, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def save(source: Any, outpath: str) -> None:
        Path(outpath).touch()

    save.__qualname__ += f"-{passed!r}"
    decorated = Artifact("outpath", inputs="source", repo=repository.path, cache=True)(save)
    first, _ = decorated(passed, "data/../data/c"), decorated(passed, "data/c")
    assert caplog.messages == [
        f"{save.__qualname__} writes {first} into its input source, whose content is part of the name, so no later "
        f"call will find it; write it elsewhere, or pass the files to read"
    ]


@pytest.mark.parametrize(
    ("passed", "outpath"), [("data", "data-c"), ("data/a.csv", "data/c"), (["data"], "c"), (np.arange(2), "data/c")]
)
def test_an_artifact_beside_its_inputs_is_not_warned_of(
    passed: Any, outpath: str, repository: Repository, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", inputs="source", repo=repository.path, cache=True)
    def save(source: Any, outpath: str) -> None:
        Path(outpath).touch()

    assert (save(passed, outpath), caplog.messages) == (save(passed, outpath), [])
