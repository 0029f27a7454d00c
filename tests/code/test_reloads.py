"""A module that took something of another one, which was then loaded again from other bytes, is a change."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from conftest import Repository
from test_session import execute
from test_what_runs import WAITS, Alive, tag, timeless

from pyrepro._code import imports
from pyrepro._code.load import Load
from pyrepro._code.reloads import History, SourceLoad, left_behind, read_body

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the kernel's client are not ours

SAVE = "from pyrepro import Artifact\n{take}\n@Artifact('outpath')\ndef save(outpath):\n    return {value}\n"
COMMIT = """\
import pathlib, subprocess
def commit(content, file="helper.py"):
    pathlib.Path(file).write_text(content)
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, "commit", "-qam", "more"], check=True)
"""


def clean(printed: str, repository: Repository) -> bool:
    return printed == f"foo-{repository.head[:12]}-44136fa355b3"


@pytest.mark.usefixtures("kernel")
def test_what_was_taken_of_a_module_before_it_was_reloaded_is_a_change_until_it_is_taken_again(
    repository: Repository,
) -> None:
    repository.commit(helper="LR = 1\n", steps=SAVE.format(take="from helper import LR", value="LR"))
    show = "print(steps.save.tagged('foo'))"
    printed = execute(
        repository.path,
        f"{COMMIT}import pyrepro, importlib, helper, steps",
        f"commit('LR = 20\\n'); importlib.reload(helper)\n{show}",
        f"importlib.reload(steps)\n{show}",
    )
    assert printed[1].startswith("DirtyRepositoryError: ")
    remark = "took LR of helper before that was loaded again; type importlib.reload(steps)"
    assert printed[1].splitlines()[1] == f"  steps.py: {remark}"
    assert clean(printed[2], repository)


@pytest.mark.usefixtures("kernel")
def test_autoreload_of_a_module_that_is_used_in_functions_leaves_nobody_behind(repository: Repository) -> None:
    repository.commit(
        helper="def lr(): return 1\n",
        steps=SAVE.format(take="import helper", value="helper.lr(), outpath"),
        other=SAVE.format(take="from helper import lr", value="lr()"),
    )
    edit = "commit('def lr(): return 20\\n')\nimport os; os.utime('helper.py', (2e9, 2e9))"
    printed = execute(
        repository.path,
        f"%load_ext autoreload\n%autoreload 2\n{COMMIT}import pyrepro, importlib, helper, steps",
        "print(steps.save.tagged('foo'))",
        edit,
        "print(steps.save.tagged('foo'), steps.save('foo')[0])",
        "import other\n" + edit.replace("20", "300").replace("2e9", "2.05e9"),
        "print(steps.save.tagged('foo'))",
    )

    assert re.fullmatch(r"foo-[0-9a-f]{12}-44136fa355b3 20", printed[3])
    assert "\n  other.py: took lr of helper before that was loaded again; type importlib.reload(other)\n" in printed[5]


def in_session(repository: Repository, *lines: str) -> list[str]:
    """What lines of python -c print, in a session that can commit."""
    done = repository.run("-c", "\n".join([COMMIT, "import pyrepro, importlib, sys, helper, steps", *lines]))
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


STATE = "print(pyrepro.code_state('.'))"
MOMENT = "time.sleep(0.05)\n"
"""What is written as soon as a process has started counts as written before, since clocks are coarse."""


@pytest.mark.parametrize(
    ("steps", "lines"),
    [
        ("import helper\ndef f(): return helper.LR\n", ["commit('LR = 20\\n')", "importlib.reload(helper)"]),
        ("from helper import LR\n", ["pathlib.Path('helper.py').touch()", "importlib.reload(helper)"]),
        ("from helper import LR\n", ["commit('LR = 20\\n')", *(f"importlib.reload({m})" for m in ("helper", "steps"))]),
        (
            "from helper import LR\n",
            ["commit('LR = 20\\n')", "del sys.modules['helper'], sys.modules['steps']", "import steps"],
        ),
        (
            "from helper import LR\n",
            ["commit('LR = 20\\n')", "importlib.reload(helper)", "commit('LR = 1\\n')", "importlib.reload(helper)"],
        ),
        (
            "import helper, importlib\nimportlib.reload(helper)\nfrom helper import LR\n",
            ["commit('LR = 20\\n')", "importlib.reload(steps)"],
        ),
        (
            "import importlib\nfrom helper import LR\nimport helper\nimportlib.reload(helper)\nfrom helper import LR\n",
            ["commit('LR = 20\\n')", "importlib.reload(steps)"],
        ),
        (
            "import sys\nimport helper\nsys.modules.pop('helper')\nimport helper\nLR = helper.LR\n",
            ["commit('LR = 20\\n')", "importlib.reload(steps)"],
        ),
        (
            "import sys\nfor name in ['helper']:\n    del sys.modules[name]\nfrom helper import LR\n",
            ["commit('LR = 20\\n')", "importlib.reload(steps)"],
        ),
    ],
    ids=[
        *("plain import", "same bytes", "both", "both anew", "back again", "by itself"),
        *("by itself and taken again", "anew by itself", "any anew by itself"),
    ],
)
def test_innocents_stay_clean(repository: Repository, steps: str, lines: list[str]) -> None:
    repository.commit(helper="LR = 1\n", steps=steps)
    assert in_session(repository, *lines, STATE) == [repository.git("rev-parse", "HEAD").strip()]


@pytest.mark.parametrize("steps", ["from helper import LR\n", "import helper\ndef f(): return helper.LR\n"])
def test_a_module_that_was_imported_anew_leaves_all_behind_that_imported_it(repository: Repository, steps: str) -> None:
    repository.commit(helper="LR = 1\n", steps=steps)
    anew = ["commit('LR = 20\\n')", "del sys.modules['helper']", "import helper"]
    dirty, now_clean = in_session(repository, *anew, STATE, "importlib.reload(steps)", STATE)
    assert dirty.startswith(f"{repository.head}-dirty-")
    assert now_clean == repository.head


@pytest.mark.parametrize(
    "anew",
    [
        "del sys.modules['helper']",
        "del sys.modules['helper'], sys.modules['subprocess']",
        "sys.modules.pop('helper', None)",
        "sys.modules.pop(*['helper'])",
        "for name in ['helper', 'subprocess']:\n    del sys.modules[name]",
    ],
)
@pytest.mark.parametrize("take", ["from helper import LR", "import helper as old", "from helper import LR as OLD"])
def test_a_program_that_imports_a_module_anew_keeps_what_it_took_before(
    repository: Repository, anew: str, take: str
) -> None:
    program = f"{COMMIT}import pyrepro, sys\n{take}\ncommit('LR = 20\\n')\n{anew}\nimport helper\n{STATE}\n"
    repository.commit(helper="LR = 1\n", steps="\n", run=program)
    printed = repository.run("run.py").stdout
    assert printed.startswith(f"{repository.head}-dirty-")


def test_a_program_may_have_a_variable_of_any_name(repository: Repository) -> None:
    program = f"{COMMIT}import pyrepro, helper, importlib\nname = spec = 'x'\n"
    reload = f"commit('LR = 20\\n')\nimportlib.reload(helper)\n{STATE}\n"
    repository.commit(helper="LR = 1\n", run=program + reload)
    assert repository.run("run.py").stdout == f"{repository.head}\n"


@pytest.mark.parametrize("more", ["", "import multiprocessing\n", "sys.modules['alias'] = sys.modules[__name__]\n"])
def test_a_program_that_takes_all_of_a_module_anew_keeps_nothing(more: str, repository: Repository) -> None:
    take = "from helper import LR\n"
    program = (
        f"{COMMIT}import pyrepro, sys\n{more}{take}commit('LR = 20\\n')\ndel sys.modules['helper']\n{take}{STATE}\n"
    )
    repository.commit(helper="LR = 1\n", run=program)
    assert repository.run("run.py").stdout == f"{repository.head}\n"


def test_modules_that_the_function_reloads_leave_others_behind_until_they_are_what_they_were(
    repository: Repository,
) -> None:
    script = f"""\
{COMMIT}
import importlib
from pyrepro import Artifact
import helper, steps
@Artifact("outpath", allow_dirty=True)
def save(outpath, content):
    pathlib.Path("helper.py").write_text(content)
    importlib.reload(helper)
    open(outpath, "w").close()
    return outpath
print(save.tagged("foo", content=""))
for content in ("LR = 20\\n", "LR = 1\\n"):
    save("foo", content=content)
    print(save.tagged("foo", content=""))
"""
    repository.commit(helper="LR = 1\n", steps="from helper import LR\n", train=script)
    done = repository.run("train.py")
    first, second, third = done.stdout.splitlines()
    assert clean(first, repository) and third == first
    assert second.startswith(f"foo-{repository.head[:12]}-dirty-")
    assert "  steps.py: took LR of helper before that was loaded again; type importlib.reload(steps)" in done.stderr


def test_a_module_whose_first_load_nobody_saw_leaves_its_importers_behind(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", steps="from helper import LR\n")
    script = f"import importlib, os, time, steps, helper\n{MOMENT}os.utime('helper.py')\nimport pyrepro\n"
    script += "importlib.reload(helper)\n"
    done = repository.run("-c", f"{script}{STATE}\nimportlib.reload(steps)\n{STATE}")
    assert re.fullmatch(rf"{repository.head}-dirty-[0-9a-f]+\n{repository.head}\n", done.stdout), done.stderr


def test_what_is_unknown_stays_so_beside_what_was_left_behind(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", steps="from helper import LR\n", unseen="x = 1\n")
    script = (
        f"import importlib, os, time, steps, helper, unseen\n{MOMENT}"
        "for name in ('helper', 'unseen'): os.utime(f'{name}.py')\n"
    )
    done = repository.run(
        "-c", f"{script}import pyrepro\nimportlib.reload(helper)\nprint(pyrepro.tag(allow_dirty=True))"
    )
    assert "\n  steps.py: took LR of helper before that was loaded again; type" in done.stderr
    assert f"\n  unseen.py: {repository.path}/unseen.py was written at " in done.stderr


def test_what_a_lazy_package_fetched_of_a_module_is_taken_of_that_module(repository: Repository) -> None:
    lazy = "def __getattr__(name):\n    if name != 'LR':\n        raise AttributeError(name)\n"
    lazy += "    import importlib\n    return importlib.import_module('lazy.core').LR\n"
    repository.write("lazy/__init__.py", lazy)
    repository.commit(helper="", lazy__core="LR = 1\n", steps="from lazy import LR\n")
    reload = ["import lazy.core", "commit('LR = 20\\n', 'lazy/core.py')", "importlib.reload(lazy.core)"]
    dirty, now_clean = in_session(repository, *reload, STATE, "importlib.reload(steps)", STATE)
    assert dirty.startswith(f"{repository.head}-dirty-")
    assert now_clean == repository.head


# The pure function


def history(name: str, *loads: tuple[int, str], package: str = "", **more: object) -> History:
    of_sources = tuple(SourceLoad(order, content.encode(), order > 10, **more) for order, content in loads)  # type: ignore[arg-type]
    return History(name, package, of_sources, of_sources[-1], name)


def remarks(*histories: History) -> dict[str, str]:
    return {name: one.remark.partition(";")[0] for name, one in left_behind(histories).items()}


HELPER = history("helper", (2, "LR = 1"), (20, "LR = 2"))


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("from helper import LR", "LR of helper"),
        ("from helper import LR as rate", "LR of helper"),
        ("from helper import *", "* of helper"),
        ("import helper as h\nx = h.LR", "LR of helper"),
        ("import helper\nclass C:\n    x: int = helper.LR\n    y: int", "LR of helper"),
        ("import helper\nclass C(helper.Base, metaclass=helper.Meta): pass", "Base of helper"),
        ("import helper\n@helper.deco\ndef f(): pass", "deco of helper"),
        ("import helper\n@helper.deco\nasync def f(): pass", "deco of helper"),
        ("import helper\ndef f(a, /, *args, x=helper.LR, y, **rest): pass", "LR of helper"),
        ("import helper\nf = lambda x=helper.LR: 1", "LR of helper"),
        ("import helper\nx = [helper.LR for _ in ()]", "LR of helper"),
        ("import helper\ndef f(): return helper.LR\nx = f()", "LR of helper"),
        ("import helper\nclass C:\n    def __init__(self): helper.LR\nx = C()", "LR of helper"),
        ("import helper\ndef f(x):\n    return helper.LR\n@f\ndef g(): pass", "LR of helper"),
        ("try:\n    import helper\nexcept ImportError:\n    pass\nelse:\n    use(helper)", "helper"),
        ("import helper, importlib\nx = helper.LR\nimportlib.reload(helper)", "LR of helper"),
        ("import helper\nif helper.LR: pass", "LR of helper"),
        ("import importlib\nx = importlib.import_module('helper').LR", "LR of helper"),
        ("from importlib import import_module\nh = all['h'] = import_module('helper')\nx = h.LR", "LR of helper"),
    ],
)
def test_what_runs_at_load_takes(source: str, what: str) -> None:
    assert remarks(HELPER, history("steps", (1, source))) == {"steps": f"took {what} before that was loaded again"}
    assert remarks(HELPER, history("steps", (3, source))) != {}
    assert remarks(HELPER, history("steps", (3, source), (21, source))) == {}


@pytest.mark.parametrize(
    "source",
    [
        "import helper\ndef f(): return helper.LR",
        "import importlib\nh = importlib.import_module('helper')\ndef f(): return h.LR",
        "import importlib\nimportlib.import_module('help' + 'ers').LR, importlib.import_module(1)",
        "import helper\nf = lambda: helper.LR",
        "def f():\n    from helper import LR",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from helper import LR",
        "import typing\nif typing.TYPE_CHECKING:\n    from helper import LR\nelse: LR = 3",
        "import helper\nif __name__ == '__main__':\n    print(helper.LR)",
        "from __future__ import annotations\nimport helper\ndef f(x: helper.C) -> helper.C: pass",
        "import helper\nhelper = 3\nprint(helper)",
        "import helper\nprint(helper.__file__, helper.__spec__.loader)",
        "import helpers\nprint(helpers.LR, len([1]).x)",
        "not Python",
    ],
)
def test_what_does_not_run_at_load_takes_nothing(source: str) -> None:
    assert remarks(HELPER, history("steps", (1, source))) == {}


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("from lazy import LR", "LR of lazy.core"),
        ("import lazy\nx = lazy.LR", "LR of lazy.core"),
        ("from lazy import *", "* of lazy.core"),
        ("from lazy import renamed", "renamed of lazy.core"),
        ("from lazy import other", ""),  # lazy.other has it
        ("from lazy import own", ""),
        ("from lazy import __version__", ""),
        ("import lazy", ""),
    ],
)
@pytest.mark.parametrize(
    "getattr_", ["def __getattr__(name): pass", "__getattr__, __dir__, __all__ = attach(__name__)"]
)
def test_a_name_that_a_package_does_not_have_is_of_a_module_below_it(getattr_: str, source: str, what: str) -> None:
    core = history("lazy.core", (2, "LR = 1"), (20, "LR = 2"), package="lazy")
    other = history("lazy.other", (3, "other = 1"), package="lazy")
    eager = history("lazy", (1, "own = 1"), package="lazy")
    lazy = history("lazy", (1, f"{getattr_}\nown = 1"), package="lazy")
    steps = history("steps", (4, source))
    expected = {"steps": f"took {what} before that was loaded again"} if what else {}
    assert remarks(core, other, lazy, steps) == expected
    assert remarks(core, other, eager, steps) == {}


def test_a_program_takes_what_stands_under_its_guard() -> None:
    source = "import helper\nif __name__ == '__main__':\n    print(helper.LR)"
    assert left_behind([HELPER, history("__main__", (1, source))])["__main__"].remark == (
        "took LR of helper before that was loaded again; start the program again"
    )


def test_future_imports_keep_annotations_read_unless_they_say_otherwise() -> None:
    source = b"from __future__ import division\nimport helper\ndef f(x: helper.C) -> helper.C: pass"
    assert [use.path for use in read_body(source, "").uses if use.is_value] == (
        ["helper.C"] * 2 if sys.version_info < (3, 14) else []
    )


@pytest.mark.parametrize(
    ("source", "behind"),
    [
        ("from .helper import LR", {"pkg.steps": "took LR of pkg.helper before that was loaded again"}),
        ("from . import helper\nx = helper.LR", {"pkg.steps": "took LR of pkg.helper before that was loaded again"}),
        ("import pkg.helper\nx = pkg.helper.LR", {"pkg.steps": "took LR of pkg.helper before that was loaded again"}),
        ("from pkg import helper", {}),
        ("import pkg.helper", {}),
    ],
)
def test_modules_of_packages_are_told_from_what_they_hold(source: str, behind: dict[str, str]) -> None:
    helper = history("pkg.helper", (4, "LR = 1"), (20, "LR = 2"))
    package = history("pkg", (1, "from . import helper as other, steps"), package="pkg")
    assert remarks(helper, package, history("pkg.steps", (5, source), package="pkg")) == behind


def test_a_function_that_has_the_name_of_its_module_is_a_value_of_the_package() -> None:
    load = history("pkg.load", (4, "def load(): 1"), (20, "def load(): 2"))
    package = history("pkg", (1, "from .load import load"), package="pkg")
    assert remarks(load, package, history("steps", (5, "from pkg import load"))) == {
        "pkg": "took load of pkg.load before that was loaded again",
        "steps": "took load of pkg, which is to be loaded again first",
    }


def test_chains_are_followed_to_their_end() -> None:
    a, b = "from b import x", "from helper import LR as x"
    old = [history("a", (5, a)), history("b", (4, b)), HELPER]
    assert remarks(*old) == {
        "a": "took x of b, which is to be loaded again first",
        "b": "took LR of helper before that was loaded again",
    }
    assert remarks(old[0], history("b", (4, b), (21, b)), HELPER) == {"a": "took x of b before that was loaded again"}
    assert remarks(history("a", (5, a), (22, a)), history("b", (4, b), (21, b)), HELPER) == {}


def test_circles_end() -> None:
    circle = [history("a", (5, "import a\nfrom b import x")), history("b", (6, "from a import y"))]
    assert remarks(*circle, HELPER) == {}
    assert sorted(remarks(circle[0], history("b", (6, "from a import y\nfrom helper import LR")), HELPER)) == ["a", "b"]


def test_the_id_is_of_the_contents_and_their_order_alone() -> None:
    def id_of(*histories: History) -> str:
        return left_behind(histories)["steps"].id

    steps = history("steps", (3, "from helper import LR"))
    first = id_of(HELPER, steps)
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert (
        id_of(history("steps", (6, "from helper import LR")), history("helper", (5, "LR = 1"), (30, "LR = 2"))) == first
    )
    others = {
        id_of(history("helper", (2, "LR = 2"), (20, "LR = 1")), steps),
        id_of(history("helper", (2, "LR = 1"), (20, "LR = 3")), steps),
        id_of(HELPER, history("steps", (3, "from helper import LR #"))),
    }
    assert len(others | {first}) == 4


def test_a_load_that_is_not_known_any_more_may_have_been_another_one() -> None:
    loads = (SourceLoad(2, b"LR = 1"), SourceLoad(20, b"LR = 1", is_reload=True, gap="c0ffee"))
    helper = History("helper", "", loads, loads[1], "helper")
    for source, is_behind in (("from helper import LR", True), ("import helper", False)):
        assert bool(remarks(helper, history("steps", (3, source)))) is is_behind
        assert remarks(helper, history("steps", (21, source))) == {}
    anew = (loads[0], loads[1]._replace(is_reload=False))
    assert remarks(History("helper", "", anew, anew[1], "helper"), history("steps", (3, "import helper"))) == {
        "steps": "took helper before that was loaded again"
    }


def test_ten_thousand_loads_keep_the_first_and_the_last_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "_loads", {})
    monkeypatch.setattr(imports, "_loaded_otherwise", set())
    file = tmp_path / "helper.py"

    def load(content: str, *, is_reload: bool = True) -> Load:
        file.write_text(content)
        one = Load(str(file), object())
        one.is_import, one.is_reload = True, is_reload
        imports._keep("helper", one)
        return one

    first = load("LR = 1", is_reload=False)
    for _ in range(1000):
        load("LR = 1")
    last = load("LR = 1")
    loads = imports.loads_like("helper", last)
    assert (len(loads), loads[0], loads[-1]) == (10, first, last)
    assert not imports.is_any_loaded_otherwise() and not any(one.gap for one in loads)
    load("LR = 2", is_reload=False)
    for _ in range(20):
        last = load("LR = 1")
    loads = imports.loads_like("helper", last)
    assert imports.is_any_loaded_otherwise()
    assert [bool(one.gap) for one in loads] == [one.is_reload is False and one is not first for one in loads]
    assert loads[1].gap and not loads[1].is_reload


def test_nothing_is_behind_where_nothing_was_loaded_again() -> None:
    assert left_behind([history("helper", (2, "LR = 1")), history("steps", (1, "from helper import LR"))]) == {}


# ----------------------------------------------------------------------------------------------- reloads that fail

FAILS = """\
import contextlib, importlib, pyrepro, helper
{waits}
for _ in range({times}):
    with contextlib.suppress(Exception, KeyboardInterrupt):
        importlib.reload(helper)
@pyrepro.Artifact("p", allow_dirty=True)
def save(p):
    return p, helper.LR
print(*save("foo"))
"""
BROKEN = {
    "no Python": "LR = (\n",
    "an error": "LR = 2\nraise ValueError\n",
    "interrupted": "LR = 2\nraise KeyboardInterrupt\n",
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("times", [1, 2])
def test_a_module_whose_reload_failed_after_an_edit_is_unknown(repository: Repository, kind: str, times: int) -> None:
    repository.commit(helper="LR = 1\n", main=FAILS.format(waits=WAITS, times=times))
    alive = Alive(repository, "main.py")
    repository.commit(helper=BROKEN[kind])
    stdout, stderr = alive.go_on()
    assert stdout.startswith(f"foo-{repository.head[:12]}-dirty-")
    assert timeless(stderr).splitlines()[1] == (
        f"  helper.py: {repository.path}/helper.py was written at <time>, after the module helper was found at <time>, "
        f"and its reload failed; start the program again, or in a session type importlib.reload(helper)"
    )


def test_a_module_whose_reload_failed_and_then_did_not_is_known(repository: Repository) -> None:
    main = FAILS.format(waits=WAITS, times=1).replace("@pyrepro", f"{WAITS}importlib.reload(helper)\n@pyrepro")
    repository.commit(helper="LR = 1\n", main=main)
    alive = Alive(repository, "main.py")
    repository.write("helper.py", "LR = 2\nraise ValueError\n")
    assert alive.process.stdin is not None and alive.process.stdout is not None
    alive.process.stdin.write("\n")
    alive.process.stdin.flush()
    assert alive.process.stdout.readline() == "waiting\n"
    repository.commit(helper="LR = 3\n")
    assert alive.go_on() == (f"foo-{tag(repository.head)} 3\n", "")


def test_a_module_of_which_a_reload_of_the_same_failed_is_clean(repository: Repository) -> None:
    helper = "import os\nif 'FAILS' in os.environ: raise ValueError\nLR = 1\n"
    repository.commit(helper=helper, main=FAILS.format(waits="import os; os.environ['FAILS'] = '1'", times=2))
    assert repository.run("main.py").stdout == f"foo-{tag(repository.head)} 1\n"


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize(("take", "value"), [("import helper", "helper.LR"), ("from helper import LR", "LR")])
def test_a_module_from_before_pyrepro_that_was_edited_and_is_reloaded_leaves_behind_only_who_took_values(
    repository: Repository, take: str, value: str
) -> None:
    repository.commit(helper="LR = 1\n", steps=SAVE.format(take=take, value=value))
    show = "print(steps.save.tagged('foo'))"
    cells = [f"{COMMIT}import helper", "commit('LR = 20\\n')", f"import steps\n{show}"]
    *_, refused, reloaded, again = execute(
        repository.path,
        *cells,
        f"import importlib; _ = importlib.reload(helper)\n{show}",
        f"_ = importlib.reload(steps)\n{show}",
    )
    assert refused.startswith("CodeStateError: which code runs cannot be determined: ")
    if take == "import helper":
        assert clean(reloaded, repository)
    else:
        assert reloaded.splitlines()[1] == (
            "  steps.py: took LR of helper before that was loaded again; type importlib.reload(steps)"
        )
    assert clean(again, repository)
