"""Links over which modules are found, and which files are plainly installed."""

from __future__ import annotations

import os
import sys
from typing import Any

from pyrepro._paths import STANDARD_LIBRARY, is_plainly_installed

_links_followed: set[str] = set()
_linked: tuple[str, ...] = ()


def leads_out(file: str, *, is_top: bool = True) -> bool:
    """Whether a file in an installed environment is, or its package's directory is, a link that leads out of it.

    Such links are how ``flit install --symlink``, or a person, installs what is being worked on.

    Args:
        file: the file, as a module gives it.
        is_top: whether its package may be a link that has not been looked at.
    """
    global _linked
    if _is_of_standard_library(file):
        return False  # not looked at, since there are many
    package = os.path.dirname(file)
    # Not where the environment itself stands behind a link.
    for path, end in ((file, ""), (package, os.sep)) if is_top else ():
        if os.path.islink(path) and is_plainly_installed(path):
            target = os.path.join(os.path.realpath(path), end)
            if path + end not in _linked and not is_plainly_installed(target):
                _linked += (path + end,)
    return file.startswith(_linked)


def _is_of_standard_library(file: str) -> bool:
    if not file.startswith(STANDARD_LIBRARY):
        return False
    name = file[len(STANDARD_LIBRARY) :].partition(os.sep)[0]
    return name == "lib-dynload" or name.removesuffix(".py") in sys.stdlib_module_names


def are_plainly_installed(path: Any) -> bool:
    """Whether all directories of a package are in installed environments at first sight."""
    try:
        # A namespace package may hold links of its own.
        entries = [os.path.join(entry, "") for entry in path] if type(path) is list else [""]
        return all(is_plainly_installed(entry) and not entry.startswith(_linked) for entry in entries)
    except Exception:  # whatever a package has made of its __path__, the other finders are asked
        return False


def followed(path: str) -> tuple[str, dict[str, str]]:
    """A path without links, and the links on its way with what each of them says.

    Args:
        path: an absolute path.
    """
    real = os.path.realpath(path)
    if real == path or os.name == "nt":  # where paths are also written in several ways, and links are rare
        return real, {}
    links: dict[str, str] = {}
    real = _followed(path, links)
    _links_followed.update(links)
    return real, links


def _followed(path: str, links: dict[str, str]) -> str:
    above, name = os.path.split(path)
    if above == path:
        return path
    above = _followed(above, links)
    if name in ("", os.curdir, os.pardir):
        return os.path.dirname(above) if name == os.pardir else above
    here = os.path.join(above, name)
    if here in links or not os.path.islink(here):
        return os.path.realpath(here)  # also of links that lead to themselves
    links[here] = os.readlink(here)
    return _followed(os.path.join(above, links[here]), links)


def is_any_behind_links() -> bool:
    """Whether any module was found over a link."""
    return bool(_links_followed)
