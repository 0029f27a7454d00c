"""What a decorator was told, checked: before anything runs, and before anything is written."""

from __future__ import annotations

import functools
import inspect
import os
import types
from collections.abc import Callable, Mapping
from typing import Any, Union

from pyrepro._config.forms import JSON, has_fields, json_form
from pyrepro._naming import Options, no_object_for_inputs, qualname_of
from pyrepro.errors import ConfigError

Names = Union[str, list[str], tuple[str, ...]]
Repo = Union[str, os.PathLike[str], None]


def checked_options(
    *,
    keyword: Names,
    config: object,
    allow_dirty: bool,
    repo: Repo,
    inputs: Names,
    ignore: Names,
    secret: Names,
    atomic: bool,
    cache: bool,
    record: bool,
) -> Options:
    """The arguments of :class:`pyrepro.Artifact`, checked as far as they can be without the function.

    Raises:
        ConfigError: the configuration has no stable JSON form.
        TypeError: an argument is of the wrong type, or two of them contradict each other.
    """
    options = Options(
        paths=_checked_names("keyword", keyword),
        is_single=isinstance(keyword, str),
        config={} if config is None else config,
        reads_call=reads_call(config),
        allow_dirty=checked_flag("allow_dirty", allow_dirty),
        repo=checked_repo(repo),
        inputs=_checked_names("inputs", inputs),
        ignore=_checked_names("ignore", ignore),
        secret=_checked_names("secret", secret),
        # A list, not a chain of or: each of the three is checked, whatever the others are.
        publishes=any([checked_flag("atomic", atomic), checked_flag("cache", cache), checked_flag("record", record)]),
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
            raise no_object_for_inputs(form)
    return options


def checked_signature(function: Callable[..., Any], options: Options) -> inspect.Signature:
    """The signature of a function to decorate, which the options fit.

    Raises:
        TypeError: it cannot be decorated, or not with these options.
    """
    signature = _signature_of(function)
    for role, names in (("keyword", options.paths), ("inputs", options.inputs)):
        _check_parameters(function, signature, role, names)
    if options.publishes:
        _check_returns(function)
    if options.caches:
        _check_holds_no_values(function)
    if options.caches and not options.reads_call:
        _check_configuration_sees(function, signature, {*options.paths, *options.inputs, *options.ignore})
    return signature


def _checked_names(role: str, names: object) -> tuple[str, ...]:
    listed = (names,) if isinstance(names, str) else names
    if not isinstance(listed, (list, tuple)) or not all(isinstance(name, str) for name in listed):
        raise TypeError(f"Artifact {role}={names!r} is no name and no list or tuple of names; pass names of parameters")
    if len(set(listed)) < len(listed):
        raise TypeError(f"Artifact {role}={names!r} names a parameter twice; name it once")
    return tuple(listed)


def reads_call(config: object) -> bool:
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


def checked_flag(role: str, flag: object) -> bool:
    if not isinstance(flag, bool):
        raise TypeError(f"{role}={flag!r} is neither True nor False; pass one of them")
    return flag


def checked_repo(repo: object) -> str | None:
    if repo is None:
        return None
    if not isinstance(repo, (str, bytes, os.PathLike)):
        raise TypeError(f"repo={repo!r} of type {type(repo).__name__} is no path; pass the path of the work tree")
    return os.path.abspath(os.fsdecode(repo))


def _signature_of(function: Callable[..., Any]) -> inspect.Signature:
    described = f"{function!r} of type {type(function).__name__}"
    if isinstance(function, (staticmethod, classmethod)):
        above = f"write @{type(function).__name__} above @Artifact(...)"
        raise TypeError(f"Artifact decorates functions, not {described}; {above}")
    if isinstance(function, type):
        raise TypeError(
            f"Artifact decorates functions, not the class {qualname_of(function)}; decorate the method that writes"
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
                f"Artifact {role} names {name!r}, which is no parameter of {qualname_of(function)}{signature}; "
                f"name one of {', '.join(usable) or 'a function that has parameters'}"
            )


def _check_returns(function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"Artifact atomic=True and cache=True cannot publish the output of the generator function "
            f"{qualname_of(function)}, which may never come to its end; leave them out, "
            f"or decorate a function that returns"
        )


def _check_holds_no_values(function: Any) -> None:
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


def _check_configuration_sees(function: Callable[..., Any], signature: inspect.Signature, names: set[str]) -> None:
    unseen = [name for name in signature.parameters if name not in names]
    if unseen:
        raise TypeError(
            f"Artifact cache=True with this config does not see {', '.join(unseen)} of "
            f"{qualname_of(function)}{signature}, so an artifact could be taken for one that other arguments made; "
            f"pass config=dict to make the arguments the configuration, "
            f"or name in inputs= what are files to read, and in ignore= what changes nothing"
        )
