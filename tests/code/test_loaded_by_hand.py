"""What a loader loads though no import has asked for it counts, whoever holds it and whatever holds it."""

from __future__ import annotations

import os
import sys

import pytest
from conftest import Repository
from test_runs import CALL, COMMIT, edit_of
from test_session import execute
from test_what_runs import WAITS, Alive, tag, timeless, train

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # those of the kernel's client are not ours
    pytest.mark.usefixtures("kernel"),
]

PLUG = "X = 1\n"

LOAD = """\
import importlib.util

def load(path, name="plug"):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""
EXECUTES = {
    "from its path": LOAD + "X = load('plug.py').X",
    "by a loader with a relative path": (
        "import types\nfrom importlib.machinery import SourceFileLoader\nmodule = types.ModuleType('plug')\n"
        "SourceFileLoader('plug', 'plug.py').exec_module(module)\nX = module.X"
    ),
    "from its spec": (
        "import importlib.util\nspec = importlib.util.find_spec('plug')\n"
        "module = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(module)\nX = module.X"
    ),
    "as code alone": (
        "import importlib.util\nnamespace = {}\n"
        "exec(importlib.util.find_spec('plug').loader.get_code('plug'), namespace)\nX = namespace['X']"
    ),
    "by one of many of the same name": LOAD + "X = load('plug.py').X\nload('other.py')",
}
if sys.version_info < (3, 15):  # which has no such method any more
    EXECUTES["by load_module"] = (
        "import warnings\nfrom importlib.machinery import SourceFileLoader\nwarnings.simplefilter('ignore')\n"
        "X = SourceFileLoader('plug', 'plug.py').load_module().X"
    )
SAVES = "@Artifact('p', allow_dirty={allow})\ndef save(p): return p, X\nprint(*save('foo'))\n"


@pytest.mark.parametrize("how", EXECUTES)
def test_a_value_of_an_untracked_file_that_was_loaded_by_hand_makes_names_dirty(
    repository: Repository, how: str
) -> None:
    saves = SAVES.format(allow=True)
    repository.commit(main=f"from pyrepro import Artifact\n{EXECUTES[how]}\n{saves}", other="")
    repository.write("plug.py", PLUG)
    assert repository.run("main.py").stdout == f"foo-{tag(repository.head, plug=PLUG)} 1\n"


@pytest.mark.parametrize("how", EXECUTES)
def test_what_is_loaded_by_hand_and_committed_is_clean(repository: Repository, how: str) -> None:
    saves = SAVES.format(allow=False)
    repository.commit(main=f"from pyrepro import Artifact\n{EXECUTES[how]}\n{saves}", other="", plug=PLUG)
    done = repository.run("main.py")
    assert (done.stdout, done.stderr) == (f"foo-{tag(repository.head)} 1\n", "")


@pytest.mark.parametrize("how", EXECUTES)
def test_what_was_loaded_by_hand_and_edited_and_committed_since_counts_as_it_was_loaded(
    repository: Repository, how: str
) -> None:
    saves = SAVES.format(allow=True)
    repository.commit(main=f"from pyrepro import Artifact\n{EXECUTES[how]}\n{WAITS}{saves}", other="", plug=PLUG)
    alive = Alive(repository, "main.py")
    repository.commit(plug="X = 2\n")
    assert alive.go_on()[0] == f"foo-{tag(repository.head, plug=PLUG)} 1\n"


LATER = {
    "between two decorations": "{load}@Artifact('p')\ndef early(p): pass\nplug = load('plug.py')\n{saves}{calls}",
    "after the decoration": "{load}{saves}plug = load('plug.py')\n{calls}",
    "as an argument": "{load}{saves}{calls}".replace("{calls}", "print(*save('foo', load('plug.py')))"),
}


@pytest.mark.parametrize("when", LATER)
def test_an_untracked_file_that_is_loaded_by_hand_before_a_call_gives_the_true_name_and_an_error_is_logged(
    repository: Repository, when: str
) -> None:
    saves = "@Artifact('p', ignore='plug')\ndef save(p, plug): return p, plug.X\n"
    body = LATER[when].format(load=LOAD, saves=saves, calls="print(*save('foo', plug))\n")
    repository.commit(main=f"from pyrepro import Artifact\n{body}")
    repository.write("plug.py", PLUG)
    done = repository.run("main.py")
    assert done.stdout == f"foo-{tag(repository.head, plug=PLUG)} 1\n"
    assert done.stderr == (
        f"modules whose code no commit holds were loaded, too late to refuse: the work tree {repository.path} has "
        f"changes that commit {repository.head[:12]} does not hold:\n  plug.py\n"
    )


def test_an_untracked_file_that_the_function_loads_by_hand_renames_what_it_wrote(repository: Repository) -> None:
    saves = "@Artifact('p', allow_dirty=True)\ndef save(p): open(p, 'w').write(str(load('plug.py').X))\nsave('foo')\n"
    repository.commit(main=f"from pyrepro import Artifact\n{LOAD}{saves}")
    repository.write("plug.py", PLUG)
    repository.run("main.py")
    [made] = repository.path.glob("foo-*")
    assert (made.name, made.read_text()) == (f"foo-{tag(repository.head, plug=PLUG)}", "1")


def test_a_module_that_is_executed_again_by_hand_is_what_it_was_executed_from_last(repository: Repository) -> None:
    again = "open('plug.py', 'w').write('X = 22\\n')\nplug.__spec__.loader.exec_module(plug)\n"
    saves = "@Artifact('p', allow_dirty=True)\ndef save(p): return p, plug.X\nprint(*save('foo'))\n"
    repository.commit(main=f"import pyrepro, plug\nfrom pyrepro import Artifact\n{again}{WAITS}{saves}", plug=PLUG)
    alive = Alive(repository, "main.py")
    repository.write("plug.py", PLUG)
    assert alive.go_on()[0] == f"foo-{tag(repository.head, plug='X = 22' + chr(10))} 22\n"


def test_a_file_that_cannot_be_loaded_by_hand_says_what_python_says(repository: Repository) -> None:
    script = (
        f"import pyrepro\n{LOAD}for path in ('none.py', 'broken.py'):\n    try:\n        load(path)\n"
        f"    except (OSError, SyntaxError) as error:\n        print(type(error).__name__)\n"
    )
    repository.commit(main=script, broken="this is no Python\n")
    assert repository.run("main.py").stdout == "FileNotFoundError\nSyntaxError\n"


@pytest.mark.usefixtures("caching")
def test_a_stale_compiled_cache_of_what_is_loaded_by_hand_is_not_taken(repository: Repository) -> None:
    repository.write(".gitignore", "__pycache__/\n")
    repository.commit(
        plug=PLUG, main=f"from pyrepro import Artifact\n{EXECUTES['from its path']}\n" + SAVES.format(allow=False)
    )
    then = os.stat(repository.path / "plug.py")
    repository.run("main.py")
    repository.commit(plug="X = 2\n")
    os.utime(repository.path / "plug.py", ns=(then.st_atime_ns, then.st_mtime_ns))
    assert repository.run("main.py").stdout == f"foo-{tag(repository.head)} 2\n"


# ---------------------------------------------------------------------------------------- modules in no sys.modules

BY_PATH = (
    "import importlib.util\nspec = importlib.util.spec_from_file_location('by_path', 'helper.py')\n"
    "helper = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(helper)"
)


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_module_that_is_in_no_sys_modules_counts_as_it_was_loaded(repository: Repository, place: str) -> None:
    decorated = "@Artifact('p')\ndef early(p): pass\n"
    script = train(**{place: BY_PATH}).replace("print(", f"{decorated}{WAITS}@Artifact('p')\ndef late(p): pass\nprint(")
    repository.commit(helper="LR = 1\n", train=script)
    alive = Alive(repository, "train.py")
    repository.commit(helper="LR = 2\n")
    stdout, _ = alive.go_on()
    name = f"foo-{tag(repository.git('rev-parse', 'HEAD~1'))}.txt"
    assert stdout == f"{name}\n"
    assert (repository.path / name).read_text() == "1"


def test_a_module_that_is_in_no_sys_modules_and_was_written_before_pyrepro_was_imported_is_unknown_without_its_cache(
    repository: Repository,
) -> None:
    script = train(before=f"{BY_PATH}\n{WAITS}")
    repository.commit(helper="LR = 1\n", train=script)
    alive = Alive(repository, "train.py")
    repository.commit(helper="LR = 2\n")
    stdout, stderr = alive.go_on()
    assert stdout.startswith(f"foo-{repository.head[:12]}-dirty-")
    assert (
        timeless(stderr).splitlines()[1].startswith(f"  helper.py: {repository.path}/helper.py was written at <time>, ")
    )


def test_a_module_that_a_session_loads_by_its_path_after_an_edit_is_clean_once_it_is_committed(
    repository: Repository,
) -> None:
    steps = f"{BY_PATH}\nimport pyrepro\n@pyrepro.Artifact('p')\ndef save(p): return p, helper.LR\n"
    repository.commit(helper="LR = 1\n", steps=steps)
    edit = edit_of("helper.py", "LR = 1", "LR = 22")
    printed = execute(
        repository.path, "import pyrepro", edit, COMMIT, "import steps", CALL.replace("save", "steps.save")
    )
    assert printed[-1] == f"foo-{tag(repository.head)} 22"


def test_a_module_that_is_in_no_sys_modules_and_not_in_git_is_a_change(repository: Repository) -> None:
    repository.commit(train=train(after=BY_PATH))
    repository.write("helper.py", "LR = 1\n")
    assert repository.run("train.py").stdout == f"foo-{tag(repository.head, helper='LR = 1' + chr(10))}.txt\n"
