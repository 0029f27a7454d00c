"""Markers: which function completed an artifact, and what the artifact was then.

A marker is a file in the state directory beside its artifact. That the artifact
exists does not say which function wrote it, nor that it was written completely.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pyrepro._paths import first_of
from pyrepro._publish.contents import DIRECTORY, Fingerprint, digest_of, fingerprints_of, holds
from pyrepro._publish.files import TICK, Target, last_change, unlink_if_possible
from pyrepro._publish.maker import is_same_maker, or_ignore
from pyrepro._publish.marker_files import (
    NewStateFile,
    key_file,
    listed_names,
    make_markers_directory,
    marker_file,
    newest_file,
    pointed_name,
    put_names,
    read_whole,
    with_newest,
)
from pyrepro._value import is_hex
from pyrepro.errors import ArtifactMismatchError

_logger = logging.getLogger("pyrepro")

_FORMAT = 1
_WORTH_A_WAIT = 16 << 20  # bytes that take longer to read than a tick of that clock


class Origin(NamedTuple):
    """What made an artifact, as far as it says why the next one is made.

    Attributes:
        maker: the function.
        state: the text of the code state.
        changes: what stood in the place of what the commit holds, by path; None where those are very many.
        config: the full hash of the configuration.
        keys: the digest of each value in the configuration, by dotted key.
        code_key: what the code that it depends on holds, None where that is not told.
    """

    maker: str
    state: str
    changes: dict[str, str] | None
    config: str
    keys: dict[str, str]
    code_key: str | None = None


class Marker(NamedTuple):
    """Says that a function completed an artifact, and what the artifact was then.

    Attributes:
        artifact: its name.
        plain: that name without its tag.
        origin: what made it.
        parts: the names of the artifact and of the side files that belong to it.
        files: of each file in them its fingerprint and digest, by path.
        seen: when they were looked at, by the clock of their file system, in nanoseconds.
        role: as which of the paths of its call the function wrote it; empty if there could be no other.
    """

    artifact: str
    plain: str
    origin: Origin
    parts: list[str]
    files: dict[str, tuple[Fingerprint, str | None]]
    seen: int
    role: str = ""

    def text(self) -> str:
        """The marker as its file holds it."""
        import json

        return json.dumps({"pyrepro": _FORMAT, **self._asdict(), "origin": self.origin._asdict()})

    @classmethod
    def parsed(cls, text: str | bytes, artifact: str) -> Marker | None:
        """The marker of an artifact in the text of its file; None if it is damaged, of another format or artifact."""
        import json

        try:
            # Markers of calls with one path need not name it.
            fields = {"role": ""} | json.loads(text)
            if fields["pyrepro"] != _FORMAT:
                return None
            # By name, so that a format may gain fields that this version does not know.
            origin = Origin(*(fields["origin"][name] for name in Origin._fields))
            marker = cls(*(fields[name] for name in cls._fields))
            # Taken apart here, so that what is damaged shows here, and nowhere else.
            if not is_hex(str(origin.state).partition("-")[0], 40, 64):
                return None
            files = {
                str(name): ([int(size), int(modified), int(changed), int(inode)], held)
                for name, ((size, modified, changed, inode), held) in marker.files.items()
            }
            # A marker without the artifact itself would be true of nothing at all, and one that was copied by hand to
            # the place of another's is true of the one that it names.
            if marker.artifact != artifact or not files.keys() & {artifact, f"{artifact}/"}:
                return None
            changes = None if origin.changes is None else dict(origin.changes)
            return marker._replace(
                origin=origin._replace(maker=str(origin.maker), changes=changes, keys=dict(origin.keys)),
                parts=[*map(str, marker.parts)],
                files=files,
                seen=int(marker.seen),
                role=str(marker.role),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def changed_files(self, directory: str) -> list[str]:
        """The files that are not what they were, as far as that shows without reading them; those that are new, too."""
        found = fingerprints_of(directory, self.parts)
        if len(found) == len(self.files):
            changed = [name for name, (fingerprint, _) in self.files.items() if found.get(name) != fingerprint]
        else:
            changed = [*found.keys() ^ self.files.keys()]
        return changed

    def is_fresh(self) -> bool:
        """Whether a file was changed in the tick of the clock in which it was looked at, and may have been again."""
        return max([_time_of(fingerprint) for fingerprint, _ in self.files.values()], default=0) >= self.seen


def why_not_completed(maker: str, targets: Sequence[Target], sidecar_suffix: str = "") -> str | None:
    """Why artifacts must be made, although earlier calls of a function may have completed them.

    Args:
        maker: the function.
        targets: where the artifacts belong.
        sidecar_suffix: the suffix of the sidecar that each must have, empty if it must have none.

    Returns:
        The reasons; None if all are complete, and there is one at all.

    Raises:
        ArtifactMismatchError: an artifact is another function's.
    """
    if len(targets) == 1:  # as most have: this is on the way of every hit
        return _why_not_completed(maker, targets[0], sidecar_suffix)
    # All are looked at, although one that is not complete decides: none of them may be another function's.
    reasons = [_why_not_completed(maker, target, sidecar_suffix) for target in targets]
    found = [reason for reason in reasons if reason is not None]
    return "; ".join(dict.fromkeys(found)) if found or not reasons else None


NOTHING_THERE = "nothing is there"


def _why_not_completed(maker: str, target: Target, sidecar_suffix: str) -> str | None:
    if target.store is not None:
        return target.store.why_not_completed(maker, target, sidecar_suffix)  # type: ignore[no-any-return]
    known = _known_marker(target)
    marker = known.marker
    if marker is None:
        return f"no cached call completed {target.path}" if os.path.lexists(target.path) else NOTHING_THERE
    changed = marker.changed_files(target.directory)
    if changed and not os.path.lexists(target.path):
        return f"{target.path} was removed"
    if (why := why_another(marker, maker, target)) is not None:
        return why
    if (changed or known.is_fresh) and (changed := _changed_content(known, marker, target, is_copy=bool(changed))):
        return f"changed since it was made: {first_of(target.directory + name for name in sorted(changed))}"
    if sidecar_suffix and not os.path.exists(target.path + sidecar_suffix):
        return f"{target.path}{sidecar_suffix} is not there"
    return None


def why_another(marker: Marker, maker: str, target: Target) -> str | None:
    """Why an artifact that is complete is not the one that a function would write; None if it is.

    The function may take its path for another one than it did: two paths in the other order, or a list of another
    length, name what holds something else under the same tag.

    Raises:
        ArtifactMismatchError: it is another function's.
    """
    if marker.origin.maker != maker and not is_same_maker(marker.origin.maker, maker):
        path = target.absolute().path
        raise ArtifactMismatchError(
            f"{path} was made by {marker.origin.maker}, and {maker} would take it for its own; "
            f"call one of them with another file name{or_ignore(marker.origin.maker, maker)}",
            path=path,
            maker=marker.origin.maker,
        )
    if marker.role == target.role:
        return None
    return f"{target.path} was written as {marker.role or 'the only path'}, not as {target.role or 'the only path'}"


def _changed_content(known: _KnownMarker, marker: Marker, target: Target, *, is_copy: bool) -> list[str]:
    """The files that hold something else than they held. If there are none, the marker says so from now on."""
    newest = max(map(_time_of, fingerprints_of(target.directory, marker.parts).values()), default=0)
    if is_copy and newest > time.time_ns() - TICK:
        # Only what did not change within the tick in which it is read is known again by its times.
        time.sleep(TICK / 1e9)
    with contextlib.ExitStack() as stack:
        new_file = None
        # OSError: nothing may be written here.
        with contextlib.suppress(OSError):
            new_file = stack.enter_context(NewStateFile(target.directory))
        # Before the files are looked at: what is changed while they are read has a time that is not before this one.
        seen = time.time_ns() - TICK if new_file is None else new_file.time
        found = fingerprints_of(target.directory, marker.parts)
        # A directory in whose place there is a link to where it was moved is one still.
        links = [name for name in found.keys() - marker.files.keys() if f"{name}/" in marker.files]
        changed = [*(found.keys() ^ marker.files.keys()).difference(links)]
        for name in found.keys() & marker.files.keys():
            fingerprint, held = marker.files[name]
            if fingerprint == found[name] and (_time_of(fingerprint) < marker.seen or held is None):
                continue
            # What another size shows need not be read. What could not be read then is not known to be the same.
            if fingerprint[0] != found[name][0] or held is None or not holds(target.directory + name, held):
                changed.append(name)
        if changed:
            return changed
        files = {name: (found[name], held) for name, (_, held) in marker.files.items()}
        files |= {name: (found[name], DIRECTORY) for name in links}
        # In this process, too: where nothing may be written the content must not be read at every call.
        renewed = marker._replace(files=files, seen=seen)
        known.put(renewed)
        if new_file is not None:
            # OSError: it is another user's, who alone may replace it.
            with contextlib.suppress(OSError):
                new_file.put(renewed.text().encode(), marker_file(target))
    return []


class StagedContents(NamedTuple):
    """What an artifact and its side files are before they are moved into place.

    Attributes:
        target: where the artifact belongs.
        parts: their names.
        files: of each file its fingerprint and digest, by path.
    """

    target: Target
    parts: list[str]
    files: dict[str, tuple[Fingerprint, str | None]]

    @classmethod
    def of(cls, staging_directory: str, target: Target, parts: list[str]) -> StagedContents:
        """Read what is staged.

        Args:
            staging_directory: where it is staged, ending in a separator.
            target: where the artifact belongs.
            parts: the names of the artifact and of the side files that belong to it.
        """
        found = fingerprints_of(staging_directory, parts, is_staged=True)
        files = {name: (fingerprint, digest_of(staging_directory + name)) for name, fingerprint in found.items()}
        return cls(target, parts, files)

    def mark(self, tag: str, origin: Origin) -> None:
        """Write the marker, when everything is in place.

        Args:
            tag: the tag in the artifact's name.
            origin: what made it.
        """
        target = self.target
        if sum(fingerprint[0] for fingerprint, _ in self.files.values()) > _WORTH_A_WAIT:
            # Else the first hit would have to read it again, since it could have been changed in the same tick.
            time.sleep(TICK / 1e9)
        try:
            make_markers_directory(target.directory)
            with NewStateFile(target.directory) as new_file:
                files = self._files_in_place()
                if files is None:
                    return
                plain = without_tag(target.name, tag)
                marker = Marker(target.name, plain, origin, self.parts, files, new_file.time, target.role)
                new_file.put(marker.text().encode(), marker_file(target))
        except OSError as error:
            # The artifact is in place, and must not be lost over what only says that it is complete.
            _logger.warning("%s is complete, but a later call will make it again: %s", target.path, error)
            return
        # OSError: what led to another user's artifact is that user's, and in a sticky directory cannot be replaced.
        with contextlib.suppress(OSError):
            put_names([target.name], newest_file(target.directory, plain), target.directory)
        with contextlib.suppress(OSError):
            if origin.code_key is not None:
                keyed = key_file(target.directory, plain, origin.maker, origin.config, origin.code_key)
                # The others are looked at where this one was removed.
                put_names(with_newest(target.name, listed_names(keyed)), keyed, target.directory)

    def _files_in_place(self) -> dict[str, tuple[Fingerprint, str | None]] | None:
        """The files with the fingerprints that they have now; None if one is not what was staged."""
        directory = self.target.directory
        # A link that leads nowhere has no content that a marker could name.
        if not os.path.exists(self.target.path):
            return None
        files: dict[str, tuple[Fingerprint, str | None]] = {}
        for name, found in fingerprints_of(directory, self.parts).items():
            if name not in self.files:
                # A side directory was merged into one that was there; or a link leads there only now.
                files[name] = found, digest_of(directory + name)
                continue
            staged, held = self.files[name]
            # The move is a change, and where inodes are made up it may give a new one.
            if staged[:2] != found[:2] and digest_of(directory + name) != held:
                return None
            files[name] = found, held
        return files if self.files.keys() <= files.keys() else None


def marker_of(target: Target) -> Marker | None:
    """The marker of an artifact; None if there is none that can be read."""
    if target.store is not None:
        return target.store.marker_of(target)  # type: ignore[no-any-return]
    return _known_marker(target).marker


def remove_marker(target: Target) -> bool:
    """Remove the marker of an artifact, and what leads to it; whether there was one."""
    marker = marker_of(target)
    if target.store is not None:
        return target.store.remove_marker(target, marker)  # type: ignore[no-any-return]
    if marker is not None:
        newest = newest_file(target.directory, marker.plain)
        if pointed_name(newest) == target.name:
            unlink_if_possible(newest)
        origin = marker.origin
        if origin.code_key is not None:
            keyed = key_file(target.directory, marker.plain, origin.maker, origin.config, origin.code_key)
            names = [name for name in listed_names(keyed) if name != target.name]
            # OSError: there is none, or it is another user's, and what it leads to is looked at before it is used.
            with contextlib.suppress(OSError):
                put_names(names, keyed, target.directory) if names else os.unlink(keyed)
    try:
        os.unlink(marker_file(target))
    except OSError:  # there is none, or it is another user's; then it says what something else was
        return False
    return True


def is_completed(path: str) -> bool:
    """Whether what is at a path is an artifact that a cached call completed."""
    directory, name = os.path.split(path)
    return os.path.lexists(path) and _known_marker(Target(os.path.join(directory, ""), name)).marker is not None


def changed_since_completed(target: Target) -> list[str]:
    """The files of an artifact that a call completed that are not what they were then, side files included."""
    known = _known_marker(target)
    marker = known.marker
    if marker is None:
        return []
    changed = marker.changed_files(target.directory)
    if changed or known.is_fresh:
        changed = _changed_content(known, marker, target, is_copy=bool(changed))
    return changed


def newest_marker(target: Target, tag: str) -> Marker | None:
    """The marker that was written last of the artifacts of one plain path.

    Args:
        target: one of them.
        tag: the tag in its name.
    """
    plain = without_tag(target.name, tag)
    if target.store is None:
        name = pointed_name(newest_file(target.directory, plain))
    else:
        name = target.store.newest_name(target, plain)
    return marker_of(target._replace(name=name)) if name else None


def keyed_markers(target: Target, tag: str, origin: Origin) -> Iterator[Marker]:
    """The markers of the same plain path, maker, configuration and code key, newest first.

    Args:
        target: an artifact of the plain path.
        tag: the tag in its name.
        origin: what would make it, which has a code key.
    """
    assert origin.code_key is not None
    plain = without_tag(target.name, tag)
    key = (plain, origin.maker, origin.config, origin.code_key)
    names = listed_names(key_file(target.directory, *key)) if target.store is None else target.store.keyed_names(*key)
    for name in names:
        marker = marker_of(target._replace(name=name))
        if (
            marker is not None
            and (marker.plain, marker.role) == (plain, target.role)
            and (marker.origin.config, marker.origin.code_key) == (origin.config, origin.code_key)
        ):
            yield marker


def without_tag(name: str, tag: str) -> str:
    before, _, after = name.rpartition(f"-{tag}")
    return before + after


def _time_of(fingerprint: Fingerprint) -> int:
    return last_change(fingerprint[1], fingerprint[2])


class _KnownMarker:
    """The marker of an artifact as this process knows it, and whether it is fresh; another can take its place."""

    __slots__ = ("is_fresh", "marker")

    def __init__(self, marker: Marker | None) -> None:
        self.put(marker)

    def put(self, marker: Marker | None) -> None:
        self.marker = marker
        self.is_fresh = marker is not None and marker.is_fresh()


def _known_marker(target: Target) -> _KnownMarker:
    path = marker_file(target)
    try:
        status = os.stat(path)
    except OSError:
        return _KnownMarker(None)
    read = _read_marker if status.st_size < 1 << 16 else _read_large_marker
    # A file that was replaced has another inode or time.
    return read(path, target.name, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


@functools.lru_cache(maxsize=1024)
def _read_marker(path: str, artifact: str, *identity: int) -> _KnownMarker:
    return _read_large_marker.__wrapped__(path, artifact)


@functools.lru_cache(maxsize=4)
def _read_large_marker(path: str, artifact: str, *identity: int) -> _KnownMarker:
    try:
        return _KnownMarker(Marker.parsed(read_whole(path), artifact))
    except OSError:
        return _KnownMarker(None)
