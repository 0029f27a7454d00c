"""Which work tree holds a path, and where its git directories are.

Sources: git-rev-parse(1), gitrepository-layout(5).
"""

from __future__ import annotations

import os
import re

from pyrepro._code.git import run_git
from pyrepro._paths import is_inside


def find_work_tree(path: str) -> str | None:
    """The top directory of the innermost work tree that holds a path, or None.

    Args:
        path: an absolute path without symbolic links.

    Raises:
        CodeStateError: git has to be asked, and fails.
    """
    directory = path
    while True:
        if _is_git_directory(directory):
            return None
        marker = os.path.join(directory, ".git")
        if os.path.isfile(marker) or _is_git_directory(marker):
            top = ask_for_top(directory) if _may_lie_elsewhere(directory) else directory
            return top if _is_within(path, top) else None
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent


def ask_for_top(directory: str) -> str:
    """The top directory of the work tree that git itself finds from a directory.

    Raises:
        CodeStateError: git finds none; the message holds git's own words.
    """
    output = run_git(directory, ["rev-parse", "--show-toplevel"], is_top=False)
    return os.path.realpath(os.fsdecode(output.rstrip(b"\n")))


def _is_within(path: str, top: str) -> bool:
    return path == top or is_inside(path, top)


def _is_git_directory(path: str) -> bool:
    if not os.path.isfile(os.path.join(path, "HEAD")):
        return False
    return all(os.path.isdir(os.path.join(path, name)) for name in ("objects", "refs"))


def git_directories(top: str) -> tuple[str, str]:
    """The git directory of a work tree, and the one that it shares with other work trees, most often the same."""
    git_dir = os.path.join(top, ".git")
    if os.path.isfile(git_dir):
        target = bytes_of(git_dir).partition(b"gitdir:")[2].strip()
        git_dir = os.path.join(top, os.fsdecode(target))
    common = bytes_of(os.path.join(git_dir, "commondir")).strip()
    return git_dir, os.path.join(git_dir, os.fsdecode(common)) if common else git_dir


def other_work_trees_of(top: str) -> list[str]:
    """The top directories of the other work trees of the same repository, as git worktree lists them."""
    _, common_dir = git_directories(top)
    listed = os.path.join(common_dir, "worktrees")
    try:
        names = sorted(os.listdir(listed))
    except OSError:
        return []  # as in nearly all repositories
    markers = [os.path.realpath(common_dir)]
    for name in names:
        marker = os.fsdecode(bytes_of(os.path.join(listed, name, "gitdir")).strip())
        markers.append(os.path.realpath(os.path.join(listed, name, marker)))
    # The repository itself has no work tree where it is bare.
    tops = [os.path.dirname(marker) for marker in markers if os.path.basename(marker) == ".git"]
    return [other for other in tops if other != top]


def bytes_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _may_lie_elsewhere(top: str) -> bool:
    """Whether git may see another work tree here than the directory that holds .git."""
    git_dir, common_dir = git_directories(top)
    files = (os.path.join(common_dir, "config"), os.path.join(git_dir, "config.worktree"))
    return os.pathsep in top or any(_names_a_work_tree(bytes_of(file)) for file in files)


def _names_a_work_tree(configuration: bytes) -> bool:
    # Most name none, which is seen without an expression to compile.
    return b"worktree" in configuration.lower() and bool(re.search(rb"(?i)\bworktree\s*=", configuration))
