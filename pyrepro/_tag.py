"""Tag: the text that names code and configuration, read from and put into paths.

Nothing here looks at the disk, and names are not parsed by pathlib, whose rules
for suffixes differ between Pythons.
"""

from __future__ import annotations

import functools
import operator
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from pyrepro._value import Value, is_hex
from pyrepro.errors import NotTaggedError

DIGITS = 12
"""How many hex digits of each hash stand in a name."""

# Names are read more seldom than written, so these are compiled when they are first needed.
_LAST_PAIR = rf"(?is)(.*)-([0-9a-f]{{{DIGITS}}})-([0-9a-f]{{{DIGITS}}})(?![0-9a-f])"
_DIRTY_END = rf"(?is).*-([0-9a-f]{{{DIGITS}}})-dirty"
_COMPRESSIONS = frozenset({".gz", ".bz2", ".xz", ".zst", ".lz4", ".br", ".Z"})
_SEPARATORS = os.sep + (os.altsep or "")
_URL = r"([A-Za-z][A-Za-z0-9+.-]+)://"
# In these schemes no host or bucket stands before the first slash.
_SCHEMES_WITHOUT_HOST = frozenset({"file", "local", "memory"})

_AnyPath = TypeVar("_AnyPath")


class Tag(Value):
    """The code and the configuration that made an artifact, as its name says them.

    Two artifacts were made by the same code and the same configuration when
    their tags are equal.

    Args:
        commit: the first 12 hex digits of the commit.
        changes: the first 12 hex digits of the changes digest, None for a clean tree.
        config: the first 12 hex digits of the configuration's hash.

    Raises:
        ValueError: a field is not 12 lower-case hex digits.
    """

    commit: str
    changes: str | None
    config: str

    def __init__(self, commit: str, changes: str | None, config: str) -> None:
        super().__init__(commit=commit, changes=changes, config=config)
        for name, value in vars(self).items():
            if name == "changes" and value is None:
                continue
            if not is_hex(value, DIGITS):
                raise ValueError(f"Tag {name}={value!r} is not {DIGITS} lower-case hex digits; pass {name}[:{DIGITS}]")

    def __str__(self) -> str:
        if self.changes is None:
            return f"{self.commit}-{self.config}"
        return f"{self.commit}-dirty-{self.changes}-{self.config}"

    def put(self, path: _AnyPath) -> _AnyPath:
        """The path with this tag before its suffix.

        A path that ends in this very tag is returned as it is.

        Args:
            path: str, bytes, a path object, None, or a list or tuple of these.

        Returns:
            A path of the same type. A str stays a str, a pathlib path keeps its
            class, another ``os.PathLike`` becomes a str, None stays None.

        Raises:
            TypeError: the path is of another type.
            ValueError: the path has no name to put a tag into, or its name
                with this tag would read as another tag.
        """
        if type(path) is str:  # as most are: this is on the way of every call
            head, name, tail = split_text(path)
            return head + self._put_into(name, path) + tail  # type: ignore[return-value]
        return change_paths(self._put_into_one, path)  # type: ignore[no-any-return]

    def _put_into_one(self, path: Any) -> Any:
        split = split_path(path, accepted="a str, bytes, a path object, None, or a list or tuple of these")
        return split.joined(self._put_into(split.name, path))

    def put_instead(self, other: Tag, path: _AnyPath) -> _AnyPath:
        """The path with this tag in the place of another one, which it ends in."""
        split = split_path(path, accepted="a path that carries a tag")
        before, _, after = split.name.rpartition(f"-{other}")
        return split.joined(f"{before}-{self}{after}")  # type: ignore[no-any-return]

    def _put_into(self, name: str, path: object) -> str:
        if name in ("", ".", ".."):
            raise ValueError(
                f"{path!r} has no file name to put a tag into; pass a path that ends in one, like 'out/foo.txt'"
            )
        stem, suffix = split_suffix(name)
        text = f"-{self}"
        if stem.endswith(text) and _read(stem) == self:
            return name
        # The tag comes last, so it is what is read, unless what stands before it makes it a dirty one.
        if self.changes is None and stem[-6:].lower() == "-dirty" and (read := _read(stem + text)) != self:
            raise ValueError(
                f"{path!r} with the tag {self} would read as the tag {read}; use another stem than {stem!r}"
            )
        return stem + text + suffix

    @classmethod
    def from_path(cls, path: object) -> Tag:
        """The last tag in the name of a path, whatever follows it.

        Args:
            path: str, bytes or a path object. Upper case is read too.

        Returns:
            The tag.

        Raises:
            NotTaggedError: the name carries no tag.
            TypeError: the path is of another type.
        """
        name = split_path(path, accepted="a str, bytes or a path object").name
        tag = _read(name)
        if tag is None:
            raise NotTaggedError(
                f"{path!r} carries no tag; looked in its last component {name!r} for -<commit>-<config> "
                f"or -<commit>-dirty-<changes>-<config>, of {DIGITS} hex digits each",
                name=name,
            )
        return tag


def _read(name: str) -> Tag | None:
    """The last tag in a name; the dirty reading where both are possible."""
    pair = re.match(_LAST_PAIR, name)
    if pair is None:
        return None
    before, first, last = pair[1], pair[2].lower(), pair[3].lower()
    dirty = re.fullmatch(_DIRTY_END, before)
    return Tag(dirty[1].lower(), first, last) if dirty else Tag(first, None, last)


@functools.lru_cache(maxsize=256)
def split_suffix(name: str) -> tuple[str, str]:
    """A name as its stem and its suffix: ``run.v1.2.csv.gz`` is ``run.v1.2`` and ``.csv.gz``."""
    stem, suffix = _split_last_suffix(name)
    if suffix in _COMPRESSIONS:
        inner_stem, inner = _split_last_suffix(stem)
        return inner_stem, inner + suffix
    return stem, suffix


def _split_last_suffix(name: str) -> tuple[str, str]:
    stem, dot, letters = name.rpartition(".")
    # ASCII on purpose: what counts as a letter elsewhere in Unicode changes between Pythons.
    if stem.strip(".") and letters.isascii() and letters.isalnum() and not letters.isdigit():
        return stem, dot + letters
    return name, ""


class SplitPath(NamedTuple):
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
            return self._replace(head=os.path.join(self.head, *directories, "")).joined(self.name)
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
    """Items in a list, a tuple or a named tuple, like another one."""
    return items if isinstance(container, list) else getattr(type(container), "_make", tuple)(items)


def paths_in(argument: Any) -> list[Any]:
    """The paths in an argument, or in what a function returned: one, or those in lists, tuples and dicts, or none."""
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
        TypeError: what was passed is no path; the message names what is accepted.
    """
    if isinstance(path, (str, bytes)):
        return SplitPath(path, *split_text(os.fsdecode(path)))
    if callable(getattr(type(path), "with_name", None)):
        return SplitPath(path, "", path.name, "")  # type: ignore[attr-defined]
    if isinstance(path, os.PathLike):
        return SplitPath(path, *split_text(os.fsdecode(path)))
    raise TypeError(f"an artifact path is {accepted}, not {_described(path)}; pass the path as it stands on disk")


def _described(value: object) -> str:
    if hasattr(value, "read") or hasattr(value, "write"):
        return f"the open file {value!r}"
    return f"{value!r} of type {type(value).__name__}"


def is_url(text: str) -> bool:
    """Whether a path is a URL, as of an object store."""
    return re.match(_URL, text) is not None


@functools.lru_cache(maxsize=256)
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
