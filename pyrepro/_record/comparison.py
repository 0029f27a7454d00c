"""An artifact that was made again, compared with the recorded one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from pyrepro._config.file_hash import digests_of
from pyrepro._record.record import Record, printable
from pyrepro._value import Value

Digests = str | dict[str, str]
Compare = Callable[[str, str], Any]

_CHUNK = 1 << 20


class Reproduction(Value):
    """An artifact that was made again, beside the recorded one. It is kept as long as this object exists.

    Attributes:
        original: the path of the recorded artifact.
        reproduced: the path of the one that was made again.
        original_sha256: the digest of the original as it stands, of a directory by file; None where it is gone.
        recorded_sha256: the digest that the record holds.
        reproduced_sha256: the digest of the one that was made again.
        same: whether the original and the one that was made again are the same bytes, or whether ``compare`` says that
            they are the same; False where the original is gone.
        as_recorded: whether the one that was made again is what was recorded.
        differences: where the two differ: files and sizes.
        environment: by name, what differs: what it was, and what it is now, None where it is missing.
    """

    original: str
    reproduced: str
    original_sha256: Digests | None
    recorded_sha256: Digests
    reproduced_sha256: Digests
    same: bool
    as_recorded: bool
    differences: tuple[str, ...]
    environment: dict[str, tuple[str | None, str | None]]

    def __str__(self) -> str:
        lines = [*self._verdict(), *(f"  {line}" for line in (*self.differences, *lines_of(self.environment)))]
        return "\n".join(map(printable, lines))

    def _verdict(self) -> Iterator[str]:
        made = f"what was made again, {self.reproduced}, is {'' if self.as_recorded else 'not '}what was recorded"
        if self.original_sha256 is None:
            yield f"{self.original} is gone; {made}"
        else:
            are_bytes = self.original_sha256 == self.reproduced_sha256
            verdict = ("the same bytes" if are_bytes else "the same") if self.same else "different"
            yield f"{self.original} and {self.reproduced} are {verdict}"
            if self.original_sha256 != self.recorded_sha256:
                yield f"{self.original} was changed since it was recorded; {made}"


def lines_of(environment: dict[str, tuple[str | None, str | None]]) -> list[str]:
    """The differences of two environments, a line for each."""
    return [f"{name}: was {then or 'missing'}, is {now or 'missing'}" for name, (then, now) in environment.items()]


def compared(
    record: Record,
    original: str,
    reproduced: str,
    environment: dict[str, tuple[str | None, str | None]],
    compare: Compare | None,
) -> Reproduction:
    """An artifact that was made again, compared with the original where it stands.

    Args:
        record: the record of the original.
        original: its path.
        reproduced: the path of the one that was made again.
        environment: what differs in it.
        compare: says of the two paths whether they are the same, for formats that carry dates; None compares bytes.
    """
    recorded, again = record.artifact["sha256"], digests_of(reproduced)
    try:
        found: Digests | None = digests_of(original)
    except FileNotFoundError:
        found = None
    same = found == again
    if found is not None and not same and compare is not None:
        same = bool(compare(original, reproduced))
    return Reproduction(
        original=original,
        reproduced=reproduced,
        original_sha256=found,
        recorded_sha256=recorded,
        reproduced_sha256=again,
        same=same,
        as_recorded=again == recorded,
        differences=() if found is None or found == again else tuple(_differences(original, reproduced, found, again)),
        environment=environment,
    )


def _differences(one: str, other: str, before: Digests, after: Digests) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            if name not in after or name not in before:
                yield f"{name}: only in {'the original' if name in before else 'what was made again'}"
            elif before[name] != after[name]:
                paths = os.path.join(one, name), os.path.join(other, name)
                yield f"{name}: {_difference_of_files(*paths, before[name], after[name])}"
    elif isinstance(before, str) and isinstance(after, str):
        yield _difference_of_files(one, other, before, after)
    else:
        yield "one is a directory, and the other is not"


def _difference_of_files(one: str, other: str, was: str, now: str) -> str:
    if not (os.path.isfile(one) and os.path.isfile(other)):  # such as a link that leads nowhere
        return f"{was}, made again {now}"
    sizes = os.path.getsize(one), os.path.getsize(other)
    size = f"{sizes[0]} bytes each" if sizes[0] == sizes[1] else f"{sizes[0]} bytes, made again {sizes[1]}"
    return f"{size}, the first difference is at byte {_first_difference(one, other)}"


def _first_difference(one: str, other: str) -> int:
    """How many bytes two files have in common at their beginning."""
    place = 0
    with open(one, "rb") as before, open(other, "rb") as after:
        while True:
            a, b = before.read(_CHUNK), after.read(_CHUNK)
            if a != b or not a:
                common = (index for index, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
                return place + next(common, min(len(a), len(b)))
            place += len(a)
