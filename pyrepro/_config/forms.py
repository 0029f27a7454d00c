"""Configuration -> JSON -> hash. Pure: the same value gives the same digest everywhere, for ever."""

from __future__ import annotations

import binascii
import enum
import functools
import hashlib
import math
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, Union

import rfc8785

from pyrepro._tag import Tag
from pyrepro.errors import ConfigError

JSON = Union[None, bool, int, float, str, list[Any], dict[str, Any]]

_T = TypeVar("_T")

_MAX_SAFE = 2**53 - 1


class _Place:
    """Where in a configuration a value stands, and the containers around it."""

    __slots__ = ("container", "ignored", "parent", "step")

    def __init__(self, step: str, parent: _Place | None = None, container: object = None) -> None:
        self.step = step
        self.parent = parent
        self.container = container
        self.ignored: dict[str, bool] = {} if parent is None else parent.ignored

    def leaves_out(self, name: str) -> bool:
        """Whether a key or field of the container that stands here is ignored."""
        steps = [name]
        place: _Place = self
        while place.parent is not None:
            steps.append(place.step.strip(".[]'"))
            place = place.parent
        whole = ".".join(reversed(steps))
        if whole in self.ignored:
            self.ignored[whole] = True
        return whole in self.ignored

    def __str__(self) -> str:
        steps = []
        place: _Place | None = self
        while place is not None:
            steps.append(place.step)
            place = place.parent
        return "".join(reversed(steps))

    def inside(self, container: object) -> Callable[[str], _Place]:
        """The places of a container that stands here, which must not stand around itself."""
        place: _Place | None = self
        while place is not None:
            if place.container is container:
                raise self.error(f"is {_type_of(container)} and contains itself", "break the cycle")
            place = place.parent
        return lambda step: _Place(step, self, container)

    def error(self, found: str, remedy: str) -> ConfigError:
        place = str(self)
        return ConfigError(f"{place} {found}; {remedy}", place=place)


def _type_of(value: object) -> str:
    return f"of type {type(value).__module__}.{type(value).__qualname__}"


def _value_and_type_of(value: object) -> str:
    try:
        text = repr(value)
    except Exception as error:
        text = f"<repr failed: {error}>"
    return f"{text if len(text) <= 80 else text[:77] + '...'} {_type_of(value)}"


def canonical_json(config: object) -> bytes:
    """The canonical JSON of a configuration.

    Args:
        config: any value with a stable JSON form.

    Returns:
        The bytes that RFC 8785 (JSON Canonicalization Scheme) prescribes for
        the JSON form of the configuration, in UTF-8.

    Raises:
        ConfigError: a part of the configuration has no stable JSON form.
    """
    return canonical_bytes(json_form(config))


def config_hash(config: object) -> str:
    """The SHA-256 of the canonical JSON of a configuration.

    Args:
        config: any value with a stable JSON form.

    Returns:
        All 64 hex digits; names carry the first 12.

    Raises:
        ConfigError: a part of the configuration has no stable JSON form.
    """
    return hash_of_form(json_form(config))


def hash_of_form(form: JSON) -> str:
    """The SHA-256 of the canonical bytes of a JSON form, as 64 hex digits."""
    return hashlib.sha256(canonical_bytes(form)).hexdigest()


def canonical_bytes(form: JSON) -> bytes:
    """The RFC 8785 bytes of a JSON form."""
    return _without_recursion_error(lambda: rfc8785.dumps(form))


def json_form(config: object) -> JSON:
    """What a configuration is in JSON: None, bool, int, float, str, list and dict alone."""
    return _without_recursion_error(lambda: _form(config, _Place("config")))


def json_form_without(config: object, ignore: Iterable[str]) -> tuple[JSON, list[str]]:
    """What a configuration is in JSON without what is ignored in it; and the names that are nowhere in it."""
    place = _Place("config")
    place.ignored = dict.fromkeys(ignore, False)
    form = _without_recursion_error(lambda: _form(config, place))
    return form, [name for name, is_met in place.ignored.items() if not is_met]


def _without_recursion_error(convert: Callable[[], _T]) -> _T:
    try:
        return convert()
    except RecursionError as error:
        raise ConfigError(
            "config contains itself, or is nested deeper than Python can follow; pass a flatter configuration",
            place="config",
        ) from error


@functools.singledispatch
def to_json(value: object) -> JSON:
    """The JSON form of a value; register the types that pyrepro does not know.

    A ``functools.singledispatch`` function: ``to_json.register(type)``
    takes a function that turns a value of that type into one that has a JSON
    form. Types that already have one cannot be replaced.

    Args:
        value: any value with a stable JSON form.

    Returns:
        None, a bool, an int, a float, a str, a list or a dict.

    Raises:
        ConfigError: the value, or a part of it, has no stable JSON form.
    """
    return json_form(value)


_not_registered = to_json.dispatch(object)


def _form(value: Any, place: _Place) -> JSON:
    """The first row of the table in the reference that matches."""
    kind = type(value)
    if value is None or kind is bool:
        return value  # type: ignore[no-any-return]
    if isinstance(value, enum.Enum):
        return _form(value.value, place)
    if isinstance(value, Tag):
        return str(value)
    if kind.__name__ not in ("Timestamp", "Timedelta") and _is_of_pandas(kind):
        raise place.error(
            f"is {_type_of(value)[8:]}, which is data, not configuration",
            "pass its .to_dict(), or write it to a file and name that in inputs",
        )
    if isinstance(value, (bytes, bytearray, memoryview)):
        return binascii.b2a_base64(bytes(value), newline=False).decode("ascii")
    if not isinstance(value, type) and callable(getattr(kind, "tolist", None)):
        return _form_of_array(value, place)
    if isinstance(value, str):
        return _form_of_text(str.__str__(value), place)
    if isinstance(value, int):
        return _form_of_integer(int.__int__(value), place)
    if isinstance(value, float):
        return _form_of_float(float.__float__(value))
    if (fields := _fields(value)) is not None:
        return _form_of_fields(value, fields, place)
    if _is_namespace(value):
        return _form_of_mapping(vars(value), value, place, attributes=True)
    if isinstance(value, _loaded_classes("omegaconf", "Node", "DictConfig", "ListConfig")):
        return _form(_resolved(value, place), place)
    if isinstance(value, Mapping):
        return _form_of_mapping(value, value, place)
    if isinstance(value, Sequence):
        at = place.inside(value)
        return [_form(item, at(f"[{index}]")) for index, item in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        at = place.inside(value)
        return sorted((_form(item, at("<element>")) for item in value), key=canonical_bytes)
    if isinstance(value, _loaded_classes("pathlib", "PurePath")):
        return _form_of_text(value.as_posix(), place)
    if isinstance(value, _loaded_classes("datetime", "date", "time")):
        return str(value.isoformat())
    if isinstance(value, _loaded_classes("datetime", "timedelta")):
        return _form_of_duration(value)
    if isinstance(
        value,
        (
            *_loaded_classes("decimal", "Decimal"),
            *_loaded_classes("fractions", "Fraction"),
            *_loaded_classes("uuid", "UUID"),
        ),
    ):
        return str(value)
    if (name := _import_name(value, place)) is not None:
        return _form_of_text(name, place)
    if isinstance(value, functools.partial):
        at = place.inside(value)
        return {
            "func": _form(value.func, at(".func")),
            "args": _form(value.args, at(".args")),
            "keywords": _form(value.keywords, at(".keywords")),
        }
    registered = to_json.dispatch(kind)
    if registered is _not_registered:
        raise place.error(
            f"is {_value_and_type_of(value)}, which has no stable JSON form",
            f"pass plain values, or register the type with pyrepro.to_json.register({kind.__name__})",
        )
    return _form(registered(value), place.inside(value)(""))


def _is_of_pandas(kind: type) -> bool:
    return any(base.__module__.partition(".")[0] == "pandas" for base in kind.__mro__)


def _loaded_classes(module: str, *names: str) -> Any:
    """The named classes of a module if it is loaded: without it no value can be of them."""
    loaded = sys.modules.get(module)
    found = [] if loaded is None else [getattr(loaded, name, None) for name in names]
    return tuple(cls for cls in found if isinstance(cls, type))


def _form_of_text(text: str, place: _Place) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise place.error(
            f"is {text!r}, which holds a lone surrogate and is no Unicode text", "pass bytes instead"
        ) from None
    return text


def _form_of_integer(number: int, place: _Place) -> int | str:
    if -_MAX_SAFE <= number <= _MAX_SAFE:
        return number
    try:
        return str(number)
    except ValueError as error:
        raise place.error(f"is an int of {number.bit_length()} bits ({error})", "pass hex(value)") from error


def _form_of_float(number: float) -> int | float | str:
    if number.is_integer():
        whole = int(number)
        return whole if -_MAX_SAFE <= whole <= _MAX_SAFE else str(whole)
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _form_of_array(value: Any, place: _Place) -> JSON:
    if _counts_time_in_bare_numbers(value):
        raise place.error(
            f"is {_value_and_type_of(value)}, whose tolist() is a bare number",
            "pass .astype('datetime64[us]') or .astype('timedelta64[us]'), or str()",
        )
    try:
        plain = value.tolist()
    except Exception as error:
        raise place.error(
            f"is {_value_and_type_of(value)}, whose tolist() failed: {error}", "pass plain values"
        ) from error
    if type(plain) is type(value):
        raise place.error(
            f"is {_value_and_type_of(value)}, which has no Python equivalent", "pass float() or str() of it"
        )
    return _form(plain, place.inside(value)(""))


def _counts_time_in_bare_numbers(value: Any) -> bool:
    dtype: Any = getattr(value, "dtype", None)
    if getattr(dtype, "fields", None):
        return any(_counts_time_in_bare_numbers(value[name]) for name in dtype.fields)
    return getattr(dtype, "kind", None) in ("m", "M") and _holds_integer(value.tolist())


def _holds_integer(plain: object) -> bool:
    return any(map(_holds_integer, plain)) if isinstance(plain, list) else isinstance(plain, int)


def has_fields(value: object) -> bool:
    """Whether a value is an object of named fields or attributes."""
    return _fields(value) is not None or _is_namespace(value)


def _is_namespace(value: object) -> bool:
    return isinstance(value, (types.SimpleNamespace, *_loaded_classes("argparse", "Namespace")))


def _fields(instance: object) -> Iterable[str] | None:
    """The names of the fields of a dataclass, attrs or pydantic instance."""
    value: Any = instance
    kind: Any = type(value)
    if isinstance(value, type):
        return None
    if hasattr(kind, "__dataclass_fields__"):
        return [field.name for field in sys.modules["dataclasses"].fields(value)]
    if hasattr(kind, "__attrs_attrs__"):
        return [attribute.name for attribute in kind.__attrs_attrs__]
    if issubclass(kind, (*_loaded_classes("pydantic", "BaseModel"), *_loaded_classes("pydantic.v1", "BaseModel"))):
        if hasattr(kind, "model_fields"):
            return [*kind.model_fields, *(value.__pydantic_extra__ or ())]
        return dict.fromkeys([*kind.__fields__, *sorted(value.__fields_set__)])  # of pydantic 1
    return None


def _form_of_fields(value: Any, fields: Iterable[str], place: _Place) -> JSON:
    at = place.inside(value)
    form: dict[str, Any] = {"__class__": type(value).__qualname__}
    for name in fields:
        if place.leaves_out(name):
            continue
        try:
            item = getattr(value, name)
        except AttributeError:
            raise place.error(f"is {_type_of(value)[8:]}, whose field {name!r} has no value", "set it") from None
        form[name] = _form(item, at(f".{name}"))
    return form


def _resolved(value: Any, place: _Place) -> Any:
    omegaconf = sys.modules["omegaconf"]
    try:
        # A single value resolves in a container only.
        if place.ignored and isinstance(value, omegaconf.DictConfig):
            return {key: value[key] for key in value}
        container = value if omegaconf.OmegaConf.is_config(value) else omegaconf.OmegaConf.create([value])
        plain = omegaconf.OmegaConf.to_container(container, resolve=True, throw_on_missing=True)
        return plain if container is value else plain[0]
    except omegaconf.errors.OmegaConfBaseException as error:
        raise place.error(f"does not resolve: {error}", "set the value that it needs") from error


def _form_of_mapping(mapping: Mapping[Any, Any], container: object, place: _Place, attributes: bool = False) -> JSON:
    at = place.inside(container)
    form: dict[str, Any] = {}
    for key, item in mapping.items():
        if isinstance(key, str):
            name = _form_of_text(str.__str__(key), place)
        elif key is None or isinstance(key, (bool, int, float)):
            import json  # seldom needed, and slow to import

            name = json.dumps(key)
        else:
            raise place.error(f"has the key {_value_and_type_of(key)}", "use str, int, float, bool or None as keys")
        if place.leaves_out(name):
            continue
        if name in form:
            raise place.error(f"has two keys that are {name!r} in JSON, the second of them {key!r}", "rename one")
        form[name] = _form(item, at(f".{name}" if attributes else f"[{key!r}]"))
    return form


def _form_of_duration(duration: Any) -> int | float | str:
    """Seconds, as a number where that is exact to the last digit, else as decimal digits."""
    nanoseconds = getattr(duration, "nanoseconds", 0)  # pandas counts these too
    total = ((duration.days * 86_400 + duration.seconds) * 10**6 + duration.microseconds) * 1000 + nanoseconds
    if total % 10**9 == 0:
        return int(total // 10**9)
    whole, fraction = divmod(abs(total), 10**9)
    digits = f"{'-' if total < 0 else ''}{whole}.{fraction:09}".rstrip("0")
    number = total / 10**9
    from decimal import Decimal

    return number if Decimal(repr(number)) == Decimal(digits) else digits


def _import_name(value: Any, place: _Place) -> str | None:
    """``module:qualname`` of what can be imported under it."""
    if not isinstance(value, type) and not callable(value):
        return None
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    module = getattr(value, "__module__", None) or "builtins"
    if not isinstance(name, str) or not isinstance(module, str):
        return None
    is_code = isinstance(value, (type, types.FunctionType))
    if "<lambda>" in name or "<locals>" in name:
        if not is_code:
            return None
        raise place.error(
            f"is {_value_and_type_of(value)}, which no name leads back to", "move it to the top level of a module"
        )
    if module in ("__main__", "__mp_main__"):
        if not is_code:
            return None
        raise place.error(
            f"is {_value_and_type_of(value)} of __main__, "
            f"whose name differs between a script, its import and its workers",
            "move it into a module",
        )
    found: Any = sys.modules.get(module)
    for step in name.split("."):
        found = getattr(found, step, None)
    if found is value or (isinstance(value, (types.MethodType, types.BuiltinMethodType)) and found == value):
        return f"{module}:{name}"
    return None
