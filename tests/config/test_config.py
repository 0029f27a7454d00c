"""A configuration has one JSON form, and a value without one is refused with its place."""

from __future__ import annotations

import argparse
import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import ipaddress
import json
import logging
import math
import pathlib
import random
import re
import subprocess
import sys
import types
import uuid
import zoneinfo
from typing import Any

import absl.flags
import attrs
import ml_collections
import msgspec
import numpy as np
import omegaconf
import pandas as pd
import polars as pl
import pydantic
import pydantic.v1
import pytest
import sklearn.linear_model
from conftest import posix_only

from pyrepro import CodeState, ConfigError, Tag, canonical_json, config_hash, to_json


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Word(str, enum.Enum):
    YES = "yes"


@dataclasses.dataclass
class SGD:
    lr: float
    steps: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Adam:
    lr: float
    steps: list[int] = dataclasses.field(default_factory=list)


@attrs.define
class Attrs:
    lr: float
    _seed: int = 3


class Model(pydantic.BaseModel):
    lr: float
    name: str = "n"

    @functools.cached_property
    def slow(self) -> int:
        return 1


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    lr: float


class OldModel(pydantic.v1.BaseModel):
    lr: float


class Struct(msgspec.Struct):
    lr: float


class Text(str):
    def __str__(self) -> str:
        return "not the text"


class Number(int):
    def __int__(self) -> int:
        return 0


class Share(float):
    def __float__(self) -> float:
        return 0.0


class WithUnit(float):
    def __new__(cls, number: float, unit: str) -> WithUnit:
        made = super().__new__(cls, number)
        made.unit = unit
        return made

    unit: str


class Coded(int):
    def __new__(cls, number: int, unit: str) -> Coded:
        made = super().__new__(cls, number)
        made.unit = unit
        return made

    unit: str


Point = collections.namedtuple("Point", "x y")


class Outer:
    class Inner:
        pass

    @classmethod
    def make(cls) -> None:
        """Make nothing."""

    def method(self) -> None:
        """Do nothing."""


def function() -> None:
    """Do nothing."""


HERE = __name__

ROWS: list[tuple[str, Any, str]] = [
    ("None", None, "null"),
    ("true", True, "true"),
    ("false", False, "false"),
    ("an Enum is its value", Color.RED, '"red"'),
    ("an IntEnum is its value", Level.LOW, "1"),
    ("a str Enum is its value", Word.YES, '"yes"'),
    ("a clean CodeState is its text", CodeState("a" * 40), f'"{"a" * 40}"'),
    ("a dirty CodeState is its text", CodeState("a" * 40, "b" * 64), f'"{"a" * 40}-dirty-{"b" * 64}"'),
    ("a Tag is its text", Tag("a" * 12, None, "b" * 12), f'"{"a" * 12}-{"b" * 12}"'),
    ("a pandas Timestamp is a date", pd.Timestamp("2026-01-02T03:04:05.123456789"), '"2026-01-02T03:04:05.123456789"'),
    ("a pandas Timedelta is a timedelta", pd.Timedelta("1.5s"), "1.5"),
    ("a pandas Timedelta of nanoseconds", pd.Timedelta(1, "ns"), "1e-9"),
    ("bytes", b"\x00\xff", '"AP8="'),
    ("bytearray", bytearray(b"ab"), '"YWI="'),
    ("memoryview", memoryview(b"ab"), '"YWI="'),
    ("a NumPy array", np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
    ("a NumPy float", np.float64(0.5), "0.5"),
    ("a NumPy float32", np.float32(0.5), "0.5"),
    ("a NumPy integer", np.int64(3), "3"),
    ("a NumPy bool", np.bool_(True), "true"),
    ("a NumPy str", np.str_("a"), '"a"'),
    ("a NumPy datetime of microseconds", np.datetime64("2026-01-02T03:04:05", "us"), '"2026-01-02T03:04:05"'),
    ("a NumPy day", np.datetime64("2026-01-02"), '"2026-01-02"'),
    ("a NumPy array of objects", np.array([{"a": 1}, None], dtype=object), '[{"a":1},null]'),
    (
        "NumPy records",
        np.array([(1, "a")], dtype=[("n", "i4"), ("s", "U1")]),
        '{"__class__":"numpy:ndarray","dtype":[["n","<i4"],["s","<U1"]],"shape":[1],"values":[[1,"a"]]}',
    ),
    (
        "a NumPy record",
        np.array((1, "a"), dtype=[("n", "i4"), ("s", "U1")])[()],
        '{"__class__":"numpy:ndarray","dtype":[["n","<i4"],["s","<U1"]],"shape":[],"values":[1,"a"]}',
    ),
    ("an array.array", array.array("i", [1, 2]), "[1,2]"),
    ("str", 'é\u2028\x00"', '"é\u2028\\u0000\\""'),
    ("a subclass of str is its text", Text("a"), '"a"'),
    ("a UserString is its text", collections.UserString("ab"), '"ab"'),
    ("int", 3, "3"),
    ("a subclass of int is its number", Number(3), "3"),
    ("float", 0.1, "0.1"),
    ("a subclass of float is its number", Share(0.5), "0.5"),
    ("a small float", 1e-7, "1e-7"),
    ("a whole float is an integer", 1.0, "1"),
    ("minus zero is zero", -0.0, "0"),
    ("the largest safe integer", 2**53 - 1, "9007199254740991"),
    ("an integer beyond it is its digits", 2**53, '"9007199254740992"'),
    ("a negative integer beyond it", -(2**53), '"-9007199254740992"'),
    ("a 128-bit seed", 2**128 - 1, '"340282366920938463463374607431768211455"'),
    ("a whole float beyond it is its digits", 1e21, '"1000000000000000000000"'),
    ("NaN", math.nan, '"NaN"'),
    ("infinity", math.inf, '"Infinity"'),
    ("minus infinity", -math.inf, '"-Infinity"'),
    ("a NumPy dtype", np.dtype("<f4"), '"float32"'),
    ("a zone", zoneinfo.ZoneInfo("Europe/Zurich"), '"Europe/Zurich"'),
    ("an IP address", ipaddress.ip_address("192.0.2.1"), '"192.0.2.1"'),
    ("an IP network", ipaddress.ip_network("2001:db8::/32"), '"2001:db8::/32"'),
    (
        "a pydantic URL",
        pydantic.TypeAdapter(pydantic.HttpUrl).validate_python("http://a.example"),
        '"http://a.example/"',
    ),
    ("a dataclass", SGD(0.1, [1]), f'{{"__class__":"{HERE}:SGD","lr":0.1,"steps":[1]}}'),
    ("an attrs instance", Attrs(0.1), f'{{"__class__":"{HERE}:Attrs","_seed":3,"lr":0.1}}'),
    ("a pydantic model", Model(lr=0.1), f'{{"__class__":"{HERE}:Model","lr":0.1,"name":"n"}}'),
    ("a pydantic model with more fields", Open(lr=0.1, more=2), f'{{"__class__":"{HERE}:Open","lr":0.1,"more":2}}'),
    ("a pydantic 1 model", OldModel(lr=0.1), f'{{"__class__":"{HERE}:OldModel","lr":0.1}}'),
    ("a named tuple", Point(1, 2), f'{{"__class__":"{HERE}:Point","x":1,"y":2}}'),
    ("a msgspec struct", Struct(0.1), f'{{"__class__":"{HERE}:Struct","lr":0.1}}'),
    (
        "a scikit-learn estimator",
        sklearn.linear_model.Ridge(alpha=2.0),
        '{"__class__":"sklearn.linear_model:Ridge","alpha":2,"copy_X":true,"fit_intercept":true,"max_iter":null,'
        '"positive":false,"random_state":null,"solver":"auto","tol":0.0001}',
    ),
    ("an argparse.Namespace", argparse.Namespace(lr=0.1, a=[1]), '{"a":[1],"lr":0.1}'),
    ("a SimpleNamespace", types.SimpleNamespace(lr=0.1), '{"lr":0.1}'),
    ("an OmegaConf dict", omegaconf.OmegaConf.create({"a": 1, "b": "${a}"}), '{"a":1,"b":1}'),
    ("an OmegaConf list", omegaconf.OmegaConf.create([1, {"a": 2}]), '[1,{"a":2}]'),
    ("an OmegaConf value", omegaconf.StringNode("a"), '"a"'),
    ("a dict, its keys sorted", {"b": 1, "a": {"d": 2, "c": 3}}, '{"a":{"c":3,"d":2},"b":1}'),
    ("keys in the order of UTF-16", {"\U0001f600": 1, "\ufb33": 2}, '{"\U0001f600":1,"\ufb33":2}'),
    (
        "an ml_collections ConfigDict",
        ml_collections.ConfigDict({"lr": 0.1, "model": {"units": ml_collections.FieldReference(3)}}),
        '{"lr":0.1,"model":{"units":3}}',
    ),
    ("an OrderedDict", collections.OrderedDict(b=1, a=2), '{"a":2,"b":1}'),
    ("a mappingproxy", types.MappingProxyType({"a": 1}), '{"a":1}'),
    ("int keys", {1: "a"}, '{"1":"a"}'),
    ("float keys", {0.5: "a", math.nan: "b"}, '{"0.5":"a","NaN":"b"}'),
    ("bool and None keys", {True: "a", None: "b"}, '{"null":"b","true":"a"}'),
    ("str Enum keys are their text", {Word.YES: 1}, '{"yes":1}'),
    ("a list", [1, "a", None], '[1,"a",null]'),
    ("a tuple", (1, 2), "[1,2]"),
    ("a slice", slice(1, None, 2), '{"__class__":"builtins:slice","start":1,"step":2,"stop":null}'),
    ("a pattern", re.compile("a+", re.I), '{"__class__":"re:Pattern","flags":34,"pattern":"a+"}'),
    ("a range", range(3), "[0,1,2]"),
    ("a deque", collections.deque([1, 2]), "[1,2]"),
    ("a set, sorted by canonical form", {10, 9, "a"}, '["a",10,9]'),
    ("a frozenset", frozenset({(2,), (1,)}), "[[1],[2]]"),
    ("a POSIX path", pathlib.PurePosixPath("a/b"), '"a/b"'),
    ("a Windows path", pathlib.PureWindowsPath("a\\b"), '"a/b"'),
    ("a date", datetime.date(2026, 1, 2), '"2026-01-02"'),
    ("a time", datetime.time(3, 4), '"03:04:00"'),
    ("a datetime", datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), '"2026-01-02T00:00:00+00:00"'),
    ("a timedelta", datetime.timedelta(days=1, milliseconds=1), "86400.001"),
    ("a whole timedelta", datetime.timedelta(minutes=-1), "-60"),
    ("a small negative timedelta", datetime.timedelta(microseconds=-1), "-0.000001"),
    ("the longest timedelta", datetime.timedelta.max, '"86399999999999.999999"'),
    ("the shortest timedelta", datetime.timedelta.min + datetime.timedelta.resolution, '"-86399999913599.999999"'),
    ("a Decimal", decimal.Decimal("1.50"), '"1.50"'),
    ("a Fraction", fractions.Fraction(1, 3), '"1/3"'),
    ("a UUID", uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    ("a function", function, f'"{HERE}:function"'),
    ("a class", SGD, f'"{HERE}:SGD"'),
    ("a nested class", Outer.Inner, f'"{HERE}:Outer.Inner"'),
    ("a class method", Outer.make, f'"{HERE}:Outer.make"'),
    ("an unbound method", Outer.method, f'"{HERE}:Outer.method"'),
    ("a builtin", len, '"builtins:len"'),
    ("a builtin class", int, '"builtins:int"'),
    ("a function of a C module", math.sin, '"math:sin"'),
    ("a ufunc", np.sin, '"numpy:sin"'),
    ("a NumPy function", np.mean, '"numpy:mean"'),
    ("a NumPy class", np.float32, '"numpy:float32"'),
    ("a pandas function", pd.read_csv, '"pandas:read_csv"'),
    ("a partial", functools.partial(math.pow, 2.0, y=3), '{"args":[2],"func":"math:pow","keywords":{"y":3}}'),
]


@pytest.mark.parametrize(("value", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_row_of_the_table_has_its_json_form(value: Any, expected: str) -> None:
    text = canonical_json(value).decode()
    assert text == expected
    assert canonical_json(json.loads(text)).decode() == expected


@pytest.mark.parametrize("value", [row[1] for row in ROWS], ids=[row[0] for row in ROWS])
def test_the_hash_is_the_sha_256_of_the_canonical_json(value: Any) -> None:
    assert config_hash(value) == hashlib.sha256(canonical_json(value)).hexdigest()


def test_the_hash_of_an_empty_configuration_can_be_checked_by_hand() -> None:
    assert config_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_two_classes_with_the_same_fields_differ() -> None:
    assert config_hash(SGD(lr=0.1)) != config_hash(Adam(lr=0.1))


def test_a_cached_property_of_a_pydantic_model_is_not_configuration() -> None:
    model = Model(lr=0.1)
    before = canonical_json(model)
    assert model.slow == 1
    assert canonical_json(model) == before


class Unknown:
    def __repr__(self) -> str:
        return "<unknown>"


class Broken:
    def __repr__(self) -> str:
        raise ValueError("no text")


class Sheet:
    def tolist(self) -> list[int]:
        return [1]

    def __repr__(self) -> str:
        return "<sheet>"


class Quantity(Sheet):
    magnitude = 5.0
    unit = "km"


class Settings:
    def to_dict(self) -> dict[str, int]:
        return {"a": 1}

    def __repr__(self) -> str:
        return "<settings>"


class Learner:
    def get_params(self, deep: bool = True) -> dict[str, int]:
        return {"a": 1}

    def __repr__(self) -> str:
        return "<learner>"


class Metres(np.ndarray[Any, Any]):
    units = "m"

    def __new__(cls, values: list[float]) -> Metres:
        return np.asarray(values).view(cls)


@dataclasses.dataclass
class Unset:
    a: int = dataclasses.field(init=False)


def local() -> Any:
    def inner() -> None:
        """Do nothing."""

    return inner


def of_main(name: str) -> Any:
    made = types.FunctionType(compile("0", "x.py", "eval"), {})
    made.__name__ = made.__qualname__ = "steps"
    made.__module__ = name
    return made


NO_FORM = "which has no stable JSON form"
REGISTER = f"{NO_FORM}; pass plain values, or register the type with pyrepro.to_json.register"
NO_NAME = f"{NO_FORM}; pass plain values, or name it in ignore= if it does not change the artifact"
FRAME = "which is data, not configuration; pass its .to_dict(), or name it in inputs="
BARE = "whose tolist() is a bare number"
DURATION = f'{BARE}; pass {{"value": value.astype("int64"), "unit": numpy.datetime_data(value.dtype)}}'
KEYS = "use str, int, float, bool or None as keys"
NO_TEXT = "which holds a lone surrogate and is not Unicode text; pass bytes instead"

REFUSED: list[Any] = [
    (Unknown(), f"config is <unknown> of type {HERE}.Unknown, {REGISTER}(Unknown)"),
    (Broken(), f"config is <repr failed: no text> of type {HERE}.Broken, {REGISTER}(Broken)"),
    ({"model": {"act": [1, 2, 1j]}}, f"config['model']['act'][2] is 1j of type builtins.complex, {REGISTER}(complex)"),
    ([{1: 1j}], f"config[0][1] is 1j of type builtins.complex, {REGISTER}(complex)"),
    (SGD(0.1, [1j]), f"config.steps[0] is 1j of type builtins.complex, {REGISTER}(complex)"),  # type: ignore[list-item]
    (types.SimpleNamespace(a=1j), f"config.a is 1j of type builtins.complex, {REGISTER}(complex)"),
    ({1j}, f"config<element> is 1j of type builtins.complex, {REGISTER}(complex)"),
    (functools.partial(len, 1j), f"config.args[0] is 1j of type builtins.complex, {REGISTER}(complex)"),
    ({"a": 1}.keys(), f"config is dict_keys(['a']) of type builtins.dict_keys, {NO_FORM}; pass list() of it"),
    (list[int], f"config is list[int] of type types.GenericAlias, {REGISTER}(GenericAlias)"),
    (math, f"config is {{value}} of type builtins.module, {NO_FORM}; pass its .__name__"),
    (
        WithUnit(5.0, "km"),
        f"config is 5.0 of type {HERE}.WithUnit, which carries more than its number; "
        'pass {"value": float(value), "unit": value.unit}',
    ),
    (
        Coded(5, "km"),
        f"config is 5 of type {HERE}.Coded, which carries more than its number; "
        'pass {"value": int(value), "unit": value.unit}',
    ),
    ([pd.DataFrame()], f"config[0] is {pd.DataFrame.__module__}.DataFrame, {FRAME}"),
    ({"s": pd.Series([1])}, f"config['s'] is {pd.Series.__module__}.Series, {FRAME}"),
    (pd.Index([1]), f"config is {pd.Index.__module__}.Index, {FRAME.replace('to_dict', 'tolist')}"),
    (
        pd.Categorical(["a"]),
        f"config is {pd.Categorical.__module__}.Categorical, which is data, not configuration; pass its .tolist()",
    ),
    (pl.DataFrame(), f"config is polars.dataframe.frame.DataFrame, {FRAME.replace('()', '(as_series=False)')}"),
    (pl.Series([1]), f"config is polars.series.series.Series, {FRAME.replace('to_dict', 'to_list')}"),
    (
        pl.LazyFrame(),
        "config is polars.lazyframe.frame.LazyFrame, which is data, not configuration; pass its "
        ".collect().to_dict(as_series=False)",
    ),
    (
        pd.Period("2026-01"),
        f"config is {pd.Period.__module__}.Period, which is data, not configuration; pass str() of it",
    ),
    (
        pd.NaT,
        f"config is NaT of type {type(pd.NaT).__module__}.NaTType, a missing value that only pandas knows; pass None",
    ),
    (
        pd.NA,
        f"config is <NA> of type {type(pd.NA).__module__}.NAType, a missing value that only pandas knows; pass None",
    ),
    (
        np.datetime64(0, "ns"),
        f"config is {np.datetime64(0, 'ns')!r} of type numpy.datetime64, {BARE}; pass numpy.datetime_as_string() of it",
    ),
    (np.array([[0]], "m8[ns]"), f"config is array([[0]], dtype='timedelta64[ns]') of type numpy.ndarray, {DURATION}"),
    (
        np.zeros(1, [("t", "M8[ns]")]),
        f"config is array([('1970-01-01T00:00:00.000000000',)], dtype=[('t', '<M8[ns]')]) of type numpy.ndarray, {BARE}; "
        "pass its fields one by one",
    ),
    (
        np.longdouble(1),
        f"config is {np.longdouble(1)!r} of type numpy.longdouble, which has no Python equivalent; "
        "pass float() or str() of it",
    ),
    (
        Sheet(),
        f"config is <sheet> of type {HERE}.Sheet, which has no stable JSON form; pass its .tolist()",
    ),
    (
        Quantity(),
        f"config is <sheet> of type {HERE}.Quantity, which has no stable JSON form; "
        'pass {"value": value.magnitude, "unit": str(value.unit)}',
    ),
    (
        Settings(),
        f"config is <settings> of type {HERE}.Settings, which has no stable JSON form; "
        f'pass {{"__class__": "{HERE}:Settings", **value.to_dict()}}',
    ),
    (
        Learner(),
        f"config is <learner> of type {HERE}.Learner, which has no stable JSON form; "
        f'pass {{"__class__": "{HERE}:Learner", **value.get_params(deep=False)}}',
    ),
    (
        {"log": logging.getLogger("a")},
        "config['log'] is <Logger a (WARNING)> of type logging.Logger, which has no stable JSON form; "
        "name it in ignore= if it does not change the artifact",
    ),
    (
        random.Random(3),
        "config is {value} of type random.Random, which has no stable JSON form; pass the seed that it was made from",
    ),
    (
        absl.flags.FlagValues(),
        "config is absl.flags._flagvalues.FlagValues, whose flags have no values before they are parsed; "
        "pass config=lambda call: FLAGS.flag_values_dict()",
    ),
    (
        {"token": pydantic.SecretStr("x")},
        "config['token'] is of type pydantic.types.SecretStr, a secret, which must not enter a name; "
        "name it in ignore=",
    ),
    (
        Metres([5.0]),
        f"config is Metres([5.]) of type {HERE}.Metres, which may carry more than its numbers, such as a unit or a mask; "
        f'pass {{"value": value.tolist(), "units": str(value.units)}}',
    ),
    (
        np.ma.array([1], mask=[False]),
        f"config is {{value}} of type {np.ma.MaskedArray.__module__}.MaskedArray, which may carry more than its "
        "numbers, such as a unit or a mask; pass numpy.asarray() of it, and what it carries besides",
    ),
    ("\ud800", f"config is '\\ud800', {NO_TEXT}"),
    ({"\ud800": 1}, f"config is '\\ud800', {NO_TEXT}"),
    pytest.param(
        [pathlib.PurePosixPath("\udcff")],
        "config[0] is '\\udcff', the file name b'\\xff', which is not UTF-8; "
        "rename the file, or pass os.fsencode() of it",
        marks=posix_only,
    ),
    ({Unknown: 1}, f"config has the key {Unknown!r} of type builtins.type; {KEYS}"),
    ({"a": {(1, 2): 1}}, f"config['a'] has the key (1, 2) of type builtins.tuple; {KEYS}"),
    ({1: "a", "1": "b"}, "config has two keys that are '1' in JSON, the second of them '1'; rename one"),
    (Unset(), f"config is {HERE}.Unset, whose field 'a' has no value; set it"),
    (
        lambda: None,
        "config is {value} of type builtins.function, which cannot be imported by name; "
        "move it to the top level of a module",
    ),
    (
        local(),
        "config is {value} of type builtins.function, which cannot be imported by name; move it to the top level of a module",
    ),
    (
        of_main("__main__"),
        "config is {value} of type builtins.function of __main__, whose name differs between a script, its import and "
        "its workers; move it into a module, or name it in ignore= if it does not change the artifact",
    ),
    (
        of_main("__mp_main__"),
        "config is {value} of type builtins.function of __main__, whose name differs between a script, its import and "
        "its workers; move it into a module, or name it in ignore= if it does not change the artifact",
    ),
    (of_main("gone"), f"config is {{value}} of type builtins.function, {NO_NAME}"),
    (Outer().method, f"config is {{value}} of type builtins.method, {NO_NAME}"),
    (
        functools.lru_cache(local()),
        f"config is {{value}} of type functools._lru_cache_wrapper, {NO_NAME}",
    ),
    (
        functools.lru_cache(of_main("__main__")),
        f"config is {{value}} of type functools._lru_cache_wrapper, {NO_NAME}",
    ),
    (
        omegaconf.OmegaConf.create({"a": "???"}),
        "config does not resolve: Missing mandatory value: a\n    full_key: a\n    object_type=dict; "
        "set the value that it needs",
    ),
    (
        [omegaconf.AnyNode("???")],
        "config[0] does not resolve: Missing mandatory value: 0\n    full_key: [0]\n    object_type=list; set the value that it needs",
    ),
    (10**5000, "config is an int of 16610 bits ({digits}); pass hex(value)"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=range(len(REFUSED)))
def test_a_value_without_a_stable_form_is_refused_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        canonical_json(value)
    if "{digits}" in message:
        message = message.replace("{digits}", str(error.value.__cause__))
    if "{value}" in message:
        shown = repr(value)
        message = message.replace("{value}", shown if len(shown) <= 80 else shown[:77] + "...")
    assert str(error.value) == message
    assert message.startswith(str(error.value.place))


def test_a_configuration_that_contains_itself_is_refused_with_its_place() -> None:
    loop: dict[str, Any] = {"a": []}
    loop["a"].append(loop)
    with pytest.raises(ConfigError) as error:
        config_hash(loop)
    assert str(error.value) == "config['a'][0] is of type builtins.dict and contains itself; break the cycle"


@pytest.mark.parametrize("depth", [10_000, sys.getrecursionlimit()])
def test_a_configuration_nested_deeper_than_python_follows_is_refused(depth: int) -> None:
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    with pytest.raises(ConfigError) as error:
        config_hash(deep)
    assert str(error.value) == (
        "config contains itself, or is nested deeper than Python can follow; pass a flatter configuration"
    )


def test_a_type_can_be_registered() -> None:
    class Celsius:
        def __init__(self, degrees: float) -> None:
            self.degrees = degrees

    to_json.register(Celsius, lambda value: {"celsius": value.degrees})
    assert canonical_json([Celsius(20.0)]) == b'[{"celsius":20}]'
    assert to_json(Celsius(20.0)) == {"celsius": 20.0}


def test_what_a_registered_function_returns_must_have_a_form_too() -> None:
    class Kelvin:
        pass

    to_json.register(Kelvin, lambda value: {"kelvin": 1j})
    with pytest.raises(ConfigError) as error:
        canonical_json([Kelvin()])
    assert str(error.value) == f"config[0]['kelvin'] is 1j of type builtins.complex, {REGISTER}(complex)"


def test_what_is_registered_for_the_very_type_of_a_value_comes_first() -> None:
    class Mine(dict[str, int]):
        pass

    class Derived(Mine):
        pass

    to_json.register(Mine, lambda value: {"mine": [*value]})
    assert canonical_json([Mine(a=1), Derived(a=1)]) == b'[{"mine":["a"]},{"a":1}]'


def test_what_is_registered_for_a_base_class_comes_after_the_table() -> None:
    class Base:
        pass

    class Derived(Base):
        pass

    to_json.register(Base, lambda value: "base")
    assert canonical_json([Base(), Derived()]) == b'["base","base"]'


def test_a_registered_function_that_returns_its_argument_is_refused() -> None:
    class Same:
        pass

    to_json.register(Same, lambda value: value)  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigError) as error:
        config_hash({"a": Same()})
    assert str(error.value) == (
        f"config['a'] is of type {HERE}.{Same.__qualname__} and contains itself; break the cycle"
    )


def test_to_json_gives_the_json_form_of_a_known_value() -> None:
    assert to_json({"b": (1.0, {2}), "a": pathlib.PurePosixPath("x")}) == {"b": [1, [2]], "a": "x"}


def test_reading_a_configuration_does_not_change_it() -> None:
    config = {"b": [1.0, {"c": (1,)}], "a": -0.0}
    before = repr(config)
    config_hash(config)
    assert repr(config) == before


def test_optional_libraries_are_recognised_without_being_imported() -> None:
    code = (
        "import sys; before = {*sys.modules}; import pyrepro; pyrepro.config_hash({'a': [1, 'b', None, 0.5]});"
        "print({'numpy', 'pandas', 'omegaconf', 'pydantic', 'attr', 'argparse', 'uuid'} & (sys.modules.keys() - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
