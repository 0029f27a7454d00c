"""The classes of optional libraries, which are recognised without being imported."""

from __future__ import annotations

import sys
from typing import Any


def loaded_classes(module: str, *names: str) -> Any:
    """The named classes of a module if it is loaded: without it no value can be of them."""
    loaded = sys.modules.get(module)
    found = [] if loaded is None else [getattr(loaded, name, None) for name in names]
    return tuple(cls for cls in found if isinstance(cls, type))
