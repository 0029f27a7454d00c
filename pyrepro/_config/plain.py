"""The canonical JSON of a configuration that consists of built-in values alone, in one walk.

It is the same as that of its form; a call that finds its artifact would spend most of its time on making that.

Source: RFC 8785.
"""

from __future__ import annotations

import json
from typing import Any

_MAX_SAFE = 2**53 - 1
_LITERALS = {None: "null", True: "true", False: "false"}
_quoted = json.encoder.encode_basestring


class _NotPlainError(Exception):
    """Something that only the table in the reference knows how to write."""


def plain_bytes(config: object) -> bytes | None:
    """The RFC 8785 bytes of a configuration of built-in values; None if it holds anything else.

    Args:
        config: the configuration.
    """
    try:
        return _text(config).encode()
    # RecursionError, UnicodeEncodeError: whoever converts it step by step says where.
    except (_NotPlainError, RecursionError, UnicodeEncodeError):
        return None


def _text(value: Any) -> str:
    # Exact types: a subclass may have another form.
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is int and -_MAX_SAFE <= value <= _MAX_SAFE:
        return repr(value)
    # In this range, and only there, Python writes what ECMAScript does.
    if kind is float and (not value or 1e-4 <= abs(value) <= _MAX_SAFE):
        return repr(int(value)) if value.is_integer() else repr(value)
    if kind is dict:
        for key in value:
            # The order of other texts is that of UTF-16, and other keys are converted first.
            if type(key) is not str or not key.isascii():
                raise _NotPlainError
        return f"{{{','.join([f'{_quoted(key)}:{_text(value[key])}' for key in sorted(value)])}}}"
    if kind is list or kind is tuple:
        return f"[{','.join([_text(item) for item in value])}]"
    if kind is bool or value is None:
        return _LITERALS[value]
    raise _NotPlainError
