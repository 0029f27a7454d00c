"""What differs between two records, part by part and as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pyrepro._config.forms import JSON, canonical_json
from pyrepro._config.place import leaves_of
from pyrepro._value import Value

_CODE = ("commit", "changes", "patch", "module", "left_out", "changed_meanwhile")
_PARTS = ("code", "config", "inputs", "arguments", "versions")


class _Record(Protocol):
    """What is compared of a record; only that, because imports point down."""

    @property
    def artifact(self) -> Any: ...

    @property
    def code(self) -> Any: ...

    @property
    def config(self) -> JSON: ...

    @property
    def config_hash(self) -> str: ...

    @property
    def inputs(self) -> Any: ...

    @property
    def call(self) -> Any: ...

    @property
    def environment(self) -> Any: ...


class Differences(Value):
    """What differs between two artifacts, as their records say; false where nothing does.

    Each part is a dict of pairs, the value of the one record and that of the other, ``...`` for what is not there; its
    text says all of it.

    Attributes:
        names: the names of both artifacts.
        same_content: whether they hold the same bytes.
        code: commit, changes, the patch beside the record that holds these, module, function and the states of other
            work trees.
        config: the configuration by dotted key, without what the inputs hold; under ``""`` the hashes, where a value
            that is not recorded differs.
        inputs: the hashes of what was read, by parameter, with the key or the index of one of several.
        arguments: those of the call by dotted name; of one that has no JSON form its type.
        versions: Python, the platform and the distributions, by name; and where they were set, ``Python flags``,
            ``PYTHONHASHSEED`` and ``time zone``.
    """

    names: tuple[str, str]
    same_content: bool
    code: dict[str, tuple[Any, Any]]
    config: dict[str, tuple[Any, Any]]
    inputs: dict[str, tuple[Any, Any]]
    arguments: dict[str, tuple[Any, Any]]
    versions: dict[str, tuple[Any, Any]]

    def __bool__(self) -> bool:
        return any(getattr(self, part) for part in _PARTS)

    def __str__(self) -> str:
        lines = [f"{self.names[0]} | {self.names[1]}"]
        lines += [f"{part} {name}: {ours} | {theirs}" for part, name, ours, theirs in self._rows()]
        if "commit" in self.code:
            # What was not committed is in the patches alone.
            seen = "what is committed of it" if "changes" in self.code else "it in the code"
            lines.append(f"to see {seen}, type: git diff {' '.join(self.code['commit'])}")
        if not self:
            lines.append("nothing that is recorded differs")
        lines.append(f"the artifacts hold {'the same' if self.same_content else 'different'} bytes")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        head = ("", "", *self.names)
        rows = [f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>"]
        rows += [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self._rows()]
        return f"<table>{''.join(rows)}</table>"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        return [
            (part, printable(name), _text(ours), _text(theirs))
            for part in _PARTS
            for name, (ours, theirs) in getattr(self, part).items()
            # Where the arguments are the configuration, once is enough.
            if part != "arguments" or self.config.get(name) != (ours, theirs)
        ]


def differences_of(ours: _Record, theirs: _Record) -> Differences:
    """What differs between two records."""
    inputs = _pairs(_hashes(ours.inputs), _hashes(theirs.inputs))
    config = {
        key: pair
        for key, pair in _pairs(_leaves(ours.config), _leaves(theirs.config)).items()
        if not any(f"{key}.".startswith(f"{name}.") for name in {*ours.inputs, *theirs.inputs})
    }
    if not config and not inputs and ours.config_hash != theirs.config_hash:
        config[""] = ours.config_hash, theirs.config_hash
    return Differences(
        names=(ours.artifact["name"], theirs.artifact["name"]),
        same_content=ours.artifact["sha256"] == theirs.artifact["sha256"],
        code=_pairs(_code(ours), _code(theirs)),
        config=config,
        inputs=inputs,
        arguments=_pairs(_arguments(ours), _arguments(theirs)),
        versions=_pairs(_versions(ours), _versions(theirs)),
    )


def _pairs(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    # Both values in canonical JSON: to Python True and 1 are equal.
    return {
        key: (ours.get(key, ...), theirs.get(key, ...))
        for key in sorted({*ours, *theirs})
        if not (key in ours and key in theirs and canonical_json(ours[key]) == canonical_json(theirs[key]))
    }


def _code(record: _Record) -> dict[str, Any]:
    code = {name: record.code[name] for name in _CODE}
    others = {f"others.{name}": state for name, state in record.code["others"].items()}
    return code | others | {"function": record.call["function"]}


def _leaves(form: Any) -> dict[str, Any]:
    return leaves_of(form) if form != {} else {}  # of which leaves_of makes one without a key


def _hashes(inputs: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, entry in inputs.items():
        if isinstance(entry, list):
            found |= {f"{name}.{one.get('key', index)}": one["hash"] for index, one in enumerate(entry)}
        else:
            found[name] = entry and entry["hash"]
    return found


def _arguments(record: _Record) -> dict[str, Any]:
    typed = {name: form for name, form in record.call["typed"].items() if name not in record.call["arguments"]}
    values = _leaves(record.call["arguments"]) | _leaves(typed)
    return values | {name: f"not recorded, a {kind}" for name, kind in record.call["unrecorded"].items()}


def _versions(record: _Record) -> dict[str, Any]:
    environment, call = record.environment, record.call
    # With a blank in what a distribution could be called.
    started = {
        "Python flags": " ".join(call["flags"]),
        "PYTHONHASHSEED": call["hash_seed"],
        "time zone": call["timezone"],
    }
    return {
        "Python": environment["python"],
        "platform": environment["platform"],
        **environment["packages"],
        **{name: value for name, value in started.items() if value},
    }


def _text(value: Any) -> str:
    if value is ...:
        return "not there"
    return printable(value if isinstance(value, str) else canonical_json(value).decode())


def printable(text: str) -> str:
    """A text on one line, without what would steer a terminal: records are written by others."""
    return "".join(character if character.isprintable() else "?" for character in text)
