"""Markers: which function completed an artifact, and what the artifact was then.

A marker is a file in the state directory beside its artifact. That the artifact
exists does not say which function wrote it, nor that it was written completely.
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from pyrepro._config.file_hash import file_hash
from pyrepro._publish.files import STATE_DIRECTORY, Target, write_then_rename
from pyrepro._publish.maker import is_same_maker
from pyrepro.errors import ArtifactMismatchError, ConfigError

_MAX_MARKER_BYTES = 1 << 16
_O_BINARY = getattr(os, "O_BINARY", 0)


_FileStatus = tuple[int | None, int, int]
"""Of a file None, of a directory the number of files in it; bytes; and the time of modification in nanoseconds."""


def _file_status(path: str) -> _FileStatus | None:
    """What can be seen of an artifact without reading it; None if it cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None, status.st_size, status.st_mtime_ns
    files: list[os.stat_result] = []
    for above, directories, names in os.walk(path):
        directories[:] = [name for name in directories if name != STATE_DIRECTORY]
        files += [_stat_dangling_too(os.path.join(above, name)) for name in names]
    modified = max((file.st_mtime_ns for file in files), default=0)
    return len(files), sum(file.st_size for file in files), modified


class Marker(NamedTuple):
    """Says that a function completed an artifact, and what the artifact was then.

    Attributes:
        maker: the function.
        status: number of files, bytes and time of modification of the artifact.
        content_hash: its ``file_hash``, None if it has none.
        artifact: its name.
    """

    maker: str
    status: _FileStatus
    content_hash: str | None
    artifact: str

    @classmethod
    def of(cls, path: str, maker: str) -> Marker | None:
        """The marker of an artifact that a function has just completed; None if the artifact cannot be seen."""
        status = _file_status(path)
        return None if status is None else cls(maker, status, _content_hash(path), os.path.basename(path))

    @classmethod
    def parsed(cls, text: str) -> Marker | None:
        """The marker in the text of its file; None if it is damaged, or of another version."""
        import json

        try:
            maker, status, content_hash, artifact = json.loads(text)
            files, size, modified = status
            return cls(str(maker), (files, size, modified), content_hash, artifact)
        except (ValueError, TypeError):
            return None

    def write(self, path: str) -> None:
        """Write the marker to its file.

        Raises:
            OSError: it could not be written.
        """
        import json

        # Not synced: a marker that a power failure takes back costs a computation, no more.
        write_then_rename(json.dumps(self).encode(), path, f"{path}.{os.urandom(8).hex()}", syncs=False)


def all_completed_by(maker: str, targets: Sequence[Target], sidecar_suffix: str = "") -> bool:
    """Whether earlier calls of a function completed these artifacts and their sidecars.

    Args:
        maker: the function.
        targets: where the artifacts belong.
        sidecar_suffix: the suffix of the sidecar that each must have, empty if it must have none.

    Returns:
        Whether all are complete, and there is one at all.

    Raises:
        ArtifactMismatchError: an artifact is another function's.
    """
    # All are looked at, although one that is not complete decides: none of them may be another function's.
    completed = [
        _is_completed_by(maker, target) and (not sidecar_suffix or os.path.exists(target.path + sidecar_suffix))
        for target in targets
    ]
    return bool(completed) and all(completed)


def _is_completed_by(maker: str, target: Target) -> bool:
    path = target.state_file(".json")
    text = _marker_text(path)
    status = _file_status(target.path) if text else None
    if status is None:
        return False
    files, size, modified = status
    # This is how the marker begins if all is well, which is quicker to see than to parse it.
    if text.startswith(f"[{_json_string(maker)}, [{'null' if files is None else files}, {size}, {modified}], "):
        return True
    marker = Marker.parsed(text)
    if marker is None:
        return False
    if not is_same_maker(marker.maker, maker):
        raise ArtifactMismatchError(
            f"{target.absolute().path} was made by {marker.maker}, and {maker} would take it for its own; "
            f"pass another stem to one of them",
            path=target.absolute().path,
            maker=marker.maker,
        )
    # A copy has another time of modification and the same content; what was written anew has another content.
    if (
        status[:2] != marker.status[:2]
        or marker.content_hash is None
        or marker.content_hash != _content_hash(target.path)
    ):
        return False
    # So that the next call need not read the content again; where nothing may be written, it does.
    with contextlib.suppress(OSError):
        marker._replace(maker=maker, status=status).write(path)
    return True


@functools.lru_cache(maxsize=256)
def _json_string(text: str) -> str:
    import json

    return json.dumps(text)


def _marker_text(path: str) -> str:
    """The text of a marker's file; empty if it cannot be read."""
    # With os.open, because every cached call does this, and a file object takes five times as long.
    try:
        descriptor = os.open(path, os.O_RDONLY | _O_BINARY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _MAX_MARKER_BYTES).decode(errors="replace")
    finally:
        os.close(descriptor)


def _stat_dangling_too(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError:
        # A link to nothing is a part of the artifact, too.
        return os.lstat(path)


def _content_hash(path: str) -> str | None:
    try:
        return file_hash(path)
    except (OSError, ConfigError):
        # What cannot be hashed, like a directory with a dangling link in it, is known by its status alone.
        return None
