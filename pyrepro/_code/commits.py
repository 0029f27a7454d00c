"""What a clone knows of commits: their subjects, and which of them nothing reaches.

Sources: git-cat-file(1), git-rev-list(1).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

from pyrepro._code.git import run_git
from pyrepro._code.repository import find_work_tree, git_directories, other_work_trees_of
from pyrepro._code.state import read_code, state_of_work_tree, work_tree_of
from pyrepro.errors import CodeStateError

_NO_FETCH = {"GIT_NO_LAZY_FETCH": "1"}
"""A partial clone shall not fetch what it is only asked for."""


def work_tree_at_hand(directory: str) -> str | None:
    """The work tree that holds a directory, else the one that holds the working directory; None if there is none.

    Raises:
        CodeStateError: git has to be asked, and fails.
    """
    return find_work_tree(os.path.realpath(directory)) or find_work_tree(os.path.realpath(os.curdir))


def subjects_of(top: str, commits: Iterable[str]) -> dict[str, str]:
    """The first line of the message of each commit that a clone has.

    Args:
        top: its work tree.
        commits: full commits.

    Raises:
        CodeStateError: git cannot say.
    """
    asked = sorted({*commits})
    command = ["cat-file", "--batch"]
    output = run_git(top, command, stdin="".join(f"{one}\n" for one in asked).encode(), environment=_NO_FETCH)
    subjects = {}
    while output:
        header, _, output = output.partition(b"\n")
        name, *kind = header.decode().split(" ")
        if kind == ["missing"]:
            continue
        size = int(kind[1])
        content, output = output[:size], output[size + 1 :]
        message = content.partition(b"\n\n")[2].lstrip(b"\n")
        subjects[name] = message.partition(b"\n")[0].decode(errors="replace")
    return subjects


class Commits:
    """Which commits of a clone something reaches, and the states that its work trees are in.

    Args:
        top: its work tree.

    Raises:
        CodeStateError: the clone is shallow, or git cannot say.
    """

    def __init__(self, top: str) -> None:
        self._top = top
        if os.path.exists(os.path.join(git_directories(top)[1], "shallow")):
            raise CodeStateError(
                f"{top} is a shallow clone, so what its refs reach cannot be determined; "
                f"type: git -C {shlex.quote(top)} fetch --unshallow",
                work_tree=top,
            )
        # As the files of the work tree are, and as they were loaded into this process.
        self.present = {state_of_work_tree(top), read_code([], repo=top).state}
        others = (other for other in other_work_trees_of(top) if os.path.lexists(os.path.join(other, ".git")))
        self.present.update(map(state_of_work_tree, others))

    @classmethod
    def of(cls, directory: str, repo: str | None) -> Commits:
        """Those of a repository, by default of the one at hand.

        Raises:
            CodeStateError: there is none, or it cannot be read.
        """
        top = work_tree_of(repo) if repo is not None else work_tree_at_hand(directory)
        if top is None:
            raise CodeStateError(
                f"looked for a git work tree that holds {directory or os.curdir} or the working directory, and found "
                f"none; pass repo=<path of the work tree>"
            )
        return cls(top)

    def loadable_untracked(self) -> bool:
        """Whether there are files that code would be loaded from, and that git does not track or ignore.

        Raises:
            CodeStateError: git cannot say.
        """
        from importlib.machinery import all_suffixes

        output = run_git(self._top, ["ls-files", "--others", "--exclude-standard", "-z"])
        suffixes = tuple(map(os.fsencode, (*all_suffixes(), ".zip")))
        # A repository in it is listed as a directory.
        return any(path.endswith((*suffixes, b"/")) for path in output.split(b"\0"))

    def full(self, abbreviated: Iterable[str]) -> dict[str, str]:
        """The full commit of each abbreviated one that this clone has, and has but one of.

        Raises:
            CodeStateError: git cannot say.
        """
        asked = sorted({*abbreviated})
        command = ["cat-file", "--batch-check=%(objectname)"]
        stdin = "".join(f"{one}^{{commit}}\n" for one in asked).encode()
        lines = run_git(self._top, command, stdin=stdin, environment=_NO_FETCH).decode().splitlines()
        # A branch may have the name of another commit.
        return {one: line for one, line in zip(asked, lines, strict=True) if line.startswith(one) and " " not in line}

    def unreachable(self, commits: Iterable[str]) -> set[str]:
        """The commits that no ref, no reflog and no HEAD of a work tree reaches.

        Args:
            commits: full commits that this clone has.

        Raises:
            CodeStateError: git cannot say.
        """
        asked = sorted({*commits})
        if not asked:
            return set()
        # --all and --reflog go over those of all work trees, detached HEADs included.
        command = ["rev-list", "--stdin", "--not", "--all", "--reflog"]
        output = run_git(self._top, command, stdin="".join(f"{one}\n" for one in asked).encode())
        return {*asked} & {*output.decode().split()}
