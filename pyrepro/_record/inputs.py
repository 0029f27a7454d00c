"""The inputs of a record, found by their content, wherever they are now."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pyrepro._config.file_hash import hash_with_companions
from pyrepro._config.inputs import is_list, key_in_list, value_in
from pyrepro._paths import is_inside, text_of
from pyrepro._record.checkout import reproduce_error
from pyrepro._record.record import SUFFIX, Record, RecordedInput, printable
from pyrepro._stores import is_in_store
from pyrepro.errors import ConfigError, PyreproError, ReproduceError

Again = Callable[[str], str]
"""Makes the artifact of a record again, and gives its path."""


class _File(NamedTuple):
    """A file or a directory that was read, as it is recorded."""

    path: str
    hash: str
    artifact: str | None


class Inputs:
    """Where the inputs of a record are found.

    Args:
        record: the record.
        given: paths by parameter or key, as the user says them.
        top: the user's work tree, None where there is none.
        tree: the clone of the recorded commit.
        again: makes an input again that has a record.
    """

    def __init__(self, record: Record, given: Mapping[str, Any], top: str | None, tree: str, again: Again) -> None:
        self._record, self._given, self._top, self._tree, self._again = record, given, top, tree, again
        self.places: dict[str, str] = {}  # by the path that a program in the clone names
        self.missing: list[str] = []  # what is said of artifacts that only the program may make on its way
        self.in_memory: list[str] = []  # those that no file holds

    def found(self) -> dict[str, Any]:
        """The paths of the inputs by parameter or key, in lists and mappings as then; None of data in memory.

        Raises:
            ReproduceError: one is not found, or has another content.
        """
        unknown = [name for name in self._given if name not in self._record.inputs]
        if unknown:
            known = ", ".join(self._record.inputs) or "none"
            raise self._error(f"inputs= names {unknown[0]!r}; the inputs of its function are: {known}")
        return {name: self._of_parameter(name, entry) for name, entry in self._record.inputs.items()}

    def _of_parameter(self, name: str, entry: RecordedInput | list[RecordedInput] | None) -> Any:
        given = self._given.get(name)
        if not isinstance(entry, list):
            return None if entry is None else self._one(name, entry, given)
        # The configuration alone says in which lists and mappings the entries stood.
        config = self._record.config
        found = value_in(config, name) if isinstance(config, dict) else None
        content = found[1] if found is not None else None
        entries: dict[str | None, list[RecordedInput]] = {}
        for one in entry:
            entries.setdefault(one.get("key"), []).append(one)
        shaped = self._shaped(name, content, given, entries, None)
        if not isinstance(content, (list, dict)) or any(entries.values()):
            raise self._mismatch(name)
        return shaped

    def _shaped(
        self, name: str, content: Any, given: Any, entries: dict[str | None, list[RecordedInput]], key: str | None
    ) -> Any:
        """The paths of an input in the shape of its content, by the keys that :func:`flat` gave its parts."""
        if isinstance(content, dict):
            items = dict.fromkeys(content) if given is None else given
            if not isinstance(items, Mapping) or items.keys() != content.keys():
                raise self._error(f"inputs[{name!r}] must be a mapping with the keys {', '.join(content)}")
            return {
                one: self._shaped(name, content[one], items[one], entries, one if key is None else f"{key}.{one}")
                for one in content
            }
        if isinstance(content, list):
            paths = [None] * len(content) if given is None else list(given) if is_list(given) else [given]
            if len(paths) != len(content):
                raise self._error(f"inputs[{name!r}] holds {len(paths)} paths, but the record names {len(content)}")
            return [
                self._shaped(name, one, paths[index], entries, key_in_list(key, index, one))
                for index, one in enumerate(content)
            ]
        if not entries.get(key):
            raise self._mismatch(name)
        return self._one(name, entries[key].pop(0), given)

    def _mismatch(self, name: str) -> ReproduceError:
        return self._error(
            f"the configuration in its record does not hold the input {name} as it is listed; "
            f"take the record from a backup"
        )

    def _one(self, name: str, entry: RecordedInput, given: Any) -> str | None:
        if entry["hash"] is None:
            return None
        if entry["path"] is None:
            if given is not None:
                raise self._error(f"inputs[{name!r}] was data in memory, which no file holds; leave it out")
            self.in_memory.append(name)
            return None
        file = _File(entry["path"], entry["hash"], entry["artifact"])
        path = self._path_of(name, file, given)
        if path is None:
            return None
        place = os.path.expanduser(file.path)
        self.places[place if is_in_store(place) else os.path.normpath(os.path.join(self._tree, place))] = path
        return path

    def _path_of(self, name: str, entry: _File, given: Any) -> str | None:
        if given is not None:
            path = text_of(given) if is_in_store(given) else os.path.abspath(os.fsdecode(given))
            found = _hash_or_reason(path)
            if found == entry.hash:
                return path
            raise self._error(f"inputs[{name!r}], {path}, is {found}, but its input {name} was {entry.hash}")
        looked_at: list[str] = []
        for path in self._candidates(entry):
            # A record that says "/" would have the whole disk read.
            holds_all = is_inside(self._tree, os.path.realpath(path))
            found = "holds the temporary directory" if holds_all else _hash_or_reason(path)
            if found == entry.hash:
                return path
            looked_at.append(f"{printable(path)}: {found}")
        record = next((path + SUFFIX for path in self._recorded(entry) if os.path.isfile(path + SUFFIX)), None)
        if record is not None:
            return self._made_again(name, entry, record)
        lines = "\n  ".join(dict.fromkeys(looked_at))
        reason = (
            f"its input {name}, {printable(entry.path)} with the content {entry.hash}, was not found:\n  {lines}\n"
            f"pass inputs={{{name!r}: <path of a file of that content>}}"
        )
        if entry.artifact is None:
            raise self._error(reason)
        self.missing.append(reason)
        return None

    def _made_again(self, name: str, entry: _File, record: str) -> str:
        try:
            path = self._again(record)
        except PyreproError as error:
            raise self._error(f"its input {name} is not there, and making it again failed: {error}") from error
        found = _hash_or_reason(path)
        if found != entry.hash:
            raise self._error(
                f"its input {name} was made again from {record}, and is {found}; it was {entry.hash}; "
                f"pass inputs={{{name!r}: <path of a file of that content>}}"
            )
        return path

    def _candidates(self, entry: _File) -> Iterator[str]:
        """Where the content may be, the cheapest and likeliest first."""
        path = os.path.expanduser(entry.path)
        if os.path.isabs(path) or is_in_store(path):
            yield path
        else:
            # The commit first: what is tracked was not handed on, and may have changed since.
            yield os.path.join(self._tree, path)
            if self._top is not None:
                yield os.path.join(self._top, path)
        yield from self._beside(entry)

    def _beside(self, entry: _File) -> Iterator[str]:
        beside = os.path.dirname(os.path.abspath(self._record.path))
        names = list(dict.fromkeys(filter(None, [os.path.basename(entry.path.rstrip("/")), entry.artifact])))
        yield from (os.path.join(beside, name) for name in names)
        # A mailer or a browser renames: table (1).csv. Only files of the same suffix are read.
        suffix = os.path.splitext(names[0])[1] if names else ""
        for name in sorted(os.listdir(beside)):
            path = os.path.join(beside, name)
            if suffix and name.endswith(suffix) and name not in names and os.path.isfile(path):
                yield path

    def _recorded(self, entry: _File) -> Iterator[str]:
        """Where the record of an input may be."""
        name = entry.artifact
        if name is not None:
            # By its names alone: of other files beside it, this very artifact is one.
            names = (os.path.basename(name), os.path.basename(entry.path))
            yield from (path for path in self._candidates(entry) if os.path.basename(path) in names)

    def _error(self, reason: str) -> ReproduceError:
        return reproduce_error(self._record, reason)


def _hash_or_reason(path: str) -> str:
    try:
        return hash_with_companions(path)
    except FileNotFoundError:
        return "not there"
    except Exception as error:
        # A store says whatever its library raises.
        if not isinstance(error, (OSError, ConfigError, ValueError)) and not is_in_store(path):
            raise
        return f"cannot be read: {error}"
