"""PublishedCall: a call whose outputs are staged, and its records."""

from __future__ import annotations

import functools
import inspect
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pyrepro._code.patch import NO_PATCH
from pyrepro._paths import change_paths, paths_in
from pyrepro._publish.files import Target
from pyrepro._publish.marker import are_completed
from pyrepro._publish.protocol import Publication
from pyrepro._record.document import RecordedCall, document_of, patch_name
from pyrepro._record.record import SUFFIX

if TYPE_CHECKING:
    from pyrepro._naming import Naming


class PublishedCall:
    """A call under way whose outputs are staged, and moved into place when it ends.

    Args:
        naming: how the calls of the function are named.
        args: what was passed by position.
        kwargs: what was passed by name.
    """

    def __init__(self, naming: Naming, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._plain: dict[str, Any] | None = {} if naming.options.records else None
        self._call = call = naming.begin(args, kwargs, self._plain)
        self._paths = {name: call.arguments[name] for name in naming.options.paths}
        targets = [Target.of(path) for path in paths_in(self._paths)]
        maker, beside = naming.maker, "" if self._plain is None else SUFFIX
        if beside:
            _check_lengths(targets, beside)
        self.is_done = maker is not None and are_completed(targets, maker, beside)
        if not self.is_done:
            self._publication = Publication(targets, maker, beside)

    def __enter__(self) -> PublishedCall:
        return self

    def __exit__(self, *exception: object) -> None:
        self._publication.close()

    def turns(self) -> Iterator[None]:
        """Yield as long as another call makes the artifacts."""
        yield from self._publication.turns()
        self.is_done = self._publication.is_done

    def run(self) -> Any:
        """Call the function with paths in staging directories."""
        self._arguments = dict(self._call.arguments)
        self._directory = os.getcwd()
        self._started = time.time(), time.perf_counter()
        for name, argument in self._paths.items():
            self._call.arguments[name] = self._publication.staged(argument)
        return self._call.run()

    def end(self, result: Any) -> Any:
        """Publish what the function wrote; what the call returns.

        Raises:
            ArtifactMissingError: it did not write an artifact.
            TypeError: a cached function returned a value of its own.
        """
        naming = self._call.naming
        if self.is_done:
            return naming.paths_of(self._paths)
        old, new = self._call.tags()
        paths = {
            name: change_paths(functools.partial(new.put_instead, old), argument)
            for name, argument in self._paths.items()
        }
        returned = self._publication.final(result, str(old), str(new))
        is_own = naming.maker is not None and not _is_of(returned, paths)
        beside = self._record() if naming.options.records else _nothing_beside
        self._publication.publish(str(old), str(new), is_cacheable=not is_own, beside=beside)
        if is_own:
            raise TypeError(
                f"{naming.name} returned {returned!r}, which a later call could not return without running "
                f"it; return None or the path from a function with cache=True. What it wrote is complete: "
                f"{', '.join(os.fsdecode(path) for argument in paths.values() for path in paths_in(argument))}"
            )
        return returned if naming.maker is None else naming.paths_of(paths)

    def _record(self) -> Callable[[str, str], dict[str, bytes]]:
        """The record of each artifact, and the patch that it names."""
        naming, configuration = self._call.naming, self._call.configuration
        parameters, state = naming.signature.parameters, naming.tracker
        options = naming.options
        others = {
            name: list(value) if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL else value
            for name, value in self._arguments.items()
            if name not in (*options.paths, *options.inputs)
        }
        recorded = RecordedCall(
            function=state.function,
            paths=self._plain or {},
            inputs={name: self._arguments[name] for name in options.inputs},
            arguments=others,
            defaults=[name for name, value in others.items() if value is parameters[name].default],
            directory=self._directory,
            form=configuration.form,
            config_hash=configuration.hash,
        )
        reading, patch = state.reading, state.patch or NO_PATCH
        started, seconds = self._started[0], time.perf_counter() - self._started[1]

        def beside(name: str, staged: str) -> dict[str, bytes]:
            document = document_of(name, staged, recorded, reading, patch, state.file, started, seconds)
            files = {} if patch.content is None else {patch_name(reading): patch.content}
            return files | {name + SUFFIX: document}

        return beside


def _nothing_beside(name: str, staged: str) -> dict[str, bytes]:
    return {}


def _check_lengths(targets: list[Target], suffix: str) -> None:
    for target in targets:
        if len(os.fsencode(target.name + suffix)) > 255:
            raise ValueError(
                f"{target.name!r} with the suffix {suffix} of its record is longer than the 255 bytes that a name may "
                f"have; use a shorter stem"
            )


def _is_of(returned: Any, paths: Mapping[str, Any]) -> bool:
    """Whether a function returned nothing but paths of its artifacts, or nothing."""
    if returned is None:
        return True
    items = paths_in(returned)
    known = {os.path.abspath(os.fsdecode(path)) for argument in paths.values() for path in paths_in(argument)}
    return bool(items) and all(
        isinstance(item, (str, bytes, os.PathLike)) and os.path.abspath(os.fsdecode(item)) in known for item in items
    )
