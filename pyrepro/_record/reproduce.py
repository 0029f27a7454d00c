"""reproduce: a record and a commit -> the artifact, made again.

Sources: git-worktree(1), git-apply(1).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from typing import Any

from pyrepro._code import state as _code
from pyrepro._code import work_tree as _work_tree
from pyrepro._code.git import run_git
from pyrepro._code.state import SESSION
from pyrepro._config.file_hash import digests_of, file_hash
from pyrepro._paths import is_inside, paths_in
from pyrepro._record.environment import packages_now, python_now
from pyrepro._record.record import Record, read_record
from pyrepro._value import Value
from pyrepro.errors import CodeStateError, ConfigError, ReproduceError


class Reproduction(Value):
    """An artifact that was made again, beside the recorded one. It is kept as long as this object is.

    Attributes:
        original: the path of the recorded artifact.
        reproduced: the path of the one that was made again.
        original_sha256: the recorded digest, of a directory by file.
        reproduced_sha256: the digest of the one that was made again.
        same: whether they are the same bytes.
        environment: by name, what differs: what it was, and what it is now, None where it is missing.
    """

    original: str
    reproduced: str
    original_sha256: str | dict[str, str]
    reproduced_sha256: str | dict[str, str]
    same: bool
    environment: dict[str, tuple[str | None, str | None]]

    def __str__(self) -> str:
        lines = [
            f"{self.original} and {self.reproduced} are {'the same bytes' if self.same else 'different'}",
            *(
                f"  {name}: was {then or 'missing'}, is {now or 'missing'}"
                for name, (then, now) in self.environment.items()
            ),
        ]
        return "\n".join(lines)


def reproduce(path: str | bytes | os.PathLike[Any], *, repo: str | os.PathLike[str] | None = None) -> Reproduction:
    """Make an artifact again, by the code and the configuration that its record names.

    The code of the record's commit and patch is run in a temporary work tree
    and a fresh interpreter: reproduce what you trust only.

    Args:
        path: the artifact, or its record.
        repo: a path in the repository that holds the commit, where that is neither
            the one that holds the artifact nor that of the working directory.

    Returns:
        Both artifacts compared.

    Raises:
        RecordError: the record does not exist, or cannot be read.
        ReproduceError: the artifact cannot be made again; the message says why.
        TypeError: what was passed is not a path.
    """
    import tempfile

    record = read_record(path)
    # In this order: nothing is written or run before all that it needs is known to be there.
    _refuse_incomplete(record)
    top = _repository(record, repo)
    inputs = {name: _unchanged_input(record, name, entry, top) for name, entry in record.inputs.items()}
    # Apart from the work tree, which is removed before the artifact is compared.
    kept = tempfile.mkdtemp(prefix="pyrepro-")
    try:
        with _code_of(record, top) as code:
            written = _make_again(record, code, inputs, kept)
    except BaseException:  # KeyboardInterrupt too: without a Reproduction nothing else removes the directory
        shutil.rmtree(kept, ignore_errors=True)
        raise
    sha256 = digests_of(written)
    reproduction = Reproduction(
        original=os.path.join(os.path.dirname(record.path), record.artifact["name"]),
        reproduced=written,
        original_sha256=record.artifact["sha256"],
        reproduced_sha256=sha256,
        same=sha256 == record.artifact["sha256"],
        environment=_differences(record),
    )
    weakref.finalize(reproduction, shutil.rmtree, kept, ignore_errors=True)
    return reproduction


def _reproduce_error(record: Record, reason: str) -> ReproduceError:
    return ReproduceError(f"{record.artifact['name']} cannot be made again: {reason}", path=record.path)


def _refuse_incomplete(record: Record) -> None:
    code, call = record.code, record.call
    # Before the submodules: what was typed is in left_out, too, and cannot be committed.
    if SESSION in code["left_out"] or code["module"] is None:
        raise _reproduce_error(record, "its function was typed in a session, and is in no file; put it in one")
    if code["left_out"]:
        raise _reproduce_error(
            record, f"no patch holds the changes of submodules: {', '.join(code['left_out'])}; commit them"
        )
    # A patch can be too large to be kept; the commit alone would run other code than was recorded.
    if code["changes"] is not None and code["patch"] is None:
        size = f"is {code['patch_size']} bytes long, and was left out" if code["patch_size"] else "was not kept"
        raise _reproduce_error(
            record, f"the patch of its uncommitted changes {size}; commit before you make what you keep"
        )
    # With a value that JSON changed, or without one, it would be another call.
    for names, found in ((call["inexact"], "not recorded exactly"), (sorted(call["unrecorded"]), "not recorded")):
        if names:
            raise _reproduce_error(
                record, f"the arguments {', '.join(names)} were {found}; pass plain values, or name files in inputs"
            )


def _repository(record: Record, repo: str | os.PathLike[str] | None) -> str:
    commit = record.code["commit"]
    looked_at = []
    for place in [os.fspath(repo)] if repo is not None else [os.path.dirname(os.path.abspath(record.path)), os.curdir]:
        # A place in no repository, or in one without the commit: the next may have it.
        with contextlib.suppress(CodeStateError):
            top = _code.work_tree_of(place)
            # Before the commit is looked for, so that the error can name each repository that does not have it.
            looked_at.append(top)
            run_git(top, ["cat-file", "-e", f"{commit}^{{commit}}"])
            return top
    if not looked_at:
        raise _reproduce_error(record, "no repository was found beside it or around the working directory; pass repo=")
    source = record.code["remote"] or "<where it was committed>"
    raise _reproduce_error(
        record,
        f"the commit {commit} is not in {' or '.join(dict.fromkeys(looked_at))}; "
        f"type git -C {looked_at[0]} fetch {source} {commit}, or pass repo=",
    )


def _unchanged_input(record: Record, name: str, entry: Any, top: str) -> Any:
    """The path of an input, whose content is what was recorded; of several, a list or a dict of them."""
    if isinstance(entry, list):
        if any("key" in item for item in entry):
            return {item["key"]: _unchanged_input(record, name, item, top) for item in entry}
        return [_unchanged_input(record, name, item, top) for item in entry]
    if entry is None or entry["hash"] is None:
        return None
    if entry["path"] is None:
        raise _reproduce_error(
            record, f"its input {name} was data in memory, which no record holds; write it to a file, and pass that"
        )
    path = os.path.join(top, os.path.expanduser(entry["path"]))
    # Before the call: with other content another artifact is certain, after a run that may take hours.
    try:
        found = file_hash(path)
    except (OSError, ConfigError, ValueError) as error:
        raise _reproduce_error(record, f"its input {name} cannot be read: {error}; put it back") from error
    if found != entry["hash"]:
        raise _reproduce_error(
            record, f"its input {name}, {path}, has changed: it was {entry['hash']}, and is {found}; put it back"
        )
    return path


@contextlib.contextmanager
def _code_of(record: Record, top: str) -> Iterator[str]:
    """A work tree of the code that the record names; nothing of it stays behind."""
    import tempfile

    code = record.code
    with tempfile.TemporaryDirectory(prefix="pyrepro-") as scratch, contextlib.ExitStack() as stack:
        # The real path, which files are compared with: the temporary directory can be behind a link.
        tree = os.path.join(os.path.realpath(scratch), "code")
        _check_out(record, top, code["commit"], tree, stack)
        if code["patch"] is not None:
            _apply_patch(record, code["patch"], tree)
        yield tree


def _check_out(record: Record, top: str, commit: str, tree: str, stack: contextlib.ExitStack) -> None:
    """Check a commit out into a work tree of its own, with those of its submodules that the repository has."""
    # Hooks off: post-checkout would run code of the repository that is not the function's.
    add = ["-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--quiet", "--detach", tree, commit]
    # Registered before the add, so that what an interrupted one leaves is removed, too. The stack unwinds in reverse:
    # submodules are removed before the tree that holds them.
    stack.callback(_remove_work_tree, top, tree)
    waits = [0.4, 0.2, 0.1, 0.05]
    while True:
        try:
            run_git(top, add)
            break
        except CodeStateError as error:
            # Git reads all work trees of the repository, and fails at one that another call is adding at this moment.
            if not waits or "worktrees" not in str(error):
                raise _reproduce_error(record, str(error)) from error
            time.sleep(waits.pop())
    for path, submodule in _work_tree.submodules_of(tree):
        # A submodule that was never fetched cannot be checked out here, and the function may not need it.
        if os.path.lexists(os.path.join(top, path, ".git")):
            _check_out(record, os.path.join(top, path), submodule, os.path.join(tree, path), stack)


def _remove_work_tree(top: str, tree: str) -> None:
    # A failure must not hide the error that led here; the files go with the temporary directory.
    # --force twice: once for the changes of the patch, again for the lock of an add that was interrupted.
    with contextlib.suppress(CodeStateError):
        run_git(top, ["worktree", "remove", "--force", "--force", tree])


def _apply_patch(record: Record, patch: str, tree: str) -> None:
    code = record.code
    try:
        with open(os.path.join(os.path.dirname(os.path.abspath(record.path)), patch), "rb") as file:
            content = file.read()
    except OSError as error:
        raise _reproduce_error(record, f"its patch cannot be read: {error}; put it back beside the record") from error
    # Git refuses paths that lead out of the work tree, into .git, or beyond a link. --index, so that new files count as
    # changes; --whitespace, since apply.whitespace of the user could change or refuse the patch.
    _git_for_record(record, tree, ["apply", "--index", "--binary", "--whitespace=nowarn", "-"], stdin=content)
    # The patch may have been edited, or be that of another commit: only the recorded state is run.
    state = _code.state_of_work_tree(tree)
    if (state.commit, state.changes) != (code["commit"], code["changes"]):
        raise _reproduce_error(
            record,
            f"its patch {patch} gives the changes {state.changes}, and the record names {code['changes']}",
        )


def _git_for_record(record: Record, top: str, command: list[str], stdin: bytes | None = None) -> None:
    try:
        run_git(top, command, stdin=stdin)
    except CodeStateError as error:
        raise _reproduce_error(record, str(error)) from error


def _make_again(record: Record, tree: str, inputs: dict[str, Any], kept: str) -> str:
    """Call the function in a fresh interpreter; the path of the artifact that it wrote."""
    file = _function_file(record, tree)
    paths = {name: _placed(argument, kept, name) for name, argument in record.call["paths"].items()}
    answer = os.path.join(kept, "answer.json")
    request = _worker_request(record, tree, file, paths | inputs, answer)
    finished = _run_worker(request, tree)
    written = _written_paths(record, answer, finished)
    return _artifact_among(record, paths, written)


def _function_file(record: Record, tree: str) -> str:
    module = record.code["module"]
    assert module is not None  # _refuse_incomplete has refused code that was typed
    file = os.path.realpath(os.path.join(tree, module))
    # A record can be edited: a path with .. or through a link must not run code from elsewhere.
    if not is_inside(file, tree) or not os.path.isfile(file):
        raise _reproduce_error(record, f"its function is in {module}, which the commit does not hold")
    return file


def _import_root(function: str, file: str) -> str:
    """The directory from which the module of a function is imported by its full name."""
    module = function.partition(":")[0]
    # A script has no package above it; a package's own module is one directory deeper than its name tells.
    steps = 0 if module == "__main__" else module.count(".") + (os.path.basename(file) == "__init__.py")
    root = os.path.dirname(file)
    for _ in range(steps):
        root = os.path.dirname(root)
    return root


def _worker_request(record: Record, tree: str, file: str, paths: dict[str, Any], answer: str) -> dict[str, Any]:
    """What the worker reads from standard input."""
    call = record.call
    # Defaults are left to the function: the recorded form of one may not give it back as it was.
    defaults = {*call["defaults"]}
    return {
        "file": file,
        "function": call["function"],
        "tree": tree,
        # The root first, as it was when the function was imported; the tree for modules at its top.
        "path": list(dict.fromkeys([_import_root(call["function"], file), tree])),
        "argv": call["argv"],
        "arguments": {name: value for name, value in call["arguments"].items() if name not in defaults},
        "paths": paths,
        "types": call["types"],
        "config_hash": record.config_hash,
        "answer": answer,
    }


def _run_worker(request: dict[str, Any], tree: str) -> subprocess.CompletedProcess[bytes]:
    import json

    # A declared state would stand in the tag in place of that of the recorded code.
    environment = {name: value for name, value in os.environ.items() if name != "PYREPRO_CODE_STATE"}
    # The patch makes the tree dirty, as it was then; bytecode of a temporary tree is of no use to anyone.
    environment |= {"PYREPRO_ALLOW_DIRTY": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pyrepro._record.worker"],
        input=json.dumps(request).encode(),
        # Outside of the tree: -m searches the working directory first, and the tree may hold a pyrepro or a json.py.
        cwd=os.path.dirname(tree),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,  # the answer says whether it succeeded, and a function may set any exit status
    )


def _written_paths(record: Record, answer: str, finished: subprocess.CompletedProcess[bytes]) -> list[str | None]:
    """The paths in the worker's answer."""
    import json

    try:
        with open(answer, encoding="utf-8") as file:
            answered = json.load(file)
    except OSError:
        # Without an answer the worker was ended by an exception, an exit or a signal: its output tells which.
        output = finished.stdout.decode(errors="replace").strip()
        raise _reproduce_error(record, f"its function failed:\n{output or finished.returncode}") from None
    if "refusal" in answered:
        raise _reproduce_error(record, answered["refusal"])
    written: list[str | None] = answered["written"]
    return written


def _placed(argument: Any, kept: str, name: str) -> Any:
    """Plain paths of the same names, each in a directory of its own."""
    if isinstance(argument, list):
        return [_placed(item, kept, f"{name}-{index}") for index, item in enumerate(argument)]
    if argument is None:
        return None
    directory = os.path.join(kept, name)
    os.makedirs(directory, exist_ok=True)
    stripped = argument.rstrip("/")
    return os.path.join(directory, os.path.basename(stripped)) + argument[len(stripped) :]


def _artifact_among(record: Record, paths: dict[str, Any], written: list[str | None]) -> str:
    """Which of the paths that were written is the record's artifact."""
    plain = [path for argument in paths.values() for path in paths_in(argument)]
    for one, other in zip(plain, filter(None, written), strict=True):
        name = os.path.basename(record.tag.put(one).rstrip("/"))
        # A function may leave out one of its paths.
        if name == record.artifact["name"] and os.path.exists(other):
            return other.rstrip("/")
    raise _reproduce_error(
        record, f"its function did not write it, but {', '.join(filter(None, written)) or 'nothing'}"
    )


def _differences(record: Record) -> dict[str, tuple[str | None, str | None]]:
    then = {name: record.environment[name] for name in ("python", "platform")} | record.environment["packages"]
    now: dict[str, Any] = {**python_now()} | packages_now(record.environment["packages"])
    return {name: (then[name], now.get(name)) for name in then if then[name] != now.get(name)}
