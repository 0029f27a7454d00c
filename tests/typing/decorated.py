"""What a decorated function is to a type checker: checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any, NoReturn

from typing_extensions import assert_type

from pyrepro import (
    Artifact,
    CodeState,
    Differences,
    Record,
    Records,
    Reproduction,
    Tag,
    canonical_json,
    code_state,
    config_hash,
    file_hash,
    find,
    read_record,
    records,
    remove,
    reproduce,
    tag,
    unused,
)


@Artifact("outpath", config={"lr": 0.1}, allow_dirty=True)
def save(data: list[int], outpath: str, *, lr: float = 0.1) -> int:
    return len(data)


assert_type(save([1], "foo", lr=0.2), int)
assert_type(save([1], outpath="foo"), int)
assert_type(save.code_state, CodeState | None)
assert_type(save.tagged(outpath="foo"), Any)
as_tagged: Callable[[list[int], str], Any] = save.tagged
assert_type(save.refresh([1], "foo", lr=0.2), int)
save.refresh("no list", "foo")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(save.__wrapped__([1], "foo"), int)
save("no list", "foo")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
save([1])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
save.gone  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportExpressionIssue]  # noqa: B018


@Artifact(["table", "plot"], config=dict, inputs="raw", ignore=("workers",), repo=Path())
async def several(raw: Path, table: Path, plot: Path | None = None, workers: int = 1) -> str:
    return "done"


async def use() -> None:
    assert_type(await several(Path(), Path()), str)
    as_coroutine: Coroutine[Any, Any, str] = several(Path(), Path())
    await as_coroutine


@Artifact("outpath")
def generator(outpath: str) -> Generator[int, str, bytes]:
    yield 1
    return b""


assert_type(generator("foo"), Generator[int, str, bytes])


@Artifact("outpath")
async def async_generator(outpath: str) -> AsyncGenerator[int, str]:
    yield 1


assert_type(async_generator("foo"), AsyncGenerator[int, str])


@Artifact("outpath", cache=True)
def cached(outpath: Path) -> None:
    outpath.touch()


@Artifact(["table", "plot"], config=dict, cache=True)
async def cached_coroutine(table: Path, plot: Path) -> None:
    table.touch()


@Artifact("outpath", atomic=True, cache=True)
def cached_path(outpath: str) -> str:
    return outpath


@Artifact(["table", "plot"], cache=True)
async def cached_paths(table: str, plot: Path | None) -> tuple[str, Path | None]:
    return table, plot


@Artifact("outpath", cache=True)
def cached_unknown(outpath: str) -> Any:
    return outpath


@Artifact("outpath", cache=True)
def never(outpath: str) -> NoReturn:
    raise NotImplementedError


def value(outpath: str) -> float:
    return 0.1


async def later_value(outpath: str) -> list[float]:
    return [0.1]


Artifact("outpath", cache=True)(value)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
Artifact("outpath", cache=True)(later_value)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
assert_type(Artifact("outpath", atomic=True)(value)("foo"), float)
Artifact(value)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


@Artifact("outpath", atomic=True)
def atomic(outpath: str) -> None:
    return None


async def use_cached() -> None:
    assert_type(cached(Path()), Any)
    assert_type(await cached_coroutine(Path(), Path()), Any)
    assert_type(cached_path("foo"), str)
    assert_type(await cached_paths("foo", None), tuple[str, Path | None])
    assert_type(cached_unknown("foo"), Any)
    assert_type(atomic("foo"), None)


class Model:
    @Artifact("outpath", config=lambda call: call["self"])
    def save(self, outpath: str, lr: float = 0.1) -> Path:
        return Path(outpath)

    @classmethod
    @Artifact("outpath")
    def make(cls, outpath: str) -> bytes:
        return b""

    @staticmethod
    @Artifact("outpath")
    def copy(outpath: str) -> int:
        return 1


model = Model()
assert_type(model.save("foo", lr=0.2), Path)
assert_type(Model.save(model, "foo"), Path)
assert_type(model.save.tagged(model, outpath="foo"), Any)
assert_type(Model.copy("foo"), int)
model.save(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

as_callable: Callable[[str], Generator[int, str, bytes]] = generator

assert_type(tag({"lr": 0.1}, allow_dirty=True, repo="."), Tag)
assert_type(tag().put("foo"), str)
assert_type(tag().put(Path("foo")), Path)
assert_type(tag().put(None), None)
assert_type(Tag.from_path(b"foo"), Tag)
assert_type(find(Path("foo"), {"lr": 0.1}), list[Path])
assert_type(find("foo"), list[str])
assert_type(find("foo", where={"lr": 0.1}, dirty=False), list[str])
assert_type(records("out/"), Records)
assert_type(records(Path("out"))[0], Record)
assert_type(records(b"out")[:2], Records)
assert_type(read_record("foo").differences(read_record("bar")), Differences)
assert_type(remove("foo"), list[str])
assert_type(remove([Path("foo")]), list[Path])
assert_type(unused(Path("out"), keep=2, repo="."), list[Path])
assert_type(code_state(), CodeState)
assert_type(config_hash([1]), str)
assert_type(canonical_json({}), bytes)
assert_type(file_hash(Path("foo")), str)
assert_type(read_record("foo"), Record)
assert_type(read_record(Path("foo")).matches(read_record(b"foo")), bool)
assert_type(reproduce("foo", repo=Path()), Reproduction)
assert_type(reproduce("foo").same, bool)
