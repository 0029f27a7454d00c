"""Small arrays are their elements, large ones their type, shape and digest."""

from __future__ import annotations

import hashlib
import json
import sys
import zoneinfo
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pyrepro import ConfigError, canonical_json, config_hash

LARGE = 1001


def form_of(value: object) -> Any:
    return json.loads(canonical_json(value))


def digest(dtype: Any, shape: list[int], content: bytes) -> dict[str, Any]:
    return {
        "__class__": "numpy:ndarray",
        "dtype": dtype,
        "shape": shape,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_a_thousand_elements_are_written_out_and_more_are_a_digest() -> None:
    assert form_of(np.zeros((10, 100))) == [[0] * 100] * 10
    array = np.arange(1002.0).reshape(2, 501)
    assert form_of({"weights": array}) == {"weights": digest("<f8", [2, 501], array.tobytes())}


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "f2", "f4", "c8", "c16", "S3", "U3", "M8[ns]", "m8[D]", "V5"])
def test_the_type_of_the_elements_is_part_of_it(dtype: str) -> None:
    array = np.zeros(LARGE, dtype)
    expected = array.dtype.name if dtype == "V5" else array.dtype.newbyteorder("<").str
    assert form_of(array) == digest(expected, [LARGE], bytes(array.nbytes))


@pytest.mark.parametrize(
    "layout",
    [
        lambda array: array.astype(">i4"),
        np.asfortranarray,
        lambda array: np.repeat(array, 2, axis=1)[:, ::2],
        lambda array: array[::-1][::-1],
    ],
)
def test_the_layout_in_memory_is_not_part_of_it(layout: Any) -> None:
    array = np.arange(1200, dtype="<i4").reshape(30, 40)
    other = layout(array)
    assert form_of(other) == form_of(array) == digest("<i4", [30, 40], array.tobytes())


def test_arrays_that_differ_in_one_element_type_or_shape_differ() -> None:
    array = np.zeros(1200)
    other = array.copy()
    other[-1] = 1
    arrays = [array, other, array.astype("f4"), array.astype("i8"), array.reshape(2, 600), array.reshape(600, 2)]
    assert len({config_hash(one) for one in arrays}) == len(arrays)


def test_what_is_between_the_fields_of_records_is_not_part_of_them() -> None:
    padded = np.dtype([("n", "u1"), ("x", "<f8", (2,)), ("in", [("a", ">i4")])], align=True)
    array = np.frombuffer(bytes(range(padded.itemsize)) * LARGE, padded).copy()
    other = np.zeros(LARGE, padded)
    for name in ("n", "x", "in"):
        other[name] = array[name]
    assert array.tobytes() != other.tobytes()
    form = form_of(array)
    assert form == form_of(other)
    assert form["dtype"] == [["n", "|u1"], ["x", "<f8", [2]], ["in", [["a", "<i4"]]]]


def test_many_objects_are_written_out() -> None:
    assert form_of(np.array([None] * LARGE, dtype=object)) == [None] * LARGE


def test_many_padded_numbers_are_refused_as_one_is() -> None:
    if np.dtype("g").itemsize == 8:
        pytest.skip("no number is padded on this platform")
    with pytest.raises(ConfigError) as error:
        config_hash(np.zeros(LARGE, "g"))
    assert error.value.place == "config[0]"


def test_a_tensor_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tensor:
        def numel(self) -> int:
            return 1

        def tolist(self) -> Any:
            raise RuntimeError("on the meta device")

        def __repr__(self) -> str:
            return "tensor(...)"

    torch: Any = ModuleType("torch")
    torch.Tensor = Tensor
    monkeypatch.setitem(sys.modules, "torch", torch)
    with pytest.raises(ConfigError) as error:
        config_hash([Tensor()])
    assert str(error.value) == (
        f"config[0] is tensor(...) of type {__name__}.{Tensor.__qualname__}, which cannot be read: "
        "on the meta device; pass plain values"
    )


def test_a_zone_without_a_name_is_refused() -> None:
    for directory in zoneinfo.TZPATH:
        if (path := Path(directory) / "UTC").exists():
            break
    else:
        pytest.skip("the zones of this system are not in files")
    with path.open("rb") as file:
        zone = zoneinfo.ZoneInfo.from_file(file)
    with pytest.raises(ConfigError) as error:
        config_hash(zone)
    assert str(error.value) == (
        f"config is {zone!r} of type zoneinfo.ZoneInfo, which has no stable JSON form; "
        "pass plain values, or register the type with pyrepro.to_json.register(ZoneInfo)"
    )
