"""Reuse: an artifact that another state of the code has made counts as made by this one, and is copied under its name.

Source: ioctl_ficlone(2).
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pyrepro._config.companions import is_lock
from pyrepro._paths import is_inside
from pyrepro._publish.contents import DIRECTORY, digest_of, fingerprints_of, is_moved
from pyrepro._publish.files import Target
from pyrepro._publish.marker import Marker, Origin, keyed_markers, why_not_completed
from pyrepro._tag import Tag
from pyrepro.errors import ArtifactMismatchError, NotTaggedError

_logger = logging.getLogger("pyrepro")

_FICLONE = 0x40049409
_SHORTEST = 7  # what git abbreviates a commit to


class Source(NamedTuple):
    """A complete artifact that has the maker, the configuration and the code key of a call."""

    target: Target
    marker: Marker
    tag: str


def reusable(targets: Sequence[Target], tag: str, origin: Origin, sidecar_suffix: str) -> list[Source]:
    """The artifacts to copy, the newest that carry one tag; empty if the function must run.

    Args:
        targets: where the copies belong.
        tag: the tag in their names.
        origin: what would make them.
        sidecar_suffix: the suffix of the sidecar that each artifact must have, empty if it must have none.
    """
    for first in _reusable(targets[0], tag, origin, sidecar_suffix) if targets else ():
        # Of one tag: what one run made is never put together with what another made.
        others = [next(_reusable(other, tag, origin, sidecar_suffix, first.tag), None) for other in targets[1:]]
        sources = [source for source in (first, *others) if source is not None]
        if len(sources) == len(targets):
            return sources
    return []


def _reusable(target: Target, tag: str, origin: Origin, sidecar_suffix: str, carried: str = "") -> Iterator[Source]:
    """The artifacts that may be copied, newest first; only those that carry a tag, if one is given."""
    for marker in keyed_markers(target, tag, origin):
        source = target._replace(name=marker.artifact)
        # ArtifactMismatchError: what leads to a marker is damaged. NotTaggedError: so is the marker.
        with contextlib.suppress(ArtifactMismatchError, NotTaggedError):
            old = str(Tag.from_path(marker.artifact))
            if carried in ("", old) and why_not_completed(origin.maker, [source], sidecar_suffix) is None:
                yield Source(source, marker, old)


def copy_into(source: Source, staging_directory: str, tag: str) -> bool:
    """Copy an artifact and its side files under another tag.

    Args:
        source: the artifact.
        staging_directory: where the copies belong, ending in a separator.
        tag: the tag that they get.

    Returns:
        Whether the copies are what running would have made.
    """
    if source.target.store is not None:
        return _download_into(source, staging_directory, tag)
    names = {part: _renamed(part, source, tag) for part in source.marker.parts}
    try:
        for part, name in names.items():
            _copy(source.target.directory + part, staging_directory + name, source, tag)
        return _is_as_it_was(source, staging_directory, tag, names)
    except OSError as error:  # to run is right, too
        _logger.info("%s cannot be copied: %s", source.target.path, error)
        return False


def _download_into(source: Source, staging_directory: str, tag: str) -> bool:
    """Copy an artifact out of a store: what it holds must be looked at, whatever the store could copy by itself."""
    target, commit = source.target, source.marker.origin.state.partition("-")[0].encode()
    try:
        for name in source.marker.files:
            copy = staging_directory + _renamed(name, source, tag)
            if name.endswith("/"):
                continue
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            target.store.get(target.directory + name, copy)
            if _mentions(staging_directory, _renamed(name, source, tag), commit, tag):
                return False
        # After the last byte was read: another call may have replaced it meanwhile.
        return not target.store.changed_since_completed(source.marker)
    except Exception as error:  # whatever the store says: to run is right, too
        _logger.info("%s cannot be copied: %s", target.path, error)
        return False


def _renamed(path: str, source: Source, tag: str) -> str:
    return path.replace(f"-{source.tag}", f"-{tag}")


def _copy(path: str, copy: str, source: Source, tag: str) -> None:
    if os.path.islink(path) and not _was_moved(path, source):
        os.symlink(
            _renamed(os.readlink(path), source, tag) if _leads_with(path, source) else _aim_from(path, copy), copy
        )
    elif os.path.isdir(path):
        os.mkdir(copy)
        names = {*os.listdir(path)}
        for name in names:
            # Nobody has the copy open.
            if not is_lock(name, names):
                _copy(os.path.join(path, name), os.path.join(copy, _renamed(name, source, tag)), source, tag)
        shutil.copystat(path, copy)
    elif os.path.isfile(path):
        _copy_file(path, copy)
    # Pipes and sockets hold nothing that could be copied; they are missed below.


def _was_moved(path: str, source: Source) -> bool:
    """Whether a link stands where the artifact had a file or a directory: as a link, the copy would change with it."""
    name = path.removeprefix(source.target.directory).replace(os.sep, "/")
    files = source.marker.files
    if name not in files:
        return f"{name}/" in files
    held = files[name][1]
    return held is not None and is_moved(path, held)


def _leads_with(link: str, source: Source) -> bool:
    """Whether a link leads to the same wherever it is copied to with the artifact: absolute, or to a part of it."""
    aim, directory = _aim_of(link), os.path.realpath(source.target.directory)
    parts = [os.path.join(directory, part) for part in source.marker.parts]
    return os.path.isabs(os.readlink(link)) or any(aim == part or is_inside(aim, part) for part in parts)


def _aim_from(link: str, copy: str) -> str:
    return os.path.relpath(_aim_of(link), os.path.realpath(os.path.dirname(copy)))


def _aim_of(link: str) -> str:
    # The last component is not resolved: it may be a link itself.
    parent, name = os.path.split(os.path.join(os.path.dirname(link), os.readlink(link)))
    return os.path.normpath(os.path.join(os.path.realpath(parent), name))


def _copy_file(path: str, copy: str) -> None:
    """Copy a file so that neither changes with the other one: never as a hard link."""
    with open(path, "rb") as source, open(copy, "xb") as target:
        try:
            import fcntl

            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        except (ImportError, OSError):  # no Linux, or a file system where files cannot share their blocks
            shutil.copyfileobj(source, target, 1 << 20)
    shutil.copymode(path, copy)


def _is_as_it_was(source: Source, staging_directory: str, tag: str, names: dict[str, str]) -> bool:
    """Whether the copies hold what the marker says, and nothing in them is of the old name."""
    found = fingerprints_of(staging_directory, names.values())
    # Of a directory that was moved two names tell, one of them of the link in its place.
    held = {
        _renamed(name, source, tag): digest
        for name, (_, digest) in source.marker.files.items()
        if digest != DIRECTORY or name.endswith("/")
    }
    commit = source.marker.origin.state.partition("-")[0].encode()
    return found.keys() == held.keys() and all(
        # A link that leads to what was renamed has another target.
        (os.path.islink(staging_directory + name) or digest_of(staging_directory + name) == held[name])
        and not _mentions(staging_directory, name, commit, tag)
        for name in found
    )


def _mentions(directory: str, name: str, commit: bytes, tag: str) -> bool:
    """Whether a file holds a commit, alone or in a name, abbreviated or not: to run would have written another.

    So does what is called after it in a directory, as what another decorated function wrote there, and a link to that.
    """
    path = directory + name
    names = [name.partition("/")[2], os.readlink(path) if os.path.islink(path) else ""]
    # But for the tag of today, which may be of the same commit, and which to run would have written.
    if any(_holds(os.fsencode(one.replace(f"-{tag}", "")), commit) for one in names):
        return True
    if names[1] or not os.path.isfile(path) or not os.path.getsize(path):
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _holds(content, commit)


def _holds(content: bytes | mmap.mmap, commit: bytes) -> bool:
    start = content.find(commit[:_SHORTEST])
    while start >= 0:
        found = content[start : start + len(commit) + 1]
        # Where other digits follow, it is something else.
        if commit.startswith(found[: len(found) - len(found.lstrip(b"0123456789abcdef"))]):
            return True
        start = content.find(commit[:_SHORTEST], start + 1)
    return False
