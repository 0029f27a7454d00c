"""Paths as text: split, joined, inside, URL.

Nothing here looks at the disk, and names are not parsed by pathlib, whose rules differ between Pythons.
"""

from __future__ import annotations

import functools
import operator
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from pyrepro._value import Value, replaced

STATE_DIRECTORY = ".pyrepro"
"""The directory beside artifacts for what is not one: markers, locks, and what is staged."""

STANDARD_LIBRARY = os.path.join(os.path.dirname(os.__file__), "")
"""The directory of Python's own modules, with a separator at its end."""

_SEPARATORS = os.sep + (os.altsep or "")
_ENDS = f"[{re.escape(_SEPARATORS)}]"
_STAGING = rf"(?<![^{_ENDS[1:]}){re.escape(STATE_DIRECTORY)}{_ENDS}[0-9a-f]{{16}}(?:{_ENDS}|$)"
_URL = r"([A-Za-z][A-Za-z0-9+.-]+)://"
# In these schemes no host or bucket stands before the first slash.
_SCHEMES_WITHOUT_HOST = frozenset({"file", "local", "memory"})
_SCHEMES_OF_USERS = frozenset({"sftp", "ssh", "ftp", "ftps", "smb", "http", "https", "webdav", "hdfs", "webhdfs"})


def is_plainly_installed(path: str) -> bool:
    """Whether a path is in an installed environment at first sight, without asking sysconfig."""
    path = path.replace(os.sep, "/") if os.sep != "/" else path
    return "/site-packages/" in path or "/dist-packages/" in path or path.startswith(STANDARD_LIBRARY)


def is_inside(path: str, directory: str) -> bool:
    """Whether a path is below a directory, both as real absolute paths; a directory is not inside itself."""
    # With the separator, or /work would hold /workshop.
    return path.startswith(_with_separator(directory))


def relative_to(path: str, directory: str) -> str:
    """A path inside a directory, relative to it and with forward slashes."""
    # Not os.path.relpath, which looks at the working directory and takes ten times as long: modules are many.
    return path[len(_with_separator(directory)) :].replace(os.sep, "/")


@functools.lru_cache(maxsize=256)  # a few directories, each for a thousand modules
def _with_separator(directory: str) -> str:
    return os.path.join(directory, "")


def without_staging(path: str) -> str:
    """A path in the staging directory of a call, as it is once the call has published."""
    return re.sub(_STAGING, "", path)


class SplitPath(Value):
    """A path as its last component and what stands around it."""

    path: Any
    head: str
    name: str
    tail: str

    def joined(self, name: str) -> Any:
        """The path with another last component, in the type that was given."""
        if hasattr(self.path, "with_name"):
            return self.path if name == self.name else self.path.with_name(name)
        text = self.head + name + self.tail
        return os.fsencode(text) if isinstance(self.path, bytes) else text

    def inside(self, *directories: str) -> Any:
        """The path with directories put before its last component, in the type that was given."""
        if not hasattr(self.path, "with_name"):
            return replaced(self, head=os.path.join(self.head, *directories, "")).joined(self.name)
        first, *others = (*directories, self.name)
        return functools.reduce(operator.truediv, others, self.path.with_name(first))


def change_paths(change: Callable[[Any], Any], argument: Any) -> Any:
    """An argument with its path, or each path in its flat list or tuple, changed; None stays None."""
    if argument is None:
        return None
    if not isinstance(argument, (list, tuple)):
        return change(argument)
    return made_like(argument, [change_paths(change, _element(item)) for item in argument])


def made_like(container: Any, items: list[Any]) -> Any:
    """Items in a list, a tuple or a named tuple, whichever a given one is."""
    return items if isinstance(container, list) else getattr(type(container), "_make", tuple)(items)


def paths_in(argument: Any) -> list[Any]:
    """The paths in an argument, or in what a function returned: one, or those in lists, tuples and dicts, or none."""
    if type(argument) is str:  # as most are: this is on the way of every hit
        return [argument]
    if isinstance(argument, (list, tuple, dict)):
        items = argument.values() if isinstance(argument, dict) else argument
        return [path for item in items for path in paths_in(item)]
    return [] if argument is None else [argument]


def _element(item: Any) -> Any:
    if isinstance(item, (list, tuple)):
        raise TypeError(f"a list of paths holds {item!r}; pass one flat list or tuple of paths")
    return item


def split_path(path: object, accepted: str) -> SplitPath:
    """Split a path of any accepted type at its last component, which is empty for a root.

    Raises:
        TypeError: what was passed is not a path; the message names what is accepted.
    """
    if callable(getattr(type(path), "with_name", None)):
        return SplitPath(path=path, head="", name=path.name, tail="")  # type: ignore[attr-defined]
    if isinstance(path, (str, bytes, os.PathLike)):
        head, name, tail = split_text(os.fsdecode(path))
        return SplitPath(path=path, head=head, name=name, tail=tail)
    raise TypeError(f"an artifact path is {accepted}, not {_described(path)}; pass the path as it stands on disk")


def _described(value: object) -> str:
    if hasattr(value, "read") or hasattr(value, "write"):
        return f"the open file {value!r}"
    return f"{value!r} of type {type(value).__name__}"


def is_path(value: object) -> bool:
    """Whether a value is a path of any accepted type."""
    return isinstance(value, (str, bytes, os.PathLike)) or callable(getattr(type(value), "with_name", None))


def text_of(path: Any) -> str:
    """The text of a path of any accepted type."""
    return os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else str(path)


def without_user(url: str) -> str:
    """A URL without user and password; any other path as it is."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    # What stands before the @ may be a container, as in abfss://container@account/path, and any character of a name.
    is_user = scheme.lower() in _SCHEMES_OF_USERS or (":" in user and scheme.lower() not in _SCHEMES_WITHOUT_HOST)
    return f"{scheme}{separator}{host}{slash}{path}" if at and is_user and is_url(url) else url


def working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed, and no relative path leads anywhere
        return os.curdir


_DEVICE = r"//?dev/[^/]+|//?dev/(fd|pts)/.+|//?proc/.+/fd/.+"


def from_where(path: str | bytes | os.PathLike[Any]) -> str:
    """What a message adds to a path that is not there: of a relative one, where that was looked for.

    cron, services and editors start programs in unexpected directories.
    """
    text = os.fsdecode(path)
    if os.path.isabs(text) or is_url(text):
        return ""
    try:
        return f" (the working directory is {os.getcwd()})"
    except FileNotFoundError:
        return " (the working directory was deleted)"


@functools.lru_cache(maxsize=256)
def is_stream(text: str) -> bool:
    """Whether a path stands for a stream or a device by its text: ``-``, ``/dev/stdout``, but not ``/dev/shm/foo``."""
    # os.devnull has another text on Windows. "-" only as it was passed: "./-" is a file of this name.
    if text == "-" or text.lower() == os.devnull:
        return True
    path = os.path.normpath(text)
    # Looked at more closely where it can be one: a pattern is compiled when it is first used.
    return path.lstrip("/").startswith(("dev/", "proc/")) and re.fullmatch(_DEVICE, path) is not None


def first_of(texts: Iterable[str]) -> str:
    """The first ten of some texts, and how many more there are."""
    every = list(texts)
    return ", ".join(every[:10]) + (f" and {len(every) - 10} more" if len(every) > 10 else "")


def is_url(text: str) -> bool:
    """Whether a path is a URL, as of an object store."""
    return re.match(_URL, text) is not None


@functools.lru_cache(maxsize=1024)  # as many as there are markers that are kept
def split_text(text: str) -> tuple[str, str, str]:
    """What stands before the last component of a path, the component, and the separators behind it."""
    url = re.match(_URL, text) if "://" in text else None
    before_tail = text.rstrip(_SEPARATORS if url is None else "/")
    name_length = 0 if _SEPARATORS == "/" or url else len(os.path.basename(before_tail))
    start = len(before_tail) - name_length if name_length else before_tail.rfind("/") + 1
    has_host = url is not None and url[1].lower() not in _SCHEMES_WITHOUT_HOST
    if url is not None and (start < url.end() or (has_host and start == url.end())):
        return text, "", ""  # nothing but a host or a bucket: the root of a URL
    return before_tail[:start], before_tail[start:], text[len(before_tail) :]
