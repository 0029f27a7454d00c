"""Publications in a store whose process is killed at any of their requests."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from conftest import Repository
from proxy import Proxy
from servers import OBJECT_STORES
from test_stores import kind, methods, objects, prefix, proxy, servers

pytestmark = pytest.mark.skipif(bool(OBJECT_STORES["s3"].missing), reason=OBJECT_STORES["s3"].missing)

__all__ = ["kind", "prefix", "proxy", "servers"]  # fixtures

KILLS = int(os.environ.get("KILLS", "200"))
SEED = int(os.environ.get("KILLS_SEED", "19"))

CALLS = '''\
"""Runs each call that it is told to in a process of its own, which is forked where nothing has been asked yet."""
import os, pathlib, sys
import s3fs, upath
from pyrepro import Artifact
import pyrepro._publish.prefix

# So long it waits for a call that was killed.
pyrepro._publish.prefix._PATIENCE = 0.2

every = dict(keyword="outpath", config={}, ignore=["content"])
cached = dict(every, cache=True, code="calls.py")

@Artifact(**every, atomic=True)
def atomic(outpath, content):
    pathlib.Path(outpath).write_text(content * 1000)

@Artifact(**cached)
def file(outpath, content):
    pathlib.Path(outpath).write_text(content * 1000)

@Artifact(**cached, record=True)
def record(outpath, content):
    pathlib.Path(outpath).write_text(content * 1000)
    pathlib.Path(outpath.replace(".txt", ".log")).write_text(content * 1000)

@Artifact(**cached, record=True)
def directory(outpath, content):
    for number in range(4):
        part = pathlib.Path(outpath, f"year={number % 2}", f"part-{number}.txt")
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(content * 1000)

calls = {"atomic": atomic, "file": file, "record": record, "directory": directory}

def line():
    text = b""
    while not text.endswith(b"\\n"):
        text += os.read(0, 1)
    return text.decode().split()

while True:
    call, refreshes, path, content = line()
    pid = os.fork()
    if not pid:
        line()
        (calls[call].refresh if refreshes == "yes" else calls[call])(path, content)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
'''


class Calls:
    """Calls in processes of their own, which come from one that has imported everything."""

    def __init__(self, repository: Repository) -> None:
        command = [sys.executable, str(repository.path / "calls.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.pid = 0

    def call(self, call: str, path: str, content: str, *, refreshes: bool = False) -> int:
        """Make a call; the status with which its process ended."""
        self._tell(f"{call} {'yes' if refreshes else 'no'} {path} {content}")
        self.pid = int(self._line())
        self._tell("go")
        return int(self._line())

    def _tell(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def __enter__(self) -> Calls:
        return self

    def __exit__(self, *args: object) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def calls(repository: Repository, proxy: Proxy) -> Iterator[tuple[Calls, Calls]]:
    """Calls at an earlier commit, and at this one, which changes nothing that they depend on."""
    repository.write("calls.py", CALLS)
    repository.commit()
    with Calls(repository) as earlier:
        # Its state has been read when it answers.
        assert earlier.call("atomic", "memory://x/first.txt", "x") == 0
        repository.write("README")
        repository.commit()
        with Calls(repository) as now:
            yield earlier, now


def whole(content: str) -> bytes:
    return content.encode() * 1000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# What is called, and what is there before: nothing, what an earlier commit made, what this call makes anew, what
# somebody changed since, what is left of an artifact that somebody removed.
MODES = [
    (call, before)
    for call in ("file", "record", "directory", "atomic")
    for before in ("nothing", "earlier", "anew", "changed", "removed")
    if call != "atomic" or before in ("nothing", "anew")
]


class Case:
    """A publication into a prefix in which something may be already."""

    def __init__(self, mode: tuple[str, str], prefix: str, calls: tuple[Calls, Calls]) -> None:
        self.call, self.before = mode
        self.path, self.prefix = f"{prefix}/foo.{'zarr' if self.call == 'directory' else 'txt'}", prefix
        self._earlier, self._now = calls
        self.is_by_hand = False
        if self.before == "earlier":
            assert self._earlier.call(self.call, self.path, "old") == 0
        elif self.before != "nothing":
            assert self._now.call(self.call, self.path, "old") == 0
        if self.before in ("changed", "removed"):
            import s3fs

            system = s3fs.S3FileSystem()
            first = next(
                path for path in sorted(self.artifacts()) if ".pyrepro.json" not in path and ".log" not in path
            )
            object_ = f"{prefix}/{first}".removeprefix("s3://")
            if self.before == "changed":
                system.pipe_file(object_, b"by hand")
            else:
                system.rm_file(object_)

    @property
    def pid(self) -> int:
        return self._now.pid

    def publish(self) -> int:
        return self._now.call(self.call, self.path, "new", refreshes=self.before == "anew")

    def again(self) -> int:
        return self._now.call(self.call, self.path, "new")

    def artifacts(self) -> dict[str, bytes]:
        """Every object that is no marker."""
        return {path: content for path, content in objects(self.prefix).items() if ".pyrepro/" not in path}

    def check_left(self) -> None:
        """Each object is whole, and an artifact is not there before what belongs to it."""
        found = self.artifacts()
        for path, content in found.items():
            if path.endswith(".pyrepro.json"):
                json.loads(content)
            else:
                assert content in (whole("old"), whole("new"), b"by hand"), path
        if self.before == "changed":
            assert b"by hand" in found.values()
        elif self.before != "removed":
            assert not [path for path in found if "~" in path]
        for path, content in found.items():
            is_copied = self.before == "earlier" and content == whole("old")
            if self.call == "record" and path.endswith(".txt") and (content == whole("new") or is_copied):
                assert found[path.replace(".txt", ".log")] == content
                assert json.loads(found[f"{path}.pyrepro.json"])["artifact"]["sha256"] == sha256(content)

    def check_mended(self) -> None:
        """What is there is complete, and each file is described by its record."""
        self.check_left()
        found = {path: content for path, content in self.artifacts().items() if "~" not in path}
        record = [content for path, content in found.items() if path.endswith(".pyrepro.json")]
        files = {path: content for path, content in found.items() if not path.endswith(".pyrepro.json")}
        names = {path.partition("/")[0] for path in files}
        number = {"atomic": 1, "file": 1, "record": 2, "directory": 4}[self.call]
        artifacts = 2 if self.before == "earlier" else 1
        assert (len(files), len(names)) == (number * artifacts, artifacts * (2 if self.call == "record" else 1)), files
        assert {*files.values()} <= {whole("old"), whole("new")}
        assert len(record) == (artifacts if self.call in ("record", "directory") else 0)
        for content in record:
            told = json.loads(content)["artifact"]
            parts = {path: value for path, value in files.items() if path.partition("/")[0] == told["name"]}
            if self.call == "record":
                assert told["sha256"] == sha256(parts[told["name"]])


@pytest.mark.timeout(1500)
def test_a_kill_at_any_request_leaves_an_artifact_complete_or_absent_and_the_next_call_mends_it(
    proxy: Proxy, calls: tuple[Calls, Calls], capsys: pytest.CaptureFixture[str]
) -> None:
    from servers import new_prefix

    draw = random.Random(SEED)
    requests: dict[tuple[str, str], int] = {}
    for mode in MODES:
        case = Case(mode, new_prefix("s3"), calls)
        proxy.requests.clear()
        assert case.publish() == 0, mode
        requests[mode] = len(proxy.requests)
        case.check_mended()
    every = [(mode, number) for mode, count in requests.items() for number in range(count)]
    killed = 0
    for (mode, number), is_received in draw.sample(
        [(one, is_received) for one in every for is_received in (False, True)], KILLS
    ):
        where = f"seed {SEED}: {mode}, request {number} of {requests[mode]}, {'received' if is_received else 'lost'}"
        case = Case(mode, new_prefix("s3"), calls)

        def kill(one: int, at: int = number, case: Case = case, is_received: bool = is_received) -> str | None:
            if one != at:
                return None
            os.kill(case.pid, signal.SIGKILL)
            return None if is_received else "reset"

        proxy.requests.clear()
        proxy.failure = kill
        status = case.publish()
        proxy.failure = lambda one: None
        # It may need fewer requests than it once did, and is done.
        assert status in (0, signal.SIGKILL), where
        killed += status == signal.SIGKILL
        try:
            # Whether the server has it already shows when it has answered.
            proxy.settle()
            case.check_left()
            assert case.again() == 0
            case.check_mended()
            if case.call != "atomic":
                proxy.requests.clear()
                assert case.again() == 0
                assert methods(proxy.requests) == ["GET", "HEAD" if case.call == "file" else "LIST"]
        except AssertionError as error:
            raise AssertionError(where) from error
    with capsys.disabled():
        told = f"{killed} of {KILLS} killed, at {len(every)} requests of {len(MODES)} kinds of calls, seed {SEED}"
        sys.stdout.write(f"\n{told}\n")
    assert killed >= 0.9 * KILLS
