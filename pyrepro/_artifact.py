"""Artifact and tag: the only file that joins code state, configuration and path."""

from __future__ import annotations

import copy
import functools
import inspect
import logging
import os
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, Concatenate, NoReturn, ParamSpec, Protocol, TypeVar, Union, overload

from pyrepro import _code
from pyrepro._code import CodeState, Reading
from pyrepro._config import JSON, digest, has_fields, json_form, to_json
from pyrepro._inputs import file_hash
from pyrepro._tag import DIGITS, Tag
from pyrepro.errors import CodeStateError, ConfigError, DirtyRepositoryError

_logger = logging.getLogger("pyrepro")

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R_co = TypeVar("_R_co", covariant=True)
_R = TypeVar("_R")
_S = TypeVar("_S")

Names = Union[str, list[str], tuple[str, ...]]
Repo = Union[str, os.PathLike[str], None]


class Decorated(Protocol[_P, _R_co]):
    """A decorated function: the function's own signature, and three attributes more."""

    __name__: str
    __qualname__: str

    @property
    def __wrapped__(self) -> Callable[_P, _R_co]:
        """The undecorated function."""

    @property
    def code_state(self) -> CodeState | None:
        """The code state at the decoration, None where there was none to be had."""

    @property
    def tagged(self) -> Callable[..., Any]:
        """The path, or a dict of paths, that a call with these arguments would write."""

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Decorated[_P, _R_co]: ...

    @overload
    def __get__(
        self: Decorated[Concatenate[_S, _Q], _R], instance: _S, owner: type | None = None
    ) -> Decorated[_Q, _R]: ...


class Artifact:
    """A decorator that names a function's output after its code and its configuration.

    The decorated function is called with the commit, the uncommitted changes
    and the hash of the configuration put into the path that it was given.

    Args:
        keyword: the name of the parameter that is the path to write, or a list
            or tuple of such names.
        config: the configuration: any value with a stable JSON form; or a
            callable that is given the call's arguments as a dict, paths left
            out, and returns such a value; or ``dict`` for these arguments
            themselves. It is read at every call.
        allow_dirty: whether to write under a ``-dirty-`` name when the code
            that runs is not what the commit holds.
        repo: a path in the work tree of the code, where that is not the one
            that holds the function's module or the file that decorates.
        inputs: the names of parameters that are files or directories which the
            function reads; their content goes into the configuration.
        ignore: the names of parameters and of top-level configuration keys
            that do not change the artifact.

    Raises:
        CodeStateError: there is no code state to be had.
        ConfigError: the configuration has no stable JSON form.
        DirtyRepositoryError: the code is dirty, and that is not allowed.
        TypeError: an argument is of the wrong type, or names no parameter of
            the function.
    """

    def __init__(
        self,
        keyword: Names,
        config: object = None,
        allow_dirty: bool = False,
        *,
        repo: Repo = None,
        inputs: Names = (),
        ignore: Names = (),
    ) -> None:
        self._paths = _names("keyword", keyword)
        if not self._paths:
            raise TypeError("Artifact keyword names no parameter; pass the name of the parameter that is the path to write")
        self._is_single = isinstance(keyword, str)
        self._config = {} if config is None else config
        self._reads_call = _reads_call(config)
        self._allow_dirty = _checked_allow_dirty(allow_dirty)
        self._repo = _checked_repo(repo)
        self._inputs = _names("inputs", inputs)
        self._ignore = _names("ignore", ignore)
        twice = sorted({*self._paths} & {*self._inputs} | {*self._paths, *self._inputs} & {*self._ignore})
        if twice:
            raise TypeError(f"Artifact names {twice[0]!r} in two of keyword, inputs and ignore; name it in one")
        if not self._reads_call:
            form = _checked_form(self._config)
            if self._inputs and form is not None and not isinstance(form, dict):
                raise _no_object(form)

    def __call__(self, function: Callable[_P, _R]) -> Decorated[_P, _R]:
        signature = _signature(function)
        for role, names in (("keyword", self._paths), ("inputs", self._inputs)):
            for name in names:
                _check_parameter(function, signature, role, name)
        file = _code.function_file(function)
        naming = _Naming(
            function,
            signature,
            self._paths,
            self._is_single,
            self._config,
            self._reads_call,
            self._inputs,
            self._ignore,
            _State.at_decoration([file, _code.caller_file()], self._repo, self._allow_dirty),
        )
        wrapper: Any = _wrapper(function, naming)
        functools.update_wrapper(wrapper, function)
        wrapper.code_state = naming.state.reading.state if naming.state.reading else None
        wrapper.tagged = functools.partial(_Naming.tagged, naming)
        return wrapper  # type: ignore[no-any-return]


def tag(config: object = None, allow_dirty: bool = False, *, repo: Repo = None) -> Tag:
    """The tag of the calling code and a configuration, for paths that something else chooses.

    Args:
        config: any value with a stable JSON form; None is ``{}``.
        allow_dirty: whether a dirty tree has a tag, too.
        repo: a path in the work tree of the code, where that is not the one
            that holds the calling file.

    Returns:
        The tag.

    Raises:
        CodeStateError: there is no code state to be had.
        ConfigError: the configuration has no stable JSON form.
        DirtyRepositoryError: the code is dirty, and that is not allowed.
        TypeError: an argument is of the wrong type.
    """
    if _reads_call(config):
        raise TypeError(f"tag config={config!r} is callable, and here is no call whose arguments it could read; pass its result")
    form = json_form({} if config is None else config)
    state = _State(_code.read_for([_code.caller_file()], _checked_repo(repo)), None, _checked_allow_dirty(allow_dirty))
    return _tag_of(state.current(), form)


def _tag_of(state: CodeState, form: JSON) -> Tag:
    changes = None if state.changes is None else state.changes[:DIGITS]
    return Tag(state.commit[:DIGITS], changes, digest(form)[:DIGITS])


class _State:
    """The code state of a decorated function, or the error that stands in its place."""

    _warned: set[CodeState] = set()

    def __init__(self, reading: Reading | None, error: CodeStateError | None, is_allowed: bool) -> None:
        self.reading = reading
        self.error = error
        self.is_allowed = is_allowed or _environment_allows_dirty()

    @classmethod
    def at_decoration(cls, files: list[str | None], repo: str | None, is_allowed: bool) -> _State:
        """Read the state; in the user's own program, refuse at once what must be refused."""
        try:
            state = cls(_code.read_for(files, repo), None, is_allowed)
        except CodeStateError as error:
            state = cls(None, error, is_allowed)
        try:
            state.current()
        except (CodeStateError, DirtyRepositoryError) as error:
            if _code.is_own_program():
                raise
            _logger.warning("calls that write artifacts will be refused: %s", error)
        return state

    def current(self) -> CodeState:
        """The state, if it is to be had and allowed."""
        if self.error is not None:
            raise copy.copy(self.error)  # a raised error collects tracebacks
        assert self.reading is not None
        if self.reading.state.changes is not None:
            self._check_dirty(self.reading)
        return self.reading.state

    def _check_dirty(self, reading: Reading) -> None:
        if not (self.is_allowed or _environment_allows_dirty()):
            raise _dirty(reading)
        if reading.state not in self._warned:
            self._warned.add(reading.state)
            _logger.warning("%s", _uncommitted(reading))


def _uncommitted(reading: Reading) -> str:
    where = "the declared code state" if reading.work_tree is None else f"the work tree {reading.work_tree}"
    lines = [f"{where} has changes that commit {reading.state.commit[:DIGITS]} does not hold:"]
    lines += [f"  {path}" for path in reading.paths[:10]]
    if len(reading.paths) > 10:
        lines.append(f"  and {len(reading.paths) - 10} more")
    if not reading.paths:
        lines.append(f"  those of PYREPRO_CODE_STATE={reading.state}")
    return "\n".join(lines)


def _dirty(reading: Reading) -> DirtyRepositoryError:
    return DirtyRepositoryError(
        f"{_uncommitted(reading)}\n"
        f"Commit them; or pass allow_dirty=True or set PYREPRO_ALLOW_DIRTY=1 to write under a -dirty- name.",
        commit=reading.state.commit,
        changes=reading.state.changes,
        work_tree=reading.work_tree,
        paths=reading.paths,
    )


def _environment_allows_dirty() -> bool:
    text = os.environ.get("PYREPRO_ALLOW_DIRTY", "")
    if text not in ("", "0", "1"):
        raise CodeStateError(f"PYREPRO_ALLOW_DIRTY={text!r} is neither 1 nor 0; set it to 1 to allow a dirty tree, or unset it")
    return text == "1"


class _NotGiven:
    """Stands in a callable config's dict for an argument that tagged() was not given."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name} was not given>"


@to_json.register
def _(value: _NotGiven) -> NoReturn:
    raise ConfigError(f"the configuration reads the argument {value.name!r}, which tagged() was not given; pass it, too")


class _Naming:
    """How the calls of one function are named."""

    def __init__(
        self,
        function: Callable[..., Any],
        signature: inspect.Signature,
        paths: tuple[str, ...],
        is_single: bool,
        config: Any,
        reads_call: bool,
        inputs: tuple[str, ...],
        ignore: tuple[str, ...],
        state: _State,
    ) -> None:
        self.function = function
        self.signature = signature
        self.paths = paths
        self.is_single = is_single
        self.config = config
        self.reads_call = reads_call
        self.inputs = inputs
        self.ignore = ignore
        self.state = state

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """The call's arguments with the tag in its paths."""
        state = self.state.current()
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        self._put_tag(state, bound.arguments)
        return bound

    def tagged(self, *args: Any, **kwargs: Any) -> Any:
        """The path that a call with these arguments would write; for several keywords, a dict of paths.

        Args:
            args, kwargs: the call's arguments, of which the paths and those
                that the configuration reads are needed.

        Raises:
            TypeError: a path is missing.
        """
        state = self.state.current()
        bound = self.signature.bind_partial(*args, **kwargs)
        bound.apply_defaults()
        for name in (*self.paths, *self.inputs):
            if name not in bound.arguments:
                raise TypeError(f"tagged() needs the argument {name!r}, which is part of the name; pass it")
        for name in self.signature.parameters:
            bound.arguments.setdefault(name, _NotGiven(name))
        self._put_tag(state, bound.arguments)
        if self.is_single:
            return bound.arguments[self.paths[0]]
        return {name: bound.arguments[name] for name in self.paths}

    def _put_tag(self, state: CodeState, arguments: dict[str, Any]) -> None:
        tag = _tag_of(state, self._form(arguments))
        for name in self.paths:
            arguments[name] = tag.put(arguments[name])

    def _form(self, arguments: Mapping[str, Any]) -> JSON:
        form = self._form_of_config(arguments)
        if self.inputs:
            if not isinstance(form, dict):
                raise _no_object(form)
            for name in self.inputs:
                if name in form:
                    raise ConfigError(
                        f"config[{name!r}] is there already, and the content of the input {name!r} belongs there; rename one",
                        place=f"config[{name!r}]",
                    )
                form[name] = _content(name, arguments[name])
        for name in self.ignore:
            if isinstance(form, dict) and name in form:
                del form[name]
            elif name not in self.signature.parameters:
                raise ConfigError(f"ignore names {name!r}, which is neither a parameter nor a key of the configuration; correct it")
        return form

    def _form_of_config(self, arguments: Mapping[str, Any]) -> JSON:
        if not self.reads_call:
            return json_form(self.config)
        left_out = {*self.paths, *self.inputs, *self.ignore}
        config = self.config({name: value for name, value in arguments.items() if name not in left_out})
        if config is None:
            raise ConfigError(f"config {self.config!r} returned None; return the configuration from it, or {{}}")
        return json_form(config)


def _content(name: str, value: object) -> JSON:
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return [_content(f"{name}[{index}]", item) for index, item in enumerate(value)]
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(f"the input {name} is {value!r} of type {type(value).__name__}; pass the path of a file or a directory")
    try:
        return file_hash(value)
    except OSError as error:
        raise ConfigError(f"the input {name} cannot be read: {error}; pass the path of a file or a directory") from error


def _no_object(form: JSON) -> ConfigError:
    return ConfigError(
        f"config is {form!r}, and the content of inputs needs an object to go into; pass a dict as the configuration",
        place="config",
    )


def _names(role: str, names: object) -> tuple[str, ...]:
    listed = (names,) if isinstance(names, str) else names
    if not isinstance(listed, (list, tuple)) or not all(isinstance(name, str) for name in listed):
        raise TypeError(f"Artifact {role}={names!r} is neither a name nor a list or tuple of names; pass names of parameters")
    if len(set(listed)) < len(listed):
        raise TypeError(f"Artifact {role}={names!r} names a parameter twice; name it once")
    return tuple(listed)


def _reads_call(config: object) -> bool:
    """Whether a configuration is to be called with the call's arguments."""
    if config is dict:
        return True
    if isinstance(config, type):
        raise TypeError(f"config={config!r} is a class; pass an instance of it, a function that makes one, or dict")
    return callable(config) and not isinstance(config, Mapping) and not has_fields(config)


def _checked_form(config: object) -> JSON:
    """The configuration's form at the decoration; None while it waits for values of OmegaConf."""
    try:
        return json_form(config)
    except ConfigError as error:
        if type(error.__cause__).__module__.partition(".")[0] != "omegaconf":
            raise
        return None


def _checked_allow_dirty(allow_dirty: object) -> bool:
    if not isinstance(allow_dirty, bool):
        raise TypeError(f"allow_dirty={allow_dirty!r} is neither True nor False; pass one of them")
    return allow_dirty


def _checked_repo(repo: object) -> str | None:
    if repo is None:
        return None
    if not isinstance(repo, (str, bytes, os.PathLike)):
        raise TypeError(f"repo={repo!r} of type {type(repo).__name__} is no path; pass the path of the work tree")
    return os.path.abspath(os.fsdecode(repo))


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    described = f"{function!r} of type {type(function).__name__}"
    if isinstance(function, (staticmethod, classmethod)):
        raise TypeError(f"Artifact decorates functions, not {described}; write @{type(function).__name__} above @Artifact(...)")
    if isinstance(function, type):
        raise TypeError(f"Artifact decorates functions, not the class {function.__qualname__}; decorate its method that writes")
    if not callable(function):
        raise TypeError(f"Artifact decorates functions, not {described}; write @Artifact(...) above a def")
    try:
        return inspect.signature(function)
    except ValueError as error:
        raise TypeError(f"Artifact cannot see the parameters of {described}: {error}; wrap it in a def") from error


def _check_parameter(function: Callable[..., Any], signature: inspect.Signature, role: str, name: str) -> None:
    usable = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if name not in usable:
        shown = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"Artifact {role} names {name!r}, and {shown}{signature} has no such parameter; name one of {usable}")


def _wrapper(function: Callable[..., Any], naming: _Naming) -> Callable[..., Any]:
    """A function of the same kind, decided here once."""
    if inspect.iscoroutinefunction(function):

        async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
            bound = naming.arguments(args, kwargs)
            return await function(*bound.args, **bound.kwargs)

        return coroutine_function

    if inspect.isasyncgenfunction(function):

        async def async_generator_function(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            bound = naming.arguments(args, kwargs)
            generator = function(*bound.args, **bound.kwargs)
            try:
                item = await anext(generator)
                while True:
                    try:
                        sent = yield item
                    except GeneratorExit:
                        await generator.aclose()
                        raise
                    except BaseException as error:
                        item = await generator.athrow(error)
                    else:
                        item = await generator.asend(sent)
            except StopAsyncIteration:
                return

        return async_generator_function

    if inspect.isgeneratorfunction(function):

        def generator_function(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            bound = naming.arguments(args, kwargs)
            return (yield from function(*bound.args, **bound.kwargs))

        return generator_function

    def plain_function(*args: Any, **kwargs: Any) -> Any:
        bound = naming.arguments(args, kwargs)
        return function(*bound.args, **bound.kwargs)

    return plain_function
