"""A module counts as it was loaded, and so do the links over which it was found."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from conftest import Repository, posix_only
from test_what_runs import EMPTY, WAITS, Alive, blob, tag, train

from pyrepro import read_record

pytestmark = posix_only

LINKS = {"helper.py": ("v1.py", "v2.py"), "helper": ("one", "two"), "all/helper.py": ("../v1.py", "../v2.py")}
SEARCHED = "import sys; sys.path.append('all')"


def tag_of_link(commit: str, path: str, target: str) -> str:
    """The tag of the empty configuration and one link, from the definition."""
    digest = hashlib.sha256(json.dumps([[path, "120000", blob(target)]], separators=(",", ":")).encode()).hexdigest()
    return f"{commit[:12]}-dirty-{digest[:12]}-{EMPTY}"


def retarget(link: Path, target: str | Path) -> None:
    """Let a link lead elsewhere at once, as deployments do."""
    link.with_name("new").symlink_to(target)
    link.with_name("new").replace(link)


@pytest.fixture
def versions(repository: Repository) -> Repository:
    """A repository with two versions of a module and of a package, and without links to one of them."""
    for version, lr in (("1", "LR = 1\n"), ("2", "LR = 2\n")):
        repository.write(f"v{version}.py", lr)
        repository.write(f"{'one' if version == '1' else 'two'}/__init__.py", lr)
    repository.write("all/other.py", "")
    repository.commit(slow=WAITS, train=train(before=SEARCHED, after="import helper, slow"))
    return repository


def add_link(repository: Repository, link: str, target: str) -> None:
    (repository.path / link).symlink_to(target)
    repository.commit()


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_link_that_is_retargeted_and_committed_is_a_change_to_what_it_was(
    versions: Repository, link: str, place: str
) -> None:
    first, second = LINKS[link]
    add_link(versions, link, first)
    versions.commit(
        train=train(before=f"{SEARCHED}\n{'import helper' if place == 'before' else ''}", after="import helper, slow")
    )
    alive = Alive(versions, "train.py")
    retarget(versions.path / link, second)
    versions.commit()
    name = tag_of_link(versions.head, link, first)
    stdout, stderr = alive.go_on()
    assert stdout == f"foo-{name}.txt\n"
    assert (versions.path / f"foo-{name}.txt").read_text() == "1"
    assert stderr.splitlines()[1:] == [f"  {link} (as it was loaded; the file holds something else now)"]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_is_retargeted_and_not_committed_is_no_change(versions: Repository, link: str) -> None:
    add_link(versions, link, LINKS[link][0])
    alive = Alive(versions, "train.py")
    retarget(versions.path / link, LINKS[link][1])
    assert alive.go_on() == (f"foo-{tag(versions.head)}.txt\n", "")


@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_led_elsewhere_from_the_start_is_a_change_until_that_is_committed(
    versions: Repository, link: str
) -> None:
    first, second = LINKS[link]
    versions.commit(quick=train(before=SEARCHED, after="import helper"))
    add_link(versions, link, first)
    retarget(versions.path / link, second)
    assert versions.run("quick.py").stdout == f"foo-{tag_of_link(versions.head, link, second)}.txt\n"
    alive = Alive(versions, "train.py")
    versions.commit()
    assert alive.go_on() == (f"foo-{tag(versions.head)}.txt\n", "")


@pytest.mark.parametrize("link", ["helper.py", "all/helper.py"])
@pytest.mark.parametrize("replacement", ["a file", "nothing", "a package"])
def test_a_link_that_is_replaced_and_committed_is_a_change(versions: Repository, link: str, replacement: str) -> None:
    add_link(versions, link, LINKS[link][0])
    versions.write(
        "train.py",
        train(before=SEARCHED, after="import helper, slow").replace("allow_dirty", "record=True, allow_dirty"),
    )
    versions.commit()
    alive = Alive(versions, "train.py")
    (versions.path / link).unlink()
    if replacement == "a file":
        versions.write(link, "LR = 2\n")
    elif replacement == "a package":
        versions.write(f"{link}/__init__.py", "LR = 2\n")
    versions.commit()
    name = tag_of_link(versions.head, link, LINKS[link][0])
    stdout, stderr = alive.go_on()
    assert stdout == f"foo-{name}.txt\n", stderr
    patch = read_record(versions.path / f"foo-{name}.txt").code["patch"]
    assert f"+{LINKS[link][0]}\n" in (versions.path / str(patch)).read_text()


def test_a_link_to_a_link_counts_with_each_of_them(versions: Repository) -> None:
    add_link(versions, "current.py", "v1.py")
    add_link(versions, "helper.py", "./all/../current.py")
    alive = Alive(versions, "train.py")
    retarget(versions.path / "current.py", "v2.py")
    versions.commit()
    assert alive.go_on()[0] == f"foo-{tag_of_link(versions.head, 'current.py', 'v1.py')}.txt\n"


def test_a_link_in_the_work_tree_that_leads_out_of_it_counts(versions: Repository, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"v{number}.py").write_text(f"LR = {number}\n")
    add_link(versions, "helper.py", f"{tmp_path}/v1.py")
    alive = Alive(versions, "train.py")
    retarget(versions.path / "helper.py", f"{tmp_path}/v2.py")
    versions.commit()
    name = tag_of_link(versions.head, "helper.py", f"{tmp_path}/v1.py")
    assert alive.go_on()[0] == f"foo-{name}.txt\n"


def test_a_link_over_which_the_function_itself_imports_counts(versions: Repository) -> None:
    add_link(versions, "helper.py", "v1.py")
    versions.commit(
        train=train(after="import slow", inside="import helper").replace("str(helper.LR)", "str(helper.LR)")
    )
    alive = Alive(versions, "train.py")
    retarget(versions.path / "helper.py", "v2.py")
    alive.go_on()
    assert [path.name for path in versions.path.glob("foo-*")] == [
        f"foo-{tag_of_link(versions.head, 'helper.py', 'v2.py')}.txt"
    ]


def test_a_link_that_was_retargeted_before_pyrepro_was_imported_is_unknown(versions: Repository) -> None:
    add_link(versions, "helper", "one")
    versions.commit(train=train(before="import helper, slow", allow=False))
    alive = Alive(versions, "train.py")
    retarget(versions.path / "helper", "two")
    stdout, stderr = alive.go_on()
    assert "so the module helper may have been loaded from something else" in stderr
    assert stdout == ""


def test_a_link_that_the_program_makes_before_it_imports_is_known_by_the_compiled_cache(versions: Repository) -> None:
    versions.commit(train=train(before="import os; os.symlink('one', 'helper'); import helper"))
    done = versions.run("train.py", env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
    assert (done.stdout, done.stderr) == (f"foo-{tag(versions.head)}.txt\n", "")


# What is no change


def test_a_link_that_nobody_added_to_git_is_no_change_until_it_leads_elsewhere(versions: Repository) -> None:
    versions.commit(quick=train(after="import helper"))
    (versions.path / "helper.py").symlink_to("v1.py")
    assert versions.run("quick.py").stdout == f"foo-{tag(versions.head)}.txt\n"
    alive = Alive(versions, "train.py")
    retarget(versions.path / "helper.py", "v2.py")
    versions.commit()
    assert alive.go_on()[0] == f"foo-{tag_of_link(versions.head, 'helper.py', 'v1.py')}.txt\n"


def test_an_ignored_link_may_lead_elsewhere(versions: Repository) -> None:
    (versions.path / "helper.py").symlink_to("v1.py")
    versions.write(".gitignore", "helper.py\n")
    versions.commit()
    alive = Alive(versions, "train.py")
    retarget(versions.path / "helper.py", "v2.py")
    assert alive.go_on() == (f"foo-{tag(versions.head)}.txt\n", "")


def test_a_link_outside_may_be_retargeted_by_a_deployment_while_the_program_runs(
    versions: Repository, tmp_path: Path
) -> None:
    add_link(versions, "helper.py", "v1.py")
    current = tmp_path / "current"
    current.symlink_to(versions.path)
    next_release = versions.clone(tmp_path / "release-6")
    versions.commit(train=train(after=f"import sys; sys.path[0] = {str(current)!r}; import helper, slow"))
    alive = Alive(versions, "train.py")
    retarget(current, next_release.path)
    assert alive.go_on() == (f"foo-{tag(versions.head)}.txt\n", "")


def test_a_module_that_is_loaded_later_over_an_untracked_link_is_no_change(versions: Repository) -> None:
    (versions.path / "helper.py").symlink_to("v1.py")
    versions.commit()
    versions.git("rm", "-q", "--cached", "helper.py")
    versions.git("commit", "-q", "-m", "without the link")
    versions.write("train.py", train(inside="import helper"))
    versions.git("commit", "-q", "-am", "later")
    assert versions.run("train.py").stdout == f"foo-{tag(versions.head)}.txt\n"


AGAIN = {
    "reload": "import importlib; importlib.reload(helper)",
    "import anew": "del sys.modules['helper']; import helper",
}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("again", AGAIN)
def test_a_module_that_is_loaded_again_over_a_link_that_was_retargeted_and_committed_is_clean(
    versions: Repository, link: str, again: str
) -> None:
    add_link(versions, link, LINKS[link][0])
    versions.commit(train=train(before=SEARCHED, after=f"import helper, slow\n{AGAIN[again]}", allow=False))
    alive = Alive(versions, "train.py")
    retarget(versions.path / link, LINKS[link][1])
    versions.commit()
    name = f"foo-{tag(versions.head)}.txt"
    assert alive.go_on() == (f"{name}\n", "")
    assert (versions.path / name).read_text() == "2"


@pytest.mark.parametrize("again", AGAIN)
def test_a_module_that_took_something_of_what_a_link_led_to_before_is_left_behind(
    versions: Repository, again: str
) -> None:
    add_link(versions, "helper.py", "v1.py")
    versions.commit(
        taker="from helper import LR\n",
        train=train(after=f"import sys, helper, taker, slow\n{AGAIN[again]}"),
    )
    alive = Alive(versions, "train.py")
    retarget(versions.path / "helper.py", "v2.py")
    versions.commit()
    stdout, stderr = alive.go_on()
    assert stdout.startswith(f"foo-{versions.head[:12]}-dirty-")
    assert stderr.splitlines()[1:] == [
        "  taker.py: took LR of helper before that was loaded again; type importlib.reload(taker)"
    ]
