"""What does not enter a record: secrets in texts, and the path of the home directory. Pure: texts in, texts out.

Where it is not certain how far a secret reaches, everything that it may reach is left out: a record can be made again
with what is missing passed anew, and nobody can take back what was handed on.

Sources: RFC 3986 for URLs, git-fetch(1) for the forms of remotes, PEP 508 and RFC 6750 for where else they hide.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
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


def is_called_like_a_secret(name: str) -> bool:
    """Whether a parameter, key, option or variable has the name of a secret, such as "hf_token" or "--api-key"."""
    last = name.rpartition(".")[2].lower()
    is_called = _CALLED_LIKE_A_SECRET.fullmatch(re.sub(r"[\W_]", "", last))
    return is_called is not None and not _MARK_IN_A_TEXT.fullmatch(last)


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


def without_url_credentials_and_home(text: str) -> str:
    """A text that may hold a URL, without credentials in it and without the home directory."""
    return without_home(_URL.sub(lambda url: _clean_url(url[0]), text) if "://" in text else text)
