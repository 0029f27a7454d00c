"""What in a configuration is something else on another day or computer, so that its artifact is never found again."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

from pyrepro._paths import is_inside

# As Hydra names its run directories: outputs/2026-01-31/23-59-59.
_MOMENT = r"(?<!\d)(\d{4}-\d{2}-\d{2})[/\\_T-]\d{2}-\d{2}-\d{2}(?!\d)"


def may_be_nowhere_else(canonical: bytes) -> bool:
    """Whether a configuration is worth looking through, which costs as much as its hash.

    Args:
        canonical: the configuration in canonical JSON.
    """
    # Where a path begins, behind a drive too. First for single bytes, which is quicker; only what may be the end of a
    # date is searched with a pattern, which most processes need not compile then.
    return (
        (b"/" in canonical and (b'"/' in canonical or b":/" in canonical))
        or b"\\" in canonical
        or (b"-" in canonical and re.search(rb"-\d\d[/_T-]", canonical) is not None)
    )


def found_nowhere_else(form: object, working_directory: str) -> Iterator[tuple[str, str, str]]:
    """The texts in a JSON form that hold today's time, or that are absolute paths of this user or computer.

    Args:
        form: a configuration in JSON.
        working_directory: as an absolute path.

    Yields:
        The name that ``ignore`` would have for it, the text, and what it is.
    """
    for name, text in _texts(form, ""):
        moment = re.search(_MOMENT, text)
        if moment is not None and moment[1] == time.strftime("%Y-%m-%d"):
            yield name, text, "which holds today's time"
        elif os.path.isabs(text) and (directory := _directory_around(text, working_directory)):
            yield name, text, f"an absolute path in the {directory} directory"


def _texts(form: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(form, str):
        if name:  # a configuration that is nothing but a path has no key to ignore
            yield name, form
    elif isinstance(form, dict):
        for key, item in form.items():
            yield from _texts(item, f"{name}.{key}" if name else key)
    elif isinstance(form, list):
        for item in form:
            yield from _texts(item, name)


def _directory_around(path: str, working_directory: str) -> str | None:
    """Which of the directories of this process a path is, or is below."""
    import tempfile  # slow to import, and rarely needed

    path = os.path.normpath(path)
    places = {"working": working_directory, "home": os.path.expanduser("~"), "temporary": tempfile.gettempdir()}
    for name, directory in places.items():
        # A root holds every path, and says nothing of any.
        if os.path.dirname(directory) != directory and (path == directory or is_inside(path, directory)):
            return name
    return None
