"""The patch that turns a commit into the code that ran.

Sources: git-diff(1), git-update-index(1), git-apply(1); gitrepository-layout(5) for borrowed objects.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pyrepro._code.entries import directories_above, hash_files, in_portions, on_disk
from pyrepro._code.git import run_git
from pyrepro._code.porcelain import ABSENT, LINK, SUBMODULE, Entry, parse_entries
from pyrepro._code.repository import git_directories
from pyrepro._code.state import SESSION

LARGEST = 10_000_000
"""Bytes beyond which a patch is left out."""

_DIFF = (
    "diff",
    *("--cached", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames"),
    *("--no-relative", "--unified=3", "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/"),
)


class Patch(NamedTuple):
    """What ``git apply`` turns a commit into the code that ran with."""

    content: bytes | None  # None where there is none, or it is too large
    size: int
    left_out: tuple[str, ...]  # the changes that no patch can carry: submodules, and what was typed


NO_PATCH = Patch(None, 0, ())


class StaleError(Exception):
    """What stands on disk is no longer what was read."""


def make_patch(
    top: str,
    commit: str,
    changes: Mapping[bytes, Entry],
    contents: Mapping[bytes, bytes],
    unknown: Iterable[bytes],
) -> Patch:
    """The patch of exactly the changes that were read.

    An index of its own is filled with the commit and the changes, and their
    difference taken, so that it does not matter what is staged, hidden or
    untracked. Nothing is written into the repository.

    Args:
        top: the top directory of the work tree.
        commit: the full commit.
        changes: what the work tree holds in place of what the commit holds.
        contents: those of changes that the disk no longer holds.
        unknown: the paths whose former content is unknown.

    Raises:
        CodeStateError: git cannot say.
        StaleError: a file was changed since it was read.
    """
    lost = set(unknown)
    submodules = _submodules_among(top, commit, changes)
    carried = {
        path: entry for path, entry in changes.items() if path and not _is_below(path, submodules) and path not in lost
    }
    left_out = tuple(sorted(os.fsdecode(path) or SESSION for path in changes.keys() - carried.keys()))
    if not carried:
        return Patch(None, 0, left_out)
    with tempfile.TemporaryDirectory() as scratch:
        environment = _variables_for_scratch_objects(top, scratch)
        run_git(top, ["read-tree", commit], environment=environment)
        if _store_objects(top, carried, contents, environment) != carried:
            raise StaleError
        # What goes makes room for what comes: a directory where a file was.
        entries = sorted(carried.items(), key=lambda item: (item[1] != ABSENT, item[0]))
        lines = [f"{mode} {object_id or '0' * len(commit)}\t".encode() + path for path, (mode, object_id) in entries]
        run_git(top, ["update-index", "-z", "--index-info"], stdin=b"\0".join([*lines, b""]), environment=environment)
        content = run_git(top, [*_DIFF, commit], environment=environment)
    return Patch(content if len(content) <= LARGEST else None, len(content), left_out)


def _variables_for_scratch_objects(top: str, scratch: str) -> dict[str, str]:
    """Variables that give git an index and new objects outside the repository."""
    objects = os.path.join(scratch, "objects")
    os.mkdir(objects)
    borrowed = [os.path.join(git_directories(top)[1], "objects")]
    borrowed += filter(None, [os.environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES")])
    return {
        "GIT_INDEX_FILE": os.path.join(scratch, "index"),
        "GIT_OBJECT_DIRECTORY": objects,
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.pathsep.join(borrowed),
    }


def _store_objects(
    top: str, entries: Mapping[bytes, Entry], contents: Mapping[bytes, bytes], environment: Mapping[str, str]
) -> dict[bytes, Entry]:
    """The entries of what was loaded, or now stands on disk, the contents kept as objects of git."""
    files: dict[bytes, str] = {}
    found: dict[bytes, Entry] = {}
    for path, (mode, _) in entries.items():
        file = on_disk(top, path)
        if path in contents:
            filters = [] if mode == LINK else [f"--path={os.fsdecode(path)}"]
            command = ["hash-object", "-w", "--stdin", *filters]
            found[path] = mode, run_git(top, command, stdin=contents[path], environment=environment).decode().strip()
        elif mode == LINK and os.path.islink(file):
            target = os.fsencode(os.readlink(file))
            output = run_git(top, ["hash-object", "-w", "--stdin"], stdin=target, environment=environment)
            found[path] = mode, output.decode().strip()
        elif mode == ABSENT[0]:
            found[path] = ABSENT
        else:
            files[path] = mode
    return found | hash_files(top, files, ["-w"], environment)


def _submodules_among(top: str, commit: str, changes: Mapping[bytes, Entry]) -> set[bytes]:
    """The submodules at and above some paths."""
    found = {path for path, (mode, _) in changes.items() if mode == SUBMODULE}
    asked = sorted({*changes, *(above for path in changes for above in directories_above(path))} - {b""})
    for some in in_portions(asked):
        output = run_git(top, ["ls-tree", "-z", "--full-tree", commit, "--", *some])
        found.update(path for path, (mode, _) in parse_entries(output) if mode == SUBMODULE)
    return found


def _is_below(path: bytes, directories: set[bytes]) -> bool:
    return path in directories or any(path.startswith(directory + b"/") for directory in directories)
