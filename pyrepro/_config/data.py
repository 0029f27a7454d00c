"""Data in memory -> digest: arrays and tables by their names, order, kinds and values.

What does not count is how they are stored: the library and its version, the layout, the byte order, the unit of times,
the width of fixed strings, whether missing values are a mask. What counts as a kind is what computes differently:
``int32`` and ``int64``, a number that is missing and NaN.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pyrepro._config.arrays import is_of_ml_dtypes, is_padded
from pyrepro.errors import ConfigError

_CHUNK = 1 << 20
_UNITS = {"W": (604_800, "s"), "D": (86_400, "s"), "h": (3_600, "s"), "m": (60, "s")}
_FINER = ["s", "ms", "us", "ns", "ps", "fs", "as"]
_EPOCH = 719_163  # the ordinal of 1970-01-01

Form = Callable[[object], Any]


def is_data(value: object) -> bool:
    """Whether a value is data in memory: an array, a table, a column or an index."""
    return isinstance(value, _classes("numpy", "ndarray")) or bool(_library_of(value))


def digest_of_data(value: Any, name: str, form: Form) -> str:
    """The digest of data in memory.

    Args:
        value: a NumPy array; a DataFrame, Series or index of pandas; a
            DataFrame or Series of polars.
        name: what messages call it.
        form: gives the JSON form of an object that stands in a column.

    Returns:
        ``"sha256:<64 hex digits>"``.

    Raises:
        ConfigError: a column holds objects without a JSON form, or values
            whose bytes are not their value.
    """
    library = _library_of(value)
    whole = hashlib.sha256()
    if not library:
        _Content(whole, name, form).array(_plain_array(value, name))
        return "sha256:" + whole.hexdigest()
    _check_says_no_more(value, name)
    kind, parts = _parts_of_pandas(value) if library == "pandas" else _parts_of_polars(value)
    _put(whole, kind)
    for role, label, column in parts:
        content = _Content(whole, f"the column {label!r} of {name}" if role == "column" else name, form)
        _put(whole, role)
        content.object(label)
        (content.pandas if library == "pandas" else content.polars)(column)
    return "sha256:" + whole.hexdigest()


def _library_of(value: object) -> str:
    if isinstance(value, (*_classes("pandas", "DataFrame", "Series", "Index"),)):
        return "pandas"
    return "polars" if isinstance(value, _classes("polars", "DataFrame", "Series")) else ""


def _classes(module: str, *names: str) -> tuple[type, ...]:
    """The named classes of a module if it is loaded: without it no value can be of them."""
    loaded = sys.modules.get(module)
    found = [getattr(loaded, name, None) for name in names]
    return tuple(cls for cls in found if isinstance(cls, type))


def _numpy() -> Any:
    return importlib.import_module("numpy")  # polars alone does not import it


def _plain_array(value: Any, name: str) -> Any:
    numpy = _numpy()
    if type(value) not in (numpy.ndarray, numpy.memmap):
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise ConfigError(
            f"the input {name} is of type {kind}, which may carry more than its numbers, such as a unit or a mask; "
            f"pass numpy.asarray() of it, and the rest as configuration"
        )
    return value


def _check_says_no_more(value: Any, name: str) -> None:
    """Refuse what pandas' subclasses carry beside their columns, such as the unit or the projection of these."""
    known = {one for base in type(value).__mro__ if base.__module__.startswith("pandas") for one in _metadata_of(base)}
    more = [one for one in _metadata_of(type(value)) if one not in known and getattr(value, one, None) is not None]
    if more:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise ConfigError(
            f"the input {name} is of type {kind}, which carries more than its columns: {', '.join(more)}; pass plain "
            f"data of pandas, and the rest as configuration"
        )


def _metadata_of(kind: Any) -> list[str]:
    return getattr(kind, "_metadata", [])


Parts = tuple[str, Iterator[tuple[str, Any, Any]]]


def _parts_of_pandas(value: Any) -> Parts:
    """What a pandas object is made of: for each part its role, its name, and a column."""
    pandas = sys.modules["pandas"]
    if isinstance(value, pandas.Index):
        return "index", _levels(value)

    def parts() -> Iterator[tuple[str, Any, Any]]:
        index = value.index
        has_columns = isinstance(value, pandas.Series) or len(value.columns) > 0
        # Without columns the rows are all that there is.
        if not _is_row_number(index) or (len(index) > 0 and not has_columns):
            yield from _levels(index)
        if isinstance(value, pandas.Series):
            yield "column", value.name, value
            return
        if any(name is not None for name in value.columns.names):
            for name in value.columns.names:
                yield "names of columns", name, pandas.Index([])
        for label, column in value.items():
            yield "column", label, column

    return "table" if isinstance(value, pandas.DataFrame) else "series", parts()


def _is_row_number(index: Any) -> bool:
    """Whether an index only counts the rows, as that of a table without one of its own."""
    pandas = sys.modules["pandas"]
    if index.name is not None or isinstance(index, pandas.MultiIndex):
        return False
    if len(index) == 0:  # the type of an empty one differs between versions
        return True
    if isinstance(index, pandas.RangeIndex):
        return bool(index.start == 0 and index.step == 1)
    return bool(index.dtype == "int64" and (index.to_numpy() == _numpy().arange(len(index))).all())


def _levels(index: Any) -> Iterator[tuple[str, Any, Any]]:
    for number, name in enumerate(index.names):
        yield "index", name, index.get_level_values(number)


def _parts_of_polars(value: Any) -> Parts:
    polars = sys.modules["polars"]
    if isinstance(value, polars.Series):
        # One without a name is called "" there.
        return "series", iter([("column", value.name or None, value)])
    parts = [("column", column.name, column) for column in value.get_columns()]
    if not parts and value.height > 0:  # as of pandas
        parts = [("index", None, polars.int_range(value.height, eager=True))]
    return "table", iter(parts)


def _put(digest: Any, text: str) -> None:
    """A text and its length, so that no two sequences of texts are one."""
    content = text.encode("utf-8", "surrogatepass")
    digest.update(b"%d:" % len(content))
    digest.update(content)


class _Content:
    """The values of one array or column, which go into a digest."""

    def __init__(self, digest: Any, name: str, form: Form) -> None:
        self._digest = digest
        self._name = name
        self._form = form

    def _error(self, found: str, remedy: str) -> ConfigError:
        name = self._name if self._name.startswith("the ") else f"the input {self._name}"
        return ConfigError(f"{name} {found}; {remedy}")

    def _head(self, kind: str, mask: Any) -> None:
        """The kind of values that follow, and which of them are missing, where some are."""
        if mask is None or not mask.any():
            _put(self._digest, kind)
        else:
            _put(self._digest, f"{kind} with missing")
            self._digest.update(mask.astype("u1").tobytes())

    # Arrays

    def array(self, array: Any) -> None:
        """A NumPy array."""
        _put(self._digest, f"array {array.shape}")
        if array.dtype.fields:
            for name in array.dtype.names:
                _put(self._digest, f"field {name}")
                self.array(array[name])
        else:
            self.values(array)

    def values(self, array: Any, mask: Any = None, kind: str | None = None) -> None:
        """The elements of a NumPy array in C order."""
        code = array.dtype.kind
        if code in "mM":
            self._times(array, mask, kind)
        elif code in "OUST":
            self.objects(array.reshape(-1).tolist(), array.dtype.kind == "O")
        elif not (is_of_ml_dtypes(array.dtype) or code in "biufcV") or is_padded(array.dtype):
            raise self._error(f"holds {array.dtype}, whose bytes are not its value", 'pass .astype("float64") of it')
        else:
            self._head(f"{array.dtype.name} {array.size}", mask)
            # These fit into numbers of NumPy, which have one zero and one NaN.
            wide = "c16" if "complex" in array.dtype.name else "f8"
            for chunk in _chunks(array.astype(wide) if is_of_ml_dtypes(array.dtype) else array):
                self._digest.update(chunk.data)

    def _times(self, array: Any, mask: Any, kind: str | None) -> None:
        numpy = _numpy()
        kind = kind or ("datetime" if array.dtype.kind == "M" else "duration")
        absent = numpy.isnat(array).reshape(-1)
        mask = absent if mask is None else mask | absent
        unit, step = numpy.datetime_data(array.dtype)
        if unit in "YM" and kind == "datetime":
            array, unit, step = array.astype("M8[s]"), "s", 1
        numbers = numpy.where(mask, 0, array.astype(array.dtype.newbyteorder("=")).reshape(-1).view("i8"))
        factor, unit = _UNITS.get(unit, (1, unit))
        factor *= step
        if factor != 1 and numbers.size and max(-int(numbers.min()), int(numbers.max())) > (2**63 - 1) // factor:
            raise self._error(f"holds {array.dtype} beyond what seconds can count", 'pass .astype("datetime64[s]")')
        numbers = numbers * factor
        # The coarsest unit that holds all of them: that of the storage differs between versions.
        while unit in _FINER[1:] and not (numbers % 1000).any():
            numbers, unit = numbers // 1000, _FINER[_FINER.index(unit) - 1]
        self._head(f"{kind} {unit} {numbers.size}", mask)
        self._digest.update(numbers.astype("<i8").tobytes())

    # Python objects

    def objects(self, items: list[Any], may_miss: bool = True) -> None:
        """Objects, by the kind that they have in common where no type of NumPy is one for it."""
        mask = [may_miss and _is_missing(item) for item in items]
        present = [None if absent else item for item, absent in zip(items, mask, strict=True)]
        kinds = {type(item) for item in present} - {type(None)}
        if kinds <= {str}:
            self._texts("string", present)
        elif kinds == {bytes}:
            self._texts("binary", [item and item.decode("latin-1") for item in present])
        elif kinds == {*_classes("datetime", "date")}:
            self._days([0 if item is None else item.toordinal() - _EPOCH for item in present], mask)
        else:
            _put(self._digest, f"object {len(items)}")
            for item in items:
                self.object(item)

    def _texts(self, kind: str, texts: list[str | None]) -> None:
        _put(self._digest, f"{kind} {len(texts)}")
        lengths = (-1 if text is None else len(text) for text in texts)
        self._digest.update(_numpy().fromiter(lengths, "<i8", len(texts)).tobytes())
        for start in range(0, len(texts), 10_000):
            self._digest.update("".join(filter(None, texts[start : start + 10_000])).encode("utf-8", "surrogatepass"))

    def _days(self, days: Any, mask: Any) -> None:
        numbers = _numpy().asarray(days, "<i8")
        self._head(f"date {numbers.size}", _numpy().asarray(mask, bool))
        self._digest.update(numbers.tobytes())

    def object(self, item: Any) -> None:
        """One object, with its kind: 1, 1.0 and "1" are three."""
        generic: Any = _classes("numpy", "generic")
        if isinstance(item, generic) and item.dtype.kind in "biufcUS":
            item = item.item()
        arrays: Any = (*_classes("numpy", "ndarray"), *generic)
        intervals: Any = _classes("pandas", "Interval")
        periods: Any = _classes("pandas", "Period")
        if isinstance(item, arrays):
            self.array(_numpy().asarray(item))
        elif isinstance(item, (list, tuple)):
            _put(self._digest, f"list {len(item)}")
            for one in item:
                self.object(one)
        elif isinstance(item, dict):
            _put(self._digest, f"dict {len(item)}")
            for pair in item.items():
                self.object(pair)
        elif isinstance(item, intervals):
            _put(self._digest, f"interval {item.closed}")
            self.object((item.left, item.right))
        elif isinstance(item, periods):
            _put(self._digest, "period")
            self.object((item.start_time, (item + 1).start_time))
        elif _is_missing(item):
            _put(self._digest, "None" if item is None else f"missing {type(item).__name__}")
        else:
            _put(
                self._digest,
                "datetime" if isinstance(item, _classes("datetime", "datetime")) else type(item).__qualname__,
            )
            import json  # slow to import, and rarely needed

            try:
                _put(self._digest, json.dumps(self._form(item), sort_keys=True))
            except ConfigError as error:
                raise self._error(
                    f"holds an object without a JSON form ({error})", "pass columns of plain values, or a file"
                ) from error

    # Columns

    def pandas(self, column: Any) -> None:
        """A Series or an index of pandas."""
        numpy, pandas = _numpy(), sys.modules["pandas"]
        dtype = column.dtype
        kind = type(dtype).__name__
        if not type(dtype).__module__.startswith(("numpy", "pandas")):
            _put(self._digest, str(dtype))  # which may carry more than its values, such as their unit
        if isinstance(dtype, numpy.dtype):
            self.values(column.to_numpy())
        elif kind == "CategoricalDtype":
            _put(self._digest, f"categories {bool(dtype.ordered)}")
            self.pandas(dtype.categories)
            self.values(numpy.asarray(column.array.codes, "i8"))
        elif kind == "DatetimeTZDtype":
            zone = f"datetime in {self._zone(dtype.tz)}"
            self.values(pandas.Series(column.array).dt.tz_convert(None).to_numpy(), kind=zone)
        elif kind == "SparseDtype":
            self.values(numpy.asarray(column.array))
        elif kind == "PeriodDtype":
            _put(self._digest, "period")
            periods = pandas.PeriodIndex(column.array)
            # Not by its frequency, whose name differs between versions, nor by its end, which depends on the unit.
            for start in (periods.start_time, (periods + 1).start_time):
                self.values(start.to_numpy())
        elif kind == "IntervalDtype":
            _put(self._digest, f"interval {dtype.closed}")
            for end in (column.array.left, column.array.right):
                self.pandas(end)
        elif hasattr(dtype, "numpy_dtype"):
            self._nullable(column, dtype)
        else:  # strings, and extension types of other packages, whose values say what they are
            self.objects(column.to_numpy(object).tolist())

    def _nullable(self, column: Any, dtype: Any) -> None:
        numpy, pandas = _numpy(), sys.modules["pandas"]
        mask = numpy.asarray(column.isna())
        plain = dtype.numpy_dtype
        if plain.kind in "biuf":
            self.values(column.array.to_numpy(dtype=plain, na_value=plain.type(0)), mask)
        elif plain.kind in "mM" and dtype.type not in _classes("datetime", "date"):  # dates have no type of NumPy
            zone = getattr(dtype.pyarrow_dtype, "tz", None)
            self.values(pandas.Series(column.array).to_numpy(plain), kind=zone and f"datetime in {zone}")
        else:
            self.objects(column.to_numpy(object).tolist())

    def _zone(self, zone: Any) -> str:
        """The name of a time zone, whichever library made it."""
        name = getattr(zone, "key", None) or getattr(zone, "zone", None)
        import datetime  # slow to import, and rarely needed

        # Not of None, which some libraries answer for zones whose offset changes, too.
        days = [datetime.datetime(year, month, 1) for year in range(1970, 2038) for month in (1, 7)]
        offsets = set() if name else {zone.utcoffset(day) for day in days}
        if not name and len(offsets) != 1:
            raise self._error(f"is in the time zone {zone!r}, which has no name", 'pass .dt.tz_convert("UTC") of it')
        return str(name or next("UTC" if not offset else f"{offset.total_seconds():+g} s" for offset in offsets))

    def polars(self, column: Any) -> None:
        """A Series of polars."""
        polars = sys.modules["polars"]
        dtype = column.dtype
        extensions: Any = _classes("polars", "BaseExtension")
        if isinstance(dtype, extensions):
            # Which may say more than its values, such as their unit.
            _put(self._digest, f"{dtype.ext_name()} {dtype.ext_metadata()}")
            column = column.ext.storage()
            dtype = column.dtype
        mask = column.is_null().to_numpy()
        wide = _classes("polars", "Int128", "UInt128")  # which NumPy does not have, and older versions of polars
        if dtype == polars.Boolean or ((dtype.is_integer() or dtype.is_float()) and dtype not in wide):
            self.values(column.fill_null(False if dtype == polars.Boolean else 0).to_numpy(), mask)
        elif dtype == polars.Date:
            self._days(column.to_physical().fill_null(0).to_numpy(), mask)
        elif dtype in (polars.Datetime, polars.Duration, polars.Time):
            code = "M8" if dtype == polars.Datetime else "m8"
            zone = getattr(dtype, "time_zone", None)
            kind = "time" if dtype == polars.Time else zone and f"datetime in {zone}"
            numbers = column.to_physical().fill_null(0).to_numpy().astype("i8")
            self.values(numbers.view(f"{code}[{getattr(dtype, 'time_unit', 'ns')}]"), mask, kind)
        elif dtype == polars.Enum:
            _put(self._digest, "categories False")
            self.objects(dtype.categories.to_list())
            self.values(column.to_physical().cast(polars.Int64).fill_null(-1).to_numpy())
        elif dtype == polars.Categorical:
            _put(self._digest, "categorical")  # the order of its categories is that of this process
            self.objects(column.cast(polars.String).to_list())
        elif dtype == polars.Array:
            _put(self._digest, f"array of {dtype.shape}")
            self.polars(column.arr.to_list())
        elif dtype == polars.List:
            self._head(f"list {len(column)}", mask)
            lengths = column.list.len().cast(polars.UInt32)  # of which the builds for many rows make UInt64
            self.values(lengths.fill_null(0).to_numpy())
            self.polars(column.filter((lengths > 0).fill_null(False)).explode())
        elif dtype == polars.Struct:
            self._head(f"struct {len(column)}", mask)
            for field in column.struct.fields:
                _put(self._digest, f"field {field}")
                self.polars(column.struct.field(field))
        else:
            self.objects(column.to_list())


def _is_missing(item: Any) -> bool:
    return item is None or type(item).__name__ in ("NAType", "NaTType") or (isinstance(item, float) and item != item)


def _chunks(array: Any) -> Iterator[Any]:
    """The elements in C order and little-endian, with one zero and one NaN."""
    numpy = _numpy()
    rows = array.reshape(-1) if array.flags.c_contiguous or not array.ndim else array
    plain = array.dtype.newbyteorder("<")
    step = max(1, _CHUNK * len(rows) // max(1, array.nbytes)) if array.size else 1
    for start in range(0, len(rows) if array.size else 0, step):
        chunk = numpy.ascontiguousarray(rows[start : start + step], plain).reshape(-1)
        if array.dtype.kind in "fc":
            chunk = (chunk.view(f"<f{plain.itemsize // 2}") if array.dtype.kind == "c" else chunk) + 0.0
            chunk[numpy.isnan(chunk)] = numpy.nan
            chunk = chunk.astype(chunk.dtype.newbyteorder("<"), copy=False)
        yield chunk.view("u1")
