"""Tracker: the code state of one decorated function, from its decoration through its calls."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pyrepro import _environ
from pyrepro._code import imports, modules, process, workers
from pyrepro._code.modules import LoadedModule, ModulesThen, keys_of_modules
from pyrepro._code.runs import runs_of
from pyrepro._code.state import (
    CodeState,
    Reading,
    changed_on_disk,
    printable_path,
    read_code,
    read_later_modules,
    refusal_of_unknown,
    split_loaded,
    unknown_reading,
)
from pyrepro._code.uncovered import warn_of_uncovered
from pyrepro._paths import is_inside, relative_to
from pyrepro._value import replaced
from pyrepro.errors import CodeStateError, DirtyRepositoryError

if TYPE_CHECKING:
    from pyrepro._code.key import CodeKey, CodePaths
    from pyrepro._code.patch import Patch
    from pyrepro._code.session import TypedCode

_logger = logging.getLogger("pyrepro")

_ATTEMPTS = 10
_LONG = 50
"""A call that takes as long as this many readings is long enough for one more to cost nothing beside it."""

_states_warned_of: set[CodeState] = set()
_unguarded_warned_of: set[tuple[str, ...]] = set()


def _typed_code(name: str, code: types.CodeType) -> TypedCode:
    from pyrepro._code.session import TypedCode  # imported where something was typed

    return TypedCode(name, code.co_filename)


def _modules_inside(top: str | None, loaded: Sequence[LoadedModule]) -> list[LoadedModule]:
    return [module for module in loaded if top and (module.original or is_inside(module.file, top))]


_NO_MODULES = ModulesThen((0, None, 0), [])


_Observation = tuple["Reading | CodeStateError", ModulesThen, "Patch | None"]
"""What was read, the modules that were loaded before it was, and the patch: None without changes or records."""

_observations_of_bodies: dict[types.FrameType, dict[tuple[object, ...], _Observation]] = {}
"""What the decorations of one run of a module's body share, by the frame of the body."""


class Tracker:
    """The code state of a decorated function: read, allowed or refused, and kept true.

    Args:
        function: the function.
        repo: a path in the work tree of its code, or None.
        is_allowed: whether a dirty tree is allowed.
        records: whether the patch of a dirty tree is kept, too.

    Raises:
        CodeStateError: the state cannot be determined, in the user's own program.
        DirtyRepositoryError: the tree is dirty and that is not allowed, in the
            user's own program.
    """

    def __init__(
        self,
        function: object,
        repo: str | None,
        is_allowed: bool,
        *,
        records: bool = False,
        code: CodePaths | None = None,
    ) -> None:
        function = modules.without_partials(function)
        self.qualname: str = getattr(function, "__qualname__", repr(function))
        self._module = getattr(function, "__module__", None)
        self._spec = self._current_spec()
        file = modules.function_file(function)
        self._files = (file, process.caller_file())
        self._runs = runs_of(function)
        self._repo = repo
        self._records = records
        self._code = code
        self._key: CodeKey | None = None
        self._guarded: tuple[Reading, list[str]] | None = None
        typed = process.typed_code_of(function)
        self._typed = None if typed is None else _typed_code(self.qualname, typed)
        self._is_interactive = typed is not None or process.is_interactive()
        self._is_allowed = is_allowed
        self._is_too_late_to_refuse = False
        self._was_decorated_here = True
        self._unknown_since: ModulesThen | None = None
        self._reading, self._modules, self._patch = self._observe_once_per_body()
        # Nothing that was made before is looked for in a reproduction, whose clone is without what git does not track.
        if code and isinstance(self._reading, Reading) and _environ.REPRODUCTION is None:
            from pyrepro._code.key import check_code_paths  # where code= is given

            check_code_paths(self._reading, code)
        try:
            self._is_allowed = is_allowed or _environ.allows_dirty()
            self._checked_reading()
        except (CodeStateError, DirtyRepositoryError) as error:
            if process.is_own_program():
                raise
            _logger.warning("calls that write artifacts will be refused: %s", error)

    def __getstate__(self) -> dict[str, Any]:
        """What a worker needs, which has modules of its own and was not typed into."""
        if self._is_interactive:
            self._reading, _, self._patch = self._observe()
        reading = replaced(self._reading, loaded=()) if isinstance(self._reading, Reading) else self._reading
        elsewhere: dict[str, Any] = {
            "_reading": reading,
            "_modules": _NO_MODULES,
            "_spec": None,
            "_is_interactive": False,
            "_guarded": None,
            "_typed": None,
            "_runs": [],
            "_was_decorated_here": False,
            "_unknown_since": None,
        }
        return self.__dict__ | elsewhere

    @property
    def at_decoration(self) -> CodeState | None:
        """The state that was read, None where it could not be determined."""
        return self._reading.state if isinstance(self._reading, Reading) else None

    @property
    def reading(self) -> Reading:
        """What was read last: the code that runs now."""
        assert isinstance(self._reading, Reading)
        return self._reading

    @property
    def patch(self) -> Patch | None:
        """What turns the commit into that code, where that is kept."""
        return self._patch

    @property
    def file(self) -> str | None:
        """The real file of the function's module."""
        return next(modules.real_files([self._files[0]]), None) if self._files[0] else None

    @property
    def function(self) -> str:
        """The function as ``module:qualname``."""
        return f"{self._module}:{self.qualname}"

    @property
    def work_tree(self) -> str | None:
        """The work tree whose state the names carry, None where that was declared or cannot be read."""
        return self._reading.work_tree if isinstance(self._reading, Reading) else None

    def before_call(self) -> CodeState:
        """The state of the code that a call is about to run.

        Raises:
            CodeStateError: it cannot be determined.
            DirtyRepositoryError: it is dirty, and that is not allowed.
        """
        # A body without a caller is the program's own, or no longer holds anything; walking the stacks takes time.
        for body in list(_observations_of_bodies):
            if body.f_back is not None:
                _forget_finished_bodies()
                break
        spec = self._current_spec()
        is_other = self._spec is not None and spec is not None and spec is not self._spec
        if is_other and not self._is_of_last_load_of_its_file():
            raise CodeStateError(
                f"{self.qualname} comes from an earlier load of the module {self._module}, so what runs may no "
                f"longer be in any file; get it from the module again"
            )
        if self._is_interactive:
            self._reading, self._modules, self._patch = self._observe()
        else:
            try:
                self._account_for_later_modules()
            except CodeStateError as error:
                if not self._was_decorated_here:
                    raise
                # The program may have worked for hours since.
                self._become_unknown("what %s is about to run cannot be determined: %s", error)
        return self._checked_reading().state

    def after_call(self) -> CodeState:
        """The state of the code that a call has run, the modules that it loaded included."""
        try:
            self._account_for_later_modules()
        except Exception as error:
            self._become_unknown("what %s has run cannot be determined: %s", error)
        return self.reading.state

    def _become_unknown(self, message: str, error: Exception) -> None:
        """Take a name that no other state shares, where work is done and must not be lost."""
        loaded = _modules_inside(self.work_tree, modules.loaded_modules())
        # The same for a call and what it is called with, unless more was loaded meanwhile.
        if self._unknown_since is None or self._unknown_since.others(loaded):
            self._unknown_since = ModulesThen(keys_of_modules(), loaded)
            self._reading, self._patch = unknown_reading(self.reading, str(error)), None
            self._is_too_late_to_refuse = True
            _logger.error(message, self.qualname, error)

    def changed_meanwhile(self, seconds: float, *, had_children: bool) -> tuple[str, ...] | None:
        """The files that the disk does not hold as it did when the code was read.

        Args:
            seconds: how long the call took.
            had_children: whether it had child processes, which have loaded what the disk held by then.

        Returns:
            Their paths, none after a short call without children, for which nothing is read; None if that is unknown.
        """
        reading = self.reading
        if (seconds < _LONG * reading.seconds and not had_children) or reading.work_tree is None:
            return ()
        try:
            return changed_on_disk(reading, self._counts, since_loaded=had_children)
        except Exception as error:  # the work is done, and must not be lost
            _logger.error("whether files changed while %s ran cannot be determined: %s", self.qualname, error)
            return None

    def reloaded_before(self, moment: workers.Moment) -> tuple[str, ...]:
        """The files of modules that were loaded again since workers had started that were at work after a moment."""
        top = self.work_tree
        files = () if top is None else (file for file in workers.reloaded_before(moment) if is_inside(file, top))
        paths = (os.fsencode(relative_to(file, top or "")) for file in files)
        return tuple(map(printable_path, sorted(filter(self._counts, paths))))

    def _counts(self, path: bytes) -> bool:
        """Whether what is at a path can have been code that the function has used."""
        paths = self._code if self._key is None else self._key.paths
        return paths is None or paths.cover(path)

    def code_key(self) -> str | None:
        """The code key of what runs; None where none may be written or used, with a warning where that has a remedy."""
        code, reading = self._code, self.reading
        assert code is not None  # as it is of all that is cached
        from pyrepro._code.key import CodeKey  # for misses only

        guarded = self._guarded
        try:
            if self._key is None or self._key.state != reading.state:
                self._key = CodeKey.of(reading, code)
            # A reading is replaced when modules were loaded, and to look at each module takes as long as an artifact.
            if guarded is None or guarded[0] is not reading:
                self._guarded = guarded = reading, self._key.unguarded_modules(reading)
        except CodeStateError as error:  # to run again is right, too, and what has run must not be lost
            _logger.warning("the code key of %s cannot be determined: %s", self.qualname, error)
            return None
        paths = guarded[1]
        if paths and (self.qualname, *paths) not in _unguarded_warned_of:
            _unguarded_warned_of.add((self.qualname, *paths))
            _logger.warning(
                "what %s makes is not reused after a commit, since loaded modules of the work tree %s are neither "
                "in code=%r nor left out:\n%s\nAdd them, or leave them out with a '!' before each.",
                *(self.qualname, reading.work_tree, code.texts, first_ten(paths)),
            )
        return None if paths else self._key.text

    def refusal(self) -> DirtyRepositoryError | None:
        """The error that says that the state is dirty, None where that is allowed."""
        return None if self._is_allowed or _environ.allows_dirty() else _dirty(self.reading)

    def _current_spec(self) -> object:
        return modules.spec_of(sys.modules.get(self._module or ""))

    def _is_of_last_load_of_its_file(self) -> bool:
        """Whether the module that now has the name of the function's own is from another file, as plugins are."""
        name = self._module or ""
        load = imports.load_of(name, None, self._spec)
        return load is not None and imports.loads_like(name, load)[-1] is load

    def _checked_reading(self) -> Reading:
        if isinstance(self._reading, CodeStateError):
            import copy  # not needed where all is well

            raise copy.copy(self._reading)  # a raised error collects tracebacks
        return checked_reading(self._reading, self._is_allowed or self._is_too_late_to_refuse)

    def _observe_once_per_body(self) -> _Observation:
        """One observation for the decorations of one run of a module's body."""
        body = process.module_body(process.caller_frame())
        if body is None or self._is_interactive:
            return self._observe()
        _forget_finished_bodies()
        # Held here, since another thread may make the module forget the body while git is at work.
        observations = _observations_of_bodies.setdefault(body, {})
        key = (*self._files, self._repo, self._records)
        if key not in observations:
            observations[key] = self._observe()
        return observations[key]

    def _observe(self) -> _Observation:
        keys = keys_of_modules()
        try:
            reading, patch = self._with_patch(lambda: read_code(self._files, self._repo, self._typed, self._runs))
            warn_of_uncovered_code(reading)
            return reading, ModulesThen(keys, _modules_inside(reading.work_tree, reading.loaded)), patch
        except CodeStateError as error:
            return error, _NO_MODULES, None

    def _with_patch(self, read: Callable[[], Reading]) -> tuple[Reading, Patch | None]:
        """A reading, and the patch of the changes that it found, where that is kept."""
        top: str | None = None
        for _ in range(_ATTEMPTS):
            reading = read()
            top = reading.work_tree
            if not self._records or top is None or not reading.changes:
                return reading, None
            from pyrepro._code.patch import StaleError, make_patch  # for records only

            with contextlib.suppress(StaleError):
                return reading, make_patch(
                    top,
                    reading.state.commit,
                    reading.changes,
                    reading.snapshot.contents,
                    [*reading.snapshot.unknown, *reading.snapshot.behind],
                )
        raise CodeStateError(
            f"files of the work tree {top} changed each time that they were read; "
            f"let what writes them end, and run again",
            work_tree=top,
        )

    def _account_for_later_modules(self) -> None:
        """What was loaded since the reading runs, too: it is what its files hold now."""
        top = self.work_tree
        if top is None or self._modules.are_loaded():
            return
        keys = keys_of_modules()
        inside, elsewhere = split_loaded(top, modules.loaded_modules())
        loaded = [*inside, *elsewhere]
        before, others = self.reading, self._modules.others(inside)
        reading, patch = read_later_modules(before, others, loaded), self._patch
        # The patch of a state that has not changed is kept: files may have been edited since it was taken.
        if reading.state != before.state:
            reading, patch = self._with_patch(lambda: read_later_modules(before, others, loaded))
        is_clean = reading.state.changes is None
        if reading.state != before.state and not (is_clean or self._is_allowed or _environ.allows_dirty()):
            self._is_too_late_to_refuse = True
            _states_warned_of.add(reading.state)
            _logger.error(
                "modules whose code no commit holds were loaded, too late to refuse: %s", uncommitted(reading)
            )
        # In this order: another thread that finds the modules taken up must find their reading, too.
        self._reading, self._patch = replaced(reading, loaded=loaded), patch
        self._modules = ModulesThen(keys, inside)
        warn_of_uncovered_code(self._reading)


def warn_of_uncovered_code(reading: Reading) -> None:
    """Warn, once for each, of loaded modules whose code a name after this reading does not cover."""
    warn_of_uncovered(reading.work_tree, reading.loaded, reading.snapshot.ignored)


def checked_reading(reading: Reading, is_allowed: bool) -> Reading:
    """The reading, if it is clean or allowed to be dirty.

    Raises:
        CodeStateError: PYREPRO_ALLOW_DIRTY is set to something unknown.
        DirtyRepositoryError: it is dirty, and that is not allowed.
    """
    if reading.state.changes is not None:
        if not (is_allowed or _environ.allows_dirty()):
            raise refusal_of_unknown(reading) if reading.snapshot.unknown else _dirty(reading)
        if reading.state not in _states_warned_of:
            _states_warned_of.add(reading.state)
            # It may be seen without the logger's name, among the lines of others.
            commit, changes = reading.state.commit[:12], reading.state.changes[:12]
            _logger.warning("pyrepro puts %s-dirty-%s into names, since %s", commit, changes, uncommitted(reading))
    return reading


def _forget_finished_bodies() -> None:
    """Let go of the module bodies that have run: a frame holds everything that its callers hold."""
    running: set[types.FrameType] = set()
    innermost: types.FrameType | None = None
    frame: types.FrameType | None = None
    for innermost in sys._current_frames().values():
        frame = innermost
        while frame is not None:
            running.add(frame)
            frame = frame.f_back
    for body in list(_observations_of_bodies):  # a copy, since other threads decorate, too
        if body not in running:
            _observations_of_bodies.pop(body, None)
    # This frame is among them, and a frame that holds itself would keep what all its callers hold.
    running.clear()
    del innermost


def uncommitted(reading: Reading) -> str:
    """What a dirty reading found, the first ten paths of it."""
    where = "the declared code state" if reading.work_tree is None else f"the work tree {reading.work_tree}"
    changes = first_ten(reading.lines or [f"those of PYREPRO_CODE_STATE={reading.state}"])
    return f"{where} has changes that commit {reading.state.commit[:12]} does not hold:\n{changes}"


def first_ten(lines: Sequence[str]) -> str:
    """The first ten of some lines, indented, and how many more there are."""
    more = [f"and {len(lines) - 10} more"] if len(lines) > 10 else []
    return "\n".join(f"  {line}" for line in [*lines[:10], *more])


def _dirty(reading: Reading) -> DirtyRepositoryError:
    return DirtyRepositoryError(
        f"{uncommitted(reading)}\n"
        f"Commit them; or pass allow_dirty=True or set PYREPRO_ALLOW_DIRTY=1 to write under a -dirty- name.",
        commit=reading.state.commit,
        changes=reading.state.changes,
        work_tree=reading.work_tree,
        paths=reading.paths,
    )
