"""The PYREPRO_ variables of the environment, parsed in one place.

Each but one is read when it is needed, since programs set them while they run.
"""

from __future__ import annotations

import os

from pyrepro._value import is_hex
from pyrepro.errors import CodeStateError

CODE_STATE = "PYREPRO_CODE_STATE"

REPRODUCTION = os.environ.get("PYREPRO_REPRODUCTION")
"""The request that :func:`pyrepro.reproduce` has started this process with, or the one that started it; else None.

Read once, at the import: a program that clears its environment must not begin to write to where it says.
"""


def allows_dirty() -> bool:
    """Whether ``PYREPRO_ALLOW_DIRTY`` allows a dirty tree.

    Raises:
        CodeStateError: it is neither ``1`` nor ``0``.
    """
    text = os.environ.get("PYREPRO_ALLOW_DIRTY", "")
    if text not in ("", "0", "1"):
        raise CodeStateError(
            f"PYREPRO_ALLOW_DIRTY={text!r} is neither 1 nor 0; set it to 1 to allow a dirty tree, or unset it"
        )
    return text == "1"


def declared_code_state() -> tuple[str, str | None] | None:
    """The full commit and changes digest that ``PYREPRO_CODE_STATE`` declares, None where it declares nothing.

    Raises:
        CodeStateError: it is neither of its two forms.
    """
    text = os.environ.get(CODE_STATE)
    if not text:
        return None
    commit, is_dirty, changes = text.partition("-dirty-")
    if not is_hex(commit, 40, 64) or (is_dirty and not is_hex(changes, 64)):
        raise CodeStateError(
            f"PYREPRO_CODE_STATE={text!r} is neither <full commit> nor <full commit>-dirty-<full changes digest>; "
            f'print the value with: python -c "import pyrepro; print(pyrepro.code_state())"'
        )
    return commit, changes if is_dirty else None


def cache_directory() -> str | None:
    """Where what is known of files is kept, from ``PYREPRO_CACHE_DIR``; None where ``0`` turns it off."""
    text = os.environ.get("PYREPRO_CACHE_DIR")
    if text == "0":
        return None
    if text:
        return os.path.abspath(os.path.expanduser(text))
    import platformdirs  # slow to import, and only large files need it

    return platformdirs.user_cache_dir("pyrepro", appauthor=False)


def git_timeout() -> float:
    """After how many seconds a git process is stopped, from ``PYREPRO_GIT_TIMEOUT``.

    Raises:
        CodeStateError: it is not a positive, finite number.
    """
    text = os.environ.get("PYREPRO_GIT_TIMEOUT") or "60"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise CodeStateError(
            f"PYREPRO_GIT_TIMEOUT={text!r} is not a number of seconds; set it to one, like 60, or unset it"
        )
    return seconds
