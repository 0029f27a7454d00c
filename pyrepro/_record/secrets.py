"""What does not enter a record: credentials, and the name of the home directory."""

from __future__ import annotations

import os
import re


def without_credentials(url: str) -> str:
    """A URL without user, password, query and fragment; the user "git" stays, since it is nobody's name."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return without_home(re.sub(r"^(?!git@)[^/@:]+@", "", url))
    host, slash, path = rest.partition("/")
    user, _, host = host.rpartition("@")
    return without_home(f"{scheme}://{'git@' if user == 'git' else ''}{host}{slash}{re.split('[?#]', path)[0]}")


def without_home(text: str) -> str:
    """A text with ``~/`` in place of the home directory, whose path holds the name of the user."""
    home = os.path.join(os.path.expanduser("~"), "")
    return text.replace(home, "~/") if len(home) > 2 else text
