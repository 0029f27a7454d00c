"""What a message says to pass in place of a value without a form is typed here, and has one."""

from __future__ import annotations

import argparse
import ast
import asyncio
import collections
import concurrent.futures
import contextlib
import contextvars
import csv
import ctypes
import datetime
import decimal
import email.message
import functools
import inspect
import io
import itertools
import json
import logging
import mmap
import operator
import os
import pathlib
import queue
import random
import re
import socket
import sqlite3
import string
import subprocess
import sys
import tempfile
import threading
import types
import typing
import weakref
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyrepro import Artifact, ConfigError, canonical_json, to_json

IGNORE = "name it in ignore= if it does not change the artifact"


def remedy_for(value: object) -> str:
    with pytest.raises(ConfigError) as error:
        canonical_json({"value": value})
    assert error.value.place == "config['value']"
    return str(error.value).rpartition("; ")[2]


def typed(remedy: str, value: Any) -> Any:
    """What a remedy says to pass."""
    names = {"numpy": np, "os": os}
    if found := re.fullmatch(r"pass its (\..+?)(, or .+)?", remedy):
        return eval(f"value{found[1]}", names, {"value": value})
    if found := re.fullmatch(r"pass (.+)\(\) of it(, and .+)?", remedy):
        return eval(f"{found[1]}(value)", names, {"value": value})
    found = re.fullmatch(r"pass (\{.+\}|None)", remedy)
    assert found is not None, remedy
    return eval(found[1], names, {"value": value})


def numbers() -> Iterator[int]:
    yield from (1, 2)


class Message:
    """It has a method that is called like that of an estimator, but is not."""

    def get_params(self, header: str, failobj: object = None) -> None:
        raise AssertionError("is not called")

    def to_dict(self, orient: str) -> None:
        raise AssertionError("is not called")


class Learner:
    """As those of libraries that look like scikit-learn."""

    def get_params(self, deep: bool = True) -> dict[str, object]:
        return {"deep": deep, "rate": 0.5}


class AsPath(os.PathLike[str]):
    def __init__(self, name: str) -> None:
        self._name = name

    def __fspath__(self) -> str:
        return self._name


class Session:
    def close(self) -> None:
        pass


class _Private:
    pass


class Metres(np.ndarray[Any, Any]):
    units = "m"


class Quantity:
    unit = "km"
    value = 5.0

    def tolist(self) -> float:
        raise AssertionError("is not called")


TIMES = "pass numpy.datetime_as_string() of it"
DURATIONS = 'pass {"value": value.astype("int64"), "unit": numpy.datetime_data(value.dtype)}'

PASSED: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: json, "pass its .__name__", '"json"'),
    (lambda: type(None), "pass its .__qualname__", '"NoneType"'),
    (numbers, "pass list() of it", "[1,2]"),
    (lambda: map(str, [1]), "pass list() of it", '["1"]'),
    (lambda: zip("a", "b", strict=True), "pass list() of it", '[["a","b"]]'),
    (lambda: iter([1]), "pass list() of it", "[1]"),
    (lambda: enumerate("a"), "pass list() of it", '[[0,"a"]]'),
    (lambda: itertools.chain([1], [2]), "pass list() of it", "[1,2]"),
    (lambda: csv.reader(["a,b"]), "pass list() of it", '[["a","b"]]'),
    ({"b": 1, "a": 2}.keys, "pass list() of it", '["b","a"]'),
    ({"b": [1]}.values, "pass list() of it", "[[1]]"),
    ({"b": [1]}.items, "pass list() of it", '[["b",[1]]]'),
    (lambda: collections.UserDict(a=1).keys(), "pass list() of it", '["a"]'),
    (lambda: (ctypes.c_int * 2)(1, 2), "pass list() of it", "[1,2]"),
    (lambda: weakref.WeakSet([Learner]), "pass set() of it", f'["{__name__}:Learner"]'),
    (lambda: ctypes.c_int(3), "pass its .value", "3"),
    (lambda: datetime.timezone.utc, "pass its .utcoffset(None)", "0"),
    (lambda: datetime.timezone(datetime.timedelta(hours=1), "CET"), "pass its .utcoffset(None)", "3600"),
    (lambda: AsPath("a"), "pass os.fspath() of it", '"a"'),
    (pl.Int64, "pass str() of it", '"Int64"'),
    (lambda: pl.Datetime("us", "UTC"), "pass str() of it", """"Datetime(time_unit='us', time_zone='UTC')\""""),
    (lambda: np.ma.array([[1]]), "pass numpy.asarray() of it, and what it carries besides", "[[1]]"),
    (lambda: np.rec.array([(1,)]), "pass numpy.asarray() of it, and what it carries besides", ""),
    (lambda: np.array(["2026-01-02"], "M8[ns]"), TIMES, '["2026-01-02T00:00:00.000000000"]'),
    (lambda: np.datetime64("12026"), TIMES, '"12026"'),
    (lambda: np.array([5], "m8[ns]"), DURATIONS, '{"unit":["ns",1],"value":[5]}'),
    (lambda: np.array([5], "m8[M]"), DURATIONS, '{"unit":["M",1],"value":[5]}'),
    (lambda: np.timedelta64(5, "Y"), DURATIONS, '{"unit":["Y",1],"value":5}'),
    (lambda: pd.NaT, "pass None", "null"),
    (lambda: pd.Series([1, 2]), "pass its .to_dict(), or name it in inputs=", '{"0":1,"1":2}'),
    (lambda: pd.Index(["a"]), "pass its .tolist(), or name it in inputs=", '["a"]'),
    (lambda: pd.Categorical(["a"]), "pass its .tolist()", '["a"]'),
    (lambda: pd.array([1, 2]), "pass its .tolist()", "[1,2]"),
    (lambda: pd.Interval(0, 1), "pass str() of it", '"(0, 1]"'),
    (lambda: pd.Period("2026-01"), "pass str() of it", '"2026-01"'),
    (lambda: pd.offsets.Day(2), "pass str() of it", '"<2 * Days>"'),
    (pd.Int64Dtype, "pass str() of it", '"Int64"'),
    (pd.CategoricalDtype, "pass str() of it", '"category"'),
    (
        lambda: pd.CategoricalDtype(["a", "b"], ordered=True),
        'pass {"categories": value.categories.tolist(), "ordered": value.ordered}',
        '{"categories":["a","b"],"ordered":true}',
    ),
    (lambda: pl.DataFrame({"a": [1]}), "pass its .to_dict(as_series=False), or name it in inputs=", '{"a":[1]}'),
    (lambda: pl.LazyFrame({"a": [1]}), "pass its .collect().to_dict(as_series=False)", '{"a":[1]}'),
    (lambda: pl.Series([1]), "pass its .to_list(), or name it in inputs=", "[1]"),
    (
        Learner,
        f'pass {{"__class__": "{__name__}:Learner", **value.get_params(deep=False)}}',
        f'{{"__class__":"{__name__}:Learner","deep":false,"rate":0.5}}',
    ),
    (
        lambda: np.arange(2).view(Metres),
        'pass {"value": value.tolist(), "units": str(value.units)}',
        '{"units":"m","value":[0,1]}',
    ),
    (Quantity, 'pass {"value": value.value, "unit": str(value.unit)}', '{"unit":"km","value":5}'),
]


@pytest.mark.parametrize(("make", "remedy", "form"), PASSED)
def test_what_a_message_says_to_pass_has_a_form(make: Callable[[], Any], remedy: str, form: str) -> None:
    value = make()
    assert remedy_for(value) == remedy
    assert canonical_json(typed(remedy, value)).decode() == form or not form


def test_fields_that_are_passed_one_by_one_say_what_to_pass_themselves() -> None:
    records = np.zeros(1, [("n", "i4"), ("t", "M8[ns]")])
    assert remedy_for(records) == "pass its fields one by one"
    assert canonical_json(records["n"]) == b"[0]"
    assert remedy_for(records["t"]) == TIMES


def test_a_result_that_is_awaited_is_passed() -> None:
    async def read() -> int:
        return 3

    found = read()
    assert remedy_for(found) == "await it, and pass what it returns"
    assert canonical_json(asyncio.run(found)) == b"3"
    done: concurrent.futures.Future[int] = concurrent.futures.Future()
    done.set_result(3)
    assert remedy_for(done) == "pass its .result()"
    assert canonical_json(done.result()) == b"3"


@pytest.mark.parametrize(
    "make", [lambda: itertools.count(3), lambda: itertools.cycle("ab"), lambda: itertools.repeat(1)]
)
def test_what_never_ends_is_not_to_be_listed(make: Callable[[], Any]) -> None:
    assert remedy_for(make()) == "pass what it was made from"


@pytest.mark.parametrize(
    "make",
    [
        lambda: random.Random(3),
        lambda: np.random.default_rng(3),
        lambda: np.random.RandomState(3),
        lambda: np.random.PCG64(3),
        lambda: np.random.SeedSequence(3),
    ],
)
def test_of_a_generator_of_numbers_the_seed_is_to_be_passed(make: Callable[[], Any]) -> None:
    assert remedy_for(make()) == "pass the seed that it was made from"


HANDLES: list[Callable[[], Any]] = [
    threading.Lock,
    threading.RLock,
    threading.Event,
    threading.local,
    threading.Thread,
    socket.socket,
    lambda: sqlite3.connect(":memory:"),
    queue.Queue,
    queue.SimpleQueue,
    lambda: mmap.mmap(-1, 10),
    io.BytesIO,
    io.StringIO,
    lambda: logging.getLogger("a"),
    logging.StreamHandler,
    lambda: contextvars.ContextVar("a"),
    lambda: weakref.ref(Learner),
    concurrent.futures.ThreadPoolExecutor,
    tempfile.NamedTemporaryFile,
]


@pytest.mark.parametrize("make", HANDLES)
def test_what_stands_for_something_outside_is_to_be_ignored(
    make: Callable[[], Any], repository_once: Any, out: pathlib.Path
) -> None:
    value = make()
    with contextlib.closing(value) if hasattr(value, "close") else contextlib.nullcontext():
        assert remedy_for(value) == IGNORE

        @Artifact("outpath", config={"value": value, "rate": 1}, ignore="value", repo=repository_once.path)
        def save(outpath: str) -> str:
            return outpath

        assert save("foo") != "foo"


def test_a_process_is_to_be_ignored() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        assert remedy_for(process) == IGNORE


@pytest.mark.parametrize(
    "value",
    [
        object(),
        NotImplemented,
        ...,
        (lambda: 1).__code__,
        typing.Literal["a"],
        csv.writer(io.StringIO()),
        functools.lru_cache(Learner),
        Learner().get_params,
        functools.singledispatch(numbers),
    ],
)
def test_no_message_names_a_type_that_cannot_be_typed(value: object) -> None:
    assert remedy_for(value) == f"pass plain values, or {IGNORE}"


def test_what_an_installed_library_closes_may_be_ignored(out: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = out / "site-packages"
    installed.mkdir()
    (installed / "store.py").write_text("class Store:\n    def close(self):\n        pass\n")
    monkeypatch.syspath_prepend(installed)
    import store  # type: ignore[import-not-found]

    assert remedy_for(store.Store()) == f"pass plain values, or {IGNORE}"


@pytest.mark.parametrize(
    "value",
    [
        Message(),
        Session(),
        _Private(),
        email.message.Message(),
        re.match("a", "a"),
        string.Template("a"),
        operator.itemgetter(1),
        inspect.signature(numbers),
        ast.parse("1"),
        argparse.ArgumentParser(),
        decimal.Context(),
        np.poly1d([1]),
        ValueError("a"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_type_whose_name_can_be_typed_may_be_registered(value: Any) -> None:
    kind = type(value)
    assert (
        remedy_for(value) == f"pass plain values, or register the type with pyrepro.to_json.register({kind.__name__})"
    )
    names = {**vars(sys.modules[kind.__module__]), "pyrepro": types.SimpleNamespace(to_json=to_json)}
    assert callable(eval(f"pyrepro.to_json.register({kind.__name__})", names))


def test_a_type_whose_module_is_no_text_has_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    # As those of Cython's functions.
    kind = type("Function", (), {})
    kind.__module__ = property(lambda self: "compiled")  # type: ignore[assignment]
    assert remedy_for(kind()) == f"pass plain values, or {IGNORE}"


def test_a_subclass_of_tensors_is_passed_as_a_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tensor:
        def as_subclass(self, kind: type) -> Any:
            return kind()

    class Parameter(Tensor):
        pass

    torch: Any = ModuleType("torch")
    torch.Tensor = Tensor
    monkeypatch.setitem(sys.modules, "torch", torch)
    remedy = "pass .as_subclass(torch.Tensor) of it, and what it carries besides"
    assert remedy_for(Parameter()) == remedy
