"""What hypothesis draws from: configurations over every row of the table, JSON documents, paths and tags."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import ipaddress
import math
import pathlib
import re
import types
import zoneinfo
from typing import Any

import attrs
import ml_collections
import msgspec
import numpy as np
import omegaconf
import pydantic
from hypothesis import strategies as st

from pyrepro import CodeState, Tag

MAX_SAFE = 2**53 - 1


class Color(enum.Enum):
    RED = "red"
    BLUE = ("b", 1)


@dataclasses.dataclass
class Optimizer:
    lr: Any
    steps: Any


@attrs.define
class Layer:
    units: Any


class Model(pydantic.BaseModel):
    act: Any


class Struct(msgspec.Struct):
    depth: Any


Pair = collections.namedtuple("Pair", "left right")


def of_hex(digits: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=digits, max_size=digits)


tags = st.builds(Tag, of_hex(12), st.none() | of_hex(12), of_hex(12))
states = st.builds(CodeState, of_hex(40), st.none() | of_hex(64))
text = st.text(st.characters(exclude_categories=["Cs"]))
zones = st.timezones() | st.none()

hashable_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**130), 2**130),
    st.floats(),
    text,
    st.binary(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=zones),
    st.timedeltas(),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.sampled_from(Color),
    text.map(pathlib.PurePosixPath),
    text.map(pathlib.PureWindowsPath),
    st.sampled_from([len, math.sin, int, decimal.Decimal, np.sin, np.float32, np.mean, datetime.datetime.now]),
    tags,
    states,
)
leaves = st.one_of(
    hashable_leaves,
    st.binary().map(bytearray),
    st.binary().map(memoryview),
    st.floats().map(np.float64),
    st.floats(width=32).map(np.float32),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.booleans().map(np.bool_),
    st.lists(st.floats(), max_size=3).map(np.array),
    st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), max_size=3).map(np.array),
    st.datetimes().map(lambda moment: np.datetime64(moment, "us")),
    st.integers(0, 255).map(lambda number: np.full(1001, number, "u1")),
    st.builds(range, st.integers(0, 3), st.integers(0, 9), st.integers(1, 3)),
    st.text("ab", max_size=3).map(re.compile),
    st.sampled_from([np.dtype("f4"), zoneinfo.ZoneInfo("Europe/Zurich"), ipaddress.ip_address("::1")]),
    st.sets(hashable_leaves, max_size=3),
    st.frozensets(hashable_leaves, max_size=3),
    st.dictionaries(st.sampled_from("abc"), st.integers() | st.text("xyz"), max_size=3).map(omegaconf.OmegaConf.create),
)
keys = st.one_of(text, st.integers(), st.floats(), st.booleans(), st.none())


def unique_in_json(mapping: dict[Any, Any]) -> bool:
    """Whether no two keys become one."""
    import json

    names = [key if isinstance(key, str) else json.dumps(key) for key in mapping]
    return len(set(names)) == len(names)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from(["a", "b", "lr"]), inner, max_size=3)
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(collections.deque),
        st.builds(Pair, inner, inner),
        st.dictionaries(keys, inner, max_size=3).filter(unique_in_json),
        named.map(types.MappingProxyType),
        named.map(lambda fields: types.SimpleNamespace(**fields)),
        named.map(lambda fields: argparse.Namespace(**fields)),
        st.builds(Optimizer, inner, inner),
        st.builds(Layer, inner),
        st.builds(Struct, inner),
        st.builds(slice, inner, inner),
        # It takes texts alone as keys, in what it holds, too.
        st.dictionaries(st.sampled_from("abc"), st.integers() | st.none(), max_size=3).map(ml_collections.ConfigDict),
        st.builds(lambda act: Model(act=act), inner),
        st.builds(lambda args, keywords: functools.partial(len, *args, **keywords), st.lists(inner, max_size=2), named),
    )


configurations = st.recursive(leaves, containers, max_leaves=8)

json_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-MAX_SAFE, MAX_SAFE),
    st.floats(-MAX_SAFE, MAX_SAFE, allow_nan=False),
    text,
)
json_documents = st.recursive(
    json_leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=12
)

name_characters = st.characters(exclude_categories=["Cs"], exclude_characters="/\0")
plain_names = st.one_of(
    st.text(name_characters, min_size=1, max_size=12),
    st.text("ab01.-", min_size=1, max_size=12),
    st.builds(
        "{}{}{}".format,
        st.text("ab1.", min_size=1),
        st.sampled_from(["", ".csv", ".01"]),
        st.sampled_from(["", ".gz", ".7z"]),
    ),
    st.builds(
        "{}-{}{}".format,
        st.text("ab"),
        tags | of_hex(12),
        st.sampled_from(["", "-dirty", ".png", "-x.png", " (1).png"]),
    ),
).filter(lambda name: name not in (".", ".."))
heads = st.sampled_from(
    ["", "/", "out/", "a//b/", "./", "../", "s3://bucket/a//", "memory://", "x-0123456789ab-0123456789ab/"]
)
tails = st.sampled_from(["", "", "/", "//"])
