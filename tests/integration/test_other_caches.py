"""What others that cache functions return when a helper in another module changes, and what an unrelated commit costs.

``docs/how-to/keep-work.rst`` shows this as a table.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Repository

HELPER = "def scaled(x):\n    return x * {}\n"

PROGRAMS = {
    "pyrepro": """\
from pyrepro import Artifact
import helper

@Artifact("outpath", config=dict, cache=True, code=["step.py", "helper.py"])
def fit(outpath, x):
    print("runs")
    with open(outpath, "w") as file:
        file.write(str(helper.scaled(x)))

print(open(fit("out/fit.txt", x=2)).read())
""",
    "joblib": """\
import joblib
import helper

@joblib.Memory("out", verbose=0).cache
def fit(x):
    print("runs")
    return helper.scaled(x)

print(fit(2))
""",
    "cachier": """\
import cachier
import helper

@cachier.cachier(cache_dir="out")
def fit(x):
    print("runs")
    return helper.scaled(x)

print(fit(2))
""",
    "hamilton": """\
import sys
from hamilton import driver
import step
import helper

def fit(x: int) -> int:
    print("runs")
    return helper.scaled(x)

if __name__ == "__main__":
    made = driver.Builder().with_modules(step).with_cache(path="out").build()
    print(made.execute(["fit"], inputs={"x": 2})["fit"])
""",
    "redun": """\
from redun import Scheduler, task
from redun.config import Config
import helper

redun_namespace = "steps"

@task()
def fit(x):
    print("runs")
    return helper.scaled(x)

if __name__ == "__main__":
    scheduler = Scheduler(config=Config({"backend": {"db_uri": "sqlite:///out/redun.db"}}))
    scheduler.load()
    print(scheduler.run(fit(2)))
""",
}

TABLE = Path(__file__).parents[2] / "docs/how-to/keep-work.rst"


def run(repository: Repository) -> tuple[bool, str]:
    done = repository.run("step.py")
    assert done.returncode == 0, done.stderr
    *before, result = done.stdout.splitlines()
    return "runs" in before, result


@pytest.mark.parametrize("tool", PROGRAMS)
def test_what_each_returns_when_a_helper_changes_is_what_the_guide_says(tool: str, repository: Repository) -> None:
    pytest.importorskip(tool)
    (repository.path / "out").mkdir()
    repository.write(".gitignore", "out/\n.pyrepro/\n")
    repository.commit(step=PROGRAMS[tool], helper=HELPER.format(10))
    assert run(repository) == (True, "20")
    repository.commit(notes="x = 1\n")
    ran, _ = run(repository)
    repository.commit(helper=HELPER.format(100))
    _, result = run(repository)
    found = ("runs again" if ran else "nothing", "200, correct" if result == "200" else f"{result}, **wrong**")
    name = {"joblib": "joblib.Memory", "hamilton": "Hamilton"}.get(tool, tool)
    cells = re.search(rf"\* - {re.escape(name)}.*\n +- (.*)\n +- (.*)\n", TABLE.read_text(encoding="utf-8"))
    assert cells is not None and cells.groups() == found
