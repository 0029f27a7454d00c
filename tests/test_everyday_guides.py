"""The guides to what comes after the first artifact: used elsewhere, removed, logged, run by machines, in a project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import GUIDES, Repository

from pyrepro import Tag, config_hash, file_hash, read_record

Guide = Callable[..., Repository]

posix = pytest.mark.skipif(os.name != "posix", reason="cron and images of Linux are tried with a POSIX shell and PATH")


def test_the_first_example_writes_the_name_that_the_landing_page_shows(guide: Guide) -> None:
    repository = guide("first.py")
    assert repository.run("first.py").stderr == ""
    page = (GUIDES.parent / "index.rst").read_text(encoding="utf-8")
    assert f"foo-6a16e297bb5a-{config_hash({'lr': 0.1})[:12]}.txt" in page
    assert (repository.path / f"foo-{repository.head[:12]}-9c9ba942d8bb.txt").read_text() == "good job"


def test_each_of_the_three_combinations_of_options_does_what_the_table_says(guide: Guide) -> None:
    repository = guide("options.py")
    plot, model, figure = repository.run("options.py").stdout.split()
    assert Tag.from_path(model).config == config_hash({"table": hash_of_raw(repository), "depth": 3})[:12]
    beside = {path.parent.name: path.name for path in repository.path.rglob("*.pyrepro.json")}
    assert beside == {"figures": f"{os.path.basename(figure)}.pyrepro.json"}
    repository.write("docs/page.md", "A page.\n")
    repository.commit()
    log = repository.run(
        "-c", "import logging, runpy; logging.basicConfig(level=20); runpy.run_path('options.py', run_name='__main__')"
    )
    assert re.findall(r"INFO:pyrepro:(\w+ \w+) ", log.stderr) == ["model copied"]
    assert log.stdout.split()[0] != plot


def hash_of_raw(repository: Repository) -> str:
    return file_hash(repository.path / "raw.txt")


def test_an_artifact_of_another_project_is_an_input_that_the_record_names(guide: Guide, tmp_path: Path) -> None:
    repository = guide("recorded.py", "use_elsewhere.py")
    other = repository.clone(tmp_path / "other")
    model = other.run("recorded.py", "1").stdout.strip()
    (repository.path / "out").mkdir()
    done = repository.run("use_elsewhere.py", other.path)
    path, named = done.stdout.split()
    assert (repository.path / path).read_text() == "predicted by a model with 1.0"
    assert named == os.path.basename(model)


def test_those_of_one_configuration_are_removed_and_nothing_else(guide: Guide) -> None:
    repository = guide("recorded.py", "remove_some.py")
    kept, gone = (repository.run("recorded.py", alpha).stdout.strip() for alpha in ("1", "100"))
    assert repository.run("remove_some.py").stdout == f"would remove {gone}\n"
    assert repository.run("remove_some.py", "--remove").stdout == f"removed {gone}\n"
    left = {path.name for path in (repository.path / "out").glob("model*")}
    assert left == {os.path.basename(kept), f"{os.path.basename(kept)}.pyrepro.json"}
    page = (GUIDES / "remove.rst").read_text(encoding="utf-8")
    assert page.count(f"out/model-5c3a1c6e20f4-{Tag.from_path(gone).config}.txt") == 2


def test_every_line_goes_to_the_file_and_only_warnings_to_the_terminal(guide: Guide) -> None:
    repository = guide("logging_setup.py")
    assert repository.run("logging_setup.py").stderr == ""
    [line] = (repository.path / "pyrepro.log").read_text().splitlines()
    shown = re.search(r"^    \d{4}-.*", (GUIDES / "logging.rst").read_text(encoding="utf-8"), re.M)
    assert shown is not None and hidden_digits(line) == hidden_digits(shown[0].strip())


def hidden_digits(line: str) -> str:
    return re.sub(r"model-[0-9a-f]{12}", "model-<commit>", re.sub(r"^[\d:, -]+", "<time> ", line))


@posix
def test_the_line_of_the_crontab_runs_from_anywhere_without_an_environment(guide: Guide, tmp_path: Path) -> None:
    repository = guide("nightly.py")
    line = (GUIDES / "nightly.crontab").read_text(encoding="utf-8").strip()
    command = line.removeprefix("0 3 * * * ").replace("/home/ann/project/.venv/bin/python", shlex.quote(sys.executable))
    command = command.replace("/home/ann/project", str(repository.path)).replace("/home/ann", str(tmp_path))
    subprocess.run(
        ["env", "-i", f"PATH=/usr/bin:/bin:{os.path.dirname(shutil.which('git') or '')}", "sh", "-c", command],
        cwd="/",
        check=True,
    )
    [path] = (repository.path / "out").glob("report-*.txt")
    assert path.read_text() == "3 numbers, 2.0 in all\n"
    assert (tmp_path / "nightly.log").read_text() == f"INFO:pyrepro:report made {path}: nothing is there\n{path}\n"
    assert Tag.from_path(path).commit == repository.head[:12]


def test_the_step_of_the_workflow_runs_in_a_shallow_detached_checkout(guide: Guide, tmp_path: Path) -> None:
    repository = guide("nightly.py")
    repository.commit()
    checkout = repository.clone(tmp_path / "checkout", "--depth=1")
    checkout.git("checkout", "-q", "--detach")
    steps = re.findall(r"- run: (.*)", (GUIDES / "workflow.yml").read_text(encoding="utf-8"))
    assert steps == ["pip install pyrepro", "python nightly.py"]
    path = checkout.run(*steps[1].split()[1:]).stdout.strip()
    assert Tag.from_path(path) == Tag(repository.head[:12], None, config_hash({"raw": hash_of_raw(repository)})[:12])


@posix
def test_the_image_of_the_dockerfile_needs_the_state_and_neither_git_nor_a_repository(
    guide: Guide, tmp_path: Path
) -> None:
    repository = guide("nightly.py")
    instructions = dict(
        line.split(" ", 1) for line in (GUIDES / "Dockerfile").read_text(encoding="utf-8").splitlines() if line
    )
    image = tmp_path / "app"
    image.mkdir()
    *copied, target = instructions["COPY"].split()
    assert (instructions["WORKDIR"], target, instructions["ARG"]) == ("/app", "./", "STATE")
    for file in copied:
        shutil.copy(repository.path / file, image / file)
    command = re.findall(r'"([^"]*)"', instructions["CMD"])
    assert (command[0], instructions["ENV"]) == ("python", "PYREPRO_CODE_STATE=$STATE")
    state = repository.run("-c", "import pyrepro; print(pyrepro.code_state())").stdout.strip()
    environment = {"PATH": "/nowhere", "PYREPRO_CODE_STATE": state}
    done = Repository(image).run(*command[1:], env=environment)
    assert Tag.from_path(done.stdout.strip()).commit == repository.head[:12]
    refused = Repository(image).run(*command[1:]).stderr
    assert f"looked for the git work tree that holds {image}/nightly.py, and found none" in refused


def test_a_project_with_scikit_learn_trains_each_model_once_and_finds_the_best(guide: Guide) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    repository = guide("flowers/__init__.py", "flowers/steps.py", "sweep.py", "best.py")
    repository.write(".gitignore", "data/\nout/\n")
    repository.write("data/flowers.csv", datasets.load_iris(as_frame=True).frame.to_csv(index=False))
    repository.commit()
    first = repository.run("sweep.py").stdout
    page = (GUIDES / "scikit-learn-project.rst").read_text(encoding="utf-8")
    assert first.replace(repository.head[:12], "5c3a1c6e20f4").replace("out/", "    out/") in page
    best = repository.run("best.py")
    assert (best.stderr, best.stdout.replace(repository.head[:12], "5c3a1c6e20f4").splitlines()) == (
        "",
        [line.strip() for line in page.partition("$ python best.py\n")[2].splitlines()[:2]],
    )
    scores = first.split()[-1]
    assert read_record(repository.path / scores).config["model"]["max_depth"] == 3


def test_a_secret_that_is_named_is_in_no_record(guide: Guide) -> None:
    repository = guide("withheld.py")
    done = repository.run("withheld.py")
    assert f"It prints ``{done.stdout.strip()}``." in (GUIDES.parent / "what-a-record-gives-away.rst").read_text(
        "utf-8"
    )
    [record] = repository.path.glob("out/*.pyrepro.json")
    assert re.search("open sesame|hunter", record.read_text()) is None
