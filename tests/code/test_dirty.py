"""A dirty tree is refused, at the right time and with what to do, or has a name of its own."""

from __future__ import annotations

import logging
import pickle
import re
from pathlib import Path

import pytest
from conftest import SCRIPT, Repository, names_dirty

from pyrepro import Artifact, CodeStateError, DirtyRepositoryError, code_state, tag

EMPTY = "44136fa355b3"
WAYS_OUT = "Commit them; or pass allow_dirty=True or set PYREPRO_ALLOW_DIRTY=1 to write under a -dirty- name."


def refusal(repository: Repository, *paths: str) -> str:
    lines = [f"the work tree {repository.path} has changes that commit {repository.head[:12]} does not hold:"]
    return "\n".join([*lines, *(f"  {path}" for path in paths), WAYS_OUT])


def dirty_name(repository: Repository) -> str:
    changes = code_state(repository.path).changes
    assert changes is not None
    return f"foo-{repository.head[:12]}-dirty-{changes[:12]}-{EMPTY}.txt"


def test_a_dirty_script_of_ones_own_stops_at_the_decoration(repository: Repository) -> None:
    repository.write("train.py", SCRIPT + "# edited\n")
    done = repository.run("train.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.partition("pyrepro.DirtyRepositoryError: ")[2].strip() == refusal(repository, "train.py")
    assert "in <module>" in done.stderr
    assert not list(repository.path.glob("foo*"))


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_an_allowed_dirty_tree_has_a_name_for_each_edit_and_one_for_each_edit_everywhere(
    repository: Repository, tmp_path: Path, how: str
) -> None:
    script = SCRIPT.replace("config={}", "config={}, allow_dirty=True") if how == "argument" else SCRIPT
    environment = {} if how == "argument" else {"PYREPRO_ALLOW_DIRTY": "1"}
    names = {}
    for edit in ("# one\n", "# two\n"):
        for clone in (repository, repository.clone(tmp_path / edit.strip("# \n"))):
            clone.write("train.py", script + edit)
            done = clone.run("train.py", env=environment)
            assert done.stdout == dirty_name(clone) + "\n"
            assert re.fullmatch(rf"foo-[0-9a-f]{{12}}-dirty-[0-9a-f]{{12}}-{EMPTY}\.txt", done.stdout.strip())
            assert done.stderr == names_dirty(done.stdout) + refusal(clone, "train.py").removesuffix(WAYS_OUT)
            names.setdefault(edit, set()).add(done.stdout)
    assert [len(found) for found in names.values()] == [1, 1]
    assert names["# one\n"] != names["# two\n"]


def test_the_first_ten_paths_are_listed_and_counted(repository: Repository) -> None:
    names = [f"new{number:02}.py" for number in range(12)]
    for name in names:
        repository.write(name)
    repository.git("add", "-A")
    with pytest.raises(DirtyRepositoryError) as error:
        tag(repo=repository.path)
    assert str(error.value) == refusal(repository, *names[:10], "and 2 more")
    assert error.value.paths == tuple(names)


def test_the_error_carries_what_it_says_and_pickles(repository: Repository) -> None:
    repository.write("train.py", "edited\n")
    repository.write("a\nb.py", "new\n")
    repository.git("add", "-A")
    with pytest.raises(DirtyRepositoryError) as error:
        tag(repo=repository.path)
    state = code_state(repository.path)
    for each in (error.value, pickle.loads(pickle.dumps(error.value))):
        assert (each.commit, each.changes) == (state.commit, state.changes)
        assert (each.work_tree, each.paths) == (str(repository.path), ("a%0Ab.py", "train.py"))
        assert str(each) == refusal(repository, "a%0Ab.py", "train.py")


def test_an_allowed_state_is_warned_of_once_by_pyrepro_and_with_what_it_is_named(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    expected = []
    for edit in ("one\n", "two\n"):
        repository.write("train.py", edit)
        for _ in range(3):

            @Artifact("outpath", allow_dirty=True, repo=repository.path)
            def save(outpath: str) -> str:
                return outpath

            assert save("foo.txt") == dirty_name(repository)
        found = refusal(repository, "train.py").removesuffix("\n" + WAYS_OUT)
        expected.append(("pyrepro", logging.WARNING, names_dirty(dirty_name(repository)) + found))
    assert caplog.record_tuples == expected


def test_in_a_test_runner_the_decoration_warns_and_the_call_raises(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    repository.write("train.py", "edited\n")

    @Artifact("outpath", repo=repository.path)
    def save(outpath: str) -> str:
        raise AssertionError("is not called")

    message = refusal(repository, "train.py")
    warning = f"calls that write artifacts will be refused: {message}"
    assert caplog.record_tuples == [("pyrepro", logging.WARNING, warning)]
    for refused in (save, save.tagged):
        with pytest.raises(DirtyRepositoryError) as error:
            refused("foo.txt")
        assert str(error.value) == message
    assert save.code_state == code_state(repository.path)


def test_allowing_it_in_the_environment_after_the_decoration_is_enough(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("train.py", "edited\n")

    @Artifact("outpath", repo=repository.path)
    def save(outpath: str) -> str:
        return outpath

    monkeypatch.setenv("PYREPRO_ALLOW_DIRTY", "1")
    assert save("foo.txt") == dirty_name(repository)


def test_without_a_state_the_decoration_warns_and_the_call_raises_in_a_test_runner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", repo=tmp_path / "gone")
    def save(outpath: str) -> str:
        raise AssertionError("is not called")

    message = f"{tmp_path / 'gone'} does not exist, so no code state can be read there; pass a path in the work tree of the code"
    warning = f"calls that write artifacts will be refused: {message}"
    assert caplog.record_tuples == [("pyrepro", logging.WARNING, warning)]
    for _ in range(2):
        with pytest.raises(CodeStateError) as error:
            save("foo.txt")
        assert str(error.value) == message
    assert save.code_state is None


@pytest.mark.parametrize("text", ["yes", "true", "2", " 1"])
def test_a_permission_that_is_none_is_an_error(
    text: str, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("train.py", "edited\n")
    monkeypatch.setenv("PYREPRO_ALLOW_DIRTY", text)
    with pytest.raises(CodeStateError) as error:
        tag(repo=repository.path)
    assert str(error.value) == (
        f"PYREPRO_ALLOW_DIRTY={text!r} is neither 1 nor 0; set it to 1 to allow a dirty tree, or unset it"
    )
    done = repository.run("train.py", env={"PYREPRO_ALLOW_DIRTY": text})
    assert done.returncode == 1


@pytest.mark.parametrize("text", ["", "0"])
def test_a_permission_that_is_withdrawn_is_none(
    text: str, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("train.py", "edited\n")
    monkeypatch.setenv("PYREPRO_ALLOW_DIRTY", text)
    with pytest.raises(DirtyRepositoryError):
        tag(repo=repository.path)
    assert tag(repo=repository.path, allow_dirty=True).changes is not None


# Loaded modules


def test_a_loaded_module_that_head_does_not_hold_is_a_change(repository: Repository) -> None:
    repository.write("helper.py", "x = 1\n")
    repository.write("train.py", "import helper\n" + SCRIPT)
    repository.git("add", "train.py")
    repository.git("commit", "-q", "-m", "forgot the helper")
    done = repository.run("train.py")
    assert done.stderr.partition("pyrepro.DirtyRepositoryError: ")[2].strip() == refusal(repository, "helper.py")
    repository.commit()
    assert repository.run("train.py").returncode == 0


def test_an_untracked_script_is_a_change(repository: Repository) -> None:
    repository.write("new.py", SCRIPT)
    assert "\n  new.py\n" in repository.run("new.py").stderr


def test_a_loaded_module_that_the_gitignore_of_the_work_tree_ignores_is_none(repository: Repository) -> None:
    repository.write("ignored/generated.py", "x = 1\n")
    repository.write("train.py", "import ignored.generated\n" + SCRIPT)
    repository.commit()
    assert repository.run("train.py").stdout == f"foo-{repository.head[:12]}-{EMPTY}.txt\n"


@pytest.mark.parametrize("where", ["global", "exclude"])
def test_what_only_the_user_ignores_is_a_change(repository: Repository, tmp_path: Path, where: str) -> None:
    if where == "global":
        (tmp_path / "excludes").write_text("helper.py\n")
        repository.git("config", "core.excludesFile", str(tmp_path / "excludes"))
    else:
        repository.write(".git/info/exclude", "helper.py\n")
    repository.write("helper.py", "x = 1\n")
    repository.write("train.py", "import helper\n" + SCRIPT)
    repository.commit()
    assert repository.git("status", "--porcelain") == ""
    assert "\n  helper.py\n" in repository.run("train.py").stderr


def test_what_the_gitignore_ignores_below_what_the_user_ignores_is_none(repository: Repository) -> None:
    repository.write(".git/info/exclude", "build/\n")
    repository.write(".gitignore", "build/helper.py\n")
    repository.write("build/helper.py", "x = 1\n")
    repository.write("train.py", "import build.helper\n" + SCRIPT)
    repository.commit()
    assert repository.run("train.py").stdout == f"foo-{repository.head[:12]}-{EMPTY}.txt\n"


def test_an_environment_in_the_work_tree_is_none(repository: Repository) -> None:
    repository.write("env/lib/site-packages/helper.py", "x = 1\n")
    repository.write("train.py", "import helper\n" + SCRIPT)
    repository.git("commit", "-q", "-am", "use it")
    done = repository.run("train.py", env={"PYTHONPATH": str(repository.path / "env/lib/site-packages")})
    assert done.stdout == f"foo-{repository.head[:12]}-{EMPTY}.txt\n"


def test_a_link_into_an_environment_is_none(repository: Repository) -> None:
    (repository.path / "vendored").symlink_to("env/site-packages/vendored")
    repository.write("train.py", "import vendored\n" + SCRIPT)
    repository.commit()
    repository.write("env/site-packages/vendored/__init__.py", "x = 1\n")
    assert repository.run("train.py").stdout == f"foo-{repository.head[:12]}-{EMPTY}.txt\n"


def test_a_link_out_of_an_environment_is_none(repository: Repository) -> None:
    repository.write("train.py", "import helper\n" + SCRIPT)
    repository.commit()
    link = repository.write("env/site-packages/helper.py")
    link.unlink()
    link.symlink_to(repository.write("cache/helper.py", "x = 1\n"))
    done = repository.run("train.py", env={"PYTHONPATH": str(link.parent)})
    assert done.stdout == f"foo-{repository.head[:12]}-{EMPTY}.txt\n"


def test_a_module_of_a_nested_repository_counts_as_untracked(repository: Repository) -> None:
    nested = Repository(repository.path / "nested")
    nested.path.mkdir()
    nested.git("init", "-q", "-b", "main")
    nested.commit(helper="x = 1\n")
    repository.write("train.py", "import nested.helper\n" + SCRIPT)
    repository.git("commit", "-q", "-am", "use it")
    assert "\n  nested/helper.py\n" in repository.run("train.py").stderr
    repository.write(".gitignore", "nested/\n")
    repository.git("commit", "-q", "-am", "ignore it")
    assert repository.run("train.py").stdout == f"foo-{repository.head[:12]}-{EMPTY}.txt\n"


def test_a_loaded_module_of_a_submodule_counts_there(repository: Repository, tmp_path: Path) -> None:
    origin = repository.clone(tmp_path / "origin")
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(origin.path), "sub")
    repository.write("train.py", "import sub.lib.model, sub.lib.new\n" + SCRIPT)
    repository.commit()
    repository.write("sub/lib/new.py", "x = 1\n")
    repository.write("sub/ignored/new.py", "x = 1\n")
    assert "\n  sub/lib/new.py\n" in repository.run("train.py").stderr
    sub = Repository(repository.path / "sub")
    sub.commit()
    repository.commit()
    assert repository.run("train.py").stdout == f"foo-{repository.head[:12]}-{EMPTY}.txt\n"


def test_a_loaded_module_below_a_submodule_that_is_not_checked_out_is_a_change(
    repository: Repository, tmp_path: Path
) -> None:
    origin = repository.clone(tmp_path / "origin")
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(origin.path), "sub")
    repository.write("train.py", "import sub.new\n" + SCRIPT)
    repository.commit()
    clone = repository.clone(tmp_path / "clone")
    clone.write("sub/new.py", "x = 1\n")
    assert "\n  sub/new.py\n" in clone.run("train.py").stderr


def test_a_module_that_was_deleted_after_it_was_loaded_unseen_is_unknown(repository: Repository) -> None:
    repository.write("train.py", "import helper, os\nos.unlink(helper.__file__)\n" + SCRIPT)
    repository.git("commit", "-q", "-am", "use it")
    repository.write("helper.py", "x = 1\n")
    assert repository.run("train.py").stderr.splitlines()[-1] == (
        f"pyrepro.CodeStateError: which code runs cannot be determined: {repository.path}/helper.py cannot be read "
        f"(No such file or directory), and the module helper was loaded from it before pyrepro could see it; "
        f"start the program again, with import pyrepro above the other imports"
    )


def test_a_module_with_a_made_up_file_is_none(repository: Repository) -> None:
    code = "import sys, types\nfor name in ('_ops.py', None, 3):\n    m = types.ModuleType(f'm{name}')\n"
    code += "    m.__file__ = name\n    sys.modules[m.__name__] = m\nsys.modules['odd'] = object()\n"
    repository.write("train.py", code + SCRIPT)
    repository.commit()
    assert repository.run("train.py").stdout == f"foo-{repository.head[:12]}-{EMPTY}.txt\n"


def test_two_hundred_loaded_untracked_modules_are_asked_for_in_portions(repository: Repository) -> None:
    for number in range(201):
        repository.write(f"many/ignored/m{number}.py")
    repository.write(
        "train.py", "import importlib\nfor n in range(201): importlib.import_module(f'many.ignored.m{n}')\n" + SCRIPT
    )
    repository.commit()
    assert repository.run("train.py").stdout == f"foo-{repository.head[:12]}-{EMPTY}.txt\n"
