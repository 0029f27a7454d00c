"""CodeState: which repository, what is loaded, clean or dirty, declared."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
import sys
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

import rfc8785

from pyrepro import _git
from pyrepro.errors import CodeStateError

_DECLARED = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})(?:-dirty-([0-9a-f]{64}))?")


@dataclass(frozen=True)
class CodeState:
    """The commit and the uncommitted changes of the code that runs.

    Its text, ``<commit>`` or ``<commit>-dirty-<changes>``, is what
    ``PYREPRO_CODE_STATE`` declares, and what it is in a configuration.

    Args:
        commit: the full commit, 40 or 64 hex digits.
        changes: the changes digest, 64 hex digits, or None for a clean tree.
    """

    commit: str
    changes: str | None = None

    def __str__(self) -> str:
        return self.commit if self.changes is None else f"{self.commit}-dirty-{self.changes}"


class Reading(NamedTuple):
    """A code state, the work tree that it was read from, and the changed paths."""

    state: CodeState
    work_tree: str | None = None
    paths: tuple[str, ...] = ()


def code_state(of: object = None) -> CodeState:
    """The state of the code in a repository, as git and the loaded modules say.

    Args:
        of: a path in a work tree, or a module; by default the file that calls,
            at a prompt the working directory.

    Returns:
        The state; its text is what ``PYREPRO_CODE_STATE`` declares.

    Raises:
        CodeStateError: there is no state to be had.
        TypeError: ``of`` is neither a path nor a module.
    """
    if of is None:
        return read_for([caller_file()]).state
    if isinstance(of, types.ModuleType):
        file = _file_of_module(of)
        if file is None:
            raise CodeStateError(f"the module {of.__name__} has no file; pass the path of its repository")
        if is_installed(file):
            raise CodeStateError(
                f"the module {of.__name__} is installed at {file}, not in a work tree; "
                f"put its version into the configuration: importlib.metadata.version({of.__name__!r})"
            )
        return read_for([file]).state
    if isinstance(of, (str, bytes, os.PathLike)):
        return read_for([], repo=os.fsdecode(of)).state
    raise TypeError(f"code_state takes a path or a module, not {of!r} of type {type(of).__name__}")


def read_for(files: Iterable[str | None], repo: str | None = None) -> Reading:
    """The state of the repository that holds the first of some files, or that is named.

    Args:
        files: the file of the function's module, then the one that applies the decorator.
        repo: a path in the work tree, instead of them.

    Raises:
        CodeStateError: there is no state to be had, or another one was declared.
    """
    files = [file for file in files if file is not None]
    declared = _declared()
    try:
        top = _work_tree_of(files, repo)
        reading = _read(top, files)
    except CodeStateError:
        if declared is None:
            raise
        return Reading(declared)
    if declared not in (None, reading.state):
        raise CodeStateError(
            f"PYREPRO_CODE_STATE declares {declared}, but the work tree {top} is at {reading.state}; "
            f"unset PYREPRO_CODE_STATE, or check out what it declares",
            work_tree=top,
        )
    return reading


def caller_frame() -> types.FrameType:
    """The innermost frame outside pyrepro."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "pyrepro":
        frame = frame.f_back
    return frame


def caller_file() -> str | None:
    """The file of the code that calls pyrepro, None where it has none."""
    frame = caller_frame()
    return _file_in(frame.f_globals) or _existing(frame.f_code.co_filename)


def function_file(function: object) -> str | None:
    """The file of a function's own module, None where it has none."""
    module_name = getattr(function, "__module__", None)
    namespace = getattr(function, "__globals__", {})
    if namespace.get("__name__") == module_name:
        code = getattr(function, "__code__", None)
        return _file_in(namespace) or (_existing(code.co_filename) if code else None)
    module = sys.modules.get(module_name) if isinstance(module_name, str) else None
    return None if module is None else _file_of_module(module)


def is_own_program() -> bool:
    """Whether this process runs a program of the user's own, not a tool that imports it."""
    file = _file_in(vars(sys.modules["__main__"]))
    multiprocessing = sys.modules.get("multiprocessing.process")
    is_child = multiprocessing is not None and multiprocessing.parent_process() is not None
    return file is not None and not is_child and not is_installed(file)


def is_installed(file: str) -> bool:
    """Whether a file belongs to an installed environment."""
    parts = file.replace(os.sep, "/")
    return "/site-packages/" in parts or "/dist-packages/" in parts or file.startswith(_installed_prefixes())


@functools.cache
def _installed_prefixes() -> tuple[str, ...]:
    import site
    import sysconfig

    paths = [sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib", "scripts")]
    if site.ENABLE_USER_SITE:
        paths.append(site.getusersitepackages())
    return tuple({os.path.join(path, "") for given in paths if given for path in (given, os.path.realpath(given))})


def _declared() -> CodeState | None:
    text = os.environ.get("PYREPRO_CODE_STATE")
    if not text:
        return None
    match = _DECLARED.fullmatch(text)
    if match is None:
        raise CodeStateError(
            f"PYREPRO_CODE_STATE={text!r} is neither <full commit> nor <full commit>-dirty-<full changes digest>; "
            f'print the value with: python -c "import pyrepro; print(pyrepro.code_state())"'
        )
    return CodeState(match[1], match[2])


def _work_tree_of(files: list[str], repo: str | None) -> str:
    if repo is not None:
        directory = os.path.realpath(repo)
        return _git.find_work_tree(directory) or _git.ask_for_top(directory)
    for file in files:
        if not is_installed(file) and (top := _git.find_work_tree(os.path.realpath(file))):
            return top
    if not files and is_interactive():
        directory = os.path.realpath(os.curdir)
        if top := _git.find_work_tree(directory):
            return top
        raise CodeStateError(f"the working directory {directory} is in no git work tree; {_WAYS_TO_A_STATE}")
    looked_at = " and ".join(dict.fromkeys(files)) or "code without a file"
    raise CodeStateError(f"looked for the git work tree that holds {looked_at}, and found none; {_WAYS_TO_A_STATE}")


_WAYS_TO_A_STATE = "pass repo=<path of the work tree>, or declare the state with PYREPRO_CODE_STATE"


def is_interactive() -> bool:
    """Whether this process is a prompt, a notebook or ``python -c``."""
    return _file_in(vars(sys.modules["__main__"])) is None


def _read(top: str, files: Iterable[str]) -> Reading:
    inside = os.path.join(top, "")
    loaded = {file for file in _real_files({*_loaded_files(), *files}) if file.startswith(inside)}
    snapshot = _git.read(top, [_as_git_path(file[len(inside) :]) for file in loaded])
    changes = sorted([quote(path), mode, object_id] for path, (mode, object_id) in snapshot.changes.items())
    if not changes:
        return Reading(CodeState(snapshot.commit), top)
    digest = hashlib.sha256(rfc8785.dumps(changes)).hexdigest()
    return Reading(CodeState(snapshot.commit, digest), top, tuple(map(_shown, sorted(snapshot.changes))))


def _as_git_path(path: str) -> bytes:
    return os.fsencode(path.replace(os.sep, "/"))


def _shown(path: bytes) -> str:
    text = os.fsdecode(path)
    return text if text.isprintable() else quote(path)


def _loaded_files() -> Iterator[str]:
    """The files of the loaded modules outside installed environments."""
    for module in list(sys.modules.values()):
        if isinstance(module, types.ModuleType) and (file := _file_of_module(module)) and not is_installed(file):
            yield file


def _file_of_module(module: types.ModuleType) -> str | None:
    namespace = vars(module)
    if file := _file_in(namespace):
        return file
    # A namespace package has no file, and nothing in it runs.
    spec = namespace.get("__spec__")
    origin = getattr(spec, "origin", None) if getattr(spec, "has_location", False) else None
    return _existing(origin)


def _file_in(namespace: dict[str, object]) -> str | None:
    """The file of a module's namespace: an absolute path, or one that is there."""
    file = namespace.get("__file__")
    if isinstance(file, str) and os.path.isabs(file):
        return file
    return _existing(file)


def _existing(file: object) -> str | None:
    # Some modules carry a made-up relative name as their file.
    return os.path.abspath(file) if isinstance(file, str) and os.path.isfile(file) else None


def _real_files(files: Iterable[str]) -> Iterator[str]:
    """Files without symbolic links; the archive of a module that is loaded from one."""
    real_directories: dict[str, str] = {}
    for file in files:
        directory, name = os.path.split(file)
        if directory not in real_directories:
            real_directories[directory] = os.path.realpath(directory)
        real = os.path.join(real_directories[directory], name)
        try:
            if stat.S_ISLNK(os.lstat(real).st_mode):
                real = os.path.realpath(real)
        except OSError:
            real = _archive_of(real) or real
        yield real


def _archive_of(file: str) -> str | None:
    while (above := os.path.dirname(file)) != file:
        if os.path.isfile(above):
            return above
        file = above
    return None
