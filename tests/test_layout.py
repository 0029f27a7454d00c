"""The layout of the package: which file may import which, as CONTRIBUTING.rst lists them from the door to the ground."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pyrepro

PACKAGE = Path(pyrepro.__file__).parent
CONTRIBUTING = Path(__file__).parent.parent / "CONTRIBUTING.rst"

SOURCES = {
    file.relative_to(PACKAGE).as_posix(): file.read_text(encoding="utf-8") for file in sorted(PACKAGE.rglob("*.py"))
}


def layout() -> list[str]:
    """The files in the order of the table: each may import those below it."""
    section = CONTRIBUTING.read_text(encoding="utf-8").partition("How the code is laid out\n")[2]
    return re.findall(r"^``([\w/]+\.py)``", section, flags=re.MULTILINE)


def imports_of(file: str, source: str) -> Iterator[str]:
    """The full names that a file imports, wherever in it, for types too."""
    package = ["pyrepro", *file.split("/")[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def files_imported_by(file: str, source: str, sources: dict[str, str]) -> set[str]:
    """The files of the package that a file imports."""
    names = {f"pyrepro.{name.removesuffix('.py').replace('/', '.')}": name for name in sources if name != "__init__.py"}
    return {names[name] for name in imports_of(file, source) if name in names} - {file}


def faults(sources: dict[str, str]) -> set[str]:
    """What is wrong with the imports of a package."""
    order = layout()
    found = set()
    for file, source in sources.items():
        names = {name.partition(".")[0] for name in imports_of(file, source)}
        if names & {"git", "gitdb"} and file != "_code/git.py":
            found.add(f"{file} imports GitPython")
        for other in files_imported_by(file, source, sources):
            # An __init__.py of a room is its docstring, which imports nothing.
            if order.index(other) <= order.index(file):
                found.add(f"{file} imports {other}, which stands above it")
            if {file.partition("/")[0], other.partition("/")[0]} == {"_config", "_code"}:
                found.add(f"{file} imports {other}: configuration and code do not know each other")
            if file == "_publish/protocol.py" and other.startswith(("_config/", "_code/", "_record/")):
                found.add(f"{file} imports {other}: the protocol does not know what it publishes")
    return found


def test_the_table_lists_every_file_of_the_package() -> None:
    rooms = {file for file in SOURCES if file.count("/") and file.endswith("/__init__.py")}
    assert sorted(layout()) == sorted(SOURCES.keys() - rooms)


def test_a_room_is_a_docstring_and_imports_nothing() -> None:
    rooms = {file: SOURCES[file] for file in SOURCES if file.endswith("/__init__.py")}
    assert sorted(rooms) == ["_code/__init__.py", "_config/__init__.py", "_publish/__init__.py", "_record/__init__.py"]
    assert [list(imports_of(file, source)) for file, source in rooms.items()] == [[], [], [], []]


def test_every_import_points_down_so_there_is_no_cycle() -> None:
    assert faults({file: source for file, source in SOURCES.items() if not file.endswith("/__init__.py")}) == set()


@pytest.mark.parametrize(
    ("file", "line", "fault"),
    [
        ("_tag.py", "from pyrepro._artifact import tag", "_tag.py imports _artifact.py, which stands above it"),
        (
            "_publish/call.py",
            "if TYPE_CHECKING:\n    from pyrepro._naming import Naming",
            "_publish/call.py imports _naming.py, which stands above it",
        ),
        (
            "_code/git.py",
            "def run():\n    from . import work_tree",
            "_code/git.py imports _code/work_tree.py, which stands above it",
        ),
        ("_record/record.py", "import git.exc", "_record/record.py imports GitPython"),
        (
            "_config/forms.py",
            "from pyrepro._code.state import CodeState",
            "_config/forms.py imports _code/state.py: configuration and code do not know each other",
        ),
        (
            "_publish/protocol.py",
            "from pyrepro._config import file_hash",
            "_publish/protocol.py imports _config/file_hash.py: the protocol does not know what it publishes",
        ),
    ],
)
def test_an_import_that_the_layout_forbids_is_found(file: str, line: str, fault: str) -> None:
    sources = {name: source for name, source in SOURCES.items() if not name.endswith("/__init__.py")}
    assert faults(sources | {file: f"{sources[file]}\n{line}\n"}) == {fault}
