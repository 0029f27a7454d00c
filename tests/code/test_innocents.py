"""What people do every day, and what must never be refused or called a change."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import multiprocessing
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import Repository, posix_only
from test_importing import LAUNCHERS
from test_session import EMPTY, execute
from test_what_runs import WAITS, Alive, tag, train

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the kernel's client are not ours


@pytest.fixture(params=["with compiled caches", "without"])
def caches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, repository: Repository) -> None:
    """Python writes and takes compiled caches, or does not."""
    repository.write(".gitignore", "__pycache__/\n*.txt\n")
    if request.param == "with compiled caches":
        monkeypatch.delenv("PYTHONDONTWRITEBYTECODE")


PLACES = {
    "before": {"before": "import helper"},
    "after": {"after": "import helper"},
    "inside": {"inside": "import helper"},
}


# ------------------------------------------------------------------------------------------------ before the start


@posix_only
@pytest.mark.usefixtures("caches")
@pytest.mark.parametrize("place", PLACES)
def test_an_edit_and_a_start_at_once_have_the_name_of_the_edit(repository: Repository, place: str) -> None:
    script = train(**PLACES[place]) if place != "inside" else train(inside="global helper; import helper")
    repository.commit(helper="LR = 1\n", train=script)
    for value in (2, 30):
        command = f"printf 'LR = {value}\\n' > helper.py; '{sys.executable}' train.py; true"
        done = subprocess.run(["sh", "-c", command], cwd=repository.path, capture_output=True, text=True)
        [made] = repository.path.glob("foo-*.txt")
        assert made.name == f"foo-{tag(repository.head, helper=f'LR = {value}' + chr(10))}.txt", done.stderr
        assert made.read_text() == str(value)
        made.unlink()


@posix_only
@pytest.mark.usefixtures("caches")
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_pull_and_a_start_in_the_place_of_the_shell_is_clean(repository: Repository, place: str) -> None:
    """As ``ssh host 'git pull && exec python train.py'``: the process is older than the files."""
    script = train(**PLACES[place], allow=False)
    repository.commit(helper="LR = 1\n", train=script)
    repository.commit(helper="LR = 2\n")
    before = "import pyrepro\n" if "PYTHONDONTWRITEBYTECODE" in os.environ else ""
    repository.commit(train=before + script)
    command = f"git checkout -q HEAD~2; git checkout -q main; exec '{sys.executable}' train.py"
    done = subprocess.run(["sh", "-c", command], cwd=repository.path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"foo-{tag(repository.head)}.txt\n", "")


@pytest.mark.usefixtures("caches")
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_touch_and_a_checkout_back_and_forth_before_the_start_are_clean(repository: Repository, place: str) -> None:
    repository.commit(helper="LR = 1\n", train=train(**PLACES[place], allow=False))
    first = repository.head
    repository.commit(helper="LR = 20\n")
    for commit in (first, "main", first):
        repository.git("checkout", "-q", commit)
        os.utime(repository.path / "helper.py")
        done = repository.run("train.py")
        assert (done.stdout, done.stderr) == (f"foo-{tag(repository.head)}.txt\n", "")


@pytest.mark.usefixtures("caches")
def test_a_touch_while_it_runs_is_clean(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", slow=WAITS, train=train(after="import helper, slow", allow=False))
    alive = Alive(repository, "train.py")
    for name in ("helper.py", "train.py", "slow.py"):
        os.utime(repository.path / name)
    assert alive.go_on() == (f"foo-{tag(repository.head)}.txt\n", "")


@pytest.mark.usefixtures("caches")
def test_a_checkout_back_and_forth_while_it_runs_is_clean(repository: Repository) -> None:
    repository.commit(helper="LR = 0\n")
    repository.commit(helper="LR = 1\n", slow=WAITS, train=train(after="import helper, slow", allow=False))
    alive = Alive(repository, "train.py")
    repository.git("checkout", "-q", "HEAD~1")
    repository.git("checkout", "-q", "main")
    assert alive.go_on() == (f"foo-{tag(repository.head)}.txt\n", "")


# ----------------------------------------------------------------------------------------- what modules come from


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_namespace_package_of_two_directories_is_clean(repository: Repository, place: str) -> None:
    script = train(**{place: "import sys; sys.path.append('other')\nimport space.one, space.two, space.one as helper"})
    repository.commit(space__one="LR = 1\n", other__space__two="X = 1\n", train=script)
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head)}.txt\n"


def test_a_part_of_a_namespace_package_that_is_edited_meanwhile_counts_as_it_was_loaded(
    repository: Repository,
) -> None:
    script = train(after=f"import space.one as helper\n{WAITS}")
    repository.commit(space__one="LR = 1\n", train=script)
    alive = Alive(repository, "train.py")
    repository.write("space/one.py", "LR = 2\n")
    repository.write("space/three.py", "LR = 3\n")
    assert alive.go_on() == (f"foo-{tag(repository.head)}.txt\n", "")


ARCHIVED = "import sys; sys.path.insert(0, 'lib.zip')\nimport zipped, zipped_too\n"


def archive(path: Path, value: int) -> None:
    with zipfile.ZipFile(path, "w") as opened:
        for name in ("zipped", "zipped_too"):
            opened.writestr(zipfile.ZipInfo(f"{name}.py"), f"X = {value}\n")


@pytest.mark.parametrize("place", ["before", "after"])
def test_an_archive_is_clean(repository: Repository, place: str) -> None:
    archive(repository.path / "lib.zip", 1)
    repository.commit(helper="LR = 1\n", train=train(**{place: f"{ARCHIVED}import helper"}, allow=False))
    done = repository.run("train.py")
    assert (done.stdout, done.stderr) == (f"foo-{tag(repository.head)}.txt\n", "")


def test_an_archive_that_is_touched_or_built_again_while_it_runs_is_clean(repository: Repository) -> None:
    archive(repository.path / "lib.zip", 1)
    repository.commit(helper="LR = 1\n", train=train(after=f"import helper\n{ARCHIVED}{WAITS}", allow=False))
    alive = Alive(repository, "train.py")
    (repository.path / "lib.zip").unlink()
    archive(repository.path / "lib.zip", 1)
    os.utime(repository.path / "lib.zip")
    assert alive.go_on() == (f"foo-{tag(repository.head)}.txt\n", "")


EXTENSION = next(
    (
        spec
        for name in ("_heapq", "_csv", "_bisect", "_queue", "_zoneinfo", "_crypt")
        if (spec := importlib.util.find_spec(name)) and isinstance(spec.loader, importlib.machinery.ExtensionFileLoader)
    ),
    None,
)


@pytest.mark.skipif(EXTENSION is None, reason="this Python has all its extension modules built in")
def test_an_extension_module_that_is_touched_while_it_runs_is_clean_and_another_one_is_unknown(
    repository: Repository,
) -> None:
    assert EXTENSION is not None and EXTENSION.origin is not None
    file = repository.path / os.path.basename(EXTENSION.origin)
    shutil.copy(EXTENSION.origin, file)
    load = f"import sys; sys.modules.pop({EXTENSION.name!r}, None); sys.path.insert(0, '.')\nimport {EXTENSION.name}\n"
    repository.commit(helper="LR = 1\n", train=train(after=f"import helper\n{load}{WAITS}", allow=False))
    alive = Alive(repository, "train.py")
    shutil.copy(EXTENSION.origin, repository.path / "new")
    os.replace(repository.path / "new", file)
    assert alive.go_on() == (f"foo-{tag(repository.head)}.txt\n", "")
    alive = Alive(repository, "train.py")
    (repository.path / "new").write_bytes(Path(EXTENSION.origin).read_bytes() + b"\0")
    os.replace(repository.path / "new", file)
    assert f"{file} was written at " in alive.go_on()[1]


# ------------------------------------------------------------------------------------------------- what starts it


@pytest.mark.parametrize("launcher", [*LAUNCHERS, "the program itself", "the program as a module"])
def test_a_program_is_clean_under_whatever_starts_it_and_counts_as_it_was_loaded(
    repository: Repository, launcher: str
) -> None:
    more = {"the program itself": ["train.py"], "the program as a module": ["-m", "train"]}
    arguments = (LAUNCHERS | more)[launcher]
    script = train(after="import helper, slow", allow=False)
    repository.commit(helper="LR = 1\n", slow=WAITS, train=script)
    alive = Alive(repository, *arguments)
    assert alive.process.stdout is not None
    while alive.line and "waiting" not in alive.line:
        alive.line = alive.process.stdout.readline()  # what a debugger says first
    repository.write("helper.py", "LR = 2\n")
    repository.write("train.py", "this is no Python\n")
    stdout, stderr = alive.go_on()
    assert f"foo-{tag(repository.head)}.txt" in stdout.splitlines(), stdout + stderr
    assert "pyrepro" not in stderr


def test_a_program_in_an_archive_is_clean(repository: Repository) -> None:
    with zipfile.ZipFile(repository.path / "app.pyz", "w") as app:
        for name, content in {"__main__": train(after="import helper", allow=False), "helper": "LR = 1\n"}.items():
            app.writestr(f"{name}.py", content)
    repository.commit()
    done = repository.run("app.pyz")
    assert (done.stdout, done.stderr) == (f"foo-{tag(repository.head)}.txt\n", "")


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_a_test_suite_whose_assertions_are_rewritten_is_clean(repository: Repository, workers: list[str]) -> None:
    test = """\
import os, pathlib, pyrepro, train, checks

def test_it():
    assert checks.check(train.save_thing.tagged("foo"))
    pathlib.Path("lib/model.py").write_text("LAYERS = 3\\n")
    os.utime("checks.py")
    assert checks.check(train.save_thing.tagged("foo"))
    assert str(pyrepro.tag()) == str(pyrepro.Tag.from_path(train.save_thing.tagged("foo")))

def test_more():
    assert checks.check(train.save_thing.tagged("foo"))
"""
    repository.write(".gitignore", "__pycache__/\n")
    head = "import pytest; pytest.register_assert_rewrite('checks'); import lib.model"
    repository.commit(
        conftest=head + "\nimport pyrepro\n",
        checks="def check(name):\n    assert name\n    return True\n",
        test_it=test,
    )
    # Twice: the second run takes the compiled caches that pytest has written itself.
    for _ in range(2):
        repository.git("checkout", "-q", "--", ".")
        done = repository.run("-m", "pytest", "-q", *workers, env={"PYTHONDONTWRITEBYTECODE": ""})
        assert "2 passed" in done.stdout, done.stdout


POOL = """\
import multiprocessing
{before}

def work(number):
    import steps
    return steps.save("foo")

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    with context.Pool(1) as pool:
        print(*pool.map(work, [1]), "waiting", flush=True)
    input()
    with context.Pool(1) as pool:
        print(*pool.map(work, [1]))
"""

STEPS = "from pyrepro import Artifact\nimport helper\n@Artifact('p')\ndef save(p): return f'{p} {helper.LR}'\n"


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_worker_that_starts_after_a_commit_has_the_name_of_what_it_loads(repository: Repository, method: str) -> None:
    repository.commit(helper="LR = 1\n", steps=STEPS, main=POOL.format(before="import pyrepro", method=method))
    alive = Alive(repository, "main.py")
    first = repository.head
    repository.commit(helper="LR = 2\n")
    assert (alive.line, alive.go_on()) == (
        f"foo-{tag(first)} 1 waiting\n",
        (f"foo-{tag(repository.head)} 2\n", ""),
    )


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_worker_has_the_helper_that_its_program_has_loaded(repository: Repository, method: str) -> None:
    """A fork has the one of its parent, which is a change after a commit; what is started anew has the new one."""
    program = POOL.format(before="import pyrepro, steps", method=method)
    repository.commit(
        helper="LR = 1\n", steps=STEPS.replace("@Artifact('p')", "@Artifact('p', allow_dirty=True)"), main=program
    )
    alive = Alive(repository, "main.py")
    repository.commit(helper="LR = 2\n")
    stdout, stderr = alive.go_on()
    line = stdout.strip()
    # A fork server has loaded the program, or has not: that differs between versions of Python.
    new, old = f"foo-{tag(repository.head)} 2", f"foo-{tag(repository.head, helper='LR = 1' + chr(10))} 1"
    kept = f"foo-{tag(repository.git('rev-parse', 'HEAD~1'))} 1"
    assert line in {"fork": [kept], "spawn": [new]}.get(method, [new, old, kept]), stderr


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@posix_only
def test_a_program_that_is_edited_before_its_next_workers_start_is_what_they_load(
    repository: Repository, method: str
) -> None:
    before = "from pyrepro import Artifact\n@Artifact('p', allow_dirty=True)\ndef save(p): return p\n"
    program = POOL.format(before=before, method=method).replace("import steps", "").replace("steps.save", "save")
    repository.commit(main=program)
    alive = Alive(repository, "main.py")
    first = repository.head
    repository.commit(main=program + "# edited\n")
    stdout, stderr = alive.go_on()
    line = stdout.strip()
    # A fork server may have loaded the program before the edit.
    preloaded = [f"foo-{tag(first)}"] if method == "forkserver" else []
    assert line in [f"foo-{tag(repository.head)}", *preloaded], stderr


LATE = """\
import multiprocessing, os, sys

def work(number):
    import pyrepro
    print("waiting", flush=True)
    while number and not os.path.exists("go.txt"):
        pass
    return str(pyrepro.tag())

if __name__ == "__main__":
    {start}
"""
STARTS = {
    **{
        method: f"with multiprocessing.get_context({method!r}).Pool(1) as pool: print(*pool.map(work, [1]))"
        for method in multiprocessing.get_all_start_methods()
    },
    # Which pickles by value what the program defines, for the same worker both times.
    "loky": (
        "from joblib.externals import loky; pool = loky.get_reusable_executor(max_workers=1)\n"
        "    pool.submit(work, 0).result(); print(pool.submit(work, 1).result())"
    ),
}


@pytest.mark.parametrize("start", STARTS)
def test_a_worker_that_asks_for_a_tag_has_the_program_that_it_has_loaded_whatever_is_edited(
    repository: Repository, start: str
) -> None:
    repository.commit(main=LATE.format(start=STARTS[start]))
    alive = Alive(repository, "main.py")
    assert alive.process.stdout is not None
    if start == "loky":
        assert alive.process.stdout.readline() == "waiting\n"
    repository.write("main.py", "this is no Python\n")
    repository.write("go.txt", "")
    stdout, stderr = alive.go_on()
    assert stdout.splitlines()[-1:] == [tag(repository.head)], stderr


# ----------------------------------------------------------------------------------------------------- containers


def test_an_image_without_git_and_some_tracked_files_has_the_declared_name_and_with_git_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    repository.write("big.csv", "data\n")
    repository.commit(helper="LR = 1\n", train=train(after="import helper", allow=False))
    state = repository.run("-c", "import pyrepro; print(pyrepro.code_state())").stdout.strip()
    image = Repository(tmp_path / "app")
    shutil.copytree(repository.path, image.path, symlinks=True, ignore=shutil.ignore_patterns("big.csv"))
    refused = image.run("train.py", env={"PYREPRO_CODE_STATE": state}).stderr.splitlines()[-1]
    assert refused.startswith(f"pyrepro.CodeStateError: PYREPRO_CODE_STATE declares {state}, but the work tree ")
    shutil.rmtree(image.path / ".git")
    done = image.run("train.py", env={"PYREPRO_CODE_STATE": state})
    assert (done.stdout, done.stderr) == (f"foo-{tag(repository.head)}.txt\n", "")


# ------------------------------------------------------------------------------------------------------ notebooks


COMMIT = "!git -c user.name=A -c user.email=a@example.org commit -qam edited"


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("first", ["import pyrepro", "import os"])
def test_a_notebook_in_which_a_module_is_edited_and_committed_before_its_first_import_is_clean(
    repository: Repository, first: str
) -> None:
    repository.commit(helper="LR = 1\n", steps=STEPS)
    edit = "open('helper.py', 'w').write('LR = 2\\n') and None"
    *_, printed = execute(repository.path, first, edit, COMMIT, "import steps", "print(steps.save('foo'))")
    assert printed == f"foo-{repository.head[:12]}-{EMPTY} 2"


@pytest.mark.usefixtures("kernel")
def test_autoreload_of_a_module_that_nothing_imports_from_is_clean_once_it_is_committed(
    repository: Repository,
) -> None:
    repository.commit(helper="LR = 1\n", steps=STEPS)
    edit = "import os; open('helper.py', 'w').write('LR = 2\\n'); os.utime('helper.py', (2e9, 2e9))"
    cells = ["%load_ext autoreload\n%autoreload 2\nimport helper, steps", "print(steps.save('foo'))", edit, COMMIT]
    _, first, _, _, second = execute(repository.path, *cells, "print(steps.save('foo'))")
    assert first == f"foo-{repository.git('rev-parse', 'HEAD~1')[:12]}-{EMPTY} 1"
    assert second == f"foo-{repository.head[:12]}-{EMPTY} 2"


def test_code_that_exec_runs_in_a_namespace_whose_name_is_no_text_has_its_name_and_its_errors(
    repository: Repository,
) -> None:
    body = """\
@pyrepro.Artifact("path", config=lambda call: pyrepro.canonical_json(call["x"]) and {})
def save(path, x=1):
    return path

print(pyrepro.tag(), save("foo"))
save("foo", object())
"""
    run = "exec(compile(open('body.py').read(), 'body.py', 'exec'), {'__name__': None, 'pyrepro': pyrepro})\n"
    repository.commit(body=body, main=f"import pyrepro\n{run}")
    done = repository.run("main.py")
    name = f"{repository.head[:12]}-44136fa355b3"
    assert done.stdout == f"{name} foo-{name}\n"
    assert "\npyrepro.ConfigError: " in done.stderr
