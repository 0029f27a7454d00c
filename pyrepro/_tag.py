"""Tag: the text that names code and configuration, read from and put into paths.

Nothing here looks at the disk.
"""

from __future__ import annotations

import functools
import re
from typing import Any, TypeVar

from pyrepro._paths import change_paths, is_stream, split_path, split_text, text_of
from pyrepro._value import Value, is_hex
from pyrepro.errors import NotTaggedError

DIGITS = 12
"""How many hex digits of each hash stand in a name."""

# Names are read less often than written, so these are compiled when they are first needed.
_LAST_PAIR = rf"(?is)(.*)-([0-9a-f]{{{DIGITS}}})-([0-9a-f]{{{DIGITS}}})(?![0-9a-f])"
_DIRTY_END = rf"(?is).*-([0-9a-f]{{{DIGITS}}})-dirty"
_COMPRESSIONS = frozenset({".gz", ".bz2", ".xz", ".zst", ".lz4", ".br", ".Z"})

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

    Example:
        ``Tag.from_path("foo-430ca4533bcd-44136fa355b3 (1).txt").config == "44136fa355b3"``
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
            TypeError: the path has the wrong type.
            ValueError: the path has no name to put a tag into, is a stream or a
                device by its text (``-``, ``/dev/stdout``), or its name with
                this tag would read as another tag.
        """
        if type(path) is str:  # as most are: this is on the way of every call
            head, name, tail = split_text(path)
            return head + self._put_into(name, path) + tail  # type: ignore[return-value]
        return change_paths(self._put_into_one, path)  # type: ignore[no-any-return]

    def _put_into_one(self, path: Any) -> Any:
        split = split_path(path, accepted="a str, bytes, a path object, None, or a list or tuple of these")
        return split.joined(self._put_into(split.name, path))

    def put_instead(self, other: Tag, path: _AnyPath) -> _AnyPath:
        """The path with this tag in place of another, which it ends in."""
        split = split_path(path, accepted="a path that carries a tag")
        before, _, after = split.name.rpartition(f"-{other}")
        return split.joined(f"{before}-{self}{after}")  # type: ignore[no-any-return]

    def _put_into(self, name: str, path: object) -> str:
        if name in ("", ".", ".."):
            raise ValueError(
                f"{path!r} has no file name to put a tag into; pass a path that ends in one, like 'out/foo.txt'"
            )
        if is_stream(path if type(path) is str else text_of(path)):
            raise ValueError(
                f"{path!r} is a stream or a device, which has no name that could carry a tag; pass the path of a file, "
                f"or None for no output"
            )
        stem, suffix = split_suffix(name)
        text = f"-{self}"
        if stem.endswith(text) and _last_tag_in(stem) == self:
            return name
        # The tag comes last, so it is what is read, unless what stands before it makes it a dirty one.
        if self.changes is None and stem[-6:].lower() == "-dirty" and (read := _last_tag_in(stem + text)) != self:
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
            TypeError: the path has the wrong type.
        """
        name = split_path(path, accepted="a str, bytes or a path object").name
        tag = _last_tag_in(name)
        if tag is None:
            raise NotTaggedError(
                f"{path!r} carries no tag; looked in its last component {name!r} for -<commit>-<config> "
                f"or -<commit>-dirty-<changes>-<config>, of {DIGITS} hex digits each",
                name=name,
            )
        return tag


def _last_tag_in(name: str) -> Tag | None:
    """The last tag in a name; the dirty reading where both are possible."""
    pair = re.match(_LAST_PAIR, name)
    if pair is None:
        return None
    before, first, last = pair[1], pair[2].lower(), pair[3].lower()
    dirty = re.fullmatch(_DIRTY_END, before)
    return Tag(dirty[1].lower(), first, last) if dirty else Tag(first, None, last)


def plain_name(name: str) -> str | None:
    """The name of an artifact without its tag; None where no tag stands right before the suffix, as pyrepro puts it."""
    stem, suffix = split_suffix(name)
    tag = _last_tag_in(stem)
    return f"{stem.removesuffix(f'-{tag}')}{suffix}" if tag is not None and stem.endswith(f"-{tag}") else None


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
