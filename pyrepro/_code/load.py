"""Load: what stood in the file of a module just before it was loaded, and whether it still does.

Sources: inode(7), clock_gettime(2).
"""

from __future__ import annotations

import functools
import os
import sys
import time
import types
from _thread import get_ident
from collections.abc import Callable, Mapping
from typing import Any

from pyrepro._code.caches import doubtful_cache, is_cache_of

Fingerprint = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of modification and of change in nanoseconds."""

TICK = 10_000_000
"""Nanoseconds: the kernel counts the starts of processes and the changes of files in ticks of a coarse clock."""

_COARSE = 2_000_000_000
"""Nanoseconds: where files keep whole seconds alone, of which FAT keeps every second one."""

_LARGEST_HASHED = 2**26
"""Bytes of an archive or an extension module: of larger ones a touch alone is taken for another content."""


class Load:
    """One load of a module: what stood in its file just before.

    Args:
        file: the file, or the archive that holds it.
        spec: the spec that it was loaded with; the module itself where it has none, as the program has.
        links: the links over which it was found, and what each of them said.

    Raises:
        OSError: the file cannot be read.
    """

    __slots__ = (
        *("content", "digest", "during", "file", "fingerprint", "found_at", "gap", "is_confirmed", "is_executed"),
        *("is_import", "is_reload", "is_run", "links", "mixed", "mode", "noted_at", "order", "spec", "thread"),
    )

    def __init__(self, file: str, spec: Any, *, links: Mapping[str, str] = types.MappingProxyType({})) -> None:
        self.file, self.spec, self.links = file, spec, links
        # A link on the way may lead to another file the next time: that is another load of the same module.
        self.found_at: str = getattr(spec, "origin", None) or file
        self.noted_at = time.time_ns()
        self.is_import = False  # whether it is executed as soon as it is found
        self.is_executed = False  # whether its loader was seen to make code of it
        self.mixed = ""  # why no source is known to hold all that runs
        self.is_run = False  # whether as a program, by runpy, whatever sys.modules has under its name
        self.thread = get_ident()
        self.order = _next_order(self.noted_at)
        self.is_reload = False  # whether into the module object that was there
        self.during: frozenset[str] = frozenset()  # the modules whose bodies ran, where it was not the first load
        self.gap = ""  # an id, where the loads just before this one are not known
        self.is_confirmed = False  # whether Python has read the file, too, while it was the same
        self.content: bytes | None = None  # None of what is not kept: extension modules and archives
        self.digest: bytes | None = None  # of those
        if file.endswith((".py", ".pyw", ".pyc")):
            with open(file, "rb", buffering=0) as opened:
                status = os.fstat(opened.fileno())
                self.content = opened.read()
        else:
            status = os.stat(file)
            self.digest = digest_of(file)
        self.mode = status.st_mode
        self.fingerprint = fingerprint_of(status)

    def is_of(self, status: os.stat_result) -> bool:
        """Whether a status is of the file as it was: what is written in the very tick of the clock changes nothing."""
        changed = self.fingerprint[4]
        is_told = self.content is None or self.noted_at > changed + grain_of(changed)
        return is_told and fingerprint_of(status) == self.fingerprint

    def has_stale(self, cached: str, loader: Any) -> bool | None:
        """Whether a compiled cache that is taken for this source is from another; None where there is no doubt.

        Args:
            cached: the path of the cache.
            loader: what loads the source.
        """
        cache = None if self.content is None else doubtful_cache(cached, *self.fingerprint[2:])
        return None if cache is None else not self.is_in(cache, loader)

    def is_in(self, cache: bytes, loader: Any) -> bool:
        """Whether a compiled cache is of this source."""
        return self.content is not None and is_cache_of(cache, self.content, self.file, loader)


@functools.lru_cache(maxsize=1000)
def _digest_of(file: str, fingerprint: Fingerprint) -> bytes | None:
    import hashlib  # for archives and extension modules of the user's own only

    with open(file, "rb") as opened:
        digest = hashlib.sha256(opened.read()).digest()
        return digest if fingerprint_of(os.fstat(opened.fileno())) == fingerprint else None


def digest_of(file: str) -> bytes | None:
    """The SHA-256 digest of a file, None where it is large or is written meanwhile."""
    status = os.stat(file)
    return _digest_of(file, fingerprint_of(status)) if status.st_size <= _LARGEST_HASHED else None


_last_order = 0


def _next_order(now: int) -> int:
    """A place in the order of all loads: the time, also where the clock stands still or is set back."""
    global _last_order
    _last_order = max(now, _last_order + 1)
    return _last_order


# CLOCK_REALTIME_COARSE, for which Python has no name. Where much else runs, or on a virtual machine, it may be far
# behind the other clock. No function of our own, since it is asked at every call.
clock_of_files: Callable[[], int] = (
    functools.partial(time.clock_gettime_ns, 5) if sys.platform == "linux" else time.time_ns
)
"""The time that a local file gets which is written now, in nanoseconds."""


def grain_of(time: int) -> int:
    """How long after a time a file may have been written that gives it as that of its last change."""
    return TICK if time % 1_000_000_000 else _COARSE


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """What is another when a file was written, replaced, or given other times."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
