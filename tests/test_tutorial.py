"""The tutorial, from its first command to its last."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import GUIDES, Repository

from pyrepro import CodeStateError, Tag, code_state, config_hash, file_hash

TUTORIAL = (GUIDES.parent / "tutorial.rst").read_text(encoding="utf-8")


@pytest.fixture
def wines(repository: Repository) -> Repository:
    """The project of the tutorial, committed, with its table."""
    datasets = pytest.importorskip("sklearn.datasets")
    for program in ("wine_table.py", "wine.py", "wine_way_back.py"):
        shutil.copy(GUIDES / program, repository.path / program)
    repository.write(".gitignore", ".venv/\ndata/\nout/\n")
    repository.commit()
    # As wine_table.py writes it, in a process that has scikit-learn already.
    repository.write("data/wine.csv", datasets.load_wine(as_frame=True).frame.to_csv(index=False))
    return repository


def shown_after(command: str, start: str = "") -> str:
    """The line that the tutorial shows after a command, without the digits that differ."""
    return without_commit(start + TUTORIAL.partition(f"$ {command}\n    {start}")[2].partition("\n")[0])


def without_commit(line: str) -> str:
    return re.sub("model-[0-9a-f]{12}", "model-<commit>", line)


def test_before_the_first_commit_there_is_an_error_that_says_what_to_type(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    with pytest.raises(CodeStateError) as error:
        code_state(tmp_path)
    assert f"    pyrepro.CodeStateError: {error.value}\n".replace(str(tmp_path), "/home/you/wines") in TUTORIAL


def test_the_table_is_the_one_whose_digest_the_tutorial_shows(wines: Repository) -> None:
    table = file_hash(wines.path / "data/wine.csv")
    shutil.rmtree(wines.path / "data")
    assert wines.run("wine_table.py").stderr == ""
    assert file_hash(wines.path / "data/wine.csv") == table
    assert table in TUTORIAL


def test_an_artifact_is_named_as_the_tutorial_shows_and_so_is_one_of_an_edit(wines: Repository) -> None:
    path = wines.run("wine.py", "3").stdout.strip()
    assert (Tag.from_path(path).commit, without_commit(path)) == (
        wines.head[:12],
        shown_after(".venv/bin/python wine.py 3", "out/"),
    )
    program = wines.path / "wine.py"
    program.write_text(program.read_text().replace("random_state=0", "random_state=1"))
    path = wines.run("wine.py", "3", env={"PYREPRO_ALLOW_DIRTY": "1"}).stdout.strip()
    assert without_commit(path) == shown_after("PYREPRO_ALLOW_DIRTY=1 .venv/bin/python wine.py 3")


def test_other_parameters_are_named_as_the_tutorial_shows(wines: Repository) -> None:
    tag = config_hash({"table": file_hash(wines.path / "data/wine.csv"), "depth": 5})[:12]
    assert shown_after(".venv/bin/python wine.py 5") == f"out/model-<commit>-{tag}.pkl"


def test_the_model_is_trained_once_found_by_its_depth_and_made_again(wines: Repository) -> None:
    shutil.copy(GUIDES / "wine_cached.py", wines.path / "wine.py")
    wines.commit()
    path = Tag(wines.head[:12], None, "924363ad9794").put("out/model.pkl")
    assert [wines.run("wine.py", "3").stdout for _ in range(2)] == [f"training\n{path}\n", f"{path}\n"]
    done = wines.run("wine_way_back.py")
    assert done.stderr == ""
    first, *_, last = done.stdout.splitlines()
    assert (first, last) == (f"{path} has 100 trees", "the same when made again: True")
    assert without_commit(first) == shown_after(".venv/bin/python wine_way_back.py")
    assert re.findall(r"^\w+(?: \w+)? {2,}", done.stdout, re.M) == re.findall(
        r"^    ((?:artifact|commit|changes|function|config|input|argument|started|Python|packages)(?: \w+)? {2,})",
        TUTORIAL,
        re.M,
    )
