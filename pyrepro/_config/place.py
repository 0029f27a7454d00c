"""Where in a configuration a value stands, what is around it, and what is ignored there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pyrepro.errors import ConfigError


class Ignored:
    """The names that do not count, dotted into what lies below a place."""

    __slots__ = ("_found", "_names")

    def __init__(self, names: dict[str, str], found: set[str]) -> None:
        self._names = names  # what is left of each name at this place, and the whole of it
        self._found = found

    @classmethod
    def of(cls, names: Iterable[str]) -> Ignored:
        return cls({name: name for name in names}, set())

    def leaves_out(self, name: str) -> bool:
        """Whether a key or field of this place does not count."""
        whole = self._names.get(name)
        if whole is not None:
            self._found.add(whole)
        return whole is not None

    def below(self, name: str) -> Ignored | None:
        """What is ignored below a key or field of this place. A key may hold dots itself."""
        start = f"{name}."
        names = {rest[len(start) :]: whole for rest, whole in self._names.items() if rest.startswith(start)}
        return Ignored(names, self._found) if names else None

    def unknown(self) -> list[str]:
        """The names that were met nowhere."""
        return [whole for whole in self._names.values() if whole not in self._found]


class Place:
    """Where in a configuration a value stands, and the containers around it."""

    __slots__ = ("container", "ignored", "parent", "step")

    def __init__(
        self, step: str, parent: Place | None = None, container: object = None, ignored: Ignored | None = None
    ) -> None:
        self.step = step
        self.parent = parent
        self.container = container
        self.ignored = ignored

    def __str__(self) -> str:
        steps = []
        place: Place | None = self
        while place is not None:
            steps.append(place.step)
            place = place.parent
        return "".join(reversed(steps))

    def inside(self, container: object) -> Callable[..., Place]:
        """The places of a container that stands here, which must not stand around itself."""
        place: Place | None = self
        while place is not None:
            if place.container is container:
                raise self.error(f"is {type_of(container)} and contains itself", "break the cycle")
            place = place.parent
        return lambda step, ignored=None: Place(step, self, container, ignored)

    def instead(self, container: object) -> Place:
        """The place of what a value that stands here is turned into."""
        return self.inside(container)("", self.ignored)

    def leaves_out(self, name: str) -> bool:
        """Whether a key or field of the container that stands here is ignored."""
        return self.ignored is not None and self.ignored.leaves_out(name)

    def below(self, name: str) -> Ignored | None:
        """What is ignored below a key or field of the container that stands here."""
        return None if self.ignored is None else self.ignored.below(name)

    def error(self, found: str, remedy: str) -> ConfigError:
        place = str(self)
        return ConfigError(f"{place} {found}; {remedy}", place=place)


def leaves_of(form: Any, key: str = "") -> dict[str, Any]:
    """The values in a JSON form by their dotted keys: whatever is not an object, and empty objects.

    Args:
        form: the JSON form; what is not an object has an empty key.
        key: where it stands.
    """
    if not isinstance(form, dict) or not form:
        return {key: form}
    found: dict[str, Any] = {}
    for name, value in form.items():
        found |= leaves_of(value, f"{key}.{name}" if key else name)
    return found


def type_of(value: object) -> str:
    return f"of type {type(value).__module__}.{type(value).__qualname__}"


def value_and_type_of(value: object) -> str:
    return f"{shown(value)} {type_of(value)}"


def shown(value: object) -> str:
    """A value as messages show it, of which a table or a tree would be pages."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<repr failed: {error}>"
    return text if len(text) <= 80 else f"{text[:77]}..."
