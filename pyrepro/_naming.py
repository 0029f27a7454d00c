"""Arguments -> configuration -> tag -> tagged arguments."""

from __future__ import annotations

import functools
import inspect
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from pyrepro._binding import Binding
from pyrepro._code.state import CodeState
from pyrepro._code.tracker import Tracker
from pyrepro._config.file_hash import file_hash, fingerprint_of
from pyrepro._config.forms import JSON, hash_of_form, json_form, to_json
from pyrepro._config.unchanged import KnownConfig
from pyrepro._environ import REPRODUCTION
from pyrepro._paths import change_paths, paths_in, split_text
from pyrepro._tag import DIGITS, Tag
from pyrepro.errors import ConfigError

_logger = logging.getLogger("pyrepro")

# Here the configuration meets the code, which do not know each other: a state in a configuration is its text.
to_json.register(CodeState)(str)


class Options(NamedTuple):
    """What a decorator was told, as :mod:`pyrepro._options` has checked it."""

    paths: tuple[str, ...]
    is_single: bool
    config: Any
    reads_call: bool
    allow_dirty: bool
    repo: str | None
    inputs: tuple[str, ...]
    ignore: tuple[str, ...]
    secret: tuple[str, ...]
    publishes: bool
    caches: bool
    records: bool


@functools.lru_cache(maxsize=64)
def tag_of(state: CodeState, config: str) -> Tag:
    changes = None if state.changes is None else state.changes[:DIGITS]
    return Tag(state.commit[:DIGITS], changes, config[:DIGITS])


class _Configuration(NamedTuple):
    """A configuration in JSON, and its hash."""

    form: JSON
    hash: str


class _Input(NamedTuple):
    """An input as it was just before it was hashed."""

    name: str
    places: Any
    fingerprints: object

    def change(self, form: JSON) -> str | None:
        """What has become of its content, which was hashed to a form; None if that is as it was."""
        if self.fingerprints == _fingerprints_of_input(self.places):
            return None
        try:
            return None if _form_of_input(self.name, self.places) == form else "was changed"
        except ConfigError:
            return "was removed, or cannot be read any more,"


class Naming:
    """How the calls of one function are named."""

    def __init__(
        self, function: Callable[..., Any], signature: inspect.Signature, options: Options, tracker: Tracker
    ) -> None:
        self.function = function
        self.name = qualname_of(function)
        self.signature = signature
        self.options = options
        self.tracker = tracker
        self.maker = self._maker() if options.caches else None
        self._paths = options.paths
        self._config = options.config
        self._reads_call = options.reads_call
        self._left_out = frozenset((*options.paths, *options.inputs, *options.ignore))
        self._last: tuple[KnownConfig, _Configuration] | None = None
        self._tag: tuple[CodeState, _Configuration, Tag] | None = None

    def _maker(self) -> str:
        """The function, as the markers of its artifacts name it."""
        from pyrepro._publish.marker import maker_of  # imported where artifacts are cached

        tracker = self.tracker
        return maker_of(tracker.file, tracker.work_tree, tracker.module, tracker.qualname)

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
        started, clock = time.time_ns(), time.perf_counter()
        state = self.tracker.before_call()
        arguments = self.binding.arguments(args, kwargs)
        if REPRODUCTION is not None:
            self._take_recorded_inputs(arguments)
        directory = _working_directory()
        inputs: list[_Input] = []
        for name in self.options.inputs:
            place = _places_of_input(arguments[name], directory)
            # Before the content is hashed: a change meanwhile must show.
            inputs.append(_Input(name, place, _fingerprints_of_input(place)))
        configuration = self._configuration(arguments)
        if plain is not None:
            plain.update({name: arguments[name] for name in self._paths})
        known = self._tag
        if known is None or known[0] is not state or known[1] is not configuration:
            self._tag = known = state, configuration, tag_of(state, configuration.hash)
        self._put_tag(known[2], arguments)
        return Call(self, arguments, state, configuration, inputs, started, clock, directory, os.getpid())

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
        state = self.tracker.before_call()
        bound = self.signature.bind_partial(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        for name in (*self.options.paths, *self.options.inputs):
            if name not in arguments:
                raise TypeError(f"tagged() was not given the argument {name!r}, which is part of the name; pass it")
        for name in self.signature.parameters:
            arguments.setdefault(name, _NotGiven(name))
        self._put_tag(tag_of(state, self._configuration(arguments).hash), arguments)
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
            if REPRODUCTION is not None:
                from pyrepro._record.replay import in_scratch  # where an artifact is made again

                arguments[name] = change_paths(in_scratch, arguments[name])

    def _take_recorded_inputs(self, arguments: dict[str, Any]) -> None:
        """Put where the recorded inputs are now in the place of where they were."""
        from pyrepro._record.replay import recorded_input  # where an artifact is made again

        for name in self.options.inputs:
            arguments[name] = change_paths(functools.partial(recorded_input, name), arguments[name])

    def _configuration(self, arguments: Mapping[str, Any]) -> _Configuration:
        """The configuration of a call, computed when it is not that of the last one."""
        config = self._config_for(arguments) if self._reads_call else self._config
        last = self._last
        if last is not None and last[0].is_still(config):
            return last[1]
        known_config = None if self.options.inputs else KnownConfig.of(config)
        form = self._form_with_inputs(config, arguments)
        configuration = _Configuration(form, hash_of_form(form))
        self._last = None if known_config is None else (known_config, configuration)
        return configuration

    def _config_for(self, arguments: Mapping[str, Any]) -> Any:
        config = self._config({name: value for name, value in arguments.items() if name not in self._left_out})
        if config is None:
            raise ConfigError(f"config {self._config!r} returned None; return the configuration from it, or {{}}")
        return config

    def _form_with_inputs(self, config: Any, arguments: Mapping[str, Any]) -> JSON:
        """A configuration in JSON, the content of the call's inputs included."""
        form = json_form(config)
        if self.options.inputs:
            if not isinstance(form, dict):
                raise no_object_for_inputs(form)
            for name in self.options.inputs:
                if name in form:
                    raise ConfigError(
                        f"config[{name!r}] is there already, and the content of the input {name!r} belongs there; "
                        f"rename one of them",
                        place=f"config[{name!r}]",
                    )
                form[name] = _form_of_input(name, arguments[name])
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
    inputs: list[_Input]
    started: int
    clock: float
    directory: str
    process: int

    def run(self) -> Any:
        """Call the function with the tagged paths."""
        return self.naming.binding.call(self.naming.function, self.arguments)

    def tags(self) -> tuple[Tag, Tag]:
        """The tag that its paths carry, and the one of the code that has run."""
        states = self.state, self.naming.tracker.after_call()
        old, new = (tag_of(state, self.configuration.hash) for state in states)
        return old, new

    def changed_input(self) -> tuple[str, str] | None:
        """The first input that is not what was hashed, and what has become of it."""
        form = self.configuration.form
        for one in self.inputs:
            assert isinstance(form, dict)  # where there are inputs, they are in it
            if (change := one.change(form[one.name])) is not None:
                return one.name, change
        return None

    def changed_meanwhile(self, *, had_children: bool = False) -> tuple[str, ...] | None:
        """The files that changed while a call ran, which is warned of; None if nobody knows.

        Args:
            had_children: whether the call had child processes, which load code of their own: looked at is then
                after a short call, too.
        """
        tracker = self.naming.tracker
        # A child that was forked while the function ran ends the call, too; its parent looks.
        changed = (
            tracker.changed_meanwhile(math.inf if had_children else time.perf_counter() - self.clock)
            if self.process == os.getpid()
            else ()
        )
        if changed:
            lines = [f"  {path}" for path in changed[:10]]
            if len(changed) > 10:
                lines.append(f"  and {len(changed) - 10} more")
            _logger.warning(
                "the work tree %s is not what it was when the code of %s was read; changed meanwhile:\n%s\n"
                "What %s read or started while it ran may have been other code than its name says%s.",
                *(tracker.work_tree, self.naming.name, "\n".join(lines), self.naming.name),
                "" if self.naming.maker is None else ", so later calls will make it again",
            )
        return changed

    def end(self) -> None:
        """Give the artifacts their true names if the function loaded code that no commit holds.

        Raises:
            DirtyRepositoryError: it did, and that is not allowed; the artifacts were renamed.
            InputChangedError: an input changed meanwhile; the artifacts were renamed.
        """
        if self.inputs and (changed := self.changed_input()) is not None:
            from pyrepro._publish.rename import input_changed, unnamed  # imported where a name was false

            kept = self._rename(self.tags()[0], unnamed(self._directories()))
            raise input_changed(self.naming.name, *changed, [os.path.join(self.directory, path) for path in kept])
        self.changed_meanwhile()
        if self.naming.tracker.after_call() == self.state:
            return
        renamed = self._rename_truly()
        refusal = self.naming.tracker.refusal()
        if refusal is not None:
            written = f"what it wrote was renamed to {', '.join(renamed)}" if renamed else "no local file was renamed"
            refusal.args = (f"{refusal}\n{self.naming.name} loaded them while it ran; {written}.",)
            raise refusal

    def fail(self) -> None:
        """Give what the function wrote before it raised its true name; its own error is what propagates."""
        try:
            if self.naming.tracker.after_call() == self.state:
                return
            renamed = self._rename_truly()
        except Exception as error:  # whatever it is, it must not hide why the function failed
            _logger.error("what %s wrote before it ended early may carry a false name: %s", self.naming.name, error)
            return
        if renamed:
            _logger.warning(
                "%s loaded code that no commit holds and ended early; what it wrote was renamed to %s",
                self.naming.name,
                ", ".join(renamed),
            )

    def _rename_truly(self) -> list[str]:
        old, new = self.tags()
        return self._rename(old, str(new))

    def _paths(self) -> list[Any]:
        return paths_in([self.arguments[name] for name in self.naming.options.paths])

    def _directories(self) -> list[str]:
        local = [os.fsdecode(path) for path in self._paths() if isinstance(path, (str, bytes, os.PathLike))]
        return [os.path.join(self.directory, split_text(path)[0]) for path in local]

    def _rename(self, old: Tag, new: str) -> list[str]:
        """Rename the local artifacts and what belongs to them; their new names."""
        from pyrepro._publish.rename import rename_tagged  # imported where a name was false

        # A child that was forked while the function ran ends the call, too; its parent may still write.
        is_ours = self.process == os.getpid()
        return rename_tagged(self._paths(), self.directory, self.started, old, new) if is_ours else []


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed, and no relative path leads anywhere
        return os.curdir


class _NotGiven:
    """Stands in a callable config's dict for an argument that tagged() was not given."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name} was not given>"


@to_json.register(_NotGiven)
def _(value: _NotGiven) -> NoReturn:
    raise ConfigError(f"the configuration reads the argument {value.name!r}, which tagged() was not given; pass it")


def _places_of_input(value: object, directory: str) -> Any:
    """An input with paths that hold wherever the function goes."""
    if isinstance(value, (list, tuple)):
        return [_places_of_input(item, directory) for item in value]
    return os.path.join(directory, os.fsdecode(value)) if isinstance(value, (str, bytes, os.PathLike)) else value


def _fingerprints_of_input(places: Any) -> object:
    if isinstance(places, list):
        return [_fingerprints_of_input(place) for place in places]
    return fingerprint_of(places) if isinstance(places, str) else None


def _form_of_input(name: str, value: object) -> JSON:
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return [_form_of_input(f"{name}[{index}]", item) for index, item in enumerate(value)]
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


def no_object_for_inputs(form: JSON) -> ConfigError:
    return ConfigError(
        f"config is {form!r}, and the content of inputs needs an object to go into; pass a dict as the configuration",
        place="config",
    )


def qualname_of(function: object) -> str:
    """What messages call a function."""
    return getattr(function, "__qualname__", None) or repr(function)
