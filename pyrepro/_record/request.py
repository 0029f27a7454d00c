"""A record and a clone -> what the worker is to do: nothing of it leads out of the clone."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Mapping
from typing import Any, NamedTuple

from pyrepro._code.git import run_git
from pyrepro._config.companions import companions_of
from pyrepro._config.file_hash import LEFT_OUT
from pyrepro._paths import is_inside, paths_in
from pyrepro._record.checkout import reproduce_error
from pyrepro._record.cleaning import with_home
from pyrepro._record.inputs import Inputs
from pyrepro._record.record import Record, printable
from pyrepro._record.secrets import WITHHELD
from pyrepro._record.typed import UnrecordedError, is_exact, typed_form

_logger = logging.getLogger("pyrepro")

CALL, PROGRAM = "call", "program"
"""The ways to make an artifact again: its function alone, or the program that called it."""

_NAME = re.compile(r"[^\W\d]\w*")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class Making(NamedTuple):
    """What the user says of how an artifact is made again."""

    repo: str | None
    inputs: dict[str, Any]
    arguments: dict[str, Any]
    python: str | None
    uses_recorded: bool


class _Places(NamedTuple):
    """Where the recorded files are in a clone: those of a declared state stood in no known work tree."""

    tree: str
    then: str  # a recorded directory
    now: str  # the directory of the clone that it is

    def of(self, path: str) -> str | None:
        """The real path in the clone of a recorded one, None of one that is not in it."""
        if not _is_absolute(path):
            place = os.path.join(self.tree, path)
        elif self.then and (path == self.then or is_inside(path, self.then)):
            place = os.path.join(self.now, path[len(self.then) :].lstrip("/"))
        else:
            return None
        # A record can be edited: a path with .. or through a link must not lead elsewhere.
        real = os.path.realpath(place)
        return real if real == self.tree or is_inside(real, self.tree) else None


def request_of(
    record: Record,
    making: Making,
    way: str,
    tree: str,
    top: str | None,
    inputs: Mapping[str, Any],
    sources: Inputs,
) -> dict[str, Any] | str:
    """What the worker reads.

    Args:
        record: the record.
        making: what the user says.
        way: ``CALL`` or ``PROGRAM``.
        tree: the clone.
        top: the user's work tree, None where there is none.
        inputs: the paths of the inputs by parameter.
        sources: where they were found.

    Returns:
        The request, or why this way does not lead to the artifact.

    Raises:
        ReproduceError: the function is in no file of the commit.
    """
    scratch = os.path.join(os.path.dirname(tree), way)
    os.makedirs(scratch)
    code, call = record.code, record.call
    file, known = _function_file(record, tree)
    if file is None and way == CALL:
        return _not_in_commit(code["module"])
    roots = [root for root in map(known.of, code["path"]) if root is not None]
    late = [root for root in map(known.of, code["path_late"]) if root is not None]
    own = _packages_of(code["packages"], known, os.path.join(scratch, "own"))
    name = code["import"]  # type: ignore[typeddict-item]
    if name is not None and file is not None and _module_file(name, [own, *roots, *late]) is None:
        roots.append(_import_root(name, file, tree))
    program = _program(record, known, [own, *roots, *late]) if way == PROGRAM else None
    if isinstance(program, str):
        return program
    if way == CALL and name is not None and _module_file(name, [own, *roots, *late]) != file:
        return f"the module {name} of its function is not {printable(code['module'] or '')} in the commit"
    reason = "\n".join(sources.missing) or _missing(record, making) if way == CALL else None
    if reason is not None:
        return reason
    typed, given = _arguments_of_user(record, making)
    directory = known.of(call["directory"] or ".")
    is_there = directory is not None and os.path.isdir(directory)
    _lay_inputs(sources.places, tree)
    return {
        "scratch": scratch,
        "answer": os.path.join(scratch, "answer.json"),
        "tree": tree,
        "top": top,
        "artifact": record.artifact["name"],
        "sha256": record.artifact["sha256"],
        "commit": code["commit"],
        "changes": code["changes"],
        "others": code["others"],
        "config_hash": record.config_hash,
        "file": file,
        "import": name,
        "function": call["function"],
        "qualname": call["function"].partition(":")[2],
        "own": [own],
        "path": [own, *roots],
        "late": late,
        "roots": [own, *roots, *late],
        "directory": directory if is_there else tree,
        "argv": _argv(record, program),
        "program": program,
        "paths": call["paths"] if way == PROGRAM else None,
        "passed": call["arguments"],
        # Defaults are left to the function: the recorded form of one may not give it back as it was.
        "arguments": {
            name: with_home(value)
            for name, value in call["arguments"].items()
            if name not in {*call["defaults"], *call["typed"], *call["unrecorded"]}
        }
        | given,
        "typed": with_home(call["typed"]) | typed,
        "arguments_of_paths": {
            # By their numbers: a record can be edited, and a name must not lead out of the directory.
            **{name: _placed(path, scratch, str(number)) for number, (name, path) in enumerate(call["paths"].items())},
            **inputs,
        },
        "types": call["types"],
        "inputs": {name: paths_in(argument) for name, argument in inputs.items()},
        "in_memory": sources.in_memory,
        "given": [*making.arguments],
        "places": sources.places,
        "flags": call["flags"],
        "hash_seed": call["hash_seed"],
        "timezone": call["timezone"],
    }


def _is_absolute(path: str) -> bool:
    return os.path.isabs(path) or path.startswith("~/")


def _function_file(record: Record, tree: str) -> tuple[str | None, _Places]:
    module = record.code["module"]
    assert module is not None  # what was typed is refused before
    known = _Places(tree, "", "")
    if _is_absolute(module):
        if record.code["declared"]:
            known = _places_by_module(record, module, tree)
        elif record.code["import"] is not None:  # type: ignore[typeddict-item]
            # A function of an installed package, as np.savetxt: the program that decorates it knows it.
            return None, known
    file = known.of(module)
    if file is None or not os.path.isfile(file):
        raise reproduce_error(record, _not_in_commit(module))
    return file, known


def _not_in_commit(module: str | None) -> str:
    return f"its function is in {printable(module or '')}, which the commit does not hold"


def _places_by_module(record: Record, module: str, tree: str) -> _Places:
    """Where the files of a declared state are, as of a container: by the file of the commit that ends as this one."""
    steps = module.split("/")
    imported = record.code["import"]  # type: ignore[typeddict-item]
    least = 1 if imported is None else imported.count(".") + 1 + (steps[-1] == "__init__.py")
    files = [os.fsdecode(path).split("/") for path in run_git(tree, ["ls-files", "-z"]).split(b"\0")[:-1]]
    lengths = {tuple(file): _common_end(file, steps) for file in files}
    most = max(lengths.values(), default=0)
    best = [file for file, length in lengths.items() if length == most]
    if most < least:
        raise reproduce_error(record, _not_in_commit(module))
    if len(best) > 1:
        names = ", ".join("/".join(file) for file in sorted(best))
        text = f"its function is in {printable(module)}, which could be any of several files of the commit: {names}"
        raise reproduce_error(record, text)
    return _Places(
        tree, "/".join(steps[: len(steps) - most]) or "/", os.path.join(tree, *best[0][: len(best[0]) - most])
    )


def _common_end(one: list[str], other: list[str]) -> int:
    number = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        number += 1
    return number


def _import_root(name: str, file: str, tree: str) -> str:
    """The directory from which the module of a function is imported by its full name, if that is in the clone."""
    steps = name.count(".") + (os.path.basename(file) == "__init__.py")
    root = os.path.dirname(file)
    for _ in range(steps):
        root = os.path.dirname(root)
    return root if root == tree or is_inside(root, tree) else tree


def _packages_of(packages: Mapping[str, str], known: _Places, own: str) -> str:
    """A directory of links to the packages whose directories have other names, as the top of a repository may."""
    os.makedirs(own)
    for name, directory in packages.items():
        place = known.of(directory)
        if _NAME.fullmatch(name) and name != "pyrepro" and place is not None and os.path.isdir(place):
            link(place, os.path.join(own, name))
    return own


def _program(record: Record, known: _Places, roots: list[str]) -> list[str] | str:
    """The kind of the recorded program and its name here, or why it cannot be run."""
    program = record.call["program"]
    if program is None:
        return "it was made in a session or by a worker, whose program is not recorded"
    withheld = [name for name in record.withheld if name.startswith("argv[")]
    if withheld or any(WITHHELD in text for text in record.call["argv"]):
        return "its command line held a secret, which is not recorded"
    kind, name = program["kind"], program["name"]
    if kind == "script":
        file = known.of(name)
        if file is None or not (os.path.isfile(file) or os.path.isfile(os.path.join(file, "__main__.py"))):
            return f"its program {printable(name)} is not in the commit"
        return [kind, file]
    module, _, attribute = name.partition(":")
    is_named = _DOTTED.fullmatch(module) and (kind == "module" or _DOTTED.fullmatch(attribute))
    if not is_named or _module_file(module, roots) is None:
        return f"its program {printable(name)} is not in the commit"
    return [kind, name]


def _module_file(name: str, roots: list[str]) -> str | None:
    """The real file to which a path of imports leads."""
    paths = (os.path.join(root, *name.split(".")) for root in roots)
    files = (file for path in paths for file in (path + ".py", os.path.join(path, "__init__.py")))
    return next((os.path.realpath(file) for file in files if os.path.isfile(file)), None)


def _argv(record: Record, program: list[str] | None) -> list[str]:
    """The arguments of the program, with the home directory of today."""
    home = os.path.expanduser("~")
    argv = [re.sub(r"(^|[=:,])~(?=/|$)", lambda found: found[1] + home, text) for text in record.call["argv"]]
    if program is not None and program[0] == "script":
        argv[:1] = [program[1]]
    return argv or [""]


def _missing(record: Record, making: Making) -> str | None:
    """Why the function alone cannot make the artifact."""
    call = record.call
    missing = [name for name in sorted(call["unrecorded"]) if name not in making.arguments]
    if missing:
        kinds = ", ".join(f"{name} (a {call['unrecorded'][name]})" for name in missing)
        return f"the arguments {kinds} were not recorded; pass them as arguments="
    if "<locals>" in call["function"]:
        return f"its function {call['function']} is defined only while its program runs"
    return None


def _arguments_of_user(record: Record, making: Making) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments that the user passes, those with types and the others."""
    typed: dict[str, Any] = {}
    given: dict[str, Any] = {}
    for name, value in making.arguments.items():
        if is_exact(value):
            given[name] = value
            continue
        try:
            typed[name] = typed_form(value)
        except UnrecordedError as error:
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            raise reproduce_error(
                record, f"arguments[{name!r}] is a {kind}, which cannot be passed on to the interpreter that runs it"
            ) from error
    return typed, given


def _placed(argument: Any, scratch: str, name: str) -> Any:
    """Plain paths of the same names, each in a directory of its own."""
    if isinstance(argument, list):
        return [_placed(item, scratch, f"{name}-{index}") for index, item in enumerate(argument)]
    if argument is None:
        return None
    directory = os.path.join(scratch, "made", name)
    os.makedirs(directory, exist_ok=True)
    stripped = argument.rstrip("/")
    return os.path.join(directory, os.path.basename(stripped)) + argument[len(stripped) :]


def _lay_inputs(places: Mapping[str, str], tree: str) -> None:
    """Let inputs that no commit holds stand in the clone where the program expects them."""
    for expected, place in places.items():
        parent = os.path.realpath(os.path.dirname(expected))
        real = os.path.join(parent, os.path.basename(expected))
        # Not into .git, a link in the commit to it included.
        is_allowed = is_inside(real, tree) and not is_inside(real, os.path.join(tree, ".git"))
        if is_allowed and expected != place and not os.path.lexists(expected):
            os.makedirs(parent, exist_ok=True)
            _lay_input(place, expected)


def _lay_input(place: str, expected: str) -> None:
    """Let a copy of an input stand where it is expected: its program may write it there, and the user's must stay."""
    stem = os.path.splitext(expected)[0] if expected.lower().endswith(".shp") else expected
    companions = companions_of(place)
    ends = {companion: stem + companion[-len(ending) :] for ending, companion in companions.items()}
    free = shutil.disk_usage(os.path.dirname(expected)).free
    if sum(map(_size, [place, *ends])) < free / 2:
        for source, copy in {place: expected, **ends}.items():
            _copy(source, copy)
        return
    _logger.warning(
        "%s is too large to be copied into %s, so it is linked there: should the program that is run write it, it "
        "writes yours; TMPDIR names a directory with more room",
        *(printable(place), os.path.dirname(expected)),
    )
    link(place, expected)


def _size(path: str) -> int:
    if os.path.isdir(path):
        return sum(_size(os.path.join(path, name)) for name in {*os.listdir(path)} - LEFT_OUT)
    return os.path.getsize(path) if os.path.isfile(path) else 0


def _copy(source: str, copy: str) -> None:
    """Copy a file or a directory, whose links are followed, and what is no data left out, as its hash does it."""
    if os.path.isdir(source):
        os.mkdir(copy)  # with the mode of a new one, so that it can be removed
        for name in {*os.listdir(source)} - LEFT_OUT:
            _copy(os.path.join(source, name), os.path.join(copy, name))
    elif os.path.isfile(source):  # not the mark of an editor, a link that leads nowhere
        shutil.copy2(source, copy)


def link(target: str, place: str) -> None:
    """Let a file or a directory stand in another place, too; where links cannot be made, it does not."""
    with contextlib.suppress(OSError):
        os.symlink(target, place, target_is_directory=os.path.isdir(target))
