"""Record: what made an artifact, written, read and shown.

Source: the format is record.schema.json in this package, JSON Schema 2020-12.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pyrepro._code import state as _code
from pyrepro._code.git import run
from pyrepro._code.patch import Patch
from pyrepro._code.state import Reading
from pyrepro._config.file_hash import digests_of
from pyrepro._config.forms import JSON, json_form
from pyrepro._paths import is_inside, paths_in, relative_to
from pyrepro._tag import DIGITS, Tag
from pyrepro._value import Value
from pyrepro.errors import CodeStateError, ConfigError, RecordError

SUFFIX = ".pyrepro.json"

_FIELDS = ("artifact", "code", "config", "config_hash", "inputs", "call", "environment", "started", "seconds")


class Record(Value):
    """What made an artifact: its fields are those of the JSON Schema ``pyrepro/record.schema.json``.

    Attributes:
        artifact: ``name``, ``size`` in bytes, and ``sha256``, of a directory by file.
        code: ``commit``, ``changes``, ``remote``, ``module``, ``others``, ``patch``, ``patch_size`` and ``left_out``.
        config: the configuration in its JSON form.
        config_hash: its SHA-256, 64 hex digits.
        inputs: by parameter, the ``path`` and the ``hash`` of what was read.
        call: ``function``, ``paths``, ``types``, ``argv``, ``arguments``, ``defaults``, ``inexact`` and ``unrecorded``.
        environment: ``python``, ``platform`` and ``packages``.
        started: when the function was called, in UTC.
        seconds: how long it ran.
        path: the file that this was read from.
    """

    artifact: dict[str, Any]
    code: dict[str, Any]
    config: JSON
    config_hash: str
    inputs: dict[str, Any]
    call: dict[str, Any]
    environment: dict[str, Any]
    started: str
    seconds: float
    path: str

    @property
    def tag(self) -> Tag:
        """The tag in the artifact's name."""
        changes = self.code["changes"]
        return Tag(self.code["commit"][:DIGITS], changes and changes[:DIGITS], self.config_hash[:DIGITS])

    def matches(self, other: Record) -> bool:
        """Whether the same code and the same configuration made both, by their full hashes."""
        ours, theirs = ((record.code["commit"], record.code["changes"], record.config_hash) for record in (self, other))
        return ours == theirs

    def __str__(self) -> str:
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}}  {text}" for name, text in rows)

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in self._rows())
        return f"<table>{rows}</table>"

    def _rows(self) -> list[tuple[str, str]]:
        code, call = self.code, self.call
        of_files = isinstance(self.artifact["sha256"], dict)
        digest = f"{len(self.artifact['sha256'])} files" if of_files else f"sha256 {self.artifact['sha256']}"
        rows = [
            ("artifact", f"{self.artifact['name']}, {self.artifact['size']} bytes, {digest}"),
            ("commit", code["commit"] + (f" of {code['remote']}" if code["remote"] else "")),
            ("changes", code["changes"] or "none"),
            ("function", call["function"] + (f" in {code['module']}" if code["module"] else "")),
            ("config", f"{_text(self.config)}, sha256 {self.config_hash}"),
            *((f"input {name}", _text(entry)) for name, entry in self.inputs.items()),
            *((f"argument {name}", _text(value)) for name, value in call["arguments"].items()),
            *((f"argument {name}", f"not recorded, a {kind}") for name, kind in call["unrecorded"].items()),
            ("started", f"{self.started}, took {self.seconds:.3g} s"),
            ("Python", f"{self.environment['python']} on {self.environment['platform']}"),
            ("packages", ", ".join(f"{name} {version}" for name, version in self.environment["packages"].items())),
        ]
        return [(name, text) for name, text in rows if text]


def read_record(path: str | bytes | os.PathLike[Any]) -> Record:
    """The record of an artifact. Nothing is run to read it.

    Args:
        path: the artifact, or its record, which stands beside it and has the suffix ``.pyrepro.json``.

    Returns:
        The record.

    Raises:
        RecordError: there is none, or it is none of this version of pyrepro.
        TypeError: what was passed is no path.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"read_record takes the path of an artifact, not {path!r} of type {type(path).__name__}")
    import json

    text = os.fsdecode(path)
    file = text if text.endswith(SUFFIX) else text.rstrip(os.sep) + SUFFIX
    try:
        with open(file, encoding="utf-8") as opened:
            document = json.load(opened, parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise RecordError(
            f"there is no record {file}; artifacts of functions decorated with record=True have one", path=file
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"the record {file} cannot be read: {error}; take it from a backup", path=file) from error
    problem = _problem(document, _schema(), "record")
    if problem is not None:
        raise RecordError(
            f"{file} is no record of this version of pyrepro: {problem}; take it from a backup", path=file
        )
    return Record(**{name: document[name] for name in _FIELDS}, path=file)


class Call(NamedTuple):
    """What is recorded of a call, apart from its artifacts."""

    function: str
    paths: Mapping[str, Any]
    inputs: Mapping[str, Any]
    arguments: Mapping[str, Any]
    defaults: list[str]
    directory: str
    form: JSON
    config_hash: str


def document_of(
    name: str,
    staged: str,
    call: Call,
    reading: Reading,
    patch: Patch,
    module: str | None,
    started: float,
    seconds: float,
) -> bytes:
    """The record of one artifact.

    Args:
        name: its name.
        staged: where it stands now.
        call: the call that made it.
        reading: the code that ran.
        patch: what turns the commit into it.
        module: the file of the function.
        started: when it was called, in seconds since 1970.
        seconds: how long it ran.

    Returns:
        JSON in UTF-8, its keys sorted.
    """
    import datetime
    import json

    top, state = reading.work_tree, reading.state
    files = digests_of(staged)
    when = datetime.datetime.fromtimestamp(started, datetime.timezone.utc).replace(tzinfo=None)
    document = {
        "pyrepro": 1,
        "artifact": {"name": _unicode(name), "size": _size(staged), "sha256": files},
        "code": {
            "commit": state.commit,
            "changes": state.changes,
            "remote": None if top is None else _remote(top, state.commit),
            "module": None if module is None else _portable(module, top),
            "others": _others(reading),
            "patch": None if patch.content is None else patch_name(reading),
            "patch_size": patch.size,
            "left_out": [_unicode(path) for path in patch.left_out],
        },
        "config": call.form,
        "config_hash": call.config_hash,
        "inputs": {name: _input(argument, call, name, top) for name, argument in call.inputs.items()},
        "call": {
            "function": call.function,
            "paths": {name: _each(argument, top) for name, argument in call.paths.items()},
            "types": {
                name: _type(argument) for name, argument in {**call.paths, **call.inputs}.items() if paths_in(argument)
            },
            "argv": [_without_home(_portable(argument, top)) for argument in sys.argv],
            **_arguments(call.arguments, call.defaults),
            "defaults": sorted(call.defaults),
        },
        "environment": python_now() | {"packages": _packages()},
        "started": f"{when.isoformat(timespec='milliseconds')}Z",
        "seconds": seconds,
    }
    text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def patch_name(reading: Reading) -> str:
    """The name of the file that holds the patch of a state, once for all its records."""
    return f"{reading.state}.patch"


def _arguments(arguments: Mapping[str, Any], defaults: Iterable[str]) -> dict[str, Any]:
    recorded: dict[str, JSON] = {}
    inexact: list[str] = []
    unrecorded: dict[str, str] = {}
    for name, value in arguments.items():
        try:
            form = json_form(value)
        except ConfigError:
            if name not in defaults:
                unrecorded[name] = f"{type(value).__module__}.{type(value).__qualname__}"
            continue
        recorded[name] = value if _is_exact(value) else form
        if name not in defaults and not _is_exact(value):
            inexact.append(name)
    return {"arguments": recorded, "inexact": sorted(inexact), "unrecorded": unrecorded}


def _is_exact(value: Any) -> bool:
    """Whether JSON gives a value back as it was."""
    kind = type(value)
    if kind is list:
        return all(map(_is_exact, value))
    if kind is dict:
        return all(type(key) is str for key in value) and all(map(_is_exact, value.values()))
    return value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value))


def _input(argument: Any, call: Call, name: str, top: str | None) -> JSON:
    """The paths of an input, and the hashes of their content, which stand in the configuration."""
    assert isinstance(call.form, dict)

    def read(path: Any, digest: str) -> JSON:
        return {"path": _portable(os.path.join(call.directory, os.fsdecode(path)), top), "hash": digest}

    if isinstance(argument, (list, tuple)):
        return [read(path, digest) for path, digest in zip(argument, call.form[name], strict=True)]
    return None if argument is None else read(argument, call.form[name])


def _each(argument: Any, top: str | None) -> JSON:
    """The plain paths of an argument, as they were passed."""
    if isinstance(argument, (list, tuple)):
        return [_portable(os.fsdecode(path), top) for path in paths_in(argument)]
    return None if argument is None else _portable(os.fsdecode(argument), top)


def _type(argument: Any) -> str:
    path = paths_in(argument)[0]
    return "bytes" if isinstance(path, bytes) else "path" if hasattr(path, "with_name") else "str"


def _portable(path: str, top: str | None) -> str:
    """A path that means the same elsewhere, where it can: relative to the work tree, or to the home directory."""
    for real in (path, os.path.realpath(path) if os.path.isabs(path) else path):
        if top is not None and is_inside(real, top):
            return _unicode(relative_to(real, top))
    return _without_home(_unicode(path))


def _without_home(text: str) -> str:
    home = os.path.join(os.path.expanduser("~"), "")
    return text.replace(home, "~/") if len(home) > 2 else text


def _unicode(text: str) -> str:
    return os.fsencode(text).decode(errors="replace")


def _size(path: str) -> int:
    if not os.path.isdir(path):
        return os.stat(path).st_size
    return sum(os.stat(os.path.join(above, name)).st_size for above, _, names in os.walk(path) for name in names)


@functools.lru_cache(maxsize=16)
def _remote(top: str, commit: str) -> str | None:
    """Where the commit of a work tree may be fetched from."""
    try:
        output = run(top, ["config", "-z", "--get-regexp", r"^remote\..*\.url$"])
    except CodeStateError:
        return None  # which says that there is none
    urls = dict(entry.decode(errors="replace").split("\n", 1) for entry in output.split(b"\0")[:-1])
    return _without_credentials(urls.get("remote.origin.url") or next(iter(urls.values())))


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _without_home(re.sub(r"^(?!git@)[^/@:]+@", "", url))
    host, slash, path = rest.partition("/")
    user, _, host = host.rpartition("@")
    return _without_home(f"{scheme}://{'git@' if user == 'git' else ''}{host}{slash}{re.split('[?#]', path)[0]}")


def _others(reading: Reading) -> dict[str, str | None]:
    """The states of other work trees whose modules are loaded, by package."""
    states: dict[str, str | None] = {}
    for package, top in _code.other_work_trees(reading).items():
        try:
            states[package] = str(_code.code_state(top))
        except CodeStateError:
            states[package] = None
    return states


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


def _text(value: JSON) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


@functools.lru_cache(maxsize=1)
def _schema() -> Any:
    import json
    from importlib.resources import files

    return json.loads(files("pyrepro._record").joinpath("schema.json").read_text(encoding="utf-8"))


_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


def _problem(value: Any, schema: Mapping[str, Any], place: str) -> str | None:
    """What is wrong with a document, by those words of JSON Schema that record.schema.json uses."""
    if not schema:
        return None
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and (isinstance(value, bool) or not any(isinstance(value, _TYPES[kind]) for kind in kinds)):
        return f"{place} is not of type {' or '.join(kinds)}"
    if "const" in schema and (value != schema["const"] or isinstance(value, bool)):
        return f"{place} is not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{place} is none of {', '.join(schema['enum'])}"
    if "minimum" in schema and not value >= schema["minimum"]:
        return f"{place} is less than {schema['minimum']}"
    if isinstance(value, str) and "pattern" in schema and not re.fullmatch(schema["pattern"].strip("^$"), value):
        return f"{place} does not match {schema['pattern']}"
    problems: list[str | None] = []
    if isinstance(value, list) and "items" in schema:
        problems += [_problem(item, schema["items"], f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        problems += [f"{place} has no {name!r}" for name in schema.get("required", []) if name not in value]
        problems += [f"{place} has {name!r}" for name in value if name not in known and others is False]
        problems += [
            _problem(item, known.get(name) or others or {}, f"{place}[{name!r}]") for name, item in value.items()
        ]
    return next(filter(None, problems), None)
