"""A document without secrets: what is left out, and the places that it was left out of. Pure.

What is a secret in one place is one wherever else it stands, whatever it is called there.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from pyrepro._record.secrets import (
    WITHHELD,
    is_called_like_a_secret,
    without_home,
    without_secrets,
    without_url_credentials_and_home,
)

# argparse takes --pass for --password where no other option begins so.
_ABBREVIATED = re.compile(r"-+(pass(w|wo|wor|p|ph|phr|phra|phras)?|secr(e)?|toke|cred\w*)")
# Shorter texts stand by chance where a secret does.
_SHORTEST_FOUND_ELSEWHERE = 6


class Cleaned(NamedTuple):
    """A document without secrets."""

    document: dict[str, Any]
    in_hash: tuple[str, ...]  # keys of the configuration that were withheld, and are part of its hash
    unknown: tuple[str, ...]  # the names that were given, and that nothing in the document has


def clean(document: dict[str, Any], names: Collection[str] = ()) -> Cleaned:
    """A document in which no secret stands.

    Args:
        document: what is to be recorded; it is not changed.
        names: more names of secrets: of parameters, and of keys of the configuration, dotted into nested ones.

    Returns:
        The document, which lists under ``withheld`` what is not in it: names of parameters, dotted keys, options and
        variables, and places in ``argv`` such as "argv[2]".
    """
    call = document["call"]
    cleaning = _Cleaning(names)
    config, in_config = cleaning.scope(lambda: cleaning.tree(document["config"], "", document["inputs"]))
    arguments, in_arguments = cleaning.scope(lambda: cleaning.arguments(call))
    argv, in_argv = cleaning.scope(lambda: cleaning.command_line(call["argv"]))
    # Once all are known: what is a secret in one place is one in the others, whatever it is called there.
    config, more_in_config = cleaning.scope(lambda: cleaning.without_known(config, ""))
    arguments, more_in_arguments = cleaning.scope(lambda: cleaning.without_known(arguments, ""))
    argv, more_in_argv = cleaning.scope(lambda: cleaning.without_known(argv, "argv"))
    in_config, in_arguments = in_config | more_in_config, in_arguments | more_in_arguments
    cleaned = {
        name: _changed_texts(without_url_credentials_and_home, value)
        for name, value in document.items()
        if name not in ("artifact", "config")
    }
    cleaned["call"] |= {"arguments": arguments, "argv": argv, **_given_back(call, in_arguments | cleaning.homeless)}
    withheld = sorted(in_config | in_arguments | in_argv | more_in_argv)
    known = cleaning.met.union(*(call[field] for field in ("paths", "types", "unrecorded", "defaults")))
    return Cleaned(
        {**cleaned, "artifact": document["artifact"], "config": config, "withheld": withheld},
        tuple(sorted(in_config)),
        tuple(sorted({*names} - known)),
    )


def clean_config(form: Any, names: Collection[str] = ()) -> Any:
    """A configuration in JSON without secrets; for ``names`` see :func:`clean`."""
    cleaning = _Cleaning(names)
    return cleaning.without_known(cleaning.tree(form), "")


def _given_back(call: Mapping[str, Any], changed: Collection[str]) -> dict[str, Any]:
    """The arguments with types, and those that are unrecorded: what has lost something is the argument no more."""
    # A default comes back from the code.
    lost = {re.split(r"[.\[]", place)[0] for place in changed} - {*call["defaults"]}
    typed = {name: form for name, form in call["typed"].items() if name not in lost}
    values = {**call["typed"], **call["arguments"]}
    kinds = {name: f"builtins.{type(value).__name__}" for name, value in values.items() if name in lost}
    return {"typed": with_tilde(typed), "unrecorded": {**kinds, **call["unrecorded"]}}


def with_home(value: Any) -> Any:
    """A JSON value with the home directory of this user where ``~/`` begins a text."""
    return _changed_texts(lambda text: os.path.expanduser(text) if text.startswith("~/") else text, value)


def with_tilde(value: Any) -> Any:
    """A JSON value with ``~`` in place of the home directory of this user, as it is recorded."""
    return _changed_texts(without_home, value)


class _Cleaning:
    """What was found in one document."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self.withheld: set[str] = set()
        self.met: set[str] = set()
        self._known: set[str] = set()
        self.homeless: set[str] = set()  # arguments in which the home directory stands where it is not found again

    def _is_secret(self, place: str, name: str) -> bool:
        return not self._names.isdisjoint((place, name)) or is_called_like_a_secret(name)

    def tree(self, value: Any, place: str = "", inputs: Collection[str] = ()) -> Any:
        """A JSON value without secrets; of inputs, only hashes stand in it."""
        if isinstance(value, dict):
            left = {}
            for key, item in value.items():
                inner = f"{place}.{key}" if place else key
                self.met.add(inner)
                if inner in inputs:
                    left[key] = item
                    continue
                # True and None are no secrets: use_auth=True says how, and token=None that there is none.
                if self._is_secret(inner, key) and item is not None and not isinstance(item, bool):
                    self.withheld.add(inner)
                    self._known |= set(_texts_in(item))
                else:
                    left[without_home(without_secrets(key))] = self.tree(item, inner, inputs)
            return left
        if isinstance(value, list):
            options = self._options_before(value)  # it may be a command line
            self.withheld |= {f"{place}[{index}]" for index in options}
            return [
                WITHHELD
                if index in options
                else self.tree(item, f"{place}[{index}]", inputs)
                if isinstance(item, (str, list, dict))
                else item
                for index, item in enumerate(value)
            ]
        return self._text(value, place) if isinstance(value, str) else value

    def scope(self, changed: Callable[[], Any]) -> tuple[Any, set[str]]:
        """What a step gives, and the places that it withheld."""
        self.withheld = set()
        return changed(), self.withheld

    def arguments(self, call: Mapping[str, Any]) -> Any:
        """The arguments of a call without secrets, those with types looked through, too."""
        for name, form in call["typed"].items():
            self.tree({name: _plain(form)})
            for content in _bytes_in(form):
                if without_secrets(_decoded(content), self._names) != _decoded(content):
                    self._known.add(base64.b64encode(content).decode())  # as the configuration has it
        for name, value in {**call["arguments"], **call["typed"]}.items():
            portable = with_tilde(value)
            if portable != value and with_home(portable) != value:
                self.homeless.add(name)
        return self.tree(call["arguments"])

    def _text(self, text: str, place: str) -> str:
        left = without_secrets(text, self._names)
        if left != text:
            self.withheld.add(place or "config")
        return without_home(left)

    def command_line(self, argv: list[str]) -> list[str]:
        """The arguments of a program without the values of options that are called like secrets."""
        left: list[str] = []
        options = self._options_before(argv)
        self.withheld |= {*options.values()}
        for index, argument in enumerate(argv):
            if index in options:
                left.append(WITHHELD)
                continue
            cleaned = self._assigned(argument) if index else argument
            left.append(self._text(argument, f"argv[{index}]") if cleaned is None else without_home(cleaned))
        return left

    def _options_before(self, items: list[Any]) -> dict[int, str]:
        """The options that are called like secrets, by the places of their values."""
        found: dict[int, str] = {}
        option = ""
        for index, item in enumerate(items):
            # What follows may be an option of its own: then this one was a flag.
            if option and isinstance(item, str) and not re.match(r"--[A-Za-z]|-[A-Za-z]$", item):
                found[index] = option
                self._known.add(item)
                option = option if option.endswith("s") else ""  # which takes more
            else:
                option = item if isinstance(item, str) and self._is_option_of_a_secret(item) else ""
        return found

    def _is_option_of_a_secret(self, argument: str) -> bool:
        name = argument.lstrip("-")
        if name == argument or not re.fullmatch(r"[\w.-]+", name):
            return False
        names = {*self._names, *(known.rpartition(".")[2] for known in self._names)}
        is_abbreviated = _ABBREVIATED.fullmatch(argument) is not None
        return is_abbreviated or name.replace("-", "_") in names or is_called_like_a_secret(name)

    def _assigned(self, argument: str) -> str | None:
        """``--option=value`` or ``NAME=value`` without the value; None where it is not a secret."""
        found = re.match(r"([-+~]*)([\w.@/-]+)=(?=.)", argument, re.DOTALL)
        if found is None:
            return None
        is_abbreviated = _ABBREVIATED.fullmatch(found[1] + found[2]) is not None
        if not is_abbreviated and not self._is_option_of_a_secret(f"--{found[2]}"):
            return None
        self.withheld.add(found[1] + found[2] if found[1].startswith("-") else found[2])
        self._known.add(argument[found.end() :])
        return found[0] + WITHHELD

    def without_known(self, value: Any, place: str) -> Any:
        """A value in which no secret stands that was found under its name elsewhere."""
        known = [text for text in self._known if len(text) >= _SHORTEST_FOUND_ELSEWHERE]
        if not known:
            return value
        # The longest first: one secret can be part of another.
        pattern = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True))))

        def changed(item: Any, at: str) -> Any:
            if isinstance(item, dict):
                return {changed(key, at): changed(inner, f"{at}.{key}" if at else key) for key, inner in item.items()}
            if isinstance(item, list):
                return [changed(inner, f"{at}[{index}]") for index, inner in enumerate(item)]
            if not isinstance(item, str) or not pattern.search(item):
                return item
            self.withheld.add(at)
            return pattern.sub(WITHHELD, item)

        return changed(value, place)


def _plain(form: Any) -> Any:
    """What a form of :mod:`pyrepro._record.typed` holds, without the types."""
    if isinstance(form, list):
        return [_plain(item) for item in form]
    if not isinstance(form, dict):
        return form
    if "fields" in form:
        return {name: _plain(item) for name, item in form["fields"].items()}
    if form["type"] == "bytes":
        return _decoded(bytes.fromhex(form["text"]))
    if form["type"] == "text":
        return "".join(form["items"])
    if form["type"] == "dict":
        return {str(_plain(key)): _plain(item) for key, item in form["items"]}
    return _plain(form["items"]) if "items" in form else form["text"]


def _bytes_in(form: Any) -> Iterable[bytes]:
    if isinstance(form, list):
        for item in form:
            yield from _bytes_in(item)
    elif isinstance(form, dict) and form["type"] == "bytes":
        yield bytes.fromhex(form["text"])
    elif isinstance(form, dict):
        yield from _bytes_in([*form.get("items", []), *form.get("fields", {}).values()])


def _decoded(content: bytes) -> str:
    return content.decode(errors="replace")


def _texts_in(value: Any) -> Iterable[str]:
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _changed_texts(change: Callable[[str], str], value: Any) -> Any:
    if isinstance(value, dict):
        return {change(key): _changed_texts(change, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_changed_texts(change, item) for item in value]
    return change(value) if isinstance(value, str) else value
