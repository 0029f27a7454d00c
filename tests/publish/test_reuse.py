"""Work survives commits: what an earlier state of the code made is copied where nothing that it depends on differs."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
from typing import Any

import pytest
from conftest import Repository, posix_only

import pyrepro
from pyrepro import read_record

STEP = """\
import sys
import pathlib
import pyrepro
{imports}

@pyrepro.Artifact("outpath", config=dict, cache=True, allow_dirty=True{options})
def train(outpath, alpha=1):
    print("runs")
    {body}

{call}
"""


def step(
    *,
    imports: str = "import helper",
    options: str = ', code=["step.py", "helper.py"]',
    body: str = "pathlib.Path(outpath).write_text(f'{helper.LR} {alpha}')",
    call: str = 'print(train("out/model.txt"))',
) -> str:
    return STEP.format(imports=imports, options=options, body=body, call=call)


class Project:
    """A repository with a cached step, which is run as its user would."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        repository.write(".gitignore", "out/\n__pycache__/\n.pyrepro/\n")

    def commit(self, **files: str) -> str:
        return self.repository.commit(**files)

    def run(self, **environment: str) -> tuple[bool, pathlib.Path]:
        """Whether the function ran, and the artifact."""
        done = self.repository.run("step.py", env=environment)
        *before, path = done.stdout.splitlines() or [""]
        assert done.returncode == 0, done.stderr
        self.stderr = done.stderr
        return before == ["runs"], self.repository.path / path


@pytest.fixture
def project(repository: Repository) -> Project:
    made = Project(repository)
    made.commit(step=step(), helper="LR = 1\n", other="x = 1\n")
    return made


def test_a_commit_of_something_else_costs_no_work(project: Project) -> None:
    ran, first = project.run()
    assert ran
    project.commit(other="x = 2\n")
    ran, second = project.run()
    assert not ran
    assert project.repository.head[:12] in second.name and second.name != first.name
    assert second.read_text() == first.read_text() == "1 1"
    # From now on it is found under its name.
    assert project.run() == (False, second)


def test_a_commit_of_what_it_depends_on_makes_it_again(project: Project) -> None:
    project.run()
    project.commit(helper="LR = 2\n")
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "2 1")
    project.commit(helper="LR = 1\n")
    ran, path = project.run()
    assert (ran, path.read_text()) == (False, "1 1")


def test_a_dirty_tree_before_and_after_it_is_committed_is_one(project: Project) -> None:
    project.repository.write("helper.py", "LR = 3\n")
    ran, dirty = project.run()
    assert ran and "-dirty-" in dirty.name
    project.commit()
    ran, clean = project.run()
    assert not ran and "-dirty-" not in clean.name
    assert clean.read_text() == "3 1"
    project.repository.write("other.py", "x = 9\n")
    ran, other = project.run()
    assert not ran and "-dirty-" in other.name


PAIR = """\
import pathlib
import random
import pyrepro
import paths

@pyrepro.Artifact(["train", "test"], cache=True, code=["step.py", "!paths.py"])
def split(train, test):
    print("runs")
    number = random.random()
    pathlib.Path(train).write_text(f"train {number}")
    pathlib.Path(test).write_text(f"test {number}")

found = (split.refresh if paths.ANEW else split)(paths.TRAIN, paths.TEST)
print([pathlib.Path(path).read_text() for path in found.values()])
"""


def paths(train: str = "train.csv", test: str = "test.csv", *, anew: bool = False) -> str:
    return f"TRAIN, TEST, ANEW = {train!r}, {test!r}, {anew}\n"


def test_what_was_written_as_another_path_is_not_copied(repository: Repository) -> None:
    repository.write(".gitignore", "*.csv\n.pyrepro/\n")
    repository.commit(step=PAIR, paths=paths("test.csv", "train.csv"))
    repository.run("step.py")
    repository.commit(paths=paths())
    assert re.fullmatch(r"runs\n\['train (.*)', 'test \1'\]\n", repository.run("step.py").stdout)


def test_what_two_runs_made_is_not_copied_as_a_pair(repository: Repository) -> None:
    repository.write(".gitignore", "*.csv\n.pyrepro/\n")
    repository.commit(step=PAIR, paths=paths())
    first = repository.run("step.py").stdout.removeprefix("runs\n")
    repository.commit(paths=paths(anew=True))
    assert repository.run("step.py").stdout not in (first, f"runs\n{first}")
    [newest] = repository.path.glob(f"test-{repository.head[:12]}-*.csv")
    newest.write_text("corrected by hand")
    repository.commit(paths=paths())
    assert repository.run("step.py").stdout == first


def amend(repository: Repository) -> None:
    repository.git("commit", "-q", "--amend", "-m", "another message")


def squash(repository: Repository) -> None:
    repository.commit(helper="LR = 5\n")
    repository.commit(helper="LR = 1\n")
    repository.git("reset", "-q", "--soft", "HEAD~2")
    repository.git("commit", "-q", "--allow-empty", "-m", "squashed")


def merge(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "side")
    repository.commit(other="x = 7\n")
    repository.git("checkout", "-q", "main")
    repository.commit(third="x = 7\n")
    repository.git("merge", "-q", "--no-edit", "side")


def rename_and_back(repository: Repository) -> None:
    repository.git("mv", "helper.py", "renamed.py")
    repository.commit()
    repository.git("mv", "renamed.py", "helper.py")
    repository.commit()


def revert(repository: Repository) -> None:
    repository.commit(helper="LR = 4\n")
    repository.git("revert", "--no-edit", "HEAD")


@pytest.mark.parametrize("change", [amend, squash, merge, rename_and_back, revert])
@pytest.mark.parametrize("options", [', code=["step.py", "helper.py"]', ', code=["!other.py", "!third.py"]'])
def test_the_history_does_not_count(change: Any, options: str, project: Project) -> None:
    project.commit(step=step(options=options), third="x = 1\n")
    assert project.run()[0]
    change(project.repository)
    assert project.run()[0] is False


@pytest.mark.parametrize("change", [amend, revert])
def test_without_code_the_whole_work_tree_counts(change: Any, project: Project) -> None:
    project.commit(step=step(options=""))
    assert project.run()[0]
    change(project.repository)
    assert project.run()[0] is False
    project.commit(other="x = 2\n")
    assert project.run()[0]


def test_a_shallow_clone_has_the_same_keys(project: Project, tmp_path: pathlib.Path) -> None:
    project.commit(other="x = 2\n")
    _, path = project.run()
    project.commit(other="x = 3\n")
    clone = Project(project.repository.clone(tmp_path / "clone", "--depth=1"))
    os.rename(project.repository.path / "out", clone.repository.path / "out")
    ran, copy = clone.run()
    assert not ran and copy.read_text() == "1 1" and copy.name != path.name


def test_another_configuration_is_made(project: Project) -> None:
    project.commit(step=step(call='print(train("out/model.txt", int(sys.argv[1])))'))

    def run(alpha: str) -> list[str]:
        return project.repository.run("step.py", alpha).stdout.splitlines()[:-1]

    assert run("1") == ["runs"]
    project.commit(other="x = 2\n")
    assert (run("2"), run("1"), run("2")) == (["runs"], [], [])


def test_a_loaded_module_outside_is_warned_of_and_nothing_is_reused(project: Project) -> None:
    project.commit(step=step(imports="import helper, other"))
    for _ in range(2):
        assert project.run()[0]
        assert project.stderr == (
            f"what train makes is not reused after a commit, since loaded modules of the work tree "
            f"{project.repository.path} are neither in code=['step.py', 'helper.py'] nor left out:\n"
            f"  other.py\n"
            f"Add them, or leave them out with a '!' before each.\n"
        )
        project.commit(third=f"x = {os.urandom(4).hex()!r}\n")


def test_a_module_that_is_left_out_in_so_many_words_is_not_guarded(project: Project) -> None:
    options = ', code=["step.py", "helper.py", "!other.py"]'
    project.commit(step=step(imports="import helper, other", options=options))
    assert project.run()[0]
    project.commit(other="x = 5\n")
    assert (project.run()[0], project.stderr) == (False, "")


def test_a_module_that_the_function_loads_is_guarded_when_it_returns(project: Project) -> None:
    body = "import other; pathlib.Path(outpath).write_text(f'{helper.LR} {other.x}')"
    project.commit(step=step(body=body))
    assert project.run()[0] and "  other.py\n" in project.stderr
    project.commit(other="x = 2\n")
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "1 2")


def test_a_file_that_is_read_counts_if_code_names_it(project: Project) -> None:
    body = "pathlib.Path(outpath).write_text(open('params.yaml').read())"
    project.repository.write("params.yaml", "1")
    project.commit(step=step(body=body, options=', code=["step.py", "helper.py", "params.yaml"]'))
    assert project.run()[0]
    project.repository.write("params.yaml", "2")
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "2")


def test_a_source_that_was_altered_is_not_copied(project: Project) -> None:
    _, path = project.run()
    path.write_text("by hand")
    project.commit(other="x = 2\n")
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "1 1")


def test_where_the_newest_was_removed_an_older_one_is_copied(project: Project) -> None:
    _, first = project.run()
    for number in range(2, 5):
        project.commit(other=f"x = {number}\n")
        ran, path = project.run()
        assert not ran
        path.unlink()
    assert first.exists()


def test_a_copy_does_not_change_with_its_source(project: Project) -> None:
    _, first = project.run()
    project.commit(other="x = 2\n")
    _, second = project.run()
    with open(first, "r+") as file:
        file.write("X")
    assert (second.read_text(), os.stat(second).st_nlink) == ("1 1", 1)


@posix_only
def test_links_in_a_copy_lead_where_those_of_the_original_lead(project: Project) -> None:
    body = (
        "import os; path = pathlib.Path(outpath); path.mkdir(); (path / 'own').write_text('own'); "
        "[(path / name).symlink_to(to) for name, to in {'in': 'own', 'here': '.', "
        "'absolute': os.path.abspath('out/raw'), "
        "'folder': os.path.relpath('out/raw', path), 'file': os.path.relpath('out/raw/table', path)}.items()]"
    )
    project.commit(step=step(body=body))
    project.repository.write("out/raw/table", "1, 2")
    ran, first = project.run()
    project.commit(other="x = 2\n")
    ran_again, second = project.run()
    names = ("in", "here", "absolute", "folder", "file")
    assert (ran, ran_again, first == second) == (True, False, False)
    assert [os.readlink(second / name) for name in names] == [os.readlink(first / name) for name in names]
    assert (second / "folder" / "table").read_text() == (second / "file").read_text() == "1, 2"
    project.repository.write("out/raw/table", "changed")
    assert project.run() == (True, second)


@posix_only
@pytest.mark.parametrize("change", [Project.commit, lambda project, other: project.repository.write("other.py", other)])
def test_directories_side_files_and_links_are_copied_under_todays_name(change: Any, project: Project) -> None:
    body = (
        "path = pathlib.Path(outpath); path.mkdir(); (path / path.name).write_text('x'); "
        "(path / 'link').symlink_to(path.name); (path / 'plain').write_text('y'); (path / 'plain').chmod(0o700); "
        "path.with_name(path.name + '.idx').write_text('side')"
    )
    project.commit(step=step(body=body, call='print(train("out/model"))'))
    _, first = project.run()
    change(project, other="x = 2\n")
    ran, second = project.run()
    assert not ran

    def entries(path: pathlib.Path) -> dict[str, Any]:
        found = {
            entry.name.replace(path.name, "NAME"): os.readlink(entry).replace(path.name, "NAME")
            if entry.is_symlink()
            else (entry.read_text(), entry.stat().st_mode)
            for entry in path.iterdir()
        }
        return found | {"side": path.with_name(path.name + ".idx").read_text()}

    assert entries(second) == entries(first)
    assert project.run() == (False, second)


@pytest.mark.parametrize("content", ["outpath", "f'{outpath}' * 100_000"])
def test_what_holds_its_own_name_is_made_again(content: str, project: Project) -> None:
    body = f"pathlib.Path(outpath).write_text({content})"
    project.commit(step=step(body=body))
    assert project.run()[0]
    project.commit(other="x = 2\n")
    ran, path = project.run()
    assert ran and path.read_text().count(path.name) == path.read_text().count("model")


def test_who_has_an_artifact_open_does_not_have_its_copy_open(project: Project) -> None:
    body = "path = pathlib.Path(outpath); path.mkdir(); (path / 'part').write_text('x')"
    project.commit(step=step(body=body, call='print(train("out/model"))'))
    _, first = project.run()
    (first / ".~lock.part#").touch()
    project.commit(other="x = 2\n")
    ran, second = project.run()
    assert (ran, os.listdir(second)) == (False, ["part"])


@posix_only
@pytest.mark.parametrize("finds", [False, True])
@pytest.mark.parametrize("moved", ["", "part"])
def test_what_was_moved_and_linked_to_is_copied_with_what_it_holds(moved: str, finds: bool, project: Project) -> None:
    body = "path = pathlib.Path(outpath); path.mkdir(); (path / 'part').write_text('x')"
    project.commit(step=step(body=body, call='print(train("out/model"))'))
    _, first = project.run()
    elsewhere = (first / moved).rename(first.parent / "elsewhere")
    (first / moved).symlink_to(elsewhere)
    assert not finds or project.run() == (False, first)
    project.commit(other="x = 2\n")
    ran, second = project.run()
    assert not ran and not (second / moved).is_symlink() and (second / "part").read_text() == "x"
    (first / "part").write_text("y")
    assert project.run() == (False, second)


@posix_only
@pytest.mark.parametrize(
    "body",
    [
        "pathlib.Path(part(pathlib.Path(outpath) / 'part.txt')).read_text()",
        "os.mkdir(outpath + '/part'); part(outpath + '/part/part.txt')",
        "os.symlink(os.path.abspath(part('out/part.txt')), outpath + '/link')",
    ],
)
def test_a_directory_with_names_of_other_artifacts_is_made_again(body: str, project: Project) -> None:
    script = step(imports="import os, helper", body=f"os.mkdir(outpath); {body}", call='print(train("out/model"))')
    part = """
@pyrepro.Artifact("outpath", atomic=True)
def part(outpath):
    pathlib.Path(outpath).write_text("part")
    return outpath
"""
    project.commit(step=script.replace("\n@pyrepro", f"{part}\n@pyrepro", 1))
    assert project.run()[0]
    commit = project.commit(other="x = 2\n")
    ran, path = project.run()
    names = [*(entry.name for entry in path.rglob("part-*")), *map(os.readlink, path.glob("link"))]
    assert ran and len(names) == 1 and commit[:12] in names[0]


def test_a_pipe_in_a_directory_is_made_again(project: Project) -> None:
    body = "os.mkdir(outpath); os.mkfifo(outpath + '/pipe')"
    project.commit(step=step(imports="import helper, os", body=body, call='print(train("out/model"))'))
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0]


def test_the_record_of_a_copy_is_the_old_one_with_the_code_of_today(project: Project) -> None:
    project.commit(step=step(options=', record=True, code=["step.py", "helper.py"]'))
    made_at = project.repository.head
    _, first = project.run()
    for number in (2, 3):
        project.commit(other=f"x = {number}\n")
        ran, copy = project.run()
        assert not ran
        old, new = (json.loads(pathlib.Path(f"{path}.pyrepro.json").read_text()) for path in (first, copy))
        changed = {
            "artifact": old["artifact"] | {"name": copy.name},
            "code": old["code"] | {"commit": project.repository.head},
        }
        assert new == old | changed | {"made_at": {"commit": made_at, "changes": None}}
        assert re.search(f"\nmade at +{made_at}\n", str(read_record(copy)))


@pytest.mark.parametrize("damage", [lambda record: record.unlink(), lambda record: record.write_text("{}")])
def test_what_has_no_record_is_made_again_where_one_is_asked_for(damage: Any, project: Project) -> None:
    project.commit(step=step(options=', record=True, code=["step.py", "helper.py"]'))
    _, first = project.run()
    damage(pathlib.Path(f"{first}.pyrepro.json"))
    project.commit(other="x = 2\n")
    ran, path = project.run()
    assert ran and read_record(path).made_at is None


TWO = """\
import logging
import pathlib
import pyrepro

logging.basicConfig(level="INFO", format="%(message)s")

@pyrepro.Artifact(["one", "two"], cache=True, code="step.py")
def train(one, two):
    print("runs")
    pathlib.Path(one).write_text("1")
    pathlib.Path(two).write_text("2")

print(train("out/one.txt", "out/two.txt")["two"])
"""


def test_several_artifacts_are_copied_together_or_made_again(repository: Repository) -> None:
    project = Project(repository)
    project.commit(step=TWO, other="x = 1\n")
    assert project.run()[0]
    project.commit(other="x = 2\n")
    ran, path = project.run()
    assert not ran
    for two in path.parent.glob("two-*"):
        two.unlink()
    project.commit(other="x = 3\n")
    assert project.run()[0]


def test_the_line_says_what_was_copied_and_why(project: Project) -> None:
    project.commit(step=step(imports="import helper, logging; logging.basicConfig(level='INFO', format='%(message)s')"))
    _, first = project.run()
    project.commit(other="x = 2\n")
    _, second = project.run()
    name = f"out/{second.name}"
    assert project.stderr == f"train copied {name}: the code that it depends on is that of {first.name}\n"


LOGS = "import helper, logging; logging.basicConfig(level='INFO', format='%(message)s')"


def test_what_it_does_not_depend_on_is_no_reason(project: Project) -> None:
    project.commit(step=step(imports=LOGS))
    _, first = project.run()
    project.commit(other="x = 2\n", helper="LR = 2\n")
    _, second = project.run()
    assert project.stderr == (
        f"train made out/{second.name}: the code differs in helper.py, compared with {first.name}\n"
    )
    project.commit(other="x = 3\n", step=step(imports=LOGS, call='print(train("out/model.txt", alpha=2))'))
    _, third = project.run()
    project.commit(other="x = 4\n", step=step(imports=LOGS, call='print(train("out/model.txt", alpha=3))'))
    _, fourth = project.run()
    assert project.stderr == (
        f"train made out/{fourth.name}: the code differs in step.py and the configuration differs in alpha, "
        f"compared with {third.name}\n"
    )


def test_where_there_is_no_key_the_commit_is_a_reason(project: Project) -> None:
    project.commit(step=step(imports=f"import other; {LOGS}"))
    _, first = project.run()
    project.commit()
    _, second = project.run()
    assert project.stderr.endswith(
        f"train made out/{second.name}: the commit differs, but the code is the same, compared with {first.name}\n"
    )


def test_where_the_configuration_alone_differs_the_commit_is_no_reason(project: Project) -> None:
    call = 'import json; print(train("out/model.txt", alpha=json.load(open("alpha.json"))))'
    project.repository.write("alpha.json", "1")
    project.commit(step=step(imports=LOGS, call=call))
    _, first = project.run()
    project.repository.write("alpha.json", "2")
    project.commit()
    _, second = project.run()
    assert project.stderr == (
        f"train made out/{second.name}: the configuration differs in alpha, compared with {first.name}\n"
    )


@pytest.mark.parametrize(
    ("options", "body", "change", "why"),
    [
        ("", None, lambda path: path.write_text("edited"), "changed since it was made: out/{0}"),
        ("", None, lambda path: path.unlink(), "out/{0} was removed"),
        ("", "pathlib.Path(outpath).write_text(pathlib.Path(outpath).name)", None, "it names its commit, or cannot be copied"),
        (", record=True", None, lambda path: path.with_name(f"{path.name}.pyrepro.json").unlink(),
         "out/{0}.pyrepro.json is not there"),
    ],
)  # fmt: skip
def test_the_line_says_why_what_could_be_copied_is_made_again(
    options: str, body: str | None, change: Any, why: str, project: Project
) -> None:
    options += ', code=["step.py", "helper.py"]'
    project.commit(step=step(imports=LOGS, options=options, **({"body": body} if body else {})))
    _, first = project.run()
    if change is not None:
        change(first)
    project.commit(other="x = 2\n")
    _, second = project.run()
    assert project.stderr == (
        f"train made out/{second.name}: the code that it depends on is that of {first.name}, which is not copied: "
        f"{why.format(first.name)}\n"
    )


@pytest.mark.parametrize(
    ("remove", "why"),
    [
        (
            lambda path: path.unlink(),
            "the code that it depends on is that of {0}, which is not copied: out/{0} was removed",
        ),
        (pyrepro.remove, "nothing is there"),
    ],
)
def test_the_line_says_which_of_several_is_not_there_to_be_copied(
    remove: Any, why: str, repository: Repository
) -> None:
    project = Project(repository)
    project.commit(step=TWO, other="x = 1\n")
    _, first = project.run()
    remove(first)
    project.commit(other="x = 2\n")
    ran, second = project.run()
    made = f"out/{second.name.replace('two', 'one')}, out/{second.name}"
    assert (ran, project.stderr) == (True, f"train made {made}: {why.format(first.name)}\n")


def test_what_changed_since_the_code_was_read_is_nothing_to_a_copy(project: Project) -> None:
    script = step(
        imports="import os, helper; from pyrepro._code import tracker; tracker._LONG = 0",
        call="if 'EDITS' in os.environ: pathlib.Path('helper.py').write_text('LR = 9\\n')\n"
        'print(train("out/model.txt"))',
    )
    project.commit(step=script)
    assert project.run()[0]
    project.commit(other="x = 2\n")
    ran, path = project.run(EDITS="1")
    assert (ran, project.stderr, path.read_text()) == (False, "", "1 1")
    project.repository.git("checkout", "-q", ".")
    assert project.run() == (False, path)


EDITING = """\
import os

def edit(event, arguments):
    # Nothing but the copy makes a new file of this name.
    if event == "open" and arguments[1] == "x" and str(arguments[0]).endswith(".txt"):
        pathlib.Path("data").write_text("2")

if "EDITS" in os.environ:
    sys.addaudithook(edit)
print(train("out/model.txt", pathlib.Path("data")))
"""


def test_an_input_that_changes_while_a_copy_is_made_is_that_of_a_later_call(project: Project) -> None:
    script = step(
        options=', code=["step.py", "helper.py"], inputs="data"',
        body="pathlib.Path(outpath).write_text(data.read_text())",
        call=EDITING,
    )
    project.repository.write("data", "1")
    project.commit(step=script.replace("alpha=1", "data"))
    assert project.run()[0]
    project.commit(other="x = 2\n")
    ran, path = project.run(EDITS="1")
    assert (ran, path.read_text(), (project.repository.path / "data").read_text()) == (False, "1", "2")


def test_coroutine_functions_reuse_too(project: Project) -> None:
    script = step(call='import asyncio; print(asyncio.run(train("out/model.txt")))').replace(
        "def train", "async def train"
    )
    project.commit(step=script)
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0] is False


def test_refresh_runs_although_the_artifact_is_there(project: Project) -> None:
    call = 'print(train("out/model.txt")); print(train.refresh("out/model.txt", alpha=1))'
    project.commit(step=step(call=call))
    assert project.repository.run("step.py").stdout.splitlines()[::2] == ["runs", "runs"]
    project.commit(other="x = 2\n")
    assert project.repository.run("step.py").stdout.splitlines()[1:2] == ["runs"]


def test_refresh_of_a_function_that_is_not_cached_is_a_call(repository: Repository) -> None:
    script = "import pyrepro\n@pyrepro.Artifact('outpath')\ndef save(outpath): return outpath\nprint(save.refresh('foo.txt'))\n"
    repository.commit(step=script)
    assert repository.run("step.py").stdout == f"foo-{repository.head[:12]}-44136fa355b3.txt\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("'srcc'", "ValueError: code='srcc', looked up in the work tree {path} at commit {head}, is not in it; pass paths "
         "from its top, such as 'src'\n"),
        ("'SRC'", "ValueError: code='SRC', looked up in the work tree {path} at commit {head}, is not in it; pass paths "
         "from its top, such as 'src'\n"),
        ("'src/*.py'", "ValueError: code='src/*.py', looked up in the work tree {path} at commit {head}, is not in it, "
         "and patterns are not resolved; pass paths from its top, a directory for all that is in it\n"),
        ("['step.py', '!nothing']", "ValueError: code='!nothing', looked up in the work tree {path} at commit {head}, is "
         "not in it; pass paths from its top\n"),
        ("'untracked.py'", "ValueError: code='untracked.py', looked up in the work tree {path} at commit {head}, is not "
         "tracked, so no key would cover it; type: git -C {path} add untracked.py\n"),
        ("'un tracked'", "ValueError: code='un tracked', looked up in the work tree {path} at commit {head}, is not "
         "tracked, so no key would cover it; type: git -C {path} add 'un tracked'\n"),
        ("'data'", "ValueError: code='data', looked up in the work tree {path} at commit {head}, is ignored by git, so no "
         "key would cover it; name in inputs= what is read there\n"),
        ("'out of it'", "ValueError: code='out of it', looked up in the work tree {path} at commit {head}, is a link that "
         "leads out of it, to /; name in inputs= what is read there\n"),
        ("'to data'", "ValueError: code='to data', looked up in the work tree {path} at commit {head}, is a link to "
         "'data', which is not tracked; name in inputs= what is read there\n"),
        ("'lab'", "ValueError: code='lab', looked up in the work tree {path} at commit {head}, is not in it; pass paths "
         "from its top, such as 'projects/lab'\n"),
        ("'../elsewhere'", "ValueError: code='../elsewhere' is not a path in the work tree; pass paths from its top, "
         "such as 'src' or '!docs', or '.' for all of it\n"),
        ("'/etc'", "ValueError: code='/etc' is not a path in the work tree; pass paths from its top, such as 'src' or "
         "'!docs', or '.' for all of it\n"),
        ("'.git/HEAD'", "ValueError: code='.git/HEAD' is not a path in the work tree; pass paths from its top, such as 'src' "
         "or '!docs', or '.' for all of it\n"),
        ("''", "ValueError: code='' is not a path in the work tree; pass paths from its top, such as 'src' or '!docs', "
         "or '.' for all of it\n"),
        ("[]", "TypeError: Artifact code=[] is not a path or a list of paths; pass paths from the top, like 'src'\n"),
        ("7", "TypeError: Artifact code=7 is not a path or a list of paths; pass paths from the top, like 'src'\n"),
    ],
)  # fmt: skip
@posix_only
def test_a_code_that_is_not_there_is_an_error_before_anything_runs(
    code: str, message: str, repository: Repository
) -> None:
    repository.write(".gitignore", "data\n")
    (repository.path / "out of it").symlink_to("/")
    (repository.path / "to data").symlink_to("data")
    repository.commit(
        step=step(options=f", code={code}"), helper="LR = 1\n", src__part="x = 1\n", projects__lab__a="x = 1\n"
    )
    repository.write("untracked.py")
    repository.write("un tracked")
    repository.write("data/raw.csv")
    done = repository.run("step.py")
    assert done.stdout == ""
    assert done.stderr.endswith(message.format(path=repository.path, head=repository.head[:12]))


def test_code_without_cache_is_an_error(repository: Repository) -> None:
    repository.commit(step=step(options=", code='step.py'").replace("cache=True, ", ""), helper="LR = 1\n")
    assert repository.run("step.py").stderr.endswith(
        "TypeError: Artifact code='step.py' says when cached work is kept, but nothing is cached; add cache=True\n"
    )


def test_a_part_of_what_counts_may_be_left_out(project: Project) -> None:
    project.commit(step=step(options=', code=["step.py", "helper.py", "src", "!src/docs"]'), src__docs__index="x = 1\n")
    project.commit(src__part="x = 1\n")
    assert project.run()[0]
    project.commit(src__docs__index="x = 2\n")
    assert project.run()[0] is False
    project.commit(src__part="x = 2\n")
    assert project.run()[0]


def test_what_is_left_out_may_be_untracked(project: Project) -> None:
    project.commit(step=step(options=', code=[".", "!out", "!other.py"]'))
    (project.repository.path / "out").mkdir()
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0] is False


@pytest.mark.parametrize("out", ["out", "out/run", "model.csv"])
def test_what_is_left_out_may_be_missing_where_git_ignores_it(out: str, project: Project) -> None:
    """As in a fresh clone, where nothing has run yet."""
    project.repository.write(".gitignore", "out/\n__pycache__/\n.pyrepro/\n*.csv\n")
    project.commit(step=step(options=f', code=[".", "!{out}", "!other.py"]'))
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0] is False


@pytest.fixture
def with_submodule(project: Project, tmp_path: pathlib.Path) -> Repository:
    lab = Repository(tmp_path / "lab")
    lab.path.mkdir()
    lab.git("init", "-q", "-b", "main")
    lab.commit(core="x = 1\n")
    project.repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(lab.path), "lab")
    return Repository(project.repository.path / "lab")


def test_a_submodule_counts_as_its_commit_and_what_changed_in_it(project: Project, with_submodule: Repository) -> None:
    project.commit(step=step(options=', code=["step.py", "helper.py", "lab"]'))
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0] is False
    with_submodule.write("core.py", "x = 2\n")
    assert project.run()[0]


@posix_only
@pytest.mark.parametrize("code", ["conf", "conf/core"])
def test_a_submodule_counts_that_a_link_leads_into(code: str, project: Project, with_submodule: Repository) -> None:
    (project.repository.path / "conf").mkdir()
    os.symlink("../lab/core.py", project.repository.path / "conf/core")
    body = "pathlib.Path(outpath).write_text(pathlib.Path('conf/core').read_text())"
    project.commit(step=step(options=f', code=["step.py", "helper.py", "{code}"]', body=body))
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0] is False
    with_submodule.commit(core="x = 2\n")
    project.commit()
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "x = 2\n")


def test_a_path_in_a_submodule_is_told_its_submodule(project: Project, with_submodule: Repository) -> None:
    project.commit(step=step(options=', code=["step.py", "helper.py", "lab/core.py", "!lab/docs"]'))
    done = project.repository.run("step.py")
    assert re.search(
        r"code='lab/core.py', .*, is in the submodule lab, which counts as its commit; pass that\n$", done.stderr
    )


def test_where_git_fails_nothing_is_reused(project: Project) -> None:
    project.commit(step=step(call="import os; os.environ['PATH'] = '/nowhere'; print(train('out/model.txt'))"))
    for number in range(2):
        project.commit(other=f"x = {number + 5}\n")
        assert project.run()[0]
        assert project.stderr.startswith("the code key of train cannot be determined: ")


def test_a_side_file_without_the_tag_is_no_part_of_what_is_copied(project: Project) -> None:
    body = "pathlib.Path(outpath).write_text('x'); pathlib.Path(outpath).with_name('log.txt').write_text('y')"
    project.commit(step=step(body=body))
    _, path = project.run()
    path.with_name("log.txt").unlink()
    assert project.run() == (False, path)
    project.commit(other="x = 2\n")
    assert (project.run()[0], path.with_name("log.txt").exists()) == (False, False)


def test_what_a_declared_state_made_is_removed_like_any_other(project: Project) -> None:
    project.commit(step=step(call='print(pyrepro.remove(train("out/model.txt"))[0])'))
    subprocess.run(["rm", "-rf", project.repository.path / ".git"], check=True)
    ran, path = project.run(PYREPRO_CODE_STATE="0" * 40)
    assert ran and list(path.parent.iterdir()) == []


def test_a_declared_state_has_no_key(project: Project) -> None:
    project.run()
    head = project.repository.head
    subprocess.run(["rm", "-rf", project.repository.path / ".git"], check=True)
    for digit in "01":
        assert project.run(PYREPRO_CODE_STATE=digit * 40)[0]
    assert project.run(PYREPRO_CODE_STATE=head) == (False, next(project.repository.path.glob(f"out/*{head[:12]}*")))
