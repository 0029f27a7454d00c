"""A decorated function is called with the tag in its path, and stays what it is."""

from __future__ import annotations

import asyncio
import collections.abc
import functools
import inspect
import os
import pathlib
import pickle
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import omegaconf
import pytest
from conftest import Repository

from pyrepro import Artifact, ArtifactMissingError, CodeState, ConfigError, Tag, config_hash, file_hash, tag
from pyrepro._config import forms

EMPTY = "44136fa355b3"


# The path


def test_the_path_is_tagged_by_keyword_by_position_and_as_a_default(repository: Repository, name: Any) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(data: int, outpath: str = "foo.txt") -> tuple[int, str]:
        return data, outpath

    expected = (1, f"foo-{name()}.txt")
    assert save(1, outpath="foo.txt") == expected
    assert save(1, "foo.txt") == expected
    assert save(1) == expected
    assert save(data=1) == expected


def test_a_positional_only_path_and_variadic_arguments_are_passed_on(repository: Repository, name: Any) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(outpath: str, /, *args: int, flag: bool = False, **kwargs: int) -> Any:
        return outpath, args, flag, kwargs

    assert save("foo", 1, 2, flag=True, more=3) == (f"foo-{name()}", (1, 2), True, {"more": 3})


def test_a_keyword_only_path_is_tagged(repository: Repository, name: Any) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(*, outpath: pathlib.Path) -> pathlib.Path:
        return outpath

    assert save(outpath=pathlib.Path("out/foo.csv.gz")) == pathlib.Path(f"out/foo-{name()}.csv.gz")


def test_several_paths_are_tagged_alike_and_none_passes_through(repository: Repository, name: Any) -> None:
    @Artifact(["table", "plots"], repo=repository.path)
    def save(table: Any, plots: Any = None) -> Any:
        return table, plots

    assert save("t.csv") == (f"t-{name()}.csv", None)
    assert save(None, ["a.png", "b.png"]) == (None, [f"a-{name()}.png", f"b-{name()}.png"])


def test_decorated_functions_can_call_each_other_with_the_same_path(repository: Repository, name: Any) -> None:
    @Artifact("outpath", repo=repository.path)
    def inner(outpath: str) -> str:
        return outpath

    @Artifact("outpath", repo=repository.path)
    def outer(outpath: str) -> str:
        return inner(outpath)

    assert outer("foo.txt") == f"foo-{name()}.txt"


def test_the_same_decorator_on_a_function_that_reads_finds_what_was_written(
    repository: Repository, tmp_path: pathlib.Path
) -> None:
    decorate = Artifact("path", config={"lr": 0.1}, repo=repository.path)

    @decorate
    def write(path: pathlib.Path) -> None:
        path.write_text("good job")

    @decorate
    def read(path: pathlib.Path) -> str:
        return path.read_text()

    write(tmp_path / "foo.txt")
    assert read(tmp_path / "foo.txt") == "good job"


# The configuration


def test_a_static_configuration_is_read_at_every_call(repository: Repository, name: Any) -> None:
    config = {"lr": 0.1}

    @Artifact("outpath", config=config, repo=repository.path)
    def save(outpath: str) -> str:
        return outpath

    assert save("foo") == f"foo-{name({'lr': 0.1})}"
    config["lr"] = 0.2
    assert save("foo") == f"foo-{name({'lr': 0.2})}"


def test_config_dict_means_the_arguments_with_defaults_and_without_paths(repository: Repository, name: Any) -> None:
    @Artifact("outpath", config=dict, repo=repository.path)
    def save(outpath: str, lr: float, *layers: int, seed: int = 3, **more: str) -> str:
        return outpath

    assert save("foo", 0.1, 1, 2, a="b") == f"foo-{name({'lr': 0.1, 'layers': [1, 2], 'seed': 3, 'more': {'a': 'b'}})}"


def test_a_callable_configuration_picks_from_the_arguments(repository: Repository, name: Any) -> None:
    seen = []

    @Artifact("outpath", config=lambda call: seen.append(call) or call["cfg"].optimizer, repo=repository.path)
    def save(cfg: Any, outpath: str = "foo") -> str:
        return outpath

    assert save(types.SimpleNamespace(optimizer={"lr": 0.1})) == f"foo-{name({'lr': 0.1})}"
    assert seen == [{"cfg": types.SimpleNamespace(optimizer={"lr": 0.1})}]


def test_a_callable_configuration_that_returns_none_is_refused(repository: Repository) -> None:
    def forgets_to_return(call: dict[str, Any]) -> None:
        call["lr"] = 0.1

    @Artifact("outpath", config=forgets_to_return, repo=repository.path)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError) as error:
        save("foo")
    assert str(error.value) == f"config {forgets_to_return!r} returned None; return the configuration from it, or {{}}"


def test_a_mapping_or_an_object_with_fields_is_never_called(repository: Repository, name: Any) -> None:
    class Callable(dict[str, int]):
        def __call__(self, call: Any) -> Any:
            raise AssertionError("is not called")

    class Namespace(types.SimpleNamespace):
        __call__ = Callable.__call__

    for config in (Callable(a=1), Namespace(a=1)):

        @Artifact("outpath", config=config, repo=repository.path)
        def save(outpath: str) -> str:
            return outpath

        assert save("foo") == f"foo-{name({'a': 1})}"


@pytest.mark.parametrize("kind", [types.FunctionType, types.MethodType, functools.partial])
def test_a_function_is_called_for_the_configuration_also_where_such_have_a_form(
    kind: type, repository: Repository, name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pick(call: dict[str, Any]) -> Any:
        return {"rate": call["lr"]}

    monkeypatch.setattr(forms, "_registered", {**forms._registered, kind: lambda function: "a function"})
    pickers = {types.FunctionType: pick, types.MethodType: types.MethodType(lambda self, call: pick(call), 1)}

    @Artifact("outpath", config=pickers.get(kind, functools.partial(pick)), repo=repository.path)
    def save(outpath: str, lr: float) -> str:
        return outpath

    assert save("foo", 0.1) == f"foo-{name({'rate': 0.1})}"


@pytest.mark.parametrize("config", [list, int, Tag])
def test_another_class_as_configuration_is_a_type_error(config: type) -> None:
    with pytest.raises(TypeError) as error:
        Artifact("outpath", config=config)
    assert str(error.value) == (
        f"config={config!r} is a class; pass an instance of it, a function that makes one, or dict"
    )


def test_a_configuration_without_a_stable_form_fails_at_the_decoration() -> None:
    with pytest.raises(ConfigError) as error:
        Artifact("outpath", config={"act": 1j})
    assert str(error.value) == (
        "config['act'] is 1j of type builtins.complex, which has no stable JSON form; "
        "pass plain values, or register the type with pyrepro.to_json.register(complex)"
    )


def test_a_configuration_that_still_waits_for_values_fails_at_the_call(repository: Repository, name: Any) -> None:
    config = omegaconf.OmegaConf.create({"lr": "???"})

    @Artifact("outpath", config=config, repo=repository.path)
    def save(outpath: str) -> str:
        return outpath

    with pytest.raises(ConfigError, match="^config does not resolve: Missing mandatory value: lr"):
        save("foo")
    config.lr = 0.1
    assert save("foo") == f"foo-{name({'lr': 0.1})}"


# inputs and ignore


def test_the_content_of_inputs_is_configuration_and_their_paths_are_not(
    repository: Repository, tmp_path: pathlib.Path, name: Any
) -> None:
    @Artifact("outpath", config=dict, inputs=["table", "more"], repo=repository.path)
    def save(table: Any, outpath: str, more: Any = None, lr: float = 0.1) -> str:
        return outpath

    (tmp_path / "a").mkdir()
    for path in (tmp_path / "t.csv", tmp_path / "a" / "u.csv"):
        path.write_text("1,2\n")
        expected = {"lr": 0.1, "table": file_hash(path), "more": None}
        assert save(path, "foo") == f"foo-{name(expected)}"
        expected["more"] = [file_hash(path), file_hash(tmp_path / "a")]
        assert save(str(path), "foo", [os.fsencode(path), tmp_path / "a"]) == f"foo-{name(expected)}"


def test_inputs_go_into_a_static_configuration(repository: Repository, tmp_path: pathlib.Path, name: Any) -> None:
    table = tmp_path / "t.csv"
    table.write_text("1,2\n")

    @Artifact("outpath", config={"lr": 0.1}, inputs="table", repo=repository.path)
    def save(outpath: str, table: Any = table) -> str:
        return outpath

    assert save("foo") == f"foo-{name({'lr': 0.1, 'table': file_hash(table)})}"


def test_ignored_parameters_and_keys_are_left_out(repository: Repository, name: Any) -> None:
    @Artifact("outpath", config=dict, ignore=["workers"], repo=repository.path)
    def save(outpath: str, lr: float, workers: int = 1) -> str:
        return outpath

    @Artifact("outpath", config={"lr": 0.1, "device": "cpu"}, ignore="device", repo=repository.path)
    def save_static(outpath: str) -> str:
        return outpath

    assert save("foo", 0.1, workers=8) == save_static("foo") == f"foo-{name({'lr': 0.1})}"


def test_an_ignored_name_that_is_neither_parameter_nor_key_is_refused(repository: Repository) -> None:
    @Artifact("outpath", config={"lr": 0.1}, ignore="devcie", repo=repository.path)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError) as error:
        save("foo")
    assert str(error.value) == (
        f"ignore names 'devcie', which is neither a parameter of {save.__qualname__} nor a key of the configuration; "
        "correct the name"
    )


def test_an_input_of_the_name_of_a_key_is_refused(repository: Repository, tmp_path: pathlib.Path) -> None:
    @Artifact("outpath", config={"table": 1}, inputs="table", repo=repository.path)
    def save(outpath: str, table: pathlib.Path) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError) as error:
        save("foo", tmp_path)
    assert str(error.value) == (
        "config['table'] already exists, where the content of the input 'table' belongs; rename one of them"
    )


@pytest.mark.parametrize("config", [[1], "text", 3])
def test_inputs_need_a_configuration_that_is_an_object(config: object, repository: Repository) -> None:
    message = (
        f"config is {config!r}, but the content of inputs needs an object to go into; pass a dict as the configuration"
    )
    with pytest.raises(ConfigError) as error:
        Artifact("outpath", config=config, inputs="table")
    assert str(error.value) == message

    @Artifact("outpath", config=lambda call: config, inputs="table", repo=repository.path)
    def save(outpath: str, table: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError) as error:
        save("foo", "table")
    assert str(error.value) == message


def test_an_input_that_is_not_there_is_refused_before_the_call(repository: Repository, tmp_path: pathlib.Path) -> None:
    @Artifact("outpath", inputs="table", repo=repository.path)
    def save(outpath: str, table: Any) -> None:
        raise AssertionError("is not called")

    gone = str(tmp_path / "gone.csv")
    with pytest.raises(ConfigError) as error:
        save("foo", gone)
    assert str(error.value) == (
        f"the input table cannot be read: [Errno 2] No such file or directory: {gone!r}; "
        "pass the path of a file or a directory"
    )
    with pytest.raises(TypeError) as type_error:
        save("foo", [3])
    assert str(type_error.value) == (
        "the input table[0] is 3 of type int; pass the path of a file or a directory; "
        f"it is an argument of {save.__qualname__}"
    )


# Kinds of function


LATER = """\
class Model:
    @Artifact("outpath", config=dict, ignore="self", repo=repo, cache=cache)
    def save(self, outpath: str, table: OnlyForTypeCheckers = 3) -> Model | None:
        with open(outpath, "w") as file:
            file.write(str(table))
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated where they stand")
@pytest.mark.parametrize("cache", [False, True])
def test_what_annotates_a_function_need_not_be_there(
    cache: bool, repository: Repository, out: pathlib.Path, name: Any
) -> None:
    module = {"Artifact": Artifact, "repo": repository.path, "cache": cache, "__name__": __name__}
    exec(compile(LATER, "<string>", "exec", dont_inherit=True), module)  # without annotations from __future__
    model: Any = module["Model"]
    model().save("foo.txt")
    assert model.save.tagged(model(), "foo.txt") == f"foo-{name({'table': 3})}.txt"
    assert (out / f"foo-{name({'table': 3})}.txt").read_text() == "3"


def test_signature_name_and_docstring_survive(repository: Repository) -> None:
    def save(outpath: str, lr: float = 0.1) -> str:
        """Save it."""
        return outpath

    decorated = Artifact("outpath", repo=repository.path)(save)
    assert inspect.signature(decorated) == inspect.signature(save)
    assert (decorated.__name__, decorated.__qualname__) == (save.__name__, save.__qualname__)
    assert (decorated.__doc__, decorated.__module__) == ("Save it.", __name__)
    assert decorated.__wrapped__ is save
    assert isinstance(decorated, types.FunctionType)


def test_a_coroutine_function_stays_one(repository: Repository, name: Any) -> None:
    @Artifact("outpath", repo=repository.path)
    async def save(outpath: str) -> str:
        await asyncio.sleep(0)
        return outpath

    assert inspect.iscoroutinefunction(save)
    assert asyncio.run(save("foo")) == f"foo-{name()}"


def test_a_generator_function_stays_one(repository: Repository, name: Any) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(outpath: str) -> collections.abc.Generator[str, str, str]:
        got = yield outpath
        try:
            yield got
        except KeyError as error:
            yield str(error)
        return "done"

    assert inspect.isgeneratorfunction(save)
    generator = save("foo")
    assert next(generator) == f"foo-{name()}"
    assert generator.send("sent") == "sent"
    assert generator.throw(KeyError("thrown")) == "'thrown'"
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "done"


def test_an_async_generator_function_stays_one(repository: Repository, name: Any) -> None:
    closed = []

    @Artifact("outpath", repo=repository.path)
    async def save(outpath: str) -> collections.abc.AsyncGenerator[str, str]:
        try:
            got = yield outpath
            try:
                yield got
            except KeyError as error:
                yield str(error)
        finally:
            closed.append(outpath)

    assert inspect.isasyncgenfunction(save)

    async def use() -> list[str]:
        generator = save("foo")
        got = [await anext(generator), await generator.asend("sent"), await generator.athrow(KeyError("thrown"))]
        got += [item async for item in generator]
        early = save("bar")
        await anext(early)
        await early.aclose()
        return got

    assert asyncio.run(use()) == [f"foo-{name()}", "sent", "'thrown'"]
    assert closed == [f"foo-{name()}", f"bar-{name()}"]


def test_methods_class_methods_and_static_methods_bind(repository: Repository, name: Any) -> None:
    class Model:
        lr = 0.1

        @Artifact("outpath", config=lambda call: call["self"].lr, repo=repository.path)
        def save(self, outpath: str) -> Any:
            return self, outpath

        @classmethod
        @Artifact("outpath", repo=repository.path)
        def make(cls, outpath: str) -> Any:
            return cls, outpath

        @staticmethod
        @Artifact("outpath", repo=repository.path)
        def copy(outpath: str) -> str:
            return outpath

    model = Model()
    assert model.save("foo") == (model, f"foo-{name(0.1)}")
    assert Model.make("foo") == model.make("foo") == (Model, f"foo-{name()}")
    assert Model.copy("foo") == model.copy("foo") == f"foo-{name()}"
    assert model.save.tagged(model, "foo") == f"foo-{name(0.1)}"


def test_a_library_function_can_be_decorated(repository: Repository, tmp_path: pathlib.Path, name: Any) -> None:
    save = Artifact("fname", repo=repository.path)(np.savetxt)
    save(tmp_path / "x.txt", [1.0])
    assert [path.name for path in tmp_path.glob("x*")] == [f"x-{name()}.txt"]


def test_a_partial_can_be_decorated(repository: Repository, name: Any) -> None:
    def save(lr: float, outpath: str) -> str:
        return outpath

    decorated = Artifact("outpath", config=dict, repo=repository.path)(functools.partial(save, 0.1))
    assert decorated(outpath="foo") == f"foo-{name({})}"


def test_a_call_that_does_not_fit_the_signature_is_the_type_error_of_python(repository: Repository) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(TypeError, match=rf"^{save.__qualname__}\(\) missing a required argument: 'outpath'$"):
        save()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=rf"^{save.__qualname__}\(\) got an unexpected keyword argument 'outpth'$"):
        save("foo", outpth=1)  # type: ignore[call-arg]


def test_a_wrong_path_fails_before_the_call(repository: Repository) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(outpath: Any) -> None:
        raise AssertionError("is not called")

    with pytest.raises(TypeError, match="^an artifact path is a str, bytes"):
        save(3)
    with pytest.raises(ValueError, match="^'' has no file name to put a tag into"):
        save("")


def test_a_wrong_path_says_which_argument_of_which_function_it_is(repository: Repository) -> None:
    @Artifact(["table", "plot"], repo=repository.path)
    def save(table: Any, plot: Any) -> None:
        raise AssertionError("is not called")

    with pytest.raises(TypeError) as type_error:
        save("foo", 3)
    assert str(type_error.value) == (
        "an artifact path is a str, bytes, a path object, None, or a list or tuple of these, not 3 of type int; pass the "
        f"path as it stands on disk; it is the argument 'plot' of {save.__qualname__}"
    )
    with pytest.raises(ValueError) as value_error:
        save.tagged("-", "foo")
    assert str(value_error.value) == (
        "'-' is a stream or a device, which has no name that could carry a tag; pass the path of a file, or None for no "
        f"output; it is the argument 'table' of {save.__qualname__}"
    )


# Paths that only **kwargs takes


def test_a_path_in_kwargs_is_tagged(repository: Repository, name: Any) -> None:
    @Artifact("outpath", config=dict, repo=repository.path)
    def save(**kwargs: Any) -> Any:
        return kwargs

    given = {"lr": 0.1}
    tagged = f"foo-{name(kwargs=given)}"
    assert save(outpath="foo", lr=0.1) == {"outpath": tagged, "lr": 0.1}
    assert save.tagged(lr=0.1, outpath="foo") == tagged
    assert str(inspect.signature(save)) == "(**kwargs: 'Any') -> 'Any'"


def test_several_paths_and_inputs_in_kwargs_are_found(
    repository: Repository, tmp_path: pathlib.Path, name: Any
) -> None:
    @Artifact(["table", "plot"], inputs="raw", repo=repository.path)
    def save(table: str, *args: int, **others: Any) -> Any:
        return table, args, others

    raw = tmp_path / "raw"
    raw.write_text("1")
    tag = name({"raw": file_hash(raw)})
    assert save("t", 1, plot="p", raw=raw) == (f"t-{tag}", (1,), {"plot": f"p-{tag}", "raw": raw})


def test_a_path_that_is_missing_in_kwargs_is_a_type_error(repository: Repository) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(**kwargs: Any) -> None:
        raise AssertionError("is not called")

    with pytest.raises(TypeError, match=rf"^{save.__qualname__}\(\) missing a required .*argument: 'outpath'$"):
        save(outpth="foo")


@pytest.mark.parametrize("keyword", ["kwargs", "args", "a-b", "class", ""])
def test_what_kwargs_cannot_take_is_refused(keyword: str) -> None:
    def save(table: str, *args: int, **kwargs: int) -> None:
        raise AssertionError("is not called")

    with pytest.raises(TypeError) as error:
        Artifact(keyword)(save)
    assert str(error.value) == (
        f"Artifact keyword names {keyword!r}, which is not a parameter of {save.__qualname__}{inspect.signature(save)}; "
        f"name one of table"
    )


# Tracebacks


def test_the_frames_between_the_call_and_the_function_are_hidden(repository: Repository) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(outpath: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as error:
        save("foo")
    shown = [entry.frame.code.name for entry in error.traceback if not entry.ishidden(error)]
    assert shown == ["test_the_frames_between_the_call_and_the_function_are_hidden", "save"]


def names_of_frames(error: BaseException) -> list[str]:
    return [entry.name for entry in traceback.extract_tb(error.__traceback__)]


def test_an_error_of_pyrepro_comes_from_where_it_was_called_without_the_frames_within(repository: Repository) -> None:
    @Artifact("outpath", config=dict, repo=repository.path)
    def save(outpath: str, model: object) -> None:
        raise AssertionError("is not called")

    here = "test_an_error_of_pyrepro_comes_from_where_it_was_called_without_the_frames_within"
    calls: dict[str, Callable[[], object]] = {
        "begin": lambda: save("foo", object()),
        "tagged": lambda: save.tagged("foo", object()),
        "tag": lambda: tag(object()),
        "__call__": lambda: Artifact("gone")(save),
    }
    for door, call in calls.items():
        with pytest.raises((ConfigError, TypeError)) as error:
            call()
        inner = names_of_frames(error.value)
        assert (inner[0], inner[1], inner[-1], len(inner) <= 4) == (here, "<lambda>", door, True)


def test_an_error_of_pyrepro_after_the_function_has_run_holds_no_frames_within(
    repository: Repository, out: Any
) -> None:
    @Artifact("outpath", repo=repository.path, atomic=True)
    def save(outpath: str) -> None:
        pass

    @Artifact("outpath", repo=repository.path, atomic=True)
    async def save_later(outpath: str) -> None:
        pass

    with pytest.raises(ArtifactMissingError) as error:
        save("foo")
    assert names_of_frames(error.value)[1:] == ["plain_function"]
    with pytest.raises(ArtifactMissingError) as error:
        asyncio.run(save_later("foo"))
    assert names_of_frames(error.value)[-1] == "coroutine_function"


def test_frames_of_a_users_own_function_in_an_error_of_pyrepro_are_kept(repository: Repository) -> None:
    def described(call: dict[str, object]) -> str:
        return config_hash(call["model"])

    @Artifact("outpath", config=described, repo=repository.path)
    def save(outpath: str, model: object) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ConfigError) as error:
        save("foo", object())
    assert "described" in names_of_frames(error.value)


# tagged


def test_tagged_gives_the_path_without_calling(repository: Repository, name: Any) -> None:
    @Artifact("outpath", config={"lr": 0.1}, repo=repository.path)
    def save(data: object, outpath: str) -> None:
        raise AssertionError("is not called")

    assert save.tagged(outpath="foo.txt") == f"foo-{name({'lr': 0.1})}.txt"
    assert save.tagged(None, "foo.txt") == f"foo-{name({'lr': 0.1})}.txt"


def test_tagged_shows_the_parameters_of_the_function(repository: Repository) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(data: object, *, lr: float = 0.1, **kwargs: int) -> None:
        raise AssertionError("is not called")

    assert list(inspect.signature(save.tagged).parameters) == ["data", "lr", "outpath", "kwargs"]


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="jedi does not parse Python 3.15 yet")
@pytest.mark.parametrize("call", ["save(", "Model().save("])
def test_an_editor_that_completes_with_jedi_sees_the_parameters_of_the_function(call: str) -> None:
    import jedi

    source = """
from pyrepro import Artifact

@Artifact("outpath", config=dict, cache=True)
def save(outpath, alpha): pass

class Model:
    @Artifact("outpath")
    def save(self, outpath, alpha): pass

"""
    script = jedi.Script(source + call)
    assert {"outpath=", "alpha="} <= {completion.name for completion in script.complete()}
    assert [signature.to_string() for signature in script.get_signatures()] == ["save(outpath, alpha)"]


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="jedi does not parse Python 3.15 yet")
def test_an_editor_that_completes_with_jedi_sees_the_attributes_of_a_decorated_function_and_no_false_parameters() -> (
    None
):
    import jedi

    source = """
from pyrepro import Artifact

@Artifact("outpath")
def save(outpath): pass

save."""
    completed = {completion.name for completion in jedi.Script(source).complete()}
    assert {"code_state", "refresh", "tagged"} <= completed
    assert jedi.Script(source + "tagged(").get_signatures() == []


def test_tagged_gives_a_dict_for_several_keywords(repository: Repository, name: Any) -> None:
    @Artifact(["a"], repo=repository.path)
    def one(a: str) -> None:
        raise AssertionError("is not called")

    @Artifact(("a", "b"), repo=repository.path)
    def two(a: str, b: str = "y") -> None:
        raise AssertionError("is not called")

    assert one.tagged("x") == {"a": f"x-{name()}"}
    assert two.tagged("x") == {"a": f"x-{name()}", "b": f"y-{name()}"}


def test_tagged_needs_only_what_the_configuration_reads(repository: Repository, name: Any) -> None:
    @Artifact("outpath", config=lambda call: {"lr": call["lr"]}, repo=repository.path)
    def save(data: object, lr: float, outpath: str) -> None:
        raise AssertionError("is not called")

    assert save.tagged(lr=0.1, outpath="foo") == f"foo-{name({'lr': 0.1})}"
    with pytest.raises(ConfigError) as error:
        save.tagged(outpath="foo")
    assert str(error.value) == "the configuration reads the argument 'lr', which tagged() was not given; pass it"


def test_an_argument_that_tagged_was_not_given_says_so_when_a_configuration_computes_with_it(
    repository: Repository,
) -> None:
    @Artifact("outpath", config=lambda call: {"lr": float(f"{call['lr']}")}, repo=repository.path)
    def save(lr: float, outpath: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(ValueError, match="^could not convert string to float: '<lr was not given>'$"):
        save.tagged(outpath="foo")


def test_tagged_needs_the_paths_and_the_inputs(repository: Repository) -> None:
    @Artifact("outpath", inputs="table", repo=repository.path)
    def save(outpath: str, table: str) -> None:
        raise AssertionError("is not called")

    for given, missing in (({"table": "t"}, "outpath"), ({"outpath": "foo"}, "table")):
        with pytest.raises(TypeError) as error:
            save.tagged(**given)
        assert (
            str(error.value)
            == f"{save.__qualname__}.tagged() was not given the argument {missing!r}, which is part of the name; pass it"
        )


def test_the_state_is_readable_on_the_wrapper(repository: Repository) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(outpath: str) -> None:
        raise AssertionError("is not called")

    assert save.code_state == CodeState(repository.head)


# tag


def test_tag_gives_the_tag_itself(repository: Repository) -> None:
    assert tag(repo=repository.path) == Tag(repository.head[:12], None, EMPTY)
    assert tag({"lr": 0.1}, repo=str(repository.path)) == Tag(repository.head[:12], None, config_hash({"lr": 0.1})[:12])


@pytest.mark.parametrize("config", [dict, len])
def test_tag_has_no_call_that_a_configuration_could_read(config: object) -> None:
    with pytest.raises(TypeError) as error:
        tag(config)
    assert str(error.value) == (
        f"tag config={config!r} is callable, but there is no call for it to read; pass its result"
    )


# Pickling


@Artifact("outpath", config={"lr": 0.1}, repo=os.path.dirname(__file__), allow_dirty=True)
def module_level(outpath: str) -> str:
    return outpath


class Trainer:
    @Artifact("outpath", config={}, repo=os.path.dirname(__file__), allow_dirty=True)
    def save(self, outpath: str) -> str:
        return outpath


@pytest.mark.parametrize("function", [module_level, Trainer.save], ids=["function", "method"])
def test_a_module_level_function_pickles_by_name(function: Any) -> None:
    for one in (function, function.refresh, function.tagged):
        assert pickle.loads(pickle.dumps(one)) is one


def test_a_local_function_pickles_by_value_with_its_state(repository: Repository, name: Any) -> None:
    @Artifact("outpath", config=dict, repo=repository.path)
    def save(outpath: str, lr: float = 0.1) -> str:
        return outpath

    pickled = cloudpickle.dumps(save)
    expected = f"foo-{name({'lr': 0.1})}"
    repository.commit(train="another commit\n")
    copied = pickle.loads(pickled)
    assert copied("foo") == copied.tagged("foo") == expected
    assert copied.code_state == save.code_state


# Without parentheses


def test_artifact_without_parentheses_says_what_to_type() -> None:
    with pytest.raises(TypeError) as error:

        @Artifact  # type: ignore[arg-type]
        def train(data: object, outpath: str) -> None:
            raise AssertionError("is not called")

    assert str(error.value) == (
        "@Artifact stands above test_artifact_without_parentheses_says_what_to_type.<locals>.train without parentheses; "
        "write @Artifact('outpath'), with the name of the parameter that is the path to write"
    )


def test_artifact_without_parentheses_names_the_path_that_is_written_not_one_that_is_read() -> None:
    with pytest.raises(TypeError, match=r"write @Artifact\('out_file'\), with the name of"):

        @Artifact  # type: ignore[arg-type]
        def train(route: str, data_path: str, out_file: str) -> None:
            raise AssertionError("is not called")


class Bare:
    def method(self, where: str) -> None:
        raise AssertionError("is not called")


@pytest.mark.parametrize(
    ("function", "parameter"),
    [
        (lambda data, target_file: None, "target_file"),
        (lambda data, where: None, "data"),
        (Bare.method, "where"),
        (lambda: None, "outpath"),
        (dir, "outpath"),
    ],
)
def test_the_parameter_that_looks_like_a_path_is_proposed(function: Any, parameter: str) -> None:
    with pytest.raises(TypeError, match=rf"; write @Artifact\('{parameter}'\), with the name"):
        Artifact(function)


# Wrong arguments of the decorator


def save(outpath: str, table: str = "t", *args: int) -> None:
    raise AssertionError("is not called")


class AClass:
    def __init__(self, outpath: str) -> None:
        raise AssertionError("is not called")


ONE_OF = "name one of outpath, table"
SIGNATURE = "save(outpath: 'str', table: 'str' = 't', *args: 'int') -> 'None'"

WRONG: list[tuple[Any, dict[str, Any], Any, str]] = [
    (3, {}, save, "Artifact keyword=3 is not a name, or a list or tuple of names; pass names of parameters"),
    (
        ["a", 3],
        {},
        save,
        "Artifact keyword=['a', 3] is not a name, or a list or tuple of names; pass names of parameters",
    ),
    (
        {"outpath"},
        {},
        save,
        "Artifact keyword={'outpath'} is not a name, or a list or tuple of names; pass names of parameters",
    ),
    ([], {}, save, "Artifact keyword names no parameter; pass the name of the one that is the path to write"),
    (["outpath"] * 2, {}, save, "Artifact keyword=['outpath', 'outpath'] names a parameter twice; name it once"),
    ("outpth", {}, save, f"Artifact keyword names 'outpth', which is not a parameter of {SIGNATURE}; {ONE_OF}"),
    ("", {}, save, f"Artifact keyword names '', which is not a parameter of {SIGNATURE}; {ONE_OF}"),
    ("args", {}, save, f"Artifact keyword names 'args', which is not a parameter of {SIGNATURE}; {ONE_OF}"),
    ("kwargs", {}, save, f"Artifact keyword names 'kwargs', which is not a parameter of {SIGNATURE}; {ONE_OF}"),
    (
        "outpath",
        {"inputs": "tabel"},
        save,
        f"Artifact inputs names 'tabel', which is not a parameter of {SIGNATURE}; {ONE_OF}, args",
    ),
    (
        "outpath",
        {"inputs": 3},
        save,
        "Artifact inputs=3 is not a name, or a list or tuple of names; pass names of parameters",
    ),
    (
        "outpath",
        {"ignore": None},
        save,
        "Artifact ignore=None is not a name, or a list or tuple of names; pass names of parameters",
    ),
    (
        "outpath",
        {"inputs": "outpath"},
        save,
        "Artifact names 'outpath' in two of keyword, inputs and ignore; name it in one",
    ),
    (
        "outpath",
        {"ignore": "outpath"},
        save,
        "Artifact names 'outpath' in two of keyword, inputs and ignore; name it in one",
    ),
    (
        "outpath",
        {"inputs": "table", "ignore": "table"},
        save,
        "Artifact names 'table' in two of keyword, inputs and ignore; name it in one",
    ),
    ("outpath", {"allow_dirty": "no"}, save, "allow_dirty='no' is neither True nor False; pass one of them"),
    ("outpath", {"atomic": 1}, save, "atomic=1 is neither True nor False; pass one of them"),
    ("outpath", {"cache": None}, save, "cache=None is neither True nor False; pass one of them"),
    ("outpath", {"repo": 3}, save, "repo=3 of type int is not a path; pass the path of the work tree"),
    ("outpath", {}, AClass, "Artifact decorates functions, not the class AClass; decorate the method that writes"),
    ("outpath", {}, 3, "Artifact decorates functions, not 3 of type int; write @Artifact(...) above a def"),
    (
        "outpath",
        {},
        staticmethod(save),
        "Artifact decorates functions, not {0!r} of type staticmethod; write @staticmethod above @Artifact(...)",
    ),
    (
        "outpath",
        {},
        classmethod(save),
        "Artifact decorates functions, not {0!r} of type classmethod; write @classmethod above @Artifact(...)",
    ),
    (
        "outpath",
        {},
        dict.fromkeys,
        "Artifact keyword names 'outpath', which is not a parameter of dict.fromkeys(iterable, value=None, /); "
        "name one of iterable, value",
    ),
    (
        "outpath",
        {},
        "".join,
        "Artifact keyword names 'outpath', which is not a parameter of str.join(iterable, /); name one of iterable",
    ),
    (
        "outpath",
        {},
        dir,
        "Artifact cannot see the parameters of <built-in function dir> of type builtin_function_or_method: "
        "{reason}; wrap it in a def",
    ),
]


@pytest.mark.parametrize(("keyword", "options", "function", "message"), WRONG)
def test_a_wrong_argument_of_the_decorator_is_a_type_error_at_the_decoration(
    keyword: Any, options: dict[str, Any], function: Any, message: str
) -> None:
    with pytest.raises(TypeError) as error:
        Artifact(keyword, **options)(function)
    assert str(error.value) == message.replace("{0!r}", repr(function)).replace("{reason}", str(error.value.__cause__))


def test_a_function_without_parameters_has_none_to_name() -> None:
    def nothing() -> None:
        raise AssertionError("is not called")

    with pytest.raises(TypeError) as error:
        Artifact("outpath")(nothing)
    assert str(error.value) == (
        f"Artifact keyword names 'outpath', which is not a parameter of {nothing.__qualname__}() -> 'None'; "
        "name one of a function that has parameters"
    )
