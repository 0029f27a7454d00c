"""remove: an artifact with all that belongs to it, in its directory.

Sources: rename(2), unlink(2).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

from pyrepro._environ import REPRODUCTION
from pyrepro._paths import STATE_DIRECTORY, SplitPath, from_where, is_path, paths_in, split_path
from pyrepro._publish.databases import kept_beside
from pyrepro._publish.files import Target, is_real_directory, move_away, remove_state_directory
from pyrepro._publish.lock import Locks
from pyrepro._publish.marker import marker_of, remove_marker
from pyrepro._publish.marker_files import remove_markers_directory
from pyrepro._publish.place import target_of
from pyrepro._publish.staging import Staging
from pyrepro._record.record import SUFFIX, Record, read_record, record_of
from pyrepro._stores import Told
from pyrepro._tag import DIGITS, Tag, plain_name
from pyrepro._value import replaced
from pyrepro.errors import NotTaggedError, RecordError

_logger = logging.getLogger("pyrepro")

_PATCH = re.compile(r"[0-9a-f]{40,64}-dirty-[0-9a-f]{64}\.patch")
_PATIENCE = 3.0
"""Seconds after which it is logged how far something has come."""

_AnyPath = TypeVar("_AnyPath", bound="str | bytes | os.PathLike[Any]")


def remove(path: _AnyPath | Sequence[_AnyPath]) -> list[_AnyPath]:
    """Remove an artifact with all that belongs to it, and nothing that another needs.

    That is its marker, its side files as far as the marker tells them, its record, and the patch of its state where no
    other record in the directory names it.

    Args:
        path: the tagged path of an artifact, or a list or tuple of them, such as :func:`unused` gives; many at once
            are quicker than one by one. Where the artifact is gone, what is left of it is removed.

    Returns:
        The paths that were removed, in the type that was passed.

    Raises:
        FileNotFoundError: neither the artifact nor anything of it exists.
        NotTaggedError: the name carries no tag, so it is not an artifact.
        RuntimeError: a call is making it now.
        TypeError: the path has the wrong type.
        ValueError: the path is a URL, a record, a patch, a side file, a part of an artifact, or what a call is writing.
            After these errors nothing was removed, not even of a list.

    Example:
        ``remove(unused("out/"))``
    """
    many = isinstance(path, (list, tuple))
    wanted: Any = paths_in(path) if many else [path]
    if REPRODUCTION is not None:
        from pyrepro._record.replay import in_scratch  # where an artifact is made again

        # What its program finds elsewhere is the user's.
        wanted = [one for one in wanted if in_scratch(one) is one]
    directories: dict[str, Directory] = {}
    targets: dict[Target, Any] = {}
    for one in wanted:
        target = _target_of(one)
        directory = directories.setdefault(target.directory, Directory(target.directory, target.store))
        _refuse_what_is_no_artifact(directory, target)
        targets[target] = one
    removed: list[_AnyPath] = []
    progress = _Progress("removed %d of %d artifacts", len(targets))
    patches: dict[tuple[str, str], Any] = {}
    for target, one in targets.items():
        split = replaced(split_path(one, accepted="a path"), tail="")
        removal = _Removal(directories[target.directory], target)
        removed += [_path_beside(split, name) for name in removal.carry_out()]
        if removal.patch is not None:
            patches[target.directory, removal.patch] = split
        progress.step()
    # When all the records are gone, so that each patch is asked after once; and by a new look at what is there, since
    # others may have been published meanwhile.
    now = {place: Directory(place, one.store) for place, one in directories.items()}
    for (place, patch), split in patches.items():
        if not now[place].is_named(patch) and now[place].unlink(patch):
            removed.append(split.joined(patch))
    for place, one in directories.items():
        if one.store is None:
            remove_markers_directory(place)
            remove_state_directory(place)
    return removed


def _path_beside(split: SplitPath, name: str) -> Any:
    """What lies beside a path or in a directory beside it, in the type of the path."""
    *directories, last = name.split("/")
    return replaced(split, name=last).inside(*directories) if directories else split.joined(last)


def _time_of(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:  # a link that leads nowhere, or what was removed meanwhile
        return 0


class Directory:
    """A directory with artifacts, listed once, and only when that is needed.

    Args:
        place: its path, which ends in a separator or is empty.
        store: the store that it is in, None if it is local.
    """

    def __init__(self, place: str, store: Any = None) -> None:
        self.place = place
        self.store = store

    @functools.cached_property
    def _told(self) -> dict[str, Told]:
        return self.store.told_of_names(self.place)  # type: ignore[no-any-return]

    def _listed(self) -> list[str]:
        if self.store is not None:
            return [*self._told]
        try:
            return os.listdir(self.place or os.curdir)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def holds(self, name: str) -> bool:
        return os.path.lexists(self.place + name) if self.store is None else name in self._told

    def time_of(self, name: str) -> float:
        return _time_of(self.place + name) if self.store is None else self._told[name].time

    def record_in(self, name: str) -> Record:
        """The record that a file in it holds."""
        file = self.place + name
        return read_record(file) if self.store is None else record_of(self.store.read(file), file)

    def unlink(self, name: str) -> bool:
        """Remove a file; whether it was there."""
        if self.store is None:
            return _unlink(self.place + name)
        # Stores do not tell whether there was one.
        is_there = self.store.told(self.place + name) is not None
        return is_there and self.store.remove(self.place + name)

    def remove_whole(self, name: str) -> bool:
        """Remove a file or a directory; whether there was something."""
        if self.store is None:
            return _remove_whole(self.place, name)
        told = self.store.told(self.place + name)
        if told is not None and told.is_directory:
            self.store.remove_all(self.place + name)
        return told is not None and (told.is_directory or self.store.remove(self.place + name))

    @functools.cached_property
    def names(self) -> dict[Tag, list[str]]:
        """The names in it that carry a tag, by tag."""
        found: defaultdict[Tag, list[str]] = defaultdict(list)
        for name in self._listed():
            with contextlib.suppress(NotTaggedError):
                found[Tag.from_path(name)].append(name)
        return found

    @functools.cached_property
    def _records(self) -> defaultdict[tuple[str, str | None] | None, list[str]]:
        """The names of records, those that mailers gave them included, by commit and changes; None of no tag."""
        found: defaultdict[tuple[str, str | None] | None, list[str]] = defaultdict(list)
        for name in self._listed():
            if ".pyrepro" in name and ".json" in name:
                state = None
                with contextlib.suppress(NotTaggedError):  # renamed with its artifact
                    tag = Tag.from_path(name)
                    state = tag.commit, tag.changes
                found[state].append(name)
        return found

    def artifacts(self) -> dict[str, Tag]:
        """The artifacts, without side files and records."""
        found = {}
        total = sum(map(len, self.names.values()))
        progress = _Progress("looked at %d of %d names in %s", total, self.place or os.curdir)
        for tag, names in self.names.items():
            named = [name for name in names if plain_name(name) is not None]
            for name in named:
                # Only what carries the same tag can be a side file of it.
                if len(named) == 1 or self.owner_of(name, tag) is None:
                    found[name] = tag
            progress.step(len(names))
        return found

    def owner_of(self, name: str, tag: Tag) -> str | None:
        """The artifact that something is a side file of; None if it is an artifact of its own."""
        return None if self.is_its_own(name) else next(iter(self.owners_of(name, tag)), None)

    def owners_of(self, part: str, tag: Tag) -> list[str]:
        """The artifacts that are there whose markers name something as a part of them."""
        owners = []
        for name in self.names.get(tag, []):
            if name != part and plain_name(name) is not None and self.holds(name):
                marker = marker_of(Target(self.place, name, self.store))
                if marker is not None and part in marker.parts:
                    owners.append(name)
        return owners

    def is_its_own(self, name: str) -> bool:
        """Whether something has a marker or a record, and so is an artifact whatever names it as a part."""
        inner, last = os.path.split(name)
        target = Target(os.path.join(self.place, inner, "") if inner else self.place, last, self.store)
        return marker_of(target) is not None or self.holds(name + SUFFIX)

    def is_named(self, patch: str) -> bool:
        """Whether a record that is there names a patch, or cannot be read, so that it may."""
        commit, _, changes = patch.removesuffix(".patch").partition("-dirty-")
        for name in (*self._records[commit[:DIGITS], changes[:DIGITS]], *self._records[None]):
            try:
                if self.record_in(name).code["patch"] == patch:
                    return True
            except RecordError:
                return True
        return False


def _target_of(path: Any) -> Target:
    if not is_path(path):
        raise TypeError(
            f"remove takes the path of an artifact, or a list of them, not {path!r} of type {type(path).__name__}"
        )
    return target_of(path)


def _refuse_what_is_no_artifact(directory: Directory, target: Target) -> None:
    path, name = target.path, target.name
    absolute = target.absolute().path
    if STATE_DIRECTORY in os.path.normpath(absolute).split(os.sep):
        raise ValueError(f"{path!r} is in {STATE_DIRECTORY}, where pyrepro keeps its own files; pass the artifact")
    if name.endswith(SUFFIX):
        raise ValueError(f"{path!r} is a record; pass its artifact {path.removesuffix(SUFFIX)!r}")
    if _PATCH.fullmatch(name):
        raise ValueError(
            f"{path!r} is the patch of a state; pass the artifacts whose records name it: it goes with the last of them"
        )
    whole = _artifact_around(absolute) if target.store is None else None
    if whole is not None:
        raise ValueError(f"{path!r} is a part of the artifact {whole!r}; pass that")
    try:
        tag = Tag.from_path(name)
    except NotTaggedError:
        raise NotTaggedError(
            f"{path!r} carries no tag, so it is not an artifact; pass one that find({path!r}) lists", name=name
        ) from None
    if plain_name(name) is None:
        owner = next(iter(directory.owners_of(name, tag)), None)
        raise ValueError(
            f"{path!r} is a side file of {target.directory + owner!r}; pass that"
            if owner is not None
            else f"{path!r} carries a tag, but an artifact's name ends in the tag and the suffix; remove it by hand"
        )
    if directory.is_its_own(name):
        return
    owner = directory.owner_of(name, tag)
    if owner is not None:
        raise ValueError(f"{path!r} is a side file of {target.directory + owner!r}; pass that")
    if not directory.holds(name):
        raise FileNotFoundError(f"there is no {path!r}{from_where(path)}; find lists the artifacts of a plain path")


def _artifact_around(path: str) -> str | None:
    """The artifact, a directory, that a path is a part of."""
    above = os.path.dirname(path)
    while above != os.path.dirname(above):
        target = Target.of(above)
        if plain_name(target.name) is not None:
            inside = os.path.relpath(path, above).replace(os.sep, "/")
            marker = marker_of(target)
            if marker is not None and {f"{target.name}/{inside}", f"{target.name}/{inside}/"} & marker.files.keys():
                return above
            with contextlib.suppress(RecordError):
                digests = read_record(target.path + SUFFIX).artifact["sha256"]
                if isinstance(digests, dict) and any(f"{file}/".startswith(f"{inside}/") for file in digests):
                    return above
        above = os.path.dirname(above)
    return None


class _Removal:
    """One artifact on its way out.

    Args:
        directory: where it is.
        target: the artifact.
    """

    def __init__(self, directory: Directory, target: Target) -> None:
        self._directory = directory
        self._target = target
        self.patch: str | None = None
        """The patch that its record names."""

    def carry_out(self) -> list[str]:
        """Remove the artifact with what is its own.

        Returns:
            The names that were removed.

        Raises:
            OSError: something may not be removed.
            RuntimeError: a call is making it now.
        """
        target = self._target
        # Where there is no lock file no call is at it, and to make one for each of many artifacts takes time. A call
        # that begins after this look finds what is gone when it has ended, and writes no marker of it.
        if target.store is not None or not os.path.lexists(target.absolute().state_file(".lock")):
            return self._removed()
        locks = Locks([target.absolute()], "remove")
        try:
            for attempt, _ in enumerate(locks.wait(lambda: False)):
                # The first one fails, too, where a call that ended has just removed the directory of the locks.
                if attempt:
                    raise RuntimeError(f"{target.path} is being made by another call; remove it when that has ended")
            return self._removed()
        finally:
            locks.release()

    def _removed(self) -> list[str]:
        target, directory = self._target, self._directory
        # RecordError: there is none, or it cannot be read; then it does not say which patch is its own.
        with contextlib.suppress(RecordError):
            patch = directory.record_in(target.name + SUFFIX).code["patch"]
            # A record is somebody else's text: it could name any file.
            self.patch = patch if patch is not None and _PATCH.fullmatch(patch) else None
        side_files = self._side_files()
        # First: what is half removed must not be taken for complete.
        remove_marker(target)
        beside = kept_beside(target.name) if target.store is None else []
        names = [name for name in dict.fromkeys((target.name, *side_files, *beside)) if directory.remove_whole(name)]
        if directory.unlink(target.name + SUFFIX):
            names.append(target.name + SUFFIX)
        return names

    def _side_files(self) -> list[str]:
        marker = marker_of(self._target)
        if marker is None:
            return []
        parts = [part for part in marker.parts if part != self._target.name]
        if not parts:
            return []
        tag = Tag.from_path(self._target.name)
        directory = self._directory
        # A marker is a file that anybody may have written: what it names lies beside the artifact, under its tag.
        return [
            part
            for part in parts
            if (part in directory.names.get(tag, []) or self._is_in_directory(part, tag))
            and not directory.is_its_own(part)
            and directory.owners_of(part, tag) == [self._target.name]
        ]

    def _is_in_directory(self, part: str, tag: Tag) -> bool:
        """Whether something lies in a directory beside the artifact, which a store does not have, under its tag."""
        *directories, last = part.split("/")
        with contextlib.suppress(NotTaggedError):
            is_below = directories and not {"", os.curdir, os.pardir, STATE_DIRECTORY} & {*directories}
            return bool(is_below) and self._directory.store is None and Tag.from_path(last) == tag
        return False


def _remove_whole(place: str, name: str) -> bool:
    """Remove a file, or a directory so that no half of it is ever there; whether there was something."""
    path = place + name
    if not is_real_directory(path):
        return _unlink(path)
    # Where calls stage: what a kill leaves of it is removed as what it leaves of them.
    staging = Staging(os.path.join(os.path.abspath(place), ""))
    try:
        staging.make()
        move_away(path, os.path.join(staging.path, os.path.basename(name)))
    finally:
        staging.discard()
    return True


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


class _Progress:
    """Logs every few seconds how far something has come."""

    def __init__(self, text: str, total: int, *more: object) -> None:
        self._text = text
        self._total = total
        self._more = more
        self._done = 0
        self._next = time.monotonic() + _PATIENCE

    def step(self, count: int = 1) -> None:
        self._done += count
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _PATIENCE
            _logger.info(self._text, self._done, self._total, *self._more)
