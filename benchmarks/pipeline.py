"""How often the steps of a pipeline run over a history, and how often what they give is wrong; beside other tools.

Run as ``python benchmarks/pipeline.py [<python of an environment with DVC> [<python of one with Snakemake>]]``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from measure import git

COMMITS = 30
CHANGES = {8: "clean.py", 16: "shared.py", 24: "plot.py"}
"""The commits that touch the code of the pipeline; the others touch a README."""

MODULES = {
    "shared.py": "SCALE = {}\n",
    "clean.py": "def clean(raw):\n    return [x for x in raw if x > {}]\n",
    "fit.py": "import shared\n\n\ndef fit(table):\n    return sum(table) * shared.SCALE + {}\n",
    "plot.py": "def plot(model):\n    return 'plot {} of ' + str(model)\n",
}
USES = {"clean": ["clean.py"], "fit": ["fit.py", "shared.py"], "plot": ["plot.py"]}
BEFORE = {"clean": None, "fit": "clean", "plot": "fit"}

STEP = """\
import json, sys
from pathlib import Path

step, source, target = sys.argv[1:]
with open("out/log", "a") as log:
    log.write(step + "\\n")
value = json.loads(Path(source).read_text())
Path(target).write_text(json.dumps(getattr(__import__(step), step)(value)))
"""

PYREPRO = """\
import json
from pathlib import Path

from pyrepro import Artifact
import clean, fit, plot

def made(step, source, outpath):
    with open("out/log", "a") as log:
        log.write(step.__name__ + "\\n")
    Path(outpath).write_text(json.dumps(step(json.loads(Path(source).read_text()))))

OTHERS = {"clean.py", "fit.py", "shared.py", "plot.py"}

def code(*uses):
    return ["pipeline.py", *uses, *("!" + name for name in sorted(OTHERS.difference(uses)))]

@Artifact("outpath", inputs="source", cache=True, code=code("clean.py"))
def cleaned(source, outpath):
    made(clean.clean, source, outpath)

@Artifact("outpath", inputs="source", cache=True, code=code("fit.py", "shared.py"))
def fitted(source, outpath):
    made(fit.fit, source, outpath)

@Artifact("outpath", inputs="source", cache=True, code=code("plot.py"))
def plotted(source, outpath):
    made(plot.plot, source, outpath)

print(plotted(fitted(cleaned("raw.json", "out/clean.json"), "out/fit.json"), "out/plot.json"))
"""

JOBLIB = """\
import json
from pathlib import Path

import joblib
import clean, fit, plot

memory = joblib.Memory("out/joblib", verbose=0)

def logged(name):
    with open("out/log", "a") as log:
        log.write(name + "\\n")

@memory.cache
def cleaned(raw):
    logged("clean")
    return clean.clean(raw)

@memory.cache
def fitted(table):
    logged("fit")
    return fit.fit(table)

@memory.cache
def plotted(model):
    logged("plot")
    return plot.plot(model)

Path("out/plot.json").write_text(json.dumps(plotted(fitted(cleaned(json.loads(Path("raw.json").read_text()))))))
print("out/plot.json")
"""

DVC = "stages:\n" + "".join(
    f"  {step}:\n    cmd: PYTHON step.py {step} {f'out/{before}.json' if before else 'raw.json'} out/{step}.json\n"
    f"    deps: [step.py, {', '.join(USES[step])}, {f'out/{before}.json' if before else 'raw.json'}]\n"
    f"    outs: [out/{step}.json]\n"
    for step, before in BEFORE.items()
)

SNAKEMAKE = "".join(
    f"rule {step}:\n    input: '{f'out/{before}.json' if before else 'raw.json'}', 'step.py', "
    f"{', '.join(map(repr, USES[step]))}\n    output: 'out/{step}.json'\n"
    f"    shell: 'PYTHON step.py {step} {{input[0]}} {{output}}'\n"
    for step, before in reversed(BEFORE.items())
)


def history(top: Path, program: dict[str, str], run: Callable[[Path], str]) -> tuple[int, int]:
    """How many steps ran over the commits, and how many results were not those of the code."""
    top.mkdir()
    (top / "out").mkdir()
    git(top, "init", "-q")
    files = {name: text.format(1) for name, text in MODULES.items()} | program
    files |= {
        "raw.json": "[1, 2, 3, 4]",
        "step.py": STEP,
        ".gitignore": "out/\n.pyrepro/\n__pycache__/\n.snakemake/\n.dvc/\n",
    }
    for name, text in files.items():
        (top / name).write_text(text)
    wrong = 0
    for commit in range(COMMITS):
        if commit in CHANGES:
            (top / CHANGES[commit]).write_text(MODULES[CHANGES[commit]].format(2))
        (top / "README").write_text(f"{commit}\n")
        git(top, "add", "-A")
        git(top, "commit", "-q", "-m", "change")
        wrong += (top / run(top)).read_text() != expected(top)
    return len((top / "out/log").read_text().split()), wrong


def expected(top: Path) -> str:
    program = "import json, clean, fit, plot; print(json.dumps(plot.plot(fit.fit(clean.clean([1, 2, 3, 4])))), end='')"
    return output([sys.executable, "-c", program], top)


def output(command: list[str], top: Path) -> str:
    # Times of a second alone would make compiled files stale.
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=top, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout


def by_program(top: Path) -> str:
    return output([sys.executable, "pipeline.py"], top).strip()


def by_dvc(python: str) -> Callable[[Path], str]:
    def run(top: Path) -> str:
        if not (top / ".dvc").exists():
            output([python, "-m", "dvc", "init", "-q"], top)
        output([python, "-m", "dvc", "repro", "-q"], top)
        return "out/plot.json"

    return run


def by_snakemake(python: str) -> Callable[[Path], str]:
    def run(top: Path) -> str:
        output([python, "-m", "snakemake", "-q", "--cores", "1", "out/plot.json"], top)
        return "out/plot.json"

    return run


def main() -> None:
    # One run of each step, and of what each change reaches: of the plot alone, the plot; of the others, what follows.
    least = 3 + 3 + 2 + 1
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        cases = {
            "pyrepro": ({"pipeline.py": PYREPRO}, by_program),
            "joblib.Memory": ({"pipeline.py": JOBLIB}, by_program),
        }
        others = [("DVC", "dvc.yaml", DVC, by_dvc), ("Snakemake", "Snakefile", SNAKEMAKE, by_snakemake)]
        for python, (name, file, text, by) in zip(sys.argv[1:], others, strict=False):
            cases[name] = {file: text.replace("PYTHON", python)}, by(python)
        for name, (program, run) in cases.items():
            ran, wrong = history(top / re.sub(r"\W", "", name), program, run)
            print(f"{name}: {ran} runs, of {least} that are needed; {wrong} of {COMMITS} results wrong", flush=True)


if __name__ == "__main__":
    main()
