"""What an input holds: files, directories and data in memory, alone, in lists and in mappings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from pyrepro._config.data import digest_of_data, is_data
from pyrepro._config.file_hash import fingerprint_of, hash_with_companions
from pyrepro._config.forms import JSON, json_form
from pyrepro._config.loaded import loaded_classes
from pyrepro._config.place import shown
from pyrepro._paths import from_where, is_inside, is_path, is_url, paths_in, text_of
from pyrepro._stores import is_in_store
from pyrepro._tag import Tag
from pyrepro.errors import ConfigError

_PASS = "pass the path of a file or a directory"


class Input(NamedTuple):
    """An input as it was just before it was hashed, and its content."""

    keys: tuple[str, ...]  # where its content stands in the configuration
    value: Any
    content: JSON
    places: Any
    fingerprints: object

    @classmethod
    def of(cls, keys: tuple[str, ...], value: Any, directory: str) -> Input:
        """An input that is read now.

        Args:
            keys: where its content belongs in the configuration.
            value: a path, data in memory, None, or a list or a mapping of these.
            directory: the working directory.

        Raises:
            ConfigError: a path cannot be read, or a column holds objects without a JSON form.
            TypeError: it is nothing that can be read.
        """
        places = _places_of(value, directory)
        # Before the content is hashed: a change meanwhile must show.
        fingerprints = _fingerprints_of(places)
        return cls(keys, value, _content_of(".".join(keys), value), places, fingerprints)

    @property
    def name(self) -> str:
        """What it is called by who decorates."""
        return ".".join(self.keys)

    def contains(self, path: str) -> bool:
        """Whether an absolute path is below a directory of it, as the paths were passed."""
        path = os.path.normpath(path)
        return any(
            is_inside(path, os.path.normpath(place)) for place in paths_in(self.places) if isinstance(place, str)
        )

    def change(self) -> str | None:
        """What has become of its content since it was hashed; None if that is as it was.

        Data in memory counts as it was passed: what the function does to it is part of what the function does.
        """
        if self.fingerprints == _fingerprints_of(self.places):
            return None
        try:
            return None if _content_of(self.name, self.places) == self.content else "was changed"
        except ConfigError:
            return "was removed, or can no longer be read,"

    def put_into(self, form: Any) -> None:
        """Put its content into the form of a configuration, which was made without it.

        Raises:
            ConfigError: something stands there, or the form has no such place.
        """
        *above, last = self.keys
        for key in above:
            form = form.get(key) if isinstance(form, dict) else None
        if not isinstance(form, dict):
            raise ConfigError(
                f"inputs names {self.name!r}, but what contains it in the configuration is not a JSON object; "
                f"pass a mapping or an object with fields there"
            )
        if last in form:
            raise ConfigError(
                f"config[{last!r}] already exists, where the content of the input {last!r} belongs; rename one of them",
                place=f"config[{last!r}]",
            )
        form[last] = self.content


def value_in(config: Any, name: str) -> tuple[tuple[str, ...], Any] | None:
    """What stands in a configuration under a dotted name, and the keys that lead there; None if nothing does."""
    if isinstance(config, type):
        return None
    is_mapping = hasattr(type(config), "keys") and hasattr(type(config), "__getitem__")
    # A key, or an attribute as argparse makes of --data.path, may hold dots itself.
    beginnings = accumulate(name.split("."), "{}.{}".format)
    for key in config if is_mapping else (one for one in beginnings if one and hasattr(config, one)):
        if isinstance(key, str) and (name + ".").startswith(key + "."):  # not by format(), which names an Enum
            value = config[key] if is_mapping else getattr(config, key)
            found = ((), value) if key == name else value_in(value, name[len(key) + 1 :])
            if found is not None:
                return (name[: len(key)], *found[0]), found[1]
    return None


def flat(value: Any, content: Any, key: str | None = None) -> Iterator[tuple[str | None, Any, str | None]]:
    """The parts of an input: for each its key in a mapping, what was passed, and its hash."""
    if isinstance(content, dict):
        for name, item in zip(content, value.values(), strict=True):
            yield from flat(item, content[name], name if key is None else f"{key}.{name}")
    elif isinstance(content, list):
        for index, (item, one) in enumerate(zip(value, content, strict=True)):
            yield from flat(item, one, key_in_list(key, index, one))
    else:
        yield key, value, content


def key_in_list(key: str | None, index: int, content: Any) -> str | None:
    """The key of an element of a list; a path in a flat list needs none."""
    return f"{key or ''}[{index}]" if key is not None or isinstance(content, (list, dict)) else None


def is_list(value: object) -> bool:
    """Whether a value is a list of inputs, or something like it."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview, range))


def _places_of(value: Any, directory: str) -> Any:
    """An input with paths that hold wherever the function goes."""
    if is_path(value):
        return value if is_in_store(value) else os.path.join(directory, os.fsdecode(value))
    if isinstance(value, Mapping):
        return {key: _places_of(item, directory) for key, item in value.items()}
    return [_places_of(item, directory) for item in value] if is_list(value) and not is_data(value) else value


def _fingerprints_of(places: Any) -> object:
    if isinstance(places, (list, dict)):
        return [_fingerprints_of(place) for place in (places.values() if isinstance(places, dict) else places)]
    return fingerprint_of(places) if isinstance(places, str) or is_in_store(places) else None


def _content_of(name: str, value: Any) -> JSON:
    if value is None:
        return None
    if is_data(value):
        if _holds_paths(value):
            raise ConfigError(
                f"the input {name} is of type {type(value).__name__} and holds paths, of which the names alone would "
                f"count; pass list() of it"
            )
        return digest_of_data(value, name, json_form)
    # A Dataset of xarray is a mapping of its variables, which leaves out its coordinates.
    if isinstance(value, Mapping) and not isinstance(value, loaded_classes("xarray", "Dataset", "DataTree")):
        keys: Any = json_form(dict.fromkeys(value))  # as the keys of configurations are written
        items = zip(keys, value.values(), strict=True)
        return {key: _content_of(f"{name}[{key!r}]", item) for key, item in items}
    if is_list(value):
        return [_content_of(f"{name}[{index}]", item) for index, item in enumerate(value)]
    if not is_path(value):
        raise TypeError(f"the input {name} is {shown(value)} of type {type(value).__name__}; {_remedy_for(value)}")
    try:
        return hash_with_companions(value)
    except Exception as error:
        # A store says whatever its library raises.
        if isinstance(error, ConfigError) or not (isinstance(error, (OSError, ValueError)) or is_in_store(value)):
            raise
        path = text_of(value)
        advice = _advice_on_link(error) or _advice(path)
        here = from_where(path) if isinstance(error, FileNotFoundError) and advice is _PASS else ""
        raise ConfigError(f"the input {name} cannot be read: {error}{here}; {advice}") from error


def _holds_paths(data: Any) -> bool:
    """Whether an array or a column is nothing but the paths of what is there, and no text."""
    # The first one alone tells of most, which are not to be gone through.
    return (
        len(getattr(data, "shape", ())) == 1
        and len(data) > 0
        and _is_there(next(iter(data)))
        and all(map(_is_there, data))
    )


def _is_there(item: Any) -> bool:
    if not isinstance(item, (str, bytes, os.PathLike)) or not os.path.exists(item):
        return False
    # A directory's name alone, like "train", may as well be a text.
    return os.path.isfile(item) or isinstance(item, os.PathLike) or os.sep in os.fsdecode(item)


def _remedy_for(value: Any) -> str:
    if is_url(str(value)):
        return _advice(str(value))
    if hasattr(value, "read") and isinstance(getattr(value, "name", None), str):
        return f"pass the path {value.name!r}"
    for method in ("to_dataframe", "to_pandas", "toPandas", "collect", "compute"):  # with the names, which arrays lose
        if hasattr(type(value), method):
            return f"pass .{method}() of it"
    if hasattr(value, "__array__"):  # tensors and arrays of other libraries
        return f"pass {'.numpy(force=True)' if hasattr(value, 'detach') else 'numpy.asarray()'} of it"
    return f"{_PASS}, or list() of them" if isinstance(value, (Iterator, set, frozenset)) else _PASS


def _advice(path: str) -> str:
    """What to pass instead of a path that cannot be read, as it stands."""
    if is_url(path):
        return (
            "it is a URL, and only what fsspec reaches can be read; download it and pass the path of the copy, or "
            "ignore it and put its version or checksum into the configuration"
        )
    if path.startswith("~"):
        return "only the shell expands ~; pass os.path.expanduser() of it"
    if re.search(r"\$\w|\$\{|%\w+%", path):
        return "only the shell expands variables; pass os.path.expandvars() of it"
    if re.search(r"[*?]|\[.+\]", path):
        return "it is a pattern, not a path; pass sorted(glob.glob()) of it"
    if not path:
        return "it is empty; pass None where nothing is read"
    if not os.path.lexists(path) and (tagged := _newest_artifact_of(path)) is not None:
        return f"it is a plain path; pass the tagged one, which the call that writes it returns, such as {tagged!r}"
    return f"{_PASS} without the space around it" if path != path.strip() else _PASS


def _advice_on_link(error: Exception) -> str | None:
    """What to do where a file, in a directory or alone, is a link that leads nowhere."""
    name = getattr(error, "filename", None)
    if not isinstance(name, str) or not os.path.islink(name) or os.path.exists(name):
        return None
    return (
        f"it is a link to {os.readlink(name)!r}, where nothing is; fetch that, as by git annex get or dvc pull, or "
        f"remove the link"
    )


def _newest_artifact_of(path: str) -> str | None:
    """The newest artifact of a plain path, as whoever passes the path to the next step means."""
    directory, name = os.path.split(path.rstrip(os.sep))
    try:
        names = os.listdir(directory or os.curdir)
        found = [os.path.join(directory, one) for one in names if _is_artifact_of(name, one)]
        return max(found, key=os.path.getmtime, default=None)
    except OSError:  # it cannot be looked into, or one is gone by now
        return None


def _is_artifact_of(name: str, other: str) -> bool:
    try:
        return Tag.from_path(other).put(name) == other
    except ValueError:  # a NotTaggedError is one
        return False
