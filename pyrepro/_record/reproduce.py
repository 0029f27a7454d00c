"""reproduce: a record and a repository -> the artifact, made again."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import weakref
from collections.abc import Mapping
from typing import Any

from pyrepro._code.state import SESSION
from pyrepro._config.file_hash import digests_of
from pyrepro._paths import paths_in
from pyrepro._record.checkout import absent_submodules, check_out, repository_of, reproduce_error
from pyrepro._record.comparison import Compare, Reproduction, compared, lines_of
from pyrepro._record.environment import packages_of_process
from pyrepro._record.fetch import fetch_with_record
from pyrepro._record.inputs import Inputs
from pyrepro._record.interpreter import COMES_ALONG, interpreter_for
from pyrepro._record.record import Record, original_of, printable, read_record
from pyrepro._record.request import CALL, PROGRAM, Making, request_of
from pyrepro._record.run import run_worker
from pyrepro._stores import is_in_store
from pyrepro.errors import CodeStateError, PyreproError, ReproduceError

Path = str | bytes | os.PathLike[Any]


def reproduce(
    path: Path,
    repo: str | os.PathLike[str] | None = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
    python: str | os.PathLike[str] | None = None,
    environment: str | None = None,
    to: Path | None = None,
    compare: Compare | None = None,
) -> Reproduction:
    """Make an artifact again, by the code and the configuration that its record names.

    The code of the record's commit and patch is run in a temporary clone
    and a fresh interpreter: reproduce only what you trust.

    Args:
        path: the artifact, or its record; local, or in a store as a URL or a UPath, of which a copy is compared.
        repo: a path in a repository that holds the commit, or its URL, where it is neither
            the one that holds the artifact nor that of the working directory.
        inputs: by parameter, where its inputs are here; a list of paths for a list. Others are looked for where they
            were, in the commit and beside the artifact, and made again where they have a record.
        arguments: by parameter, those that were not recorded.
        python: the interpreter that runs it; this one by default.
        environment: ``"recorded"`` for a virtual environment of the recorded versions, made for this call from the
            commit's lock file or from the record, by uv where it is installed, else by pip.
        to: where to keep the result: a directory, or a path that does not exist.
        compare: a function of two paths, the original and the one that was made again, that says whether they are the
            same where their bytes are not, as for formats that carry a date.

    Returns:
        Both artifacts compared.

    Raises:
        RecordError: the record does not exist, or cannot be read.
        ReproduceError: the artifact cannot be made again; the message says why, and which versions differ.
        TypeError: what was passed is not a path.
        ValueError: ``environment`` is something else, or is given together with ``python``.

    Example:
        ``pyrepro.reproduce("bills-430ca4533bcd-b4b793cf7d2d.png", "https://example.org/lab.git").same``
    """
    if environment not in (None, "recorded"):
        raise ValueError(f"environment={environment!r} is not 'recorded'; pass that, or None for this interpreter's")
    if environment is not None and python is not None:
        raise ValueError("python= and environment='recorded' both choose the interpreter; pass one of them")
    making = Making(
        repo=None if repo is None else os.path.expanduser(os.fsdecode(repo)),
        inputs=dict(inputs or {}),
        arguments=dict(arguments or {}),
        python=None if python is None else os.path.expanduser(os.fsdecode(python)),
        uses_recorded=environment is not None,
    )
    fetched = fetch_with_record(path) if is_in_store(path) else None
    try:
        made = _reproduction(path if fetched is None else fetched, making, to, compare)
    except BaseException:
        if fetched is not None:
            shutil.rmtree(os.path.dirname(fetched), ignore_errors=True)
        raise
    if fetched is not None:
        weakref.finalize(made, shutil.rmtree, os.path.dirname(fetched), ignore_errors=True)
    return made


def _reproduction(path: Any, making: Making, to: Any, compare: Compare | None) -> Reproduction:
    record = read_record(path)
    kept = None if to is None else _free_place(record, os.fsdecode(to))
    try:
        made, scratch, differences = _made_again(record, making, ())
    except PyreproError:
        raise
    except (OSError, RecursionError, ValueError) as error:
        # What a record says can be too long for a file system, too deep, or of no meaning to it.
        raise reproduce_error(record, f"{type(error).__name__}: {error}") from error
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        if kept is not None:
            try:
                _copy(made, kept)
            except OSError as error:
                stack.pop_all()  # it may have taken hours: it stays where it is
                text = f"{made} was made again, but cannot be copied to {kept}: {error}; move it from there"
                raise ReproduceError(printable(text), path=record.path) from error
        reproduction = compared(record, original_of(record, path), kept or made, differences, compare)
        if kept is None:
            weakref.finalize(reproduction, stack.pop_all().close)
    return reproduction


def _free_place(record: Record, to: str) -> str:
    """Where the result is to be kept; refused before the work where something is there."""
    place = os.path.join(to, record.artifact["name"]) if os.path.isdir(to) or to.endswith(os.sep) else to
    place = os.path.abspath(place)
    if os.path.lexists(place):
        raise reproduce_error(record, f"to= leads to {place}, where something is already; pass another path")
    return place


def _copy(made: str, place: str) -> None:
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if os.path.isdir(made):
        shutil.copytree(made, place, symlinks=True)
    else:
        # Not over what was put there while it was made.
        with open(made, "rb") as source, open(place, "xb") as copy:
            shutil.copyfileobj(source, copy)


def _made_again(record: Record, making: Making, above: tuple[str, ...]) -> tuple[str, str, Any]:
    """The path of an artifact that was made again, the directory that holds it, and what differs in the environment."""
    import tempfile

    _refuse_incomplete(record)
    # The real path, which files are compared with: the temporary directory can be behind a link.
    scratch = os.path.realpath(tempfile.mkdtemp(prefix="pyrepro-"))
    try:
        # In this order: nothing is run before all that it needs is known to be there.
        repository = repository_of(record, making.repo, scratch)
        tree = os.path.join(scratch, "code")
        check_out(record, repository, tree)

        def again(path: str) -> str:
            return _input_again(record, path, making, (*above, os.path.realpath(record.path)), scratch)

        sources = Inputs(record, making.inputs, repository.top, tree, again)
        found = sources.found()
        interpreter = interpreter_for(record, making, tree, scratch)
        made, differences = _run(record, making, tree, repository.top, found, sources, interpreter)
        kept = os.path.join(scratch, "artifact")
        os.mkdir(kept)
        _move_with_side_files(record, made, kept)
        _remove_all_but(scratch, "artifact")
    except BaseException:  # KeyboardInterrupt too: without a Reproduction nothing else removes the directory
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return os.path.join(kept, record.artifact["name"]), scratch, differences


def _input_again(record: Record, path: str, making: Making, above: tuple[str, ...], scratch: str) -> str:
    """An input of a record, made again from its own."""
    if os.path.realpath(path) in above:
        raise reproduce_error(record, f"its input {path} is made from itself; take the record from a backup")
    made, theirs, _ = _made_again(read_record(path), making._replace(inputs={}, arguments={}), above)
    # Below what this call removes in any case.
    kept = os.path.join(scratch, "inputs", os.path.basename(theirs))
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    shutil.move(theirs, kept)
    return os.path.join(kept, os.path.relpath(made, theirs))


def _refuse_incomplete(record: Record) -> None:
    code = record.code
    # Before the submodules: what was typed is in left_out, too, and cannot be committed.
    if SESSION in code["left_out"] or code["module"] is None:
        raise reproduce_error(record, "its function was typed in a session, not in a file; put it in one")
    if code["left_out"]:
        names = ", ".join(map(printable, code["left_out"]))
        raise reproduce_error(record, f"no patch holds the changes of submodules: {names}; commit them")
    # A patch can be too large to be kept; the commit alone would run other code than was recorded.
    if code["changes"] is not None and code["patch"] is None:
        size = f"is {code['patch_size']} bytes long, and was left out" if code["patch_size"] else "was not kept"
        raise reproduce_error(
            record, f"the patch of its uncommitted changes {size}; commit before you make what you keep"
        )
    given = [path for argument in record.call["paths"].values() for path in paths_in(argument)]
    if not any(_is_name_of(record, path) for path in given):
        raise reproduce_error(
            record,
            f"its function was given {', '.join(map(repr, given)) or 'no path'}, which does not give this name",
        )


def _is_name_of(record: Record, path: str) -> bool:
    try:
        return os.path.basename(record.tag.put(path).rstrip("/")) == record.artifact["name"]
    except ValueError:  # no path of an artifact
        return False


def _run(
    record: Record,
    making: Making,
    tree: str,
    top: str | None,
    inputs: Mapping[str, Any],
    sources: Inputs,
    interpreter: str,
) -> tuple[str, dict[str, tuple[str | None, str | None]]]:
    """Make the artifact by its function alone; where that fails, or makes another, by the program that called it."""
    reasons: list[str] = []
    answer: dict[str, Any] = {}
    made: dict[str, Any] | None = None
    for way in (CALL, PROGRAM):
        request = request_of(record, making, way, tree, top, inputs, sources)
        if isinstance(request, str):
            reasons.append(request)
            continue
        answer = run_worker(record, request, interpreter)
        if "written" not in answer:
            reasons.append(answer["refusal"])
        elif made is None or digests_of(answer["written"]) == record.artifact["sha256"]:
            made = answer
        # A seed or a global that the program sets is in no argument: only the program can tell.
        if answer.get("final") or (made is not None and digests_of(made["written"]) == record.artifact["sha256"]):
            break
    if made is not None:
        return made["written"], _differences(record, made["environment"])
    text = "\n".join(dict.fromkeys(reasons))
    for package, state in record.code["others"].items():
        if f"No module named {package!r}" in text:
            text += f"\n{package} was loaded from another work tree, at {state}; clone it, and put it into PYTHONPATH"
    with contextlib.suppress(CodeStateError):  # the program may have done away with the clone
        for path in absent_submodules(tree):
            text += f"\nits submodule {path} is not at hand"
            if top is not None:
                command = ["git", "-C", top, "submodule", "update", "--init", "--recursive", "--", path]
                text += f"; type {shlex.join(command)}"
    now = answer.get("environment")
    differences = lines_of(_differences(record, now)) if now else []
    if differences:
        text += "\nwhat differs from the recorded environment, which environment='recorded' makes again:\n  "
        text += "\n  ".join(differences)
    raise reproduce_error(record, text)


def _differences(record: Record, now: Mapping[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    """What differs in the environments; of the packages, those that either has loaded, those that both have first."""
    then: Mapping[str, Any] = {**record.environment}
    found: dict[str, tuple[str | None, str | None]] = {
        name: (then[name], now[name]) for name in ("python", "platform") if then[name] != now[name]
    }
    (packages, loaded), (installed, present) = _by_normal_name(then), _by_normal_name(now)
    # This very library has run, whatever is installed there, and what it needs came along where it was missing.
    ours, _ = _by_normal_name(packages_of_process())
    came_along = {name: ours[name] for name in COMES_ALONG if name in ours}
    versions_now = {**came_along, **installed, "pyrepro": ours.get("pyrepro")}
    names = {**loaded, **present}
    both = loaded.keys() & present.keys()
    for name in [*sorted(both), *sorted(loaded.keys() - both), *sorted(present.keys() - both)]:
        versions = packages.get(name), versions_now.get(name)
        if versions[0] != versions[1]:
            found[names[name]] = versions
    return found


def _by_normal_name(environment: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """The versions of an environment, and the names of what is loaded, by what indexes take for the same name."""
    # Source: the specification of names and normalization, PEP 503.
    loaded = {re.sub(r"[-_.]+", "-", name).lower(): name for name in environment["loaded"]}
    versions = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in environment["packages"].items()}
    return versions, loaded


def _move_with_side_files(record: Record, made: str, kept: str) -> None:
    """Take an artifact, and what carries its tag beside it, out of the directory that is removed."""
    directory, name = os.path.split(made)
    for one in os.listdir(directory):
        if one == name or str(record.tag) in one:
            shutil.move(os.path.join(directory, one), os.path.join(kept, one))


def _remove_all_but(directory: str, name: str) -> None:
    for one in os.listdir(directory):
        if one != name:
            path = os.path.join(directory, one)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)
