"""What does not enter a record: secrets, and the path of the home directory. Pure: documents in, documents out.

Where it is not certain how far a secret reaches, everything that it may reach is left out: a record can be made again
with what is missing passed anew, and nobody can take back what was handed on.

Sources: RFC 3986 for URLs, git-fetch(1) for the forms of remotes, PEP 508 and RFC 6750 for where else they hide.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

WITHHELD = "<withheld>"
"""Stands in a text for what was left out of it."""

# A name is called like a secret when it ends in one of these, whatever stands before and however words are joined. In
# the plural too, but for "tokens", which people count: max_tokens=512.
_WORDS = (
    r"(password|passwd|passphrase|secret|(api|access|private|secret)key|credential|auth|authorization)s?|token"
    r"|(?<!^)(?<!old)pwd"  # alone it is the working directory
)
_CALLED_LIKE_A_SECRET = re.compile(rf".*({_WORDS})\d*")
# What tokenizers call the marks in their texts, and what counts them.
_MARK_IN_A_TEXT = re.compile(
    r"(.*[\W_])?(pad|eos|bos|unk|mask|sep|cls)[_-]?token|(start|stop|begin|end|special|image|max|min|num|n|per)[_-]?token"
)
# argparse takes --pass for --password where no other option begins so.
_ABBREVIATED = re.compile(r"-+(pass(w|wo|wor|p|ph|phr|phra|phras)?|secr(e)?|toke|cred\w*)")
# What is as good as a password for whoever has the text, or short for one: in the query of a URL, and in a connection
# string, "Server=db;Uid=me;Pwd=x".
_SECRET_IN_A_QUERY = re.compile(r".*(signature|sig)|pwd|pw|pass|passw")
_SECRET_IN_A_CONNECTION = re.compile(r"pwd|accountkey|sharedaccesssignature")
# What says itself that it is a secret: keys of AWS and Google, tokens of GitHub, GitLab, Hugging Face and Slack, JSON
# Web Tokens (RFC 7519), and keys that begin with sk-.
_KNOWN_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_])((AKIA|ASIA)(?=[A-Z]*\d)[A-Z0-9]{16}|AIza[\w-]{35}|gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255}"
    r"|glpat-[\w-]{20,255}|hf_[A-Za-z0-9]{30,255}|xox[abeoprs]-[\w-]{20,255}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
    r"|sk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{20,255})(?![A-Za-z0-9_-])"
)

_WORD = re.compile(r"\S+")
# Lengths are bounded where a search would otherwise take a time that grows with the square of the text.
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://"
_URL = re.compile(rf"({_SCHEME})((?:(?!{_SCHEME})\S)*)")
# In these schemes no credentials stand before an @: paths, and containers of an Azure account.
_SCHEMES_WITHOUT_USER = ("file", "local", "memory", "sqlite", "abfs", "abfss", "wasb", "wasbs")
# A host, so that an @ further on belongs to the path: "https://example.org:8443/@scope/package".
_HOST_ALONE = re.compile(
    r"(\[[\da-fA-F:.]*\]|localhost(?=[:/?#]|$)|[\w-]+(\.[\w-]+)+|[\w-]*(?=[/?#]|$))(:\d+)?([/?#].*)?$"
)
_SCHEMES_OF_HOSTS = ("http", "https", "ssh", "git", "ftp", "sftp")
_TOKEN_WITH_SLASH = re.compile(r"(?!localhost/)[\w-]+/.*@(?=[\w-]+(\.[\w-]+)*\.[A-Za-z]{2,}([:/]|$))")
_HOST = r"(\[[\da-fA-F:.]+\]|localhost|[\w-]+(\.[\w-]+)*\.[A-Za-z]{2,}|\d+(\.\d+){3}|tcp\(|[\w-]+[:/])"
# "user:password@host", but no digest of a container image, drive of Windows, or address to write to.
_USER = re.compile(r"(?<![^/@:'\"=,;({])(?!(?:mailto|sips?|xmpp|acct):|[A-Za-z]:[/\\])([^\s/@:'\"=,;({]+):")
_PASSWORD = re.compile(rf"\S+@(?!sha(256|384|512):)(?={_HOST})")
# A word of letters may be a word: "basic statistics".
_BEARER = re.compile(r"\b((?i:bearer|basic)) ([\w.~+/=-]{16,}$|(?=[\w.~+/=-]*(\d|[a-z][A-Z]))[\w.~+/=-]{8,})")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
# name=value, "name": value, and name: value where a line or an item begins; not name == value.
_ASSIGNED = re.compile(
    r"""(?<![\w.])(["']?)([A-Za-z_][\w.-]{0,100})\1\]?\s*(=(?![=~])|:=|(?P<colon>:(?!/)))\s*(?=\S)"""
)
_BEFORE_AN_ITEM = ("", "\n", *"=,;{[('\"")
_SECRET_AFTER = {"?": _SECRET_IN_A_QUERY, "&": _SECRET_IN_A_QUERY, ";": _SECRET_IN_A_CONNECTION}
_OPTION_AND_VALUE = re.compile(r"(?<!\S)--?([A-Za-z][\w.-]{0,100})\s+(?=[^-\s])")
# Without any of these a text holds no secret that could be found; a short one holds none without the first four.
_SHORT_SIGN, _SHORT = re.compile("[=:@-]"), len("basic ") + 8
_SIGN = re.compile(r"[=:@-]|AKIA|ASIA|AIza|gh[pousr]_|github_pat_|hf_|eyJ|\b(bearer|basic) ", re.IGNORECASE)
# Shorter texts stand by chance where a secret does.
_SHORTEST_FOUND_ELSEWHERE = 6


class Cleaned(NamedTuple):
    """A document without secrets."""

    document: dict[str, Any]
    in_hash: tuple[str, ...]  # keys of the configuration that were withheld, and are part of its hash
    unknown: tuple[str, ...]  # the names that were given, and that nothing in the document has


def is_called_like_a_secret(name: str) -> bool:
    """Whether a parameter, key, option or variable has the name of a secret, such as "hf_token" or "--api-key"."""
    last = name.rpartition(".")[2].lower()
    is_called = _CALLED_LIKE_A_SECRET.fullmatch(re.sub(r"[\W_]", "", last))
    return is_called is not None and not _MARK_IN_A_TEXT.fullmatch(last)


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
        name: _changed_texts(_without_url_credentials_and_home, value)
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
    values = {**call["arguments"], **call["typed"]}
    kinds = {name: f"builtins.{type(value).__name__}" for name, value in values.items() if name in lost}
    return {"typed": _changed_texts(without_home, typed), "unrecorded": {**kinds, **call["unrecorded"]}}


def _without_url_credentials_and_home(text: str) -> str:
    return without_home(_URL.sub(lambda url: _clean_url(url[0]), text) if "://" in text else text)


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
                    left[without_secrets(key)] = self.tree(item, inner, inputs)
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
            portable = _changed_texts(without_home, value)
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
        return {key: _changed_texts(change, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_changed_texts(change, item) for item in value]
    return change(value) if isinstance(value, str) else value


def without_secrets(text: str, names: Collection[str] = ()) -> str:
    """A text without credentials in URLs, and without what is assigned to a name that is called like a secret."""
    if not (_SHORT_SIGN if len(text) < _SHORT else _SIGN).search(text):
        return text
    if _PRIVATE_KEY.search(text):
        return WITHHELD
    text = _KNOWN_TOKEN.sub(WITHHELD, text)
    text = _BEARER.sub(rf"\1 {WITHHELD}", without_url_credentials(text))
    # Queries have ends of their own; elsewhere a secret may hold any separator, so all that follows is left out.
    masked = _URL.sub(lambda url: url[1] + "-" * len(url[2]), text)
    for found in _ASSIGNED.finditer(masked):
        # A colon within a sentence assigns nothing.
        before = text[max(0, found.start() - 100) : found.start()].rstrip(" \t")[-1:]
        is_item = not found["colon"] or found[1] or before in _BEFORE_AN_ITEM
        short = _SECRET_AFTER.get(before)
        is_short = short is not None and short.fullmatch(found[2].lower())
        if is_item and (is_short or is_called_like_a_secret(found[2]) or found[2] in names):
            return text[: found.end()] + WITHHELD
    for found in _OPTION_AND_VALUE.finditer(masked):
        if is_called_like_a_secret(found[1]) or found[1] in names:
            return text[: found.end()] + WITHHELD
    return text


def without_url_credentials(text: str) -> str:
    """A text whose URLs, of any form, have neither user nor password, nor query parameters that are secrets."""
    url = _URL.match(text)
    # A password may hold a blank, where the text is nothing but a URL.
    if url and not _URL.search(text, url.end()):
        return _clean_url(text)
    if "@" not in text and "://" not in text:
        return text
    left, end = "", 0
    for url in _URL.finditer(text):
        left += _WORD.sub(_without_user_and_password, text[end : url.start()]) + _clean_url(url[0])
        end = url.end()
    return left + _WORD.sub(_without_user_and_password, text[end:])


def _without_user_and_password(word: re.Match[str]) -> str:
    # From the first colon alone: a search from each would take a time that grows with the square.
    user = "@" in word[0] and _USER.search(word[0])
    password = user and _PASSWORD.match(word[0], user.end())
    return word[0][: user.start()] + word[0][password.end() :] if user and password else word[0]


def _clean_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    # Parameters first: one may hold an @.
    rest = _PARAMETER.sub(_without_value, rest)
    transport = scheme.rpartition("+")[2].lower()
    if transport not in _SCHEMES_WITHOUT_USER or ":" in rest.partition("@")[0]:
        rest = _without_user(rest, transport)
    return f"{scheme}://{rest}"


_PARAMETER = re.compile(r"([?&;#])([^=&;#?\s]+)=([^&;#\s]*)")


def _without_value(parameter: re.Match[str]) -> str:
    name = unquote(parameter[2])
    value = unquote(parameter[3])
    is_secret = is_called_like_a_secret(name) or _SECRET_IN_A_QUERY.fullmatch(name.lower()) is not None
    is_secret = is_secret or without_secrets(value) != value  # a URL or a connection string within the URL
    return f"{parameter[1]}{parameter[2]}={WITHHELD}" if is_secret and parameter[3] else parameter[0]


def _without_user(rest: str, transport: str) -> str:
    """What stands behind ``://``, without ``user:password@``."""
    if rest.startswith("/") or "@" not in rest:
        return rest
    if _HOST_ALONE.match(rest):
        # A token with a slash looks like a host without a domain; a bucket is one.
        token = _TOKEN_WITH_SLASH.match(rest) if transport in _SCHEMES_OF_HOSTS else None
        return rest[token.end() :] if token else rest
    authority = rest.partition("/")[0]
    user, at, host = authority.rpartition("@")
    # A digest behind the @ is not a host: docker://ubuntu@sha256:...
    if user == "git" or host.startswith("sha256:"):
        return rest
    if not at:  # a slash in the password
        return rest.rpartition("@")[2]
    # With another @ in the path, or in a password that has a slash, too: nobody knows which.
    if ":" in user and "@" in re.split("[?#]", rest[len(authority) :])[0]:
        return WITHHELD
    return rest[len(user) + 1 :]


def without_credentials(url: str) -> str:
    """The URL of a remote without user, password, query and fragment; the user "git" stays: it is nobody's name."""
    scheme, separator, rest = url.partition("://")
    if separator:
        return without_home(f"{scheme}://{re.split('[?#]', _without_user(rest, scheme.rpartition('+')[2].lower()))[0]}")
    if not url.startswith(("/", ".", "~")) and not url.startswith("git@"):
        url = re.sub(r"^([^/@:]+(:.*)?@(?=[^/@:\s]+:)|[^/@:]+:[^/]*@)", "", url)
    return without_home(url)


def without_home(text: str) -> str:
    """A text with ``~`` in place of the home directory, whose path holds the name of the user."""
    if os.sep not in text:
        return text
    home = os.path.expanduser("~").rstrip(os.sep)
    if len(home) < 2 or home not in text:
        return text
    # Neither "/mnt/home/ann" nor "/home/anna" is within "/home/ann"; "-I/home/ann" is.
    return re.sub(rf"(?:(?<![\w.-])|(?<=^-[A-Za-z])){re.escape(home)}(?![\w.-])", "~", text)


def with_home(value: Any) -> Any:
    """A JSON value with the home directory of this user where ``~/`` begins a text."""
    return _changed_texts(lambda text: os.path.expanduser(text) if text.startswith("~/") else text, value)
