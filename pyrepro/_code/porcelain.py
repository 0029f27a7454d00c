"""What git prints, parsed: status, the listing of the index, the entries of index and tree, and their differences.

Sources: git-status(1) "Porcelain Format Version 2", git-ls-files(1), git-ls-tree(1), git-diff-tree(1).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pyrepro._value import is_hex
from pyrepro.errors import CodeStateError

ABSENT = ("000000", "")
SUBMODULE = "160000"
LINK = "120000"
DIRECTORY = "040000"

Entry = tuple[str, str]
"""A mode as git writes it and an object id; ABSENT where there is nothing."""


class Index:
    """The paths of the index, as ``ls-files -v -z`` lists them: sorted, each after a letter and a space."""

    def __init__(self, listing: bytes) -> None:
        self._listing = listing

    def __contains__(self, path: object) -> bool:
        assert isinstance(path, bytes)
        # To search the sorted text takes no time, beside making a set of a hundred thousand paths.
        low, high = 0, len(self._listing)
        while low < high:
            start = self._listing.rfind(b"\0", low, (low + high) // 2) + 1 or low
            end = self._listing.index(b"\0", start)
            found = self._listing[start + 2 : end]
            if found == path:
                return True
            low, high = (end + 1, high) if found < path else (low, start)
        return False

    def hidden(self) -> dict[bytes, bool]:
        """The paths whose changes git hides: True if one need not be on disk."""
        entries = self._listing.count(b"\0")
        if entries == self._listing.count(b"\0H ") + self._listing.startswith(b"H "):
            return {}
        ordinary = (b"H ", b"M ")
        listed = self._listing.split(b"\0")[:-1]
        return {entry[2:]: entry[:1] in b"Ss" for entry in listed if entry[:2] not in ordinary}


def parse_words(words: bytes, index: Index) -> list[bytes]:
    """The paths of the index of which ``git status`` said something beside its output.

    What it could not look at it leaves out, says so, and succeeds. A clean filter may say anything.
    """
    return [path for line in words.splitlines() if (path := line.rpartition(b": ")[0]) in index]


def parse_status(output: bytes, top: str) -> tuple[str, dict[bytes, Entry], list[bytes]]:
    """The commit, what it holds at each path that git reports, and the unmerged paths, of which it does not say."""
    commit = ""
    committed: dict[bytes, Entry] = {}
    unmerged: list[bytes] = []
    for line in output.split(b"\0")[:-1]:
        kind = line[:2]
        if kind == b"1 ":
            _, _, _, mode, _, _, object_id, _, path = line.split(b" ", 8)
            committed[path] = _entry(mode, object_id)
        elif kind == b"u ":
            unmerged.append(line.split(b" ", 10)[10])
        elif line.startswith(b"# branch.oid "):
            commit = line.rpartition(b" ")[2].decode()
        elif kind != b"# ":
            raise CodeStateError(
                f"git status in {top} printed {line!r}, which is not known here; "
                f"report it to the authors of pyrepro, with the version of git",
                work_tree=top,
            )
    if not is_hex(commit, 40, 64):
        raise CodeStateError(
            f"the work tree {top} has no commit yet; commit the code that runs: "
            f"cd {shlex.quote(top)} && git add -A && git commit",
            work_tree=top,
        )
    if b"" in committed:  # which is the work tree itself, and would be looked at as a submodule in it
        raise CodeStateError(
            f"the index of the work tree {top} is damaged: it lists a file without a name; "
            f"make it anew, without what was staged, with: git -C {shlex.quote(top)} read-tree HEAD",
            work_tree=top,
        )
    return commit, committed, unmerged


def parse_entries(output: bytes) -> Iterator[tuple[bytes, Entry]]:
    """The paths and entries that ``ls-files --stage`` and ``ls-tree`` list."""
    for line in output.split(b"\0")[:-1]:
        fields, _, path = line.partition(b"\t")
        mode, *others = fields.split(b" ")
        # The one says the stage behind the id, the other the kind before it; both are shorter than an id.
        yield path, _entry(mode, max(others, key=len))


def parse_differences(output: bytes) -> Iterator[tuple[bytes, tuple[Entry, Entry]]]:
    """The paths and both entries of what ``diff-tree --raw`` lists."""
    fields = iter(output.split(b"\0")[:-1])
    for line, path in zip(fields, fields, strict=True):
        mode, new_mode, object_id, new_id, _ = line.lstrip(b":").split(b" ")
        yield path, (_entry(mode, object_id), _entry(new_mode, new_id))


def _entry(mode: bytes, object_id: bytes) -> Entry:
    return ABSENT if mode == b"000000" else (mode.decode(), object_id.decode())
