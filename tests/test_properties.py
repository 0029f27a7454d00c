"""What holds for every configuration and for every name."""

from __future__ import annotations

import copy
import json
import pathlib
from typing import Any

import jcs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import configurations, heads, json_documents, json_leaves, plain_names, tags, tails

from pyrepro import NotTaggedError, Tag, canonical_json, config_hash


@given(configurations)
def test_normalising_is_a_projection(config: Any) -> None:
    text = canonical_json(config)
    assert canonical_json(json.loads(text)) == text
    assert config_hash(json.loads(text)) == config_hash(config)


@given(configurations)
def test_a_configuration_hashes_the_same_twice(config: Any) -> None:
    assert config_hash(config) == config_hash(config)


def reordered(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: reordered(document[key]) for key in reversed(document)}
    return [reordered(item) for item in document] if isinstance(document, list) else document


@given(json_documents)
def test_the_order_of_insertion_never_matters(document: Any) -> None:
    assert canonical_json(reordered(document)) == canonical_json(document)


def places(document: Any) -> list[tuple[Any, ...]]:
    """The way to each leaf."""
    if isinstance(document, dict):
        return [(key, *rest) for key, item in document.items() for rest in places(item)]
    if isinstance(document, list):
        return [(index, *rest) for index, item in enumerate(document) for rest in places(item)]
    return [()]


@given(json_documents, json_leaves, st.data())
def test_any_change_of_one_leaf_changes_the_hash(document: Any, leaf: Any, data: st.DataObject) -> None:
    ways = places(document)
    assume(ways)
    way = data.draw(st.sampled_from(ways))
    root = {"root": copy.deepcopy(document)}
    holder: Any = root
    for step in ("root", *way)[:-1]:
        holder = holder[step]
    last = ("root", *way)[-1]
    assume(canonical_json(holder[last]) != canonical_json(leaf))
    holder[last] = leaf
    assert config_hash(root) != config_hash({"root": document})


@given(json_documents)
def test_an_independent_implementation_agrees_on_json_documents(document: Any) -> None:
    assert canonical_json(document) == jcs.canonicalize(document)


@given(heads, plain_names, tails, tags)
def test_a_tag_is_read_back_from_every_form_of_path_and_changes_only_the_last_component(
    head: str, name: str, tail: str, tag: Tag
) -> None:
    path = head + name + tail
    try:
        tagged = tag.put(path)
    except ValueError:
        # Refused only where the name would read as another tag.
        assert name.rpartition(".")[0].endswith("-dirty") or "-dirty" in name
        return
    assert Tag.from_path(tagged) == tag
    assert tagged.startswith(head)
    assert tagged.endswith(tail)
    last = tagged[len(head) : len(tagged) - len(tail)]
    assert "/" not in last
    if last != name:
        assert last.replace(f"-{tag}", "", 1) == name or last[::-1].replace(f"-{tag}"[::-1], "", 1)[::-1] == name
    assert tag.put(path.encode()) == tagged.encode()
    assert tag.put(tagged) == tagged


@given(plain_names, tags)
def test_a_pathlib_path_is_tagged_like_its_text(name: str, tag: Tag) -> None:
    path = pathlib.PurePosixPath("out") / name
    try:
        tagged = tag.put(str(path))
    except ValueError:
        with pytest.raises(ValueError):
            tag.put(path)
        return
    assert tag.put(path) == pathlib.PurePosixPath(tagged)


def is_plain(name: str) -> bool:
    if name == "-":  # the standard output
        return False
    try:
        Tag.from_path(name)
    except NotTaggedError:
        return True
    return False


@given(st.lists(st.tuples(plain_names.filter(is_plain), tags), min_size=2, max_size=6, unique=True))
def test_no_two_plain_names_and_tags_give_the_same_name(pairs: list[tuple[str, Tag]]) -> None:
    names = []
    for name, tag in pairs:
        try:
            names.append(tag.put(name))
        except ValueError:
            assert "-dirty" in name
    assert len(set(names)) == len(names)
