"""Configurations whose hashes are pinned: together with their values they may never change."""

from __future__ import annotations

import datetime
import decimal
import fractions
import functools
import math
import pathlib
import types
import uuid
from typing import Any

from pyrepro import CodeState, Tag

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
}
