"""Arrays -> digest: what a value is whose elements are too many to be written one by one."""

from __future__ import annotations

import hashlib
import importlib
import sys
from typing import Any

LARGE = 1000
"""How many elements of an array are written out at most."""

_KINDS = "biufcmMSUV"  # of NumPy's types those whose elements are their bytes


def array_digest(array: Any) -> dict[str, Any] | None:
    """What an array is made of, its elements as the SHA-256 of their little-endian bytes in C order.

    Args:
        array: a NumPy array, or a tensor or array that NumPy can read.

    Returns:
        An object of JSON; None for elements that are not their bytes:
        objects, strings of any length, and numbers that are padded.

    Raises:
        Exception: whatever NumPy raises for an array that it cannot read.
    """
    numpy = sys.modules["numpy"]
    for step in ("detach", "cpu", "resolve_conj", "resolve_neg"):  # what tensors need; arrays have none of these
        array = getattr(array, step, lambda array=array: array)()
    array = numpy.asarray(array)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in _KINDS or array.dtype.hasobject or not size > 0 or (kind in "fc" and size > 8 * (1 + (kind == "c"))):
        return None
    if array.dtype.fields:
        # The bytes between fields are anything.
        array = importlib.import_module("numpy.lib.recfunctions").repack_fields(array, recurse=True)
    plain = numpy.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {
        "__class__": "numpy:ndarray",
        "dtype": _dtype_name(plain.dtype),
        "shape": [*plain.shape],
        "sha256": hashlib.sha256(plain.reshape(-1).view("u1").data).hexdigest(),
    }


def _dtype_name(dtype: Any) -> Any:
    """The type of the elements as NumPy's descriptions have it; types of other packages by their names."""
    if dtype.fields:
        return [[name, *_field_type(dtype.fields[name][0])] for name in dtype.names]
    return dtype.name if dtype.kind == "V" else dtype.str


def _field_type(dtype: Any) -> list[Any]:
    return [_dtype_name(dtype.base), [*dtype.shape]] if dtype.shape else [_dtype_name(dtype)]
