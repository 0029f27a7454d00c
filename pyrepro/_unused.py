"""unused: the artifacts that a clean-up may remove."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any, TypeVar

from pyrepro._code.commits import Commits
from pyrepro._environ import REPRODUCTION
from pyrepro._paths import is_path, text_of, without_user
from pyrepro._publish.store import store_target
from pyrepro._remove import Directory
from pyrepro._stores import is_in_store
from pyrepro._tag import DIGITS, plain_name

_AnyPath = TypeVar("_AnyPath", bound="str | bytes | os.PathLike[Any]")


def unused(directory: _AnyPath, keep: int = 1, repo: Any = None) -> list[_AnyPath]:
    """The artifacts in a directory that a clean-up may remove; nothing is removed.

    These are the artifacts whose commit no ref, no reflog and no HEAD of a work tree reaches, and all but the newest of
    each plain path and configuration. What the present code would write, committed or not, is never among them, nor is
    what was made at a commit that the clone does not have.

    Args:
        directory: the directory with the artifacts, without those below it.
        keep: how many of each plain path and configuration are kept, the newest by modification time.
        repo: a path in the work tree of the code; by default the one that holds the directory, or else the working
            directory.

    Returns:
        The paths, sorted by name, in the type that was passed, for :func:`remove`; an empty list where there is no
        such directory.

    Raises:
        CodeStateError: no work tree was found, the clone is shallow, or git fails.
        TypeError: an argument has the wrong type.
        ValueError: the path is a URL or no directory, or ``keep`` is negative.

    Example:
        ``for path in unused("out/", keep=2): print(path)``
    """
    if not is_path(directory):
        raise TypeError(f"unused takes a directory, not {directory!r} of type {type(directory).__name__}")
    if not isinstance(keep, int) or isinstance(keep, bool):
        raise TypeError(f"keep={keep!r} of unused is a number of artifacts; pass an int, like 1")
    if keep < 0:
        raise ValueError(f"keep={keep!r} of unused is a number of artifacts; pass 0 or more")
    if REPRODUCTION is not None:
        from pyrepro._record.replay import in_scratch  # where an artifact is made again

        # A temporary clone has no branches, so that it would call everything unused.
        directory = in_scratch(directory)
    text = text_of(directory)
    store = None
    if is_in_store(directory):
        text = os.path.join(text, "")
        inside: Any = directory / "x" if hasattr(directory, "with_name") else f"{text}x"  # type: ignore[operator]
        store = store_target(inside).store
    elif os.path.lexists(text) and not os.path.isdir(text):
        raise ValueError(f"{directory!r} is not a directory; pass the one that holds the artifacts, like 'out/'")
    # Before the directory is looked at: what cannot be told must not depend on what is there.
    commits = Commits.of(os.curdir if store is not None else text, None if repo is None else os.fsdecode(repo))
    place = os.path.join(text if store is None else without_user(text), "")
    names = sorted(_unused_names(Directory(place, store), keep, commits))
    found: list[Any] = [os.path.join(text, name) for name in names]
    if isinstance(directory, bytes):
        found = list(map(os.fsencode, found))
    elif hasattr(directory, "with_name"):
        found = [directory / name for name in names]  # type: ignore[operator]
    return found


def _unused_names(directory: Directory, keep: int, commits: Commits) -> list[str]:
    found = directory.artifacts()
    full = commits.full(tag.commit for tag in found.values())
    unreachable = commits.unreachable(full.values())
    present = {(state.commit[:DIGITS], state.changes and state.changes[:DIGITS]) for state in commits.present}
    # Of what is loaded from files that are not tracked only the process that loads it knows the digest.
    heads = {commit for commit, _ in present} if commits.loadable_untracked() else set()
    unused_names: list[str] = []
    kept: defaultdict[tuple[str | None, str], list[str]] = defaultdict(list)
    protected: set[str] = set()
    for name, tag in found.items():
        if (tag.commit, tag.changes) in present or (tag.changes is not None and tag.commit in heads):
            protected.add(name)
        elif tag.commit not in full:
            continue  # unknown, and so neither unused nor a newer one for whose sake others may go
        elif full[tag.commit] in unreachable:
            unused_names.append(name)
            continue
        kept[plain_name(name), tag.config].append(name)
    for names in kept.values():
        if len(names) > keep:
            names.sort(key=lambda name: (directory.time_of(name), name), reverse=True)
            unused_names += [name for name in names[keep:] if name not in protected]
    return unused_names
