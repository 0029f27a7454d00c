"""Compiled caches, and what a source compiles to.

Source: PEP 552.
"""

from __future__ import annotations

import os
import types
from typing import Any

_LONGEST_COMPILATION = 5_000_000_000
"""Nanoseconds between the reading of a source and the writing of its compiled cache: edits in between go unseen."""


def doubtful_cache(cached: str, source: os.stat_result) -> bytes | None:
    """A compiled cache that Python takes for a source although it may be from another; None where there is none.

    Python compares the size and the whole seconds of the time of modification, or nothing (PEP 552).
    """
    try:
        with open(cached, "rb", buffering=0) as opened:
            header = opened.read(16)
            written = os.fstat(opened.fileno()).st_mtime_ns
            if len(header) < 16 or not is_magic(header):
                return None  # Python does not take it
            flags, modified, size = (int.from_bytes(header[start : start + 4], "little") for start in (4, 8, 12))
            if flags & 1:
                # With the second bit Python itself compares the hash of the source.
                return None if flags & 2 else header
            if modified != int(source.st_mtime) & 0xFFFFFFFF or size != source.st_size & 0xFFFFFFFF:
                return None  # Python compiles the source
            if written > source.st_ctime_ns + _LONGEST_COMPILATION:
                return None  # what it was compiled from was read after the source was changed last
            return header + opened.read()
    except OSError:
        return None


def is_cache_of(cache: bytes, source: bytes, file: str, loader: Any) -> bool:
    """Whether a compiled cache of this version of Python is what a source compiles to."""
    import importlib.util
    import marshal

    if cache[4] & 1:
        return bool(importlib.util.source_hash(source) == cache[8:16])

    try:
        taken, fresh = marshal.loads(cache[16:]), compiled(source, file, loader)
        # The second for constants that do not equal themselves, as NaN; in the last version that knows no references,
        # which depend on what else holds an object.
        return bool(taken == fresh or marshal.dumps(taken, 2) == marshal.dumps(fresh, 2))
    except (SyntaxError, ValueError, EOFError, TypeError):
        return False


def is_magic(cache: bytes) -> bool:
    """Whether a compiled cache is of this version of Python."""
    import importlib.util  # for modules of one's own only

    return cache[:4] == importlib.util.MAGIC_NUMBER


def compiled(source: bytes, file: str, loader: Any = None) -> Any:
    """What a source compiles to, by the rules of its loader."""
    import warnings

    compile_source = getattr(loader, "source_to_code", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler has warned of it when it was loaded
        return compile_source(source, file) if compile_source else compile(source, file, "exec", dont_inherit=True)


def holds(source: bytes, code: types.CodeType) -> bool:
    """Whether a code object is what a source compiles to, or a part of it."""
    try:
        return _is_part(code, compiled(source, code.co_filename))
    except (SyntaxError, ValueError):
        return False


def _is_part(code: types.CodeType, whole: types.CodeType) -> bool:
    return code == whole or any(_is_part(code, part) for part in whole.co_consts if isinstance(part, types.CodeType))
