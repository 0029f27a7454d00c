"""PublishedCall: a call whose outputs are staged, and its records."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pyrepro._code.key import CodePaths
from pyrepro._code.workers import Moment
from pyrepro._config.forms import JSON
from pyrepro._config.inputs import Input
from pyrepro._environ import REPRODUCTION
from pyrepro._paths import change_paths, is_path, paths_in, text_of, without_user, working_directory
from pyrepro._publish.files import Target
from pyrepro._publish.marker import NOTHING_THERE, Origin, why_not_completed
from pyrepro._publish.place import check_names, targets_of
from pyrepro._publish.protocol import Publication, Sidecars
from pyrepro._publish.returned import described
from pyrepro._tag import Tag

if TYPE_CHECKING:
    from pyrepro._code.tracker import Tracker
    from pyrepro._record.document import RecordedCall
    from pyrepro.errors import InputChangedError

_logger = logging.getLogger("pyrepro")


class _Options(Protocol):
    """What a published call needs to know of what the decorator was told."""

    @property
    def paths(self) -> tuple[str, ...]: ...

    @property
    def inputs(self) -> tuple[str, ...]: ...

    @property
    def secret(self) -> tuple[str, ...]: ...

    @property
    def records(self) -> bool: ...

    @property
    def code(self) -> CodePaths | None: ...


class _Configuration(Protocol):
    """The configuration of a call."""

    @property
    def form(self) -> JSON: ...

    @property
    def hash(self) -> str: ...


class _NamedCall(Protocol):
    """A call with tagged paths; only what a published call needs of it, because imports point down."""

    @property
    def arguments(self) -> dict[str, Any]: ...

    @property
    def configuration(self) -> _Configuration: ...

    @property
    def directory(self) -> str: ...

    @property
    def inputs(self) -> list[Input]: ...

    def run(self) -> Any: ...

    def tags(self) -> tuple[Tag, Tag]: ...

    def changed_input(self) -> tuple[str, str] | None: ...

    def changed_meanwhile(self, children: Moment) -> tuple[str, ...] | None: ...


class _CallNaming(Protocol):
    """How the calls of one function are named; only what a published call needs of it."""

    name: str
    signature: inspect.Signature
    tracker: Tracker
    maker: str | None

    @property
    def options(self) -> _Options: ...

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any], plain: dict[str, Any] | None) -> _NamedCall: ...

    def paths_of(self, arguments: Mapping[str, Any]) -> Any: ...

    def check_closure(self) -> None: ...

    def check_closure_of_hit(self) -> None: ...


class PublishedCall:
    """A call under way whose outputs are staged, and moved into place when it ends.

    Args:
        naming: how the calls of the function are named.
        args: what was passed by position.
        kwargs: what was passed by name.
        refreshes: whether the function runs although its artifacts are there.

    Raises:
        ArtifactMismatchError: an artifact is another function's.
        ValueError: a path is not on a local file system, begins with a ~ that nobody expands, or has a name that is too
            long for it, or for its record.
    """

    def __init__(
        self, naming: _CallNaming, args: tuple[Any, ...], kwargs: dict[str, Any], *, refreshes: bool = False
    ) -> None:
        self._naming = naming
        options = naming.options
        self._plain: dict[str, Any] | None = {} if options.records else None
        self._call = call = naming.begin(args, kwargs, self._plain)
        self._paths = {name: call.arguments[name] for name in options.paths}
        targets = targets_of(self._paths)
        maker, sidecar_suffix = naming.maker, _sidecar_suffix(options)
        # Looked at before there is a publication, which a call whose artifacts exist does not need.
        why = why_not_completed(maker, targets, sidecar_suffix) if maker is not None else ""
        if refreshes:
            why = "refresh was called"
        self._why = why
        self.is_done = why is None
        if why is not None:
            check_names([target for target in targets if target.store is None], sidecar_suffix)
            # Absolute, because the function may change the working directory.
            self._targets = [target.absolute() for target in targets] if options.inputs else []
            self._refreshes = refreshes
            self._sources: dict[str, Target] = {}
            self._originals: dict[str, bytes] = {}
            self._known_origin: Origin | None = None
            self._publication = Publication(targets, maker, sidecar_suffix, refreshes=refreshes)
            if maker is not None and _logger.isEnabledFor(logging.INFO):
                # Told before the function runs, while what it is compared with is there.
                self._why = self._reason(why, targets)

    def __enter__(self) -> PublishedCall:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # As the command-line functions of click and argparse end: nothing else would say that the work is lost.
        if isinstance(error, SystemExit) and not error.code and (lost := self._publication.staged_outputs()):
            _logger.warning(
                "%s ended with sys.exit(), which may be too early, so what it wrote is removed: %s; let it return, or "
                "catch SystemExit in it",
                self._naming.name,
                ", ".join(lost),
            )
        self._publication.close(error)

    def wait_for_lock(self) -> Iterator[None]:
        """Yield as long as another call makes the artifacts.

        Raises:
            ArtifactMismatchError: an artifact is another function's.
            RuntimeError: this call is part of one that makes the same artifact.
        """
        yield from self._publication.wait_for_lock()
        self.is_done = self._publication.is_done

    def reuse(self) -> bool:
        """Stage what another state of the code has made, if nothing that the artifacts depend on differs from it.

        Raises:
            TypeError: the function closes over other values than when it was decorated.
        """
        origin = None if self._refreshes else self._origin()
        if origin is None or origin.code_key is None:
            return False
        found = self._publication.stage_copies(str(self._call.tags()[0]), origin)
        if not found:
            return False
        if self._naming.options.records:
            try:
                self._originals = {name: _content_of(source) for name, source in found.items()}
            except (OSError, ValueError):  # without a record, what is asked for cannot be had of the copy
                self._publication.unstage()
                return False
        self._sources = found
        self._why = f"the code that it depends on is that of {', '.join(target.name for target in found.values())}"
        self._begin()
        return True

    def _begin(self) -> None:
        if self._naming.maker is not None:
            self._naming.check_closure()
        # Before the function runs, which may take the arguments apart. What cannot be recorded is said when it has run.
        self._recorded: RecordedCall | Exception | None = None
        try:
            self._recorded = self._recorded_call() if self._naming.options.records else None
        except Exception as error:
            self._recorded = error
        self._children = Moment.now()
        self._started = time.time(), time.perf_counter()

    def run(self) -> Any:
        """Call the function with paths in staging directories.

        Raises:
            TypeError: it is cached, and closes over other values than when it was decorated.
        """
        __tracebackhide__ = True
        self._begin()
        for name, argument in self._paths.items():
            self._call.arguments[name] = self._publication.staged(argument)
        return self._call.run()

    def end(self, result: Any) -> Any:
        """Publish what the function wrote.

        Args:
            result: what the function returned, None if it did not run.

        Returns:
            What the call returns.

        Raises:
            ArtifactMissingError: the function did not write an artifact.
            InputChangedError: an input changed while the function ran.
            PublishError: something could not be put in place, and is kept.
            TypeError: a cached function returned a value of its own, or closes over other values than when it was
                decorated.
        """
        if self.is_done:
            self._naming.check_closure_of_hit()
            if _logger.isEnabledFor(logging.INFO):
                meanwhile = "" if self._why is None else ", which another call made meanwhile"
                _logger.info("%s found %s%s", self._naming.name, _shown(self._paths), meanwhile)
            return self._naming.paths_of(self._paths)
        with self._publication.keeping():
            return self._published(result)

    def _published(self, result: Any) -> Any:
        naming = self._naming
        old, new = self._call.tags()
        # The function of a copy has read nothing.
        is_copy = bool(self._sources)
        changed = None if is_copy else self._call.changed_input()
        if changed is not None:
            raise self._kept_unnamed(str(old), *changed)
        paths = {
            name: change_paths(functools.partial(new.put_instead, old), argument)
            for name, argument in self._paths.items()
        }
        returned = self._publication.returned(result, naming.name, str(old), str(new))
        returned_value = naming.maker is not None and not _is_none_or_paths(returned, paths, self._call.directory)
        meanwhile = () if is_copy else self._call.changed_meanwhile(self._children)
        sidecars = _no_sidecars if self._recorded is None else self._sidecars(self._recorded, meanwhile)
        # What the function read or started may have been other code than the name says: no hit for later calls then.
        # Published even if the value is refused: what took hours to compute must not be lost.
        origin = None if returned_value or meanwhile != () else self._origin()
        self._publication.publish(str(old), str(new), origin=origin, sidecars=sidecars, returned=result)
        if naming.options.records and naming.tracker.patch is not None and naming.tracker.patch.content is not None:
            from pyrepro._record.document import patch_name  # imported where something is recorded

            _tell_of_patch(patch_name(naming.tracker.reading), naming.name)
        if REPRODUCTION is not None:
            from pyrepro._record.replay import end_with  # where an artifact is made again

            written = [os.path.join(self._call.directory, text_of(path)) for path in paths_in(paths)]
            end_with(naming.tracker.reading, naming.tracker.qualname, self._recorded, written)
        if naming.maker is not None:
            verb = "copied" if self._sources else "made"
            _logger.info("%s %s %s: %s", naming.name, verb, _shown(paths), self._why)
        if returned_value:
            raise TypeError(
                f"{naming.name} returned {described(returned)}, which a later call could not return without running "
                f"it; return None or the path from a function with cache=True. What it wrote is complete: "
                f"{_shown(paths)}"
            )
        return returned if naming.maker is None else naming.paths_of(paths)

    def _origin(self) -> Origin | None:
        """What makes the artifacts, None if they are not cached."""
        maker, configuration = self._naming.maker, self._call.configuration
        if maker is None:
            return None
        from pyrepro._publish.reason import origin_of  # imported where something is cached, and is run

        tracker = self._naming.tracker
        reading, code_key = tracker.reading, tracker.code_key()
        known = self._known_origin
        # Asked for before the function runs and after it, and for a large configuration it takes time.
        if known is None or (known.state, known.code_key) != (str(reading.state), code_key):
            from pyrepro._record.cleaning import clean_config  # as above

            form = clean_config(configuration.form, self._naming.options.secret)
            known = origin_of(maker, reading, form, configuration.hash, code_key)
        self._known_origin = known
        return known

    def _reason(self, why: str, targets: list[Target]) -> str:
        """Why the artifacts must be made, and where nothing is there, in what they will differ from the newest ones."""
        from pyrepro._publish.reason import UNTOLD, compared_with_newest  # imported where it is logged

        origin = self._origin()
        if why != NOTHING_THERE or origin is None:
            return why or "no path was passed"
        tag, work_tree = str(self._call.tags()[0]), self._naming.tracker.work_tree
        options = self._naming.options
        asked = work_tree, options.code, _sidecar_suffix(options)
        found = [compared_with_newest(target, tag, origin, *asked) for target in targets]
        # Artifacts are copied together: one that is whole is made again for the sake of another, which says more.
        told = [one for one in found if one is not None and not one.endswith(UNTOLD)]
        return next(iter(told), why if None in found else found[0] or why)

    def _kept_unnamed(self, old: str, parameter: str, change: str) -> InputChangedError:
        """Put what was written in place under a name without a tag; the error that says so."""
        from pyrepro._publish.rename import input_changed, unnamed  # imported where a name was false

        def is_taken(text: str) -> bool:
            stored = (target for target in self._targets if target.store is not None)
            return any(one.store.told(one.directory + one.name.replace(f"-{old}", f"-{text}")) for one in stored)

        new = unnamed((target.directory for target in self._targets if target.store is None), is_taken)
        self._publication.publish(old, new, origin=None, sidecars=_no_sidecars)
        kept = [target.directory + target.name.replace(f"-{old}", f"-{new}") for target in self._targets]
        return input_changed(self._naming.name, parameter, change, kept)

    def _recorded_call(self) -> RecordedCall:
        # Imported where something is recorded: a call that finds its artifact needs none of it.
        from pyrepro._record.document import RecordedCall, recorded_arguments

        naming, configuration = self._naming, self._call.configuration
        parameters, tracker, options = naming.signature.parameters, naming.tracker, naming.options
        others = {
            name: list(value) if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL else value
            for name, value in self._call.arguments.items()
            if name not in (*options.paths, *options.inputs)
        }
        defaults = [name for name, value in others.items() if value is parameters[name].default]
        return RecordedCall(
            function=tracker.function,
            paths=self._plain or {},
            inputs=self._call.inputs,
            arguments=recorded_arguments(others, defaults, tracker.work_tree),
            defaults=defaults,
            secret=options.secret,
            directory=self._call.directory,
            form=configuration.form,
            config_hash=configuration.hash,
        )

    def _sidecars(self, recorded: RecordedCall | Exception, meanwhile: tuple[str, ...] | None) -> Sidecars:
        """Gives the record of each artifact, and the patch that it names."""
        from pyrepro._code.patch import NO_PATCH
        from pyrepro._record.document import document_of, document_of_copy, patch_name
        from pyrepro._record.record import SUFFIX

        tracker = self._naming.tracker
        reading, patch = tracker.reading, tracker.patch or NO_PATCH
        started, seconds = self._started[0], time.perf_counter() - self._started[1]

        def sidecars(name: str, staged: str) -> dict[str, bytes]:
            if isinstance(recorded, Exception):
                raise recorded
            document = document_of(name, staged, recorded, reading, patch, tracker.file, started, seconds, meanwhile)
            if name in self._sources:
                document = document_of_copy(self._originals[name], document)
            files = {} if patch.content is None else {patch_name(reading): patch.content}
            # The record last: where it is, the patch that it names is, too.
            return files | {name + SUFFIX: document}

        return sidecars


def _sidecar_suffix(options: _Options) -> str:
    """The suffix of the record that each artifact must have, empty if it must have none."""
    if not options.records:
        return ""
    from pyrepro._record.record import SUFFIX  # imported where something is recorded

    return SUFFIX


def _content_of(source: Target) -> bytes:
    """The bytes of the record of an artifact, which can be read."""
    from pyrepro._record.record import SUFFIX, read_record, record_of

    record = source.path + SUFFIX
    if source.store is not None:
        content: bytes = source.store.read(record) or b""
        record_of(content, record)
        return content
    read_record(record)
    with open(record, "rb") as file:
        return file.read()


@functools.cache
def _tell_of_patch(patch: str, function: str) -> None:
    """One line for each state: who hands a record on hands its patch on, too."""
    _logger.warning(
        "%s was put beside the record of what %s made: it holds every local edit of the code, with any password or "
        "token in it; read it before you hand it on",
        *(patch, function),
    )


def _shown(paths: Mapping[str, Any]) -> str:
    return ", ".join(without_user(text_of(path)) for path in paths_in(dict(paths))) or "nothing"


def _no_sidecars(name: str, staged: str) -> dict[str, bytes]:
    return {}


def _is_none_or_paths(returned: Any, paths: Mapping[str, Any], directory: str) -> bool:
    """Whether a function returned nothing, or nothing but paths of its artifacts, in the directory of the call."""
    if returned is None:
        return True
    known: dict[str, list[str]] = {}
    for path in paths_in(dict(paths)):
        above, name = _split_place(path, directory)
        known.setdefault(name, []).append(above)
    # The function may have gone to another directory before it returns, or before it made the path absolute.
    directories = directory, working_directory()
    try:
        items = paths_in(returned)
        return bool(items) and all(is_path(item) and _is_known(item, known, directories) for item in items)
    except Exception:  # it contains itself, or refuses to be looked into, or to say which path it is
        return False


def _is_known(path: Any, known: Mapping[str, list[str]], directories: Iterable[str]) -> bool:
    """Whether a path is one of those whose directories are known by their names, be these written as links."""
    for above, name in (_split_place(path, directory) for directory in directories):
        others = known.get(name, ())
        if above in others or (others and os.path.realpath(above) in map(os.path.realpath, others)):
            return True
    return False


def _split_place(path: Any, directory: str) -> tuple[str, str]:
    return os.path.split(os.path.normpath(os.path.join(directory, text_of(path))))
