"""Artifact and tag: the decorator."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, ParamSpec, TypeVar, Union, overload

from pyrepro._call import tag_of
from pyrepro._code.process import caller_file, caller_frame, typed_code_of
from pyrepro._code.runs import runs_of
from pyrepro._code.state import read_code
from pyrepro._code.tracker import Tracker, checked_reading, warn_of_uncovered_code
from pyrepro._config.forms import hash_of_form, json_form
from pyrepro._naming import Naming
from pyrepro._options import (
    Code,
    Names,
    Repo,
    checked_flag,
    checked_options,
    checked_repo,
    checked_signature,
    reads_call,
)
from pyrepro._tag import Tag
from pyrepro._wrapper import Decorated, wrap
from pyrepro.errors import PyreproError, without_inner_frames

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Function = TypeVar("_Function", bound=Callable[..., Any])
_IsCached = TypeVar("_IsCached", bound=bool)
if TYPE_CHECKING:
    _Path = Union[str, bytes, os.PathLike[str], os.PathLike[bytes], None]
# What a function may return whose calls need not run: nothing, its path, or its paths.
_Paths = TypeVar("_Paths", bound="_Path | Sequence[_Path | Sequence[_Path]] | Mapping[Any, _Path | Sequence[_Path]]")


class Artifact(Generic[_IsCached]):
    """A decorator that names a function's output after its code and its configuration.

    Example::

        @Artifact("outpath", config={"lr": 0.1})
        def save_thing(outpath):
            with open(outpath, "w") as outf:
                outf.write("good job")

        save_thing("foo.txt")  # writes foo-<commit>-<config>.txt

    The decorated function is called with the commit, the uncommitted changes
    and the hash of the configuration put into the path that it was given.

    Args:
        keyword: the name of the parameter that is the path to write, or a list
            or tuple of such names. Where the function takes ``**kwargs``, it
            may be a name that is passed there.
        config: the configuration: any value with a stable JSON form; or a
            callable that is given the call's arguments as a dict, paths left
            out, and returns such a value; or ``dict`` for these arguments
            themselves. It is read at every call.
        allow_dirty: whether to write under a ``-dirty-`` name when the code
            that runs is not what the commit holds.
        repo: a path in the work tree of the code, where that is not the one
            that holds the function's module or the file that decorates.
        inputs: the names of parameters, or of configuration keys, dotted into
            nested ones, that hold what the function reads: paths of files and
            directories, arrays and tables in memory, None, and lists and
            mappings of these. Their content goes into the configuration, not
            their paths. If a file changes before the function has returned,
            what was written is kept as ``<stem>-unnamed-<UTC time><suffix>``,
            and the call raises an :class:`InputChangedError`. Data in memory
            counts as it was passed.
        ignore: the names of parameters, of keys or fields of the configuration,
            dotted into nested ones as ``"trainer.devices"``, that do not change
            the artifact, and of variables that a cached function takes from the
            function around it. They are removed before anything is converted,
            so they need have no stable form.
        secret: the names of parameters, and of configuration keys, dotted into
            nested ones, whose values a ``record`` leaves out, beyond those whose
            names look like a secret, such as ``hf_token``. They are part of the
            configuration hash unless ``ignore`` names them.
        atomic: whether what the function writes is moved into place when it
            has returned, so that an artifact is complete or absent.
        cache: whether to skip a call whose artifact this very function has
            already completed. It returns the tagged path, or for several
            keywords the dict of them. Implies ``atomic``.
        record: whether to write a record of what made it beside each artifact,
            for :func:`read_record` and :func:`reproduce`. Implies ``atomic``.
        code: what a cached artifact depends on: a path from the top of the work
            tree, or a list of such paths; one that begins with ``!`` is left
            out. What an earlier commit made is copied under today's name if
            none of this differs. By default it is the whole work tree.

    Raises:
        CodeStateError: the code state cannot be determined.
        ConfigError: the configuration has no stable JSON form.
        DirtyRepositoryError: the code is dirty, and that is not allowed.
        ValueError: a path of ``code`` is not one that the work tree tracks.
        TypeError: an argument has the wrong type, or names no parameter of
            the function; or the function is a generator function that is to
            be ``atomic``; or it is to be cached and has parameters or closes
            over values that the configuration does not see, is annotated to
            return a value of its own, or could be taken for another function.
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
        code: Code = None,
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
        code: Code = None,
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
        code: Code = None,
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
            code=code,
        )

    @overload
    def __call__(self: Artifact[Literal[True]], function: Callable[_P, None]) -> Decorated[_P, Any]: ...

    @overload
    def __call__(
        self: Artifact[Literal[True]], function: Callable[_P, Coroutine[Any, Any, None]]
    ) -> Decorated[_P, Coroutine[Any, Any, Any]]: ...

    @overload
    def __call__(self: Artifact[Literal[True]], function: Callable[_P, _Paths]) -> Decorated[_P, _Paths]: ...

    @overload
    def __call__(
        self: Artifact[Literal[True]], function: Callable[_P, Coroutine[Any, Any, _Paths]]
    ) -> Decorated[_P, Coroutine[Any, Any, _Paths]]: ...

    @overload
    def __call__(self: Artifact[Literal[False]], function: Callable[_P, _R]) -> Decorated[_P, _R]: ...

    # No type checker chooses this one. Jedi, which cannot read a ParamSpec, completes the parameters by it.
    @overload
    def __call__(self: Artifact[NoReturn], function: _Function) -> _Function: ...

    def __call__(self, function: Callable[..., Any]) -> Any:
        options = self._options
        try:
            signature = checked_signature(function, options)
            tracker = Tracker(function, options.repo, options.allow_dirty, records=options.records, code=options.code)
        except (PyreproError, TypeError, ValueError) as error:
            raise without_inner_frames(error)  # noqa: B904
        naming = Naming(function, signature, options, tracker)
        wrapper = wrap(function, naming, publishes=options.publishes)
        wrapper.code_state = tracker.at_decoration
        if options.inputs:
            from pyrepro._config.memo import prepare

            prepare()
        return wrapper


def tag(config: object = None, allow_dirty: bool = False, *, repo: Repo = None) -> Tag:
    """The tag of the calling code and a configuration, for paths that something else chooses.

    Args:
        config: any value with a stable JSON form; None is ``{}``.
        allow_dirty: whether to give a dirty tree a tag, too.
        repo: a path in the work tree of the code, where that is not the one
            that holds the calling file.

    Returns:
        The tag.

    Raises:
        CodeStateError: the code state cannot be determined.
        ConfigError: the configuration has no stable JSON form.
        DirtyRepositoryError: the code is dirty, and that is not allowed.
        TypeError: an argument has the wrong type.

    Example:
        ``os.makedirs(tag({"lr": 0.1}).put("checkpoints"))``
    """
    try:
        return _tag(config, allow_dirty, repo)
    except PyreproError as error:
        raise without_inner_frames(error)  # noqa: B904


def _tag(config: object, allow_dirty: bool, repo: Repo) -> Tag:
    if reads_call(config):
        raise TypeError(f"tag config={config!r} is callable, but there is no call for it to read; pass its result")
    form = json_form({} if config is None else config)
    is_allowed, where = checked_flag("allow_dirty", allow_dirty), checked_repo(repo)
    file = caller_file()
    typed = None
    if file is None or typed_code_of() is not None:
        from pyrepro._code.session import TypedCode  # imported where something was typed

        typed = TypedCode("the code that calls tag()", caller_frame().f_code.co_filename)
    reading = read_code([file], where, typed, runs_of(None))
    warn_of_uncovered_code(reading)
    return tag_of(checked_reading(reading, is_allowed).state, hash_of_form(form))
