"""Work survives commits, attacked: any order of things that people do to a repository and its clones, against a model.

The model knows what each function depends on, and which of that was made. What a call gives is compared with what the
undecorated function writes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest
from conftest import IDENTITY, PATIENCE, posix_only
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

pytestmark = posix_only

STEPS = """\
import sys
from pathlib import Path

from pyrepro import Artifact
from src import lib

COUNTS = {"fit": ["steps.py", "src", "sub", "params.txt"], "score": ["!docs", "!notes.py"], "late": ["steps.py", "src"]}


def written(step, outpath, alpha):
    from src import lazy

    extra = Path("params.txt").read_text() + Path("sub/core.txt").read_text() if step == "fit" else ""
    if step == "late":
        import notes

        extra = str(notes.X)
    Path(outpath).write_text(f"{step} {alpha} {lib.X} {lazy.X} {extra}")


@Artifact("outpath", config=dict, cache=True, allow_dirty=True, code=COUNTS["fit"])
def fit(outpath, alpha):
    print("runs")
    written("fit", outpath, alpha)


@Artifact("outpath", config=dict, cache=True, allow_dirty=True, code=COUNTS["score"])
def score(outpath, alpha):
    print("runs")
    written("score", outpath, alpha)


@Artifact("outpath", config=dict, cache=True, allow_dirty=True, code=COUNTS["late"])
def late(outpath, alpha):
    print("runs")
    written("late", outpath, alpha)


step, alpha = sys.argv[1:]
# Two functions write one stem, so at one state there is place for one of them.
print(globals()[step](f"out/{'model' if alpha == '1' else step}.txt", alpha))
written(step, "expected.txt", alpha)
"""

FILES = {
    "src/lib.py": "X = 0\n",
    "src/lazy.py": "X = 0\n",
    "notes.py": "X = 0\n",
    "params.txt": "0\n",
    "docs/index.txt": "0\n",
}

REFUSED = (
    "pyrepro.ArtifactMismatchError: ",  # the other function's
    "ValueError: code='params.txt': ",  # moved away
    "FileNotFoundError: ",
    "IndentationError: ",
    "ModuleNotFoundError: ",
    "ImportError: ",
    "SyntaxError: ",  # in conflict
)

paths = st.sampled_from(sorted(FILES))
steps = st.sampled_from(["fit", "score", "late"])
numbers = st.integers(0, 1)
which = st.integers(0, 3)


def git(top: Path, *args: str) -> str:
    environment = os.environ | IDENTITY | {"GIT_ALLOW_PROTOCOL": "file", "GIT_EDITOR": "true"}
    done = subprocess.run(["git", *args], cwd=top, env=environment, capture_output=True, check=False)
    return done.stdout.decode()


class Reuse(RuleBasedStateMachine):
    """Clones of one project that share their artifacts, and what people do to them."""

    template: Path | None = None

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(os.path.realpath(tempfile.mkdtemp()))
        self.tops: list[Path] = []
        self.made: dict[tuple[object, ...], set[Path]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.base)

    @initialize()
    def start(self) -> None:
        top = self.base / "tree0"
        if self.template is None:
            made = Path(tempfile.mkdtemp())
            sub, project = made / "sub", made / "project"
            for path, files in ((sub, {"core.txt": "0\n"}), (project, FILES)):
                path.mkdir()
                git(path, "init", "-q", "-b", "main")
                for name, content in files.items():
                    (path / name).parent.mkdir(exist_ok=True)
                    (path / name).write_text(content)
                if path == project:
                    (path / "steps.py").write_text(STEPS)
                    (path / ".gitignore").write_text("/out\n__pycache__/\n.pyrepro/\nexpected.txt\n")
                    git(path, "submodule", "add", "-q", str(sub), "sub")
                git(path, "add", "-A")
                git(path, "commit", "-q", "-m", "first")
            type(self).template = project
        shutil.copytree(self.template, top, symlinks=True)  # type: ignore[arg-type]
        (self.base / "out").mkdir()
        self.add(top)

    def add(self, top: Path) -> None:
        (top / "out").symlink_to("../out")
        self.tops.append(top)

    def top(self, number: int) -> Path:
        return self.tops[number % len(self.tops)]

    @rule(number=which, path=paths, value=numbers)
    def edit(self, number: int, path: str, value: int) -> None:
        file = self.top(number) / path
        if file.parent.is_dir():
            file.write_text(f"X = {value}\n" if path.endswith(".py") else f"{value}\n")

    @rule(number=which, value=numbers)
    def edit_what_the_submodule_holds(self, number: int, value: int) -> None:
        (self.top(number) / "sub/core.txt").write_text(f"{value}\n")

    @rule(number=which)
    def commit_in_the_submodule(self, number: int) -> None:
        git(self.top(number) / "sub", "commit", "-q", "-a", "-m", "sub")

    @rule(
        number=which,
        args=st.sampled_from(
            [
                ["commit", "-q", "-a", "-m", "change"],
                ["commit", "-q", "-a", "--amend", "-m", "another message"],
                ["commit", "-q", "--allow-empty", "-m", "empty"],
                ["revert", "--no-edit", "HEAD"],
                ["stash"],
                ["stash", "pop"],
                ["checkout", "-q", "-f", "main"],
                ["checkout", "-q", "-b", "side"],
                ["checkout", "-q", "-f", "side"],
                ["merge", "-q", "--no-edit", "-X", "ours", "side"],
                ["merge", "-q", "--squash", "-X", "theirs", "side"],
                ["rebase", "-q", "-X", "theirs", "main"],
                ["cherry-pick", "-X", "theirs", "side"],
                ["reset", "-q", "--soft", "HEAD~1"],
                ["reset", "-q", "--hard", "HEAD~1"],
                ["mv", "docs/index.txt", "docs/other.txt"],
                ["mv", "params.txt", "docs/params.txt"],
                ["mv", "docs/params.txt", "params.txt"],
                ["update-index", "--chmod=+x", "src/lib.py"],
                ["submodule", "update", "-q", "-f"],
                ["gc", "-q", "--prune=now"],
            ]
        ),
    )
    def do(self, number: int, args: list[str]) -> None:
        top = self.top(number)
        git(top, *args)
        for what in ("merge", "rebase", "cherry-pick", "revert"):
            git(top, what, "--abort")

    @rule(number=which, options=st.sampled_from([[], ["--depth=1"]]))
    def clone(self, number: int, options: list[str]) -> None:
        top = self.base / f"tree{len(self.tops)}"
        if len(self.tops) < 3:
            git(self.base, "clone", "-q", *options, f"file://{self.top(number)}", str(top))
            git(top, "submodule", "update", "-q", "--init")
            if (top / "sub/core.txt").exists():
                self.add(top)
            else:  # its commit is in the clone where it was made alone
                shutil.rmtree(top)

    @rule(number=which)
    def remove_the_newest(self, number: int) -> None:
        every = sorted((self.base / "out").glob("*.txt"), key=lambda path: path.stat().st_mtime_ns)
        if every:
            every[-1].unlink()

    @rule(number=which, calls=st.lists(st.tuples(steps, numbers), min_size=1, max_size=3))
    def call_some(self, number: int, calls: list[tuple[str, int]]) -> None:
        for step, alpha in calls:
            self.call(number, step, alpha)

    def call(self, number: int, step: str, alpha: int) -> None:
        top = self.top(number)
        if not (top / "steps.py").exists():  # the first commit was reverted
            return
        key = self.key_of(top, step, alpha)
        is_there = any(one.exists() for one in self.made.get(key, ()))
        done = subprocess.run(
            [sys.executable, "steps.py", step, str(alpha)],
            cwd=top, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, check=False,
            timeout=PATIENCE,
        )  # fmt: skip
        *before, path = done.stdout.splitlines() or [""]
        if done.returncode != 0:
            assert done.stderr.splitlines()[-1].startswith(REFUSED), done.stderr
            return
        artifact = (top / path).resolve()
        assert artifact.read_bytes() == (top / "expected.txt").read_bytes()
        assert before == ([] if is_there else ["runs"]), (key, done.stderr)
        self.made.setdefault(key, set()).add(artifact)

    def key_of(self, top: Path, step: str, alpha: int) -> tuple[object, ...]:
        """What a step depends on: the content of the files that count, and the commit of the submodule."""
        names = git(top, "ls-files", "-z").split("\0")
        if step == "late":  # it loads what is not in its code, so no other name gives it anything
            return step, alpha, git(top, "rev-parse", "HEAD"), git(top, "diff", "HEAD")
        content: list[tuple[str, str]] = []
        for name in sorted({*names, "sub/core.txt"} - {""}):
            counts = (
                name.startswith(("steps.py", "src/", "sub", "params.txt"))
                if step == "fit"
                else not name.startswith(("docs/", "notes.py"))
            )
            file = top / name
            if counts and name == "sub":
                content.append((name, git(file, "rev-parse", "HEAD")))
                content.append(("sub changes", git(file, "diff", "HEAD")))
            elif counts and file.is_file():
                content.append((name, f"{os.stat(file).st_mode & 0o100} {file.read_text()}"))
        return step, alpha, tuple(content)


SETTINGS = hypothesis.settings(
    max_examples=hypothesis.settings().max_examples // 15,
    stateful_step_count=20,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.mark.timeout(0)  # with --hypothesis-profile=long they take hours
@pytest.mark.parametrize("part", range(2))
def test_a_call_runs_exactly_when_nothing_with_its_key_is_there_and_gives_what_running_would(part: int) -> None:
    machine = type(f"{Reuse.__name__}{part}", (Reuse,), {})
    run_state_machine_as_test(machine, settings=SETTINGS)
