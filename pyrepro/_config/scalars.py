"""Texts, keys, numbers and durations -> JSON: exact, or as text."""

from __future__ import annotations

import math
import os
from typing import Any

from pyrepro._config.place import Place, value_and_type_of

_MAX_SAFE = 2**53 - 1


def form_of_text(text: str, place: Place) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            name = os.fsencode(text)
        except UnicodeEncodeError:
            raise place.error(
                f"is {text!r}, which holds a lone surrogate and is not Unicode text", "pass bytes instead"
            ) from None
        raise place.error(
            f"is {text!r}, the file name {name!r}, which is not UTF-8", "rename the file, or pass os.fsencode() of it"
        ) from None
    return text


def form_of_key(key: object, place: Place) -> str:
    """What a key of a mapping is in JSON."""
    if isinstance(key, str):
        return form_of_text(str.__str__(key), place)
    if key is None or isinstance(key, (bool, int, float)):
        import json  # seldom needed, and slow to import

        return json.dumps(key)
    raise place.error(f"has the key {value_and_type_of(key)}", "use str, int, float, bool or None as keys")


def form_of_integer(number: int, place: Place) -> int | str:
    if -_MAX_SAFE <= number <= _MAX_SAFE:
        return number
    try:
        return str(number)
    except ValueError as error:
        raise place.error(f"is an int of {number.bit_length()} bits ({error})", "pass hex(value)") from error


def form_of_float(number: float, place: Place) -> int | float | str:
    if number.is_integer():
        whole = int(number)
        return whole if -_MAX_SAFE <= whole <= _MAX_SAFE else str(whole)
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def form_of_duration(duration: Any) -> int | float | str:
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
