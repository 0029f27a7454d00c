"""What the work tree of a repository holds in place of what its commit holds.

Sources: git-ls-files(1), git-ls-tree(1), git-hash-object(1), gitrepository-layout(5).
"""

from __future__ import annotations

import functools
import os
import stat
import time
from collections.abc import Callable, Container, Iterable, Iterator, Set

from pyrepro._code.entries import (
    changes_in_files,
    directories_above,
    honours_modes_at,
    id_of_blob,
    id_of_content,
    in_portions,
    is_populated,
    on_disk,
)
from pyrepro._code.git import finish_git, finish_git_with_words, run_git, start_git
from pyrepro._code.porcelain import (
    ABSENT,
    DIRECTORY,
    LINK,
    SUBMODULE,
    Entry,
    Index,
    parse_differences,
    parse_entries,
    parse_status,
    parse_words,
)
from pyrepro._code.repository import bytes_of, git_directories
from pyrepro._code.sources import Sources, Unknown, are_links_as_then, counted, left_behind, running_bodies
from pyrepro._value import Value, replaced
from pyrepro.errors import CodeStateError

_ATTEMPTS = 10

_MODES = ("-c", "core.fileMode=true", "-c", "core.symlinks=true")
_STATUS = (
    "status",
    *("--porcelain=v2", "--branch", "-z"),
    *("--untracked-files=no", "--ignore-submodules=untracked", "--no-ahead-behind", "--no-renames"),
)


class Snapshot(Value):
    """A commit, and what the work tree holds in place of what the commit holds."""

    commit: str
    changes: dict[bytes, Entry]
    contents: dict[bytes, bytes]  # of the changes that the disk no longer holds
    unknown: dict[bytes, str]  # why it is unknown what runs, by path
    behind: dict[bytes, str]  # what was taken of earlier loads of other modules, by path
    disk: dict[bytes, Entry]  # the changes as the disk held them when they were first looked at, whatever was loaded
    ignored: set[bytes]  # of what was looked at, what the .gitignore files of the work tree ignore


def read_snapshot(top: str, loaded: Callable[[], Sources], own: Set[bytes] = frozenset()) -> Snapshot:
    """What the work tree holds, all of it at one moment.

    Args:
        top: the top directory of a work tree.
        loaded: gives the loaded modules in it by their files, relative to the top, as git writes paths; it is called
            while git is at work.
        own: the files among them that count also where they are ignored.

    Raises:
        CodeStateError: git cannot say, or commits follow each other too fast.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            # A random part of a time that doubles, so that those who wait for each other do not meet again.
            time.sleep(os.urandom(1)[0] / 256 * 0.02 * 2**attempt)
        before = _git_stamp(top)
        try:
            snapshot = _read_once(top, loaded, before, own)
        except CodeStateError:
            if _git_stamp(top) == before:
                raise
        else:
            if _git_stamp(top) == before:
                return snapshot
    raise CodeStateError(
        f"the work tree {top} was read {_ATTEMPTS} times, and each time HEAD or the index changed meanwhile; "
        f"let the other git processes in it end, and run again",
        work_tree=top,
    )


_GitStamp = tuple[tuple[object, ...], "tuple[int, int, int] | None"]
"""What differs when HEAD or the index file is another than before."""


def _git_stamp(top: str) -> _GitStamp:
    git_dir, common_dir = git_directories(top)
    directories = {git_dir: None, common_dir: None}
    head = bytes_of(os.path.join(git_dir, "HEAD"))
    ref = os.fsdecode(head.partition(b"ref:")[2].strip())
    state = (
        head,
        *(bytes_of(os.path.join(directory, ref)) for directory in directories if ref),
        *(bytes_of(os.path.join(directory, "reftable", "tables.list")) for directory in directories),
        _stat_of(os.path.join(common_dir, "packed-refs")),
    )
    return state, _stat_of(os.path.join(git_dir, "index"))


def _stat_of(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _read_once(top: str, loaded_now: Callable[[], Sources], before: _GitStamp, own: Set[bytes]) -> Snapshot:
    honours_modes = honours_modes_at(top)
    options = _MODES if honours_modes else []
    with start_git(top, [[*options, *_STATUS], ["ls-files", "-v", "-z"]]) as (status, listing):
        sources = loaded_now()
        loaded = set(sources)
        index = Index(finish_git(listing))
        hidden = index.hidden()
        tracked = {path for path in loaded if path in index}
        hidden.update(dict.fromkeys(_touched_since(top, before, tracked), False))
        output, words = finish_git_with_words(status)
        hidden.update(dict.fromkeys(parse_words(words, index), False))
        commit, committed, unmerged = parse_status(output, top)
    if hidden or os.path.lexists(os.path.join(top, ".gitmodules")):
        output = run_git(top, ["ls-files", "--stage", "-z"])
        for path, entry in parse_entries(output):
            if path in hidden or entry[0] == SUBMODULE:
                committed.setdefault(path, entry)
    if unmerged:
        output = run_git(top, ["ls-tree", "-r", "-z", "--full-tree", commit])
        tree = dict(parse_entries(output))
        committed.update({path: tree.get(path, ABSENT) for path in unmerged})
    unknown = loaded - tracked - committed.keys()
    # A link that nobody added to git is no change as long as it leads where it led.
    unknown = {path for path in unknown if not are_links_as_then(sources[path])}
    inside, outside = _by_submodule(top, unknown, lambda path: path in index or path in committed)
    ignored = _ignored(top, outside - own, index)
    outside -= ignored
    changes = changes_in_files(top, commit, committed, outside, hidden, honours_modes=honours_modes)
    snapshot = Snapshot(
        commit=commit,
        changes=changes,
        contents={},
        unknown={},
        behind={},
        disk=dict(changes),
        ignored=ignored,
    )
    # Also what HEAD alone holds, the index not: a file that was moved away after it was loaded.
    counting = tracked | outside | (loaded & committed.keys())
    _put_what_was_loaded(top, snapshot, {path: sources[path] for path in counting}, honours_modes=honours_modes)
    for path in committed.keys() | inside.keys():
        if is_populated(top, path):
            below = {file: sources[path + b"/" + file] for file in inside.get(path, ())}
            submodule = read_snapshot(on_disk(top, path), functools.partial(dict, below), _own_below(path, own))
            entry = SUBMODULE, submodule.commit
            if entry != committed.get(path, entry):
                changes[path] = snapshot.disk[path] = entry
            _take_up(snapshot, path + b"/", submodule)
    return snapshot


def _own_below(path: bytes, own: Set[bytes]) -> Set[bytes]:
    return {file[len(path) + 1 :] for file in own if file.startswith(path + b"/")}


def _take_up(snapshot: Snapshot, prefix: bytes, submodule: Snapshot) -> None:
    """Add what a submodule holds to the snapshot of the work tree around it."""
    snapshot.changes.update({prefix + path: entry for path, entry in submodule.changes.items()})
    snapshot.contents.update({prefix + path: content for path, content in submodule.contents.items()})
    snapshot.unknown.update({prefix + path: reason for path, reason in submodule.unknown.items()})
    snapshot.behind.update({prefix + path: remark for path, remark in submodule.behind.items()})
    snapshot.disk.update({prefix + path: entry for path, entry in submodule.disk.items()})
    snapshot.ignored.update(prefix + path for path in submodule.ignored)


def _put_what_was_loaded(top: str, snapshot: Snapshot, sources: Sources, *, honours_modes: bool) -> None:
    """Put what was loaded in the place of what the disk holds now."""
    bodies = running_bodies()
    # Now that git has read: what is written from here on is seen as another fingerprint, and not taken for what runs.
    found = {path: one for path, some in sources.items() if (one := counted(some, bodies)) is not None}
    expected: dict[bytes, Entry] = {}
    for some_paths in in_portions(sorted(found)):
        expected.update(
            parse_entries(run_git(top, ["ls-tree", "-z", "--full-tree", snapshot.commit, "--", *some_paths]))
        )
    for path, one in found.items():
        committed = expected.get(path, ABSENT)
        snapshot.changes.pop(path, None)
        if isinstance(one, Unknown):
            snapshot.changes[path] = "100644", one.id
            snapshot.unknown[path] = one.reason
            continue
        if one.mode is not None and stat.S_ISLNK(one.mode):
            entry = LINK, id_of_blob(len(one.content), [one.content], snapshot.commit)
            if entry != committed:
                snapshot.changes[path], snapshot.contents[path] = entry, one.content
            continue
        on_disk_mode = "100755" if one.mode is not None and one.mode & stat.S_IXUSR else "100644"
        says_nothing = one.mode is None or not honours_modes
        mode = committed[0] if says_nothing and committed[0].startswith("10") else on_disk_mode
        entry = mode, id_of_content(top, path, one.content, committed[1])
        if entry != committed:
            snapshot.changes[path] = entry
            snapshot.contents[path] = one.content
    # After all were counted, which notes the loads that were not seen.
    behind = left_behind()
    for path in sources.keys() - snapshot.unknown.keys() if behind else ():
        for one_behind in [behind[one.name] for one in sources[path] if one.name in behind and one.target is None]:
            snapshot.changes[path] = "100644", one_behind.id
            snapshot.behind[path] = one_behind.remark
            snapshot.contents.pop(path, None)


def submodules_of(top: str) -> list[tuple[str, str]]:
    """The submodules in the index of a work tree, and their commits.

    Raises:
        CodeStateError: git cannot say.
    """
    if not os.path.lexists(os.path.join(top, ".gitmodules")):
        return []
    entries = parse_entries(run_git(top, ["ls-files", "--stage", "-z"]))
    return [(os.fsdecode(path), commit) for path, (mode, commit) in entries if mode == SUBMODULE]


def update_snapshot(top: str, snapshot: Snapshot, sources: Sources, own: Set[bytes] = frozenset()) -> Snapshot:
    """A snapshot, with what the work tree now holds at the files of modules loaded since.

    Args:
        top: the top directory of the work tree.
        snapshot: what was read when its commit was checked out.
        sources: the modules by their files, relative to the top, as git writes paths.
        own: the files among them that count also where they are ignored.

    Raises:
        CodeStateError: git cannot say.
    """
    loaded = set(sources)
    asked = sorted({*loaded, *(above for path in loaded for above in directories_above(path))})
    committed: dict[bytes, Entry] = {}
    for some in in_portions(asked):
        output = run_git(top, ["ls-tree", "-z", "--full-tree", snapshot.commit, "--", *some])
        committed.update(entry for entry in parse_entries(output) if entry[1][0] != DIRECTORY)
    inside, outside = _by_submodule(top, loaded, lambda path: path in committed and path not in loaded)
    ignored = _ignored(top, outside - committed.keys() - own, committed.keys())
    outside -= ignored
    outside -= {path for path in outside - committed.keys() if are_links_as_then(sources[path])}
    kept = _without(snapshot, outside.__contains__)
    kept.ignored.update(ignored)
    expected = {path: committed.get(path, ABSENT) for path in outside}
    untracked = outside - committed.keys()
    honours_modes = honours_modes_at(top)
    kept.changes.update(changes_in_files(top, snapshot.commit, expected, untracked, {}, honours_modes=honours_modes))
    _put_what_was_loaded(top, kept, {path: sources[path] for path in outside}, honours_modes=honours_modes)
    for path in untracked:  # which is looked at from now on, and was on the disk what it was loaded as
        kept.disk.setdefault(path, kept.changes.get(path, ABSENT))
    for path, files in inside.items():
        prefix = path + b"/"
        commit = kept.changes.get(path, committed[path])[1]
        below = _below(kept, prefix, commit)
        submodule = update_snapshot(
            on_disk(top, path), below, {file: sources[prefix + file] for file in files}, _own_below(path, own)
        )
        kept = _without(kept, functools.partial(_starts_with, prefix))
        _take_up(kept, prefix, submodule)
    return kept


def committed_between(top: str, old: str, new: str) -> dict[bytes, tuple[Entry, Entry]]:
    """The entries of two commits at each path where they differ.

    Raises:
        CodeStateError: git cannot say.
    """
    if old == new:
        return {}
    output = run_git(top, ["diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", old, new, "--"])
    return dict(parse_differences(output))


def changed_paths(top: str, before: Snapshot, after: Snapshot) -> set[bytes]:
    """Where the disk does not hold what it held before; a commit of what it held is not a change.

    Raises:
        CodeStateError: git cannot say.
    """
    committed = committed_between(top, before.commit, after.commit)
    found = set()
    for path in before.disk.keys() | after.disk.keys() | committed.keys():
        # None is what both commits hold alike.
        old, new = committed.get(path, (None, None))
        if before.disk.get(path, old) != after.disk.get(path, new):
            found.add(path)
    return found


def _without(snapshot: Snapshot, is_left_out: Callable[[bytes], bool]) -> Snapshot:
    """A snapshot whose changes are without some paths."""
    return replaced(
        snapshot,
        changes={path: entry for path, entry in snapshot.changes.items() if not is_left_out(path)},
        contents={path: content for path, content in snapshot.contents.items() if not is_left_out(path)},
        unknown={path: reason for path, reason in snapshot.unknown.items() if not is_left_out(path)},
        behind={path: remark for path, remark in snapshot.behind.items() if not is_left_out(path)},
        disk=dict(snapshot.disk),
        ignored=set(snapshot.ignored),
    )


def _starts_with(prefix: bytes, path: bytes) -> bool:
    return path.startswith(prefix)


def _below(snapshot: Snapshot, prefix: bytes, commit: str) -> Snapshot:
    """What a snapshot says of a submodule."""
    inside = _without(snapshot, lambda path: not path.startswith(prefix))
    start = len(prefix)
    return Snapshot(
        commit=commit,
        changes={path[start:]: entry for path, entry in inside.changes.items()},
        contents={path[start:]: content for path, content in inside.contents.items()},
        unknown={path[start:]: reason for path, reason in inside.unknown.items()},
        behind={path[start:]: remark for path, remark in inside.behind.items()},
        disk={path[start:]: entry for path, entry in inside.disk.items() if path.startswith(prefix)},
        ignored={path[start:] for path in inside.ignored if path.startswith(prefix)},
    )


def _by_submodule(
    top: str, paths: Iterable[bytes], is_tracked: Callable[[bytes], bool]
) -> tuple[dict[bytes, set[bytes]], set[bytes]]:
    """The paths in submodules that are checked out, by submodule, and the other paths."""
    inside: dict[bytes, set[bytes]] = {}
    outside: set[bytes] = set()
    for path in paths:
        for above in directories_above(path):
            if is_tracked(above) and is_populated(top, above):
                inside.setdefault(above, set()).add(path[len(above) + 1 :])
                break
        else:
            outside.add(path)
    return inside, outside


def _touched_since(top: str, moment: _GitStamp, paths: Iterable[bytes]) -> Iterator[bytes]:
    """The files that were written after the index was.

    Git compares whole seconds, and takes an edit of the same size for none when
    its times were set back within the second in which the index was written.
    """
    _, index_file = moment
    for path in paths:
        try:
            if index_file is None or os.lstat(on_disk(top, path)).st_ctime_ns >= index_file[0]:
                yield path
        except OSError:
            continue  # deleted, which status reports


def _ignored(top: str, paths: Iterable[bytes], index: Container[bytes]) -> set[bytes]:
    """Those of some untracked paths that the .gitignore files of the work tree ignore."""
    # ls-files fails on a path below a submodule; nothing there is ignored by this work tree.
    asked = {path for path in paths if not any(above in index for above in directories_above(path))}
    ask = ["ls-files", "--others", "--ignored", "--exclude-per-directory=.gitignore", "-z", "--"]
    ignored: set[bytes] = set()
    for some in in_portions(sorted(asked)):
        output = run_git(top, [*ask, *some])
        # A nested repository is listed as one directory.
        ignored.update(entry.rstrip(b"/") for entry in output.split(b"\0")[:-1])
    ignored.update(_ignored_if_it_were_there(top, {path for path in asked if not os.path.lexists(on_disk(top, path))}))
    return {path for path in asked if path in ignored or any(above in ignored for above in directories_above(path))}


def _ignored_if_it_were_there(top: str, paths: set[bytes]) -> set[bytes]:
    """Those of some paths without a file, as of modules from another copy, that .gitignore files name."""
    if not paths:
        return set()
    # It knows no literal paths.
    ask = ["--no-literal-pathspecs", "check-ignore", "--verbose", "-z", "--stdin"]
    try:
        output = run_git(top, ask, stdin=b"\0".join(paths) + b"\0")
    except CodeStateError:
        return set()  # it fails where it names none; of what counts, no name is false
    fields = output.split(b"\0")
    # The source of the pattern, its line, the pattern, the path: users' own patterns do not count.
    return {
        path
        for source, pattern, path in zip(fields[::4], fields[2::4], fields[3::4], strict=False)
        if os.path.basename(source) == b".gitignore" and not os.path.isabs(source) and not pattern.startswith(b"!")
    }
