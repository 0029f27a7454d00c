"""The code state is what the commit does not hold of the code that runs, whatever hides it."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pathlib
import subprocess
import sys
import types
from typing import Any

import pytest
from conftest import IDENTITY, Repository, posix_only

from pyrepro import CodeState, CodeStateError, code_state


def blob(content: str | bytes, algorithm: str = "sha1") -> str:
    data = content.encode() if isinstance(content, str) else content
    return hashlib.new(algorithm, b"blob %d\0" % len(data) + data).hexdigest()


def changes(*entries: tuple[str, str, str]) -> str:
    """The changes digest, computed from its definition."""
    return hashlib.sha256(json.dumps(sorted(map(list, entries)), separators=(",", ":")).encode()).hexdigest()


def dirty(repository: Repository, *entries: tuple[str, str, str]) -> CodeState:
    return CodeState(repository.head, changes(*entries))


GONE = ("000000", "")


def load(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Load a module from a file for the length of a test."""
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.delitem(sys.modules, path.stem, raising=False)
    module = importlib.import_module(path.stem)
    del sys.modules[path.stem]
    monkeypatch.setitem(sys.modules, path.stem, module)
    return module


def test_a_fresh_checkout_is_clean(repository: Repository) -> None:
    assert code_state(repository.path) == CodeState(repository.head, None)


def test_the_text_of_a_state_is_its_commit_and_its_changes(repository: Repository) -> None:
    assert str(code_state(repository.path)) == repository.head
    repository.write("train.py", "edited\n")
    digest = changes(("train.py", "100644", blob("edited\n")))
    assert str(code_state(repository.path)) == f"{repository.head}-dirty-{digest}"


@pytest.mark.parametrize(
    "fields", [("abc", None), ("a" * 40, "b" * 12), ("A" * 40, None), (None, None), ("a" * 40, "")]
)
def test_a_state_that_is_none_is_a_value_error(fields: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError) as error:
        CodeState(*fields)
    assert str(error.value) == (
        f"CodeState(commit={fields[0]!r}, changes={fields[1]!r}) is not a code state; pass the 40 or 64 hex digits of a full commit, "
        "and the 64 of a changes digest or None"
    )


def test_an_edit_is_a_change(repository: Repository) -> None:
    repository.write("train.py", "edited\n")
    assert code_state(repository.path) == dirty(repository, ("train.py", "100644", blob("edited\n")))


def test_a_staged_edit_is_the_same_change(repository: Repository) -> None:
    repository.write("train.py", "edited\n")
    repository.git("add", "-A")
    assert code_state(repository.path) == dirty(repository, ("train.py", "100644", blob("edited\n")))


def test_an_edit_of_a_loaded_file_of_the_same_size_and_time_is_a_change(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repository.path / "lib/model.py"
    os.utime(path, (1_600_000_000, 1_600_000_000))  # long before the index: git looks closer at what is younger
    repository.git("status")
    before = path.stat()
    path.write_text("LAYERS = 3\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    load(path, monkeypatch)
    edited = dirty(repository, ("lib/model.py", "100644", blob("LAYERS = 3\n")))
    assert code_state(repository.path) == edited
    path.unlink()
    assert code_state(repository.path) == edited


def test_a_touched_file_is_clean(repository: Repository) -> None:
    os.utime(repository.path / "train.py")
    assert code_state(repository.path) == CodeState(repository.head)


def test_an_edit_staged_and_then_undone_on_disk_is_clean(repository: Repository) -> None:
    committed = (repository.path / "train.py").read_bytes()
    repository.write("train.py", "edited\n")
    repository.git("add", "-A")
    repository.write("train.py", committed)
    assert code_state(repository.path) == CodeState(repository.head)


def test_an_edit_staged_and_edited_further_is_what_is_on_disk(repository: Repository) -> None:
    repository.write("train.py", "staged\n")
    repository.git("add", "-A")
    repository.write("train.py", "on disk\n")
    assert code_state(repository.path) == dirty(repository, ("train.py", "100644", blob("on disk\n")))


@pytest.mark.parametrize("options", [[], ["--intent-to-add"]], ids=["added", "intended to be added"])
def test_a_file_in_the_index_that_head_does_not_hold_is_a_change(repository: Repository, options: list[str]) -> None:
    repository.write("new.py", "new\n")
    repository.git("add", *options, "new.py")
    assert code_state(repository.path) == dirty(repository, ("new.py", "100644", blob("new\n")))


def test_a_file_added_and_deleted_on_disk_is_clean(repository: Repository) -> None:
    repository.write("new.py", "new\n")
    repository.git("add", "-A")
    (repository.path / "new.py").unlink()
    assert code_state(repository.path) == CodeState(repository.head)


def test_an_untracked_file_that_is_not_loaded_is_clean(repository: Repository) -> None:
    repository.write("foo-0123456789ab-44136fa355b3.txt", "an artifact\n")
    repository.write("new.py", "new\n")
    assert code_state(repository.path) == CodeState(repository.head)


def test_a_deleted_file_is_a_change(repository: Repository) -> None:
    (repository.path / "train.py").unlink()
    assert code_state(repository.path) == dirty(repository, ("train.py", *GONE))


def test_a_file_removed_from_the_index_alone_is_clean(repository: Repository) -> None:
    repository.git("rm", "-q", "--cached", "train.py")
    assert code_state(repository.path) == CodeState(repository.head)


def test_a_file_removed_from_the_index_and_edited_is_what_is_on_disk(repository: Repository) -> None:
    repository.git("rm", "-q", "--cached", "train.py")
    repository.write("train.py", "edited\n")
    assert code_state(repository.path) == dirty(repository, ("train.py", "100644", blob("edited\n")))


def test_without_an_index_the_files_on_disk_count(repository: Repository) -> None:
    (repository.path / ".git/index").unlink()
    assert code_state(repository.path) == CodeState(repository.head)
    repository.write("train.py", "edited\n")
    assert code_state(repository.path) == dirty(repository, ("train.py", "100644", blob("edited\n")))


def test_a_rename_is_a_deletion_and_an_addition(repository: Repository) -> None:
    content = (repository.path / "train.py").read_bytes()
    repository.git("mv", "train.py", "renamed.py")
    assert code_state(repository.path) == dirty(
        repository, ("train.py", *GONE), ("renamed.py", "100644", blob(content))
    )


def test_a_mode_is_a_change(repository: Repository) -> None:
    content = (repository.path / "train.py").read_bytes()
    (repository.path / "train.py").chmod(0o755)
    assert code_state(repository.path) == dirty(repository, ("train.py", "100755", blob(content)))
    (repository.path / "train.py").chmod(0o644)
    (repository.path / "run.sh").chmod(0o644)
    assert code_state(repository.path) == dirty(repository, ("run.sh", "100644", blob("echo run\n")))


def test_a_link_that_leads_elsewhere_is_a_change(repository: Repository) -> None:
    (repository.path / "link.py").unlink()
    (repository.path / "link.py").symlink_to("lib/model.py")
    assert code_state(repository.path) == dirty(repository, ("link.py", "120000", blob("lib/model.py")))


def test_a_link_with_the_content_of_its_target_in_its_place_is_a_change(repository: Repository) -> None:
    (repository.path / "link.py").unlink()
    repository.write("link.py", "train.py")
    assert code_state(repository.path) == dirty(repository, ("link.py", "100644", blob("train.py")))


def test_a_directory_replaced_by_a_link_deletes_what_was_in_it(repository: Repository) -> None:
    (repository.path / "lib").rename(repository.path / "elsewhere")
    (repository.path / "lib").symlink_to("elsewhere")
    assert code_state(repository.path) == dirty(repository, ("lib/model.py", *GONE))
    repository.git("rm", "-q", "--cached", "lib/model.py")
    assert code_state(repository.path) == dirty(repository, ("lib/model.py", *GONE))


def test_a_file_replaced_by_a_directory_is_deleted(repository: Repository) -> None:
    (repository.path / "train.py").unlink()
    repository.write("train.py/inner.py")
    assert code_state(repository.path) == dirty(repository, ("train.py", *GONE))


@posix_only
def test_a_file_replaced_by_a_pipe_is_deleted(repository: Repository) -> None:
    (repository.path / "train.py").unlink()
    os.mkfifo(repository.path / "train.py")
    assert code_state(repository.path) == dirty(repository, ("train.py", *GONE))


def test_an_unmerged_file_is_what_is_on_disk(repository: Repository) -> None:
    ours = repository.commit(train="ours\n")
    repository.git("checkout", "-q", "-b", "other", "HEAD~1")
    repository.commit(train="theirs\n")
    repository.git("checkout", "-q", "main")
    repository.git("merge", "other", check=False)
    conflict = (repository.path / "train.py").read_bytes()
    assert b"<<<<<<<" in conflict
    assert code_state(repository.path) == CodeState(ours, changes(("train.py", "100644", blob(conflict))))
    repository.write("train.py", "ours\n")
    assert code_state(repository.path) == CodeState(ours)


def test_an_unmerged_file_that_head_does_not_hold_is_a_change(repository: Repository) -> None:
    repository.commit(new="new\n")
    repository.git("checkout", "-q", "-b", "other", "HEAD~1")
    repository.commit(new="other\n", more="1\n")
    repository.git("rm", "-q", "--cached", "new.py")
    repository.git("commit", "-q", "-m", "remove")
    ids = [repository.git("hash-object", "-w", "--stdin", input=text) for text in (b"a", b"b")]
    repository.write("new.py", "both\n")
    lines = "".join(f"100644 {object_id} {stage}\tnew.py\n" for stage, object_id in zip((1, 3), ids, strict=True))
    repository.git("update-index", "--index-info", input=lines.encode())
    assert code_state(repository.path) == dirty(repository, ("new.py", "100644", blob("both\n")))


def test_content_counts_after_clean_filters(repository: Repository) -> None:
    repository.write(".gitattributes", "*.py text\n")
    repository.commit()
    path = repository.path / "lib/model.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert code_state(repository.path) == CodeState(repository.head)
    path.write_bytes(b"LAYERS = 3\r\n")
    assert code_state(repository.path) == dirty(repository, ("lib/model.py", "100644", blob("LAYERS = 3\n")))


NAMES = [
    b"a b.py",
    b"a\nb.py",
    b'"quoted".py',
    b"back\\slash.py",
    b"tab\t.py",
    b"cr\r",
    b"\xff\xfe.py",
    "é.py".encode(),
]


@pytest.mark.parametrize("name", [*NAMES, b"-dash.py", b":colon", b"*.py", b"d ir/x.py"])
def test_a_name_of_any_bytes_is_percent_encoded(repository: Repository, name: bytes) -> None:
    path = os.fsencode(repository.path) + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pathlib.Path(os.fsdecode(path)).write_text("one\n")
    repository.commit()
    pathlib.Path(os.fsdecode(path)).write_text("two\n")
    encoded = "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in b"_.-~/" else f"%{byte:02X}" for byte in name
    )
    assert code_state(repository.path) == dirty(repository, (encoded, "100644", blob("two\n")))


def test_the_same_edit_in_a_clone_is_the_same_state(repository: Repository, tmp_path: pathlib.Path) -> None:
    clone = repository.clone(tmp_path / "clone")
    shallow = repository.clone(tmp_path / "shallow", "--depth=1")
    repository.git("worktree", "add", "-q", str(tmp_path / "tree"), "HEAD")
    states = set()
    for each in (repository, clone, shallow, Repository(tmp_path / "tree")):
        each.write("train.py", "edited\n")
        (each.path / "lib/model.py").unlink()
        states.add(code_state(each.path))
    assert states == {dirty(repository, ("train.py", "100644", blob("edited\n")), ("lib/model.py", *GONE))}


def test_two_edits_are_two_states(repository: Repository) -> None:
    states = set()
    for number in range(5):
        repository.write("train.py", f"edit {number}\n")
        states.add(code_state(repository.path))
    assert len(states) == 5


def test_a_path_below_the_top_names_the_whole_work_tree(repository: Repository) -> None:
    repository.write("train.py", "edited\n")
    assert code_state(repository.path / "lib") == code_state(repository.path)
    assert code_state(repository.path / "lib/model.py") == code_state(repository.path)
    assert code_state(os.fsencode(repository.path)) == code_state(str(repository.path))


def test_a_module_names_the_work_tree_that_holds_its_file(repository: Repository) -> None:
    module = types.ModuleType("model")
    module.__file__ = str(repository.path / "lib/model.py")
    assert code_state(module) == CodeState(repository.head)


def test_a_namespace_package_names_the_work_tree_that_holds_its_directory(repository: Repository) -> None:
    module = types.ModuleType("lib")
    module.__path__ = [str(repository.path / "lib")]
    assert code_state(module) == CodeState(repository.head)


def test_a_module_without_a_file_has_no_state() -> None:
    with pytest.raises(CodeStateError) as error:
        code_state(types.ModuleType("made_up"))
    assert str(error.value) == "the module made_up has no file; pass the path of its repository"


def test_an_installed_module_has_no_state_of_its_own() -> None:
    with pytest.raises(CodeStateError) as error:
        code_state(pytest)
    assert str(error.value) == (
        f"the module pytest is installed at {pytest.__file__}, not in a work tree; "
        "put its version into the configuration: importlib.metadata.version('pytest')"
    )


@pytest.mark.parametrize("value", [3, ["a"], object])
def test_a_state_of_something_else_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError) as error:
        code_state(value)
    assert str(error.value) == f"code_state takes a path or a module, not {value!r} of type {type(value).__name__}"


# Submodules


@pytest.fixture
def with_submodule(repository: Repository, tmp_path: pathlib.Path) -> Repository:
    """A repository with the submodule sub, in which there is the submodule sub/deep."""
    for name, inner in (("deep", None), ("sub", "deep")):
        made = Repository(tmp_path / f"origin-{name}")
        made.path.mkdir()
        made.git("init", "-q", "-b", "main")
        made.write("code.py", f"{name} = 1\n")
        if inner:
            made.git(
                "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "origin-deep"), "deep"
            )
        made.commit()
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "origin-sub"), "sub")
    repository.git("-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init", "--recursive")
    repository.commit()
    return repository


def test_a_submodule_as_committed_is_clean(with_submodule: Repository) -> None:
    assert code_state(with_submodule.path) == CodeState(with_submodule.head)


def test_a_submodule_that_is_not_checked_out_is_clean(with_submodule: Repository, tmp_path: pathlib.Path) -> None:
    clone = with_submodule.clone(tmp_path / "clone")
    assert code_state(clone.path) == CodeState(with_submodule.head)


def test_a_submodule_at_another_commit_is_a_change(with_submodule: Repository) -> None:
    head = Repository(with_submodule.path / "sub").commit(code="sub = 2\n")
    assert code_state(with_submodule.path) == dirty(with_submodule, ("sub", "160000", head))


def test_a_change_in_a_submodule_stands_under_its_path(with_submodule: Repository) -> None:
    with_submodule.write("sub/code.py", "sub = 3\n")
    assert code_state(with_submodule.path) == dirty(with_submodule, ("sub/code.py", "100644", blob("sub = 3\n")))


def test_a_submodule_moved_and_changed_is_both(with_submodule: Repository) -> None:
    head = Repository(with_submodule.path / "sub").commit(code="sub = 2\n")
    with_submodule.write("sub/code.py", "sub = 3\n")
    assert code_state(with_submodule.path) == dirty(
        with_submodule, ("sub", "160000", head), ("sub/code.py", "100644", blob("sub = 3\n"))
    )


def test_a_change_in_a_submodule_of_a_submodule_is_seen_whatever_is_ignored(with_submodule: Repository) -> None:
    with_submodule.write("sub/deep/code.py", "deep = 2\n")
    expected = dirty(with_submodule, ("sub/deep/code.py", "100644", blob("deep = 2\n")))
    assert code_state(with_submodule.path) == expected
    for repository, name in ((with_submodule, "sub"), (Repository(with_submodule.path / "sub"), "deep")):
        repository.git("config", f"submodule.{name}.ignore", "all")
        repository.git("config", "diff.ignoreSubmodules", "all")
    assert code_state(with_submodule.path) == expected


def test_a_staged_submodule_is_a_change_that_its_commit_ends(with_submodule: Repository) -> None:
    head = Repository(with_submodule.path / "sub").commit(code="sub = 2\n")
    with_submodule.git("add", "sub")
    assert code_state(with_submodule.path) == dirty(with_submodule, ("sub", "160000", head))
    with_submodule.git("commit", "-q", "-m", "move")
    assert code_state(with_submodule.path) == CodeState(with_submodule.head)


def test_a_deleted_submodule_is_a_change(with_submodule: Repository) -> None:
    (with_submodule.path / "sub").rename(with_submodule.path.parent / "away")
    assert code_state(with_submodule.path) == dirty(with_submodule, ("sub", *GONE))


def test_a_submodule_removed_from_the_index_alone_is_clean(with_submodule: Repository) -> None:
    with_submodule.git("rm", "-q", "--cached", "sub")
    assert code_state(with_submodule.path) == CodeState(with_submodule.head)


def test_a_nested_repository_added_as_a_submodule_without_gitmodules_is_looked_into(repository: Repository) -> None:
    nested = Repository(repository.path / "nested")
    nested.path.mkdir()
    nested.git("init", "-q", "-b", "main")
    nested.commit(code="1\n")
    repository.git("-c", "advice.addEmbeddedRepo=false", "add", "nested")
    repository.git("commit", "-q", "-m", "nested")
    assert code_state(repository.path) == CodeState(repository.head)
    nested.write("code.py", "2\n")
    assert code_state(repository.path) == dirty(repository, ("nested/code.py", "100644", blob("2\n")))


def test_a_file_replaced_by_a_nested_repository_is_a_change(repository: Repository) -> None:
    (repository.path / "train.py").unlink()
    nested = Repository(repository.path / "train.py")
    nested.path.mkdir()
    nested.git("init", "-q", "-b", "main")
    head = nested.commit(code="1\n")
    assert code_state(repository.path) == dirty(repository, ("train.py", "160000", head))


# Declared


def test_a_declared_state_stands_in_for_a_repository(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for declared in (CodeState("a" * 40), CodeState("a" * 64, "b" * 64)):
        monkeypatch.setenv("PYREPRO_CODE_STATE", str(declared))
        assert code_state(tmp_path) == declared


def test_a_declared_state_that_is_the_one_read_is_accepted(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("train.py", "edited\n")
    state = code_state(repository.path)
    monkeypatch.setenv("PYREPRO_CODE_STATE", str(state))
    assert code_state(repository.path) == state


def test_a_declared_state_that_is_not_the_one_read_is_refused(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYREPRO_CODE_STATE", "a" * 40)
    with pytest.raises(CodeStateError) as error:
        code_state(repository.path)
    assert str(error.value) == (
        f"PYREPRO_CODE_STATE declares {'a' * 40}, but the work tree {repository.path} is at {repository.head}; "
        "unset PYREPRO_CODE_STATE, or check out what it declares"
    )
    assert error.value.work_tree == str(repository.path)


@pytest.mark.parametrize("garbage", ["abc", "A" * 40, "a" * 41, "a" * 40 + "-dirty-" + "b" * 12, "a" * 40 + "\n", " "])
def test_a_declared_state_that_is_none_is_an_error(garbage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYREPRO_CODE_STATE", garbage)
    with pytest.raises(CodeStateError) as error:
        code_state()
    assert str(error.value) == (
        f"PYREPRO_CODE_STATE={garbage!r} is neither <full commit> nor <full commit>-dirty-<full changes digest>; "
        'print the value with: python -c "import pyrepro; print(pyrepro.code_state())"'
    )


def test_the_printed_state_is_the_value_to_declare(repository: Repository, tmp_path: pathlib.Path) -> None:
    printed = repository.run("-c", "import pyrepro; print(pyrepro.code_state())").stdout.strip()
    assert printed == repository.head
    code = "import pyrepro; print(pyrepro.code_state())"
    done = repository.run("-c", code, cwd=tmp_path, env={"PYREPRO_CODE_STATE": printed})
    assert done.stdout.strip() == printed


# No state to be had

REMEDY = "declare the state with PYREPRO_CODE_STATE"


def error_of(path: object) -> str:
    with pytest.raises(CodeStateError) as error:
        code_state(path)
    return str(error.value)


def test_no_repository_is_an_error(tmp_path: pathlib.Path) -> None:
    assert error_of(tmp_path) == (
        f"git cannot read the code state of {tmp_path}: fatal: not a git repository (or any of the parent directories): "
        f".git\nMake 'git -C {tmp_path} status' work, or {REMEDY}."
    )


def test_no_such_path_is_an_error(tmp_path: pathlib.Path) -> None:
    assert error_of(tmp_path / "gone") == (
        f"{tmp_path / 'gone'} does not exist, so no code state can be read there; pass a path in the work tree of the code"
    )


def test_no_commit_is_an_error(tmp_path: pathlib.Path) -> None:
    Repository(tmp_path).git("init", "-q")
    assert error_of(tmp_path) == (
        f"the work tree {tmp_path} has no commit yet; commit the code that runs: "
        f"cd {tmp_path} && git add -A && git commit"
    )


@posix_only
@pytest.mark.parametrize("name", ["project", "my project's"])
def test_what_is_to_be_typed_for_a_first_commit_works_as_it_is_printed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    project = Repository(tmp_path / name)
    project.write("train.py")
    project.write(".gitignore", "out/\n")
    project.write("out/foo.txt", "ignored")
    project.git("init", "-q")
    command = error_of(project.path).partition("commit the code that runs: ")[2]
    editor = {"GIT_EDITOR": "echo first >"}
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=os.environ | IDENTITY | editor, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert str(code_state(project.path)) == project.head


def test_a_bare_repository_is_an_error(repository: Repository, tmp_path: pathlib.Path) -> None:
    bare = repository.clone(tmp_path / "bare.git", "--bare")
    assert error_of(bare.path) == (
        f"git cannot read the code state of {bare.path}: fatal: this operation must be run in a work tree\n"
        f"Make 'git -C {bare.path} status' work, or {REMEDY}."
    )


def test_a_corrupt_index_is_an_error(repository: Repository) -> None:
    repository.write(".git/index", b"DIRC garbage that is long enough to be read as an index file")
    message = error_of(repository.path)
    assert message.startswith(f"git cannot read the code state of {repository.path}: error: bad index version")
    assert message.endswith(f"\nMake 'git -C {repository.path} status' work, or {REMEDY}.")


def test_an_index_of_which_a_full_disk_took_the_end_is_an_error_that_names_the_remedy(repository: Repository) -> None:
    """Git reads what is missing as entries without a name, and succeeds."""
    index = repository.path / ".git" / "index"
    index.write_bytes(index.read_bytes()[:72])
    assert error_of(repository.path) == (
        f"the index of the work tree {repository.path} is damaged: it lists a file without a name; "
        f"make it anew, without what was staged, with: git -C {repository.path} read-tree HEAD"
    )
    repository.git("read-tree", "HEAD")
    assert code_state(repository.path) == CodeState(repository.head)


def test_a_corrupt_head_is_an_error_and_not_the_repository_around_it(repository: Repository) -> None:
    nested = Repository(repository.path / "nested")
    nested.path.mkdir()
    nested.git("init", "-q")
    nested.commit(code="1\n")
    nested.write(".git/HEAD", "garbage\n")
    assert error_of(nested.path).startswith(
        f"git cannot read the code state of {nested.path}: fatal: not a git repository"
    )
