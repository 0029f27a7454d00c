"""Whatever surrounds a repository, the reading is right, or there is an error that says what to do."""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import git
import gitdb
import pytest
import rfc8785
import smmap
from conftest import IDENTITY, PATIENCE, SCRIPT, Repository, posix_only
from test_code_state import GONE, blob, changes, dirty, error_of, load

import pyrepro
from pyrepro import CodeState, CodeStateError, code_state

pytestmark = posix_only  # shell scripts stand in for git, and modes are looked at


def configure(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Set the user's configuration."""
    (tmp_path / ".gitconfig").write_text(text)
    monkeypatch.setenv("HOME", str(tmp_path))  # git before 2.32 does not know GIT_CONFIG_GLOBAL


AGAINST_US = """\
[status]
    showUntrackedFiles = all
    renames = copies
    branch = true
    showStash = true
    short = true
    relativePaths = true
    submoduleSummary = true
    aheadBehind = true
[diff]
    renames = copies
    ignoreSubmodules = all
    noprefix = true
    external = false
    mnemonicPrefix = true
[color]
    ui = always
    status = always
[core]
    quotePath = false
    fsmonitor = true
    untrackedCache = true
    preloadIndex = false
    fileMode = false
    symlinks = false
    checkStat = minimal
    trustctime = false
    abbrev = 4
    excludesFile = /dev/null
    useReplaceRefs = true
    splitIndex = true
[column]
    ui = always
[pager]
    status = true
[submodule]
    recurse = true
"""


def test_the_configuration_of_a_user_changes_nothing(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(repository, tmp_path, monkeypatch, AGAINST_US)
    for line in ("core.fileMode=false", "core.symlinks=false", "core.checkStat=minimal", "core.trustctime=false"):
        repository.git("config", *line.split("="))
    assert code_state(repository.path) == CodeState(repository.head)
    content = (repository.path / "train.py").read_text()
    (repository.path / "train.py").chmod(0o755)
    (repository.path / "link.py").unlink()
    repository.write("link.py", "train.py")
    (repository.path / "lib/model.py").rename(repository.path / "lib/net.py")
    repository.git("-c", "core.fsmonitor=false", "add", "-A", "lib")  # or newer gits start a daemon, which stays
    assert code_state(repository.path) == dirty(
        repository,
        ("train.py", "100755", blob(content)),
        ("link.py", "100644", blob("train.py")),
        ("lib/model.py", "000000", ""),
        ("lib/net.py", "100644", blob("LAYERS = 2\n")),
    )


def test_an_edit_that_only_its_time_of_change_and_its_inode_show_is_seen(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.git("config", "core.checkStat", "minimal")
    repository.git("config", "core.trustctime", "false")
    path = repository.path / "lib/model.py"
    os.utime(path, (1_600_000_000, 1_600_000_000))  # long before the index: git looks closer at what is younger
    repository.git("update-index", "--refresh")
    before = path.stat()
    while int(time.time()) <= int(before.st_ctime):  # git may compare whole seconds
        time.sleep(0.1)
    path.write_text("LAYERS = 3\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert repository.git("status", "--porcelain") == ""
    assert code_state(repository.path) == dirty(repository, ("lib/model.py", "100644", blob("LAYERS = 3\n")))


def test_what_is_ignored_does_not_depend_on_whether_a_clone_tells_upper_from_lower_case(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write(".gitignore", "Ignored/\nscratch/\n")
    repository.commit()
    for ignore_case in ("false", "true"):
        clone = repository.clone(tmp_path / ignore_case)
        clone.git("config", "core.ignoreCase", ignore_case)
        load(clone.write("Ignored/module.py", "x = 1\n"), monkeypatch)
        assert code_state(clone.path) == CodeState(repository.head)
        load(clone.write("Scratch/new.py", "x = 1\n"), monkeypatch)
        expected = changes(("Scratch/new.py", "100644", blob("x = 1\n")))
        assert code_state(clone.path) == CodeState(repository.head, expected)


def test_a_file_system_without_modes_shows_none(repository: Repository) -> None:
    repository.git("config", "core.fileMode", "false")
    for path in repository.path.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o777)
    assert code_state(repository.path) == CodeState(repository.head)
    repository.write("run.sh", "edited\n")
    repository.write("lib/new.py", "new\n").chmod(0o777)
    repository.git("add", "-N", "lib/new.py")
    assert code_state(repository.path) == dirty(
        repository, ("run.sh", "100755", blob("edited\n")), ("lib/new.py", "100644", blob("new\n"))
    )


def without_execute_bits(repository: Repository) -> Repository:
    """The repository as on a mount that shows no file's execute bits, where git finds that it can set none."""
    repository.git("config", "core.fileMode", "false")
    for path in repository.path.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o644)
    return repository


def test_a_mount_without_execute_bits_is_one_without_modes(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("tool.sh", "echo tool\n").chmod(0o755)
    repository.commit()
    without_execute_bits(repository)
    assert code_state(repository.path) == CodeState(repository.head)
    load(repository.write("lib/new.py", "new = 1\n"), monkeypatch)
    repository.write("run.sh", "edited\n")
    (repository.path / "tool.sh").unlink()
    assert code_state(repository.path) == dirty(
        repository,
        ("lib/new.py", "100644", blob("new = 1\n")),
        ("run.sh", "100755", blob("edited\n")),
        ("tool.sh", "000000", ""),
    )


def test_a_clone_on_a_mount_without_execute_bits_is_clean(repository: Repository, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("bindfs") is None or not os.access("/dev/fuse", os.W_OK):
        pytest.skip("only root can mount, with bindfs")
    (tmp_path / "source").mkdir()
    mount = tmp_path / "mount"
    mount.mkdir()
    subprocess.run(["bindfs", "-p", "a-x,ad+x", tmp_path / "source", mount], check=True)
    try:
        clone = repository.clone(mount / "clone")
        assert clone.git("status", "--porcelain") == ""
        assert code_state(clone.path) == CodeState(repository.head)
    finally:
        subprocess.run(["umount", mount], check=True)


@pytest.mark.parametrize("evidence", ["core.fileMode", "tool.sh", "train.py", ".git/hooks/pre-commit.sample"])
def test_the_execute_bit_that_a_person_took_away_is_a_change(repository: Repository, evidence: str) -> None:
    repository.write("tool.sh", "echo tool\n").chmod(0o755)
    repository.commit()
    repository.write(".git/hooks/pre-commit.sample", "")
    without_execute_bits(repository)
    expected = [("run.sh", "100644", blob("echo run\n"))]
    if evidence == "core.fileMode":
        repository.git("config", "core.fileMode", "true")
    else:
        (repository.path / evidence).chmod(0o755)
    if evidence != "tool.sh":
        expected.append(("tool.sh", "100644", blob("echo tool\n")))
    if evidence == "train.py":
        expected.append(("train.py", "100755", blob(SCRIPT)))
    assert code_state(repository.path) == dirty(repository, *expected)


def test_a_user_who_does_not_look_at_modes_hides_no_lost_bit(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_execute_bits(repository)
    repository.git("config", "--unset", "core.fileMode")
    configure(repository, tmp_path, monkeypatch, "[core]\n\tfileMode = false\n")
    assert code_state(repository.path) == dirty(repository, ("run.sh", "100644", blob("echo run\n")))


def test_hooks_on_another_mount_say_nothing_of_that_of_the_work_tree(repository: Repository, tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second mount to write to")
    directory = Path(tempfile.mkdtemp(dir=shared))
    try:
        without_execute_bits(repository)
        shutil.move(repository.path / ".git", directory / "git")
        repository.write(".git", f"gitdir: {directory}/git\n")
        hook = directory / "git/hooks/pre-commit"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\n")
        hook.chmod(0o755)
        assert code_state(repository.path) == CodeState(repository.head)
    finally:
        shutil.rmtree(directory)


def test_a_repository_without_hooks_is_read_on_a_mount_without_execute_bits(repository: Repository) -> None:
    without_execute_bits(repository)
    shutil.rmtree(repository.path / ".git/hooks", ignore_errors=True)
    assert code_state(repository.path) == CodeState(repository.head)


def committed_with_crlf(repository: Repository, rule: str) -> str:
    """Commit a module with CRLF, and what would make git commit it with LF; the text of the module."""
    content = "LAYERS = 2\r\nUNITS = 3\r\n"
    repository.commit(lib__model=content)
    repository.write(".gitattributes", rule)
    repository.git("add", ".gitattributes")
    repository.git("commit", "-q", "-m", "line ends")
    return content


@pytest.mark.parametrize("rule", ["* text=auto\n", "* text\n", "*.py text=auto filter=not-installed\n"])
def test_a_file_committed_with_crlf_is_clean_in_each_clone(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    committed_with_crlf(repository, rule)
    for name in ("first", "second"):
        clone = repository.clone(tmp_path / name)
        load(clone.path / "lib/model.py", monkeypatch)
        assert code_state(clone.path) == CodeState(repository.head)
        os.utime(clone.path / "lib/model.py")
        assert code_state(clone.path) == CodeState(repository.head)
        clone.git("update-index", "--assume-unchanged", "lib/model.py")
        assert code_state(clone.path) == CodeState(repository.head)


def test_a_file_committed_with_crlf_is_clean_where_a_user_sets_autocrlf(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed_with_crlf(repository, "")
    configure(repository, tmp_path, monkeypatch, "[core]\n\tautocrlf = input\n")
    clone = repository.clone(tmp_path / "clone")
    load(clone.path / "lib/model.py", monkeypatch)
    os.utime(clone.path / "lib/model.py")
    assert clone.git("status", "--porcelain", "-uno") == ""
    assert code_state(clone.path) == CodeState(repository.head)


def test_a_file_committed_with_crlf_is_clean_with_sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(tmp_path / "sha256")
    repository.path.mkdir()
    repository.git("init", "-q", "-b", "main", "--object-format=sha256")
    committed_with_crlf(repository, "* text=auto\n")
    load(repository.path / "lib/model.py", monkeypatch)
    os.utime(repository.path / "lib/model.py")
    assert code_state(repository.path) == CodeState(repository.head)


def test_line_ends_that_only_the_index_has_changed_are_no_change(repository: Repository) -> None:
    committed_with_crlf(repository, "* text=auto\n")
    repository.git("add", "--renormalize", "lib/model.py")
    assert repository.git("status", "--porcelain") == "M  lib/model.py"
    assert code_state(repository.path) == CodeState(repository.head)


def test_an_edit_of_a_file_committed_with_crlf_is_the_same_change_in_each_clone(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = committed_with_crlf(repository, "* text=auto\n")
    edited = content.replace("3", "4")
    for name in ("first", "second"):
        clone = repository.clone(tmp_path / name)
        clone.write("lib/model.py", edited)
        if name == "second":
            load(clone.path / "lib/model.py", monkeypatch)
            clone.git("add", "lib/model.py")
        expected = changes(("lib/model.py", "100644", blob(edited.replace("\r", ""))))
        assert code_state(clone.path) == CodeState(repository.head, expected)


def test_line_ends_edited_in_a_file_committed_with_crlf_and_its_mode_are_changes(repository: Repository) -> None:
    content = committed_with_crlf(repository, "* text=auto\n")
    unix = content.replace("\r", "")
    repository.write("lib/model.py", unix)
    assert repository.git("status", "--porcelain") == "M lib/model.py"
    assert code_state(repository.path) == dirty(repository, ("lib/model.py", "100644", blob(unix)))
    repository.write("lib/model.py", content).chmod(0o755)
    assert code_state(repository.path) == dirty(repository, ("lib/model.py", "100755", blob(unix)))


def test_an_edited_file_that_goes_while_it_is_read_is_a_change(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repository.write("lib/model.py", "LAYERS = 3\n")
    fake_git(tmp_path, monkeypatch, f'$real "$@" || exit; case "$*" in *hash-object*) rm {path};; esac')
    assert code_state(repository.path) == dirty(repository, ("lib/model.py", "100644", blob("LAYERS = 3\n")))


def test_a_file_that_holds_what_a_filter_made_of_it_is_a_change(repository: Repository) -> None:
    for direction in ("clean", "smudge"):
        repository.git("config", f"filter.case.{direction}", "tr a-zA-Z A-Za-z")
    repository.write(".gitattributes", "lib/*.py filter=case\n")
    repository.commit(lib__model="layers = 2\r\n")
    assert code_state(repository.path) == CodeState(repository.head)
    repository.write("lib/model.py", "LAYERS = 2\r\n")
    assert repository.git("rev-parse", "HEAD:lib/model.py") == blob("LAYERS = 2\r\n")
    assert code_state(repository.path) == dirty(repository, ("lib/model.py", "100644", blob("layers = 2\r\n")))


def test_a_monitor_of_the_file_system_that_misses_an_edit_hides_nothing(repository: Repository, tmp_path: Path) -> None:
    monitor = tmp_path / "monitor"
    monitor.write_text("#!/bin/sh\nprintf 'token\\0'\n")
    monitor.chmod(0o755)
    repository.git("config", "core.fsmonitor", str(monitor))
    repository.git("config", "core.fsmonitorHookVersion", "2")
    repository.git("update-index", "--fsmonitor")
    repository.git("status")
    repository.git("status")
    repository.write("lib/model.py", "LAYERS = 3 + 3\n")
    assert repository.git("status", "--porcelain", "-uno") == ""
    assert code_state(repository.path) == dirty(repository, ("lib/model.py", "100644", blob("LAYERS = 3 + 3\n")))


def test_a_change_in_nested_repositories_is_seen_whatever_a_user_ignores(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("nested/deep", "nested"):
        nested = Repository(repository.path / path)
        nested.path.mkdir(parents=True, exist_ok=True)
        nested.git("init", "-q", "-b", "main")
        nested.commit(code="1\n")
    repository.git("add", "nested")
    repository.git("commit", "-q", "-m", "nested")
    configure(repository, tmp_path, monkeypatch, "[diff]\n\tignoreSubmodules = all\n")
    assert code_state(repository.path) == CodeState(repository.head)
    repository.write("nested/deep/code.py", "2\n")
    assert code_state(repository.path) == dirty(repository, ("nested/deep/code.py", "100644", blob("2\n")))


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_change_behind_a_flag_of_the_index_is_seen(repository: Repository, flag: str) -> None:
    repository.git("update-index", flag, "train.py", "run.sh", "link.py")
    assert code_state(repository.path) == CodeState(repository.head)
    repository.write("train.py", "edited\n")
    assert repository.git("status", "--porcelain") == ""
    assert code_state(repository.path) == dirty(repository, ("train.py", "100644", blob("edited\n")))


def test_a_file_deleted_behind_assume_unchanged_is_a_change(repository: Repository) -> None:
    repository.git("update-index", "--assume-unchanged", "train.py")
    (repository.path / "train.py").unlink()
    assert code_state(repository.path) == dirty(repository, ("train.py", "000000", ""))


def test_a_staged_change_behind_a_flag_is_what_is_on_disk(repository: Repository) -> None:
    repository.write("train.py", "staged\n")
    repository.git("add", "train.py")
    repository.git("update-index", "--assume-unchanged", "train.py")
    repository.write("train.py", "on disk\n")
    assert code_state(repository.path) == dirty(repository, ("train.py", "100644", blob("on disk\n")))


def test_a_sparse_checkout_is_clean(repository: Repository) -> None:
    repository.git("update-index", "--refresh")
    for options in (["--cone"], ["--no-cone"], ["--cone", "--sparse-index"]):
        repository.git("sparse-checkout", "set", *options, "other")
        assert not (repository.path / "lib").exists()
        assert code_state(repository.path) == CodeState(repository.head)
    repository.write("lib/model.py", "LAYERS = 3\n")
    assert code_state(repository.path) == dirty(repository, ("lib/model.py", "100644", blob("LAYERS = 3\n")))


def test_a_replaced_commit_tree_or_blob_hides_nothing(repository: Repository) -> None:
    repository.write("train.py", "edited\n")
    edited = repository.git("hash-object", "-w", "train.py")
    committed = repository.git("rev-parse", "HEAD:train.py")
    repository.git("replace", committed, edited)
    head = repository.head
    repository.git("stash", "create")
    tree = repository.git("commit-tree", "-m", "x", repository.git("stash", "create") + "^{tree}")
    repository.git("replace", head, tree)
    assert code_state(repository.path) == CodeState(head, changes(("train.py", "100644", blob("edited\n"))))


def test_a_replaced_tree_in_a_submodule_hides_nothing(repository: Repository) -> None:
    nested = Repository(repository.path / "nested")
    nested.path.mkdir()
    nested.git("init", "-q", "-b", "main")
    nested.commit(code="1\n")
    repository.git("-c", "advice.addEmbeddedRepo=false", "add", "nested")
    repository.git("commit", "-q", "-m", "nested")
    before = nested.git("rev-parse", "HEAD^{tree}")
    head = nested.head
    nested.commit(code="2\n")
    after = nested.git("rev-parse", "HEAD^{tree}")
    nested.git("reset", "-q", "--soft", head)
    nested.git("replace", before, after)
    assert code_state(repository.path) == dirty(repository, ("nested/code.py", "100644", blob("2\n")))


def leaking(repository: Repository, tmp_path: Path) -> tuple[Repository, Path]:
    """A script of one repository that another one's git starts."""
    other = Repository(tmp_path / "other")
    other.path.mkdir()
    other.git("init", "-q", "-b", "main")
    other.commit(other="1\n")
    return other, repository.path / "train.py"


def test_a_hook_of_another_repository_leaks_nothing(repository: Repository, tmp_path: Path) -> None:
    other, script = leaking(repository, tmp_path)
    hook = other.write(
        ".git/hooks/pre-commit",
        f"#!/bin/sh\nenv | grep -c ^GIT_ > {tmp_path}/leaked\n{sys.executable} {script} > {tmp_path}/out 2>&1\n",
    )
    hook.chmod(0o755)
    other.write("other.py", "2\n")
    other.git("-c", "core.quotePath=false", "commit", "-q", "-a", "-m", "change")
    assert (tmp_path / "out").read_text() == f"foo-{repository.head[:12]}-44136fa355b3.txt\n"
    assert int((tmp_path / "leaked").read_text()) > 1


def test_a_rebase_of_another_repository_leaks_nothing(repository: Repository, tmp_path: Path) -> None:
    other, script = leaking(repository, tmp_path)
    other.commit(other="2\n")
    other.git("rebase", "-q", "--exec", f"{sys.executable} {script} > {tmp_path}/out 2>&1", "HEAD~1")
    assert (tmp_path / "out").read_text() == f"foo-{repository.head[:12]}-44136fa355b3.txt\n"


@pytest.mark.parametrize(
    "name",
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE"]
    + ["GIT_INTERNAL_SUPER_PREFIX", "GIT_NOGLOB_PATHSPECS"]
    + ["GIT_CEILING_DIRECTORIES", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_PREFIX"],
)
def test_a_leaked_variable_changes_nothing(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    other = repository.clone(tmp_path / "other")
    repository.write("train.py", "edited\n")
    repository.write("new.py", "new\n")
    repository.git("add", "new.py")
    load(repository.write("lib/untracked.py", "x = 1\n"), monkeypatch)
    expected = code_state(repository.path)
    value = {
        "GIT_DIR": other.path / ".git",
        "GIT_WORK_TREE": other.path,
        "GIT_INDEX_FILE": other.path / ".git/index",
        "GIT_OBJECT_DIRECTORY": other.path / ".git/objects",
        "GIT_COMMON_DIR": other.path / ".git",
        "GIT_CEILING_DIRECTORIES": repository.path,
    }.get(name, "1")
    monkeypatch.setenv(name, str(value))
    assert code_state(repository.path) == code_state(repository.path / "lib") == expected


def test_configuration_in_the_environment_is_kept_and_hides_nothing(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "core.fileMode": "false",
        "status.showUntrackedFiles": "no",
        "core.worktree": "/tmp",
        "core.bare": "true",
    }
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (key, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    (repository.path / "train.py").chmod(0o755)
    assert code_state(repository.path).changes is not None


def test_the_locale_changes_nothing(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.write("é.py", "1\n")
    repository.git("add", "-A")
    expected = code_state(repository.path)
    for locale in ("C", "de_DE.UTF-8", "xx"):
        monkeypatch.setenv("LC_ALL", locale)
        monkeypatch.setenv("LANGUAGE", "de")
        assert code_state(repository.path) == expected
        code = "import pyrepro; print(pyrepro.code_state())"
        assert repository.run("-c", code).stdout == f"{expected}\n"


def test_an_index_lock_that_was_left_behind_does_not_matter_and_none_is_left(repository: Repository) -> None:
    os.utime(repository.path / "train.py")
    before = (repository.path / ".git/index").read_bytes()
    repository.write(".git/index.lock", "")
    assert code_state(repository.path) == CodeState(repository.head)
    (repository.path / ".git/index.lock").unlink()
    assert code_state(repository.path) == CodeState(repository.head)
    assert (repository.path / ".git/index").read_bytes() == before
    assert not (repository.path / ".git/index.lock").exists()


@pytest.fixture
def as_nobody() -> list[str]:
    """A command that runs another one as a user who owns nothing here."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user, with setpriv")
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def test_a_repository_of_another_user_is_an_error_with_the_words_of_git(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a repository away")
    for path in (repository.path, repository.path / ".git"):
        os.chown(path, 65534, 65534)
    # Git is asked, not its version: Debian 11 has backported safe.directory to 2.30.2.
    if repository.git("rev-parse", "HEAD", check=False):
        pytest.skip("this git reads the repositories of other users; safe.directory came with 2.35.2")
    message = error_of(repository.path)
    assert message.startswith(
        f"git cannot read the code state of {repository.path}: fatal: detected dubious ownership in repository at "
        f"'{repository.path}'\n"
    )
    assert f"git config --global --add safe.directory {repository.path}" in message
    configure(repository, tmp_path, monkeypatch, f"[safe]\n\tdirectory = {repository.path}\n")
    assert code_state(repository.path) == CodeState(repository.head)


def test_a_repository_that_cannot_be_written_is_read(
    repository: Repository, as_nobody: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (pyrepro, git, gitdb, smmap, rfc8785):
        shutil.copytree(os.path.dirname(module.__file__), tmp_path / "packages" / module.__name__)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    for path in (repository.path, *list(repository.path.parents)[:3]):
        path.chmod(path.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    python = [*as_nobody, shutil.which("python3", path="/usr/bin") or sys.executable, "-c"]
    if subprocess.run([*python, "import pyrepro, git"], capture_output=True, cwd="/", check=False).returncode:
        pytest.skip("another user cannot run Python with these packages")
    os.utime(repository.path / "train.py")
    configure(repository, tmp_path, monkeypatch, "[safe]\n\tdirectory = *\n")
    (tmp_path / ".gitconfig").chmod(0o644)
    code = f"import pyrepro; print(pyrepro.code_state({str(repository.path)!r}))"
    done = subprocess.run([*python, code], capture_output=True, text=True, cwd="/", check=False)
    assert (done.stdout, done.stderr) == (f"{repository.head}\n", "")


def test_a_repository_of_sha_256_objects_has_the_same_names(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "sha256")
    repository.path.mkdir()
    repository.git("init", "-q", "--object-format=sha256")
    (repository.path / "link.py").symlink_to("train.py")
    head = repository.commit(train="1\n")
    assert len(head) == 64
    assert code_state(repository.path) == CodeState(head)
    repository.write("train.py", "2\n")
    (repository.path / "link.py").unlink()
    (repository.path / "link.py").symlink_to("else.py")
    assert code_state(repository.path) == dirty(
        repository,
        ("train.py", "100644", blob("2\n", "sha256")),
        ("link.py", "120000", blob("else.py", "sha256")),
    )


def test_a_work_tree_of_a_bare_repository_is_read(repository: Repository, tmp_path: Path) -> None:
    bare = repository.clone(tmp_path / "bare.git", "--bare")
    bare.git("worktree", "add", "-q", str(tmp_path / "tree"), "main")
    tree = Repository(tmp_path / "tree")
    assert code_state(tree.path) == CodeState(repository.head)
    tree.write("train.py", "edited\n")
    assert code_state(tree.path) == dirty(repository, ("train.py", "100644", blob("edited\n")))
    assert tree.path.joinpath(".git").is_file()


def test_a_path_in_a_git_directory_is_in_no_work_tree(repository: Repository) -> None:
    message = error_of(repository.path / ".git/hooks")
    assert "fatal: this operation must be run in a work tree" in message


def test_a_broken_git_file_is_an_error(repository: Repository) -> None:
    repository.write("nested/.git", "gitdir: ../gone\n")
    assert "fatal: not a git repository: " in error_of(repository.path / "nested")


def test_an_empty_git_directory_is_none(repository: Repository) -> None:
    (repository.path / "lib/.git").mkdir()
    assert code_state(repository.path / "lib") == CodeState(repository.head)


def fake_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a shell script in the place of git."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(f"#!/bin/sh\nreal={shutil.which('git')}\n{script}\n")
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("first", ["", "exec >&- 2>&-; "])
def test_a_git_that_hangs_is_stopped(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    fake_git(tmp_path, monkeypatch, f'case "$*" in *status*) {first}exec sleep 600;; esac; exec $real "$@"')
    monkeypatch.setenv("PYREPRO_GIT_TIMEOUT", "2")
    before = time.monotonic()
    message = error_of(repository.path)
    assert message.startswith("git ")
    assert message.endswith(
        f"status --porcelain=v2 --branch -z --untracked-files=no --ignore-submodules=untracked --no-ahead-behind "
        f"--no-renames in {repository.path} did not end within 2 seconds; see what holds it up with "
        f"'git -C {repository.path} status', or allow it more time with PYREPRO_GIT_TIMEOUT=<seconds>"
    )
    assert time.monotonic() - before < PATIENCE


def test_a_git_that_is_killed_is_an_error(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_git(tmp_path, monkeypatch, 'case "$*" in *ls-files*) kill -9 $$;; esac; exec $real "$@"')
    assert error_of(repository.path) == f"git ls-files -v -z in {repository.path} was killed by signal 9; run again"


@pytest.fixture
def ignoring_children() -> Iterator[None]:
    """The process ignores SIGCHLD, as daemons and what they start do."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    assert signal.signal(signal.SIGCHLD, before) is signal.SIG_IGN


@pytest.mark.usefixtures("ignoring_children")
def test_a_process_that_ignores_its_children_reads_a_clean_tree_and_a_dirty_one(repository: Repository) -> None:
    assert str(code_state(repository.path)) == repository.head
    repository.write("lib/model.py", "edited")
    assert str(code_state(repository.path)).startswith(f"{repository.head}-dirty-")


@pytest.mark.usefixtures("ignoring_children")
def test_a_thread_cannot_read_the_state_where_the_process_ignores_its_children(repository: Repository) -> None:
    with concurrent.futures.ThreadPoolExecutor() as threads:
        assert threads.submit(error_of, repository.path).result() == (
            f"git cannot read the code state of {repository.path} in this thread: the process ignores SIGCHLD, "
            f"so a failure of git would go unnoticed; type signal.signal(signal.SIGCHLD, signal.SIG_DFL) in the main "
            f"thread, or declare the state with PYREPRO_CODE_STATE"
        )


@pytest.fixture
def waited_for() -> Iterator[list[int]]:
    """The children that a handler of the process has waited for, which waits for any."""
    ended: list[int] = []

    def wait(number: int, frame: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while child := os.waitpid(-1, os.WNOHANG)[0]:
                ended.append(child)

    before = signal.signal(signal.SIGCHLD, wait)
    yield ended
    assert signal.signal(signal.SIGCHLD, before) is wait


@pytest.mark.parametrize("loses_exit_statuses", ["ignoring_children", "waited_for"])
def test_a_git_that_is_killed_is_an_error_where_the_process_ignores_its_children_or_waits_for_any(
    loses_exit_statuses: str,
    request: pytest.FixtureRequest,
    repository: Repository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request.getfixturevalue(loses_exit_statuses)
    repository.git("update-index", "--assume-unchanged", "lib/model.py")
    repository.write("lib/model.py", "hidden where ls-files says nothing")
    fake_git(tmp_path, monkeypatch, 'case "$*" in *ls-files*) kill -9 $$;; esac; exec $real "$@"')
    assert error_of(repository.path) == f"git ls-files -v -z in {repository.path} was killed by signal 9; run again"


def test_a_handler_hears_of_the_child_that_ends_while_git_runs(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waited_for: list[int]
) -> None:
    child = os.posix_spawn("/bin/sh", ["sh", "-c", "exec sleep 600"], os.environ)
    has_ended = f'[ ! -e /proc/{child} ] || grep -q "^State:.Z" /proc/{child}/status'
    fake_git(tmp_path, monkeypatch, f'kill {child} 2>/dev/null; until {has_ended}; do :; done; exec $real "$@"')
    assert str(code_state(repository.path)) == repository.head
    assert waited_for[0] == child


@pytest.mark.usefixtures("waited_for")
def test_a_thread_reads_the_state_where_the_process_has_a_handler_for_its_children(repository: Repository) -> None:
    with concurrent.futures.ThreadPoolExecutor() as threads:
        assert str(threads.submit(code_state, repository.path).result()) == repository.head


@pytest.mark.usefixtures("waited_for")
def test_a_git_that_fails_in_a_thread_is_an_error_where_a_handler_waits_for_any_child(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.git("update-index", "--assume-unchanged", "lib/model.py")
    repository.write("lib/model.py", "hidden where ls-files says nothing")
    # The status of listing is taken while it is the other one that is waited for.
    fake_git(tmp_path, monkeypatch, 'case "$*" in *ls-files*) echo no >&2; exit 3;; esac; exec $real "$@"')
    with concurrent.futures.ThreadPoolExecutor() as threads:
        for _ in range(5):
            assert threads.submit(error_of, repository.path).result() == (
                f"git cannot read the code state of {repository.path}: no\n"
                f"Make 'git -C {repository.path} status' work, or declare the state with PYREPRO_CODE_STATE."
            )


@pytest.mark.usefixtures("waited_for")
def test_a_git_that_hangs_in_a_thread_is_stopped_where_a_handler_waits_for_any_child(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = f"echo $$ > {tmp_path}/pid; exec sleep 600"
    fake_git(tmp_path, monkeypatch, f'case "$*" in *ls-files*) {hang};; esac; exec $real "$@"')
    monkeypatch.setenv("PYREPRO_GIT_TIMEOUT", "1")
    with concurrent.futures.ThreadPoolExecutor() as threads:
        assert "did not end within 1 seconds" in threads.submit(error_of, repository.path).result()
    process = Path("/proc", (tmp_path / "pid").read_text().strip(), "status")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while "\nState:\tZ" not in process.read_text():
            pass


AS_GEVENT = """\
import subprocess
from pyrepro import code_state

def communicate(self, input=None, timeout=None):  # as gevent's does it, which waits for its watcher of children
    output = self.stdout.read(), self.stderr.read()
    self.wait()
    return output

subprocess.Popen.communicate = communicate
print(code_state())
"""


def test_a_subprocess_module_that_waits_without_a_time_serves_git(repository: Repository) -> None:
    repository.commit(main=AS_GEVENT)
    done = repository.run("main.py")
    assert (done.stdout, done.stderr) == (f"{repository.head}\n", "")
    (repository.path / ".git" / "index").write_bytes(b"garbage")
    assert "index file smaller than expected" in repository.run("main.py").stderr


def test_a_git_whose_exit_status_another_thread_takes_is_an_error(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its output is held open until it has been waited for, so that whoever waits for any child is sure to be the first.
    hold_output = "(while kill -0 $$ 2>&-; do sleep 0.05; done) &"
    fake_git(tmp_path, monkeypatch, f'case "$*" in *ls-files*) {hold_output} exit 3;; esac; exec $real "$@"')
    stop = os.posix_spawn("/bin/sh", ["sh", "-c", "exec sleep 600"], os.environ)

    def wait() -> None:
        while os.wait()[0] != stop:
            pass

    with concurrent.futures.ThreadPoolExecutor() as threads:
        waiting = threads.submit(wait)
        try:
            message = error_of(repository.path)
        finally:
            os.kill(stop, signal.SIGKILL)
            waiting.result()
    assert message == (
        f"git ls-files -v -z in {repository.path} has ended, but another thread of this process, which waits for any "
        f"child, took its exit status; let that wait for its own children alone, as os.waitpid(<pid>, 0) does"
    )


def test_a_git_that_fails_without_a_word_is_an_error(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_git(tmp_path, monkeypatch, 'case "$*" in *ls-files*) exit 3;; esac; exec $real "$@"')
    assert error_of(repository.path) == (
        f"git cannot read the code state of {repository.path}: exit status 3\n"
        f"Make 'git -C {repository.path} status' work, or declare the state with PYREPRO_CODE_STATE."
    )


def test_a_required_filter_that_fails_is_named_with_its_file(repository: Repository) -> None:
    repository.write(".gitattributes", "lib/*.py filter=x\n")
    repository.commit()
    repository.git("config", "filter.x.required", "true")
    repository.git("config", "filter.x.clean", "missing-program")
    repository.write("lib/model.py", "LAYERS = 2 + 2\n")
    assert repository.git("status", "--porcelain") == "M lib/model.py"
    # What git says of the missing program differs between its versions.
    command, environment = ["git", "hash-object", "lib/model.py"], os.environ | {"LC_ALL": "C"}
    words = subprocess.run(command, cwd=repository.path, env=environment, stderr=subprocess.PIPE, text=True).stderr
    assert words.endswith("fatal: lib/model.py: clean filter 'x' failed\n")
    assert error_of(repository.path) == (
        f"git cannot read the code state of {repository.path}: {words}"
        f"Git must pass lib/model.py through the filter x, which fails: install or repair the program that "
        f"'git -C {repository.path} config --get-regexp filter.x' shows, until "
        f"'git -C {repository.path} hash-object -- lib/model.py' works, "
        f"or declare the state with PYREPRO_CODE_STATE."
    )
    assert "missing-program" in repository.git("config", "--get-regexp", "filter.x")
    repository.git("config", "filter.x.clean", "cat")
    assert repository.git("hash-object", "--", "lib/model.py") == blob("LAYERS = 2 + 2\n")
    assert code_state(repository.path) == dirty(repository, ("lib/model.py", "100644", blob("LAYERS = 2 + 2\n")))


def test_a_git_that_prints_something_unknown_is_an_error(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_git(tmp_path, monkeypatch, 'case "$*" in *status*) printf \'9 what\\0\'; exit 0;; esac; exec $real "$@"')
    assert error_of(repository.path) == (
        f"git status in {repository.path} printed b'9 what', which is not known here; "
        "report it to the authors of pyrepro, with the version of git"
    )


def test_a_file_that_git_cannot_look_at_is_looked_at(repository: Repository) -> None:
    repository.write("sub/helper.py", "LR = 0.1\n")
    repository.commit()
    (repository.path / "sub" / "helper.py").unlink()
    (repository.path / "sub").rmdir()
    (repository.path / "sub").symlink_to("sub")
    # It says "sub/helper.py: Too many levels of symbolic links", and lists nothing.
    assert repository.git("status", "--porcelain", "-uno") == ""
    assert code_state(repository.path) == dirty(repository, ("sub/helper.py", *GONE))


def test_a_link_to_itself_is_a_change(repository: Repository) -> None:
    repository.commit(train="x = 1\n")
    (repository.path / "train.py").unlink()
    (repository.path / "train.py").symlink_to("train.py")
    assert code_state(repository.path) == dirty(repository, ("train.py", "120000", blob("train.py")))


def without_the_rights_of_root() -> None:
    """Let the program that is started next obey the modes of files also where it is run by root."""
    prctl, drop_from_bounding_set = ctypes.CDLL(None).prctl, 24
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        prctl(drop_from_bounding_set, capability, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are of Linux")
@pytest.mark.parametrize(("is_submodule", "looked_at"), [(False, "sub/helper.py"), (True, "sub/.git")])
def test_an_edit_in_a_directory_that_may_not_be_entered_is_not_taken_for_unchanged(
    repository: Repository, tmp_path: Path, is_submodule: bool, looked_at: str
) -> None:
    helper = repository.path / "sub" / "helper.py"
    if is_submodule:
        other = Repository(tmp_path / "other")
        other.path.mkdir()
        other.git("init", "-q")
        other.commit(helper="LR = 0.1\n")
        repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.path), "sub")
    else:
        repository.write("sub/helper.py", "LR = 0.1\n")
    repository.commit()
    helper.write_text("LR = 0.2\n")
    helper.parent.chmod(0)
    ask = [sys.executable, "-c", "import pyrepro; print(pyrepro.code_state('.'))"]
    try:
        done = subprocess.run(
            ask, cwd=repository.path, preexec_fn=without_the_rights_of_root, capture_output=True, text=True, check=False
        )
    finally:
        helper.parent.chmod(0o755)
    file = repository.path / looked_at
    assert done.stderr.splitlines()[-1] == (
        f"pyrepro.CodeStateError: whether {file} was changed cannot be determined: Permission denied; make "
        f"ls -l {file} work, or declare the state with PYREPRO_CODE_STATE"
    )


def test_what_git_says_on_standard_error_is_not_read(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_git(tmp_path, monkeypatch, 'echo "1 M. N... warning" >&2; exec $real "$@"')
    assert code_state(repository.path) == CodeState(repository.head)


def test_a_git_that_cannot_be_started_is_an_error(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git.Git, "GIT_PYTHON_GIT_EXECUTABLE", str(tmp_path / "gone"))
    monkeypatch.setenv("GIT_DIR", "elsewhere")
    message = error_of(repository.path)
    assert message == (
        f"git could not be started to read the work tree {repository.path}: [Errno 2] No such file or directory: "
        f"'{tmp_path / 'gone'}'; install git, or declare the state with PYREPRO_CODE_STATE"
    )


def test_a_script_without_git_on_the_path_is_refused(repository: Repository, tmp_path: Path) -> None:
    done = repository.run("train.py", env={"PATH": str(tmp_path)})
    assert done.stderr.splitlines()[-1].startswith(
        f"pyrepro.CodeStateError: git could not be started to read the work tree {repository.path}: "
    )


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf", "nan"])
def test_a_timeout_that_is_no_number_of_seconds_is_an_error(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("PYREPRO_GIT_TIMEOUT", text)
    assert error_of(repository.path) == (
        f"PYREPRO_GIT_TIMEOUT={text!r} is not a number of seconds; set it to one, like 60, or unset it"
    )


def test_a_work_tree_that_never_rests_is_an_error(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_git(
        tmp_path,
        monkeypatch,
        f'case "$*" in *ls-files*) touch {tmp_path}/x$$; mv {tmp_path}/x$$ {repository.path}/.git/packed-refs;; esac; '
        'exec $real "$@"',
    )
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert error_of(repository.path) == (
        f"the work tree {repository.path} was read 10 times, and each time HEAD or the index changed meanwhile; "
        "let the other git processes in it end, and run again"
    )


def test_a_reading_that_fails_while_the_repository_changes_is_made_again(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_git(
        tmp_path,
        monkeypatch,
        f'case "$*" in *ls-files*) if [ ! -e {tmp_path}/once ]; then touch {tmp_path}/once {repository.path}/.git/packed-refs; '
        'exit 1; fi;; esac; exec $real "$@"',
    )
    assert code_state(repository.path) == CodeState(repository.head)


def test_processes_that_decorate_while_another_commits_read_one_moment(repository: Repository) -> None:
    """Each commit holds in state.py its own number; a clean name must be of the commit whose number was read."""
    repository.commit(state="0\n")
    committer = (
        "import os, subprocess, time\nnumber = 0\n"
        "while not os.path.exists('.git/readers-ended'):\n"
        "    number += 1\n    began = time.monotonic()\n    open('state.py', 'w').write(f'{number}\\n')\n"
        "    subprocess.run(['git', 'add', 'state.py'], check=True)\n"
        "    subprocess.run(['git', 'commit', '-q', '-m', str(number)], check=True)\n"
        "    time.sleep(2 * (time.monotonic() - began))  # readers have the same odds on every machine\n"
    )
    reader = "import pyrepro; print(pyrepro.code_state())"
    environment = os.environ | IDENTITY
    committing = subprocess.Popen([sys.executable, "-c", committer], cwd=repository.path, env=environment)
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", reader],
            cwd=repository.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(50)
    ]
    try:
        ended = [process.communicate(timeout=PATIENCE) for process in readers]
    finally:
        repository.write(".git/readers-ended")
    assert committing.wait(timeout=PATIENCE) == 0
    states = [stdout.strip() for stdout, stderr in ended if not stderr]
    refusals = {stderr.splitlines()[-1] for _, stderr in ended if stderr}
    assert refusals <= {
        f"pyrepro.CodeStateError: the work tree {repository.path} was read 10 times, and each time HEAD or the "
        f"index changed meanwhile; let the other git processes in it end, and run again"
    }
    assert len(states) >= 45
    assert not list((repository.path / ".git").glob("*.lock"))
    numbers = {
        commit: repository.git("show", f"{commit}:state.py")
        for commit in repository.git("log", "--format=%H", "--", "state.py").split()
    }
    possible = set()
    for commit, number in numbers.items():
        for edit in {number, str(int(number) + 1)}:
            digest = changes(("state.py", "100644", blob(f"{edit}\n")))
            possible.add(commit if edit == number else f"{commit}-dirty-{digest}")
        possible.add(f"{commit}-dirty-{changes(('state.py', '100644', blob('')))}")  # opened, and not written yet
    assert [state for state in states if state not in possible] == []


def test_a_loaded_module_whose_file_is_a_link_counts_as_its_target(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("new.py", "x = 1\n")
    (tmp_path / "linked.py").symlink_to(repository.path / "new.py")
    load(tmp_path / "linked.py", monkeypatch)
    assert code_state(repository.path) == dirty(repository, ("new.py", "100644", blob("x = 1\n")))


@pytest.mark.parametrize("name", [":(top)new.py", ":!new.py", "[n]ew.py", "-new.py"])
def test_the_name_of_a_loaded_file_is_no_pattern(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    repository.write("new.py", "ignored = 1\n")
    repository.write(".gitignore", "/new.py\n")
    repository.commit()
    load(repository.write(name, "x = 1\n"), monkeypatch)
    assert changed_paths(repository) == (name,)


def test_a_pattern_in_the_name_of_a_loaded_file_is_none_for_what_is_ignored(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write(".gitignore", "/:*\n")
    repository.commit()
    load(repository.write(":(top)new.py", "x = 1\n"), monkeypatch)
    assert code_state(repository.path) == CodeState(repository.head)


def test_a_broken_repository_whose_name_holds_the_separator_of_search_paths_is_none(repository: Repository) -> None:
    nested = Repository(repository.path / f"a{os.pathsep}b")
    nested.path.mkdir()
    nested.git("init", "-q")
    nested.commit(code="1\n")
    nested.write(".git/HEAD", "garbage\n")
    repository.write("train.py", "edited\n")
    assert code_state(nested.path) == dirty(repository, ("train.py", "100644", blob("edited\n")))


def changed_paths(repository: Repository) -> tuple[str, ...]:
    with pytest.raises(pyrepro.DirtyRepositoryError) as error:
        pyrepro.tag(repo=repository.path)
    return error.value.paths


def test_errors_name_the_work_tree(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.write(".git/index", "garbage")
    with pytest.raises(CodeStateError) as error:
        code_state(repository.path)
    assert error.value.work_tree == str(repository.path)
