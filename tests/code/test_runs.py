"""What runs in no module that stays: scripts under %run and runpy, and what they leave behind."""

from __future__ import annotations

import os
import re
import runpy
from pathlib import Path

import pytest
from conftest import Repository
from test_session import EMPTY, execute, loaded_tag, session_tag
from test_what_runs import WAITS, Alive, tag, timeless, train

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


NOTEBOOK = """\
{{"cells": [{{"cell_type": "code", "id": "a", "execution_count": null, "metadata": {{}}, "outputs": [], "source": "{0}"}}],
 "metadata": {{}}, "nbformat": 4, "nbformat_minor": 5}}
"""
CONSTANTS = {"defs.py": "{0}\n", "defs.ipy": "{0}\n", "defs.ipynb": NOTEBOOK}
TYPED = "@pyrepro.Artifact('p', allow_dirty=True)\ndef save(p): return p, LR\nprint(*save('foo'))"
CELLS = {
    "after pyrepro": ["import pyrepro", "%run -i {0}"],
    "before pyrepro": ["%run -i {0}", "import pyrepro"],
    "in the cell of pyrepro": ["%run -i ./{0} 'an argument'\nimport pyrepro"],
}


@pytest.mark.parametrize(
    ("file", "cells"),
    [*(("defs.py", cells) for cells in CELLS), ("defs.ipy", "after pyrepro"), ("defs.ipynb", "before pyrepro")],
)
def test_constants_that_a_session_runs_are_a_change_until_they_are_committed(
    repository: Repository, file: str, cells: str
) -> None:
    constants = CONSTANTS[file].format("LR = 1")
    repository.write(file, constants)
    typed = [cell.format(file) for cell in CELLS[cells]]
    printed = execute(repository.path, *typed, TYPED)[-1]
    assert printed == f"foo-{loaded_tag(repository, file, constants, *typed, TYPED)} 1"
    repository.commit()
    assert execute(repository.path, *typed, TYPED)[-1] == f"foo-{session_tag(repository, *typed, TYPED)} 1"


@pytest.mark.parametrize("path", ["train.py", "{0}/train.py"])
def test_a_script_that_a_console_executes_in_its_namespace_counts_as_it_runs(repository: Repository, path: str) -> None:
    train = "from pyrepro import Artifact\nLR = 1\n@Artifact('p', allow_dirty=True)\ndef save(p): return p, LR\n" + CALL
    repository.commit(train=train)
    given = path.format(repository.path)
    # As PyCharm's console does it.
    run = f"exec(compile(open({given!r}).read() + '\\n', {given!r}, 'exec'), globals())"
    cells = [run, edit_of("train.py", "LR = 1", "LR = 2"), run + " ", COMMIT, run + "  ", CALL]
    first, _, second, _, third, called = execute(repository.path, *cells)
    assert (
        second
        == f"foo-{loaded_tag(repository, 'train.py', train.replace('LR = 1', 'LR = 2'), *cells[:3])} 2".replace(
            repository.head[:12], repository.git("rev-parse", "HEAD~1")[:12]
        )
    )
    assert [third, called] == [
        f"foo-{session_tag(repository, *cells[:5])} 2",
        f"foo-{session_tag(repository, *cells)} 2",
    ]
    repository.git("reset", "-q", "--soft", "HEAD~1")
    assert first == f"foo-{session_tag(repository, run)} 1"


SPYDER = """\
from IPython.core.magic import Magics, magics_class
@magics_class
class SpyderCodeRunner(Magics):  # as Spyder's kernel has it
    def runfile(self, filename):
        self._exec_code(open(filename).read(), filename, {"__name__": "__main__"})
    def _exec_code(self, code, filename, ns_globals):
        exec(compile(code, filename, "exec"), ns_globals)
        get_ipython().user_ns.update(ns_globals)
runner = SpyderCodeRunner(get_ipython())
get_ipython().register_magics(runner)
"""


def test_constants_that_spyder_runs_count_as_they_were_run_last(repository: Repository) -> None:
    repository.commit(defs="LR = 1\n")
    run = f"runner.runfile('{repository.path}/defs.py')"
    edit = edit_of("defs.py", "LR = 1", "LR = 2")
    cells = [SPYDER + "import pyrepro", run, edit, TYPED, f" {run}", TYPED + " "]
    *_, first, _, second = execute(repository.path, *cells)
    assert first == f"foo-{session_tag(repository, *cells[:4])} 1"
    assert second == f"foo-{loaded_tag(repository, 'defs.py', 'LR = 2' + chr(10), *cells)} 2"


def test_what_a_session_may_say_of_runs_harms_nobody(repository: Repository) -> None:
    odd = "%run\n%run none.py\n%run 'unclosed\n\"run_line_magic('run', x)\""
    *_, printed = execute(repository.path, odd, "import pyrepro", TYPED.replace("LR", "1"))
    assert printed == f"foo-{session_tag(repository, odd, 'import pyrepro', TYPED.replace('LR', '1'))} 1"


# ------------------------------------------------------------------------------------------------------- programs

DRIVER = """\
import importlib.util, runpy
import pyrepro
{run}
{waits}
print(*pyrepro.Artifact("outpath", allow_dirty=True)(names["save"])("foo"))
"""


@pytest.mark.parametrize(
    "call",
    [
        "run_module('plain')",
        "run_module('plain', alter_sys=True)",
        "run_path(__import__('os').path.abspath('plain.py'))",
    ],
)
def test_what_runpy_has_run_counts_as_it_was_run(repository: Repository, call: str) -> None:
    repository.commit(plain=PLAIN, main=DRIVER.format(run=f"names = runpy.{call}", waits=WAITS))
    alive = Alive(repository, "main.py")
    repository.commit(plain="LR = 2\n")
    assert alive.go_on()[0] == f"foo-{tag(repository.head, plain=PLAIN)} 1\n"


def test_a_configuration_that_runpy_has_read_counts_as_it_was_run(repository: Repository) -> None:
    main = train(after=f"import runpy, types\nhelper = types.SimpleNamespace(**runpy.run_path('conf.py'))\n{WAITS}")
    repository.commit(conf="LR = 1\n", train=main)
    alive = Alive(repository, "train.py")
    repository.commit(conf="LR = 2\n")
    name = f"foo-{tag(repository.head, conf='LR = 1' + chr(10))}.txt"
    assert alive.go_on()[0] == f"{name}\n"
    assert (repository.path / name).read_text() == "1"


def test_what_runpy_cannot_run_is_nobody_elses_error(repository: Repository) -> None:
    run = (
        "import sys; sys.path.append('missing'); assert importlib.util.find_spec('nothing') is None\n"
        "try: runpy.run_path('missing.py')\nexcept FileNotFoundError as error: print(error.strerror)"
    )
    repository.commit(plain=PLAIN, main=DRIVER.format(run=f"{run}\nnames = runpy.run_path('plain.py')", waits=""))
    assert repository.run("main.py").stdout == f"No such file or directory\nfoo-{tag(repository.head)} 1\n"


def test_what_exec_ran_and_was_written_since_is_unknown(repository: Repository) -> None:
    before = "import os; path = os.path.abspath('plain.py'); text = open(path).read()\n"
    run = "names = {'__file__': path, '__name__': 'plain'}\nexec(compile(text, path, 'exec'), names)"
    named = f"{before}{run}"
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


# ---------------------------------------------------------------------------------------------------- run again

EXEC = "path = os.path.abspath('plain.py')\nexec(compile(open(path).read(), path, 'exec'), {'__name__': 'x', '__file__': path})"
RUNS = {
    "run_path": "runpy.run_path('plain.py')",
    "exec": EXEC,
    "exec in a new main module": (
        "path = os.path.abspath('plain.py'); main = types.ModuleType('__main__'); main.__file__ = path\n"
        "own, sys.modules['__main__'] = sys.modules['__main__'], main\n"
        "exec(compile(open(path).read(), path, 'exec'), vars(main)); sys.modules['__main__'] = own"
    ),
    "exec in a module made by hand": (
        "path = os.path.abspath('plain.py'); made = sys.modules.setdefault('made', types.ModuleType('made'))\n"
        "made.__file__ = path; exec(compile(open(path).read(), path, 'exec'), vars(made))"
    ),
    "exec in the same namespace": (
        "path = os.path.abspath('plain.py'); there = globals().setdefault('there', {'__name__': 'x', '__file__': path})\n"
        "exec(compile(open(path).read(), path, 'exec'), there)"
    ),
    "exec_module of the same module": (
        "spec = importlib.util.spec_from_file_location('other', os.path.abspath('plain.py'))\n"
        "other = sys.modules.setdefault('other', importlib.util.module_from_spec(spec))\n"
        "other.__loader__.exec_module(other)"
    ),
    "run_module": "runpy.run_module('plain')",
    "spec_from_file_location": (
        "spec = importlib.util.spec_from_file_location('other', 'plain.py')\n"
        "spec.loader.exec_module(importlib.util.module_from_spec(spec))"
    ),
}
TWICE = "import importlib.util, os, pyrepro, runpy, sys, types\n{first}\n{waits}\n{second}\n"
SHOWS = f"{DECORATED}print(*save('foo'), flush=True)\n"


@pytest.mark.parametrize("run", RUNS)
def test_a_script_that_is_run_again_after_an_edit_has_the_name_of_the_edit(repository: Repository, run: str) -> None:
    repository.commit(plain=SHOWS, main=TWICE.format(first=RUNS[run], waits=WAITS, second=RUNS[run]))
    alive = Alive(repository, "main.py")
    edited = SHOWS.replace("LR = 1", "LR = 2")
    repository.write("plain.py", edited)
    assert alive.line == f"foo-{tag(repository.head)} 1\n"
    assert alive.go_on()[0].removeprefix("waiting\n") == f"foo-{tag(repository.head, plain=edited)} 2\n"


@pytest.mark.parametrize("run", RUNS)
def test_a_script_that_is_run_again_and_nobody_edits_is_clean(repository: Repository, run: str) -> None:
    shows = SHOWS.replace(", allow_dirty=True", "")
    repository.commit(plain=shows, main=TWICE.format(first=f"import plain\n{RUNS[run]}", waits="", second=RUNS[run]))
    done = repository.run("main.py")
    assert (done.stdout, done.stderr) == (3 * f"foo-{tag(repository.head)} 1\n", "")


@pytest.mark.parametrize("run", RUNS)
def test_a_script_that_is_edited_while_it_runs_counts_as_it_was_run(repository: Repository, run: str) -> None:
    shows = f"{SHOWS}{WAITS}import pyrepro\nprint(pyrepro.tag())\n"
    repository.commit(plain=shows, main=TWICE.format(first="", waits="", second=RUNS[run]))
    alive = Alive(repository, "main.py")
    repository.write("plain.py", "LR = 2\n")
    stdout, stderr = alive.go_on()
    name = tag(repository.head)
    assert (alive.line, stdout.removeprefix("waiting\n"), stderr) == (f"foo-{name} 1\n", f"{name}\n", "")


def test_a_program_that_is_transformed_as_it_is_run_may_be_edited(repository: Repository) -> None:
    shows = f"{SHOWS}{WAITS}import pyrepro\nprint(pyrepro.tag())\n".replace("LR = 1", "LR = ONE")
    run = RUNS["exec in a new main module"].replace("open(path).read()", "open(path).read().replace('ONE', '1')")
    repository.commit(plain=shows, main=TWICE.format(first="", waits="", second=run))
    alive = Alive(repository, "main.py")
    repository.write("plain.py", shows.replace("ONE", "TWO"))
    stdout, stderr = alive.go_on()
    name = tag(repository.head)
    assert (alive.line, stdout.removeprefix("waiting\n"), stderr) == (f"foo-{name} 1\n", f"{name}\n", "")


def test_a_function_that_was_copied_with_a_part_of_its_namespace_is_of_its_file(repository: Repository) -> None:
    """As those are that were pickled by value."""
    script = train(after=f"import helper\n{WAITS}", allow=False).replace(
        "@Artifact", "def artifact(f): return f\n@artifact"
    )
    script = script.replace('@artifact("outpath", allow_dirty=False)', "@artifact")
    copied = (
        "import types\n"
        "save = types.FunctionType(save.__code__, {'helper': helper, '__name__': '__main__', '__file__': __file__})\n"
        "save = Artifact('outpath')(save)\nprint("
    )
    repository.commit(helper="LR = 1\n", train=script.replace("print(save", copied + "save"))
    alive = Alive(repository, "train.py")
    repository.write("train.py", "this is no Python\n")
    assert alive.go_on() == (f"foo-{tag(repository.head)}.txt\n", "")


def edited_and_run_again(repository: Repository, run: str, plain: str, rest: str = "") -> tuple[Alive, str]:
    """A program that has imported a module, which is then edited, and goes on to run it."""
    main = TWICE.format(first="import plain", waits=WAITS, second=f"names = {run}\n{rest}")
    repository.commit(plain=plain, main=main)
    alive = Alive(repository, "main.py")
    edited = plain.replace("LR = 1", "LR = 2")
    repository.write("plain.py", edited)
    return alive, edited


def test_a_module_that_is_run_after_it_was_imported_and_edited_is_what_runs(repository: Repository) -> None:
    alive, edited = edited_and_run_again(repository, "runpy.run_module('plain', alter_sys=True)", SHOWS)
    assert alive.line == f"foo-{tag(repository.head)} 1\n"
    assert alive.go_on()[0].removeprefix("waiting\n") == f"foo-{tag(repository.head, plain=edited)} 2\n"


SAVES = "print(*pyrepro.Artifact('outpath', allow_dirty=True)(names['save'])('foo'))"


@pytest.mark.parametrize("plain", [DECORATED + "if __name__ == 'again':\n    print(*save('foo'))\n", PLAIN])
def test_a_module_that_is_edited_between_its_import_and_its_run_is_unknown(repository: Repository, plain: str) -> None:
    call = "runpy.run_module('plain', run_name='again')"
    alive, _ = edited_and_run_again(repository, call, plain, SAVES if plain == PLAIN else "")
    stdout, stderr = alive.go_on()
    assert stdout.startswith(f"foo-{repository.head[:12]}-dirty-")
    found = "/plain.py and plain were loaded from" if plain != PLAIN else ", so something else may have been run"
    assert found in stderr.splitlines()[1]


def test_a_module_that_is_edited_before_it_is_run_and_while_it_runs_is_unknown(repository: Repository) -> None:
    plain = f"import sys\nif 'again' in sys.argv:\n    print('again', flush=True)\n    input()\n{SHOWS}"
    call = "sys.argv.append('again'); runpy.run_module('plain', alter_sys=True)"
    alive, edited = edited_and_run_again(repository, call, plain)
    assert alive.process.stdin is not None and alive.process.stdout is not None
    assert alive.line == f"foo-{tag(repository.head)} 1\n"
    alive.process.stdin.write("\n")
    alive.process.stdin.flush()
    while alive.line != "again\n":
        alive.line = alive.process.stdout.readline()
    repository.write("plain.py", edited.replace("LR = 2", "LR = 3"))
    stdout, stderr = alive.go_on()
    assert stdout.startswith(f"foo-{repository.head[:12]}-dirty-")
    assert timeless(stderr).splitlines()[1] == (
        f"  plain.py: {repository.path}/plain.py was written at <time>, after the module plain was found at <time>, and "
        f"something else runs in its place; start the program again, or in a session type importlib.reload(plain)"
    )


@pytest.mark.parametrize("applies", ["import pyrepro", "import decorators"])
def test_a_module_that_a_session_runs_after_it_was_imported_and_edited_is_unknown_until_it_is_reloaded(
    repository: Repository, applies: str
) -> None:
    decorator = "import pyrepro\ndef artifact(function): return pyrepro.Artifact('p')(function)\n"
    applied = {"import pyrepro": "pyrepro.Artifact('p')", "import decorators": "decorators.artifact"}[applies]
    plain = f"{applies}\nLR = 1\n@{applied}\ndef save(p): return p, LR\n"
    repository.commit(plain=plain, decorators=decorator)
    run, call = "names = runpy.run_module('plain')", "print(*names['save']('foo'))"
    cells = ["import importlib, plain, runpy", edit_of("plain.py", "LR = 1", "LR = 2"), COMMIT, run, call]
    *_, refused, _, reloaded = execute(repository.path, *cells, f"_ = importlib.reload(plain)\n{run}", call)
    assert refused.startswith("CodeStateError: which code runs cannot be determined: ")
    assert reloaded == f"foo-{tag(repository.head)} 2"


STREAMLIT = """\
import ast, sys, types

def add_magic(code, script_path):
    tree = ast.parse(code, script_path)
    tree.body.append(ast.parse("shown = True").body[0])
    return ast.fix_missing_locations(tree)

def rerun(path):  # as Streamlit does it
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__file__ = path
    exec(compile(add_magic(open(path).read(), path), path, "exec", dont_inherit=True), vars(module))

sys.modules["streamlit.runtime.scriptrunner.magic"] = types.SimpleNamespace({attributes})
rerun(sys.argv[1])
print("waiting", flush=True)
input()
rerun(sys.argv[1])
"""
APP = """\
from pyrepro import Artifact
LR = 1
@Artifact("p", allow_dirty=True)
def save(p): return p, LR
print(*save("foo"), flush=True)
"""


def app_edited_while_it_is_served(repository: Repository, server: Path, attributes: str) -> str:
    """What an app prints that is edited, committed and run again."""
    server.write_text(STREAMLIT.replace("{attributes}", attributes))
    repository.commit(app=APP)
    alive = Alive(repository, str(server), str(repository.path / "app.py"))
    assert alive.line == f"foo-{tag(repository.head)} 1\n"
    assert alive.process.stdout is not None and alive.process.stdout.readline() == "waiting\n"
    repository.commit(app=APP.replace("LR = 1", "LR = 2"))
    return alive.go_on()[0]


def test_an_app_of_streamlit_that_is_edited_and_committed_while_it_is_served_is_clean(
    repository: Repository, tmp_path: Path
) -> None:
    printed = app_edited_while_it_is_served(repository, tmp_path / "server.py", "add_magic=add_magic")
    assert printed == f"foo-{tag(repository.head)} 2\n"


def test_an_app_of_a_server_that_compiles_it_in_an_unknown_way_is_unknown_after_an_edit(
    repository: Repository, tmp_path: Path
) -> None:
    printed = app_edited_while_it_is_served(repository, tmp_path / "server.py", "")
    assert printed.startswith(f"foo-{repository.head[:12]}-dirty-")


# ------------------------------------------------------------------------- modules with something else in their place

IN_ITS_PLACE = {
    "an object of its own": "import sys\nLR = 1\nclass Settings:\n    LR = LR\nsys.modules[__name__] = Settings()\n",
    "a namespace": "import sys, types\nsys.modules[__name__] = types.SimpleNamespace(LR = 1)\n",
    "another class": "import sys, types\nLR = 1\nsys.modules[__name__].__class__ = type('M', (types.ModuleType,), {})\n",
}
NAMES = {"helper": "import helper", "lib.helper": "from lib import helper"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", IN_ITS_PLACE)
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_module_with_something_else_in_its_place_counts_as_it_was_loaded(
    repository: Repository, name: str, kind: str, place: str
) -> None:
    file, source = f"{name.replace('.', '/')}.py", IN_ITS_PLACE[kind]
    repository.write("lib/__init__.py", "")
    repository.write(file, source)
    repository.commit(train=train(**{"after": WAITS, place: f"{NAMES[name]}\n{WAITS if place == 'after' else ''}"}))
    alive = Alive(repository, "train.py")
    repository.write(file, source.replace("LR = 1", "LR = 2"))
    repository.commit()
    stdout, _ = alive.go_on()
    assert stdout == f"foo-{tag(repository.head, **{name.replace('.', '__'): source})}.txt\n"


@pytest.mark.parametrize("kind", IN_ITS_PLACE)
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_module_with_something_else_in_its_place_that_nobody_edits_is_clean(
    repository: Repository, kind: str, place: str
) -> None:
    repository.commit(helper=IN_ITS_PLACE[kind], train=train(**{place: "import helper"}, allow=False))
    done = repository.run("train.py")
    assert (done.stdout, done.stderr) == (f"foo-{tag(repository.head)}.txt\n", "")


def test_a_module_with_something_else_in_its_place_that_was_written_before_pyrepro_was_imported_is_unknown(
    repository: Repository,
) -> None:
    source = IN_ITS_PLACE["a namespace"]
    repository.commit(helper=source, train=train(before=f"import helper\n{WAITS}"))
    alive = Alive(repository, "train.py")
    repository.commit(helper=source.replace("LR = 1", "LR = 2"))
    stdout, stderr = alive.go_on()
    assert stdout.startswith(f"foo-{repository.head[:12]}-dirty-")
    assert ", so something else may have been run; " in stderr


def test_what_somebody_has_put_into_sys_modules_without_a_file_is_no_change(repository: Repository) -> None:
    odd = "import sys\nsys.modules.update({'odd': 1, 'odd.part': 2, 'sys.part': 3, 'lib.model': 4, 'blocked': None})"
    repository.commit(helper="LR = 1\n", train=train(before=odd, after="import helper", allow=False))
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head)}.txt\n"
