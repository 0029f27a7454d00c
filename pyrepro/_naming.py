"""Arguments -> configuration -> tag -> tagged arguments."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from pyrepro._binding import Binding, bound
from pyrepro._call import Call, Configuration, tag_of
from pyrepro._code.load import clock_of_files
from pyrepro._code.state import CodeState
from pyrepro._code.tracker import Tracker
from pyrepro._config.elsewhere import found_nowhere_else, may_be_nowhere_else
from pyrepro._config.forms import JSON, canonical_bytes, is_builtin_registered, json_form_without, to_json
from pyrepro._config.unchanged import KnownConfig
from pyrepro._environ import REPRODUCTION
from pyrepro._paths import change_paths, is_url, paths_in, text_of, working_directory
from pyrepro._tag import Tag
from pyrepro._value import Value, attribute_of
from pyrepro.errors import ConfigError, PyreproError, without_inner_frames

if TYPE_CHECKING:
    from pyrepro._code.key import CodePaths
    from pyrepro._config.inputs import Input

_logger = logging.getLogger("pyrepro")
_known_plain_bytes: Callable[[object], bytes | None] | None = None
_warned_of: set[tuple[str, str]] = set()  # functions, and what is ephemeral in their configurations

# Here the configuration meets the code, which do not know each other: a state in a configuration is its text.
to_json.register(CodeState)(str)


class Options(Value):
    """What a decorator was told, as :mod:`pyrepro._options` has checked it."""

    paths: tuple[str, ...]
    is_single: bool
    config: Any
    has_config: bool
    reads_call: bool
    allow_dirty: bool
    repo: str | None
    inputs: tuple[str, ...]
    ignore: tuple[str, ...]
    secret: tuple[str, ...]
    publishes: bool
    caches: bool
    records: bool
    code: CodePaths | None  # of what is cached, what it depends on


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
        self._filled_later = self._names_filled_later() if options.caches else frozenset()
        self._paths = options.paths
        self._config = options.config
        self._reads_call = options.reads_call
        self._left_out = frozenset((*options.paths, *options.inputs, *options.ignore))
        self._last: tuple[KnownConfig, Configuration] | None = None
        self._last_held: KnownConfig | None = None
        self._last_tag: tuple[CodeState, Configuration, Tag] | None = None
        self._last_path: tuple[Tag, str, str] | None = None

    def _maker(self) -> str:
        """The function, as the markers of its artifacts name it."""
        from pyrepro._publish.maker import maker_of  # imported where artifacts are cached

        return maker_of(self.function, self.tracker.work_tree, self.options.ignore)

    def _names_filled_later(self) -> frozenset[str]:
        """What the function closes over and may fill itself."""
        from pyrepro._publish.closures import held_by  # imported where artifacts are cached

        return frozenset(one.name for one in held_by(self.function) if one.is_filled_later)

    def check_closure(self) -> None:
        """Refuse to run what closes over other values than when it was decorated: the name would not tell them.

        Raises:
            TypeError: it does.
        """
        check_closes_over_no_values(self.function, self.options, self._filled_later)

    def check_closure_of_hit(self) -> None:
        """Refuse to find what was made with other values; where nothing has changed, that takes a tenth of a hit.

        Raises:
            TypeError: the function closes over other values than when it was decorated.
        """
        if not self._cells:
            return
        values = [attribute_of(cell, "cell_contents") for cell in self._cells]
        # What functions and the like hold is in cells of its own, and they themselves are never refused.
        held = [value for value in values if type(value) not in (types.FunctionType, types.ModuleType, type)]
        if not self._reads_call:
            held.append(self._config)
        last = self._last_held
        if last is None or not last.is_still(held):
            self.check_closure()
            self._last_held = KnownConfig.of(held)

    @functools.cached_property
    def _cells(self) -> list[types.CellType]:
        """The variables that the function takes from around it, and those that its configuration does."""
        from pyrepro._publish.closures import held_by  # imported where artifacts are cached

        held = held_by(self.function)
        if held and self._reads_call:
            held += held_by(self._config)
        return [one.cell for one in held if one.cell is not None]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("binding", "_cells")} | {
            "_last": None,
            "_last_held": None,
            "_last_tag": None,
            "_last_path": None,
        }

    @functools.cached_property
    def binding(self) -> Binding:
        """How calls are taken apart, compiled at the first one."""
        return Binding(self.signature, self.name)

    @functools.cached_property
    def _closed_over(self) -> frozenset[str]:
        """The variables that the function takes from around it."""
        from pyrepro._publish.closures import held_by  # imported where one of them may be named

        return frozenset(held.name for held in held_by(self.function))

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any], plain: dict[str, Any] | None = None) -> Call:
        """A call whose paths carry the tag; the plain ones are kept where that is asked for."""
        __tracebackhide__ = True
        started, clock = clock_of_files(), time.perf_counter()
        try:
            state = self.tracker.before_call()
            arguments = self.binding.arguments(args, kwargs)
            if REPRODUCTION is not None:
                self._take_recorded_inputs(arguments)
            directory = working_directory()
            configuration, inputs = self._configuration(arguments, directory)
        except PyreproError as error:
            raise without_inner_frames(error)  # noqa: B904
        if plain is not None:
            plain.update({name: arguments[name] for name in self._paths})
        known = self._last_tag
        if known is None or known[0] is not state or known[1] is not configuration:
            self._last_tag = known = state, configuration, tag_of(state, configuration.hash)
        self._put_tag(known[2], arguments)
        for one in inputs:
            self._warn_of_outputs_in(one, arguments, directory)
        return Call(self, arguments, state, configuration, inputs, started, clock, directory)

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
        given = bound(self.signature.bind_partial, f"{self.name}.tagged", args, kwargs)
        given.apply_defaults()
        arguments = given.arguments
        for name in (*self.options.paths, *self.options.inputs):
            if name not in arguments and name in self.signature.parameters:
                raise TypeError(
                    f"{self.name}.tagged() was not given the argument {name!r}, which is part of the name; pass it"
                )
        if REPRODUCTION is not None:
            self._take_recorded_inputs(arguments)
        for name in self.signature.parameters:
            arguments.setdefault(name, _NotGiven(name))
        self._put_tag(tag_of(state, self._configuration(arguments, working_directory())[0].hash), arguments)
        return self.paths_of(arguments)

    def config_hash(self, arguments: Mapping[str, Any]) -> str:
        """The hash of the configuration of a call with these arguments, by name and complete."""
        return self._configuration(arguments, working_directory())[0].hash

    def paths_of(self, arguments: Mapping[str, Any]) -> Any:
        """The path argument, or for several keywords a dict of them."""
        paths = self.options.paths
        return arguments[paths[0]] if self.options.is_single else {name: arguments[name] for name in paths}

    def _put_tag(self, tag: Tag, arguments: dict[str, Any]) -> None:
        for name in self._paths:
            path, last = arguments[name], self._last_path
            if last is not None and last[0] is tag and last[1] is path:
                arguments[name] = last[2]
            else:
                try:
                    arguments[name] = tagged = tag.put(path)
                except (TypeError, ValueError) as error:
                    error.args = (f"{error}; it is the argument {name!r} of {self.name}",)
                    raise
                # A list may be another one at the next call.
                self._last_path = (tag, path, tagged) if type(path) is str else None
            if REPRODUCTION is not None:
                from pyrepro._record.replay import in_scratch  # where an artifact is made again

                arguments[name] = change_paths(in_scratch, arguments[name])

    def _take_recorded_inputs(self, arguments: dict[str, Any]) -> None:
        """Put where the recorded inputs are now in the place of where they were."""
        from pyrepro._record.replay import recorded_input  # where an artifact is made again

        for name in self.options.inputs:
            if name in arguments:
                arguments[name] = recorded_input(name, arguments[name])

    def _configuration(self, arguments: Mapping[str, Any], directory: str) -> tuple[Configuration, list[Input]]:
        """The configuration of a call, computed when it is not that of the last one, and the inputs in it."""
        config = self._config_for(arguments) if self._reads_call else self._config
        last = self._last
        if last is not None and last[0].is_still(config):
            return last[1], []
        options = self.options
        inputs: list[Input] = []
        canonical = None
        if not options.inputs and not options.ignore and (plain_bytes := _plain_bytes()) is not None:
            canonical = plain_bytes(config)
        # What differs at each call is not worth keeping.
        known_config = KnownConfig.of(config) if canonical is None or not options.reads_call else None
        if canonical is None:
            found = [self._found_input(name, arguments, config) for name in options.inputs]
            form = self._form_without_inputs(config, [".".join(keys) for keys, _ in found])
            if options.reads_call:
                from pyrepro._config.methods import with_class_of_self  # where the arguments are the configuration

                form = with_class_of_self(form, config, self.function, arguments)
            inputs = [self._read(keys, value, directory) for keys, value in found]
            for one in inputs:
                self._check_is_no_part(one.keys)
                one.put_into(form)
            canonical = canonical_bytes(form)
        elif may_be_nowhere_else(canonical):
            import json  # slow to import

            self._warn_of_what_is_elsewhere_another(json.loads(canonical))
        configuration = Configuration(canonical)
        self._last = None if inputs or known_config is None else (known_config, configuration)
        return configuration, inputs

    def _read(self, keys: tuple[str, ...], value: Any, directory: str) -> Input:
        from pyrepro._config.inputs import Input  # where there are some

        try:
            return Input.of(keys, value, directory)
        except TypeError as error:
            error.args = (f"{error}; it is an argument of {self.name}",)
            raise

    def _config_for(self, arguments: Mapping[str, Any]) -> Any:
        config = self._config({name: value for name, value in arguments.items() if name not in self._left_out})
        if config is None:
            raise ConfigError(f"config {self._config!r} returned None; return the configuration from it, or {{}}")
        return config

    def _found_input(self, name: str, arguments: Mapping[str, Any], config: Any) -> tuple[tuple[str, ...], Any]:
        """A parameter, or what stands under a key of the configuration; and where its content belongs."""
        if name in arguments:
            return (name,), arguments[name]
        from pyrepro._config.inputs import value_in  # where there are some

        found = value_in(config, name)
        if found is None:
            raise unknown_name("inputs", name, self.name, self._nameable(), self._form_if_any(config))
        if REPRODUCTION is not None:
            from pyrepro._record.replay import put_recorded_input  # where an artifact is made again

            return found[0], put_recorded_input(name, config, *found)
        return found

    def _check_is_no_part(self, keys: tuple[str, ...]) -> None:
        """Refuse an input in what is an input, or is ignored, as a whole."""
        for end in range(1, len(keys)):
            around = ".".join(keys[:end])
            for role, names in (("inputs", self.options.inputs), ("ignore", self.options.ignore)):
                if around in names:
                    raise ConfigError(
                        f"inputs names {'.'.join(keys)!r}, a part of {around!r}, which {role} names as a whole; "
                        f"name one of them"
                    )

    def _nameable(self) -> set[str]:
        """The parameters that inputs and ignore may name."""
        return {*self.signature.parameters} - {*self._paths}

    def _form_if_any(self, config: Any) -> JSON:
        """A configuration in JSON, of which a part that is misspelt in ``inputs`` may have no form."""
        try:
            return json_form_without(config, self.options.ignore)[0]
        except ConfigError:
            return dict.fromkeys(key for key in config if isinstance(key, str)) if isinstance(config, Mapping) else {}

    def _form_without_inputs(self, config: Any, inputs: list[str]) -> JSON:
        """A configuration in JSON, without what is ignored in it and without keys that are inputs."""
        parameters = self.signature.parameters
        # Not converted: a table would be refused, and a path be only its text.
        keys = [name for name in inputs if name not in parameters]
        form, unknown = json_form_without(config, [*self.options.ignore, *keys])
        if inputs and not isinstance(form, dict):
            raise no_object_for_inputs(form)
        variadic = inspect.Parameter.VAR_KEYWORD
        # A call need not pass what only **kwargs takes.
        wholes = [*self.options.ignore, *(name for name, one in parameters.items() if one.kind is variadic)]
        for name in unknown:
            is_part = any(name.startswith(f"{one}.") for one in wholes)
            if name not in parameters and name not in keys and name not in self._closed_over and not is_part:
                raise unknown_name("ignore", name, self.name, self._nameable(), form)
        self._warn_of_what_is_elsewhere_another(form)
        return form

    def _warn_of_outputs_in(self, one: Input, arguments: Mapping[str, Any], directory: str) -> None:
        """Warn once of an artifact that changes an input, and with it the name that the next call looks for."""
        written = (text_of(path) for path in paths_in(self.paths_of(arguments)))
        inside = [path for path in written if not is_url(path) and one.contains(os.path.join(directory, path))]
        if inside and (self.name, one.name) not in _warned_of:
            _warned_of.add((self.name, one.name))
            _logger.warning(
                "%s writes %s into its input %s, whose content is part of the name, so no later call will find it; "
                "write it elsewhere, or pass the files to read",
                self.name,
                ", ".join(inside),
                one.name,
            )

    def _warn_of_what_is_elsewhere_another(self, form: object) -> None:
        """Warn once of what gives the artifact a name that no later call will look for."""
        found = [one for one in found_nowhere_else(form, working_directory()) if (self.name, one[0]) not in _warned_of]
        if found:
            _warned_of.update((self.name, name) for name, _, _ in found)
            _logger.warning(
                "the configuration of %s holds %s; where that differs, the artifact will not be found again: "
                "add ignore=%r, or name files to read in inputs=",
                self.name,
                ", and ".join(f"{name} = {text!r}, {what}" for name, text, what in found),
                [*dict.fromkeys(name for name, _, _ in found)],
            )


def _plain_bytes() -> Callable[[object], bytes | None] | None:
    """The quick way to the canonical JSON, None where json was not imported: that takes as long as thirty calls."""
    global _known_plain_bytes
    if _known_plain_bytes is None and "json" in sys.modules:
        from pyrepro._config.plain import plain_bytes

        _known_plain_bytes = plain_bytes
    # What is registered comes first, which the quick way does not know.
    return None if is_builtin_registered() else _known_plain_bytes


class _NotGiven:
    """Stands in a callable config's dict for an argument that tagged() was not given."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name} was not given>"


@to_json.register(_NotGiven)
def _(value: _NotGiven) -> NoReturn:
    raise ConfigError(f"the configuration reads the argument {value.name!r}, which tagged() was not given; pass it")


def no_object_for_inputs(form: JSON) -> ConfigError:
    return ConfigError(
        f"config is {form!r}, but the content of inputs needs an object to go into; pass a dict as the configuration",
        place="config",
    )


def unknown_name(role: str, name: str, function: str, parameters: Iterable[str], form: JSON) -> ConfigError:
    import difflib  # imported where a name was wrong

    known = [*dict.fromkeys([*sorted(parameters), *_dotted_names(form)])]
    # What is nested elsewhere is the likeliest.
    close = [one for one in known if name and f".{one}".endswith(f".{name.rpartition('.')[2]}")][:3]
    close = close or difflib.get_close_matches(name, known, cutoff=0.7)
    remedy = f"did you mean {' or '.join(map(repr, close))}?" if close else "correct the name"
    return ConfigError(
        f"{role} names {name!r}, which is neither a parameter of {function} nor a key of the configuration; {remedy}"
    )


def _dotted_names(form: JSON) -> Iterator[str]:
    if isinstance(form, dict):
        for key, item in form.items():
            yield key
            yield from (f"{key}.{name}" for name in _dotted_names(item))


def check_closes_over_no_values(
    function: Callable[..., Any], options: Options, known: frozenset[str] = frozenset()
) -> None:
    """Refuse to cache what takes values from around it which no configuration sees.

    Args:
        function: the function.
        options: what the decorator was told.
        known: the names of what changes nothing, beside those that the options ignore.

    Raises:
        TypeError: there is such a value.
    """
    from pyrepro._publish.closures import unseen  # imported where artifacts are cached

    ignored = {*options.ignore, *known}
    names = unseen(function, options.config, reads_call=options.reads_call, ignored=ignored)
    if names:
        raise TypeError(
            f"Artifact cache=True cannot see the values of {', '.join(names)}, which {qualname_of(function)} takes "
            f"from the function around it, so an artifact could be taken for one that other values made; make them "
            f"parameters, or name what changes nothing in ignore="
        )


def qualname_of(function: object) -> str:
    """What messages call a function."""
    return getattr(function, "__qualname__", None) or repr(function)
