"""Artifacts in real stores, through servers on the loopback: what a call costs, and what is left when requests fail."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from conftest import Repository
from proxy import AFTER, BEFORE, SLOW, Proxy
from servers import OBJECT_STORES, Servers, new_prefix
from upath import UPath

from pyrepro import Artifact, PublishError, Tag, find, records

pytestmark = pytest.mark.skipif(bool(OBJECT_STORES["s3"].missing), reason=OBJECT_STORES["s3"].missing)

each_kind = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.skipif(bool(store.missing), reason=store.missing))
        for kind, store in OBJECT_STORES.items()
    ],
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    every = Servers(tmp_path_factory.mktemp)
    yield every
    every.end()


@pytest.fixture
def kind() -> str:
    """The store that a test is about."""
    return "s3"


@pytest.fixture
def proxy(kind: str, servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[Proxy]:
    one = Proxy(servers.url(kind))
    environ = {**OBJECT_STORES[kind].environ(one.url), "TMPDIR": str(tmp_path / "temporary")}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    library = fsspec.get_filesystem_class(OBJECT_STORES[kind].scheme)
    if kind == "s3":
        # Else it asks again by itself, and a failure is none.
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setattr(library, "retries", 1)
    library.clear_instance_cache()
    yield one
    library.clear_instance_cache()
    one.close()


@pytest.fixture
def prefix(kind: str, proxy: Proxy) -> str:
    made = new_prefix(OBJECT_STORES[kind].scheme)
    proxy.requests.clear()
    return made


def objects(prefix: str) -> dict[str, bytes]:
    """Every object below a prefix, markers included, by its path."""
    system, root = fsspec.core.url_to_fs(prefix)
    system.invalidate_cache()
    # SeaweedFS lists a prefix whose last object was removed as a directory.
    paths = [path for path, info in system.find(root, detail=True).items() if info["type"] == "file"]
    return {path[len(root) + 1 :]: system.cat_file(path) for path in paths}


def methods(requests: list[str]) -> list[str]:
    """The methods of requests; a GET of a bucket is a LIST."""
    return ["LIST" if re.search(r"list-type|comp=list|/o\?", one) else one.split()[0] for one in requests]


# Of one object, adlfs asks whether the prefix is one when it lists.
HITS = {
    "s3": (["GET", "HEAD"], ["GET", "LIST"]),
    "azure": (["GET", "HEAD"], ["GET", "HEAD", "LIST"]),
    "gcs": (["GET", "LIST"], ["GET", "LIST"]),
}


@each_kind
@pytest.mark.parametrize("is_recorded", [False, True], ids=["plain", "recorded"])
def test_what_a_hit_asks(is_recorded: bool, kind: str, proxy: Proxy, prefix: str, repository: Repository) -> None:
    @Artifact("outpath", config=dict, repo=repository.path, cache=True, record=is_recorded)
    def save(outpath: str, number: int) -> None:
        pathlib.Path(outpath).write_text(f"number {number}")

    for number in range(3):
        save(f"{prefix}/foo.txt", number)
        proxy.requests.clear()
        save(f"{prefix}/foo.txt", number)
        assert methods(proxy.requests) == HITS[kind][is_recorded]


def test_a_hit_of_a_directory_with_a_side_file_is_two_requests(
    proxy: Proxy, prefix: str, repository: Repository
) -> None:
    @Artifact("outpath", config={}, repo=repository.path, cache=True, record=True)
    def save(outpath: str) -> None:
        os.mkdir(outpath)
        for number in range(20):
            pathlib.Path(outpath, f"part-{number}").write_text(str(number))
        pathlib.Path(outpath.replace(".zarr", ".log")).write_text("fine")

    save(f"{prefix}/t.zarr")
    proxy.requests.clear()
    save(f"{prefix}/t.zarr")
    assert methods(proxy.requests) == ["GET", "LIST"]


# adlfs and gcsfs ask again by themselves, for minutes, whatever they are told; one failure is tried there.
FAILURES = [
    *((failure, is_lasting, "s3") for failure in (*BEFORE, *AFTER) for is_lasting in (False, True)),
    ("lost", False, "azure"),
    ("lost", False, "gcs"),
    ("500", False, "gcs"),
]


@pytest.mark.parametrize(
    ("failure", "lasting", "kind"),
    [
        pytest.param(
            *one, marks=pytest.mark.skipif(bool(OBJECT_STORES[one[2]].missing), reason=OBJECT_STORES[one[2]].missing)
        )
        for one in FAILURES
    ],
)
def test_at_every_request_a_failure_leaves_the_work_in_place_or_named(
    failure: str, lasting: bool, kind: str, proxy: Proxy, repository: Repository
) -> None:
    runs = []

    @Artifact("outpath", config={}, repo=repository.path, cache=True, record=True, ignore=["runs"])
    def save(outpath: Any) -> None:
        runs.append(outpath)
        pathlib.Path(outpath).write_text("good job")
        pathlib.Path(str(outpath).replace(".txt", ".log")).write_text("fine")

    # Who gets no answer does not wait for a quarter of a minute, as s3fs does by itself.
    options = {"config_kwargs": {"read_timeout": 0.2}} if failure in ("silent", "late") else {}
    number = 0
    while True:
        prefix = new_prefix(OBJECT_STORES[kind].scheme)
        proxy.requests.clear()
        runs.clear()
        proxy.failure = lambda one, at=number: failure if one == at or (lasting and one > at) else None  # type: ignore[misc]
        kept: tuple[str, ...] | None = None
        try:
            save(UPath(f"{prefix}/foo.txt", **options))
        except PublishError as error:
            kept = error.kept
        except Exception:
            # The store could not be asked whether the artifact is there, so nothing was computed.
            assert runs == [], number
        else:
            kept = ()
        has_failed = len(proxy.requests) > number
        proxy.failure = lambda one: None
        proxy.settle()
        found = objects(prefix)
        if kept is not None:
            texts = {pathlib.Path(path).read_bytes() for path in kept if os.path.isfile(path)}
            assert b"good job" in {*texts, *found.values()}, number
        for path, content in found.items():
            if path.endswith(".txt"):
                assert content == b"good job", number
        save(f"{prefix}/foo.txt")
        assert sorted(re.sub("[0-9a-f]{12,}", "x", path) for path in objects(prefix) if ".pyrepro/" not in path) == [
            "foo-x-x.log",
            "foo-x-x.txt",
            "foo-x-x.txt.pyrepro.json",
        ], number
        save(f"{prefix}/foo.txt")
        assert len(runs) <= 2, number
        if not has_failed:
            break
        number += 1
    assert number > 10


def test_slow_answers_are_waited_for(proxy: Proxy, prefix: str, repository: Repository) -> None:
    runs = []

    @Artifact("outpath", config={}, repo=repository.path, cache=True, record=True, ignore=["runs"])
    def save(outpath: str) -> None:
        runs.append(outpath)
        pathlib.Path(outpath).write_text("good job" * 1000)

    proxy.failure = lambda number: SLOW
    assert save(f"{prefix}/foo.txt") == save(f"{prefix}/foo.txt")
    assert len(runs) == 1


RACE = """\
import os, pathlib, sys, time
from pyrepro import Artifact

@Artifact("outpath", config={}, cache=True, record=True)
def save(outpath):
    pathlib.Path(outpath).write_text("the same")
    pathlib.Path(outpath.replace(".txt", ".log")).write_text("the same log")

print("ready", flush=True)
sys.stdin.readline()
print(save(sys.argv[1]))
"""


@each_kind
def test_sixteen_processes_that_publish_at_once_leave_one_marker(
    proxy: Proxy, prefix: str, repository: Repository
) -> None:
    repository.write("race.py", RACE)
    repository.commit()
    command = [sys.executable, str(repository.path / "race.py"), f"{prefix}/foo.txt"]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(16)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    ended = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        ended.append((*process.communicate(), process.returncode))
    found = objects(prefix)
    [tagged] = {one[0].strip() for one in ended}
    assert {one[1:] for one in ended} == {("", 0)}
    assert [path for path in found if path.endswith(".json") and ".pyrepro/" in path].__len__() == 1
    assert found[tagged.removeprefix(f"{prefix}/")] == b"the same"
    proxy.requests.clear()
    again = subprocess.run(command, input="go\n", capture_output=True, text=True, check=True)
    assert again.stdout == f"ready\n{tagged}\n"
    assert {*methods(proxy.requests)} <= {"GET", "HEAD", "LIST"}


def _with_matplotlib(outpath: str) -> None:
    import matplotlib.figure

    matplotlib.figure.Figure().savefig(outpath)


def _with_joblib(outpath: str) -> None:
    import joblib

    joblib.dump({"weights": [1.0]}, outpath)


def _with_sqlite(outpath: str) -> None:
    import sqlite3

    connection = sqlite3.connect(outpath)
    connection.execute("create table numbers (n integer)")
    connection.commit()
    connection.close()


def _with_a_shell(outpath: str) -> None:
    subprocess.run(["sh", "-c", 'printf "good job" > "$1"', "sh", outpath], check=True)


def _with_zarr(outpath: str) -> None:
    import zarr

    zarr.save(outpath, __import__("numpy").arange(100))


def _with_partitioned_parquet(outpath: str) -> None:
    import pandas

    pandas.DataFrame({"year": [1, 2, 2], "n": [1, 2, 3]}).to_parquet(outpath, partition_cols=["year"])


WRITERS = [
    (_with_matplotlib, "plot.png", "matplotlib"),
    (_with_joblib, "model.joblib", "joblib"),
    (_with_sqlite, "numbers.db", "sqlite3"),
    (_with_a_shell, "out.txt", "os"),
    (_with_zarr, "numbers.zarr", "zarr"),
    (_with_partitioned_parquet, "table.parquet", "pyarrow"),
]


@pytest.mark.parametrize(("write", "path", "library"), WRITERS, ids=[name for _, name, _ in WRITERS])
def test_writers_that_know_no_urls_write_to_a_bucket(
    write: Any, path: str, library: str, proxy: Proxy, prefix: str, repository: Repository
) -> None:
    pytest.importorskip(library)
    runs = []

    @Artifact("outpath", config={}, repo=repository.path, cache=True, record=True, ignore=["runs", "write"])
    def save(outpath: str) -> None:
        runs.append(outpath)
        write(outpath)

    tagged = save(f"{prefix}/{path}")
    proxy.requests.clear()
    assert save(f"{prefix}/{path}") == tagged
    assert (len(runs), methods(proxy.requests)) == (1, ["GET", "LIST"])
    assert any(one.startswith(tagged.removeprefix(f"{prefix}/")) for one in objects(prefix))


def test_a_hit_among_10_000_artifacts_of_one_path_is_two_requests(
    servers: Servers, proxy: Proxy, prefix: str, repository: Repository
) -> None:
    import s3fs

    @Artifact("outpath", config=dict, repo=repository.path, cache=True, record=True)
    def save(outpath: str, number: int) -> None:
        pathlib.Path(outpath).write_text(f"number {number}")

    tag = Tag.from_path(save(f"{prefix}/foo.txt", 0))
    root = prefix.removeprefix("s3://")
    others = [f"{root}/foo-{tag.commit}-{number:012x}.txt" for number in range(10_000)]
    markers = [f"{root}/.pyrepro/markers/{number:032x}.json" for number in range(10_000)]
    s3fs.S3FileSystem(endpoint_url=servers.url("s3")).pipe(dict.fromkeys([*others, *markers], b"x"))
    proxy.requests.clear()
    save(f"{prefix}/foo.txt", 0)
    assert methods(proxy.requests) == ["GET", "LIST"]


SHARED = """\
import pathlib, sys
from distributed import Client, LocalCluster
from pyrepro import Artifact

@Artifact("outpath", config=dict, cache=True, record=True)
def save(outpath, seed):
    with open("runs.txt", "a") as file:
        file.write(f"{seed}\\n")
    pathlib.Path(outpath).write_text(str(seed))

if __name__ == "__main__":
    with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        one, other = client.scheduler_info()["workers"]
        for worker in (one, other):
            for path in client.gather([client.submit(save, sys.argv[1], seed, workers=worker, pure=False) for seed in range(3)]):
                print(path)
"""


def test_dask_workers_on_two_ports_share_a_cache(proxy: Proxy, prefix: str, repository: Repository) -> None:
    pytest.importorskip("distributed")
    repository.write("shared.py", SHARED)
    repository.commit()
    done = repository.run("shared.py", f"{prefix}/foo.txt")
    paths = done.stdout.splitlines()
    assert (len(paths), paths[:3]) == (6, paths[3:]), done.stderr
    assert sorted((repository.path / "runs.txt").read_text().split()) == ["0", "1", "2"]
    assert sorted(content for path, content in objects(prefix).items() if path.endswith(".txt")) == [b"0", b"1", b"2"]


HASH = """\
import sys
from pyrepro import file_hash
print(file_hash(sys.argv[1]))
"""


def test_a_later_process_hashes_an_input_with_one_request(
    proxy: Proxy, prefix: str, repository: Repository, tmp_path: pathlib.Path
) -> None:
    repository.write("hash.py", HASH)
    new_data(prefix, b"1" * 50_000_000)
    told = []
    for _ in range(2):
        proxy.requests.clear()
        told.append(repository.run("hash.py", f"{prefix}/data.bin").stdout)
    assert (told[0], methods(proxy.requests)) == (told[1], ["HEAD"])
    new_data(prefix, b"2" * 50_000_000)
    assert repository.run("hash.py", f"{prefix}/data.bin").stdout != told[0]


def new_data(prefix: str, content: bytes) -> None:
    system, root = fsspec.core.url_to_fs(prefix)
    system.pipe_file(f"{root}/data.bin", content)


BIG = """\
import resource, sys
from pyrepro import Artifact, file_hash, read_record

@Artifact("outpath", config=dict, cache=True, record=True)
def save(outpath, size):
    with open(outpath, "wb") as file:
        file.write(b"made")
        file.truncate(size)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

path = sys.argv[1]
save(path, 1 << 20)
before = peak()
big = save(path, 1 << 31)
uploaded = peak() - before
assert save(path, 1 << 31) == big
assert file_hash(big) == "sha256:" + read_record(big).artifact["sha256"]
print(uploaded, peak() - before)
"""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", [one for one in each_kind.args[1] if "gcs" not in one.values])
def test_two_gigabytes_take_less_than_300_mb_of_memory(
    kind: str, servers: Servers, prefix: str, repository: Repository
) -> None:
    """Not to the server of Google's protocol, which keeps what it has in memory."""
    repository.write("big.py", BIG)
    repository.commit()
    done = repository.run("big.py", f"{prefix}/foo.bin", env=dict(OBJECT_STORES[kind].environ(servers.url(kind))))
    uploaded, read = map(int, done.stdout.split())
    assert uploaded < 300e6, done.stderr
    assert read < 300e6


CLOCK = """\
import pathlib, sys, time
from pyrepro import Artifact

@Artifact("outpath", config=dict, cache=True, record=True)
def save(outpath, number):
    with open("runs.txt", "a") as file:
        file.write(f"{number} at {time.time():.0f}\\n")
    pathlib.Path(outpath).write_text(str(number))

for number in sys.argv[2:]:
    print(save(sys.argv[1], int(number)))
"""


class Clocks:
    """Machines whose clocks differ."""

    def __init__(self, repository: Repository, plain: str) -> None:
        repository.write("clock.py", CLOCK)
        repository.commit()
        self._repository, self._plain = repository, plain

    def run(self, offset: str, *numbers: str) -> list[str]:
        """The artifacts of some numbers on a machine whose clock is off, or the lines of an error."""
        command = ["faketime", "-f", offset, sys.executable, "clock.py", self._plain, *numbers]
        done = subprocess.run(command, cwd=self._repository.path, capture_output=True, text=True, check=False)
        return (done.stderr if done.returncode else done.stdout).splitlines()

    def runs(self) -> list[tuple[str, int]]:
        """Which number was run when."""
        lines = (self._repository.path / "runs.txt").read_text().splitlines()
        return [(line.split()[0], int(line.split()[2])) for line in lines]


needs_faketime = pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime")


@needs_faketime
@pytest.mark.parametrize("kind", [one for one in each_kind.args[1] if "s3" not in one.values])
def test_machines_whose_clocks_are_two_hours_apart_share_a_cache(
    kind: str, proxy: Proxy, prefix: str, repository: Repository
) -> None:
    clocks = Clocks(repository, f"{prefix}/foo.txt")
    [one] = clocks.run("+1h", "1")
    [same, other] = clocks.run("-1h", "1", "2")
    assert clocks.run("+1h", "2", "1") == [other, same] == [other, one]
    (first, at_first), (second, at_second) = clocks.runs()
    assert (first, second, 7000 < at_first - at_second <= 7200) == ("1", "2", True)


@needs_faketime
@pytest.mark.parametrize("kind", [one for one in each_kind.args[1] if "gcs" in one.values])
def test_artifacts_are_listed_by_the_clock_of_the_store_and_records_by_those_of_the_machines(
    kind: str, proxy: Proxy, prefix: str, repository: Repository
) -> None:
    clocks = Clocks(repository, f"{prefix}/foo.txt")
    [one], [other] = clocks.run("+1h", "1"), clocks.run("-1h", "2")
    assert find(f"{prefix}/foo.txt") == [other, one]
    assert [record.path for record in records(f"{prefix}/foo.txt")] == [f"{one}.pyrepro.json", f"{other}.pyrepro.json"]


@needs_faketime
def test_s3_refuses_a_machine_whose_clock_is_an_hour_off_before_the_function_runs(
    proxy: Proxy, prefix: str, repository: Repository
) -> None:
    clocks = Clocks(repository, f"{prefix}/foo.txt")
    assert clocks.run("+1h", "1")[-1].startswith("PermissionError: The difference between the request time")
    assert not (repository.path / "runs.txt").exists()
    assert objects(prefix) == {}


@pytest.mark.parametrize(("options", "puts"), [({}, 4), ({"record": True}, 5)], ids=["plain", "recorded"])
def test_what_a_miss_costs(options: Any, puts: int, proxy: Proxy, prefix: str, repository: Repository) -> None:
    @Artifact("outpath", config={}, repo=repository.path, cache=True, **options)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text("good job")

    save(f"{prefix}/foo.txt")
    asked = methods(proxy.requests)
    assert {method: asked.count(method) for method in sorted(set(asked))} == {
        "GET": 5,
        "HEAD": 3,
        "LIST": 2,
        "PUT": puts,
    }
