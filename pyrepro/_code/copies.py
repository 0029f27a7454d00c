"""The path in this work tree of a module from another copy of it: another work tree, or an installed package.

Sources: the Python Packaging User Guide on direct_url.json (PEP 610) and on RECORD (PEP 376).
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pyrepro._code import imports
from pyrepro._code.modules import LoadedModule, is_installed, is_linked_alone, spec_of
from pyrepro._code.start import STARTED
from pyrepro._paths import is_inside, relative_to

_NAMES = {
    "pyproject.toml": r"(?m)^name\s*=\s*[\"']([\w.-]+)",
    "setup.cfg": r"(?m)^name\s*=\s*([\w.-]+)",
    "setup.py": r"\bname\s*=\s*[\"']([\w.-]+)",
}
"""What the files of a project call its distribution."""


def with_copies(
    top: str, others: Sequence[str], loaded: Iterable[LoadedModule], is_tracked: Callable[[str, str], bool]
) -> list[LoadedModule]:
    """The modules of a work tree, and those of its other copies, with their paths in this one.

    Args:
        top: the top directory of the work tree.
        others: those of the other work trees of its repository.
        loaded: the loaded modules outside installed environments.
        is_tracked: whether a work tree's index holds something below a directory of it.
    """
    # The innermost first: a work tree may stand inside another.
    tops = sorted([top, *others], key=len, reverse=True)
    found = []
    for module in loaded:
        holder = next((one for one in tops if is_inside(module.file, one)), None)
        if holder == top:
            if not is_linked_alone(module.module) or is_tracked(top, module.file):
                found.append(module)
        elif holder is not None:
            original = _original(top, os.path.join(top, relative_to(module.file, holder)))
            found.append(module.standing_for(module.file, original=original))
    return found + _installed(top, tuple(others), is_tracked)


def _original(top: str, path: str) -> str:
    """The file that git tracks at a path in a work tree, behind links inside it."""
    real = os.path.realpath(path)
    return real if is_inside(real, top) else path


def _installed(top: str, others: tuple[str, ...], is_tracked: Callable[[str, str], bool]) -> list[LoadedModule]:
    """The loaded modules of installed copies."""
    originals: dict[str, str] = {}
    for directory in dict.fromkeys(sys.path):
        # In this order: the archive of the standard library is hardly ever there, and sysconfig is slow to ask.
        time = _time_of(directory) if isinstance(directory, str) else 0
        if time and is_installed(os.path.join(directory, "")):
            originals.update(_originals_of_installed(directory, time, top, others, is_tracked))
    if not originals:
        return []  # as in nearly all programs
    found = []
    for name, module in list(sys.modules.items()):
        file = imports.namespace_of(module).get("__file__")
        original = originals.get(file) if isinstance(file, str) else None
        if isinstance(file, str) and original is not None:
            # The finder passes over what is installed, so when it was loaded was not seen.
            load = name, module, spec_of(module), os.path.realpath(file), STARTED
            found.append(LoadedModule(*load, original))
    return found


def _time_of(directory: str) -> int:
    """What is another after something was installed in a directory, or removed from it; 0 of what is none."""
    # An archive may stand in sys.path, as a script on Windows does.
    return os.stat(directory).st_mtime_ns if os.path.isdir(directory) and os.access(directory, os.R_OK) else 0


@functools.lru_cache(maxsize=256)
def _originals_of_installed(
    directory: str, time: int, top: str, others: tuple[str, ...], is_tracked: Callable[[str, str], bool]
) -> dict[str, str]:
    """The files in an installed environment that are copies of files in a work tree, and the paths of those."""
    found: dict[str, str] = {}
    for name in os.listdir(directory):
        if name.endswith(".dist-info"):
            information = os.path.join(directory, name)
            root = _root_in(information, top, others, is_tracked)
            if root is not None:
                paths = _modules_in(os.path.join(information, "RECORD"))
                bases = {package: _base_of(root, some) for package, some in paths.items()}
                found.update(
                    (os.path.join(directory, *path.split("/")), _original(top, os.path.join(base, path)))
                    for package, some in paths.items()
                    if (base := bases[package]) is not None
                    for path in some
                )
    return found


def _root_in(information: str, top: str, others: Iterable[str], is_tracked: Callable[[str, str], bool]) -> str | None:
    """The directory in a work tree of the project that a distribution is of, None where it is of another project."""
    source = _source_of(os.path.join(information, "direct_url.json"))
    for one in (top, *others):
        if source == one:
            return top
        if source is not None and is_inside(source, one):
            root = os.path.join(top, relative_to(source, one))
            return root if is_tracked(top, root) else None
    # Installed from an index, a wheel or another clone: the name of the distribution says so.
    name = os.path.basename(information).partition("-")[0]
    return top if _normalized(name) in _names_of_project(top) else None


def _source_of(direct_url: str) -> str | None:
    """The directory that a distribution was installed from, None where it was not a directory, or is unknown."""
    try:
        with open(direct_url, encoding="utf-8") as file:
            text = file.read()
        if "dir_info" not in text:
            return None
        import json  # for what is installed from a directory only, and slow to import

        found: Any = json.loads(text)
        return os.path.realpath(_path_of_url(found["url"])) if "dir_info" in found else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _path_of_url(url: str) -> str:
    # Not url2pathname of urllib.request, which imports all that HTTP needs, and takes as long as all of pyrepro.
    from urllib.parse import unquote, urlsplit

    path = unquote(urlsplit(url).path)
    return path[1:] if os.path.splitdrive(path[1:])[0] else path  # /C:/project on Windows


@functools.lru_cache(maxsize=16)
def _names_of_project(top: str) -> frozenset[str]:
    """The names that a work tree may give to its distribution, normalized."""
    found: set[str] = set()
    for file, pattern in _NAMES.items():
        try:
            with open(os.path.join(top, file), encoding="utf-8", errors="replace") as opened:
                found.update(map(_normalized, re.findall(pattern, opened.read())))
        except OSError:
            continue
    return frozenset(found)


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _modules_in(record: str) -> dict[str, list[str]]:
    """The source files of an installed distribution, relative to where it is installed, by top-level name."""
    import csv  # for what is installed from a project of one's own only

    found: dict[str, list[str]] = {}
    try:
        with open(record, encoding="utf-8", newline="") as file:
            paths = [row[0] for row in csv.reader(file) if row]
    except OSError:
        return found
    for path in paths:
        if path.endswith((".py", ".pyw")) and not os.path.isabs(path) and not path.startswith("../"):
            found.setdefault(path.partition("/")[0], []).append(path)
    return found


def _base_of(root: str, paths: Iterable[str]) -> str | None:
    """Where the files of a package stand in a project: in its directory, or in src; None where in neither."""

    def count(base: str) -> int:
        return sum(os.path.isfile(os.path.join(base, path)) for path in paths)

    best = max(root, os.path.join(root, "src"), key=count)
    return best if count(best) else None
