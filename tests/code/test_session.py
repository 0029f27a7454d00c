"""At a prompt and in a notebook the state is read at every call, and what is typed is a change."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import tempfile
from pathlib import Path

import nbclient
import nbformat
import pytest
from conftest import PATIENCE, Repository
from jupyter_client import AsyncKernelManager

EMPTY = "44136fa355b3"
DEFINE = """\
from pyrepro import Artifact

@Artifact("outpath", allow_dirty=True)
def save(outpath):
    return outpath
"""


def session_tag(repository: Repository, *inputs: str) -> str:
    """The tag of a function that was typed, from the definition."""
    text = json.dumps([each.rstrip("\n") for each in inputs], separators=(",", ":"))
    entry = ["<session>", "100644", hashlib.sha256(text.encode()).hexdigest()]
    changes = hashlib.sha256(json.dumps([entry], separators=(",", ":")).encode()).hexdigest()
    return f"{repository.head[:12]}-dirty-{changes[:12]}-{EMPTY}"


def execute(directory: Path, *cells: str) -> list[str]:
    """What each cell of a notebook printed, or the last line of its error."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    with tempfile.TemporaryDirectory() as sockets:
        nbclient.NotebookClient(
            notebook,
            # No ports, which other kernels that start at the same moment may take first.
            km=AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel"),
            allow_errors=True,
            resources={"metadata": {"path": str(directory)}},
            startup_timeout=PATIENCE,
            iopub_timeout=PATIENCE,
        ).execute(cleanup_kc=True)  # which ends kernels of its own making only
    printed = []
    for cell in notebook.cells:
        texts = []
        for output in cell.outputs:
            if output.output_type == "error":
                texts.append(f"{output.ename}: {output.evalue}")
            elif output.output_type == "stream" and output.name == "stdout":
                texts.append(output.text)
        printed.append("".join(texts).strip())
    return printed


pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # those of the kernel's client are not ours
    pytest.mark.usefixtures("kernel"),
]


def test_a_function_typed_in_a_notebook_is_named_after_the_inputs_so_far(repository: Repository) -> None:
    cells = [DEFINE, "print(save('foo'))", "print(save('foo'))", "1 + 1", "print(save('foo'))"]
    printed = execute(repository.path, *cells)
    expected = [f"foo-{session_tag(repository, *dict.fromkeys(cells[: number + 1]))}" for number in range(5)]
    assert printed == ["", expected[1], expected[2], "", expected[4]]
    assert expected[1] == expected[2] != expected[4]


def test_a_function_typed_in_a_notebook_is_refused_unless_it_is_allowed(repository: Repository) -> None:
    printed = execute(repository.path, DEFINE.replace(", allow_dirty=True", ""), "save('foo')", "save.tagged('foo')")
    message = (
        f"DirtyRepositoryError: the work tree {repository.path} has changes that commit {repository.head[:12]} does not "
        "hold:\n  <session>\n"
        "Commit them; or pass allow_dirty=True or set PYREPRO_ALLOW_DIRTY=1 to write under a -dirty- name."
    )
    assert printed == ["", message, message]


def test_a_tag_asked_for_in_a_notebook_covers_the_inputs_too(repository: Repository) -> None:
    cell = "import pyrepro; print(pyrepro.tag(allow_dirty=True)); print(pyrepro.code_state())"
    assert execute(repository.path, cell) == [f"{session_tag(repository, cell)}\n{repository.head}"]


def test_a_function_of_a_file_is_named_after_its_file_and_read_at_every_call(repository: Repository) -> None:
    printed = execute(
        repository.path,
        "import train",
        "print(train.save_thing.tagged('foo'))",
        "open('run.sh', 'w').write('edited'); print(train.save_thing.tagged('foo'))",
        "import subprocess; subprocess.run(['git', 'checkout', '-q', '--', '.'], check=True)",
        "print(train.save_thing.tagged('foo'))",
    )
    clean = f"foo-{repository.head[:12]}-{EMPTY}"
    assert printed[1] == printed[4] == clean
    assert printed[2].startswith("DirtyRepositoryError: ")
    assert "\n  run.sh\n" in printed[2]


def test_a_module_edited_and_not_reloaded_counts_as_it_was_loaded(repository: Repository) -> None:
    show = "print(pyrepro.code_state('.'))"
    edit = "pathlib.Path('lib/model.py').write_text('LAYERS = 3\\n') and None"
    printed = execute(
        repository.path,
        "import importlib, lib.model, pathlib, pyrepro\n" + show,
        f"{edit}\n{show}",
        f"importlib.reload(lib.model)\n{show}",
        f"pathlib.Path('lib/model.py').unlink()\n{show}",
    )
    blob = hashlib.sha1(b"blob 11\0LAYERS = 3\n").hexdigest()
    changes = hashlib.sha256(f'[["lib/model.py","100644","{blob}"]]'.encode()).hexdigest()
    edited = f"{repository.head}-dirty-{changes}"
    assert printed == [repository.head, repository.head, edited, edited]


def test_autoreload_brings_a_decorated_function_up_to_date(repository: Repository) -> None:
    script = "from pyrepro import Artifact\n@Artifact('p', allow_dirty=True)\ndef save(p): return 'one', p\n"
    repository.commit(steps=script)
    edited = script.replace("one", "three")
    printed = execute(
        repository.path,
        "%load_ext autoreload\n%autoreload 2\nfrom steps import save\nimport steps, os, time",
        "print(*save('foo'))",
        f"open('steps.py', 'w').write({edited!r})\nos.utime('steps.py', (2e9, 2e9))",
        "print(*save('foo'))\nprint(*steps.save('foo'))",
    )
    blob = hashlib.sha1(b"blob %d\0" % len(edited) + edited.encode()).hexdigest()
    entries = json.dumps([["steps.py", "100644", blob]], separators=(",", ":"))
    dirty = f"{repository.head[:12]}-dirty-{hashlib.sha256(entries.encode()).hexdigest()[:12]}-{EMPTY}"
    assert printed[1] == f"one foo-{repository.head[:12]}-{EMPTY}"
    assert printed[3].splitlines() == [f"three foo-{dirty}"] * 2


def test_a_module_that_the_function_itself_loads_renames_what_it_wrote(repository: Repository) -> None:
    repository.write("helper.py", "x = 1\n")
    define = DEFINE.replace("    return", "    open(outpath, 'w').close()\n    import helper\n    return")
    printed = execute(
        repository.path, define, "save('foo')\nimport glob; print(len(glob.glob('foo*')), glob.glob('foo*')[0])"
    )
    first = session_tag(
        repository, define, "save('foo')\nimport glob; print(len(glob.glob('foo*')), glob.glob('foo*')[0])"
    )
    assert re.fullmatch(rf"1 foo-{repository.head[:12]}-dirty-[0-9a-f]{{12}}-{EMPTY}", printed[1])
    assert first not in printed[1]


def test_what_a_notebook_sends_to_a_worker_has_the_name_that_it_has_there(repository: Repository) -> None:
    send = "import cloudpickle; data = cloudpickle.dumps(save); print(save('foo'))"
    worker = (
        "import subprocess, sys\nrun = 'import pickle, sys; print(pickle.load(sys.stdin.buffer)(\"foo\"))'\n"
        "print(subprocess.run([sys.executable, '-c', run], input=data, capture_output=True).stdout.decode())"
    )
    printed = execute(repository.path, DEFINE, send, worker)
    assert printed[1] == printed[2] == f"foo-{session_tag(repository, DEFINE, send)}"


def test_the_code_of_the_command_line_is_the_one_input_of_its_session(repository: Repository) -> None:
    code = DEFINE + "print(save('foo'))\nimport sys; print(sys.argv)"
    done = repository.run("-W", "ignore", "-c", code, "one", "two")
    assert done.stdout == f"foo-{session_tag(repository, code)}\n['-c', 'one', 'two']\n"


def test_a_function_typed_where_inputs_are_not_recorded_is_refused(repository: Repository) -> None:
    done = repository.run("-", input=DEFINE + "save('foo')")
    assert done.stderr.splitlines()[-1] == (
        "pyrepro.CodeStateError: save was typed in a session that keeps no record of its inputs, "
        "so no name could say what made its output; put it in a file"
    )


SHELL = """\
import sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(colors="nocolor")
for number, cell in enumerate({cells!r}):
    result = shell.run_cell(cell, store_history=number >= {unstored})
    error = result.error_in_exec
    print(f"{{type(error).__name__}}: {{error}}" if error else "", file=sys.stderr, end="")
"""


def ipython(repository: Repository, *cells: str, unstored: int = 0) -> list[str]:
    """What the cells print to standard error's last lines and to standard output, in an IPython session."""
    done = repository.run("-c", SHELL.format(cells=cells, unstored=unstored))
    return [
        line for line in done.stdout.splitlines() if line.startswith(("foo-", "one ", "three ", "CodeStateError: "))
    ]


def test_a_cell_that_is_not_stored_in_the_history_is_refused(repository: Repository) -> None:
    call = "print(save('foo'))"
    assert ipython(repository, DEFINE, call) == [f"foo-{session_tag(repository, DEFINE, call)}"]
    [error] = ipython(repository, DEFINE, call, unstored=1)
    assert error == (
        "CodeStateError: save was typed in a session that keeps no record of its inputs, "
        "so no name could say what made its output; put it in a file"
    )


def test_a_session_with_autoreload_follows_an_edit_and_stays_with_it_where_the_next_could_not_be_loaded(
    repository: Repository,
) -> None:
    script = "from pyrepro import Artifact\n@Artifact('p', allow_dirty=True)\ndef save(p): return 'one', p\n"
    repository.commit(steps=script)
    edit = "import os\nopen('steps.py', 'w').write({!r})\nos.utime('steps.py', ({}, {}))"
    printed = ipython(
        repository,
        "%load_ext autoreload\n%autoreload 2\nfrom steps import save",
        edit.format(script.replace("one", "three"), 2e9, 2e9),
        "print(*save('foo'))",
        edit.format("this is no Python", 3e9, 3e9),
        "print(*save('foo'))",
    )
    assert printed[0].startswith(f"three foo-{repository.head[:12]}-dirty-")
    assert printed[1] == printed[0]


PATCHED = "from pyrepro import Artifact\nLR = 1\n@Artifact('p', allow_dirty=True)\ndef save(p): return p, 'a', LR\n"
RELOADS = "%load_ext autoreload\n%autoreload 2"
STATE = (
    "import pyrepro\ntry: print('foo-', pyrepro.code_state('.'))\nexcept Exception as e: print('CodeStateError: ', e)"
)
where_autoreload_patches = pytest.mark.skipif(
    importlib.util.find_spec("IPython.extensions.deduperreload") is None, reason="this IPython loads modules again"
)
CALL = "print(*steps.save('foo'))"


def edit_steps(old: str, new: str, *, second: int) -> str:
    """The code that edits, and sets a time that autoreload finds to be another."""
    text = f"open('steps.py').read().replace({old!r}, {new!r})"
    return f"import os; text = {text}; open('steps.py', 'w').write(text); os.utime('steps.py', (2e9, 2e9 + {second}))"


def dirty_tag(repository: Repository, content: str) -> str:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content.encode()).hexdigest()
    entries = json.dumps([["steps.py", "100644", blob]], separators=(",", ":"))
    return f"{repository.head[:12]}-dirty-{hashlib.sha256(entries.encode()).hexdigest()[:12]}-{EMPTY}"


def test_a_module_that_autoreload_has_patched_counts_as_what_it_was_patched_with(repository: Repository) -> None:
    repository.commit(steps=PATCHED)
    edits = [edit_steps("LR = 1", "LR = 2", second=1), edit_steps("'a'", "'bb'", second=2)]
    printed = ipython(repository, RELOADS, "import steps", edits[0], CALL, edits[1], CALL)
    once = PATCHED.replace("LR = 1", "LR = 2")
    twice = once.replace("'a'", "'bb'")
    assert printed == [f"foo-{dirty_tag(repository, once)} a 2", f"foo-{dirty_tag(repository, twice)} bb 2"]


@pytest.mark.parametrize(
    "cells",
    [
        ["import steps", edit_steps("LR = 1", "LR = 2", second=1), RELOADS],
        [RELOADS, f"import steps; {edit_steps('LR = 1', 'LR = 2', second=1)}"],
    ],
    ids=["before it was switched on", "in the cell that imports"],
)
def test_an_edit_that_autoreload_does_not_notice_changes_no_name(repository: Repository, cells: list[str]) -> None:
    repository.commit(steps=PATCHED)
    assert ipython(repository, *cells, CALL) == [f"foo-{repository.head[:12]}-{EMPTY} a 1"]


@where_autoreload_patches
def test_a_module_that_autoreload_has_patched_with_a_part_of_the_edits_is_unknown_until_it_is_loaded_again(
    repository: Repository,
) -> None:
    repository.commit(steps=PATCHED)
    cells = ["import steps", edit_steps("LR = 1", "LR = 2", second=1), RELOADS, edit_steps("'a'", "'bb'", second=2)]
    more = [edit_steps("'bb'", "'ccc'", second=3), STATE, "import importlib; _ = importlib.reload(steps)", CALL]
    refused, again, known = ipython(repository, *cells, STATE, *more)
    part = ", and %autoreload patched only a part of it into the module; start the program again, or in a session type "
    for each in (refused, again):
        assert each.startswith("CodeStateError:  which code runs cannot be determined: ")
        assert each.endswith(f"{part}importlib.reload(steps)")
    twice = PATCHED.replace("LR = 1", "LR = 2").replace("'a'", "'ccc'")
    assert known == f"foo-{dirty_tag(repository, twice)} ccc 2"


def test_a_module_that_was_edited_and_patched_before_pyrepro_is_unknown(repository: Repository) -> None:
    repository.commit(steps="LR = 1\n")
    edit = edit_steps("LR = 1", "LR = 2", second=1)
    [found] = ipython(repository, f"{RELOADS}\nimport steps", edit, "steps.LR", STATE)
    assert found.startswith("CodeStateError:  which code runs cannot be determined: ")


@where_autoreload_patches
def test_a_module_that_was_edited_and_patched_before_pyrepro_stays_unknown_when_it_is_patched_again(
    repository: Repository,
) -> None:
    repository.commit(steps="LR = 1\n")
    edits = [edit_steps("LR = 1", "LR = 2", second=1), edit_steps("LR = 2", "LR = 3", second=2)]
    printed = ipython(repository, f"{RELOADS}\nimport steps", edits[0], STATE, edits[1], STATE)
    assert [each.partition(":")[0] for each in printed] == ["CodeStateError", "CodeStateError"]


def test_a_module_whose_file_was_deleted_counts_as_it_was_loaded(repository: Repository) -> None:
    call = "import lib.model\nprint(save('foo'))"
    again = "import os; os.unlink('lib/model.py'); print(save('foo'))"
    assert ipython(repository, DEFINE, call, again) == [
        f"foo-{session_tag(repository, DEFINE, call)}",
        f"foo-{session_tag(repository, DEFINE, call, again)}",
    ]


def test_a_typed_function_pickles_with_the_state_of_that_moment(repository: Repository) -> None:
    cell = "import cloudpickle, pickle\nprint(pickle.loads(cloudpickle.dumps(save))('foo'))"
    assert ipython(repository, DEFINE, cell) == [f"foo-{session_tag(repository, DEFINE, cell)}"]


def test_a_declared_state_does_not_stand_in_for_what_was_typed(repository: Repository, tmp_path: Path) -> None:
    declared = {"PYREPRO_CODE_STATE": repository.head}
    done = repository.run("-c", DEFINE + "save('foo')", cwd=tmp_path, env=declared)
    assert done.stderr.splitlines()[-1] == (
        f"pyrepro.CodeStateError: save was typed, so PYREPRO_CODE_STATE={repository.head} does not say "
        "what makes its output; put it in a file"
    )
    done = repository.run("-", cwd=tmp_path, env=declared, input=DEFINE + "save('foo')")
    assert "keeps no record of its inputs" in done.stderr.splitlines()[-1]


def test_a_declared_state_is_compared_with_the_code_as_it_was_loaded(repository: Repository) -> None:
    code = (
        "import train\nprint(train.save_thing.tagged('foo'))\n"
        "open('train.py', 'a').write('# edited')\nprint(train.save_thing.tagged('foo'))"
    )
    done = repository.run("-c", code, env={"PYREPRO_CODE_STATE": repository.head})
    assert (done.stdout, done.stderr) == (f"foo-{repository.head[:12]}-{EMPTY}\n" * 2, "")


def test_a_session_in_no_repository_is_an_error_that_names_the_directory(
    repository: Repository, tmp_path: Path
) -> None:
    done = repository.run("-c", DEFINE + "save('foo')", cwd=tmp_path)
    assert done.stderr.splitlines()[-1] == (
        f"pyrepro.CodeStateError: the working directory {os.path.realpath(tmp_path)} is in no git work tree; "
        "pass repo=<path of the work tree>, or declare the state with PYREPRO_CODE_STATE; "
        "in a new project, type: git init"
    )


def test_what_typed_code_decorates_is_typed_and_of_the_working_directory(repository: Repository) -> None:
    code = "import numpy as np, pyrepro; print(pyrepro.Artifact('fname', allow_dirty=True)(np.savetxt).tagged('x.txt'))"
    assert repository.run("-W", "ignore", "-c", code).stdout == f"x-{session_tag(repository, code)}.txt\n"
    cells = [
        "import shutil; from pyrepro import Artifact; copy = Artifact('dst', allow_dirty=True)(shutil.copy)",
        "print('foo-' + copy.tagged('a', 'b').partition('-')[2])",
    ]
    assert ipython(repository, *cells) == [f"foo-{session_tag(repository, *cells)}"]


@pytest.mark.parametrize("value", [1, 2])
def test_a_file_in_the_namespace_of_a_console_is_not_that_of_what_is_typed(repository: Repository, value: int) -> None:
    # As VS Code's interactive window sets it, and %run -i leaves it; saved since the session started.
    repository.commit(script="X = 1\n")
    vscode = "__file__ = 'train.py'; import os; os.utime(__file__); __file__ = os.path.abspath(__file__)"
    save = DEFINE.replace("return outpath", f"return outpath, {value}")
    call = "print(*save('foo'))\nimport pyrepro; print(pyrepro.tag(allow_dirty=True))"
    for first in (vscode, "%run -i script.py"):
        tag = session_tag(repository, first, save, call)
        assert execute(repository.path, first, save, call) == ["", "", f"foo-{tag} {value}\n{tag}"]


def test_a_file_that_runs_in_the_namespace_of_a_console_is_typed_as_soon_as_something_was(
    repository: Repository,
) -> None:
    script = DEFINE + "print(save('foo'))\n"
    repository.commit(script=script)
    run = "%run -i script.py"
    assert ipython(repository, run, "X = 1") == [f"foo-{session_tag(repository, run)}"]
    done = repository.run("-m", "IPython", "--colors=nocolor", "script.py")
    assert done.stdout == f"foo-{repository.head[:12]}-{EMPTY}\n"


def test_typed_code_is_found_through_what_wraps_it(repository: Repository) -> None:
    repository.commit(
        applied="import functools\nfrom pyrepro import Artifact\n"
        "def wrap(f):\n    @functools.wraps(f)\n    def call(p): return f(p)\n    return call\n"
        "def apply(f): return Artifact('p', allow_dirty=True)(f)\n"
    )
    typed = "from applied import apply, wrap\nimport functools\ndef save(p): return p\n"
    shows = [
        "print(apply(wrap(save))('foo'))",
        "print(apply(wrap(functools.partial(save)))('foo'))",
        "class Call:\n    def __call__(self, p): return p\nprint(apply(Call())('foo'))",
    ]
    cells = [typed + show for show in shows]
    assert ipython(repository, *cells) == [
        f"foo-{session_tag(repository, *cells[: number + 1])}" for number in range(3)
    ]


@pytest.mark.parametrize("file", ["/tmp/marimo_7/__marimo__cell_Hbol_.py", "<python-input-3>", "<console>"])
def test_code_of_a_console_without_a_record_is_refused_in_a_program_that_has_a_file(
    repository: Repository, file: str
) -> None:
    repository.commit(
        kernel=f"exec(compile({DEFINE!r}, {file!r}, 'exec'))\nprint(save('foo'))\n",
    )
    done = repository.run("kernel.py")
    assert done.stderr.splitlines()[-1] == (
        "pyrepro.CodeStateError: save was typed in a session that keeps no record of its inputs, "
        "so no name could say what made its output; put it in a file"
    )


MADE = """\
import collections, dataclasses, functools, inspect
from pyrepro import Artifact

exec("def made(p): return p")
def wraps(f): return functools.wraps(f)(lambda *a: f(*a))

@dataclasses.dataclass
class Data:
    p: str
Pair = collections.namedtuple("Pair", "p")

names = {}
exec("def apart(p): return p", names)
class Forever:
    def __call__(self, p): return p
    def __getattr__(self, name):
        if name == "__wrapped__": return Forever()
        raise AttributeError(name)
    __signature__ = inspect.signature(lambda p: p)

def show():
    own = functools.partial(Data.__init__, None), functools.partial(Pair.__new__, Pair)
    for save in [made, names["apart"], *own, wraps(made), Forever()]:
        print("foo-" + Artifact("p")(save).tagged("p"))
"""


def test_what_a_module_makes_is_of_the_module_in_a_session_too(repository: Repository) -> None:
    repository.commit(made_up=MADE)
    printed = ipython(repository, "import made_up; made_up.show()")
    assert printed == [f"foo-p-{repository.head[:12]}-{EMPTY}"] * 6


def test_what_a_session_makes_and_a_module_decorates_is_typed(repository: Repository) -> None:
    repository.commit(
        decorating="import pyrepro\ndef decorated(f): return pyrepro.Artifact('p', allow_dirty=True)(f)\n"
    )
    code = (
        "import decorating\nnames = {'__name__': '__main__'}\nexec('def apart(p): return p', names)\n"
        "print(decorating.decorated(names['apart'])('foo'))"
    )
    assert repository.run("-c", code).stdout == f"foo-{session_tag(repository, code)}\n"


def loaded_tag(repository: Repository, path: str, content: str, *inputs: str) -> str:
    """The tag with a file as it was loaded and, where there are some, the inputs of a session."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content.encode()).hexdigest()
    entries = [[path, "100644", blob]]
    if inputs:
        text = json.dumps([each.rstrip("\n") for each in inputs], separators=(",", ":"))
        entries.insert(0, ["<session>", "100644", hashlib.sha256(text.encode()).hexdigest()])
    changes = hashlib.sha256(json.dumps(entries, separators=(",", ":")).encode()).hexdigest()
    return f"{repository.head[:12]}-dirty-{changes[:12]}-{EMPTY}"


RUNNER = """\
shell = get_ipython()  # as %matplotlib does it
shell.magics_manager.registry["ExecutionMagics"].default_runner = shell.safe_execfile
"""


@pytest.mark.parametrize("options", ["", "-i ", "-n "])
@pytest.mark.parametrize("before", ["", RUNNER])
def test_a_script_counts_as_it_was_run_last(repository: Repository, options: str, before: str) -> None:
    repository.write("utils.py", "X = 1\n")
    define = before + DEFINE.replace("return outpath", "return outpath, X")
    run, call = f"%run {options}utils.py", "print(*save('foo'))"
    edit = "open('utils.py', 'w').write('X = 22\\n') and None"
    cells = [define, run, call, edit, call, run, call]
    one = {1: ("utils.py", "X = 1\n"), 22: ("utils.py", "X = 22\n")}
    *_, first, _, second, _, third = execute(repository.path, *cells)
    assert [first, second, third] == [
        f"foo-{loaded_tag(repository, *one[1], define, run, call)} 1",
        f"foo-{loaded_tag(repository, *one[1], define, run, call, edit)} 1",
        f"foo-{loaded_tag(repository, *one[22], define, run, call, edit)} 22",
    ]


def test_a_script_that_decorates_and_calls_counts_as_each_run_of_it(repository: Repository) -> None:
    script = DEFINE + "print(save('foo'), 'one')\n"
    repository.commit(script=script)
    edited = script.replace("one", "three")
    edit = f"open('script.py', 'w').write({edited!r}) and None"
    first, _, second = execute(repository.path, "%run script.py", edit, "%run script.py")
    assert first == f"foo-{repository.head[:12]}-{EMPTY} one"
    assert second == f"foo-{loaded_tag(repository, 'script.py', edited)} three"
