"""find and records: the artifacts of a plain path that are on disk, and what their records say.

What is asked for by its configuration is found by the names, the markers and the records; nothing is run.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from pyrepro._config.forms import JSON, config_hash, json_form
from pyrepro._config.place import leaves_of
from pyrepro._paths import SplitPath, is_path, split_path, text_of, without_user
from pyrepro._publish.files import Target
from pyrepro._publish.marker import marker_of
from pyrepro._publish.reason import digest_of_value
from pyrepro._publish.store import store_target
from pyrepro._record.cleaning import with_tilde
from pyrepro._record.record import SUFFIX, Record, read_record, record_of
from pyrepro._record.table import Records
from pyrepro._stores import Told, is_in_store
from pyrepro._tag import DIGITS, Tag, plain_name, split_suffix
from pyrepro.errors import NotTaggedError, RecordError

_logger = logging.getLogger("pyrepro")

_AnyPath = TypeVar("_AnyPath", bound="str | bytes | os.PathLike[Any]")


class _Found(NamedTuple):
    """An artifact of a plain path, or the record of one: its name and its tag."""

    name: str
    tag: Tag


def find(
    path: _AnyPath,
    config: object = None,
    *,
    where: Mapping[str, Any] | None = None,
    dirty: bool | None = None,
) -> list[_AnyPath]:
    """The artifacts of a plain path, of any commit, newest first.

    Args:
        path: the plain path, as the function was called with it; a str, bytes
            or an ``os.PathLike``.
        config: a configuration with a stable JSON form, to list only the
            artifacts that it made. None lists those of any configuration.
        where: a part of the configuration, or of the recorded arguments where
            the configuration does not have the key, to list only the artifacts
            that were made with these values. Keys may be dotted into nested
            ones. Only ``cache=True`` and ``record=True`` keep them.
        dirty: False lists only artifacts of clean work trees, True only those of
            uncommitted changes, None both.

    Returns:
        The paths, in the type that :meth:`Tag.put` gives, by modification time;
        an empty list where there are none.

    Raises:
        ConfigError: the configuration has no stable JSON form.
        TypeError: the path, ``where`` or ``dirty`` has the wrong type.
        ValueError: the path has no file name, or is a URL, a directory, a
            pattern or the path of one artifact; or no artifact of the plain path
            has a key of ``where``.

    Example:
        ``find("out/model.pkl", where={"alpha": 100, "optimizer.lr": 0.1})``
    """
    split = _split(path, "find")
    if dirty is not None and not isinstance(dirty, bool):
        raise TypeError(f"dirty={dirty!r} of find is not True, False or None; pass one of them")
    directory = _Directory.of(path, split.head)
    wanted = None if config is None else config_hash(config)[:DIGITS]
    wanted_values = _wanted_values(where)
    found = list(directory.artifacts_of(split))
    if not found:
        _refuse_what_is_not_plain(directory, text_of(path), split)
    if wanted_values:
        known = {
            one: _values_of(Target(split.head, one.name, directory.store), one.tag, wanted_values) for one in found
        }
        _check_keys(path, wanted_values, known.values())
        found = [one for one in found if _has(known[one], wanted_values)]
    dated: list[tuple[float, str, Tag]] = []
    for name, tag in found:
        if wanted not in (None, tag.config) or dirty not in (None, tag.changes is not None):
            continue
        # FileNotFoundError: it was removed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            dated.append((-directory.time_of(name), name, tag))
    return [tag.put(path) for _, _, tag in sorted(dated, key=lambda item: item[:2])]


def records(path: str | bytes | os.PathLike[Any]) -> Records:
    """The records in a directory, or those of a plain path, newest first.

    Args:
        path: the directory, such as ``"out/"``, without those below it; or the plain path, such as
            ``"out/model.pkl"``, as the function was called with it.

    Returns:
        A list of :class:`Record` that shows itself as a table; its ``rows()`` go into a DataFrame. What cannot be
        read is warned of, and left out.

    Raises:
        TypeError: the path has the wrong type.
        ValueError: the path has no file name, or is a URL, a pattern or the path of one artifact.

    Example:
        ``pandas.DataFrame(records("out/model.pkl").rows())``
    """
    split = _split(path, "records", takes_directory=True)
    text = text_of(path)
    is_name = not split.tail and split.name not in ("", ".", "..")
    directory = _Directory.of(path, split.head)
    names = [one.name for one in directory.artifacts_of(split, SUFFIX)] if is_name else []
    if not names and (directory.store is not None or os.path.isdir(text)):
        directory = _Directory.of(path, os.path.join(text, ""))
        names = [name for name in directory.names() if name.endswith(SUFFIX)]
    if not names:
        _refuse_one_artifact(text, split)
        _refuse_pattern(text)
    read: list[Record] = []
    for name in names:
        try:
            read.append(directory.record_in(name))
        except RecordError as error:
            _logger.warning("a record is left out: %s", error)
    return Records(sorted(read, key=lambda record: (record.started, record.path), reverse=True))


def _split(path: Any, function: str, *, takes_directory: bool = False) -> SplitPath:
    if not is_path(path):
        accepted = "a directory or a plain path" if takes_directory else "one plain path"
        raise TypeError(
            f"{function} takes {accepted}, a str, bytes or os.PathLike, not {path!r} of type {type(path).__name__}"
        )
    text = text_of(path)
    split = split_path(text, accepted="a str")
    if split.name in ("", ".", "..") and not (takes_directory and text):
        raise ValueError(f"{path!r} has no file name; pass the plain path of an artifact, like 'out/model.pkl'")
    return split


class _Directory:
    """A directory with artifacts, local or in a store.

    Args:
        place: its path, which ends in a separator or is empty.
        store: the store that it is in, None if it is local.
    """

    def __init__(self, place: str, store: Any) -> None:
        self.store = store
        self._place = place if store is None else without_user(place)
        self._told: dict[str, Told] = {}

    @classmethod
    def of(cls, path: Any, place: str) -> _Directory:
        """A directory that a path leads to, or is."""
        return cls(place, store_target(path).store if is_in_store(path) else None)

    def names(self) -> list[str]:
        """What is in it, in no order."""
        if self.store is not None:
            self._told = self.store.told_of_names(self._place)
            return [*self._told]
        try:
            return os.listdir(self._place or os.curdir)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def time_of(self, name: str) -> float:
        """When something in it was written.

        Raises:
            FileNotFoundError: it was removed meanwhile.
        """
        return os.stat(self._place + name).st_mtime_ns if self.store is None else self._told[name].time

    def record_in(self, name: str) -> Record:
        """The record that a file in it holds."""
        file = self._place + name
        return read_record(file) if self.store is None else record_of(self.store.read(file), file)

    def artifacts_of(self, split: SplitPath, ending: str = "") -> Iterator[_Found]:
        """The artifacts of a plain path, or what stands beside them with another ending; in no order."""
        stem, suffix = split_suffix(split.name)
        for name in self.names():
            if name.startswith(stem) and name.endswith(suffix + ending):
                with contextlib.suppress(NotTaggedError):  # it is another file
                    tag = Tag.from_path(name)
                    if name == f"{stem}-{tag}{suffix}{ending}":
                        yield _Found(name, tag)


def _refuse_what_is_not_plain(directory: _Directory, text: str, split: SplitPath) -> None:
    """Refuse a path that no function is called with.

    Asked where nothing is found. A plain path may look like these: an artifact of one function is what another is
    called with, names hold brackets, and a link without a tag leads to the newest directory.
    """
    _refuse_one_artifact(text, split)
    if os.path.isdir(text) if directory.store is None else directory.store.told_of_names(text):
        raise ValueError(
            f"{text!r} is a directory; pass the plain path of an artifact in it, like "
            f"{os.path.join(text, 'model.pkl')!r}; records({text!r}) lists what is recorded there"
        )
    _refuse_pattern(text)


def _refuse_one_artifact(text: str, split: SplitPath) -> None:
    plain = plain_name(split.name.removesuffix(SUFFIX))
    if plain is not None:
        raise ValueError(
            f"{text!r} is the path of one artifact; pass its plain path {split.head + plain!r}, or read_record of it"
        )


def _refuse_pattern(text: str) -> None:
    if any(sign in text for sign in "*?") or ("[" in text and glob.glob(text)):
        raise ValueError(
            f"{text!r} is a pattern; pass the plain path of an artifact, like 'out/model.pkl', once for each of several"
        )


def _wanted_values(where: Mapping[str, Any] | None) -> dict[str, str]:
    """The digests of the values that are asked for, by dotted key."""
    if where is None:
        return {}
    if not isinstance(where, Mapping):
        raise TypeError(
            f"where takes a mapping of keys to values, like {{'alpha': 2.0}}, not {where!r} of type "
            f"{type(where).__name__}"
        )
    form = with_tilde(json_form(dict(where)))
    return {key: digest_of_value(value) for key, value in leaves_of(form).items()} if form else {}


def _values_of(target: Target, tag: Tag, wanted: Iterable[str]) -> dict[str, str]:
    """The digests of the values that an artifact was made with, by dotted key; what was not kept is missing."""
    marker = marker_of(target)
    # The name tells which configuration it is: a marker or record of another describes something else.
    values = dict(marker.origin.keys) if marker is not None and marker.origin.config.startswith(tag.config) else {}
    if values.keys() >= {*wanted}:
        return values
    # RecordError: there is none, or it cannot be read; then it says nothing.
    with contextlib.suppress(RecordError):
        file = target.path + SUFFIX
        record = read_record(file) if target.store is None else record_of(target.store.read(file), file)
        recorded: JSON = json_form(record.call["arguments"])
        values = (
            _digests(recorded) | (_digests(record.config) if record.config_hash.startswith(tag.config) else {}) | values
        )
    return values


def _digests(form: JSON) -> dict[str, str]:
    return {key: digest_of_value(value) for key, value in leaves_of(form).items()}


def _check_keys(path: object, wanted: Iterable[str], known: Collection[Mapping[str, str]]) -> None:
    there = {key for values in known for key in values} - {""}
    for key in wanted:
        if known and key not in there:
            what = (
                f"they have {', '.join(sorted(there))}"
                if there
                else "none has a marker or a record, which cache=True and record=True write"
            )
            raise ValueError(
                f"where={key!r}: looked in the configurations and recorded arguments of the {len(known)} artifacts of "
                f"{path!r}: {what}"
            )


def _has(values: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(values.get(key) == digest for key, digest in wanted.items())
