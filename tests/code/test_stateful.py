"""The promise, attacked: any order of things that people do to repositories, against a model of file contents.

The model never asks git what changed. It takes what HEAD holds from the objects, which paths the index
has, and what is on disk, and compares them itself.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import hypothesis
import pytest
from conftest import IDENTITY, PATIENCE, posix_only
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from pyrepro import CodeState, DirtyRepositoryError, Tag, code_state, tag

pytestmark = posix_only  # modes and links are part of what is done

Entry = tuple[str, str]

paths = st.sampled_from(["a.py", "b.py", "d/c.py", "d/e é.py", "d", "ignored/g.py", "data.txt"])
contents = st.integers(0, 4).map(lambda number: f"x = {number}\n")
which = st.integers(0, 7)


def git(top: str, *args: str, check: bool = False) -> bytes:
    environment = os.environ | IDENTITY | {"GIT_ALLOW_PROTOCOL": "file"}
    done = subprocess.run(["git", "-C", top, *args], env=environment, capture_output=True, check=check)
    return done.stdout


def blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Truth:
    """What a work tree holds, from the contents of its files."""

    def __init__(self, top: str, loaded: dict[str, Entry]) -> None:
        self.top = top
        self.head = git(top, "rev-parse", "HEAD", check=True).decode().strip()
        committed: dict[str, Entry] = {}
        for line in git(top, "ls-tree", "-r", "-z", "--full-tree", "HEAD", check=True).split(b"\0")[:-1]:
            mode, _, object_id = line.partition(b"\t")[0].decode().split()
            committed[os.fsdecode(line.partition(b"\t")[2])] = (mode, object_id)
        index = {os.fsdecode(path) for path in git(top, "ls-files", "-z", check=True).split(b"\0")[:-1]}
        tracked = committed.keys() | index
        submodules = {path for path in tracked if os.path.lexists(os.path.join(top, path, ".git"))}
        self.changes: dict[str, Entry] = {}
        self.content: dict[str, Entry] = {}
        outside = set()
        for path in loaded:
            if (
                not any(path.startswith(f"{each}/") for each in submodules)
                and path not in tracked
                and not path.startswith("ignored/")
            ):
                outside.add(path)
        for path in tracked | outside:
            expected = committed.get(path, ("000000", ""))
            if path in submodules:
                prefix = f"{path}/"
                inside = {each[len(prefix) :]: loaded[each] for each in loaded if each.startswith(prefix)}
                below = Truth(os.path.join(top, path), inside)
                found = ("160000", below.head)
                changes = {f"{path}/{inner}": entry for inner, entry in below.changes.items()}
                self.changes.update(changes)
                # Its commit says the rest, checked out or not.
                self.content.update(changes)
            elif expected[0] == "160000" and os.path.isdir(os.path.join(top, path)):
                found = expected
            else:
                # What was loaded is what runs, whatever has become of its file.
                found = loaded.get(path) or self.on_disk(path)
            if found[0] != "000000":
                self.content[path] = found
            if found != expected or path in outside:
                self.changes[path] = found

    def on_disk(self, path: str) -> Entry:
        full = self.top
        for part in path.split("/")[:-1]:
            full = os.path.join(full, part)
            if os.path.islink(full):
                return "000000", ""
        full = os.path.join(self.top, path)
        if os.path.islink(full):
            return "120000", blob(os.fsencode(os.readlink(full)))
        if not os.path.isfile(full):
            return "000000", ""
        return self.entry_of(full)

    @staticmethod
    def entry_of(full: str) -> Entry:
        mode = "100755" if os.stat(full).st_mode & stat.S_IXUSR else "100644"
        return mode, blob(Path(full).read_bytes())

    @property
    def state(self) -> CodeState:
        entries = sorted([quote(os.fsencode(path)), *entry] for path, entry in self.changes.items())
        text = json.dumps(entries, separators=(",", ":"))
        return CodeState(self.head, hashlib.sha256(text.encode()).hexdigest() if entries else None)


class Repositories(RuleBasedStateMachine):
    """Some work trees of one project, and what people do to them."""

    template: Path | None = None

    def __init__(self) -> None:
        super().__init__()
        self.base = tempfile.mkdtemp()
        self.tops: list[str] = []
        self.loaded: dict[str, dict[str, Entry]] = {}
        # Work trees of one repository, where what one loads counts in the others, too: of that test_copies.py tells.
        self.linked: set[str] = set()
        self.modules: dict[str, str] = {}
        self.content_of: dict[CodeState, dict[str, Entry]] = {}
        self.state_of: dict[str, CodeState] = {}

    def teardown(self) -> None:
        for name in [name for name in sys.modules if name.startswith("stateful_")]:
            del sys.modules[name]
        shutil.rmtree(self.base)

    def top(self, number: int) -> str:
        return self.tops[number % len(self.tops)]

    def add_top(self, name: str) -> None:
        if os.path.exists(os.path.join(name, ".git")):
            self.tops.append(name)
            self.loaded[name] = {}

    def new_name(self) -> str:
        return os.path.join(os.path.realpath(self.base), f"tree{len(self.tops)}")

    @initialize()
    def start(self) -> None:
        top = self.new_name()
        if self.template is None:
            made = tempfile.mkdtemp()
            git(made, "init", "-q", "-b", "main")
            Path(made, ".gitignore").write_text("ignored/\n*.log\n")
            for name in ("a.py", "d/c.py"):
                Path(made, name).parent.mkdir(exist_ok=True)
                Path(made, name).write_text("x = 0\n")
            git(made, "add", "-A")
            git(made, "commit", "-q", "-m", "first")
            type(self).template = Path(made)
        shutil.copytree(self.template, top, symlinks=True)  # type: ignore[arg-type]
        self.add_top(top)

    @rule(number=which, path=paths, content=contents)
    def write(self, number: int, path: str, content: str) -> None:
        full = Path(self.top(number), path)
        if full.is_dir() or any(above.is_file() for above in full.parents):
            return
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(content)

    @rule(number=which, path=paths)
    def delete(self, number: int, path: str) -> None:
        full = os.path.join(self.top(number), path)
        if os.path.islink(full) or os.path.isfile(full):
            os.unlink(full)
        elif os.path.isdir(full):
            shutil.rmtree(full)

    @rule(number=which, old=paths, new=paths, by_git=st.booleans())
    def rename(self, number: int, old: str, new: str, by_git: bool) -> None:
        top = self.top(number)
        if by_git:
            git(top, "mv", "-f", old, new)
            return
        source, target = os.path.join(top, old), os.path.join(top, new)
        if os.path.isfile(source) and not os.path.isdir(target) and os.path.isdir(os.path.dirname(target)):
            os.replace(source, target)

    @rule(number=which, path=paths, mode=st.sampled_from([0o644, 0o755]))
    def change_mode(self, number: int, path: str, mode: int) -> None:
        full = os.path.join(self.top(number), path)
        if os.path.isfile(full):
            os.chmod(full, mode)

    @rule(number=which, path=paths, to=st.sampled_from(["a.py", "c.py", "elsewhere", "."]))
    def link(self, number: int, path: str, to: str) -> None:
        full = os.path.join(self.top(number), path)
        if not os.path.lexists(full) and os.path.isdir(os.path.dirname(full)):
            os.symlink(to, full)

    @rule(number=which, path=paths)
    def touch(self, number: int, path: str) -> None:
        full = os.path.join(self.top(number), path)
        if os.path.isfile(full):
            os.utime(full)

    @rule(number=which, name=st.sampled_from(["ignored/out.txt", "x.log", "notes.txt", "plot.png"]))
    def write_what_does_not_count(self, number: int, name: str) -> None:
        full = Path(self.top(number), name)
        full.parent.mkdir(exist_ok=True)
        full.write_text("no code\n")

    @rule(number=which)
    def write_an_artifact(self, number: int) -> None:
        top = self.top(number)
        Path(tag({"lr": 0.1}, allow_dirty=True, repo=top).put(os.path.join(top, "model.pkl"))).write_text("good job")

    @rule(number=which, path=st.one_of(paths, st.sampled_from(["sub/code.py", "sub/new.py"])))
    def load(self, number: int, path: str) -> None:
        top = self.top(number)
        full = os.path.join(top, path)
        # Behind a link the module is the file that the link leads to.
        if not path.endswith(".py") or not os.path.isfile(full) or os.path.realpath(full) != full or top in self.linked:
            return
        directory, name = os.path.split(full.removesuffix(".py"))
        sys.path.insert(0, directory)
        importlib.invalidate_caches()
        try:
            module = importlib.import_module(name)
        finally:
            sys.path.remove(directory)
        # Two work trees have files of one name; of the loads of one file the last one stays.
        del sys.modules[name]
        sys.modules.pop(self.modules.get(full, ""), None)
        self.modules[full] = f"stateful_{len(self.modules)}_{name}"
        sys.modules[self.modules[full]] = module
        self.loaded[top][path] = Truth.entry_of(full)

    @rule(
        number=which, args=st.sampled_from([["add", "-A"], ["add", "-u"], ["add", "-N", "."], ["add", "-f", "ignored"]])
    )
    def stage(self, number: int, args: list[str]) -> None:
        git(self.top(number), *args)

    @rule(
        number=which,
        args=st.sampled_from([["reset", "-q"], ["rm", "-q", "--cached", "-r", "d"], ["read-tree", "HEAD"]]),
    )
    def unstage(self, number: int, args: list[str]) -> None:
        git(self.top(number), *args)

    @rule(number=which, path=paths, flag=st.sampled_from(["--assume-unchanged", "--no-assume-unchanged"]))
    def flag(self, number: int, path: str, flag: str) -> None:
        git(self.top(number), "update-index", flag, path)

    @rule(
        number=which,
        args=st.sampled_from(
            [["-a"], ["--allow-empty"], ["--amend", "-a"], ["--amend", "--allow-empty"], ["--allow-empty", "-i", "."]]
        ),
    )
    def commit(self, number: int, args: list[str]) -> None:
        git(self.top(number), "commit", "-q", "-m", f"change {len(self.state_of)}", *args)

    @rule(number=which, name=st.sampled_from(["one", "two"]))
    def branch(self, number: int, name: str) -> None:
        git(self.top(number), "branch", "-f", name)

    @rule(
        number=which,
        args=st.sampled_from([["one"], ["-f", "two"], ["main"], ["--detach"], ["--", "."], ["-f", "HEAD~1"]]),
    )
    def check_out(self, number: int, args: list[str]) -> None:
        git(self.top(number), "checkout", "-q", *args)

    @rule(
        number=which,
        args=st.sampled_from([["--soft", "HEAD~1"], ["--hard", "HEAD~1"], ["--mixed", "HEAD~1"], ["--hard"]]),
    )
    def reset(self, number: int, args: list[str]) -> None:
        git(self.top(number), "reset", "-q", *args)

    @rule(number=which, args=st.sampled_from([["push"], ["push", "-u"], ["pop"], ["apply"]]))
    def stash(self, number: int, args: list[str]) -> None:
        git(self.top(number), "stash", *args)

    @rule(
        number=which,
        args=st.sampled_from([["merge", "one"], ["merge", "two"], ["merge", "--abort"], ["cherry-pick", "one"]]),
    )
    def merge(self, number: int, args: list[str]) -> None:
        git(self.top(number), *args)

    @rule(number=which)
    def add_submodule(self, number: int) -> None:
        git(self.top(number), "submodule", "add", "-q", str(self.template), "sub")

    @rule(number=which, what=st.sampled_from(["edit", "commit", "new", "update", "deinit"]))
    def change_submodule(self, number: int, what: str) -> None:
        top = self.top(number)
        sub = os.path.join(top, "sub")
        if what == "update":
            git(top, "submodule", "update", "-q", "--init")
        elif what == "deinit":
            git(top, "submodule", "deinit", "-q", "-f", "sub")
        elif os.path.lexists(os.path.join(sub, ".git")):
            if what == "edit":
                Path(sub, "a.py").write_text("x = 9\n")
            elif what == "new":
                Path(sub, "new.py").write_text("x = 9\n")
            else:
                git(sub, "commit", "-q", "-a", "--allow-empty", "-m", "sub")

    @rule(number=which, args=st.sampled_from([["clone", "-q"], ["clone", "-q", "--depth=1"]]))
    def clone(self, number: int, args: list[str]) -> None:
        if len(self.tops) < 3:
            git(self.base, *args, f"file://{self.top(number)}", self.new_name())
            self.add_top(self.new_name())

    @rule(number=which)
    def add_work_tree(self, number: int) -> None:
        if len(self.tops) < 3 and not self.loaded[self.top(number)]:
            self.linked |= {self.top(number), self.new_name()}
            git(self.top(number), "worktree", "add", "-q", "--detach", self.new_name())
            self.add_top(self.new_name())

    @rule(
        number=which,
        args=st.sampled_from([["gc", "-q", "--prune=now"], ["pack-refs", "--all"], ["update-index", "--refresh"]]),
    )
    def keep_house(self, number: int, args: list[str]) -> None:
        git(self.top(number), *args)

    @invariant()
    def every_name_is_true(self) -> None:
        for top in self.tops:
            truth = Truth(top, self.loaded[top])
            state = code_state(top)
            assert state == truth.state
            # No name stands for two contents, and no content at a commit has two names.
            assert self.content_of.setdefault(state, truth.content) == truth.content
            content = json.dumps([truth.head, sorted(truth.content.items()), sorted(truth.changes)])
            assert self.state_of.setdefault(content, state) == state
            if truth.changes:
                with pytest.raises(DirtyRepositoryError):
                    tag(repo=top)
            else:
                assert tag(repo=top) == Tag(truth.head[:12], None, "44136fa355b3")


SETTINGS = hypothesis.settings(
    max_examples=hypothesis.settings().max_examples // 4,
    stateful_step_count=25,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.mark.timeout(0)  # with --hypothesis-profile=long they take hours
@pytest.mark.parametrize("part", range(4))
def test_whatever_people_do_every_name_is_true(part: int) -> None:
    """Four parts, which run at once; each draws other examples, since its class has another name."""
    machine = type(f"{Repositories.__name__}{part}", (Repositories,), {})
    run_state_machine_as_test(machine, settings=SETTINGS)


SERVER = """\
import importlib, sys
import pyrepro

for line in sys.stdin:
    command, _, name = line.strip().partition(" ")
    importlib.invalidate_caches()
    try:
        if command == "load":
            importlib.import_module(name)
        elif command == "reload":
            importlib.reload(sys.modules[name])
        answer = "done" if name else str(pyrepro.code_state("."))
    except (ImportError, pyrepro.CodeStateError) as error:
        answer = repr(error)
    print(answer, flush=True)
"""

names = st.sampled_from(["a", "b", "c"])


class Alive(RuleBasedStateMachine):
    """A work tree, and a process that has loaded its code and goes on while people edit, commit and check out."""

    # What b takes of a is left behind where a is loaded again; c goes through the module.
    heads: ClassVar = {"a": "", "b": "from a import x\n", "c": "import a\n"}

    def __init__(self) -> None:
        super().__init__()
        self.top = os.path.realpath(tempfile.mkdtemp())
        self.process: subprocess.Popen[str] | None = None
        self.state_of: dict[str, str] = {}
        self.facts_of: dict[str, str] = {}

    def teardown(self) -> None:
        self.stop()
        shutil.rmtree(self.top)

    def stop(self) -> None:
        if self.process is not None:
            self.process.communicate(timeout=PATIENCE)

    def ask(self, command: str) -> str:
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        print(command, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()

    def file(self, name: str) -> Path:
        return Path(self.top, f"{name}.py")

    @initialize(caches=st.booleans())
    def start(self, caches: bool) -> None:
        self.environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "" if caches else "1"}
        git(self.top, "init", "-q", "-b", "main")
        Path(self.top, ".gitignore").write_text("__pycache__/\n")
        Path(self.top, "server.py").write_text(SERVER)
        for name, head in self.heads.items():
            self.file(name).write_text(f"{head}x = 0\n")
        for number in range(2):
            self.file("a").write_text(f"x = {number}\n")
            git(self.top, "add", "-A")
            git(self.top, "commit", "-q", "-m", "first")
        self.start_again()

    @rule()
    def start_again(self) -> None:
        self.stop()
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, "server.py"], cwd=self.top, env=self.environment, stdin=pipe, stdout=pipe, text=True
        )
        self.loaded: dict[str, str] = {}
        self.taken = ""

    @rule(name=names, content=contents)
    def edit(self, name: str, content: str) -> None:
        self.file(name).write_text(self.heads[name] + content)

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.file(name).unlink(missing_ok=True)

    @rule(name=names)
    def touch(self, name: str) -> None:
        if self.file(name).exists():
            os.utime(self.file(name))

    @rule(args=st.sampled_from([["add", "-A"], ["rm", "-q", "--cached", "b.py"], ["stash"], ["stash", "pop"]]))
    def stage(self, args: list[str]) -> None:
        git(self.top, *args)

    @rule(args=st.sampled_from([["-a"], ["--amend", "-a"], ["--allow-empty"]]))
    def commit(self, args: list[str]) -> None:
        git(self.top, "commit", "-q", "-m", f"change {len(self.state_of)}", *args)

    @rule(args=st.sampled_from([["main"], ["-f", "main"], ["-f", "HEAD~1"], ["--", "."]]))
    def check_out(self, args: list[str]) -> None:
        git(self.top, "checkout", "-q", *args)

    @rule(name=names)
    def load(self, name: str) -> None:
        imported = {name, "a"} - self.loaded.keys()
        if name in imported and all(self.file(each).exists() for each in imported):
            assert self.ask(f"load {name}") == "done"
            if "a" in imported:
                self.loaded["a"] = self.file("a").read_text()
            self.takes(name)

    @rule(name=names)
    def reload(self, name: str) -> None:
        if name in self.loaded and self.file(name).exists():
            assert self.ask(f"reload {name}") == "done"
            self.takes(name)

    def takes(self, name: str) -> None:
        self.loaded[name] = self.file(name).read_text()
        if name == "b":
            self.taken = self.loaded["a"]

    @invariant()
    def the_name_says_what_was_loaded(self) -> None:
        if self.process is None:
            return
        loaded = {f"{name}.py": ("100644", blob(content.encode())) for name, content in self.loaded.items()}
        truth = Truth(self.top, loaded)
        state = self.ask("state")
        is_behind = "b" in self.loaded and self.taken != self.loaded["a"]
        if not is_behind:
            assert state == str(truth.state)
            return
        # The id of what was left behind is of the contents alone, and of no others.
        changes = sorted(change for change in truth.changes.items() if change[0] != "b.py")
        facts = json.dumps([truth.head, changes, self.taken, self.loaded["a"], self.loaded["b"]])
        assert state.startswith(f"{truth.head}-dirty-")
        assert self.state_of.setdefault(facts, state) == state
        assert self.facts_of.setdefault(state, facts) == facts


@pytest.mark.timeout(0)
def test_whatever_people_do_while_a_process_goes_on_its_name_says_what_it_has_loaded() -> None:
    settings = hypothesis.settings(SETTINGS, max_examples=hypothesis.settings().max_examples // 12)
    run_state_machine_as_test(Alive, settings=settings)
