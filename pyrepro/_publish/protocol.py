"""Publishing: outputs that are complete or absent, and that are made once.

Sources: rename(2), fsync(2), flock(2).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

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
    sync_to_disk,
    unlink_if_possible,
    write_gitignore,
    write_then_rename,
)
from pyrepro._publish.lock import Locks
from pyrepro._publish.marker import Marker, all_completed_by
from pyrepro.errors import ArtifactMissingError


class Publication:
    """What one call makes: staged, and moved into place when it is complete.

    Args:
        targets: where the artifacts belong.
        maker: which function makes them, where they are cached; else None.
        beside: the suffix of the file that belongs beside each.
    """

    def __init__(self, targets: Iterable[Target], maker: str | None, beside: str = "") -> None:
        self._targets = list(dict.fromkeys(target.absolute() for target in targets))
        self._maker = maker
        self._beside = beside
        self._process = os.getpid()
        self._locks = Locks(self._targets, maker)
        self._state_directories: set[str] = set()
        self._staged: dict[str, str] = {}
        self.is_done = False

    def close(self) -> None:
        """Remove what is staged still, and let others have their turn."""
        # A child that was forked while the function ran leaves everything to its parent.
        if self._process == os.getpid():
            self._locks.unlock()
            for staged in self._staged.values():
                remove_tree(staged)
            for directory in self._state_directories | self._locks.directories:
                remove_state_directory(directory)

    def turns(self) -> Iterator[None]:
        """Yield as long as another call makes these artifacts; then they are done, or this call's to make.

        Raises:
            ArtifactMismatchError: an artifact is another function's.
            RuntimeError: this call is part of one that makes the same artifact.
        """
        is_ours = self._maker is None
        while not self._are_completed():
            if is_ours:
                self._stage()
                return
            is_ours = self._locks.lock()
            if not is_ours:
                yield
        self.is_done = True

    def staged(self, argument: Any) -> Any:
        """A path, or a list or tuple of paths, as the function shall write it."""
        return change_paths(self._staged_path, argument)

    def final(self, value: Any, old: str, new: str) -> Any:
        """What a function returned, where its paths lead after publishing.

        Args:
            value: what it returned.
            old: the tag in the staged names.
            new: the tag that takes its place.
        """
        if isinstance(value, (list, tuple)) or type(value) is dict:
            before = list(value.values()) if isinstance(value, dict) else value
            after = [self.final(item, old, new) for item in before]
            if all(one is other for one, other in zip(before, after, strict=True)):
                return value
            return dict(zip(value, after, strict=True)) if isinstance(value, dict) else made_like(value, after)
        return self._final_path(value, f"-{old}", f"-{new}")

    def publish(
        self, old: str, new: str, *, is_cacheable: bool, beside: Callable[[str, str], dict[str, bytes]]
    ) -> None:
        """Move everything that was staged into place, the artifacts last.

        Args:
            old: the tag in the staged names.
            new: the tag that takes its place.
            is_cacheable: whether later calls may do without the function.
            beside: gives the files that belong beside an artifact, of this name, which stands at this path now.

        Raises:
            ArtifactMissingError: the function did not write an artifact; what it wrote is in place.
            OSError: a file could not be written to the disk, or not be moved.
        """
        if self._process != os.getpid():
            return
        targets = [target._replace(name=target.name.replace(f"-{old}", f"-{new}")) for target in self._targets]
        names = {(self._staging_of(target), target.name) for target in targets}
        others: list[tuple[str, str]] = []
        for directory, staged in self._staged.items():
            prepare_for_move(staged, staged, directory)
            for name in os.listdir(staged):
                renamed = name.replace(f"-{old}", f"-{new}")
                os.rename(os.path.join(staged, name), os.path.join(staged, renamed))
                if (staged, renamed) not in names:
                    others.append((os.path.join(staged, renamed), os.path.join(directory, renamed)))
        markers: list[tuple[Target, Marker]] = []
        missing = [target for target in targets if not os.path.lexists(self._staging_of(target, target.name))]
        if is_cacheable and self._maker is not None:
            for target in targets:
                marker = Marker.of(self._staging_of(target, target.name), self._maker)
                markers += [(target, marker)] if marker else []
        companions = [
            (target, name, content)
            for target in targets
            if target not in missing
            for name, content in beside(target.name, self._staging_of(target, target.name)).items()
        ]
        for target in targets:
            unlink_if_possible(target.state_file(".json"))
        for source, path in sorted(others):
            merge_into(source, path)
        for target, name, content in companions:
            path, aside = os.path.join(target.directory, name), self._staging_of(target, STATE_DIRECTORY)
            # Artifacts share sidecars: a thousand of them may have one patch, which is written and synced once.
            if not holds_exactly(path, content):
                os.makedirs(aside, exist_ok=True)
                write_then_rename(content, path, os.path.join(aside, os.urandom(8).hex()), syncs=True)
        for target in targets:
            if target not in missing:
                move_into_place(
                    self._staging_of(target, target.name), target.path, self._staging_of(target, STATE_DIRECTORY)
                )
        if missing:
            raise ArtifactMissingError(_missing(missing, [path for _, path in others]), path=missing[0].path)
        if markers:
            for directory in self._staged:
                sync_to_disk(directory)
            for target, marker in markers:
                marker.write(target.state_file(".json"))

    def _are_completed(self) -> bool:
        return self._maker is not None and all_completed_by(self._maker, self._targets, self._beside)

    def _stage(self) -> None:
        for directory in dict.fromkeys(target.directory for target in self._targets):
            self._staged[directory] = staged = os.path.join(state_directory_of(directory), os.urandom(8).hex())
            while not os.path.isdir(staged):
                self._state_directories.add(directory)
                make_state_directory(directory)
                with contextlib.suppress(FileNotFoundError):
                    make_directory_like(directory, staged)
            write_gitignore(directory)  # another call may have removed it before the room was in use

    def _staging_of(self, target: Target, *names: str) -> str:
        return os.path.join(self._staged[target.directory], *names)

    def _staged_path(self, path: Any) -> Any:
        staged = self._staging_of(Target.of(path).absolute())
        return split_path(path, accepted="a path").inside(STATE_DIRECTORY, os.path.basename(staged))

    def _final_path(self, path: Any, old: str, new: str) -> Any:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return path
        text = os.fsdecode(path)
        for staged in self._staged.values():
            inside = os.path.join(STATE_DIRECTORY, os.path.basename(staged), "")
            before, found, after = os.path.join(text, "").partition(inside)
            if found:
                final = (before + after.replace(old, new)) or os.path.join(os.curdir, "")
                return _like(path, final if text.endswith(os.sep) else final.rstrip(os.sep) or os.sep)
        return path


def _like(path: Any, text: str) -> Any:
    """A path of the same type, with another text."""
    if isinstance(path, bytes):
        return os.fsencode(text)
    return text if isinstance(path, str) or not hasattr(path, "with_name") else type(path)(text)


def _missing(missing: list[Target], others: list[str]) -> str:
    paths = ", ".join(target.path for target in missing)
    found = f"it wrote {', '.join(sorted(others))}" if others else "it wrote nothing"
    return f"the function returned without writing {paths}; {found}. Write to the very path that is passed to it."
