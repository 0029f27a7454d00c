"""The interpreter and the installed distributions, as they are now.

Source: importlib.metadata, and the core metadata and database of installed distributions that it reads.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from pyrepro._record.secrets import without_credentials

if TYPE_CHECKING:
    from importlib.metadata import Distribution

# The files that importlib.metadata takes names and versions from, by the suffix of the metadata directory. An .egg-info
# can itself be the file.
_DIST_INFO_FILES = ("METADATA", "RECORD", "direct_url.json", "top_level.txt")
_EGG_INFO_FILES = ("", "PKG-INFO", "top_level.txt")

# importlib.metadata parses whole descriptions for a name, and looks for every file of a distribution on the disk.
_NAME = re.compile(r"^Name:[ \t]*(\S+)", re.MULTILINE | re.IGNORECASE)
_VERSION = re.compile(r"^Version:[ \t]*(\S+)", re.MULTILINE | re.IGNORECASE)
_TOP_OF_FILE = re.compile(r'^"?([^/,"\n]+)(?=([/,"]))', re.MULTILINE)

# What .pth files load into each process, whether it uses the distribution or not: of setuptools and editable installs.
_LOADED_AT_START = re.compile(r"_distutils_hack|__editable__.*")

# Clocks of file systems tick every 10 ms at worst: a file can be written twice within a tick and look the same.
_TICK_NS = 20_000_000


_LOCK_FILES = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "pylock.toml",
    "requirements.lock",
    "conda-lock.yml",
)


class PythonVersion(TypedDict):
    """The interpreter and the kind of machine."""

    python: str
    platform: str


class Packages(TypedDict):
    """The distributions of an interpreter."""

    packages: dict[str, str]
    loaded: list[str]
    origins: dict[str, str]


class _Fingerprint(NamedTuple):
    """A file, and what changes when it is written or replaced; zeros where it is missing."""

    path: str
    inode: int = 0
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0


class _InstalledDistributions(NamedTuple):
    """What is installed, as long as the files that say so are the same."""

    fingerprint: list[_Fingerprint]
    by_package: dict[str, set[str]]
    origins: dict[str, str | None]  # of every distribution, None of one from an index
    versions: dict[str, str]


_last_seen: _InstalledDistributions | None = None


def python_now() -> PythonVersion:
    """The interpreter that runs, and the kind of machine it runs on.

    Returns:
        ``python``, such as "CPython 3.13.0", and ``platform``, such as "Linux x86_64".
    """
    import platform

    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
    }


def packages_of_process() -> Packages:
    """The installed distributions, and which of them the loaded modules belong to.

    Returns:
        ``packages``, versions by name; ``loaded``, names; and ``origins``, by name, of what did not come from an index.
    """
    installed = _installed_distributions()
    packages = {name.partition(".")[0] for name in list(sys.modules)}  # a list: other threads import meanwhile
    packages = {name for name in packages if not _LOADED_AT_START.fullmatch(name)}
    loaded = {name for package in packages for name in installed.by_package.get(package, ())}
    return {
        "packages": dict(sorted(installed.versions.items())),
        "loaded": sorted(loaded),
        "origins": {name: origin for name, origin in sorted(installed.origins.items()) if origin is not None},
    }


def lock_file(top: str) -> str | None:
    """The first lock file at the top of a work tree."""
    return next((name for name in _LOCK_FILES if os.path.isfile(os.path.join(top, name))), None)


def _installed_distributions() -> _InstalledDistributions:
    """What is installed; read again only after a file that says so has changed, since reading all takes long."""
    global _last_seen
    last_seen = _last_seen  # read once: another thread may replace it
    # Before the reading: what is installed while it goes on then shows in the next fingerprint.
    fingerprint = [_fingerprint_of(path) for path in _metadata_paths()]
    if last_seen is not None and last_seen.fingerprint == fingerprint:
        return last_seen
    installed = _InstalledDistributions(fingerprint, {}, {}, {})
    _read_distributions(installed)
    # Files that were written just now may be written again without looking different: read again next time.
    _last_seen = None if _is_recent(fingerprint) else installed
    return installed


def _metadata_paths() -> Iterator[str]:
    """The files that say what is installed, in the order in which Python looks for it."""
    for directory in [os.path.abspath(entry) for entry in sys.path if isinstance(entry, str)]:
        try:
            # Listed each time: its modification time changes with each artifact that is written there, and does not
            # change when a distribution is installed within the same tick of the clock.
            names = os.listdir(directory)
        except OSError:
            yield directory  # missing, or an archive, which holds its distributions
            continue
        for name in sorted(names):
            suffix = os.path.splitext(name)[1].lower() or name.lower()
            if suffix == ".dist-info":
                yield from (os.path.join(directory, name, file) for file in _DIST_INFO_FILES)
            elif suffix in (".egg-info", "egg-info"):  # X.egg-info, or EGG-INFO within X.egg
                yield from (os.path.join(directory, name, file).rstrip(os.sep) for file in _EGG_INFO_FILES)


def _fingerprint_of(path: str) -> _Fingerprint:
    try:
        found = os.stat(path)
    except OSError:
        return _Fingerprint(path)
    return _Fingerprint(path, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _is_recent(fingerprint: list[_Fingerprint]) -> bool:
    """Whether a file has changed so recently that another change could not be told from it."""
    now = time.time_ns()
    # The distance, since a clock that was set back must not make every reading count as recent.
    return any(abs(now - file.ctime_ns) < _TICK_NS for file in fingerprint)


def _read_distributions(installed: _InstalledDistributions) -> None:
    """Note each distribution, by what Python finds first, and the packages that come from it.

    Sources: the core metadata specification; the recording of installed projects, RECORD; PEP 610, direct_url.json.
    """
    from importlib.metadata import MetadataPathFinder, distributions

    # It keeps listings by the modification time of their directory, which two changes within a tick share. An
    # instance, since in Python 3.10 and 3.11 this is not a class method.
    MetadataPathFinder().invalidate_caches()
    for distribution in distributions():
        # What is half removed has no metadata, which is another error in each version of Python.
        with contextlib.suppress(Exception):
            text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
            head = (text or distribution.read_text("") or "").partition("\n\n")[0]
            found, version = _NAME.search(head), _VERSION.search(head)
            if found is None:
                continue
            name = found[1]
            for package in _packages_of(distribution):
                installed.by_package.setdefault(package, set()).add(name)
            if name not in installed.origins:
                installed.origins[name] = _origin_in(distribution.read_text("direct_url.json"))
                if version is not None:
                    installed.versions[name] = version[1]


def _packages_of(distribution: Distribution) -> Iterable[str]:
    """The top-level packages and modules of a distribution."""
    declared = (distribution.read_text("top_level.txt") or "").split()
    if declared:
        return declared
    found = _TOP_OF_FILE.findall(distribution.read_text("RECORD") or "")
    return {top if end == "/" else inspect.getmodulename(top) or "" for top, end in found}


def _origin_in(text: str | None) -> str | None:
    """What direct_url.json says, as pip writes it in requirements."""
    import json

    try:
        direct = json.loads(text or "null")
        if direct is None:
            return None
        url = without_credentials(str(direct["url"]))
        if "vcs_info" in direct:
            return f"{direct['vcs_info']['vcs']}+{url}@{direct['vcs_info']['commit_id']}"
        return f"editable {url}" if direct.get("dir_info", {}).get("editable") else url
    except (ValueError, LookupError, TypeError, AttributeError):
        return "unknown"
