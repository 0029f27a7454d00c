"""What a colleague has of an artifact: renamed files, inputs elsewhere, a URL, other versions; and what is said of it."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from colleague import artifact_of, handed_on, made_by_colleague
from conftest import Repository

from pyrepro import RecordError, ReproduceError, config_hash, file_hash, read_record, reproduce

SCRIPT = """\
import sys
from pathlib import Path
from pyrepro import Artifact


@Artifact("outpath", config=dict, record=True, allow_dirty=True)
def save(outpath, text="good job"):
    Path(outpath).write_text(text)
    return outpath


@Artifact("outpath", config=dict, inputs="table", record=True, allow_dirty=True)
def plot(table, outpath):
    Path(outpath).write_text(Path(table).read_text().upper())
    return outpath


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    print({"save": save, "plot": plot}[what](*paths))
"""


def saved(repository: Repository, out: Path) -> Path:
    repository.commit(step=SCRIPT)
    return artifact_of(repository.run("step.py", "save", out / "foo.txt"), out)


def plotted(repository: Repository, out: Path, table: Path | str, cwd: Path | None = None) -> Path:
    if not (repository.path / "step.py").exists():
        repository.commit(step=SCRIPT)
    return artifact_of(repository.run(repository.path / "step.py", "plot", table, out / "bar.txt", cwd=cwd), out)


def refusal(path: Path, *arguments: Any, **options: Any) -> str:
    with pytest.raises(ReproduceError) as error:
        reproduce(path, *arguments, **options)
    prefix = f"{path.name} cannot be made again: "
    assert str(error.value).startswith(prefix)
    return str(error.value).removeprefix(prefix)


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    yield
    assert list(scratch.iterdir()) == []


# The original


def test_an_original_that_was_retouched_is_not_the_same(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    path.write_text("good jab")
    result = reproduce(path, repository.path)
    assert (result.same, result.as_recorded) == (False, True)
    assert result.original_sha256 == file_hash(path).partition(":")[2]
    assert result.recorded_sha256 == result.reproduced_sha256
    assert str(result) == (
        f"{path} and {result.reproduced} are different\n"
        f"{path} was changed since it was recorded; what was made again, {result.reproduced}, is what was recorded\n"
        f"  8 bytes each, the first difference is at byte 6"
    )


def test_the_first_difference_of_large_files_is_found(repository: Repository, out: Path) -> None:
    repository.commit(step=SCRIPT.replace("write_text(text)", "write_text(text * 400_000)"))
    path = artifact_of(repository.run("step.py", "save", out / "foo.txt"), out)
    path.write_text(path.read_text()[:-1] + "!")
    assert reproduce(path, repository.path).differences == (
        "3200000 bytes each, the first difference is at byte 3199999",
    )


def test_an_original_that_is_gone_is_said_to_be_gone(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    (out / "notes.txt").write_text("")
    path.unlink()
    result = reproduce(path, repository.path)
    assert (result.same, result.as_recorded, result.original_sha256) == (False, True, None)
    assert str(result) == f"{path} is gone; what was made again, {result.reproduced}, is what was recorded"


def test_the_files_of_a_directory_that_differ_are_named(repository: Repository, out: Path) -> None:
    repository.commit(
        step=SCRIPT.replace(
            "Path(outpath).write_text(text)",
            "Path(outpath).mkdir(); [Path(outpath, n).write_text(n) for n in 'abc']",
        )
    )
    path = artifact_of(repository.run("step.py", "save", out / "model"), out)
    (path / "a").unlink()
    (path / "b").write_text("bb")
    (path / "d").write_text("d")
    result = reproduce(path, repository.path)
    assert not result.same
    assert result.differences == (
        "a: only in what was made again",
        "b: 2 bytes, made again 1, the first difference is at byte 1",
        "d: only in the original",
    )


@pytest.mark.parametrize("to", [None, "kept"])
def test_a_directory_that_links_to_a_part_of_itself_is_made_again(
    to: str | None, repository: Repository, out: Path, tmp_path: Path
) -> None:
    repository.commit(
        step=SCRIPT.replace(
            "Path(outpath).write_text(text)",
            "Path(outpath, 'deep').mkdir(parents=True); Path(outpath, 'step-1').write_text(text); "
            "Path(outpath, 'last').symlink_to(Path(outpath, 'step-1').resolve()); "
            "Path(outpath, 'deep', 'last').symlink_to(Path(outpath, 'step-1').resolve())",
        )
    )
    path = artifact_of(repository.run("step.py", "save", out / "model"), out)
    assert (os.readlink(path / "last"), os.readlink(path / "deep" / "last")) == ("step-1", "../step-1")
    sent = tmp_path / "sent"
    sent.mkdir()
    shutil.move(f"{path}.pyrepro.json", sent)
    shutil.move(path, sent)
    result = reproduce(sent / path.name, repository.path, to=to and tmp_path / to)
    assert str(result) == f"{sent / path.name} and {result.reproduced} are the same bytes"
    assert Path(result.reproduced, "last").read_text() == "good job"


def test_links_that_lead_nowhere_are_told_by_what_they_are(repository: Repository, out: Path) -> None:
    repository.commit(
        step=SCRIPT.replace(
            "Path(outpath).write_text(text)",
            "Path(outpath).mkdir(); Path(outpath, 'best').symlink_to('.'); Path(outpath, 'last').symlink_to('nowhere')",
        )
    )
    path = artifact_of(repository.run("step.py", "save", out / "model"), out)
    for name in ("best", "last"):
        (path / name).unlink()
    (path / "best").symlink_to("best")
    (path / "last").write_text("")
    assert reproduce(path, repository.path).differences == (
        "best: link:best, made again link:.",
        f"last: {hashlib.sha256(b'').hexdigest()}, made again link:nowhere",
    )


def test_a_file_in_the_place_of_a_directory_differs(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    path.unlink()
    path.mkdir()
    assert reproduce(path, repository.path).differences == ("one is a directory, and the other is not",)


def test_formats_that_carry_a_date_are_compared_by_a_function(repository: Repository, out: Path) -> None:
    repository.commit(step=SCRIPT.replace("write_text(text)", "write_text(f'{text} {__import__(\"time\").time_ns()}')"))
    path = artifact_of(repository.run("step.py", "save", out / "foo.txt"), out)
    assert not reproduce(path, repository.path).same
    asked = []

    def without_date(one: str, other: str) -> bool:
        asked.append(one)
        return Path(one).read_text()[:8] == Path(other).read_text()[:8]

    result = reproduce(path, repository.path, compare=without_date)
    assert (result.same, result.as_recorded, asked) == (True, False, [str(path)])
    assert str(result).splitlines()[0] == f"{path} and {result.reproduced} are the same"


@pytest.mark.parametrize("to", ["kept", "kept/", "kept/new.txt"])
def test_the_result_is_kept_where_it_is_asked_for(to: str, repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    place = {"kept": out / "kept" / path.name, "kept/": out / "kept" / path.name, "kept/new.txt": out / to}[to]
    if to == "kept":
        (out / "kept").mkdir()
    result = reproduce(path, repository.path, to=to)
    assert result.reproduced == str(place)
    assert place.read_text() == "good job"


def test_a_directory_is_kept_too(repository: Repository, out: Path) -> None:
    repository.commit(
        step=SCRIPT.replace("Path(outpath).write_text(text)", "Path(outpath).mkdir(); Path(outpath, 'a').touch()")
    )
    path = artifact_of(repository.run("step.py", "save", out / "model"), out)
    assert [file.name for file in Path(reproduce(path, repository.path, to=out / "kept").reproduced).iterdir()] == ["a"]


def test_nothing_is_written_over_what_is_there(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    (out / "kept.txt").write_text("mine")
    assert refusal(path, repository.path, to="kept.txt") == (
        f"to= leads to {out / 'kept.txt'}, where something is already; pass another path"
    )
    assert (out / "kept.txt").read_text() == "mine"


def test_a_result_that_cannot_be_kept_where_it_is_asked_for_stays_where_it_is(
    repository: Repository, out: Path
) -> None:
    path = saved(repository, out)
    place = out / "gone" / "kept.txt"
    (out / "gone").symlink_to("nowhere")
    with pytest.raises(ReproduceError) as error:
        reproduce(path, repository.path, to=place)
    made = Path(str(error.value).partition(" was made again, but ")[0])
    assert str(error.value) == (
        f"{made} was made again, but cannot be copied to {place}: {error.value.__cause__}; move it from there"
    )
    assert made.read_text() == "good job"
    shutil.rmtree(made.parent.parent)


def test_a_comparison_that_fails_leaves_nothing(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    path.write_text("other")
    with pytest.raises(ZeroDivisionError):
        reproduce(path, repository.path, compare=lambda one, other: 1 // 0)


# Renamed on the way


def test_a_browser_renames_the_artifact_and_its_record(repository: Repository, out: Path, tmp_path: Path) -> None:
    path = saved(repository, out)
    mail = tmp_path / "mail"
    mail.mkdir()
    stem = path.name.removesuffix(".txt")
    shutil.copy(path, mail / f"{stem} (1).txt")
    shutil.copy(f"{path}.pyrepro.json", mail / f"{path.name}.pyrepro (1).json")
    for name in (f"{stem} (1).txt", f"{path.name}.pyrepro (1).json"):
        assert read_record(mail / name).artifact["name"] == path.name
        result = reproduce(mail / name, repository.path)
        assert (result.same, result.original) == (True, str(mail / f"{stem} (1).txt"))


def test_what_was_passed_is_the_original_whatever_it_is_called(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    first, final = out / "first.txt", out / "final plot.txt"
    for copy in (first, final):
        shutil.copy(path, copy)
        shutil.copy(f"{path}.pyrepro.json", f"{copy}.pyrepro.json")
    path.unlink()
    first.write_text("edited")
    for given, original, is_same in [
        (final, final, True),
        (f"{final}.pyrepro.json", final, True),
        (f"{first}.pyrepro.json", first, False),
        (f"{path}.pyrepro.json", path, False),
    ]:
        result = reproduce(given, repository.path)
        assert (result.original, result.same) == (str(original), is_same)


def test_of_two_of_one_name_the_one_that_was_passed_is_compared(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    again = path.with_name(path.name.replace(".txt", " (1).txt"))
    shutil.copy(path, again)
    path.write_text("good jab")
    assert (result := reproduce(path, repository.path)).original == str(path)
    assert not result.same
    Path(f"{path}.pyrepro.json").rename(out / f"{path.name}.pyrepro (1).json")
    assert (result := reproduce(again, repository.path)).original == str(again)
    assert result.same


def test_only_the_record_of_this_content_is_taken(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    renamed = out / path.name.replace(".txt", " (1).txt")
    renamed.write_text("something else")
    (out / "other.pyrepro.json").write_text("{}")
    with pytest.raises(RecordError, match="there is no record "):
        read_record(renamed)
    with pytest.raises(RecordError, match="there is no record "):
        read_record(out / "gone" / path.name)
    with pytest.raises(RecordError, match=r"there is no record .*/gone\.txt\.pyrepro\.json; "):
        read_record(out / "gone.txt.pyrepro.json")


def test_a_patch_that_a_mailer_changed_is_the_patch_all_the_same(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    repository.commit(step=SCRIPT)
    repository.write("step.py", SCRIPT.replace("good job", "better job"))
    path = artifact_of(repository.run("step.py", "save", out / "foo.txt"), out)
    repository.git("checkout", "-q", ".")
    sent = handed_on(path, tmp_path / "mail")
    [patch] = sent.parent.glob("*.patch")
    patch.write_bytes(patch.read_bytes().replace(b"\n", b"\r\n"))
    assert reproduce(sent, repository.path).same
    patch.rename(patch.with_name(f"{patch.stem} (1).patch"))
    assert reproduce(sent, repository.path).same


# Inputs


def test_a_tracked_input_is_taken_from_the_commit(repository: Repository, out: Path) -> None:
    repository.write("data/table.csv", "a,b\n")
    repository.commit(step=SCRIPT)
    path = plotted(repository, out, "data/table.csv")
    (repository.path / "data" / "table.csv").write_text("today\n")
    assert reproduce(path, repository.path).same
    repository.git("rm", "-qf", "data/table.csv")
    repository.commit()
    assert reproduce(path, repository.path).same


def test_an_input_is_found_beside_the_artifact_under_any_name(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n")
    sent = handed_on(plotted(repository, out, table), tmp_path / "mail")
    table.rename(sent.parent / "table (1).csv")
    assert reproduce(sent, repository.path).same


def test_an_input_of_the_work_tree_is_found_beside_the_artifact_where_there_is_only_a_bare_clone(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    table = repository.write("ignored/table.csv", "a,b\n")
    sent = handed_on(plotted(repository, out, "ignored/table.csv"), tmp_path / "mail")
    bare = repository.clone(tmp_path / "bare.git", "--bare")
    table.rename(sent.parent / "table.csv")
    assert reproduce(sent, bare.path).same


def test_the_colleague_says_where_the_data_are(repository: Repository, out: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n")
    path = plotted(repository, out, table)
    here = tmp_path / "my data"
    digest = file_hash(table)
    table.rename(here)
    assert refusal(path, repository.path) == (
        f"its input table, {read_record(path).inputs['table']['path']} with the content {digest}, was not found:\n"  # type: ignore[index,call-overload]
        f"  {table}: not there\n  {out / 'table.csv'}: not there\n"
        f"pass inputs={{'table': <path of a file of that content>}}"
    )
    assert reproduce(path, repository.path, inputs={"table": here}).same
    here.write_text("other\n")
    assert refusal(path, repository.path, inputs={"table": here}) == (
        f"inputs['table'], {here}, is {file_hash(here)}, but its input table was {digest}"
    )
    assert refusal(path, repository.path, inputs={"tabel": here}) == (
        "inputs= names 'tabel'; the inputs of its function are: table"
    )


def test_an_input_that_has_a_record_is_made_again_first(repository: Repository, out: Path, tmp_path: Path) -> None:
    repository.commit(step=SCRIPT)
    table = artifact_of(repository.run("step.py", "save", out / "table.csv"), out)
    path = plotted(repository, out, table)
    assert read_record(path).inputs["table"]["artifact"] == table.name  # type: ignore[index,call-overload]
    sent = handed_on(path, tmp_path / "mail")
    shutil.copy(f"{table}.pyrepro.json", sent.parent)
    table.unlink()
    Path(f"{table}.pyrepro.json").unlink()
    assert reproduce(sent, repository.path).same


def test_an_input_that_is_made_again_otherwise_is_named(repository: Repository, out: Path, tmp_path: Path) -> None:
    repository.commit(step=SCRIPT.replace("write_text(text)", "write_text(str(__import__('time').time_ns()))"))
    table = artifact_of(repository.run("step.py", "save", out / "table.csv"), out)
    path = plotted(repository, out, table)
    table.unlink()
    reason = refusal(path, repository.path)
    assert reason.startswith(f"its input table was made again from {table}.pyrepro.json, and is sha256:")
    assert reason.endswith("; pass inputs={'table': <path of a file of that content>}")


def test_an_input_that_cannot_be_made_again_says_why(repository: Repository, out: Path) -> None:
    repository.commit(step=SCRIPT)
    table = artifact_of(repository.run("step.py", "save", out / "table.csv"), out)
    path = plotted(repository, out, table)
    table.unlink()
    Path(f"{table}.pyrepro.json").write_text("{}")
    assert refusal(path, repository.path).startswith("its input table is not there, and making it again failed: ")


def test_an_input_that_is_made_from_itself_is_refused(repository: Repository, out: Path) -> None:
    repository.commit(step=SCRIPT)
    table = artifact_of(repository.run("step.py", "save", out / "table.csv"), out)
    path = plotted(repository, out, table)
    table.unlink()
    shutil.copy(f"{path}.pyrepro.json", f"{table}.pyrepro.json")
    (out / f"{table.name}.pyrepro.json").unlink()
    (out / f"{table.name}.pyrepro.json").symlink_to(f"{path}.pyrepro.json")
    assert "is made from itself; take the record from a backup" in refusal(path, repository.path)


def test_lists_of_inputs_are_said_as_lists(repository: Repository, out: Path, tmp_path: Path) -> None:
    program = SCRIPT.replace("Path(table).read_text()", "''.join(Path(one).read_text() for one in table)").replace(
        'save, "plot": plot}[what](*paths)', 'save, "plot": plot}[what](paths[:-1], paths[-1])'
    )
    repository.commit(step=program)
    tables = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for table in tables:
        table.write_text(table.name)
    path = artifact_of(repository.run("step.py", "plot", *tables, out / "bar.txt"), out)
    moved = [table.rename(tmp_path / f"moved {table.name}") for table in tables]
    assert reproduce(path, repository.path, inputs={"table": moved}).same
    assert refusal(path, repository.path, inputs={"table": moved[:1]}) == (
        "inputs['table'] holds 1 paths, but the record names 2"
    )


def test_an_input_that_cannot_be_read_says_why(repository: Repository, out: Path, tmp_path: Path) -> None:
    (tmp_path / "table").write_text("a")
    path = plotted(repository, out, tmp_path / "table")
    (tmp_path / "table").unlink()
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "loop").symlink_to(tmp_path / "table")
    assert f"  {tmp_path / 'table'}: cannot be read: " in refusal(path, repository.path)


# The repository


def test_a_bare_a_sparse_a_shallow_and_a_read_only_clone_serve(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    path = saved(repository, out)
    bare = repository.clone(tmp_path / "bare.git", "--bare")
    sparse = repository.clone(tmp_path / "sparse", "--no-checkout")
    sparse.git("sparse-checkout", "set", "lib")
    sparse.git("checkout", "-q", "main")
    shallow = repository.clone(tmp_path / "shallow", "--depth=1")
    read_only = repository.clone(tmp_path / "read-only")
    for file in [read_only.path, *read_only.path.rglob("*")]:
        if not file.is_symlink():
            file.chmod(0o555 if file.is_dir() else 0o444)
    try:
        for clone in (bare, sparse, shallow, read_only):
            before = sorted(clone.path.rglob("*"))
            assert reproduce(path, clone.path).same
            assert sorted(clone.path.rglob("*")) == before
    finally:
        for file in [read_only.path, *read_only.path.rglob("*")]:
            if not file.is_symlink():
                file.chmod(0o755)


def test_a_partial_clone_serves_and_is_not_written_into(repository: Repository, out: Path, tmp_path: Path) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    path = saved(repository, out)
    repository.commit(step="", lib__model="LAYERS = 'today'\n")
    # Newer gits maintain a clone after its commands, in the background.
    partial = repository.clone(tmp_path / "partial", "--filter=blob:none", "--config=maintenance.auto=false")
    before = sorted(partial.path.rglob("*"))
    assert reproduce(path, partial.path).same
    assert sorted(partial.path.rglob("*")) == before
    repository.path.rename(tmp_path / "away")
    assert refusal(path, partial.path).startswith("its commit cannot be checked out")


def test_a_clone_of_another_user_serves_once_git_is_told_so_as_it_says(
    repository: Repository, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a repository away")
    path = saved(repository, out)
    clone = repository.clone(tmp_path / "shared")
    for place in (clone.path, clone.path / ".git"):
        os.chown(place, 65534, 65534)
    # Git is asked, not its version: Debian 11 has backported safe.directory to 2.30.2.
    if clone.git("rev-parse", "HEAD", check=False):
        pytest.skip("this git reads the repositories of other users; safe.directory came with 2.35.2")
    monkeypatch.setenv("HOME", str(tmp_path))
    *_, line, rest = refusal(path, clone.path).splitlines()
    assert rest == "pass its path or URL as repo="
    subprocess.run(shlex.split(line), check=True)
    assert reproduce(path, clone.path).same


def test_a_commit_that_no_branch_leads_to_serves(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    repository.git("reset", "-q", "--hard", "HEAD~")
    repository.git("branch", "-q", "other")
    assert reproduce(path, repository.path).same


def test_a_repository_of_sha256_serves(out: Path, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "sha256")
    repository.path.mkdir()
    repository.git("init", "-q", "--object-format=sha256")
    assert reproduce(saved(repository, out), repository.path).same


def test_filters_and_line_ends_of_the_clone_count(repository: Repository, out: Path) -> None:
    repository.git("config", "filter.upper.smudge", "tr a-z A-Z")
    repository.git("config", "filter.upper.clean", "tr A-Z a-z")
    repository.write(".git/info/attributes", "*.up filter=upper\n")
    repository.write("word.up", "word\n")
    repository.commit(step=SCRIPT)
    repository.git("rm", "-q", "--cached", "word.up")
    repository.git("checkout", "-q", "-f", "HEAD")
    path = plotted(repository, out, "word.up")
    assert reproduce(path, repository.path).same


def test_where_no_clone_is_at_hand_the_line_that_makes_one_is_quoted(
    repository: Repository, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = "https://example.org/our lab.git"
    for url, line in (
        ("https://example.org/lab.git", "type git clone https://example.org/lab.git, and pass its path as repo="),
        ("~user/lab", "pass its path or URL as repo="),
        (remote, "pass its path or URL as repo="),
        ("--upload-pack=touch x", "pass its path or URL as repo="),
        ("ext::sh -c 'touch x'", "pass its path or URL as repo="),
        ("ext::touch", "pass its path or URL as repo="),
        ("-u:x", "pass its path or URL as repo="),
        ("ssh://-oProxyCommand=x/y", "pass its path or URL as repo="),
        ("git@-oProxyCommand=x:y", "pass its path or URL as repo="),
    ):
        path = saved(repository, out)
        record = Path(f"{path}.pyrepro.json")
        document = json.loads(record.read_text())
        document["code"]["remote"] = url
        record.write_text(json.dumps(document))
        monkeypatch.chdir(out)
        assert refusal(path) == f"no repository was found beside it or around the working directory; {line}"
    assert refusal(path, out) == (
        f"no repository was found at {out}: fatal: not a git repository (or any of the parent directories): .git; "
        f"pass its path or URL as repo="
    )
    assert refusal(path, tmp_path / "none").startswith(f"no repository was found at {tmp_path / 'none'}: ")


def test_a_url_is_fetched_with_its_submodules(
    repository: Repository, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.file.allow")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "always")
    lab = repository.clone(tmp_path / "lab")
    lab.commit(lablib="X = 'of the submodule'\n")
    repository.git("submodule", "add", "-q", f"file://{lab.path}", "sub/lab")
    program = SCRIPT.replace("from pathlib", "sys.path.insert(0, 'sub/lab')\nfrom lablib import X\nfrom pathlib", 1)
    repository.commit(step=program.replace("write_text(text)", "write_text(text + X)"))
    path = artifact_of(repository.run("step.py", "save", out / "foo.txt"), out)
    url = f"file://{repository.path}"
    assert reproduce(path, url).same
    repository.git("config", "uploadpack.allowAnySHA1InWant", "false")
    assert reproduce(path, url).same
    repository.git("reset", "-q", "--hard", "HEAD~")
    repository.git("reflog", "expire", "--expire=now", "--all")
    repository.git("gc", "-q", "--prune=now")
    cannot = f"the commit {read_record(path).code['commit']} cannot be fetched from "
    assert refusal(path, url).startswith(f"{cannot}{url}: ")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{silent.getsockname()[1]}/lab.git"
        assert refusal(path, f"http://me:s3cret@{address}").startswith(f"{cannot}http://{address}: ")


def test_a_lab_library_that_has_moved_on_is_refused(
    repository: Repository, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = repository.clone(tmp_path / "lab")
    lab.commit(lablib="X = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(lab.path))
    repository.commit(step=SCRIPT.replace("from pathlib", "import lablib\nfrom pathlib", 1))
    path = artifact_of(repository.run("step.py", "save", out / "foo.txt"), out)
    assert reproduce(path, repository.path).same
    before = lab.head
    monkeypatch.delenv("PYTHONPATH")
    assert refusal(path, repository.path).endswith(
        f"\nlablib was loaded from another work tree, at {before}; clone it, and put it into PYTHONPATH"
    )
    monkeypatch.setenv("PYTHONPATH", str(lab.path))
    lab.commit(lablib="X = 2\n")
    assert refusal(path, repository.path) == (
        f"lablib was loaded from the work tree {lab.path}, which is at {lab.head}, but was at {before}; "
        f"check that out, and try again"
    )
    lab.git("update-ref", "-d", "HEAD")
    assert "which is at unknown: " in refusal(path, repository.path)


def test_a_module_of_the_repository_that_the_script_takes_from_elsewhere_is_refused(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    program = SCRIPT.replace(
        "from pathlib", f"sys.path.insert(0, {str(repository.path / 'lib')!r})\nimport model\nfrom pathlib", 1
    )
    repository.commit(step=program)
    path = artifact_of(repository.run("step.py", "save", out / "foo.txt"), out)
    assert refusal(path, repository.path) == (
        f"its module model was loaded from {repository.path / 'lib' / 'model.py'}, not from the recorded commit; "
        f"uninstall that copy, or pass environment='recorded'"
    )


def test_a_commit_whose_files_are_missing_says_so(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    blob = repository.git("rev-parse", "HEAD:step.py")
    (repository.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert refusal(path, repository.path) == (
        f"its commit cannot be checked out whole, since objects or filters of {repository.path} are missing; "
        f"see what 'git -C {repository.path / '.git'} fsck' says"
    )
    tree = repository.git("rev-parse", "HEAD^{tree}")
    (repository.path / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    assert refusal(path, repository.path).startswith("its commit cannot be checked out: ")


# The environment


def test_a_failure_lists_the_versions_that_differ(repository: Repository, out: Path) -> None:
    repository.commit(
        step=SCRIPT.replace(
            'good job"):', "good job\"):\n    import os; 1 / ('PYREPRO_REPRODUCTION' not in os.environ)"
        )
    )
    path = artifact_of(repository.run("step.py", "save", out / "foo.txt"), out)
    record = Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    now = document["environment"]["packages"]["GitPython"]
    document["environment"]["packages"]["GitPython"] = "0.1"
    record.write_text(json.dumps(document))
    reason = refusal(path, repository.path)
    assert "ZeroDivisionError" in reason
    assert reason.endswith(
        "\nwhat differs from the recorded environment, which environment='recorded' makes again:\n"
        f"  GitPython: was 0.1, is {now}"
    )


def test_another_interpreter_is_started(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    assert reproduce(path, repository.path, python=sys.executable).same
    assert refusal(path, repository.path, python="no-such-python") == (
        "there is no interpreter no-such-python; pass the path of one as python="
    )
    script = out / "broken"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert refusal(path, repository.path, python=script).startswith(f"the interpreter {script} cannot be started: ")
    for line, said in (("echo it is old >&2", "it is old"), ("", "3")):
        script.write_text(f"#!/bin/sh\n{line}\nexit 3\n")
        assert refusal(path, repository.path, python=script) == (
            f"the interpreter {script} cannot run pyrepro: {said}; pass the path of another as python="
        )


def test_an_interpreter_without_anything_that_is_installed_serves(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    path = saved(repository, out)
    venv.create(tmp_path / "bare", symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    result = reproduce(path, repository.path, python=python)
    assert result.same
    # What comes along is not missing.
    assert not {"pyrepro", "GitPython", "gitdb", "smmap", "filelock", "rfc8785"} & result.environment.keys()


def other_pythons() -> list[str]:
    """Interpreters of other versions that are installed here, as by pyenv."""
    siblings = Path(sys.base_prefix).parent.glob("3.1*/bin/python3.1?")
    found = [*map(str, siblings), *filter(None, (shutil.which(f"python3.{minor}") for minor in range(10, 16)))]
    works = f"import sys; sys.exit(not (3, 10) <= sys.version_info[:2] != {sys.version_info[:2]})"
    return [
        one for one in found if subprocess.run([one, "-c", works], capture_output=True, check=False).returncode == 0
    ]


def test_an_artifact_is_made_again_on_another_python(repository: Repository, out: Path) -> None:
    python = next(iter(other_pythons()), None)
    if python is None:
        pytest.skip("no other version of Python is installed")
    path = saved(repository, out)
    result = reproduce(path, repository.path, python=python)
    assert result.same
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert result.environment["python"][1] == f"CPython {version}"


def test_two_interpreters_are_one_too_many(out: Path) -> None:
    with pytest.raises(ValueError, match=r"^python= and environment='recorded' both choose the interpreter; "):
        reproduce("foo.txt", python="python3", environment="recorded")
    with pytest.raises(ValueError, match=r"^environment='mine' is not 'recorded'; "):
        reproduce("foo.txt", environment="mine")


def test_requirements_are_lines_for_pip(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    record = Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    commit = "0" * 40
    hostile = {"--index-url=x": "1", "a @ file:///x": "1", "b": "1; x", "c": "1 --pre", "-r": "x"}
    document["environment"] |= {
        "python": "CPython 3.13.0",
        "platform": "Linux x86_64",
        "packages": {"numpy": "2.4.6", "lab": "1", "tool": "3", "fork": "4", "unused": "5"} | hostile,
        "loaded": ["numpy", "lab", "fork", "vanished", *hostile],
        "origins": {"lab": "editable file://~/lab\x1b[2J", "fork": f"git+https://example.org/fork.git@{commit}"},
    }
    record.write_text(json.dumps(document))
    assert read_record(path).requirements() == (
        "# CPython 3.13.0 on Linux x86_64\n"
        "numpy==2.4.6\n"
        "# lab==1 was installed from editable file://~/lab\\x1b[2J\n"
        f"fork @ git+https://example.org/fork.git@{commit}\n"
        "# --index-url=x==1 cannot be installed\n"
        "# a @ file:///x==1 cannot be installed\n"
        "# b==1; x cannot be installed\n"
        "# c==1 --pre cannot be installed\n"
        "# -r==x cannot be installed\n"
    )


def test_arguments_that_give_another_configuration_are_named(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    record = Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["call"]["program"] = None
    record.write_text(json.dumps(document))
    assert refusal(path, repository.path, arguments={"text": "another"}) == (
        f"the configuration of the call hashes to {config_hash({'text': 'another'})}, but the record says "
        f"{config_hash({'text': 'good job'})}; what arguments= gives may not be what was passed then: text\n"
        f"it was made in a session or by a worker, whose program is not recorded"
    )


def test_arguments_that_cannot_be_passed_on_are_refused(repository: Repository, out: Path) -> None:
    path = saved(repository, out)
    assert refusal(path, repository.path, arguments={"text": object()}) == (
        "arguments['text'] is a builtins.object, which cannot be passed on to the interpreter that runs it"
    )
    assert refusal(path, repository.path, arguments={"txet": "x"}).startswith("__main__:save has no parameter 'txet'")


def test_the_commit_is_found_from_a_clone_elsewhere(repository: Repository, out: Path, tmp_path: Path) -> None:
    path = saved(repository, out)
    assert made_by_colleague(repository, path, tmp_path).same
    assert subprocess.run(["git", "status", "--porcelain"], cwd=repository.path, capture_output=True).stdout == b""
