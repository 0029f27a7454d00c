"""Record: what made an artifact, read, shown and compared.

Source: the format is schema.json in this package, JSON Schema 2020-12.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator
from typing import Any, NoReturn, TypedDict

from pyrepro._config.file_hash import digests_of
from pyrepro._config.forms import JSON
from pyrepro._paths import from_where, is_path
from pyrepro._record.differences import Differences, differences_of
from pyrepro._record.schema import first_violation
from pyrepro._stores import is_in_store, store_of
from pyrepro._tag import DIGITS, Tag, plain_name
from pyrepro._value import Value
from pyrepro.errors import ConfigError, NotTaggedError, RecordError

SUFFIX = ".pyrepro.json"

_RENAMED_RECORD = re.compile(r".*\.pyrepro.*\.json(\.txt)?", re.DOTALL)
"""What mailers and browsers make of the name of a record: ``fig.png.pyrepro (1).json``."""

_REQUIREMENT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?==[A-Za-z0-9.!+_-]+")
"""A distribution and its version, PEP 508 and PEP 440: no option, URL or marker."""

_INSTALLABLE = re.compile(r"(git\+)?(https?|ssh)://[\w.:/@~+%-]+")
"""Origins that pip can install from elsewhere, too."""

_FIELDS = (
    "artifact",
    "code",
    "made_at",
    "config",
    "config_hash",
    "inputs",
    "call",
    "environment",
    "started",
    "seconds",
    "withheld",
)


class RecordedArtifact(TypedDict):
    """The artifact as it was completed."""

    name: str  # its file name, without a directory
    size: int  # bytes, of a directory those of all its files
    sha256: str | dict[str, str]  # 64 hex digits, of a directory by the path of each file in it


class RecordedState(TypedDict):
    commit: str
    changes: str | None


class RecordedCode(TypedDict):
    """The code that ran; ``import``, a keyword, is the name under which its module is imported, None of a script."""

    commit: str  # 40 or 64 hex digits
    changes: str | None  # SHA-256, 64 hex digits; None for a clean work tree
    remote: str | None  # URL or path to fetch the commit from, without credentials
    module: str | None  # the file of the function, relative to the work tree; None where it was typed
    declared: bool  # whether PYREPRO_CODE_STATE said so, and no work tree
    path: list[str]  # entries of sys.path in the work tree, relative to it; absolute of a declared state
    path_late: list[str]  # those that stood behind the installed environment
    packages: dict[str, str]  # directories in it of packages that no entry leads to, by name
    others: dict[str, str | None]  # code states of other work trees, by the package that was loaded from them
    patch: str | None  # file name of the patch beside the record; None for a clean work tree, or where it was not kept
    patch_size: int  # bytes, also of a patch that was too large to be kept
    left_out: list[str]  # paths of submodules whose changes no patch can carry; "<session>" for typed code
    changed_meanwhile: list[str] | None  # files that were not what they had been when it returned; None: unknown


class _RecordedInput(TypedDict):
    path: str | None  # relative to the work tree, or "~/..." below the home directory, else absolute; None in memory
    hash: str | None  # "sha256:" and 64 hex digits; None for None in a list or a mapping
    artifact: str | None  # its name as a recorded artifact, where it is one


class RecordedInput(_RecordedInput, total=False):
    """A file or a directory that was read, or data in memory."""

    key: str  # where it stands in the mapping, or in the list in a list, that is the input


class RecordedCallFields(TypedDict):
    """The call of the function."""

    function: str  # "module:qualified.name"
    paths: dict[str, str | list[str] | None]  # plain paths as they were passed, by parameter
    types: dict[str, str]  # "str", "bytes" or "path": what paths and inputs were passed as, by parameter
    argv: list[str]  # sys.argv, with the home directory as "~/"
    program: dict[str, str] | None  # "kind", "script", "module" or "entry", and "name"; None for what is in no file
    directory: str | None  # the working directory relative to the work tree, None outside of it
    flags: list[str]  # of the interpreter, those that change what code computes
    hash_seed: str | None  # PYTHONHASHSEED
    timezone: str | None  # TZ
    arguments: dict[str, JSON]  # those that have a JSON form, by name, defaults included
    defaults: list[str]  # names of the arguments that are the defaults of their parameters, sorted
    typed: dict[str, JSON]  # those that JSON alone does not give back, with their types
    unrecorded: dict[str, str]  # "module.Type" of the arguments that cannot be given back, by name


class RecordedEnvironment(TypedDict):
    """The interpreter and what it could load."""

    python: str  # implementation and version, such as "CPython 3.13.0"
    platform: str  # system and machine, such as "Linux x86_64"
    packages: dict[str, str]  # versions of the installed distributions, by name
    loaded: list[str]  # names of those that were loaded, sorted
    origins: dict[str, str]  # where those came from that are of no index, by name
    lock: str | None  # the lock file in the work tree, relative to it


class Record(Value):
    """What made an artifact: its fields are those of the JSON Schema ``pyrepro/_record/schema.json``.

    Attributes:
        artifact: ``name``, ``size`` in bytes, and ``sha256``, of a directory by file.
        code: ``commit``, ``changes``, ``remote``, ``module``, ``import``, ``declared``, ``path``, ``path_late``,
            ``packages``, ``others``, ``patch``, ``patch_size``, ``left_out`` and ``changed_meanwhile``.
        made_at: of a copy of what an earlier state of the code made, ``commit`` and ``changes`` of that; else None.
        config: the configuration in its JSON form.
        config_hash: its SHA-256, 64 hex digits.
        inputs: by parameter, the ``path`` and the ``hash`` of what was read, and its name as an ``artifact`` where it
            is a recorded one; a list for several, None for none.
        call: ``function``, ``paths``, ``types``, ``argv``, ``program``, ``directory``, ``flags``, ``hash_seed``,
            ``timezone``, ``arguments``, ``typed``, ``defaults`` and ``unrecorded``.
        environment: ``python``, ``platform``, ``packages``, ``loaded``, ``origins`` and ``lock``.
        started: when the function was called, in UTC, such as "2024-05-01T12:00:00.000Z".
        seconds: how long it ran.
        withheld: names of the secrets that were left out: of arguments, configuration keys, options and variables, and
            places in ``argv`` such as "argv[2]".
        path: the file that this was read from.
    """

    artifact: RecordedArtifact
    code: RecordedCode
    made_at: RecordedState | None
    config: JSON
    config_hash: str
    inputs: dict[str, RecordedInput | list[RecordedInput] | None]
    call: RecordedCallFields
    environment: RecordedEnvironment
    started: str
    seconds: float
    withheld: list[str]
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

    def differences(self, other: Record) -> Differences:
        """What differs between two artifacts: code, configuration, inputs, arguments and versions.

        Args:
            other: the record of the other artifact.

        Returns:
            The differences, part by part; their text says all of them.

        Raises:
            TypeError: ``other`` is not a record.

        Example:
            ``print(read_record("a.png").differences(read_record("b.png")))``
        """
        if not isinstance(other, Record):
            raise TypeError(f"differences takes a Record, as read_record returns it, not {other!r}")
        return differences_of(self, other)

    def requirements(self) -> str:
        """The distributions that were loaded, as the lines of a requirements file for pip.

        Returns:
            A line for each; a comment for what no index has, such as an editable install.

        Example:
            ``Path("requirements.txt").write_text(record.requirements())``
        """
        environment = self.environment
        lines = [f"# {environment['python']} on {environment['platform']}"]
        for name in environment["loaded"]:
            version, origin = environment["packages"].get(name), environment["origins"].get(name)
            if not is_requirement(name, version or "0"):
                lines.append(f"# {printable(name)}=={printable(version or '')} cannot be installed")
            elif origin is not None and _INSTALLABLE.fullmatch(origin):
                lines.append(f"{name} @ {origin}")
            elif origin is not None:
                lines.append(f"# {name}=={version} was installed from {printable(origin)}")
            elif version is not None:
                lines.append(f"{name}=={version}")
        return "\n".join(lines) + "\n"

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
        packages, loaded = self.environment["packages"], self.environment["loaded"]
        sha256 = self.artifact["sha256"]
        digest = f"{len(sha256)} files" if isinstance(sha256, dict) else f"sha256 {sha256}"
        rows = [
            ("artifact", f"{self.artifact['name']}, {self.artifact['size']} bytes, {digest}"),
            ("commit", code["commit"] + (f" of {code['remote']}" if code["remote"] else "")),
            ("changes", code["changes"] or "none"),
            ("made at", _state_text(self.made_at)),
            *(("meanwhile", f"{path} changed") for path in code["changed_meanwhile"] or ()),
            ("function", call["function"] + (f" in {code['module']}" if code["module"] else "")),
            ("config", f"{_json_text(self.config)}, sha256 {self.config_hash}"),
            *((f"input {name}", _json_text(entry)) for name, entry in self.inputs.items()),
            *((f"argument {name}", _json_text(value)) for name, value in call["arguments"].items()),
            *((f"argument {name}", f"not recorded, a {kind}") for name, kind in call["unrecorded"].items()),
            ("withheld", ", ".join(self.withheld)),
            ("started", f"{self.started}, took {self.seconds:.3g} s"),
            ("Python", f"{self.environment['python']} on {self.environment['platform']}"),
            ("packages", ", ".join(f"{name} {packages[name]}" for name in loaded if name in packages)),
        ]
        # A record is somebody else's text, and names of files may hold what turns a terminal over.
        return [(printable(name), printable(text)) for name, text in rows if text]


def is_requirement(name: str, version: str) -> bool:
    """Whether a recorded distribution can stand in a line for pip: records are written by others."""
    return _REQUIREMENT.fullmatch(f"{name}=={version}") is not None


def _state_text(state: RecordedState | None) -> str:
    if state is None:
        return ""
    return state["commit"] + (f"-dirty-{state['changes']}" if state["changes"] else "")


def read_record(path: Any) -> Record:
    """The record of an artifact. Nothing is run to read it.

    Args:
        path: the artifact, or its record, which stands beside it and has the suffix ``.pyrepro.json``; a local
            path, a URL or a UPath. Where a mailer or a browser has renamed one of two local ones, the record is found
            by the tag and the content of the artifact.

    Returns:
        The record.

    Raises:
        RecordError: it does not exist, cannot be read, or is not of this version of pyrepro.
        TypeError: what was passed is not a path.

    Example:
        ``read_record("bills-430ca4533bcd-b4b793cf7d2d.png").config``
    """
    if not is_path(path):
        raise TypeError(f"read_record takes the path of an artifact, not {path!r} of type {type(path).__name__}")
    if is_in_store(path):
        store, url = store_of(path)
        file = url if url.endswith(SUFFIX) else url.rstrip("/") + SUFFIX
        return record_of(store.read(file), file)
    text = os.fsdecode(path)
    if _RENAMED_RECORD.fullmatch(os.path.basename(text)) and os.path.isfile(text):
        return _record_in(text)
    artifact = text.rstrip(os.sep)
    if text.endswith(SUFFIX):
        return _record_in(text)
    if not os.path.lexists(artifact + SUFFIX):
        found = _record_of_renamed(artifact)
        if found is not None:
            return found
    return _record_in(artifact + SUFFIX)


def _record_in(file: str) -> Record:
    try:
        with open(file, "rb") as opened:
            content = opened.read()
    except FileNotFoundError:
        _refuse_plain_path(file.removesuffix(SUFFIX))
        content = None
    except OSError as error:
        raise RecordError(f"the record {file} cannot be read: {error}; take it from a backup", path=file) from error
    return record_of(content, file)


def _refuse_plain_path(path: str) -> None:
    """Refuse the path that a function was called with, where artifacts of it have records."""
    directory, name = os.path.split(path)
    if plain_name(name) is not None:  # before a directory is listed that may be large
        return
    with contextlib.suppress(OSError):
        names = (one.removesuffix(SUFFIX) for one in os.listdir(directory or os.curdir) if one.endswith(SUFFIX))
        found = sum(plain_name(one) == name for one in names)
        if found:
            raise RecordError(
                f"{path!r} is a plain path, of which {found} artifacts have records; pass one of them, which "
                f"records({path!r}) lists",
                path=path + SUFFIX,
            )


def record_of(content: bytes | None, file: str) -> Record:
    """The record that a file holds.

    Args:
        content: what it holds, None if it is not there.
        file: what messages call it.

    Raises:
        RecordError: it is not there, or holds none of this version.
    """
    import json

    if content is None:
        raise RecordError(
            f"there is no record {file}{from_where(file)}; artifacts of functions decorated with record=True have one",
            path=file,
        )
    try:
        document = json.loads(content.decode(), parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"the record {file} cannot be read: {error}; take it from a backup", path=file) from error
    # Before any field is used: a record can be edited, cut short, or of another version.
    problem = first_violation(document)
    if problem is not None:
        raise RecordError(
            f"{file} is not a record that this version of pyrepro can read: {problem}; take it from a backup", path=file
        )
    return Record(**{name: document[name] for name in _FIELDS}, path=file)


def differs_from_record(artifact: str) -> bool:
    """Whether a local artifact has a record, and does not hold what that says."""
    # Whatever cannot be read says nothing.
    with contextlib.suppress(RecordError, OSError, ConfigError):
        recorded = _record_in(artifact + SUFFIX).artifact
        return recorded["name"] == os.path.basename(artifact) and recorded["sha256"] != digests_of(artifact)
    return False


def _record_of_renamed(artifact: str) -> Record | None:
    """The record of an artifact where one of them was renamed, found by the tag and the content."""
    try:
        tag, digests = Tag.from_path(artifact), digests_of(artifact)
        names = sorted(os.listdir(os.path.dirname(artifact) or os.curdir))
    except (NotTaggedError, OSError, ConfigError, ValueError):
        return None
    for record in _records_in(os.path.dirname(artifact), names):
        if record.tag == tag and record.artifact["sha256"] == digests:
            return record
    return None


def original_of(record: Record, path: Any) -> str:
    """The path of the artifact of a record, under its own name or a new one.

    Args:
        record: the record.
        path: what it was read by: the artifact, which is the original then, or the record.
    """
    directory = os.path.dirname(record.path)
    own = os.path.join(directory, record.artifact["name"])
    given = os.fsdecode(path).rstrip(os.sep)
    beside = record.path.removesuffix(SUFFIX) if given == record.path else given
    for one in (beside, own):
        if one != record.path and os.path.lexists(one):
            return one
    for name in sorted(os.listdir(directory or os.curdir)):
        one = os.path.join(directory, name)
        try:
            is_it = Tag.from_path(name) == record.tag and not name.endswith(".json")
            if is_it and digests_of(one) == record.artifact["sha256"]:
                return one
        except (NotTaggedError, OSError, ConfigError, ValueError):
            continue
    return own


def _records_in(directory: str, names: list[str]) -> Iterator[Record]:
    for name in filter(_RENAMED_RECORD.fullmatch, names):
        with contextlib.suppress(RecordError):
            yield _record_in(os.path.join(directory, name))


def printable(text: str) -> str:
    """A text in one line, in which what is not printable stands as an escape of Python."""
    return "".join(one if one.isprintable() or one == "\t" else ascii(one)[1:-1] for one in text)


def _json_text(value: object) -> str:
    import json

    text = "nested too deeply to be shown"  # a configuration can be as deep as Python can follow where it was written
    with contextlib.suppress(RecursionError):
        text = json.dumps(value, ensure_ascii=False)
    return text


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_constant(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
