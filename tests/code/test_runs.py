"""What runs in no module that stays: scripts under %run and runpy, and what they leave behind."""

from __future__ import annotations

import os
import re
import runpy

import pytest
from conftest import Repository
from test_session import EMPTY, execute, loaded_tag
from test_what_runs import WAITS, Alive, tag, timeless

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # those of the kernel's client are not ours
    pytest.mark.usefixtures("kernel"),
]

# What was read last is known to have been read once Python looks for another module, one that no IPython has loaded.
PLAIN = "LR = 1\ndef save(outpath): return outpath, LR\nimport zipapp\n"
DECORATED = "from pyrepro import Artifact\nLR = 1\n@Artifact('p', allow_dirty=True)\ndef save(p): return p, LR\n"
COMMIT = "!git -c user.name=A -c user.email=a@example.org commit -qam edited"
CALL = "print(*save('foo'))"


def edit_of(path: str, old: str, new: str) -> str:
    return f"text = open({path!r}).read(); open({path!r}, 'w').write(text.replace({old!r}, {new!r})) and None"


# ------------------------------------------------------------------------------------------------------- sessions


@pytest.mark.parametrize("where", ["script", "pkg/script", "pkg/__main__"])
def test_a_module_counts_as_run_with_m_ran_it_last(repository: Repository, where: str) -> None:
    repository.write("pkg/__init__.py", "")
    repository.write(f"{where}.py", DECORATED)
    repository.commit()
    name = where.replace("/", ".").removesuffix(".__main__")
    edit = edit_of(f"{where}.py", "LR = 1", "LR = 22")
    cells = ["import pyrepro", f"%run -m {name}", CALL, edit, CALL, f"%run -m {name}", CALL]
    _, _, first, _, second, _, third = execute(repository.path, *cells)
    clean = f"foo-{repository.head[:12]}-{EMPTY} 1"
    edited = loaded_tag(repository, f"{where}.py", DECORATED.replace("LR = 1", "LR = 22"))
    assert [first, second, third] == [clean, clean, f"foo-{edited} 22"]


def test_what_run_with_m_has_defined_counts_for_what_is_typed(repository: Repository) -> None:
    repository.commit(plain=PLAIN)
    edit = edit_of("plain.py", "LR = 1", "LR = 2")
    define = "artifact = pyrepro.Artifact('outpath', allow_dirty=True)(save)\nprint(*artifact('foo'))"
    cells = ["import pyrepro, subprocess", "%run -m plain", edit, COMMIT, define]
    printed = execute(repository.path, *cells)[-1]
    assert printed == f"foo-{loaded_tag(repository, 'plain.py', PLAIN, *cells)} 1"


@pytest.mark.parametrize("options", ["", "-i "])
def test_a_script_that_ran_before_pyrepro_and_was_written_since_the_start_is_to_be_run_again(
    repository: Repository, options: str
) -> None:
    repository.commit(plain=PLAIN)
    state = "print(pyrepro.code_state('.') == pyrepro.CodeState({!r}))"
    cells = [f"%run {options}plain.py", "import os; os.utime('plain.py')", "import pyrepro"]
    *_, refused, _, known = execute(
        repository.path,
        *cells,
        state.format(repository.head),
        f"%run {options}plain.py",
        state.format(repository.head),
    )
    assert re.fullmatch(
        re.escape(f"CodeStateError: which code runs cannot be determined: {repository.path}/plain.py was written at ")
        + r"[-0-9]{10} [:.0-9]{12}, after this process started at [-0-9]{10} [:.0-9]{12}, so something else may have "
        + re.escape(f"been run; type %run {repository.path}/plain.py again"),
        refused,
    )
    assert known == "True"


@pytest.mark.parametrize("options", ["", "-i "])
def test_a_script_that_ran_before_pyrepro_counts_as_it_was_run(repository: Repository, options: str) -> None:
    repository.commit(plain=PLAIN)
    edit = edit_of("plain.py", "LR = 1", "LR = 2")
    define = "artifact = pyrepro.Artifact('outpath', allow_dirty=True)(save)\nprint(*artifact('foo'))"
    cells = [f"%run {options}plain.py", "import pyrepro; _ = pyrepro.code_state('.')", edit, COMMIT]
    printed = execute(repository.path, *cells, define)[-1]
    assert printed == f"foo-{loaded_tag(repository, 'plain.py', PLAIN, *cells, define)} 1"


# ------------------------------------------------------------------------------------------------------- programs

DRIVER = """\
import importlib, runpy
import pyrepro
{run}
{waits}
print(*pyrepro.Artifact("outpath", allow_dirty=True)(names["save"])("foo"))
"""


@pytest.mark.parametrize("call", ["run_module('plain')", "run_module('plain', alter_sys=True)"])
def test_what_runpy_has_run_from_a_module_counts_as_it_was_run(repository: Repository, call: str) -> None:
    repository.commit(plain=PLAIN, main=DRIVER.format(run=f"names = runpy.{call}", waits=WAITS))
    alive = Alive(repository, "main.py")
    repository.commit(plain="LR = 2\n")
    assert alive.go_on()[0] == f"foo-{tag(repository.head, plain=PLAIN)} 1\n"


@pytest.mark.parametrize("run", ["runpy.run_path(path)", "{}\nexec(compile(text, path, 'exec'), names)"])
def test_what_ran_from_a_path_and_was_written_since_is_unknown(repository: Repository, run: str) -> None:
    before = "import os; path = os.path.abspath('plain.py'); text = open(path).read()\n"
    named = f"{before}names = {run}".replace("names = {}", "names = {'__file__': path, '__name__': 'plain'}")
    repository.commit(plain=PLAIN, main=DRIVER.format(run=named, waits=WAITS))
    alive = Alive(repository, "main.py")
    repository.commit(plain="LR = 2\n")
    stdout, stderr = alive.go_on()
    assert stdout.startswith(f"foo-{repository.head[:12]}-dirty-")
    assert f"\n  plain.py: {repository.path}/plain.py was written at " in stderr
    assert stderr.endswith(", so something else may have been run; start the program again\n")


@pytest.mark.parametrize("how", ["run_path('plain.py')", "run_module('plain')", "run_module('plain', alter_sys=True)"])
def test_what_runpy_runs_and_nobody_edits_is_clean(repository: Repository, how: str) -> None:
    repository.commit(plain=PLAIN, main=DRIVER.format(run=f"names = runpy.{how}", waits=""))
    assert repository.run("main.py").stdout == f"foo-{tag(repository.head)} 1\n"


@pytest.mark.parametrize("how", ["run_path('written.py')", "run_module('written')"])
def test_a_program_that_writes_a_script_which_decorates_and_runs_it_has_its_name(
    repository: Repository, how: str
) -> None:
    script = f"{DECORATED}print(*save('foo'))\n"
    repository.commit(main=f"import runpy, pyrepro\nopen('written.py', 'w').write({script!r}) and None\nrunpy.{how}\n")
    assert repository.run("main.py").stdout == f"foo-{tag(repository.head, written=script)} 1\n"


def test_a_module_that_is_imported_after_it_was_run_and_edited_is_unknown(repository: Repository) -> None:
    run = f"names = runpy.run_module('plain')\n{WAITS}import plain"
    repository.commit(plain=PLAIN, main=DRIVER.format(run=run, waits=""))
    alive = Alive(repository, "main.py")
    repository.write("plain.py", PLAIN.replace("LR = 1", "LR = 2"))
    assert timeless(alive.go_on()[1]).endswith(
        f"  plain.py: %run {repository.path}/plain.py and plain were loaded from {repository.path}/plain.py, which was "
        f"written at <time>, and held something else between their loads; start the program again\n"
    )


def test_a_run_of_a_module_leaves_nobody_behind_that_imports_it(repository: Repository) -> None:
    run = "import plain\nnames = runpy.run_module('plain')\nimport taker\nimportlib.reload(plain)"
    repository.commit(plain=PLAIN, taker="from plain import LR\n", main=DRIVER.format(run=run, waits=""))
    assert repository.run("main.py").stdout == f"foo-{tag(repository.head)} 1\n"


def test_runpy_asks_for_specs_where_the_finder_looks() -> None:
    """The finder tells runpy from others by the names of its functions."""
    assert hasattr(runpy, "_get_module_details")


def test_a_library_function_of_an_environment_in_the_work_tree_is_no_change(repository: Repository) -> None:
    repository.write("venv/lib/site-packages/library.py", "def save(path): return path\n")
    repository.commit(
        train="import library\nfrom pyrepro import Artifact\nprint(Artifact('path')(library.save)('foo'))\n"
    )
    repository.git("rm", "-q", "-r", "--cached", "venv")
    repository.git("commit", "-q", "-m", "forget the environment")
    done = repository.run("train.py", env={"PYTHONPATH": os.path.join(repository.path, "venv/lib/site-packages")})
    assert done.stdout == f"foo-{tag(repository.head)}\n", done.stderr
