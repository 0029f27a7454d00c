"""What the README says is what happens."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

import pytest
from conftest import GUIDES, Repository

README = (Path(__file__).parent.parent / "README.rst").read_text(encoding="utf-8")
EXAMPLE = textwrap.dedent(README.partition(".. code-block:: python\n")[2].partition("\nIn a repository")[0])


@pytest.fixture
def example(repository: Repository) -> Repository:
    """A repository whose script is the README's example."""
    repository.write("example.py", EXAMPLE)
    repository.commit()
    return repository


def test_the_example_writes_the_commit_and_the_hash_of_the_empty_configuration(example: Repository) -> None:
    done = example.run("example.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in example.path.glob("foo*")] == [f"foo-{example.head[:12]}-44136fa355b3.txt"]
    assert (example.path / f"foo-{example.head[:12]}-44136fa355b3.txt").read_text() == "good job"


def test_the_example_can_be_called_again_after_its_first_artifact(example: Repository) -> None:
    assert [example.run("example.py").stderr for _ in range(2)] == ["", ""]


def test_after_an_edit_the_example_is_refused_without_allow_dirty(example: Repository) -> None:
    example.write("example.py", EXAMPLE.replace(", allow_dirty=True", ""))
    done = example.run("example.py")
    assert "pyrepro.DirtyRepositoryError" in done.stderr
    assert list(example.path.glob("foo*")) == []


def test_after_an_edit_the_example_has_another_name_which_is_the_same_in_a_clone(
    example: Repository, tmp_path: Path
) -> None:
    clone = example.clone(tmp_path / "clone")
    names = []
    for edit in ("# one\n", "# two\n"):
        for repository in (example, clone):
            repository.write("example.py", EXAMPLE + edit)
            repository.run("example.py")
            [written] = repository.path.glob("foo*")
            names.append(written.name)
            written.unlink()
    assert all(re.fullmatch(rf"foo-{example.head[:12]}-dirty-[0-9a-f]{{12}}-44136fa355b3\.txt", name) for name in names)
    assert names[0] == names[1] != names[2] == names[3]


def test_the_two_commands_for_a_clone_are_a_block_of_their_own() -> None:
    blocks = [part.partition("\n\n")[0] for part in README.split(".. code-block:: console\n\n")[1:]]
    assert [textwrap.dedent(block).splitlines() for block in blocks] == [
        [
            "python3 -m venv .venv && .venv/bin/pip install -e '.[examples]' && .venv/bin/python examples/penguins.py",
            "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox",
        ]
    ]


def test_the_comparison_with_other_caches_is_that_of_the_guide_which_runs_each() -> None:
    guide = (GUIDES / "keep-work.rst").read_text(encoding="utf-8")
    rows = re.findall(r"\* - (pyrepro.*|.* \d+\.\d+\.\d+)\n +- (.*)\n +- (.*)\n", guide)
    table = README.partition("after the change of the helper\n")[2].partition("\n\n")[0]
    assert [tuple(re.split("  +", line)) for line in table.splitlines()[1:-1]] == rows
    assert len(rows) == 5


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) < 150


def test_the_hash_of_the_empty_configuration_can_be_checked_with_coreutils() -> None:
    assert "``printf '{}' | sha256sum`` begins with ``44136fa355b3``" in README
    done = subprocess.run("printf '{}' | sha256sum", shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("44136fa355b3")
