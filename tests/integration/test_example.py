"""The example of the repository, which the README starts and a tutorial follows back from its plot."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from conftest import GUIDES, Repository
from systems import needs

pytestmark = [needs("palmerpenguins"), needs("matplotlib")]

PAGE = (GUIDES.parent / "who-made-this-plot.rst").read_text(encoding="utf-8")
EXAMPLE = GUIDES.parent.parent / "examples" / "penguins.py"

WAY_BACK = """
import sys
import pyrepro
print(pyrepro.read_record(sys.argv[1]))
result = pyrepro.reproduce(sys.argv[1])
print(result.same)
"""


def without_commit(text: str) -> str:
    return re.sub("-[0-9a-f]{12}-", "-<commit>-", text)


def test_the_example_writes_what_the_tutorial_shows_and_its_plot_is_made_again(
    repository: Repository, tmp_path: Path
) -> None:
    (repository.path / "examples").mkdir()
    shutil.copy(EXAMPLE, repository.path / "examples/penguins.py")
    repository.write(".gitignore", "output/\n")
    repository.commit()
    done = repository.run("examples/penguins.py")
    assert done.stderr == ""
    assert all(f"    {line}\n" in without_commit(PAGE) for line in without_commit(done.stdout).splitlines())
    [plot] = repository.path.glob("examples/output/bills-*.png")
    shown = repository.run("-c", WAY_BACK, plot.relative_to(repository.path)).stdout
    assert shown.endswith("True\n")
    assert re.findall(r"^(\w+(?: \w+)?)  ", shown, re.M) == re.findall(
        r"^    (\w+(?: \w+)?)  ", PAGE.partition("print(pyrepro.read_record")[2].partition("In a notebook")[0], re.M
    )
