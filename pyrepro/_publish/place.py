"""Places: where a publication puts what a function wrote, a local directory or the prefix of a store.

The protocol asks what is here of either, and does not know which one it is.
"""

from __future__ import annotations

from typing import Any, Protocol

from pyrepro._publish.files import Target
from pyrepro._publish.local import LocalDirectory
from pyrepro._publish.marker import Origin
from pyrepro._publish.side_files import SideFiles, Unplaced
from pyrepro._publish.staging import Staging
from pyrepro._stores import is_in_store


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

    def prepare(self, staged: str) -> None: ...

    def contents(self, target: Target, parts: list[str]) -> Contents: ...

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
