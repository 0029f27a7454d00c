"""Record: what made an artifact, read, shown and compared.

Source: the format is schema.json in this package, JSON Schema 2020-12.
"""

from __future__ import annotations

import os
from typing import Any

from pyrepro._config.forms import JSON
from pyrepro._record.schema import first_violation
from pyrepro._tag import DIGITS, Tag
from pyrepro._value import Value
from pyrepro.errors import RecordError

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
    problem = first_violation(document)
    if problem is not None:
        raise RecordError(
            f"{file} is no record of this version of pyrepro: {problem}; take it from a backup", path=file
        )
    return Record(**{name: document[name] for name in _FIELDS}, path=file)


def _text(value: JSON) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
