"""What does not enter a record: credentials, and the name of the home directory."""

from __future__ import annotations

import os
import re


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _without_home(re.sub(r"^(?!git@)[^/@:]+@", "", url))
    host, slash, path = rest.partition("/")
    user, _, host = host.rpartition("@")
    return _without_home(f"{scheme}://{'git@' if user == 'git' else ''}{host}{slash}{re.split('[?#]', path)[0]}")


def _without_home(text: str) -> str:
    home = os.path.join(os.path.expanduser("~"), "")
    return text.replace(home, "~/") if len(home) > 2 else text
