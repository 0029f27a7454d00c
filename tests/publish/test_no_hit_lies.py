"""No hit lies: whatever an artifact depends on that ``code`` names, or that is loaded, makes it again when it differs."""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Callable

import pytest
from conftest import Repository, posix_only
from test_reuse import Project, step

READS = "pathlib.Path(outpath).write_text(open('conf/a.yaml').read())"


@pytest.fixture
def project(repository: Repository) -> Project:
    made = Project(repository)
    made.commit(step=step(), helper="LR = 1\n", other="x = 1\n")
    return made


def reading(project: Project, code: str) -> None:
    project.commit(step=step(body=READS, options=f', code=["step.py", "helper.py", {code}]'))


@posix_only
@pytest.mark.parametrize("code", ["'conf'", "'conf/a.yaml'", "'.', '!other.py'"])
def test_what_a_link_in_code_leads_to_counts(code: str, project: Project) -> None:
    project.repository.write("shared/base.yaml", "1")
    (project.repository.path / "conf").mkdir()
    os.symlink("../shared/base.yaml", project.repository.path / "conf/a.yaml")
    reading(project, code)
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0] is False
    project.repository.write("shared/base.yaml", "2")
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "2")


@posix_only
def test_a_directory_that_a_link_in_code_leads_to_counts_and_the_links_in_it(project: Project) -> None:
    project.repository.write("deep/base.yaml", "1")
    (project.repository.path / "shared").mkdir()
    os.symlink("../deep/base.yaml", project.repository.path / "shared/a.yaml")
    os.symlink("shared", project.repository.path / "conf")
    reading(project, "'conf'")
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0] is False
    project.repository.write("deep/base.yaml", "2")
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "2")


@posix_only
@pytest.mark.parametrize("target", ["a.yaml", ".", "nothing", "/", "../helper.py"])
def test_links_that_lead_to_themselves_nowhere_or_out_are_no_error(target: str, project: Project) -> None:
    project.repository.write("conf/a.yaml", "1")
    os.symlink(target, project.repository.path / "conf/link")
    reading(project, "'conf'")
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0] is False


@posix_only
def test_a_path_behind_a_link_is_told_where_it_is(project: Project) -> None:
    project.repository.write("shared/a.yaml", "1")
    os.symlink("shared", project.repository.path / "conf")
    reading(project, "'conf/a.yaml'")
    done = project.repository.run("step.py")
    assert done.stderr.endswith(
        f"ValueError: code='conf/a.yaml', looked up in the work tree {project.repository.path} at commit "
        f"{project.repository.head[:12]}, is behind a link; pass 'shared/a.yaml'\n"
    )


@pytest.mark.parametrize("name", ["a b.yaml", "é.yaml", "[ab]*.yaml", ":(top)x", "-x", "q'\"\n.yaml", "\udcff.bin"])
def test_paths_with_odd_characters_are_themselves(name: str, project: Project) -> None:
    project.repository.write(f"conf/{name}", "1")
    project.repository.write("conf/ab.yaml", "1")
    body = f"pathlib.Path(outpath).write_text(open({'conf/' + name!a}).read())"
    options = f', code=["step.py", "helper.py", {"conf/" + name!a}]'
    project.commit(step=step(body=body, options=options))
    assert project.run()[0]
    project.repository.write("conf/ab.yaml", "2")
    assert project.run()[0] is False
    project.repository.write(f"conf/{name}", "2")
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "2")


def test_a_name_that_begins_with_an_exclamation_mark_is_passed_with_its_directory(project: Project) -> None:
    project.repository.write("!a.yaml", "1")
    body = "pathlib.Path(outpath).write_text(open('!a.yaml').read())"
    project.commit(step=step(body=body, options=', code=["step.py", "helper.py", "./!a.yaml"]'))
    assert project.run()[0]
    project.repository.write("!a.yaml", "2")
    assert project.run()[0]


@pytest.mark.parametrize(
    "load",
    [
        "import importlib.util; s = importlib.util.spec_from_file_location('p', 'other.py'); "
        "m = sys.modules['p'] = importlib.util.module_from_spec(s); s.loader.exec_module(m); x = m.x",
        "import runpy; x = runpy.run_module('other')['x']",
        "import importlib; x = importlib.import_module('other').x; del sys.modules['other']",
    ],
)
@pytest.mark.parametrize("where", ["before", "inside"])
def test_code_outside_that_was_loaded_by_other_ways_is_guarded(load: str, where: str, project: Project) -> None:
    body = "pathlib.Path(outpath).write_text(str(x))"
    script = step(imports=f"import helper\n{load}", body=body) if where == "before" else step(body=f"{load}; {body}")
    project.commit(step=script)
    assert project.run()[0] and "\n  other.py\n" in project.stderr
    project.commit(other="x = 2\n")
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "2")


VERSIONS = {"v1/__init__.py": "x = 1\n", "v2/__init__.py": "x = 2\n"}


def of_version(project: Project, options: str) -> None:
    """A step that imports a version over the link ``current``, the first one."""
    for name, content in VERSIONS.items():
        project.repository.write(name, content)
    os.symlink("v1", project.repository.path / "current")
    body = "pathlib.Path(outpath).write_text(str(current.x))"
    project.repository.write("step.py", step(imports="import current", body=body, options=options))


def lead_to_second(project: Project, name: str = "current") -> None:
    link = project.repository.path / name
    link.unlink()
    os.symlink("v2", link)
    project.commit()


@posix_only
def test_a_link_outside_of_code_over_which_a_module_was_found_is_guarded(project: Project) -> None:
    of_version(project, ', code=["step.py", "v1", "v2"]')
    project.commit()
    assert project.run()[0]
    assert project.stderr == (
        f"what train makes is not reused after a commit, since loaded modules of the work tree "
        f"{project.repository.path} are neither in code=['step.py', 'v1', 'v2'] nor left out:\n  current\n"
        f"Add them, or leave them out with a '!' before each.\n"
    )
    lead_to_second(project)
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "2")


@posix_only
@pytest.mark.parametrize("code", ["'current'", "'v1', 'v2', 'current'"])
@pytest.mark.parametrize("links", [["v1", "current"], ["v1", "latest", "current"]])
def test_a_link_in_code_over_which_a_module_was_found_counts(links: list[str], code: str, project: Project) -> None:
    of_version(project, f', code=["step.py", {code}]')
    (project.repository.path / "current").unlink()
    for target, link in itertools.pairwise(links):
        os.symlink(target, project.repository.path / link)
    project.commit()
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0] is False
    lead_to_second(project, links[1])
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "2")


@posix_only
@pytest.mark.parametrize("ignore", ["", "current\n"])
def test_a_link_that_git_does_not_track_is_not_guarded(ignore: str, project: Project) -> None:
    project.repository.write(".gitignore", f"out/\n__pycache__/\n.pyrepro/\n{ignore}")
    of_version(project, ', code=["step.py", "v1", "v2"]')
    project.repository.git("add", ".gitignore", "step.py", "v1", "v2")
    project.repository.git("commit", "-q", "-m", "more")
    assert project.run()[0] and not project.stderr
    project.repository.write("other.py", "x = 2\n")
    project.repository.git("commit", "-q", "-a", "-m", "more")
    assert project.run()[0] is False


def test_the_functions_own_file_is_guarded_although_it_is_ignored(project: Project) -> None:
    project.repository.write(".gitignore", "out/\n__pycache__/\n.pyrepro/\nstep.py\n")
    project.repository.git("rm", "-q", "--cached", "step.py")
    project.commit(step=step(options=', code=["helper.py"]'))
    assert project.run()[0] and "\n  step.py\n" in project.stderr


def test_a_module_of_another_clone_is_guarded_as_the_file_of_this_one(project: Project, tmp_path: pathlib.Path) -> None:
    project.commit(step=step(imports="import helper, other", body="pathlib.Path(outpath).write_text(str(other.x))"))
    (project.repository.path / "other.py").unlink()
    other = tmp_path / "copy"
    project.repository.git("worktree", "add", "-q", "--detach", str(other))
    assert project.run(PYTHONPATH=str(other))[0] and "\n  other.py\n" in project.stderr


@posix_only
def test_a_mode_counts(project: Project) -> None:
    project.repository.write("tool.sh", "#!/bin/sh\n")
    body = "import os; pathlib.Path(outpath).write_text(str(os.access('tool.sh', os.X_OK)))"
    project.commit(step=step(body=body, options=', code=["step.py", "helper.py", "tool.sh"]'))
    assert project.run()[0]
    (project.repository.path / "tool.sh").chmod(0o755)
    assert project.run()[0]
    project.commit()
    assert project.run()[0] is False


def test_line_ends_that_git_converts_are_one_key_before_and_after_the_commit(project: Project) -> None:
    project.repository.write(".gitattributes", "* text=auto\n")
    project.commit()
    project.repository.write("helper.py", "LR = 2\r\n")
    assert project.run()[0]
    project.commit()
    assert project.run()[0] is False


def test_another_input_is_another_artifact(project: Project) -> None:
    options = ', inputs=["table"], code=["step.py", "helper.py"]'
    body = "pathlib.Path(outpath).write_text(open(table).read())"
    script = step(options=options, body=body, call='print(train("out/model.txt", table="table.csv"))')
    project.repository.write(".gitignore", "out/\n__pycache__/\n.pyrepro/\ntable.csv\n")
    project.repository.write("table.csv", "1")
    project.commit(step=script.replace("alpha=1", "table=None"))
    assert project.run()[0]
    project.repository.write("table.csv", "2")
    project.commit(other="x = 2\n")
    ran, path = project.run()
    assert (ran, path.read_text()) == (True, "2")


@pytest.mark.parametrize(
    "body",
    [
        "pathlib.Path(outpath).write_text(train.code_state.commit)",
        "pathlib.Path(outpath).write_text('v1.0-3-g' + train.code_state.commit[:7])",
        "pathlib.Path(outpath).write_text('x' * 5 + train.code_state.commit[:9] + '-dirty')",
        "pathlib.Path(outpath).mkdir(); pathlib.Path(outpath, 'made_at').write_text(train.code_state.commit[:12])",
    ],
)
def test_what_holds_the_commit_is_made_again(body: str, project: Project) -> None:
    project.commit(step=step(body=body))
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0]


def test_what_holds_other_hex_digits_is_copied(project: Project) -> None:
    body = (
        "c = train.code_state.commit; other = '0' if c[9] != '0' else '1'; "
        "pathlib.Path(outpath).write_text(f'{c[:6]} {c[:9]}{other}')"
    )
    project.commit(step=step(body=body))
    assert project.run()[0]
    project.commit(other="x = 2\n")
    assert project.run()[0] is False


def test_an_older_artifact_is_found_however_many_were_copied_since(project: Project) -> None:
    _, first = project.run()
    copies = []
    for number in range(10):
        project.commit(other=f"x = 2{number}\n")
        ran, path = project.run()
        assert not ran
        copies.append(path)
    for path in copies:
        path.unlink()
    project.commit(other="x = 3\n")
    assert first.exists() and project.run()[0] is False


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("['step.py', '!.']", "code='!.' leaves out 'step.py', so no key would cover it; leave out less"),
        ("['lib/model.py', '!lib']", "code='!lib' leaves out 'lib/model.py', so no key would cover it; leave out less"),
        ("'!.'", "code='!.' leaves out '.', so no key would cover it; leave out less"),
        ("'a\\0b'", "code='a\\x00b' is not a path in the work tree; pass paths from its top, such as 'src' or '!docs', "
         "or '.' for all of it"),
    ],
)  # fmt: skip
def test_a_code_that_covers_nothing_is_an_error(code: str, message: str, repository: Repository) -> None:
    repository.commit(step=step(options=f", code={code}"), helper="LR = 1\n")
    done = repository.run("step.py")
    assert done.stderr.endswith(f"ValueError: {message}\n")


def test_what_changes_outside_code_during_a_long_call_is_no_reason_to_make_it_again(project: Project) -> None:
    change: Callable[[str], str] = lambda name: step(  # noqa: E731
        imports="import helper, subprocess",
        body=f"pathlib.Path({name!r}).write_text('x = 77'); subprocess.run(['true']); "
        "pathlib.Path(outpath).write_text('done')",
    )
    project.commit(step=change("other.py"))
    assert project.run()[0] and "changed meanwhile" not in project.stderr
    project.repository.git("checkout", "-q", ".")
    assert project.run()[0] is False
    project.commit(step=change("helper.py"))
    assert project.run()[0] and "was loaded or read:\n  helper.py\n" in project.stderr
    project.repository.git("checkout", "-q", ".")
    assert project.run()[0]
