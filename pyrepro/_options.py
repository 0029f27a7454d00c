"""What a decorator was told, checked: before anything runs, and before anything is written."""

from __future__ import annotations

import functools
import inspect
import keyword as keywords
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Union

from pyrepro._binding import declared_signature
from pyrepro._config.forms import JSON, is_configuration, json_form_without
from pyrepro._environ import REPRODUCTION
from pyrepro._naming import (
    Options,
    check_closes_over_no_values,
    no_object_for_inputs,
    qualname_of,
    unknown_name,
)
from pyrepro.errors import ConfigError

if TYPE_CHECKING:
    from pyrepro._code.key import CodePaths

Names = Union[str, list[str], tuple[str, ...]]
Repo = Union[str, os.PathLike[str], None]
Code = Union[str, os.PathLike[str], list[Any], tuple[Any, ...], None]


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
    code: Code = None,
) -> Options:
    """The arguments of :class:`pyrepro.Artifact`, checked as far as they can be without the function.

    Raises:
        ConfigError: the configuration has no stable JSON form.
        TypeError: an argument has the wrong type, or two of them contradict each other.
    """
    if callable(keyword):
        raise _without_parentheses(keyword)
    options = Options(
        paths=_checked_names("keyword", keyword),
        is_single=isinstance(keyword, str),
        config={} if config is None else config,
        has_config=config is not None,
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
        code=_checked_code(code, cache),
    )
    if not options.paths:
        raise TypeError("Artifact keyword names no parameter; pass the name of the one that is the path to write")
    written, read, ignored = map(set, (options.paths, options.inputs, options.ignore))
    if options.has_config and config is not dict:
        ignored -= written  # a key of the configuration may be called like the path, as an option of argparse is
    twice = sorted(written & read | (written | read) & ignored)
    if twice:
        raise TypeError(f"Artifact names {twice[0]!r} in two of keyword, inputs and ignore; name it in one")
    if not options.reads_call:
        form = _form_at_decoration(options.config, (*options.ignore, *options.inputs))
        if read and not isinstance(form, dict):
            raise no_object_for_inputs(form)
    return options


def checked_signature(function: Callable[..., Any], options: Options) -> inspect.Signature:
    """The signature of a function to decorate, which the options fit.

    Raises:
        ConfigError: what is to be ignored is not there.
        TypeError: it cannot be decorated, or not with these options.
    """
    signature = _signature_of(function)
    signature = _with_parameters(function, signature, "keyword", options.paths)
    if not options.has_config:
        signature = _with_parameters(function, signature, "inputs", options.inputs)
    elif options.config is dict:
        # Of keys nested in an argument, that argument.
        firsts = [name if name in signature.parameters else name.partition(".")[0] for name in options.inputs]
        signature = _with_parameters(function, signature, "inputs", tuple(firsts))
        for name in options.ignore:  # of any other configuration, the keys may come later
            if name.partition(".")[0] not in signature.parameters and name not in _closed_over(function):
                nameable = {*signature.parameters} - {*options.paths}
                raise unknown_name("ignore", name, qualname_of(function), nameable, {})
    if options.publishes:
        _check_returns(function, options)
    if options.caches:
        _check_holds_no_values(function, signature)
        check_closes_over_no_values(function, options)
        _check_returns_no_value(function)
    if options.caches and not options.reads_call:
        _check_configuration_sees(function, signature, {*options.paths, *options.inputs, *options.ignore})
    return signature


def _without_parentheses(function: Callable[..., Any]) -> TypeError:
    try:
        names = [name for name in declared_signature(function).parameters if name not in ("self", "cls")]
    except (TypeError, ValueError):
        names = []
    likely = (name for pattern in ("^out|_out|dest|target", "path|file") for name in names if re.search(pattern, name))
    path = next(likely, *names[:1] or ["outpath"])
    return TypeError(
        f"@Artifact stands above {qualname_of(function)} without parentheses; write @Artifact({path!r}), with the name "
        f"of the parameter that is the path to write"
    )


def _checked_names(role: str, names: object) -> tuple[str, ...]:
    listed = (names,) if isinstance(names, str) else names
    if not isinstance(listed, (list, tuple)) or not all(isinstance(name, str) for name in listed):
        raise TypeError(
            f"Artifact {role}={names!r} is not a name, or a list or tuple of names; pass names of parameters"
        )
    if len(set(listed)) < len(listed):
        raise TypeError(f"Artifact {role}={names!r} names a parameter twice; name it once")
    return tuple(listed)


def reads_call(config: object) -> bool:
    """Whether a configuration is to be called with the call's arguments."""
    if config is dict:
        return True
    if isinstance(config, type):
        raise TypeError(f"config={config!r} is a class; pass an instance of it, a function that makes one, or dict")
    return callable(config) and not is_configuration(config)


def _form_at_decoration(config: object, left_out: tuple[str, ...]) -> JSON:
    """The configuration in JSON without these parts; ``{}`` while it waits for values that it does not have yet."""
    try:
        return json_form_without(config, left_out)[0]
    except ConfigError as error:
        if type(error.__cause__).__module__.partition(".")[0] not in ("omegaconf", "ml_collections"):
            raise
        return {}


def checked_flag(role: str, flag: object) -> bool:
    if not isinstance(flag, bool):
        raise TypeError(f"{role}={flag!r} is neither True nor False; pass one of them")
    return flag


def _checked_code(code: object, caches: bool) -> CodePaths | None:
    """What a cached artifact depends on: by default, everything."""
    if code is None and not caches:
        return None  # as of most, for which the key is not imported
    from pyrepro._code.key import EVERYTHING, code_paths_of

    if code is None:
        return EVERYTHING
    if not caches:
        raise TypeError(f"Artifact code={code!r} says when cached work is kept, but nothing is cached; add cache=True")
    listed: list[Any] = list(code) if isinstance(code, (list, tuple)) else [code]
    if not listed or not all(isinstance(path, (str, os.PathLike)) for path in listed):
        raise TypeError(f"Artifact code={code!r} is not a path or a list of paths; pass paths from the top, like 'src'")
    return code_paths_of(map(os.fsdecode, listed))


def checked_repo(repo: object) -> str | None:
    if repo is None:
        return None
    if not isinstance(repo, (str, bytes, os.PathLike)):
        raise TypeError(f"repo={repo!r} of type {type(repo).__name__} is not a path; pass the path of the work tree")
    try:
        path = os.path.abspath(os.fsdecode(repo))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"repo={repo!r} is relative, and the working directory was deleted; pass an absolute path, or change to a "
            f"directory that exists"
        ) from None
    if REPRODUCTION is not None:
        from pyrepro._record.replay import in_clone  # where an artifact is made again

        return in_clone(path)
    return path


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
        signature = declared_signature(function)
    except ValueError as error:
        raise TypeError(f"Artifact cannot see the parameters of {described}: {error}; wrap it in a def") from error
    # Or two partials that differ in these would have one name.
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value)
        for name, value in _hidden_keywords(function, signature).items()
        if _may_be_parameter(name)
    ]
    return _with_keyword_only(signature, added)


def _hidden_keywords(function: Any, signature: inspect.Signature) -> dict[str, Any]:
    """The keywords of a partial that the signature does not show, since only ``**kwargs`` takes them."""
    if not _takes_any(signature):
        return {}
    # As far as the signature was looked for: what makes up attributes as they are asked for may wrap itself forever.
    own = inspect.unwrap(function, stop=lambda one: hasattr(one, "__signature__") or inspect.ismethod(one))
    given = own.keywords if isinstance(own, functools.partial) else {}
    return {name: value for name, value in given.items() if name not in signature.parameters}


def _with_parameters(
    function: Callable[..., Any], signature: inspect.Signature, role: str, names: tuple[str, ...]
) -> inspect.Signature:
    """The signature, which has all names; those that only ``**kwargs`` takes are keyword-only parameters of it."""
    # What *args takes is a tuple, as of files to read.
    variadic = {inspect.Parameter.VAR_KEYWORD, *([] if role == "inputs" else [inspect.Parameter.VAR_POSITIONAL])}
    known = signature.parameters
    usable = [name for name, parameter in known.items() if parameter.kind not in variadic]
    for name in names:
        is_taken = _takes_any(signature) and name not in known and _may_be_parameter(name)
        if name not in usable and not is_taken:
            raise TypeError(
                f"Artifact {role} names {name!r}, which is not a parameter of {qualname_of(function)}{signature}; "
                f"name one of {', '.join(usable) or 'a function that has parameters'}"
            )
    added = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names if name not in usable]
    return _with_keyword_only(signature, added)


def _takes_any(signature: inspect.Signature) -> bool:
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in signature.parameters.values())


def _may_be_parameter(name: str) -> bool:
    return name.isidentifier() and not keywords.iskeyword(name)


def _with_keyword_only(signature: inspect.Signature, added: list[inspect.Parameter]) -> inspect.Signature:
    known = [*signature.parameters.values()]
    # Before the last parameter, which is the **kwargs that takes them.
    return signature.replace(parameters=known[:-1] + added + known[-1:]) if added else signature


def _check_returns(function: Callable[..., Any], options: Options) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        names = "atomic=True, cache=True and record=True" if options.records else "atomic=True and cache=True"
        raise TypeError(
            f"Artifact {names} cannot publish the output of the generator function "
            f"{qualname_of(function)}, whose caller may never exhaust it; leave them out, "
            f"or decorate a function that returns"
        )


def _check_holds_no_values(function: Any, signature: inspect.Signature) -> None:
    """Refuse to cache what has values with it that no configuration sees."""
    from pyrepro._publish.closures import holds_value  # imported where artifacts are cached

    if holds_value(function) or _hidden_keywords(function, signature):
        raise TypeError(
            f"Artifact cache=True cannot see the values that {function!r} holds, so an artifact could be taken for one "
            f"that others made; decorate a def that takes them as parameters"
        )


def _closed_over(function: Callable[..., Any]) -> set[str]:
    from pyrepro._publish.closures import held_by  # imported where one of them may be named

    return {held.name for held in held_by(function)}


def _check_returns_no_value(function: Callable[..., Any]) -> None:
    from pyrepro._annotations import may_be_none_or_paths, returned_by  # imported where artifacts are cached

    annotation = returned_by(function)
    if not may_be_none_or_paths(annotation):
        raise TypeError(
            f"{qualname_of(function)} is annotated to return {inspect.formatannotation(annotation)}, which a call with "
            f"Artifact cache=True could not return without running it; return None or the path, and write the value "
            f"to the artifact"
        )


def _check_configuration_sees(function: Callable[..., Any], signature: inspect.Signature, names: set[str]) -> None:
    unseen = [name for name in signature.parameters if name not in names]
    if unseen:
        raise TypeError(
            f"Artifact cache=True with this config does not see {', '.join(unseen)} of "
            f"{qualname_of(function)}{signature}, so an artifact could be taken for one that other arguments made; "
            f"pass config=dict to make the arguments the configuration, "
            f"or name the files to read in inputs=, and what changes nothing in ignore="
        )
