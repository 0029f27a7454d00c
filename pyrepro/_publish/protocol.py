"""The protocol: outputs are staged, published when they are complete, or removed.

Sources: rename(2), fsync(2).
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pyrepro._paths import change_paths, made_like, split_path
from pyrepro._publish.files import (
    STATE_DIRECTORY,
    Target,
    holds_exactly,
    make_directory_like,
    make_state_directory,
    merge_into,
    move_into_place,
    prepare_for_move,
    remove_state_directory,
    remove_tree,
    state_directory_of,
    write_gitignore,
    write_then_rename,
)
from pyrepro._publish.lock import Locks
from pyrepro._publish.marker import Origin, StagedContents, remove_marker, why_not_completed
from pyrepro.errors import ArtifactMissingError

Sidecars = Callable[[str, str], dict[str, bytes]]
"""Gives the sidecars of an artifact, content by name, from its name and its path in the staging directory."""


class _SideFile(NamedTuple):
    """A file or directory that the function wrote beside an artifact."""

    staged: str
    path: str


class _Sidecar(NamedTuple):
    """A file that pyrepro writes beside an artifact."""

    target: Target
    name: str
    content: bytes


class Publication:
    """What one call makes: staged, and moved into place when it is complete.

    Args:
        targets: where the artifacts belong.
        maker: which function makes them if they are cached, else None.
        sidecar_suffix: the suffix of the sidecar that each artifact must have, empty if it must have none.
    """

    def __init__(self, targets: Iterable[Target], maker: str | None, sidecar_suffix: str = "") -> None:
        # Absolute, because the function may change the working directory.
        self._targets = list(dict.fromkeys(target.absolute() for target in targets))
        self._maker = maker
        self._sidecar_suffix = sidecar_suffix
        self._process = os.getpid()
        self._locks = Locks(self._targets, maker)
        self._staging_directories: dict[str, str] = {}
        self.is_done = False

    def close(self) -> None:
        """Remove what is still staged, and release the locks."""
        # A child that was forked while the function ran ends the call, too; its parent still needs what is staged.
        if self._process != os.getpid():
            return
        self._locks.release()
        for staging_directory in self._staging_directories.values():
            remove_tree(staging_directory)
        # Last, because only what is empty is removed.
        for directory in {*self._staging_directories, *self._locks.directories}:
            remove_state_directory(directory)

    def wait_for_lock(self) -> Iterator[None]:
        """Yield as long as another call makes these artifacts; then they are done, or this call must make them.

        Raises:
            ArtifactMismatchError: an artifact is another function's.
            RuntimeError: this call is part of one that makes the same artifact.
        """
        if self._maker is not None:
            why = functools.partial(why_not_completed, self._maker, self._targets, self._sidecar_suffix)
            self.is_done = yield from self._locks.wait(lambda: why() is None)
        if not self.is_done:
            self._make_staging_directories()

    def staged(self, argument: Any) -> Any:
        """A path, or a list or tuple of paths, where the function must write it."""
        return change_paths(self._staged_path, argument)

    def final(self, value: Any, old: str, new: str) -> Any:
        """What a function returned, with the paths that it will have after publishing.

        Args:
            value: what it returned.
            old: the tag in the staged names.
            new: the tag that replaces it.

        Returns:
            The value, or a copy of it if it holds staged paths.
        """
        if isinstance(value, (list, tuple)) or type(value) is dict:
            before = list(value.values()) if isinstance(value, dict) else value
            after = [self.final(item, old, new) for item in before]
            if all(one is other for one, other in zip(before, after, strict=True)):
                return value
            return dict(zip(value, after, strict=True)) if isinstance(value, dict) else made_like(value, after)
        return self._final_path(value, f"-{old}", f"-{new}")

    def publish(self, old: str, new: str, *, origin: Origin | None, sidecars: Sidecars) -> None:
        """Move everything that was staged into place, the artifacts last.

        Args:
            old: the tag in the staged names.
            new: the tag that replaces it.
            origin: what made it, None if later calls must run the function.
            sidecars: gives the sidecars of each artifact.

        Raises:
            ArtifactMissingError: the function did not write an artifact; what it wrote is in place.
            OSError: a file could not be written to the disk, or not be moved.
        """
        # A child that was forked while the function ran returns from it, too; its parent publishes.
        if self._process != os.getpid():
            return
        targets = [target._replace(name=target.name.replace(f"-{old}", f"-{new}")) for target in self._targets]
        # Synced before anything is moved: after a power failure, what is in place must be whole.
        self._prepare()
        side_files = self._name_truly(targets, old, new)
        written = [target for target in targets if os.path.lexists(self._staged_artifact(target))]
        # Read before anything is moved: an error here leaves what is in place as it was, and nobody else writes here.
        contents = self._contents_of(written, side_files, new) if origin is not None else []
        new_sidecars = self._sidecars_of(written, sidecars)
        # Before anything in place is changed: a kill between two moves must not leave a marker of what was there.
        self._remove_old_markers(targets)
        # The artifacts last: where one is, everything that belongs to it is, too.
        self._place_side_files(side_files)
        self._place_sidecars(new_sidecars)
        self._place_artifacts(written)
        # After the moves: what was written shows where the function wrote instead.
        self._refuse_missing(targets, written, side_files)
        # After everything else: a marker says that all of it is complete.
        if origin is not None:
            for content in contents:
                content.mark(new, origin)

    def _prepare(self) -> None:
        for directory, staging_directory in self._staging_directories.items():
            prepare_for_move(staging_directory, staging_directory, directory)

    def _name_truly(self, targets: list[Target], old: str, new: str) -> list[_SideFile]:
        """Put the tag of the code that has run into the staged names; what is staged beside the artifacts."""
        artifacts = {self._staged_artifact(target) for target in targets}
        side_files = []
        for directory, staging_directory in self._staging_directories.items():
            for name in os.listdir(staging_directory):
                true_name = name.replace(f"-{old}", f"-{new}")
                staged = os.path.join(staging_directory, true_name)
                os.rename(os.path.join(staging_directory, name), staged)
                if staged not in artifacts:
                    side_files.append(_SideFile(staged, os.path.join(directory, true_name)))
        return sorted(side_files)

    def _contents_of(self, written: list[Target], side_files: list[_SideFile], tag: str) -> list[StagedContents]:
        # A dangling link is written, but has no content that a marker could name.
        whole = [target for target in written if os.path.exists(self._staged_artifact(target))]
        staged = [self._staged_artifact(target._replace(name="")) for target in whole]
        parts = [self._parts(target, side_files, tag) for target in whole]
        return list(map(StagedContents.of, staged, whole, parts))

    def _parts(self, target: Target, side_files: list[_SideFile], tag: str) -> list[str]:
        """The names of an artifact and of what was written beside it under its tag."""
        beside = [os.path.split(one.path) for one in side_files if f"-{tag}" in os.path.basename(one.path)]
        return [target.name, *(name for head, name in beside if os.path.join(head, "") == target.directory)]

    def _sidecars_of(self, written: list[Target], sidecars: Sidecars) -> list[_Sidecar]:
        return [
            _Sidecar(target, name, content)
            for target in written
            for name, content in sidecars(target.name, self._staged_artifact(target)).items()
        ]

    def _remove_old_markers(self, targets: list[Target]) -> None:
        for target in targets:
            remove_marker(target)

    def _place_side_files(self, side_files: list[_SideFile]) -> None:
        for side_file in side_files:
            merge_into(side_file.staged, side_file.path)

    def _place_sidecars(self, sidecars: list[_Sidecar]) -> None:
        for target, name, content in sidecars:
            path = os.path.join(target.directory, name)
            # Artifacts share sidecars: a thousand of them may have one patch, which is written and synced once.
            if not holds_exactly(path, content):
                aside = self._aside(target)
                os.makedirs(aside, exist_ok=True)
                write_then_rename(content, path, os.path.join(aside, os.urandom(8).hex()), syncs=True)

    def _place_artifacts(self, written: list[Target]) -> None:
        for target in written:
            move_into_place(self._staged_artifact(target), target.path, self._aside(target))

    def _refuse_missing(self, targets: list[Target], written: list[Target], side_files: list[_SideFile]) -> None:
        known = set(written)
        missing = [target for target in targets if target not in known]
        if missing:
            paths = ", ".join(target.path for target in missing)
            others = ", ".join(sorted(side_file.path for side_file in side_files))
            found = f"it wrote {others}" if others else "it wrote nothing"
            raise ArtifactMissingError(
                f"the function returned without writing {paths}; {found}. Write to the very path that is passed to it.",
                path=missing[0].path,
            )

    def _make_staging_directories(self) -> None:
        for directory in dict.fromkeys(target.directory for target in self._targets):
            staging_directory = os.path.join(state_directory_of(directory), os.urandom(8).hex())
            # Known before it is made, so that close() removes what an error leaves.
            self._staging_directories[directory] = staging_directory
            while not os.path.isdir(staging_directory):
                make_state_directory(directory)
                # FileNotFoundError: another call that ended removed the state directory before it was in use.
                with contextlib.suppress(FileNotFoundError):
                    make_directory_like(directory, staging_directory)
            # Again, because such a call may have removed the first one; now that this is in use, it stays.
            write_gitignore(directory)

    def _staged_artifact(self, target: Target) -> str:
        return os.path.join(self._staging_directories[target.directory], target.name)

    def _aside(self, target: Target) -> str:
        """A directory for temporary files and for what is replaced, on the file system of the target."""
        # This name is free: _prepare removed what calls in the function left there, and nothing of this name is moved.
        return os.path.join(self._staging_directories[target.directory], STATE_DIRECTORY)

    def _staged_path(self, path: Any) -> Any:
        staging_directory = self._staging_directories[Target.of(path).absolute().directory]
        # From the path as it was passed, so that it keeps its type and stays relative.
        return split_path(path, accepted="a path").inside(STATE_DIRECTORY, os.path.basename(staging_directory))

    def _final_path(self, path: Any, old: str, new: str) -> Any:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return path
        text = os.fsdecode(path)
        for staging_directory in self._staging_directories.values():
            # Not as a prefix: the function may have made the path absolute, or real.
            inside = os.path.join(STATE_DIRECTORY, os.path.basename(staging_directory), "")
            before, found, after = os.path.join(text, "").partition(inside)
            if found:
                final = (before + after.replace(old, new)) or os.path.join(os.curdir, "")
                return _in_type_of(path, final if text.endswith(os.sep) else final.rstrip(os.sep) or os.sep)
        return path


def _in_type_of(path: Any, text: str) -> Any:
    """Another path in the type of a given one, where that is the type of a path."""
    if isinstance(path, bytes):
        return os.fsencode(text)
    return text if isinstance(path, str) or not hasattr(path, "with_name") else type(path)(text)
