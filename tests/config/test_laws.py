"""Two configurations have one hash exactly where they agree in class, fields, attributes, keys, unit and type."""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import msgspec
import numpy as np
import pydantic
import sklearn.base
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_leaves

from pyrepro import canonical_json, config_hash


@dataclasses.dataclass
class Data:
    a: Any
    b: Any


class Derived(Data):
    pass


@dataclasses.dataclass(slots=True)
class Slots:
    a: Any
    b: Any


class BelowSlots(Slots):
    __slots__ = ("x", "y")


@attrs.define
class Defined:
    a: Any
    b: Any


class BelowDefined(Defined):
    pass


@attrs.define(slots=False)
class Open:
    a: Any
    b: Any


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: Any
    b: Any


class Struct(msgspec.Struct, dict=True):
    a: Any
    b: Any


Pair = collections.namedtuple("Pair", "a b")


class BelowPair(Pair):
    pass


class Estimator(sklearn.base.BaseEstimator):  # type: ignore[misc]
    def __init__(self, a: Any = None, b: Any = None) -> None:
        self.a = a
        self.b = b


CLOSED = [Slots, Defined, Pair, Estimator, dict]
OPEN = [Data, Derived, BelowSlots, BelowDefined, Open, Model, Struct, BelowPair, dict]

inner = st.recursive(json_leaves, lambda below: st.lists(below, max_size=2), max_leaves=3)
parts = st.fixed_dictionaries({"a": inner, "b": inner})
beyond = st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2)
descriptions = st.one_of(
    st.tuples(st.sampled_from(CLOSED), parts, st.just({})), st.tuples(st.sampled_from(OPEN), parts, beyond)
)


def made(description: Any) -> Any:
    kind, fields, attributes = description
    if kind is dict:
        return fields | attributes
    value = kind(**fields)
    for name, attribute in attributes.items():
        setattr(value, name, attribute)
    return value


def text_of(description: Any) -> bytes:
    kind, fields, attributes = description
    return canonical_json([kind.__name__, fields, attributes])


@given(descriptions, descriptions)
def test_two_objects_have_one_hash_exactly_where_they_are_the_same(one: Any, other: Any) -> None:
    assert (config_hash(made(one)) == config_hash(made(other))) == (text_of(one) == text_of(other))


@given(descriptions, st.data())
def test_another_value_class_or_attribute_is_another_hash(one: Any, data: Any) -> None:
    kind, fields, attributes = one
    name = data.draw(st.sampled_from([*fields, *attributes]))
    value = data.draw(inner)
    other = kind, fields | {name: value} if name in fields else fields, attributes
    if name in attributes:
        other = kind, fields, attributes | {name: value}
    assert (config_hash(made(one)) == config_hash(made(other))) == (text_of(one) == text_of(other))


@given(descriptions)
def test_the_form_of_an_object_has_its_own_hash(description: Any) -> None:
    value = made(description)
    assert config_hash(json.loads(canonical_json(value))) == config_hash(value)


dtypes = st.sampled_from(
    ["<i4", "<i8", "<u8", "<f4", "<f8", "<c16", "|b1", "<M8[s]", "<M8[ns]", "<m8[s]", "<U2", "|S8"]
)
shapes = st.sampled_from([(1200,), (30, 40), (40, 30), (2, 2, 300)])
arrays = st.tuples(dtypes, shapes, st.integers(0, 1199), st.sampled_from([0, 1]))
layouts = st.sampled_from([np.asarray, np.asfortranarray, lambda array: np.repeat(array, 2, axis=0)[::2]])


@given(arrays, arrays, layouts)
def test_two_large_arrays_have_one_hash_exactly_where_type_shape_and_elements_are_equal(
    one: Any, other: Any, layout: Any
) -> None:
    def array(dtype: str, shape: tuple[int, ...], place: int, value: int) -> Any:
        flat = np.zeros(1200, dtype)
        flat[place] = value
        return flat.reshape(shape)

    first, second = array(*one), array(*other)
    same = first.dtype == second.dtype and first.shape == second.shape and bool((first == second).all())
    assert (config_hash(first) == config_hash(layout(second))) == same


@given(st.tuples(st.text("ab.+", max_size=2), st.sampled_from([0, re.I, re.M, re.I | re.M]), st.booleans()))
def test_patterns_differ_in_text_flags_and_kind(description: Any) -> None:
    text, flags, is_bytes = description
    try:
        pattern = re.compile(text.encode() if is_bytes else text, flags)
    except re.error:
        return
    other = re.compile("c", flags)
    assert config_hash(pattern) not in {config_hash(other), config_hash(text), config_hash([text, flags])}


def test_the_hashes_of_objects_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "import pyrepro, test_laws as t; "
        "print([pyrepro.config_hash(t.made((k, {'a': {1, 'b', None}, 'b': 2}, {'x': 1, 'y': [2]}))) for k in t.OPEN])"
    )
    shown = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parent,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    kept = [config_hash(made((kind, {"a": {1, "b", None}, "b": 2}, {"x": 1, "y": [2]}))) for kind in OPEN]
    assert shown == {f"{kept}\n"}
