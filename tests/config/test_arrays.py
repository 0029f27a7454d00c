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
    array = np.frombuffer(bytes(range(padded.itemsize)) * LARGE, padded)
    other = np.zeros(LARGE, padded)
    for name in ("n", "x", "in"):
        other[name] = array[name]
    assert array.tobytes() != other.tobytes()
    form = form_of(array)
    assert form == form_of(other)
    assert form["dtype"] == [["n", "|u1"], ["x", "<f8", [2]], ["in", [["a", "<i4"]]]]


def records(dtype: Any, amount: int = 2) -> Any:
    return np.ones(amount, np.dtype(dtype))


@pytest.mark.parametrize("amount", [1, LARGE])
@pytest.mark.parametrize(
    "dtype",
    [
        [("x", "<i4"), ("z", "<i4")],
        [("y", "<i4"), ("x", "<i4")],
        [("x", "<i4"), ("y", "<i8")],
        [("x", "<i4"), ("y", "<f4")],
        [("x", "<i4"), ("y", "O")],
        [("x", "<i4"), ("y", "<i4", (1,))],
        [("x", "<i4"), ("y", [("y", "<i4")])],
        [(("abscissa", "x"), "<i4"), ("y", "<i4")],
        [("x", "<i4"), ("y", "<i4"), ("z", "<i4")],
    ],
)
def test_records_whose_fields_differ_differ(dtype: Any, amount: int) -> None:
    known = records([("x", "<i4"), ("y", "<i4")], amount)
    assert config_hash(records(dtype, amount)) not in {config_hash(known), config_hash(known.tolist())}
    if amount == 1:
        assert config_hash(records(dtype)[0]) not in {config_hash(known[0]), config_hash(known[0].item())}


@pytest.mark.parametrize("objects", [{"formats": ["<i4", "<f8"]}, {"formats": ["<i4", "O"]}])
@pytest.mark.parametrize("amount", [1, LARGE])
def test_the_layout_of_records_is_not_part_of_them(objects: dict[str, list[str]], amount: int) -> None:
    plain = records({"names": ["a", "b"], **objects}, amount)
    padded = records({"names": ["a", "b"], **objects, "offsets": [8, 16], "itemsize": 40}, amount)
    turned = records({"names": ["a", "b"], **objects}, 2 * amount)[::-2]
    big = plain.astype([("a", ">i4"), ("b", objects["formats"][1].replace("<", ">"))])
    read_only = np.asarray(plain.view(np.recarray))
    assert {config_hash(one) for one in (padded, turned, big, read_only)} == {config_hash(plain)}


def test_the_title_of_a_field_stands_beside_its_name() -> None:
    array = records([(("abscissa", "x"), ">i4"), ("in", [(("of it", "y"), "O")], (2,))], 1)
    assert form_of(array) == {
        "__class__": "numpy:ndarray",
        "dtype": [[["abscissa", "x"], "<i4"], ["in", [[["of it", "y"], "|O"]], [2]]],
        "shape": [1],
        "values": [
            [
                1,
                {
                    "__class__": "numpy:ndarray",
                    "dtype": [[["of it", "y"], "|O"]],
                    "shape": [2],
                    "values": [[1], [1]],
                },
            ]
        ],
    }


@pytest.mark.parametrize("amount", [1, LARGE])
def test_a_title_without_a_form_is_refused(amount: int) -> None:
    with pytest.raises(ConfigError) as error:
        config_hash({"table": records([((object, "x"), "i4"), ((object(), "y"), "i4")], amount)})
    assert error.value.place == "config['table']['dtype'][1][0][0]"


def test_many_records_with_padded_numbers_are_refused_as_one_is() -> None:
    if np.dtype("g").itemsize == 8:
        pytest.skip("no number is padded on this platform")
    with pytest.raises(ConfigError) as error:
        config_hash(records([("a", "i4"), ("b", [("c", "g")])], LARGE))
    assert error.value.place == "config[0][1][0]"


def test_arrays_of_no_elements_differ_by_shape_where_their_lists_do_not() -> None:
    shapes = [(0, 3), (0, 5), (0, 3, 2), (2, 0, 3), (0,)]
    assert len({config_hash(np.zeros(shape)) for shape in shapes}) == len(shapes)
    assert form_of(np.zeros((0, 3), ">f8")) == digest("<f8", [0, 3], b"")
    assert form_of(np.zeros((0, 3), object)) == {
        "__class__": "numpy:ndarray",
        "dtype": "|O",
        "shape": [0, 3],
        "values": [],
    }
    assert [form_of(np.zeros(shape)) for shape in ((0,), (2, 0), (1, 2, 0))] == [[], [[], []], [[[], []]]]


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


class Numbers:
    """What PyTorch's tensors of bfloat16 are to NumPy: it can read their bytes alone."""

    dtype = type("dtype", (), {"is_floating_point": True, "__str__": lambda self: "torch.bfloat16"})()
    shape = (LARGE,)

    def __init__(self, value: int) -> None:
        self.bits = np.full(LARGE, value, "i2")

    def numel(self) -> int:
        return LARGE

    def contiguous(self) -> Numbers:
        return self

    def element_size(self) -> int:
        return 2

    def view(self, dtype: str) -> Any:
        return self.bits.view(dtype)


def test_a_large_tensor_of_numbers_that_numpy_does_not_know_is_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    torch: Any = ModuleType("torch")
    torch.Tensor, torch.int16 = Numbers, "i2"
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert form_of(Numbers(16256)) == digest("bfloat16", [LARGE], b"\x80\x3f" * LARGE)


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
