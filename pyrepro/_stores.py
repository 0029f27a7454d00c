"""Stores: a path as a store and a URL in it, and what the store is asked through fsspec, one method a request.

Sources: the fsspec specification, RFC 9110 section 13 (conditional requests).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import inspect
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from pyrepro._paths import STATE_DIRECTORY, is_url, split_text, without_user

_WHOLE_PUTS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""In these stores others see what is put whole or not at all; elsewhere it is put under another name, and moved."""

_CHUNK = 1 << 22  # bytes
_PART = 1 << 23  # bytes of a file that goes in parts
_MOST_PARTS = 10_000  # of an object in S3
_AT_ONCE = 10  # parts

# The last is Azure's; Google's is another with each change of the metadata, as rules of the life cycle make them.
_SAYS_CONTENT = ("ETag", "md5Hash", "generation", "etag")
# An MD5; of an object that was put in parts, of theirs. Azure's ETag and Google's generation say which writing it was.
_DIGEST = re.compile("ETag:[0-9a-f]{32}(-[0-9]+)?|md5Hash:.+")
_SAYS_CHANGE = ("VersionId", "mtime", "LastModified", "last_modified", "created", "ino")
_SAYS_TIME = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


def _seconds(time: Any) -> float:
    if isinstance(time, str):  # as Google Cloud Storage writes it
        import datetime  # slow to import

        time = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    return float(time.timestamp() if hasattr(time, "timestamp") else time)


class Told(NamedTuple):
    """What a store tells of an object without reading it.

    Attributes:
        size: its size in bytes.
        held: what is another where its content is another: its ETag, checksum or generation, else its times.
        is_directory: whether it is a directory, which object stores do not have.
        time: when it was written, in seconds since 1970 by the clock of the store; 0 where that is not told.
    """

    size: int
    held: str
    is_directory: bool = False
    time: float = 0.0

    @property
    def is_content(self) -> bool:
        """Whether what is held tells the content, and not only when it was written."""
        return self.held.startswith(_SAYS_CONTENT)

    @property
    def is_digest(self) -> bool:
        """Whether what is held is made of the content alone, so that it says the same of it everywhere and for ever."""
        return _DIGEST.fullmatch(self.held) is not None

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Told:
        """What fsspec's ``info`` says, which is named differently by every store."""
        # One content hash says it all: the time of an object that was put again, the same, is another.
        said = [name for name in _SAYS_CONTENT if info.get(name)][:1]
        said = said or [name for name in _SAYS_CHANGE if info.get(name) is not None]
        held = ",".join(f"{name}:{str(info[name]).strip(chr(34))}" for name in said)
        times = [info[name] for name in _SAYS_TIME if info.get(name)][:1]
        time = _seconds(times[0]) if times else 0.0
        return cls(int(info.get("size") or 0), held, info.get("type") == "directory", time)


_without_conditions: set[Requests] = set()
"""The stores that speak the protocol of S3, and answer a condition by that it is not implemented."""


class Requests:
    """A store, as fsspec reaches it.

    Args:
        protocol: its protocol, as in a URL.
        options: what fsspec is told to reach it, credentials too.
        directory: the URL of a directory in it, without user and password, which ends in a slash.
    """

    def __init__(self, protocol: str, options: Mapping[str, Any], directory: str) -> None:
        self.protocol = protocol
        self.options = options
        self.directory = directory

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Requests) and (self.protocol, self.options) == (other.protocol, other.options)

    def __hash__(self) -> int:
        return hash(self.protocol)

    @property
    def _system(self) -> Any:
        import fsspec  # type: ignore[import-untyped]

        # Not kept here: fsspec remembers it, and gives a new one after a fork, which the first would not survive.
        return fsspec.filesystem(self.protocol, **self.options)

    def key(self, url: str) -> str:
        """What fsspec calls an object."""
        return self._system._strip_protocol(url)  # type: ignore[no-any-return]

    def _anew(self, url: str) -> tuple[Any, str]:
        """The file system and the key to ask for an object or a directory by, of which nothing is remembered."""
        system, key = self._system, self.key(url)
        # Other processes write here: a listing that this one remembers may be old. Some forget only what they are
        # told, without the slash.
        for path in (key.rstrip("/"), system._parent(key.rstrip("/"))):
            system.invalidate_cache(path)
        return system, key

    def told(self, url: str) -> Told | None:
        """What the store says of an object now; None if it is not there."""
        system, key = self._anew(url)
        try:
            return Told.of(system.info(key))
        except FileNotFoundError:
            return None

    def told_of_all(self, url: str, prefix: str = "") -> dict[str, Told]:
        """What the store says of each object below a directory, or of those in it whose names begin with a prefix.

        Returns:
            It, by the path from the directory.
        """
        system, key = self._anew(url)
        asked = {"prefix": prefix} if prefix else {}
        try:
            found = system.find(key, detail=True, **asked)
        except FileNotFoundError:
            return {}
        start = len(key.rstrip("/")) + 1
        told = {path[start:]: Told.of(info) for path, info in found.items()}
        return {path: one for path, one in told.items() if path and not path.endswith("/") and not one.is_directory}

    def takes_prefix(self) -> bool:
        """Whether objects whose names begin alike can be asked for in one request."""
        return self._takes("find", "prefix")

    def _takes(self, method: str, argument: str) -> bool:
        kind = type(self._system)
        return argument in inspect.signature(getattr(kind, f"_{method}", getattr(kind, method))).parameters

    def read(self, url: str) -> bytes | None:
        """What an object holds, which is not empty; None if it is not there."""
        try:
            # With a beginning, or s3fs asks for the size first.
            return self._system.cat_file(self.key(url), start=0)  # type: ignore[no-any-return]
        except FileNotFoundError:
            return None

    def get(self, url: str, path: str) -> None:
        """Copy an object to a local file."""
        self._system.get_file(self.key(url), path, **self._in_parts("get_file", 0))

    def put(self, path: str, url: str, *, only_new: bool = False) -> bool:
        """Put a local file into the store, so that others see it whole or not at all.

        Args:
            path: the file.
            url: the object.
            only_new: whether it is put only where there is no such object.

        Returns:
            Whether it was put; if not, there is an object.

        Raises:
            Exception: whatever the store says.
        """
        options = self._in_parts("put_file", os.path.getsize(path))
        return self._put(
            url, only_new, lambda key, **condition: self._system.put_file(path, key, **options, **condition)
        )

    def _in_parts(self, method: str, size: int) -> dict[str, int]:
        """What keeps the memory low that a file takes on its way: by itself s3fs takes 1 GB, adlfs all of 2 GB."""
        wanted: dict[str, int] = {}
        if self.protocol in ("s3", "s3a"):
            wanted["chunksize"] = max(_PART, -(-size // _MOST_PARTS))
        elif self.protocol in ("az", "abfs", "abfss"):
            wanted["max_concurrency"] = min(_AT_ONCE, getattr(self._system, "max_concurrency", None) or _AT_ONCE)
        # Versions differ in what they take.
        return {name: value for name, value in wanted.items() if self._takes(method, name)}

    def put_bytes(self, content: bytes, url: str, *, only_new: bool = False) -> bool:
        """Put these bytes into the store; see :meth:`put`."""
        return self._put(url, only_new, lambda key, **condition: self._system.pipe_file(key, content, **condition))

    def _put(self, url: str, only_new: bool, put: Any) -> bool:
        system, key = self._system, self.key(url)
        is_whole = self.protocol in _WHOLE_PUTS
        if is_whole and only_new and self not in _without_conditions:
            try:
                put(key, **({"overwrite": False} if self.protocol.startswith(("az", "ab")) else {"mode": "create"}))
            except Exception as error:  # what a refusal looks like differs from store to store, and by version
                if self.told(url) is not None:
                    return False
                if getattr(error, "errno", None) != errno.ENOSYS:
                    raise
                _without_conditions.add(self)
            else:
                return True
        if only_new and self.told(url) is not None:
            return False
        if is_whole:
            put(key)
            return True
        temporary = self.key(f"{self.directory}{STATE_DIRECTORY}/{os.urandom(8).hex()}")
        for one in (temporary, key):
            system.makedirs(system._parent(one), exist_ok=True)
        try:
            put(temporary)
            self._move(temporary, key)
        except BaseException:
            self._discard(temporary)
            raise
        return True

    def _move(self, old: str, new: str) -> None:
        system = self._system
        if self.protocol == "memory":
            # In one step: fsspec's own copies, and removes.
            system.store[new] = system.store.pop(old)
        elif self.protocol in ("file", "local"):
            # fsspec's own moves into a directory that is there.
            os.replace(old, new)
        else:
            system.mv(old, new)

    def _discard(self, key: str) -> None:
        with contextlib.suppress(Exception):  # it is not there, or the store cannot be reached
            self._system.rm_file(key)

    def move(self, old: str, new: str) -> None:
        """Give an object another name within the store."""
        system, key = self._system, self.key(new)
        if self.protocol not in _WHOLE_PUTS:
            system.makedirs(system._parent(key), exist_ok=True)
            self._move(self.key(old), key)
        else:
            system.cp_file(self.key(old), key)
            system.rm_file(self.key(old))

    def remove(self, url: str) -> bool:
        """Remove an object; whether it was there, as far as the store tells."""
        system, key = self._anew(url)
        try:
            system.rm_file(key)
        except FileNotFoundError:
            return False
        return True

    def remove_all(self, url: str) -> None:
        """Remove a directory with all that is below it."""
        with contextlib.suppress(FileNotFoundError):
            self._system.rm(self.key(url), recursive=True)

    def told_of_names(self, url: str) -> dict[str, Told]:
        """What the store says of each name in a directory; nothing if there is no such directory."""
        if self.protocol in _WHOLE_PUTS and url.endswith("//"):
            # A listing drops the second slash, so this is what begins with it of all that is below the first.
            above = url.rstrip("/")
            slashes = url[len(above) + 1 :]
            inside = {
                path.removeprefix(slashes): told
                for path, told in self.told_of_all(above).items()
                if path.startswith(slashes)
            }
            return {name: told for name, told in inside.items() if "/" not in name}
        system, key = self._anew(url)
        try:
            found = system.ls(key, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        start = len(key.rstrip("/")) + 1
        # Some stores list a directory itself, or an object of its name.
        return {info["name"].rstrip("/")[start:]: Told.of(info) for info in found if info["name"].rstrip("/")[start:]}

    def chunks(self, url: str) -> Iterator[bytes]:
        """What an object holds, piece by piece."""
        with self._system.open(self.key(url), "rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


class Reached(NamedTuple):
    """A path in a store: how it is reached, its URL without user and password, and the directory as it was passed."""

    protocol: str
    options: dict[str, Any]
    url: str
    passed: Any


def is_in_store(path: object) -> bool:
    """Whether a path is in a store, or claims to be: a URL, or what has a name and is not a local path."""
    if isinstance(path, (str, bytes, os.PathLike)):
        text = os.fsdecode(path)
        return "://" in text and is_url(text)
    return callable(getattr(type(path), "with_name", None))


def reached(path: Any) -> Reached:
    """How a path in a store is reached.

    Args:
        path: a URL, or a universal path.

    Raises:
        ImportError: what reaches stores, or this one, is not installed.
        TypeError: it says of the store what that does not take, as behind a question mark.
        ValueError: it is neither, or nothing is known that reaches it, or it chains file systems.
    """
    try:
        import fsspec
        import upath
    except ImportError as error:
        raise ImportError(
            f"{without_user(str(path))!r} is in a store, which fsspec and universal_pathlib reach, but they are "
            f"not both installed ({error}): pip install 'pyrepro[remote]'"
        ) from error
    if isinstance(path, upath.UPath):
        text = str(path)
        protocol = path.protocol
        url = text if is_url(text) else f"{protocol}://{path.path.lstrip('/')}"
        return Reached(protocol, dict(path.storage_options), without_user(url), path.parent)
    if not isinstance(path, (str, bytes)):
        raise ValueError(f"{path!r} is neither a local path nor a URL nor a UPath; pass one of these")
    url = os.fsdecode(path)
    if re.search(r"::[\w+]+://|^[^/]*::", url):
        raise ValueError(
            f"{without_user(url)!r} reaches one file system through another, and artifacts are put into one alone; "
            f"pass its URL, without what '::' joins to it"
        )
    try:
        system = fsspec.core.url_to_fs(url)[0]
    except (ImportError, TypeError, ValueError) as error:
        raise type(error)(f"{without_user(url)!r} cannot be reached: {error}") from error
    return Reached(url.partition("://")[0].lower(), dict(system.storage_options), without_user(url), split_text(url)[0])


def store_of(path: Any) -> tuple[Requests, str]:
    """The store that a path is in, and its URL there; see :func:`reached`."""
    protocol, options, url, _ = reached(path)
    return Requests(protocol, options, split_text(url)[0]), url


_hashes: dict[tuple[Requests, str, Told], str] = {}
"""What was hashed, by what the store says of it where that tells its content."""


class Remembered(Protocol):
    """What keeps digests for later processes."""

    def known(self, place: str, state: str) -> str | None: ...

    def keep(self, place: str, state: str, digest: str) -> None: ...


def hash_in_store(path: Any, remembered: Remembered) -> str | dict[str, str]:
    """The SHA-256 of an object as 64 hex digits, or of each object below a directory by its relative path.

    Args:
        path: its path.
        remembered: what keeps the digests of objects of which the store tells one of its own.

    Raises:
        FileNotFoundError: there is neither.
    """
    store, url = store_of(path)
    told = store.told(url)
    if told is not None and not told.is_directory:
        return _hash_of_object(store, url, told, remembered)
    inside = store.told_of_all(url)
    if told is None and not inside:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url)
    return {name: _hash_of_object(store, f"{url}/{name}", one, remembered) for name, one in sorted(inside.items())}


def _hash_of_object(store: Requests, url: str, told: Told, remembered: Remembered) -> str:
    known = (store, store.key(url), told)
    if known in _hashes:
        return _hashes[known]
    # No name: it may be somebody's.
    place = f"{store.protocol}:{hashlib.sha256(store.key(url).encode()).hexdigest()}"
    state = f"{told.size}:{told.held}"
    found = remembered.known(place, state) if told.is_digest else None
    if found is not None:
        return found
    digest = hashlib.sha256()
    for chunk in store.chunks(url):
        digest.update(chunk)
    if told.is_content and store.told(url) == told:
        _hashes[known] = digest.hexdigest()
        if told.is_digest:
            remembered.keep(place, state, digest.hexdigest())
    return digest.hexdigest()


def told_in_store(path: Any) -> object:
    """What tells without reading it that an object, or any below a directory, is as it was; None if there is none."""
    store, url = store_of(path)
    told = store.told(url)
    return told if told is not None and not told.is_directory else store.told_of_all(url) or None
