"""Which paths differ between two code states."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from pyrepro._code.porcelain import ABSENT
from pyrepro._code.state import Reading, printable_path
from pyrepro._code.work_tree import committed_between
from pyrepro.errors import CodeStateError

_AS_COMMITTED = "as committed"


def paths_between(
    top: str | None, old: str, old_changes: Mapping[str, str], new: str, new_changes: Mapping[str, str]
) -> list[str] | None:
    """The paths whose content differs between two commits with the changes laid over them.

    Args:
        top: the work tree, None if there is none.
        old: a full commit.
        old_changes: what stood in their place, as :func:`changes_of` has it.
        new: another commit, or the same.
        new_changes: the same of the other one.

    Returns:
        The paths as they can be printed, sorted; None if the commits cannot be compared in this clone.
    """
    committed: Mapping[str, tuple[str, str]] = {}
    if old != new:
        if top is None:
            return None
        try:
            committed = _committed_between(top, old, new)
        except CodeStateError:
            return None
    differing = []
    for path in sorted({*committed, *old_changes, *new_changes}):
        # Where the commits do not differ both hold the same, and a change is never what the commit holds.
        before, after = committed.get(path, (_AS_COMMITTED, _AS_COMMITTED))
        if old_changes.get(path, before) != new_changes.get(path, after):
            differing.append(path)
    return differing


@functools.lru_cache(maxsize=64)
def _committed_between(top: str, old: str, new: str) -> dict[str, tuple[str, str]]:
    """Of each path that differs between two commits, both ids. Remembered: a thousand calls ask after one commit."""
    return {
        printable_path(path): (_entry(*old_entry), _entry(*new_entry))
        for path, (old_entry, new_entry) in committed_between(top, old, new).items()
    }


def changes_of(reading: Reading) -> dict[str, str]:
    """The changes of a reading, by the path as it can be printed."""
    return {printable_path(path): _entry(*entry) for path, entry in sorted(reading.changes.items())}


def _entry(mode: str, identity: str) -> str:
    return "" if mode == ABSENT[0] else f"{mode} {identity}"
