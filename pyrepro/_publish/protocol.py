"""The protocol: outputs are staged, and put in place when the function has returned, step by step.

Whatever fails after that, nothing that the function wrote is removed: what cannot be put in place is kept where it
was staged, and one error says so.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pyrepro._paths import STATE_DIRECTORY, change_paths, first_of
from pyrepro._publish.files import Target, move_where_nothing_is
from pyrepro._publish.lock import Locks
from pyrepro._publish.marker import Origin, is_completed, why_not_completed
from pyrepro._publish.place import Contents, Place, place_of, target_of
from pyrepro._publish.prepared import Moves
from pyrepro._publish.returned import advice_on, users_of, with_final_paths
from pyrepro._publish.side_files import SideFiles, Unplaced, not_in_place, reason_of, tagged_in
from pyrepro._publish.staging import Staging, tidy
from pyrepro.errors import ArtifactMissingError, PublishError

_logger = logging.getLogger("pyrepro")

Sidecars = Callable[[str, str], dict[str, bytes]]
"""Gives the sidecars of an artifact, content by name, from its name and its path in the staging directory."""


class _Output(NamedTuple):
    """Something that the function wrote: where it is staged, and where it belongs."""

    staged: str
    path: str
    place: Place


class Publication:
    """What one call makes: staged, and moved into place when it is complete.

    Args:
        targets: where the artifacts belong.
        maker: which function makes them if they are cached, else None.
        sidecar_suffix: the suffix of the sidecar that each artifact must have, empty if it must have none.
        refreshes: whether they are made although they are there.
    """

    def __init__(
        self, targets: Iterable[Target], maker: str | None, sidecar_suffix: str = "", *, refreshes: bool = False
    ) -> None:
        # Absolute, because the function may change the working directory.
        self._targets = list({target.path: target for target in map(Target.absolute, targets)}.values())
        self._maker = maker
        self._sidecar_suffix = sidecar_suffix
        self._refreshes = refreshes
        self._process = os.getpid()
        self._relative_stagings: set[str] = set()
        # Stores have no locks: calls may make the same at once, and the first one to publish wins.
        local = [target for target in self._targets if target.store is None]
        self._locks = Locks(local, maker)
        self._may_wait = bool(local)
        self._places: dict[tuple[str, Any], Place] = {}
        """The places of the artifacts, by their directories and stores."""
        self._unplaced: list[Unplaced] = []
        self._mentioning: list[str] = []
        """The files that mention a staging directory, by where they belong."""
        self._has_returned = False
        self.is_done = False

    def close(self, error: BaseException | None = None) -> None:
        """Remove what is no longer needed, and release the locks.

        Args:
            error: what the call raises.
        """
        # A child that was forked while the function ran ends the call, too; its parent still needs what is staged.
        if self._process != os.getpid():
            return
        # An error here must not hide the one that says what is kept.
        with contextlib.suppress(OSError):
            self._locks.release()
        began = dict.fromkeys(self._locks.directories, 1 << 63)
        for (_, store), place in self._places.items():
            staging = place.staging
            began[staging.directory] = staging.made
            if store is None:
                staging.go_back()
            if not self._has_returned:
                completed = _completed_in(staging)
                staging.discard(error)
                if completed and not os.path.lexists(staging.path):
                    _logger.warning(
                        "%s: made by cached functions in the directory of a call that failed, and removed with it; "
                        "pass them a path outside of that directory, or they will run again",
                        ", ".join(completed),
                    )
                continue
            kept = staging.finish()
            if staging.path in kept and not self._unplaced:
                # An interrupt, or a thread that is still writing: nobody else says where it is.
                _logger.error("not everything that was written was put in place; it is kept in %s", staging.path)
            if staging.aside in kept:
                # An interrupt; or another user's, who alone may remove what is in a directory of theirs.
                _logger.warning(
                    "what was there before is kept in %s; remove it if it is not needed, or let who owns it do so",
                    staging.aside,
                )
        # Last, when the artifacts are in place: it may take a while where many were killed.
        for directory, since in began.items():
            if strays := tidy(directory, since):
                _logger.warning(
                    "%s was written above the directory that the function was given, where no artifacts are; move it "
                    "to where it belongs, and pass its path to the function, which cannot go up from another one",
                    ", ".join(strays),
                )

    def wait_for_lock(self) -> Iterator[None]:
        """Yield as long as another call makes these artifacts; then they are done, or this call must make them.

        Raises:
            ArtifactMismatchError: an artifact is another function's.
            RuntimeError: this call is part of one that makes the same artifact.
        """
        if not self._may_wait:
            pass  # nobody is waited for, and what is there has just been looked at
        elif self._refreshes:
            yield from self._locks.wait(lambda: False)
        elif self._maker is not None:
            why = functools.partial(why_not_completed, self._maker, self._targets, self._sidecar_suffix)
            self.is_done = yield from self._locks.wait(lambda: why() is None)
        if not self.is_done:
            self._make_staging_directories()

    def stage_copies(self, tag: str, origin: Origin) -> dict[str, Target]:
        """Stage copies of artifacts that hold what running would make.

        Args:
            tag: the tag in the names of these artifacts.
            origin: what would make them.

        Returns:
            The artifact that each is a copy of, by name; empty where one must be made, and then nothing is staged.
        """
        from pyrepro._publish.reuse import copy_into, reusable  # imported where something is not there

        found = reusable(self._targets, tag, origin, self._sidecar_suffix)
        sources = dict(zip(self._targets, found, strict=False))
        for target, source in sources.items():
            if not copy_into(source, os.path.join(self._place_of(target).staging.path, ""), tag):
                self.unstage()
                return {}
        return {target.name: source.target for target, source in sources.items()}

    def staged_outputs(self) -> list[str]:
        """The names of what the function has written so far, and this process would publish."""
        if self._process != os.getpid() or self._has_returned:
            return []
        return [os.path.basename(path) for place in self._places.values() for path in place.staging.left()]

    def unstage(self) -> None:
        """Remove what is staged, which was not worth the keeping."""
        for place in self._places.values():
            place.staging.empty()

    def staged(self, argument: Any) -> Any:
        """A path, or a list or tuple of paths, where the function must write it."""
        return change_paths(self._staged_path, argument)

    def returned(self, value: Any, function: str, old: str, new: str) -> Any:
        """What the function returned, with the paths that it will have after publishing.

        Args:
            value: what it returned.
            function: what messages call it.
            old: the tag in the staged names.
            new: the tag that replaces it.

        Returns:
            The value, or a copy of it if it holds staged paths.
        """
        final = with_final_paths(value, functools.partial(self._final_path, old=f"-{old}", new=f"-{new}"))
        if self._process == os.getpid():
            users = users_of(final, [place.staging.token for place in self._places.values()])
            if users:
                _logger.warning(
                    "%s wrote into a directory that is gone when the call ends, and something still uses it: %s; "
                    "close what is open, and return the path",
                    function,
                    "; ".join(users),
                )
        return final

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """From here on the work is done: whatever fails, nothing of it is removed.

        Raises:
            PublishError: something failed before what the function wrote was put in place.
        """
        self._has_returned = True
        try:
            if self._process == os.getpid():
                for place in self._places.values():
                    place.staging.follow()
            yield
        except PublishError:
            raise
        except Exception as error:  # whatever it is, it must not cost what the function wrote
            left = [path for place in self._places.values() for path in place.staging.left()]
            if not left or self._process != os.getpid():
                raise
            reason = reason_of(error)
            self._unplaced += [Unplaced(path, self._final_path(path, "", ""), reason) for path in left]
            raise not_in_place(self._unplaced, self._targets, []) from error

    def publish(self, old: str, new: str, *, origin: Origin | None, sidecars: Sidecars, returned: Any = None) -> None:
        """Put everything that was staged in place, the artifacts last.

        Args:
            old: the tag in the staged names.
            new: the tag that replaces it.
            origin: what made it, None if later calls must run the function.
            sidecars: gives the sidecars of each artifact.
            returned: what the function returned.

        Raises:
            ArtifactMissingError: the function did not write an artifact; what it wrote is in place.
            PublishError: something could not be put in place, and is kept.
        """
        # A child that was forked while the function ran returns from it, too; its parent publishes.
        if self._process != os.getpid():
            return
        targets = [target._replace(name=target.name.replace(f"-{old}", f"-{new}")) for target in self._targets]
        side_files = SideFiles(new)
        # Synced before anything is moved: after a power failure, what is in place must be whole.
        outputs = self._prepared(targets, old, new, side_files)
        written = [target for target in targets if self._output_of(target) in outputs]
        others = sorted({*outputs} - {self._output_of(target) for target in targets})
        # Read before anything is moved, since nobody else writes here.
        contents = self._contents_of(written, others, new) if origin is not None else []
        new_sidecars = {target: self._sidecars_of(target, sidecars) for target in written}
        with contextlib.ExitStack() as stack:
            # Sorted, or two calls could wait for each other.
            for target in sorted(written, key=lambda target: target.path):
                stack.enter_context(self._place_of(target).alone(target))
            # Before the old marker is removed, which tells that the artifact was changed.
            written = [target for target in written if self._place_of(target).is_free(target, side_files)]
            # Before anything in place is changed: a kill between two moves must not leave a marker of what was there.
            for target in targets:
                self._place_of(target).remove_old_marker(target)
            # The artifacts last: where one is, everything that belongs to it is, too.
            for output in others:
                output.place.place_side_file(output.staged, output.path, side_files)
            placed = [
                target
                for target in written
                if self._is_whole(target, side_files)
                and self._place_of(target).place_artifact(target, new_sidecars[target])
            ]
        self._unplaced += side_files.unplaced
        side_files.warn_of_new()
        _warn_of_mentioning(self._mentioning)
        if self._unplaced:
            raise not_in_place(self._unplaced, targets, placed)
        # After the moves: what was written shows where the function wrote instead.
        self._refuse_missing(targets, placed, others, returned)
        # After everything else: a marker says that all of it is complete.
        if origin is not None:
            for content in contents:
                content.mark(new, origin)

    def _prepared(self, targets: list[Target], old: str, new: str, side_files: SideFiles) -> list[_Output]:
        """What is staged, under names with the tag of the code that has run, and ready to be moved."""
        local = {place.staging.path: place.directory for (_, store), place in self._places.items() if store is None}
        moves = Moves(local, f"-{old}", f"-{new}", (target.path for target in targets))
        outputs = []
        # All are named before the first is made ready, since links may lead from any to any.
        for output in self._named(targets, moves, side_files):
            with self._keeping_apart(output, output.staged, targets, side_files):
                found = output.place.prepare(output.staged, moves)
                self._mentioning += [output.path + path.removeprefix(output.staged) for path in found]
                outputs.append(output)
        return outputs

    def _named(self, targets: list[Target], moves: Moves, side_files: SideFiles) -> list[_Output]:
        """What is staged, under its true names."""
        outputs = []
        for place in self._places.values():
            staging = place.staging
            try:
                entries = staging.entries()
            except FileNotFoundError:
                raise ArtifactMissingError(
                    f"{staging.path}, where the function was to write, was removed while it ran, and with it what it "
                    f"wrote there; let nothing clean {staging.directory} meanwhile",
                    path=self._targets[0].path,
                ) from None
            for staged in entries:
                name = os.path.basename(staged)
                true_name = moves.renamed(name)
                output = _Output(os.path.join(staging.path, true_name), place.directory + true_name, place)
                with self._keeping_apart(output, staged, targets, side_files):
                    if name != true_name and not move_where_nothing_is(staged, output.staged):
                        raise FileExistsError(f"the function wrote {true_name}, too")
                    moves.rename_inside(output.staged)
                    outputs.append(output)
        return outputs

    @contextlib.contextmanager
    def _keeping_apart(
        self, output: _Output, staged: str, targets: list[Target], side_files: SideFiles
    ) -> Iterator[None]:
        """Whatever fails with an output, the others must not be lost for it."""
        try:
            yield
        except Exception as error:
            kept = output.staged if os.path.lexists(output.staged) else staged
            if not os.path.lexists(kept):
                return  # a temporary file that a thread, or a connection that is closed, has just removed
            is_artifact = any(output.path == target.path for target in targets)
            unplaced = self._unplaced if is_artifact else side_files.unplaced
            unplaced.append(Unplaced(kept, output.path, reason_of(error), side_files.carries_tag(output.path)))

    def _output_of(self, target: Target) -> _Output:
        return _Output(self._staged_artifact(target), target.path, self._place_of(target))

    def _contents_of(self, written: list[Target], others: list[_Output], tag: str) -> list[Contents]:
        return [self._place_of(target).contents(target, self._parts(target, others, tag)) for target in written]

    def _parts(self, target: Target, others: list[_Output], tag: str) -> list[str]:
        """The names of an artifact and of what was written beside it under its tag."""
        beside = [one.staged for one in others if one.place is self._place_of(target)]
        return [target.name, *(name for staged in beside for name in tagged_in(staged, tag))]

    def _sidecars_of(self, target: Target, sidecars: Sidecars) -> dict[str, bytes]:
        try:
            return sidecars(target.name, self._staged_artifact(target))
        except Exception as error:  # whatever a record cannot say, the artifact must not be lost for it
            reason = f"it cannot be made: {reason_of(error)}"
            self._unplaced.append(Unplaced(None, target.path + self._sidecar_suffix, reason))
            return {}

    def _is_whole(self, target: Target, side_files: SideFiles) -> bool:
        """Whether everything that carries the tag of an artifact is in place beside it."""
        missing = [one for one in side_files.unplaced if one.is_tagged and one.path.startswith(target.directory)]
        if missing:
            reason = f"{missing[0].path} belongs to it, but is not in place"
            self._unplaced.append(Unplaced(self._staged_artifact(target), target.path, reason))
        return not missing

    def _refuse_missing(
        self, targets: list[Target], placed: list[Target], others: list[_Output], returned: Any
    ) -> None:
        missing = [target for target in targets if target not in placed]
        if not missing:
            return
        paths = ", ".join(target.path for target in missing)
        elsewhere = self._written_elsewhere()
        found = [*(target.path for target in placed), *(output.path for output in others), *elsewhere]
        written = ", ".join(found) or "nothing"
        # It was given a relative path, which led elsewhere after the change.
        advice = "It changed the working directory: pass an absolute path." if elsewhere else advice_on(returned)
        if {*map(_normalised, found)} & {_normalised(target.path) for target in missing}:
            advice = "The names look alike, but differ in their Unicode normalisation (NFC, NFD). " + advice
        raise ArtifactMissingError(
            f"the function returned without writing {paths}; it wrote {written}. {advice}", path=missing[0].path
        )

    def _written_elsewhere(self) -> list[str]:
        """What the function wrote to a relative path after it had changed the working directory."""
        found = []
        for directory in self._relative_stagings:
            # FileNotFoundError: it did not; or the working directory is gone.
            with contextlib.suppress(OSError):
                place = os.path.join(os.getcwd(), directory)
                found += [os.path.join(place, name) for name in sorted(os.listdir(place))]
        return found

    def _make_staging_directories(self) -> None:
        for directory, store in dict.fromkeys((target.directory, target.store) for target in self._targets):
            # Known before it is made, so that close() removes what an error leaves.
            self._places[directory, store] = place = place_of(
                Target(directory, "", store),
                self._maker,
                self._sidecar_suffix,
                self._unplaced,
                refreshes=self._refreshes,
            )
            place.staging.make(self._locks.directories.get(directory))

    def _place_of(self, target: Target) -> Place:
        return self._places[target.directory, target.store]

    def _staged_artifact(self, target: Target) -> str:
        return os.path.join(self._place_of(target).staging.path, target.name)

    def _staged_path(self, path: Any) -> Any:
        target = target_of(path)
        place = self._place_of(target.absolute())
        if target != target.absolute():
            self._relative_stagings.add(os.path.join(target.directory, STATE_DIRECTORY, place.staging.token))
        # From the path as it was passed, so that it keeps its type and stays relative.
        return place.staged_path(path)

    def _final_path(self, path: Any, old: str, new: str) -> Any:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return path
        text = os.fsdecode(path)
        for place in self._places.values():
            # Not as a prefix: the function may have made the path absolute, or real.
            inside = os.path.join(STATE_DIRECTORY, place.staging.token, "")
            before, found, after = os.path.join(text, "").partition(inside)
            if found:
                return place.final_path(path, before, after.replace(old, new))
        return path


def _completed_in(staging: Staging) -> list[str]:
    """The artifacts that cached functions have completed beside those of the call that called them."""
    if not os.path.isdir(os.path.join(staging.path, STATE_DIRECTORY)):  # as mostly
        return []
    return sorted(os.path.basename(path) for path in staging.left() if is_completed(path))


def _normalised(path: str) -> str:
    import unicodedata  # imported where something is missing

    return unicodedata.normalize("NFC", path)


def _warn_of_mentioning(paths: list[str]) -> None:
    if paths:
        _logger.warning(
            "%s: holds the path of a directory that is gone when the call ends; write there a path relative to the "
            "file, or the one that tagged() gives for the plain path",
            first_of(paths),
        )
