"""Each public function has an example in its docstring, and it runs."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from pathlib import Path

from conftest import Repository

import pyrepro

MAKE = """\
from pyrepro import Artifact


@Artifact(["bills", "model"], config=dict, cache=True, record=True)
def make(bills, model, alpha, optimizer):
    for path in (bills, model):
        with open(path, "w") as opened:
            opened.write("good job")
    return bills, model


if __name__ == "__main__":
    for alpha in (100, 2):
        print(make("bills.png", "out/model.pkl", alpha, {"lr": 0.1})["bills"])
"""

PRELUDE = """\
import os
from pathlib import Path

import pandas

import pyrepro
from pyrepro import *


class Money:
    cents = 1


record = read_record("a.png")
"""


def examples() -> dict[str, str]:
    """The example of each function and method of the interface, and of each class that one makes oneself."""
    found = {}
    for name in pyrepro.__all__:
        value = getattr(pyrepro, name)
        if inspect.isclass(value) and issubclass(value, Exception):
            continue
        methods = vars(value).items() if inspect.isclass(value) else []
        for label, each in [(name, value), *((f"{name}.{method}", function) for method, function in methods)]:
            documented = inspect.getdoc(each) if callable(each) else None
            if match := re.search(
                r"^Example:(?::\n\n((?:    .*\n|\n)+)|\n    ``(.+)``$)", documented or "", re.MULTILINE
            ):
                found[label] = textwrap.dedent(match[1] or match[2]).strip()
    return found


def test_each_public_function_has_an_example() -> None:
    functions = {name for name in pyrepro.__all__ if name[0].islower()}
    assert functions | {"Artifact", "Tag"} <= examples().keys()


def test_help_of_artifact_begins_with_an_example() -> None:
    summary, _, rest = str(inspect.getdoc(pyrepro.Artifact)).partition("\n\n")
    assert summary.count("\n") == 0
    assert rest.startswith("Example::\n\n    @Artifact(")


def test_the_examples_run(repository: Repository, tmp_path: Path) -> None:
    repository.write("make.py", MAKE)
    repository.write(".gitignore", "*.png*\n*.bin\nout/\ncheckpoints*\n")
    repository.write("examples.py", PRELUDE)
    repository.commit()
    lab = repository.clone(tmp_path / "lab")
    repository.write("weights.bin", "0 1")
    made = repository.run("make.py")
    assert made.returncode == 0, made.stderr
    bills = made.stdout.split()
    for name, path in zip(("a.png", "b.png"), bills, strict=True):
        for suffix in ("", ".pyrepro.json"):
            shutil.copy(repository.path / (path + suffix), repository.path / (name + suffix))
    lines = [f"assert ({code})" if " == " in code else code for code in examples().values()]
    program = "\n".join([PRELUDE, *sorted(lines, key=lambda line: line.startswith("remove"))])
    # An artifact and a repository that are there, in the place of those that are not.
    program = program.replace('("bills-430ca4533bcd-b4b793cf7d2d.png"', f'("{bills[0]}"', 2)
    program = program.replace("https://example.org/lab.git", str(lab.path))
    repository.write("examples.py", program)
    repository.commit()
    done = repository.run("examples.py")
    assert (done.stderr, done.returncode) == ("", 0)
    assert [path.name[:4] for path in repository.path.glob("foo-*.txt")] == ["foo-"]
