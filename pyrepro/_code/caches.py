"""Compiled caches, and what a source compiles to.

Sources: PEP 3147, PEP 552.
"""

from __future__ import annotations

import os
import sys
import types
from importlib.machinery import SourceFileLoader
from typing import Any

_LONGEST_COMPILATION = 5_000_000_000
"""Nanoseconds between the reading of a source and the writing of its compiled cache: edits in between go unseen."""


def own_caches(cached: str, loader: Any) -> list[str]:
    """The compiled caches that loaders keep of a source that they change, as pytest, beartype and jaxtyping do.

    Args:
        cached: the standard cache of the source: the others stand beside it, under other names.
        loader: what loads the source; Python's own loader has no other caches.
    """
    if type(loader) is SourceFileLoader:
        return []
    directory, name = os.path.split(cached)
    stem = f"{name.partition(f'.{sys.implementation.cache_tag}')[0]}.{sys.implementation.cache_tag}"
    standard = (".pyc", ".opt-1.pyc", ".opt-2.pyc")
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    endings = ((name, name.removeprefix(stem)) for name in names if name.startswith((f"{stem}.", f"{stem}-")))
    return [
        os.path.join(directory, name) for name, ending in endings if ending.endswith(".pyc") and ending not in standard
    ]


def doubtful_cache(cached: str, size: int, modified: int, changed: int) -> bytes | None:
    """A compiled cache that is taken for a source although it may be from another; None where there is none.

    Python, and whoever keeps caches of this form, compares the size and the whole seconds of the time of modification,
    or nothing (PEP 552).

    Args:
        cached: the path of the cache.
        size: that of the source.
        modified: when the source was modified last, in nanoseconds.
        changed: when its status was changed last, in nanoseconds.
    """
    try:
        with open(cached, "rb", buffering=0) as opened:
            header = opened.read(16)
            written = os.fstat(opened.fileno()).st_mtime_ns
            if len(header) < 16 or not is_magic(header):
                return None  # Python does not take it
            flags, *identity = (int.from_bytes(header[start : start + 4], "little") for start in (4, 8, 12))
            if flags & 1:
                # With the second bit Python itself compares the hash of the source.
                return None if flags & 2 else header
            if identity != [modified // 1_000_000_000 & 0xFFFFFFFF, size & 0xFFFFFFFF]:
                return None  # Python compiles the source
            if written > changed + _LONGEST_COMPILATION:
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
    except Exception:  # also of what changes sources, and may be anybody's
        return False


def is_magic(cache: bytes) -> bool:
    """Whether a compiled cache is of this version of Python."""
    import importlib.util  # for modules of one's own only

    return cache[:4] == importlib.util.MAGIC_NUMBER


def compiled(source: bytes, file: str, loader: Any = None) -> Any:
    """What a source compiles to, by the rules of its loader."""
    import warnings

    is_of_pytest = type(loader).__module__ == "_pytest.assertion.rewrite"
    compile_source = _rewriting(loader) if is_of_pytest else getattr(loader, "source_to_code", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler has warned of it when it was loaded
        return compile_source(source, file) if compile_source else compile(source, file, "exec", dont_inherit=True)


def _rewriting(hook: Any) -> Any:
    """What compiles sources as pytest does, which rewrites their assertions."""

    def compile_source(source: bytes, file: str) -> Any:
        import ast

        tree = ast.parse(source, filename=file)
        pytest: Any = sys.modules[type(hook).__module__]
        pytest.rewrite_asserts(tree, source, file, hook.config)
        return compile(tree, file, "exec", dont_inherit=True)

    return compile_source


def holds(source: bytes, code: types.CodeType) -> bool:
    """Whether a code object is what a source compiles to, or a part of it."""
    try:
        return _is_part(code, compiled(source, code.co_filename))
    except (SyntaxError, ValueError):
        return False


def _is_part(code: types.CodeType, whole: types.CodeType) -> bool:
    return code == whole or any(_is_part(code, part) for part in whole.co_consts if isinstance(part, types.CodeType))
