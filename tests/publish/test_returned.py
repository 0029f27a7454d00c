"""What a function returns: final paths, and what would still use the directory that is gone."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import os
import pathlib
import sqlite3
import subprocess
import sys
import threading
import types
import weakref
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import pytest
from conftest import Repository, posix_only, wait_until

from pyrepro import Artifact, ArtifactMissingError


@dataclasses.dataclass(frozen=True)
class Result:
    path: str
    loss: float


class Slotted:
    __slots__ = ("path", "unset")

    def __init__(self, path: str) -> None:
        self.path = path

    def method(self) -> None: ...


class Secretive:
    """Like an object of a C extension: nothing of it is seen but its repr."""

    def __init__(self, path: str) -> None:
        self._show = path.encode().hex()

    def __repr__(self) -> str:
        return f"<opened {bytes.fromhex(self._show).decode()}>"


class Lazy:
    """Like a lazy table of polars: neither its attributes nor its repr show the file, but its plan."""

    __slots__ = ()
    __module__ = "polars"

    def __init__(self, path: str) -> None:
        PLANNED[0] = path

    def explain(self) -> str:
        return f"SCAN [{PLANNED[0]}]"


class Listed:
    """Like a dataset of pyarrow."""

    __slots__ = ()
    __module__ = "pyarrow._dataset"

    def __init__(self, path: str) -> None:
        PLANNED[0] = path

    @property
    def files(self) -> list[str]:
        return PLANNED


PLANNED = [""]


class Unshowable(os.PathLike[str]):
    def __repr__(self) -> str:
        raise RuntimeError

    def __fspath__(self) -> str:
        raise RuntimeError


@pytest.fixture
def save(repository: Repository, out: pathlib.Path) -> Any:
    """A decorated function that writes, and returns what another one makes of its path."""

    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str, returns: Callable[[str], Any], writes: bool = True) -> Any:
        if writes:
            pathlib.Path(outpath).write_text("good job")
        return returns(outpath)

    return save


def test_a_staged_path_in_a_dataclass_a_mapping_or_a_generator_is_the_final_one(
    save: Any, caplog: pytest.LogCaptureFixture
) -> None:
    final = save.tagged("foo.txt", None)
    assert save("foo.txt", lambda path: Result(path, 0.1)) == Result(final, 0.1)
    assert save("foo.txt", lambda path: Result("other", 0.1)) == Result("other", 0.1)
    assert save("foo.txt", lambda path: OrderedDict(path=path)) == OrderedDict(path=final)

    def both(path: str) -> Iterator[Any]:
        received = yield path
        yield received
        return path

    def ended(path: str) -> Iterator[Any]:
        value = yield from both(path)
        yield value

    assert list(save("foo.txt", ended)) == [final, None, final]


def used(messages: list[str]) -> list[str]:
    """What the warnings say is still used."""
    start, end = "something still uses it: ", "; close what is open, and return the path"
    return [message.partition(start)[2].partition(end)[0] for message in messages]


def open_database(path: str) -> sqlite3.Connection:
    os.unlink(path)
    connection = sqlite3.connect(path)
    connection.execute("create table t (x)")
    return connection


@pytest.mark.parametrize(
    ("returns", "found"),
    [
        (lambda path: types.SimpleNamespace(path=path), "types.SimpleNamespace"),
        (Slotted, "str"),
        (lambda path: Slotted(path).method, "MethodType"),
        (lambda path: functools.partial(open, path), "functools.partial"),
        (lambda path: lambda: repr(path), "str"),
        (lambda path: {path}, "str"),
        (Secretive, "test_returned.Secretive"),
        (Lazy, "polars.Lazy"),
        (Listed, "pyarrow._dataset.Listed"),
    ],
)
def test_what_still_holds_the_staged_path_is_warned_of(
    returns: Any, found: str, save: Any, caplog: pytest.LogCaptureFixture
) -> None:
    save("foo.txt", returns)
    [message] = used([record.message for record in caplog.records])
    assert message.startswith("what it returned holds ")
    assert ".pyrepro" in message or found in message


@posix_only
def test_a_database_or_a_file_that_is_still_open_is_warned_of(save: Any, caplog: pytest.LogCaptureFixture) -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this platform does not list open files")
    name = os.path.basename(save.tagged("foo.db", None))
    with contextlib.closing(save("foo.db", open_database)):
        pass
    with save("foo.txt", open):
        pass
    text = os.path.basename(save.tagged("foo.txt", None))
    first, second = used([record.message for record in caplog.records])
    assert first == f"{name} is still open"
    assert second.endswith(f"; {text} is still open")


lists_children = pytest.mark.skipif(
    not os.path.exists(f"/proc/self/task/{threading.get_native_id()}/children"),
    reason="this platform does not list the children of a process",
)


@lists_children
def test_a_process_that_was_not_waited_for_is_warned_of_if_it_has_the_file_open(
    save: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def copied(path: str) -> None:
        with open(path, "w") as file:
            processes.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file))

    processes = [subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)]
    try:
        save("foo.txt", lambda path: None)
        assert caplog.records == []
        save("foo.txt", copied)
        name = os.path.basename(save.tagged("foo.txt", None))
        [message] = used([record.message for record in caplog.records])
        assert message == f"{name} is still open in process {processes[1].pid}, which nobody waited for"
    finally:
        for process in processes:
            process.communicate()


@lists_children
def test_a_process_that_was_not_waited_for_is_warned_of_if_it_was_started_with_the_path(
    save: Any, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = "import sys; sys.stdin.read()"

    def started(path: str) -> None:
        pathlib.Path(path).touch()
        command = [sys.executable, "-c", waiting, path]
        processes.extend(subprocess.Popen(one, stdin=subprocess.PIPE) for one in (command, command[:-1]))
        wait_until(
            lambda: path.encode() in pathlib.Path(f"/proc/{processes[0].pid}/cmdline").read_bytes(), processes[0]
        )

    processes: list[subprocess.Popen[bytes]] = []
    try:
        save("foo.txt", started)
        [message] = used([record.message for record in caplog.records])
        assert message == f"process {processes[0].pid}, which nobody waited for, was started with a path in it"
    finally:
        for process in processes:
            process.communicate()


def test_where_open_files_are_not_listed_there_is_no_warning(
    save: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    listdir = os.listdir

    def elsewhere(path: Any = ".") -> list[str]:
        if path == "/proc/self/fd":
            raise FileNotFoundError(path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", elsewhere)
    with contextlib.closing(save("foo.db", open_database)):
        assert caplog.records == []


class Pair(NamedTuple):
    path: str
    number: int


@pytest.mark.parametrize(
    "returns",
    [
        lambda path: None,
        lambda path: path,
        lambda path: Pair(path, 1),
        lambda path: [0.1] * 10_000,
        lambda path: pathlib.Path(path).read_text(),
        lambda path: {"loss": [0.1, {"deep": types}]},
        lambda path: Unshowable,
        lambda path: [Unshowable],
        lambda path: lambda: None,
        lambda path: functools.partial(print, end=""),
    ],
)
def test_what_does_not_use_the_path_is_not_warned_of(returns: Any, save: Any, caplog: pytest.LogCaptureFixture) -> None:
    save("foo.txt", returns)
    assert caplog.records == []


def test_values_that_contain_themselves_or_refuse_to_be_looked_into_are_returned(save: Any) -> None:
    def recursive(path: str) -> Any:
        def inner() -> Any:
            return inner, later

        holder = types.SimpleNamespace(inner=inner, strange=[Unshowable.__new__(Unshowable)])
        holder.itself = holder
        if path is None:
            later = 1
        return holder

    assert save("foo.txt", recursive).inner is not None


# Nothing was written, since nothing has run


async def a_coroutine(path: str) -> None: ...


async def an_async_generator(path: str) -> AsyncIterator[str]:
    yield path


def a_generator(path: str) -> Iterator[str]:
    yield path


class DaskDelayed:
    def __dask_graph__(self) -> None: ...


PUT = "inside of the function, or put @Artifact(...) directly above it."


@pytest.mark.parametrize(
    ("returns", "advice"),
    [
        (
            a_coroutine,
            "It returned a coroutine, which has not run: put @Artifact(...) directly above the async def, below other "
            "decorators.",
        ),
        (a_generator, f"It returned generator, whose body has not run: exhaust it {PUT}"),
        (an_async_generator, f"It returned async_generator, whose body has not run: exhaust it {PUT}"),
        (
            contextlib.contextmanager(a_generator),
            f"It returned contextlib._GeneratorContextManager, a context manager whose body has not run: enter it {PUT}",
        ),
        (
            lambda path: concurrent.futures.Future(),
            f"It returned concurrent.futures._base.Future, which may not have run to its end: wait for it {PUT}",
        ),
        (
            lambda path: DaskDelayed(),
            f"It returned test_returned.DaskDelayed, which is lazy and may not have been computed: compute it {PUT}",
        ),
        (lambda path: 3, "It returned int. Write to the very path that is passed to it."),
        (lambda path: "other.txt", "Write to the very path that is passed to it."),
    ],
)
def test_a_function_that_has_not_run_is_told_what_it_returned_instead(
    returns: Any, advice: str, save: Any, out: pathlib.Path
) -> None:
    with pytest.raises(ArtifactMissingError) as error:
        save("foo.txt", returns, writes=False)
    path = out / save.tagged("foo.txt", None)
    assert str(error.value) == f"the function returned without writing {path}; it wrote nothing. {advice}"


class ItsOwnAttributes(dict[str, Any]):
    def __init__(self, **items: Any) -> None:
        super().__init__(**items)
        self.__dict__ = self


def test_a_staged_path_in_a_mapping_that_is_its_own_attributes_is_the_final_one(save: Any) -> None:
    result = save("foo.txt", lambda path: ItsOwnAttributes(path=path))
    assert (result["path"], result.path) == (save.tagged("foo.txt", None),) * 2
    assert vars(result) is result


class ReadOnly(dict[str, Any]):
    def update(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("read only")


def test_a_value_that_cannot_be_copied_is_returned_as_it_is_and_warned_of(
    save: Any, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = save("foo.txt", lambda path: ReadOnly(path=path))
    assert type(result) is ReadOnly
    assert (out / save.tagged("foo.txt", None)).read_text() == "good job"
    assert caplog.messages == [
        f"{save.__qualname__} wrote into a directory that is gone when the call ends, and something still uses it: "
        f"what it returned holds {result['path']}; close what is open, and return the path"
    ]


def test_a_list_that_contains_itself_is_returned(save: Any, out: pathlib.Path) -> None:
    items: list[Any] = []
    items += [items, items]
    assert save("foo.txt", lambda path: items) is items
    assert (out / save.tagged("foo.txt", None)).read_text() == "good job"


class LooksUp:
    """Like many a bunch of results: what is no attribute is looked up in a mapping."""

    def __init__(self, **values: Any) -> None:
        self.__dict__["values"] = values

    def __getattr__(self, name: str) -> Any:
        return self.__dict__["values"][name]


class LooksUpItems(dict[str, Any]):
    __getattr__ = dict.__getitem__


class AnswersAll:
    def __getattr__(self, name: str) -> str:
        return name


@dataclasses.dataclass
class Fitted:
    loss: float = dataclasses.field(init=False)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("fit first")


ODD_ATTRIBUTES = [LooksUp(loss=1.0), LooksUpItems(loss=1.0), AnswersAll(), Fitted()]


@pytest.mark.parametrize("value", ODD_ATTRIBUTES, ids=lambda value: type(value).__name__)
def test_an_object_that_looks_its_attributes_up_is_returned(
    value: object, save: Any, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert save("foo.txt", lambda path: value) is value
    assert (out / save.tagged("foo.txt", None)).read_text() == "good job"
    assert caplog.messages == []


@pytest.mark.parametrize("value", ODD_ATTRIBUTES, ids=lambda value: type(value).__name__)
def test_an_object_that_looks_its_attributes_up_is_named_where_nothing_is_written(
    value: object, save: Any, out: pathlib.Path
) -> None:
    with pytest.raises(ArtifactMissingError) as error:
        save("foo.txt", lambda path: value, writes=False)
    path = out / save.tagged("foo.txt", None)
    assert str(error.value) == (
        f"the function returned without writing {path}; it wrote nothing. It returned "
        f"test_returned.{type(value).__name__}. Write to the very path that is passed to it."
    )


def test_a_weak_proxy_of_what_is_gone_keeps_nothing_out_of_its_place(
    save: Any, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    holder = types.SimpleNamespace(parent=weakref.proxy(LooksUp()))
    assert save("foo.txt", lambda path: holder) is holder
    assert (out / save.tagged("foo.txt", None)).read_text() == "good job"
    assert caplog.messages == []


class Unmounted:
    """Like the path of a file system that is not there: it raises when it is asked which one it is."""

    def __fspath__(self) -> str:
        raise RuntimeError("mount it first")

    def __repr__(self) -> str:
        return "Unmounted()"


def test_a_path_that_cannot_say_where_it_leads_costs_no_artifact(repository: Repository, out: pathlib.Path) -> None:
    @Artifact("outpath", repo=repository.path, cache=True)
    def save(outpath: str) -> Any:
        pathlib.Path(outpath).write_text("good job")
        return Unmounted()

    with pytest.raises(TypeError) as error:
        save("foo.txt")
    assert str(error.value) == (
        f"{save.__qualname__} returned Unmounted(), which a later call could not return without running it; return "
        f"None or the path from a function with cache=True. What it wrote is complete: {save.tagged('foo.txt')}"
    )
    assert pathlib.Path(save.tagged("foo.txt")).read_text() == "good job"


ITSELF: list[Any] = []
ITSELF.append(ITSELF)


class Moved:
    """Like a query of duckdb: it is run when it is shown, and its file has moved."""

    def __repr__(self) -> str:
        raise OSError("no such file")


@pytest.mark.parametrize(
    ("value", "described"),
    [(Moved(), "test_returned.Moved"), ([0] * 1_000, "list"), (3, "3"), ("x" * 2_000, "str"), (ITSELF, "[[...]]")],
)
def test_a_value_that_cannot_be_shown_or_is_long_is_named_by_its_type(
    value: object, described: str, repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", repo=repository.path, cache=True, ignore="value")
    def make(outpath: str, value: object) -> Any:
        pathlib.Path(outpath).write_text("good job")
        return value

    path = make.tagged("foo.txt", value)
    with pytest.raises(TypeError) as error:
        make("foo.txt", value)
    assert str(error.value) == (
        f"{make.__qualname__} returned {described}, which a later call could not return without running it; return "
        f"None or the path from a function with cache=True. What it wrote is complete: {path}"
    )
