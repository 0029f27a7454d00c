"""CodeState: which repository, clean or dirty, declared."""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import time
import types
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import rfc8785

from pyrepro import _environ
from pyrepro._code import copies, modules, process, repository, uncovered, work_tree
from pyrepro._code.git import run_git
from pyrepro._code.links import leads_out
from pyrepro._code.modules import LoadedModule
from pyrepro._code.porcelain import Entry
from pyrepro._code.runs import running
from pyrepro._code.sources import Sources, left_behind, links_of
from pyrepro._code.start import real_path
from pyrepro._code.work_tree import Snapshot
from pyrepro._paths import is_inside, relative_to
from pyrepro._value import Value, is_hex, replaced
from pyrepro.errors import CodeStateError

if TYPE_CHECKING:
    from pyrepro._code.session import TypedCode

_logger = logging.getLogger("pyrepro")

_WAYS_OUT = "pass repo=<path of the work tree>, or declare the state with PYREPRO_CODE_STATE"
_IN_NEW_PROJECT = "; in a new project, type: git init"
SESSION = "<session>"
"""What typed code is called, where code in a file has its path."""
_SESSION_PATH = b""  # among changes, since no file can have it
_UNKNOWN_PATH = b"\0"  # nor this: of what could not be read


class CodeState(Value):
    """The commit and the uncommitted changes of the code that runs.

    Its text, ``<commit>`` or ``<commit>-dirty-<changes>``, is what
    ``PYREPRO_CODE_STATE`` declares, and what it is in a configuration.

    Args:
        commit: the full commit, 40 or 64 hex digits.
        changes: the changes digest, 64 hex digits, or None for a clean tree.

    Raises:
        ValueError: a field has another form.
    """

    commit: str
    changes: str | None

    def __init__(self, commit: str, changes: str | None = None) -> None:
        super().__init__(commit=commit, changes=changes)
        if not is_hex(commit, 40, 64) or not (changes is None or is_hex(changes, 64)):
            raise ValueError(
                f"CodeState(commit={self.commit!r}, changes={self.changes!r}) is not a code state; "
                f"pass the 40 or 64 hex digits of a full commit, and the 64 of a changes digest or None"
            )

    def __str__(self) -> str:
        return f"{self.commit}" if self.changes is None else f"{self.commit}-dirty-{self.changes}"


class Reading(Value):
    """A code state, and what it was read from: nothing of a declared one."""

    state: CodeState
    work_tree: str | None
    snapshot: Snapshot
    loaded: Sequence[LoadedModule]
    copies: dict[bytes, str]  # the files that modules of other copies of the work tree are loaded from, by path
    own: frozenset[bytes]  # the files of the function and of what decorates it, which count also where they are ignored
    seconds: float  # how long it took

    @property
    def changes(self) -> dict[bytes, Entry]:
        """What differs from the commit."""
        return self.snapshot.changes

    @property
    def paths(self) -> tuple[str, ...]:
        """The changed paths, as they can be printed."""
        return tuple(map(printable_path, sorted(self.changes)))

    @property
    def lines(self) -> list[str]:
        """The changed paths, each with what is to be said of it."""
        return [printable_path(path) + self._remark(path) for path in sorted(self.changes)]

    def _remark(self, path: bytes) -> str:
        snapshot = self.snapshot
        if path in snapshot.unknown:
            return f": {snapshot.unknown[path]}"
        if path in snapshot.behind:
            return f": {snapshot.behind[path]}"
        if path in self.copies and path in snapshot.contents:
            return (
                f" (loaded from {self.copies[path]}, another copy of it; "
                f"install this work tree with: pip install -e {shlex.quote(self.work_tree or os.curdir)})"
            )
        return " (as it was loaded; the file holds something else now)" if path in snapshot.contents else ""


def code_state(of: object = None) -> CodeState:
    """The state of the code in a repository, as git and the loaded modules say.

    Args:
        of: a path in a work tree, or a module; by default the file that calls,
            at a prompt the working directory.

    Returns:
        The state; its text is what ``PYREPRO_CODE_STATE`` declares.

    Raises:
        CodeStateError: the state cannot be determined.
        TypeError: ``of`` is neither a path nor a module.

    Example:
        ``config = {"lr": 0.1, "lab": str(code_state("../lab"))}``
    """
    if of is None:
        return _known(read_code([process.caller_file()])).state
    if isinstance(of, types.ModuleType):
        file = modules.file_of_module(of) or next(iter(getattr(of, "__path__", [])), None)
        if file is None:
            raise CodeStateError(f"the module {of.__name__} has no file; pass the path of its repository")
        if _is_of_environment(file):
            raise CodeStateError(
                f"the module {of.__name__} is installed at {file}, not in a work tree; "
                f"put its version into the configuration: importlib.metadata.version({of.__name__!r})"
            )
        reading = read_code([], repo=file)
    elif isinstance(of, (str, bytes, os.PathLike)):
        reading = read_code([], repo=os.fsdecode(of))
    else:
        raise TypeError(f"code_state takes a path or a module, not {of!r} of type {type(of).__name__}")
    if reading.work_tree:
        uncovered.know_work_tree(reading.work_tree)
    return _known(reading).state


def refusal_of_unknown(reading: Reading) -> CodeStateError:
    """The error that says why it is unknown what code runs."""
    unknown = reading.snapshot.unknown
    reasons = "\n".join(unknown[path] for path in sorted(unknown))
    return CodeStateError(f"which code runs cannot be determined: {reasons}", work_tree=reading.work_tree)


def unknown_reading(reading: Reading, reason: str) -> Reading:
    """A reading with a change that no other one shares."""
    snapshot = reading.snapshot
    return _with_snapshot(
        reading,
        replaced(
            snapshot,
            changes=snapshot.changes | {_UNKNOWN_PATH: ("100644", os.urandom(20).hex())},
            unknown=snapshot.unknown | {_UNKNOWN_PATH: reason},
        ),
    )


def _known(reading: Reading) -> Reading:
    if reading.snapshot.unknown:
        raise refusal_of_unknown(reading)
    return reading


def read_code(
    files: Iterable[str | None],
    repo: str | None = None,
    typed: TypedCode | None = None,
    ran: Sequence[LoadedModule] = (),
) -> Reading:
    """The state of the repository that holds the first of some files, or that is named.

    Args:
        files: the file of the function's module, then the one that applies the decorator.
        repo: a path in the work tree, instead of them.
        typed: the code, where it was typed in an interactive session.
        ran: what has made the function in no module that is there.

    Raises:
        CodeStateError: the state cannot be determined, or is not the declared one.
    """
    known = [file for file in files if file is not None]
    declared = _declared()
    inputs = None if typed is None else typed.inputs() or None
    typed = None if inputs is None else typed
    try:
        top = _top_of_work_tree(known, repo, is_typed=typed is not None)
    except CodeStateError as error:
        return _declared_instead(declared, typed, error)
    try:
        reading = _read_work_tree(top, known, inputs, ran)
    except CodeStateError as error:
        return _declared_instead(declared, typed, error)
    if declared not in (None, reading.state):
        raise CodeStateError(
            f"PYREPRO_CODE_STATE declares {declared}, but the work tree {top} is at {reading.state}; "
            f"unset PYREPRO_CODE_STATE, or check out what it declares",
            work_tree=top,
        )
    return reading


def read_later_modules(reading: Reading, later: Iterable[LoadedModule], loaded: Sequence[LoadedModule]) -> Reading:
    """A reading, with what now stands in the files of modules that were loaded since.

    Args:
        reading: the reading of a work tree.
        later: the modules of the work tree that were loaded since.
        loaded: all loaded modules, as :func:`split_loaded` gives those; the later ones may have left them behind.

    Raises:
        CodeStateError: git cannot say.
    """
    top = reading.work_tree
    assert top is not None
    new, behind = _by_path(top, later), left_behind()
    # With the earlier modules of the same files: an archive may have held something else when they were loaded.
    sources = {
        path: some
        for path, some in _by_path(top, loaded).items()
        if path in new or path in reading.snapshot.behind or any(module.name in behind for module in some)
    }
    _add_links(top, loaded, sources)
    if not sources:
        return reading
    files = {path: file for path, file in reading.copies.items() if path not in sources} | _files_of_copies(sources)
    snapshot = work_tree.update_snapshot(top, reading.snapshot, sources, reading.own)
    return _with_snapshot(replaced(reading, copies=files), snapshot)


def changed_on_disk(
    reading: Reading, counts: Callable[[bytes], bool] | None = None, *, since_loaded: bool = False
) -> tuple[str, ...]:
    """The tracked files, and those that a reading looked at, which the disk does not hold as it did then.

    Args:
        reading: what was read.
        counts: whether a path is to be told, by default each.
        since_loaded: whether modules count as they were loaded, and not as the disk held them then.

    Raises:
        CodeStateError: git cannot say.
    """
    top = reading.work_tree
    assert top is not None
    # Without the modules, since it is not asked here what was loaded.
    looked_at: Sources = {path: [] for path in (*reading.snapshot.disk, *loaded_paths(reading))}
    after = work_tree.read_snapshot(top, lambda: looked_at, reading.own)
    before = _as_loaded(reading) if since_loaded else reading.snapshot
    changed = sorted(work_tree.changed_paths(top, before, after))
    return tuple(map(printable_path, changed if counts is None else filter(counts, changed)))


def _as_loaded(reading: Reading) -> Snapshot:
    """What a disk would hold on which the modules are as they were loaded, as far as that can be known."""
    snapshot = reading.snapshot
    # Other copies are what children would load, too; and of the others the entry only says that it is not known.
    left_out = {_SESSION_PATH, *snapshot.unknown, *snapshot.behind, *reading.copies}
    disk = {path: entry for path, entry in snapshot.changes.items() if path not in left_out}
    return replaced(snapshot, disk=disk | {path: snapshot.disk[path] for path in snapshot.disk.keys() & left_out})


def loaded_paths(reading: Reading) -> set[bytes]:
    """The files of the loaded modules of the work tree, relative to its top, ignored ones included."""
    top = reading.work_tree
    return set() if top is None else {*_by_path(top, modules_of_work_tree(top, reading.loaded)), *reading.own}


def work_tree_of(path: str) -> str:
    """The top directory of the work tree that holds a path.

    Raises:
        CodeStateError: there is none.
    """
    return _top_of_work_tree([], path)


def state_of_work_tree(top: str) -> CodeState:
    """The state of a work tree, whatever modules are loaded, and whatever is declared.

    Raises:
        CodeStateError: git cannot say.
    """
    snapshot = work_tree.read_snapshot(top, dict)
    return CodeState(snapshot.commit, _digest(snapshot.changes))


def _declared_instead(declared: CodeState | None, typed: TypedCode | None, error: CodeStateError) -> Reading:
    """The declared state in the place of the one that cannot be read, or the error that says why not."""
    if declared is None:
        raise error
    if typed is not None:
        raise CodeStateError(
            f"{typed.name} was typed, so PYREPRO_CODE_STATE={declared} does not say what makes its output; "
            f"put it in a file"
        )
    snapshot = Snapshot(commit=declared.commit, changes={}, contents={}, unknown={}, behind={}, disk={}, ignored=set())
    return Reading(state=declared, work_tree=None, snapshot=snapshot, loaded=(), copies={}, own=frozenset(), seconds=0)


def _declared() -> CodeState | None:
    declared = _environ.declared_code_state()
    return None if declared is None else CodeState(*declared)


def _top_of_work_tree(files: list[str], repo: str | None, *, is_typed: bool = False) -> str:
    if repo is not None:
        path = os.path.realpath(repo)
        if not os.path.exists(path):
            raise CodeStateError(
                f"{repo} does not exist, so no code state can be read there; pass a path in the work tree of the code"
            )
        directory = path if os.path.isdir(path) else os.path.dirname(path)
        return repository.find_work_tree(path) or repository.ask_for_top(directory)
    for file in files:
        if not os.path.isabs(file):
            raise CodeStateError(
                f"the code that runs gives {file} as its file, but no file of this name, in the working directory or "
                f"in that of import pyrepro, holds it; {_WAYS_OUT}"
            )
        if not _is_of_environment(file) and (top := repository.find_work_tree(*modules.real_files([file]))):
            return top
    if (is_typed or process.is_interactive()) and not files[1:]:
        directory = real_path(os.curdir)
        if not os.path.isabs(directory):
            raise CodeStateError(
                f"the working directory was deleted, so no repository can be looked for there; change to one that "
                f"exists, {_WAYS_OUT}"
            )
        if top := repository.find_work_tree(directory):
            return top
        raise CodeStateError(f"the working directory {directory} is in no git work tree; {_WAYS_OUT}{_IN_NEW_PROJECT}")
    looked_at = " and ".join(dict.fromkeys(files)) or "code without a file"
    # Where all of it is installed, a repository there would say nothing of where it comes from.
    start = "" if all(map(_is_of_environment, files)) else _IN_NEW_PROJECT
    raise CodeStateError(f"looked for the git work tree that holds {looked_at}, and found none; {_WAYS_OUT}{start}")


def _is_of_environment(file: str) -> bool:
    """Whether a file belongs to an installed environment, and not to what is linked into it."""
    return modules.is_installed(file) and not leads_out(file)


def _read_work_tree(top: str, files: Iterable[str], inputs: list[str] | None, ran: Sequence[LoadedModule]) -> Reading:
    loaded: list[LoadedModule] = []
    files_of_copies: dict[bytes, str] = {}
    real = modules.real_files(file for file in files if not _is_of_environment(file))
    own = {os.fsencode(relative_to(file, top)): file for file in real if is_inside(file, top)}

    def sources() -> Sources:
        # Called while git is at work, which takes longer; what it finds belongs to the reading, too.
        inside, elsewhere = split_loaded(top, modules.loaded_modules())
        loaded[:] = [*inside, *elsewhere]
        found = _by_path(top, inside)
        _add_links(top, loaded, found)
        files_of_copies.clear()
        files_of_copies.update(_files_of_copies(found))
        for path, some in _by_path(top, [run for run in (*ran, *running()) if is_inside(run.file, top)]).items():
            found.setdefault(path, []).extend(some)
        for path, file in own.items():
            if path not in found:
                found[path] = [modules.unseen_run(file)]
        return found

    started = time.perf_counter()
    snapshot = work_tree.read_snapshot(top, sources, own.keys())
    seconds = time.perf_counter() - started
    if inputs is not None:
        typed = hashlib.sha256(rfc8785.dumps(list(inputs))).hexdigest()
        snapshot = replaced(snapshot, changes=snapshot.changes | {_SESSION_PATH: ("100644", typed)})
    state = CodeState(snapshot.commit, _digest(snapshot.changes))
    return Reading(
        state=state,
        work_tree=top,
        snapshot=snapshot,
        loaded=loaded,
        copies=files_of_copies,
        own=frozenset(own),
        seconds=seconds,
    )


def _with_snapshot(reading: Reading, snapshot: Snapshot) -> Reading:
    return replaced(reading, state=CodeState(snapshot.commit, _digest(snapshot.changes)), snapshot=snapshot)


def _digest(changes: dict[bytes, Entry]) -> str | None:
    """The changes digest, None of a clean work tree."""
    entries = sorted([digested_path(path), mode, object_id] for path, (mode, object_id) in changes.items())
    return hashlib.sha256(rfc8785.dumps(entries)).hexdigest() if entries else None


def digested_path(path: bytes) -> str:
    """A path among changes, percent-encoded from its bytes, as the digests have it."""
    from urllib.parse import quote  # for changes only, and slow to import

    return SESSION if path == _SESSION_PATH else quote(path)


def printable_path(path: bytes) -> str:
    """A path as it can be printed: percent-encoded where it holds what cannot be."""
    text = os.fsdecode(path)
    return text if text and text.isprintable() else digested_path(path)


def modules_of_work_tree(top: str, loaded: Iterable[LoadedModule]) -> list[LoadedModule]:
    """The modules among the loaded ones that are of a work tree or of another copy of it, and the installed copies."""
    return copies.with_copies(top, repository.other_work_trees_of(top), loaded, _is_tracked)


def _is_tracked(top: str, directory: str) -> bool:
    return bool(run_git(top, ["ls-files", "-z", "--", relative_to(directory, top)]))


def split_loaded(top: str, loaded: Sequence[LoadedModule]) -> tuple[list[LoadedModule], list[LoadedModule]]:
    """The modules that are of a work tree, or of another copy of it, and those that are not."""
    inside = modules_of_work_tree(top, loaded)
    names = {module.name for module in inside}
    return inside, [module for module in loaded if module.name not in names]


def _by_path(top: str, inside: Iterable[LoadedModule]) -> dict[bytes, list[LoadedModule]]:
    """The modules of a work tree by their files, relative to its top, as git writes paths."""
    found: dict[bytes, list[LoadedModule]] = {}
    for module in inside:
        found.setdefault(os.fsencode(relative_to(module.original or module.file, top)), []).append(module)
    return found


def _add_links(top: str, loaded: Iterable[LoadedModule], sources: dict[bytes, list[LoadedModule]]) -> None:
    """Add the links of a work tree over which modules were found, wherever these are."""
    inside = (link for link in links_of(loaded) if is_inside(link.file, top) and not modules.is_installed(link.file))
    for path, links in _by_path(top, inside).items():
        sources.setdefault(path, []).extend(links)


def _files_of_copies(sources: Sources) -> dict[bytes, str]:
    return {path: module.file for path, some in sources.items() for module in some if module.original}
