"""A local directory, as a publication uses it: where a call stages, and how what it wrote is put in place.

Source: rename(2).
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from typing import Any

from pyrepro._paths import STATE_DIRECTORY, split_path
from pyrepro._publish.databases import database_of, move_aside, would_merge
from pyrepro._publish.files import (
    Target,
    holds_exactly,
    is_protected,
    is_real_directory,
    move_into_place,
    unlink_if_possible,
    write_then_rename,
)
from pyrepro._publish.held import hold
from pyrepro._publish.marker import StagedContents, changed_since_completed, marker_of, remove_marker
from pyrepro._publish.marker_files import remove_markers_directory
from pyrepro._publish.prepared import Moves, prepare_for_move
from pyrepro._publish.side_files import SideFiles, Unplaced, reason_of
from pyrepro._publish.staging import Staging

_logger = logging.getLogger("pyrepro")

_PATIENCE = 5.0
"""Seconds that a call waits for another one that puts the same artifact in place, which takes milliseconds."""

_POLL = 0.01  # seconds


class LocalDirectory:
    """A local directory with artifacts of one call.

    Args:
        directory: its absolute path, which ends in a separator.
        sidecar_suffix: the suffix of the record that each artifact must have, empty if it must have none.
        unplaced: where what cannot be put in place is reported.
    """

    def __init__(self, directory: str, sidecar_suffix: str, unplaced: list[Unplaced]) -> None:
        self.directory = directory
        self.staging = Staging(directory)
        self._sidecar_suffix = sidecar_suffix
        self._unplaced = unplaced

    def staged_path(self, path: Any) -> Any:
        """A path in this directory where the function must write it: of the same type, relative if it is."""
        return split_path(path, accepted="a path").inside(STATE_DIRECTORY, self.staging.token)

    def final_path(self, path: Any, before: str, after: str) -> Any:
        """The path that a staged one has when it is in place.

        Args:
            path: the staged path, whose type it gets.
            before: its text before the staging directory, which the function may have made absolute, or real.
            after: its text behind the staging directory, which ends in a separator.
        """
        text = (before + after) or os.path.join(os.curdir, "")
        if not os.fsdecode(path).endswith(os.sep):
            text = text.rstrip(os.sep) or os.sep
        if isinstance(path, bytes):
            return os.fsencode(text)
        return text if isinstance(path, str) or not hasattr(path, "with_name") else type(path)(text)

    def prepare(self, staged: str, moves: Moves) -> list[str]:
        """Make what is staged ready to be put in place.

        Args:
            staged: its path.
            moves: where everything that the call has staged is moved to.

        Returns:
            The files in it that mention a staging directory.

        Raises:
            OSError: that is not possible.
        """
        return prepare_for_move(staged, moves)

    def contents(self, target: Target, parts: list[str]) -> StagedContents:
        """What an artifact and its side files hold while they are staged."""
        return StagedContents.of(os.path.join(self.staging.path, ""), target, parts)

    @contextlib.contextmanager
    def alone(self, target: Target) -> Iterator[None]:
        """Let no other call look at an artifact that has a record, or replace it, while this one does.

        Else the record of the one could stand beside the artifact of the other.
        """
        release = None
        give_up = time.monotonic() + (_PATIENCE if self._sidecar_suffix else -1)
        # OSError: there are no locks here, or they are not permitted; then two calls in one instant may meet.
        with contextlib.suppress(OSError):
            while release is None and time.monotonic() < give_up:
                try:
                    mode = os.stat(target.directory).st_mode & 0o666
                    release = hold(target.state_file(".record.lock"), mode)
                except (BlockingIOError, TimeoutError, FileNotFoundError):  # another holds it, or has just unlinked it
                    time.sleep(_POLL)
        try:
            yield
        finally:
            if release is not None:
                release()

    def is_free(self, target: Target, side_files: SideFiles) -> bool:
        """Whether an artifact may be put in place, once one that is not as it was made is moved aside."""
        staged = os.path.join(self.staging.path, target.name)
        # What was written to the log of a database alone is in no other file.
        changed = {*map(database_of, changed_since_completed(target))}
        # Moved aside when they are about to be replaced: what the function did not write again stays.
        side_files.changed |= {target.directory + name for name in changed}
        is_own = (name == target.name or name.startswith(f"{target.name}/") for name in changed)
        is_changed = would_merge(target.path, staged) or (
            (any(is_own) or self._differs_from_record(target)) and os.path.lexists(target.path)
        )
        # That the function itself makes its artifacts read-only says nothing of the old one.
        if not is_changed and (not is_protected(target.path) or is_protected(staged)):
            return True
        found = "changed" if is_changed else "made read-only"
        try:
            aside = move_aside(target.path)
        except OSError as error:
            reason = f"what is there was {found} since it was made, and cannot be moved aside: {reason_of(error)}"
            self._unplaced.append(Unplaced(staged, target.path, reason))
            return False
        if self._sidecar_suffix:
            # With its record, which the new one would replace. OSError: there is none.
            with contextlib.suppress(OSError):
                os.rename(target.path + self._sidecar_suffix, aside + self._sidecar_suffix)
        _logger.warning(
            "%s was %s since it was made, so it is not overwritten; it is now %s", target.path, found, aside
        )
        return True

    def _differs_from_record(self, target: Target) -> bool:
        """Whether an artifact that has no marker, which would tell sooner, is not what its record says."""
        if not self._sidecar_suffix or marker_of(target) is not None:
            return False
        from pyrepro._record.record import differs_from_record  # imported where something is recorded

        return differs_from_record(target.path)

    def remove_old_marker(self, target: Target) -> None:
        """Remove the marker of what is replaced, so that a kill does not leave one that is false."""
        if remove_marker(target):
            remove_markers_directory(target.directory)

    def place_side_file(self, staged: str, path: str, side_files: SideFiles) -> None:
        """Put a side file in place."""
        side_files.move(staged, path)

    def place_artifact(self, target: Target, sidecars: dict[str, bytes]) -> bool:
        """Put an artifact in place, its record just before it; whether it is there."""
        staged = os.path.join(self.staging.path, target.name)
        record = target.path + self._sidecar_suffix
        old_record = self._set_record_aside(record) if self._sidecar_suffix else None
        for name, content in sidecars.items():
            self._place_sidecar(os.path.join(target.directory, name), content)
        try:
            aside = self._move(staged, target.path)
        except OSError as error:
            self._unplaced.append(Unplaced(staged, target.path, reason_of(error)))
            if self._sidecar_suffix:
                # What is there is another artifact, and has another record, or none.
                with contextlib.suppress(OSError):
                    os.replace(record, staged + self._sidecar_suffix)
                if old_record is not None:
                    with contextlib.suppress(OSError):
                        os.replace(old_record, record)
            return False
        if old_record is not None:
            if aside is not None:
                with contextlib.suppress(OSError):
                    os.rename(old_record, aside + self._sidecar_suffix)
            unlink_if_possible(old_record)
        return True

    def _move(self, staged: str, path: str) -> str | None:
        """Move what is staged into place; where what was there is now, if it is kept."""
        try:
            move_into_place(staged, path, self.staging.aside)
            return None
        except PermissionError:
            # rename(2): only who may write to a directory may give it another parent, but in its own it can be renamed.
            if not is_real_directory(path):
                raise
            aside = move_aside(path)
            _logger.warning("%s is a directory that only its owner may replace; it is now %s", path, aside)
            move_into_place(staged, path, self.staging.aside)
            return aside

    def _set_record_aside(self, record: str) -> str | None:
        """Move the record of an older artifact away, which the new one must never stand beside."""
        old_record = os.path.join(self.staging.aside, os.urandom(8).hex())
        try:
            os.makedirs(self.staging.aside, exist_ok=True)
            os.rename(record, old_record)
        except OSError:
            # There is none; or it cannot be moved, and then the new one cannot take its place either.
            return None
        return old_record

    def _place_sidecar(self, path: str, content: bytes) -> None:
        # Artifacts share sidecars: a thousand of them may have one patch, which is written and synced once.
        if holds_exactly(path, content):
            return
        try:
            os.makedirs(self.staging.aside, exist_ok=True)
            write_then_rename(content, path, os.path.join(self.staging.aside, os.urandom(8).hex()))
        except OSError as error:
            self._unplaced.append(Unplaced(None, path, f"it cannot be written: {reason_of(error)}"))
