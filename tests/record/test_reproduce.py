"""From an artifact alone its code is found, and makes it again."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import PATIENCE, Repository, posix_only, wait_until

from pyrepro import RecordError, ReproduceError, file_hash, reproduce

SCRIPT = """\
import argparse
import sys
from pathlib import Path

from pyrepro import Artifact


@Artifact("outpath", config=dict, inputs="table", record=True, allow_dirty=True)
def save(table, outpath, /, lr=0.1, *names, deep=None, **more):
    text = "" if table is None else Path(table).read_text()
    Path(outpath).write_text(f"{text} {lr!r} {names!r} {deep!r} {more!r}")
    return outpath


if __name__ == "__main__":
    Path("main-ran").touch()
    print(save(sys.argv[1], Path(sys.argv[2]), 0.5, "a", "b", deep={"x": [1, None]}, y=True))
"""


def made(repository: Repository, out: pathlib.Path, program: str = SCRIPT, *args: Any, name: str = "step.py") -> Any:
    """The artifact that a committed program makes and prints the path of."""
    repository.write(name, program)
    repository.write(".gitignore", "main-ran\n")
    repository.git("add", "-A")
    repository.git("commit", "-q", "--allow-empty", "-m", "step")
    (out / "table.csv").write_text("1,2")
    done = repository.run(name, *(args or (out / "table.csv", out / "foo.txt")))
    assert done.stderr == ""
    return out / done.stdout.strip()


def refusal(path: Any, **options: Any) -> str:
    """Why an artifact cannot be made again; nothing is left behind by trying."""
    with pytest.raises(ReproduceError) as error:
        reproduce(path, **options)
    prefix = f"{pathlib.Path(path).name} cannot be made again: "
    assert str(error.value).startswith(prefix)
    assert error.value.path == f"{path}.pyrepro.json"
    return str(error.value).removeprefix(prefix)


@pytest.fixture(autouse=True)
def nothing_is_left(
    repository: Repository, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Whatever happens: no work tree, branch or stash, and no file, stays behind."""
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("TMPDIR", str(scratch))
    yield
    assert os.listdir(scratch) == []
    assert repository.git("worktree", "list").count("\n") == 0
    assert repository.git("branch", "--list") == "* main"
    assert repository.git("stash", "list") == ""


# What comes back


def test_a_script_makes_its_artifact_again_without_its_main_part(repository: Repository, out: pathlib.Path) -> None:
    path = made(repository, out)
    (repository.path / "main-ran").unlink()
    repository.commit(step="raise RuntimeError\n")
    before = {name: (repository.path / ".git" / name).read_bytes() for name in ("HEAD", "index")}
    original = path.read_bytes(), path.stat().st_mtime_ns
    result = reproduce(path, repo=repository.path)
    assert (result.same, result.original, result.environment) == (True, str(path), {})
    assert result.original_sha256 == result.reproduced_sha256 == file_hash(result.reproduced).partition(":")[2]
    assert pathlib.Path(result.reproduced).read_text() == "1,2 0.5 ('a', 'b') {'x': [1, None]} {'y': True}"
    assert os.path.basename(result.reproduced) == path.name
    assert str(result) == f"{path} and {result.reproduced} are the same bytes"
    assert (path.read_bytes(), path.stat().st_mtime_ns) == original
    assert {name: (repository.path / ".git" / name).read_bytes() for name in ("HEAD", "index")} == before
    assert repository.git("status", "--porcelain") == ""
    assert not (repository.path / "main-ran").exists()


def test_what_code_leaves_out_need_not_be_in_the_commit(repository: Repository, out: pathlib.Path) -> None:
    repository.write("scratch/notes.txt")
    repository.write(".git/info/exclude", "scratch\n")
    program = SCRIPT.replace("record=True", 'record=True, cache=True, code=["step.py", "!scratch"]')
    assert reproduce(made(repository, out, program), repo=repository.path).same


def test_lists_of_inputs_come_back(repository: Repository, out: pathlib.Path) -> None:
    program = SCRIPT.replace("Path(table).read_text()", '"".join(Path(path).read_text() for path in table)').replace(
        "save(sys.argv[1],", "save([sys.argv[1], sys.argv[1]],"
    )
    path = made(repository, out, program)
    assert path.read_text().startswith("1,21,2 ")
    assert reproduce(path, repo=repository.path).same


def test_the_reproduced_artifact_is_kept_as_long_as_the_result(repository: Repository, out: pathlib.Path) -> None:
    result = reproduce(made(repository, out), repo=repository.path)
    assert os.path.exists(result.reproduced)


def test_the_repository_is_found_around_the_artifact(repository: Repository) -> None:
    (repository.path / "ignored").mkdir()
    path = made(repository, repository.path / "ignored")
    assert reproduce(str(path)).same
    assert reproduce(f"{path}.pyrepro.json").same


@pytest.mark.parametrize(
    ("name", "module"), [("src/lab/step.py", "lab.step"), ("lab/__init__.py", "lab"), ("step.py", "step")]
)
def test_a_function_of_an_importable_module_is_made_again(
    name: str, module: str, repository: Repository, out: pathlib.Path
) -> None:
    program = SCRIPT + f"\nassert __name__ in ({module!r}, '__main__')\n"
    repository.write(name, program)
    repository.commit()
    root = repository.path / "src" if name.startswith("src") else repository.path
    call = f"import {module} as m; print(m.save(None, {str(out / 'foo.txt')!r}))"
    done = repository.run("-c", call, env={"PYTHONPATH": str(root)})
    assert reproduce(done.stdout.strip(), repo=repository.path).same


def test_a_module_of_the_users_tree_does_not_stand_in_for_the_recorded_one(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(lab__helper="X = 'then'\n")
    program = SCRIPT.replace("import argparse", "from lab.helper import X").replace("{text} ", "{text} {X} ")
    path = made(repository, out, program)
    repository.commit(lab__helper="X = 'now'\n")
    monkeypatch.setenv("PYTHONPATH", str(repository.path))
    assert reproduce(path, repo=repository.path).same


def test_a_declared_code_state_does_not_reach_the_interpreter(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(repository, out)
    monkeypatch.setenv("PYREPRO_CODE_STATE", "0" * 40)
    assert reproduce(path, repo=repository.path).same


def test_a_directory_and_several_artifacts_are_made_again(repository: Repository, out: pathlib.Path) -> None:
    program = """\
import sys
from pathlib import Path
from pyrepro import Artifact

@Artifact(["model", "plots", "log"], record=True)
def save(model, plots, log=None):
    Path(model.decode()).mkdir()
    Path(model.decode(), "part").write_text("part")
    for plot in plots:
        plot.write_text(plot.name[0])

if __name__ == "__main__":
    out = sys.argv[1]
    save(f"{out}/model/".encode(), (Path(out, "a.png"), Path(out, "sub", "a.png"), Path(out, "b.png")))
    print(out)
"""
    made(repository, out, program, out)
    for record in [*out.rglob("*.pyrepro.json")]:
        result = reproduce(record, repo=repository.path)
        assert (result.same, result.original) == (True, str(record).removesuffix(".pyrepro.json"))


def test_a_function_that_is_not_deterministic_is_not_the_same_and_what_differs_around_it_is_said(
    repository: Repository, out: pathlib.Path
) -> None:
    path = made(repository, out, SCRIPT.replace("{text} ", "{__import__('time').time_ns()} "))
    record = pathlib.Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    now = document["environment"]["python"]
    document["environment"]["python"] = "CPython 2.7"
    document["environment"]["packages"] |= {"gone": "1.0", "not-loaded": "1.0"}
    document["environment"]["loaded"].append("gone")
    record.write_text(json.dumps(document))
    result = reproduce(path, repo=repository.path)
    assert not result.same
    assert result.original_sha256 != result.reproduced_sha256
    assert result.environment == {"python": ("CPython 2.7", now), "gone": ("1.0", None)}
    assert str(result) == (
        f"{path} and {result.reproduced} are different\n  {result.differences[0]}\n"
        f"  python: was CPython 2.7, is {now}\n  gone: was 1.0, is missing"
    )


def test_several_reproductions_at_once_do_not_disturb_each_other_or_a_committer(
    repository: Repository, out: pathlib.Path
) -> None:
    path = made(repository, out)
    with ThreadPoolExecutor(6) as pool:
        results = [pool.submit(reproduce, path, repo=repository.path) for _ in range(5)]
        for number in range(5):
            repository.commit(**{f"more{number}": "x = 1\n"})
        assert [result.result().same for result in results] == [True] * 5


def test_code_in_submodules_is_checked_out_too(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for name in ("inner", "absent"):
        lab = repository.clone(tmp_path / name)
        lab.commit(lablib="X = 'of the submodule'\n")
        repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(lab.path), f"sub/{name}")
    program = SCRIPT.replace("import argparse", "sys.path.insert(0, 'sub/inner'); from lablib import X").replace(
        "import sys\n", "", 1
    )
    path = made(repository, out, "import sys\n" + program.replace("{text} ", "{text} {X} "))
    repository.git("submodule", "deinit", "-f", "-q", "sub/absent")
    assert reproduce(path, repo=repository.path).same
    assert Repository(repository.path / "sub" / "inner").git("worktree", "list").count("\n") == 0


def test_a_submodule_that_the_clone_lacks_is_named_with_what_fetches_it(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in {"COUNT": "1", "KEY_0": "protocol.file.allow", "VALUE_0": "always"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{key}", value)
    lab = repository.clone(tmp_path / "lab")
    lab.commit(lablib="X = 1\n")
    for above, below, name in ((lab, lab, "inner"), (repository, lab, "lab")):
        above.git("submodule", "add", "-q", str(below.path), name)
        above.commit()
    program = SCRIPT.replace("from pathlib", "sys.path.insert(0, 'lab/inner')\nfrom lablib import X\nfrom pathlib", 1)
    repository.git("submodule", "update", "-q", "--init", "--recursive")
    path = made(repository, out, program)
    clone = repository.clone(tmp_path / "clone")
    line = f"git -C {clone.path} submodule update --init --recursive -- lab"
    absent = f"its submodule lab is not at hand; type {line}"
    assert refusal(path, repo=clone.path).splitlines()[-1] == absent
    clone.git("submodule", "update", "-q", "--init")
    assert refusal(path, repo=clone.path).splitlines()[-1] == absent
    subprocess.run(shlex.split(line), check=True, capture_output=True)
    assert reproduce(path, repo=clone.path).same
    bare = repository.clone(tmp_path / "bare", "--bare")
    assert refusal(path, repo=bare.path).splitlines()[-1] == "its submodule lab is not at hand"


def test_hooks_of_the_user_are_not_run(repository: Repository, out: pathlib.Path) -> None:
    path = made(repository, out)
    repository.write(".git/hooks/post-checkout", f"#!/bin/sh\ntouch {out}/hook-ran\n").chmod(0o755)
    assert reproduce(path, repo=repository.path).same
    assert not (out / "hook-ran").exists()


INTERRUPTED = """\
import signal, sys
import pyrepro

signal.signal(signal.SIGINT, signal.default_int_handler)  # what the shell's nohup and & have children ignore
try:
    pyrepro.reproduce(sys.argv[1], repo=sys.argv[2])
except KeyboardInterrupt:
    print("interrupted")
"""


@posix_only
def test_an_interrupted_reproduction_leaves_nothing(repository: Repository, out: pathlib.Path) -> None:
    program = SCRIPT.replace(
        "    text =", f"    Path({str(out / 'began')!r}).touch(); __import__('time').sleep(0.2)\n    text ="
    )
    path = made(
        repository,
        out,
        program.replace("sleep(0.2)", "sleep(float('PYREPRO_ALLOW_DIRTY' in __import__('os').environ) * 600)"),
    )
    (out / "began").unlink()
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, path, repository.path], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            wait_until((out / "began").exists, process)
            os.killpg(process.pid, signal.SIGINT)
            output, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert output == b"interrupted\n"


# What cannot come back


def test_a_commit_that_is_not_there_is_to_be_fetched(
    repository: Repository, out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    other = repository.clone(tmp_path / "other")
    repository.git("remote", "add", "origin", "https://example.org/a.git")
    path = made(repository, out)
    assert refusal(path, repo=other.path) == (
        f"the commit {repository.head} is not in {other.path}; "
        f"type git -C {other.path} fetch https://example.org/a.git {repository.head}, or pass repo="
    )


def test_without_a_repository_there_is_nothing_to_run(
    repository: Repository, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(repository, out)
    monkeypatch.chdir(out)
    assert refusal(path) == (
        "no repository was found beside it or around the working directory; pass its path or URL as repo="
    )


def test_a_configuration_that_does_not_come_back_names_what_was_made_instead(
    repository: Repository, out: pathlib.Path
) -> None:
    program = SCRIPT.replace("config=dict", "config=lambda call: {'pid': __import__('os').getpid()}")
    path = made(repository, out, program)
    reason = refusal(path, repo=repository.path)
    document = json.loads(pathlib.Path(f"{path}.pyrepro.json").read_text())
    assert reason.startswith("the configuration of the call hashes to ")
    told = f", but the record says {document['config_hash']}; what else it depends on is not recorded\n"
    assert re.search(re.escape(told) + r"its program did not write it, but foo-\w{12}-\w{12}\.txt$", reason)


def test_a_function_that_is_made_while_a_program_runs_is_called_by_the_program(
    repository: Repository, out: pathlib.Path
) -> None:
    program = SCRIPT.replace("\n\n@Artifact", "\n\ndef make():\n  @Artifact", 1).replace("\ndef save", "\n  def save")
    program = program.replace("\n    ", "\n      ").replace(
        "    return outpath\n", "    return outpath\n  return save\n"
    )
    program = program.replace("print(save(", "print(make()(")
    assert reproduce(made(repository, out, program), repo=repository.path).same


def test_a_function_with_another_name_than_its_own_is_called_by_the_program(
    repository: Repository, out: pathlib.Path
) -> None:
    program = SCRIPT.replace("\n\nif __name__", "\n\nkept, save = save, len\n\nif __name__").replace(
        "print(save(", "print(kept("
    )
    assert reproduce(made(repository, out, program), repo=repository.path).same


def test_a_function_that_fails_says_how(repository: Repository, out: pathlib.Path) -> None:
    program = SCRIPT.replace(
        "    text =", "    1 / ('PYREPRO_ALLOW_DIRTY' not in __import__('os').environ)\n    text ="
    )
    reason = refusal(made(repository, out, program), repo=repository.path)
    first_line = r'Traceback \(most recent call last\):\n  File ".*/code/step\.py", line 1\d, in '
    assert re.match(f"its function failed:\n{first_line}save\n    1 / ", reason)
    assert re.search(f"\nits program failed:\n{first_line}<module>\n    print", reason)
    assert reason.endswith("ZeroDivisionError: division by zero")


def test_a_script_that_can_only_run_as_the_program_is_run_as_the_program(
    repository: Repository, out: pathlib.Path
) -> None:
    program = SCRIPT.replace("import argparse", "if __name__ != '__main__': import no_such_module")
    assert reproduce(made(repository, out, program), repo=repository.path).same


def test_what_cannot_be_imported_says_so(repository: Repository, out: pathlib.Path) -> None:
    program = SCRIPT.replace(
        "import argparse", "import os\nif os.environ.get('PYREPRO_REPRODUCTION'): import no_such_module"
    )
    reason = refusal(made(repository, out, program), repo=repository.path)
    assert "/step.py cannot be imported: ModuleNotFoundError: No module named 'no_such_module'\n" in reason
    assert "its program failed:\nTraceback" in reason
    assert reason.endswith("ModuleNotFoundError: No module named 'no_such_module'")


def test_a_function_typed_in_a_session_is_in_no_file(repository: Repository, out: pathlib.Path) -> None:
    code = SCRIPT.partition("\n\nif __name__")[0] + f"\nprint(save(None, {str(out / 'foo.txt')!r}))"
    done = repository.run("-c", code)
    assert refusal(done.stdout.strip(), repo=repository.path) == (
        "its function was typed in a session, not in a file; put it in one"
    )


def test_a_patch_that_was_left_out_or_never_taken_is_missing(repository: Repository, out: pathlib.Path) -> None:
    path = made(repository, out)
    record = pathlib.Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["code"] |= {"changes": "0" * 64, "patch_size": 11_000_000}
    record.write_text(json.dumps(document))
    ending = "; commit before you make what you keep"
    assert refusal(path, repo=repository.path) == (
        f"the patch of its uncommitted changes is 11000000 bytes long, and was left out{ending}"
    )
    document["code"]["patch_size"] = 0
    record.write_text(json.dumps(document))
    assert refusal(path, repo=repository.path) == f"the patch of its uncommitted changes was not kept{ending}"


def test_changes_of_submodules_are_said_to_be_missing(repository: Repository, out: pathlib.Path) -> None:
    path = made(repository, out)
    record = pathlib.Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["code"] |= {"changes": "0" * 64, "left_out": ["sub/model.py"]}
    record.write_text(json.dumps(document))
    assert refusal(path, repo=repository.path) == "no patch holds the changes of submodules: sub/model.py; commit them"


# Hostile records

OUTSIDE = "diff --git a/{0} b/{0}\nnew file mode 100644\nindex 0000000..d95f3ad\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+content\n"
BEYOND = (
    "diff --git a/link b/link\nnew file mode 120000\nindex 0000000..1a2485c\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n"
    "+{outside}\n\\ No newline at end of file\n" + OUTSIDE.format("link/evil")
)


def test_a_patch_that_leads_elsewhere_or_gives_other_code_is_refused(repository: Repository, out: pathlib.Path) -> None:
    repository.commit(step=SCRIPT)
    repository.write("lib/model.py", "LAYERS = 3\n")
    (out / "table.csv").write_text("1,2")
    path = pathlib.Path(repository.run("step.py", out / "table.csv", out / "foo.txt").stdout.strip())
    repository.git("checkout", "-q", ".")
    assert reproduce(path, repo=repository.path).same
    [file] = out.glob("*.patch")
    for patch in (
        OUTSIDE.format("../evil"),
        OUTSIDE.format("../../../../../../../../tmp/evil"),
        OUTSIDE.format("/tmp/evil"),
        OUTSIDE.format(".git/hooks/evil"),
        BEYOND.replace("{outside}", str(out)),
        BEYOND.replace("{outside}", ".git/hooks"),
        OUTSIDE.format("more.py"),
        "",
        "no patch",
    ):
        file.write_text(patch)
        before = sorted(out.iterdir())
        refusal(path, repo=repository.path)
        assert sorted(out.iterdir()) == before
        assert not os.path.exists("/tmp/evil")
        assert not (repository.path / ".git" / "hooks" / "evil").exists()
    file.unlink()
    assert refusal(path, repo=repository.path).startswith("its patch cannot be read: [Errno 2]")


@pytest.mark.parametrize("module", ["../step.py", "/etc/hostname", "gone.py", "lib", "link-out.py"])
def test_a_module_outside_the_commit_is_not_run(module: str, repository: Repository, out: pathlib.Path) -> None:
    (repository.path / "link-out.py").symlink_to("/etc/hostname")
    path = made(repository, out)
    record = pathlib.Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["code"]["module"] = module
    record.write_text(json.dumps(document))
    assert refusal(path, repo=repository.path) == f"its function is in {module}, which the commit does not hold"


@pytest.mark.parametrize("outpath", ["../../foo.txt", "/etc/foo.txt", "~/foo.txt"])
def test_an_output_path_that_leads_elsewhere_stays_where_reproductions_go(
    outpath: str, repository: Repository, out: pathlib.Path
) -> None:
    path = made(repository, out)
    record = pathlib.Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["call"]["paths"]["outpath"] = outpath
    record.write_text(json.dumps(document))
    before = sorted([*pathlib.Path("/etc").glob("foo*"), *pathlib.Path("~").expanduser().glob("foo*")])
    assert reproduce(path, repo=repository.path).same
    assert sorted([*pathlib.Path("/etc").glob("foo*"), *pathlib.Path("~").expanduser().glob("foo*")]) == before


@pytest.mark.parametrize("outpath", ["../../evil.txt", "/etc/evil.txt", "~/evil.txt", "..", "/"])
def test_an_output_path_that_does_not_become_the_name_is_refused(
    outpath: str, repository: Repository, out: pathlib.Path
) -> None:
    path = made(repository, out)
    record = pathlib.Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["call"]["paths"]["outpath"] = outpath
    record.write_text(json.dumps(document))
    assert refusal(path, repo=repository.path) == (f"its function was given {outpath!r}, which does not give this name")
    assert not os.path.exists("/etc/evil.txt")


@pytest.mark.parametrize("name", ["../../../outside", "{out}/outside"])
def test_a_name_of_a_parameter_makes_no_directory_elsewhere(
    name: str, repository: Repository, out: pathlib.Path
) -> None:
    path = made(repository, out)
    record = pathlib.Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["call"]["program"] = None
    document["call"]["paths"][name.format(out=out)] = "foo.txt"
    record.write_text(json.dumps(document))
    with pytest.raises(
        RecordError, match=re.escape(f"record['call']['paths'] {name.format(out=out)!r} does not match ")
    ):
        reproduce(path, repo=repository.path)
    assert not (out / "outside").exists()


def test_a_parameter_that_the_function_does_not_have_is_refused(repository: Repository, out: pathlib.Path) -> None:
    path = made(repository, out)
    record = pathlib.Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["call"]["program"] = None
    document["call"]["paths"]["other"] = "foo.txt"
    record.write_text(json.dumps(document))
    assert refusal(path, repo=repository.path).startswith("__main__:save has no parameter 'other'")


def test_without_a_record_there_is_nothing_to_go_by(out: pathlib.Path) -> None:
    with pytest.raises(RecordError):
        reproduce(out / "foo.txt")
