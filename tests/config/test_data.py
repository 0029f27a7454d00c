"""Data in memory counts by its names, order, kinds and values, and by nothing else."""

from __future__ import annotations

import datetime
import decimal
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import Repository
from hypothesis import given
from hypothesis import strategies as st

from pyrepro import Artifact, ConfigError
from pyrepro._config.data import digest_of_data
from pyrepro._config.forms import json_form

CSV = "n,x,s,d,b\n1,0.5,a,2020-01-01,True\n2,,b é,2021-06-30 12:30,False\n3,-0.25,,,True\n"
NAN = float("nan")
TIME = pd.Timestamp("2020-01-01 12:00")
DAY = datetime.date(2020, 1, 1)
ZONED = pd.Series([TIME]).dt.tz_localize("Europe/Berlin")


def digest(value: Any) -> str:
    return digest_of_data(value, "table", json_form)


def table(**options: Any) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(CSV), parse_dates=["d"], date_format="ISO8601", **options)


# Golden: one value for every version of NumPy, pandas and polars; they never change.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (table, "bff989510add9abac2edfa63972e254e33fae13b925a5e1949f3473cadde1825"),
        (lambda: table()["s"], "82f4909b22dccacad93905f50c06f2f5d5851e8ec0fa900a74332d58b8096f7e"),
        (lambda: table().set_index("d"), "61908df4db93e32ba873e81d96a7a8646eec6205c0b9ed1f7c58d95718e9532f"),
        (lambda: np.arange(6.0).reshape(2, 3), "599395d1137196771d0cdebda0968ede76383c60350aeeea2422a149f34dc41b"),
        (lambda: np.array(["a", "bc"]), "463e29d82fe277a4ef2c8fbfc730f08591f0393100de851a5c050a77caa505e3"),
        (
            lambda: pd.Series(pd.Categorical(["a", None, "b"]), name="c"),
            "d97ad5dea1d0e5a689448c5ab7da240afd37a5369f7718d4a148b6e188368846",
        ),
        (
            lambda: pd.date_range("2020", periods=3, freq="D", tz="Europe/Berlin"),
            "a6447d08f1903fc44a8d9e45babb6dc703dd28197be26de35a23afe422b1823a",
        ),
        (
            lambda: pd.period_range("2020", periods=3, freq="M"),
            "a189d1eee7ea83c53ab13c22a55566a2c22d69b5ca0af5f1e923e29b523ad775",
        ),
        (
            lambda: pd.cut(pd.Series([1, 5, 9]), [0, 4, 10]),
            "f0a99c16161f427d1d44fe337cab1236ab595bd52c5c6a43c0e9cae344aedead",
        ),
        (
            lambda: pd.Series([1, "a", None, 1.5, [1, 2], {"k": "v"}]),
            "cf11a1a703b8ce4e3dfd5db669e7f1ee99e3114f3fe89a63eab987c258226986",
        ),
        (
            lambda: pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["x", None]),
            "9c6832872d9792dd5b854a312d1b135a12645afe0ad90ee8aca089fcd151b4b5",
        ),
        (
            lambda: pd.Series([1, None], dtype="Int64"),
            "b5bfd0100bf52b04fbe26b62f806b4cb36bbd51fb690667b4f8773cb6b1f1f40",
        ),
        (pd.DataFrame, "7521443125c94b08df55f3f3d6b76b7f686c1250ec8b5953b9a8b8359f9e9e42"),
    ],
)
def test_a_digest_is_the_same_under_every_version(value: Callable[[], Any], expected: str) -> None:
    assert digest(value()) == f"sha256:{expected}"


def test_how_a_table_is_stored_does_not_count() -> None:
    read = table()
    expected = digest(read)
    assert digest(table().copy(deep=True)) == expected
    assert digest(read.astype({"d": "datetime64[ns]"})) == expected
    assert digest(read.astype({"s": object})) == expected
    assert digest(read.astype({"n": "Int64", "b": "boolean"})) == expected
    assert digest(pd.concat([read[:1], read[1:]])) == expected
    assert digest(pd.DataFrame({name: read[name] for name in read})) == expected
    assert digest(read[::-1][::-1]) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.rename(columns={"n": "m"}),
        lambda t: t[["x", "n", "s", "d", "b"]],
        lambda t: t[::-1],
        lambda t: t[::-1].reset_index(drop=True),
        lambda t: t.astype({"n": "float64"}),
        lambda t: t.astype({"n": "int32"}),
        lambda t: t.astype({"x": "float32"}),
        lambda t: t.assign(x=t.x.fillna(0)),
        lambda t: t.assign(s=t.s.fillna("")),
        lambda t: t.assign(s=t.s.astype("category")),
        lambda t: t.assign(d=t.d.dt.tz_localize("UTC")),
        lambda t: t.assign(d=t.d + pd.Timedelta(1, "us")),
        lambda t: t.assign(b=t.b.astype("int64")),
        lambda t: t.set_index("n"),
        lambda t: t.set_index("n", append=True),
        lambda t: t.rename_axis("row"),
        lambda t: t.rename_axis("kind", axis="columns"),
        lambda t: t.set_axis([1, 2, 3]),
        lambda t: t.n,
        lambda t: t[["n"]],
        lambda t: t[:2],
        lambda t: t.to_numpy(dtype=object),
    ],
)
def test_what_a_table_says_counts(change: Callable[[pd.DataFrame], Any]) -> None:
    assert digest(change(table())) != digest(table())


def test_what_pandas_notes_beside_the_data_does_not_count() -> None:
    noted = table()
    noted.attrs["source"] = noted["n"].attrs["source"] = "sensor 3"
    assert digest(noted) == digest(table())
    assert digest(noted.n) == digest(table().n)


def test_names_of_columns_keep_their_kind() -> None:
    names: list[Any] = ["1", 1, 1.5, None, ("a", 1), ("a1",), pd.Timestamp("2020"), "2020-01-01T00:00:00"]
    names += [pd.Interval(0, 1), pd.Interval(0, 1, closed="left"), pd.Period("2020", "M"), pd.Period("2020", "D")]
    found = [digest(pd.Series([1], name=name)) for name in names]
    assert len(set(found)) == len(names)


def test_an_index_that_only_counts_the_rows_is_none() -> None:
    plain = pd.DataFrame({"a": [1, 2]})
    assert digest(plain.set_axis(pd.Index([0, 1]))) == digest(plain)
    assert digest(plain[plain.a > 5]) == digest(pd.DataFrame({"a": pd.Series([], dtype="int64")}))


def test_the_layout_of_an_array_does_not_count() -> None:
    plain = np.arange(12.0).reshape(3, 4)
    others = [np.asfortranarray(plain), plain.astype(">f8"), np.repeat(plain, 2, 1)[:, ::2], plain[::-1][::-1]]
    assert {digest(other) for other in others} == {digest(plain)}
    assert len({digest(other) for other in (plain, plain.T, plain.ravel(), plain[None], plain.astype("f4"))}) == 5


def test_a_mapped_file_is_an_array(tmp_path: Any) -> None:
    np.save(tmp_path / "a.npy", np.arange(5))
    assert digest(np.load(tmp_path / "a.npy", mmap_mode="r")) == digest(np.arange(5))


def test_large_arrays_are_hashed_in_pieces_of_any_shape() -> None:
    plain = np.arange(600_000.0)
    shaped = plain.reshape(2, -1)
    assert digest(np.asfortranarray(shaped)) == digest(shaped)
    changed = plain.copy()
    changed[-1] += 1
    assert digest(changed) != digest(plain)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([0.0]), np.array([-0.0])),
        (np.array([NAN]), -np.array([NAN])),
        (np.array([complex(0, NAN)]), np.array([complex(-0.0, -NAN)])),
        (np.array(["a"], "U1"), np.array(["a"], "U9")),
        (np.array([b"a"], "S1"), np.array([b"a"], "S9")),
        (np.array(["2020"], "M8[Y]"), np.array(["2020-01-01"], "M8[ns]")),
        (np.array([3], "m8[h]"), np.array([10800], "m8[s]")),
        (np.array([1], "m8[W]"), np.array([7], "m8[D]")),
        (np.array([2], "m8[25s]"), np.array([50], "m8[s]")),
        (np.array(["NaT"], "M8[s]"), np.array(["NaT"], "M8[ns]")),
        (pd.Series(["a", None]), pd.Series(["a", None], dtype="string")),
        (pd.Series(["a", None], dtype=object), pd.Series(["a", NAN], dtype=object)),
        (pd.Series([], dtype=object), pd.Series([], dtype="string")),
        (pd.Series([1, 2]), pd.Series([1, 2], dtype="Int64")),
        (pd.Series([1, 2]), pd.Series([1, 2], dtype="int64[pyarrow]")),
        (pd.Series([1, None], dtype="Int64"), pd.Series([1, None], dtype="int64[pyarrow]")),
        (pd.Series(["a", None]), pd.Series(["a", None], dtype="string[pyarrow]")),
        (pd.Series(["a", None]), pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string()))),
        (pd.Series([TIME, None]), pd.Series([TIME, None], dtype=pd.ArrowDtype(pa.timestamp("us")))),
        (
            pd.Series([TIME]).dt.tz_localize("UTC"),
            pd.Series([TIME]).dt.tz_localize("UTC").astype(pd.ArrowDtype(pa.timestamp("us", "UTC"))),
        ),
        (pd.Series([DAY, None], dtype=object), pd.Series([DAY, None], dtype=pd.ArrowDtype(pa.date32()))),
        (pd.Series([DAY], dtype=object), pd.Series([DAY], dtype=pd.ArrowDtype(pa.date64()))),
        (pd.Series([0, 0, 1]), pd.Series(pd.arrays.SparseArray([0, 0, 1]))),
        (pd.Series([np.int64(1), "a"]), pd.Series([1, "a"])),
        (pd.date_range("2020", periods=2, tz="UTC"), pd.date_range("2020", periods=2, tz=datetime.timezone.utc)),
        (pd.period_range("2020", periods=2, freq="D"), pd.PeriodIndex(["2020-01-01", "2020-01-02"], freq="D")),
    ],
)
def test_equal_values_of_one_kind_are_one(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)


DIFFERENT: list[Any] = [
    pd.Series([1, "a"]),
    pd.Series([1.0, "a"]),
    pd.Series([True, "a"]),
    pd.Series(["1", "a"]),
    pd.Series([None, "a", 1]),
    pd.Series([NAN, "a", 1]),
    pd.Series([pd.NaT, "a", 1], dtype=object),
    pd.Series(["NaN", "a", 1]),
    pd.Series([[1, 2]]),
    pd.Series([[1.0, 2]]),
    pd.Series([{"a": 1}]),
    pd.Series([np.array([1, 2])]),
    pd.Series([np.array([1, 2], "i4")]),
    pd.Series([np.datetime64(1, "ns"), 1], dtype=object),
    pd.Series([1, 1], dtype=object),
    pd.Series([b"a"]),
    pd.Series(["a"]),
    pd.Series([datetime.date(2020, 1, 1)]),
    pd.Series([datetime.datetime(2020, 1, 1)]),
    pd.Series([datetime.time(1)]),
    pd.Series([decimal.Decimal("1.5")]),
    pd.Series([1.5]),
    pd.Series([1, None], dtype="Float64"),
    pd.Series([1, NAN]),
    pd.Series([1, 0], dtype="Float64"),
    pd.Series(["a", "b"], dtype="category"),
    pd.Series(pd.Categorical(["a", "b"], ordered=True)),
    pd.Series(pd.Categorical(["a", "b"], ["b", "a"])),
    pd.Series(pd.Categorical(["a", "b"], ["a", "b", "c"])),
    pd.Index(["a", "b"]),
    pd.MultiIndex.from_tuples([("a", "b")]),
    pd.interval_range(0, 2),
    pd.interval_range(0, 2, closed="left"),
    pd.interval_range(0.0, 2),
    pd.period_range("2020", periods=1, freq="M"),
    pd.period_range("2020", periods=1, freq="D"),
    pd.date_range("2020", periods=1, tz="UTC"),
    pd.date_range("2020", periods=1, tz="Europe/Berlin"),
    pd.date_range("2020", periods=1, tz=datetime.timezone(datetime.timedelta(hours=1))),
    pd.to_timedelta([1], unit="s"),
    np.array([1, 2]),
    np.array([1, 2], "u8"),
    np.array([1, 2], "i4"),
    np.array([[1, 2]]),
    np.array(1),
    np.array([], "i8"),
    np.array([], "f8"),
    np.zeros((0, 3)),
    np.zeros((3, 0)),
    np.array([True]),
    np.array(["a"]),
    np.array(["a", ""]),
    np.array(["", "a"]),
    np.array([1 + 2j]),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("c", "f8")]),
    np.array([3], "m8[M]"),
    np.array([3], "m8[Y]"),
    pd.DataFrame(index=range(2)),
    pd.DataFrame(index=range(3)),
    pd.DataFrame(index=["a", "b"]),
]


@pytest.mark.parametrize(
    ("of_polars", "of_pandas"),
    [
        (pl.DataFrame(), pd.DataFrame()),
        (pl.DataFrame({"a": [1, 2], "b": ["x", None]}), pd.DataFrame({"a": [1, 2], "b": ["x", None]})),
        (pl.Series([1.5, NAN]), pd.Series([1.5, NAN])),
        (pl.Series("a", [True, None]), pd.Series([True, None], dtype="boolean", name="a")),
        (pl.Series([1, None], dtype=pl.Int8), pd.Series([1, None], dtype="Int8")),
        (pl.Series([DAY, None]), pd.Series([DAY, None])),
        (pl.Series([TIME, None], dtype=pl.Datetime("us")), pd.Series([TIME, None])),
        (pl.Series([TIME], dtype=pl.Datetime("ms")).dt.replace_time_zone("Europe/Berlin"), ZONED),
        (pl.Series([datetime.timedelta(1), None]), pd.Series([pd.Timedelta(1, "D"), None])),
        (pl.Series([b"a", None]), pd.Series([b"a", None])),
        (pl.Series([decimal.Decimal("1.50")]), pd.Series([decimal.Decimal("1.50")])),
        (pl.Series(["b", "a", None], dtype=pl.Enum(["a", "b"])), pd.Series(["b", "a", None], dtype="category")),
    ],
)
def test_the_same_table_in_polars_is_the_same(of_polars: Any, of_pandas: Any) -> None:
    assert digest(of_polars) == digest(of_pandas)


OF_POLARS: list[Any] = [
    pl.Series([[1], [2, 3]]),
    pl.Series([[1, 2], [3]]),
    pl.Series([[1], [2, 3], None]),
    pl.Series([[1], [2, 3], []]),
    pl.Series([[1.0], [2, 3]]),
    pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2)),
    pl.Series([[1, 2], [3, 4]]),
    pl.Series([{"a": 1}, {"a": 2}]),
    pl.Series([{"b": 1}, {"b": 2}]),
    pl.Series([{"a": 1}, None]),
    pl.Series([1, None]),
    pl.Series([1, 0]),
    pl.Series([1.0, None]),
    pl.Series([1.0, NAN]),
    pl.Series(["a", "b"]),
    pl.Series(["a", "b"], dtype=pl.Categorical),
    pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])),
    pl.Series(["a", "b"], dtype=pl.Enum(["b", "a"])),
    pl.Series([datetime.time(1)]),
    pl.Series([3_600_000_000_001]).cast(pl.Time),
    pl.Series([datetime.timedelta(hours=1)]),
    pl.Series([None, None]),
    pl.Series([2**100], dtype=pl.Int128),
    pl.Series([2**100 + 1], dtype=pl.Int128),
]


def test_different_columns_of_polars_are_told_apart() -> None:
    found = [digest(value) for value in OF_POLARS]
    assert [value for value, one in zip(OF_POLARS, found, strict=True) if found.count(one) > 1] == []


@pytest.mark.skipif(not hasattr(pl, "Extension"), reason="this polars has no extension types")
def test_the_kinds_that_extend_polars_count_with_what_they_say() -> None:
    kinds = [pl.Extension("length", pl.Int64, "m"), pl.Extension("length", pl.Int64, "mi"), pl.Extension("l", pl.Int64)]
    plain = pl.Series([1, 2])
    assert len({digest(one) for one in [plain, *map(plain.ext.to, kinds)]}) == 4


def test_a_table_of_polars_without_columns_has_its_rows() -> None:
    for rows in (0, 2):
        without_columns = pl.DataFrame({"a": range(rows)}).drop("a")
        expected = pd.DataFrame(index=range(without_columns.height))  # before polars 2 there are none
        assert digest(without_columns) == digest(expected)


def test_columns_are_the_same_under_every_build_of_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    lists, numbers = pl.Series([[1, 2], None, []]), pl.Series([1, None])
    expected = digest(lists), digest(numbers)
    namespace = type(lists.list)
    length = namespace.len
    # As in the builds for more than 4 billion rows, and before polars 1.18.
    monkeypatch.setattr(namespace, "len", lambda self: length(self).cast(pl.UInt64))
    monkeypatch.delattr(pl, "Int128")
    monkeypatch.delattr(pl, "UInt128", raising=False)
    assert (digest(lists), digest(numbers)) == expected


class Lengths(pd.arrays.IntegerArray):
    """A column of integers with a unit, as packages beside pandas have them."""

    unit = "m"

    @property
    def dtype(self) -> Any:
        unit = self.unit

        class LengthDtype(pd.Int64Dtype):
            name = f"length[{unit}]"

        return LengthDtype()


class LengthsInMiles(Lengths):
    unit = "mi"


def test_the_kinds_of_other_packages_count_with_what_they_say() -> None:
    columns = [kind(np.array([1, 2]), np.array([False, False])) for kind in (Lengths, LengthsInMiles)]
    columns.append(pd.array([1, 2], dtype="Int64"))
    assert len({digest(pd.Series(column)) for column in columns}) == 3


class Places(pd.DataFrame):
    _metadata = ["projection"]

    @property
    def _constructor(self) -> Any:
        return Places


def test_a_table_that_says_more_than_its_columns_is_refused() -> None:
    places = Places({"x": [1.0]})
    places.projection = None
    assert digest(places) == digest(pd.DataFrame({"x": [1.0]}))
    places.projection = "EPSG:4326"
    with pytest.raises(ConfigError) as error:
        digest(places)
    assert str(error.value) == (
        f"the input table is of type {__name__}.Places, which carries more than its columns: projection; pass plain data "
        f"of pandas, and the rest as configuration"
    )


def test_different_values_kinds_and_shapes_are_told_apart() -> None:
    found = [digest(value) for value in DIFFERENT]
    twice = [value for value, one in zip(DIFFERENT, found, strict=True) if found.count(one) > 1]
    assert twice == []


columns: list[st.SearchStrategy[Any]] = [
    st.lists(st.integers(-3, 3), min_size=2, max_size=2),
    st.lists(st.sampled_from([0.0, -0.0, 0.5, NAN, math.inf]), min_size=2, max_size=2),
    st.lists(st.sampled_from(["", "a", "ab", "b", "é", None]), min_size=2, max_size=2),
    st.lists(st.booleans(), min_size=2, max_size=2),
    st.lists(st.sampled_from([pd.Timestamp("2020"), pd.Timestamp("2021-01-01 00:00:00.5")]), min_size=2, max_size=2),
]
frames = st.lists(st.tuples(st.sampled_from("ab"), st.one_of(columns)), max_size=2, unique_by=lambda pair: pair[0])


@given(frames, frames)
def test_two_tables_have_one_digest_where_pandas_says_that_they_are_equal(one: Any, other: Any) -> None:
    a, b = pd.DataFrame(dict(one)), pd.DataFrame(dict(other))
    is_equal = [*a.columns] == [*b.columns] and a.equals(b)
    assert (digest(a) == digest(b)) == is_equal


arrays = st.tuples(
    st.lists(st.sampled_from([0, 1, -1, 300]), min_size=4, max_size=4),
    st.sampled_from(["i4", "i8", ">i8", "f4", "f8", ">f8", "c16"]),
    st.sampled_from([(4,), (2, 2), (4, 1), (1, 4)]),
    st.sampled_from("CF"),
).map(lambda drawn: np.array(drawn[0], drawn[1]).reshape(drawn[2]).copy(order=drawn[3]))


@given(arrays, arrays)
def test_two_arrays_have_one_digest_where_kinds_shapes_and_values_are_equal(one: Any, other: Any) -> None:
    is_equal = one.dtype.name == other.dtype.name and np.array_equal(one, other)
    assert (digest(one) == digest(other)) == is_equal


def test_bytes_of_one_length_count_as_they_are() -> None:
    arrays = [np.frombuffer(text, dtype) for text in (b"aabbcc", b"aabbcd") for dtype in ("V2", "V3")]
    assert len({digest(array) for array in arrays}) == len(arrays)
    assert digest(arrays[0]) == digest(np.repeat(arrays[0], 2)[::2])


class Point:
    """An object without a JSON form."""

    def __repr__(self) -> str:
        return "Point()"


NO_FORM = (
    f"config is Point() of type {__name__}.Point, which has no stable JSON form; pass plain values, or register the type "
    "with pyrepro.to_json.register(Point)"
)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            pd.DataFrame({"place": [Point()]}),
            f"the column 'place' of table holds an object without a JSON form ({NO_FORM}); pass columns of plain values, "
            f"or a file",
        ),
        (
            np.array([1.5], np.longdouble),
            f"the input table holds {np.dtype(np.longdouble)}, whose bytes are not its value; "
            f'pass .astype("float64") of it',
        ),
        (
            np.ma.array([1], mask=[True]),
            f"the input table is of type {np.ma.MaskedArray.__module__}.MaskedArray, which may carry more than its "
            f"numbers, such as a unit or a mask; pass numpy.asarray() of it, and the rest as configuration",
        ),
        (
            np.array([2**62], "m8[W]"),
            'the input table holds timedelta64[W] beyond what seconds can count; pass .astype("datetime64[s]")',
        ),
    ],
)
def test_what_has_no_stable_content_is_refused_and_the_column_named(value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        digest(value)
    assert str(error.value) == message


class Summer(datetime.tzinfo):
    """A zone without a name, whose offset changes; pandas asks for that of no day."""

    def utcoffset(self, day: datetime.datetime | None) -> datetime.timedelta:
        return datetime.timedelta(hours=day is not None and day.month > 6)

    def __repr__(self) -> str:
        return "Summer()"


def test_a_time_zone_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        digest(pd.DataFrame({"t": pd.Series([TIME]).dt.tz_localize(Summer())}))
    assert str(error.value) == (
        "the column 't' of table is in the time zone Summer(), which has no name; pass .dt.tz_convert(\"UTC\") of it"
    )


def test_a_table_is_an_input_like_a_file(repository: Repository, name: Any) -> None:
    @Artifact("outpath", config=dict, inputs="data", repo=repository.path)
    def save(outpath: str, data: Any, lr: float = 0.1) -> str:
        return outpath

    for data in (table(), np.arange(3)):
        assert save("foo", data) == f"foo-{name({'lr': 0.1, 'data': digest(data)})}"
    assert save("foo", [table(), None]) == f"foo-{name({'lr': 0.1, 'data': [digest(table()), None]})}"


def test_a_table_that_the_function_changes_counts_as_it_was_passed(repository: Repository, name: Any) -> None:
    @Artifact("outpath", inputs="data", repo=repository.path)
    def save(outpath: str, data: Any) -> str:
        data["new"] = 1
        return outpath

    data = table()
    assert save("foo", data) == f"foo-{name({'data': digest(table())})}"
    assert save("foo", data) == f"foo-{name({'data': digest(table().assign(new=1))})}"
