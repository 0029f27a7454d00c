"""What a method does depends on the class of its object, so that a configuration of the arguments holds it."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import json
import pathlib
import types
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import msgspec
import pydantic
import pytest
import sklearn.base
from conftest import Repository

from pyrepro import Artifact, config_hash, to_json

HERE = __name__


class Pairs(Mapping[str, int]):
    def __init__(self, items: Any) -> None:
        self._items = dict(items)

    def __getitem__(self, key: str) -> int:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


class Items(Sequence[int]):
    def __init__(self, items: Any) -> None:
        self._items = [*items]

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


class Registered:
    def __init__(self, rate: float) -> None:
        self.rate = rate


to_json.register(Registered)(lambda value: {"__class__": "Registered", "rate": value.rate})


class Bare:
    def __init__(self, rate: float) -> None:
        self.rate = rate


to_json.register(Bare)(lambda value: value.rate)


@dataclasses.dataclass
class Data:
    rate: float


@attrs.define
class Defined:
    rate: float


class Model(pydantic.BaseModel):
    rate: float

    def __init__(self, rate: float) -> None:
        super().__init__(rate=rate)


class Struct(msgspec.Struct):
    rate: float


Pair = collections.namedtuple("Pair", "rate")


class Estimator(sklearn.base.BaseEstimator):  # type: ignore[misc]
    def __init__(self, rate: float = 1) -> None:
        self.rate = rate


SILENT: list[tuple[type, Any]] = [
    (dict, {"a": 1}),
    (collections.OrderedDict, {"a": 1}),
    (collections.Counter, {"a": 1}),
    (collections.UserDict, {"a": 1}),
    (Pairs, {"a": 1}),
    (types.SimpleNamespace, None),
    (argparse.Namespace, None),
    (list, [1]),
    (tuple, [1]),
    (collections.deque, [1]),
    (Items, [1]),
    (set, [1]),
    (frozenset, [1]),
    (str, "a"),
    (collections.UserString, "a"),
    (bytes, b"a"),
    (bytearray, b"a"),
    (int, 1),
    (float, 0.5),
    (decimal.Decimal, "0.5"),
    (fractions.Fraction, "1/2"),
    (datetime.timedelta, 1),
    (functools.partial, print),
    (type(pathlib.Path()), "a"),
    (uuid.UUID, "12345678123456781234567812345678"),
    (Registered, 0.5),
    (Bare, 0.5),
]

SAYING = [Data, Defined, Model, Struct, Pair, Estimator]


def classes(base: type, repository: Repository, **options: Any) -> tuple[Any, Any, Any]:
    """A class with a method that writes what the class is called, and two that inherit it."""

    class Step(base):  # type: ignore[misc]
        @Artifact("outpath", repo=repository.path, **({"config": dict, "cache": True} | options))
        def save(self, outpath: str) -> None:
            pathlib.Path(outpath).write_text(type(self).__name__)

    class Clean(Step):
        pass

    class Join(Step):
        pass

    return Step, Clean, Join


def made(kind: Any, argument: Any) -> Any:
    return kind() if argument is None else kind(argument)


@pytest.mark.parametrize(("base", "argument"), SILENT, ids=lambda value: getattr(value, "__name__", ""))
def test_two_classes_that_inherit_a_method_make_two_artifacts(
    base: type, argument: Any, repository: Repository, out: pathlib.Path
) -> None:
    paths = [made(kind, argument).save("foo") for kind in classes(base, repository)]
    assert [pathlib.Path(path).read_text() for path in paths] == ["Step", "Clean", "Join"]


@pytest.mark.parametrize("kind", [(enum.Enum,), (enum.IntEnum,), (str, enum.Enum), (enum.Flag,), (enum.IntFlag,)])
def test_members_of_two_enumerations_that_inherit_a_method_make_two_artifacts(
    kind: Any, repository: Repository, out: pathlib.Path
) -> None:
    class Step(*kind):  # type: ignore[misc]
        @Artifact("outpath", config=dict, cache=True, repo=repository.path)
        def save(self, outpath: str) -> None:
            pathlib.Path(outpath).write_text(repr(self))

    clean = Step("Clean", {"FAST": 1 if int in kind[0].__mro__ or kind[0] is enum.Flag else "1"})  # type: ignore[call-arg]
    join = Step("Join", {"FAST": clean.FAST.value})  # type: ignore[attr-defined,call-arg]
    members = [clean.FAST, join.FAST]  # type: ignore[attr-defined]
    assert [pathlib.Path(member.save("foo")).read_text() for member in members] == [*map(repr, members)]
    assert members[0].save("foo") == members[0].save("foo")


@pytest.mark.parametrize(("base", "argument"), SILENT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_method_of_the_class_itself_has_the_name_of_its_arguments(
    base: type, argument: Any, repository: Repository, out: pathlib.Path, name: Callable[..., str]
) -> None:
    step = made(classes(base, repository)[0], argument)
    assert step.save("foo") == f"foo-{name(self=step)}"


@pytest.mark.parametrize("base", SAYING)
def test_an_inherited_method_has_the_name_of_its_arguments_where_these_say_the_class(
    base: type, repository: Repository, out: pathlib.Path, name: Callable[..., str]
) -> None:
    objects = [kind(rate=0.5) for kind in classes(base, repository)]
    assert [one.save("foo") for one in objects] == [f"foo-{name(self=one)}" for one in objects]
    assert len({one.save("foo") for one in objects}) == 3


def test_the_class_stands_where_that_of_an_object_with_fields_does(
    repository: Repository, out: pathlib.Path, name: Callable[..., str]
) -> None:
    def said(value: Any) -> Any:
        return {"__class__": f"{HERE}:classes.<locals>.Clean", **value}

    of_pairs, of_text, of_registered = (
        classes(base, repository)[1](argument).save("foo")
        for base, argument in ((dict, {"a": 1}), (str, "a"), (Registered, 0.5))
    )
    assert of_pairs == f"foo-{name(self=said({'a': 1}))}"
    assert of_text == f"foo-{name(self=said({'value': 'a'}))}"
    assert of_registered == f"foo-{name(self=said({'value': {'__class__': 'Registered', 'rate': 0.5}}))}"


@pytest.mark.parametrize(
    ("config", "form"),
    [
        (lambda call: call, lambda said: {"self": said}),
        (lambda call: {"step": call["self"], "rate": 1}, lambda said: {"step": said, "rate": 1}),
        (lambda call: call["self"], lambda said: said),
        (lambda call: {"a": call["self"]["a"]}, lambda said: {"a": 1}),
        (lambda call: [call["self"]["a"], b""], lambda said: [1, b""]),
    ],
)
def test_a_function_of_the_arguments_that_passes_the_object_passes_its_class(
    config: Any, form: Any, repository: Repository, out: pathlib.Path, name: Callable[..., str]
) -> None:
    path = classes(dict, repository, config=config)[1]({"a": 1}).save("foo")
    assert path == f"foo-{name(form({'__class__': f'{HERE}:classes.<locals>.Clean', 'a': 1}))}"


def test_a_function_that_two_classes_take_as_a_method_makes_two_artifacts(
    repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", config=dict, cache=True, repo=repository.path)
    def save(self: object, outpath: str) -> None:
        pathlib.Path(outpath).write_text(type(self).__name__)

    kinds = [type(name, (str,), {"save": save}) for name in ("Clean", "Join")]
    assert [pathlib.Path(kind("a").save("foo")).read_text() for kind in kinds] == ["Clean", "Join"]


@pytest.mark.parametrize("argument", [{"a": 1}, [1], "a", 1])
def test_a_plain_value_called_self_is_its_value(
    argument: object, repository: Repository, out: pathlib.Path, name: Callable[..., str]
) -> None:
    @Artifact("outpath", config=dict, repo=repository.path)
    def save(self: object, outpath: str) -> str:
        return outpath

    assert save(argument, "foo") == f"foo-{name(self=argument)}"


def test_a_class_method_says_its_class_itself(
    repository: Repository, out: pathlib.Path, name: Callable[..., str]
) -> None:
    @Artifact("outpath", config=dict, repo=repository.path)
    def save(cls: Any, outpath: str) -> str:
        return outpath

    assert [save(kind, "foo") for kind in (Whole, Part)] == [f"foo-{name(cls=kind)}" for kind in (Whole, Part)]


class Whole:
    pass


class Part(Whole):
    pass


@pytest.mark.parametrize("options", [{"ignore": "self"}, {"config": lambda call: {"rate": 0.5}}])
def test_what_the_configuration_does_not_read_is_no_part_of_it(
    options: dict[str, Any], repository: Repository, out: pathlib.Path, name: Callable[..., str]
) -> None:
    expected = {"rate": 0.5} if "config" in options else {}
    for kind in classes(dict, repository, **options):
        assert kind({"a": 1}).save("foo") == f"foo-{name(expected)}"


def test_an_input_of_an_object_stands_beside_its_class(
    repository: Repository, out: pathlib.Path, name: Callable[..., str]
) -> None:
    pathlib.Path("raw.csv").write_text("1")
    step = classes(dict, repository, inputs="self.data", ignore="self.workers")[1]
    path = step({"data": "raw.csv", "workers": 3, "rate": 0.5}).save("foo")
    content = "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    said = {"__class__": f"{HERE}:classes.<locals>.Clean", "data": content, "rate": 0.5}
    assert path == f"foo-{name(self=said)}"
    assert config_hash(json.loads(json.dumps(said))) == config_hash(said)


def test_an_object_that_is_an_input_counts_by_its_content(
    repository: Repository, out: pathlib.Path, name: Callable[..., str]
) -> None:
    pathlib.Path("raw.csv").write_text("1")
    content = "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    for kind in classes(str, repository, inputs="self"):
        assert kind("raw.csv").save("foo") == f"foo-{name(self=content)}"
