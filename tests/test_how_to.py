"""The programs of the how-to guides do what the guides say."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import GUIDES, Repository

from pyrepro import Tag, config_hash, read_record

GALLERY = sorted(GUIDES.parent.glob("gallery/*.pyrepro.json"))
Guide = Callable[..., Repository]


@pytest.mark.parametrize("page", sorted(GUIDES.glob("*.rst")), ids=lambda page: page.stem)
def test_a_guide_includes_its_code_and_shows_nothing_else_but_commands_and_output(page: Path) -> None:
    languages = set(re.findall(r"^\.\. code-block:: (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert languages <= {"console", "diff", "json", "text"}


def test_every_program_of_the_guides_is_run_by_a_test() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    programs = [path.relative_to(GUIDES).as_posix() for path in GUIDES.rglob("*") if path.is_file()]
    assert [name for name in programs if not name.endswith((".rst", ".pyc")) and f'"{name}"' not in tests] == []


def test_keep_work_across_commits(guide: Guide) -> None:
    repository = guide("keep_work.py")
    repository.write("limit.txt", "8\n")
    repository.commit()
    assert repository.run("keep_work.py").stdout.startswith("runs\n")
    repository.write("README", "A page that nothing depends on.\n")
    repository.commit()
    path = repository.run("keep_work.py").stdout.strip()
    assert (repository.head[:12] in path, (repository.path / path).read_text()) == (True, "8")
    repository.write("limit.txt", "7\n")
    repository.commit()
    assert repository.run("keep_work.py").stdout.startswith("runs\n")


def test_a_database_in_a_store(guide: Guide) -> None:
    repository = guide("remote_atomic.py")
    url = f"file://{repository.path}/out/numbers.db"
    done = repository.run("-c", f"from remote_atomic import save; print(save({url!r}, rows=3)); save({url!r}, rows=3)")
    tag = Tag(repository.head[:12], None, config_hash({"rows": 3})[:12])
    assert (done.stderr, done.stdout.strip()) == ("", tag.put(url))
    assert (repository.path / "out" / tag.put("numbers.db")).read_bytes().startswith(b"SQLite format 3")


def test_never_leave_half_a_file(guide: Guide) -> None:
    repository = guide("atomic.py")
    done = repository.run("atomic.py")
    path = repository.path / done.stdout.strip()
    assert (done.stderr, path.read_text()) == ("", "and\t1\ncat\t1\nhat\t1\nthe\t2\n")
    assert os.listdir(path.parent) == [path.name]


def test_cache_a_step_that_reads_files(guide: Guide) -> None:
    repository = guide("cache.py")
    first, second = (repository.run("cache.py") for _ in range(2))
    path = first.stdout.splitlines()[-1]
    assert (first.stderr, first.stdout) == ("", f"cleaning raw.txt\nadding up\n{path}\n")
    assert (second.stderr, second.stdout) == ("", f"{path}\n")
    assert (repository.path / path).read_text() == "4.0"


def test_see_what_is_made_and_why(guide: Guide) -> None:
    repository = guide("why.py")
    shown = [
        re.sub(r"-[0-9a-f]{12}-[0-9a-f]{12}", "-<tag>", repository.run("why.py", alpha).stdout)
        for alpha in ("1", "1", "2")
    ]
    assert shown == [
        "train made out/model-<tag>.txt: nothing is there\n",
        "train found out/model-<tag>.txt\n",
        "train made out/model-<tag>.txt: the configuration differs in alpha, compared with model-<tag>.txt\n",
    ]
    page = re.sub(r"-[0-9a-f]{12}-[0-9a-f]{12}", "-<tag>", (GUIDES / "why.rst").read_text(encoding="utf-8"))
    assert all(f"    {line}" in page for line in shown)


def test_name_what_a_function_reads(guide: Guide) -> None:
    repository = guide("inputs.py")
    first, second = (repository.run("inputs.py") for _ in range(2))
    path = first.stdout.strip()
    assert (first.stderr, second.stderr, second.stdout) == ("", "", first.stdout)
    assert (repository.path / path).read_text() == "clean: 4.0\nraw: 2.0"
    repository.write("raw.txt", "1\n")
    assert repository.run("inputs.py").stdout != first.stdout


def test_a_stable_name(guide: Guide) -> None:
    repository = guide("stable_name.py")
    for edit in ("# one\n", "# two\n"):
        repository.write("stable_name.py", (repository.path / "stable_name.py").read_text() + edit)
        repository.commit()
        newest = repository.run("stable_name.py").stdout.strip()
        assert f"figures/{os.readlink(repository.path / 'figures' / 'bills.svg')}" == newest
        assert repository.head[:12] in newest


def test_the_tutorial(guide: Guide) -> None:
    repository = guide("train.py")
    clean = [repository.run("train.py", lr).stdout.strip() for lr in ("0.1", "0.2")]
    assert [Tag.from_path(path) for path in clean] == [
        Tag(repository.head[:12], None, "9c9ba942d8bb"),
        Tag(repository.head[:12], None, "d719c908f8bd"),
    ]
    repository.write("train.py", (repository.path / "train.py").read_text().replace("a model", "the model"))
    refused = repository.run("train.py", "0.1")
    assert refused.stderr.splitlines()[-3:] == [
        f"pyrepro.DirtyRepositoryError: the work tree {repository.path} has changes that commit "
        f"{repository.head[:12]} does not hold:",
        "  train.py",
        "Commit them; or pass allow_dirty=True or set PYREPRO_ALLOW_DIRTY=1 to write under a -dirty- name.",
    ]
    dirty = repository.run("train.py", "0.1", env={"PYREPRO_ALLOW_DIRTY": "1"}).stdout.strip()
    assert (repository.path / dirty).read_text() == "the model trained with lr=0.1\n"
    found = repository.run("-c", "import pyrepro; print(*pyrepro.find('model.txt', {'lr': 0.1}))")
    assert found.stdout.split() == [dirty, clean[0]]


def test_a_library_that_is_edited_beside_the_project_is_in_the_configuration(guide: Guide, tmp_path: Path) -> None:
    repository = guide("two_repositories.py")
    library = repository.clone(tmp_path / "library")
    paths = []
    for layers in (2, 3):
        library.commit(lab=f"LAYERS = {layers}\n")
        done = repository.run("two_repositories.py", env={"PYTHONPATH": str(library.path)})
        paths.append(done.stdout.strip())
        configuration = config_hash({"lr": 0.1, "lab": library.head})
        assert (Tag.from_path(paths[-1]).config, done.stderr) == (configuration[:12], "")
    assert [(repository.path / path).read_text() for path in paths] == ["2 layers\n", "3 layers\n"]


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.name.partition("-")[0])
def test_what_the_gallery_shows_is_what_its_records_say(path: Path) -> None:
    record = read_record(path)
    artifact = path.with_name(record.artifact["name"])
    assert hashlib.sha256(artifact.read_bytes()).hexdigest() == record.artifact["sha256"]
    assert Tag.from_path(artifact) == Tag(record.code["commit"][:12], None, config_hash(record.config)[:12])


def test_find_load_compare_and_remove(guide: Guide) -> None:
    repository = guide("recorded.py", "find.py", "load_newest.py", "differences.py", "clean_up.py")
    one, other = (repository.run("recorded.py", alpha).stdout.strip() for alpha in ("1", "100"))
    lines = repository.run("find.py").stdout.splitlines()
    assert lines[0] == other
    assert [line.split()[-1] for line in lines[1:]] == ["alpha", "100", "1"]
    shown = (GUIDES / "find.rst").read_text(encoding="utf-8").partition("    $ python find.py\n")[2].splitlines()[:4]
    assert [line.split()[0][-16:] for line in shown] == [line.split()[0][-16:] for line in lines]
    assert repository.run("load_newest.py").stdout == "a model with 1.0\n"
    assert "config alpha: 1 | 100" in repository.run("differences.py", one, other).stdout.splitlines()
    repository.commit()
    newest = repository.run("recorded.py", "1").stdout.strip()
    assert repository.run("clean_up.py", "--remove").stdout == f"{one}\n"
    left = {path.name for path in (repository.path / "out").glob("model*")}
    assert left == {os.path.basename(path) + end for path in (newest, other) for end in ("", ".pyrepro.json")}
