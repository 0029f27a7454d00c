"""Artifact and tag: the only file that joins code state, configuration and path."""

from __future__ import annotations

import functools
import inspect
import os
import types
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, Literal, NamedTuple, NoReturn, ParamSpec, TypeVar, Union, overload

from pyrepro._binding import Binding
from pyrepro._code import modules as _loaded
from pyrepro._code import state as _code
from pyrepro._code.state import CodeState
from pyrepro._code.tracker import State, checked
from pyrepro._config.file_hash import file_hash
from pyrepro._config.forms import JSON, digest, has_fields, json_form, to_json
from pyrepro._config.unchanged import Watch
from pyrepro._tag import DIGITS, Tag
from pyrepro._wrapper import Decorated, wrap
from pyrepro.errors import ConfigError

_P = ParamSpec("_P")
_R = TypeVar("_R")
_IsCached = TypeVar("_IsCached", bound=bool)

Names = Union[str, list[str], tuple[str, ...]]
Repo = Union[str, os.PathLike[str], None]


class _Options(NamedTuple):
    """What a decorator was told."""

    paths: tuple[str, ...]
    is_single: bool
    config: Any
    reads_call: bool
    allow_dirty: bool
    repo: str | None
    inputs: tuple[str, ...]
    ignore: tuple[str, ...]
    publishes: bool
    caches: bool
    records: bool


class Artifact(Generic[_IsCached]):
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
        atomic: whether what the function writes is moved into place when it
            has returned, so that an artifact is complete or absent.
        cache: whether a call whose artifact this very function has completed
            before does not run. It returns the tagged path, or for several
            keywords the dict of them. Implies ``atomic``.
        record: whether a record of what made it stands beside each artifact,
            which :func:`read_record` reads and :func:`reproduce` makes it
            again from. Implies ``atomic``.

    Raises:
        CodeStateError: there is no code state to be had.
        ConfigError: the configuration has no stable JSON form.
        DirtyRepositoryError: the code is dirty, and that is not allowed.
        TypeError: an argument is of the wrong type, or names no parameter of
            the function; or the function is a generator function that is to
            be ``atomic``, or has parameters that a ``cache`` could not see.
    """

    @overload
    def __init__(
        self: Artifact[Literal[False]],
        keyword: Names,
        config: object = None,
        allow_dirty: bool = False,
        *,
        repo: Repo = None,
        inputs: Names = (),
        ignore: Names = (),
        atomic: bool = False,
        cache: Literal[False] = False,
        record: bool = False,
    ) -> None: ...

    @overload
    def __init__(
        self: Artifact[Literal[True]],
        keyword: Names,
        config: object = None,
        allow_dirty: bool = False,
        *,
        repo: Repo = None,
        inputs: Names = (),
        ignore: Names = (),
        atomic: bool = False,
        cache: Literal[True],
        record: bool = False,
    ) -> None: ...

    def __init__(
        self,
        keyword: Names,
        config: object = None,
        allow_dirty: bool = False,
        *,
        repo: Repo = None,
        inputs: Names = (),
        ignore: Names = (),
        atomic: bool = False,
        cache: bool = False,
        record: bool = False,
    ) -> None:
        options = _Options(
            paths=_names("keyword", keyword),
            is_single=isinstance(keyword, str),
            config={} if config is None else config,
            reads_call=_reads_call(config),
            allow_dirty=_checked_flag("allow_dirty", allow_dirty),
            repo=_checked_repo(repo),
            inputs=_names("inputs", inputs),
            ignore=_names("ignore", ignore),
            publishes=any(
                [_checked_flag("atomic", atomic), _checked_flag("cache", cache), _checked_flag("record", record)]
            ),
            caches=cache,
            records=record,
        )
        if not options.paths:
            raise TypeError("Artifact keyword names no parameter; pass the name of the one that is the path to write")
        written, read, ignored = map(set, (options.paths, options.inputs, options.ignore))
        twice = sorted(written & read | (written | read) & ignored)
        if twice:
            raise TypeError(f"Artifact names {twice[0]!r} in two of keyword, inputs and ignore; name it in one")
        if not options.reads_call:
            form = _form_at_decoration(options.config)
            if read and not isinstance(form, dict):
                raise _no_object(form)
        self._options = options

    @overload
    def __call__(self: Artifact[Literal[True]], function: Callable[_P, None]) -> Decorated[_P, Any]: ...

    @overload
    def __call__(
        self: Artifact[Literal[True]], function: Callable[_P, Coroutine[Any, Any, None]]
    ) -> Decorated[_P, Coroutine[Any, Any, Any]]: ...

    @overload
    def __call__(self, function: Callable[_P, _R]) -> Decorated[_P, _R]: ...

    def __call__(self, function: Callable[..., Any]) -> Any:
        options = self._options
        signature = _signature(function)
        for role, names in (("keyword", options.paths), ("inputs", options.inputs)):
            _check_parameters(function, signature, role, names)
        if options.publishes:
            _check_returns(function)
        if options.caches:
            _check_holds_nothing(function)
        if options.caches and not options.reads_call:
            _check_seen(function, signature, {*options.paths, *options.inputs, *options.ignore})
        state = State(function, options.repo, options.allow_dirty, records=options.records)
        naming = Naming(function, signature, options, state)
        wrapper = wrap(function, naming, publishes=options.publishes)
        wrapper.code_state = naming.state.at_decoration
        wrapper.tagged = naming.tagged
        return wrapper


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
        raise TypeError(f"tag config={config!r} is callable, and here is no call that it could read; pass its result")
    form = json_form({} if config is None else config)
    is_allowed, where = _checked_flag("allow_dirty", allow_dirty), _checked_repo(repo)
    file = _loaded.caller_file()
    typed = None
    if file is None:
        from pyrepro._code.session import Typed  # imported where something was typed

        typed = Typed("the code that calls tag()", _loaded.caller_frame().f_code.co_filename)
    reading = _code.read([file], where, typed)
    _code.warn_of_other_work_trees(reading)
    return _tag_of(checked(reading, is_allowed).state, digest(form))


@functools.lru_cache(maxsize=64)
def _tag_of(state: CodeState, config: str) -> Tag:
    changes = None if state.changes is None else state.changes[:DIGITS]
    return Tag(state.commit[:DIGITS], changes, config[:DIGITS])


class _Configuration(NamedTuple):
    """A configuration in JSON, and its hash."""

    form: JSON
    hash: str


class Naming:
    """How the calls of one function are named."""

    def __init__(
        self, function: Callable[..., Any], signature: inspect.Signature, options: _Options, state: State
    ) -> None:
        self.function = function
        self.name = _shown(function)
        self.signature = signature
        self.options = options
        self.state = state
        self.maker = state.maker if options.caches else None
        self._paths = options.paths
        self._config = options.config
        self._reads_call = options.reads_call
        self._left_out = frozenset((*options.paths, *options.inputs, *options.ignore))
        self._last: tuple[Watch, _Configuration] | None = None
        self._tag: tuple[CodeState, _Configuration, Tag] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "binding"} | {
            "_last": None,
            "_tag": None,
        }

    @functools.cached_property
    def binding(self) -> Binding:
        """How calls are taken apart, compiled at the first one."""
        return Binding(self.signature)

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any], plain: dict[str, Any] | None = None) -> Call:
        """A call whose paths carry the tag; the plain ones are kept where that is asked for."""
        state = self.state.before_call()
        arguments = self.binding.arguments(args, kwargs)
        configuration = self._configuration(arguments)
        if plain is not None:
            plain.update({name: arguments[name] for name in self._paths})
        known = self._tag
        if known is None or known[0] is not state or known[1] is not configuration:
            self._tag = known = state, configuration, _tag_of(state, configuration.hash)
        self._put_tag(known[2], arguments)
        return Call(self, arguments, state, configuration)

    def tagged(self, *args: Any, **kwargs: Any) -> Any:
        """The path that a call with these arguments would write; for several keywords, a dict of paths.

        Args:
            *args: the call's arguments, of which the paths and those that the
                configuration reads are needed.
            **kwargs: the same by name.

        Returns:
            The path in the type that was passed, or a dict of paths by parameter.

        Raises:
            TypeError: a path, or another argument that is part of the name, is missing.
        """
        state = self.state.before_call()
        bound = self.signature.bind_partial(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        for name in (*self.options.paths, *self.options.inputs):
            if name not in arguments:
                raise TypeError(f"tagged() was not given the argument {name!r}, which is part of the name; pass it")
        for name in self.signature.parameters:
            arguments.setdefault(name, _NotGiven(name))
        self._put_tag(_tag_of(state, self._configuration(arguments).hash), arguments)
        return self.paths_of(arguments)

    def config_hash(self, arguments: Mapping[str, Any]) -> str:
        """The hash of the configuration of a call with these arguments, by name and complete."""
        return self._configuration(arguments).hash

    def paths_of(self, arguments: Mapping[str, Any]) -> Any:
        """The path argument, or for several keywords a dict of them."""
        paths = self.options.paths
        return arguments[paths[0]] if self.options.is_single else {name: arguments[name] for name in paths}

    def _put_tag(self, tag: Tag, arguments: dict[str, Any]) -> None:
        for name in self._paths:
            arguments[name] = tag.put(arguments[name])

    def _configuration(self, arguments: Mapping[str, Any]) -> _Configuration:
        """The configuration of a call, computed when it is not that of the last one."""
        config = self._config_of(arguments) if self._reads_call else self._config
        last = self._last
        if last is not None and last[0].sees(config):
            return last[1]
        watch = None if self.options.inputs else Watch.of(config)
        form = self._form(config, arguments)
        configuration = _Configuration(form, digest(form))
        self._last = None if watch is None else (watch, configuration)
        return configuration

    def _config_of(self, arguments: Mapping[str, Any]) -> Any:
        config = self._config({name: value for name, value in arguments.items() if name not in self._left_out})
        if config is None:
            raise ConfigError(f"config {self._config!r} returned None; return the configuration from it, or {{}}")
        return config

    def _form(self, config: Any, arguments: Mapping[str, Any]) -> JSON:
        """A configuration in JSON, the content of the call's inputs included."""
        form = json_form(config)
        if self.options.inputs:
            if not isinstance(form, dict):
                raise _no_object(form)
            for name in self.options.inputs:
                if name in form:
                    raise ConfigError(
                        f"config[{name!r}] is there already, and the content of the input {name!r} belongs there; "
                        f"rename one of them",
                        place=f"config[{name!r}]",
                    )
                form[name] = _content(name, arguments[name])
        for name in self.options.ignore:
            if isinstance(form, dict) and name in form:
                del form[name]
            elif name not in self.signature.parameters:
                raise ConfigError(
                    f"ignore names {name!r}, which is neither a parameter of {self.name} nor a key of the "
                    f"configuration; correct the name",
                )
        return form


class Call(NamedTuple):
    """A call under way: what is passed to the function, and what its paths say."""

    naming: Naming
    arguments: dict[str, Any]
    state: CodeState
    configuration: _Configuration

    def run(self) -> Any:
        """Call the function with the tagged paths."""
        return self.naming.binding.call(self.naming.function, self.arguments)

    def tags(self) -> tuple[Tag, Tag]:
        """The tag that its paths carry, and the one of the code that has run."""
        states = self.state, self.naming.state.after_call()
        old, new = (_tag_of(state, self.configuration.hash) for state in states)
        return old, new

    def end(self) -> None:
        """Give the artifacts their true names if the function loaded code that no commit holds.

        Raises:
            DirtyRepositoryError: it did, and that is not allowed; the artifacts were renamed.
        """
        if self.naming.state.after_call() == self.state:
            return
        old, new = self.tags()
        paths = self.naming.options.paths
        renamed = [name for path in paths for name in _renamed(self.arguments[path], old, new)]
        refusal = self.naming.state.refusal()
        if refusal is not None:
            written = f"what it wrote was renamed to {', '.join(renamed)}" if renamed else "no local file was renamed"
            refusal.args = (f"{refusal}\n{self.naming.name} loaded them while it ran; {written}.",)
            raise refusal


def _renamed(path: Any, old: Tag, new: Tag) -> list[str]:
    """Rename the local artifacts of an argument; their new names."""
    if isinstance(path, (list, tuple)):
        return [name for item in path for name in _renamed(item, old, new)]
    if not isinstance(path, (str, bytes, os.PathLike)) or not os.path.lexists(path):
        return []
    target = new.put_instead(old, path)
    os.replace(path, target)
    return [os.fsdecode(target)]


class _NotGiven:
    """Stands in a callable config's dict for an argument that tagged() was not given."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name} was not given>"


@to_json.register(_NotGiven)
def _(value: _NotGiven) -> NoReturn:
    raise ConfigError(f"the configuration reads the argument {value.name!r}, which tagged() was not given; pass it")


def _content(name: str, value: object) -> JSON:
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return [_content(f"{name}[{index}]", item) for index, item in enumerate(value)]
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(
            f"the input {name} is {value!r} of type {type(value).__name__}; pass the path of a file or a directory"
        )
    try:
        return file_hash(value)
    except OSError as error:
        raise ConfigError(
            f"the input {name} cannot be read: {error}; pass the path of a file or a directory"
        ) from error


def _no_object(form: JSON) -> ConfigError:
    return ConfigError(
        f"config is {form!r}, and the content of inputs needs an object to go into; pass a dict as the configuration",
        place="config",
    )


def _names(role: str, names: object) -> tuple[str, ...]:
    listed = (names,) if isinstance(names, str) else names
    if not isinstance(listed, (list, tuple)) or not all(isinstance(name, str) for name in listed):
        raise TypeError(f"Artifact {role}={names!r} is no name and no list or tuple of names; pass names of parameters")
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


def _form_at_decoration(config: object) -> JSON:
    """The configuration in JSON; ``{}`` while it waits for values that OmegaConf does not have yet."""
    try:
        return json_form(config)
    except ConfigError as error:
        if type(error.__cause__).__module__.partition(".")[0] != "omegaconf":
            raise
        return {}


def _checked_flag(role: str, flag: object) -> bool:
    if not isinstance(flag, bool):
        raise TypeError(f"{role}={flag!r} is neither True nor False; pass one of them")
    return flag


def _checked_repo(repo: object) -> str | None:
    if repo is None:
        return None
    if not isinstance(repo, (str, bytes, os.PathLike)):
        raise TypeError(f"repo={repo!r} of type {type(repo).__name__} is no path; pass the path of the work tree")
    return os.path.abspath(os.fsdecode(repo))


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    described = f"{function!r} of type {type(function).__name__}"
    if isinstance(function, (staticmethod, classmethod)):
        above = f"write @{type(function).__name__} above @Artifact(...)"
        raise TypeError(f"Artifact decorates functions, not {described}; {above}")
    if isinstance(function, type):
        raise TypeError(
            f"Artifact decorates functions, not the class {_shown(function)}; decorate the method that writes"
        )
    if not callable(function):
        raise TypeError(f"Artifact decorates functions, not {described}; write @Artifact(...) above a def")
    try:
        return inspect.signature(function)
    except ValueError as error:
        raise TypeError(f"Artifact cannot see the parameters of {described}: {error}; wrap it in a def") from error


def _check_parameters(
    function: Callable[..., Any], signature: inspect.Signature, role: str, names: tuple[str, ...]
) -> None:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    usable = [name for name, parameter in signature.parameters.items() if parameter.kind not in variadic]
    for name in names:
        if name not in usable:
            raise TypeError(
                f"Artifact {role} names {name!r}, which is no parameter of {_shown(function)}{signature}; "
                f"name one of {', '.join(usable) or 'a function that has parameters'}"
            )


def _check_returns(function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"Artifact atomic=True and cache=True cannot publish the output of the generator function "
            f"{_shown(function)}, which may never come to its end; leave them out, or decorate a function that returns"
        )


def _check_holds_nothing(function: Any) -> None:
    """Refuse to cache what has values with it that no configuration sees."""
    while isinstance(function, functools.partial) and not function.args:
        function = function.func
    owner = getattr(function, "__self__", None)
    is_plain = owner is None or isinstance(owner, (type, types.ModuleType))
    if isinstance(function, functools.partial) or not hasattr(function, "__qualname__") or not is_plain:
        raise TypeError(
            f"Artifact cache=True cannot see the values that {function!r} holds, so an artifact could be taken for one "
            f"that others made; decorate a def that takes them as parameters"
        )


def _check_seen(function: Callable[..., Any], signature: inspect.Signature, seen: set[str]) -> None:
    unseen = [name for name in signature.parameters if name not in seen]
    if unseen:
        raise TypeError(
            f"Artifact cache=True with this config does not see {', '.join(unseen)} of {_shown(function)}{signature}, "
            f"so an artifact could be taken for one that other arguments made; pass config=dict to make the arguments "
            f"the configuration, or name in inputs= what are files to read, and in ignore= what changes nothing"
        )


def _shown(function: object) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
