"""What is ignored is removed before anything is converted, wherever it stands, and a name that is nowhere is an error."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import absl.flags
import attrs
import ml_collections
import omegaconf
import pydantic
import pytest
import sklearn.base
from conftest import Repository
from hypothesis import given
from hypothesis import strategies as st
from strategies import text

from pyrepro import Artifact, ConfigError, Tag, config_hash, to_json
from pyrepro._config.forms import hash_of_form, json_form_without


@pytest.fixture
def named(repository: Repository) -> Callable[..., str]:
    """The name of an artifact of a configuration in which something is ignored."""

    def name(config: Any, *ignore: str) -> str:
        @Artifact("outpath", config=config, ignore=ignore, repo=repository.path)
        def save(outpath: str) -> str:
            return outpath

        return Tag.from_path(save("foo")).config

    return name


def short(config: object) -> str:
    return config_hash(config)[:12]


def test_what_has_no_form_may_be_ignored(named: Any) -> None:
    with open(__file__) as file:
        options = argparse.Namespace(lr=0.1, func=lambda: None, log=file)
        assert named(options, "func", "log") == short({"lr": 0.1})


@dataclasses.dataclass
class Trainer:
    epochs: int = 3
    devices: Any = 1j


@attrs.define
class Layers:
    trainer: Trainer


class Model(pydantic.BaseModel):
    trainer: Any


class Registered:
    pass


to_json.register(Registered, lambda value: {"trainer": {"epochs": 3, "devices": 1j}})

TRAINER = {"__class__": f"{__name__}:Trainer", "epochs": 3}

NESTED: list[tuple[Any, Any]] = [
    ({"trainer": {"epochs": 3, "devices": 1j}}, {"trainer": {"epochs": 3}}),
    ({"trainer": Trainer()}, {"trainer": TRAINER}),
    (types.SimpleNamespace(trainer=argparse.Namespace(epochs=3, devices=1j)), {"trainer": {"epochs": 3}}),
    (Layers(Trainer()), {"__class__": f"{__name__}:Layers", "trainer": TRAINER}),
    (Model(trainer=Trainer()), {"__class__": f"{__name__}:Model", "trainer": TRAINER}),
    (Registered(), {"trainer": {"epochs": 3}}),
    (ml_collections.ConfigDict({"trainer": {"epochs": 3, "devices": 1j}}), {"trainer": {"epochs": 3}}),
    (
        ml_collections.ConfigDict(
            {"trainer": {"epochs": 3, "devices": ml_collections.config_dict.required_placeholder(int)}}
        ),
        {"trainer": {"epochs": 3}},
    ),
    ({"trainer.devices": 1j, "trainer": {"epochs": 3}}, {"trainer": {"epochs": 3}}),
]


@pytest.mark.parametrize(("config", "rest"), NESTED, ids=range(len(NESTED)))
def test_a_dotted_name_leads_into_whatever_has_keys_or_fields(config: Any, rest: Any, named: Any) -> None:
    assert named(config, "trainer.devices") == short(rest)


def test_a_key_of_a_partial_may_be_ignored(named: Any) -> None:
    config = {"make": functools.partial(len, lr=0.1, log=1j)}
    assert named(config, "make.keywords.log") == short({"make": functools.partial(len, lr=0.1)})


def test_keys_that_are_no_text_are_ignored_by_what_they_are_in_json(named: Any) -> None:
    assert named({1: {None: "a", True: "b"}}, "1.null") == short({"1": {"true": "b"}})


def test_a_field_without_a_value_may_be_ignored(named: Any) -> None:
    @dataclasses.dataclass
    class Late:
        lr: float = 0.1
        later: int = dataclasses.field(init=False)

    assert named(Late(), "later") == short({"__class__": f"{__name__}:{Late.__qualname__}", "lr": 0.1})


def test_what_does_not_resolve_may_be_ignored_and_others_may_refer_to_what_is_ignored(named: Any) -> None:
    config = omegaconf.OmegaConf.create(
        {
            "paths": {"root": "/x", "run": "${oc.env:NOWHERE}", "data": "${paths.root}/data"},
            "seed": "???",
            "lr": "${.a}",
            "a": 1,
        }
    )
    rest = {"paths": {"data": "/x/data"}, "lr": 1, "a": 1}
    assert named(config, "paths.root", "paths.run", "seed") == short(rest)


def test_an_empty_node_has_nothing_to_ignore(named: Any) -> None:
    config = {"a": omegaconf.DictConfig(None), "b": 1}
    with pytest.raises(ConfigError, match=r"^ignore names 'a\.b'"):
        named(config, "a.b")


@pytest.mark.parametrize("make", [lambda options: options, vars, lambda options: lambda _: options])
def test_a_key_that_is_called_like_the_path_may_be_ignored(make: Any, repository: Repository) -> None:
    options = argparse.Namespace(lr=0.1, out="results/model.txt")

    @Artifact("out", config=make(options), ignore="out", repo=repository.path)
    def save(out: str) -> str:
        return out

    assert Tag.from_path(save(options.out)).config == short({"lr": 0.1})


def test_parameters_and_what_is_in_them_may_be_ignored(repository: Repository) -> None:
    @Artifact("outpath", config=dict, ignore=["workers", "cfg.trainer.devices"], repo=repository.path)
    def save(outpath: str, cfg: Any, workers: Any = None) -> str:
        return outpath

    cfg = {"trainer": {"devices": 1j, "epochs": 3}}
    expected = short({"cfg": {"trainer": {"epochs": 3}}})
    assert Tag.from_path(save("foo", cfg, workers=sys)).config == expected
    assert Tag.from_path(save.tagged("foo", cfg)).config == expected


def test_what_only_kwargs_takes_may_be_ignored_where_a_call_does_not_pass_it(repository: Repository) -> None:
    @Artifact("outpath", config=dict, ignore="options.verbose", repo=repository.path)
    def save(outpath: str, **options: int) -> str:
        return outpath

    assert save("foo", lr=1, verbose=2) == save("foo", lr=1) == save.tagged("foo", lr=1)


@pytest.mark.parametrize(
    ("ignore", "remedy"),
    [
        ("trainer.devcies", "did you mean 'trainer.devices'?"),
        ("devcies", "did you mean 'devices'?"),
        ("epochs", "did you mean 'model.epochs'?"),
        ("elsewhere", "correct the name"),
    ],
)
def test_a_name_that_is_nowhere_is_refused_with_those_that_are_close(ignore: str, remedy: str, named: Any) -> None:
    with pytest.raises(ConfigError) as error:
        named({"trainer": {"devices": 1}, "devices": 2, "model": {"epochs": 3}}, ignore)
    assert str(error.value) == (
        f"ignore names '{ignore}', which is neither a parameter of {named.__qualname__}.<locals>.save nor a key of the "
        f"configuration; {remedy}"
    )


def test_a_part_of_what_is_ignored_may_be_named_too(named: Any) -> None:
    config = {"trainer": {"devices": 1}, "lr": 0.1}
    assert named(config, "trainer", "trainer.devices") == named(config, "trainer")


def test_a_name_that_no_call_can_have_is_refused_at_the_decoration(repository: Repository) -> None:
    def save(outpath: str, workers: int, **options: int) -> None:
        raise AssertionError("is not called")

    Artifact("outpath", config=dict, ignore=["options.a"], repo=repository.path)(save)
    with pytest.raises(ConfigError) as error:
        Artifact("outpath", config=dict, ignore="wokers", repo=repository.path)(save)
    assert str(error.value) == (
        f"ignore names 'wokers', which is neither a parameter of {save.__qualname__} nor a key of the configuration; "
        f"did you mean 'workers'?"
    )


@pytest.mark.parametrize(
    "config",
    [
        omegaconf.OmegaConf.create({"a": "???"}),
        ml_collections.ConfigDict({"a": ml_collections.config_dict.required_placeholder(int)}),
    ],
)
def test_a_configuration_that_waits_for_values_may_be_decorated_with(config: Any, named: Any) -> None:
    with pytest.raises(ConfigError, match=r"^config (does not resolve|has a placeholder)"):
        named(config)
    config.a = 1
    assert named(config) == short({"a": 1})


names = st.sampled_from(["a", "b", "a.b", "c"])
trees = st.recursive(
    st.integers() | text,
    lambda inner: st.dictionaries(names, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
documents = st.dictionaries(names, trees, max_size=4)


def without(document: Any, name: str) -> Any:
    """A document without what a dotted name leads to, by every way."""
    if not isinstance(document, dict):
        return document
    kept = {key: value for key, value in document.items() if key != name}
    return {
        key: without(value, name[len(key) + 1 :]) if name.startswith(f"{key}.") else value
        for key, value in kept.items()
    }


@given(documents, st.lists(st.lists(names, min_size=1, max_size=3).map(".".join), max_size=2, unique=True))
def test_removing_a_key_and_ignoring_it_give_one_hash(document: Any, ignore: list[str]) -> None:
    removed = document
    for name in ignore:
        removed = without(removed, name)
    form, unknown = json_form_without(document, ignore)
    assert hash_of_form(form) == config_hash(removed)
    assert unknown == [name for name in ignore if without(document, name) == document]


# What is never called


@pytest.mark.parametrize("kind", ["flags", "registered", "estimator"])
def test_a_configuration_is_not_called_even_where_it_could_be(kind: str, repository: Repository) -> None:
    class Settings(sklearn.base.BaseEstimator if kind == "estimator" else object):  # type: ignore[misc]
        def __call__(self, call: object) -> None:
            raise AssertionError("is not called")

    if kind == "registered":
        to_json.register(Settings, lambda value: {})
    config = absl.flags.FlagValues() if kind == "flags" else Settings()
    if kind == "flags":
        with pytest.raises(ConfigError, match="FLAGS.flag_values_dict"):
            Artifact("outpath", config=config, repo=repository.path)
    else:
        Artifact("outpath", config=config, repo=repository.path)
