"""Whether a configuration is still what it was, without serialising it."""

from __future__ import annotations

from itertools import chain
from operator import is_
from typing import Any

_LEAVES = frozenset({type(None), bool, int, float, str, bytes, range})
_CONTAINERS = frozenset({dict, list, set, tuple, frozenset})


def _views(container: Any) -> tuple[Any, ...]:
    """What shows the objects in a container as they are now."""
    return (container, container.values()) if type(container) is dict else (container,)


class KnownConfig:
    """A configuration as it was: the very objects in each of its containers.

    That is sound, since objects that cannot change are told apart by what they
    are, and are kept alive here. Only exact built-in types can be known this well. An
    equal value that is another object counts as a change: ``True`` is not ``1``.
    """

    __slots__ = ("_below", "_config", "_lengths", "_objects", "_views")

    def __init__(self, config: Any, below: tuple[Any, ...], lengths: list[int], objects: list[Any]) -> None:
        self._config = config
        self._below = below
        self._views = _views(config) + below
        self._lengths = lengths
        self._objects = objects

    @classmethod
    def of(cls, config: Any) -> KnownConfig | None:
        """Keep a configuration as it is now; None where a change of it could go unseen."""
        if type(config) not in _CONTAINERS:
            return None
        objects: list[Any] = []
        views: list[Any] = [*_views(config)]
        known = {id(config)}
        for view in views:
            for value in view:
                kind = type(value)
                objects.append(value)
                if kind in _CONTAINERS:
                    if id(value) not in known:
                        known.add(id(value))
                        views.extend(_views(value))
                elif kind not in _LEAVES:
                    return None
        return cls(config, tuple(views[len(_views(config)) :]), [*map(len, views)], objects)

    def is_still(self, config: Any) -> bool:
        """Whether a configuration is what this one was; another container of the same objects is."""
        if config is self._config:
            views = self._views
        elif type(config) is type(self._config):
            views = _views(config) + self._below
        else:
            return False
        return [*map(len, views)] == self._lengths and all(map(is_, chain.from_iterable(views), self._objects))
