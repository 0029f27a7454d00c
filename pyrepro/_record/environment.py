"""The interpreter and the installed distributions."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterable, Mapping
from typing import Any


def python_now() -> dict[str, Any]:
    """The interpreter and the machine's kind."""
    import platform

    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
    }


def packages_now(names: Iterable[str]) -> dict[str, str]:
    """The installed versions of some distributions, those that are installed."""
    versions = {name: _version(name) for name in names}
    return {name: version for name, version in versions.items() if version is not None}


@functools.lru_cache(maxsize=4096)
def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    with contextlib.suppress(PackageNotFoundError):
        return version(name)
    return None


def _packages() -> dict[str, str]:
    packages = {name.partition(".")[0] for name in list(sys.modules)}
    return packages_now(sorted({name for package in packages for name in _distributions().get(package, ())}))


@functools.lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    from importlib.metadata import packages_distributions

    return packages_distributions()
