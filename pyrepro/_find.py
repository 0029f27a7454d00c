"""find: the artifacts of a plain path that are on disk."""

from __future__ import annotations

import os
from typing import Any, TypeVar

from pyrepro._config.forms import config_hash
from pyrepro._paths import split_path
from pyrepro._tag import DIGITS, Tag, split_suffix
from pyrepro.errors import NotTaggedError

_AnyPath = TypeVar("_AnyPath", bound="str | bytes | os.PathLike[Any]")


def find(path: _AnyPath, config: object = None) -> list[_AnyPath]:
    """The artifacts of a plain path, of any commit, newest first.

    Args:
        path: the plain path, as the function was called with it; a str, bytes
            or an ``os.PathLike``.
        config: a configuration with a stable JSON form, to list only the
            artifacts that it made. None lists those of any configuration.

    Returns:
        The paths, in the type that :meth:`Tag.put` gives, by modification time;
        an empty list where there are none.

    Raises:
        ConfigError: the configuration has no stable JSON form.
        TypeError: the path is of another type.
        ValueError: the path has no file name, or is a URL.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(
            f"find takes one plain path, a str, bytes or os.PathLike, not {path!r} of type {type(path).__name__}"
        )
    text = os.fsdecode(path)
    if "://" in text:
        raise ValueError(
            f"{path!r} is a URL; find lists local directories, list this one with the library that writes to it"
        )
    split = split_path(text, accepted="a str")
    if split.name in ("", ".", ".."):
        raise ValueError(f"{path!r} has no file name; pass the plain path of an artifact, like 'out/model.pkl'")
    wanted = None if config is None else config_hash(config)[:DIGITS]
    stem, suffix = split_suffix(split.name)
    found: list[tuple[int, str, Tag]] = []
    try:
        names = os.listdir(split.head or os.curdir)
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in names:
        if not (name.startswith(stem) and name.endswith(suffix)):
            continue
        try:
            tag = Tag.from_path(name)
            if name != f"{stem}-{tag}{suffix}" or wanted not in (None, tag.config):
                continue
            modified = os.stat(os.path.join(split.head, name)).st_mtime_ns
        except (NotTaggedError, FileNotFoundError):
            continue  # another file, or one that was removed meanwhile
        found.append((-modified, name, tag))
    return [tag.put(path) for _, _, tag in sorted(found, key=lambda item: item[:2])]
