"""A prefix of a store, as a publication uses it: a call stages in a temporary directory, and uploads what it wrote.

No store has locks, so two calls may make one artifact at once: the first to put an object that was not there wins, and
the other finds it. What cannot be uploaded is kept where it was staged.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from pyrepro._config.file_hash import LEFT_OUT
from pyrepro._paths import STATE_DIRECTORY, split_path
from pyrepro._publish.files import Target, free_name, remove_tree, unlink_if_possible
from pyrepro._publish.marker import Marker, Origin, without_tag
from pyrepro._publish.marker_files import key_name, marker_name, newest_name, with_newest
from pyrepro._publish.prepared import Moves, leads_to_staging
from pyrepro._publish.side_files import SideFiles, Unplaced, reason_of
from pyrepro._publish.staging import Staging
from pyrepro._publish.store import Store, changed_names
from pyrepro._stores import Told

_logger = logging.getLogger("pyrepro")

_PATIENCE = 5.0
"""Seconds to wait for the marker of a call that has put the first object of the same artifact."""
_POLL = 0.1  # seconds
_CHUNK = 1 << 20


class _Contents(NamedTuple):
    """What an artifact and its side files hold while they are staged."""

    prefix: Prefix
    target: Target
    parts: list[str]
    sizes: dict[str, int]

    def mark(self, tag: str, origin: Origin) -> None:
        """Write the marker, when everything is in place."""
        try:
            self.prefix.mark(self, tag, origin)
        except Exception as error:  # the artifact is in place, and must not be lost over what only says so
            _logger.warning("%s is complete, but a later call will make it again: %s", self.target.path, error)


class Prefix:
    """A directory of a store with artifacts of one call; the methods are those of a local one.

    Args:
        directory: the directory, a target without a name.
        maker: which function makes the artifacts if they are cached, else None.
        sidecar_suffix: the suffix of the record that each artifact must have, empty if it must have none.
        unplaced: where what cannot be put in place is reported.
        refreshes: whether they are made although they are there.
    """

    def __init__(
        self, directory: Target, maker: str | None, sidecar_suffix: str, unplaced: list[Unplaced], *, refreshes: bool
    ) -> None:
        self.directory = directory.directory
        self.staging = Staging(_scratch_directory())
        self._store: Store = directory.store
        self._maker = maker
        self._sidecar_suffix = sidecar_suffix
        self._unplaced = unplaced
        self._refreshes = refreshes
        self._markers: dict[str, Marker | None] = {}
        self._told: dict[str, Told | None] = {}
        self._told_of_records: dict[str, Told | None] = {}
        self._made_by_another: set[str] = set()
        self._are_marked: set[str] = set()

    def staged_path(self, path: Any) -> Any:
        split = split_path(path, accepted="a path")
        text = os.path.join(self.staging.path, split.name + split.tail)
        if isinstance(path, bytes):
            return os.fsencode(text)
        if isinstance(path, str):
            return text
        from upath import UPath

        return UPath(text)

    def final_path(self, path: Any, before: str, after: str) -> Any:
        name = after if os.fsdecode(path).endswith(os.sep) else after.rstrip(os.sep)
        passed = self._store.passed
        if not isinstance(path, (str, bytes)) or not isinstance(passed, str):
            from upath import UPath

            final = UPath(passed) / name
            return (
                final
                if isinstance(path, os.PathLike)
                else os.fsencode(str(final))
                if isinstance(path, bytes)
                else str(final)
            )
        return os.fsencode(passed + name) if isinstance(path, bytes) else passed + name

    def prepare(self, staged: str, moves: Moves) -> list[str]:
        files = [*_files_in(staged)]
        if not files:
            raise OSError("an empty directory, which a store does not keep")
        for _, path in files:
            # FileNotFoundError: a link that leads nowhere.
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise OSError(f"{os.path.basename(path)} is neither a file nor a directory")
        return [path for _, path in files if leads_to_staging(path, (self.staging.token, *moves.tokens))]

    def contents(self, target: Target, parts: list[str]) -> _Contents:
        self._are_marked.add(target.name)
        sizes = {
            f"{part}/{inner}" if inner else part: os.path.getsize(path)
            for part in parts
            for inner, path in _files_in(os.path.join(self.staging.path, part))
            if LEFT_OUT.isdisjoint(inner.split("/"))
        }
        return _Contents(self, target, parts, sizes)

    def alone(self, target: Target) -> AbstractContextManager[None]:
        return contextlib.nullcontext()  # stores have no locks

    def is_free(self, target: Target, side_files: SideFiles) -> bool:
        store, name = self._store, target.name
        marker = self._markers[name] = store.marker_of(target)
        self._told[name] = store.told(target.path)
        if marker is None:
            return True
        if (
            self._may_be_anothers(target)
            and store.why_not_completed(self._maker or "", target, self._sidecar_suffix) is None
        ):
            self._made_by_another.add(name)
            return True
        # Where the artifact is gone, or is moved aside now, its record may still be there: nobody else is at it.
        self._told_of_records[name] = store.told(target.path + self._sidecar_suffix) if self._sidecar_suffix else None
        changed = store.changed_since_completed(marker)
        found = store.found(name, [name], is_directory=None)
        if not found or not any(one == name or one.startswith(f"{name}/") for one in changed):
            return True
        try:
            aside = self._move_aside(name)
        except Exception as error:  # whatever the store says
            reason = f"what is there was changed since it was made, and cannot be moved aside: {reason_of(error)}"
            self._unplaced.append(Unplaced(os.path.join(self.staging.path, name), target.path, reason))
            return False
        _logger.warning("%s was changed since it was made, so it is not overwritten; it is now %s", target.path, aside)
        self._told[name] = None
        return True

    def remove_old_marker(self, target: Target) -> None:
        if target.name not in self._markers:
            self._markers[target.name] = self._store.marker_of(target)
        marker = self._markers[target.name]
        if marker is not None and target.name not in self._made_by_another:
            self._store.remove_marker(target, marker)

    def place_side_file(self, staged: str, path: str, side_files: SideFiles, is_tagged: bool = False) -> None:
        is_tagged = is_tagged or side_files.carries_tag(path)
        if os.path.isdir(staged):
            for name in sorted(os.listdir(staged)):
                self.place_side_file(os.path.join(staged, name), f"{path}/{name}", side_files, is_tagged)
            # What could not be put in place is still in it.
            with contextlib.suppress(OSError):
                os.rmdir(staged)
            return
        try:
            if is_tagged and self._made_by_another and self._made_by_another == self._markers.keys():
                pass  # the other call's own belongs to what is there
            elif is_tagged:
                self._set_completed_aside(staged, path)
                self._store.put(staged, path)
            elif self._store.put(staged, path, only_new=True):
                side_files.new.append(path)
            elif not self._holds(staged, path):
                side_files.unplaced.append(
                    Unplaced(staged, path, "it already exists, with other content", is_tagged=False)
                )
                return
            os.unlink(staged)
        except Exception as error:  # whatever the store says
            side_files.unplaced.append(Unplaced(staged, path, reason_of(error), is_tagged))

    def place_artifact(self, target: Target, sidecars: dict[str, bytes]) -> bool:
        staged = os.path.join(self.staging.path, target.name)
        old_record: bytes | None = None
        try:
            if target.name not in self._made_by_another and self._sidecar_suffix:
                old_record = self._place_sidecars(target, sidecars)
            if target.name not in self._made_by_another:
                self._put_artifact(target, staged)
        except Exception as error:  # whatever the store says
            if not self._is_in_place(target, staged):
                self._unplaced.append(Unplaced(staged, target.path, reason_of(error)))
                self._put_record_back(target, old_record)
                for name, content in sidecars.items():
                    with contextlib.suppress(OSError), open(os.path.join(self.staging.path, name), "xb") as file:
                        file.write(content)
                return False
        if target.name in self._made_by_another:
            _logger.info("%s was completed by another call meanwhile, and is not replaced", target.path)
        remove_tree(staged)
        return True

    def mark(self, contents: _Contents, tag: str, origin: Origin) -> None:
        """Write the marker of an artifact that is in place, unless another call completed it."""
        target, store = contents.target, self._store
        name = target.name
        if name in self._made_by_another:
            return
        found = store.found(name, contents.parts, is_directory=name not in contents.sizes)
        sizes = {path: fingerprint[0] for path, (fingerprint, _) in found.items() if not path.endswith("/")}
        if sizes != contents.sizes:
            _logger.info("%s is not what this call put there: another call has replaced it", target.path)
            return
        plain = without_tag(name, tag)
        marker = Marker(name, plain, origin, contents.parts, found, 0, target.role)
        url, content = self.directory + marker_name(name), marker.text().encode()
        if not store.put_bytes(content, url, only_new=True):
            there = store.marker_of(target)
            # Of two calls that put the artifact at once, the marker of the one whose bytes stayed is right.
            if there is None or changed_names(there.files, found):
                store.put_bytes(content, url)
        if store.newest_name(target, plain) != name:
            store.put_bytes(os.fsencode(name), self.directory + newest_name(plain))
        if origin.code_key is not None:
            key = (plain, origin.maker, origin.config, origin.code_key)
            names = with_newest(name, store.keyed_names(*key))
            store.put_bytes("/".join(names).encode(), self.directory + key_name(*key))

    def _may_be_anothers(self, target: Target) -> bool:
        """Whether what another call makes of it now serves as well as what this one made."""
        return self._maker is not None and not self._refreshes and target.name in self._are_marked

    def _place_sidecars(self, target: Target, sidecars: dict[str, bytes]) -> bytes | None:
        """Put the record in place, and the patch that it names; the record that was there."""
        record = target.path + self._sidecar_suffix
        old_record = None if self._told[target.name] is None else self._store.read(record)
        is_put = False
        for name, content in sidecars.items():
            url = self.directory + name
            try:
                if url == record:
                    is_put = self._put_first(target, functools.partial(self._store.put_bytes, content, record))
                else:
                    told = self._store.told(url)
                    # Artifacts share it: a thousand of them may have one patch, whose name is its digest.
                    if told is None or told.size != len(content):
                        self._store.put_bytes(content, url)
            except Exception as error:  # a record that fails does not cost the artifact
                self._unplaced.append(Unplaced(None, url, f"it cannot be written: {reason_of(error)}"))
        if old_record is not None and not is_put and target.name not in self._made_by_another:
            # It must not stand beside what it does not describe.
            self._store.remove(record)
        return old_record

    def _put_artifact(self, target: Target, staged: str) -> None:
        store = self._store
        if not os.path.isdir(staged):
            if self._is_directory(target):
                store.remove_all(target.path)
            self._put_first(target, functools.partial(store.put, staged, target.path))
            return
        if self._told[target.name] is not None and not self._is_directory(target):
            store.remove(target.path)
        files = dict(_files_in(staged))
        for inner, path in files.items():
            store.put(path, f"{target.path}/{inner}")
        for inner in store.told_of_all(f"{target.path}/").keys() - files.keys():
            store.remove(f"{target.path}/{inner}")

    def _is_directory(self, target: Target) -> bool:
        told = self._told[target.name]
        return told is not None and told.is_directory

    def _put_first(self, target: Target, put: Any) -> bool:
        """Put an object, unless another call that makes the same artifact has put it first, and completes it."""
        only_new = self._may_be_anothers(target) and self._told[target.name] is None
        if put(only_new=only_new):
            return True
        record, old_record = target.path + self._sidecar_suffix, self._told_of_records.get(target.name)
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and (old_record is None or self._store.told(record) != old_record):
            if self._store.why_not_completed(self._maker or "", target, self._sidecar_suffix) is None:
                self._made_by_another.add(target.name)
                return False
            time.sleep(_POLL)
        # It was killed, or takes long: to put all of it again is right, too.
        put(only_new=False)
        return True

    def _is_in_place(self, target: Target, staged: str) -> bool:
        """Whether an artifact whose upload failed is in place after all: only the answer was lost."""
        with contextlib.suppress(Exception):
            told = self._store.told(target.path)
            return (
                os.path.isfile(staged)
                and told is not None
                and told != self._told[target.name]
                and self._holds(staged, target.path)
            )
        return False

    def _put_record_back(self, target: Target, old_record: bytes | None) -> None:
        """Where the artifact stays what it was, so does its record."""
        if self._sidecar_suffix:
            record = target.path + self._sidecar_suffix
            with contextlib.suppress(Exception):  # the store cannot be reached
                if old_record is not None:
                    self._store.put_bytes(old_record, record)
                else:
                    self._store.remove(record)

    def _set_completed_aside(self, staged: str, path: str) -> None:
        """Move what is there aside if it is not a side file, but an artifact that a cached call completed."""
        name = path[len(self.directory) :]
        if "/" in name or self._store.marker_of(Target(self.directory, name, self._store)) is None:
            return
        if self._store.told(path) is None or self._holds(staged, path):
            return
        _logger.warning(
            "%s is an artifact that a cached call made, so a file written beside another artifact does not "
            "overwrite it; it is now %s",
            path,
            self._move_aside(name),
        )

    def _move_aside(self, name: str) -> str:
        """Give what is there another name, which says when; that name."""
        store, old = self._store, self.directory + name
        aside = free_name(old, lambda url: bool(store.told(url)))
        if store.told(old) is None or self._is_directory(Target(self.directory, name)):
            for inner in store.told_of_all(f"{old}/"):
                store.move(f"{old}/{inner}", f"{aside}/{inner}")
            store.remove_all(old)
        else:
            store.move(old, aside)
        return aside

    def _holds(self, path: str, url: str) -> bool:
        """Whether an object holds what a local file holds."""
        told = self._store.told(url)
        if told is None or told.size != os.path.getsize(path):
            return False
        copy = os.path.join(self.staging.path, STATE_DIRECTORY + os.urandom(8).hex())
        try:
            self._store.get(url, copy)
            with open(path, "rb") as file, open(copy, "rb") as other:
                while chunk := file.read(_CHUNK):
                    if chunk != other.read(_CHUNK):
                        return False
            return True
        finally:
            unlink_if_possible(copy)


def _files_in(path: str, inner: str = "") -> Iterator[tuple[str, str]]:
    """The files of an artifact by their path in it, which is empty of one that is a file; links are followed."""
    if not os.path.isdir(path):
        yield inner, path
        return
    if inner and os.path.islink(path):
        raise OSError(f"{inner} is a link to a directory, which a store does not keep")
    for name in sorted(os.listdir(path)):
        if name != STATE_DIRECTORY:
            yield from _files_in(os.path.join(path, name), f"{inner}/{name}" if inner else name)


def _scratch_directory() -> str:
    """Where calls of this user stage what goes into a store: later ones remove there what kills leave."""
    user = str(os.getuid()) if hasattr(os, "getuid") else ""
    path = os.path.join(tempfile.gettempdir(), f"pyrepro-{user}", "")
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    status = os.lstat(path.rstrip(os.sep))
    # Anybody may make it first in a directory that is everybody's.
    is_ours = stat.S_ISDIR(status.st_mode) and (
        not user or (status.st_uid == os.getuid() and not status.st_mode & 0o077)
    )
    return path if is_ours else os.path.join(tempfile.mkdtemp(prefix="pyrepro-"), "")
