"""The inputs of a record, found by their content, wherever they are now."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pyrepro._config.file_hash import file_hash
from pyrepro._paths import paths_in
from pyrepro._record.checkout import reproduce_error
from pyrepro._record.record import SUFFIX, Record, RecordedInput
from pyrepro.errors import ConfigError, PyreproError, ReproduceError

Again = Callable[[str], str]
"""Makes the artifact of a record again, and gives its path."""


class Inputs:
    """Where the inputs of a record are found.

    Args:
        record: the record.
        given: paths by parameter, as the user says them.
        top: the user's work tree, None where there is none.
        tree: the clone of the recorded commit.
        again: makes an input again that has a record.
    """

    def __init__(self, record: Record, given: Mapping[str, Any], top: str | None, tree: str, again: Again) -> None:
        self._record, self._given, self._top, self._tree, self._again = record, given, top, tree, again
        self.places: dict[str, str] = {}  # by the path that a program in the clone names
        self.missing: list[str] = []  # what is said of artifacts that only the program may make on its way

    def found(self) -> dict[str, Any]:
        """The paths of the inputs by parameter, a list of a list, None of None.

        Raises:
            ReproduceError: one is not found, or has another content.
        """
        unknown = [name for name in self._given if name not in self._record.inputs]
        if unknown:
            known = ", ".join(self._record.inputs) or "none"
            raise self._error(f"inputs= names {unknown[0]!r}, and the inputs of its function are: {known}")
        return {name: self._of_parameter(name, entry) for name, entry in self._record.inputs.items()}

    def _of_parameter(self, name: str, entry: RecordedInput | list[RecordedInput] | None) -> Any:
        given = self._given.get(name)
        if isinstance(entry, list):
            paths = [None] * len(entry) if given is None else paths_in(given)
            if len(paths) != len(entry):
                raise self._error(f"inputs[{name!r}] holds {len(paths)} paths, and the record names {len(entry)}")
            return [self._one(name, item, path) for item, path in zip(entry, paths, strict=True)]
        return None if entry is None else self._one(name, entry, given)

    def _one(self, name: str, entry: RecordedInput, given: Any) -> str | None:
        path = self._path_of(name, entry, given)
        if path is None:
            return None
        self.places[os.path.normpath(os.path.join(self._tree, os.path.expanduser(entry["path"])))] = path
        return path

    def _path_of(self, name: str, entry: RecordedInput, given: Any) -> str | None:
        if given is not None:
            path = os.path.abspath(os.fsdecode(given))
            found = _hash_or_reason(path)
            if found == entry["hash"]:
                return path
            raise self._error(f"inputs[{name!r}], {path}, is {found}, and its input {name} was {entry['hash']}")
        looked_at: list[str] = []
        for path in self._candidates(entry):
            found = _hash_or_reason(path)
            if found == entry["hash"]:
                return path
            looked_at.append(f"{path}: {found}")
        record = next((path + SUFFIX for path in self._recorded(entry) if os.path.isfile(path + SUFFIX)), None)
        if record is not None:
            return self._made_again(name, entry, record)
        lines = "\n  ".join(dict.fromkeys(looked_at))
        reason = (
            f"its input {name}, {entry['path']} with the content {entry['hash']}, was not found:\n  {lines}\n"
            f"pass inputs={{{name!r}: <path of a file of that content>}}"
        )
        if entry["artifact"] is None:
            raise self._error(reason)
        self.missing.append(reason)
        return None

    def _made_again(self, name: str, entry: RecordedInput, record: str) -> str:
        try:
            path = self._again(record)
        except PyreproError as error:
            raise self._error(f"its input {name} is not there, and was to be made again first: {error}") from error
        found = _hash_or_reason(path)
        if found != entry["hash"]:
            raise self._error(
                f"its input {name} was made again from {record}, and is {found}; it was {entry['hash']}; "
                f"pass inputs={{{name!r}: <path of a file of that content>}}"
            )
        return path

    def _candidates(self, entry: RecordedInput) -> Iterator[str]:
        """Where the content may be, the cheapest and likeliest first."""
        path = os.path.expanduser(entry["path"])
        if os.path.isabs(path):
            yield path
        else:
            # The commit first: what is tracked was not handed on, and may have changed since.
            yield os.path.join(self._tree, path)
            if self._top is not None:
                yield os.path.join(self._top, path)
        yield from self._beside(entry)

    def _beside(self, entry: RecordedInput) -> Iterator[str]:
        beside = os.path.dirname(os.path.abspath(self._record.path))
        names = list(dict.fromkeys(filter(None, [os.path.basename(entry["path"].rstrip("/")), entry["artifact"]])))
        yield from (os.path.join(beside, name) for name in names)
        # A mailer or a browser renames: table (1).csv. Only files of the same suffix are read.
        suffix = os.path.splitext(names[0])[1] if names else ""
        for name in sorted(os.listdir(beside)):
            path = os.path.join(beside, name)
            if suffix and name.endswith(suffix) and name not in names and os.path.isfile(path):
                yield path

    def _recorded(self, entry: RecordedInput) -> Iterator[str]:
        """Where the record of an input may be."""
        name = entry["artifact"]
        if name is not None:
            # By its names alone: of other files beside it, this very artifact is one.
            names = (os.path.basename(name), os.path.basename(entry["path"]))
            yield from (path for path in self._candidates(entry) if os.path.basename(path) in names)

    def _error(self, reason: str) -> ReproduceError:
        return reproduce_error(self._record, reason)


def _hash_or_reason(path: str) -> str:
    try:
        return file_hash(path)
    except FileNotFoundError:
        return "not there"
    except (OSError, ConfigError, ValueError) as error:
        return f"cannot be read: {error}"
