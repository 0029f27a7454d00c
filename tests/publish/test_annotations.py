"""A cached function that is annotated to return a value of its own is refused where it is decorated."""

from __future__ import annotations

import os
import pathlib
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    NewType,
    NoReturn,
    Protocol,
    TypedDict,
    TypeVar,
)

import pytest
from conftest import Repository

from pyrepro import Artifact

if TYPE_CHECKING:
    from nowhere import Gone

T = TypeVar("T")
Identifier = NewType("Identifier", str)
Loss = NewType("Loss", float)


class Metrics(NamedTuple):
    loss: float


class Outputs(NamedTuple):
    table: pathlib.Path
    plots: list[str]


class Unknown(NamedTuple):
    table: Gone


class Report(TypedDict):
    loss: float


class Model:
    pass


class Named:
    def with_name(self, name: str) -> Named:
        raise AssertionError("is not called")


class Writer(Protocol):
    def write(self) -> None: ...


def returning(annotation: Any) -> Callable[[str], Any]:
    def save(outpath: str) -> None:
        pathlib.Path(outpath).touch()

    save.__annotations__["return"] = annotation
    return save


ACCEPTED = [
    None,
    "None",
    str,
    bytes,
    "str",
    pathlib.Path,
    "pathlib.Path",
    pathlib.PurePosixPath,
    os.PathLike,
    os.PathLike[str],
    Named,
    object,
    Any,
    "Any",
    NoReturn,
    T,
    Identifier,
    Writer,
    "Gone",
    "Gone | float",
    "not python",
    typing.Optional[str],  # noqa: UP045
    "str | None",
    "pathlib.Path | str",
    list,
    dict,
    tuple,
    list[str],
    list["str"],
    tuple[str, ...],
    tuple[pathlib.Path, str | None],
    dict[str, pathlib.Path],
    Sequence[str],
    Iterable[str],
    Mapping[str, str],
    Outputs,
    Unknown,
    Literal["a"],
    typing.Annotated[str, 3],
]


@pytest.mark.parametrize("annotation", ACCEPTED, ids=str)
def test_what_may_be_none_or_paths_is_accepted(annotation: Any, repository: Repository) -> None:
    Artifact("outpath", repo=repository.path, cache=True)(returning(annotation))


REFUSED = [
    float,
    "float",
    bool,
    typing.Optional[float],  # noqa: UP045
    "float | None",
    "pathlib.Path | int",
    list[float],
    tuple[str, float],
    dict[str, float],
    Mapping[str, float],
    set[str],
    Callable[[], None],
    Loss,
    Model,
    "Model",
    Metrics,
    Report,
    Literal[3],
    typing.Annotated[float, 3],
]


@pytest.mark.parametrize("annotation", REFUSED, ids=str)
def test_a_value_is_refused_at_the_decoration(annotation: Any) -> None:
    with pytest.raises(TypeError) as error:
        Artifact("outpath", cache=True)(returning(annotation))
    assert str(error.value).startswith("returning.<locals>.save is annotated to return ")


def test_the_refusal_says_what_to_return() -> None:
    def train(outpath: str) -> float:
        raise AssertionError("is not called")

    with pytest.raises(TypeError) as error:
        Artifact("outpath", cache=True)(train)  # type: ignore[arg-type]
    assert str(error.value) == (
        f"{train.__qualname__} is annotated to return float, which a call with Artifact cache=True could not return "
        f"without running it; return None or the path, and write the value to the artifact"
    )


def test_the_value_of_a_coroutine_function_is_refused_too() -> None:
    async def train(outpath: str) -> float:
        raise AssertionError("is not called")

    with pytest.raises(TypeError, match="is annotated to return float"):
        Artifact("outpath", cache=True)(train)  # type: ignore[arg-type]


def test_what_nothing_is_said_of_is_accepted(repository: Repository) -> None:
    def train(outpath):  # type: ignore[no-untyped-def]
        raise AssertionError("is not called")

    Artifact("outpath", repo=repository.path, cache=True)(train)


def test_a_function_whose_calls_run_may_return_any_value(repository: Repository) -> None:
    def train(outpath: str) -> float:
        raise AssertionError("is not called")

    Artifact("outpath", repo=repository.path, atomic=True)(train)
