"""file_hash: what a file or a directory holds, as one digest."""

from __future__ import annotations

import hashlib
import os
import stat

from pyrepro._config.forms import config_hash
from pyrepro.errors import ConfigError

_CHUNK = 1 << 20


def file_hash(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """The SHA-256 of a file's content, or of everything in a directory.

    Args:
        path: a file, or a directory. Symbolic links are followed; a directory
            called ``.pyrepro`` in a directory is left out.

    Returns:
        ``"sha256:<64 hex digits>"``: of a file's bytes; of a directory, of the
        canonical JSON of ``{relative path: file hash}``, with forward slashes.

    Raises:
        ConfigError: a directory contains itself, or something there is neither
            a file nor a directory, or has a name that is no Unicode text.
        OSError: the path cannot be read.
        TypeError: what was passed is no path.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(
            f"file_hash takes the path of a file or a directory, not {path!r} of type {type(path).__name__}"
        )
    place = os.fsdecode(path)
    if os.path.isdir(place):
        return "sha256:" + config_hash(_files_in(place, "", ()))
    return _hash_of_content(place)


def digests_of(path: str) -> str | dict[str, str]:
    """The SHA-256 of a file as 64 hex digits, or of each file in a directory by its relative path."""
    if os.path.isdir(path):
        return {name: digest.partition(":")[2] for name, digest in _files_in(path, "", ()).items()}
    return _hash_of_content(path).partition(":")[2]


def _hash_of_content(path: str) -> str:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ConfigError(
            f"{path!r} is neither a file nor a directory, so it has no content to hash; write it to a file"
        )
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return "sha256:" + digest.hexdigest()


def _files_in(directory: str, prefix: str, above: tuple[str, ...]) -> dict[str, str]:
    real = os.path.realpath(directory)
    if real in above:
        raise ConfigError(f"the directory {directory!r} is a link to a directory that contains it; remove the link")
    files: dict[str, str] = {}
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if not os.path.isdir(path):
            files[prefix + name] = _hash_of_content(path)
        elif name != ".pyrepro":
            files.update(_files_in(path, f"{prefix}{name}/", (*above, real)))
    return files
