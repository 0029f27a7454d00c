"""The parameters of a function, the arguments of a call by name, and the call with them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

_POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
_VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
_KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
_VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD


def declared_signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function, also where what annotates it is not there yet, or for type checkers alone.

    Raises:
        ValueError: the function does not say which parameters it has.
    """
    if sys.version_info >= (3, 14):  # where annotations are evaluated when they are asked for (PEP 649)
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


class Binding:
    """What :meth:`inspect.Signature.bind` does, compiled once for a signature.

    Args:
        signature: the signature of the function.
        name: what messages call the function.
    """

    def __init__(self, signature: inspect.Signature, name: str) -> None:
        self._signature = signature
        self._name = name
        code: dict[str, Any] = {}
        exec(_source(signature), code)
        given = [parameter for parameter in signature.parameters.values() if parameter.default is not parameter.empty]
        keyword_only = {parameter.name: parameter.default for parameter in given if parameter.kind is _KEYWORD_ONLY}
        code["bind"].__defaults__ = tuple(
            parameter.default for parameter in given if parameter.name not in keyword_only
        )
        code["bind"].__kwdefaults__ = keyword_only
        self._bind: Callable[..., dict[str, Any]] = code["bind"]
        self.call: Callable[[Callable[..., Any], dict[str, Any]], Any] = code["call"]

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, defaults applied, in the order of the parameters.

        Raises:
            TypeError: they do not fit the signature.
        """
        try:
            return self._bind(*args, **kwargs)
        except TypeError:
            return bound(self._signature.bind, self._name, args, kwargs).arguments  # raises, and says what is wrong


def bound(
    bind: Callable[..., inspect.BoundArguments], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> inspect.BoundArguments:
    """The arguments of a call.

    Raises:
        TypeError: they do not fit the signature; the message names the function.
    """
    try:
        return bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}() {error}") from None


def _source(signature: inspect.Signature) -> str:
    """A function that takes what the signature takes and returns it by name, and one that calls with that."""
    stars: dict[Any, str] = {_VAR_POSITIONAL: "*", _VAR_KEYWORD: "**"}
    taken: list[str] = []
    passed: list[str] = []
    kinds: list[Any] = []
    for name, parameter in signature.parameters.items():
        kind = parameter.kind
        if _POSITIONAL_ONLY in kinds[-1:] and kind is not _POSITIONAL_ONLY:
            taken.append("/")
        if kind is _KEYWORD_ONLY and not {_VAR_POSITIONAL, _KEYWORD_ONLY} & {*kinds}:
            taken.append("*")
        kinds.append(kind)
        taken.append(stars.get(kind, "") + name + ("" if parameter.default is parameter.empty else "=None"))
        passed.append((f"{name}=" if kind is _KEYWORD_ONLY else stars.get(kind, "")) + f"arguments[{name!r}]")
    if _POSITIONAL_ONLY in kinds[-1:]:
        taken.append("/")
    by_name = ", ".join(f"{name!r}: {name}" for name in signature.parameters)
    return (
        f"def bind({', '.join(taken)}):\n    return {{{by_name}}}\n"
        f"def call(function, arguments):\n    __tracebackhide__ = True\n    return function({', '.join(passed)})\n"
    )
