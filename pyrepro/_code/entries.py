"""What git would make of the files of a work tree: their modes, and their ids after clean filters.

Sources: git-hash-object(1), gitattributes(5).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pyrepro._code.git import run_git
from pyrepro._code.porcelain import ABSENT, LINK, SUBMODULE, Entry, parse_entries
from pyrepro._code.repository import git_directories
from pyrepro.errors import CodeStateError

_PATHS_A_COMMAND = 100  # Windows takes 32,767 characters
_BLOCK = 2**20


def changes_in_files(
    top: str,
    commit: str,
    committed: Mapping[bytes, Entry],
    untracked: set[bytes],
    hidden: Mapping[bytes, bool],
    *,
    honours_modes: bool,
) -> dict[bytes, Entry]:
    """What stands on disk in place of what the commit holds; submodules that are checked out left out."""
    found: dict[bytes, Entry] = {}
    to_hash: dict[bytes, str] = {}
    paths = committed.keys() | untracked
    expected_modes = {path: committed.get(path, ABSENT)[0] for path in paths}
    modes = {path: _mode_on_disk(top, path, expected_modes[path], honours_modes) for path in paths}
    if honours_modes and _shows_no_execute_bits(top, commit, expected_modes, modes):
        modes = {path: _mode_on_disk(top, path, expected_modes[path], honours_modes=False) for path in paths}
    for path, mode in modes.items():
        if mode == ABSENT[0]:
            if not hidden.get(path):
                found[path] = ABSENT
        elif mode == LINK:
            found[path] = mode, _id_of_link(top, path, commit)
        elif mode != SUBMODULE:
            to_hash[path] = mode
    found.update(hash_files(top, to_hash))
    return {
        path: entry
        for path, entry in found.items()
        if path in untracked
        or (entry != committed.get(path) and not _differs_in_line_ends(top, path, committed[path], entry))
    }


def _mode_at(top: str, file: str) -> int | None:
    """The mode of what stands at a path of a work tree, None where nothing does.

    Raises:
        CodeStateError: it cannot be looked at.
    """
    try:
        return os.lstat(file).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # behind a link that leads to itself
            return None
        raise CodeStateError(
            f"whether {file} was changed cannot be determined: {error.strerror}; make {shlex.join(['ls', '-l', file])} "
            f"work, or declare the state with PYREPRO_CODE_STATE",
            work_tree=top,
        ) from error


def _differs_in_line_ends(top: str, path: bytes, committed: Entry, hashed: Entry) -> bool:
    """Whether a file holds the very bytes of the commit, and hash-object alone gives its lines other ends.

    To git, a file that was committed with CRLF is unchanged, whatever ``text=auto`` and core.autocrlf say of new files;
    hash-object does not look at what was committed. What another filter changes is a change though the bytes are those
    of the commit: a checkout would not have written them.
    """
    if ABSENT in (committed, hashed) or committed[0] != hashed[0] or hashed[0] == LINK:
        return False
    try:
        with open(on_disk(top, path), "rb") as file:
            as_it_is = id_of_blob(os.fstat(file.fileno()).st_size, iter(lambda: file.read(_BLOCK), b""), committed[1])
            if as_it_is != committed[1]:
                return False
            file.seek(0)
            size = sum(len(line) - line.endswith(b"\r\n") for line in file)
            file.seek(0)
            return hashed[1] == id_of_blob(size, (line.replace(b"\r\n", b"\n") for line in file), committed[1])
    except OSError:
        return False  # deleted since it was hashed


def honours_modes_at(top: str) -> bool:
    """Whether the file system has modes and links, so that git shall compare them."""
    head = os.path.join(git_directories(top)[0], "HEAD")
    # A file system without mode bits shows every file as executable, this one too.
    return os.name != "nt" and not (os.access(head, os.F_OK) and os.stat(head).st_mode & stat.S_IXUSR)


def _shows_no_execute_bits(top: str, commit: str, expected: Mapping[bytes, str], modes: Mapping[bytes, str]) -> bool:
    """Whether the work tree is on a mount that shows every file without execute bits.

    To write a file and see would tell, but a reading writes nothing. So all that is there must speak for it: git could
    not set the bit of a file when it made the repository, which it noted in the repository's own configuration, and
    none shows it of what git made executable, the files of the commit and the sample hooks. Bits that a person took
    from some of these files, or from all where git could set them, are changes.
    """
    if not any(mode == "100644" and expected[path] == "100755" for path, mode in modes.items()):
        return False  # before all else, since it takes no process
    if "100755" in modes.values():
        return False
    ask = ["config", "--local", "--type=bool", "--default=true", "--get", "core.fileMode"]
    if run_git(top, ask).strip() == b"true" or any(map(_is_executable, _hooks(top))):
        return False
    tree = parse_entries(run_git(top, ["ls-tree", "-r", "-z", "--full-tree", commit]))
    return not any(mode == "100755" and _is_executable(on_disk(top, path)) for path, (mode, _) in tree)


def _hooks(top: str) -> list[str]:
    """The files among the hooks, if the repository is on the mount of its work tree."""
    hooks = os.path.join(git_directories(top)[1], "hooks")
    try:
        names = os.listdir(hooks) if os.stat(hooks).st_dev == os.stat(top).st_dev else []
    except OSError:
        return []
    return [os.path.join(hooks, name) for name in names]


def _is_executable(path: str) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & stat.S_IXUSR)


def directories_above(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


def on_disk(top: str, path: bytes) -> str:
    return os.path.join(top, os.fsdecode(path))


def is_populated(top: str, path: bytes) -> bool:
    return _mode_at(top, os.path.join(on_disk(top, path), ".git")) is not None


def _mode_on_disk(top: str, path: bytes, expected: str, honours_modes: bool) -> str:
    """The mode, as git writes it, of what stands at a path; absent for what git could not track."""
    absent = ABSENT[0]
    # Behind a link stands another file: git tracks the link, not what it leads to.
    if any(os.path.islink(on_disk(top, above)) for above in directories_above(path)):
        return absent
    mode = _mode_at(top, on_disk(top, path))
    if mode is None:
        return absent
    if stat.S_ISLNK(mode):
        return LINK
    if stat.S_ISREG(mode):
        if honours_modes:
            return "100755" if mode & stat.S_IXUSR else "100644"
        return expected if expected.startswith("10") else "100644"
    # A submodule that is not checked out is a directory, and no change.
    return SUBMODULE if stat.S_ISDIR(mode) and (expected == SUBMODULE or is_populated(top, path)) else absent


def _id_of_link(top: str, path: bytes, commit: str) -> str:
    # hash-object follows links, and reads the content of one blob a process from standard input.
    target = os.fsencode(os.readlink(on_disk(top, path)))
    return id_of_blob(len(target), [target], commit)


def id_of_blob(size: int, content: Iterable[bytes], other: str) -> str:
    """The id of a blob, by the algorithm that gave another id of the repository."""
    digest = hashlib.new("sha1" if len(other) == 40 else "sha256", b"blob %d\0" % size, usedforsecurity=False)
    for part in content:
        digest.update(part)
    return digest.hexdigest()


def hash_files(
    top: str, modes: dict[bytes, str], options: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> dict[bytes, Entry]:
    """The entries of regular files, their content after clean filters."""
    if not modes:
        return {}
    paths = b"".join(_quoted_for_git(path) + b"\n" for path in modes)
    output = run_git(top, ["hash-object", *options, "--stdin-paths"], stdin=paths, environment=environment)
    ids = output.decode().split()
    return {path: (mode, object_id) for (path, mode), object_id in zip(modes.items(), ids, strict=True)}


def _quoted_for_git(path: bytes) -> bytes:
    """A path as git quotes it, so that line ends in names do not end lines."""
    special = re.compile(rb"[\x00-\x1f\x7f\"\\]")
    return b'"' + special.sub(lambda match: b"\\%03o" % match[0][0], path) + b'"'


def in_portions(paths: Sequence[bytes]) -> Iterator[list[str]]:
    for start in range(0, len(paths), _PATHS_A_COMMAND):
        yield [os.fsdecode(path) for path in paths[start : start + _PATHS_A_COMMAND]]


def id_of_content(top: str, path: bytes, content: bytes, committed: str) -> str:
    """The id of a content after clean filters."""
    # The raw one first: most need no filter, and git hashes one content a process.
    if committed and id_of_blob(len(content), [content], committed) == committed:
        return committed
    return run_git(top, ["hash-object", "--stdin", f"--path={os.fsdecode(path)}"], stdin=content).decode().strip()
