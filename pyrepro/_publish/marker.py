"""Markers: which function completed an artifact, and what the artifact was then.

A marker stands in the directory .pyrepro beside its artifact. That the artifact
is there does not say who wrote it, nor that it was written to its end.
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from pyrepro._config.file_hash import file_hash
from pyrepro._paths import is_inside, relative_to
from pyrepro._publish.files import STATE_DIRECTORY, Target, write_then_rename
from pyrepro.errors import ArtifactMismatchError, ConfigError

_ELSEWHERE = ".../"
_LARGEST = 1 << 16
_BINARY = getattr(os, "O_BINARY", 0)


def maker_of(file: str | None, work_tree: str | None, module: str, name: str) -> str:
    """Which function makes an artifact: its file in the work tree, and its qualified name.

    Args:
        file: the real file of its module, None where it was typed.
        work_tree: the work tree whose state the names carry, None where that was declared.
        module: the name of its module.
        name: its qualified name.
    """
    if file is None:
        return f"<session>:{name}"
    if work_tree is not None and is_inside(file, work_tree):
        return f"{relative_to(file, work_tree)}:{name}"
    # Where the work tree is not known, as much of the path is as the name of the module gives.
    steps = file.split(os.sep)
    known = 1 if module in ("__main__", "__mp_main__") else 1 + module.count(".") + (steps[-1] == "__init__.py")
    return f"{_ELSEWHERE}{'/'.join(steps[-known:])}:{name}"


def _is_same_maker(one: str, other: str) -> bool:
    if not (one.startswith(_ELSEWHERE) or other.startswith(_ELSEWHERE)):
        return one == other
    short, long = sorted((one.removeprefix(_ELSEWHERE), other.removeprefix(_ELSEWHERE)), key=len)
    return f"/{long}".endswith(f"/{short}")


_Extent = tuple[int | None, int, int]
"""How many files a directory holds, None of a file; bytes; and the time of modification in nanoseconds."""


def _extent(path: str) -> _Extent | None:
    """What can be seen of an artifact without reading it: another one was written by another call."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None, status.st_size, status.st_mtime_ns
    files: list[os.stat_result] = []
    for above, directories, names in os.walk(path):
        directories[:] = [name for name in directories if name != STATE_DIRECTORY]
        files += [_status(os.path.join(above, name)) for name in names]
    modified = max((file.st_mtime_ns for file in files), default=0)
    return len(files), sum(file.st_size for file in files), modified


class Marker(NamedTuple):
    """Says that a function completed an artifact, and what the artifact was then."""

    maker: str
    extent: _Extent
    content: str | None
    artifact: str

    @classmethod
    def of(cls, path: str, maker: str) -> Marker | None:
        extent = _extent(path)
        return None if extent is None else cls(maker, extent, _content(path), os.path.basename(path))

    @classmethod
    def parsed(cls, text: str) -> Marker | None:
        import json

        try:
            maker, extent, content, artifact = json.loads(text)
            files, size, modified = extent
            return cls(str(maker), (files, size, modified), content, artifact)
        except (ValueError, TypeError):
            return None

    def write(self, path: str) -> None:
        import json

        write_then_rename(json.dumps(self).encode(), path, f"{path}.{os.urandom(8).hex()}", syncs=False)


def are_completed(targets: Sequence[Target], maker: str, beside: str = "") -> bool:
    """Whether earlier calls of a function completed these artifacts, and what belongs beside each.

    Args:
        targets: where the artifacts belong.
        maker: the function.
        beside: the suffix of the file that belongs beside each.

    Raises:
        ArtifactMismatchError: an artifact is another function's.
    """
    completed = [
        _is_completed(target, maker) and (not beside or os.path.exists(target.path + beside)) for target in targets
    ]
    return bool(completed) and all(completed)


def _is_completed(target: Target, maker: str) -> bool:
    path = target.state_file(".json")
    text = _text(path)
    extent = _extent(target.path) if text else None
    if extent is None:
        return False
    files, size, modified = extent
    # This is how the marker begins if all is well, which is quicker to see than to parse it.
    if text.startswith(f"[{_quoted(maker)}, [{'null' if files is None else files}, {size}, {modified}], "):
        return True
    marker = Marker.parsed(text)
    if marker is None:
        return False
    if not _is_same_maker(marker.maker, maker):
        raise ArtifactMismatchError(
            f"{target.absolute().path} was made by {marker.maker}, and {maker} would take it for its own; "
            f"pass another stem to one of them",
            path=target.absolute().path,
            maker=marker.maker,
        )
    # Copies have times of their own; what was written anew has another content.
    if extent[:2] != marker.extent[:2] or marker.content is None or marker.content != _content(target.path):
        return False
    with contextlib.suppress(OSError):
        marker._replace(maker=maker, extent=extent).write(path)
    return True


@functools.lru_cache(maxsize=256)
def _quoted(maker: str) -> str:
    import json

    return json.dumps(maker)


def _text(path: str) -> str:
    """What a small file holds; nothing if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _BINARY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _LARGEST).decode(errors="replace")
    finally:
        os.close(descriptor)


def _status(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError:
        return os.lstat(path)


def _content(path: str) -> str | None:
    try:
        return file_hash(path)
    except (OSError, ConfigError):
        return None
