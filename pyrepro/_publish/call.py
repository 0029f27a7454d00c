"""PublishedCall: a call whose outputs are staged, and its records."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pyrepro._code.patch import NO_PATCH
from pyrepro._config.forms import JSON
from pyrepro._environ import REPRODUCTION
from pyrepro._paths import change_paths, paths_in
from pyrepro._publish.files import Target
from pyrepro._publish.marker import all_completed_by
from pyrepro._publish.protocol import Publication, Sidecars
from pyrepro._record.document import RecordedCall, document_of, patch_name
from pyrepro._record.record import SUFFIX
from pyrepro._tag import Tag

if TYPE_CHECKING:
    from pyrepro._code.tracker import Tracker
    from pyrepro.errors import InputChangedError

_logger = logging.getLogger("pyrepro")

_MAX_NAME_BYTES = 255


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

    def run(self) -> Any: ...

    def tags(self) -> tuple[Tag, Tag]: ...

    def changed_input(self) -> tuple[str, str] | None: ...

    def changed_meanwhile(self, *, had_children: bool) -> tuple[str, ...] | None: ...


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


class PublishedCall:
    """A call under way whose outputs are staged, and moved into place when it ends.

    Args:
        naming: how the calls of the function are named.
        args: what was passed by position.
        kwargs: what was passed by name.

    Raises:
        ArtifactMismatchError: an artifact is another function's.
        ValueError: a path is not on a local file system, or the name of a record would be too long.
    """

    def __init__(self, naming: _CallNaming, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._naming = naming
        self._plain: dict[str, Any] | None = {} if naming.options.records else None
        self._call = call = naming.begin(args, kwargs, self._plain)
        self._paths = {name: call.arguments[name] for name in naming.options.paths}
        targets = [Target.of(path) for path in paths_in(self._paths)]
        # Absolute, because the function may change the working directory.
        self._targets = [target.absolute() for target in targets] if naming.options.inputs else []
        maker, sidecar_suffix = naming.maker, SUFFIX if naming.options.records else ""
        if sidecar_suffix:
            _check_name_lengths(targets, sidecar_suffix)
        # Looked at before there is a publication, which a call whose artifacts exist does not need.
        self.is_done = maker is not None and all_completed_by(maker, targets, sidecar_suffix)
        if not self.is_done:
            self._publication = Publication(targets, maker, sidecar_suffix)

    def __enter__(self) -> PublishedCall:
        return self

    def __exit__(self, *exception: object) -> None:
        self._publication.close()

    def wait_for_lock(self) -> Iterator[None]:
        """Yield as long as another call makes the artifacts.

        Raises:
            ArtifactMismatchError: an artifact is another function's.
            RuntimeError: this call is part of one that makes the same artifact.
        """
        yield from self._publication.wait_for_lock()
        self.is_done = self._publication.is_done

    def run(self) -> Any:
        """Call the function with paths in staging directories."""
        # Kept before the function runs, which may change both.
        self._arguments = dict(self._call.arguments)
        self._directory = os.getcwd()
        self._children = _children_ended()
        self._started = time.time(), time.perf_counter()
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
            OSError: a file could not be written to the disk, or not be moved.
            TypeError: a cached function returned a value of its own.
        """
        naming = self._naming
        if self.is_done:
            return naming.paths_of(self._paths)
        old, new = self._call.tags()
        changed = self._call.changed_input()
        if changed is not None:
            raise self._kept_unnamed(str(old), *changed)
        paths = {
            name: change_paths(functools.partial(new.put_instead, old), argument)
            for name, argument in self._paths.items()
        }
        returned = self._publication.final(result, str(old), str(new))
        returned_value = naming.maker is not None and not _is_none_or_paths(returned, paths)
        # Asked before git is started, which is a child, too.
        had_children = _children_ended() != self._children or bool(_live_children())
        meanwhile = self._call.changed_meanwhile(had_children=had_children)
        sidecars = self._sidecars(meanwhile) if naming.options.records else _no_sidecars
        # What the function read or started may have been other code than the name says: no hit for later calls.
        is_cacheable = not returned_value and meanwhile == ()
        # Published even if the value is refused: what took hours to compute must not be lost.
        self._publication.publish(str(old), str(new), is_cacheable=is_cacheable, sidecars=sidecars)
        if naming.options.records and naming.tracker.patch is not None and naming.tracker.patch.content is not None:
            _tell_of_patch(patch_name(naming.tracker.reading), naming.name)
        if REPRODUCTION is not None:
            from pyrepro._record.replay import end_with  # where an artifact is made again

            written = [os.path.join(self._directory, os.fsdecode(path)) for path in paths_in(paths)]
            configuration, tracker = self._call.configuration, naming.tracker
            end_with(tracker.reading, tracker.qualname, self._plain or {}, written, configuration.hash)
        if returned_value:
            raise TypeError(
                f"{naming.name} returned {returned!r}, which a later call could not return without running "
                f"it; return None or the path from a function with cache=True. What it wrote is complete: "
                f"{', '.join(os.fsdecode(path) for argument in paths.values() for path in paths_in(argument))}"
            )
        return returned if naming.maker is None else naming.paths_of(paths)

    def _kept_unnamed(self, old: str, parameter: str, change: str) -> InputChangedError:
        """Put what was written in place under a name without a tag; the error that says so."""
        from pyrepro._publish.rename import input_changed, unnamed  # imported where a name was false

        new = unnamed(target.directory for target in self._targets)
        self._publication.publish(old, new, is_cacheable=False, sidecars=_no_sidecars)
        kept = [target.directory + target.name.replace(f"-{old}", f"-{new}") for target in self._targets]
        return input_changed(self._naming.name, parameter, change, kept)

    def _sidecars(self, meanwhile: tuple[str, ...] | None) -> Sidecars:
        """Gives the record of each artifact, and the patch that it names."""
        naming, configuration = self._naming, self._call.configuration
        parameters, tracker, options = naming.signature.parameters, naming.tracker, naming.options
        others = {
            name: list(value) if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL else value
            for name, value in self._arguments.items()
            if name not in (*options.paths, *options.inputs)
        }
        recorded = RecordedCall(
            function=tracker.function,
            paths=self._plain or {},
            inputs={name: self._arguments[name] for name in options.inputs},
            arguments=others,
            defaults=[name for name, value in others.items() if value is parameters[name].default],
            secret=options.secret,
            directory=self._directory,
            form=configuration.form,
            config_hash=configuration.hash,
        )
        reading, patch = tracker.reading, tracker.patch or NO_PATCH
        started, seconds = self._started[0], time.perf_counter() - self._started[1]

        def sidecars(name: str, staged: str) -> dict[str, bytes]:
            document = document_of(name, staged, recorded, reading, patch, tracker.file, started, seconds, meanwhile)
            files = {} if patch.content is None else {patch_name(reading): patch.content}
            # The record last: where it is, the patch that it names is, too.
            return files | {name + SUFFIX: document}

        return sidecars


@functools.cache
def _tell_of_patch(patch: str, function: str) -> None:
    """One line for each state: who hands a record on hands its patch on, too."""
    _logger.warning(
        "%s was put beside the record of what %s made: it holds every local edit of the code, also of a password or "
        "token in it; read it before you hand it on",
        *(patch, function),
    )


def _children_ended() -> int:
    """What is another after a child process was waited for; always 0 where the platform does not say."""
    try:
        import resource
    except ImportError:  # Windows has none
        return 0
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt  # every process has page faults


def _live_children() -> list[Any]:
    """The workers that multiprocessing, or what builds on it, has started and that have not ended."""
    multiprocessing = sys.modules.get("multiprocessing")
    return [] if multiprocessing is None else multiprocessing.active_children()


def _no_sidecars(name: str, staged: str) -> dict[str, bytes]:
    return {}


def _check_name_lengths(targets: list[Target], suffix: str) -> None:
    # Before the function runs: afterwards its output would be there, and no record could be.
    for target in targets:
        if len(os.fsencode(target.name + suffix)) > _MAX_NAME_BYTES:
            raise ValueError(
                f"{target.name!r} with the suffix {suffix} of its record is longer than the {_MAX_NAME_BYTES} bytes "
                f"that a name may have; use a shorter stem"
            )


def _is_none_or_paths(returned: Any, paths: Mapping[str, Any]) -> bool:
    """Whether a function returned nothing, or nothing but paths of its artifacts."""
    if returned is None:
        return True
    items = paths_in(returned)
    known = {os.path.abspath(os.fsdecode(path)) for argument in paths.values() for path in paths_in(argument)}
    return bool(items) and all(
        isinstance(item, (str, bytes, os.PathLike)) and os.path.abspath(os.fsdecode(item)) in known for item in items
    )
