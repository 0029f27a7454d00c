"""Records: several of them, shown as a table."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import Any, SupportsIndex, overload

from pyrepro._code.commits import subjects_of, work_tree_at_hand
from pyrepro._config.forms import JSON, canonical_json
from pyrepro._config.place import leaves_of
from pyrepro._record.differences import printable
from pyrepro._record.record import Record
from pyrepro._tag import DIGITS
from pyrepro.errors import CodeStateError

_MISSING = object()
_COLUMNS = ("name", "when", "commit", "subject")


class Records(list[Record]):
    """Records, the newest first, that show themselves as a table: what each artifact is, and in what they differ.

    Example:
        ``pandas.DataFrame(records("out/model.pkl").rows())``
    """

    @overload
    def __getitem__(self, index: SupportsIndex) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Records: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Record | Records:
        found = super().__getitem__(index)
        return Records(found) if isinstance(found, list) else found

    def rows(self) -> list[dict[str, JSON]]:
        """A row for each record.

        Returns:
            Dicts of the same keys, which are ``name``, ``when`` (UTC), ``commit`` (12
            digits, and those of uncommitted changes), ``subject`` of the commit where a
            clone is at hand (the one that holds the records, or else the working
            directory), and each key of the configuration or name of an argument in which
            they differ, dotted into nested ones; None where there is none.
        """
        values = [_values_of(record) for record in self]
        subjects = self._subjects()
        differing = [key for key in sorted({key for one in values for key in one}) if _differ(key, values)]
        return [
            {
                "name": record.artifact["name"],
                "when": record.started,
                "commit": _state_in_short(record),
                "subject": subjects.get(record.code["commit"]),
                **{_column(key): found.get(key) for key in differing},
            }
            for record, found in zip(self, values, strict=True)
        ]

    def __repr__(self) -> str:
        if not self:
            return "no records"
        columns, *lines = self._cells(printable)
        widths = [max(map(len, cells)) for cells in zip(columns, *lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (columns, *lines)
        )

    def _repr_html_(self) -> str:
        from html import escape

        columns, *lines = self._cells(lambda text: escape(printable(text))) if self else [["no records"]]
        head = "".join(f"<th>{column}</th>" for column in columns)
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
        return f"<table><tr>{head}</tr>{body}</table>"

    def _cells(self, shown: Callable[[str], str]) -> list[list[str]]:
        rows = self.rows()
        columns = list(rows[0])
        return [[shown(column) for column in columns]] + [
            [shown(_text(row[column])) for column in columns] for row in rows
        ]

    def _subjects(self) -> dict[str, str]:
        subjects: dict[str, str] = {}
        for directory in {os.path.dirname(record.path) for record in self}:
            # CodeStateError: no git, or a repository that it cannot read; then there is no clone at hand.
            with contextlib.suppress(CodeStateError):
                top = work_tree_at_hand(directory)
                if top is not None:
                    subjects |= subjects_of(top, (record.code["commit"] for record in self))
        return subjects


def _values_of(record: Record) -> dict[str, JSON]:
    values = leaves_of(record.call["arguments"]) | leaves_of(record.config)
    # What is not an object has no key, and an empty one no value.
    return {key or "config": value for key, value in values.items() if key or value != {}}


def _differ(key: str, values: Iterable[dict[str, Any]]) -> bool:
    found = (one.get(key, _MISSING) for one in values)
    return len({None if value is _MISSING else canonical_json(value) for value in found}) > 1


def _column(key: str) -> str:
    return f"argument {key}" if key in _COLUMNS else key


def _state_in_short(record: Record) -> str:
    changes = record.code["changes"]
    return record.code["commit"][:DIGITS] + (f"-dirty-{changes[:DIGITS]}" if changes else "")


def _text(value: JSON) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return canonical_json(value).decode()
