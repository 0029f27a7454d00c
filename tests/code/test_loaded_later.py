"""Code that is loaded after the decoration runs too: what it makes has its true name."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest
from conftest import Repository, forget

from pyrepro import Artifact, CodeStateError, DirtyRepositoryError, code_state

EMPTY = "44136fa355b3"


def blob(content: str) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content.encode()).hexdigest()


def tag(repository: Repository, *changes: tuple[str, str, str]) -> str:
    """The tag of the empty configuration and these changes, from the definition."""
    if not changes:
        return f"{repository.head[:12]}-{EMPTY}"
    text = json.dumps(sorted(map(list, changes)), separators=(",", ":"))
    return f"{repository.head[:12]}-dirty-{hashlib.sha256(text.encode()).hexdigest()[:12]}-{EMPTY}"


LATE = """\
import sys
from pyrepro import Artifact

@Artifact("outpath"{allow})
def save(outpath):
    {inside}
    with open(outpath, "w") as outf:
        outf.write("good job")
    return outpath

print(save("one.txt"))
{between}
print(save("two.txt"))
"""


def run(repository: Repository, *, inside: str = "0", between: str = "", allow: str = "") -> tuple[str, str]:
    repository.write("late.py", LATE.format(inside=inside, between=between, allow=allow))
    repository.git("add", "late.py")
    repository.git("commit", "-q", "-m", "late")
    done = repository.run("late.py")
    return done.stdout, done.stderr


def test_a_module_loaded_later_that_the_commit_holds_changes_nothing(repository: Repository) -> None:
    stdout, stderr = run(repository, between="import lib.model")
    assert (stdout, stderr) == (f"one-{tag(repository)}.txt\ntwo-{tag(repository)}.txt\n", "")


def test_an_untracked_module_loaded_before_a_call_gives_the_true_name_and_an_error_is_logged(
    repository: Repository,
) -> None:
    repository.write("helper.py", "x = 1\n")
    stdout, stderr = run(repository, between="import helper\nprint(save('again.txt'))")
    late = tag(repository, ("helper.py", "100644", blob("x = 1\n")))
    assert stdout == f"one-{tag(repository)}.txt\nagain-{late}.txt\ntwo-{late}.txt\n"
    assert stderr == (
        "modules whose code no commit holds were loaded, too late to refuse: "
        f"the work tree {repository.path} has changes that commit {repository.head[:12]} does not hold:\n  helper.py\n"
    )


def test_a_module_loaded_later_and_deleted_then_counts_as_it_was_loaded(repository: Repository) -> None:
    repository.write("helper.py", "x = 1\n")
    stdout, _ = run(repository, between="import helper, os\nos.unlink('helper.py')")
    late = tag(repository, ("helper.py", "100644", blob("x = 1\n")))
    assert stdout == f"one-{tag(repository)}.txt\ntwo-{late}.txt\n"


def test_an_ignored_module_loaded_later_is_warned_of_and_changes_nothing(repository: Repository) -> None:
    file = repository.write("ignored/helper.py", "x = 1\n")
    stdout, stderr = run(repository, between="import ignored.helper")
    assert stdout == f"one-{tag(repository)}.txt\ntwo-{tag(repository)}.txt\n"
    assert stderr == (
        f"the module ignored.helper is loaded from {file}, which no name covers, for git ignores it; commit it, "
        f'or add it to the configuration: config={{..., "ignored": pyrepro.file_hash({str(file)!r})}}\n'
    )


def test_a_module_edited_after_the_decoration_and_loaded_then_is_what_it_holds_then(repository: Repository) -> None:
    stdout, _ = run(
        repository,
        between="open('lib/model.py', 'w').write('LAYERS = 3\\n')\nopen('run.sh', 'w').write('')\nimport lib.model",
    )
    late = tag(repository, ("lib/model.py", "100644", blob("LAYERS = 3\n")))
    assert stdout.splitlines()[1] == f"two-{late}.txt"


def test_an_edited_module_that_is_loaded_after_the_edit_was_undone_is_no_change(repository: Repository) -> None:
    repository.write("lib/model.py", "LAYERS = 3\n")
    stdout, _ = run(
        repository,
        between="open('lib/model.py', 'w').write('LAYERS = 2\\n')\nimport lib.model",
        allow=", allow_dirty=True",
    )
    before = tag(repository, ("lib/model.py", "100644", blob("LAYERS = 3\n")))
    assert stdout == f"one-{before}.txt\ntwo-{tag(repository)}.txt\n"


def test_a_module_reloaded_after_an_edit_is_what_it_holds_then(repository: Repository) -> None:
    stdout, _ = run(
        repository,
        between="import lib.model, importlib, os\n"
        "importlib.reload(lib.model)\nsave('x')\n"
        "open('lib/model.py', 'w').write('LAYERS = 30\\n')\nimportlib.reload(lib.model)",
    )
    late = tag(repository, ("lib/model.py", "100644", blob("LAYERS = 30\n")))
    assert stdout.splitlines()[1] == f"two-{late}.txt"


def test_a_directory_that_became_a_repository_of_its_own_is_compared_as_before(repository: Repository) -> None:
    stdout, _ = run(
        repository, between="import subprocess; subprocess.run(['git', 'init', '-q', 'lib'])\nimport lib.model"
    )
    assert stdout == f"one-{tag(repository)}.txt\ntwo-{tag(repository)}.txt\n"


def test_edits_after_the_decoration_that_nothing_loads_change_nothing(repository: Repository) -> None:
    stdout, stderr = run(
        repository,
        between="open('late.py', 'a').write('# edited')\nopen('lib/model.py', 'w').write('')\nimport colorsys",
    )
    assert (stdout, stderr) == (f"one-{tag(repository)}.txt\ntwo-{tag(repository)}.txt\n", "")


def test_a_commit_after_the_decoration_does_not_change_what_runs(repository: Repository) -> None:
    repository.write("helper.py", "x = 1\n")
    between = (
        "import subprocess\nsubprocess.run('git add -A && git commit -qm more', shell=True, check=True)\nimport helper"
    )
    for name in ("user.name", "user.email"):
        repository.git("config", name, "a@example.org")
    stdout, _ = run(repository, between=between)
    at_start = stdout.splitlines()[0].removeprefix("one-").removesuffix(f"-{EMPTY}.txt")
    assert repository.git("rev-parse", "HEAD~1")[:12] == at_start
    assert stdout.splitlines()[1].startswith(f"two-{at_start}-dirty-")


def test_a_module_of_a_submodule_loaded_later_is_compared_there(repository: Repository, tmp_path: Path) -> None:
    origin = repository.clone(tmp_path / "origin")
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(origin.path), "sub")
    repository.commit()
    repository.write("sub/lib/model.py", "LAYERS = 3\n")
    repository.write("sub/new.py", "x = 1\n")
    model = ("sub/lib/model.py", "100644", blob("LAYERS = 3\n"))
    stdout, _ = run(repository, between="import sub.lib.model, sub.new", allow=", allow_dirty=True")
    assert stdout == (
        f"one-{tag(repository, model)}.txt\n"
        f"two-{tag(repository, model, ('sub/new.py', '100644', blob('x = 1' + chr(10))))}.txt\n"
    )


def test_an_untracked_module_loaded_by_the_function_renames_what_it_wrote_and_says_so(repository: Repository) -> None:
    repository.write("helper.py", "x = 1\n")
    stdout, stderr = run(repository, inside="import helper")
    late = tag(repository, ("helper.py", "100644", blob("x = 1\n")))
    assert stdout == ""
    assert [path.name for path in repository.path.glob("one*")] == [f"one-{late}.txt"]
    assert stderr.partition("pyrepro.DirtyRepositoryError: ")[2] == (
        f"the work tree {repository.path} has changes that commit {repository.head[:12]} does not hold:\n  helper.py\n"
        "Commit them; or pass allow_dirty=True or set PYREPRO_ALLOW_DIRTY=1 to write under a -dirty- name.\n"
        f"save loaded them while it ran; what it wrote was renamed to one-{late}.txt.\n"
    )


def test_where_dirty_is_allowed_what_it_wrote_is_renamed_and_the_call_returns(repository: Repository) -> None:
    repository.write("helper.py", "x = 1\n")
    stdout, _ = run(repository, inside="import helper", allow=", allow_dirty=True")
    late = tag(repository, ("helper.py", "100644", blob("x = 1\n")))
    assert stdout == f"one-{tag(repository)}.txt\ntwo-{late}.txt\n"
    assert [path.name for path in repository.path.glob("one*")] == [f"one-{late}.txt"]


def test_each_of_several_paths_is_renamed_where_it_is_local(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("later_helper.py", "x = 1\n")
    monkeypatch.syspath_prepend(str(repository.path))
    monkeypatch.chdir(tmp_path)

    @Artifact(["a", "b", "c"], repo=repository.path)
    def save(a: str, b: list[Path], c: str | None, load: bool) -> None:
        Path(a).write_text("a")
        b[0].mkdir()
        if load:
            import later_helper  # noqa: F401

    try:
        with pytest.raises(DirtyRepositoryError, match="what it wrote was renamed to") as error:
            save("a.txt", [Path("b"), Path("never-written")], None, load=True)
        late = tag(repository, ("later_helper.py", "100644", blob("x = 1\n")))
        assert str(error.value).endswith(f"was renamed to a-{late}.txt, b-{late}.")
        assert sorted(path.name for path in tmp_path.iterdir() if path != repository.path) == [
            f"a-{late}.txt",
            f"b-{late}",
        ]
        repository.commit()
        repository.write("later_still.py", "x = 2\n")

        @Artifact("url", repo=repository.path)
        def upload(url: str) -> None:
            import later_still  # noqa: F401

        with pytest.raises(DirtyRepositoryError, match="no local file was renamed"):
            upload("memory://out.txt")
    finally:
        forget("later_helper", "later_still")


def test_a_function_of_an_earlier_load_of_its_module_is_refused(repository: Repository) -> None:
    repository.write(
        "main.py",
        "import importlib, train\nold = train.save_thing\nimportlib.reload(train)\nprint(train.save_thing('new.txt'))\nold('old.txt')\n",
    )
    repository.commit()
    done = repository.run("main.py")
    assert done.stdout == f"new-{tag(repository)}.txt\n"
    assert done.stderr.splitlines()[-1] == (
        "pyrepro.CodeStateError: save_thing comes from an earlier load of the module train, "
        "so what runs may no longer be in any file; get it from the module again"
    )


PLUGIN = """\
from pyrepro import Artifact

@Artifact("outpath")
def save(outpath):
    return outpath
"""


@pytest.mark.parametrize(
    "load",
    [
        "def load(directory):\n"
        "    sys.modules.pop('plugin', None)\n    sys.path[0] = directory\n    return importlib.import_module('plugin')\n",
        "def load(directory):\n"
        "    spec = importlib.util.spec_from_file_location('plugin', f'{directory}/plugin.py')\n"
        "    sys.modules['plugin'] = module = importlib.util.module_from_spec(spec)\n"
        "    spec.loader.exec_module(module)\n    return module\n",
    ],
    ids=["sys.path", "by hand"],
)
def test_a_function_works_on_when_another_file_is_loaded_under_the_name_of_its_module(
    repository: Repository, load: str
) -> None:
    repository.write("a/plugin.py", PLUGIN)
    repository.write("b/plugin.py", PLUGIN + "# another\n")
    loads = "a, b = load('a'), load('b')\nprint(b.save('b'), a.save('a'))\n"
    repository.write("main.py", "import importlib.util, sys\nimport pyrepro\n" + load + loads)
    repository.commit()
    assert repository.run("main.py").stdout == f"b-{tag(repository)} a-{tag(repository)}\n"


def test_a_function_whose_file_was_loaded_again_is_refused_also_when_another_file_has_the_name_of_its_module(
    repository: Repository,
) -> None:
    repository.write("a/plugin.py", PLUGIN)
    repository.write("b/plugin.py", PLUGIN)
    repository.write(
        "main.py",
        "import sys\nimport pyrepro\nsys.path.insert(0, 'a')\nimport plugin\nold = plugin.save\n"
        "del sys.modules['plugin']\nimport plugin\n"
        "del sys.modules['plugin']\nsys.path[0] = 'b'\nimport plugin\nold('a')\n",
    )
    repository.commit()
    assert repository.run("main.py").stderr.splitlines()[-1] == (
        "pyrepro.CodeStateError: save comes from an earlier load of the module plugin, "
        "so what runs may no longer be in any file; get it from the module again"
    )


# Readings


def test_the_decorations_of_one_run_of_a_module_body_share_one_reading(repository: Repository) -> None:
    repository.write(
        "main.py",
        "from pathlib import Path\nfrom pyrepro import Artifact\n"
        "@Artifact('p')\ndef one(p): return p\n"
        "Path('run.sh').write_text('edited')\n"
        "for _ in range(2):\n    @Artifact('p')\n    def two(p): return p\n"
        "class C:\n    @staticmethod\n    @Artifact('p')\n    def three(p): return p\n"
        "print(one('x'), two('x'), C.three('x'))\n"
        "def later():\n    @Artifact('p', allow_dirty=True)\n    def four(p): return p\n    return four('x')\n"
        "print(later())\n",
    )
    repository.commit()
    stdout = repository.run("main.py").stdout
    clean, dirty = f"x-{tag(repository)}", tag(repository, ("run.sh", "100755", blob("edited")))
    assert stdout == f"{clean} {clean} {clean}\nx-{dirty}\n"


def test_a_module_that_is_loaded_between_two_decorations_of_one_body_counts(repository: Repository) -> None:
    repository.write("helper.py", "x = 1\n")
    stdout, _ = run(
        repository, between="import helper\n@Artifact('p')\ndef other(p): return p\nprint(other('three.txt'))"
    )
    late = tag(repository, ("helper.py", "100644", blob("x = 1\n")))
    assert stdout == f"one-{tag(repository)}.txt\nthree-{late}.txt\ntwo-{late}.txt\n"


def test_a_module_that_is_run_again_is_read_again(repository: Repository) -> None:
    repository.write(
        "main.py",
        "import importlib, train\nopen('run.sh', 'w').write('edited')\nimportlib.reload(train)\n",
    )
    repository.commit()
    assert "\n  run.sh\n" in repository.run("main.py").stderr


def test_a_decorated_function_does_not_keep_alive_what_the_importing_function_holds(repository: Repository) -> None:
    repository.write(
        "main.py",
        "import gc, weakref\n"
        "class Big: pass\n"
        "def load():\n    big = Big()\n    import train\n    return weakref.ref(big), train\n"
        "gc.disable()\nbig, train = load()\ntrain.save_thing('x')\nprint(big())\n",
    )
    repository.commit()
    assert repository.run("main.py").stdout == "None\n"


# Other work trees


@pytest.fixture
def lab(tmp_path: Path) -> Repository:
    """A library in a repository of its own, as an editable installation puts it on the path."""
    repository = Repository(tmp_path / "lab-repository")
    repository.path.mkdir()
    repository.git("init", "-q", "-b", "main")
    repository.write("lab/__init__.py", "x = 1\n")
    repository.write("lab/more.py", "y = 1\n")
    repository.commit()
    return repository


def test_a_module_of_another_work_tree_is_warned_of_once_with_the_line_to_add(
    repository: Repository, lab: Repository
) -> None:
    repository.write("train.py", "import lab, lab.more\n" + (repository.path / "train.py").read_text())
    repository.write("other.py", "import train\nimport pyrepro\nprint(pyrepro.tag())\n")
    repository.commit()
    done = repository.run("other.py", env={"PYTHONPATH": str(lab.path)})
    assert done.stderr == (
        f"the module lab is loaded from another work tree, {lab.path}, whose code the names of {repository.path} "
        'do not cover; add it to the configuration: config={..., "lab": pyrepro.code_state(lab)}\n'
    )


def test_a_module_of_another_work_tree_is_warned_of_at_a_prompt(repository: Repository, lab: Repository) -> None:
    code = "import lab, pyrepro; print(pyrepro.code_state()); pyrepro.tag(allow_dirty=True)"
    done = repository.run("-c", code, env={"PYTHONPATH": str(lab.path)})
    assert done.stdout == f"{repository.head}\n"
    assert done.stderr.startswith(f"the module lab is loaded from another work tree, {lab.path}, ")


def test_a_configuration_with_the_state_of_the_other_work_tree_is_not_warned_of(
    repository: Repository, lab: Repository
) -> None:
    repository.write(
        "main.py",
        "import lab, pyrepro\nprint(pyrepro.code_state(lab))\n"
        "@pyrepro.Artifact('p', config={'lab': pyrepro.code_state(lab)})\ndef save(p): return p\nprint(save('x'))\n",
    )
    repository.commit()
    done = repository.run("main.py", env={"PYTHONPATH": str(lab.path)})
    config = hashlib.sha256(json.dumps({"lab": lab.head}, separators=(",", ":")).encode()).hexdigest()[:12]
    assert (done.stdout, done.stderr) == (f"{lab.head}\nx-{repository.head[:12]}-{config}\n", "")


def test_another_work_tree_that_git_cannot_read_is_no_reason_not_to_write(
    repository: Repository, lab: Repository
) -> None:
    repository.write("train.py", "import lab\n" + (repository.path / "train.py").read_text())
    repository.commit()
    lab.write(".git/config", "[core\n worktree = broken")
    done = repository.run("train.py", env={"PYTHONPATH": str(lab.path)})
    assert (done.stdout, done.stderr) == (f"foo-{tag(repository)}.txt\n", "")


def test_what_is_logged_goes_to_the_logger_of_the_package(
    repository: Repository, lab: Repository, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(lab.path))
    try:
        __import__("lab")

        @Artifact("outpath", repo=repository.path)
        def save(outpath: str) -> None:
            raise AssertionError("is not called")

    finally:
        forget("lab")
    assert [(name, level) for name, level, text in caplog.record_tuples if "module lab is" in text] == [
        ("pyrepro", logging.WARNING)
    ]


def test_a_pickled_state_is_compared_with_the_modules_of_the_process_that_it_comes_to(
    repository: Repository, tmp_path: Path
) -> None:
    repository.write(
        "driver.py",
        "import sys, cloudpickle, pyrepro\n"
        "@pyrepro.Artifact('p')\ndef save(p): return p\n"
        "sys.stdout.buffer.write(cloudpickle.dumps(save))\n",
    )
    repository.commit()
    with (tmp_path / "pickle").open("wb") as pickled:
        subprocess.run([sys.executable, "driver.py"], cwd=repository.path, stdout=pickled, check=True)
    repository.write("helper.py", "x = 1\n")
    worker = "import sys, pickle\n{}\nsave = pickle.load(open(sys.argv[1], 'rb'))\nprint(save('x'))"
    (tmp_path / "worker.py").write_text(worker.format(""))
    assert repository.run(tmp_path / "worker.py", tmp_path / "pickle", cwd=tmp_path).stdout == f"x-{tag(repository)}\n"
    (tmp_path / "worker.py").write_text(worker.format("import helper"))
    done = repository.run(
        tmp_path / "worker.py", tmp_path / "pickle", cwd=tmp_path, env={"PYTHONPATH": str(repository.path)}
    )
    assert done.stdout == f"x-{tag(repository, ('helper.py', '100644', blob('x = 1' + chr(10))))}\n"


def test_a_worker_whose_clone_does_not_have_the_commit_is_refused(repository: Repository, tmp_path: Path) -> None:
    @Artifact("outpath", repo=repository.path)
    def save(outpath: str) -> str:
        return outpath

    pickled = tmp_path / "pickle"
    pickled.write_bytes(cloudpickle.dumps(save))
    head = repository.head
    object_path = repository.path / ".git/objects" / head[:2] / head[2:]
    object_path.chmod(0o644)
    object_path.unlink()
    (tmp_path / "worker.py").write_text(
        "import sys, pickle, model\nsave = pickle.load(open(sys.argv[1], 'rb'))\nprint(save('x'))"
    )
    done = repository.run(
        tmp_path / "worker.py", pickled, cwd=tmp_path, env={"PYTHONPATH": str(repository.path / "lib")}
    )
    assert done.stdout == ""
    assert f"pyrepro.CodeStateError: git cannot read the code state of {repository.path}: fatal: " in done.stderr
    with pytest.raises(CodeStateError):
        code_state(repository.path)


MANY_THAT_DECORATE = """\
import importlib
import threading

from pyrepro import Artifact


@Artifact("outpath")
def save(outpath):
    return outpath


def import_all():
    for number in range(20):
        importlib.import_module(f"step_{number}")
    imported.set()


imported = threading.Event()
importing = threading.Thread(target=import_all)
importing.start()
names = set()
while not imported.is_set() and importing.is_alive():
    names.add(save("foo.txt"))
importing.join()
print(imported.is_set(), *names)
"""


def test_a_thread_may_call_while_another_one_imports_modules_that_decorate(repository: Repository) -> None:
    step = "from pyrepro import Artifact\n\n@Artifact('outpath')\ndef save(outpath):\n    return outpath\n"
    repository.commit(**{f"step_{number}": step for number in range(20)}, main=MANY_THAT_DECORATE)
    done = repository.run("main.py")
    assert (done.stdout, done.stderr) == (f"True foo-{tag(repository)}.txt\n", "")


# Two modules of one file

TWICE = """\
import importlib.util, pathlib, subprocess, sys
import pyrepro, helper, lib.model
who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
pathlib.Path("helper.py").write_text({edited!r})
subprocess.run(["git", *who, "commit", "-q", "--allow-empty", "-am", "more"], check=True)

@pyrepro.Artifact("outpath", allow_dirty=True)
def save(outpath):
    return helper.LR

print(save.tagged("one"))
spec = importlib.util.spec_from_file_location("other", "helper.py")
other = sys.modules["other"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(other)
print(save.tagged("two"))
"""


def test_a_module_that_is_loaded_again_under_another_name_does_not_hide_what_was_loaded_first(
    repository: Repository,
) -> None:
    repository.commit(helper="LR = 1\n", twice=TWICE.format(edited="LR = 2\n"))
    one, two = repository.run("twice.py").stdout.splitlines()
    assert one == f"one-{tag(repository, ('helper.py', '100644', blob('LR = 1' + chr(10))))}"
    assert two.startswith(f"two-{repository.head[:12]}-dirty-")
    assert one[3:] != two[3:]


def test_a_module_that_is_loaded_again_from_the_same_bytes_is_no_change(repository: Repository) -> None:
    repository.commit(helper="LR = 1\n", twice=TWICE.format(edited="LR = 1\n"))
    assert repository.run("twice.py").stdout.split() == [f"one-{tag(repository)}", f"two-{tag(repository)}"]


BACK = """\
import importlib, pathlib
import pyrepro, helper

@pyrepro.Artifact("outpath")
def save(outpath):
    return outpath

pathlib.Path("helper.py").write_text("LR = 20\\n")
importlib.reload(helper)
print(save("one"))
pathlib.Path("helper.py").write_text("LR = 1\\n")
importlib.reload(helper)
print(save("two"))
"""


def test_a_module_that_is_loaded_again_as_the_commit_holds_it_makes_names_clean_without_a_word(
    repository: Repository,
) -> None:
    repository.commit(helper="LR = 1\n", back=BACK)
    done = repository.run("back.py")
    edited = ("helper.py", "100644", blob("LR = 20\n"))
    assert done.stdout.split() == [f"one-{tag(repository, edited)}", f"two-{tag(repository)}"]
    assert done.stderr == (
        f"modules whose code no commit holds were loaded, too late to refuse: the work tree {repository.path} has "
        f"changes that commit {repository.head[:12]} does not hold:\n  helper.py\n"
    )
