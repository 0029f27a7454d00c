"""The way back: a colleague with another computer and a URL; programs of other systems, made again."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import GUIDES, PATIENCE, Repository
from systems import needs

from pyrepro import ReproduceError, read_record, reproduce

HEAD = "import sys\nfrom pathlib import Path\nfrom pyrepro import Artifact\n"


def made_again(repository: Repository, done: subprocess.CompletedProcess[str], tmp_path: Path) -> list[bool]:
    """Whether the artifacts that a program printed are the same from a fresh clone elsewhere, its own tree away."""
    assert done.returncode == 0, done.stderr
    clone = repository.clone(tmp_path / "clone")
    sent = []
    for number, line in enumerate(done.stdout.split()):
        mail = tmp_path / f"mail-{number}"
        mail.mkdir()
        for name in (line, f"{line}.pyrepro.json"):
            shutil.copy(repository.path / name, mail)
        sent.append(mail / Path(line).name)
    repository.path.rename(tmp_path / "away")
    return [reproduce(path, clone.path).same for path in sent]


@needs("click")
def test_a_command_of_click(repository: Repository, out: Path, tmp_path: Path) -> None:
    repository.commit(
        cli=HEAD
        + """
import click

@click.command()
@click.argument("outpath")
@click.option("--lr", type=float)
@Artifact("outpath", config=dict, record=True)
def save(outpath, lr):
    Path(outpath).write_text(f"{lr}")
    click.echo('out/' + Path(outpath).name)

if __name__ == "__main__":
    save()
"""
    )
    assert made_again(repository, repository.run("cli.py", "out/foo.txt", "--lr", "0.5"), tmp_path) == [True]


@needs("typer")
def test_a_command_of_typer(repository: Repository, out: Path, tmp_path: Path) -> None:
    repository.commit(
        cli=HEAD
        + """
import typer

app = typer.Typer()

@Artifact("outpath", config=dict, record=True)
def save(outpath: Path, lr: float) -> Path:
    outpath.write_text(f"{lr}")
    return outpath

@app.command()
def main(outpath: Path, lr: float = 0.1) -> None:
    print(save(outpath, lr))

if __name__ == "__main__":
    app()
"""
    )
    assert made_again(repository, repository.run("cli.py", "out/foo.txt", "--lr", "0.5"), tmp_path) == [True]


@needs("hydra")
def test_a_training_of_hydra(repository: Repository, out: Path, tmp_path: Path) -> None:
    repository.write("conf/config.yaml", "lr: 0.1\nsizes: [1, 2]\n")
    repository.write(".gitignore", "out/\noutputs/\n")
    repository.commit(
        app=HEAD
        + """
import hydra

@Artifact("outpath", config=dict, record=True)
def save(outpath, cfg):
    Path(outpath).write_text(f"{cfg.lr} {cfg.sizes} {type(cfg).__name__}")
    return outpath

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    print(save("out/model.txt", cfg))

if __name__ == "__main__":
    main()
"""
    )
    assert made_again(repository, repository.run("app.py", "lr=0.5"), tmp_path) == [True]


@needs("joblib")
def test_a_sweep_of_joblib(repository: Repository, out: Path, tmp_path: Path) -> None:
    repository.commit(
        sweep=HEAD
        + """
from joblib import Parallel, delayed

@Artifact("outpath", config=dict, record=True)
def save(outpath, seed):
    Path(outpath).write_text(f"{seed}")
    return outpath

@Artifact("outpath", config={}, record=True)
def save_with(outpath, hook):
    Path(outpath).write_text("good job")
    return outpath

class Hook:
    pass

if __name__ == "__main__":
    print(*Parallel(2)(delayed(save)("out/foo.txt", seed) for seed in (1, 2)))
    print(*Parallel(2)(delayed(save_with)("out/bar.txt", Hook()) for _ in range(1)))
"""
    )
    assert made_again(repository, repository.run("sweep.py"), tmp_path) == [True, True, True]


@needs("nbclient")
def test_a_module_that_a_notebook_calls(repository: Repository, out: Path, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    repository.write("data/x.csv", "1,2\n")
    repository.commit(
        steps=HEAD
        + """
@Artifact("outpath", config=dict, inputs="table", record=True, allow_dirty=True)
def save(table, outpath):
    Path(outpath).write_text(Path(table).read_text())
    return outpath
"""
    )
    code = (
        "import sys; sys.path.insert(0, '..'); from steps import save; print(save('../data/x.csv', '../out/foo.txt'))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    (repository.path / "notebooks").mkdir()
    client = NotebookClient(notebook, resources={"metadata": {"path": str(repository.path / "notebooks")}})
    client.execute()
    [line] = notebook.cells[0].outputs[0].text.splitlines()
    done = subprocess.CompletedProcess(
        [], 0, os.path.relpath(repository.path / "notebooks" / line, repository.path), ""
    )
    assert made_again(repository, done, tmp_path) == [True]


# The colleague


@pytest.fixture
def served(repository: Repository, tmp_path: Path) -> Iterator[str]:
    """The URL of the repository, as git daemon serves it."""
    base = tmp_path / "served"
    repository.clone(base / "lab.git", "--bare")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["git", "daemon", "--listen=127.0.0.1", f"--port={port}", f"--base-path={base}", "--export-all"]
    with subprocess.Popen(
        [*command, "--verbose", "--reuseaddr"], stderr=subprocess.PIPE, start_new_session=True
    ) as daemon:
        assert daemon.stderr is not None
        while b"Ready to rumble" not in daemon.stderr.readline():
            assert daemon.poll() is None
        yield f"git://127.0.0.1:{port}/lab.git"
        os.killpg(daemon.pid, 15)


COLLEAGUE = """\
import sys, time
import pyrepro
path, url = sys.argv[1:3]
started = time.monotonic()
try:
    result = pyrepro.reproduce(path, **eval(sys.argv[3]))
except pyrepro.ReproduceError as error:
    print(error)
else:
    print(result.same, result.environment, f"{time.monotonic() - started:.1f} s")
"""


def test_a_colleague_with_a_url_and_other_versions_ends_with_the_same_bytes(
    repository: Repository, served: str, out: Path, tmp_path: Path
) -> None:
    program = (
        HEAD
        + """
import iniconfig, importlib.metadata

@Artifact("outpath", record=True)
def save(outpath):
    Path(outpath).write_text(importlib.metadata.version("iniconfig"))
    return outpath

if __name__ == "__main__":
    print(save("out/foo.txt"))
"""
    )
    repository.commit(step=program)
    repository.git("push", "-q", str(tmp_path / "served" / "lab.git"), "HEAD:main")
    repository.git("remote", "add", "origin", served)
    done = repository.run("step.py")
    path = repository.path / done.stdout.strip()
    mail = tmp_path / "mail"
    mail.mkdir()
    for name in (path, f"{path}.pyrepro.json"):
        shutil.copy(name, mail)
    record = mail / f"{path.name}.pyrepro.json"
    # The colleague has an older version, which makes other bytes.
    older = tmp_path / "older"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", older, "iniconfig==2.0.0"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no package index can be reached")
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PYTHONPATH": str(older), "GIT_CONFIG_NOSYSTEM": "1"}
    away = tmp_path / "away"
    repository.path.rename(away)
    author = Repository(away)

    def typed(options: str) -> str:
        done = author.run("-c", COLLEAGUE, mail / path.name, served, options, cwd=mail, env=environment)
        assert done.stderr == ""
        return done.stdout.strip()

    said = typed("{}")
    line = f"type git clone {served}, and pass its path as repo="
    assert said.endswith(line)
    shutil.rmtree(home)
    home.mkdir()
    clone = ["git", "clone", "-q", served, str(home / "lab")]
    assert " ".join([*clone[:2], served]) in line
    subprocess.run(clone, check=True)
    known = read_record(mail / path.name).environment["packages"]["iniconfig"]
    if known == "2.0.0":
        pytest.skip("this environment has the older version itself")
    assert typed(f"dict(repo={str(home / 'lab')!r})").startswith(f"False {{'iniconfig': ({known!r}, '2.0.0')")
    environment.pop("PYTHONPATH")
    started = time.monotonic()
    said = typed(f"dict(repo={served!r}, environment='recorded')")
    assert said.startswith("True "), said
    assert time.monotonic() - started < PATIENCE
    assert sorted(os.listdir(mail)) == sorted([path.name, record.name])


# Three pipelines


def test_the_figures_of_a_paper_with_their_data_in_the_repository(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="the package matplotlib is not installed")
    repository.write("data/yields.csv", "year,yield\n2001,3.1\n2002,3.4\n2003,2.9\n")
    repository.commit(
        src__paper__figures=HEAD
        + """
import csv
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt

@Artifact("outpath", config=dict, inputs="table", record=True)
def plot(table, outpath, kind="line"):
    rows = list(csv.DictReader(Path(table).open()))
    figure, axes = plt.subplots()
    draw = axes.plot if kind == "line" else axes.bar
    draw([int(row["year"]) for row in rows], [float(row["yield"]) for row in rows])
    figure.savefig(outpath)
    return outpath
""",
        scripts__figures="""\
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
from paper.figures import plot

TABLE = Path(__file__).resolve().parents[1] / "data" / "yields.csv"
for kind in ("line", "bar"):
    print(plot(TABLE, f"out/{kind}.png", kind))
""",
    )
    assert made_again(repository, repository.run("scripts/figures.py"), tmp_path) == [True, True]


@needs("openpyxl")
def test_climate_tables_from_a_sheet_that_is_in_no_repository(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    pandas = pytest.importorskip("pandas")
    sheet = tmp_path / "stations.xlsx"
    rows = {"station": ["a", "a", "b", None], "month": [1, 2, 1, 2], "t": [2.5, 3.5, -1, 0]}
    pandas.DataFrame(rows).to_excel(sheet, index=False, sheet_name="2001")
    repository.write(".gitignore", "out/\n")
    repository.commit(
        tables=HEAD
        + """
import pandas

@Artifact("outpath", config=dict, inputs="sheet", record=True)
def clean(sheet, outpath):
    pandas.read_excel(sheet, sheet_name="2001").dropna().to_csv(outpath, index=False)
    return outpath

@Artifact("outpath", config=dict, inputs="table", record=True)
def means(table, outpath, by):
    found = pandas.read_csv(table).groupby(by)["t"].mean()
    # A sheet holds the second in which it was written.
    found.to_csv(outpath) if outpath.endswith("csv") else found.to_excel(outpath)
    return outpath

if __name__ == "__main__":
    table = clean(sys.argv[1], "out/clean.csv")
    for by in (["station"], ("station", "month")):
        print(means(table, "out/means.csv", list(by)))
    print(means(table, "out/means.xlsx", "station"))
"""
    )
    done = repository.run("tables.py", sheet)
    assert made_again(repository, done, tmp_path)[:2] == [True, True]
    again = reproduce(tmp_path / "mail-2" / Path(done.stdout.split()[2]).name, tmp_path / "clone")
    [original, made] = (pandas.read_excel(path) for path in (again.original, again.reproduced))
    assert original.equals(made)
    assert again.same or "the first difference is at byte " in str(again)
    sheet.unlink()
    with pytest.raises(ReproduceError, match="stations"):
        reproduce(tmp_path / "mail-0" / Path(done.stdout.split()[0]).name, tmp_path / "clone")


@needs("hydra")
def test_a_training_whose_input_is_a_cleaned_table(repository: Repository, out: Path, tmp_path: Path) -> None:
    repository.write("conf/config.yaml", "lr: 0.1\ntable: out/clean.csv\n")
    repository.write("raw.csv", "1\n\n2\n")
    repository.write(".gitignore", "out/\noutputs/\n")
    repository.commit(
        steps=HEAD
        + """
@Artifact("outpath", config=dict, inputs="raw", record=True)
def clean(raw, outpath):
    Path(outpath).write_text("".join(line for line in Path(raw).open() if line.strip()))
    return outpath

if __name__ == "__main__":
    print(clean("raw.csv", "out/clean.csv"))
""",
        train=HEAD
        + """
import random
import hydra

@Artifact("outpath", config=lambda call: {"lr": call["cfg"].lr}, inputs="table", record=True)
def train(table, outpath, cfg):
    Path(outpath).write_text(f"{Path(table).read_text()} {cfg.lr} {random.random()}")
    return outpath

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    random.seed(1)
    print(train(cfg.table, "out/model.txt", cfg))

if __name__ == "__main__":
    main()
""",
    )
    table = repository.run("steps.py").stdout.strip()
    done = repository.run("train.py", f"table={table}")
    assert done.returncode == 0, done.stderr
    mail = tmp_path / "mail"
    mail.mkdir()
    model = done.stdout.strip()
    for name in (model, f"{model}.pyrepro.json", f"{table}.pyrepro.json"):
        shutil.copy(repository.path / name, mail)
    clone = repository.clone(tmp_path / "clone")
    repository.path.rename(tmp_path / "away")
    result = reproduce(mail / Path(model).name, clone.path)
    assert result.same, result
    assert json.loads((mail / f"{Path(model).name}.pyrepro.json").read_text())["inputs"]["table"]["artifact"]


def test_what_differs_in_a_date_alone_is_the_same(repository: Repository, out: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="the package pillow is not installed")
    compare = runpy.run_path(str(GUIDES / "compare.py"))
    for number, (date, text) in enumerate([("D:2024", "a"), ("D:2025", "a"), ("D:2024", "b")]):
        content = f"%PDF\n/CreationDate ({date})\n/ID [<{number}>]\n{text}"
        (out / f"{number}.pdf").write_text(content)
        image = pillow.new("RGB", (2, 2), (text == "a" and "white") or "black")
        image.save(out / f"{number}.png", compress_level=number)
    for suffix, same in (("pdf", compare["same_pdf"]), ("png", compare["same_png"])):
        files = [out / f"{number}.{suffix}" for number in range(3)]
        assert (same(files[0], files[1]), same(files[0], files[2])) == (True, False)
