"""Configurations whose hashes are pinned: together with their values they may never change."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import datetime
import decimal
import fractions
import functools
import ipaddress
import math
import operator
import pathlib
import re
import types
import uuid
import zoneinfo
from typing import Any

import attrs
import msgspec
import numpy as np
import pydantic
import sklearn.feature_selection

from pyrepro import CodeState, Tag


@dataclasses.dataclass
class Data:
    lr: float = 0.1


class Tuned(Data):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout


@attrs.define
class Layer:
    units: int = 64


class Model(pydantic.BaseModel):
    layers: list[Any] = [Layer()]
    token: pydantic.SecretStr = pydantic.SecretStr("t")
    log: str = pydantic.Field(default="l", exclude=True)


class Struct(msgspec.Struct):
    depth: int = 2


Point = collections.namedtuple("Point", "x y")

CONFIGS: dict[str, Any] = {
    "empty": {},
    "null": None,
    "true": True,
    "text": "good job",
    "unicode": {"é": "ü", "\U0001f600": "\ufb33", "\ufb33": '\u2028\x00"\\'},
    "integer": 3,
    "negative": -7,
    "float": 0.1,
    "whole float": 1.0,
    "minus zero": -0.0,
    "tiny": 5e-324,
    "small": 1e-7,
    "large": 1.7976931348623157e308,
    "safe": 2**53 - 1,
    "beyond": 2**53,
    "seed of 64 bits": 2**64 - 1,
    "seed of 128 bits": -(2**127),
    "not finite": [math.nan, math.inf, -math.inf],
    "optimizer": {"name": "adam", "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False, "decay": None},
    "nested": {"model": {"layers": [{"units": 64}, {"units": 32}], "act": "relu"}, "data": {"split": [0.8, 0.2]}},
    "keys": {1: "a", 0.5: "b", False: "c", None: "d"},
    "range": range(0, 10, 3),
    "set": {3, 1, 2, "b", "a"},
    "sets in a set": {frozenset({2, 1}), frozenset()},
    "bytes": b"\x00\x01\xfe\xff",
    "path": pathlib.PureWindowsPath("C:\\data\\raw"),
    "date": datetime.date(2026, 1, 2),
    "time": datetime.time(3, 4, 5, 6),
    "datetime": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
    "timedelta": datetime.timedelta(days=1, microseconds=1),
    "longest timedelta": datetime.timedelta.max,
    "decimal": decimal.Decimal("1.10"),
    "fraction": fractions.Fraction(2, 6),
    "uuid": uuid.UUID(int=2**127),
    "namespace": types.SimpleNamespace(a=1, b=[types.SimpleNamespace(c=2)]),
    "function": math.sin,
    "class": decimal.Decimal,
    "partial": functools.partial(math.pow, 2, y=0.5),
    "code state": CodeState("0" * 40, "f" * 64),
    "tag": Tag("0" * 12, None, "f" * 12),
    "dataclass": Data(),
    "attributes beyond the fields": Tuned(0.5),
    "model": Model(),
    "struct": Struct(),
    "named tuple": Point(1, 2),
    "estimator": sklearn.feature_selection.VarianceThreshold(0.5),
    "slice": slice(1, None, 2),
    "pattern": re.compile("a+", re.IGNORECASE),
    "array": np.array([[1, 2], [3, 4]]),
    "large array": np.arange(1002, dtype=">f8").reshape(2, 501),
    "large table": np.zeros(1001, [("n", "u1"), ("x", "<f4")]),
    "element type": np.dtype("f4"),
    "zone": zoneinfo.ZoneInfo("Europe/Zurich"),
    "addresses": [ipaddress.ip_address("192.0.2.1"), ipaddress.ip_network("2001:db8::/32")],
    "public names": [pathlib.Path, open, operator.add, np.linalg.norm, concurrent.futures.Future],
}
