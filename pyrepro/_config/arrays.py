"""Arrays -> JSON, where a list would say too much, or forget too much."""

from __future__ import annotations

import hashlib
import importlib
import sys
from typing import Any

LARGE = 1000
"""How many elements of an array are written out at most."""

_KINDS = "biufcmMSUV"  # of NumPy's types those whose elements are their bytes
_INTEGERS = {1: "uint8", 2: "int16", 4: "int32"}  # of PyTorch's, by their size in bytes


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
    name = _name_beyond_numpy(array.dtype)
    if name is not None:
        # Read as integers of the same bytes.
        array = array.contiguous().view(getattr(sys.modules["torch"], _INTEGERS[array.element_size()]))
    array = numpy.asarray(array)
    if not _is_its_bytes(array.dtype):
        return None
    if array.dtype.fields:
        # The bytes between fields are anything.
        array = importlib.import_module("numpy.lib.recfunctions").repack_fields(array, recurse=True)
    plain = numpy.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    sha256 = hashlib.sha256(plain.reshape(-1).view("u1").data).hexdigest()
    return {**_head(plain.dtype, [*array.shape]), **({} if name is None else {"dtype": name}), "sha256": sha256}


def holds_nothing_in(array: Any) -> bool:
    """Whether an array has a shape that its list forgets, since there are no elements."""
    return 0 in getattr(array, "shape", ())[:-1]


def head_where_lists_forget(array: Any) -> dict[str, Any] | None:
    """The type and shape of an array of records, of one of these, and of what holds nothing; None of any other."""
    dtype = getattr(array, "dtype", None)
    return _head(dtype, [*array.shape]) if getattr(dtype, "fields", None) or holds_nothing_in(array) else None


def _name_beyond_numpy(dtype: Any) -> str | None:
    """What PyTorch and ``ml_dtypes`` call a type of floating-point numbers that NumPy does not have."""
    is_number = getattr(dtype, "is_floating_point", False) or getattr(dtype, "is_complex", False)
    name = str(dtype).removeprefix("torch.")
    return name if is_number and name not in ("float16", "float32", "float64", "complex64", "complex128") else None


def _is_its_bytes(dtype: Any) -> bool:
    if dtype.fields:
        return all(_is_its_bytes(dtype.fields[name][0].base) for name in dtype.names)
    is_known = dtype.kind in _KINDS or is_of_ml_dtypes(dtype)
    return is_known and dtype.itemsize > 0 and not dtype.hasobject and not is_padded(dtype)


def is_padded(dtype: Any) -> bool:
    """Whether numbers of a type have bytes that are anything, as long doubles do."""
    return bool(dtype.kind in "fc" and dtype.itemsize > 8 * (1 + (dtype.kind == "c")))


def is_of_ml_dtypes(dtype: Any) -> bool:
    """Whether a type is one of those that JAX adds to NumPy's, such as bfloat16."""
    return bool(dtype.type.__module__ == "ml_dtypes")


def _head(dtype: Any, shape: list[int]) -> dict[str, Any]:
    return {"__class__": "numpy:ndarray", "dtype": _dtype_name(dtype.newbyteorder("<")), "shape": shape}


def _dtype_name(dtype: Any) -> Any:
    """The type of the elements as NumPy's descriptions have it; types of other packages by their names."""
    if dtype.fields:
        return [_field(name, *dtype.fields[name]) for name in dtype.names]
    return dtype.name if dtype.kind == "V" or is_of_ml_dtypes(dtype) else dtype.str


def _field(name: str, dtype: Any, offset: int, title: Any = None) -> list[Any]:
    shape = [[*dtype.shape]] if dtype.shape else []
    return [name if title is None else [title, name], _dtype_name(dtype.base), *shape]
