"""With atomic, cache and record, artifacts in stores are as complete as local ones."""

from __future__ import annotations

import errno
import json
import logging
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import fsspec
import pytest
from conftest import Repository, posix_only
from fsspec.implementations.memory import MemoryFileSystem
from servers import AZURE_KEY, NO_SFTP, OBJECT_STORES, S3_SECRET, Servers, new_prefix, sftp_server
from upath import UPath

from pyrepro import (
    Artifact,
    ArtifactMismatchError,
    ArtifactMissingError,
    InputChangedError,
    PublishError,
    RecordError,
    ReproduceError,
    file_hash,
    find,
    read_record,
    records,
    remove,
    reproduce,
    unused,
)
from pyrepro._paths import without_user


class Store:
    """A prefix of a store that nobody else uses."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.options = options
        self.system, self.root = fsspec.core.url_to_fs(url, **options)

    def __truediv__(self, name: str) -> str:
        return f"{self.url}/{name}"

    def files(self) -> dict[str, bytes]:
        """The objects in it but for markers, by their path."""
        self.system.invalidate_cache()
        found = self.system.find(self.root, detail=True)
        start = len(self.root.rstrip("/")) + 1
        # SeaweedFS lists a prefix whose last object was removed as a directory.
        paths = [path for path, info in found.items() if info["type"] == "file" and ".pyrepro/" not in path]
        return {path[start:]: self.system.cat_file(path) for path in paths}

    def markers(self) -> list[str]:
        self.system.invalidate_cache()
        return [path for path in self.system.find(self.root) if path.endswith(".json") and ".pyrepro/" in path]

    def put(self, name: str, content: bytes) -> None:
        if self.url.startswith(("file:", "sftp:")):
            pathlib.Path(self.root, name).parent.mkdir(parents=True, exist_ok=True)
        self.system.pipe_file(f"{self.root}/{name}", content)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    every = Servers(tmp_path_factory.mktemp)
    yield every
    every.end()


@pytest.fixture(scope="session")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # The home directory that every test has.
    with sftp_server(tmp_path_factory.mktemp("sftp"), tmp_path_factory.getbasetemp()) as url:
        yield url


def _tried() -> list[Any]:
    reasons = {"memory": "", "file": "", "sftp": NO_SFTP, **{kind: one.missing for kind, one in OBJECT_STORES.items()}}
    return [pytest.param(kind, marks=pytest.mark.skipif(bool(why), reason=why)) for kind, why in reasons.items()]


@pytest.fixture(params=_tried())
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    if request.param in OBJECT_STORES:
        scheme, _, environ, _ = OBJECT_STORES[request.param]
        for variable, value in environ(request.getfixturevalue("servers").url(request.param)).items():
            monkeypatch.setenv(variable, value)
        yield Store(new_prefix(scheme))
    elif request.param == "sftp":
        (tmp_path / "store").mkdir()
        yield Store(f"{request.getfixturevalue('sftp')}{tmp_path}/store")
    elif request.param == "memory":
        one = Store(f"memory://{tmp_path.name}")
        yield one
        one.system.store.clear()
    else:
        (tmp_path / "store").mkdir()
        yield Store(f"file://{tmp_path}/store")


@pytest.fixture
def left(tmp_path: pathlib.Path) -> Any:
    """Every file that is kept where calls stage what goes into a store."""
    return lambda: sorted(path.name for path in (tmp_path / "temporary").rglob("*") if path.is_file())


class Step:
    """A function that counts how often it runs."""

    def __init__(self, repository: Repository, **options: Any) -> None:
        self.runs = 0
        self.content = "trained"
        self.beside: dict[str, str] = {}
        """What is written beside the artifact under its tag, by its ending."""
        self.others: dict[str, str] = {}
        """What is written there under other names."""
        self.error: BaseException | None = None

        @Artifact("outpath", config=dict, repo=repository.path, ignore=["self"], **options)
        def save(outpath: Any, lr: float = 0.1) -> Any:
            self.runs += 1
            with open(outpath, "w") as outf:
                outf.write(f"{self.content} with {lr}")
            for ending, content in self.beside.items():
                pathlib.Path(str(outpath).replace(".txt", ending)).write_text(content)
            for path, content in self.others.items():
                other = pathlib.Path(outpath).parent / path
                other.parent.mkdir(exist_ok=True)
                other.write_text(content)
            if self.error is not None:
                raise self.error
            return outpath

        self.save = save


def test_an_artifact_is_uploaded_when_the_function_has_returned(
    repository: Repository, store: Store, name: Any
) -> None:
    step = Step(repository, atomic=True)
    assert step.save(store / "foo.txt") == store / f"foo-{name(lr=0.1)}.txt"
    assert store.files() == {f"foo-{name(lr=0.1)}.txt": b"trained with 0.1"}


def test_a_cached_artifact_is_found_and_its_function_does_not_run(
    repository: Repository, store: Store, name: Any
) -> None:
    step = Step(repository, cache=True)
    assert [step.save(store / "foo.txt") for _ in range(3)] == [store / f"foo-{name(lr=0.1)}.txt"] * 3
    assert (step.runs, len(store.markers())) == (1, 1)


def test_a_record_stands_beside_its_artifact(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, cache=True, record=True)
    step.save(store / "foo.txt")
    step.save(store / "foo.txt")
    files = store.files()
    assert sorted(files) == [f"foo-{name(lr=0.1)}.txt", f"foo-{name(lr=0.1)}.txt.pyrepro.json"]
    record = json.loads(files[f"foo-{name(lr=0.1)}.txt.pyrepro.json"])
    assert record["artifact"]["name"] == f"foo-{name(lr=0.1)}.txt"
    assert step.runs == 1


# What is done, and what is there


def test_a_function_that_raises_leaves_nothing(repository: Repository, store: Store, left: Any) -> None:
    step = Step(repository, cache=True)
    step.error = RuntimeError("no")
    with pytest.raises(RuntimeError, match=r"^no$"):
        step.save(store / "foo.txt")
    assert (store.files(), store.markers(), left()) == ({}, [], [])


def test_what_was_uploaded_is_not_kept(repository: Repository, store: Store, left: Any) -> None:
    step = Step(repository, cache=True, record=True)
    step.beside = {".log": "fine"}
    step.save(store / "foo.txt")
    assert left() == []


def test_an_artifact_without_cache_is_made_again(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, atomic=True)
    step.save(store / "foo.txt")
    step.content = "tested"
    step.save(store / "foo.txt")
    assert store.files() == {f"foo-{name(lr=0.1)}.txt": b"tested with 0.1"}


def test_side_files_with_the_tag_are_replaced(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, cache=True, record=True)
    step.beside = {".log": "first"}
    step.save(store / "foo.txt")
    step.beside = {".log": "second"}
    step.save.refresh(store / "foo.txt")
    step.save(store / "foo.txt")
    stem = f"foo-{name(lr=0.1)}"
    files = store.files()
    assert (files[f"{stem}.log"], sorted(files), step.runs) == (
        b"second",
        [f"{stem}.log", f"{stem}.txt", f"{stem}.txt.pyrepro.json"],
        2,
    )


def test_a_side_file_without_the_tag_is_put_once(
    repository: Repository, store: Store, name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    step = Step(repository, atomic=True)
    step.others = {"all.log": "line", "plots/one.png": "png"}
    step.save(store / "foo.txt")
    assert caplog.messages == [
        f"{store / 'all.log'}, {store / 'plots/one.png'}: put in place, without the tag in the name; the next call that "
        f"writes something else there will be refused, so put the tag of the path into it, or write it elsewhere"
    ]
    step.save(store / "foo.txt", 0.2)
    assert store.files() == {
        "all.log": b"line",
        "plots/one.png": b"png",
        f"foo-{name(lr=0.1)}.txt": b"trained with 0.1",
        f"foo-{name(lr=0.2)}.txt": b"trained with 0.2",
    }


def test_a_side_file_without_the_tag_does_not_replace_other_content(
    repository: Repository, store: Store, name: Any
) -> None:
    store.put("all.log", b"LINE")
    step = Step(repository, atomic=True)
    step.others = {"all.log": "line"}
    with pytest.raises(PublishError) as error:
        step.save(store / "foo.txt")
    [kept] = error.value.kept
    tagged = f"foo-{name(lr=0.1)}.txt"
    assert str(error.value) == (
        f"{store / tagged} is in place; this is not:\n"
        f"  {store / 'all.log'}: it already exists, with other content; it is kept as {kept}\n"
        f"Move what is kept to where it belongs, or remove it; a file that is appended to needs a path of its own."
    )
    assert pathlib.Path(kept).read_text() == "line"
    assert store.files() == {"all.log": b"LINE", tagged: b"trained with 0.1"}


def test_the_artifact_of_another_function_is_refused(repository: Repository, store: Store) -> None:
    Step(repository, cache=True).save(store / "foo.txt")

    @Artifact("outpath", config=dict, repo=repository.path, cache=True)
    def other(outpath: str, lr: float = 0.1) -> None: ...

    with pytest.raises(
        ArtifactMismatchError, match="would take it for its own; call one of them with another file name"
    ):
        other(store / "foo.txt")


def test_publishing_without_cache_removes_the_marker(repository: Repository, store: Store) -> None:
    cached, other = Step(repository, cache=True), Step(repository, atomic=True)
    cached.save(store / "foo.txt")
    other.content = "tested"
    other.save(store / "foo.txt")
    assert store.markers() == []
    cached.save(store / "foo.txt")
    assert cached.runs == 2


def test_refresh_makes_again_what_is_there(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, cache=True)
    step.save(store / "foo.txt")
    step.content = "tested"
    step.save.refresh(store / "foo.txt")
    step.save(store / "foo.txt")
    assert (step.runs, store.files()) == (2, {f"foo-{name(lr=0.1)}.txt": b"tested with 0.1"})


def test_what_somebody_changed_is_moved_aside(
    repository: Repository, store: Store, name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    step = Step(repository, cache=True)
    tagged = f"foo-{name(lr=0.1)}.txt"
    step.save(store / "foo.txt")
    store.put(tagged, b"annotated by hand")
    step.save(store / "foo.txt")
    step.save(store / "foo.txt")
    files = store.files()
    [aside] = files.keys() - {tagged}
    assert files == {tagged: b"trained with 0.1", aside: b"annotated by hand"}
    assert step.runs == 2
    assert caplog.messages == [
        f"{store / tagged} was changed since it was made, so it is not overwritten; it is now {store / aside}"
    ]


def test_what_was_removed_is_made_again(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, cache=True)
    step.save(store / "foo.txt")
    store.system.rm_file(f"{store.root}/foo-{name(lr=0.1)}.txt")
    step.save(store / "foo.txt")
    step.save(store / "foo.txt")
    assert step.runs == 2


def test_what_lost_its_record_is_made_again(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, cache=True, record=True)
    step.save(store / "foo.txt")
    store.system.rm_file(f"{store.root}/foo-{name(lr=0.1)}.txt.pyrepro.json")
    step.save(store / "foo.txt")
    step.save(store / "foo.txt")
    assert step.runs == 2


def test_what_another_process_did_is_seen_although_listings_are_remembered(
    repository: Repository, store: Store, name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody else makes it, so a wait for another call would be an error.
    monkeypatch.setattr("pyrepro._publish.prefix._POLL", float("nan"))
    step = Step(repository, cache=True, record=True)
    tagged = f"foo-{name(lr=0.1)}.txt"
    other = type(store.system)(skip_instance_cache=True, **store.system.storage_options)

    def save() -> int:
        step.save(store / "foo.txt")
        # What fsspec remembers of the prefix from now on.
        store.system.find(store.root, detail=True)
        store.system.ls(store.root, detail=True)
        return step.runs

    assert save() == 1
    other.rm_file(f"{store.root}/{tagged}.pyrepro.json")
    assert save() == 2
    other.pipe_file(f"{store.root}/{tagged}", b"annotated by hand")
    assert save() == 3
    other.pipe_file(f"{store.root}/{tagged.replace('foo-', 'bar-')}", b"another artifact")
    assert save() == 3
    assert find(store / "bar.txt") == [store / tagged.replace("foo-", "bar-")]
    other.rm_file(f"{store.root}/{tagged}")
    [aside] = [path for path in store.files() if "~" in path]
    assert find(store / "foo.txt") == []
    assert store.files()[aside] == b"annotated by hand"


def test_a_damaged_marker_is_replaced(repository: Repository, store: Store) -> None:
    step = Step(repository, cache=True)
    step.save(store / "foo.txt")
    [marker] = store.markers()
    store.system.pipe_file(marker, b"{")
    step.save(store / "foo.txt")
    step.save(store / "foo.txt")
    assert step.runs == 2


# Directories


def test_a_directory_is_an_artifact(repository: Repository, store: Store, name: Any) -> None:
    chunks = {"0.0": "a", "0.1": "b", "meta/.zattrs": "{}"}
    runs = []

    @Artifact("outpath", config={}, repo=repository.path, cache=True, record=True, ignore=["chunks", "runs"])
    def save(outpath: str) -> None:
        runs.append(outpath)
        for chunk, content in chunks.items():
            path = pathlib.Path(outpath, chunk)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    tagged = f"t-{name({})}.zarr"
    record = f"{tagged}.pyrepro.json"
    save(store / "t.zarr")
    save(store / "t.zarr")
    assert len(runs) == 1
    del chunks["0.1"]
    save.refresh(store / "t.zarr")
    save(store / "t.zarr")
    files = store.files()
    assert {path: content for path, content in files.items() if path != record} == {
        f"{tagged}/0.0": b"a",
        f"{tagged}/meta/.zattrs": b"{}",
    }
    assert len(runs) == 2
    store.put(f"{tagged}/0.0", b"another size")
    save(store / "t.zarr")
    assert len(runs) == 3


def test_an_empty_directory_is_kept_where_it_was_written(repository: Repository, store: Store, name: Any) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        os.mkdir(outpath)

    with pytest.raises(PublishError) as error:
        save(store / "t.zarr")
    [kept] = error.value.kept
    assert os.path.isdir(kept)
    assert store.files() == {}


def test_a_file_takes_the_place_of_a_directory_and_back(repository: Repository, store: Store, name: Any) -> None:
    is_file = [True, False, True]

    @Artifact("outpath", config={}, repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        if is_file.pop():
            pathlib.Path(outpath).write_text("file")
        else:
            pathlib.Path(outpath).mkdir()
            pathlib.Path(outpath, "part").write_text("part")

    tagged = f"t-{name({})}"
    found = []
    for _ in range(3):
        save(store / "t")
        found.append(store.files())
    assert found == [{tagged: b"file"}, {f"{tagged}/part": b"part"}, {tagged: b"file"}]


# Paths


def test_a_universal_path_stays_one(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, cache=True)
    path = UPath(store.url, **store.options)
    for _ in range(2):
        assert step.save(path / "foo.txt") == path / f"foo-{name(lr=0.1)}.txt"
    assert step.runs == 1


@pytest.mark.parametrize(
    "plain", ["a b.txt", "c%20d.txt", "é.txt", "e#1.txt", "g+h.txt", "i&j=k.txt", "n[1].txt", "t;u.txt"]
)
def test_odd_names_are_names(plain: str, repository: Repository, store: Store) -> None:
    if "#" in plain and store.url.startswith("sftp"):
        pytest.skip("fsspec takes what follows for a part of the URL")
    step = Step(repository, cache=True, record=True)
    path = step.save(store / plain)
    assert (step.save(store / plain), step.runs) == (path, 1)
    assert (find(store / plain), read_record(path).artifact["name"]) == ([path], path.rpartition("/")[2])
    assert sorted(remove(path)) == [path, f"{path}.pyrepro.json"]
    assert (store.files(), store.markers()) == ({}, [])


def test_two_slashes_are_two(repository: Repository, store: Store, name: Any) -> None:
    if not store.url.startswith(("az", "gs")):
        pytest.skip("here two slashes are one, as SeaweedFS has it, too")
    tagged = f"foo-{name(lr=0.1)}.txt"
    step = Step(repository, cache=True, record=True)
    for directory in ("a/", "a//", "a///"):
        step.content = directory
        assert [step.save(store / f"{directory}foo.txt") for _ in range(2)] == [store / f"{directory}{tagged}"] * 2
    assert step.runs == 3
    for directory in ("a/", "a//", "a///"):
        assert store.files()[f"{directory}{tagged}"] == f"{directory} with 0.1".encode()
        assert find(store / f"{directory}foo.txt") == [store / f"{directory}{tagged}"]
        assert len(records(store / f"{directory}foo.txt")) == 1
    assert len(remove(store / f"a//{tagged}")) == 2
    assert [find(store / f"{directory}foo.txt") != [] for directory in ("a/", "a//", "a///")] == [True, False, True]


def test_a_version_of_an_object_is_not_written(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, cache=True)
    if store.url.startswith("sftp"):
        with pytest.raises(TypeError, match="cannot be reached"):
            step.save(store / "foo?versionId=1.txt")
        return
    with pytest.raises(ValueError) as error:
        step.save(store / "foo?versionId=1.txt")
    assert str(error.value) == (
        f"'{store / f'foo?versionId=1-{name(lr=0.1)}.txt'}' names a version of an object, and what is written is a new one; "
        f"leave ?versionId= out"
    )
    assert (step.runs, store.files()) == (0, {})


def test_bytes_stay_bytes(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, atomic=True)
    url = (store / "foo.txt").encode()
    assert step.save(url) == (store / f"foo-{name(lr=0.1)}.txt").encode()


def test_a_function_gets_a_local_path_of_the_same_name(repository: Repository, store: Store, name: Any) -> None:
    seen = []

    @Artifact("outpath", config={}, repo=repository.path, atomic=True)
    def save(outpath: Any) -> Any:
        seen.append((type(outpath), os.path.isabs(outpath), os.path.basename(outpath)))
        pathlib.Path(outpath).write_text("here")
        return {"path": outpath, "beside": [pathlib.Path(outpath).parent]}

    tagged = f"foo-{name({})}.txt"
    assert save(store / "foo.txt") == {"path": store / tagged, "beside": [UPath(store.url)]}
    assert seen == [(str, True, tagged)]


def test_several_keywords_may_be_here_and_there(
    repository: Repository, store: Store, name: Any, out: pathlib.Path
) -> None:
    runs = []

    @Artifact(["model", "plots"], config={}, repo=repository.path, cache=True)
    def save(model: str, plots: list[str]) -> None:
        runs.append(model)
        for path in (model, *plots):
            pathlib.Path(path).write_text("content")

    def call() -> Any:
        return save("model.pkl", [store / "a.png", store / "b/b.png"])

    expected = {"model": f"model-{name({})}.pkl", "plots": [store / f"a-{name({})}.png", store / f"b/b-{name({})}.png"]}
    assert [call(), call()] == [expected] * 2
    assert len(runs) == 1
    store.system.rm_file(f"{store.root}/a-{name({})}.png")
    call()
    assert len(runs) == 2


def test_two_paths_in_the_other_order_are_made_again(repository: Repository, store: Store, name: Any) -> None:
    @Artifact(["train", "test"], config={}, repo=repository.path, cache=True)
    def split(train: str, test: str) -> None:
        pathlib.Path(train).write_text("train")
        pathlib.Path(test).write_text("test")

    split(store / "test.csv", store / "train.csv")
    split(store / "train.csv", store / "test.csv")
    assert store.files() == {f"train-{name({})}.csv": b"train", f"test-{name({})}.csv": b"test"}


def test_a_function_that_writes_nothing_is_told_so(repository: Repository, store: Store, name: Any) -> None:
    @Artifact("outpath", config={}, repo=repository.path, cache=True)
    def save(outpath: str) -> None: ...

    with pytest.raises(ArtifactMissingError) as error:
        save(store / "foo.txt")
    assert str(error.value) == (
        f"the function returned without writing {store / f'foo-{name({})}.txt'}; it wrote nothing. "
        f"Write to the very path that is passed to it."
    )


# Names that are not true any more, and work that survives commits


def test_what_an_earlier_commit_made_is_copied(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, cache=True, record=True, code="lib")
    step.save(store / "foo.txt")
    old = f"foo-{name(lr=0.1)}.txt"
    repository.write("README", "new")
    repository.commit()
    again = Step(repository, cache=True, record=True, code="lib")
    again.save(store / "foo.txt")
    again.save(store / "foo.txt")
    new = f"foo-{name(lr=0.1)}.txt"
    assert sorted(store.files()) == sorted([old, f"{old}.pyrepro.json", new, f"{new}.pyrepro.json"])
    assert (old != new, store.files()[new], again.runs) == (True, b"trained with 0.1", 0)


def test_what_names_its_commit_is_not_copied(repository: Repository, store: Store) -> None:
    step = Step(repository, cache=True, code="lib")
    step.content = repository.head
    step.save(store / "foo.txt")
    repository.write("README", "new")
    repository.commit()
    again = Step(repository, cache=True, code="lib")
    again.save(store / "foo.txt")
    assert again.runs == 1


def test_an_input_that_changes_costs_the_name(repository: Repository, store: Store, tmp_path: pathlib.Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("1")

    @Artifact("outpath", inputs="data", config={}, repo=repository.path, cache=True)
    def save(outpath: str, data: pathlib.Path) -> None:
        pathlib.Path(outpath).write_text(data.read_text())
        data.write_text(data.read_text() + "2")

    with pytest.raises(InputChangedError):
        save(store / "foo.txt", data)
    [kept] = store.files()
    assert (kept.startswith("foo-unnamed-"), store.files()[kept], store.markers()) == (True, b"1", [])
    # In the same second, too, it is not replaced.
    with pytest.raises(InputChangedError):
        save(store / "foo.txt", data)
    assert sorted(store.files().values()) == [b"1", b"12"]


def test_code_that_was_loaded_late_is_in_the_name(repository: Repository, store: Store) -> None:
    if store.url.startswith("memory"):
        pytest.skip("another process has another memory")
    repository.write(
        "run.py",
        "import sys\n"
        "from pyrepro import Artifact\n"
        "@Artifact('outpath', config={}, cache=True, allow_dirty=True)\n"
        "def save(outpath):\n"
        "    import late\n"
        "    with open(outpath, 'w') as file:\n"
        "        file.write('late')\n"
        "print(save(sys.argv[1]))\n",
    )
    repository.commit()
    repository.write("late.py", "X = 1")
    done = repository.run("run.py", store / "foo.txt")
    [made] = store.files()
    assert ("-dirty-" in made, done.stdout.strip()) == (True, store / made), done.stderr
    assert len(store.markers()) == 1


# Without what reaches stores

WITHOUT = """\
import sys
sys.modules["upath"] = None
from pyrepro import Artifact

@Artifact("outpath", config={})
def name(outpath):
    return outpath

@Artifact("outpath", config={}, atomic=True)
def save(outpath):
    raise AssertionError("is not called")

print(name("s3://bucket/foo.txt").startswith("s3://bucket/foo-"), "fsspec" in sys.modules)
try:
    save("s3://key:password@bucket/foo.txt")
except ImportError as error:
    print(error)
"""


def test_without_the_extra_a_store_is_an_error_that_names_it(repository: Repository, tmp_path: pathlib.Path) -> None:
    repository.write("without.py", WITHOUT)
    repository.commit()
    done = repository.run("without.py")
    tagged = f"foo-{repository.head[:12]}-44136fa355b3.txt"
    assert (done.stderr, done.stdout.splitlines()) == (
        "",
        [
            "True False",
            f"'s3://bucket/{tagged}' is in a store, which fsspec and universal_pathlib reach, but they are not both "
            f"installed (import of upath halted; None in sys.modules): pip install 'pyrepro[remote]'",
        ],
    )


def test_a_scheme_that_nothing_reaches_is_an_error_before_the_call(repository: Repository) -> None:
    @Artifact("outpath", config={}, repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ValueError) as error:
        save("nothing://user:password@host/foo.txt")
    assert str(error.value) == (
        f"'nothing://host/foo-{repository.head[:12]}-44136fa355b3.txt' cannot be reached: Protocol not known: nothing"
    )


@pytest.mark.parametrize(
    ("chained", "tagged"),
    [
        ("simplecache::memory://out/foo.txt", "simplecache::memory://out/foo-{tag}.txt"),
        ("zip://inner.csv::memory://out/foo.zip", "zip://inner.csv::memory://out/foo-{tag}.zip"),
    ],
)
def test_a_chain_of_stores_is_an_error_before_the_call(chained: str, tagged: str, repository: Repository) -> None:
    @Artifact("outpath", config={}, repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ValueError) as error:
        save(chained)
    shown = tagged.format(tag=f"{repository.head[:12]}-44136fa355b3")
    assert str(error.value) == (
        f"{shown!r} reaches one file system through another, and artifacts are put into one alone; "
        f"pass its URL, without what '::' joins to it"
    )


def test_two_colons_in_a_name_are_no_chain(repository: Repository, tmp_path: pathlib.Path) -> None:
    @Artifact("outpath", config={}, repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text("1")

    save(f"file://{tmp_path}/store/a::b.txt")
    [found] = (tmp_path / "store").glob("*.txt")
    assert (found.name, found.read_text()) == (f"a::b-{repository.head[:12]}-44136fa355b3.txt", "1")


# At once


def test_what_another_call_completed_meanwhile_is_not_replaced(
    repository: Repository, store: Store, name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pyrepro")
    order = ["first", "second"]

    @Artifact("outpath", config={}, repo=repository.path, cache=True, record=True, ignore=["order", "store"])
    def save(outpath: str) -> None:
        content = order.pop(0)
        if order:
            # As another process, which begins later, and is quicker.
            save(store / "foo.txt")
        pathlib.Path(outpath).write_text(content)
        pathlib.Path(outpath.replace(".txt", ".log")).write_text(content)

    tagged = f"foo-{name({})}"
    save(store / "foo.txt")
    files = store.files()
    assert [files[f"{tagged}.txt"], files[f"{tagged}.log"]] == [b"second", b"second"]
    assert json.loads(files[f"{tagged}.txt.pyrepro.json"])["artifact"]["size"] == 6
    assert f"{store / tagged}.txt was completed by another call meanwhile, and is not replaced" in caplog.messages
    assert save(store / "foo.txt") == f"{store / tagged}.txt"


# Looked at from outside


def test_find_lists_the_artifacts_of_a_plain_url(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, cache=True)
    step.save(store / "foo.txt", 0.1)
    step.save(store / "foo.txt", 0.2)
    step.save(store / "other.txt", 0.2)
    one, other = (store / f"foo-{name(lr=lr)}.txt" for lr in (0.1, 0.2))
    assert set(find(store / "foo.txt")) == {one, other}
    assert find(store / "foo.txt", {"lr": 0.1}) == [one]
    assert find(store / "foo.txt", where={"lr": 0.2}) == [other]
    assert find(UPath(store.url) / "foo.txt", {"lr": 0.1}) == [UPath(one)]
    assert find(store / "nothing.txt") == []


def test_records_and_read_record_read_from_stores(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, record=True)
    path = step.save(store / "foo.txt")
    record = read_record(path)
    assert record.artifact["name"] == f"foo-{name(lr=0.1)}.txt"
    assert record.path == f"{path}.pyrepro.json"
    assert read_record(f"{path}.pyrepro.json") == record
    assert read_record(UPath(path)).artifact == record.artifact
    assert records(store / "foo.txt") == [record]
    assert records(f"{store.url}/") == [record]
    with pytest.raises(RecordError) as error:
        read_record(store / "nothing.txt")
    assert str(error.value) == (
        f"there is no record {store / 'nothing.txt'}.pyrepro.json; artifacts of functions decorated with record=True "
        f"have one"
    )


def test_file_hash_reads_from_stores(store: Store, tmp_path: pathlib.Path) -> None:
    local = tmp_path / "local"
    (local / "in").mkdir(parents=True)
    for path in ("data.csv", "in/more.csv"):
        (local / path).write_bytes(path.encode())
        store.put(f"local/{path}", path.encode())
    for _ in range(2):
        assert file_hash(store / "local") == file_hash(local)
        assert file_hash(store / "local/data.csv") == file_hash(local / "data.csv")
    assert file_hash(UPath(store / "local/data.csv")) == file_hash(local / "data.csv")
    with pytest.raises(FileNotFoundError):
        file_hash(store / "nothing")


def test_an_input_in_a_store_counts_with_its_content(
    repository: Repository, store: Store, name: Any, out: pathlib.Path
) -> None:
    store.put("data.csv", b"1")
    seen = []

    @Artifact("outpath", inputs=["data"], config={}, repo=repository.path, record=True, cache=True, ignore=["seen"])
    def save(outpath: str, data: Any) -> None:
        seen.append(data)
        pathlib.Path(outpath).write_text("made")

    digest = file_hash(store / "data.csv")
    for data in (store / "data.csv", UPath(store / "data.csv")):
        path = save("foo.txt", data)
        assert path == f"foo-{name({'data': digest})}.txt"
    assert seen == [store / "data.csv"]
    assert read_record(path).inputs["data"]["hash"] == digest  # type: ignore[index, call-overload]
    store.put("data.csv", b"22")
    assert save("foo.txt", store / "data.csv") != path


def test_an_input_in_a_store_that_changes_costs_the_name(
    repository: Repository, store: Store, out: pathlib.Path
) -> None:
    store.put("data.csv", b"1")

    @Artifact("outpath", inputs="data", config={}, repo=repository.path, cache=True, ignore=["store"])
    def save(outpath: str, data: str) -> None:
        pathlib.Path(outpath).write_text("made")
        store.put("data.csv", b"22")

    with pytest.raises(InputChangedError):
        save("foo.txt", store / "data.csv")


def test_remove_takes_an_artifact_with_what_belongs_to_it(repository: Repository, store: Store, name: Any) -> None:
    step = Step(repository, cache=True, record=True)
    step.beside = {".log": "fine"}
    one, other = step.save(store / "foo.txt", 0.1), step.save(store / "foo.txt", 0.2)
    log = one.replace(".txt", ".log")
    assert sorted(remove(one)) == sorted([one, log, f"{one}.pyrepro.json"])
    assert sorted(store.files()) == sorted(
        path.removeprefix(f"{store.url}/") for path in (other, other.replace(".txt", ".log"), f"{other}.pyrepro.json")
    )
    assert len(store.markers()) == 1
    with pytest.raises(FileNotFoundError):
        remove(one)


def test_remove_takes_a_directory(repository: Repository, store: Store) -> None:
    @Artifact("outpath", config={}, repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        os.mkdir(outpath)
        pathlib.Path(outpath, "part").write_text("part")

    path = save(store / "t.zarr")
    assert remove([path]) == [path]
    assert (store.files(), store.markers()) == ({}, [])


def test_the_patch_goes_with_the_last_record_that_names_it(repository: Repository, store: Store) -> None:
    repository.write("train.py", "changed = True")
    step = Step(repository, record=True, allow_dirty=True)
    one, other = step.save(store / "foo.txt", 0.1), step.save(store / "foo.txt", 0.2)
    [patch] = [path for path in store.files() if path.endswith(".patch")]
    assert store / patch not in remove(one)
    assert store / patch in remove(other)
    assert store.files() == {}


def test_unused_lists_what_no_ref_reaches(repository: Repository, store: Store) -> None:
    old = Step(repository, cache=True).save(store / "foo.txt")
    repository.write("README", "new")
    repository.commit()
    new = Step(repository, cache=True).save(store / "foo.txt")
    assert unused(f"{store.url}/", keep=0, repo=repository.path) == [old]
    assert unused(UPath(store.url), keep=0, repo=repository.path) == [UPath(old)]
    assert sorted(find(store / "foo.txt")) == sorted([old, new])


REPRODUCED = """\
import sys
from pyrepro import Artifact

@Artifact("outpath", inputs="data", config={}, record=True)
def save(outpath, data):
    import fsspec
    with fsspec.open(data) as read, open(outpath, "wb") as file:
        file.write(read.read() * 2)

if __name__ == "__main__":
    save(sys.argv[1], sys.argv[2])
"""


def test_an_artifact_in_a_store_is_made_again_from_its_record_there(repository: Repository, store: Store) -> None:
    if store.url.startswith("memory"):
        pytest.skip("another process has another memory")
    store.put("data.txt", b"ab")
    repository.write("save.py", REPRODUCED)
    repository.commit()
    done = repository.run("save.py", store / "foo.txt", store / "data.txt")
    assert done.stderr == ""
    [path] = find(store / "foo.txt")
    before = store.files()
    again = reproduce(path, repository.path)
    assert (again.same, pathlib.Path(again.reproduced).read_bytes()) == (True, b"abab")
    assert store.files() == before
    store.put("data.txt", b"cd")
    with pytest.raises(ReproduceError, match="its input data, "):
        reproduce(path, repository.path)


# What cannot be uploaded


def test_what_cannot_be_uploaded_is_kept_and_named(repository: Repository, tmp_path: pathlib.Path, name: Any) -> None:
    tagged, url = f"foo-{name(lr=0.1)}", f"file://{tmp_path}/store"
    (tmp_path / "store" / f"{tagged}.log" / "in").mkdir(parents=True)
    step = Step(repository, cache=True, record=True)
    step.beside = {".log": "fine"}
    with pytest.raises(PublishError) as error:
        step.save(f"{url}/foo.txt")
    kept = {os.path.basename(path): path for path in error.value.kept}
    assert {one: pathlib.Path(path).read_text() for one, path in kept.items()} == {
        f"{tagged}.log": "fine",
        f"{tagged}.txt": "trained with 0.1",
    }
    assert str(error.value) == (
        f"this could not be put in place:\n"
        f"  {url}/{tagged}.txt: {url}/{tagged}.log belongs to it, but is not in place; it is kept as "
        f"{kept[f'{tagged}.txt']}\n"
        f"  {url}/{tagged}.log: Is a directory; it is kept as {kept[f'{tagged}.log']}\n"
        f"Move what is kept to where it belongs, or remove it; a file that is appended to needs a path of its own."
    )


def test_a_record_that_cannot_be_uploaded_does_not_cost_its_artifact(
    repository: Repository, tmp_path: pathlib.Path, name: Any
) -> None:
    (tmp_path / "store").mkdir()
    stem = "x" * 220
    tagged, url = f"{stem}-{name(lr=0.1)}.txt", f"file://{tmp_path}/store"
    with pytest.raises(PublishError) as error:
        Step(repository, record=True).save(f"{url}/{stem}.txt")
    assert str(error.value) == (
        f"{url}/{tagged} is in place; this is not:\n"
        f"  {url}/{tagged}.pyrepro.json: it cannot be written: File name too long"
    )
    assert Store(url).files() == {tagged: b"trained with 0.1"}


@posix_only
def test_what_a_store_does_not_keep_is_kept_where_it_was_written(
    repository: Repository, store: Store, name: Any
) -> None:
    @Artifact("outpath", config={}, repo=repository.path, cache=True)
    def save(outpath: str) -> None:
        os.mkdir(outpath)
        os.symlink("nowhere", os.path.join(outpath, "dangling"))

    with pytest.raises(PublishError) as error:
        save(store / "t.zarr")
    [kept] = error.value.kept
    assert os.readlink(os.path.join(kept, "dangling")) == "nowhere"
    assert store.files() == {}


@posix_only
def test_links_to_files_are_followed_and_links_to_directories_refused(
    repository: Repository, store: Store, name: Any
) -> None:
    aims = ["file", "directory"]

    @Artifact("outpath", config={}, repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        os.mkdir(outpath)
        os.mkdir(os.path.join(outpath, "directory"))
        for path in ("file", "directory/part"):
            pathlib.Path(outpath, path).write_text("content")
        os.symlink(aims.pop(0), os.path.join(outpath, "link"))

    save(store / "t.zarr")
    tagged = f"t-{name({})}.zarr"
    assert store.files() == {f"{tagged}/{path}": b"content" for path in ("file", "link", "directory/part")}
    with pytest.raises(PublishError, match="link is a link to a directory, which a store does not keep"):
        save(store / "t.zarr")


def test_no_secret_of_a_store_is_in_a_record_or_a_message(
    repository: Repository, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pyrepro")
    step = Step(repository, cache=True, record=True)
    path = UPath(f"memory://{tmp_path.name}/foo.txt", token="a-secret")
    made = step.save(path)
    step.save(path)
    texts = [*made.fs.store.values()]
    assert made.storage_options == {"token": "a-secret"}
    assert [one for one in texts if b"a-secret" in one.getvalue()] == []
    assert "a-secret" not in caplog.text
    made.fs.store.clear()


def test_no_credentials_of_a_server_are_in_what_is_there(
    repository: Repository, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pyrepro")
    step = Step(repository, cache=True, record=True)
    for path in (store / "foo.txt", UPath(store.url, **store.options) / "bar.txt"):
        step.save(path)
    texts = [store.system.cat_file(path) for path in store.system.find(store.root)]
    assert len(texts) >= 6
    for secret in (S3_SECRET, AZURE_KEY):
        assert not any(secret.encode() in text for text in texts)
        assert secret not in "".join(caplog.messages)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sftp://me:password@host/a/b.csv", "sftp://host/a/b.csv"),
        ("sftp://me@host/a@b.csv", "sftp://host/a@b.csv"),
        ("s3://key:secret@bucket/b.csv", "s3://bucket/b.csv"),
        (
            "abfss://container@account.dfs.core.windows.net/b.csv",
            "abfss://container@account.dfs.core.windows.net/b.csv",
        ),
        ("memory://a@b:c@d/b.csv", "memory://a@b:c@d/b.csv"),
        ("s3://bucket/me:password@b.csv", "s3://bucket/me:password@b.csv"),
        ("me:password@b.csv", "me:password@b.csv"),
    ],
)
def test_user_and_password_are_cut_from_a_url_and_nothing_else(url: str, shown: str) -> None:
    assert without_user(url) == shown


# When requests fail, and others come between


class Hooked(MemoryFileSystem):
    """A store in memory that does something at a request, as one fails whose server is away."""

    protocol = "hooked"
    store: dict[str, Any] = {}
    pseudo_dirs = [""]
    says: dict[str, Any] = {}
    before: Callable[[str, str], object] = staticmethod(lambda request, path: None)
    after: Callable[[str, str], object] = staticmethod(lambda request, path: None)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(MemoryFileSystem._strip_protocol(path.replace("hooked://", "memory://")))

    def _asked(self, request: str, path: str, *args: Any, **kwargs: Any) -> Any:
        Hooked.before(request, path)
        result = getattr(MemoryFileSystem, request)(self, *args, **kwargs)
        Hooked.after(request, path)
        return result

    def info(self, path: str, **kwargs: Any) -> Any:
        return {**super().info(path, **kwargs), **Hooked.says}

    def _open(self, path: str, *args: Any, **kwargs: Any) -> Any:
        return self._asked("_open", path, path, *args, **kwargs)

    def mv(self, path1: str, path2: str, **kwargs: Any) -> Any:
        return self._asked("mv", path2, path1, path2, **kwargs)

    def rm_file(self, path: str) -> Any:
        return self._asked("rm_file", path, path)

    def get_file(self, rpath: str, lpath: str, **kwargs: Any) -> Any:
        return self._asked("get_file", rpath, rpath, lpath, **kwargs)


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> type[Hooked]:
    fsspec.register_implementation("hooked", Hooked, clobber=True)
    monkeypatch.setattr(Hooked, "store", {})
    monkeypatch.setattr(Hooked, "says", {})
    monkeypatch.setattr(Hooked, "before", staticmethod(lambda request, path: None))
    monkeypatch.setattr(Hooked, "after", staticmethod(lambda request, path: None))
    return Hooked


def _failing(request: str, ending: str) -> Any:
    def fail(asked: str, path: str) -> None:
        if (asked, path.endswith(ending)) == (request, True):
            raise RuntimeError("the store is away")

    return staticmethod(fail)


def contents(store: dict[str, Any]) -> dict[str, bytes]:
    return {path: file.getvalue() for path, file in store.items() if ".pyrepro/" not in path}


@pytest.mark.parametrize(
    ("told", "same", "another"),
    [
        # Google: a change of the metadata, as by a rule of the life cycle, gives another ETag.
        (
            {"md5Hash": "a", "etag": "1", "generation": "1"},
            {"md5Hash": "a", "etag": "2", "generation": "1"},
            {"md5Hash": "b", "etag": "2", "generation": "2"},
        ),
        # Of parts that were composed there, Google has no MD5.
        (
            {"crc32c": "a", "etag": "1", "generation": "1"},
            {"crc32c": "a", "etag": "2", "generation": "1"},
            {"crc32c": "a", "etag": "3", "generation": "2"},
        ),
        # S3: the same that is put again.
        ({"ETag": "a", "LastModified": 1}, {"ETag": "a", "LastModified": 2}, {"ETag": "b", "LastModified": 2}),
        # Azure, in a listing with quotation marks.
        ({"etag": "a"}, {"etag": '"a"'}, {"etag": "b"}),
    ],
)
def test_an_object_is_what_it_was_while_the_store_says_so(
    told: dict[str, Any], same: dict[str, Any], another: dict[str, Any], repository: Repository, hooked: type[Hooked]
) -> None:
    step = Step(repository, cache=True)
    runs = []
    for says in (told, same, another):
        hooked.says = says
        step.save("hooked://a/foo.txt")
        runs.append(step.runs)
    assert runs == [1, 1, 2]


MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def _hash_in_another_process(monkeypatch: pytest.MonkeyPatch) -> str:
    """The hash of an object where nothing is known but what is kept on the disk."""
    monkeypatch.setattr("pyrepro._config.memo._in_process", {})
    monkeypatch.setattr("pyrepro._stores._hashes", {})
    return file_hash("hooked://a/data.csv")


def _hash_of_what_is_told(
    hooked: type[Hooked], told: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> str:
    """The hash of an object of which the store tells something, kept in a cache of its own."""
    monkeypatch.setenv("PYREPRO_CACHE_DIR", str(tmp_path / "cache"))
    hooked.says = told
    hooked().pipe_file("/a/data.csv", b"1")
    return _hash_in_another_process(monkeypatch)


@pytest.mark.parametrize("told", [{"ETag": f'"{MD5}"'}, {"ETag": f"{MD5}-17"}, {"md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="}])
def test_an_object_whose_digest_the_store_tells_is_not_read_again_by_later_processes(
    told: dict[str, str], hooked: type[Hooked], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    first = _hash_of_what_is_told(hooked, told, monkeypatch, tmp_path)
    # Only so it shows: the store tells the same of another content.
    hooked().pipe_file("/a/data.csv", b"2")
    assert _hash_in_another_process(monkeypatch) == first
    hooked().pipe_file("/a/data.csv", b"of another size")
    assert _hash_in_another_process(monkeypatch) != first


@pytest.mark.parametrize("told", [{"etag": MD5}, {"generation": "1"}, {"ETag": "0x8D4BCC2E4835CD0"}, {}])
def test_an_object_whose_digest_the_store_does_not_tell_is_read_by_each_process(
    told: dict[str, str], hooked: type[Hooked], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    first = _hash_of_what_is_told(hooked, told, monkeypatch, tmp_path)
    hooked().pipe_file("/a/data.csv", b"2")
    assert _hash_in_another_process(monkeypatch) != first


def test_an_object_that_changes_while_it_is_read_is_not_remembered(
    hooked: type[Hooked], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("PYREPRO_CACHE_DIR", str(tmp_path / "cache"))
    hooked().pipe_file("/a/data.csv", b"1")
    hooked.says = {"ETag": MD5}
    hooked.after = staticmethod(lambda request, path: hooked.says.update(ETag=MD5[::-1]))
    first = _hash_in_another_process(monkeypatch)
    hooked.after = staticmethod(lambda request, path: None)
    hooked.says = {"ETag": MD5}
    hooked().pipe_file("/a/data.csv", b"2")
    assert _hash_in_another_process(monkeypatch) != first


def test_an_artifact_that_cannot_be_put_leaves_the_old_one_with_its_record(
    repository: Repository, hooked: type[Hooked], name: Any
) -> None:
    step = Step(repository, record=True)
    step.save("hooked://a/foo.txt")
    before = contents(hooked.store)
    step.content = "tested"
    hooked.before = _failing("mv", ".txt")
    with pytest.raises(PublishError) as error:
        step.save("hooked://a/foo.txt")
    [kept] = error.value.kept
    assert str(error.value) == (
        f"this could not be put in place:\n"
        f"  hooked://a/foo-{name(lr=0.1)}.txt: RuntimeError: the store is away; it is kept as {kept}\n"
        f"Move what is kept to where it belongs, or remove it; a file that is appended to needs a path of its own."
    )
    assert pathlib.Path(kept).read_text() == "tested with 0.1"
    assert json.loads(pathlib.Path(f"{kept}.pyrepro.json").read_text())["artifact"]["size"] == 15
    assert contents(hooked.store) == before


def test_an_artifact_that_cannot_be_put_where_nothing_was_leaves_no_record(
    repository: Repository, hooked: type[Hooked]
) -> None:
    hooked.before = _failing("mv", ".txt")
    with pytest.raises(PublishError):
        Step(repository, record=True).save("hooked://a/foo.txt")
    assert contents(hooked.store) == {}


def test_a_record_that_cannot_be_put_is_not_left_to_the_old_one(
    repository: Repository, hooked: type[Hooked], name: Any
) -> None:
    step = Step(repository, record=True)
    step.save("hooked://a/foo.txt")
    hooked.before = _failing("mv", ".json")
    with pytest.raises(PublishError) as error:
        step.save("hooked://a/foo.txt")
    tagged = f"hooked://a/foo-{name(lr=0.1)}.txt"
    assert str(error.value) == (
        f"{tagged} is in place; this is not:\n"
        f"  {tagged}.pyrepro.json: it cannot be written: RuntimeError: the store is away"
    )
    assert [*contents(hooked.store)] == [f"/a/foo-{name(lr=0.1)}.txt"]


def test_an_artifact_whose_answer_was_lost_is_in_place(repository: Repository, hooked: type[Hooked]) -> None:
    step = Step(repository, cache=True)
    hooked.after = _failing("mv", ".txt")
    step.save("hooked://a/foo.txt")
    step.save("hooked://a/foo.txt")
    assert step.runs == 1


def test_an_artifact_without_a_marker_is_made_again(
    repository: Repository, hooked: type[Hooked], name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    step = Step(repository, cache=True)
    hooked.before = _failing("mv", ".json")
    step.save("hooked://a/foo.txt")
    assert caplog.messages == [
        f"hooked://a/foo-{name(lr=0.1)}.txt is complete, but a later call will make it again: the store is away"
    ]
    hooked.before = staticmethod(lambda request, path: None)
    step.save("hooked://a/foo.txt")
    step.save("hooked://a/foo.txt")
    assert step.runs == 2


def test_what_cannot_be_moved_aside_is_not_replaced(repository: Repository, hooked: type[Hooked], name: Any) -> None:
    step = Step(repository, cache=True)
    step.save("hooked://a/foo.txt")
    path = f"/a/foo-{name(lr=0.1)}.txt"
    hooked().pipe_file(path, b"by hand")
    hooked.before = staticmethod(lambda request, path: 1 / 0 if "~" in path else None)
    with pytest.raises(PublishError, match="was changed since it was made, and cannot be moved aside: ZeroDivision"):
        step.save("hooked://a/foo.txt")
    assert contents(hooked.store) == {path: b"by hand"}


def test_of_two_calls_that_put_at_once_the_first_one_wins(
    repository: Repository, hooked: type[Hooked], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pyrepro")
    step = Step(repository, cache=True, record=True)
    began: list[str] = []

    def race(request: str, path: str) -> None:
        if path.endswith(".json") and not began:
            began.append(path)
            step.save("hooked://a/foo.txt")

    hooked.before = staticmethod(race)
    path = step.save("hooked://a/foo.txt")
    assert f"{path} was completed by another call meanwhile, and is not replaced" in caplog.messages
    hooked.before = staticmethod(lambda request, path: None)
    step.save("hooked://a/foo.txt")
    assert step.runs == 2


def test_a_store_without_conditional_writes_is_asked_once_and_keeps_what_is_put(
    repository: Repository, hooked: type[Hooked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As s3fs raises what some servers answer that speak the protocol of S3."""
    monkeypatch.setattr("pyrepro._stores._WHOLE_PUTS", frozenset({"hooked"}))
    monkeypatch.setattr("pyrepro._stores._without_conditions", set())
    refused: list[str] = []

    def refusing(method: str) -> Any:
        def put(self: Hooked, *arguments: Any, mode: str = "overwrite", **options: Any) -> Any:
            if mode == "create":
                refused.append(method)
                raise OSError(errno.ENOSYS, "A header you provided implies functionality that is not implemented")
            return getattr(MemoryFileSystem, method)(self, *arguments, **options)

        return put

    for method in ("put_file", "pipe_file"):
        monkeypatch.setattr(Hooked, method, refusing(method))
    step = Step(repository, cache=True, record=True)
    path = step.save("hooked://a/foo.txt")
    assert Hooked().cat_file(path) == b"trained with 0.1"
    assert (step.save("hooked://a/foo.txt"), step.runs, refused) == (path, 1, ["pipe_file"])


def test_what_a_killed_call_left_between_is_replaced(
    repository: Repository, hooked: type[Hooked], monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    monkeypatch.setattr("pyrepro._publish.prefix._PATIENCE", 0.2)
    step = Step(repository, cache=True, record=True)
    path = f"/a/foo-{name(lr=0.1)}.txt"

    def leave(request: str, asked: str) -> None:
        if asked.endswith(".txt.pyrepro.json"):
            hooked().pipe_file(path, b"of a call that was killed")

    hooked.before = staticmethod(leave)
    step.save("hooked://a/foo.txt")
    assert hooked.store[path].getvalue() == b"trained with 0.1"
    hooked.before = staticmethod(lambda request, path: None)
    step.save("hooked://a/foo.txt")
    assert step.runs == 1


def test_a_copy_that_cannot_be_had_is_made(
    repository: Repository, hooked: type[Hooked], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pyrepro")
    path = Step(repository, cache=True, code="lib").save("hooked://a/foo.txt")
    repository.write("README", "new")
    repository.commit()
    hooked.before = _failing("get_file", ".txt")
    again = Step(repository, cache=True, code="lib")
    again.save("hooked://a/foo.txt")
    assert again.runs == 1
    assert f"{path} cannot be copied: the store is away" in caplog.messages
