"""Configuration -> JSON -> hash. Pure: the same value gives the same digest everywhere, forever."""

from __future__ import annotations

import binascii
import enum
import functools
import hashlib
import re
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar, Union

import rfc8785

from pyrepro._config.arrays import LARGE, array_digest, head_where_lists_forget, holds_nothing_in
from pyrepro._config.estimators import distribution_of, is_estimator, is_made_from_parameters, parameters_of
from pyrepro._config.fields import (
    attributes_of,
    fields_of,
    is_data,
    is_namespace,
    is_secret,
    is_unset,
    own_attributes_of,
    unset_placeholder,
)
from pyrepro._config.loaded import loaded_classes
from pyrepro._config.names import class_name, import_name
from pyrepro._config.place import Ignored, Place, type_of, value_and_type_of
from pyrepro._config.scalars import form_of_duration, form_of_float, form_of_integer, form_of_key, form_of_text
from pyrepro._tag import Tag
from pyrepro.errors import ConfigError

JSON = Union[None, bool, int, float, str, list[Any], dict[str, Any]]

_T = TypeVar("_T")


def canonical_json(config: object) -> bytes:
    """The canonical JSON of a configuration.

    Args:
        config: any value with a stable JSON form.

    Returns:
        The bytes that RFC 8785 (JSON Canonicalization Scheme) prescribes for
        the JSON form of the configuration, in UTF-8.

    Raises:
        ConfigError: a part of the configuration has no stable JSON form.

    Example:
        ``canonical_json({"lr": 1.0, "act": None}) == b'{"act":null,"lr":1}'``
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

    Example:
        ``config_hash({})[:12] == "44136fa355b3"``
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
    return _without_recursion_error(lambda: _form(config, Place("config")))


def json_form_without(config: object, ignore: Collection[str]) -> tuple[JSON, list[str]]:
    """What a configuration is in JSON without what is ignored in it, which is not even looked at.

    Args:
        config: any value that without these parts has a stable JSON form.
        ignore: names of keys and fields, dotted into nested ones.

    Returns:
        The form, and the names that are nowhere in the configuration.
    """
    if not ignore:
        return json_form(config), []
    ignored = Ignored.of(ignore)
    form = _without_recursion_error(lambda: _form(config, Place("config", ignored=ignored)))
    return form, ignored.unknown()


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
    form. What is registered for exactly the type of a value takes precedence over
    what pyrepro knows of it; what is registered for a base class does not. Where
    values of two types could have equal parts, put the type in, as
    ``"__class__"``.

    Args:
        value: any value with a stable JSON form.

    Returns:
        None, a bool, an int, a float, a str, a list or a dict.

    Raises:
        ConfigError: the value, or a part of it, has no stable JSON form.

    Example:
        ``to_json.register(Money)(lambda money: {"__class__": "shop:Money", "cents": money.cents})``
    """
    return json_form(value)


_registered = to_json.registry
_not_registered = to_json.dispatch(object)
_CALLED = (types.FunctionType, types.MethodType, functools.partial)  # for a configuration, whatever form they have


def is_configuration(value: object) -> bool:
    """Whether a value is a configuration in its own right, so that it is never called for one."""
    return (
        isinstance(value, (Mapping, *loaded_classes("absl.flags", "FlagValues")))
        or is_estimator(value)
        or fields_of(value) is not None
        or is_namespace(value)
        or (type(value) in _registered and not isinstance(value, _CALLED))
    )


def is_builtin_registered() -> bool:
    """Whether somebody has registered a form of a type that is written as it is, such as float."""
    return _is_builtin_among(len(_registered))


@functools.lru_cache(maxsize=1)
def _is_builtin_among(count: int) -> bool:
    """Whether one of so many registered types is built in: looked at again when there are more, not at every call."""
    return not _BUILTIN.keys().isdisjoint(_registered)


def _form(value: Any, place: Place) -> JSON:
    """The first row of the table in the reference that matches."""
    kind = type(value)
    if value is None or kind is bool:
        return value  # type: ignore[no-any-return]
    if kind in _registered and kind is not object:
        return _form(_registered[kind](value), place.instead(value))
    if kind in _BUILTIN:  # the rows in between are of other types, and asking takes time
        return _BUILTIN[kind](value, place)
    if isinstance(value, enum.Enum):
        return _form(value.value, place)
    if isinstance(value, Tag):
        return str(value)
    if is_data(kind) or is_secret(value):
        raise _without_form(value, place)
    if isinstance(value, (bytes, bytearray, memoryview)):
        _refuse_more(value, place)
        return binascii.b2a_base64(bytes(value), newline=False).decode("ascii")
    if _is_array(value, kind):
        return _form_of_array(value, place)
    if isinstance(value, _named_values()) and getattr(value, "key", value) is not None:  # zones of files have no name
        return form_of_text(str(value), place)
    if isinstance(value, str):
        _refuse_more(value, place)
        return form_of_text(str.__str__(value), place)
    if isinstance(value, loaded_classes("collections", "UserString")):  # a sequence of such, without end
        _refuse_more(value, place)
        return form_of_text(value.data, place)
    if isinstance(value, (int, float)):
        if beyond := [*attributes_of(value)]:  # a unit, maybe, whoever wrote its class
            raise _with_more(value, beyond, place)
        if isinstance(value, int):
            return form_of_integer(int.__int__(value), place)
        return form_of_float(float.__float__(value), place)
    if (fields := fields_of(value)) is not None:
        if (isinstance(value, (list, set, frozenset)) and value) or (isinstance(value, dict) and {*value} - {*fields}):
            raise place.error(f"is {type_of(value)[8:]}, whose fields leave out its items", "keep those in a field")
        return _form_of_object(kind, {name: _field(value, name, place) for name in _kept(fields, place)}, value, place)
    if is_made_from_parameters(value):
        return _form_of_object(kind, parameters_of(value, place), value, place)
    if is_namespace(value):
        return _form_of_mapping(vars(value), place, owner=value)
    if isinstance(value, loaded_classes("omegaconf", "Node", "DictConfig", "ListConfig")):
        from pyrepro._config.resolved import resolved  # where OmegaConf is used

        return _form(resolved(value, place), place)
    if isinstance(value, loaded_classes("ml_collections", "FieldReference")):
        from pyrepro._config.resolved import referred_to  # where ml_collections is used

        return _form(referred_to(value, place), place.instead(value))
    if isinstance(value, (Mapping, *loaded_classes("ml_collections.config_dict", "ConfigDict"))):
        _refuse_more(value, place)
        return _form_of_mapping(value, place)
    if isinstance(value, loaded_classes("sqlite3", "Row")):  # a sequence, which forgets the names of its columns
        return _form_of_mapping(dict(value), place)
    if isinstance(value, Sequence):
        _refuse_more(value, place)
        return _form_of_sequence(value, place)
    if isinstance(value, slice):
        return _form_of_object(kind, {"start": value.start, "stop": value.stop, "step": value.step}, value, place)
    if isinstance(value, re.Pattern):
        return _form_of_object(kind, {"pattern": value.pattern, "flags": value.flags}, value, place)
    if isinstance(value, (set, frozenset)):
        _refuse_more(value, place)
        at = place.inside(value)
        return sorted((_form(item, at("<element>")) for item in value), key=canonical_bytes)
    if isinstance(value, loaded_classes("pathlib", "PurePath")):
        _refuse_more(value, place)
        return form_of_text(value.as_posix(), place)
    if isinstance(value, loaded_classes("datetime", "date", "time")):
        _refuse_more(value, place)
        if getattr(value, "tzinfo", None) is not None and value.utcoffset() is None:
            zone = "whose offset its time zone does not say without a date"
            raise place.error(f"is {value_and_type_of(value)}, {zone}", "pass the time and the zone one by one")
        return str(value.isoformat())
    if isinstance(value, loaded_classes("datetime", "timedelta")):
        _refuse_more(value, place)
        return form_of_duration(value)
    if isinstance(
        value,
        (
            *loaded_classes("decimal", "Decimal"),
            *loaded_classes("fractions", "Fraction"),
            *loaded_classes("uuid", "UUID"),
        ),
    ):
        _refuse_more(value, place)
        return str(value)
    if (name := import_name(value, place)) is not None:
        return form_of_text(name, place)
    if isinstance(value, functools.partial):
        _refuse_more(value, place)
        at = place.inside(value)
        return {
            "func": _form(value.func, at(".func")),
            "args": _form(value.args, at(".args")),
            "keywords": _form(value.keywords, at(".keywords", place.below("keywords"))),
        }
    if (distribution := distribution_of(value)) is not None:
        return _form(distribution, place.instead(value))
    registered = to_json.dispatch(kind)
    if registered is _not_registered:
        raise _without_form(value, place)
    return _form(registered(value), place.instead(value))


def _without_form(value: object, place: Place) -> ConfigError:
    from pyrepro._config.advice import advice  # where something is refused

    return place.error(*advice(value))


def _with_more(value: object, beyond: list[str], place: Place) -> ConfigError:
    from pyrepro._config.advice import advice_on_more  # where something is refused

    return place.error(*advice_on_more(value, beyond))


def _refuse_more(value: object, place: Place) -> None:
    """Refuse a value of a class of the user's own that carries more than its row writes, such as a unit."""
    if beyond := _kept(own_attributes_of(value), place):
        raise _with_more(value, beyond, place)


def _named_values() -> Any:
    """The types whose values are known by their names: of elements, devices, zones and addresses."""
    return (
        *loaded_classes("numpy", "dtype"),
        *loaded_classes("torch", "dtype", "device"),
        *loaded_classes("zoneinfo", "ZoneInfo"),
        *loaded_classes("ipaddress", "_IPAddressBase"),
        *loaded_classes("pydantic_core", "Url", "MultiHostUrl"),
        *loaded_classes("pydantic.networks", "_BaseUrl", "_BaseMultiHostUrl"),
    )


def _is_array(value: Any, kind: type) -> bool:
    """Whether a value is an array, a tensor or one of NumPy's scalars, and of no type derived from these."""
    return (
        kind in (*loaded_classes("numpy", "ndarray"), *loaded_classes("torch", "Tensor"))
        or (isinstance(value, loaded_classes("numpy", "generic")) and kind.__module__ in ("numpy", "ml_dtypes"))
        or (kind.__name__ == "ArrayImpl" and isinstance(value, loaded_classes("jax", "Array")))
    )


def _form_of_array(value: Any, place: Place) -> JSON:
    try:
        size: Any = getattr(value, "numel", lambda: value.size)()
        digest = array_digest(value) if size > LARGE or holds_nothing_in(value) else None
        is_time_in_bare_numbers = digest is None and _counts_time_in_bare_numbers(value)
        plain = digest or value.tolist()
    except Exception as error:
        raise place.error(
            f"is {value_and_type_of(value)}, which cannot be read: {error}", "pass plain values"
        ) from error
    if is_time_in_bare_numbers:
        from pyrepro._config.advice import advice_on_time  # where something is refused

        raise place.error(f"is {value_and_type_of(value)}, whose tolist() is a bare number", advice_on_time(value))
    if type(plain) is type(value):
        raise place.error(
            f"is {value_and_type_of(value)}, which has no Python equivalent", "pass float() or str() of it"
        )
    form: Any = _form(plain, place.instead(value))
    head = None if digest else head_where_lists_forget(value)
    return {**_form(head, place.instead(value)), "values": form} if head else form  # type: ignore[dict-item]


def _counts_time_in_bare_numbers(value: Any) -> bool:
    dtype: Any = getattr(value, "dtype", None)
    if getattr(dtype, "fields", None):
        return any(_counts_time_in_bare_numbers(value[name]) for name in dtype.fields)
    return getattr(dtype, "kind", None) in ("m", "M") and _holds_integer(value.tolist())


def _holds_integer(plain: object) -> bool:
    return any(map(_holds_integer, plain)) if isinstance(plain, list) else isinstance(plain, int)


def _kept(fields: Iterable[str], place: Place) -> list[str]:
    return [name for name in fields if not place.leaves_out(name)]


def _field(value: Any, name: str, place: Place) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        raise place.error(f"is {type_of(value)[8:]}, whose field {name!r} has no value", "set it") from None


def _form_of_object(kind: type, parts: Mapping[str, Any], container: object, place: Place) -> JSON:
    """An object of named parts, which is of a class; pydantic's secrets and what is not set do not enter."""
    at = place.inside(container)
    form: dict[str, Any] = {"__class__": form_of_text(class_name(kind), place)}
    for name in _kept(parts, place):
        if not (is_secret(parts[name]) or is_unset(parts[name])):
            form[name] = _form(parts[name], at(f".{name}", place.below(name)))
    return form


def _form_of_sequence(sequence: Sequence[Any], place: Place) -> JSON:
    at = place.inside(sequence)
    return [_form(item, at(f"[{index}]")) for index, item in enumerate(sequence)]


def _form_of_mapping(mapping: Any, place: Place, owner: object = None) -> JSON:
    """An object; where it has an owner, of its attributes."""
    at = place.inside(mapping if owner is None else owner)
    form: dict[str, Any] = {}
    for key in mapping:
        name = form_of_key(key, place)
        if place.leaves_out(name):
            continue
        if name in form:
            raise place.error(f"has two keys that are {name!r} in JSON, the second of them {key!r}", "rename one")
        try:
            item = mapping[key]
        except unset_placeholder() as error:
            raise place.error(f"has a placeholder at {key!r} that needs a value", "set it") from error
        form[name] = _form(item, at(f"[{key!r}]" if owner is None else f".{name}", place.below(name)))
    return form


_BUILTIN: dict[type, Callable[[Any, Place], JSON]] = {
    str: form_of_text,
    int: form_of_integer,
    float: form_of_float,
    dict: _form_of_mapping,
    list: _form_of_sequence,
    tuple: _form_of_sequence,
}
