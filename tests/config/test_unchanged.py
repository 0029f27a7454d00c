"""A configuration is hashed again when it changed, whatever changed in it, and calls are bound as Python binds them."""

from __future__ import annotations

import inspect
import math
import pathlib
from typing import Any

import numpy as np
import pytest
from conftest import Repository
from hypothesis import given
from hypothesis import strategies as st

from pyrepro import Artifact, Tag, config_hash

# One configuration, changed in place between calls


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, -0.0, 1.0, 2.5, math.inf, 2**53, 2**70]),
    st.sampled_from(["", "a", "1", "True", "None"]),
    st.sampled_from([b"", b"a"]),
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.tuples(inner, inner)
        | st.sets(st.integers(0, 3), max_size=3)
    ),
    max_leaves=8,
)


def containers(value: Any) -> list[Any]:
    """Every dict, list and set in a value that can be changed in place."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    own = [value] if isinstance(value, (dict, list, set)) else []
    return own + [container for item in inner for container in containers(item)]


def change(draw: Any, container: Any, value: Any) -> None:
    if isinstance(container, set):
        (container.discard if draw(st.booleans()) else container.add)(draw(st.integers(0, 3)))
    elif isinstance(container, dict):
        keys = sorted(container)
        action = draw(st.sampled_from(["set", "drop", "turn", "rename"]))
        if action == "set" or not keys:
            container[draw(st.sampled_from("abc"))] = value
        elif action == "drop":
            del container[draw(st.sampled_from(keys))]
        elif action == "rename":
            container[draw(st.sampled_from("abc"))] = container.pop(keys[0])
        else:
            container[keys[0]] = container.pop(keys[0])
    else:
        action = draw(st.sampled_from(["append", "set", "drop", "turn"]))
        if action == "append" or not container:
            container.append(value)
        elif action == "set":
            container[draw(st.integers(0, len(container) - 1))] = value
        elif action == "drop":
            del container[draw(st.integers(0, len(container) - 1))]
        else:
            container.reverse()


@given(st.data(), st.dictionaries(st.sampled_from("abc"), values, max_size=3))
def test_a_configuration_that_is_changed_in_place_is_the_one_that_counts(
    repository_once: Repository, data: st.DataObject, config: dict[str, Any]
) -> None:
    @Artifact("outpath", config=config, repo=repository_once.path)
    def static(outpath: str) -> str:
        return outpath

    @Artifact("outpath", config=dict, repo=repository_once.path)
    def of_call(outpath: str, config: Any) -> str:
        return outpath

    for _ in range(4):
        for _ in range(2):
            assert Tag.from_path(static("foo")).config == config_hash(config)[:12]
            assert Tag.from_path(of_call("foo", config)).config == config_hash({"config": config})[:12]
        change(data.draw, data.draw(st.sampled_from(containers(config))), data.draw(values))


@given(st.lists(values, min_size=2, max_size=6))
def test_arguments_are_told_apart_at_every_call(repository_once: Repository, arguments: list[Any]) -> None:
    @Artifact("outpath", config=dict, repo=repository_once.path)
    def save(outpath: str, value: Any) -> str:
        return outpath

    for value in arguments:
        assert Tag.from_path(save("foo", value)).config == config_hash({"value": value})[:12]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, False),
        (0.0, False),
        (1, 1.5),
        ("1", 1),
        ([[1], [2]], [[1, 2], []]),
        ([[], [1]], [[1], []]),
        ({"a": {}, "b": [1]}, {"a": [1], "b": {}}),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        (np.array([1, 2]), np.array([1, 3])),
        (np.array([1]), np.array([True])),
    ],
)
def test_what_python_may_take_for_the_same_is_told_apart(one: Any, other: Any, repository_once: Repository) -> None:
    config: dict[str, Any] = {}

    @Artifact("outpath", config=config, repo=repository_once.path)
    def save(outpath: str) -> str:
        return outpath

    for value in (one, other, one):
        config["value"] = value
        assert Tag.from_path(save("foo")).config == config_hash(config)[:12]


def test_a_callable_may_return_another_kind_of_configuration_each_time(repository_once: Repository) -> None:
    @Artifact("outpath", config=lambda call: call["value"], repo=repository_once.path)
    def save(outpath: str, value: Any) -> str:
        return outpath

    for value in ({}, 3, [], "a", ["a"], {"a": 1}, pathlib.PurePath("a"), ["a", 1], {1}):
        assert Tag.from_path(save("foo", value)).config == config_hash(value)[:12]


def test_an_element_that_moves_from_one_list_to_the_next_is_seen(repository_once: Repository) -> None:
    first, second = [1], [2]
    config = {"first": first, "second": second}

    @Artifact("outpath", config=config, repo=repository_once.path)
    def save(outpath: str) -> str:
        return outpath

    save("foo")
    first.append(second.pop())
    assert Tag.from_path(save("foo")).config == config_hash({"first": [1, 2], "second": []})[:12]


def test_a_list_that_stands_in_two_places_is_seen_in_both(repository_once: Repository) -> None:
    shared = [1]
    config = {"first": shared, "second": shared}

    @Artifact("outpath", config=config, repo=repository_once.path)
    def save(outpath: str) -> str:
        return outpath

    for number in range(3):
        assert Tag.from_path(save("foo")).config == config_hash(config)[:12]
        shared.append(number)


def test_what_holds_an_array_is_hashed_at_every_call(repository_once: Repository) -> None:
    config = {"weights": np.zeros(3), "deep": [{"x": (1, [2])}]}

    @Artifact("outpath", config=config, repo=repository_once.path)
    def save(outpath: str) -> str:
        return outpath

    for position in range(3):
        config["weights"][position] = 1  # type: ignore[call-overload]
        assert Tag.from_path(save("foo")).config == config_hash(config)[:12]


@pytest.mark.parametrize("config", ["text", 3, None, [1], (1, [2]), {1, 2}, frozenset({1})])
def test_a_configuration_need_not_be_an_object(config: Any, repository_once: Repository) -> None:
    @Artifact("outpath", config=config, repo=repository_once.path)
    def save(outpath: str) -> str:
        return outpath

    expected = config_hash({} if config is None else config)[:12]
    assert [Tag.from_path(save("foo")).config for _ in range(3)] == [expected] * 3


# Arguments

SIGNATURES = [
    "outpath",
    "outpath, /",
    "a, outpath, b=2",
    "a, /, outpath='d', *args, c=3, **kwargs",
    "a=1, /, outpath='d'",
    "*, outpath, c=None",
    "*args, outpath, **function",
    "outpath, a=[], /, arguments=2, *, function=3",
]


@given(st.data(), st.sampled_from(SIGNATURES))
def test_calls_are_bound_and_passed_on_as_python_does(
    repository_once: Repository, data: st.DataObject, parameters: str
) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def save({parameters}): return dict(locals())", namespace)
    plain = namespace["save"]
    names = [*inspect.signature(plain).parameters, "other"]
    args = data.draw(st.lists(st.sampled_from(["x", "y", "z"]), max_size=4))
    kwargs = data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from(["x", "y"]), max_size=3))
    try:
        expected = plain(*args, **kwargs)
    except TypeError:
        expected = None
    decorated = Artifact("outpath", repo=repository_once.path)(plain)
    if expected is None:
        with pytest.raises(TypeError):
            decorated(*args, **kwargs)
    else:
        tagged = Tag(repository_once.head[:12], None, config_hash({})[:12]).put(expected["outpath"])
        assert decorated(*args, **kwargs) == expected | {"outpath": tagged}
