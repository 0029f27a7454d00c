"""Two functions that would be taken for one are refused where they are decorated, and what is loaded again is not."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import hashlib
import importlib
import json
import logging
import os
import pathlib
import sys
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import cloudpickle
import pytest
from conftest import Repository

from pyrepro import Artifact, ArtifactMismatchError, config_hash


def refusal(name: str, line: int, before: int, file: str = __file__) -> str:
    return (
        f"Artifact cache=True cannot tell {name} in line {line} of {file} from the function of this name in line "
        f"{before} that was decorated before it, so a call of one could be given what the other made; give each a name "
        f"of its own: write a def in place of a lambda, and use functools.wraps in decorators"
    )


def cached(repository: Repository, **options: Any) -> Any:
    return Artifact("outpath", repo=repository.path, cache=True, **options)


def touch(outpath: str) -> None:
    pathlib.Path(outpath).touch()


def last_line_of(done: Any) -> str:
    return str(done.stderr.strip().splitlines()[-1])


# Look-alikes


LOOK_ALIKES = {
    "implementations of a singledispatch": (
        "_",
        12,
        8,
        """\
@functools.singledispatch
def save(data, outpath):
    raise NotImplementedError
@save.register
@decorate
def _(data: int, outpath):
    pass
@save.register
@decorate
def _(data: str, outpath):
    pass
""",
    ),
    "a name that is defined twice": (
        "save",
        8,
        5,
        """\
@decorate
def save(outpath):
    pass
@decorate
def save(outpath):
    raise ValueError
""",
    ),
    "a method that is defined twice": (
        "Model.save",
        9,
        6,
        """\
class Model:
    @decorate
    def save(self, outpath):
        pass
    @decorate
    def save(self, outpath):
        raise ValueError
""",
    ),
    "implementations of a singledispatchmethod": (
        "Model._",
        13,
        9,
        """\
class Model:
    @functools.singledispatchmethod
    def save(self, data, outpath):
        raise NotImplementedError
    @save.register
    @decorate
    def _(self, data: int, outpath):
        pass
    @save.register
    @decorate
    def _(self, data: str, outpath):
        pass
""",
    ),
    "lambdas on one line": (
        "<lambda>",
        5,
        5,
        """\
one, other = decorate(lambda outpath: None), decorate(lambda outpath: 3)
""",
    ),
    "lambdas in one loop": (
        "<lambda>",
        5,
        5,
        """\
for function in (lambda outpath: None, lambda outpath: 3):
    decorate(function)
""",
    ),
    "wrappers without functools.wraps": (
        "logged.<locals>.inner",
        6,
        6,
        """\
def logged(function):
    def inner(outpath):
        return function(outpath)
    return inner
@decorate
@logged
def one(outpath):
    pass
@decorate
@logged
def other(outpath):
    raise ValueError
""",
    ),
    "one function below two decorators": (
        "save",
        13,
        13,
        """\
def twice(function):
    @functools.wraps(function)
    def inner(outpath):
        function(outpath)
        function(outpath)
    return inner
from pathlib import Path
# below
def save(outpath):
    pass
decorate(save)
decorate(twice(save))
""",
    ),
}

HEAD = """\
import functools
import sys
from pyrepro import Artifact
decorate = Artifact("outpath", config=lambda call: None, cache=True)
"""


@pytest.mark.parametrize("kind", LOOK_ALIKES)
def test_what_would_be_taken_for_one_function_is_refused_at_the_decoration(kind: str, repository: Repository) -> None:
    name, line, before, source = LOOK_ALIKES[kind]
    repository.commit(step=HEAD + source)
    expected = refusal(name, line, before, str(repository.path / "step.py"))
    assert last_line_of(repository.run("step.py")) == f"TypeError: {expected}"


INNOCENTS = {
    "lambdas on two lines": """\
one = decorate(lambda outpath: None)
other = decorate(lambda outpath: 3)
""",
    "wrappers with functools.wraps": """\
def logged(function):
    @functools.wraps(function)
    def inner(outpath):
        return function(outpath)
    return inner
@decorate
@logged
def one(outpath):
    pass
@decorate
@logged
def other(outpath):
    pass
""",
    "one function with two configurations": """\
def save(outpath):
    pass
for lr in (0.1, 0.2):
    Artifact("outpath", config={"lr": lr}, cache=True)(save)
""",
    "a factory": """\
def make(lr):
    @Artifact("outpath", config={"lr": lr}, cache=True)
    def save(outpath):
        print(lr)
    return save
make(0.1), make(0.2)
""",
    "one of two definitions": """\
if sys.platform == "none":
    @decorate
    def save(outpath):
        pass
else:
    @decorate
    def save(outpath):
        pass
""",
    "branches of a factory": """\
def make(kind):
    if kind:
        @decorate
        def save(outpath):
            pass
    else:
        @decorate
        def save(outpath):
            raise ValueError
    return save
for kind in (True, False, True):
    make(kind)
""",
    "methods of one name in two classes": """\
class Model:
    @decorate
    def save(self, outpath):
        super().__init__()
class Other(Model):
    @decorate
    def save(self, outpath):
        super().save(outpath)
""",
    "what a decorator of one's own decorates": """\
def cached(function):
    @decorate
    def inner(outpath):
        return function(outpath)
    return inner
@cached
def one(outpath):
    pass
@cached
def other(outpath):
    raise ValueError
""",
    "a class method of two classes": """\
class Model:
    @classmethod
    def make(cls, outpath):
        raise ValueError
class Other(Model):
    pass
decorate(Model.make)
decorate(Other.make)
""",
    "a function that is decorated for each of its paths": """\
@Artifact("table", config=lambda call: None, cache=True)
@Artifact("plot", config=lambda call: None, cache=True)
def save(table, plot):
    pass
""",
    "partials of one function": """\
def save(outpath, lr):
    pass
for lr in (0.1, 0.2):
    decorate(functools.partial(save, lr=lr))
""",
    "a source that is executed again, edited": """\
namespace = {"decorate": Artifact("outpath", repo=".", cache=True), "__name__": "made"}
for body in ("pass", "raise ValueError"):
    exec(f"@decorate\\ndef save(outpath):\\n  {body}", namespace)
""",
}


@pytest.mark.parametrize("kind", INNOCENTS)
def test_what_is_one_function_or_two_that_can_be_told_apart_is_accepted(kind: str, repository: Repository) -> None:
    repository.commit(step=HEAD + INNOCENTS[kind])
    done = repository.run("step.py", env={"PYREPRO_ALLOW_DIRTY": "1"})
    assert (done.returncode, done.stderr) == (0, "")


def test_a_module_that_is_edited_and_loaded_again_is_accepted(repository: Repository) -> None:
    repository.commit(
        lib=HEAD + "@decorate\ndef save(outpath):\n    pass\ndef bare(outpath):\n    pass\n",
        step="""\
import importlib, pathlib, lib
from pyrepro import Artifact
decorate = Artifact("outpath", cache=True, allow_dirty=True)
decorate(lib.bare)
source = pathlib.Path(lib.__file__)
source.write_text(source.read_text().replace("pass", "raise ValueError").replace("@decorate", "# above\\n@decorate"))
importlib.reload(lib)
decorate(lib.bare)
""",
    )
    done = repository.run("step.py", env={"PYREPRO_ALLOW_DIRTY": "1"})
    assert done.returncode == 0, done.stderr


def test_a_spawned_child_decorates_again(repository: Repository, tmp_path: pathlib.Path) -> None:
    repository.commit(
        step=HEAD
        + f"""\
import multiprocessing, pathlib
@Artifact("outpath", config=dict, cache=True)
def save(outpath, n):
    pathlib.Path(outpath).write_text(str(n))
if __name__ == "__main__":
    path = {str(tmp_path / "foo.txt")!r}
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print([pathlib.Path(one).read_text() for one in pool.starmap(save, [(path, n) for n in range(3)])])
"""
    )
    done = repository.run("step.py")
    assert (done.stdout, done.stderr) == ("['0', '1', '2']\n", "")


def test_a_test_module_that_is_imported_again_is_accepted(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(test_again=HEAD + "@decorate\ndef save(outpath):\n    pass\n")
    monkeypatch.syspath_prepend(repository.path)
    for _ in range(2):
        importlib.import_module("test_again")
        del sys.modules["test_again"]


def test_functions_on_other_lines_are_other_makers(repository: Repository, tmp_path: pathlib.Path) -> None:
    one = cached(repository)(lambda outpath: pathlib.Path(outpath).touch())
    other = cached(repository)(lambda outpath: pathlib.Path(outpath).write_text("other"))
    path = one(tmp_path / "foo")
    lines = [function.__wrapped__.__code__.co_firstlineno for function in (one, other)]
    with pytest.raises(ArtifactMismatchError) as error:
        other(tmp_path / "foo")
    name = f".../test_maker.py:{one.__qualname__}"
    assert str(error.value) == (
        f"{path} was made by {name}:{lines[0]}, and {name}:{lines[1]} would take it for its own; "
        f"call one of them with another file name"
    )


def test_a_wrapper_is_told_from_that_of_another_function_in_another_process(
    repository: Repository, tmp_path: pathlib.Path
) -> None:
    repository.write(
        "logs.py", "def logged(function):\n def inner(outpath):\n  return function(outpath)\n return inner\n"
    )
    source = """\
import pathlib, sys
from pyrepro import Artifact
from logs import logged

@Artifact("outpath", cache=True)
@logged
def save(outpath):
    pathlib.Path(outpath).write_text(__file__)

save(sys.argv[1])
"""
    repository.commit(one=source, other=source)
    path = str(tmp_path / "foo.txt")
    assert repository.run("one.py", path).stderr == ""
    maker = "logs.py:logged.<locals>.inner:2 with"
    assert last_line_of(repository.run("other.py", path)).endswith(
        f"was made by {maker} one.py:save:5, and {maker} other.py:save:5 would take it for its own; "
        f"call one of them with another file name"
    )


def test_the_makers_of_a_wrapper_are_one_with_and_without_a_repository(
    repository: Repository, tmp_path: pathlib.Path
) -> None:
    source = """\
import pathlib, sys
from pyrepro import Artifact

def logged(function):
    def inner(outpath):
        return function(outpath)
    return inner

@Artifact("outpath", cache=True)
@logged
def save(outpath):
    print("runs")
    pathlib.Path(outpath).touch()

save(sys.argv[1])
"""
    repository.commit(src__step=source)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "step.py").write_text(source)
    path = str(tmp_path / "foo.txt")
    assert repository.run("src/step.py", path).stdout == "runs\n"
    assert repository.run(elsewhere / "step.py", path, env={"PYREPRO_CODE_STATE": repository.head}).stdout == ""


# What a function closes over


def closing_over(lr: Any) -> Callable[[str], None]:
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text(str(lr))

    return save


def closing_over_a_function_of(lr: Any) -> Callable[[str], None]:
    def inner() -> str:
        return str(lr)

    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text(inner())

    return save


def closing_over_what_comes_later() -> Callable[[str], None]:
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text(str(lr))

    decorated = Artifact("outpath", cache=True)(save)
    lr = 0.1
    return decorated


def hides(name: str, function: str) -> str:
    return (
        f"Artifact cache=True cannot see the values of {name}, which {function} takes from the function around it, so "
        f"an artifact could be taken for one that other values made; make them parameters, or name what changes "
        f"nothing in ignore="
    )


class LookedUp(dict[str, Any]):
    __getattr__ = dict.__getitem__


@pytest.mark.parametrize(
    "value",
    [
        *(0.1, "a", [64, 64], {"lr": 0.1}, pathlib.Path(), object(), [].append, touch.__call__),
        pytest.param(LookedUp(lr=0.1), id="LookedUp"),
    ],
)
@pytest.mark.parametrize("make", [closing_over, closing_over_a_function_of])
def test_a_closure_over_a_value_is_refused_at_the_decoration(make: Any, value: Any) -> None:
    with pytest.raises(TypeError) as error:
        Artifact("outpath", config=dict, cache=True)(make(value))
    assert str(error.value) == hides("lr", f"{make.__name__}.<locals>.save")


def test_a_closure_over_a_partial_is_refused() -> None:
    with pytest.raises(TypeError) as error:
        Artifact("outpath", cache=True)(closing_over(functools.partial(print, 0.1)))
    assert str(error.value) == hides("lr", "closing_over.<locals>.save")


def test_a_closure_over_what_is_assigned_later_is_refused() -> None:
    with pytest.raises(TypeError) as error:
        closing_over_what_comes_later()
    assert str(error.value) == hides("lr", "closing_over_what_comes_later.<locals>.save")


@pytest.mark.parametrize("value", [None, touch, len, json, pathlib.Path, os.fsencode, [], {}, set(), json.dumps])
def test_a_closure_over_what_the_code_names_or_what_is_empty_is_accepted(value: Any, repository: Repository) -> None:
    cached(repository, ignore="other")(with_other(value))


def with_other(value: Any) -> Any:
    other = 3

    def save(outpath: str) -> None:
        raise AssertionError(value, other, save)

    return save


@pytest.mark.parametrize(
    "value",
    [
        logging.getLogger("a"),
        threading.Lock(),
        threading.Event(),
        collections.Counter(),
        collections.deque(),
        TypeVar("T"),
        ParamSpec("P"),
    ],
)
def test_a_closure_over_what_tells_waits_gathers_or_is_a_type_is_accepted(value: Any, repository: Repository) -> None:
    cached(repository)(with_logger(value))


class Opaque:
    """Has no JSON form."""

    def __str__(self) -> str:
        return "opaque"


def with_logger(logger: Any) -> Any:
    def inner(*, log: Any = logger) -> None:
        raise AssertionError(log)

    def save(outpath: str) -> None:
        raise AssertionError(logger, inner)

    return save


@dataclasses.dataclass
class Settings:
    lr: float


@pytest.mark.parametrize(
    "config",
    [
        dataclasses.asdict,
        vars,
        lambda settings: {"settings": settings, "layers": 2},
        lambda settings: vars(settings) | {"layers": 2},
    ],
)
def test_a_closure_over_what_the_configuration_was_made_of_is_accepted(config: Any, repository: Repository) -> None:
    settings = Settings(0.1)

    @cached(repository, config=config(settings))
    def save(outpath: str) -> None:
        raise AssertionError(settings)


def test_a_configuration_may_close_over_the_same_variable_by_way_of_another_function(repository: Repository) -> None:
    lr = 0.1

    def settings() -> Any:
        return {"lr": lr}

    @cached(repository, config=lambda call: settings())
    def save(outpath: str) -> None:
        raise AssertionError(lr)


def with_default(lr: Any) -> Any:
    def inner(lr: Any = lr) -> str:
        return str(lr)

    return inner


def with_keyword_default(lr: Any) -> Any:
    def inner(*, lr: Any = lr) -> str:
        return str(lr)

    return inner


def with_attribute(lr: Any) -> Any:
    class Inner:
        rate = lr

        def __new__(cls) -> Any:
            return str(cls.rate)

    return Inner


def with_inherited_attribute(lr: Any) -> Any:
    class Inner(with_attribute(lr)):  # type: ignore[misc]
        pass

    return Inner


@pytest.mark.parametrize("make", [with_default, with_keyword_default, with_attribute, with_inherited_attribute])
def test_what_a_local_function_or_class_has_with_it_makes_another_maker(
    make: Any, repository: Repository, out: pathlib.Path
) -> None:
    def save_with(inner: Any) -> Any:
        @cached(repository)
        def save(outpath: str) -> None:
            pathlib.Path(outpath).write_text(inner())

        return save

    path = save_with(make(0.1))("foo")
    assert save_with(make(0.1))("foo") == path
    with pytest.raises(ArtifactMismatchError) as error:
        save_with(make(0.2))("foo")
    name = "rate" if "attribute" in make.__name__ else "lr"
    assert error.value.maker.endswith(f" with {name}={config_hash(0.1)[:12]}")
    assert f" with {name}={config_hash(0.2)[:12]} would take it for its own" in str(error.value)


def with_closure_in_a_method(lr: Any) -> Any:
    class Inner:
        def rate(self) -> Any:
            return lr

    return Inner


def with_closure_in_a_property(lr: Any) -> Any:
    class Inner:
        @property
        def rate(self) -> Any:
            return lr

    return Inner


def with_closure_in_a_cached_property(lr: Any) -> Any:
    class Inner:
        @functools.cached_property
        def rate(self) -> Any:
            return lr

    return Inner


def with_closure_in_a_static_method(lr: Any) -> Any:
    class Inner:
        @staticmethod
        def rate() -> Any:
            return lr

    return Inner


def with_default_without_a_form(rate: Any) -> Any:
    value = object()

    def inner(lr: Any = value) -> Any:
        return lr

    return inner


@pytest.mark.parametrize(
    "make",
    [
        with_closure_in_a_method,
        with_closure_in_a_property,
        with_closure_in_a_cached_property,
        with_closure_in_a_static_method,
        with_default_without_a_form,
    ],
)
def test_what_a_local_function_or_class_hides_is_refused(make: Any) -> None:
    inner = make(0.1)

    def save(outpath: str) -> None:
        raise AssertionError(inner)

    with pytest.raises(TypeError) as error:
        Artifact("outpath", cache=True)(save)
    assert str(error.value) == hides("lr", save.__qualname__)


def logged(function: Any) -> Any:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


class Model:
    def save(self, outpath: str) -> None:
        raise AssertionError("is not called")


def with_rate(lr: float, outpath: str) -> None:
    raise AssertionError("is not called")


@pytest.mark.parametrize("function", [Model().save, functools.partial(with_rate, 0.1)])
def test_an_instance_or_arguments_below_a_decorator_are_refused(function: Any) -> None:
    wrapper = logged(function)
    with pytest.raises(TypeError) as error:
        Artifact("outpath", cache=True)(wrapper)
    assert str(error.value) == (
        f"Artifact cache=True cannot see the values that {wrapper!r} holds, so an artifact could be taken for one that "
        f"others made; decorate a def that takes them as parameters"
    )


def test_a_variable_that_has_another_value_at_the_call_is_refused_before_the_function_runs(
    repository: Repository, out: pathlib.Path, name: Any
) -> None:
    saves = []
    for lr in (0.1, 0.2):

        @cached(repository, config={"lr": lr})
        def save(outpath: str) -> None:
            pathlib.Path(outpath).write_text(str(lr))  # noqa: B023

        saves.append(save)
    with pytest.raises(TypeError) as error:
        saves[0]("foo")
    assert str(error.value) == hides("lr", saves[0].__qualname__)
    assert pathlib.Path(saves[1]("foo")).read_text() == "0.2"
    assert [path.name for path in out.glob("foo*")] == [f"foo-{name(lr=0.2)}"]


def test_a_variable_that_has_another_value_than_when_the_artifact_was_made_is_refused_at_the_call(
    repository: Repository, out: pathlib.Path, name: Any
) -> None:
    rates, lr = [0.1], 0.1

    @cached(repository, config={"lr": lr, "rates": [0.1]})
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text(f"{lr} {rates}")

    assert [save("foo") for _ in range(3)] == [f"foo-{name(lr=0.1, rates=[0.1])}"] * 3
    lr = 0.2
    with pytest.raises(TypeError) as error:
        save("foo")
    assert str(error.value) == hides("lr", save.__qualname__)
    lr = 0.1
    assert save("foo") == f"foo-{name(lr=0.1, rates=[0.1])}"
    rates.append(0.2)
    with pytest.raises(TypeError) as error:
        save("foo")
    assert str(error.value) == hides("rates", save.__qualname__)


def test_a_variable_that_the_configuration_sees_may_have_another_value_when_the_artifact_is_there(
    repository: Repository, out: pathlib.Path, name: Any
) -> None:
    lr = 0.1

    @cached(repository, config=lambda call: {"lr": lr})
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text(str(lr))

    made = []
    for lr in (0.1, 0.2, 0.1, 0.2):  # noqa: B007
        made.append(save("foo"))
    assert made == [f"foo-{name(lr=lr)}" for lr in (0.1, 0.2, 0.1, 0.2)]


def test_a_variable_that_gets_its_value_after_the_decoration_is_refused_at_the_call(
    repository: Repository, out: pathlib.Path
) -> None:
    model = None

    @cached(repository)
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text(str(model))

    model = 0.1
    with pytest.raises(TypeError) as error:
        save("foo")
    assert str(error.value) == hides("model", save.__qualname__)


def test_a_variable_that_the_function_assigns_itself_may_have_another_value(
    repository: Repository, out: pathlib.Path
) -> None:
    model = None

    @cached(repository)
    def save(outpath: str) -> None:
        nonlocal model
        model = model or "trained once"
        pathlib.Path(outpath).write_text(model)

    assert [pathlib.Path(save(stem)).read_text() for stem in ("foo", "bar")] == ["trained once"] * 2


def test_values_tell_apart_what_two_lines_decorate(repository: Repository) -> None:
    def save_with(inner: Any) -> Callable[[str], None]:
        def save(outpath: str) -> None:
            raise AssertionError(inner)

        return save

    cached(repository)(save_with(with_default(0.1)))
    cached(repository)(save_with(with_default(0.2)))


def test_what_a_cached_function_gathers_may_be_there_when_it_is_called_again(
    repository: Repository, out: pathlib.Path
) -> None:
    calls: list[str] = []

    @cached(repository)
    def save(outpath: str) -> None:
        calls.append(os.path.basename(outpath))
        pathlib.Path(outpath).touch()

    paths = [save("foo"), save("bar"), save("foo")]
    assert calls == paths[:2]


@pytest.mark.parametrize("config", [0.1, {"lr": 0.1}, {"lr": 0.1, "layers": 2}])
def test_a_closure_over_what_the_configuration_holds_is_accepted(config: Any, repository: Repository) -> None:
    cached(repository, config=config)(closing_over(0.1))


@pytest.mark.parametrize("config", [{"lr": 0.2}, {"rate": 0.1}, [0.1]])
def test_a_closure_over_what_the_configuration_holds_otherwise_is_refused(config: Any) -> None:
    with pytest.raises(TypeError) as error:
        Artifact("outpath", config=config, cache=True)(closing_over(0.1))
    assert str(error.value) == hides("lr", "closing_over.<locals>.save")


@dataclasses.dataclass
class Plain:
    """One of several ways to do something, which the class alone tells apart."""


@pytest.mark.parametrize("config", [None, {}, {"settings": {}}])
def test_a_closure_over_an_object_without_fields_is_not_in_a_configuration_without_its_class(config: Any) -> None:
    with pytest.raises(TypeError) as error:
        Artifact("outpath", config=config, cache=True)(closing_over(Plain()))
    assert str(error.value) == hides("lr", "closing_over.<locals>.save")


@pytest.mark.parametrize("config", [Plain(), {"lr": Plain()}])
def test_a_closure_over_an_object_without_fields_is_in_a_configuration_with_its_class(
    config: Any, repository: Repository
) -> None:
    cached(repository, config=config)(closing_over(Plain()))


@dataclasses.dataclass
class OtherSettings:
    lr: float


@pytest.mark.parametrize("config", [vars, lambda settings: lambda call: {"lr": settings.lr}])
def test_objects_of_two_classes_are_told_apart_where_the_configuration_holds_their_fields(
    config: Any, repository: Repository, out: pathlib.Path
) -> None:
    def make(settings: Any) -> Any:
        @cached(repository, config=config(settings))
        def save(outpath: str) -> None:
            pathlib.Path(outpath).write_text(type(settings).__name__)

        return save

    one, other = make(Settings(0.1)), make(OtherSettings(0.1))
    path = out / one("foo")
    with pytest.raises(ArtifactMismatchError) as error:
        other("foo")
    maker = error.value.maker.partition(" with ")[0]
    assert str(error.value) == (
        f"{path} was made by {maker} with settings=Settings, and {maker} with settings=OtherSettings would take it for "
        f"its own; call one of them with another file name, or name what changes nothing in ignore=['settings']"
    )


def test_a_closure_over_an_object_with_another_field_than_the_configuration_is_refused() -> None:
    with pytest.raises(TypeError) as error:
        Artifact("outpath", config={"lr": 0.2, "layers": 2}, cache=True)(closing_over(Settings(0.1)))
    assert str(error.value) == hides("lr", "closing_over.<locals>.save")


def test_a_closure_over_what_has_no_json_form_is_not_in_the_configuration() -> None:
    with pytest.raises(TypeError) as error:
        Artifact("outpath", config={"lr": 0.1}, cache=True)(closing_over(object()))
    assert str(error.value) == hides("lr", "closing_over.<locals>.save")


def test_a_configuration_may_close_over_the_same_variable(repository: Repository, out: pathlib.Path, name: Any) -> None:
    def make(lr: float) -> Any:
        @cached(repository, config=lambda call: {"rate": lr})
        def save(outpath: str) -> None:
            pathlib.Path(outpath).write_text(str(lr))

        return save

    assert [make(lr)("foo") for lr in (0.1, 0.2)] == [f"foo-{name({'rate': lr})}" for lr in (0.1, 0.2)]


@pytest.mark.parametrize("value", [0.1, {"lr": 0.1}, Opaque()])
def test_a_function_and_its_configuration_may_be_sent_to_another_process(
    value: Any, repository: Repository, out: pathlib.Path, name: Any
) -> None:
    @cached(repository, config=lambda call: {"rate": str(value)})
    def save(outpath: str) -> None:
        pathlib.Path(outpath).write_text(str(value))

    sent = cloudpickle.loads(cloudpickle.dumps(save))
    assert pathlib.Path(sent("foo")).read_text() == str(value)


def test_another_variable_of_the_same_name_is_not_what_the_configuration_sees() -> None:
    def config_of(lr: float) -> Any:
        return lambda call: lr

    with pytest.raises(TypeError) as error:
        Artifact("outpath", config=config_of(0.2), cache=True)(closing_over(0.1))
    assert str(error.value) == hides("lr", "closing_over.<locals>.save")


def test_an_ignored_variable_changes_nothing(repository: Repository, out: pathlib.Path, name: Any) -> None:
    for count in (1, 2):
        save = Artifact("outpath", config=dict, repo=repository.path, cache=True, ignore="lr")(closing_over(count))
        assert save("foo") == f"foo-{name({})}"
    assert pathlib.Path(f"foo-{name({})}").read_text() == "1"


def test_what_a_wrapper_closes_over_belongs_to_the_decorator(repository: Repository) -> None:
    def retry(times: int) -> Any:
        def decorate(function: Any) -> Any:
            @functools.wraps(function)
            def inner(outpath: str) -> None:
                for _ in range(times):
                    function(outpath)

            return inner

        return decorate

    cached(repository)(retry(3)(touch))


def by_closure(by: Any) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def inner(outpath: str) -> None:
            function(outpath)
            pathlib.Path(outpath).write_text(str(by))

        return inner

    return decorate


def by_default(by: Any) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def inner(outpath: str, by: Any = by) -> None:
            pathlib.Path(outpath).write_text(str(by))

        return inner

    return decorate


class by_attribute:  # noqa: N801
    def __init__(self, by: Any) -> None:
        self._by = by

    def __call__(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            functools.update_wrapper(self, argument)
            return self
        return by_closure(self._by)(touch)(argument)


class by_instance:  # noqa: N801
    def __init__(self, by: Any) -> None:
        self.by = by

    def __call__(self, function: Any) -> Any:
        @functools.wraps(function)
        def inner(outpath: str) -> None:
            pathlib.Path(outpath).write_text(str(self.by))

        return inner


class Proxy:
    """It says that it is what it wraps, as those of wrapt do."""

    def __init__(self, wrapped: Any, wrapper: Any) -> None:
        object.__setattr__(self, "__wrapped__", wrapped)
        self._self_wrapper = wrapper

    def __getattribute__(self, name: str) -> Any:
        own = name in ("_self_wrapper", "__wrapped__", "__call__")
        return object.__getattribute__(self, name) if own else getattr(self.__wrapped__, name)

    def __call__(self, *args: Any) -> Any:
        return self._self_wrapper(self.__wrapped__, *args)


def by_proxy(by: Any) -> Callable[[Any], Any]:
    def write(function: Any, outpath: str) -> None:
        pathlib.Path(outpath).write_text(str(by))

    return lambda function: Proxy(function, write)


PARTIALS = functools.partial(by_closure(1), touch), functools.partial(by_closure(1), function=touch)


@contextlib.contextmanager
def umask(mask: int) -> Any:
    before = os.umask(mask)
    yield
    os.umask(before)


@pytest.mark.parametrize("decorator", [by_closure, by_default, by_attribute, by_instance, by_proxy])
@pytest.mark.parametrize(
    "values", [(0.5, 2), (None, 2), ([1], [1, 2]), (os.fsencode, os.fsdecode), (by_closure(1), by_closure(2)), PARTIALS]
)
def test_another_value_that_a_decorator_holds_is_another_maker(
    decorator: Callable[[Any], Any], values: tuple[Any, Any], repository: Repository, out: pathlib.Path
) -> None:
    def save(outpath: str) -> None:
        touch(outpath)

    save.__qualname__ += f".{decorator.__name__}"  # since one function below two decorators is refused
    one, other = (cached(repository)(decorator(value)(save)) for value in values)
    assert [pathlib.Path(save(stem)).read_text() for save, stem in ((one, "foo"), (other, "bar"))] == [
        *map(str, values)
    ]
    with pytest.raises(ArtifactMismatchError):
        other("foo")


class Session:
    """It has no form."""


class App:
    """What it keeps for itself is not what its decorator was given."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, function: Any) -> Any:
        @functools.wraps(function)
        def inner(outpath: str) -> None:
            function(outpath)
            self.steps.append(outpath)

        return inner


@pytest.mark.parametrize("value", [2, None, threading.Lock(), object(), collections.deque(), Session, print])
def test_the_same_value_or_one_that_cannot_be_told_is_the_same_maker(
    value: object, repository: Repository, out: pathlib.Path
) -> None:
    one, other = (cached(repository)(by_closure(value)(touch)) for _ in range(2))
    assert one("foo") == other("foo")


def test_a_partial_and_an_artifact_below_a_decorator_hold_nothing(
    repository: Repository, out: pathlib.Path, name: Any
) -> None:
    def save(table: str, plot: str, lr: float) -> None:
        touch(table)
        touch(plot)

    plots = Artifact("plot", config=dict, ignore="table", repo=repository.path)(functools.partial(save, lr=0.1))
    both = Artifact("table", config=dict, ignore="plot", repo=repository.path, cache=True)(plots)
    assert both("foo", "bar") == both("foo", "bar") == f"foo-{name({'lr': 0.1})}"


def test_what_a_decorator_notes_in_an_object_of_its_own_is_no_other_maker(
    repository: Repository, out: pathlib.Path
) -> None:
    app = App()
    paths = []
    for _ in range(2):
        paths.append(cached(repository)(app.step(touch))("foo"))
    assert (paths[0], len(app.steps)) == (paths[1], 1)


def test_a_context_manager_as_a_decorator_holds_its_arguments(repository: Repository, out: pathlib.Path) -> None:
    one, other = (cached(repository)(umask(mask)(touch)) for mask in (0o22, 0o27))
    one("foo")
    with pytest.raises(ArtifactMismatchError):
        other("foo")


def test_two_functions_that_differ_in_values_alone_are_told_to_ignore_them(
    repository: Repository, out: pathlib.Path
) -> None:
    one, other = (cached(repository)(by_closure(value)(touch)) for value in (1, 2))
    path = out / one("foo")
    with pytest.raises(ArtifactMismatchError) as error:
        other("foo")
    maker = error.value.maker.partition(" with ")[0]
    digests = [hashlib.sha256(str(value).encode()).hexdigest()[:12] for value in (1, 2)]
    assert str(error.value) == (
        f"{path} was made by {maker} with by={digests[0]}, and {maker} with by={digests[1]} would take it for its own; "
        f"call one of them with another file name, or name what changes nothing in ignore=['by']"
    )


def test_what_a_decorator_holds_may_be_ignored(repository: Repository, out: pathlib.Path) -> None:
    one, other = (cached(repository, ignore="by")(by_closure(value)(touch)) for value in (1, 2))
    assert pathlib.Path(one("foo")).read_text() == pathlib.Path(other("foo")).read_text() == "1"


@pytest.mark.parametrize("namespace", [{}, {"__name__": __name__}])
def test_what_is_made_of_another_text_is_another_maker(
    namespace: dict[str, Any], repository: Repository, out: pathlib.Path
) -> None:
    def made(text: str) -> Any:
        exec(f"def save(outpath):\n    with open(outpath, 'w') as file:\n        file.write({text})", namespace)
        return cached(repository)(namespace["save"])

    texts = ["'1' if outpath in {'a', 'b'} else '2'", "'1' if outpath in {'a', 'c'} else '3'"]
    one, other, again = map(made, [*texts, texts[0]])
    path = one("foo")
    with pytest.raises(ArtifactMismatchError):
        other("foo")
    assert (pathlib.Path(path).read_text(), again("foo")) == ("2", path)


def test_what_a_library_keeps_in_its_wrappers_does_not_count(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = out / "site-packages"
    installed.mkdir()
    (installed / "wrapping.py").write_text(
        "import functools\nclass Compiled:\n    def __init__(self, function, version):\n"
        "        functools.update_wrapper(self, function)\n        self.version = version\n"
        "    def __call__(self, outpath):\n        self.__wrapped__(outpath)\n"
    )
    monkeypatch.syspath_prepend(installed)
    compiled = importlib.import_module("wrapping").Compiled
    one, other = (cached(repository)(compiled(touch, version)) for version in ("1.0", "1.1"))
    assert one("foo") == other("foo")


@pytest.mark.parametrize("places", [("env", "env"), ("env", "elsewhere")])
def test_a_function_of_a_library_is_the_same_in_another_version_and_another_environment(
    places: tuple[str, str], repository: Repository, tmp_path: pathlib.Path
) -> None:
    repository.commit(
        step="import sys, pyrepro, library\npyrepro.Artifact('path', cache=True)(library.save)(sys.argv[1])\n"
    )
    runs = []
    for version, place in zip(("", "\n\n"), places, strict=True):
        # An environment may be in the work tree.
        installed = (repository.path if place == "env" else tmp_path / place) / ".venv" / "site-packages"
        installed.mkdir(parents=True, exist_ok=True)
        (installed / "library.py").write_text(f"{version}def save(path):\n    print('runs', file=open(path, 'w'))\n")
        done = repository.run("step.py", tmp_path / "foo", env={"PYTHONPATH": str(installed)})
        assert done.stderr == ""
        runs.append([one.stat().st_mtime_ns for one in tmp_path.glob("foo-*")])
    assert runs[0] == runs[1]


def test_two_lambdas_of_a_library_are_two_makers(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = out / "site-packages"
    installed.mkdir()
    lines = "import pathlib\n" + "".join(
        f"{name} = lambda path: pathlib.Path(path).touch()\n" for name in ("one", "two")
    )
    (installed / "lambdas.py").write_text(lines)
    monkeypatch.syspath_prepend(installed)
    library = importlib.import_module("lambdas")
    decorate = Artifact("path", repo=repository.path, cache=True)
    decorate(library.one)("foo")
    with pytest.raises(ArtifactMismatchError):
        decorate(library.two)("foo")


@pytest.mark.parametrize("directory", [".", "conf"])
def test_a_path_in_the_work_tree_that_a_decorator_holds_is_the_same_in_each_clone(
    directory: str, repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    repository.commit(
        step=f"""\
import functools, pathlib, sys
from pyrepro import Artifact
def reading(directory):
    def decorate(function):
        @functools.wraps(function)
        def inner(outpath):
            function(outpath)
            assert directory.parent
        return inner
    return decorate
@Artifact("outpath", cache=True)
@reading(pathlib.Path(__file__).parent / {directory!r})
def save(outpath):
    pathlib.Path(outpath).touch()
    print("runs")
save(sys.argv[1])
"""
    )
    clone = repository.clone(tmp_path / "clone")
    done = [each.run("step.py", out / "foo") for each in (repository, clone)]
    assert [each.stdout for each in done] == ["runs\n", ""], done[1].stderr
