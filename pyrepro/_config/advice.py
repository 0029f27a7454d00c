"""What a message says of a value without a stable JSON form: what it is, and what to pass instead."""

from __future__ import annotations

import io

from pyrepro._config.fields import is_secret
from pyrepro._config.loaded import loaded_classes
from pyrepro._config.names import class_name
from pyrepro._config.place import type_of, value_and_type_of


def is_data(kind: type) -> bool:
    """Whether values of a type are pandas' own; its times are like those of the standard library."""
    is_time = kind.__name__ in ("Timestamp", "Timedelta")
    # As text: the type of Cython's functions has a descriptor there.
    return not is_time and any(str(base.__module__).partition(".")[0] == "pandas" for base in kind.__mro__)


def advice(value: object) -> tuple[str, str]:
    """What was found, and the remedy that fits it."""
    kind = type(value)
    if is_secret(value):
        return f"is {type_of(value)}, a secret, which must not enter a name", "name it in ignore="
    if is_data(kind) or isinstance(value, loaded_classes("polars", "DataFrame", "LazyFrame", "Series")):
        return _advice_on_data(value)
    if isinstance(value, (*loaded_classes("numpy", "ndarray", "generic"), *loaded_classes("torch", "Tensor"))):
        found = f"is {value_and_type_of(value)}, which may carry more than its numbers, such as a unit or a mask"
        return found, _advice_on_quantity(value) or "pass numpy.asarray() of it, and what it carries besides"
    found = f"is {value_and_type_of(value)}, which has no stable JSON form"
    if isinstance(value, loaded_classes("absl.flags", "FlagValues")):
        return (
            f"is {type_of(value)[8:]}, whose flags have no values before they are parsed",
            "pass config=lambda call: FLAGS.flag_values_dict()",
        )
    if isinstance(value, (io.IOBase, *loaded_classes("logging", "Logger", "LoggerAdapter", "Handler"))):
        return found, "name it in ignore= if it does not change the artifact"
    generators = (*loaded_classes("numpy.random", "Generator", "RandomState"), *loaded_classes("random", "Random"))
    if isinstance(value, generators):
        return found, "pass the seed that it was made from"
    # With the class, since objects of two classes may have equal parts.
    for method, parts in (("get_params", "get_params(deep=False)"), ("to_dict", "to_dict()")):
        if callable(getattr(kind, method, None)):
            return found, f'pass {{"__class__": "{class_name(kind)}", **value.{parts}}}'
    if callable(getattr(kind, "tolist", None)):
        return found, _advice_on_quantity(value) or "pass its .tolist()"
    return found, f"pass plain values, or register the type with pyrepro.to_json.register({kind.__name__})"


_PLAIN = {int: "number", float: "number", str: "text", bytes: "bytes", bytearray: "bytes"}
_PLAIN |= dict.fromkeys((list, tuple, set, frozenset, dict), "items")


def advice_on_more(value: object, beyond: list[str]) -> tuple[str, str]:
    """What is said of a value of a type derived from a built-in one that has attributes of its own."""
    kind = next((kind for kind in type(value).__mro__ if kind in _PLAIN), str)
    parts = ["**value" if kind is dict else f'"value": {kind.__name__}(value)']
    parts += [f'"{name}": value.{name}' for name in beyond]
    plain = _PLAIN[kind] if isinstance(value, kind) else "value"
    return f"is {value_and_type_of(value)}, which carries more than its {plain}", f"pass {{{', '.join(parts)}}}"


_PLAIN_OF_PANDAS = (("to_dict", "to_dict()"), ("tolist", "tolist()"))
_PLAIN_OF_POLARS = (
    ("collect", "collect().to_dict(as_series=False)"),
    ("to_dict", "to_dict(as_series=False)"),
    ("to_list", "to_list()"),
)
_INPUTS = ("DataFrame", "Series", "Index")  # what counts with its content there


def _advice_on_data(value: object) -> tuple[str, str]:
    kind = type(value)
    if kind.__name__ in ("NaTType", "NAType"):
        return f"is {value_and_type_of(value)}, a missing value that only pandas knows", "pass None"
    plain = _PLAIN_OF_POLARS if kind.__module__.startswith("polars.") else _PLAIN_OF_PANDAS
    remedy = next((f"pass its .{call}" for method, call in plain if hasattr(kind, method)), "pass str() of it")
    if isinstance(value, (*loaded_classes("pandas", *_INPUTS), *loaded_classes("polars", *_INPUTS))):
        remedy += ", or name it in inputs="
    return f"is {type_of(value)[8:]}, which is data, not configuration", remedy


def _advice_on_quantity(value: object) -> str | None:
    """How to pass a number with its unit; None where there is none."""
    for unit in ("units", "unit"):
        if hasattr(value, unit):
            number = next((name for name in ("magnitude", "value") if hasattr(value, name)), "tolist()")
            return f'pass {{"value": value.{number}, "{unit}": str(value.{unit})}}'
    return None
