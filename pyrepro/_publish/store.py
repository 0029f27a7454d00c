"""Stores: markers where fsspec reaches, objects below ``.pyrepro/`` of the prefix that the artifacts have."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pyrepro._config.file_hash import LEFT_OUT
from pyrepro._paths import first_of, split_text
from pyrepro._publish.contents import Fingerprint
from pyrepro._publish.files import Target
from pyrepro._publish.marker import NOTHING_THERE, Marker, why_another
from pyrepro._publish.marker_files import key_name, marker_name, newest_name
from pyrepro._stores import Requests, Told, reached
from pyrepro._tag import split_suffix

_TAG_LENGTH = 1 + 12 + 1 + 12  # of the shortest, with the hyphen before it

Found = dict[str, tuple[Fingerprint, str | None]]


class Store(Requests):
    """One directory of a store: its objects, and the markers of its artifacts.

    Args:
        protocol: the protocol of the store.
        options: what fsspec is told to reach it.
        directory: the URL of the directory, without user and password, which ends in a slash.
        passed: the directory as it was passed, an URL or a universal path of it.
    """

    def __init__(self, protocol: str, options: Mapping[str, Any], directory: str, passed: Any) -> None:
        super().__init__(protocol, options, directory)
        self.passed = passed

    def marker_of(self, target: Target) -> Marker | None:
        """The marker of an artifact; None if there is none that can be read."""
        content = self.read(self.directory + marker_name(target.name))
        return None if content is None else Marker.parsed(content, target.name)

    def why_not_completed(self, maker: str, target: Target, sidecar_suffix: str) -> str | None:
        """Why an artifact must be made, None if a call of the function completed it.

        Raises:
            ArtifactMismatchError: it is another function's.
        """
        marker = self.marker_of(target)
        if marker is None:
            is_there = bool(self.found(target.name, [target.name], is_directory=None))
            return f"no cached call completed {target.path}" if is_there else NOTHING_THERE
        found, has_sidecar = self._found_with_sidecar(marker, sidecar_suffix)
        if not found:
            return f"{target.path} was removed"
        if (why := why_another(marker, maker, target)) is not None:
            return why
        changed = changed_names(marker.files, found)
        if changed:
            return f"changed since it was made: {first_of(target.directory + name for name in changed)}"
        return None if has_sidecar else f"{target.path}{sidecar_suffix} is not there"

    def changed_since_completed(self, marker: Marker) -> list[str]:
        """The objects of an artifact that are not what its marker says."""
        return changed_names(marker.files, self._found_with_sidecar(marker, "")[0])

    def newest_name(self, target: Target, plain: str) -> str:
        """The name of the artifact of a plain path whose marker was written last; empty if nobody knows."""
        return os.fsdecode(self.read(self.directory + newest_name(plain)) or b"")

    def keyed_names(self, plain: str, maker: str, config: str, code_key: str) -> list[str]:
        """The names of the artifacts of one plain path, maker, configuration and code key, newest first."""
        content = self.read(self.directory + key_name(plain, maker, config, code_key)) or b""
        return [name for name in os.fsdecode(content).split("/") if name]

    def remove_marker(self, target: Target, marker: Marker | None) -> bool:
        """Remove the marker of an artifact, and what leads to it; whether there was one."""
        if marker is not None:
            if self.newest_name(target, marker.plain) == target.name:
                self.remove(self.directory + newest_name(marker.plain))
            origin = marker.origin
            if origin.code_key is not None:
                key = (marker.plain, origin.maker, origin.config, origin.code_key)
                names = self.keyed_names(*key)
                left = [name for name in names if name != target.name]
                if left:
                    self.put_bytes("/".join(left).encode(), self.directory + key_name(*key))
                elif names:
                    self.remove(self.directory + key_name(*key))
        return self.remove(self.directory + marker_name(target.name))

    def found(self, name: str, parts: list[str], *, is_directory: bool | None) -> Found:
        """What the store says of each object of an artifact, by its path from the directory.

        Args:
            name: the artifact.
            parts: its name, and those of the side files that belong to it.
            is_directory: whether it is a directory, None if that is not known.
        """
        found: Found = {}
        for part in parts:
            # A file that is there is one request; whether a directory is there shows only by what is in it.
            told = None if part == name and is_directory else self.told(self.directory + part)
            if told is not None and not told.is_directory:
                found[part] = fingerprint_of(told)
            elif told is not None or (part == name and is_directory):
                inside = counted(self.told_of_all(f"{self.directory}{part}/"))
                found |= {f"{part}/{path}": fingerprint_of(one) for path, one in inside.items()}
                if inside:
                    found[f"{part}/"] = _DIRECTORY
        return found

    def _found_with_sidecar(self, marker: Marker, sidecar_suffix: str) -> tuple[Found, bool]:
        """What the store says of each object that a marker names, and whether a record stands beside the artifact."""
        name = marker.artifact
        sidecar = name + sidecar_suffix
        is_directory = f"{name}/" in marker.files
        alike = _common_start([*marker.parts, sidecar])
        # To tell what one object is, gcsfs also asks whether it is a directory: two or three requests for one.
        is_one = len(marker.files) == 1 and not sidecar_suffix and self.protocol not in ("gs", "gcs")
        # Only with the tag in it is a prefix that of a few objects; and some drop the second of two slashes before it.
        is_short = len(alike) < len(split_suffix(marker.plain)[0]) + _TAG_LENGTH
        if is_one or is_short or self.directory.endswith("//") or not self.takes_prefix():
            found = self.found(name, marker.parts, is_directory=is_directory)
            return found, not sidecar_suffix or self.told(self.directory + sidecar) is not None
        all_alike = counted(self.told_of_all(self.directory, alike))
        found = {
            path: fingerprint_of(told)
            for path, told in all_alike.items()
            if any(path == part or path.startswith(f"{part}/") for part in marker.parts)
        }
        found |= {
            path: _DIRECTORY
            for path in marker.files
            if path.endswith("/") and any(one.startswith(path) for one in found)
        }
        return found, not sidecar_suffix or sidecar in all_alike


_DIRECTORY: tuple[Fingerprint, str | None] = ([0, 0, 0, 0], "directory")


def fingerprint_of(told: Told) -> tuple[Fingerprint, str | None]:
    """What a store says of an object, as a marker holds it."""
    return [told.size, 0, 0, 0], told.held


def counted(told: dict[str, Told]) -> dict[str, Told]:
    """What counts of the objects in a directory, as in a local one."""
    return {path: one for path, one in told.items() if LEFT_OUT.isdisjoint(path.split("/"))}


def changed_names(old: Found, new: Found) -> list[str]:
    """What is not as it was, what is new and what is gone included."""
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def store_target(path: Any) -> Target:
    """The target of a path that is in a store.

    Raises:
        ImportError: what reaches stores, or this one, is not installed.
        ValueError: it is neither a URL nor a universal path, or names one version of an object.
    """
    protocol, options, url, passed = reached(path)
    if "?versionid=" in url.lower():
        # s3fs would write the object without what follows, the tag too.
        raise ValueError(
            f"{url!r} names a version of an object, and what is written is a new one; leave ?versionId= out"
        )
    head, name, _ = split_text(url)
    return Target(head, name, Store(protocol, options, head, passed))


def _common_start(names: Sequence[str]) -> str:
    """The text that all of some names begin with."""
    # What the first and the last of them share, those between them share, too.
    pairs = zip(min(names), max(names), strict=False)
    return "".join(one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
