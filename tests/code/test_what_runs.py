"""The name says the code that runs, whatever is edited while it runs."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from conftest import PATIENCE, Repository, names_dirty

from pyrepro._code import start

EMPTY = "44136fa355b3"

# What is imported last is known to have been read once Python looks for another module.
WAITS = "import colorsys\nprint('waiting', flush=True)\ninput()\n"

TRAIN = """\
{before}
from pyrepro import Artifact
{after}

@Artifact("outpath", allow_dirty={allow})
def save(outpath):
    {inside}
    with open(outpath, "w") as outf:
        outf.write(str(helper.LR))
    return outpath

print(save("foo.txt"))
"""


def train(*, before: str = "", after: str = "", inside: str = "0", allow: bool = True) -> str:
    return TRAIN.format(before=before, after=after, inside=inside, allow=allow)


def blob(content: str) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content.encode()).hexdigest()


def tag(commit: str, **changes: str) -> str:
    """The tag of the empty configuration and these files, from the definition."""
    if not changes:
        return f"{commit[:12]}-{EMPTY}"
    entries = sorted([f"{name.replace('__', '/')}.py", "100644", blob(content)] for name, content in changes.items())
    digest = hashlib.sha256(json.dumps(entries, separators=(",", ":")).encode()).hexdigest()
    return f"{commit[:12]}-dirty-{digest[:12]}-{EMPTY}"


def timeless(message: str) -> str:
    """A message, with a word in the place of each time."""
    return re.sub(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\b", "<time>", message)


def took_stale(cached: Path) -> str:
    """The error where Python took a compiled cache of helper.py from before an edit."""
    return (
        f"pyrepro.CodeStateError: which code runs cannot be determined: Python took {cached}, which was written at <time>, for "
        f"{cached.parent.parent}/helper.py, which was written at <time>, but it was compiled from another source; "
        f"delete {cached.parent}, and start the program again"
    )


class Alive:
    """A program that prints a line where it waits, and goes on when it is told to."""

    def __init__(self, repository: Repository, *arguments: str) -> None:
        pipe, started = subprocess.PIPE, time.time()
        self.process = subprocess.Popen(
            [sys.executable, *arguments], cwd=repository.path, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        # What is written as soon as a process has started counts as written before, since the clocks are coarse.
        while time.time() < started + 0.05:
            time.sleep(0.01)

    def step(self) -> None:
        """Let it go on to where it waits next."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(file=self.process.stdin, flush=True)
        self.line = self.process.stdout.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def go_on(self) -> tuple[str, str]:
        """What it prints from here on to its end."""
        return self.process.communicate("\n", timeout=PATIENCE)


def test_an_edit_while_another_module_is_imported_changes_no_name(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", slow=WAITS, train=train(after="import helper, slow"))
    alive = Alive(repository, "train.py")
    repository.write("helper.py", "LR = 2\n")
    repository.write("train.py", train(after="import helper, slow # edited"))
    assert alive.go_on() == (f"foo-{tag(repository.head)}.txt\n", "")
    assert (repository.path / f"foo-{tag(repository.head)}.txt").read_text() == "1"


def test_an_edit_that_is_committed_meanwhile_leaves_what_was_loaded_as_a_change(repository: Repository) -> None:
    script = train(after="import helper, slow")
    repository.commit(helper="LR = 1\n", slow=WAITS, train=script)
    alive = Alive(repository, "train.py")
    repository.commit(helper="LR = 2\n", train=train(after="import helper, slow # edited"))
    stdout, stderr = alive.go_on()
    assert stdout == f"foo-{tag(repository.head, helper='LR = 1' + chr(10), train=script)}.txt\n"
    assert stderr == (
        f"{names_dirty(stdout)}the work tree {repository.path} has changes that commit {repository.head[:12]} does not hold:\n"
        f"  helper.py (as it was loaded; the file holds something else now)\n"
        f"  train.py (as it was loaded; the file holds something else now)\n"
    )


def test_what_was_loaded_before_pyrepro_and_written_since_is_unknown(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", slow=WAITS, train=train(before="import helper, slow", allow=False))
    alive = Alive(repository, "train.py")
    repository.write("helper.py", "LR = 2\n")
    stdout, stderr = alive.go_on()
    error = stderr.splitlines()[-1]
    assert stdout == ""
    assert error.startswith(
        f"pyrepro.CodeStateError: which code runs cannot be determined: {repository.path}/helper.py was written at "
    )
    assert error.endswith(
        ", so the module helper may have been loaded from something else; start the program again, or in a session type "
        "importlib.reload(helper); import pyrepro above the other imports settles it for the next time"
    )


def test_an_unknown_module_makes_names_that_no_other_run_shares_where_dirty_is_allowed(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", slow=WAITS, train=train(before="import helper, slow"))
    names = set()
    for number in range(2):
        alive = Alive(repository, "train.py")
        repository.write("helper.py", f"LR = {number}\n")
        stdout, stderr = alive.go_on()
        assert stdout.startswith(f"foo-{repository.head[:12]}-dirty-")
        assert f"  helper.py: {repository.path}/helper.py was written at " in stderr
        names.add(stdout)
    assert len(names) == 2


def test_a_script_that_is_edited_before_it_imports_pyrepro_is_unknown(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", train=WAITS + train(before="import helper", allow=False))
    alive = Alive(repository, "train.py")
    repository.write("train.py", WAITS + "# edited\n")
    error = alive.go_on()[1].splitlines()[-1]
    assert error.startswith(
        f"pyrepro.CodeStateError: which code runs cannot be determined: {repository.path}/train.py was written"
    )
    assert error.endswith("so the module __main__ may have been loaded from something else; start the program again")


def test_a_script_written_after_the_process_began_is_known_by_its_body(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", train=WAITS + train(before="import helper"))
    alive = Alive(repository, "train.py")
    os.utime(repository.path / "train.py")
    assert alive.go_on() == (f"foo-{tag(repository.head)}.txt\n", "")


def test_a_helper_that_the_function_imports_counts_as_it_was_loaded(repository: Repository) -> None:
    script = train(inside=f"import helper; {WAITS.strip().replace(chr(10), '; ')}")
    repository.commit(helper="LR = 1\n", train=script)
    alive = Alive(repository, "train.py")
    repository.write("helper.py", "LR = 2\n")
    assert alive.go_on() == (f"foo-{tag(repository.head)}.txt\n", "")


def test_a_tag_at_the_end_of_a_script_is_of_the_code_that_was_loaded(repository: Repository) -> None:
    script = f"import pyrepro\nimport helper\n{WAITS}print(pyrepro.tag(allow_dirty=True))\n"
    repository.commit(helper="LR = 1\n", late=script)
    alive = Alive(repository, "late.py")
    repository.commit(helper="LR = 2\n")
    assert alive.go_on()[0] == tag(repository.head, helper="LR = 1\n") + "\n"


def test_a_decoration_after_an_hour_is_of_the_code_that_was_loaded(repository: Repository) -> None:
    steps = train(after="import helper")
    repository.commit(helper="LR = 1\n", steps=steps, main=f"import pyrepro, helper\n{WAITS}import steps\n")
    alive = Alive(repository, "main.py")
    repository.commit(helper="LR = 2\n")
    assert alive.go_on()[0] == f"foo-{tag(repository.head, helper='LR = 1' + chr(10))}.txt\n"


def same_size_and_time(path: Path, content: str) -> None:
    before = path.stat()
    path.write_text(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.usefixtures("caching")
def test_a_stale_compiled_cache_is_not_taken(repository: Repository) -> None:
    repository.write(".gitignore", "__pycache__/\n*.txt\n")
    repository.commit(helper="LR = 1\n", train=train(after="import helper"))
    first = repository.head
    assert repository.run("train.py").stdout == f"foo-{tag(first)}.txt\n"
    same_size_and_time(repository.path / "helper.py", "LR = 2\n")
    repository.commit()
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head)}.txt\n"
    assert (repository.path / f"foo-{tag(repository.head)}.txt").read_text() == "2"


@pytest.mark.usefixtures("caching")
@pytest.mark.parametrize("mode", ["unchecked-hash", "checked-hash", "timestamp"])
def test_a_cache_that_is_not_to_be_checked_is_checked(repository: Repository, mode: str) -> None:
    repository.commit(helper="LR = 1\n", train=train(after="import helper"))
    repository.write(".gitignore", "__pycache__/\n*.txt\n")
    repository.run("-m", "compileall", "-q", "--invalidation-mode", mode, "helper.py")
    repository.commit(helper="LR = 20\n")
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head)}.txt\n"
    assert (repository.path / f"foo-{tag(repository.head)}.txt").read_text() == "20"


@pytest.mark.usefixtures("caching")
def test_a_stale_cache_that_was_taken_before_pyrepro_is_an_error_that_names_the_directory_to_delete(
    repository: Repository,
) -> None:
    repository.commit(helper="LR = 1\n", train=train(before="import helper", allow=False))
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head)}.txt\n"
    same_size_and_time(repository.path / "helper.py", "LR = 2\n")
    repository.commit()
    cached = repository.path / "__pycache__" / f"helper.{sys.implementation.cache_tag}.pyc"
    assert timeless(repository.run("train.py").stderr.splitlines()[-1]) == took_stale(cached)


@pytest.mark.usefixtures("caching")
def test_the_compiled_cache_says_what_a_young_file_was_loaded_as(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", slow=WAITS, train=train(before="import slow, helper"))
    alive = Alive(repository, "train.py")
    os.utime(repository.path / "helper.py")  # after the process started, as after a checkout in the shell that it was
    assert alive.go_on() == (f"foo-{tag(repository.head)}.txt\n", "")


def test_a_program_that_writes_a_module_and_imports_it_has_its_name(repository: Repository) -> None:
    repository.commit(train=train(after="open('helper.py', 'w').write('LR = 1\\n')\nimport helper"))
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head, helper='LR = 1' + chr(10))}.txt\n"


EARLIER = "import time\nnow = time.time_ns\ntime.time_ns = lambda: now() - 3_600_000_000_000\n"
"""The clock of the computer is an hour behind that of the file system."""


def test_a_file_from_the_future_is_named_as_such(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", train=train(before=f"{EARLIER}import helper", allow=False))
    error = timeless(repository.run("train.py").stderr.splitlines()[-1])
    assert error == (
        f"pyrepro.CodeStateError: which code runs cannot be determined: {repository.path}/helper.py was written at <time>, which "
        f"is in the future: by this computer's clock it is <time>, so that clock or the one of the file system is wrong; "
        f"set it right, type: touch {repository.path}/helper.py, and start the program again, or in a session type "
        f"importlib.reload(helper)"
    )


def test_a_file_from_the_future_is_named_as_such_where_it_was_written_after_it_was_loaded(
    repository: Repository,
) -> None:
    lazy = LAZY.format(first="", then=f"{EARLIER}helper.LR").replace("(allow_dirty=True)", "()")
    repository.commit(helper="LR = 1\n", main=lazy.replace(*WITH_OWN_LOADER))
    alive = Alive(repository, "main.py")
    repository.write("helper.py", "LR = 2\n")
    assert timeless(alive.go_on()[1].splitlines()[-1]) == (
        f"pyrepro.CodeStateError: which code runs cannot be determined: {repository.path}/helper.py was written at <time>, which "
        f"is in the future: by this computer's clock it is <time>, so that clock or the one of the file system is wrong; "
        f"set it right, type: touch {repository.path}/helper.py, and start the program again, or in a session type "
        f"importlib.reload(helper)"
    )


# Innocent programs


LAZY = """\
import importlib.util, sys
import pyrepro

spec = importlib.util.find_spec("helper")
spec.loader = importlib.util.LazyLoader(spec.loader)
helper = importlib.util.module_from_spec(spec)
sys.modules["helper"] = helper
spec.loader.exec_module(helper)
{first}
print("waiting", flush=True)
input()
{then}
print(pyrepro.tag(allow_dirty=True))
"""


WITH_OWN_LOADER = (
    'spec = importlib.util.find_spec("helper")\n',
    """\
class Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        return compile(self.get_data(self.path), self.path, "exec")
spec = importlib.util.find_spec("helper")
spec.loader = Loader("helper", spec.origin)
""",
)
"""What makes code of a source in its own way is not seen as it does so."""


def test_a_lazy_module_counts_as_it_was_loaded_at_its_first_use(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", main=LAZY.format(first="", then=f"helper.LR\n{WAITS}"))
    alive = Alive(repository, "main.py")
    repository.commit(helper="LR = 2\n")
    assert alive.process.stdin is not None and alive.process.stdout is not None
    alive.process.stdin.write("\n")
    alive.process.stdin.flush()
    assert alive.process.stdout.readline() == "waiting\n"
    repository.write("helper.py", "LR = 3\n")
    assert alive.go_on() == (f"{tag(repository.head)}\n", "")


def test_a_lazy_module_of_a_loader_of_its_own_that_was_edited_before_its_first_use_is_unknown(
    repository: Repository,
) -> None:
    lazy = LAZY.format(first="", then="helper.LR").replace(*WITH_OWN_LOADER)
    repository.commit(helper="LR = 1\n", main=lazy)
    alive = Alive(repository, "main.py")
    repository.commit(helper="LR = 2\n")
    assert alive.go_on()[0].startswith(f"{repository.head[:12]}-dirty-")  # nobody saw when it was read


def test_a_lazy_module_that_nobody_edits_is_as_any_other(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", main=LAZY.format(first="helper.LR", then=""))
    assert Alive(repository, "main.py").go_on() == (f"{tag(repository.head)}\n", "")


def test_a_lazy_module_that_is_never_used_may_be_edited(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # what measures looks into all modules
    repository.commit(helper="LR = 1\n", main=LAZY.format(first="", then=""))
    alive = Alive(repository, "main.py")
    repository.commit(helper="LR = 2\n")
    assert alive.go_on() == (f"{tag(repository.head)}\n", "")


def test_imports_from_sixteen_threads_are_all_seen(repository: Repository) -> None:
    script = """\
import concurrent.futures, importlib
import pyrepro
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    list(pool.map(importlib.import_module, [f"part_{number}" for number in range(64)]))
import colorsys
print("waiting", flush=True)
input()
print(pyrepro.tag())
"""
    repository.commit(main=script, **{f"part_{number}": f"X = {number}\n" for number in range(64)})
    alive = Alive(repository, "main.py")
    for number in range(64):
        repository.write(f"part_{number}.py", "X = -1\n")
    assert alive.go_on() == (f"{tag(repository.head)}\n", "")


FINDERS = """\
import importlib.machinery, importlib.util, sys
{first}
import pyrepro
{then}

class Mine:
    asked = []

    def find_spec(self, name, path=None, target=None):
        self.asked.append(name)
        if name == "made":
            return importlib.machinery.ModuleSpec("made", self)
        if name == "asks_back" and self.asked.count(name) == 1:
            importlib.util.find_spec(name)
        return importlib.machinery.PathFinder.find_spec(name, path) if name == "helper" else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.LR = 3

class Old:
    find_module = staticmethod(lambda name, path=None: None)

sys.meta_path.insert({place}, Mine())
sys.meta_path.append(Old())
import helper, made
try:
    import asks_back
except ImportError as error:
    print(error.name)
print(helper.LR, made.LR, pyrepro.tag(allow_dirty=True))
"""


@pytest.mark.parametrize("place", [0, 1, 99])
def test_other_finders_are_asked_wherever_they_are_put(repository: Repository, place: int) -> None:
    repository.commit(helper="LR = 1\n", main=FINDERS.format(first="", then="", place=place))
    assert repository.run("main.py").stdout == f"asks_back\n1 3 {tag(repository.head)}\n"


def test_an_import_never_fails_because_of_the_finder(repository: Repository) -> None:
    repository.commit(
        helper="LR = 1\n",
        main=FINDERS.format(first="", then="", place=99)
        .replace(
            "sys.meta_path.insert",
            "import pyrepro._code.imports as imports\nload = imports._keep\nimports._keep = None\nsys.meta_path.insert",
        )
        .replace("print(helper.LR", "imports._keep = load\nprint(helper.LR"),
    )
    assert repository.run("main.py").stdout == f"asks_back\n1 3 {tag(repository.head)}\n"


def test_specs_are_the_same_with_and_without_the_finder() -> None:
    script = """\
import importlib.util, json, pkgutil, sys
{}
names = sorted({{*sys.stdlib_module_names, *(module.name for module in pkgutil.iter_modules())}})
found = {{}}
for name in names:
    try:
        spec = importlib.util.find_spec(name)
        found[name] = None if spec is None else [spec.name, str(spec.origin), type(spec.loader).__name__, spec.cached]
    except Exception as error:
        found[name] = repr(error)
print(json.dumps(found))
"""
    with_it, without = (
        subprocess.run(
            [sys.executable, "-c", script.format(line)], capture_output=True, text=True, check=True, timeout=PATIENCE
        ).stdout
        for line in ("import pyrepro", "import json, importlib.metadata")
    )
    ours, theirs = json.loads(with_it), json.loads(without)
    assert len(ours) > 200
    assert ours == theirs


def test_a_package_may_make_of_its_path_what_it_likes(repository: Repository) -> None:
    script = """\
import pyrepro, odd
try:
    import odd.inner
except ImportError as error:
    print(error.name, pyrepro.tag())
"""
    repository.commit(odd="__path__ = [3]\n", main=script)
    assert repository.run("main.py").stdout == f"odd.inner {tag(repository.head)}\n"


def test_a_file_that_is_loaded_under_two_names_and_written_in_between_is_unknown(repository: Repository) -> None:
    script = (
        f"import pyrepro, lib.model\n{WAITS}import sys; sys.path.insert(0, 'lib')\nimport model\nprint(pyrepro.tag())\n"
    )
    repository.commit(main=script)
    alive = Alive(repository, "main.py")
    repository.write("lib/model.py", "LAYERS = 3\n")
    assert timeless(alive.go_on()[1].splitlines()[-1]) == (
        f"pyrepro.CodeStateError: which code runs cannot be determined: lib.model and model were loaded from "
        f"{repository.path}/lib/model.py, which was written at <time>, and held something else between their loads; "
        f"start the program again"
    )


def test_an_archive_that_is_written_after_a_module_was_loaded_from_it_is_unknown(repository: Repository) -> None:
    script = f"import os, sys, pyrepro; sys.path.insert(0, os.path.abspath('lib.zip'))\nimport zipped\n{WAITS}print(pyrepro.tag())\n"
    with zipfile.ZipFile(repository.path / "lib.zip", "w") as archive:
        archive.writestr("zipped.py", "x = 1\n")
    repository.commit(main=script)
    alive = Alive(repository, "main.py")
    with zipfile.ZipFile(repository.path / "lib.zip", "w") as archive:
        archive.writestr("zipped.py", "x = 2\n")
    error = alive.go_on()[1].splitlines()[-1]
    assert error.startswith(
        f"pyrepro.CodeStateError: which code runs cannot be determined: {repository.path}/lib.zip was written"
    )
    assert error.endswith(
        ", and what such files held is not kept; start the program again, or in a session type importlib.reload(zipped)"
    )


def test_a_file_that_is_written_while_python_reads_it_is_unknown(repository: Repository) -> None:
    script = """\
import sys
from importlib.machinery import PathFinder, SourceFileLoader
import pyrepro

class Loader(SourceFileLoader):
    def get_data(self, path):
        if path.endswith("helper.py"):
            open(path, "w").write("LR = 2\\n")
        return super().get_data(path)

class Finder:
    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path)
        if name == "helper":
            spec.loader = Loader(name, spec.origin)
        return spec

sys.meta_path.insert(1, Finder())
import helper
print(pyrepro.tag())
"""
    repository.commit(helper="LR = 1\n", main=script)
    error = repository.run("main.py").stderr.splitlines()[-1]
    assert error.startswith(
        f"pyrepro.CodeStateError: which code runs cannot be determined: {repository.path}/helper.py was written"
    )
    assert ", and when Python read it is not known; start the program again" in error


@pytest.mark.usefixtures("caching")
@pytest.mark.parametrize("content", [b"", b"no cache of any Python", b"{magic}\0\0\0\0{time}{size}garbage"])
def test_a_cache_that_is_garbage_is_not_taken(repository: Repository, content: bytes) -> None:
    repository.write(".gitignore", "__pycache__/\n*.txt\n")
    repository.commit(helper="LR = 1\n", train=train(after="import helper"))
    status = (repository.path / "helper.py").stat()
    made = content.replace(b"{magic}", importlib.util.MAGIC_NUMBER)
    made = made.replace(b"{time}", int(status.st_mtime).to_bytes(4, "little"))
    cached = repository.write(
        f"__pycache__/helper.{sys.implementation.cache_tag}.pyc",
        made.replace(b"{size}", status.st_size.to_bytes(4, "little")),
    )
    os.utime(cached, (1, 1))
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head)}.txt\n"


def test_a_script_that_is_no_python_any_more_is_unknown(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", train=WAITS + train(before="import helper", allow=False))
    alive = Alive(repository, "train.py")
    repository.write("train.py", "this is no Python\n")
    assert "the module __main__ may have been loaded from something else" in alive.go_on()[1]


@pytest.mark.usefixtures("caching")
def test_an_edit_after_the_cache_was_written_is_unknown(repository: Repository) -> None:
    repository.write(".gitignore", "__pycache__/\n*.txt\n")
    repository.commit(helper="LR = 1\n", slow=WAITS, train=train(before="import slow, helper", allow=False))
    repository.run("-c", "import helper")
    alive = Alive(repository, "train.py")
    repository.write("helper.py", "LR = 30\n")
    stdout, stderr = alive.go_on()
    assert (stdout, stderr) != ("", "")


def test_the_patch_of_a_record_holds_what_was_loaded(repository: Repository) -> None:
    script = train(after="import helper, slow").replace("allow_dirty=True", "allow_dirty=True, record=True")
    repository.write("helper.py", "LR = 0\n")
    repository.commit(slow=WAITS, train=script)
    repository.write("helper.py", "LR = 1\n")
    alive = Alive(repository, "train.py")
    repository.write("helper.py", "LR = 2\n")
    stdout, _ = alive.go_on()
    assert stdout == f"foo-{tag(repository.head, helper='LR = 1' + chr(10))}.txt\n"
    record = json.loads((repository.path / f"{stdout.strip()}.pyrepro.json").read_text())
    assert b"\n-LR = 0\n+LR = 1\n" in (repository.path / record["code"]["patch"]).read_bytes()


def test_a_file_that_is_unchanged_beside_the_loaded_one_keeps_its_mode(repository: Repository) -> None:
    repository.write("helper.py", "LR = 1\n").chmod(0o755)
    repository.commit(slow=WAITS, train=train(after="import helper, slow"))
    alive = Alive(repository, "train.py")
    repository.write("helper.py", "LR = 2\n").chmod(0o644)
    assert alive.go_on()[0] == f"foo-{tag(repository.head)}.txt\n"


# What is in sys.modules no more, or only says that it is a module

GONE = """\
{first}
from pyrepro import Artifact
{imports}

@Artifact("outpath", allow_dirty=True)
def save(outpath):
    {inside}
    open(outpath, "w").close()
    return outpath

print(save("foo.txt"))
"""


@pytest.mark.parametrize(
    ("imports", "inside"),
    [
        ("import replacing", "0"),
        ("import helper, sys; del sys.modules['helper']", "0"),
        ("", "import replacing"),
        ("", "import helper, sys; del sys.modules['helper']"),
    ],
)
def test_a_module_that_is_in_sys_modules_no_more_counts(repository: Repository, imports: str, inside: str) -> None:
    replacing = "import sys\nclass H: LR = 1\nsys.modules[__name__] = H()\n"
    repository.commit(train=GONE.format(first="", imports=imports, inside=inside))
    repository.write("replacing.py", replacing)
    repository.write("helper.py", "LR = 1\n")
    loaded = {"replacing": replacing} if "replacing" in imports + inside else {"helper": "LR = 1\n"}
    repository.run("train.py")
    assert [path.name for path in repository.path.glob("foo-*")] == [f"foo-{tag(repository.head, **loaded)}.txt"]


def test_a_replaced_module_that_is_edited_and_committed_is_a_change(repository: Repository) -> None:
    replacing = "import sys\nclass H: LR = 1\nsys.modules[__name__] = H()\n"
    repository.commit(
        replacing=replacing, slow=WAITS, train=GONE.format(first="", imports="import replacing, slow", inside="0")
    )
    alive = Alive(repository, "train.py")
    repository.commit(replacing="LR = 2\n")
    assert alive.go_on()[0] == f"foo-{tag(repository.head, replacing=replacing)}.txt\n"


def test_a_module_from_before_pyrepro_that_is_in_sys_modules_no_more_counts_as_it_was_loaded(
    repository: Repository,
) -> None:
    imports = "import sys, slow; del sys.modules['helper']"
    train = GONE.format(first="import helper", imports=imports, inside="0")
    repository.commit(helper="LR = 1\n", slow=WAITS, train=train)
    alive = Alive(repository, "train.py")
    repository.commit(helper="LR = 2\n")
    assert alive.go_on()[0] == f"foo-{tag(repository.head, helper='LR = 1' + chr(10))}.txt\n"


def test_a_committed_module_from_before_pyrepro_may_leave_sys_modules(repository: Repository) -> None:
    train = GONE.format(first="import helper", imports="import sys; del sys.modules['helper']", inside="0")
    repository.commit(helper="LR = 1\n", train=train)
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head)}.txt\n"


def test_modules_of_one_name_from_several_directories_all_count(repository: Repository) -> None:
    script = """\
import sys
from pyrepro import Artifact
sys.path.insert(0, "a")
import utils
LR = utils.LR
del sys.modules["utils"]
sys.path[0] = "b"
import utils
@Artifact("p", allow_dirty=True)
def save(p): return p, LR, utils.LR
print(*save("foo"))
"""
    repository.write("b/utils.py", "LR = 2\n")
    repository.commit(main=script)
    repository.write("a/utils.py", "LR = 1\n")
    assert repository.run("main.py").stdout == f"foo-{tag(repository.head, a__utils='LR = 1' + chr(10))} 1 2\n"
    repository.commit()
    assert repository.run("main.py").stdout == f"foo-{tag(repository.head)} 1 2\n"


def test_every_conftest_counts(repository: Repository) -> None:
    test = """\
from pyrepro import Artifact
@Artifact("p", allow_dirty=True)
def save(p): return p
def test_it(lr): print("made", save("foo"), lr)
"""
    repository.write("tests/sub/test_it.py", test)
    repository.write("tests/sub/conftest.py", "")
    repository.write("pytest.ini", "[pytest]\n")
    repository.commit()
    conftest = "import pyrepro, pytest\n@pytest.fixture\ndef lr(): return 1\n"
    repository.write("tests/conftest.py", conftest)
    options = ["-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"]
    made = [line for line in repository.run(*options).stdout.splitlines() if line.startswith("made")]
    assert made == [f"made foo-{tag(repository.head, tests__conftest=conftest)} 1"]


ODD = {
    "a mock of a module": "import json, sys, unittest.mock; sys.modules['odd'] = unittest.mock.create_autospec(json)",
    "no IPython": "import sys, types; sys.modules['IPython'] = types.ModuleType('IPython')",
    "a file with NUL": "import sys, types; sys.modules['odd'] = types.ModuleType('odd'); sys.modules['odd'].__file__ = '/a' + chr(0) + 'b'",
    "a spec that raises": (
        "import sys, types; S = type('S', (), {'name': property(lambda self: 1 / 0), 'loader_state': None}); "
        "sys.modules['odd'] = types.ModuleType('odd'); sys.modules['odd'].__spec__ = S(); "
        "sys.modules['odd'].__file__ = '/nowhere/odd.py'"
    ),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("is_late", [False, True])
def test_odd_things_in_sys_modules_harm_nobody(repository: Repository, odd: str, is_late: bool) -> None:
    first, inside = ("", f"{ODD[odd]}; import lib.model") if is_late else (ODD[odd], "import lib.model")
    repository.commit(train=GONE.format(first=first, imports="", inside=inside))
    done = repository.run("train.py")
    assert done.stdout == f"foo-{tag(repository.head)}.txt\n", done.stderr


def test_a_module_that_is_replaced_by_a_mock_does_not_break_the_next_import(repository: Repository) -> None:
    mock = "import sys, unittest.mock, helper; sys.modules['helper'] = unittest.mock.create_autospec(helper); import colorsys"
    repository.commit(helper="LR = 1\n", train=GONE.format(first="", imports=mock, inside="0"))
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head)}.txt\n"


@pytest.mark.parametrize("options", ["", ", atomic=True"])
def test_work_is_kept_where_git_fails_after_it(repository: Repository, options: str) -> None:
    script = GONE.format(first="import os", imports="", inside="os.environ['PATH'] = '/nowhere'; import lib.model")
    repository.commit(train=script.replace("allow_dirty=True", f"allow_dirty=True{options}"))
    done = repository.run("train.py")
    [kept] = repository.path.glob("foo-*.txt")
    assert kept.name.startswith(f"foo-{repository.head[:12]}-dirty-")
    assert "what save has run cannot be determined: git could not be started" in done.stderr


GIT_FAILS = {
    "git could not be started": "import os; os.environ['PATH'] = '/nowhere'",
    "not a tree object": (
        "import subprocess; subprocess.run('git commit -q --amend -m other && git reflog expire --expire=now --all && "
        "git gc -q --prune=now', shell=True, check=True)"
    ),
}


@pytest.mark.parametrize("words", GIT_FAILS)
@pytest.mark.parametrize("options", ["", ", atomic=True"])
def test_work_is_kept_where_git_fails_between_the_decoration_and_a_call(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, words: str, options: str
) -> None:
    monkeypatch.setenv("GIT_COMMITTER_NAME", "A")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "a@example.org")
    script = train(after="import helper", allow=False).replace("allow_dirty=False", f"allow_dirty=False{options}")
    repository.commit(
        helper="LR = 1\n", late="", train=script.replace("print(", f"{GIT_FAILS[words]}\nimport late\nprint(")
    )
    commit = repository.head
    done = repository.run("train.py")
    [kept] = repository.path.glob("foo-*.txt")
    assert (kept.name[:22], kept.read_text()) == (f"foo-{commit[:12]}-dirty", "1")
    assert done.stdout == f"{kept.name}\n"  # and the program goes on
    assert "what save is about to run cannot be determined: git c" in done.stderr
    assert words in done.stderr


FOUND_EARLY = """\
import pyrepro, importlib.util, sys
spec = importlib.util.find_spec("helper")
import colorsys
open("helper.py", "w").write("LR = 22\\n")
helper = importlib.util.module_from_spec(spec)
sys.modules["helper"] = helper
spec.loader.exec_module(helper)
print(pyrepro.tag(allow_dirty={allow}))
"""


def test_a_spec_that_is_found_early_counts_as_it_was_executed_after_an_edit(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", main=FOUND_EARLY.format(allow=True))
    assert repository.run("main.py").stdout == f"{tag(repository.head, helper='LR = 22' + chr(10))}\n"


def test_a_spec_that_is_found_early_and_executed_by_a_loader_of_its_own_after_an_edit_is_unknown(
    repository: Repository,
) -> None:
    repository.commit(helper="LR = 1\n", main=FOUND_EARLY.format(allow=False).replace(*WITH_OWN_LOADER))
    error = repository.run("main.py").stderr.splitlines()[-1]
    assert ", and when Python read it is not known; start the program again" in error


def test_many_specs_that_are_found_and_never_executed_are_let_go_of(repository: Repository) -> None:
    script = """\
import pyrepro, importlib.util
for number in range(300):
    importlib.util.find_spec(f"part_{number}")
print(pyrepro.tag())
"""
    repository.commit(main=script, **{f"part_{number}": "X = 1\n" for number in range(300)})
    assert repository.run("main.py").stdout == f"{tag(repository.head)}\n"


def test_a_lazy_module_that_is_edited_before_the_function_uses_it_counts_as_it_is_loaded_then(
    repository: Repository,
) -> None:
    lazy = LAZY.partition("{first}")[0].replace("import pyrepro", "import pyrepro, os")
    script = f"{lazy}\n" + GONE.format(
        first="", imports="", inside="open('helper.py', 'w').write('LR = 22'); helper.LR"
    )
    repository.commit(helper="LR = 1\n", train=script)
    repository.run("train.py")
    [made] = repository.path.glob("foo-*")
    assert made.name == f"foo-{tag(repository.head, helper='LR = 22')}.txt"


@pytest.mark.usefixtures("caching")
def test_a_cache_that_was_written_after_an_edit_of_what_it_was_compiled_from_is_not_taken(
    repository: Repository,
) -> None:
    repository.write(".gitignore", "__pycache__/\n*.txt\n")
    repository.commit(helper="LR = 1\n", train=train(after="import helper"))
    repository.run("-c", "import helper")
    same_size_and_time(repository.path / "helper.py", "LR = 2\n")
    repository.commit()
    os.utime(repository.path / f"__pycache__/helper.{sys.implementation.cache_tag}.pyc")  # as one that took its time
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head)}.txt\n"
    assert (repository.path / f"foo-{tag(repository.head)}.txt").read_text() == "2"


@pytest.mark.usefixtures("caching")
def test_a_cache_that_is_right_is_doubtful_once_only(repository: Repository) -> None:
    repository.write(".gitignore", "__pycache__/\n*.txt\n*.pyc\n")
    repository.commit(helper="LR = 1e999 * 0\n", train=train(after="import helper"))
    repository.run("-c", "import helper")
    cached = repository.path / f"__pycache__/helper.{sys.implementation.cache_tag}.pyc"
    os.utime(cached, (1, 1))
    same = repository.path / "ignored.pyc"
    os.link(cached, same)
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head)}.txt\n"
    assert (os.path.samefile(cached, same), cached.stat().st_mtime > 1) == (True, True)


@pytest.mark.usefixtures("caching")
def test_a_right_cache_whose_times_may_not_be_set_hinders_no_edit_while_the_program_runs(
    repository: Repository,
) -> None:
    refuse = """\
import pyrepro, sys

def refuse(event, arguments):
    if event == "os.utime":
        raise PermissionError("as for the file of another user")

sys.addaudithook(refuse)
import helper, slow"""
    repository.write(".gitignore", "__pycache__/\n*.txt\n")
    repository.commit(helper="LR = 1\n", slow=WAITS, train=train(before=refuse, allow=False))
    repository.run("-c", "import helper")
    alive = Alive(repository, "train.py")
    repository.write("helper.py", "LR = 20\n")
    assert alive.go_on() == (f"foo-{tag(repository.head)}.txt\n", "")


@pytest.mark.usefixtures("caching")
def test_a_stale_cache_behind_the_loader_of_somebody_else_is_not_taken(repository: Repository) -> None:
    script = """\
import pyrepro, sys
from importlib.machinery import PathFinder

class Wrapping:
    def __init__(self, loader):
        self.loader = loader

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self.loader.exec_module(module)

class Finder:
    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path)
        if spec and name == "helper":
            spec.loader = Wrapping(spec.loader)
        return spec

sys.meta_path.insert(1, Finder())
import helper
print(helper.LR)
"""
    repository.write(".gitignore", "__pycache__/\n*.txt\n")
    repository.commit(helper="LR = 1\n", main=script)
    repository.run("-c", "import helper")
    same_size_and_time(repository.path / "helper.py", "LR = 2\n")
    assert repository.run("main.py").stdout == "2\n"


def test_a_file_that_is_touched_between_its_loads_under_two_names_is_no_change(repository: Repository) -> None:
    script = "import sys; sys.path.insert(0, 'lib')\nimport os, pyrepro, model\nos.utime('lib/model.py')\nimport lib.model\nprint(pyrepro.tag())\n"
    repository.commit(main=script)
    assert repository.run("main.py").stdout == f"{tag(repository.head)}\n"


def test_loads_of_the_same_bytes_share_them(repository: Repository) -> None:
    script = """\
import importlib, tracemalloc
import pyrepro, helper
tracemalloc.start()
for _ in range(500):
    importlib.reload(helper)
print(tracemalloc.get_traced_memory()[0] < 5_000_000)
"""
    repository.commit(helper=f"TEXT = {'x' * 20_000!r}\n", main=script)
    assert repository.run("main.py").stdout == "True\n"


# The start of the process


def fields(parent: int, started: int, addresses: tuple[str, str, str]) -> list[str]:
    return ["S", str(parent), *["0"] * 17, str(started), *["0"] * 3, *addresses]


def test_a_fork_has_the_start_of_the_program_that_it_is_a_fork_of(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = {
        "self": fields(40, 900, ("1", "2", "3")),
        "40": fields(30, 800, ("1", "2", "3")),
        "30": fields(1, 700, ("7", "8", "9")),
    }
    monkeypatch.setattr(start, "_stat_of_process", processes.__getitem__)
    forked = start.start_of_process()
    processes["self"] = fields(1, 800, ("1", "2", "3"))
    assert abs(forked - start.start_of_process()) < 5_000_000


def test_where_the_platform_does_not_tell_the_start_psutil_does(monkeypatch: pytest.MonkeyPatch) -> None:
    started = start.start_of_process()
    monkeypatch.setattr(start, "_stat_of_process", lambda pid: [])
    assert abs(start.start_of_process() - started) < 1_000_000_000
    monkeypatch.setitem(sys.modules, "psutil", None)
    before = time.time_ns()
    assert before <= start.start_of_process() <= time.time_ns()
