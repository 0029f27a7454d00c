"""What counts of an object: its class, its fields, and the attributes that it carries beyond them."""

from __future__ import annotations

import array
import collections
import configparser
import contextlib
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import importlib
import json
import pathlib
import sqlite3
import sys
import uuid
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, NamedTuple, TypeVar, Union

import attrs
import ml_collections
import msgspec
import numpy as np
import pydantic
import pydantic.dataclasses
import pydantic.v1
import pydantic_core
import pytest
import scipy.stats
import sklearn.base
import sklearn.linear_model
import sklearn.model_selection
import sklearn.pipeline
import sklearn.preprocessing
import sklearn.utils
from conftest import Repository
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern
from sklearn.model_selection import KFold, PredefinedSplit, RepeatedKFold, ShuffleSplit

from pyrepro import ConfigError, canonical_json, config_hash
from pyrepro._config.forms import json_form_without

HERE = __name__


@dataclasses.dataclass
class Data:
    lr: float = 0.1


@dataclasses.dataclass(slots=True)
class Slots:
    lr: float = 0.1


@attrs.define
class Defined:
    lr: float = 0.1


@attrs.define(slots=False)
class Open:
    lr: float = 0.1


class Model(pydantic.BaseModel):
    lr: float = 0.1


class Struct(msgspec.Struct, dict=True):
    lr: float = 0.1


class Tuple(NamedTuple):
    lr: float = 0.1


BASES: list[Any] = [Data, Slots, Defined, Open, Tuple]


def form_of(value: object) -> Any:
    return json.loads(canonical_json(value))


@pytest.mark.parametrize("base", BASES)
def test_what_a_subclass_sets_in_its_own_init_counts(base: Any) -> None:
    class Tuned(base):  # type: ignore[misc]
        def __init__(self, dropout: float) -> None:
            if base is not Tuple:
                super().__init__()
            self.dropout = dropout

        def __new__(cls, dropout: float) -> Tuned:
            return super().__new__(cls)

    expected = {"__class__": f"{HERE}:{Tuned.__qualname__}", "lr": 0.1, "dropout": 0.5}
    assert form_of(Tuned(0.5)) == expected
    assert config_hash(Tuned(0.5)) != config_hash(Tuned(0.1))


@pytest.mark.parametrize("base", [Data, Slots, Defined, Open])
def test_what_a_subclass_keeps_in_slots_counts(base: Any) -> None:
    class Tuned(base):  # type: ignore[misc]
        __slots__ = "dropout"

    tuned = Tuned()
    assert form_of(tuned) == {"__class__": f"{HERE}:{Tuned.__qualname__}", "lr": 0.1}
    tuned.dropout = 0.5
    assert form_of(tuned) == {"__class__": f"{HERE}:{Tuned.__qualname__}", "lr": 0.1, "dropout": 0.5}


@pytest.mark.parametrize("kind", [Data, Open, Struct])
def test_what_is_set_on_an_instance_counts(kind: Any) -> None:
    config = kind()
    config.warmup = 500
    config._bookkeeping = object()
    assert form_of(config) == {"__class__": f"{HERE}:{kind.__name__}", "lr": 0.1, "warmup": 500}


def test_a_method_that_an_instance_replaces_counts() -> None:
    class Net(Data):
        def act(self) -> None:
            """Do nothing."""

    net = Net()
    net.act = len  # type: ignore[assignment,method-assign]
    assert form_of(net) == {"__class__": f"{HERE}:{Net.__qualname__}", "lr": 0.1, "act": "builtins:len"}


class Caching:
    @functools.cached_property
    def derived(self) -> int:
        return 3

    @property
    def half(self) -> float:
        return self.__dict__.setdefault("half", 0.05)  # type: ignore[no-any-return]

    @property
    def doubled(self) -> float:
        return self.__dict__["doubled"]  # type: ignore[no-any-return]

    @doubled.setter
    def doubled(self, value: float) -> None:
        self.__dict__["doubled"] = value


@pytest.mark.parametrize("base", [Data, Open, Model])
def test_what_properties_keep_does_not_count_unless_it_can_be_set(base: Any) -> None:
    kind = type("Kind", (base, Caching), {"__module__": HERE})
    config = kind()
    before = canonical_json(config)
    assert (config.derived, config.half) == (3, 0.05)
    assert canonical_json(config) == before
    config.__dict__["doubled"] = 0.2
    assert form_of(config)["doubled"] == 0.2


def test_a_cached_property_of_a_class_of_attrs_with_slots_does_not_count() -> None:
    @attrs.define
    class Cached:
        lr: float = 0.1

        @functools.cached_property
        def derived(self) -> int:
            return 3

    config = Cached()
    before = canonical_json(config)
    assert config.derived == 3
    assert canonical_json(config) == before


def test_an_attribute_without_a_form_is_refused_with_its_place() -> None:
    config = Data()
    config.norm = 1j  # type: ignore[attr-defined]
    with pytest.raises(ConfigError) as error:
        config_hash({"model": config})
    assert error.value.place == "config['model'].norm"


# Classes


@pytest.mark.parametrize(
    "source",
    [
        "import collections; Config = collections.namedtuple('Config', 'depth')",
        "import dataclasses\n@dataclasses.dataclass\nclass Config:\n    depth: int",
        "import attrs\n@attrs.define\nclass Config:\n    depth: int",
        "import pydantic\nclass Config(pydantic.BaseModel):\n    depth: int",
        "import msgspec\nclass Config(msgspec.Struct):\n    depth: int",
    ],
)
def test_classes_of_one_name_in_two_modules_differ(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forms = []
    for name in ("resnet", "vit"):
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(source, vars(module))
        forms.append(form_of(module.Config(depth=2)))
    assert forms == [{"__class__": "resnet:Config", "depth": 2}, {"__class__": "vit:Config", "depth": 2}]


def test_two_named_tuples_differ_and_neither_is_a_tuple() -> None:
    size, point = collections.namedtuple("Size", "x y"), collections.namedtuple("Point", "x y")
    hashes = {config_hash(value) for value in (size(1, 2), point(1, 2), (1, 2))}
    assert len(hashes) == 3


T = TypeVar("T")


class Box(pydantic.BaseModel, Generic[T]):
    value: T


def test_a_generic_of_pydantic_has_the_module_of_the_generic(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("elsewhere")
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    vars(module).update({"Box": Box, "made": None})
    exec("made = Box[bytes]", vars(module))
    assert form_of(module.made(value=b"")) == {"__class__": f"{HERE}:Box[bytes]", "value": ""}
    assert form_of(Box[int](value=1)) == {"__class__": f"{HERE}:Box[int]", "value": 1}


CLASSES = """\
import dataclasses
import pyrepro

@dataclasses.dataclass
class Config:
    depth: int = 2

if __name__ in ("__main__", "__mp_main__"):
    print(pyrepro.canonical_json(Config()).decode())
"""


def test_a_class_of_the_program_has_the_name_it_has_where_it_is_imported(repository: Repository) -> None:
    for name in ("train.py", "pkg/step.py", "pkg/__main__.py"):
        repository.write(name, CLASSES)
    ways: dict[str, tuple[str | Path, ...]] = {
        "train": ("train.py",),
        "pkg.step": ("-m", "pkg.step"),
        "pkg.__main__": ("-m", "pkg"),
        "__main__": ("-c", CLASSES),
    }
    shown = {name: repository.run(*command).stdout for name, command in ways.items()}
    assert shown == {name: f'{{"__class__":"{name}:Config","depth":2}}\n' for name in ways}
    imported = repository.run("-c", "import pyrepro, train; print(pyrepro.canonical_json(train.Config()).decode())")
    assert imported.stdout == shown["train"]


def test_a_class_of_the_program_has_the_same_name_in_a_worker(repository: Repository) -> None:
    repository.write(
        "spread.py",
        "import dataclasses, multiprocessing, pyrepro\n"
        "@dataclasses.dataclass\nclass Config:\n    depth: int = 2\n"
        "def hashed(_): return pyrepro.canonical_json(Config()).decode()\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool: print(hashed(0), *pool.map(hashed, [0]))\n",
    )
    text = '{"__class__":"spread:Config","depth":2}'
    assert repository.run("spread.py").stdout == f"{text} {text}\n"


# What pydantic hides


class Login(pydantic.BaseModel):
    user: str = "u"
    token: pydantic.SecretStr = pydantic.SecretStr("t")
    key: pydantic.SecretBytes = pydantic.SecretBytes(b"k")
    log: Any = pydantic.Field(default=1j, exclude=True)


class OldLogin(pydantic.v1.BaseModel):
    user: str = "u"
    token: pydantic.v1.SecretStr = pydantic.v1.SecretStr("t")
    log: Any = pydantic.v1.Field(default=1j, exclude=True)


@pydantic.dataclasses.dataclass
class DataLogin:
    user: str = "u"
    log: Any = pydantic.Field(default=1j, exclude=True)


@pytest.mark.parametrize("kind", [Login, OldLogin, DataLogin])
def test_secrets_and_excluded_fields_do_not_enter(kind: Any) -> None:
    assert form_of(kind()) == {"__class__": f"{HERE}:{kind.__name__}", "user": "u"}


def test_a_field_that_is_excluded_for_its_value_does_not_enter() -> None:
    class Optional(pydantic.BaseModel):
        depth: int = pydantic.Field(default=0, exclude_if=lambda value: value == 0)

    name = f"{HERE}:{Optional.__qualname__}"
    assert [form_of(Optional()), form_of(Optional(depth=1))] == [{"__class__": name}, {"__class__": name, "depth": 1}]


def test_what_is_not_set_does_not_enter_as_it_is_not_written() -> None:
    class Patch(msgspec.Struct):
        depth: Union[int, msgspec.UnsetType, None] = msgspec.UNSET

    name = f"{HERE}:{Patch.__qualname__}"
    assert [form_of(Patch(*depth)) for depth in ((), (None,), (1,))] == [
        {"__class__": name},
        {"__class__": name, "depth": None},
        {"__class__": name, "depth": 1},
    ]


@pytest.mark.skipif(not hasattr(pydantic_core, "MISSING"), reason="this pydantic has none")
def test_a_field_that_pydantic_calls_missing_does_not_enter() -> None:
    class Optional(pydantic.BaseModel):
        depth: Any = getattr(pydantic_core, "MISSING", None)

    name = f"{HERE}:{Optional.__qualname__}"
    assert [form_of(Optional()), form_of(Optional(depth=None))] == [
        {"__class__": name},
        {"__class__": name, "depth": None},
    ]


def test_a_secret_of_a_dataclass_does_not_enter() -> None:
    @dataclasses.dataclass
    class Service:
        token: pydantic.SecretStr
        port: int = 1

    assert form_of(Service(pydantic.SecretStr("t"))) == {"__class__": f"{HERE}:{Service.__qualname__}", "port": 1}


# Estimators


def test_a_classifier_is_not_a_regressor_of_the_same_parameters() -> None:
    class One(sklearn.base.BaseEstimator):  # type: ignore[misc]
        def __init__(self, alpha: float = 1.0) -> None:
            self.alpha = alpha

    class Two(One):
        pass

    assert form_of(One(2.0)) == {"__class__": f"{HERE}:{One.__qualname__}", "alpha": 2}
    assert config_hash(One(2.0)) != config_hash(Two(2.0))


def test_a_pipeline_is_its_steps_and_fitting_it_changes_nothing() -> None:
    steps = [("scale", sklearn.preprocessing.StandardScaler()), ("fit", sklearn.linear_model.Ridge(alpha=2))]
    pipeline = sklearn.pipeline.Pipeline(steps)
    form = form_of(pipeline)
    assert form["__class__"] == "sklearn.pipeline:Pipeline"
    assert [(name, step["__class__"]) for name, step in form["steps"]] == [
        ("scale", "sklearn.preprocessing:StandardScaler"),
        ("fit", "sklearn.linear_model:Ridge"),
    ]
    before = config_hash(pipeline)
    pipeline.fit(np.array([[0.0], [1.0]]), np.array([0.0, 1.0]))
    assert config_hash(pipeline) == before
    assert config_hash(pipeline.set_params(fit__alpha=3)) != before


def test_an_estimator_that_does_not_keep_its_parameters_is_refused() -> None:
    class Forgetful(sklearn.base.BaseEstimator):  # type: ignore[misc]
        def __init__(self, alpha: float = 1.0) -> None:
            self.other = alpha

        def __repr__(self) -> str:
            return "Forgetful()"

    with pytest.raises(ConfigError) as error:
        config_hash({"model": Forgetful()})
    assert str(error.value) == (
        f"config['model'] is {HERE}.{Forgetful.__qualname__}, whose get_params() failed: {error.value.__cause__}; "
        "keep each parameter of __init__ as an attribute of its name"
    )


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (KFold(3), {"__class__": "KFold", "n_splits": 3, "shuffle": False, "random_state": None}),
        (
            RepeatedKFold(n_splits=3, random_state=7),
            {"__class__": "RepeatedKFold", "n_splits": 3, "n_repeats": 10, "random_state": 7},
        ),
        (
            ShuffleSplit(3),
            {"__class__": "ShuffleSplit", "n_splits": 3, "test_size": None, "train_size": None, "random_state": None},
        ),
        (PredefinedSplit([0, 1]), {"__class__": "PredefinedSplit", "test_fold": [0, 1]}),
    ],
)
def test_a_splitter_is_what_it_was_made_from(value: Any, form: dict[str, Any]) -> None:
    assert form_of(value) == form | {"__class__": f"sklearn.model_selection:{form['__class__']}"}
    search = sklearn.model_selection.GridSearchCV(sklearn.linear_model.Ridge(), {"alpha": [1]}, cv=value)
    assert form_of(search)["cv"] == form_of(value)


def test_a_splitter_that_does_not_keep_its_parameters_is_refused() -> None:
    class Purged(sklearn.model_selection.BaseCrossValidator):  # type: ignore[misc]
        def __init__(self, gap: int) -> None:
            self._gap = gap

        def get_n_splits(self, *data: Any) -> int:
            return 3

    with pytest.raises(ConfigError) as error:
        config_hash({"cv": Purged(3)})
    assert str(error.value) == (
        f"config['cv'] is {HERE}.{Purged.__qualname__}, which does not keep its parameter 'gap'; "
        "keep each parameter of __init__ as an attribute of its name"
    )


def test_a_kernel_is_its_parameters_and_those_of_its_parts() -> None:
    kernels = "sklearn.gaussian_process.kernels"
    assert form_of(ConstantKernel(2.0) * RBF(3.0, "fixed")) == {
        "__class__": f"{kernels}:Product",
        "k1": {"__class__": f"{kernels}:ConstantKernel", "constant_value": 2, "constant_value_bounds": [1e-5, 1e5]},
        "k2": {"__class__": f"{kernels}:RBF", "length_scale": 3, "length_scale_bounds": "fixed"},
    }
    assert config_hash(RBF(3.0)) != config_hash(Matern(3.0))


def test_a_distribution_is_its_name_and_its_parameters() -> None:
    search = sklearn.model_selection.RandomizedSearchCV(
        sklearn.linear_model.Ridge(),
        {"alpha": scipy.stats.loguniform(1, 10), "seed": scipy.stats.randint(low=0, high=9)},
    )
    assert form_of(search)["param_distributions"] == {
        "alpha": {"__class__": "scipy.stats:loguniform", "args": [1, 10], "kwds": {}},
        "seed": {"__class__": "scipy.stats:randint", "args": [], "kwds": {"low": 0, "high": 9}},
    }


def test_a_distribution_of_ones_own_is_not_that_of_its_name() -> None:
    class Uniform(scipy.stats.rv_continuous):  # type: ignore[misc]
        def _pdf(self, x: Any) -> Any:
            return 2 * x

    for made in (Uniform(name="uniform", a=0, b=1), type(scipy.stats.norm)(name="norm", a=0)):
        with pytest.raises(ConfigError, match="no stable JSON form"):
            config_hash(made())


# Values that are not there yet


def test_a_placeholder_of_ml_collections_needs_its_value() -> None:
    config = ml_collections.ConfigDict({"a": {"seed": ml_collections.config_dict.required_placeholder(int)}})
    with pytest.raises(ConfigError) as error:
        config_hash(config)
    assert str(error.value) == "config['a'] has a placeholder at 'seed' that needs a value; set it"
    config.a.seed = 3
    assert form_of(config) == {"a": {"seed": 3}}


def test_a_reference_of_ml_collections_is_what_it_refers_to_wherever_it_stands() -> None:
    width = ml_collections.FieldReference(3)
    config = ml_collections.ConfigDict({"width": width, "layers": [width, (width * 2,)]})
    assert form_of(config) == form_of({"width": width, "layers": [width, [width + 3]]})
    assert form_of(config) == {"width": 3, "layers": [3, [6]]}
    width.set(4)
    assert form_of(config) == {"width": 4, "layers": [4, [8]]}


def test_a_reference_to_a_placeholder_needs_its_value() -> None:
    with pytest.raises(ConfigError) as error:
        config_hash([ml_collections.config_dict.required_placeholder(int)])
    assert str(error.value) == "config[0] is a placeholder that needs a value; set it"


class Unit(enum.Enum):
    KM = "km"


DERIVED = [
    (str, "km", "text", "str"),
    (bytes, b"km", "bytes", "bytes"),
    (list, [1], "items", "list"),
    (tuple, (1,), "items", "tuple"),
    (set, {1}, "items", "set"),
    (frozenset, frozenset({1}), "items", "frozenset"),
    (dict, {"a": 1}, "items", "dict"),
    (datetime.date, datetime.date(2026, 1, 2), "value", "str"),
    (datetime.timedelta, datetime.timedelta(1), "value", "str"),
    (pathlib.PurePosixPath, pathlib.PurePosixPath("a"), "value", "str"),
    (decimal.Decimal, decimal.Decimal("0.1"), "value", "str"),
    (fractions.Fraction, fractions.Fraction(1, 2), "value", "str"),
    (uuid.UUID, uuid.UUID(int=1), "value", "str"),
    (array.array, array.array("i", [1, 2]), "items", "list"),
    (collections.deque, collections.deque([1]), "items", "list"),
    (collections.UserList, collections.UserList([1]), "items", "list"),
    (collections.UserString, collections.UserString("a"), "value", "str"),
    (collections.UserDict, collections.UserDict(a=1), "items", "dict"),
    (collections.ChainMap, collections.ChainMap({"a": 1}), "items", "dict"),
    (functools.partial, functools.partial(len, [1]), "function and arguments", "partial"),
]


def derived_from(base: Any, plain: Any) -> Any:
    class Derived(base):  # type: ignore[misc]
        __setattr__ = object.__setattr__  # which UUID forbids

    known: dict[Any, Any] = {
        datetime.date: (2026, 1, 2),
        datetime.timedelta: (1,),
        uuid.UUID: (str(uuid.UUID(int=1)),),
        array.array: ("i", [1, 2]),
        functools.partial: (len, [1]),
    }
    return Derived(*known.get(base, (plain,)))


@pytest.mark.parametrize(("base", "plain", "noun", "call"), DERIVED)
def test_what_carries_more_than_its_row_writes_is_refused(base: Any, plain: Any, noun: str, call: str) -> None:
    value = derived_from(base, plain)
    value.revision = 1
    with pytest.raises(ConfigError) as error:
        config_hash({"a": value})
    parts = {"dict": "**value", "partial": '"func": value.func, "args": value.args, "keywords": value.keywords'}
    plain_part = parts.get(call, f'"value": {call}(value)')
    assert str(error.value) == (
        f"config['a'] is {value!r} of type {HERE}.{type(value).__qualname__}, which carries more than its {noun}; "
        f'pass {{{plain_part}, "revision": value.revision}}'
    )
    assert json_form_without({"a": value}, ["a.revision"]) == (json_form_without({"a": plain}, [])[0], [])


class Steps(Sequence[int]):
    def __init__(self, *steps: int) -> None:
        self.steps = steps
        self.size = len(steps)

    def __getitem__(self, index: Any) -> Any:
        return self.steps[index]

    def __len__(self) -> int:
        return self.size


class Rates(Mapping[str, float]):
    def __init__(self, **rates: float) -> None:
        self.rates = rates
        self.parent = None

    def __getitem__(self, key: str) -> float:
        return self.rates[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rates)

    def __len__(self) -> int:
        return len(self.rates)


def test_a_mapping_or_sequence_of_ones_own_is_its_items_wherever_it_keeps_them() -> None:
    assert [form_of(Steps(1, 2)), form_of(Rates(a=0.5))] == [[1, 2], {"a": 0.5}]


@pytest.mark.parametrize("unit", ["km", b"km", 2.5, 3, Unit.KM])
@pytest.mark.parametrize(
    ("value", "plain"), [(Steps(1, 2), '"value": list(value)'), (Rates(a=0.5), "**value")], ids=["sequence", "mapping"]
)
def test_a_mapping_or_sequence_of_ones_own_that_carries_more_than_its_items_is_refused(
    value: Any, plain: str, unit: object
) -> None:
    measured = copy.copy(value)
    measured.unit = unit
    with pytest.raises(ConfigError) as error:
        config_hash(measured)
    assert str(error.value) == (
        f"config is {measured!r} of type {HERE}.{type(value).__name__}, which carries more than its items; "
        f'pass {{{plain}, "unit": value.unit}}'
    )
    assert json_form_without(measured, ["unit"]) == json_form_without(value, []) == (form_of(value), [])


@pytest.mark.parametrize(("base", "plain"), [row[:2] for row in DERIVED])
def test_a_derived_value_without_public_attributes_is_the_plain_one(base: Any, plain: Any) -> None:
    value = derived_from(base, plain)
    value._bookkeeping, value.plain = 1, len
    assert config_hash(value) == config_hash(plain)


def test_what_an_installed_library_notes_in_what_it_read_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "tables.py").write_text("class Table(dict):\n    def __init__(self, *a):\n        self.line = 3\n")
    monkeypatch.syspath_prepend(installed)
    monkeypatch.delitem(sys.modules, "tables", raising=False)
    table = importlib.import_module("tables").Table()
    table["x"] = 1
    assert (table.line, form_of(table)) == (3, {"x": 1})


def test_a_mapping_whose_attributes_are_its_keys_is_a_mapping() -> None:
    class Attributes(dict):  # type: ignore[type-arg]
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.__dict__ = self

    class Kept(collections.UserDict):  # type: ignore[type-arg]
        pass

    bunch, user = sklearn.utils.Bunch(lr=0.1), Kept(lr=0.1)
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string("[a]\nLR=1")
    assert [*map(form_of, (Attributes({"lr": 0.1}), bunch, user, parser["a"]))] == [{"lr": 0.1}] * 3 + [{"LR": "1"}]


@pytest.mark.parametrize(("base", "items"), [(list, [64]), (set, {64}), (dict, {"scale": 1.0, "size": 64})])
def test_an_object_of_fields_that_holds_items_too_is_refused(base: Any, items: Any) -> None:
    class Layers(base):  # type: ignore[misc]
        scale: float = 1.0

    layers: Any = dataclasses.dataclass(Layers)()
    assert form_of(layers) == {"__class__": f"{__name__}:{Layers.__qualname__}", "scale": 1}
    getattr(layers, "extend" if base is list else "update")(items)
    with pytest.raises(ConfigError) as error:
        form_of({"layers": layers})
    assert str(error.value) == (
        f"config['layers'] is {__name__}.{Layers.__qualname__}, whose fields leave out its items; keep those in a field"
    )


def test_an_object_whose_items_are_its_fields_is_its_fields() -> None:
    @dataclasses.dataclass
    class Output(dict):  # type: ignore[type-arg]
        loss: float

        def __post_init__(self) -> None:
            self["loss"] = self.loss

    assert form_of(Output(0.5)) == {"__class__": f"{__name__}:{Output.__qualname__}", "loss": 0.5}


def test_a_row_of_a_database_counts_with_the_names_of_its_columns() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.row_factory = sqlite3.Row
        row = database.execute("SELECT 0.1 AS lr, 8 AS size").fetchone()
    assert form_of(row) == {"lr": 0.1, "size": 8}
    assert json_form_without(row, ["size"]) == ({"lr": 0.1}, [])


def test_a_time_of_day_in_a_zone_whose_offset_depends_on_the_date_is_refused() -> None:
    noon = datetime.time(12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    with pytest.raises(ConfigError) as error:
        config_hash(noon)
    assert str(error.value) == (
        f"config is {noon!r} of type datetime.time, whose offset its time zone does not say without a date; "
        f"pass the time and the zone one by one"
    )
    assert form_of(datetime.time(12, tzinfo=datetime.timezone.utc)) == "12:00:00+00:00"
