"""A name has the hash of its configuration, whichever way it was serialised."""

from __future__ import annotations

import enum
import math
from typing import Any

import pytest
from conftest import Repository
from hypothesis import given
from strategies import json_documents

from pyrepro import Artifact, ConfigError, Tag, canonical_json, config_hash
from pyrepro._config import forms


class Key(str, enum.Enum):
    A = "b"


class Number(float):
    pass


@pytest.fixture(scope="module")
def hash_in_name(repository_once: Repository) -> Any:
    """The hash of a configuration that a decorated function puts into a name."""
    config: list[Any] = [None]

    @Artifact("outpath", config=lambda call: config[0], repo=repository_once.path)
    def save(outpath: str) -> str:
        return outpath

    def hash_of(value: Any) -> str:
        config[0] = value
        return Tag.from_path(save("foo.txt")).config

    return hash_of


@given(config=json_documents.filter(lambda config: config is not None))
def test_a_name_has_the_hash_of_its_configuration(config: Any, hash_in_name: Any) -> None:
    assert hash_in_name(config) == config_hash(config)[:12]


@pytest.mark.parametrize(
    "config",
    [
        {"b": 1, "a": [True, False, None, ()], "10": {"9": {}}, "": ""},
        {"é": 1, "z": 2, "\U0001f600": 3, "\ue000": 4},
        {2: "a", None: "b", True: "c", 0.5: "d"},
        {Key.A: Key.A},
        [0.0, -0.0, 1.0, -1.0, 0.1, 1e-4, 9e-5, 1e-7, 5e-324, 1e15, 1e16, 1e21, 1e300, -1e-4, 123456.789, Number(2)],
        [math.nan, math.inf, -math.inf],
        [2**53 - 1, 2**53, 2**53 - 1.0, 2.0**53, -(2**53), 10**30, 0, -1],
        ['"\\/\b\f\n\r\t\x00\x1f\x7f\x80\u2028é\U0001f600', b"bytes", range(3), {1}],
        "text",
        0.5,
    ],
)
def test_what_is_written_otherwise_elsewhere_has_the_same_hash(config: Any, hash_in_name: Any) -> None:
    assert hash_in_name(config) == config_hash(config)[:12]


@pytest.mark.parametrize(
    ("kind", "form", "expected"),
    [
        (float, lambda number: f"{number:.1g}", b'{"layers":[1,2],"lr":"0.1","of":"float"}'),
        (tuple, lambda items: {"tuple": [*items]}, b'{"layers":{"tuple":[1,2]},"lr":0.123,"of":"tuple"}'),
        (bool, lambda flag: "never", b'{"layers":[1,2],"lr":0.123,"of":"bool"}'),
    ],
)
def test_what_is_registered_for_a_built_in_type_counts_in_names_too(
    kind: type, form: Any, expected: bytes, hash_in_name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "_registered", {**forms._registered, kind: form})  # what is registered stays so
    config = {"lr": 0.123, "layers": (1, 2), "of": kind.__name__}
    assert canonical_json(config) == expected
    assert hash_in_name(config) == config_hash(config)[:12]


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize("config", [CYCLE, "\ud800", {"\udfff": 1}, {"a": ["\ud800"]}, object()])
def test_what_has_no_form_is_named_where_it_stands(config: Any, hash_in_name: Any) -> None:
    with pytest.raises(ConfigError) as error:
        hash_in_name(config)
    with pytest.raises(ConfigError) as expected:
        config_hash(config)
    assert str(error.value) == str(expected.value)
