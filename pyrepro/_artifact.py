"""Artifact and tag: the decorator."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from pyrepro._code.modules import caller_file, caller_frame, typed_code_of
from pyrepro._code.state import read_code
from pyrepro._code.tracker import Tracker, checked_reading
from pyrepro._code.uncovered import warn_of_uncovered
from pyrepro._config.forms import hash_of_form, json_form
from pyrepro._naming import Naming, tag_of
from pyrepro._options import Names, Repo, checked_flag, checked_options, checked_repo, checked_signature, reads_call
from pyrepro._tag import Tag
from pyrepro._wrapper import Decorated, wrap

_P = ParamSpec("_P")
_R = TypeVar("_R")
_IsCached = TypeVar("_IsCached", bound=bool)


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
            function reads; their content goes into the configuration. If it
            changes before the function has returned, what was written is kept
            as ``<stem>-unnamed-<UTC time><suffix>``, and the call raises an
            :class:`InputChangedError`.
        ignore: the names of parameters and of top-level configuration keys
            that do not change the artifact.
        secret: the names of parameters, and of configuration keys, dotted into
            nested ones, whose values a ``record`` leaves out, beyond those that
            are called like a secret, such as ``hf_token``. They are part of the
            configuration hash unless ``ignore`` names them.
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
        secret: Names = (),
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
        secret: Names = (),
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
        secret: Names = (),
        atomic: bool = False,
        cache: bool = False,
        record: bool = False,
    ) -> None:
        self._options = checked_options(
            keyword=keyword,
            config=config,
            allow_dirty=allow_dirty,
            repo=repo,
            inputs=inputs,
            ignore=ignore,
            secret=secret,
            atomic=atomic,
            cache=cache,
            record=record,
        )

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
        signature = checked_signature(function, options)
        tracker = Tracker(function, options.repo, options.allow_dirty, records=options.records)
        naming = Naming(function, signature, options, tracker)
        wrapper = wrap(function, naming, publishes=options.publishes)
        wrapper.code_state = tracker.at_decoration
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
    if reads_call(config):
        raise TypeError(f"tag config={config!r} is callable, and here is no call that it could read; pass its result")
    form = json_form({} if config is None else config)
    is_allowed, where = checked_flag("allow_dirty", allow_dirty), checked_repo(repo)
    file = caller_file()
    typed = None
    if file is None or typed_code_of() is not None:
        from pyrepro._code.session import TypedCode  # imported where something was typed

        typed = TypedCode("the code that calls tag()", caller_frame().f_code.co_filename)
    reading = read_code([file], where, typed)
    warn_of_uncovered(reading.work_tree, reading.loaded, reading.snapshot.ignored)
    return tag_of(checked_reading(reading, is_allowed).state, hash_of_form(form))
