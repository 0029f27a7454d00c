"""Places: where a publication puts what a function wrote, a local directory or the prefix of a store.

The protocol asks what is here of either, and does not know which one it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from pyrepro._publish.files import Target
from pyrepro._publish.local import LocalDirectory
from pyrepro._publish.marker import Origin
from pyrepro._publish.prepared import Moves
from pyrepro._publish.side_files import SideFiles, Unplaced
from pyrepro._publish.staging import Staging
from pyrepro._stores import is_in_store

_MAX_NAME_BYTES = 255  # where the file system cannot be asked


class Contents(Protocol):
    """What an artifact and its side files held while they were staged."""

    def mark(self, tag: str, origin: Origin) -> None: ...


class Place(Protocol):
    """Where artifacts of one call belong; see :class:`pyrepro._publish.local.LocalDirectory`."""

    @property
    def directory(self) -> str: ...

    @property
    def staging(self) -> Staging: ...

    def staged_path(self, path: Any) -> Any: ...

    def final_path(self, path: Any, before: str, after: str) -> Any: ...

    def prepare(self, staged: str, moves: Moves) -> list[str]: ...

    def contents(self, target: Target, parts: list[str]) -> Contents: ...

    def alone(self, target: Target) -> AbstractContextManager[None]: ...

    def is_free(self, target: Target, side_files: SideFiles) -> bool: ...

    def remove_old_marker(self, target: Target) -> None: ...

    def place_side_file(self, staged: str, path: str, side_files: SideFiles) -> None: ...

    def place_artifact(self, target: Target, sidecars: dict[str, bytes]) -> bool: ...


def target_of(path: Any) -> Target:
    """The target of a tagged path.

    Args:
        path: the path: a local one, a URL, or a universal path.

    Returns:
        The target, relative if the path is.

    Raises:
        ImportError: it is in a store, and what reaches stores is not installed.
        ValueError: nothing is known that reaches it.
    """
    if "://" in path if type(path) is str else is_in_store(path):
        from pyrepro._publish.store import store_target  # imported where something is in a store

        return store_target(path)
    return Target.of(path)


def targets_of(paths: Mapping[str, Any]) -> list[Target]:
    """Where the artifacts of a call belong, each with what the function takes its path for."""
    if len(paths) == 1:  # as mostly: this is on the way of every hit
        [argument] = paths.values()
        if not isinstance(argument, (list, tuple)):
            return [] if argument is None else [target_of(argument)]
    found = {}
    for name, argument in paths.items():
        # None is no path, but takes a place: the function writes to the others what it would write with it.
        items = argument if isinstance(argument, (list, tuple)) else [argument]
        for number, path in enumerate(items):
            if path is None:
                continue
            place = f"[{number}] of {len(items)}" if len(items) > 1 else ""
            role = f"{name}{place}" if len(paths) > 1 or place else ""
            target = target_of(path)._replace(role=role)
            found[target.path] = target
    return [*found.values()]


def check_names(targets: Sequence[Target], suffix: str) -> None:
    """Refuse names that no file here may have.

    Args:
        targets: where the artifacts belong.
        suffix: the suffix of the record that each must have, empty if it must have none.

    Raises:
        ValueError: one is too long, or begins with a ~ that nobody expands.
    """
    # Before the function runs, which would find out when its work is done, or write no record.
    for target in targets:
        first = target.directory.partition(os.sep)[0]
        if first.startswith("~") and os.path.expanduser(first) != first and not os.path.isdir(first):
            # Missing directories are made, and one that is called ~ is removed at a high price.
            raise ValueError(
                f"{target.path!r} begins with {first}; only the shell expands it: pass os.path.expanduser() of it"
            )
        longest = _longest_name_in(target.directory)
        if len(os.fsencode(target.name + suffix)) > longest:
            record = f" with the suffix {suffix} of its record" if suffix else ""
            raise ValueError(
                f"{target.name!r}{record} is longer than the {longest} bytes that a name may have; use a shorter stem"
            )


def _longest_name_in(directory: str) -> int:
    """How many bytes a name in a directory may have, which is less than usual where names are encrypted."""
    place = directory or os.curdir
    # The directory may still have to be made: on the file system of the one above it.
    while place and not os.path.isdir(place):
        place = os.path.dirname(place.rstrip(os.sep))
    try:
        return os.pathconf(place or os.curdir, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # on Windows, and where nobody knows
        return _MAX_NAME_BYTES


def place_of(
    directory: Target, maker: str | None, sidecar_suffix: str, unplaced: list[Unplaced], *, refreshes: bool
) -> Place:
    """The place of the artifacts of one call in one directory.

    Args:
        directory: the directory, a target without a name.
        maker: which function makes them if they are cached, else None.
        sidecar_suffix: the suffix of the record that each must have, empty if it must have none.
        unplaced: where what cannot be put in place is reported.
        refreshes: whether they are made although they are there.
    """
    if directory.store is None:
        return LocalDirectory(directory.directory, sidecar_suffix, unplaced)
    from pyrepro._publish.prefix import Prefix  # imported where something is in a store

    return Prefix(directory, maker, sidecar_suffix, unplaced, refreshes=refreshes)
