"""The code key: what an artifact depends on, whatever the history; and the guard of ``code=``.

Source: git-ls-tree(1). A clone that is shallow, a merge, a squash, a rebase and an amended message all keep
what it lists, where ``git log`` gives other commits.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Iterable
from typing import NamedTuple

from pyrepro._code.git import run_git
from pyrepro._code.porcelain import ABSENT, SUBMODULE, parse_entries
from pyrepro._code.state import Reading, digested_path, loaded_paths
from pyrepro._code.work_tree import directories_above, in_portions, on_disk


class CodePaths(NamedTuple):
    """What an artifact depends on: paths from the top of the work tree, and those that are left out."""

    included: tuple[bytes, ...]  # none: all the rest
    excluded: tuple[bytes, ...]

    def cover(self, path: bytes) -> bool:
        """Whether an artifact depends on a path."""
        return (not self.included or _is_below(path, self.included)) and not self.leave_out(path)

    def leave_out(self, path: bytes) -> bool:
        """Whether a path is left out in so many words."""
        return _is_below(path, self.excluded)

    @property
    def texts(self) -> list[str]:
        """The paths as they were given."""
        return [os.fsdecode(path) or "." for path in self.included] + ["!" + os.fsdecode(p) for p in self.excluded]


EVERYTHING = CodePaths((), ())


def code_paths_of(texts: Iterable[str]) -> CodePaths:
    """The paths that ``code=`` names; one that begins with ``!`` is left out.

    Raises:
        ValueError: a path is empty or absolute, or leads out of the work tree.
    """
    included: list[bytes] = []
    excluded: list[bytes] = []
    for text in texts:
        path = os.path.normpath(text.removeprefix("!")) if text.removeprefix("!") else ""
        if not path or os.path.isabs(path) or path.split(os.sep)[0] == os.pardir:
            raise ValueError(
                f"code={text!r} is not a path in the work tree; "
                f"pass paths from its top, such as 'src' or '!docs', or '.' for all of it"
            )
        name = b"" if path == os.curdir else os.fsencode(path.replace(os.sep, "/"))
        (excluded if text.startswith("!") else included).append(name)
    return CodePaths(tuple(included), tuple(excluded))


def check_code_paths(reading: Reading, code: CodePaths) -> None:
    """Check that there is something at each path.

    Raises:
        CodeStateError: git cannot say.
        ValueError: there is nothing, or nothing that git tracks.
    """
    top = reading.work_tree
    asked = sorted({*code.included, *code.excluded} - {b""})
    if top is None or not asked:
        return
    committed: dict[bytes, str] = {}
    for some in in_portions(sorted({*asked, *(above for path in asked for above in directories_above(path))})):
        listed = parse_entries(run_git(top, ["ls-tree", "-z", "--full-tree", reading.state.commit, "--", *some]))
        committed.update((path, mode) for path, (mode, _) in listed)
    for path in asked:
        if path in committed or any(_is_below(change, [path]) for change in reading.changes):
            continue
        submodule = next((one for one in directories_above(path) if committed.get(one) == SUBMODULE), None)
        if path in code.excluded and (submodule is not None or os.path.lexists(on_disk(top, path))):
            continue
        text = os.fsdecode(path)
        if submodule is not None:
            found = f"is in the submodule {os.fsdecode(submodule)}, which counts as its commit; pass that"
        elif os.path.lexists(on_disk(top, path)):
            found = f"is not tracked, so no key would cover it; type: git add {text}"
        else:
            listed = parse_entries(run_git(top, ["ls-tree", "-r", "-t", "-z", "--full-tree", reading.state.commit]))
            close = difflib.get_close_matches(text, [os.fsdecode(one) for one, _ in listed], 1)
            found = "is not in it; pass paths from its top" + (f", such as {close[0]!r}" if close else "")
        raise ValueError(f"code={text!r}: looked in the work tree {top} at commit {reading.state.commit[:12]}: {found}")


def unguarded_modules(reading: Reading, code: CodePaths) -> list[str]:
    """The files of loaded modules of the work tree that are neither covered nor left out."""
    paths = loaded_paths(reading) - reading.snapshot.ignored
    return [os.fsdecode(path) for path in sorted(paths) if not code.cover(path) and not code.leave_out(path)]


def code_key(reading: Reading, code: CodePaths) -> str | None:
    """The code key, 64 hex digits: SHA-256 over the canonical JSON of ``[path, mode, id]`` of everything covered.

    Args:
        reading: which commit is checked out, and what differs from it.
        code: what the artifact depends on.

    Returns:
        The key; None where nobody knows what runs, or no work tree can be read.

    Raises:
        CodeStateError: git cannot say.
    """
    top = reading.work_tree
    if top is None or reading.snapshot.unknown:
        return None
    listed = ["ls-tree", "-r", "-z", "--full-tree", reading.state.commit]
    covered = [] if b"" in code.included else [os.fsdecode(path) for path in sorted(code.included)]
    entries = dict(parse_entries(run_git(top, [*listed, "--", *covered] if covered else listed)))
    entries.update(reading.changes)
    found = sorted(
        [digested_path(path), mode, object_id]
        for path, (mode, object_id) in entries.items()
        # What was typed has no path.
        if (not path or code.cover(path)) and (mode, object_id) != ABSENT
    )
    # All of it is ASCII, of which this is the canonical form, and a hundred thousand entries are many.
    return hashlib.sha256(json.dumps(found, separators=(",", ":")).encode()).hexdigest()


def _is_below(path: bytes, directories: Iterable[bytes]) -> bool:
    return any(not one or path == one or path.startswith(one + b"/") for one in directories)
