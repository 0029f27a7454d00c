"""The examples of the reference, from top to bottom."""

from __future__ import annotations

import re
from collections.abc import Callable

from conftest import GUIDES, Repository

import pyrepro

REFERENCE = (GUIDES.parent / "reference.rst").read_text(encoding="utf-8")


def test_every_example_of_the_reference_shows_what_happens(guide: Callable[..., Repository]) -> None:
    repository = guide("models.py")
    repository.write("reference.rst", REFERENCE.replace("5c3a1c6e20f4", repository.head[:12]))
    done = repository.run("-m", "doctest", "-o", "ELLIPSIS", "reference.rst")
    assert (done.stdout, done.stderr) == ("", "")


def test_every_public_function_and_class_has_an_example() -> None:
    shown = " ".join(re.findall(r"^ *(?:>>>|\.\.\.) (.*)", REFERENCE, re.MULTILINE))
    functions = {name for name in pyrepro.__all__ if not name.endswith("Error")}
    made_by_others = {"Artifact", "CodeState", "Differences", "Record", "Records", "Reproduction", "tag"}
    assert {name for name in functions - made_by_others if f"pyrepro.{name}" not in shown} == set()
    for name in made_by_others:
        assert ">>>" in re.split(rf"\.\. auto\w+:: pyrepro\.{name}\n", REFERENCE)[1].partition(".. auto")[0], name
